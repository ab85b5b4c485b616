/* Leader election against an API server that says what a test wants: when we lead, when
 * no more, and what is written. Its pure part is in test_kube_lease.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "kube/lease.h"
#include "tests/unit/support/api_server.h"
#include "util/clock.h"
#include "util/mem.h"

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
#define LEASE  LEASES "/hook"
#define OBJECT(version, holder, seconds)                                                 \
    "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"       \
    "\"name\":\"hook\",\"namespace\":\"ns\",\"resourceVersion\":\"" version              \
    "\"},\"spec\":{\"holderIdentity\":\"" holder "\",\"leaseDurationSeconds\":" seconds  \
    ",\"leaseTransitions\":4,\"acquireTime\":\"then\"}}"

struct fixture {
    struct api_server *server;
    struct kube_client *client;
    struct kube_loop *loop;
    struct kube_lease *lease;
    unsigned retry_ms, renew_ms;
    atomic_int told;         /* +1 for each true, +100 for each false */
    const char *old_version; /* what a write must say to be refused */
    atomic_int refused;
};

static void on_change(void *context, bool leader)
{
    struct fixture *it = context;
    atomic_fetch_add(&it->told, leader ? 1 : 100);
}

static int set_up(void **state)
{
    static struct fixture it;
    it = (struct fixture){.server = api_start(), .retry_ms = 10, .renew_ms = 1000};
    it.client = api_client(it.server);
    *state = &it;
    return 0;
}

static struct kube_lease *lease_new(struct fixture *it, struct err *err)
{
    const struct kube_lease_options options = {.name_space = "ns",
                                               .name = "hook",
                                               .identity = "me",
                                               .on_change = on_change,
                                               .context = it,
                                               .renew_ms = it->renew_ms,
                                               .retry_ms = it->retry_ms};
    return kube_lease_new(it->loop, &options, err);
}

static void begin(struct fixture *it)
{
    struct err err = {0};
    it->loop = kube_loop_new(it->client, &err);
    assert_non_null(it->loop);
    it->lease = lease_new(it, &err);
    assert_non_null(it->lease);
    assert_false(kube_lease_is_leader(it->lease));
    assert_true(kube_loop_start(it->loop, &err));
}

static void end(struct fixture *it)
{
    if (it->loop == NULL)
        return;
    kube_loop_stop(it->loop);
    kube_lease_free(it->lease);
    kube_loop_free(it->loop);
    it->loop = NULL;
}

static int tear_down(void **state)
{
    struct fixture *it = *state;
    end(it);
    kube_client_free(it->client);
    api_stop(it->server);
    return 0;
}

static json_t *last(struct fixture *it, const char *what)
{
    char *body = api_body(it->server, what);
    json_t *object = json_loads(body, 0, NULL);
    free(body);
    assert_non_null(object);
    return object;
}

static const char *spec(const json_t *lease, const char *field)
{
    return json_string_value(json_object_get(json_object_get(lease, "spec"), field));
}

static json_int_t number(const json_t *lease, const char *field)
{
    return json_integer_value(json_object_get(json_object_get(lease, "spec"), field));
}

static void assert_given_back(struct fixture *it, const char *version)
{
    json_t *back = last(it, "PUT " LEASE);
    assert_string_equal(spec(back, "holderIdentity"), "");
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(back, "metadata"), "resourceVersion")),
                        version);
    json_decref(back);
}

