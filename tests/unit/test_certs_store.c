/* The Secret and the caBundles against an API server that says what a test wants: what
 * is taken from an answer, what is written, and which answers are no Secret and no
 * configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "certs/bundle.h"
#include "certs/store.h"
#include "tests/unit/support/api_server.h"
#include "util/mem.h"

#define SECRETS "/api/v1/namespaces/ns/secrets"
#define SECRET  SECRETS "/tls"
#define MUTATING                                                                         \
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hook"
#define META(version)                                                                    \
    "\"metadata\":{\"name\":\"tls\",\"namespace\":\"ns\",\"resourceVersion\":\"" version \
    "\"}"
/* "AAAA" is three zero bytes less: QQ== is "A", Qg== "B", Qw== "C", RA== "D". */
#define WHOLE                                                                            \
    "{\"kind\":\"Secret\"," META("12") ",\"data\":{\"ca.crt\":\"QQ==\",\"ca.key\":"      \
                                       "\"Qg==\",\"tls.crt\":\"Qw==\",\"tls.key\":"      \
                                       "\"RA==\",\"other\":\"RQ==\"}}"

static struct api_server *server;
static struct kube_client *client;

static int set_up(void **state)
{
    (void)state;
    server = api_start();
    client = api_client(server);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kube_client_free(client);
    api_stop(server);
    return 0;
}

static struct cert_place place(void)
{
    return (struct cert_place){client, "ns", "tls"};
}

static void assert_texts(const struct cert_secret *secret, const char *ca_cert,
                         const char *ca_key, const char *tls_cert, const char *tls_key)
{
    assert_true(str_eq(buf_view(&secret->ca_cert), str_of(ca_cert)));
    assert_true(str_eq(buf_view(&secret->ca_key), str_of(ca_key)));
    assert_true(str_eq(buf_view(&secret->tls_cert), str_of(tls_cert)));
    assert_true(str_eq(buf_view(&secret->tls_key), str_of(tls_key)));
}

/* --- the Secret ---------------------------------------------------------------- */

static void what_is_read(void **state)
{
    (void)state;
    const struct cert_place at = place();
    struct err err = {0};
    CERT_AUTO_SECRET struct cert_secret secret;
    cert_secret_init(&secret);
    api_set(server, "GET " SECRET, 200, WHOLE);
    assert_true(cert_secret_read(&at, &secret, &err));
    assert_true(secret.exists);
    assert_string_equal(secret.resource_version, "12");
    assert_texts(&secret, "A", "B", "C", "D");
    /* Of what is no base64 text nothing is taken; what was there before is replaced. */
    api_set(server, "GET " SECRET, 200,
            "{" META("13") ",\"data\":{\"ca.crt\":\"!\",\"ca.key\":7,\"tls.crt\":"
                           "\"Qw==\",\"tls.key\":null}}");
    assert_true(cert_secret_read(&at, &secret, &err));
    assert_string_equal(secret.resource_version, "13");
    assert_texts(&secret, "", "", "C", "");
    static const char *const bare[] = {
        "{" META("14") "}",
        "{" META("14") ",\"data\":null}",
        "{" META("14") ",\"data\":[\"QQ==\"]}",
        "{" META("14") ",\"data\":{}}",
    };
    for (size_t i = 0; i < NRW_COUNT(bare); i++) {
        api_set(server, "GET " SECRET, 200, bare[i]);
        assert_true(cert_secret_read(&at, &secret, &err));
        assert_true(secret.exists);
        assert_texts(&secret, "", "", "", "");
    }
    api_set(server, "GET " SECRET, 404, API_STATUS("404", "NotFound", "secrets"));
    assert_true(cert_secret_read(&at, &secret, &err));
    assert_false(secret.exists);
    assert_string_equal(secret.resource_version, "");
}

/* Whatever is no Secret leaves what was known: taken for an empty one, a CA would be
 * issued over one that is in use, and written without a version to bind it. */
