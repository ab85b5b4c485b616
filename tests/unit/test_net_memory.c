/* Every allocation of the server fails in turn, while a client connects and asks. It may
 * be told 500 or 503, or lose its connection; the next one must be served, nothing may
 * leak, and the process must live. The server runs in a process of its own, because the
 * client allocates too. Once with the project's own allocations, once with OpenSSL's as
 * well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"
#include "util/mem.h"

static bool with_openssl;

static void *ssl_alloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    if (n == 0)
        return NULL; /* as OpenSSL's own does */
    return with_openssl ? mem_alloc(n) : malloc(n);
}

static void *ssl_realloc(void *old, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return with_openssl ? mem_realloc(old, n) : realloc(old, n);
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* Obeys: each number read is the allocation that shall fail (0: none); each is answered
 * by how many there were since the last. */
static void serve(int from, int to)
{
    static struct peer_counts counts;
    struct identity *identity = identity_new(NULL, "server", "localhost");
    struct net_tls *tls = identity_tls(identity);
    identity_free(identity);
    struct net_options options = peer_options(&counts);
    options.threads = 1;
    struct net_server *server = net_server_start(&options, tls, NULL);
    if (server == NULL)
        exit(91);
    unsigned long number = net_server_port(server);
    do {
        if (write(to, &number, sizeof(number)) != sizeof(number))
            exit(92);
        if (read(from, &number, sizeof(number)) != sizeof(number))
            break;
        number = mem_fail_nth(number);
    } while (true);
    mem_fail_nth(0);
    if (!net_server_alive(server))
        exit(93);
    net_server_stop(server, 1000);
    net_tls_free(tls);
    if (mem_mapped() != 0)
        exit(95);
    exit(atomic_load(&counts.connections) == 0 ? 0 : 94);
}

struct control {
    int to, from;
};

static unsigned long tell(const struct control *control, unsigned long number)
{
    assert_int_equal(write(control->to, &number, sizeof(number)), sizeof(number));
    assert_int_equal(read(control->from, &number, sizeof(number)), sizeof(number));
    return number;
}

/* One handshake, one small and one large body, one error. */
static void use(SSL_CTX *context, unsigned port, bool must_work)
{
    static char body[200000];
    memset(body, 'x', sizeof(body));
    struct peer *peer = peer_open(context, port);
    unsigned small = peer_echo(peer, "{}", 2, NULL);
    unsigned large = peer_echo(peer, body, sizeof(body), NULL);
    unsigned missing =
        peer != NULL ? peer_status(peer, "GET /no HTTP/1.1\r\nHost: a\r\n\r\n") : 0;
    peer_close(peer);
    if (must_work && (small != 200 || large != 200 || missing != 404))
        fail_msg("after the failure: %u %u %u", small, large, missing);
    assert_true(small == 200 || small == 0 || small == 500 || small == 503);
    assert_true(large == 200 || large == 0 || large == 500 || large == 503);
}

static void fail_each(unsigned long limit)
{
    int down[2], up[2];
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(down[1]);
        close(up[0]);
        serve(down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    struct control control = {.to = down[1], .from = up[0]};
    unsigned long port = 0;
    assert_int_equal(read(control.from, &port, sizeof(port)), sizeof(port));
    SSL_CTX *context = peer_context("http/1.1", NULL);
    use(context, (unsigned)port, true);
    unsigned long nth = 1;
    for (; nth < limit; nth++) {
        tell(&control, nth);
        use(context, (unsigned)port, false);
        /* The end of a connection is handled after its client has gone on. */
        if (nth % 16 == 0)
            usleep(1000);
        unsigned long seen = tell(&control, 0);
        use(context, (unsigned)port, true);
        if (seen < nth)
            break; /* there are no more than that */
    }
    close(control.to);
    close(control.from);
    SSL_CTX_free(context);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the server ended with status %d after %lu", status, nth);
    assert_true(nth > 5 && nth < limit);
}

static void own_allocations(void **state)
{
    (void)state;
    with_openssl = false;
    fail_each(200);
}

static void openssl_allocations(void **state)
{
    (void)state;
    with_openssl = true;
    fail_each(20000);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the server may close while the client writes */
    if (CRYPTO_set_mem_functions(ssl_alloc, ssl_realloc, ssl_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_allocations),
        cmocka_unit_test(openssl_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
