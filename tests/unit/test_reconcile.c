/* Reconciling against an API server that says what a test wants: which Deployments are
 * touched and how, who does it, and what is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/reconcile.h"
#include "policy/policy_load.h"
#include "tests/unit/support/api_server.h"
#include "util/clock.h"
#include "util/mem.h"

#define LEASE       "/apis/coordination.k8s.io/v1/namespaces/ns/leases/" RECONCILE_LEASE
#define DEPLOYMENTS "/apis/apps/v1/namespaces/nvcf/deployments"
#define LIST        "GET " DEPLOYMENTS "?labelSelector=app.kubernetes.io%2Fname%3Dhelm-nvcf-api"
#define OBJECT(name, meta)                                                               \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"nvcf\"" meta "}}"
#define ITEMS(items) "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" items "]}"

#define POLICY(mode, name)                                                               \
    "apiVersion: nvcf-registry-webhook/v1\n"                                             \
    "kind: RegistryPolicy\n"                                                             \
    "mode: " mode "\n"                                                                   \
    "registries:\n"                                                                      \
    "  GHCR: {name: " name ", hostname: ghcr.io}\n"

struct fixture {
    struct api_server *server;
    struct kube_client *client;
    struct kube_loop *loop;
    struct snapshots *snapshots;
    struct reconcile *reconcile;
    char hash[128];
};

static void put_policy(struct fixture *it, const char *text)
{
    struct err err = {0};
    struct policy_doc *doc = policy_doc_new(str_of(text), &err);
    assert_non_null(doc);
    assert_non_null(doc->policy);
    snprintf(it->hash, sizeof(it->hash), "%s", doc->policy->hash);
    assert_true(snapshots_set_policy_take(it->snapshots, doc, &err));
    reconcile_policy_changed(it->reconcile);
}

static int set_up(void **state)
{
    static struct fixture it;
    static const struct reconcile_times times = {20, 100, 60, 60000};
    it = (struct fixture){.server = api_start(), .snapshots = snapshots_new(NULL)};
    it.client = api_client(it.server);
    it.loop = kube_loop_new(it.client, NULL);
    it.reconcile = reconcile_new(it.client, it.loop, it.snapshots, "pod-0", NULL);
    if (it.reconcile == NULL)
        return 1;
    reconcile_set_times(it.reconcile, &times);
    api_set(it.server, "PUT " LEASE, 200, NULL);
    *state = &it;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *it = *state;
    kube_client_stop(it->client);
    kube_loop_stop(it->loop);
    reconcile_free(it->reconcile);
    kube_loop_free(it->loop);
    kube_client_free(it->client);
    snapshots_free(it->snapshots);
    api_stop(it->server);
    return 0;
}

/* Nothing is asked for a while. */
static void assert_rest(struct fixture *it, const char *what)
{
    size_t before = api_count(it->server, what);
    for (int i = 0; i < 4; i++)
        api_pause(90);
    assert_int_equal(api_count(it->server, what), before);
}

static void begin(struct fixture *it)
{
    assert_true(kube_loop_start(it->loop, NULL));
    assert_true(reconcile_start(it->reconcile, NULL));
}

static void lead(struct fixture *it)
{
    static const char lease[] =
        "{\"metadata\":{\"name\":\"" RECONCILE_LEASE "\",\"resourceVersion\":\"1\"},"
        "\"spec\":{\"holderIdentity\":\"\",\"leaseDurationSeconds\":1}}";
    api_set(it->server, "GET " LEASE, 200, lease);
    begin(it);
}

/* Leads, and has looked once for that and found nothing to do. */
static void lead_at_rest(struct fixture *it)
{
    lead(it);
    api_set(it->server, LIST, 200, ITEMS(""));
    put_policy(it, POLICY("Inject", "First"));
    assert_true(api_await(it->server, LIST, 1));
    assert_true(api_await(it->server, "PUT " LEASE, 1));
    api_pause(90);
    api_pause(90);
}

