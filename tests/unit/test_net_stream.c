/* A stream by itself, over a socketpair: what it says of bytes that have come and are not
 * read yet. The worker forgets a socket that is empty until the next event: a wrong word
 * here is a request that waits for ever, or one that counts as more than one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream.h"
#include "net/tls.h"
#include "tests/unit/support/net_peer.h"

struct pair {
    struct identity *identity;
    struct net_tls *tls;
    SSL_CTX *context;
    SSL *client;
    int fd; /* the client's */
    struct stream stream;
};

static void pair_open(struct pair *pair)
{
    int fds[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0, "socketpair");
    *pair = (struct pair){.identity = identity_new(NULL, "server", "localhost"),
                          .fd = fds[1],
                          .stream = {.fd = fds[0]}};
    pair->tls = identity_tls(pair->identity);
    pair->context = peer_context(NULL, NULL);
    pair->client = SSL_new(pair->context);
    pair->stream.ssl = net_tls_session(pair->tls, fds[0]);
    must(pair->client != NULL && pair->stream.ssl != NULL, "SSL_new");
    stream_guard(&pair->stream);
    must(SSL_set_fd(pair->client, fds[1]) == 1, "SSL_set_fd");
    for (int i = 0; i < 10; i++) {
        (void)SSL_connect(pair->client);
        if (stream_handshake(&pair->stream) == STREAM_DONE)
            break;
    }
    must(pair->stream.handshaken, "the handshake");
}

static void pair_close(struct pair *pair)
{
    stream_close(&pair->stream);
    SSL_free(pair->client);
    close(pair->fd);
    SSL_CTX_free(pair->context);
    net_tls_free(pair->tls);
    identity_free(pair->identity);
}

static void say(struct pair *pair, const char *text)
{
    must(SSL_write(pair->client, text, (int)strlen(text)) == (int)strlen(text), "write");
}

static void hear(struct pair *pair, const char *want)
{
    char got[64];
    size_t n = 0;
    assert_int_equal(stream_read(&pair->stream, got, sizeof(got), &n), STREAM_DONE);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(got, want, n);
}

/* Records that come together are read one by one: only after the last is it empty. */
static void empty_after_the_last_record(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair);
    static const char *const records[] = {"one", "two", "three", "four"};
    for (size_t round = 0; round < 2; round++) {
        assert_true(stream_is_empty(&pair.stream));
        for (size_t i = 0; i < 4; i++)
            say(&pair, records[i]);
        for (size_t i = 0; i < 4; i++) {
            assert_false(stream_is_empty(&pair.stream));
            hear(&pair, records[i]);
        }
        assert_true(stream_is_empty(&pair.stream));
    }
    pair_close(&pair);
}

/* What comes after the last read is seen, also half a record of it. */
static void not_empty_while_more_comes(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair);
    say(&pair, "one");
    hear(&pair, "one");
    say(&pair, "two");
    assert_false(stream_is_empty(&pair.stream));
    hear(&pair, "two");
    assert_true(stream_is_empty(&pair.stream));
    SSL_shutdown(pair.client);
    assert_false(stream_is_empty(&pair.stream));
    char byte;
    size_t n;
    assert_int_equal(stream_read(&pair.stream, &byte, 1, &n), STREAM_EOF);
    pair_close(&pair);

    pair_open(&pair);
    must(write(pair.fd, "\x17\x03\x03", 3) == 3, "write"); /* a record's first bytes */
    assert_false(stream_is_empty(&pair.stream));
    assert_int_equal(stream_read(&pair.stream, &byte, 1, &n), STREAM_WAIT);
    assert_false(stream_is_empty(&pair.stream)); /* OpenSSL holds them */
    pair_close(&pair);
}

/* An end that came is not nothing: it has to be read. */
static void an_end_is_not_empty(void **state)
{
    (void)state;
    struct pair pair;
    pair_open(&pair);
    must(shutdown(pair.fd, SHUT_WR) == 0, "shutdown");
    assert_false(stream_is_empty(&pair.stream));
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_after_the_last_record),
        cmocka_unit_test(not_empty_while_more_comes),
        cmocka_unit_test(an_end_is_not_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
