/* The server over real sockets: requests and answers as clients send and expect them. */
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
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"

struct world {
    struct peer_counts counts;
    struct identity *identity;
    struct net_server *server;
    SSL_CTX *client;
    unsigned port, plain_port;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    w->identity = identity_new(NULL, "server", "localhost");
    struct net_tls *tls = identity_tls(w->identity);
    struct net_options options = peer_options(&w->counts);
    struct err err = {.code = ERR_NONE};
    w->server = net_server_start(&options, tls, &err);
    net_tls_free(tls);
    if (w->server == NULL) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    w->client = peer_context("http/1.1", NULL);
    w->port = net_server_port(w->server);
    w->plain_port = net_server_metrics_port(w->server);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    net_server_stop(w->server, 2000);
    int connections = (int)atomic_load(&w->counts.connections);
    SSL_CTX_free(w->client);
    identity_free(w->identity);
    free(w);
    return connections == 0 ? 0 : -1; /* each that came was counted out again */
}

static struct peer *dial(const struct world *w)
{
    struct peer *peer = peer_open(w->client, w->port);
    assert_non_null(peer);
    return peer;
}

/* One POST /echo: the same bytes come back. */
static void echo(struct peer *peer, const char *body, size_t n)
{
    struct answer answer;
    assert_true(peer_post(peer, "/echo", body, n));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.size, n);
    assert_memory_equal(answer.body, body, n);
    assert_false(answer.closes);
    answer_done(&answer);
}

/* The request gets this status and one line of JSON, on a connection of its own. */
static void refused(const struct world *w, const char *request, unsigned status,
                    bool closes)
{
    struct peer *peer = dial(w);
    struct answer answer;
    assert_true(peer_say(peer, request));
    if (!peer_answer(peer, false, &answer, NULL))
        fail_msg("no answer to: %s", request);
    if (answer.status != status)
        fail_msg("%u instead of %u to: %s", answer.status, status, request);
    assert_non_null(strstr(answer.head, "Content-Type: application/json"));
    assert_memory_equal(answer.body, "{\"error\":\"", 10);
    assert_string_equal(answer.body + answer.size - 3, "\"}\n");
    assert_ptr_equal(strchr(answer.body, '\n'), answer.body + answer.size - 1);
    if (answer.closes != closes)
        fail_msg("closes: %d to: %s", answer.closes, request);
    answer_done(&answer);
    if (closes)
        assert_true(peer_ends(peer, 3000));
    else
        echo(peer, "{}", 2); /* the connection lives on */
    peer_close(peer);
}

static void keep_alive(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    const unsigned char *alpn = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(peer->ssl, &alpn, &n);
    assert_int_equal(n, 8);
    assert_memory_equal(alpn, "http/1.1", 8);
    assert_string_equal(SSL_get_version(peer->ssl), "TLSv1.3");
    for (int i = 0; i < 50; i++) {
        char body[64];
        int size = snprintf(body, sizeof(body), "{\"i\":%d}", i);
        echo(peer, body, (size_t)size);
    }
    peer_close(peer);
    assert_int_equal(atomic_load(&w->counts.handled), 50);
    assert_int_equal(atomic_load(&w->counts.handshakes), 1);
    assert_true(net_server_alive(w->server));
}

