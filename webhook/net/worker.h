/* A worker: one thread, one epoll set, its own listener (SO_REUSEPORT lets the kernel
 * deal connections out), its own libmicrohttpd daemon, and all connections that came in
 * by it. Nothing of a worker is touched by another thread, except what is atomic here. */
#ifndef NRW_NET_WORKER_H
#define NRW_NET_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/aside.h"
#include "net/conn.h"
#include "net/server.h"

struct MHD_Daemon;

#define NET_SCRATCH 65536u

/* A list that is appended to and taken from at its head. */
struct conns {
    struct conn *head, *last;
};

struct worker {
    struct net_server *server;
    unsigned index;
    pthread_t thread;
    bool started;
    atomic_int_least64_t last_turn; /* ms; read by net_server_alive */

    int epoll_fd, wake_fd;
    int listen_fd, metrics_fd; /* -1 where there is none */
    int spare_fd;              /* given up to accept-and-close when descriptors ran out */
    struct MHD_Daemon *daemon;
    bool http_pending;   /* http_run has something to do */
    uint64_t http_runs;  /* how often it ran */
    struct conn *adding; /* between MHD_add_connection and its callback */

    struct conn *all, *dead;  /* doubly linked, newest first */
    struct conn *silent;      /* likewise: who has said nothing yet is not in `all` … */
    struct conn *oldest;      /* … and the last of them */
    struct conns first, rest; /* with something to do: see conn_first */
    uint64_t rest_added, rest_taken;
    bool accepting;                  /* somebody knocks, … */
    bool knocks, knocks_plain;       /* … on which listener, … */
    uint64_t accept_at;              /* … to be let in after so many of `rest` */
    uint64_t go_on_at;               /* likewise, of `queue` */
    struct conn *queue, *queue_last; /* with a pipelined request, to go on in turn */
    /* What comes back from the threads aside. That it wakes us says no more than look:
     * the wake-up may be spent by a turn that still deals with those before. */
    _Atomic(struct conn *) back;
    struct conn *returned; /* what was taken of it, by exchange.next_aside */
    unsigned lent;         /* to them */
    unsigned count;        /* of `all` on the TLS listener */
    unsigned plain_count;  /* and on the metrics listener */
    unsigned silent_count; /* of `silent` */
    unsigned peak;         /* of all, since memory was last given back to the system */
    struct scrap *scrap;   /* bodies that are being given back: http.c */
    size_t small;          /* bytes of small bodies, and of the beginnings of others */
    unsigned large_wanted; /* of the server, when it was last looked at */
    size_t given_back;     /* bytes of large bodies, since then */
    int64_t now;           /* ms; of this turn */
    int64_t slice_end;     /* ns; until then those that do not go first have their turn */
    int64_t owed;          /* ns; what they have not had yet of their third of the time */
    int64_t next_scan;     /* when the first deadline may have passed */
    bool stopping;

    char scratch[NET_SCRATCH]; /* bytes on their way; valid for one call */
};

struct net_server {
    struct net_handlers handlers;
    unsigned threads;
    unsigned max_connections; /* per worker */
    unsigned max_silent;      /* likewise, of those that have said nothing */
    int64_t handshake_ms, idle_ms, request_ms, write_ms;
    unsigned port, metrics_port;
    atomic_bool draining, stopping;
    atomic_int_least64_t stop_by; /* ms; set before `stopping` */
    size_t small_maximum, large_maximum;
    atomic_size_t large;      /* bytes of bodies and answers beyond the small ones */
    atomic_uint large_wanted; /* counts up when one was refused, and, in ms, … */
    atomic_int_least64_t large_wanted_at; /* … when it did last */
    pthread_mutex_t lock;                 /* of `tls` */
    struct net_tls *tls;
    struct aside aside_long, aside_waits; /* NET_LONG, NET_WAITS */
    struct worker *workers;
};

/* Opens what it needs; `listen_fd` and `metrics_fd` (or -1) become the worker's. */
bool worker_init(struct worker *worker, struct net_server *server, unsigned index,
                 struct err *err);
void worker_done(struct worker *worker); /* the thread has ended or never began */
bool worker_turn(struct worker *worker); /* waits at most a second; false at the end */
void *worker_main(void *context);        /* turns till the end; for pthread_create */
void worker_wake(struct worker *worker); /* from any thread */

/* --- for the connections ------------------------------------------------------ */

/* Puts it into the list of those that have something to do. */
void worker_ready(struct worker *worker, struct conn *conn);
/* Its next pipelined request may be answered, when its turn comes. */
void worker_queue(struct worker *worker, struct conn *conn);
/* From now on an event comes when there is room to write, too. Not from the start: most
 * answers fit, and each would cost a wake-up. */
void worker_watch_output(struct worker *worker, struct conn *conn);
/* A deadline at `when` exists. */
void worker_deadline(struct worker *worker, int64_t when);
/* It has said something: from `silent` to `all`, where there is room, or is made; else it
 * is told 503 or, beyond that, closed. */
void worker_hear(struct worker *worker, struct conn *conn);
/* The connection's socket is closed: to `dead`. */
void worker_bury(struct worker *worker, struct conn *conn);
/* Closes the connection that is worth least. False when all are at work. */
bool worker_relieve(struct worker *worker);
/* The same of those that hold a part of a body. */
bool worker_relieve_bodies(struct worker *worker);
/* The same of those with large ones, where somebody was refused for want of room. */
void worker_relieve_large(struct worker *worker);

/* Is there room for it among those that said something? It may be as one that is told 503
 * (conn->shed). */
bool worker_has_room(struct worker *worker, struct conn *conn);

/* Takes in a new one. False when it cannot be watched; it is in the lists either way. */
bool worker_adopt(struct worker *worker, struct conn *conn);

/* --- accept.c ----------------------------------------------------------------- */

/* Takes in what waits on a listener, within the limits and the slice; all of it when the
 * worker is stopping. */
void worker_accept(struct worker *worker, int listen_fd, bool plain);

#endif
