/* Requests that take long: in a thread of their own, one after another, and nobody else
 * waits for them. Each takes 200 ms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"
#include "util/clock.h"

#define LONG_MS 200

static void few_connections(struct net_options *options)
{
    options->threads = 1;
    options->max_connections = 4;
}

static void impatient(struct net_options *options)
{
    options->threads = 1;
    options->write_ms = 50;
}

/* The status of the answer to what was sent, which must be the same bytes. */
static unsigned echoed(struct peer *peer, const void *body, size_t n)
{
    struct answer answer = {.status = 0};
    unsigned status = 0;
    if (peer_answer(peer, false, &answer, NULL)) {
        status = answer.status;
        if (status == 200 && (answer.size != n || memcmp(answer.body, body, n) != 0))
            status = 0;
    }
    answer_done(&answer);
    return status;
}

/* So many were, or are being, answered aside. */
static void begun(struct world *w, long count)
{
    int64_t until = clock_mono_millis() + 5000;
    while (atomic_load(&w->counts.aside_ever) < count && clock_mono_millis() < until)
        usleep(500);
    assert_true(atomic_load(&w->counts.aside_ever) >= count);
}

static void others_do_not_wait(void **state)
{
    (void)state;
    struct world *w = world_new(one_worker);
    struct peer *slow = peer_dial(w), *quick = peer_dial(w);
    int64_t from = clock_mono_millis();
    assert_true(peer_post(slow, "/aside", "{}", 2));
    usleep(20000);
    unsigned answers = 0;
    while (clock_mono_millis() - from < LONG_MS / 2) {
        assert_int_equal(peer_echo(quick, "[]", 2, NULL), 200);
        answers++;
    }
    assert_true(answers > 5);
    assert_int_equal(echoed(slow, "{}", 2), 200);
    assert_true(clock_mono_millis() - from >= LONG_MS);
    assert_int_equal(peer_echo(slow, "{1}", 3, NULL), 200); /* it lives on */
    peer_close(slow);
    peer_close(quick);
    assert_true(world_free(w));
}

static void one_at_a_time(void **state)
{
    (void)state;
    enum { COUNT = 4 };
    struct world *w = world_new(NULL); /* two workers */
    struct peer *peers[COUNT];
    int64_t from = clock_mono_millis();
    for (int i = 0; i < COUNT; i++) {
        peers[i] = peer_dial(w);
        assert_true(peer_post(peers[i], "/aside", "{}", 2));
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(echoed(peers[i], "{}", 2), 200);
        peer_close(peers[i]);
    }
    assert_true(clock_mono_millis() - from >= (int64_t)COUNT * LONG_MS);
    assert_int_equal(atomic_load(&w->counts.aside_at_once), 1);
    assert_true(world_free(w));
}

/* Bodies of every kind, and answers that are larger than what was kept ready for them. */
static void sizes(void **state)
{
    (void)state;
    static const size_t of[] = {0, 1, 4096, 4097, 20000, 65536, 65537, 300000};
    struct world *w = world_new(one_worker);
    struct peer *peer = peer_dial(w);
    char *body = malloc(300000);
    assert_non_null(body);
    memset(body, 'b', 300000);
    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        assert_true(peer_post(peer, "/aside", body, of[i]));
        assert_int_equal(echoed(peer, body, of[i]), 200);
    }
    free(body);
    peer_close(peer);
    assert_true(world_free(w));
}

static void what_came_behind_waits(void **state)
{
    (void)state;
    struct world *w = world_new(one_worker);
    struct peer *peer = peer_dial(w);
    assert_true(peer_say(peer, "POST /aside HTTP/1.1\r\nHost: a\r\n"
                               "Content-Type: application/json\r\n"
                               "Content-Length: 2\r\n\r\n{}"
                               "POST /echo HTTP/1.1\r\nHost: a\r\n"
                               "Content-Type: application/json\r\n"
                               "Content-Length: 3\r\n\r\n{2}"));
    assert_int_equal(echoed(peer, "{}", 2), 200);
    assert_int_equal(echoed(peer, "{2}", 3), 200);
    peer_close(peer);
    assert_true(world_free(w));
}

/* The client ends while its request is under way: in order, with a reset, having said so
 * only for its direction. What it took is given back (world_free, the leak checker). */
