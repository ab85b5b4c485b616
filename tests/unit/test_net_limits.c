/* What the server does when there is too much or too little of something: time,
 * connections, descriptors; and how it comes to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"
#include "util/clock.h"

static struct identity *identity;
static SSL_CTX *client;

static int before_all(void **state)
{
    (void)state;
    identity = identity_new(NULL, "server", "localhost");
    client = peer_context("http/1.1", NULL);
    return 0;
}

static int after_all(void **state)
{
    (void)state;
    SSL_CTX_free(client);
    identity_free(identity);
    return 0;
}

static struct net_server *start(const struct net_options *options)
{
    struct net_tls *tls = identity_tls(identity);
    struct err err = {.code = ERR_NONE};
    struct net_server *server = net_server_start(options, tls, &err);
    net_tls_free(tls);
    if (server == NULL)
        fail_msg("%s", err.message);
    return server;
}

static unsigned post(struct peer *peer, bool *ret_closes)
{
    struct answer answer = {.status = 0};
    if (peer == NULL || !peer_post(peer, "/echo", "{}", 2) ||
        !peer_answer(peer, false, &answer, NULL))
        return 0;
    if (ret_closes != NULL)
        *ret_closes = answer.closes;
    answer_done(&answer);
    return answer.status;
}

/* --- time --------------------------------------------------------------------- */

static struct net_options impatient(struct peer_counts *counts)
{
    struct net_options options = peer_options(counts);
    options.handshake_ms = 300;
    options.idle_ms = 800;
    options.request_ms = 500;
    options.write_ms = 300;
    return options;
}

static void slow_handshakes(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_options options = impatient(&counts);
    struct net_server *server = start(&options);
    struct peer *silent = peer_open_plain(net_server_port(server));
    struct peer *half = peer_open_plain(net_server_port(server));
    peer_send(half, "\x16\x03\x01\x02\x00\x01\x00", 7);
    int64_t from = clock_mono_millis();
    assert_true(peer_ends(silent, 2000));
    assert_true(peer_ends(half, 2000));
    int64_t took = clock_mono_millis() - from;
    assert_in_range(took, 200, 1500);
    assert_int_equal(atomic_load(&counts.failed_handshakes),
                     1); /* the silent one is none */
    peer_close(silent);
    peer_close(half);
    net_server_stop(server, 500);
}

static void slow_requests(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_options options = impatient(&counts);
    struct net_server *server = start(&options);
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
        struct peer *peer = peer_open(client, net_server_port(server));
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
    assert_int_equal(atomic_load(&counts.handled), 0);
    net_server_stop(server, 500);
}

static void idle_connections(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_options options = impatient(&counts);
    struct net_server *server = start(&options);
    struct peer *peer = peer_open(client, net_server_port(server));
    struct peer *unused = peer_open(client, net_server_port(server));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(post(peer, NULL), 200);
        usleep(400000); /* each request starts the time again */
    }
    assert_true(peer_ends(unused, 100));
    assert_false(peer->eof);
    int64_t from = clock_mono_millis();
    assert_true(peer_ends(peer, 3000));
    assert_in_range(clock_mono_millis() - from, 100, 2000);
    peer_close(peer);
    peer_close(unused);
    net_server_stop(server, 500);
    assert_int_equal(atomic_load(&counts.connections), 0);
}

static void stalled_reader(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_options options = impatient(&counts);
    struct net_server *server = start(&options);
    int fd = peer_connect(net_server_port(server));
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    struct peer *peer = calloc(1, sizeof(*peer));
    peer->fd = fd;
    peer->ssl = SSL_new(client);
    SSL_set_fd(peer->ssl, fd);
    assert_int_equal(SSL_connect(peer->ssl), 1);
    assert_true(peer_post(peer, "/big", "{}", 2));
    int64_t from = clock_mono_millis();
    while (atomic_load(&counts.connections) > 0 && clock_mono_millis() - from < 5000)
        usleep(20000);
    assert_in_range(clock_mono_millis() - from, 250, 3000);
    peer_close(peer);
    net_server_stop(server, 500);
}

/* --- connections -------------------------------------------------------------- */

