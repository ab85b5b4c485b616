/* The server over real sockets: good requests in all the ways in which they can come. */
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

#define LINE(text) text " HTTP/1.1\r\nHost: a\r\n"
#define POST       LINE("POST /echo") "Content-Type: application/json\r\n"
#define NEXT       "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

/* The same bytes come back, and the connection lives on. */
static void echo(struct peer *peer, const char *body, size_t n)
{
    bool closes = true;
    assert_int_equal(peer_echo(peer, body, n, &closes), 200);
    assert_false(closes);
}

/* In chunks of 64 KiB and a rest. */
static void echo_chunked(struct peer *peer, const char *body, size_t n)
{
    struct answer answer = {.status = 0};
    assert_true(peer_say(peer, POST "Transfer-Encoding: chunked\r\n\r\n"));
    for (size_t done = 0, part; done < n; done += part) {
        char line[16];
        part = n - done < 65536 ? n - done : 65536;
        snprintf(line, sizeof(line), "%zx\r\n", part);
        assert_true(peer_say(peer, line));
        assert_true(peer_send(peer, body + done, part));
        assert_true(peer_say(peer, "\r\n"));
    }
    assert_true(peer_say(peer, "0\r\n\r\n"));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    assert_false(answer.closes);
    assert_int_equal(answer.size, n);
    assert_memory_equal(answer.body, body, n);
    answer_done(&answer);
}

static void keep_alive(void **state)
{
    struct world *w = *state;
    struct peer *peer = peer_dial(w);
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
    struct peer *peers[] = {peer_dial(w), peer_open_plain(w->plain_port)};
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

static void chunked(void **state)
{
    struct world *w = *state;
    struct peer *peer = peer_dial(w);
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
    struct peer *peer = peer_dial(w);
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
        assert_int_equal(strtol(answer.body, NULL, 10), i);
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
    static const size_t sizes[] = {
        0, 1,      16383,   16384,   16385, 65535,         65536,   65537,
        5, 200000, 1000000, 3 << 20, 6,     (8 << 20) - 1, 8 << 20, 7};
    char *body = malloc((8u << 20) + 1);
    for (size_t i = 0; i <= 8u << 20; i++)
        body[i] = (char)('a' + i * 7 % 26);
    struct peer *peer = peer_dial(w);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        echo(peer, body, sizes[i]);
    for (size_t i = 1; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        echo_chunked(peer, body, sizes[i]);
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
    struct peer *peer = peer_dial(w);
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
    struct peer *peer = peer_dial(w);
    struct answer answer;
    assert_true(peer_post(peer, "/slow", "{}", 2));
    SSL_shutdown(peer->ssl);
    shutdown(peer->fd, SHUT_WR);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    assert_true(peer_ends(peer, 3000));
    peer_close(peer);
    peer = peer_dial(w); /* without close_notify */
    assert_true(peer_post(peer, "/echo", "{}", 2));
    shutdown(peer->fd, SHUT_WR);
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    peer_close(peer);
    peer = peer_dial(w); /* behind many requests at once */
    for (int i = 0; i < 20; i++)
        assert_true(peer_say(peer, NEXT));
    SSL_shutdown(peer->ssl);
    shutdown(peer->fd, SHUT_WR);
    for (int i = 0; i < 20; i++) {
        assert_true(peer_answer(peer, false, &answer, NULL));
        assert_int_equal(answer.status, 200);
        answer_done(&answer);
    }
    assert_true(peer_ends(peer, 3000));
    peer_close(peer);
    peer = peer_dial(w); /* in the middle of a request */
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
    struct peer *peer = peer_dial(w);
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

static void slow_reader(void **state)
{
    struct world *w = *state;
    struct peer *peer = peer_dial(w);
    struct peer *other = peer_dial(w);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(keep_alive), TEST(get_and_head), TEST(chunked),
        TEST(pipelined),  TEST(sizes),        TEST(expect_continue),
        TEST(half_close), TEST(trickled),     TEST(slow_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
