/* TLS configurations for the rest of the room; what is public stands in server.h. */
#ifndef NRW_NET_TLS_H
#define NRW_NET_TLS_H

#include <openssl/types.h>

#include "net/server.h"

struct net_tls *net_tls_ref(struct net_tls *tls); /* NULL gives NULL */

/* A server-side SSL on the descriptor, which stays the caller's. NULL: out of memory. */
SSL *net_tls_session(struct net_tls *tls, int fd);

#endif
