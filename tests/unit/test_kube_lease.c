/* The pure parts of Events and of leader election. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "kube/events.h"
#include "kube/lease.h"
#include "kube/watch_line.h"

static json_t *lease_of(const char *holder, const char *version, int seconds)
{
    return json_pack("{s:{s:s},s:{s:s,s:i,s:i,s:s}}", "metadata", "resourceVersion",
                     version, "spec", "holderIdentity", holder, "leaseDurationSeconds",
                     seconds, "leaseTransitions", 3, "acquireTime", "then");
}

static void note(struct lease_seen *seen, const char *holder, const char *version,
                 int seconds, int64_t now)
{
    json_t *lease = lease_of(holder, version, seconds);
    lease_observe(seen, lease, now);
    json_decref(lease);
}

static void expiry(void **state)
{
    (void)state;
    struct lease_seen seen = {.known = false};
    note(&seen, "a", "1", 15, 1000);
    assert_int_equal(lease_next(&seen, "a", 1000), LEASE_RENEW);
    assert_int_equal(lease_next(&seen, "a", 900000), LEASE_RENEW);
    assert_int_equal(lease_next(&seen, "b", 15999), LEASE_WAIT);
    assert_int_equal(lease_next(&seen, "b", 16000), LEASE_TAKE);
    /* Seen again unchanged: the time runs on. Renewed: it begins anew. */
    note(&seen, "a", "1", 15, 10000);
    assert_int_equal(lease_next(&seen, "b", 16000), LEASE_TAKE);
    note(&seen, "a", "2", 15, 15000);
    assert_int_equal(lease_next(&seen, "b", 29999), LEASE_WAIT);
    note(&seen, "", "3", 1, 15000);
    assert_int_equal(lease_next(&seen, "b", 15000), LEASE_TAKE);
    /* An absurd duration does not lock us out. */
    note(&seen, "a", "4", 2000000000, 20000);
    assert_int_equal(lease_next(&seen, "b", 35000), LEASE_TAKE);
    note(&seen, "a", "5", -1, 20000);
    assert_int_equal(lease_next(&seen, "b", 20001), LEASE_WAIT);
}

static json_int_t number(const json_t *lease, const char *field)
{
    return json_integer_value(json_object_get(json_object_get(lease, "spec"), field));
}

static const char *text(const json_t *lease, const char *field)
{
    return json_string_value(json_object_get(json_object_get(lease, "spec"), field));
}

static void bodies(void **state)
{
    (void)state;
    struct kube_lease_options options = {
        .name_space = "ns", .name = "l", .identity = "b", .duration_seconds = 15};
    json_t *body = lease_body(NULL, &options, "b", 1700000000123456);
    assert_string_equal(kube_meta(body, "name"), "l");
    assert_string_equal(text(body, "holderIdentity"), "b");
    assert_string_equal(text(body, "renewTime"), "2023-11-14T22:13:20.123456Z");
    assert_string_equal(text(body, "acquireTime"), "2023-11-14T22:13:20.123456Z");
    assert_int_equal(number(body, "leaseTransitions"), 0);
    assert_int_equal(number(body, "leaseDurationSeconds"), 15);
    json_decref(body);
    json_t *theirs = lease_of("a", "7", 15);
    body = lease_body(theirs, &options, "b", 0);
    assert_string_equal(kube_meta(body, "resourceVersion"), "7"); /* what makes it safe */
    assert_int_equal(number(body, "leaseTransitions"), 4);
    json_decref(body);
    body = lease_body(theirs, &options, "a", 0);
    assert_int_equal(number(body, "leaseTransitions"), 3);
    assert_string_equal(text(body, "acquireTime"), "then");
    json_decref(body);
    body = lease_body(theirs, &options, "", 0);
    assert_int_equal(number(body, "leaseTransitions"), 3);
    assert_int_equal(number(body, "leaseDurationSeconds"), 1);
    json_decref(body);
    json_decref(theirs);
}

static json_t *event_json(const struct kube_event *event, const char *instance)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 8192);
    assert_true(kube_event_body(event, instance, 1700000000000001, 0x1ffff, &out));
    json_t *object = json_loads(out.data, 0, NULL);
    assert_non_null(object);
    return object;
}

static bool is_subdomain(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        bool alnum = ascii_is_lower(name[i]) || ascii_is_digit(name[i]);
        bool edge = i == 0 || i + 1 == n || name[i - 1] == '.' || name[i + 1] == '.';
        if (!alnum && ((name[i] != '.' && name[i] != '-') || edge))
            return false;
    }
    return n > 0 && n <= 253;
}

static void event_fields(void **state)
{
    (void)state;
    struct kube_event event = {STR("apps/v1"),  STR("Deployment"), STR("nvcf"),
                               STR("nvcf-api"), STR("u-1"),        true,
                               STR("Denied"),   STR("Validating"), STR("why \"so\"\n")};
    json_t *got = event_json(&event, "pod-0");
    assert_string_equal(kube_meta(got, "name"), "nvcf-api.60a24181e4001ffff");
    assert_string_equal(kube_meta(got, "namespace"), "nvcf");
    assert_string_equal(json_string_value(json_object_get(got, "eventTime")),
                        "2023-11-14T22:13:20.000001Z");
    assert_string_equal(json_string_value(json_object_get(got, "type")), "Warning");
    assert_string_equal(json_string_value(json_object_get(got, "note")), "why \"so\"\n");
    const json_t *regarding = json_object_get(got, "regarding");
    assert_string_equal(json_string_value(json_object_get(regarding, "uid")), "u-1");
    assert_int_equal(json_object_size(regarding), 5);
    json_decref(got);
}

static void event_limits(void **state)
{
    (void)state;
    char longer[3001];
    memset(longer, 'e', 3000);
    longer[3000] = 0;
    memcpy(longer + 1022, "\xc3\xa9", 2); /* whole at 1024, cut at 1023 */
    struct kube_event event = {STR("v1"),
                               STR("X"),
                               STR(""),
                               str_from(longer, 3000),
                               STR(""),
                               false,
                               str_from(longer, 300),
                               STR(""),
                               str_from(longer, 3000)};
    json_t *got = event_json(&event, longer + 2700);
    assert_string_equal(kube_meta(got, "namespace"), "default");
    assert_true(is_subdomain(kube_meta(got, "name")));
    assert_int_equal(strlen(json_string_value(json_object_get(got, "note"))), 1024);
    assert_int_equal(strlen(json_string_value(json_object_get(got, "reason"))), 128);
    assert_string_equal(json_string_value(json_object_get(got, "action")), "Reporting");
    assert_null(json_object_get(json_object_get(got, "regarding"), "namespace"));
    json_decref(got);
    static const char *const odd[] = {"",     ".",        "-",          "a.",  "a-",
                                      "a..b", "a-.b",     "a.-b",       "A.B", "x:y",
                                      "a b",  "\xc3\xa9", "system:node"};
    for (size_t i = 0; i < NRW_COUNT(odd); i++) {
        event.name = str_of(odd[i]);
        got = event_json(&event, "");
        if (!is_subdomain(kube_meta(got, "name")))
            fail_msg("\"%s\" became \"%s\"", odd[i], kube_meta(got, "name"));
        json_decref(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expiry),
        cmocka_unit_test(bodies),
        cmocka_unit_test(event_fields),
        cmocka_unit_test(event_limits),
    };
    return cmocka_run_group_tests_name("kube_lease", tests, NULL, NULL);
}