static void what_is_no_secret(void **state)
{
    (void)state;
    const struct cert_place at = place();
    CERT_AUTO_SECRET struct cert_secret secret;
    cert_secret_init(&secret);
    api_set(server, "GET " SECRET, 200, WHOLE);
    assert_true(cert_secret_read(&at, &secret, NULL));
    static const char *const nonsense[] = {
        "{}",
        "[]",
        "null",
        "true",
        "",
        "<html>a proxy</html>",
        "{\"metadata\":{}}",
        "{\"metadata\":{\"resourceVersion\":12},\"data\":{}}",
        "{\"kind\":\"Status\",\"metadata\":{},\"status\":\"Success\"}",
        /* longer than any, so that it could not be given back */
        "{" META("0123456789012345678901234567890123456789012345678901234567890123") "}",
    };
    for (size_t i = 0; i < NRW_COUNT(nonsense); i++) {
        struct err err = {0};
        api_set(server, "GET " SECRET, 200, nonsense[i]);
        if (cert_secret_read(&at, &secret, &err))
            fail_msg("taken: %s", nonsense[i]);
        assert_int_equal(err.code, ERR_SYNTAX);
        assert_non_null(strstr(err.message, "API server"));
        assert_texts(&secret, "A", "B", "C", "D");
        assert_string_equal(secret.resource_version, "12");
    }
    assert_false(cert_secret_read(&at, &secret, NULL));
}

