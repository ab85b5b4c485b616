/* TLS as the server speaks it: versions, suites, tickets, garbage, configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"

static struct identity *server_identity;

static int before_all(void **state)
{
    (void)state;
    server_identity = identity_new(NULL, "server", "localhost");
    return 0;
}

static int after_all(void **state)
{
    (void)state;
    identity_free(server_identity);
    return 0;
}

/* --- versions, suites, protocols ---------------------------------------------- */

static bool agrees(unsigned port, int version, const char *suites, const char *alpn)
{
    SSL_CTX *context = peer_context(alpn, NULL);
    SSL_CTX_set_security_level(context, 0);
    if (version != 0) {
        SSL_CTX_set_min_proto_version(context, version);
        SSL_CTX_set_max_proto_version(context, version);
    }
    if (suites != NULL)
        assert_int_equal(SSL_CTX_set_cipher_list(context, suites), 1);
    struct peer *peer = peer_open(context, port);
    bool good = peer != NULL && peer_echo(peer, "{}", 2, NULL) == 200;
    peer_close(peer);
    SSL_CTX_free(context);
    return good;
}

static void versions_and_suites(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_tls *tls = identity_tls(server_identity);
    struct net_server *server = peer_server(&counts, tls);
    unsigned port = net_server_port(server);
    assert_true(agrees(port, 0, NULL, NULL));
    assert_true(agrees(port, TLS1_3_VERSION, NULL, "http/1.1"));
    assert_true(agrees(port, TLS1_2_VERSION, NULL, "http/1.1"));
    assert_false(agrees(port, TLS1_1_VERSION, NULL, NULL));
    assert_false(agrees(port, TLS1_VERSION, NULL, NULL));
    assert_false(agrees(port, 0, NULL, "h2"));
    static const char *const weak[] = {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                                       "ECDHE-ECDSA-AES256-SHA384", "aNULL:eNULL",
                                       "ECDHE-ECDSA-AES128-CCM8"};
    for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
        assert_false(agrees(port, TLS1_2_VERSION, weak[i], NULL));
    static const char *const good[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
                                       "ECDHE-ECDSA-AES256-GCM-SHA384",
                                       "ECDHE-ECDSA-CHACHA20-POLY1305"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(agrees(port, TLS1_2_VERSION, good[i], NULL));
    assert_true(atomic_load(&counts.failed_handshakes) >= 8);
    net_server_stop(server, 1000);
    net_tls_free(tls);
}

static void no_renegotiation(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_tls *tls = identity_tls(server_identity);
    struct net_server *server = peer_server(&counts, tls);
    SSL_CTX *context = peer_context(NULL, NULL);
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    struct peer *peer = peer_open(context, net_server_port(server));
    assert_non_null(peer);
    assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
    assert_int_equal(SSL_renegotiate(peer->ssl), 1);
    assert_int_not_equal(SSL_do_handshake(peer->ssl), 1);
    ERR_clear_error();
    peer_close(peer);
    SSL_CTX_free(context);
    net_server_stop(server, 1000);
    net_tls_free(tls);
}

static void tickets(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_tls *tls = identity_tls(server_identity);
    struct net_server *server = peer_server(&counts, tls);
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int i = 0; i < 2; i++) {
        SSL_CTX *context = peer_context("http/1.1", NULL);
        SSL_CTX_set_max_proto_version(context, versions[i]);
        struct peer *peer = peer_open(context, net_server_port(server));
        assert_non_null(peer);
        assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
        SSL_SESSION *session = SSL_get1_session(peer->ssl);
        assert_true(SSL_SESSION_has_ticket(session));
        peer_close(peer);
        peer = peer_open_plain(net_server_port(server));
        peer->ssl = SSL_new(context);
        SSL_set_fd(peer->ssl, peer->fd);
        SSL_set_session(peer->ssl, session);
        assert_int_equal(SSL_connect(peer->ssl), 1);
        assert_true(SSL_session_reused(peer->ssl));
        assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
        peer_close(peer);
        /* After a swap the old ticket means nothing, and the handshake is a full one. */
        struct net_tls *newer = identity_tls(server_identity);
        net_server_set_tls(server, newer);
        net_tls_free(newer);
        peer = peer_open_plain(net_server_port(server));
        peer->ssl = SSL_new(context);
        SSL_set_fd(peer->ssl, peer->fd);
        SSL_set_session(peer->ssl, session);
        assert_int_equal(SSL_connect(peer->ssl), 1);
        assert_false(SSL_session_reused(peer->ssl));
        assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
        peer_close(peer);
        SSL_SESSION_free(session);
        SSL_CTX_free(context);
    }
    net_server_stop(server, 1000);
    net_tls_free(tls);
}

