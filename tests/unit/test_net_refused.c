/* The server over real sockets: requests that are wrong, and what they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support/net_peer.h"

#define LINE(text) text " HTTP/1.1\r\nHost: a\r\n"
#define POST       LINE("POST /echo") "Content-Type: application/json\r\n"
#define NEXT       "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

/* The request gets this status and one line of JSON, on a connection of its own. */
static void refused(const struct world *w, const char *request, unsigned status,
                    bool closes)
{
    struct peer *peer = peer_dial(w);
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
        assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200); /* it lives on */
    peer_close(peer);
}

static void http_1_0(void **state)
{
    struct world *w = *state;
    struct peer *peer = peer_dial(w);
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
    struct peer *peer = peer_dial(w);
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
        struct peer *peer = peer_dial(w);
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

static void header_flood(void **state)
{
    struct world *w = *state;
    struct peer *peer = peer_dial(w);
    struct answer answer;
    /* A proxy may add a chain of certificates. */
    static char line_of_proxy[24u * 1024u];
    memset(line_of_proxy, 'a', sizeof(line_of_proxy) - 1);
    assert_true(
        peer_say(peer, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Forwarded-Client-Cert: ") &&
        peer_say(peer, line_of_proxy) && peer_say(peer, "\r\n\r\n"));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
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
    peer = peer_dial(w);
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
    peer = peer_dial(w);
    peer_say(peer, "GET /");
    peer_say(peer, path);
    assert_int_equal(peer_status(peer, " HTTP/1.1\r\nHost: a\r\n\r\n"), 404);
    free(path);
    peer_close(peer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(http_1_0),
        TEST(wrong_requests),
        TEST(smuggling),
        TEST(header_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