static void idle_ones_make_room(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct peer_counts counts = {0};
    struct net_options options = peer_options(&counts);
    options.threads = 1;
    options.max_connections = 8;
    struct net_server *server = start(&options);
    struct peer *peers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        peers[i] = peer_open(client, net_server_port(server));
        assert_int_equal(post(peers[i], NULL), 200);
        assert_true(atomic_load(&counts.connections) <= 8 + 1);
    }
    /* The oldest went, the newest are there. */
    assert_true(peer_ends(peers[0], 1000));
    assert_int_equal(post(peers[COUNT - 1], NULL), 200);
    for (int i = 0; i < COUNT; i++)
        peer_close(peers[i]);
    net_server_stop(server, 500);
    assert_int_equal(atomic_load(&counts.connections), 0);
}

/* Nobody is idle: who comes on top gets 503 at once, and beyond that the end. */
static void busy_ones_stay(void **state)
{
    (void)state;
    enum { LIMIT = 8, COUNT = 60 };
    struct peer_counts counts = {0};
    struct net_options options = peer_options(&counts);
    options.threads = 1;
    options.max_connections = LIMIT;
    struct net_server *server = start(&options);
    struct peer *busy[LIMIT], *more[COUNT];
    for (int i = 0; i < LIMIT; i++) {
        busy[i] = peer_open(client, net_server_port(server));
        assert_non_null(busy[i]);
        assert_true(peer_say(busy[i],
                             "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                             "Content-Type: application/json\r\n\r\n{"));
    }
    usleep(50000);
    int told = 0, ended = 0;
    for (int i = 0; i < COUNT; i++) {
        more[i] = peer_open(client, net_server_port(server));
        if (more[i] == NULL) {
            ended++;
            continue;
        }
        bool closes = false;
        unsigned status = post(more[i], &closes);
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
    struct peer *after = peer_open(client, net_server_port(server));
    assert_int_equal(post(after, NULL), 200);
    peer_close(after);
    net_server_stop(server, 500);
}

/* Large bodies share a budget: too many at once are refused, small ones never are. */
static void large_bodies_share(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    struct peer_counts counts = {0};
    struct net_options options = peer_options(&counts);
    options.request_ms = 60000;
    struct net_server *server = start(&options);
    char *part = calloc(1, (8u << 20) - 1);
    struct peer *large[COUNT];
    for (int i = 0; i < COUNT; i++) {
        large[i] = peer_open(client, net_server_port(server));
        assert_non_null(large[i]);
        char head[256];
        snprintf(head, sizeof(head),
                 "POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n"
                 "Content-Type: application/json\r\n\r\n",
                 8u << 20);
        assert_true(peer_say(large[i], head));
        peer_send(large[i], part, (8u << 20) - 1);
    }
    free(part);
    struct peer *small = peer_open(client, net_server_port(server));
    assert_int_equal(post(small, NULL), 200);
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
    assert_in_range(good, 7, 8);
    /* All was given back. */
    for (int i = 0; i < 10; i++) {
        struct peer *peer = peer_open(client, net_server_port(server));
        char *body = calloc(1, 8u << 20);
        struct answer answer;
        assert_true(peer_post(peer, "/size", body, 8u << 20));
        free(body);
        assert_true(peer_answer(peer, false, &answer, NULL));
        assert_int_equal(answer.status, 200);
        answer_done(&answer);
        peer_close(peer);
    }
    net_server_stop(server, 500);
}

/* --- descriptors -------------------------------------------------------------- */

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
        struct net_tls *tls = identity_tls(identity);
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

/* Its limit allows more connections than it has descriptors. Connections that are idle go
 * first; when all are half-open it sits there without spinning; later it serves again. */
static void out_of_descriptors(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    unsigned port = 0;
    int control = -1;
    pid_t pid = fork_server(64, 1000, &port, &control);
    struct peer *peers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        peers[i] = peer_open(client, port);
        if (post(peers[i], NULL) != 200)
            fail_msg("connection %d was not served", i);
    }
    for (int i = 0; i < COUNT; i++)
        peer_close(peers[i]);
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
    assert_int_equal(post(after, NULL), 200);
    peer_close(after);
    join_server(pid, control);
}

static void limit_from_descriptors(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    unsigned port = 0;
    int control = -1;
    pid_t pid = fork_server(256, 0, &port, &control);
    struct peer *peers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        peers[i] = peer_open(client, port);
        if (post(peers[i], NULL) != 200)
            fail_msg("connection %d was not served", i);
    }
    for (int i = 0; i < COUNT; i++)
        peer_close(peers[i]);
    join_server(pid, control);
}

/* --- the end ------------------------------------------------------------------ */

static void draining(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_options options = peer_options(&counts);
    struct net_server *server = start(&options);
    struct peer *old = peer_open(client, net_server_port(server));
    bool closes = true;
    assert_int_equal(post(old, &closes), 200);
    assert_false(closes);
    net_server_drain(server);
    assert_false(peer_ends(old, 200)); /* not before its next answer */
    assert_int_equal(post(old, &closes), 200);
    assert_true(closes);
    assert_true(peer_ends(old, 1000));
    peer_close(old);
    struct peer *new = peer_open(client, net_server_port(server));
    assert_int_equal(post(new, &closes), 200); /* still served */
    assert_true(closes);
    peer_close(new);
    net_server_stop(server, 500);
}

struct slow {
    unsigned port;
    unsigned status;
};

static void *run_slow(void *opaque)
{
    struct slow *slow = opaque;
    struct peer *peer = peer_open(client, slow->port);
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
    struct peer_counts counts = {0};
    struct net_options options = peer_options(&counts);
    struct net_server *server = start(&options);
    struct peer *idle = peer_open(client, net_server_port(server));
    assert_int_equal(post(idle, NULL), 200);
    pthread_t threads[COUNT];
    struct slow slow[COUNT];
    for (int i = 0; i < COUNT; i++) {
        slow[i] = (struct slow){.port = net_server_port(server)};
        assert_int_equal(pthread_create(&threads[i], NULL, run_slow, &slow[i]), 0);
    }
    usleep(100000);
    unsigned port = net_server_port(server);
    int64_t from = clock_mono_millis();
    net_server_stop(server, 10000);
    assert_in_range(clock_mono_millis() - from, 0, 4000);
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(slow[i].status, 200);
    }
    assert_true(peer_ends(idle, 500));
    assert_int_equal(peer_connect(port), -1);
    assert_int_equal(atomic_load(&counts.connections), 0);
    peer_close(idle);
}

/* A request that never ends does not hold the stop longer than it was told to wait. */
static void stopping_in_time(void **state)
{
    (void)state;
    struct peer_counts counts = {0};
    struct net_options options = peer_options(&counts);
    struct net_server *server = start(&options);
    struct peer *peer = peer_open(client, net_server_port(server));
    struct peer *silent = peer_open_plain(net_server_port(server));
    assert_true(
        peer_say(peer, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"));
    usleep(50000);
    int64_t from = clock_mono_millis();
    net_server_stop(server, 700);
    assert_in_range(clock_mono_millis() - from, 600, 2000);
    assert_true(peer_ends(peer, 500));
    peer_close(peer);
    peer_close(silent);
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
        assert_memory_equal(err.message, "--listen: ", 10);
    }
    static const char *const good[] = {":0", "[::]:0", "0.0.0.0:0", "127.0.0.1:0",
                                       "[::1]:0"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct net_options options = peer_options(&counts);
        options.listen = good[i];
        struct net_server *server = start(&options);
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
        cmocka_unit_test(out_of_descriptors),
        cmocka_unit_test(limit_from_descriptors),
        cmocka_unit_test(slow_handshakes),
        cmocka_unit_test(slow_requests),
        cmocka_unit_test(idle_connections),
        cmocka_unit_test(stalled_reader),
        cmocka_unit_test(idle_ones_make_room),
        cmocka_unit_test(busy_ones_stay),
        cmocka_unit_test(large_bodies_share),
        cmocka_unit_test(draining),
        cmocka_unit_test(stopping),
        cmocka_unit_test(stopping_in_time),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, before_all, after_all);
}
