/* Too many connections, too large bodies, too few descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"
#include "util/attr.h"
#include "util/clock.h"

enum { LIMIT = 8 };

static void one_small_worker(struct net_options *options)
{
    options->threads = 1;
    options->max_connections = LIMIT;
}

static void patient(struct net_options *options)
{
    options->request_ms = 60000;
}

/* --- connections -------------------------------------------------------------- */

static void idle_ones_make_room(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct world *w = world_new(one_small_worker);
    struct peer *peers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        peers[i] = peer_open(w->client, w->port);
        assert_int_equal(peer_echo(peers[i], "{}", 2, NULL), 200);
        assert_true(atomic_load(&w->counts.connections) <= LIMIT + 1);
    }
    /* The oldest went, the newest are there. */
    assert_true(peer_ends(peers[0], 1000));
    assert_int_equal(peer_echo(peers[COUNT - 1], "{}", 2, NULL), 200);
    for (int i = 0; i < COUNT; i++)
        peer_close(peers[i]);
    assert_true(world_free(w));
}

/* Who drips a request, or says nothing, makes room for those that come, and not who was
 * served a moment ago: however fast they come. */
static void drips_do_not_push_out(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    struct world *w = world_new(one_small_worker);
    struct peer *good = peer_dial(w), *seldom = peer_dial(w), *drips[COUNT];
    assert_int_equal(peer_echo(seldom, "{}", 2, NULL), 200);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(peer_echo(good, "{}", 2, NULL), 200);
        drips[i] = peer_open(w->client, w->port);
        if (drips[i] != NULL && i % 2 == 0)
            peer_say(drips[i], "POST /echo HTTP/1.1\r\nHost: a\r\n");
        usleep(25000); /* so six come in 150 ms, less than makes one slow */
    }
    assert_int_equal(peer_echo(good, "{}", 2, NULL), 200);
    assert_int_equal(peer_echo(seldom, "{}", 2, NULL), 200);
    peer_close(good);
    peer_close(seldom);
    for (int i = 0; i < COUNT; i++)
        peer_close(drips[i]);
    assert_true(world_free(w));
}

/* Nobody is idle, and all have been served before: who comes on top gets 503 at once, and
 * beyond that the end. */
