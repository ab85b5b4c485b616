/* One connection and the bridge through it: on one side the client's socket with or
 * without TLS (stream.h), on the other an AF_UNIX socketpair whose far end libmicrohttpd
 * holds (http.h). Bytes are moved both ways without being understood; the only thing the
 * bridge adds is an answer of its own where libmicrohttpd would give none, or none of
 * ours (refusal.h). Everything here runs in the worker's thread.
 *
 * Invariants
 *   - `in` is empty or the socketpair is full: no byte is read from the client before.
 *   - `out` holds what the client has not taken yet; libmicrohttpd's end is not read
 *     before it is empty, except at the end of an answer, so that an answer and the
 *     next one's error cannot be mixed up.
 *   - All that libmicrohttpd does happens inside http_run(), caused by bytes fed or
 *     taken here; so our end of the pair is in no epoll set.
 *   - A connection is freed when its socket is closed and libmicrohttpd has said that
 *     it forgot its end (`mhd_open` is false). */
#ifndef NRW_NET_CONN_H
#define NRW_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/exchange.h"
#include "net/server.h"
#include "net/stream.h"
#include "util/buf.h"

struct worker;
struct MHD_Connection;

enum conn_state {
    CONN_HANDSHAKE, /* TLS is being agreed on; nothing on libmicrohttpd's side yet */
    CONN_OPEN,      /* requests and answers */
    CONN_LINGER,    /* all is sent and our direction closed; the rest is thrown away */
    CONN_DEAD,      /* socket closed; waits for libmicrohttpd to forget its end */
};

/* Of an open connection. */
enum conn_phase {
    CONN_IDLE,      /* idle_ms, from the last answer */
    CONN_RECEIVING, /* request_ms for the whole request */
    CONN_SENDING,   /* write_ms without progress, four times that for the whole answer */
};

struct conn {
    /* First what is looked at of all of them when room is to be made (accept.c) and when
     * deadlines are (worker.c): it shares a line of the cache, or two. */
    struct conn *prev, *next; /* all of the worker's */
    int64_t since;            /* when the phase or state began: for "oldest" */
    int64_t deadline;         /* when the present phase has lasted too long; ms */
    enum conn_state state;
    enum conn_phase phase;   /* what `deadline` watches, … */
    unsigned phase_answered; /* … in which exchange */
    unsigned answered;       /* answers completed */

    bool plain;     /* came by the metrics listener */
    bool silent;    /* has said nothing yet: is in the worker's list of those */
    bool shed;      /* over the limit: gets 503 whatever it asks */
    bool ready;     /* is in the worker's ready list */
    bool readable;  /* the client's socket may have bytes (edge-triggered) */
    bool hangup;    /* … and its end was seen: read up to it */
    bool peer_eof;  /* the client closed its direction */
    bool eof_fed;   /* and libmicrohttpd was told */
    bool mhd_open;  /* libmicrohttpd holds its end */
    bool held;      /* … and was told to wait: see http.c */
    bool queued;    /* … and is in the worker's queue to go on */
    bool its_turn;  /* … and was the first in it */
    bool aside;     /* its exchange is lent (aside.h), and libmicrohttpd … */
    bool parked;    /* … was told to wait for that */
    bool ahead;     /* more had come when the last answer ended: the next one queues */
    bool busy;      /* bytes of a request were fed and it is not answered yet */
    bool fed;       /* at least one byte was ever fed */
    bool watched;   /* the socket is watched for output, too */
    bool part;      /* the beginning of an answer left, its end has not */
    bool closing;   /* the answer under way says Connection: close */
    bool orderly;   /* its last request was a small review; nothing came with it */
    bool reviewed;  /* one was answered before */
    bool refused;   /* our own error took the place of libmicrohttpd's answer */
    struct buf out; /* for the client, not yet taken by it */
    size_t out_at;
    size_t out_budget; /* held for it of the server's budget for what is large */

    struct stream stream;
    struct net_tls *tls; /* a reference; NULL on the metrics listener */
    struct worker *worker;
    struct conn *next_ready, *next_queued;
    int pair;          /* our end of the socketpair, or -1 */
    unsigned in_turn;  /* answers completed since the connection last had its turn */
    size_t asked;      /* bytes that came since the last answer */
    int64_t answer_by; /* a hard end for the answer under way */
    struct MHD_Connection *mhd;
    uint64_t stirred_at; /* worker->http_runs when it was last given something to do */
    struct buf in;       /* from the client, not yet taken by libmicrohttpd */
    size_t in_at;
    struct exchange exchange; /* the request under way */
};

/* Takes the descriptor (closed on failure). NULL when out of memory. */
struct conn *conn_new(struct worker *worker, int fd, bool plain);

/* Moves what can be moved without waiting. True when something was moved, so that it is
 * worth another turn after http_run(). */
bool conn_step(struct conn *conn, int64_t now);

/* libmicrohttpd finished an answer (from inside http_run): takes what it wrote, sends it.
 */
void conn_answered(struct conn *conn, bool complete);
/* libmicrohttpd closed its end and forgot the connection. */
void conn_forgotten(struct conn *conn);

/* Answers `status` in place of libmicrohttpd, then closes. Only before an answer began.
 */
void conn_refuse(struct conn *conn, unsigned status, int64_t now);

/* The deadline has passed: 408 where something is owed, else just the end. */
void conn_timeout(struct conn *conn, int64_t now);

/* Closes politely: close_notify, FIN, waits for the client's. */
void conn_finish(struct conn *conn, int64_t now);

/* Closes both sockets at once. conn_reap() frees it after the next http_run(). */
void conn_kill(struct conn *conn);
bool conn_reapable(const struct conn *conn);
void conn_free(struct conn *conn);

/* Open, and neither request nor answer under way. */
bool conn_idle(const struct conn *conn);

/* Is it looked at before the others? Who has had an answer to a review and asks the next
 * one now, alone and not large, as an API server does. */
#define CONN_FIRST_BYTES (24u * 1024u)
bool conn_first(const struct conn *conn);

#endif
