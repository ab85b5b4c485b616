/* Addresses to listen on, and listening sockets. Any thread; no state. */
#ifndef NRW_NET_LISTEN_H
#define NRW_NET_LISTEN_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "util/err.h"

/* So many may wait to be taken in. */
#define LISTEN_BACKLOG 1024

struct listen_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    socklen_t size;
};

/* "[::]:8443", "127.0.0.1:0", ":8443" (the same as "[::]:8443"). Names are not looked up:
 * an address to listen on must not depend on a resolver. */
bool listen_parse(const char *text, struct listen_address *ret_address, struct err *err);

/* Is the port free? SO_REUSEPORT would let two servers of one user share a port without a
 * word, each getting half of the connections. */
bool listen_free(const struct listen_address *address, struct err *err);

/* A non-blocking listener with SO_REUSEPORT, or -1. The address's port 0 is replaced by
 * the one that was bound, so that the next worker joins it. Where the machine has no
 * IPv6,
 * "[::]" becomes "0.0.0.0". */
int listen_open(struct listen_address *address, bool small_buffers, struct err *err);

unsigned listen_port(const struct listen_address *address);

#endif
