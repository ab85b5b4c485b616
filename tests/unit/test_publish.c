/* New things into force: what is taken and what is not, what is counted, and what a
 * server shows whose certificate or client CA has been replaced. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/ssl.h>
#include <pthread.h>

#include "certs/issue.h"
#include "tests/unit/support/net_fixture.h"
#include "tests/unit/support/net_peer.h"
#include "tests/unit/support/publish_fixture.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define HEAD "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nregistries:\n"
#define ONE  HEAD "  GHCR: {name: GitHub, hostname: ghcr.io}\n"
#define TWO                                                                              \
    HEAD "  GHCR: {name: GitHub, hostname: ghcr.io}\n  Q: {name: Q, hostname: q.io}\n"
#define BAD                                                                              \
    HEAD "  DOCKER: {name: Mirror, hostname: m.example}\n"                               \
         "  X: {name: X, hostname: 'https://x'}\n"

struct fixture {
    struct publish_fixture app;
    unsigned policies; /* that have come into force */
    struct identity *one, *two;
};

static void on_policy(void *context, const struct policy *policy)
{
    struct fixture *it = context;
    it->policies += policy != NULL;
}

static int set_up(void **state)
{
    static struct fixture it;
    it = (struct fixture){.one = identity_new(NULL, "one", "localhost"),
                          .two = identity_new(NULL, "two", "localhost")};
    publish_fixture_init(&it.app, on_policy, &it);
    *state = &it;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *it = *state;
    publish_fixture_done(&it->app);
    identity_free(it->one);
    identity_free(it->two);
    return 0;
}

static size_t registries(struct fixture *it)
{
    NRW_AUTO_SNAPSHOT struct snapshot now;
    snapshots_take(it->app.snapshots, &now);
    return now.policy != NULL ? now.policy->registry_count : 0;
}

static void assert_exposed(struct fixture *it, const char *line)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 1u << 20);
    metrics_write(it->app.metrics, &out);
    if (str_find(buf_view(&out), str_of(line)) == out.size)
        fail_msg("not exposed: %s\n%s", line, out.data);
}

#define POLICY_FAILURES "policy_reloads_total{result=\"failure\"} "
#define POLICY_RELOADS  "policy_reloads_total{result=\"success\"} "
#define ROTATIONS       "rotations_total{result=\"success\"} "
#define ROTATION_FAILS  "rotations_total{result=\"failure\"} "

/* --- policy ----------------------------------------------------------------------- */

static void policies(void **state)
{
    struct fixture *it = *state;
    struct err err = {0};
    assert_false(publish_policy(&it->app.publish, STR(BAD), "t", PUBLISH_QUIETLY, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "line 4"));
    assert_exposed(it, POLICY_FAILURES "0\n");
    assert_false(publish_policy(&it->app.publish, STR(BAD), "t", PUBLISH_ALOUD, &err));
    assert_exposed(it, POLICY_FAILURES "1\n");
    assert_int_equal(registries(it), 0);
    assert_true(publish_policy(&it->app.publish, STR(ONE), "t", PUBLISH_ALOUD, &err));
    assert_exposed(it, POLICY_RELOADS "0\n"); /* the first is no reload */
    assert_true(publish_policy(&it->app.publish, STR(TWO), "t", PUBLISH_QUIETLY, &err));
    assert_exposed(it, POLICY_RELOADS "1\n");
    assert_int_equal(registries(it), 2);
    static const char *const no_policy[] = {"", "\n", "a: [", "7", "kind: Pod\n", BAD};
    for (size_t i = 0; i < NRW_COUNT(no_policy); i++) {
        err = (struct err){0};
        assert_false(publish_policy(&it->app.publish, str_of(no_policy[i]), "t",
                                    PUBLISH_ALOUD, &err));
        assert_true(err.code == ERR_INVALID || err.code == ERR_SYNTAX);
        assert_true(err.message[0] != '\0');
    }
    assert_exposed(it, POLICY_FAILURES "7\n");
    assert_int_equal(registries(it), 2);
    assert_int_equal(it->policies, 2);
    assert_false(publish_policy(&it->app.publish, STR(BAD), "t", PUBLISH_ALOUD, NULL));
}

/* --- certificates ----------------------------------------------------------------- */

static struct publish_pair pair_of(const struct identity *identity)
{
    return (struct publish_pair){.cert_pem = str_of(identity->cert_pem),
                                 .key_pem = str_of(identity->key_pem),
                                 .client_ca_pem = str_null(),
                                 .origin = "t"};
}