static void touches_what_is_behind(void **state)
{
    struct fixture *it = *state;
    lead_at_rest(it);
    struct fixture probe = *it; /* the hash is needed before it is in force */
    struct policy_doc *doc = policy_doc_new(STR(POLICY("Inject", "GitHub")), NULL);
    snprintf(probe.hash, sizeof(probe.hash), "%s", doc->policy->hash);
    policy_doc_free(doc);
    char items[4096];
    snprintf(
        items, sizeof(items),
        ITEMS(OBJECT(
            "behind",
            ",\"annotations\":{\"nvcf-registry-webhook/"
            "policy\":\"old\"}") "," OBJECT("bare",
                                            "") "," OBJECT("going",
                                                           ",\"deletionTimestamp\":"
                                                           "\"2026-11-24T00:00:"
                                                           "00Z\"") "," OBJECT("don"
                                                                               "e",
                                                                               ",\"a"
                                                                               "nnot"
                                                                               "atio"
                                                                               "ns\""
                                                                               ":{"
                                                                               "\"" RECONCILE_ANNOTATION
                                                                               "\":"
                                                                               "\"%"
                                                                               "s\""
                                                                               "}") "," OBJECT("good",
                                                                                               ",\"annotations\":{\"nvcf-registry-webhook/policy\":"
                                                                                               "\"%s\"}") ",7,{},{\"metadata\":{\"name\":[]}}"),
        probe.hash, probe.hash);
    api_set(it->server, LIST, 200, items);
    api_set(it->server, "PATCH " DEPLOYMENTS, 200, NULL);
    put_policy(it, POLICY("Inject", "GitHub"));
    assert_true(api_await(it->server, "PATCH " DEPLOYMENTS, 2));
    assert_rest(it, "PATCH ");
    assert_int_equal(api_count(it->server, "PATCH "), 2);
    static const char *const touched[] = {"behind", "bare"};
    for (size_t i = 0; i < 2; i++) {
        char what[256], want[512];
        snprintf(what, sizeof(what),
                 "PATCH " DEPLOYMENTS "/%s?fieldManager=nvcf-registry-webhook&force=true",
                 touched[i]);
        snprintf(
            want, sizeof(want),
            "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{"
            "\"name\":\"%s\",\"namespace\":\"nvcf\",\"annotations\":{\"nvcf-registry-"
            "webhook/reconciled\":\"%s\"}}}",
            touched[i], it->hash);
        char *body = api_body(it->server, what);
        assert_string_equal(body, want);
        free(body);
    }
}

/* Refused is tried again, later and later, and no more once it is done; a new policy
 * begins anew. */
static void refused_is_tried_again(void **state)
{
    struct fixture *it = *state;
    lead_at_rest(it);
    api_set(it->server, LIST, 200, ITEMS(OBJECT("a", "") "," OBJECT("b", "")));
    api_set(it->server, "PATCH " DEPLOYMENTS "/a", 403,
            API_FORBIDDEN("patch resource \\\"deployments\\\""));
    api_set(it->server, "PATCH " DEPLOYMENTS "/b", 200, NULL);
    put_policy(it, POLICY("Inject", "GitHub"));
    assert_true(api_await(it->server, "PATCH " DEPLOYMENTS "/b", 1)); /* all the same */
    assert_true(api_await(it->server, "PATCH " DEPLOYMENTS "/a", 1));
    int64_t times[6] = {clock_mono_millis()};
    for (size_t i = 1; i < 5; i++) { /* the next pause would be 960 ms */
        assert_true(api_await(it->server, "PATCH " DEPLOYMENTS "/a", i + 1));
        times[i] = clock_mono_millis();
    }
    assert_in_range(times[1] - times[0], 50, 9000);
    assert_in_range(times[2] - times[1], 110, 9000);
    assert_in_range(times[3] - times[2], 220, 9000);
    put_policy(it, POLICY("Inject", "Other"));
    assert_true(api_await(it->server, "PATCH " DEPLOYMENTS "/a", 6));
    times[5] = clock_mono_millis();
    assert_true(api_await(it->server, "PATCH " DEPLOYMENTS "/a", 7));
    assert_in_range(clock_mono_millis() - times[5], 50, 900);
    api_set(it->server, "PATCH " DEPLOYMENTS "/a", 200, NULL);
    assert_true(api_await(it->server, "PATCH " DEPLOYMENTS "/a", 8));
    assert_rest(it, LIST);
}

