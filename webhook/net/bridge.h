/* The bytes of one open connection between the client's stream and libmicrohttpd's end of
 * the socketpair. conn.h has the picture and the invariants, conn.c the connection's
 * life; here is what moves. The worker's thread. */
#ifndef NRW_NET_BRIDGE_H
#define NRW_NET_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "net/conn.h"

/* `in` holds one read; `out` one read, and at an answer's end what a socketpair holds. */
#define BRIDGE_IN_MAXIMUM  (2u * NET_SCRATCH)
#define BRIDGE_OUT_MAXIMUM (1024u * 1024u)

/* Makes the pair and gives libmicrohttpd its end. False when descriptors or memory ran
 * out. */
bool bridge_open(struct conn *conn);
/* Closes our end: libmicrohttpd drops what it had and forgets the connection. */
void bridge_close(struct conn *conn);

/* Moves what can be moved without waiting, both ways. True when something was. */
bool bridge_move(struct conn *conn);

/* Sends bytes of our own to the client: at once as far as it takes them, the rest later.
 */
void bridge_send(struct conn *conn, const char *data, size_t n);

#endif
