/* Connections that say nothing: they are kept, apart from the others, and the oldest
 * makes room for the newest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"
#include "util/clock.h"

static void four(struct net_options *options)
{
    options->threads = 1;
    options->max_connections = 4;
}

static void short_handshake(struct net_options *options)
{
    options->threads = 1;
    options->handshake_ms = 300;
}

/* By the server's count. */
static bool becomes(struct world *w, long connections)
{
    int64_t until = clock_mono_millis() + 5000;
    while (atomic_load(&w->counts.connections) != connections) {
        if (clock_mono_millis() > until)
            return false;
        usleep(2000);
    }
    return true;
}

static bool was_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void thousands_are_kept(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    const rlim_t wanted = 4 * COUNT;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max < wanted)
        skip();
    struct rlimit more = {.rlim_cur = before.rlim_cur < wanted ? wanted : before.rlim_cur,
                          .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
    struct world *w = world_new(one_worker);
    static int silent[COUNT];
    for (int i = 0; i < COUNT; i++)
        silent[i] = peer_connect(w->port);
    assert_true(becomes(w, COUNT));
    /* The others have all their places. */
    struct peer *peer = peer_dial(w);
    assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
    peer_close(peer);
    for (int i = 0; i < COUNT; i++) {
        assert_false(was_closed(silent[i]));
        close(silent[i]);
    }
    assert_true(becomes(w, 0));
    assert_int_equal(atomic_load(&w->counts.failed_handshakes), 0);
    assert_true(world_free(w));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void the_oldest_goes(void **state)
{
    (void)state;
    enum { OPEN = 4, COUNT = 7 };
    struct world *w = world_new(four);
    struct peer *open[OPEN];
    for (int i = 0; i < OPEN; i++) {
        open[i] = peer_dial(w);
        assert_int_equal(peer_echo(open[i], "{}", 2, NULL), 200);
    }
    int silent[COUNT];
    for (int i = 0; i < COUNT; i++) {
        silent[i] = peer_connect(w->port);
        assert_true(silent[i] >= 0);
        assert_true(becomes(w, OPEN + (i < OPEN ? i + 1 : OPEN)));
        usleep(20000);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(was_closed(silent[i]), i < COUNT - 4);
    for (int i = 0; i < OPEN; i++) {
        assert_int_equal(peer_echo(open[i], "{}", 2, NULL), 200);
        peer_close(open[i]);
    }
    for (int i = 0; i < COUNT; i++)
        close(silent[i]);
    assert_true(world_free(w));
}

/* It counts as one of the others from its first byte, and is none of the silent then. */
static void who_speaks_is_heard(void **state)
{
    (void)state;
    struct world *w = world_new(four);
    int late = peer_connect(w->port);
    usleep(100000);
    assert_int_equal(send(late, "\x16\x03\x01", 3, 0), 3);
    usleep(50000);
    int silent[6];
    for (int i = 0; i < 6; i++) {
        silent[i] = peer_connect(w->port);
        usleep(20000);
    }
    assert_false(was_closed(late));
    assert_true(was_closed(silent[0]));
    assert_true(was_closed(silent[1]));
    assert_false(was_closed(silent[2]));
    /* A message that does not exist: told so, not reset. */
    assert_int_equal(send(late, "\x00\x05\x63\x00\x00\x01x", 7, 0), 7);
    unsigned char alert[7] = {0};
    assert_int_equal(recv(late, alert, sizeof(alert), MSG_WAITALL), sizeof(alert));
    assert_int_equal(alert[0], 21);
    close(late);
    for (int i = 0; i < 6; i++)
        close(silent[i]);
    assert_true(world_free(w));
}

static void time_passes(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct world *w = world_new(short_handshake);
    int silent[COUNT];
    int64_t from = clock_mono_millis();
    for (int i = 0; i < COUNT; i++)
        silent[i] = peer_connect(w->port);
    assert_true(becomes(w, COUNT));
    if (clock_mono_millis() - from < 250) {
        for (int i = 0; i < COUNT; i++)
            assert_false(was_closed(silent[i]));
    }
    assert_true(becomes(w, 0));
    assert_in_range(clock_mono_millis() - from, 290, 2500);
    for (int i = 0; i < COUNT; i++) {
        assert_true(was_closed(silent[i]));
        close(silent[i]);
    }
    assert_true(world_free(w));
}

/* They may still say what they came for, but not for long. */
static void stopping(void **state)
{
    (void)state;
    struct world *w = world_new(one_worker);
    int silent[3];
    for (int i = 0; i < 3; i++)
        silent[i] = peer_connect(w->port);
    assert_true(becomes(w, 3));
    assert_in_range(world_stop(w, 10000), 900, 3000);
    for (int i = 0; i < 3; i++) {
        assert_true(was_closed(silent[i]));
        close(silent[i]);
    }
    assert_true(world_free(w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_are_kept),
        cmocka_unit_test(the_oldest_goes),
        cmocka_unit_test(who_speaks_is_heard),
        cmocka_unit_test(time_passes),
        cmocka_unit_test(stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
