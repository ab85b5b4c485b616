/* libmicrohttpd, one daemon for each worker, polled from outside. It parses and frames;
 * which requests are good is decided in http.c and head.c. The worker's thread. */
#ifndef NRW_NET_HTTP_H
#define NRW_NET_HTTP_H

#include <stdbool.h>

struct worker;
struct conn;

/* False when out of memory or descriptors. */
bool http_start(struct worker *worker, unsigned max_connections);
void http_stop(struct worker *worker);

/* Gives it the far end of the connection's socketpair; the descriptor is taken, also on
 * failure. */
bool http_add(struct worker *worker, struct conn *conn, int fd);

/* Lets it do all that can be done now. True when something is left (run again soon). */
bool http_run(struct worker *worker);

/* Lets go on a connection that waits (conn->held, conn->parked). */
void http_resume(struct conn *conn);

/* Those that were answered aside go on. */
void http_take_back(struct worker *worker);

/* Gives a piece of a large body's memory back. */
void http_scrap(struct worker *worker);

/* The client has all that was answered: nothing of the budget is held for it. */
void http_taken(struct conn *conn);

/* Forgets the request under way: its body and what it holds of the budget. */
void http_reset(struct conn *conn);

#endif