static void created_kept_and_given_back(void **state)
{
    struct fixture *it = *state;
    it->renew_ms = 10000; /* it still leads when it is ended, however slow the machine */
    api_set(it->server, "POST " LEASES, 201, OBJECT("7", "me", "15"));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    begin(it);
    assert_true(AWAIT(kube_lease_is_leader(it->lease)));
    assert_true(AWAIT(atomic_load(&it->told) == 1));
    assert_true(api_await(it->server, "PUT " LEASE, 2));
    json_t *made = last(it, "POST " LEASES);
    assert_string_equal(spec(made, "holderIdentity"), "me");
    assert_int_equal(number(made, "leaseDurationSeconds"), 15);
    json_decref(made);
    json_t *renewed = last(it, "PUT " LEASE);
    assert_string_equal(spec(renewed, "holderIdentity"), "me");
    assert_string_equal(spec(renewed, "acquireTime"), "then");
    assert_int_equal(number(renewed, "leaseTransitions"), 4);
    json_decref(renewed);
    assert_int_equal(api_count(it->server, "GET " LEASE), 1);
    assert_int_equal(api_count(it->server, "POST " LEASES), 1);
    /* Where the next renewal is under way just then, it is looked at. */
    api_set(it->server, "GET " LEASE, 200, OBJECT("7", "me", "15"));
    kube_client_stop(it->client); /* giving back is the last word */
    end(it);
    assert_given_back(it, "7");
    json_t *back = last(it, "PUT " LEASE);
    assert_int_equal(number(back, "leaseDurationSeconds"), 1);
    json_decref(back);
}

/* Leads, and its next renewal gets no answer; whether it counted is for the test to say.
 */
static void stop_while_renewing(struct fixture *it)
{
    it->renew_ms = 10000;
    api_set(it->server, "GET " LEASE, 200, OBJECT("5", "me", "15"));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    begin(it);
    assert_true(AWAIT(atomic_load(&it->told) == 1));
    api_set_silent(it->server, "PUT " LEASE);
    size_t puts = api_count(it->server, "PUT " LEASE);
    assert_true(api_await(it->server, "PUT " LEASE, puts + 1));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    kube_client_stop(it->client);
}

static void given_back_in_the_middle_of_a_renewal(void **state)
{
    struct fixture *it = *state;
    stop_while_renewing(it);
    api_set(it->server, "GET " LEASE, 200, OBJECT("6", "me", "15"));
    end(it);
    assert_given_back(it, "6");
}

/* Who has not led yet may come to, by a write that nobody waits for. */
static void given_back_in_the_middle_of_the_first_write(void **state)
{
    struct fixture *it = *state;
    it->renew_ms = 10000;
    api_set(it->server, "GET " LEASE, 200, OBJECT("5", "", "1"));
    api_set_silent(it->server, "PUT " LEASE);
    begin(it);
    assert_true(api_await(it->server, "PUT " LEASE, 1));
    api_set(it->server, "GET " LEASE, 200, OBJECT("6", "me", "15"));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    kube_client_stop(it->client);
    end(it);
    assert_int_equal(atomic_load(&it->told), 0);
    assert_given_back(it, "6");
}

static void another_is_not_given_back(void **state)
{
    struct fixture *it = *state;
    stop_while_renewing(it);
    api_set(it->server, "GET " LEASE, 200, OBJECT("6", "other", "15"));
    size_t puts = api_count(it->server, "PUT " LEASE);
    size_t looks = api_count(it->server, "GET " LEASE);
    end(it);
    assert_int_equal(api_count(it->server, "GET " LEASE), looks + 1);
    assert_int_equal(api_count(it->server, "PUT " LEASE), puts);
}

static bool is_old(void *context, const char *method, const char *url, const char *body,
                   unsigned *ret_status, char **ret_body)
{
    struct fixture *it = context;
    (void)url;
    if (strcmp(method, "PUT") != 0 || strstr(body, it->old_version) == NULL)
        return false;
    atomic_fetch_add(&it->refused, 1);
    *ret_status = 409;
    *ret_body = strdup(API_CONFLICT);
    return true;
}

/* The renewal comes to count between our look and our word. */
static bool counts_after_the_look(void *context, const char *method, const char *url,
                                  const char *body, unsigned *ret_status, char **ret_body)
{
    struct fixture *it = context;
    if (strcmp(method, "GET") == 0) {
        *ret_status = 200;
        *ret_body = strdup(atomic_load(&it->refused) == 0 ? OBJECT("6", "me", "15")
                                                          : OBJECT("7", "me", "15"));
        return true;
    }
    return is_old(context, method, url, body, ret_status, ret_body);
}

