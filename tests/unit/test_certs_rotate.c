/* The rotation without an API server: options, and what it says while nobody answers.
 * With one it is tested by tests/long/certs_live.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "certs/issue.h"
#include "certs/rotate.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/mem.h"

static char folder[] = "/tmp/test_certs_rotate.XXXXXX";
static struct kube_client *client;

static bool put(const char *name, struct str text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return file_write_atomic(path, text.p, text.n, 0600, NULL);
}

/* A pod's service account, and an address where nobody listens. */
static int set_up(void **state)
{
    (void)state;
    const struct cert_request request = {.now = clock_wall_seconds(),
                                         .lifetime_seconds = 3600};
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    if (mkdtemp(folder) == NULL || !kube_global_init(NULL) ||
        !cert_issue_ca(&request, &ca, NULL) || !put("ca.crt", buf_view(&ca.cert)) ||
        !put("token", STR("t")) || !put("namespace", STR("ns")))
        return 1;
    struct kube_config *config =
        kube_config_in_cluster_from("127.0.0.1", "1", folder, NULL);
    client = config != NULL ? kube_client_new_take(config, NULL) : NULL;
    return client != NULL ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"ca.crt", "token", "namespace"};
    kube_client_free(client);
    for (size_t i = 0; i < NRW_COUNT(names); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        remove(path);
    }
    return remove(folder);
}

static bool never_called(void *context, struct str cert_pem, struct str key_pem,
                         int64_t not_after, struct err *err)
{
    (void)context, (void)cert_pem, (void)key_pem, (void)not_after, (void)err;
    fail_msg("there is no certificate to serve");
    return false;
}

static struct rotate_options options_of(const char *const *names, size_t count)
{
    return (struct rotate_options){.client = client,
                                   .secret_namespace = "ns",
                                   .secret_name = "tls",
                                   .webhook_config = "hook",
                                   .dns_names = names,
                                   .dns_count = count,
                                   .on_certificate = never_called};
}

static void names_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"hook.ns.svc", "a_b"};
    struct err err = {0};
    struct rotate_options options = options_of(bad, 2);
    assert_null(rotate_start(&options, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.message, "a_b"));
    options = options_of(NULL, 0);
    assert_null(rotate_start(&options, &err));
    assert_int_equal(err.code, ERR_USAGE);
}

static void nobody_answers(void **state)
{
    (void)state;
    static const char *const names[] = {"hook.ns.svc", "192.0.2.1"};
    struct rotate_options options = options_of(names, 2);
    struct err err = {0};
    struct rotate *rotate = rotate_start(&options, &err);
    assert_non_null(rotate);
    struct rotate_state now = {0};
    for (int i = 0; i < 100; i++) {
        rotate_state(rotate, &now);
        assert_true(now.problem[0] != '\0'); /* from the first moment on */
        if (strstr(now.problem, "cannot get") != NULL)
            break;
        struct timespec wait = {0, 50000000};
        nanosleep(&wait, NULL);
    }
    assert_non_null(
        strstr(now.problem, "cannot get secrets \"tls\" in namespace \"ns\""));
    assert_false(now.serving || now.published || now.verified);
    NRW_AUTO_BUF struct buf bundle;
    buf_init(&bundle, 65536);
    rotate_ca_bundle(rotate, &bundle);
    assert_int_equal(bundle.size, 0);
    rotate_poke(rotate);
    int64_t begin = clock_mono_millis();
    rotate_free(rotate);
    assert_true(clock_mono_millis() - begin < 2000);
    rotate_free(NULL);
}

static void allocations_fail(void **state)
{
    (void)state;
    static const char *const names[] = {"hook.ns.svc", "192.0.2.1"};
    struct rotate_options options = options_of(names, 2);
    unsigned failures = 0;
    for (unsigned long k = 1; k < 40; k++) {
        struct err err = {0};
        mem_fail_nth(k);
        struct rotate *rotate = rotate_start(&options, &err);
        if (rotate == NULL) {
            failures++;
            assert_int_equal(err.code, ERR_NOMEM);
        }
        rotate_free(rotate); /* from some k on it is the thread's allocation that fails */
        mem_fail_nth(0);
    }
    assert_in_range(failures, 5, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("certs_rotate", tests, set_up, tear_down);
}