/* Key updates are answered; a flood of them, with nothing between, is the end. */
static void key_updates(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_tls *tls = identity_tls(server_identity);
    struct net_server *server = peer_server(&counts, tls);
    SSL_CTX *context = peer_context("http/1.1", NULL);
    struct peer *peer = peer_open(context, net_server_port(server));
    assert_non_null(peer);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(SSL_key_update(peer->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
    }
    for (int i = 0; i < 200; i++) {
        if (SSL_key_update(peer->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
            SSL_do_handshake(peer->ssl) != 1)
            break;
    }
    ERR_clear_error();
    assert_true(peer_ends(peer, 2000));
    assert_int_equal(atomic_load(&counts.handled), 20);
    peer_close(peer);
    SSL_CTX_free(context);
    net_server_stop(server, 1000);
    net_tls_free(tls);
}

/* Bytes that are no TLS: an end, at once; plain HTTP is told. */
static void garbage(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_tls *tls = identity_tls(server_identity);
    struct net_server *server = peer_server(&counts, tls);
    unsigned port = net_server_port(server);
    unsigned char noise[4096];
    srand(1);
    for (int i = 0; i < 50; i++) {
        for (size_t k = 0; k < sizeof(noise); k++)
            noise[k] = (unsigned char)rand();
        if (i % 2 == 0)
            memcpy(noise, "\x16\x03\x01", 3); /* looks like a handshake's beginning */
        struct peer *peer = peer_open_plain(port);
        assert_non_null(peer);
        peer_send(peer, noise, sizeof(noise));
        shutdown(peer->fd, SHUT_WR);
        assert_true(peer_ends(peer, 5000));
        peer_close(peer);
    }
    struct peer *peer = peer_open_plain(port);
    struct answer answer;
    assert_true(peer_say(peer, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(answer.body, "HTTPS"));
    answer_done(&answer);
    peer_close(peer);
    assert_int_equal(atomic_load(&counts.handled), 0);
    assert_true(atomic_load(&counts.failed_handshakes) > 20);
    long failed = atomic_load(&counts.failed_handshakes);
    peer = peer_open_plain(port); /* a health check that only connects */
    peer_close(peer);
    usleep(100000);
    assert_int_equal(atomic_load(&counts.failed_handshakes), failed);
    net_server_stop(server, 1000);
    net_tls_free(tls);
}

/* --- configurations ----------------------------------------------------------- */

static void bad_configurations(void **state)
{
    (void)state;
    struct identity *other = identity_new(NULL, "other", NULL);
    const STACK_OF(X509) *chain = server_identity->chain;
    STACK_OF(X509) *empty = sk_X509_new_null();
    assert_non_null(empty);
    EVP_PKEY *key = server_identity->key;
    struct str none = str_null(), cut = str_first(str_of(other->cert_pem), 200);
    const char *names[] = {"a"};
    struct net_tls_options options[] = {
        {.chain = chain, .key = other->key, .client_ca_pem = none},
        {.chain = NULL, .key = key, .client_ca_pem = none},
        {.chain = empty, .key = key, .client_ca_pem = none},
        {.chain = chain, .key = NULL, .client_ca_pem = none},
        {.chain = chain, .key = key, .client_ca_pem = STR("")},
        {.chain = chain, .key = key, .client_ca_pem = STR("nothing")},
        {.chain = chain, .key = key, .client_ca_pem = cut},
        {.chain = chain,
         .key = key,
         .client_ca_pem = none,
         .client_names = names,
         .client_name_count = 1},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct err err = {.code = ERR_NONE};
        if (net_tls_new(&options[i], &err) != NULL)
            fail_msg("configuration %zu was accepted", i);
        assert_int_not_equal(err.code, ERR_NONE);
        assert_int_not_equal(err.message[0], '\0');
        assert_null(strchr(err.message, '\n'));
        assert_null(net_tls_new(&options[i], NULL));
    }
    sk_X509_free(empty);
    identity_free(other);
    /* A good one after many bad ones: nothing is left in the error queue. */
    struct net_tls *tls = identity_tls(server_identity);
    net_tls_free(tls);
}

/* The intermediates go to the client, in their order. */
static void sends_the_chain(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct identity *root = identity_new(NULL, "root", NULL);
    struct identity *between = identity_new(root, "between", NULL);
    struct identity *leaf = identity_new(between, "server", "localhost");
    assert_int_equal(sk_X509_push(leaf->chain, between->certificate), 2);
    assert_int_equal(sk_X509_push(leaf->chain, root->certificate), 3);
    struct net_tls *tls = identity_tls(leaf);
    struct net_server *server = peer_server(&counts, tls);
    SSL_CTX *context = peer_context("http/1.1", NULL);
    struct peer *peer = peer_open(context, net_server_port(server));
    assert_non_null(peer);
    STACK_OF(X509) *got = SSL_get_peer_cert_chain(peer->ssl);
    assert_int_equal(sk_X509_num(got), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(X509_cmp(sk_X509_value(got, i), sk_X509_value(leaf->chain, i)),
                         0);
    peer_close(peer);
    SSL_CTX_free(context);
    net_server_stop(server, 1000);
    net_tls_free(tls);
    identity_free(leaf);
    identity_free(between);
    identity_free(root);
}

static void without_certificate(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_server *server = peer_server(&counts, NULL);
    unsigned port = net_server_port(server);
    assert_false(agrees(port, 0, NULL, NULL));
    struct net_tls *tls = identity_tls(server_identity);
    net_server_set_tls(server, tls);
    assert_true(agrees(port, 0, NULL, NULL));
    net_tls_free(tls);
    net_server_stop(server, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_and_suites),
        cmocka_unit_test(no_renegotiation),
        cmocka_unit_test(tickets),
        cmocka_unit_test(key_updates),
        cmocka_unit_test(garbage),
        cmocka_unit_test(bad_configurations),
        cmocka_unit_test(sends_the_chain),
        cmocka_unit_test(without_certificate),
    };
    return cmocka_run_group_tests(tests, before_all, after_all);
}