static void given_back_after_a_conflict(void **state)
{
    struct fixture *it = *state;
    it->old_version = "\"resourceVersion\":\"6\"";
    stop_while_renewing(it);
    api_set_hook(it->server, counts_after_the_look, it);
    end(it);
    assert_int_equal(atomic_load(&it->refused), 1);
    assert_given_back(it, "7");
}

/* Nor is it tried for ever. */
static void conflicts_do_not_hold_the_end(void **state)
{
    struct fixture *it = *state;
    it->old_version = ""; /* any */
    stop_while_renewing(it);
    api_set(it->server, "GET " LEASE, 200, OBJECT("6", "me", "15"));
    api_set_hook(it->server, is_old, it);
    end(it);
    assert_in_range(atomic_load(&it->refused), 1, 4);
}

static bool looks_are_slow(void *context, const char *method, const char *url,
                           const char *body, unsigned *ret_status, char **ret_body)
{
    (void)context;
    (void)url;
    (void)body;
    if (strcmp(method, "GET") != 0)
        return false;
    api_pause(950);
    *ret_status = 200;
    *ret_body = strdup(OBJECT("6", "me", "15"));
    return true;
}

/* One second is for all of it, not for each request. */
static void slow_answers_do_not_hold_the_end(void **state)
{
    struct fixture *it = *state;
    stop_while_renewing(it);
    api_set_hook(it->server, looks_are_slow, it);
    api_set_silent(it->server, "PUT " LEASE);
    int64_t since = clock_mono_millis();
    end(it);
    assert_in_range(clock_mono_millis() - since, 900, 1800);
}

static void any_allocation_fails_at_the_end(void **state)
{
    struct fixture *it = *state;
    unsigned long k = 0, counted;
    do {
        stop_while_renewing(it);
        api_set(it->server, "GET " LEASE, 200, OBJECT("6", "me", "15"));
        mem_fail_nth(++k);
        end(it);
        counted = mem_fail_nth(0);
        kube_client_free(it->client);
        it->client = api_client(it->server);
        atomic_store(&it->told, 0);
    } while (counted >= k);
    assert_in_range(k, 10, 1000);
    assert_given_back(it, "6");
}

/* Another's is left alone while it is renewed, and taken when it stays as it is. */
static void another_leads_until_it_dies(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " LEASE, 200, OBJECT("5", "other", "1"));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    begin(it);
    int64_t seen = clock_mono_millis();
    assert_true(api_await(it->server, "GET " LEASE, 3));
    api_set(it->server, "GET " LEASE, 200, OBJECT("6", "other", "1"));
    seen = clock_mono_millis();
    assert_true(api_await(it->server, "PUT " LEASE, 1));
    assert_in_range(clock_mono_millis() - seen, 990, 9000);
    assert_true(AWAIT(kube_lease_is_leader(it->lease)));
    char *body = api_body(it->server, "PUT " LEASE);
    assert_non_null(strstr(body, "\"resourceVersion\":\"6\""));
    assert_non_null(strstr(body, "\"holderIdentity\":\"me\""));
    assert_non_null(strstr(body, "\"leaseTransitions\":5"));
    free(body);
}

static void a_conflict_is_looked_at(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " LEASE, 200, OBJECT("5", "", "15"));
    api_set(it->server, "PUT " LEASE, 409, API_CONFLICT);
    begin(it);
    assert_true(api_await(it->server, "PUT " LEASE, 1));
    api_set(it->server, "GET " LEASE, 200, OBJECT("6", "other", "3600"));
    size_t looks = api_count(it->server, "GET " LEASE);
    assert_true(api_await(it->server, "GET " LEASE, looks + 2));
    size_t puts = api_count(it->server, "PUT " LEASE);
    assert_true(api_await(it->server, "GET " LEASE, looks + 4));
    assert_int_equal(api_count(it->server, "PUT " LEASE), puts);
    assert_int_equal(atomic_load(&it->told), 0);
}