static void busy_ones_stay(void **state)
{
    (void)state;
    enum { COUNT = 30 };
    struct world *w = world_new(one_small_worker);
    struct peer *busy[LIMIT], *more[COUNT];
    for (int i = 0; i < LIMIT; i++) {
        busy[i] = peer_open(w->client, w->port);
        assert_int_equal(peer_echo(busy[i], "{}", 2, NULL), 200);
        assert_true(peer_say(busy[i],
                             "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                             "Content-Type: application/json\r\n\r\n{"));
    }
    usleep(50000);
    int told = 0, ended = 0;
    for (int i = 0; i < COUNT; i++) {
        more[i] = peer_open(w->client, w->port);
        if (more[i] == NULL) {
            ended++;
            continue;
        }
        bool closes = false;
        unsigned status = peer_echo(more[i], "{}", 2, &closes);
        if (status == 503 && closes)
            told++;
        else if (status != 0)
            fail_msg("status %u", status);
        else
            ended++;
    }
    assert_true(told >= 16);
    assert_int_equal(told + ended, COUNT);
    struct answer answer;
    for (int i = 0; i < LIMIT; i++) {
        assert_true(peer_say(busy[i], "}"));
        assert_true(peer_answer(busy[i], false, &answer, NULL));
        assert_int_equal(answer.status, 200);
        answer_done(&answer);
        peer_close(busy[i]);
    }
    for (int i = 0; i < COUNT; i++)
        peer_close(more[i]);
    usleep(100000);
    struct peer *after = peer_open(w->client, w->port);
    assert_int_equal(peer_echo(after, "{}", 2, NULL), 200);
    peer_close(after);
    assert_true(world_free(w));
}

/* Who was never served and has been at its request for a tenth of a second makes room. */
static void slow_newcomers_make_room(void **state)
{
    (void)state;
    struct world *w = world_new(one_small_worker);
    struct peer *slow[LIMIT], *good[LIMIT];
    for (int i = 0; i < LIMIT; i++) {
        slow[i] = peer_dial(w);
        assert_true(peer_say(slow[i], "POST /echo HTTP/1.1\r\nHost: a\r\n"));
    }
    usleep(200000);
    for (int i = 0; i < LIMIT; i++) {
        good[i] = peer_dial(w);
        assert_int_equal(peer_echo(good[i], "{}", 2, NULL), 200);
    }
    for (int i = 0; i < LIMIT; i++) {
        assert_true(peer_ends(slow[i], 1000));
        peer_close(slow[i]);
        assert_int_equal(peer_echo(good[i], "{}", 2, NULL), 200);
        peer_close(good[i]);
    }
    assert_true(world_free(w));
}

/* The longer the header, the less room is left in libmicrohttpd's pool to read the body
 * with: it comes in by many small pieces, but it comes in. */
static void large_body_behind_large_header(void **state)
{
    (void)state;
    enum { BODY = 4 << 20 };
    static const size_t lines[] = {16000, 26000, 29000};
    struct world *w = world_new(NULL);
    char *text = calloc(1, 40000 + BODY);
    for (size_t i = 0; i < NRW_COUNT(lines); i++) {
        struct peer *peer = peer_dial(w);
        struct answer answer = {.status = 0};
        int n = snprintf(text, 1000,
                         "POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
                         "Content-Type: application/json\r\nX: ",
                         BODY);
        memset(text + n, 'a', lines[i]);
        memcpy(text + n + lines[i], "\r\n\r\n", 4);
        size_t head = (size_t)n + lines[i] + 4;
        memset(text + head, ' ', BODY);
        peer_send(peer, text, head + BODY);
        assert_true(peer_answer(peer, false, &answer, NULL));
        assert_int_equal(answer.status, 200);
        answer_done(&answer);
        peer_close(peer);
    }
    free(text);
    assert_true(world_free(w));
}

/* Large bodies share a budget: too many at once are refused, small ones never are. */
static void large_bodies_share(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    struct world *w = world_new(patient);
    int64_t began = clock_mono_millis();
    char *part = calloc(1, (8u << 20) - 1);
    struct peer *large[COUNT];
    for (int i = 0; i < COUNT; i++) {
        large[i] = peer_dial(w);
        assert_int_equal(peer_echo(large[i], "{}", 2, NULL), 200);
        char head[256];
        snprintf(head, sizeof(head),
                 "POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n"
                 "Content-Type: application/json\r\n\r\n",
                 8u << 20);
        assert_true(peer_say(large[i], head));
        peer_send(large[i], part, (8u << 20) - 1);
    }
    free(part);
    struct peer *small = peer_open(w->client, w->port);
    assert_int_equal(peer_echo(small, "{}", 2, NULL), 200);
    peer_close(small);
    int good = 0, refused = 0;
    for (int i = 0; i < COUNT; i++) {
        struct answer answer = {.status = 0};
        peer_say(large[i], "x");
        if (peer_answer(large[i], false, &answer, NULL)) {
            good += answer.status == 200;
            refused += answer.status == 503;
            answer_done(&answer);
        }
        peer_close(large[i]);
    }
    assert_int_equal(good + refused, COUNT);
    /* Those that take too long make room: on a slow machine, with a sanitizer. */
    assert_in_range(good, clock_mono_millis() - began < 600 ? 7 : 1, 8);
    /* All was given back. */
    for (int i = 0; i < 10; i++) {
        struct peer *peer = peer_open(w->client, w->port);
        char *body = calloc(1, 8u << 20);
        struct answer answer;
        assert_true(peer_post(peer, "/size", body, 8u << 20));
        free(body);
        assert_true(peer_answer(peer, false, &answer, NULL));
        assert_int_equal(answer.status, 200);
        answer_done(&answer);
        peer_close(peer);
    }
    assert_true(world_free(w));
}

static void begin_large(struct peer *peer, const char *part, size_t n)
{
    assert_true(peer_say(peer, "POST /size HTTP/1.1\r\nHost: a\r\n"
                               "Content-Length: 8388608\r\n"
                               "Content-Type: application/json\r\n\r\n"));
    peer_send(peer, part, n);
}

/* Those that stop in the middle do not have the room until their time is over: they are
 * refused, in whichever worker they are, and the next one finds it. */
static void large_bodies_that_stop_make_room(void **state)
{
    (void)state;
    enum { COUNT = 10, WHOLE = 8 << 20 };
    struct world *w = world_new(patient);
    char *body = calloc(1, WHOLE);
    struct peer *stopped[COUNT];
    for (int i = 0; i < COUNT; i++) {
        stopped[i] = peer_dial(w);
        begin_large(stopped[i], body, WHOLE - 1);
    }
    usleep(200000);
    bool found = false;
    for (int i = 0; i < 50 && !found; i++) {
        struct peer *peer = peer_dial(w);
        struct answer answer = {.status = 0};
        (void)peer_post(peer, "/size", body, WHOLE); /* cut short where it is refused */
        if (peer_answer(peer, false, &answer, NULL)) {
            found = answer.status == 200;
            answer_done(&answer);
        }
        peer_close(peer);
        usleep(found ? 0 : 20000);
    }
    assert_true(found);
    for (int i = 0; i < COUNT; i++)
        peer_close(stopped[i]);
    free(body);
    assert_true(world_free(w));
}

static void little_for_answers(struct net_options *options)
{
    options->threads = 1;
    options->large_bytes = 80u << 20; /* two of 8 MiB, each counted three times */
    options->write_ms = 60000;
}

/* So do answers that are not taken, until they are, or who was to take them is gone. */
static void large_answers_share(void **state)
{
    (void)state;
    enum { COUNT = 5, ROOM = 2 };
    struct world *w = world_new(little_for_answers);
    struct peer *slow[COUNT];
    unsigned statuses[COUNT] = {0};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            slow[i] = peer_dial(w);
            assert_true(peer_post(slow[i], "/big", "{}", 2));
            while (atomic_load(&w->counts.handled) <
                   (unsigned)(round * (COUNT + 1) + i + 1))
                usleep(1000);
        }
        struct peer *small = peer_dial(w);
        assert_int_equal(peer_echo(small, "{}", 2, NULL), 200);
        peer_close(small);
        int good = 0;
        for (int i = 0; i < COUNT; i++) {
            struct answer answer = {.status = 0};
            if (round == 0 || i >= ROOM) { /* otherwise they go without a look at it */
                assert_true(peer_answer(slow[i], false, &answer, NULL));
                statuses[i] = answer.status;
                good += answer.status == 200;
                answer_done(&answer);
            }
            peer_close(slow[i]);
        }
        assert_int_equal(good, round == 0 ? ROOM : 0);
        for (int i = ROOM; i < COUNT; i++)
            assert_int_equal(statuses[i], 503);
        usleep(200000); /* what was held for those that went comes back */
    }
    assert_true(world_free(w));
}

/* Who does not take an answer has to go when others want its room, but is told nothing in
 * the middle of it: that would be read as a part of it. */
static void a_begun_answer_is_cut_and_no_more(void **state)
{
    (void)state;
    enum { COUNT = 2 };
    static const char refusal[] = "HTTP/1.1 503";
    struct world *w = world_new(little_for_answers);
    struct peer *slow[COUNT], *more = peer_dial(w);
    for (unsigned i = 0; i < COUNT; i++) {
        slow[i] = peer_dial(w);
        assert_true(peer_post(slow[i], "/big", "{}", 2));
        while (atomic_load(&w->counts.handled) < i + 1)
            usleep(1000);
    }
    usleep(900000);
    struct answer answer = {.status = 0};
    assert_true(peer_post(more, "/big", "{}", 2));
    assert_true(peer_answer(more, false, &answer, NULL));
    assert_int_equal(answer.status, 503);
    answer_done(&answer);
    peer_close(more);
    usleep(200000);
    int cut = 0;
    for (int i = 0; i < COUNT; i++) {
        if (peer_answer(slow[i], false, &answer, NULL)) {
            assert_int_equal(answer.size, 8u << 20);
            assert_null(memmem(answer.body, answer.size, refusal, sizeof(refusal) - 1));
            answer_done(&answer);
        } else {
            assert_null(
                memmem(slow[i]->data, slow[i]->size, refusal, sizeof(refusal) - 1));
            cut++;
        }
        peer_close(slow[i]);
    }
    assert_in_range(cut, 1, COUNT);
    assert_true(world_free(w));
}

static void little_for_bodies(struct net_options *options)
{
    options->threads = 1;
    options->small_bytes = 8 * 60000;
    options->request_ms = 60000;
}

/* Where memory is short, those that began bodies and stopped go first, and do not take
 * the place of one that was served. */
static void begun_bodies_make_room(void **state)
{
    (void)state;
    enum { COUNT = 40, PART = 50000, WHOLE = 60000 };
    struct world *w = world_new(little_for_bodies);
    struct peer *good = peer_dial(w), *begun[COUNT];
    char *body = calloc(1, PART);
    memset(body, ' ', PART);
    assert_int_equal(peer_echo(good, "{}", 2, NULL), 200);
    int there = 0, told = 0;
    for (int i = 0; i < COUNT; i++) {
        begun[i] = peer_dial(w);
        peer_say(begun[i], "POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n"
                           "Content-Type: application/json\r\n\r\n");
        peer_send(begun[i], body, PART);
        usleep(20000);
        assert_int_equal(peer_echo(good, body, PART, NULL), 200);
    }
    for (int i = 0; i < COUNT; i++) {
        struct answer answer = {.status = 0};
        peer_send(begun[i], body, WHOLE - PART); /* the rest, where somebody listens */
        if (peer_answer(begun[i], false, &answer, NULL)) {
            there += answer.status == 200;
            told += answer.status == 503;
            answer_done(&answer);
        }
        peer_close(begun[i]);
    }
    free(body);
    assert_in_range(there, 1, 8); /* several go at once */
    assert_int_equal(there + told, COUNT);
    assert_int_equal(peer_echo(good, "{}", 2, NULL), 200);
    peer_close(good);
    assert_true(world_free(w));
}

static void little_for_connections(struct net_options *options)
{
    options->threads = 2;
    options->connection_bytes = 20 * 80 * 1024;
}

static void memory_bounds_connections(void **state)
{
    (void)state;
    struct world *w = world_new(little_for_connections);
    assert_int_equal(net_server_connections(w->server), 20);
    assert_true(world_free(w));
}

/* --- descriptors -------------------------------------------------------------- */

/* A client asks for many large answers at once and takes none: they are not made ahead of
 * their time, others are served meanwhile, and in the end it gets them all. */
static void answers_do_not_pile_up(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct world *w = world_new(one_worker);
    struct peer *greedy = peer_dial(w);
    struct peer *other = peer_dial(w);
    assert_int_equal(peer_echo(other, "{}", 2, NULL), 200);
#if !NRW_SANITIZED /* they keep more */
    long before = resident_kib();
#endif
    for (int i = 0; i < COUNT; i++)
        assert_true(peer_post(greedy, "/big", "{}", 2));
    for (int i = 0; i < 20; i++) {
        usleep(10000);
        assert_int_equal(peer_echo(other, "{}", 2, NULL), 200);
    }
    long handled = atomic_load(&w->counts.handled);
    assert_true(handled < 21 + 4); /* one or two of the large ones */
#if !NRW_SANITIZED                 /* they keep more */
    assert_true(resident_kib() - before < 40 * 1024);
#endif
    for (int i = 0; i < COUNT; i++) {
        struct answer answer;
        assert_true(peer_answer(greedy, false, &answer, NULL));
        assert_int_equal(answer.size, 8u << 20);
        answer_done(&answer);
    }
    assert_int_equal(peer_echo(greedy, "{}", 2, NULL), 200);
    peer_close(greedy);
    /* The same, and gone without a word, with the next one held back. */
    greedy = peer_dial(w);
    for (int i = 0; i < COUNT; i++)
        assert_true(peer_post(greedy, "/big", "{}", 2));
    usleep(50000);
    peer_close(greedy);
    assert_int_equal(peer_echo(other, "{}", 2, NULL), 200);
    /* Many small ones, and gone while libmicrohttpd has not even read them all. */
    for (int k = 0; k < 20; k++) {
        greedy = peer_dial(w);
        for (int i = 0; i < 2000; i++)
            assert_true(peer_say(greedy, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        peer_close(greedy);
    }
    assert_int_equal(peer_echo(other, "{}", 2, NULL), 200);
    for (int i = 0; i < 500 && atomic_load(&w->counts.connections) > 1; i++)
        usleep(10000);
    assert_int_equal(atomic_load(&w->counts.connections), 1);
    /* And once more, up to the end of the server. */
    greedy = peer_dial(w);
    for (int i = 0; i < COUNT; i++)
        assert_true(peer_post(greedy, "/big", "{}", 2));
    usleep(50000);
    assert_in_range(world_stop(w, 300), 0, 2000);
    peer_close(greedy);
    peer_close(other);
    assert_true(world_free(w));
}

/* The server in a process of its own, with few descriptors; the port, or 0. */
static pid_t fork_server(rlim_t descriptors, unsigned max_connections, unsigned *ret_port,
                         int *ret_control)
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(up[0]);
        close(down[1]);
        static struct peer_counts counts;
        struct net_options options = peer_options(&counts);
        options.threads = 1;
        options.metrics_listen = NULL;
        options.max_connections = max_connections;
        struct identity *identity = identity_new(NULL, "server", "localhost");
        struct net_tls *tls = identity_tls(identity);
        identity_free(identity);
        struct rlimit limit = {descriptors, descriptors};
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            _exit(90);
        struct net_server *server = net_server_start(&options, tls, NULL);
        if (server == NULL)
            _exit(91);
        unsigned port = net_server_port(server);
        if (write(up[1], &port, sizeof(port)) != sizeof(port))
            _exit(92);
        char c;
        (void)!read(down[0], &c, 1);
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        bool alive = net_server_alive(server);
        net_server_stop(server, 1000);
        net_tls_free(tls);
        long cpu_ms = usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 +
                      usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000;
        if (atomic_load(&counts.connections) != 0)
            _exit(93);
        _exit(!alive ? 94 : cpu_ms > 2500 ? 95 : 0);
    }
    close(up[1]);
    close(down[0]);
    assert_int_equal(read(up[0], ret_port, sizeof(*ret_port)), sizeof(*ret_port));
    close(up[0]);
    *ret_control = down[1];
    return pid;
}

static void join_server(pid_t pid, int control)
{
    close(control);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("server ended with status %d", status);
}

/* So many connections are open together, and each is served. */
static void serve_all_at_once(SSL_CTX *client, unsigned port, int count)
{
    struct peer *peers[300];
    assert_in_range(count, 1, NRW_COUNT(peers));
    for (int i = 0; i < count; i++) {
        peers[i] = peer_open(client, port);
        if (peer_echo(peers[i], "{}", 2, NULL) != 200)
            fail_msg("connection %d was not served", i);
    }
    for (int i = 0; i < count; i++)
        peer_close(peers[i]);
}

/* Its limit allows more connections than it has descriptors. Connections that are idle go
 * first; when all are half-open it sits there without spinning; later it serves again. */
static void out_of_descriptors(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    unsigned port = 0;
    int control = -1;
    SSL_CTX *client = peer_context("http/1.1", NULL);
    pid_t pid = fork_server(64, 1000, &port, &control);
    serve_all_at_once(client, port, COUNT);
    int silent[COUNT];
    for (int i = 0; i < COUNT; i++)
        silent[i] = peer_connect(port);
    sleep(2);
    for (int i = 0; i < COUNT; i++) {
        if (silent[i] >= 0)
            close(silent[i]);
    }
    usleep(200000);
    struct peer *after = peer_open(client, port);
    assert_int_equal(peer_echo(after, "{}", 2, NULL), 200);
    peer_close(after);
    SSL_CTX_free(client);
    join_server(pid, control);
}

static void limit_from_descriptors(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    unsigned port = 0;
    int control = -1;
    SSL_CTX *client = peer_context("http/1.1", NULL);
    pid_t pid = fork_server(256, 0, &port, &control);
    serve_all_at_once(client, port, COUNT);
    SSL_CTX_free(client);
    join_server(pid, control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_ones_make_room),
        cmocka_unit_test(drips_do_not_push_out),
        cmocka_unit_test(busy_ones_stay),
        cmocka_unit_test(slow_newcomers_make_room),
        cmocka_unit_test(answers_do_not_pile_up),
        cmocka_unit_test(large_body_behind_large_header),
        cmocka_unit_test(large_bodies_share),
        cmocka_unit_test(large_bodies_that_stop_make_room),
        cmocka_unit_test(large_answers_share),
        cmocka_unit_test(a_begun_answer_is_cut_and_no_more),
        cmocka_unit_test(begun_bodies_make_room),
        cmocka_unit_test(memory_bounds_connections),
        cmocka_unit_test(out_of_descriptors),
        cmocka_unit_test(limit_from_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
