/* A ClientHello that announces more than any client says is refused before there is room
 * for it, the first one and the one after a HelloRetryRequest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/hello.h"
#include "tests/unit/support/net_peer.h"
#include "util/attr.h"

static const struct {
    const char *bytes;
    size_t n;
    bool again;
    enum hello hello;
} rows[] = {
    {"", 0, false, HELLO_NONE},
    {"\x16", 1, false, HELLO_WAIT},
    {"\x16\x03\x01\x02\x00\x01\x00\x01", 8, false, HELLO_WAIT},
    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9, false, HELLO_GOOD},
    {"\x16\x03\x01\x02\x00\x01\x00\x20\x00", 9, false, HELLO_GOOD},
    {"\x16\x03\x01\x02\x00\x01\x00\x20\x01", 9, false, HELLO_LARGE},
    {"\x16\x03\x01\x02\x00\x01\x01\x00\x00", 9, false, HELLO_LARGE},
    {"\x16\x03\x01\x02\x00\x01\xff\xff\xff", 9, false, HELLO_LARGE},
    /* The length in a record of its own. */
    {"\x16\x03\x01\x00\x01\x01\x16\x03\x01", 9, false, HELLO_LARGE},
    {"\x16\x03\x01\x00\x04\x01\x00\x01\xfc", 9, false, HELLO_GOOD},
    {"G", 1, false, HELLO_GOOD},
    {"\x15\x03\x01\x00\x02\x01\x00", 7, false, HELLO_GOOD},
    {"\x14\x03\x03\x00\x01\x01\x16\x03\x03\x02\x00\x01\x01\x00\x00", 15, false,
     HELLO_GOOD}, /* OpenSSL refuses it */
    {"\x14\x03\x03\x00\x01\x01", 6, true, HELLO_WAIT},
    {"\x14\x03\x03\x00\x01\x01\x16\x03\x03\x02\x00\x01\x00\x01", 14, true, HELLO_WAIT},
    {"\x14\x03\x03\x00\x01\x01\x16\x03\x03\x02\x00\x01\x00\x01\xfc", 15, true,
     HELLO_GOOD},
    {"\x14\x03\x03\x00\x01\x01\x16\x03\x03\x02\x00\x01\x01\x00\x00", 15, true,
     HELLO_LARGE},
    {"\x16\x03\x03\x02\x00\x01\x01\x00\x00", 9, true, HELLO_LARGE},
    {"\x14\x03\x03\x00\x01\x01\x14", 7, true, HELLO_LARGE},
    {"\x15\x03\x03\x00\x02\x01\x5a", 7, true, HELLO_LARGE},
};

static void what_the_bytes_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        assert_int_equal(write(ends[0], rows[i].bytes, rows[i].n), (ssize_t)rows[i].n);
        enum hello hello = hello_look(ends[1], rows[i].again);
        if (hello != rows[i].hello)
            fail_msg("row %zu: %d", i, (int)hello);
        close(ends[0]);
        close(ends[1]);
    }
    assert_int_equal(hello_look(-1, false), HELLO_END);
}

/* Its first group is none of the server's: a second hello will be asked for. */
static SSL_CTX *to_be_retried(void)
{
    SSL_CTX *context = peer_context("http/1.1", NULL);
    char groups[] = "P-521:P-256";
    assert_int_equal(SSL_CTX_set1_groups_list(context, groups), 1);
    return context;
}

static void a_second_hello_is_fine(void **state)
{
    struct world *w = *state;
    SSL_CTX *context = to_be_retried();
    struct peer *peer = peer_open(context, w->port);
    assert_non_null(peer);
    assert_int_equal(peer_echo(peer, "{}", 2, NULL), 200);
    peer_close(peer);
    SSL_CTX_free(context);
}

enum { ONLY_SECOND = 65300, EXTENSION = 9000 };

static int add(SSL *ssl, unsigned type, unsigned where, const unsigned char **out,
               size_t *size, X509 *certificate, size_t chain_at, int *alert,
               void *context)
{
    (void)ssl, (void)type, (void)where, (void)certificate, (void)chain_at, (void)alert;
    static unsigned char zeros[EXTENSION];
    unsigned *hellos = context;
    *out = zeros;
    *size = sizeof(zeros);
    return (*hellos)++ > 0;
}

