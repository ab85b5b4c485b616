/* The server as others see it: threads, listeners, the certificate's swap, drain and
 * stop. Called from the thread that owns the program; the workers do the rest (worker.c).
 */
#include "net/server.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/listen.h"
#include "net/tls.h"
#include "net/worker.h"
#include "util/clock.h"
#include "util/mem.h"

#define THREADS_MAXIMUM     64u
#define CONNECTIONS_MAXIMUM 1024u
#define CONNECTIONS_MINIMUM 4u
/* What one takes without its body: 44 KiB with the kernel's part, 47 in the middle of its
 * handshake, 76 with the longest header and a record that lacks its end (OPERATIONS.md,
 * Sizing). */
#define CONNECTION_BYTES (80u * 1024u)
/* Below so much for each, buffers in the kernel are small. */
#define BUFFER_BYTES (512u * 1024u)
#define LARGE_BYTES  (64u * 1024u * 1024u)
/* One that has said nothing takes 5 KiB with the kernel's part, and they may take a
 * sixteenth of what the others may: with raw packets, the first one withheld, each can
 * make the kernel keep a full buffer. They are many because closing them is dearer than
 * keeping them: who was closed may come again at once. */
#define SILENT_BYTES   (6u * 1024u)
#define SILENT_SHARE   16u
#define SILENT_MAXIMUM 16384u
/* A connection has its socket and a socketpair, and one that is silent a socket. */
#define FDS_PER_CONNECTION 4u
#define FDS_PER_WORKER     8u
#define ALIVE_MS           5000
#define NEVER              INT64_MAX

/* By their descriptors. */
static unsigned connections_by_files(unsigned threads)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 1u << 20)
        return CONNECTIONS_MAXIMUM;
    unsigned fds = (unsigned)limit.rlim_cur;
    unsigned own = NET_FDS_RESERVED + FDS_PER_WORKER * threads;
    return fds > own ? (fds - own) / FDS_PER_CONNECTION / threads : 0;
}

static unsigned connections_by_memory(size_t bytes, unsigned threads)
{
    size_t most = bytes / CONNECTION_BYTES / threads;
    return bytes == 0 || most > CONNECTIONS_MAXIMUM ? CONNECTIONS_MAXIMUM
                                                    : (unsigned)most;
}

static unsigned connections_for(const struct net_options *options, unsigned threads)
{
    if (options->max_connections > 0)
        return options->max_connections;
    unsigned most = connections_by_files(threads);
    unsigned other = connections_by_memory(options->connection_bytes, threads);
    if (other < most)
        most = other;
    if (most < CONNECTIONS_MINIMUM)
        return CONNECTIONS_MINIMUM;
    return most < CONNECTIONS_MAXIMUM ? most : CONNECTIONS_MAXIMUM;
}

/* Whatever descriptors the others have left; as many as those at least. */
static unsigned silent_for(const struct net_options *options, unsigned threads,
                           unsigned max_connections)
{
    if (options->max_connections > 0)
        return max_connections;
    struct rlimit limit;
    unsigned most = SILENT_MAXIMUM / threads;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1u << 20) {
        unsigned own =
            NET_FDS_RESERVED +
            threads * (FDS_PER_WORKER + (FDS_PER_CONNECTION - 1) * max_connections);
        unsigned fds = (unsigned)limit.rlim_cur;
        unsigned left = fds > own ? (fds - own) / threads : 0;
        most = left < most ? left : most;
    }
    size_t bytes = options->connection_bytes / SILENT_SHARE / SILENT_BYTES / threads;
    if (bytes > 0 && bytes < most)
        most = (unsigned)bytes;
    return most < CONNECTIONS_MINIMUM ? CONNECTIONS_MINIMUM : most;
}

static int64_t or_default(unsigned milliseconds, int64_t otherwise)
{
    return milliseconds > 0 ? (int64_t)milliseconds : otherwise;
}

/* --- starting ----------------------------------------------------------------- */

static bool open_listeners(struct net_server *server, const struct net_options *options,
                           struct err *err)
{
    struct listen_address address;
    /* 100 KiB of the kernel's for each connection that nobody reads from. */
    const bool small = options->connection_bytes > 0 &&
                       options->connection_bytes < CONNECTIONS_MAXIMUM * BUFFER_BYTES;
    if (!listen_parse(options->listen, &address, err) || !listen_free(&address, err))
        return err_wrap(err, "--listen %s", options->listen);
    for (unsigned i = 0; i < server->threads; i++) {
        server->workers[i].listen_fd = listen_open(&address, small, err);
        if (server->workers[i].listen_fd < 0)
            return err_wrap(err, "--listen %s", options->listen);
    }
    server->port = listen_port(&address);
    if (options->metrics_listen == NULL)
        return true;
    if (!listen_parse(options->metrics_listen, &address, err) ||
        !listen_free(&address, err))
        return err_wrap(err, "--metrics-listen %s", options->metrics_listen);
    server->workers[0].metrics_fd = listen_open(&address, small, err);
    if (server->workers[0].metrics_fd < 0)
        return err_wrap(err, "--metrics-listen %s", options->metrics_listen);
    server->metrics_port = listen_port(&address);
    return true;
}

