/* What `serve` has from the cluster, against an API server that says what a test wants:
 * the policy that comes and goes, what readiness says, the look that confirms a denial,
 * and Events. With a real one: tests/integration and tests/e2e. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "admit/config_maps.h"
#include "app/cluster.h"
#include "net/server.h"
#include "tests/unit/support/cluster_fixture.h"
#include "util/clock.h"
#include "util/mem.h"

#define BAD                                                                              \
    "{\"policy.yaml\":\"" HEAD "  DOCKER: {name: Mirror, hostname: m.example}\\n\"}"
#define OTHER               "{\"policy\":\"\"}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

/* The only registry's name in force, or "". */
static bool in_force(struct fixture *it, const char *name)
{
    NRW_AUTO_SNAPSHOT struct snapshot now;
    snapshots_take(it->app.snapshots, &now);
    return now.policy == NULL ? name[0] == '\0'
                              : now.policy->registry_count == 1 &&
                                    str_eq(now.policy->registries[0].name, str_of(name));
}

static bool exposes(struct fixture *it, const char *line)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 1u << 20);
    metrics_write(it->app.metrics, &out);
    return str_find(buf_view(&out), str_of(line)) < out.size;
}

/* Whether the last Event of the namespace has all of these. */
static bool told(struct fixture *it, const char *space, const char *const parts[3])
{
    char what[128];
    snprintf(what, sizeof(what), EVENTS "%s/events", space);
    char *body = api_body(it->server, what);
    bool all = true;
    for (size_t i = 0; i < 3; i++)
        all = all && strstr(body, parts[i]) != NULL;
    free(body);
    return all;
}

#define TOLD(space, ...) AWAIT(told(it, space, (const char *const[3]){__VA_ARGS__}))

static bool ready(struct fixture *it, const char *line)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    bool good = cluster_ready(it->cluster, &out);
    return good == (line[0] == '\0') &&
           str_find(buf_view(&out), str_of(line)) < out.size + (line[0] == '\0');
}

/* --- tests ------------------------------------------------------------------------ */