static bool publish_it(struct fixture *it, const struct publish_pair *pair,
                       enum publish_tone tone, struct err *err)
{
    return publish_certificate(&it->app.publish, pair, tone, err);
}

static void certificates(void **state)
{
    struct fixture *it = *state;
    struct err err = {0};
    struct publish_pair pair = pair_of(it->one);
    struct certificate_facts facts;
    pair.key_pem = str_of(it->two->key_pem);
    assert_false(publish_it(it, &pair, PUBLISH_QUIETLY, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_exposed(it, ROTATION_FAILS "0\n");
    assert_false(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_exposed(it, ROTATION_FAILS "1\n");
    pair.key_pem = STR("no key");
    assert_false(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    pair = pair_of(it->one);
    pair.cert_pem = STR("");
    assert_false(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    pair.cert_pem = str_of(it->one->key_pem);
    assert_false(publish_it(it, &pair, PUBLISH_ALOUD, NULL));
    pair = pair_of(it->one);
    pair.client_ca_pem = STR("no CA");
    assert_false(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_exposed(it, ROTATION_FAILS "5\n");
    snapshots_certificate(it->app.snapshots, &facts);
    assert_false(facts.present);
    assert_null(it->app.publish.waiting);
    pair = pair_of(it->one);
    assert_true(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_non_null(it->app.publish.waiting);
    snapshots_certificate(it->app.snapshots, &facts);
    assert_true(facts.present);
    assert_in_range(facts.not_after - facts.not_before, 86400, 86500);
    assert_exposed(it, ROTATIONS "0\n");
    pair = pair_of(it->two);
    assert_true(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_exposed(it, ROTATIONS "1\n");
}

/* It may be all there is: readiness says what is wrong with it. */
static void an_expired_one_is_taken(void **state)
{
    struct fixture *it = *state;
    struct err err = {0};
    static const char *const names[] = {"localhost"};
    const struct cert_request request = {.now = clock_wall_seconds() - 7200,
                                         .lifetime_seconds = 3600,
                                         .dns_names = names,
                                         .dns_count = 1};
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    assert_true(cert_issue_ca(&request, &ca, &err));
    assert_true(
        cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, &err));
    const struct publish_pair pair = {.cert_pem = buf_view(&leaf.cert),
                                      .key_pem = buf_view(&leaf.key),
                                      .client_ca_pem = str_null(),
                                      .origin = "t"};
    assert_true(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 1000);
    assert_false(health_ready(&it->app.health, clock_wall_seconds(), &out));
    assert_non_null(strstr(out.data, "certificate: it expired at "));
}

/* --- a server that runs ------------------------------------------------------------- */

/* The name in the certificate that is shown, when `identity` may come in; else "". */
static void shown(const struct net_server *server, const struct identity *identity,
                  char *name, size_t size)
{
    SSL_CTX *context = peer_context("http/1.1", identity);
    struct peer *peer = peer_open(context, net_server_port(server));
    name[0] = '\0';
    if (peer != NULL &&
        peer_status(peer, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n") == 200) {
        X509 *certificate = SSL_get1_peer_certificate(peer->ssl);
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                  name, (int)size);
        X509_free(certificate);
    }
    if (peer != NULL)
        peer_close(peer);
    SSL_CTX_free(context);
}

#define assert_shown(server, identity, want)                                             \
    do {                                                                                 \
        char name_shown[64];                                                             \
        shown(server, identity, name_shown, sizeof(name_shown));                         \
        assert_string_equal(name_shown, want);                                           \
    } while (0)

static void a_server_is_handed_what_is_new(void **state)
{
    struct fixture *it = *state;
    struct peer_counts counts = {0};
    struct err err = {0};
    struct publish_pair pair = pair_of(it->one);
    assert_true(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_int_equal(publish_port(&it->app.publish), 0);
    struct net_options options = peer_options(&counts);
    struct net_server *server = net_server_start(&options, it->app.publish.waiting, &err);
    assert_non_null(server);
    publish_open(&it->app.publish, server);
    assert_null(it->app.publish.waiting);
    assert_int_equal(publish_port(&it->app.publish), net_server_port(server));
    assert_shown(server, NULL, "one");
    pair = pair_of(it->two);
    assert_true(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_null(it->app.publish.waiting);
    assert_shown(server, NULL, "two");
    pair.key_pem = str_of(it->one->key_pem);
    assert_false(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_shown(server, NULL, "two");
    publish_close(&it->app.publish);
    assert_int_equal(publish_port(&it->app.publish), 0);
    net_server_stop(server, 1000);
    pair = pair_of(it->one); /* too late: it waits, and is freed in the end */
    assert_true(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_non_null(it->app.publish.waiting);
}

/* The client CA comes by itself, before the certificate and after it. */
static void a_client_ca_apart(void **state)
{
    struct fixture *it = *state;
    struct peer_counts counts = {0};
    struct err err = {0};
    struct publish_pair pair = pair_of(it->one);
    pair.client_ca_pem = str_null();
    assert_false(
        publish_client_ca(&it->app.publish, STR("none"), "t", PUBLISH_QUIETLY, &err));
    assert_exposed(it, ROTATION_FAILS "0\n");
    assert_false(publish_client_ca(&it->app.publish, STR(""), "t", PUBLISH_ALOUD, &err));
    assert_exposed(it, ROTATION_FAILS "1\n");
    assert_true(publish_client_ca(&it->app.publish, str_of(it->one->cert_pem), "t",
                                  PUBLISH_ALOUD, &err));
    assert_null(it->app.publish.waiting);
    assert_true(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    struct net_options options = peer_options(&counts);
    struct net_server *server = net_server_start(&options, it->app.publish.waiting, &err);
    assert_non_null(server);
    publish_open(&it->app.publish, server);
    assert_shown(server, NULL, "");
    assert_shown(server, it->two, "");
    assert_shown(server, it->one, "one");
    /* Another CA beside the same certificate. */
    assert_true(publish_client_ca(&it->app.publish, str_of(it->two->cert_pem), "t",
                                  PUBLISH_ALOUD, &err));
    assert_shown(server, it->one, "");
    assert_shown(server, it->two, "one");
    /* Another certificate beside the same CA; and what is no CA changes nothing. */
    pair = pair_of(it->two);
    pair.client_ca_pem = str_null();
    assert_true(publish_it(it, &pair, PUBLISH_ALOUD, &err));
    assert_false(
        publish_client_ca(&it->app.publish, STR("none"), "t", PUBLISH_ALOUD, &err));
    assert_exposed(it, ROTATION_FAILS "2\n");
    assert_shown(server, it->one, "");
    assert_shown(server, it->two, "two");
    publish_close(&it->app.publish);
    net_server_stop(server, 1000);
}

/* Whichever allocation fails: what was there stays, or the new one is whole. */
static void any_allocation_fails(void **state)
{
    struct fixture *it = *state;
    assert_true(publish_policy(&it->app.publish, STR(ONE), "t", PUBLISH_ALOUD, NULL));
    bool good = false;
    unsigned refused = 0;
    for (unsigned long k = 1; !good && k < 1000; k++) {
        struct err err = {0};
        mem_fail_nth(k);
        good = publish_policy(&it->app.publish, STR(TWO), "t", PUBLISH_ALOUD, &err);
        mem_fail_nth(0);
        refused += !good;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
        assert_int_equal(registries(it), good ? 2 : 1);
    }
    assert_in_range(refused, 5, 500);
    struct publish_pair pair = pair_of(it->one);
    pair.client_ca_pem = str_null();
    for (unsigned step = 0; step < 3; step++) {
        good = false;
        refused = 0;
        for (unsigned long k = 1; !good && k < 1000; k++) {
            struct err err = {0};
            mem_fail_nth(k);
            good = step == 1
                       ? publish_it(it, &pair, PUBLISH_ALOUD, &err)
                       : publish_client_ca(&it->app.publish, str_of(it->two->cert_pem),
                                           "t", PUBLISH_ALOUD, &err);
            mem_fail_nth(0);
            refused += !good;
            assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
        }
        assert_true(good);
        assert_in_range(refused, 1, 200);
    }
}

static void *publish_often(void *opaque)
{
    struct fixture *it = opaque;
    for (int i = 0; i < 20; i++) {
        struct err err = {0};
        const struct publish_pair pair = pair_of(i % 2 == 0 ? it->one : it->two);
        must(publish_it(it, &pair, PUBLISH_ALOUD, &err), "publish_certificate");
    }
    return NULL;
}

/* The rotation's certificates and a file with CAs come in two threads (the thread
 * sanitizer looks). */
static void from_two_threads(void **state)
{
    struct fixture *it = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, publish_often, it), 0);
    for (int i = 0; i < 20; i++) {
        struct err err = {0};
        assert_false(
            publish_client_ca(&it->app.publish, STR("none"), "t", PUBLISH_ALOUD, &err));
    }
    pthread_join(thread, NULL);
    assert_exposed(it, ROTATION_FAILS "20\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(policies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_expired_one_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_is_handed_what_is_new, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_client_ca_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_allocation_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(from_two_threads, set_up, tear_down),
    };
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}