static bool start_threads(struct net_server *server, struct err *err)
{
    /* Signals are the program's business: no worker takes one. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    bool good = aside_start(&server->aside_long, server, true, err) &&
                aside_start(&server->aside_waits, server, false, err);
    for (unsigned i = 0; good && i < server->threads && failure == 0; i++) {
        struct worker *worker = &server->workers[i];
        failure = pthread_create(&worker->thread, NULL, worker_main, worker);
        worker->started = failure == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return good &&
           (failure == 0 || err_errno(err, failure, "cannot start a worker thread"));
}

static bool start(struct net_server *server, const struct net_options *options,
                  struct err *err)
{
    if (!open_listeners(server, options, err))
        return false;
    for (unsigned i = 0; i < server->threads; i++) {
        if (!worker_init(&server->workers[i], server, i, err))
            return false;
    }
    return start_threads(server, err);
}

struct net_server *net_server_start(const struct net_options *options,
                                    struct net_tls *tls, struct err *err)
{
    unsigned threads = options->threads > 0 ? options->threads : 1;
    if (threads > THREADS_MAXIMUM)
        threads = THREADS_MAXIMUM;
    struct net_server *server = mem_calloc(1, sizeof(*server));
    struct worker *workers = mem_calloc(threads, sizeof(*workers));
    if (server == NULL || workers == NULL) {
        mem_free(server);
        mem_free(workers);
        err_nomem(err);
        return NULL;
    }
    for (unsigned i = 0; i < threads; i++) {
        struct worker *worker = &workers[i];
        worker->listen_fd = worker->metrics_fd = -1;
        worker->epoll_fd = worker->wake_fd = worker->spare_fd = -1;
    }
    server->handlers = options->handlers;
    server->threads = threads;
    server->workers = workers;
    server->max_connections = connections_for(options, threads);
    server->max_silent = silent_for(options, threads, server->max_connections);
    server->small_maximum =
        options->small_bytes > 0 ? options->small_bytes / threads : SIZE_MAX;
    server->large_maximum = options->large_bytes > 0 ? options->large_bytes : LARGE_BYTES;
    server->handshake_ms = or_default(options->handshake_ms, 10000);
    server->idle_ms = or_default(options->idle_ms, 120000);
    server->request_ms = or_default(options->request_ms, 15000);
    server->write_ms = or_default(options->write_ms, 15000);
    atomic_init(&server->stop_by, NEVER);
    pthread_mutex_init(&server->lock, NULL);
    server->tls = net_tls_ref(tls);
    signal(SIGPIPE, SIG_IGN);
    if (!start(server, options, err)) {
        net_server_stop(server, 0);
        return NULL;
    }
    return server;
}

/* --- running ------------------------------------------------------------------ */

void net_server_set_tls(struct net_server *server, struct net_tls *tls)
{
    pthread_mutex_lock(&server->lock);
    struct net_tls *old = server->tls;
    server->tls = net_tls_ref(tls);
    pthread_mutex_unlock(&server->lock);
    net_tls_free(old);
}

unsigned net_server_port(const struct net_server *server)
{
    return server->port;
}

unsigned net_server_metrics_port(const struct net_server *server)
{
    return server->metrics_port;
}

unsigned net_server_connections(const struct net_server *server)
{
    return server->threads * server->max_connections;
}

bool net_server_alive(const struct net_server *server)
{
    int64_t now = clock_mono_millis();
    for (unsigned i = 0; i < server->threads; i++) {
        const struct worker *worker = &server->workers[i];
        if (now - atomic_load_explicit(&worker->last_turn, memory_order_relaxed) >
            ALIVE_MS)
            return false;
    }
    return true;
}

void net_server_drain(struct net_server *server)
{
    atomic_store(&server->draining, true);
}

void net_server_stop(struct net_server *server, unsigned wait_ms)
{
    if (server == NULL)
        return;
    atomic_store(&server->draining, true);
    atomic_store(&server->stop_by, clock_mono_millis() + (int64_t)wait_ms);
    atomic_store(&server->stopping, true);
    for (unsigned i = 0; i < server->threads; i++) {
        struct worker *worker = &server->workers[i];
        if (worker->started)
            worker_wake(worker);
    }
    for (unsigned i = 0; i < server->threads; i++) {
        if (server->workers[i].started)
            pthread_join(server->workers[i].thread, NULL);
    }
    aside_stop(&server->aside_waits); /* which puts to the other one */
    aside_stop(&server->aside_long);
    for (unsigned i = 0; i < server->threads; i++)
        worker_done(&server->workers[i]);
    net_tls_free(server->tls);
    pthread_mutex_destroy(&server->lock);
    mem_free(server->workers);
    mem_free(server);
}