static void but_no_large_one(void **state)
{
    struct world *w = *state;
    unsigned hellos = 0;
    SSL_CTX *context = to_be_retried();
    assert_int_equal(SSL_CTX_add_custom_ext(context, ONLY_SECOND, SSL_EXT_CLIENT_HELLO,
                                            add, NULL, &hellos, NULL, NULL),
                     1);
    assert_null(peer_open(context, w->port));
    assert_int_equal(hellos, 2);
    assert_null(peer_open(context, w->port)); /* and none at first */
    assert_int_equal(hellos, 3);
    SSL_CTX_free(context);
}

/* Who sends more before it was asked for a second one would have it read unseen. */
static void nor_one_out_of_turn(void **state)
{
    struct world *w = *state;
    for (int more = 0; more < 2; more++) {
        SSL_CTX *context = to_be_retried();
        SSL *ssl = SSL_new(context);
        assert_non_null(ssl);
        BIO *from = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl, from, to);
        assert_int_equal(SSL_connect(ssl), -1);
        char hello[2048];
        int n = BIO_read(to, hello, sizeof(hello) - 16);
        assert_in_range(n, 100, sizeof(hello) - 17);
        if (more) {
            memcpy(hello + n, "\x16\x03\x03\x20\x00\x01\x01\xff\xff", 9);
            n += 9;
        }
        struct peer *peer = peer_open_plain(w->port);
        assert_true(peer_send(peer, hello, (size_t)n));
        assert_int_equal(peer_ends(peer, 500), more);
        peer_close(peer);
        SSL_free(ssl);
        SSL_CTX_free(context);
    }
}

#define ANNOUNCED "\x16\x03\x03\x00\x04\x01\x01\xff\xff"
#define CHANGE    "\x14\x03\x03\x00\x01\x01"
#define CANCELLED "\x15\x03\x03\x00\x02\x01\x5a"

static void ends_after(struct peer *peer, const char *bytes, size_t n)
{
    assert_true(peer_send(peer, bytes, n));
    if (!peer_ends(peer, 500))
        fail_msg("it waits for more behind the record of type %d", bytes[0]);
}

/* OpenSSL passes over some records, and would read what is behind them unseen. */
static void nor_one_behind_something_else(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *bytes;
        size_t n;
    } hidden[] = {
        {CHANGE CHANGE ANNOUNCED, sizeof(CHANGE CHANGE ANNOUNCED) - 1},
        {CANCELLED ANNOUNCED, sizeof(CANCELLED ANNOUNCED) - 1},
        {CHANGE CANCELLED ANNOUNCED, sizeof(CHANGE CANCELLED ANNOUNCED) - 1},
    };
    struct peer *peer = peer_open_plain(w->port);
    ends_after(peer, CANCELLED ANNOUNCED, sizeof(CANCELLED ANNOUNCED) - 1);
    peer_close(peer);
    for (size_t i = 0; i < NRW_COUNT(hidden); i++) {
        SSL_CTX *context = to_be_retried();
        SSL *ssl = SSL_new(context);
        assert_non_null(ssl);
        peer = peer_open_plain(w->port);
        char hello[2048], retry[2048];
        BIO *from = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl, from, to);
        assert_int_equal(SSL_connect(ssl), -1);
        int n = BIO_read(to, hello, sizeof(hello));
        assert_in_range(n, 100, sizeof(hello) - 1);
        assert_true(peer_send(peer, hello, (size_t)n));
        assert_true(recv(peer->fd, retry, sizeof(retry), 0) > 0);
        ends_after(peer, hidden[i].bytes, hidden[i].n);
        peer_close(peer);
        SSL_free(ssl);
        SSL_CTX_free(context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_bytes_say),
        cmocka_unit_test_setup_teardown(a_second_hello_is_fine, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(but_no_large_one, world_set_up, world_tear_down),
        cmocka_unit_test_setup_teardown(nor_one_out_of_turn, world_set_up,
                                        world_tear_down),
        cmocka_unit_test_setup_teardown(nor_one_behind_something_else, world_set_up,
                                        world_tear_down),
    };
    return cmocka_run_group_tests_name("net_hello", tests, NULL, NULL);
}
