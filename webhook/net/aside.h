/* Requests that take long are answered aside: of those that compute for milliseconds one
 * thread of the server's does one after another, with what the workers leave of the
 * processors; of those that wait for somebody else another one. So who asks for little
 * waits for none of them, however many they are, and what they take is taken once.
 *
 * First are those who have been served before, as an API server has; of these, who has
 * had least of the thread's time lately; then who came first. But who has waited for a
 * second goes before all that have not. A worker lends a few at a time and refuses the
 * others, since who is lent keeps its place, and half only of those who were never
 * served.
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
    bool idle;                  /* runs when nobody else wants to */
    _Atomic(struct conn *) put; /* by exchange.next_aside, the last one first */
    atomic_bool stopping;
    sem_t changed;      /* counts up with each of the two */
    struct conn *queue; /* the thread's: what it took of `put`, the last one first */
    bool started;
    pthread_t thread;
};

/* Both by the thread that owns the server. `idle`: for those that compute. */
bool aside_start(struct aside *aside, struct net_server *server, bool idle,
                 struct err *err);
/* Ends after the request under way; those that wait come back without an answer. */
void aside_stop(struct aside *aside);

/* The worker's thread, or that of the other one. */
void aside_put(struct aside *aside, struct conn *conn);
/* All that have come back to this worker, by exchange.next_aside. */
struct conn *aside_back(struct worker *worker);

#endif
