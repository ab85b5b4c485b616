/* What a request's header says about its body, and whether it says it in one way only.
 * libmicrohttpd 0.9.75 is tolerant (RFC 9112 leaves it the choice); where two readers
 * could differ about where a request ends, ours refuses. The worker's thread. */
#ifndef NRW_NET_HEAD_H
#define NRW_NET_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "util/str.h"

struct MHD_Connection;

struct head {
    bool malformed;   /* 400: see head.c for the reasons */
    bool has_length;  /* Content-Length is there; its value below */
    bool too_long;    /* … and more than fits in 64 bits */
    uint64_t length;  /* 0 without it */
    bool chunked;     /* Transfer-Encoding: chunked */
    bool json;        /* Content-Type is application/json */
    bool wants_close; /* Connection: close, or HTTP/1.0 */
    bool expects;     /* Expect: 100-continue will be answered by libmicrohttpd */
};

void head_read(struct MHD_Connection *connection, const char *version,
               struct head *ret_head);

/* The path in a request target: without the query, and without scheme and authority where
 * it has the absolute form (RFC 9112, 3.2.2). */
struct str head_path(struct str target);

/* "application/json", any case, with or without parameters. */
bool head_is_json(struct str content_type);

#endif