static void client_goes(void **state)
{
    (void)state;
    struct world *w = world_new(one_worker);
    char *body = calloc(1, 200000);
    assert_non_null(body);
    struct peer *peer = peer_dial(w);
    assert_true(peer_post(peer, "/aside", body, 200000));
    usleep(50000);
    peer_close(peer);
    peer = peer_dial(w);
    assert_true(peer_post(peer, "/aside", body, 200000));
    usleep(50000);
    peer_reset(peer);
    peer = peer_dial(w);
    assert_true(peer_post(peer, "/aside", body, 200000));
    usleep(50000);
    assert_int_equal(SSL_shutdown(peer->ssl), 0);
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
    assert_int_equal(echoed(peer, body, 200000), 200);
    peer_close(peer);
    free(body);
    peer = peer_dial(w);
    assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
    peer_close(peer);
    assert_true(world_free(w));
}

/* A few of them wait; the others are refused, and live on. Half are for who was served.
 */
static void not_too_many(void **state)
{
    (void)state;
    enum { NEW = 8, KNOWN = 8 };
    struct world *w = world_new(one_worker);
    struct peer *peers[NEW + KNOWN], *more = peer_dial(w);
    for (int i = 0; i < NEW + KNOWN; i++) {
        peers[i] = peer_dial(w);
        if (i < KNOWN)
            assert_int_equal(peer_echo(peers[i], "{}", 2, NULL), 200);
    }
    for (int i = KNOWN; i < NEW + KNOWN; i++)
        assert_true(peer_post(peers[i], "/aside", "{}", 2));
    usleep(20000);
    for (int i = 0; i < KNOWN; i++)
        assert_true(peer_post(peers[i], "/aside", "{}", 2));
    usleep(20000);
    int64_t from = clock_mono_millis();
    assert_true(peer_post(more, "/aside", "{}", 2));
    assert_int_equal(echoed(more, "{}", 2), 503);
    assert_int_equal(peer_echo(more, "{}", 2, NULL), 200); /* known now */
    assert_true(peer_post(more, "/aside", "{}", 2));
    assert_int_equal(echoed(more, "{}", 2), 503);
    assert_true(clock_mono_millis() - from < LONG_MS / 2);
    for (int i = 0; i < NEW + KNOWN; i++) {
        assert_int_equal(echoed(peers[i], "{}", 2), 200);
        peer_close(peers[i]);
    }
    assert_true(peer_post(more, "/aside", "{}", 2)); /* there is room again */
    assert_int_equal(echoed(more, "{}", 2), 200);
    peer_close(more);
    assert_true(world_free(w));
}

/* Who was served before comes before who was not, and who had little before who had more
 * of the thread's time, whoever came first. */
static void in_order(void **state)
{
    (void)state;
    enum { NEW = 5 };
    struct world *w = world_new(one_worker);
    struct peer *new[NEW], *known = peer_dial(w), *greedy = peer_dial(w);
    assert_true(peer_post(greedy, "/aside", "{}", 2));
    assert_int_equal(echoed(greedy, "{}", 2), 200);
    assert_int_equal(peer_echo(known, "{}", 2, NULL), 200);
    for (int i = 0; i < NEW; i++) {
        new[i] = peer_dial(w);
        assert_true(peer_post(new[i], "/aside", "{}", 2));
        begun(w, 2); /* the first one keeps the thread busy while the others come */
    }
    assert_true(peer_post(greedy, "/aside", "{}", 2));
    usleep(20000);
    int64_t from = clock_mono_millis();
    assert_true(peer_post(known, "/aside", "{}", 2));
    assert_int_equal(echoed(known, "{}", 2), 200);
    int64_t first = clock_mono_millis() - from;
    assert_int_equal(echoed(greedy, "{}", 2), 200);
    int64_t second = clock_mono_millis() - from;
    assert_in_range(first, LONG_MS, 3 * LONG_MS); /* not six times */
    assert_in_range(second, first + LONG_MS / 2, 4 * LONG_MS);
    for (int i = 0; i < NEW; i++) {
        assert_int_equal(echoed(new[i], "{}", 2), 200);
        peer_close(new[i]);
    }
    peer_close(known);
    peer_close(greedy);
    assert_true(world_free(w));
}

struct eager {
    struct peer *peer;
    unsigned answers;
};

static void *ask_on(void *opaque)
{
    struct eager *eager = opaque;
    for (int i = 0; i < 10; i++) {
        if (peer_post(eager->peer, "/aside", "{}", 2))
            eager->answers += echoed(eager->peer, "{}", 2) == 200;
    }
    return NULL;
}