static void whether_and_how(void **state)
{
    struct fixture *it = *state;
    struct err err = {0};
    assert_false(cluster_wanted(&(struct app_cluster){.webhook_config = "x"}));
    assert_true(cluster_wanted(&(struct app_cluster){.policy_configmap = "a/b"}));
    assert_true(cluster_wanted(&(struct app_cluster){.tls_secret = "a/b"}));
    assert_true(cluster_wanted(&(struct app_cluster){.kubeconfig = "x"}));
    assert_true(cluster_wanted(&(struct app_cluster){.reconcile = true}));
    it->options.policy_configmap = "hook";
    assert_false(fixture_join(it, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.message, "\"hook\" is not NAMESPACE/NAME"));
    static char longest[600];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[1] = '/';
    it->options.policy_configmap = longest;
    assert_false(fixture_join(it, &err));
    longest[1] = 'a', longest[400] = '/';
    assert_false(fixture_join(it, &err));
    it->options.policy_configmap = NULL;
    it->options.kubeconfig = "/nowhere";
    err = (struct err){0};
    assert_false(fixture_join(it, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "the cluster: "));
    it->options.kubeconfig = it->kubeconfig;
    it->options.tls_secret = "hook/tls";
    it->options.dns_names = (const char *const[]){"a_b"};
    it->options.dns_name_count = 1;
    assert_true(fixture_join(it, &err));
    assert_false(cluster_start(it->cluster, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(api_count(it->server, ""), 0);
}

static void a_policy_comes_and_goes(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
    api_set(it->server, "GET " MAPS, 200,
            LIST(MAP("nvcf", "nvcf-api-env", "2",
                     "{\"A\":\"b\"}") "," MAP("nvcf", "other", "3", "{\"A\":\"b\"}")));
    api_set(it->server, EVENTS, 201, NULL);
    fixture_start(it);
    assert_true(AWAIT(in_force(it, "GitHub")));
    assert_true(
        AWAIT(fixture_has_maps(it, 1))); /* of the target's namespace, what is needed */
    assert_true(AWAIT(ready(it, "")));
    assert_true(
        TOLD("hook", "\"reason\":\"Accepted\"", "\"type\":\"Normal\"", "\"u-1\""));
    assert_false(atomic_load(&it->app.health.policy_stale));
    assert_true(exposes(it, "nvcf_registry_webhook_kube_requests_total{verb=\"list\","));
    NRW_AUTO_BUF struct buf bundle;
    buf_init(&bundle, 100);
    cluster_ca_bundle(it->cluster, &bundle); /* of certificates that are not ours */
    assert_int_equal(bundle.size, 0);
}

/* Each time the last good one stays in force, and is called stale. Each with a server of
 * its own: two of the notes are the same, and what one leaves on its way would come among
 * the next's. */
static void what_is_no_policy(void **state)
{
    static const struct {
        const char *change, *note;
    } changes[] = {
        {EVENT("MODIFIED", POLICY("11", BAD)), "is not valid, the last good one stays"},
        {EVENT("MODIFIED", POLICY("11", OTHER)), "it has no data key policy.yaml"},
        {EVENT("MODIFIED", POLICY("11", "null")), "it has no data key policy.yaml"},
        {EVENT("MODIFIED", POLICY("11", "{\"policy.yaml\":\"\"}")), "is not valid"},
        {EVENT("DELETED", POLICY("11", GOOD)), "the policy is gone, the last good one"},
    };
    for (size_t i = 0; i < NRW_COUNT(changes); i++) {
        fixture_tear_down(state);
        fixture_set_up(state);
        struct fixture *it = *state;
        api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
        api_set(it->server, "WATCH " POLICIES, 200, changes[i].change);
        api_set(it->server, "GET " MAPS, 200, LIST(""));
        api_set(it->server, EVENTS, 201, NULL);
        fixture_start(it);
        assert_true(AWAIT(atomic_load(&it->app.health.policy_stale)));
        assert_true(in_force(it, "GitHub"));
        assert_true(TOLD("hook", "\"reason\":\"Rejected\"", "\"type\":\"Warning\"",
                         changes[i].note));
        assert_true(exposes(it, "policy_reloads_total{result=\"failure\"} 1"));
    }
    struct fixture *it = *state;
    cluster_free(it->cluster);
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("12", GOOD)));
    api_set(it->server, "WATCH " POLICIES, 200, "");
    fixture_start(it); /* a good one is not stale */
    assert_true(AWAIT(!atomic_load(&it->app.health.policy_stale)));
}

static void without_any(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " POLICIES, 200, LIST(""));
    api_set(it->server, EVENTS, 201, NULL);
    fixture_start(it);
    assert_true(TOLD("hook", "there is no policy yet, and requests are refused",
                     "\"Rejected\"", "\"kind\":\"ConfigMap\""));
    assert_true(in_force(it, ""));
    assert_true(atomic_load(&it->app.health.policy_stale));
}

/* What is not known is not ready, and says what is missing. */
static void readiness(void **state)
{
    struct fixture *it = *state;
    static const char *const names[] = {"hook.hook.svc"};
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
    api_set(it->server, "GET " MAPS, 403,
            API_FORBIDDEN("list resource \\\"configmaps\\\" in API group \\\"\\\""));
    api_set(it->server, "GET /api/v1/namespaces/hook/secrets/tls", 403,
            API_FORBIDDEN("get resource \\\"secrets\\\" in API group \\\"\\\""));
    it->options.tls_secret = "hook/tls";
    it->options.dns_names = names;
    it->options.dns_name_count = 1;
    fixture_start(it);
    assert_true(AWAIT(ready(it, "resources: [configmaps], verbs: [list")));
    assert_true(
        AWAIT(ready(it, "configmaps: the targets' namespaces are not listed yet: ")));
    assert_true(AWAIT(
        ready(it, "certificate: none is served yet: not permitted to get secrets \"tls\" "
                  "in namespace \"hook\"")));
    assert_false(fixture_has_maps(it, 0)); /* what is missing is not absent */
    assert_int_equal(cluster_clock_ahead(it->cluster) / 5, 0);
}