static void get_and_head(void **state)
{
    struct world *w = *state;
    struct peer *peers[] = {dial(w), peer_open_plain(w->plain_port)};
    for (int i = 0; i < 2; i++) {
        struct peer *peer = peers[i];
        struct answer answer;
        for (int k = 0; k < 3; k++) {
            assert_true(peer_say(peer, "GET /hello?x=/y HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_true(peer_answer(peer, false, &answer, NULL));
            assert_int_equal(answer.status, 200);
            assert_string_equal(answer.body, "hello\n");
            assert_non_null(strstr(answer.head, "Content-Type: text/plain"));
            assert_false(answer.closes);
            answer_done(&answer);
            assert_true(peer_say(peer, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_true(peer_answer(peer, true, &answer, NULL));
            assert_int_equal(answer.status, 200);
            assert_non_null(strstr(answer.head, "Content-Length: 6"));
            answer_done(&answer);
        }
        assert_int_equal(
            peer_status(peer, "GET http://a.b:1/hello HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
        peer_close(peer);
    }
    struct peer *plain = peer_open_plain(w->plain_port);
    assert_int_equal(peer_status(plain, "POST /echo HTTP/1.1\r\nHost: a\r\n"
                                        "Content-Length: 0\r\n\r\n"),
                     404);
    peer_close(plain);
}

static void http_1_0(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    struct answer answer;
    assert_true(peer_say(peer, "GET /hello HTTP/1.0\r\n\r\n"));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "hello\n");
    answer_done(&answer);
    assert_true(peer_ends(peer, 3000));
    peer_close(peer);
    refused(w, "POST /echo HTTP/1.0\r\nContent-Type: application/json\r\n\r\n", 411,
            true);
    refused(w,
            "POST /echo HTTP/1.0\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400, true);
}

static void wrong_requests(void **state)
{
    struct world *w = *state;
#define LINE(text) text " HTTP/1.1\r\nHost: a\r\n"
    refused(w, LINE("GET /nothing") "\r\n", 404, false);
    refused(w, LINE("GET /%68ello") "\r\n", 404, false);
    refused(w, LINE("GET /hello/") "\r\n", 404, false);
    refused(w, LINE("GET /echo") "\r\n", 405, false);
    refused(w, LINE("PUT /hello") "\r\n", 405, false);
    refused(w, LINE("DELETE /echo") "\r\n", 405, false);
    refused(w, LINE("OPTIONS /echo") "\r\n", 405, false);
    refused(w, LINE("TRACE /hello") "\r\n", 405, false);
    refused(w, LINE("post /echo") "\r\n", 405, false);
    refused(w, LINE("BREW /hello") "\r\n", 405, false);
    refused(w, LINE("CONNECT a:443") "\r\n", 404, false);
    refused(w, LINE("OPTIONS *") "\r\n", 404, false);
    refused(w, LINE("POST /echo") "Content-Type: application/json\r\n\r\n", 411, false);
    refused(w, LINE("POST /echo") "Content-Length: 2\r\n\r\n{}", 415, true);
    refused(w, LINE("POST /echo") "Content-Length: 0\r\nContent-Type: text/json\r\n\r\n",
            415, false);
    refused(w,
            LINE("POST /echo") "Content-Length: 8388609\r\nContent-Type: "
                               "application/json\r\n\r\n",
            413, true);
    refused(w,
            LINE("POST /echo") "Content-Length: 99999999999999999999999\r\nContent-Type: "
                               "application/json\r\n\r\n",
            413, true);
    refused(w, LINE("POST /nothing") "Content-Length: 2\r\n\r\n{}", 404, true);
    refused(w, LINE("GET /fail") "\r\n", 500, false);
    refused(w, LINE("GET /hello") "Content-Length: 3\r\n\r\nabc", 400, true);
    refused(w, "GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505, true);
    refused(w, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, true);
    refused(w, "GET /hello HTTP/0.9\r\nHost: a\r\n\r\n", 505, true);
    refused(w, "GET /hello HTTP/1.1\r\n\r\n", 400, true); /* no Host */
    refused(w, "GET /hello\r\n\r\n", 400, true);
    refused(w, "garbage\r\n\r\n", 400, true);
    refused(w, "\r\n\r\n\r\ngarbage\r\n", 400, true);
    refused(w, "\x16\x03\x01\x02\n\r\n", 400, true);
    refused(w, LINE("GET /hello") "no colon here\r\n\r\n", 400, true);
    struct peer *peer = dial(w);
    struct answer answer;
    assert_true(peer_say(peer, LINE("DELETE /hello") "\r\n"));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_non_null(strstr(answer.head, "Allow: GET, HEAD"));
    answer_done(&answer);
    assert_true(peer_say(peer, LINE("GET /echo") "\r\n"));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_non_null(strstr(answer.head, "Allow: POST"));
    answer_done(&answer);
    /* Parameters and capitals are fine. */
    assert_int_equal(peer_status(peer,
                                 LINE("POST /echo") "Content-Length: 2\r\nContent-Type: "
                                                    "Application/JSON ;charset=utf-8"
                                                    "\r\n\r\n{}"),
                     200);
    peer_close(peer);
}

/* Wherever two readers could see two requests in the same bytes, the answer is 400 and
 * the end, and what follows is never taken for a request. */
static void smuggling(void **state)
{
    struct world *w = *state;
#define POST LINE("POST /echo") "Content-Type: application/json\r\n"
#define NEXT "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
    static const char *const attempts[] = {
        POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT,
        POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" NEXT,
        POST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" NEXT,
        POST "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" NEXT,
        POST "Content-Length: 2, 2\r\n\r\n{}" NEXT,
        POST "Content-Length: +2\r\n\r\n{}" NEXT,
        POST "Content-Length: -2\r\n\r\n{}" NEXT,
        POST "Content-Length: 0x2\r\n\r\n{}" NEXT,
        POST "Content-Length: 2 \r\n\r\n{}" NEXT,
        POST "Content-Length:\r\n\r\n" NEXT,
        POST "Content-Length : 2\r\n\r\n{}" NEXT,
        POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" NEXT,
        POST "Transfer-Encoding: identity\r\n\r\n" NEXT,
        POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" NEXT,
        POST
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" NEXT,
        POST "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n" NEXT,
        POST "Transfer-Encoding:\x0b"
             "chunked\r\n\r\n0\r\n\r\n" NEXT,
        POST "Transfer-Encoding: chunked\r\n\r\nzz\r\n" NEXT,
        POST "Transfer-Encoding: chunked\r\n\r\n2\r\n{}X\r\n0\r\n\r\n" NEXT,
        POST "Transfer-Encoding: chunked\r\n\r\n-1\r\n" NEXT,
        "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" NEXT,
        "GET /hello HTTP/1.1\r\nHost: a\r\nX\x01Y: b\r\n\r\n" NEXT,
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n" NEXT,
        "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\n" NEXT,
        "GET /hel lo HTTP/1.1\r\nHost: a\r\n\r\n" NEXT,
    };
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        struct peer *peer = dial(w);
        struct answer answer;
        assert_true(peer_say(peer, attempts[i]));
        if (!peer_answer(peer, false, &answer, NULL))
            fail_msg("no answer to: %s", attempts[i]);
        if (answer.status != 400 || !answer.closes)
            fail_msg("%u to: %s", answer.status, attempts[i]);
        answer_done(&answer);
        if (peer_answer(peer, false, &answer, NULL))
            fail_msg("a second answer to: %s", attempts[i]);
        peer_close(peer);
    }
    assert_int_equal(atomic_load(&w->counts.handled), 0);
}

static void chunked(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    struct answer answer;
    assert_true(peer_say(peer, POST "Transfer-Encoding: Chunked\r\n\r\n"
                                    "3;ext=1\r\nabc\r\n00a\r\n0123456789\r\n0\r\n"
                                    "Trailer: x\r\n\r\n" NEXT));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "abc0123456789");
    answer_done(&answer);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_string_equal(answer.body, "hello\n");
    answer_done(&answer);
    /* One byte more than the limit, without saying so before. */
    assert_true(peer_say(peer, POST "Transfer-Encoding: chunked\r\n\r\n"));
    char *part = calloc(1, 0x10000 + 16);
    memcpy(part, "10000\r\n", 7);
    memcpy(part + 7 + 0x10000, "\r\n", 2);
    for (int i = 0; i < 128; i++)
        assert_true(peer_send(peer, part, 7 + 0x10000 + 2));
    assert_true(peer_say(peer, "1\r\nx\r\n0\r\n\r\n"));
    free(part);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 413);
    assert_true(answer.closes);
    answer_done(&answer);
    assert_true(peer_ends(peer, 3000));
    peer_close(peer);
}

static void pipelined(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    struct answer answer;
    enum { COUNT = 200 };
    for (int i = 0; i < COUNT; i++) {
        char text[256];
        snprintf(text, sizeof(text), POST "Content-Length: 8\r\n\r\n%8d", i);
        assert_true(peer_say(peer, text));
    }
    assert_true(peer_say(peer, "nonsense\r\n\r\n"));
    for (int i = 0; i < COUNT; i++) {
        assert_true(peer_answer(peer, false, &answer, NULL));
        assert_int_equal(answer.status, 200);
        assert_int_equal(atoi(answer.body), i);
        answer_done(&answer);
    }
    /* The error after the last good one is not lost among the answers. */
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 400);
    answer_done(&answer);
    assert_true(peer_ends(peer, 3000));
    peer_close(peer);
}

static void sizes(void **state)
{
    struct world *w = *state;
    static const size_t sizes[] = {0,     1,     16383,  16384,   16385,   65535,
                                   65536, 65537, 200000, 1000000, 3 << 20, 8 << 20};
    char *body = malloc((8u << 20) + 1);
    for (size_t i = 0; i <= 8u << 20; i++)
        body[i] = (char)('a' + i * 7 % 26);
    struct peer *peer = dial(w);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        echo(peer, body, sizes[i]);
    /* One byte too long: the answer comes although the client sends on. */
    struct answer answer;
    assert_true(peer_post(peer, "/echo", body, (8u << 20) + 1));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 413);
    assert_true(answer.closes);
    answer_done(&answer);
    peer_close(peer);
    free(body);
}

static void expect_continue(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    struct answer answer;
    for (int i = 0; i < 3; i++) {
        unsigned continues = 0;
        assert_true(
            peer_say(peer, POST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
        char go[25];
        int n = 0;
        while (n < 25) {
            int got = SSL_read(peer->ssl, go + n, 25 - n);
            assert_true(got > 0);
            n += got;
        }
        assert_memory_equal(go, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        assert_true(peer_say(peer, "{}"));
        assert_true(peer_answer(peer, false, &answer, &continues));
        assert_int_equal(answer.status, 200);
        assert_int_equal(continues, 0);
        answer_done(&answer);
    }
    /* The final answer at once where the body will not be read. */
    assert_int_equal(peer_status(peer,
                                 LINE("POST /nothing") "Content-Length: 2\r\nExpect: "
                                                       "100-continue\r\n\r\n"),
                     404);
    peer_close(peer);
}

/* The client says all it has and closes its direction: it still gets its answer. */
static void half_close(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    struct answer answer;
    assert_true(peer_post(peer, "/slow", "{}", 2));
    SSL_shutdown(peer->ssl);
    shutdown(peer->fd, SHUT_WR);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    assert_true(peer_ends(peer, 3000));
    peer_close(peer);
    peer = dial(w); /* without close_notify */
    assert_true(peer_post(peer, "/echo", "{}", 2));
    shutdown(peer->fd, SHUT_WR);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    peer_close(peer);
    peer = dial(w); /* in the middle of a request */
    assert_true(peer_say(peer, "POST /echo HTTP/1.1\r\nHost: a\r\n"));
    SSL_shutdown(peer->ssl);
    shutdown(peer->fd, SHUT_WR);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 400);
    answer_done(&answer);
    peer_close(peer);
}

/* A byte at a time, over the boundaries of everything. */
static void trickled(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    struct answer answer;
    static const char text[] = POST "Content-Length: 7\r\n\r\n{\"a\":1}" NEXT;
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        assert_true(peer_send(peer, text + i, 1));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_string_equal(answer.body, "{\"a\":1}");
    answer_done(&answer);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_string_equal(answer.body, "hello\n");
    answer_done(&answer);
    peer_close(peer);
}

static void header_flood(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    struct answer answer;
    assert_true(peer_say(peer, "GET /hello HTTP/1.1\r\nHost: a\r\n"));
    char line[128];
    for (int i = 0; i < 4000; i++) {
        snprintf(line, sizeof(line), "X-Header-%d: some text that fills the line\r\n", i);
        if (!peer_say(peer, line))
            break;
    }
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 431);
    assert_memory_equal(answer.body, "{\"error\":\"", 10);
    answer_done(&answer);
    peer_close(peer);
    peer = dial(w);
    char *path = malloc(100000);
    memset(path, 'a', 99999);
    path[99999] = '\0';
    assert_true(peer_say(peer, "GET /"));
    peer_say(peer, path);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 414);
    answer_done(&answer);
    peer_close(peer);
    path[20000] = '\0';
    peer = dial(w);
    peer_say(peer, "GET /");
    peer_say(peer, path);
    assert_int_equal(peer_status(peer, " HTTP/1.1\r\nHost: a\r\n\r\n"), 404);
    free(path);
    peer_close(peer);
}

static void slow_reader(void **state)
{
    struct world *w = *state;
    struct peer *peer = dial(w);
    struct peer *other = dial(w);
    struct answer answer;
    assert_true(peer_post(peer, "/big", "{}", 2));
    for (int i = 0; i < 10; i++) {
        usleep(20000);
        echo(other, "{}", 2); /* nobody else waits for it */
    }
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.size, 8u << 20);
    for (size_t i = 0; i < answer.size; i += 4093)
        assert_int_equal(answer.body[i], 'x');
    answer_done(&answer);
    echo(peer, "{}", 2);
    peer_close(peer);
    peer_close(other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(keep_alive),  TEST(get_and_head), TEST(http_1_0),     TEST(wrong_requests),
        TEST(smuggling),   TEST(chunked),      TEST(pipelined),    TEST(sizes),
        TEST(half_close),  TEST(trickled),     TEST(header_flood), TEST(expect_continue),
        TEST(slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
