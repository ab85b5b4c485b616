/* The timers, shortened: slow handshakes, requests and readers, idle connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"

#include "util/clock.h"

static void impatient(struct net_options *options)
{
    options->handshake_ms = 300;
    options->idle_ms = 800;
    options->request_ms = 500;
    options->write_ms = 300;
}

static void slow_handshakes(void **state)
{
    (void)state;
    struct world *w = world_new(impatient);
    struct peer *silent = peer_open_plain(w->port);
    struct peer *half = peer_open_plain(w->port);
    peer_send(half, "\x16\x03\x01\x02\x00\x01\x00", 7);
    int64_t from = clock_mono_millis();
    assert_true(peer_ends(silent, 2000));
    assert_true(peer_ends(half, 2000));
    int64_t took = clock_mono_millis() - from;
    assert_in_range(took, 200, 1500);
    assert_int_equal(atomic_load(&w->counts.failed_handshakes),
                     1); /* the silent one is none */
    peer_close(silent);
    peer_close(half);
    assert_true(world_free(w));
}

static void slow_requests(void **state)
{
    (void)state;
    struct world *w = world_new(impatient);
    static const char *const beginnings[] = {
        "G",
        "GET /hello HTTP/1.1\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        "Content-Length: 10\r\n\r\n{",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    };
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        struct peer *peer = peer_open(w->client, w->port);
        assert_non_null(peer);
        struct answer answer;
        int64_t from = clock_mono_millis();
        /* Dripping does not help: it is the whole that counts. */
        assert_true(peer_say(peer, beginnings[i]));
        for (int k = 0; k < 3; k++) {
            usleep(100000);
            assert_true(peer_say(peer, i == 4 ? "c" : "1"));
        }
        assert_true(peer_answer(peer, false, &answer, NULL));
        assert_int_equal(answer.status, 408);
        assert_true(answer.closes);
        assert_in_range(clock_mono_millis() - from, 450, 1500);
        answer_done(&answer);
        assert_true(peer_ends(peer, 3000));
        peer_close(peer);
    }
    assert_int_equal(atomic_load(&w->counts.handled), 0);
    assert_true(world_free(w));
}

static void idle_connections(void **state)
{
    (void)state;
    struct world *w = world_new(impatient);
    struct peer *peer = peer_open(w->client, w->port);
    struct peer *unused = peer_open(w->client, w->port);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
        usleep(400000); /* each request starts the time again */
    }
    assert_true(peer_ends(unused, 100));
    assert_false(peer->eof);
    int64_t from = clock_mono_millis();
    assert_true(peer_ends(peer, 3000));
    assert_in_range(clock_mono_millis() - from, 100, 2000);
    peer_close(peer);
    peer_close(unused);
    assert_true(world_free(w));
}

static void stalled_reader(void **state)
{
    (void)state;
    struct world *w = world_new(impatient);
    int fd = peer_connect(w->port);
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    struct peer *peer = calloc(1, sizeof(*peer));
    peer->fd = fd;
    peer->ssl = SSL_new(w->client);
    SSL_set_fd(peer->ssl, fd);
    assert_int_equal(SSL_connect(peer->ssl), 1);
    assert_true(peer_post(peer, "/big", "{}", 2));
    int64_t from = clock_mono_millis();
    while (atomic_load(&w->counts.connections) > 0 && clock_mono_millis() - from < 5000)
        usleep(20000);
    assert_in_range(clock_mono_millis() - from, 250, 3000);
    peer_close(peer);
    assert_true(world_free(w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_handshakes),
        cmocka_unit_test(slow_requests),
        cmocka_unit_test(idle_connections),
        cmocka_unit_test(stalled_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