/* --- the live look ---------------------------------------------------------------- */

static struct config_maps *known_maps(const char *text)
{
    struct config_maps *maps = config_maps_new();
    json_t *map = json_loads(text, 0, NULL);
    assert_true(config_maps_add(maps, STR("nvcf"), map));
    json_decref(map);
    return maps;
}

static struct config_maps *look(struct cluster *cluster, const struct config_maps *known,
                                struct str name_space, const struct str *names,
                                size_t count)
{
    struct cluster_look first = {.bytes_maximum = 1u << 20, .weight_maximum = 1u << 20};
    return cluster_confirm(cluster, &first, known, name_space, names, count);
}

static void a_denial_is_confirmed(void **state)
{
    struct fixture *it = *state;
    struct err err = {0};
    assert_true(fixture_join(it, &err));
    NRW_AUTO_CONFIG_MAPS struct config_maps *known =
        known_maps(MAP("nvcf", "a-env", "1", "{\"A\":\"old\"}"));
    const struct str names[] = {STR("gone"), STR("a-env")};
    const char *get = "GET " MAPS "/a-env";
    api_set(it->server, get, 200, MAP("nvcf", "a-env", "2", "{\"A\":\"new\"}"));
    struct config_maps *fresh = look(it->cluster, known, STR("nvcf"), names, 2);
    assert_non_null(fresh);
    const struct config_map *map = config_maps_find(fresh, STR("nvcf"), STR("a-env"));
    assert_int_equal(map->data_count, 1);
    assert_true(str_eq(map->data[0].value, STR("new")));
    config_maps_free(fresh);
    static const char *const no_news[] = {
        MAP("nvcf", "a-env", "2", "{\"A\":\"old\"}"),
        "{}",
        "[]",
        "<html>a proxy</html>",
        "{\"metadata\":{\"name\":\"a-env\",\"namespace\":\"nvcf\"}}",
    };
    for (size_t i = 0; i < NRW_COUNT(no_news); i++) {
        api_set(it->server, get, 200, no_news[i]);
        fresh = look(it->cluster, known, STR("nvcf"), names, 2);
        if (fresh != NULL)
            fail_msg("taken: %s", no_news[i]);
    }
    api_set(it->server, get, 403, API_FORBIDDEN("get"));
    assert_null(look(it->cluster, known, STR("nvcf"), names, 2));
    api_set_silent(it->server, get);
    int64_t since = clock_mono_millis();
    assert_null(look(it->cluster, known, STR("nvcf"), names, 2));
    assert_in_range(clock_mono_millis() - since, 400, 1500); /* the time of a request */
    /* Names that none can have, and none at all. */
    static char longest[300];
    memset(longest, 'a', sizeof(longest) - 1);
    const struct str endless[] = {str_of(longest)};
    assert_null(look(it->cluster, known, STR("nvcf"), endless, 1));
    assert_null(look(it->cluster, known, endless[0], names, 2));
    assert_null(look(it->cluster, NULL, STR("nvcf"), NULL, 0));
    api_set(it->server, get, 200, MAP("nvcf", "a-env", "2", "{\"A\":\"new\"}"));
    for (unsigned long k = 1; k < 60; k++) { /* never something in between */
        mem_fail_nth(k);
        fresh = look(it->cluster, known, STR("nvcf"), names, 2);
        mem_fail_nth(0);
        map = fresh != NULL ? config_maps_find(fresh, STR("nvcf"), STR("a-env")) : NULL;
        assert_true(fresh == NULL ||
                    (map->data_count == 1 && str_eq(map->data[0].value, STR("new"))));
        config_maps_free(fresh);
    }
}

