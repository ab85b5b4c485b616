/* Throw-away certificates and a server with a simple handler, for the tests of net/. All
 * on loopback, ports chosen by the kernel. */
#ifndef NRW_TESTS_NET_FIXTURE_H
#define NRW_TESTS_NET_FIXTURE_H

#include <openssl/types.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/server.h"

/* Trouble on the tests' own side is no test result: says so and aborts. */
void must(bool good, const char *what);
/* What this process has in memory now. */
long resident_kib(void);

/* --- certificates ------------------------------------------------------------- */

struct identity {
    X509 *certificate;
    STACK_OF(X509) * chain; /* the certificate alone */
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
    atomic_uintptr_t body_at;         /* where the last body of /size lay */
    atomic_long aside, aside_at_once; /* now, and the most of them, … */
    atomic_long aside_ever, waited_ever;
};
/* Paths: POST /echo gives the body back, POST /size its size, POST /slow waits 200 ms,
 * POST /aside does so in the thread for what takes long, POST /wait in that for what
 * waits, POST /both in the latter and then in the former, POST /big?N… answers 8 MiB of
 * 'x', GET /hello says "hello\n", GET /fail leaves an empty 500. On the metrics listener
 * only /hello. */
struct net_options peer_options(struct peer_counts *counts);
/* A server with them and these certificates; it must start. */
struct net_server *peer_server(struct peer_counts *counts, struct net_tls *tls);

/* --- all of it together --- */

struct world {
    struct peer_counts counts;
    struct identity *identity;
    struct net_options options;
    struct net_server *server; /* NULL once a test has stopped it */
    SSL_CTX *client;
    unsigned port, plain_port;
};
/* For cmocka_unit_test_setup_teardown: two workers and all defaults. The second fails
 * when a connection was counted in and not out. */
int world_set_up(void **state);
int world_tear_down(void **state);
/* The same by hand, with other options. world_stop returns how long that took (ms). */
struct world *world_new(void (*adjust)(struct net_options *options));
void one_worker(struct net_options *options); /* Likewise: one worker, whose requests take
                                                 as long as the test says. */
void with_gates(struct net_options *options);
extern struct gates {
    sem_t entered, go; /* POST /slow: it is there, and may go on to its 200 ms */
    sem_t go_aside;    /* each one that is answered aside: POST /aside, no other */
} gates;
/* for it */
long world_stop(struct world *world, unsigned wait_ms);
bool world_free(struct world *world);

#endif
