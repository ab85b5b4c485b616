/* Requests that take milliseconds are answered aside: one thread of the server's does one
 * after another, first come first, with what the workers leave of the processors. So who
 * asks for little waits for none of them, however many they are, and what they take is
 * taken once.
 *
 * A worker lends the exchange of a connection (its request, its body, its answer) with
 * aside_put and does not touch it before it has come back; the connection may end
 * meanwhile, but is not freed. Nothing is allocated, so nothing can fail. */
#ifndef NRW_NET_ASIDE_H
#define NRW_NET_ASIDE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "util/err.h"

struct conn;
struct worker;
struct net_server;

struct aside {
    struct net_server *server;
    _Atomic(struct conn *) put; /* by exchange.next_aside, the last one first */
    atomic_bool stopping;
    sem_t changed;      /* counts up with each of the two */
    struct conn *queue; /* the thread's: what it took of `put`, the first one first */
    bool started;
    pthread_t thread;
};

/* Both by the thread that owns the server. */
bool aside_start(struct aside *aside, struct net_server *server, struct err *err);
/* Ends after the request under way; those that wait come back without an answer. */
void aside_stop(struct aside *aside);

/* The worker's thread. */
void aside_put(struct conn *conn);
/* All that have come back to this worker, by exchange.next_aside. */
struct conn *aside_back(struct worker *worker);

#endif
