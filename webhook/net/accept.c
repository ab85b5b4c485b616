/* Taking connections in, and what to do when there are too many; see worker.h.
 *
 * At the limit the longest idle connection makes room: a client's next request on it
 * opens a new one. With none idle, a few more are let in to be told 503, and beyond those
 * the connection is closed at once. When descriptors run out the same is done, and in the
 * end a spare one is given up to accept and close, so that a full queue never makes the
 * loop spin. */
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

bool worker_relieve(struct worker *worker)
{
    struct conn *oldest = NULL;
    for (struct conn *conn = worker->all; conn != NULL; conn = conn->next) {
        bool over = conn_idle(conn) || conn->state == CONN_LINGER;
        if (over && (oldest == NULL || conn->last_active < oldest->last_active))
            oldest = conn;
    }
    if (oldest == NULL)
        return false;
    if (oldest->state == CONN_OPEN)
        stream_shutdown(&oldest->stream);
    conn_kill(oldest);
    return true;
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
