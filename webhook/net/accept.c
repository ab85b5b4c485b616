/* Taking connections in, and what to do when there are too many; see worker.h.
 *
 * At the limit the longest idle connection, or one that began its handshake and went
 * silent, makes room: a client's next request opens a new one. With none idle, a few more
 * are let in to be told 503, and beyond those the connection is closed at once. When
 * descriptors run out the same is done, and in the end a spare one is given up to accept
 * and close, so that a full queue never makes the loop spin. */
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_MAXIMUM 64 /* per turn, so that those who are in get their turn too */
#define PLAIN_MAXIMUM   64 /* probes and scrapes */
#define SHED_MAXIMUM    16
/* A handshake takes milliseconds; whoever needs longer has its ten seconds only while
 * nobody else waits. */
#define SILENT_MS 1000

static bool silent(const struct conn *conn)
{
    return conn->state == CONN_LINGER ||
           (conn->state == CONN_HANDSHAKE &&
            conn->worker->now - conn->last_active > SILENT_MS);
}

/* Ends the connection that is longest idle; of those, if any, that will not ask anything
 * more. False: there is none, or, with `silent_only`, none of the latter. */
static bool relieve(struct worker *worker, bool silent_only)
{
    struct conn *oldest = NULL;
    bool found_silent = false;
    for (struct conn *conn = worker->all; conn != NULL; conn = conn->next) {
        bool quiet = silent(conn);
        if (!quiet && (silent_only || found_silent || !conn_idle(conn)))
            continue;
        if (oldest == NULL || quiet != found_silent ||
            conn->last_active < oldest->last_active)
            oldest = conn;
        found_silent = found_silent || quiet;
    }
    if (oldest == NULL)
        return false;
    if (oldest->state == CONN_OPEN)
        stream_shutdown(&oldest->stream);
    conn_kill(oldest);
    return true;
}

bool worker_relieve(struct worker *worker)
{
    return relieve(worker, false);
}

static void accept_and_close(struct worker *worker, int listen_fd)
{
    close(worker->spare_fd);
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    worker->spare_fd = fcntl(worker->wake_fd, F_DUPFD_CLOEXEC, 0);
}

static void take_in(struct worker *worker, int fd, bool plain)
{
    unsigned *count = plain ? &worker->plain_count : &worker->count;
    unsigned limit = plain ? PLAIN_MAXIMUM : worker->server->max_connections;
    while (*count >= limit && relieve(worker, true)) {
    }
    if (*count >= limit)
        (void)worker_relieve(worker);
    bool shed = *count >= limit;
    if (*count >= limit + SHED_MAXIMUM) {
        close(fd);
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct conn *conn = conn_new(worker, fd, plain, shed);
    if (conn != NULL && !worker_adopt(worker, conn))
        conn_kill(conn);
}

void worker_accept(struct worker *worker, int listen_fd, bool plain)
{
    for (int i = 0; i < ACCEPTS_MAXIMUM; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_in(worker, fd, plain);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            if (!worker_relieve(worker))
                accept_and_close(worker, listen_fd);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return; /* none waits any more (or a network error of the one that did) */
        }
    }
}
