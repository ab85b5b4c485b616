/* Certificates of both sides: who is let in, and the swap under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"

/* --- client certificates ------------------------------------------------------ */

/* Both versions; in TLS 1.3 the client learns of the refusal at its first read. */
static bool admitted(unsigned port, const struct identity *shown)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    int good = 0;
    for (int i = 0; i < 2; i++) {
        SSL_CTX *context = peer_context("http/1.1", shown);
        SSL_CTX_set_min_proto_version(context, versions[i]);
        SSL_CTX_set_max_proto_version(context, versions[i]);
        struct peer *peer = peer_open(context, port);
        if (peer != NULL && peer_echo(peer, "{}", 2, NULL) == 200)
            good++;
        peer_close(peer);
        SSL_CTX_free(context);
    }
    assert_int_not_equal(good, 1);
    return good == 2;
}

/* A ticket from before certificates were demanded opens nothing. */
static void old_tickets(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct identity *authority = identity_new(NULL, "client authority", NULL);
    struct identity *server_identity = identity_new(NULL, "server", "localhost");
    struct net_tls *open = identity_tls(server_identity);
    struct net_tls_options options = {.chain = server_identity->chain,
                                      .key = server_identity->key,
                                      .client_ca_pem = str_of(authority->cert_pem)};
    struct net_tls *closed = net_tls_new(&options, NULL);
    assert_non_null(closed);
    struct net_server *server = peer_server(&counts, open);
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int i = 0; i < 2; i++) {
        net_server_set_tls(server, open);
        SSL_CTX *context = peer_context("http/1.1", NULL);
        SSL_CTX_set_max_proto_version(context, versions[i]);
        struct peer *peer = peer_open(context, net_server_port(server));
        assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
        SSL_SESSION *session = SSL_get1_session(peer->ssl);
        peer_close(peer);
        net_server_set_tls(server, closed);
        peer = peer_open_plain(net_server_port(server));
        peer->ssl = SSL_new(context);
        SSL_set_fd(peer->ssl, peer->fd);
        SSL_set_session(peer->ssl, session);
        assert_true(SSL_connect(peer->ssl) != 1 || peer_echo(peer, "{}", 2, NULL) == 0);
        peer_close(peer);
        SSL_SESSION_free(session);
        SSL_CTX_free(context);
    }
    assert_int_equal(atomic_load(&counts.handled), 2);
    net_server_stop(server, 1000);
    net_tls_free(open);
    net_tls_free(closed);
    identity_free(authority);
    identity_free(server_identity);
}

static void client_certificates(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct identity *authority = identity_new(NULL, "client authority", NULL);
    struct identity *server_identity = identity_new(NULL, "server", "localhost");
    const char *names[] = {"api.example", "kube-apiserver"};
    struct net_tls_options options = {.chain = server_identity->chain,
                                      .key = server_identity->key,
                                      .client_ca_pem = str_of(authority->cert_pem)};
    struct net_tls *any = net_tls_new(&options, NULL);
    options.client_names = names;
    options.client_name_count = 2;
    struct net_tls *named = net_tls_new(&options, NULL);
    assert_non_null(any);
    assert_non_null(named);
    struct identity *stranger_ca = identity_new(NULL, "client authority", NULL);
    struct identity *by_cn = identity_new(authority, "kube-apiserver", NULL);
    struct identity *by_san = identity_new(authority, "x", "API.example");
    struct identity *wrong = identity_new(authority, "somebody", "b.api.example");
    struct identity *longer = identity_new(authority, "kube-apiserver2", "api.example.b");
    struct identity *wild = identity_new(authority, "*", "*.example");
    struct identity *forged = identity_new(stranger_ca, "kube-apiserver", "api.example");
    struct identity *self = identity_new(NULL, "kube-apiserver", "api.example");
    struct identity *under_leaf = identity_new(wrong, "kube-apiserver", "api.example");
    struct net_server *server = peer_server(&counts, named);
    unsigned port = net_server_port(server);
    assert_true(admitted(port, by_cn));
    assert_true(admitted(port, by_san));
    long handled = atomic_load(&counts.handled);
    assert_false(admitted(port, wrong));
    assert_false(admitted(port, longer));
    assert_false(admitted(port, wild));
    assert_false(admitted(port, forged));
    assert_false(admitted(port, self));
    assert_false(admitted(port, under_leaf));
    assert_false(admitted(port, NULL));
    assert_int_equal(atomic_load(&counts.handled),
                     handled); /* not one byte got through */
    net_server_set_tls(server, any);
    assert_true(admitted(port, wrong));
    assert_true(admitted(port, by_cn));
    assert_false(admitted(port, forged));
    assert_false(admitted(port, NULL));
    net_server_stop(server, 1000);
    net_tls_free(any);
    net_tls_free(named);
    struct identity *all[] = {authority, server_identity, stranger_ca, by_cn,  by_san,
                              wrong,     longer,          wild,        forged, self,
                              under_leaf};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        identity_free(all[i]);
}

/* --- the swap ----------------------------------------------------------------- */

struct load {
    unsigned port;
    bool fresh; /* a new connection for each request */
    int requests, failed;
    long by_second; /* how many saw the last certificate */
    const struct identity *last;
    atomic_bool *stop;
};

static void *run_load(void *opaque)
{
    struct load *load = opaque;
    SSL_CTX *context = peer_context("http/1.1", NULL);
    struct peer *peer = NULL;
    while (!atomic_load(load->stop)) {
        if (peer == NULL)
            peer = peer_open(context, load->port);
        load->requests++;
        if (peer == NULL || peer_echo(peer, "{}", 2, NULL) != 200) {
            load->failed++;
            peer_close(peer);
            peer = NULL;
            continue;
        }
        if (load->fresh) {
            X509 *shown = SSL_get1_peer_certificate(peer->ssl);
            if (X509_cmp(shown, load->last->certificate) == 0)
                load->by_second++;
            X509_free(shown);
            peer_close(peer);
            peer = NULL;
        }
    }
    peer_close(peer);
    SSL_CTX_free(context);
    return NULL;
}

static void swap_under_load(void **state)
{
    (void)state;
    enum { CLIENTS = 8, SWAPS = 30 };
    struct peer_counts counts = {0};
    struct identity *identities[3];
    for (int i = 0; i < 3; i++)
        identities[i] = identity_new(NULL, "server", "localhost");
    struct net_tls *tls = identity_tls(identities[0]);
    struct net_server *server = peer_server(&counts, tls);
    net_tls_free(tls);
    atomic_bool stop = false;
    struct load loads[CLIENTS];
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        loads[i] = (struct load){.port = net_server_port(server),
                                 .fresh = i % 2 == 0,
                                 .last = identities[SWAPS % 3],
                                 .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, run_load, &loads[i]), 0);
    }
    for (int i = 1; i <= SWAPS; i++) {
        usleep(30000);
        tls = identity_tls(identities[i % 3]);
        net_server_set_tls(server, tls);
        net_tls_free(tls);
    }
    usleep(100000);
    atomic_store(&stop, true);
    int requests = 0, failed = 0;
    long seen = 0;
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        requests += loads[i].requests;
        failed += loads[i].failed;
        seen += loads[i].by_second;
    }
    net_server_stop(server, 2000);
    for (int i = 0; i < 3; i++)
        identity_free(identities[i]);
    assert_int_equal(failed, 0);
    assert_true(requests > 100);
    assert_true(seen > 0);
    assert_int_equal(atomic_load(&counts.connections), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(old_tickets),
        cmocka_unit_test(swap_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