/* What is no list is not an empty one: it is asked again. */
static void nonsense_is_asked_again(void **state)
{
    struct fixture *it = *state;
    static const char *const nonsense[] = {"{}",
                                           "[]",
                                           "<html>a proxy</html>",
                                           "{\"kind\":\"Status\",\"status\":\"Success\"}",
                                           "{\"items\":{}}",
                                           "{\"items\":\"none\"}"};
    lead_at_rest(it);
    api_set(it->server, LIST, 200, nonsense[0]);
    put_policy(it, POLICY("Inject", "GitHub"));
    for (size_t i = 0; i < NRW_COUNT(nonsense); i++) {
        api_set(it->server, LIST, 200, nonsense[i]);
        assert_true(
            api_await(it->server, LIST, api_count(it->server, LIST) + (i == 0 ? 2 : 1)));
        reconcile_policy_changed(it->reconcile); /* shorter pauses */
    }
    api_set_cut(it->server, LIST, 200, ITEMS(OBJECT("a", "")));
    assert_true(api_await(it->server, LIST, api_count(it->server, LIST) + 2));
    assert_int_equal(api_count(it->server, "PATCH "), 0);
    api_set(it->server, LIST, 200, ITEMS(""));
    assert_true(api_await(it->server, LIST, api_count(it->server, LIST) + 1));
    api_pause(50);
    assert_rest(it, LIST);
}

static void who_does_not_lead_touches_nothing(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " LEASE, 200,
            "{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"holderIdentity\":"
            "\"other\",\"leaseDurationSeconds\":3600}}");
    api_set(it->server, LIST, 200, ITEMS(OBJECT("a", "")));
    begin(it);
    put_policy(it, POLICY("Inject", "GitHub"));
    assert_true(api_await(it->server, "GET " LEASE, 1));
    assert_rest(it, LIST);
    assert_int_equal(api_count(it->server, LIST), 0);
}

static void only_where_something_is_injected(void **state)
{
    struct fixture *it = *state;
    lead_at_rest(it);
    api_set(it->server, LIST, 200, ITEMS(OBJECT("a", "")));
    api_set(it->server, "PATCH " DEPLOYMENTS, 200, NULL);
    size_t before = api_count(it->server, LIST);
    put_policy(it, POLICY("Check", "GitHub"));
    assert_rest(it, LIST);
    assert_int_equal(api_count(it->server, LIST), before);
    for (int i = 0; i < 50; i++)
        put_policy(it, POLICY("Inject", "GitHub"));
    assert_true(api_await(it->server, "PATCH ", 1));
    assert_rest(it, LIST);
    assert_in_range(api_count(it->server, LIST), before + 1, before + 5); /* not 50 */
}

static void allocations_fail(void **state)
{
    struct fixture *it = *state;
    unsigned refused = 0;
    for (unsigned long k = 1; k < 20; k++) {
        struct err err = {0};
        struct kube_loop *loop = kube_loop_new(it->client, NULL);
        mem_fail_nth(k);
        struct reconcile *reconcile =
            reconcile_new(it->client, loop, it->snapshots, "pod-1", &err);
        mem_fail_nth(0);
        refused += reconcile == NULL;
        assert_int_equal(err.code, reconcile == NULL ? ERR_NOMEM : ERR_NONE);
        reconcile_free(reconcile);
        kube_loop_free(loop);
    }
    assert_in_range(refused, 5, 10);
    reconcile_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(touches_what_is_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_is_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_lead_touches_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_where_something_is_injected, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(allocations_fail, set_up, tear_down),
    };
    if (!api_tests_begin())
        return 1;
    return cmocka_run_group_tests_name("reconcile", tests, NULL, NULL);
}
