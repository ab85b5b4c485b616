/* What the tests of net/ need on the other side: throw-away certificates, a server with a
 * simple handler, and a blocking client with or without TLS, all on loopback. Every wait
 * is bounded (PEER_WAIT_S). */
#ifndef NRW_TESTS_NET_PEER_H
#define NRW_TESTS_NET_PEER_H

#include <openssl/types.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/server.h"

#define PEER_WAIT_S 20

/* --- certificates ------------------------------------------------------------- */

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
    char *cert_pem, *key_pem;
};
/* Self-signed when `issuer` is NULL. `dns` may be NULL. ECDSA P-256, valid for a day. */
struct identity *identity_new(const struct identity *issuer, const char *common_name,
                              const char *dns);
void identity_free(struct identity *identity);
/* A configuration without client certificates; never NULL. */
struct net_tls *identity_tls(const struct identity *identity);

/* --- server ------------------------------------------------------------------- */

struct peer_counts {
    atomic_long handled, handshakes, failed_handshakes, errors, connections;
    atomic_uint last_error;
};
/* Paths: POST /echo gives the body back, POST /size its size, POST /slow waits 200 ms,
 * POST /big?N… answers 8 MiB of 'x', GET /hello says "hello\n", GET /fail leaves an empty
 * 500. On the metrics listener only /hello. */
struct net_options peer_options(struct peer_counts *counts);

/* --- client ------------------------------------------------------------------- */

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

#endif