/* A leader whose renewal conflicts looks before it writes again. */
static void a_leader_that_was_overtaken(void **state)
{
    struct fixture *it = *state;
    it->renew_ms = 10000;
    api_set(it->server, "GET " LEASE, 200, OBJECT("5", "me", "15"));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    begin(it);
    assert_true(AWAIT(atomic_load(&it->told) == 1));
    api_set(it->server, "GET " LEASE, 200, OBJECT("6", "other", "3600"));
    api_set(it->server, "PUT " LEASE, 409, API_CONFLICT);
    size_t looks = api_count(it->server, "GET " LEASE);
    size_t before = api_count(it->server, "PUT " LEASE);
    int64_t since = clock_mono_millis();
    assert_true(api_await(it->server, "GET " LEASE, looks + 1));
    size_t puts = api_count(it->server, "PUT " LEASE);
    assert_in_range(puts, before, before + 1);
    assert_true(api_await(it->server, "GET " LEASE, looks + 3));
    assert_int_equal(api_count(it->server, "PUT " LEASE), puts);
    assert_int_equal(atomic_load(&it->told), 101);
    assert_in_range(clock_mono_millis() - since, 0, 9000); /* not when its time is over */
    end(it); /* nor is another's given back */
    assert_int_equal(api_count(it->server, "PUT " LEASE), puts);
}

/* A write that is refused for ever does not keep the API server busy. */
static void conflicts_without_end(void **state)
{
    struct fixture *it = *state;
    it->retry_ms = 400;
    api_set(it->server, "GET " LEASE, 200, OBJECT("5", "me", "15"));
    api_set(it->server, "PUT " LEASE, 409, API_CONFLICT);
    begin(it);
    assert_true(api_await(it->server, "PUT " LEASE, 4)); /* within a second */
    int64_t since = clock_mono_millis();
    assert_true(api_await(it->server, "PUT " LEASE, 5));
    assert_in_range(clock_mono_millis() - since, 350, 9000);
}

static void who_may_not_never_leads(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "POST " LEASES, 403,
            API_FORBIDDEN("create resource \\\"leases\\\" in API group "
                          "\\\"coordination.k8s.io\\\" in the namespace \\\"ns\\\""));
    begin(it);
    assert_true(api_await(it->server, "POST " LEASES, 2));
    api_set(it->server, "GET " LEASE, 500,
            API_STATUS("500", "InternalError", "etcdserver: leader changed"));
    size_t looks = api_count(it->server, "GET " LEASE);
    assert_true(api_await(it->server, "GET " LEASE, looks + 1));
    size_t posts = api_count(it->server, "POST " LEASES);
    assert_true(api_await(it->server, "GET " LEASE, looks + 3));
    assert_int_equal(api_count(it->server, "POST " LEASES), posts);
    assert_int_equal(api_count(it->server, "PUT " LEASE), 0);
    assert_int_equal(atomic_load(&it->told), 0);
    end(it); /* and nothing is given back */
    assert_int_equal(api_count(it->server, "PUT " LEASE), 0);
}

/* Within the time that others wait; and leads again when it can. */
static void who_cannot_renew_leads_no_more(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " LEASE, 200, OBJECT("5", "me", "15"));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    begin(it);
    assert_true(AWAIT(atomic_load(&it->told) == 1));
    int64_t since = clock_mono_millis();
    api_set_silent(it->server, "PUT " LEASE);
    assert_true(AWAIT(!kube_lease_is_leader(it->lease)));
    assert_in_range(clock_mono_millis() - since, 200, 3000);
    assert_true(AWAIT(atomic_load(&it->told) == 101));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    assert_true(AWAIT(atomic_load(&it->told) == 102));
}