/* Others who go first, and ask on and on, keep nobody waiting for long. */
static void nobody_waits_for_ever(void **state)
{
    (void)state;
    enum { COUNT = 2 };
    struct world *w = world_new(one_worker);
    struct eager eager[COUNT];
    pthread_t threads[COUNT];
    struct peer *new = peer_dial(w);
    for (int i = 0; i < COUNT; i++) {
        eager[i] = (struct eager){.peer = peer_dial(w)};
        assert_int_equal(peer_echo(eager[i].peer, "{}", 2, NULL), 200);
        assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &eager[i]), 0);
    }
    usleep(50000);
    int64_t from = clock_mono_millis();
    assert_true(peer_post(new, "/aside", "{}", 2));
    assert_int_equal(echoed(new, "{}", 2), 200);
    /* Theirs are twenty times as long as one. */
    assert_in_range(clock_mono_millis() - from, 0, 12 * LONG_MS);
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(eager[i].answers, 10);
        peer_close(eager[i].peer);
    }
    peer_close(new);
    assert_true(world_free(w));
}

/* Who waits for somebody else waits in another thread; what is found out there to be long
 * is passed on. */
static void two_threads(void **state)
{
    (void)state;
    struct world *w = world_new(one_worker);
    struct peer *slow = peer_dial(w), *waits = peer_dial(w), *both = peer_dial(w);
    int64_t from = clock_mono_millis();
    assert_true(peer_post(slow, "/aside", "{}", 2));
    assert_true(peer_post(waits, "/wait", "{1}", 3));
    assert_int_equal(echoed(waits, "{1}", 3), 200);
    assert_int_equal(echoed(slow, "{}", 2), 200);
    assert_in_range(clock_mono_millis() - from, LONG_MS, 2 * LONG_MS - 20);
    assert_int_equal(atomic_load(&w->counts.aside_at_once), 2);
    assert_true(peer_post(both, "/both", "{2}", 3));
    assert_int_equal(echoed(both, "{2}", 3), 200);
    assert_int_equal(atomic_load(&w->counts.aside_ever), 2);
    assert_int_equal(atomic_load(&w->counts.waited_ever), 2);
    assert_in_range(clock_mono_millis() - from, 3 * LONG_MS, 6 * LONG_MS);
    peer_close(slow);
    peer_close(waits);
    peer_close(both);
    assert_true(world_free(w));
}

/* Nobody waits for the answer: it is not made. */
static void who_has_gone_is_left_out(void **state)
{
    (void)state;
    enum { COUNT = 4 };
    struct world *w = world_new(one_worker);
    struct peer *stays = peer_dial(w);
    assert_true(peer_post(stays, "/aside", "{}", 2));
    usleep(20000);
    for (int i = 0; i < COUNT; i++) {
        struct peer *peer = peer_dial(w);
        assert_true(peer_post(peer, "/aside", "{}", 2));
        usleep(5000);
        peer_reset(peer);
    }
    assert_int_equal(echoed(stays, "{}", 2), 200);
    assert_true(peer_post(stays, "/aside", "{}", 2));
    assert_int_equal(echoed(stays, "{}", 2), 200);
    assert_int_equal(atomic_load(&w->counts.aside_ever), 2);
    peer_close(stays);
    assert_true(world_free(w));
}

/* Who waits for us is not who makes room. */
static void crowd(void **state)
{
    (void)state;
    enum { COUNT = 4, CROWD = 30 };
    struct world *w = world_new(few_connections);
    struct peer *peers[COUNT];
    int crowd[CROWD];
    for (int i = 0; i < COUNT; i++)
        peers[i] = peer_dial(w);
    for (int i = 0; i < COUNT; i++)
        assert_true(peer_post(peers[i], "/aside", "{}", 2));
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = peer_connect(w->port);
        (void)!send(crowd[i], "\x16", 1,
                    MSG_NOSIGNAL); /* one of the others from here on */
        usleep(25000);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(echoed(peers[i], "{}", 2), 200);
        peer_close(peers[i]);
    }
    for (int i = 0; i < CROWD; i++)
        close(crowd[i]);
    assert_true(world_free(w));
}

/* It is refused, and what comes back later is thrown away. */
static void time_passes(void **state)
{
    (void)state;
    struct world *w = world_new(impatient);
    struct peer *peer = peer_dial(w);
    int64_t from = clock_mono_millis();
    assert_true(peer_post(peer, "/aside", "{}", 2));
    assert_int_equal(echoed(peer, "{}", 2), 503);
    assert_in_range(clock_mono_millis() - from, 40, LONG_MS - 20);
    assert_true(peer_ends(peer, 1000));
    peer_close(peer);
    peer = peer_dial(w);
    assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
    usleep(LONG_MS * 1000);
    assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
    peer_close(peer);
    assert_true(world_free(w));
}