/* --- Events ----------------------------------------------------------------------- */

static void tell(struct fixture *it, struct admit_outcome *outcome, enum finding_id id)
{
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, 1u << 16);
    outcome->findings = (struct findings){.list = {.items = NULL}};
    assert_non_null(findings_add(&arena, &outcome->findings, id, SEVERITY_INFO));
    cluster_tell(it->cluster, outcome);
}

static void admissions_are_told(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
    api_set(it->server, "GET " MAPS, 200, LIST(""));
    api_set(it->server, EVENTS, 201, NULL);
    fixture_start(it);
    struct admit_outcome outcome = {.kind = STR("Deployment"),
                                    .name_space = STR("nvcf"),
                                    .name = STR("nvcf-api"),
                                    .object_uid = STR("u-7"),
                                    .allowed = true,
                                    .changed = true,
                                    .message = STR("no such registry")};
    outcome.dry_run = true;
    tell(it, &outcome, FINDING_MISSING_REGISTRY);
    outcome.dry_run = false;
    outcome.kind = STR("ConfigMap");
    tell(it, &outcome, FINDING_MISSING_REGISTRY);
    outcome.kind = STR("Deployment");
    outcome.changed = false;
    tell(it, &outcome, FINDING_MISSING_REGISTRY);
    outcome.changed = true;
    tell(it, &outcome, FINDING_UNLISTED_REGISTRY); /* only the annotation is new */
    tell(it, &outcome, FINDING_MISSING_REGISTRY);
    assert_true(TOLD("nvcf", "\"Injected\"", "\"type\":\"Normal\"", "\"u-7\""));
    assert_int_equal(api_count(it->server, EVENTS "nvcf/"), 1);
    tell(it, &outcome, FINDING_REMOVED_REGISTRY);
    assert_true(TOLD("nvcf", "\"Removed\"", "no longer lists", "\"nvcf-api\""));
    outcome.allowed = false;
    tell(it, &outcome, FINDING_UNLISTED_REGISTRY);
    assert_true(TOLD("nvcf", "\"Denied\"", "\"type\":\"Warning\"", "no such registry"));
    assert_int_equal(api_count(it->server, EVENTS "nvcf/"), 3);
}

static void allocations_fail(void **state)
{
    struct fixture *it = *state;
    it->options.reconcile = true;
    unsigned refused = 0;
    bool good = false;
    for (unsigned long k = 1; !good && k < 200; k++) {
        struct err err = {0};
        mem_fail_nth(k);
        good = fixture_join(it, &err);
        mem_fail_nth(0);
        refused += !good;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
    }
    assert_in_range(refused, 20, 100);
    cluster_free(NULL);
}

static atomic_bool asked_enough;
static atomic_uint asked, not_ready;

static void *ask_whether_ready(void *opaque)
{
    struct fixture *it = opaque;
    while (!atomic_load(&asked_enough)) {
        NRW_AUTO_BUF struct buf out;
        buf_init(&out, 65536);
        atomic_fetch_add(&not_ready, !cluster_ready(it->cluster, &out));
        atomic_fetch_add(&asked, 1);
        cluster_ca_bundle(it->cluster, &out);
    }
    return NULL;
}

/* The server runs by then (the thread sanitizer looks). */
static void readiness_is_asked_for_while_it_starts(void **state)
{
    struct fixture *it = *state;
    struct err err = {0};
    pthread_t thread;
    it->options.tls_secret = "hook/tls";
    it->options.dns_names = (const char *const[]){"hook.svc"};
    it->options.dns_name_count = 1;
    assert_true(fixture_join(it, &err));
    atomic_store(&asked_enough, false);
    atomic_store(&asked, 0);
    atomic_store(&not_ready, 0);
    assert_int_equal(pthread_create(&thread, NULL, ask_whether_ready, it), 0);
    bool before = AWAIT(atomic_load(&asked) > 0);
    bool started = cluster_start(it->cluster, &err);
    bool after = AWAIT(atomic_load(&not_ready) > 0); /* there is no certificate */
    atomic_store(&asked_enough, true);
    pthread_join(thread, NULL);
    assert_true(before && started && after);
}

