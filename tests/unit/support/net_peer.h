/* A blocking HTTP client with or without TLS, on loopback, for the tests of net/. It
 * hides nothing: raw bytes out, whole answers in. Every wait is bounded (PEER_WAIT_S). */
#ifndef NRW_TESTS_NET_PEER_H
#define NRW_TESTS_NET_PEER_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/unit/support/net_fixture.h"

#define PEER_WAIT_S 20

struct peer {
    int fd;
    SSL *ssl;   /* NULL: plain */
    char *data; /* received, not yet taken */
    size_t size, capacity;
    bool eof;
};
/* A context that trusts anything; `alpn` NULL or a name; `identity` NULL or shown. */
SSL_CTX *peer_context(const char *alpn, const struct identity *identity);
int peer_connect(unsigned port);
/* NULL when the handshake fails. */
struct peer *peer_open(SSL_CTX *context, unsigned port);
struct peer *peer_open_plain(unsigned port);
void peer_close(struct peer *peer);
void peer_reset(struct peer *peer); /* likewise, with a reset */
bool peer_send(struct peer *peer, const void *data, size_t n);
bool peer_say(struct peer *peer, const char *text);

struct answer {
    unsigned status;
    char head[4096]; /* terminated; without the empty line */
    char *body;
    size_t size;
    bool closes;
};
/* Reads one whole answer (100 Continue is skipped and counted in `ret_continues`, which
 * may be NULL). False at the end, on an error, or when it is none. */
bool peer_answer(struct peer *peer, bool head_only, struct answer *ret_answer,
                 unsigned *ret_continues);
void answer_done(struct answer *answer);
/* True when the server ends the connection (in order or not) within the time. */
bool peer_ends(struct peer *peer, unsigned milliseconds);

/* A POST with a body, as the API server sends it. */
bool peer_post(struct peer *peer, const char *path, const void *body, size_t n);
/* Sends and reads; the status, or 0. The body is thrown away. */
unsigned peer_status(struct peer *peer, const char *request);
/* The same with the world's client; never NULL. */
struct peer *peer_dial(const struct world *world);
/* POST /echo: the status, or 0 when there is no answer or not the same bytes. `peer` may
 * be NULL; ret_closes too. */
unsigned peer_echo(struct peer *peer, const void *body, size_t n, bool *ret_closes);

#endif
