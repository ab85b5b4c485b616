/* The server: N worker threads, each with its own listener (SO_REUSEPORT), epoll loop,
 * TLS in OpenSSL and a libmicrohttpd daemon behind a socketpair; and, for the plain
 * metrics port, one more listener without TLS. The only room that knows sockets, SSL_*
 * and libmicrohttpd. It knows nothing of admission: a whole request goes to the handler,
 * in the worker's thread, or in one of two others when it takes long (aside.h). */
#ifndef NRW_NET_SERVER_H
#define NRW_NET_SERVER_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

#define NET_BODY_MAXIMUM (8u * 1024u * 1024u)

/* So many descriptors are left to the rest of the process, however many connections come:
 * for a watch of each namespace that a policy can name, and what else it opens. */
#define NET_FDS_RESERVED 112u

enum net_method { NET_GET, NET_HEAD, NET_POST };

/* What a handler says of a request. */
enum net_handled {
    NET_ANSWERED,
    NET_LONG,  /* it takes longer than others should wait for */
    NET_WAITS, /* it has to wait for somebody; it may turn out to be long then */
};

struct net_request {
    enum net_method method;
    struct str path; /* without the query */
    struct str body; /* of a POST; whole */
    bool plain;      /* came by the metrics listener */
    int64_t since;   /* clock_mono_nanos() when the whole of it had come */
    enum net_handled
        said; /* of it before; NET_ANSWERED: it is asked for the first time */
};

struct net_response {
    unsigned status;          /* 200 unless the handler sets another */
    const char *content_type; /* a literal; "application/json" unless set */
    struct buf body;          /* made by the server with a fitting maximum */
};

/* Which paths exist is asked before a body is read, so that 404 and 405 need none. */
enum net_route { NET_ROUTE_NONE, NET_ROUTE_GET, NET_ROUTE_POST };

struct net_handlers {
    void *context;
    enum net_route (*route)(void *context, struct str path, bool plain);
    /* Runs in a worker thread, several at a time. An empty body with status 500 when it
     * was out of memory: the server fills in its own static text. When it is not answered
     * the response is as it was, and it is called again for the same request, which has
     * what was `said`, in the one thread that there is for such. NET_LONG is not said
     * twice, and nothing after it. */
    enum net_handled (*handle)(void *context, const struct net_request *request,
                               struct net_response *response);
    /* Events for metrics; may be NULL. `tls_ok` counts handshakes, `code` HTTP errors
     * that the server answered by itself, `connections` the present number. */
    void (*on_handshake)(void *context, bool tls_ok);
    void (*on_http_error)(void *context, unsigned code);
    void (*on_connections)(void *context, long change);
};

/* A TLS configuration: immutable once made, swapped whole, freed when its last connection
 * is. */
struct net_tls;
struct net_tls_options {
    const STACK_OF(X509) * chain; /* leaf first, then intermediates; borrowed */
    EVP_PKEY *key;                /* likewise */
    struct str client_ca_pem;     /* PEM; null = no client certificate demanded */
    const char *const
        *client_names; /* SAN or CN that the client certificate must bear; any of */
    size_t client_name_count; /* 0 = any that client_ca signed */
};
/* NULL and err (one line) when they cannot be used, among others because the key does not
 * match. The certificates and the key are shared with the result, not copied. */
struct net_tls *net_tls_new(const struct net_tls_options *options, struct err *err);
void net_tls_free(struct net_tls *tls); /* drops one reference */

struct net_options {
    const char *listen;         /* "[::]:8443", "127.0.0.1:0", … */
    const char *metrics_listen; /* or NULL */
    unsigned threads;
    /* Per worker; 0 = at most 1024, as RLIMIT_NOFILE and connection_bytes have room. */
    unsigned max_connections;
    size_t connection_bytes; /* memory for the connections of all workers; 0 = any */
    size_t small_bytes;      /* for their small bodies; 0 = any */
    /* Memory for all bodies and answers beyond the small ones; 0 = 64 MiB. */
    size_t large_bytes;
    /* Milliseconds; 0 = the default: handshake 10 s, idle 120 s, whole request 15 s,
     * stalled write 15 s. */
    unsigned handshake_ms, idle_ms, request_ms, write_ms;
    struct net_handlers handlers;
};

struct net_server;
/* Binds, starts the threads. `tls` is borrowed (a reference is taken); it may be NULL:
 * then handshakes are refused until net_server_set_tls. */
struct net_server *net_server_start(const struct net_options *options,
                                    struct net_tls *tls, struct err *err);
/* New connections use it from now on; those that live keep theirs. Any thread. */
void net_server_set_tls(struct net_server *server, struct net_tls *tls);
/* The ports that were really bound (0 where there is none). */
unsigned net_server_port(const struct net_server *server);
unsigned net_server_metrics_port(const struct net_server *server);
/* How many connections may be open at once, of all workers. */
unsigned net_server_connections(const struct net_server *server);
/* All workers turn their loop at least once a second: true when each did within 5 s. */
bool net_server_alive(const struct net_server *server);
/* From now on every answer says Connection: close and idle connections are closed after
 * their next answer; new connections are still served. */
void net_server_drain(struct net_server *server);
/* Closes the listeners, lets running requests end (at most `wait_ms`), joins the threads.
 */
void net_server_stop(struct net_server *server, unsigned wait_ms); /* and frees */

#endif
