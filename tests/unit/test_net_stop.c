/* How the server begins and ends: addresses, drain, stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"

#include "util/clock.h"

/* --- the end ------------------------------------------------------------------ */

static void draining(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct peer *old = peer_open(w->client, w->port);
    bool closes = true;
    assert_int_equal(peer_echo(old, "{}", 2, &closes), 200);
    assert_false(closes);
    net_server_drain(w->server);
    assert_false(peer_ends(old, 200)); /* not before its next answer */
    assert_int_equal(peer_echo(old, "{}", 2, &closes), 200);
    assert_true(closes);
    assert_true(peer_ends(old, 1000));
    peer_close(old);
    struct peer *new = peer_open(w->client, w->port);
    assert_int_equal(peer_echo(new, "{}", 2, &closes), 200); /* still served */
    assert_true(closes);
    peer_close(new);
    assert_true(world_free(w));
}

struct slow {
    const struct world *world;
    unsigned status;
};

static void *run_slow(void *opaque)
{
    struct slow *slow = opaque;
    struct peer *peer = peer_open(slow->world->client, slow->world->port);
    struct answer answer = {.status = 0};
    if (peer != NULL && peer_post(peer, "/slow", "{}", 2) &&
        peer_answer(peer, false, &answer, NULL))
        slow->status = answer.status;
    answer_done(&answer);
    peer_close(peer);
    return NULL;
}

/* Requests that run and connections that wait in the queue get their answers. */
static void stopping(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    struct world *w = world_new(NULL);
    struct peer *idle = peer_open(w->client, w->port);
    assert_int_equal(peer_echo(idle, "{}", 2, NULL), 200);
    pthread_t threads[COUNT];
    struct slow slow[COUNT];
    for (int i = 0; i < COUNT; i++) {
        slow[i] = (struct slow){.world = w};
        assert_int_equal(pthread_create(&threads[i], NULL, run_slow, &slow[i]), 0);
    }
    usleep(100000);
    assert_in_range(world_stop(w, 10000), 0, 4000);
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(slow[i].status, 200);
    }
    assert_true(peer_ends(idle, 500));
    assert_int_equal(peer_connect(w->port), -1);
    peer_close(idle);
    assert_true(world_free(w));
}

/* A request that never ends does not hold the stop longer than it was told to wait. */
static void stopping_in_time(void **state)
{
    (void)state;
    struct world *w = world_new(NULL);
    struct peer *peer = peer_open(w->client, w->port);
    struct peer *silent = peer_open_plain(w->port);
    assert_true(
        peer_say(peer, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"));
    usleep(50000);
    assert_in_range(world_stop(w, 700), 600, 2000);
    assert_true(peer_ends(peer, 500));
    peer_close(peer);
    peer_close(silent);
    assert_true(world_free(w));
}

static void *open_the_gate(void *nothing)
{
    usleep(100000); /* it is being stopped by then */
    sem_post(&gates.go);
    return nothing;
}

static void *run_quick(void *opaque)
{
    struct slow *quick = opaque;
    struct peer *peer = peer_open(quick->world->client, quick->world->port);
    if (peer != NULL)
        quick->status = peer_echo(peer, "{}", 2, NULL);
    peer_close(peer);
    return NULL;
}

/* All who wait in the queue are taken in, not only as many as in one turn. */
static void stopping_with_a_queue(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct world *w = world_new(with_gates);
    struct peer *peer = peer_dial(w);
    assert_true(peer_post(peer, "/slow", "{}", 2));
    sem_wait(&gates.entered);
    pthread_t threads[COUNT], opening;
    struct slow quick[COUNT];
    for (int i = 0; i < COUNT; i++) {
        quick[i] = (struct slow){.world = w};
        assert_int_equal(pthread_create(&threads[i], NULL, run_quick, &quick[i]), 0);
    }
    usleep(1000000); /* time enough for all to be in the queue */
    assert_int_equal(pthread_create(&opening, NULL, open_the_gate, NULL), 0);
    world_stop(w, 10000);
    pthread_join(opening, NULL);
    int served = 0;
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        served += quick[i].status == 200;
    }
    assert_int_equal(served, COUNT);
    peer_close(peer);
    assert_true(world_free(w));
}

static void addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        "8443",       "localhost:1", "[::]",
                                      ":",       "1.2.3.4:",   "[::]:65536",  "[::]:-1",
                                      "::1:x",   "1.2.3:80",   "[1.2.3.4:80", "[::]:80x",
                                      "a.b.c:1", "1.2.3.4.5:6"};
    struct peer_counts counts = {0};
    struct err err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct net_options options = peer_options(&counts);
        options.listen = bad[i];
        err_clear(&err);
        if (net_server_start(&options, NULL, &err) != NULL)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(err.code, ERR_USAGE);
        char begins[64];
        int n = snprintf(begins, sizeof(begins), "--listen %s: ", bad[i]);
        assert_memory_equal(err.message, begins, (size_t)n);
    }
    static const char *const good[] = {":0", "[::]:0", "0.0.0.0:0", "127.0.0.1:0",
                                       "[::1]:0"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct net_options options = peer_options(&counts);
        options.listen = good[i];
        struct net_server *server = net_server_start(&options, NULL, &err);
        assert_non_null(server);
        assert_true(net_server_port(server) > 0);
        /* Nobody else gets the port, although our own threads share it. */
        char text[64];
        snprintf(text, sizeof(text), "127.0.0.1:%u", net_server_port(server));
        options.listen = text;
        err_clear(&err);
        if (i != 4) {
            assert_null(net_server_start(&options, NULL, &err));
            assert_int_equal(err.code, ERR_CONFLICT);
        }
        net_server_stop(server, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draining),         cmocka_unit_test(stopping),
        cmocka_unit_test(stopping_in_time), cmocka_unit_test(stopping_with_a_queue),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
