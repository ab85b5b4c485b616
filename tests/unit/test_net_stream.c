/* A stream by itself, over a socketpair: in which parts it shakes hands, and what it says
 * of bytes that have come and are not read yet. The worker forgets a socket that is empty
 * until the next event: a wrong word here is a request that waits for ever, or one that
 * counts as more than one. */
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

/* The thread sanitizer does not know that OpenSSL changes stacks: see net/tls.c. */
#ifdef __SANITIZE_THREAD__
#define IN_PARTS 0
#else
#define IN_PARTS 1
#endif

/* Nothing has been said yet. With `clients`, each shows the server's own certificate. */
static void pair_begin(struct pair *pair, int version, bool clients)
{
    int fds[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0, "socketpair");
    *pair = (struct pair){.identity = identity_new(NULL, "server", "localhost"),
                          .fd = fds[1],
                          .stream = {.fd = fds[0]}};
    const struct net_tls_options options = {
        .chain = pair->identity->chain,
        .key = pair->identity->key,
        .client_ca_pem = clients ? str_of(pair->identity->cert_pem) : str_null()};
    pair->tls = net_tls_new(&options, NULL);
    must(pair->tls != NULL, "net_tls_new");
    pair->context = peer_context(NULL, clients ? pair->identity : NULL);
    must(SSL_CTX_set_max_proto_version(pair->context, version) == 1, "version");
    pair->client = SSL_new(pair->context);
    pair->stream.ssl = net_tls_session(pair->tls, fds[0]);
    must(pair->client != NULL && pair->stream.ssl != NULL, "SSL_new");
    if (IN_PARTS && !clients) /* also where net_tls_new leaves it: see net/tls.c */
        SSL_set_mode(pair->stream.ssl, SSL_MODE_ASYNC);
    stream_guard(&pair->stream);
    must(SSL_set_fd(pair->client, fds[1]) == 1, "SSL_set_fd");
}

/* How often the server's side paused. */
static unsigned pair_shake(struct pair *pair)
{
    unsigned pauses = 0;
    for (int i = 0; i < 20 && !pair->stream.handshaken; i++) {
        if (!pair->stream.paused)
            (void)SSL_connect(pair->client);
        enum stream_result result = stream_handshake(&pair->stream);
        must(result != STREAM_ERROR && result != STREAM_HTTP, "the handshake");
        must((result == STREAM_PAUSE) == pair->stream.paused, "what is paused says so");
        pauses += result == STREAM_PAUSE;
    }
    must(pair->stream.handshaken && SSL_connect(pair->client) == 1, "the handshake");
    return pauses;
}

static void pair_open(struct pair *pair)
{
    pair_begin(pair, TLS1_3_VERSION, false);
    (void)pair_shake(pair);
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

/* A request does not wait for all of a handshake: it pauses after the key exchange and
 * after a signature. */
static void handshake_in_parts(void **state)
{
    (void)state;
    static const struct {
        int version;
        bool clients;
        unsigned pauses;
    } cases[] = {
        {TLS1_3_VERSION, false, 2},
        {TLS1_2_VERSION, false, 2},
        /* Who shows a certificate has it parsed and verified in no small stack. */
        {TLS1_3_VERSION, true, 0},
        {TLS1_2_VERSION, true, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair pair;
        pair_begin(&pair, cases[i].version, cases[i].clients);
        unsigned pauses = pair_shake(&pair);
        assert_int_equal(pauses, IN_PARTS ? cases[i].pauses : 0);
        say(&pair, "hello");
        hear(&pair, "hello");
        pair_close(&pair);
    }
}

/* Whoever is closed in the middle of a handshake leaves nothing behind (the address
 * sanitizer looks), and the next one in this thread is served. */
static void closed_in_the_middle(void **state)
{
    (void)state;
    for (unsigned after = 0; after <= 2; after++) {
        struct pair pair;
        pair_begin(&pair, TLS1_3_VERSION, false);
        must(SSL_connect(pair.client) < 0, "the hello");
        for (unsigned i = 0; i < after; i++)
            assert_int_equal(stream_handshake(&pair.stream),
                             IN_PARTS ? STREAM_PAUSE : STREAM_WAIT);
        assert_int_equal(pair.stream.paused, IN_PARTS && after > 0);
        pair_close(&pair);
        assert_false(pair.stream.paused);
    }
    struct pair pair;
    pair_open(&pair);
    pair_close(&pair);
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

/* Whoever sends the second hello in the pause before it is asked for would have OpenSSL
 * make room for what it announces: it is left where it is until it was looked at. */
static void no_second_hello_is_read_unseen(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct pair pair;
        char bytes[16];
        pair_begin(&pair, TLS1_3_VERSION, false);
        must(SSL_set1_groups_list(pair.client, "P-521:P-256") == 1, "groups");
        must(SSL_connect(pair.client) < 0, "the hello");
        assert_int_equal(stream_handshake(&pair.stream),
                         IN_PARTS ? STREAM_PAUSE : STREAM_WAIT);
        assert_true(pair.stream.retried);
        assert_false(pair.stream.hello_seen);
        if (early) {
            must(write(pair.fd, "\x16\x03\x03\x20\x00\x01\x01\xff\xff", 9) == 9, "write");
            assert_int_equal(stream_handshake(&pair.stream), STREAM_WAIT);
            assert_int_equal(recv(pair.stream.fd, bytes, sizeof(bytes), MSG_PEEK), 9);
        } else {
            assert_int_equal(stream_handshake(&pair.stream), STREAM_WAIT);
            must(SSL_connect(pair.client) < 0, "the second hello");
            assert_int_equal(stream_handshake(&pair.stream), STREAM_WAIT);
            assert_int_equal(recv(pair.stream.fd, bytes, sizeof(bytes), MSG_PEEK),
                             sizeof(bytes));
            pair.stream.hello_seen = true; /* as the connection does */
            (void)pair_shake(&pair);
            say(&pair, "hello");
            hear(&pair, "hello");
        }
        pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_in_parts),
        cmocka_unit_test(closed_in_the_middle),
        cmocka_unit_test(no_second_hello_is_read_unseen),
        cmocka_unit_test(empty_after_the_last_record),
        cmocka_unit_test(not_empty_while_more_comes),
        cmocka_unit_test(an_end_is_not_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
