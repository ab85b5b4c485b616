/* One request and its answer, as libmicrohttpd's callbacks build it up (http.c). Lives in
 * its connection; one at a time, since libmicrohttpd answers in order. */
#ifndef NRW_NET_EXCHANGE_H
#define NRW_NET_EXCHANGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/server.h"
#include "util/buf.h"

/* No path of ours is nearly as long; a longer one is not found. */
#define EXCHANGE_PATH_MAXIMUM 256u

struct conn;

struct exchange {
    bool begun;     /* the request line was read */
    bool checked;   /* the header was looked at */
    bool expects;   /* libmicrohttpd will ask for the body (100 Continue) */
    bool queued;    /* an answer was given to libmicrohttpd */
    bool review;    /* … and it is a 200 to a POST */
    unsigned error; /* status to answer in place of calling the handler, or 0 */
    enum net_method method;
    enum net_route route;
    char path[EXCHANGE_PATH_MAXIMUM];
    size_t path_size;
    size_t length; /* of the body, as the header says; SIZE_MAX in chunks */
    struct buf body;
    bool mapped;   /* the body has pages of its own: all that it may ever need */
    size_t small;  /* bytes of it, or of its beginning, that are counted as small ones */
    size_t budget; /* bytes of the server's budget for what is large that are held */
    bool back;     /* it was answered aside (aside.h): by `answer`, … */
    bool answered; /* … unless there was no time for it */
    bool known;    /* the connection had an answer to a review before */
    atomic_bool gone;     /* nobody waits for the answer any more */
    int64_t aside_before; /* ns; what the connection's requests took aside lately, … */
    int64_t aside_time;   /* … with this one, … */
    int64_t aside_last;   /* … and when the last one of them came */
    struct net_request request;
    struct net_response answer;
    struct conn *next_aside;
};

#endif