/* Whatever is no Lease of ours makes no leader; and the first good answer does. */
static void nonsense_makes_no_leader(void **state)
{
    struct fixture *it = *state;
    static const char *const nonsense[] = {
        "{}",
        "[]",
        "null",
        "\"Lease\"",
        "<html>a proxy</html>",
        "{\"metadata\":{\"resourceVersion\":7},\"spec\":{}}",
        "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":null}",
        "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":[]}",
        "{\"kind\":\"Status\",\"status\":\"Success\"}",
    };
    begin(it);
    for (size_t i = 0; i < NRW_COUNT(nonsense); i++) {
        api_set(it->server, "GET " LEASE, 200, nonsense[i]);
        size_t looks = api_count(it->server, "GET " LEASE);
        assert_true(api_await(it->server, "GET " LEASE, looks + 2));
    }
    api_set_cut(it->server, "GET " LEASE, 200, OBJECT("5", "me", "15"));
    assert_true(
        api_await(it->server, "GET " LEASE, api_count(it->server, "GET " LEASE) + 2));
    api_set_huge(it->server, "GET " LEASE, 200, OBJECT("5", "me", "15"), 8u << 20);
    assert_true(
        api_await(it->server, "GET " LEASE, api_count(it->server, "GET " LEASE) + 2));
    assert_int_equal(api_count(it->server, "PUT " LEASE), 0);
    assert_int_equal(atomic_load(&it->told), 0);
    /* What a write is answered with is looked at as well. */
    api_set(it->server, "GET " LEASE, 200, OBJECT("5", "", "15"));
    for (size_t i = 0; i < NRW_COUNT(nonsense); i++) {
        api_set(it->server, "PUT " LEASE, 200, nonsense[i]);
        size_t puts = api_count(it->server, "PUT " LEASE);
        assert_true(api_await(it->server, "PUT " LEASE, puts + 2));
        assert_int_equal(atomic_load(&it->told), 0);
    }
    api_set(it->server, "PUT " LEASE, 200, OBJECT("6", "other", "15"));
    size_t puts = api_count(it->server, "PUT " LEASE);
    assert_true(api_await(it->server, "PUT " LEASE, puts + 2));
    assert_int_equal(atomic_load(&it->told), 0);
    api_set(it->server, "PUT " LEASE, 200, NULL);
    assert_true(AWAIT(atomic_load(&it->told) == 1));
}

static void any_allocation_fails(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "POST " LEASES, 201, OBJECT("7", "me", "15"));
    api_set(it->server, "PUT " LEASE, 200, NULL);
    unsigned refused = 0;
    for (unsigned long k = 1; k <= 40; k++) {
        struct err err = {0};
        it->loop = kube_loop_new(it->client, &err);
        assert_non_null(it->loop);
        mem_fail_nth(k);
        it->lease = lease_new(it, &err);
        if (it->lease == NULL) {
            refused++;
            assert_int_equal(err.code, ERR_NOMEM);
        } else {
            assert_true(kube_loop_start(it->loop, &err));
            assert_true(AWAIT(kube_lease_is_leader(it->lease)));
        }
        mem_fail_nth(0);
        end(it);
    }
    assert_int_equal(refused, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(created_kept_and_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(given_back_in_the_middle_of_a_renewal, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(given_back_in_the_middle_of_the_first_write,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_is_not_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slow_answers_do_not_hold_the_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(any_allocation_fails_at_the_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(given_back_after_a_conflict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conflicts_do_not_hold_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_leads_until_it_dies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_conflict_is_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_leader_that_was_overtaken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conflicts_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_may_not_never_leads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_cannot_renew_leads_no_more, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nonsense_makes_no_leader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_allocation_fails, set_up, tear_down),
    };
    if (!api_tests_begin())
        return 1;
    return cmocka_run_group_tests_name("kube_leader", tests, NULL, NULL);
}