/* Descriptors that are open here, without those of the API server's. */
static size_t descriptors(struct fixture *it)
{
    size_t count = 0;
    DIR *all = opendir("/proc/self/fd");
    assert_non_null(all);
    for (const struct dirent *entry; (entry = readdir(all)) != NULL;) {
        struct sockaddr_in own = {.sin_family = AF_UNSPEC};
        socklen_t size = sizeof(own);
        int fd = (int)strtol(entry->d_name, NULL, 10);
        count +=
            entry->d_name[0] != '.' &&
            (getsockname(fd, (struct sockaddr *)&own, &size) != 0 ||
             own.sin_family != AF_INET || ntohs(own.sin_port) != api_port(it->server));
    }
    closedir(all);
    return count;
}

/* Of a crowd's connections those are left over. What is not to be had is not known. */
static void descriptors_are_left_for_it(void **state)
{
    struct fixture *it = *state;
    enum { OTHERS = 24 }; /* files, logs, timers; what is opened for a moment */
    const size_t before = descriptors(it);
    NRW_AUTO_BUF struct buf policy;
    buf_init(&policy, 65536);
    buf_text(&policy, "{\"policy.yaml\":\"" HEAD
                      "  GHCR: {name: GitHub, hostname: ghcr.io}\\ntargets:\\n");
    for (unsigned i = 0; i < POLICY_MAX_TARGETS; i++) {
        char list[64];
        snprintf(list, sizeof(list), "GET /api/v1/namespaces/ns-%u/configmaps", i);
        api_set(it->server, list, 200, LIST(""));
        buf_printf(&policy,
                   "  - {namespace: ns-%u, selector: {a: b}, container: c, "
                   "prefix: NVCF}\\n",
                   i);
    }
    assert_true(buf_text(&policy, "\"}"));
    NRW_AUTO_BUF struct buf list;
    buf_init(&list, 131072);
    assert_true(buf_printf(&list, LIST(MAP("hook", "policy", "1", "%s")), policy.data));
    api_set(it->server, "GET " POLICIES, 200, list.data);
    api_set(it->server, "GET /api/v1/namespaces/ns-0/configmaps/", 404, "{}");
    fixture_start(it);
    assert_true(AWAIT(ready(it, "")));
    struct cluster_look look = {.bytes_maximum = 4096, .weight_maximum = 4096};
    const struct str name = STR("gone");
    assert_null(cluster_confirm(it->cluster, &look, NULL, STR("ns-0"), &name, 1));
    assert_true(AWAIT(descriptors(it) - before > POLICY_MAX_TARGETS));
    assert_in_range(descriptors(it) - before + OTHERS, 0, NET_FDS_RESERVED);
}

#define CLUSTER_TEST(name)                                                               \
    cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(whether_and_how),
        CLUSTER_TEST(a_policy_comes_and_goes),
        CLUSTER_TEST(what_is_no_policy),
        CLUSTER_TEST(without_any),
        CLUSTER_TEST(readiness),
        CLUSTER_TEST(a_denial_is_confirmed),
        CLUSTER_TEST(admissions_are_told),
        CLUSTER_TEST(allocations_fail),
        CLUSTER_TEST(descriptors_are_left_for_it),
        CLUSTER_TEST(readiness_is_asked_for_while_it_starts),
    };
    if (!api_tests_begin())
        return 1;
    return cmocka_run_group_tests_name("app_cluster", tests, NULL, NULL);
}
