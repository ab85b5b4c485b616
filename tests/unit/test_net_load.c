/* Many requests at once, over connections that live and over fresh ones: none may fail.
 */
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

#include "tests/unit/support/net_peer.h"

enum { CLIENTS = 16, REQUESTS = 1000 };

struct job {
    unsigned port;
    bool fresh;
    int requests, good;
};

static void *run(void *opaque)
{
    struct job *job = opaque;
    SSL_CTX *context = peer_context("http/1.1", NULL);
    struct peer *peer = NULL;
    char body[20000];
    for (int i = 0; i < job->requests; i++) {
        size_t n = (size_t)(i * 331) % sizeof(body);
        memset(body, 'a' + i % 26, n);
        if (peer == NULL)
            peer = peer_open(context, job->port);
        struct answer answer = {.status = 0};
        if (peer != NULL && peer_post(peer, "/echo", body, n) &&
            peer_answer(peer, false, &answer, NULL) && answer.status == 200 &&
            answer.size == n && memcmp(answer.body, body, n) == 0)
            job->good++;
        answer_done(&answer);
        if (job->fresh) {
            peer_close(peer);
            peer = NULL;
        }
    }
    peer_close(peer);
    SSL_CTX_free(context);
    return NULL;
}

static void load(bool fresh)
{
    struct peer_counts counts = {0};
    struct identity *identity = identity_new(NULL, "server", "localhost");
    struct net_tls *tls = identity_tls(identity);
    struct net_options options = peer_options(&counts);
    struct net_server *server = net_server_start(&options, tls, NULL);
    assert_non_null(server);
    pthread_t threads[CLIENTS];
    struct job jobs[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        jobs[i] = (struct job){.port = net_server_port(server),
                               .fresh = fresh,
                               .requests = (REQUESTS + CLIENTS - 1) / CLIENTS};
        assert_int_equal(pthread_create(&threads[i], NULL, run, &jobs[i]), 0);
    }
    int good = 0, all = 0;
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
        good += jobs[i].good;
        all += jobs[i].requests;
    }
    net_server_stop(server, 2000);
    net_tls_free(tls);
    identity_free(identity);
    assert_int_equal(good, all);
    assert_int_equal(atomic_load(&counts.handled), all);
    assert_int_equal(atomic_load(&counts.errors), 0);
    assert_int_equal(atomic_load(&counts.failed_handshakes), 0);
    assert_int_equal(atomic_load(&counts.handshakes), fresh ? all : CLIENTS);
    assert_int_equal(atomic_load(&counts.connections), 0);
}

static void over_living_connections(void **state)
{
    (void)state;
    load(false);
}

static void over_fresh_connections(void **state)
{
    (void)state;
    load(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_living_connections),
        cmocka_unit_test(over_fresh_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
