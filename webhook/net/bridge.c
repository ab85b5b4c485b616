/* The bridge's bytes, both ways; see bridge.h. */
#include "net/bridge.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http.h"
#include "net/worker.h"

#define READS_MAXIMUM 4 /* per step, so that one sender cannot hold the thread; … */
#define READS_REST    2 /* … nor keep those waiting who go first (conn_first) */

/* --- the socketpair ----------------------------------------------------------- */

bool bridge_open(struct conn *conn)
{
    int ends[2];
    while (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) !=
           0) {
        if ((errno != EMFILE && errno != ENFILE) || !worker_relieve(conn->worker))
            return false;
    }
    conn->pair = ends[0];
    return http_add(conn->worker, conn, ends[1]);
}

void bridge_close(struct conn *conn)
{
    atomic_store(&conn->exchange.gone, true);
    if (conn->pair < 0)
        return;
    close(conn->pair);
    conn->pair = -1;
    http_resume(conn);                 /* one that waits would not notice */
    conn->worker->http_pending = true; /* so that libmicrohttpd sees it */
}

/* --- towards the client ------------------------------------------------------- */

/* False when the connection died. */
static bool keep_for_client(struct conn *conn, const char *data, size_t n)
{
    if (buf_append(&conn->out, data, n))
        return true;
    conn_kill(conn);
    return false;
}

/* Sends what waits. True when something left. */
static bool flush(struct conn *conn)
{
    bool moved = false;
    while (conn->state == CONN_OPEN && conn->out_at < conn->out.size) {
        size_t n = 0;
        enum stream_result result =
            stream_write(&conn->stream, conn->out.data + conn->out_at,
                         conn->out.size - conn->out_at, &n);
        if (result == STREAM_WAIT) {
            worker_watch_output(conn->worker, conn);
            return moved;
        }
        if (result != STREAM_DONE) {
            conn_kill(conn);
            return true;
        }
        conn->out_at += n;
        moved = true;
    }
    if (moved && conn->out_at == conn->out.size) {
        buf_done(&conn->out); /* an idle connection holds no buffer */
        conn->out_at = 0;
        http_taken(conn);
    }
    return moved;
}

/* Sends `data` at once as far as the client takes it and keeps the rest. */
void bridge_send(struct conn *conn, const char *data, size_t n)
{
    while (n > 0 && conn->state == CONN_OPEN && conn->out_at == conn->out.size) {
        size_t sent = 0;
        enum stream_result result = stream_write(&conn->stream, data, n, &sent);
        if (result == STREAM_WAIT) {
            worker_watch_output(conn->worker, conn);
            break;
        }
        if (result != STREAM_DONE) {
            conn_kill(conn);
            return;
        }
        data += sent;
        n -= sent;
    }
    if (n > 0 && conn->state == CONN_OPEN)
        (void)keep_for_client(conn, data, n);
}

/* libmicrohttpd wrote something although no answer was queued: a go-ahead for the body,
 * or an error of its own, which is in HTML and is replaced by ours. */
static void unasked(struct conn *conn, const char *data, size_t n)
{
    static const char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const size_t size = sizeof(go_ahead) - 1;
    if (n >= size && memcmp(data, go_ahead, size) == 0) {
        bridge_send(conn, data, size);
        data += size;
        n -= size;
    }
    if (n == 0 || conn->state != CONN_OPEN)
        return;
    unsigned status = 500;
    if (n >= 12 && memcmp(data, "HTTP/1.1 ", 9) == 0 && ascii_is_digit(data[9]) &&
        ascii_is_digit(data[10]) && ascii_is_digit(data[11]))
        status = (unsigned)(data[9] - '0') * 100u + (unsigned)(data[10] - '0') * 10u +
                 (unsigned)(data[11] - '0');
    conn_refuse(conn, status, conn->worker->now);
}