/* With time for all of them, and with time for hardly one. */
static void stopping(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    for (int round = 0; round < 2; round++) {
        struct world *w = world_new(NULL);
        struct peer *peers[COUNT];
        for (int i = 0; i < COUNT; i++) {
            peers[i] = peer_dial(w);
            assert_int_equal(peer_echo(peers[i], "{}", 2, NULL), 200);
            assert_true(peer_post(peers[i], "/aside", "{}", 2));
        }
        usleep(50000);
        long took = world_stop(w, round == 0 ? 10000 : 20);
        if (round == 0)
            assert_in_range(took, (COUNT - 2) * LONG_MS, 8000);
        else
            assert_in_range(took, 0, 1600); /* a turn and the one under way */
        for (int i = 0; i < COUNT; i++) {
            if (round == 0)
                assert_int_equal(echoed(peers[i], "{}", 2), 200);
            else
                assert_true(peer_ends(peers[i], 1000));
            peer_close(peers[i]);
        }
        assert_true(world_free(w));
    }
}

/* So that a worker never waits for the end of its slice; who waits for somebody else is
 * not kept waiting by anybody. */
static void it_is_the_last_to_run(void **state)
{
    (void)state;
    struct world *w = world_new(one_worker);
    struct peer *peer = peer_dial(w);
    assert_true(peer_post(peer, "/both", "{}", 2)); /* both run, and have their names */
    assert_int_equal(echoed(peer, "{}", 2), 200);
    peer_close(peer);
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    unsigned found = 0, looks = 0;
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof(name), file) != NULL && strcmp(name, "aside\n") == 0) {
            assert_int_equal(sched_getscheduler((pid_t)strtol(task->d_name, NULL, 10)),
                             SCHED_IDLE);
            found++;
        }
        if (strcmp(name, "looks\n") == 0) {
            assert_int_equal(sched_getscheduler((pid_t)strtol(task->d_name, NULL, 10)),
                             SCHED_OTHER);
            looks++;
        }
        fclose(file);
    }
    closedir(tasks);
    assert_int_equal(found, 1);
    assert_int_equal(looks, 1);
    assert_true(world_free(w));
}

/* While some that came back at once are dealt with, two in a turn, another one comes: its
 * wake-up is spent by the turn that deals with the last of those. */
static void who_comes_back_behind_others_is_not_left(void **state)
{
    (void)state;
    enum { COUNT = 4, HELD = 2 };
    struct world *w = world_new(with_gates);
    struct peer *peers[COUNT], *held[HELD];
    for (int i = 0; i < COUNT; i++) {
        peers[i] = peer_dial(w);
        assert_int_equal(peer_echo(peers[i], "{}", 2, NULL), 200);
    }
    for (int i = 0; i < HELD; i++) {
        held[i] = peer_dial(w);
        assert_int_equal(peer_echo(held[i], "{}", 2, NULL), 200);
    }
    for (int i = 0; i < COUNT; i++) { /* in this order */
        assert_true(peer_post(peers[i], "/aside", "{}", 2));
        begun(w, 1);
        usleep(20000);
    }
    assert_true(peer_post(held[0], "/slow", "{}", 2));
    sem_wait(&gates.entered); /* the worker does nothing else … */
    for (int i = 0; i < COUNT - 1; i++)
        sem_post(&gates.go_aside);
    begun(w, COUNT); /* … while all but the last one come back, … */
    assert_true(peer_post(held[1], "/slow", "{}", 2));
    usleep(1100000); /* … and looks at deadlines when it has done so, not later */
    sem_post(&gates.go);
    sem_wait(&gates.entered); /* two of them are dealt with */
    sem_post(&gates.go_aside);
    usleep(50000); /* the last one is back */
    int64_t from = clock_mono_millis();
    sem_post(&gates.go);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(echoed(peers[i], "{}", 2), 200);
    assert_in_range(clock_mono_millis() - from, 0, 600);
    for (int i = 0; i < COUNT; i++)
        peer_close(peers[i]);
    for (int i = 0; i < HELD; i++) {
        assert_int_equal(echoed(held[i], "{}", 2), 200);
        peer_close(held[i]);
    }
    assert_true(world_free(w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_do_not_wait),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(sizes),
        cmocka_unit_test(what_came_behind_waits),
        cmocka_unit_test(client_goes),
        cmocka_unit_test(crowd),
        cmocka_unit_test(time_passes),
        cmocka_unit_test(stopping),
        cmocka_unit_test(it_is_the_last_to_run),
        cmocka_unit_test(not_too_many),
        cmocka_unit_test(in_order),
        cmocka_unit_test(two_threads),
        cmocka_unit_test(nobody_waits_for_ever),
        cmocka_unit_test(who_has_gone_is_left_out),
        cmocka_unit_test(who_comes_back_behind_others_is_not_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