static void what_cannot_be_read(void **state)
{
    (void)state;
    const struct cert_place at = place();
    CERT_AUTO_SECRET struct cert_secret secret;
    cert_secret_init(&secret);
    struct err err = {0};
    api_set_cut(server, "GET " SECRET, 200, WHOLE);
    assert_false(cert_secret_read(&at, &secret, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    api_set_huge(server, "GET " SECRET, 200, WHOLE, 8u << 20);
    assert_false(cert_secret_read(&at, &secret, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    api_set(server, "GET " SECRET, 403,
            API_FORBIDDEN("get resource \\\"secrets\\\" in API group \\\"\\\" in the "
                          "namespace \\\"ns\\\""));
    assert_false(cert_secret_read(&at, &secret, &err));
    assert_int_equal(err.code, ERR_DENIED);
    assert_non_null(strstr(err.message, "resources: [secrets]"));
    assert_non_null(strstr(err.message, "resourceNames: [tls], verbs: [get]"));
    assert_false(secret.exists);
    assert_texts(&secret, "", "", "", "");
}

static void fill(struct cert_secret *secret, bool exists)
{
    cert_secret_init(secret);
    secret->exists = exists;
    snprintf(secret->resource_version, sizeof(secret->resource_version), "12");
    assert_true(
        buf_str(&secret->ca_cert, STR("A")) && buf_str(&secret->ca_key, STR("B")) &&
        buf_str(&secret->tls_cert, STR("C")) && buf_str(&secret->tls_key, STR("D")));
}

static void assert_body(const char *what, const char *want)
{
    char *body = api_body(server, what);
    assert_string_equal(body, want);
    free(body);
}

static void what_is_written(void **state)
{
    (void)state;
    const struct cert_place at = place();
    struct err err = {0};
    CERT_AUTO_SECRET struct cert_secret secret;
    fill(&secret, false);
    api_set(server, "POST " SECRETS, 201, NULL);
    assert_true(cert_secret_write(&at, &secret, &err));
    assert_body("POST " SECRETS "?fieldManager=nvcf-registry-webhook",
                "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"type\":\"kubernetes.io/"
                "tls\",\"metadata\":{\"name\":\"tls\",\"labels\":{\"app.kubernetes.io/"
                "managed-by\":\"nvcf-registry-webhook\"}},\"data\":{\"ca.crt\":\"QQ==\","
                "\"ca.key\":\"Qg==\",\"tls.crt\":\"Qw==\",\"tls.key\":\"RA==\"}}");
    secret.exists = true;
    api_set(server, "PATCH " SECRET, 200, NULL);
    assert_true(cert_secret_write(&at, &secret, &err));
    assert_body("PATCH " SECRET "?fieldManager=nvcf-registry-webhook",
                "{\"metadata\":{\"resourceVersion\":\"12\"},\"data\":{\"ca.crt\":"
                "\"QQ==\",\"ca.key\":\"Qg==\",\"tls.crt\":\"Qw==\",\"tls.key\":"
                "\"RA==\"}}");
    /* Someone was quicker: to create, or to change. */
    api_set(server, "PATCH " SECRET, 409, API_CONFLICT);
    assert_false(cert_secret_write(&at, &secret, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    secret.exists = false;
    api_set(server, "POST " SECRETS, 409,
            API_STATUS("409", "AlreadyExists", "secrets \\\"tls\\\" already exists"));
    err = (struct err){0};
    assert_false(cert_secret_write(&at, &secret, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    api_set(server, "POST " SECRETS, 403,
            API_FORBIDDEN("create resource \\\"secrets\\\" in API group \\\"\\\""));
    assert_false(cert_secret_write(&at, &secret, &err));
    assert_int_equal(err.code, ERR_DENIED);
    assert_non_null(strstr(err.message, "verbs: [create]"));
    assert_null(strstr(err.message, "resourceNames")); /* create cannot have them */
}

static void secret_allocations_fail(void **state)
{
    (void)state;
    const struct cert_place at = place();
    api_set(server, "GET " SECRET, 200, WHOLE);
    api_set(server, "PATCH " SECRET, 200, NULL);
    unsigned long k = 1, reads = 0, writes = 0;
    for (bool good = false; !good && k < 200; k++) {
        struct err err = {0};
        CERT_AUTO_SECRET struct cert_secret secret;
        cert_secret_init(&secret);
        mem_fail_nth(k);
        good = cert_secret_read(&at, &secret, &err);
        mem_fail_nth(0);
        reads += !good;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
        assert_int_equal(secret.exists, good);
        if (good)
            assert_texts(&secret, "A", "B", "C", "D");
    }
    for (k = 1; k < 200; k++) {
        struct err err = {0};
        CERT_AUTO_SECRET struct cert_secret secret;
        fill(&secret, true);
        mem_fail_nth(k);
        bool good = cert_secret_write(&at, &secret, &err);
        mem_fail_nth(0);
        assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
        writes += !good;
        if (good)
            break;
    }
    assert_in_range(reads, 8, 60);
    assert_in_range(writes, 2, 20);
}

/* --- the caBundles -------------------------------------------------------------- */

#define HOOK(name, bundle) "{\"name\":\"" name "\",\"clientConfig\":{" bundle "}}"
#define CONFIGURATION(hooks)                                                             \
    "{\"metadata\":{\"name\":\"hook\",\"resourceVersion\":\"31\"},\"webhooks\":[" hooks  \
    "]}"

static bool read_bundle(struct cert_bundle *bundle, struct err *err)
{
    return cert_bundle_read(client, &kube_mutating_configurations, "hook", bundle, err);
}

static void give(struct cert_bundle *bundle, const char *answer)
{
    struct err err = {0};
    api_set(server, "GET " MUTATING, 200, answer);
    if (!read_bundle(bundle, &err))
        fail_msg("%s", err.message);
    assert_true(bundle->exists);
}

static void bundles_are_compared(void **state)
{
    (void)state;
    CERT_AUTO_BUNDLE struct cert_bundle bundle = {0};
    NRW_AUTO_BUF struct buf first;
    buf_init(&first, 100);
    give(&bundle, CONFIGURATION(HOOK("a", "\"caBundle\":\"QQ==\"") "," HOOK(
                      "b", "\"caBundle\":\"QQ==\"")));
    assert_true(cert_bundle_is(&bundle, STR("A")));
    assert_false(cert_bundle_is(&bundle, STR("B")));
    assert_false(cert_bundle_holds(&bundle, STR("A"))); /* it is no certificate */
    cert_bundle_first(&bundle, &first);
    assert_string_equal(first.data, "A");
    static const char *const different[] = {
        CONFIGURATION(HOOK("a", "\"caBundle\":\"QQ==\"") "," HOOK("b", "")),
        CONFIGURATION(
            HOOK("a", "\"caBundle\":\"QQ==\"") "," HOOK("b", "\"caBundle\":\"Qg==\"")),
        CONFIGURATION(HOOK("a", "\"caBundle\":\"QQ\"")),
        CONFIGURATION(HOOK("a", "\"caBundle\":[]")),
        CONFIGURATION("{\"name\":\"a\"}"),
        CONFIGURATION("7"),
        CONFIGURATION("null"),
    };
    for (size_t i = 0; i < NRW_COUNT(different); i++) {
        give(&bundle, different[i]);
        if (cert_bundle_is(&bundle, STR("A")) || cert_bundle_holds(&bundle, STR("A")))
            fail_msg("taken: %s", different[i]);
    }
    /* The first that there is, also when it is not the first webhook's. */
    buf_clear(&first);
    give(&bundle, CONFIGURATION(HOOK("a", "") "," HOOK("b", "\"caBundle\":\"Qg==\"")));
    cert_bundle_first(&bundle, &first);
    assert_int_equal(first.size, 0);
    /* Of one that does not exist, and without webhooks, nothing is wrong. */
    give(&bundle, CONFIGURATION(""));
    assert_true(cert_bundle_is(&bundle, STR("A")));
    api_set(server, "GET " MUTATING, 404, API_STATUS("404", "NotFound", "none"));
    assert_true(read_bundle(&bundle, NULL));
    assert_false(bundle.exists);
    assert_true(cert_bundle_is(&bundle, STR("A")));
    assert_true(cert_bundle_holds(&bundle, STR("A")));
}

/* Or what is no configuration would count as one that holds every CA. */
static void what_is_no_configuration(void **state)
{
    (void)state;
    static const char *const nonsense[] = {
        "{}",
        "[]",
        "null",
        "<html>a proxy</html>",
        "{\"kind\":\"Status\",\"status\":\"Success\"}",
        "{\"metadata\":{\"resourceVersion\":\"31\"},\"webhooks\":{}}",
        "{\"metadata\":{\"resourceVersion\":\"31\"},\"webhooks\":\"all\"}",
    };
    CERT_AUTO_BUNDLE struct cert_bundle bundle = {0};
    give(&bundle, CONFIGURATION(HOOK("a", "\"caBundle\":\"QQ==\"")));
    for (size_t i = 0; i < NRW_COUNT(nonsense); i++) {
        struct err err = {0};
        api_set(server, "GET " MUTATING, 200, nonsense[i]);
        if (read_bundle(&bundle, &err))
            fail_msg("taken: %s", nonsense[i]);
        assert_int_equal(err.code, ERR_SYNTAX);
        assert_true(cert_bundle_is(&bundle, STR("A"))); /* untouched */
    }
    /* Go leaves out an empty list. */
    give(&bundle, "{\"metadata\":{\"resourceVersion\":\"31\"}}");
    api_set(server, "GET " MUTATING, 403, API_FORBIDDEN("get"));
    struct err err = {0};
    assert_false(read_bundle(&bundle, &err));
    assert_int_equal(err.code, ERR_DENIED);
    assert_true(bundle.exists);
    assert_non_null(strstr(err.message,
                           "apiGroups: [\"admissionregistration.k8s.io\"], resources: "
                           "[mutatingwebhookconfigurations], resourceNames: [hook], "
                           "verbs: [get]"));
}

static void bundles_are_written(void **state)
{
    (void)state;
    CERT_AUTO_BUNDLE struct cert_bundle bundle = {0};
    struct err err = {0};
    give(&bundle,
         CONFIGURATION(HOOK("a", "\"url\":\"https://x\"") "," HOOK("b\\\"", "")));
    api_set(server, "PATCH " MUTATING, 200, NULL);
    assert_true(cert_bundle_write(client, &kube_mutating_configurations, "hook", &bundle,
                                  STR("A"), &err));
    assert_body("PATCH " MUTATING "?fieldManager=nvcf-registry-webhook",
                "{\"metadata\":{\"resourceVersion\":\"31\"},\"webhooks\":[{\"name\":"
                "\"a\",\"clientConfig\":{\"caBundle\":\"QQ==\"}},{\"name\":\"b\\\"\","
                "\"clientConfig\":{\"caBundle\":\"QQ==\"}}]}");
    api_set(server, "PATCH " MUTATING, 409, API_CONFLICT);
    assert_false(cert_bundle_write(client, &kube_mutating_configurations, "hook", &bundle,
                                   STR("A"), &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    api_set(server, "PATCH " MUTATING, 200, NULL);
    unsigned refused = 0;
    for (unsigned long k = 1; k < 100; k++) {
        err = (struct err){0};
        mem_fail_nth(k);
        bool good = cert_bundle_write(client, &kube_mutating_configurations, "hook",
                                      &bundle, STR("A"), &err);
        mem_fail_nth(0);
        assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
        refused += !good;
        if (good)
            break;
    }
    assert_in_range(refused, 3, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secret_allocations_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bundles_are_compared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bundles_are_written, set_up, tear_down),
    };
    if (!api_tests_begin())
        return 1;
    return cmocka_run_group_tests_name("certs_store", tests, NULL, NULL);
}