/* Takes what libmicrohttpd wrote: until the client blocks, or all of it. */
static bool take(struct conn *conn, bool all)
{
    struct worker *worker = conn->worker;
    bool moved = false;
    while (conn->state == CONN_OPEN && conn->pair >= 0 &&
           (all || conn->out_at == conn->out.size)) {
        ssize_t n = recv(conn->pair, worker->scratch, sizeof(worker->scratch), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        moved = true;
        if (!all)
            worker->http_pending = true; /* there is room for more now */
        if (n <= 0) { /* it closed its end, with or without bytes left unread */
            bridge_close(conn);
            break;
        }
        if (conn->exchange.queued) {
            conn->part = true;
            bridge_send(conn, worker->scratch, (size_t)n);
        } else {
            unasked(conn, worker->scratch, (size_t)n);
        }
        if ((size_t)n < sizeof(worker->scratch) && conn->mhd_open)
            break; /* that was all: nobody else writes meanwhile */
    }
    return moved;
}

void conn_answered(struct conn *conn, bool complete)
{
    take(conn, true);
    if (conn->exchange.queued && complete) {
        conn->answered++;
        conn->reviewed = conn->reviewed || conn->exchange.review;
        conn->part = false;
    }
    conn->in_turn++;
    conn->ahead = conn->readable || conn->in_at < conn->in.size;
    conn->orderly = complete && conn->exchange.review && !conn->ahead &&
                    conn->asked <= CONN_FIRST_BYTES;
    conn->asked = 0;
    conn->busy = false;
    worker_ready(conn->worker, conn);
}

void conn_forgotten(struct conn *conn)
{
    conn->mhd_open = false;
    worker_ready(conn->worker, conn);
}

/* --- from the client ---------------------------------------------------------- */

/* How much libmicrohttpd's socket took; everything when it is gone already. */
static size_t feed(struct conn *conn, const char *data, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t sent = send(conn->pair, data + done, n - done, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
            break;
        if (sent < 0)
            return n; /* its answer, if any, is still to be read */
        done += (size_t)sent;
    }
    if (done > 0) {
        conn->worker->http_pending = true;
        conn->stirred_at = conn->worker->http_runs;
    }
    return done;
}

static bool feed_kept(struct conn *conn)
{
    if (conn->in.size == conn->in_at)
        return false;
    size_t n = feed(conn, conn->in.data + conn->in_at, conn->in.size - conn->in_at);
    conn->in_at += n;
    if (conn->in_at == conn->in.size) {
        buf_done(&conn->in);
        conn->in_at = 0;
    }
    return n > 0;
}

static void received(struct conn *conn, const char *data, size_t n)
{
    conn->fed = true;
    conn->busy = true;
    conn->asked += n;
    size_t done = feed(conn, data, n);
    if (done < n && !buf_append(&conn->in, data + done, n - done))
        conn_kill(conn);
}

/* Has libmicrohttpd bytes to read yet? */
static bool has_unread(const struct conn *conn)
{
    int unread = 0;
    return ioctl(conn->pair, SIOCOUTQ, &unread) == 0 && unread > 0;
}

/* Closes only our sending direction, since the answer may still be on its way; and only
 * once libmicrohttpd has read all: it takes a short read for an empty socket and,
 * watching edges, would not see an end that was there already. */
static bool pass_on_eof(struct conn *conn)
{
    if (conn->state != CONN_OPEN || !conn->peer_eof || conn->eof_fed || conn->pair < 0 ||
        conn->in.size != conn->in_at)
        return false;
    if (conn->held || conn->aside || conn->exchange.queued ||
        conn->stirred_at == conn->worker->http_runs)
        return false; /* it may have requests in hand that it has not looked at */
    if (has_unread(conn))
        return false;
    (void)shutdown(conn->pair, SHUT_WR);
    conn->eof_fed = true;
    conn->worker->http_pending = true;
    return true;
}

/* How much to read at once: until a request's header is known no more than one of the
 * usual size, then what it lacks. What came behind it would wait in memory of ours. */
static size_t read_most(const struct conn *conn, bool first)
{
    const struct exchange *x = &conn->exchange;
    if (first)
        return CONN_FIRST_BYTES - conn->asked;
    if (!x->checked)
        return CONN_FIRST_BYTES;
    return x->length > x->body.size ? x->length - x->body.size : 0;
}

/* Reads until the client has no more or libmicrohttpd takes no more; nothing as long as
 * the client does not take what it was sent, or has to wait for its turn. */
static bool pump(struct conn *conn)
{
    struct worker *worker = conn->worker;
    bool moved = conn->pair >= 0 && feed_kept(conn);
    /* libmicrohttpd reads what is left in the pair by then, and nothing says so. */
    if (conn->pair >= 0 && conn->in.size != conn->in_at && worker->http_pending)
        moved = true;
    const bool first = conn_first(conn);
    /* Requests that wait behind others do so in the kernel, at the client's expense. */
    if (!first && conn->fed && conn->pair >= 0 && has_unread(conn))
        return moved || worker->http_pending;
    size_t got = 0, all = 0;
    enum stream_result result = STREAM_DONE;
    const size_t most = read_most(conn, first);
    const int reads = first ? READS_MAXIMUM : READS_REST;
    for (int i = 0; i < reads && all <= most && result == STREAM_DONE &&
                    conn->state == CONN_OPEN && conn->pair >= 0 && conn->readable &&
                    !conn->peer_eof && conn->in.size == conn->in_at && !conn->held &&
                    !conn->aside && conn->out_at == conn->out.size;
         i++) {
        size_t n = 0;
        result = stream_read(&conn->stream, worker->scratch + got, NET_SCRATCH - got, &n);
        got += n;
        all += n;
        if (result == STREAM_DONE && conn->stream.drained && !conn->hangup)
            conn->readable = false;
        if (got > 0 && (got == NET_SCRATCH || result != STREAM_DONE || !conn->readable ||
                        all > most || i == reads - 1)) {
            received(conn, worker->scratch, got);
            got = 0;
            moved = true;
        }
    }
    if (result == STREAM_DONE && conn->readable && !conn->hangup &&
        stream_is_empty(&conn->stream))
        conn->readable = false; /* a request of so many records is not more than one */
    if (result == STREAM_WAIT) {
        conn->readable = false;
        if (stream_wants_output(&conn->stream)) /* a key update's answer */
            worker_watch_output(worker, conn);
    } else if (result == STREAM_EOF) {
        conn->peer_eof = true;
    } else if (result == STREAM_ERROR) {
        conn_kill(conn);
        return true;
    }
    return pass_on_eof(conn) || moved;
}

bool bridge_move(struct conn *conn)
{
    bool moved = flush(conn);
    if (!conn->ahead)
        conn->in_turn = 0;
    if (conn->held && conn->out_at == conn->out.size) {
        if (conn->its_turn) {
            http_resume(conn);
            moved = true;
        } else {
            worker_queue(conn->worker, conn);
        }
    }
    /* Without one of these it has written nothing: see conn_answered. */
    if (conn->exchange.queued || conn->exchange.expects || !conn->mhd_open)
        moved |= take(conn, false);
    moved |= pump(conn);
    return moved;
}
