/* The bridge; see conn.h. */
#include "net/conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http.h"
#include "net/refusal.h"
#include "net/tls.h"
#include "net/worker.h"
#include "util/clock.h"
#include "util/mem.h"

#define LINGER_MS      2000
#define LINGER_STOP_MS 300
#define IDLE_STOP_MS   1000 /* while stopping: for those that have just come */
#define READS_MAXIMUM  16   /* per turn, so that one sender cannot hold the thread */
/* `in` holds one read; `out` one read, and at an answer's end what a socketpair holds. */
#define IN_MAXIMUM  (2u * NET_SCRATCH)
#define OUT_MAXIMUM (4u * 1024u * 1024u)

static const struct net_handlers *handlers_of(const struct conn *conn)
{
    return &conn->worker->server->handlers;
}

/* --- life
 * --------------------------------------------------------------------------------- */

struct conn *conn_new(struct worker *worker, int fd, bool plain, bool shed)
{
    struct conn *conn = mem_calloc(1, sizeof(*conn));
    if (conn == NULL) {
        close(fd);
        return NULL;
    }
    conn->worker = worker;
    conn->stream.fd = fd;
    conn->pair = -1;
    conn->plain = plain;
    conn->shed = shed;
    conn->readable = true;
    conn->last_active = worker->now;
    buf_init(&conn->in, IN_MAXIMUM);
    buf_init(&conn->out, OUT_MAXIMUM);
    buf_init(&conn->exchange.body, NET_BODY_MAXIMUM);
    if (!plain) {
        struct net_server *server = worker->server;
        pthread_mutex_lock(&server->lock);
        conn->tls = net_tls_ref(server->tls);
        pthread_mutex_unlock(&server->lock);
        if (conn->tls != NULL)
            conn->stream.ssl = net_tls_session(conn->tls, fd);
        if (conn->stream.ssl == NULL) {
            stream_close(&conn->stream);
            net_tls_free(conn->tls);
            mem_free(conn);
            return NULL;
        }
    }
    conn->deadline = worker->now + worker->server->handshake_ms;
    worker_deadline(worker, conn->deadline);
    return conn;
}

void conn_free(struct conn *conn)
{
    http_reset(conn);
    buf_done(&conn->in);
    buf_done(&conn->out);
    net_tls_free(conn->tls);
    mem_free(conn);
}

static void close_pair(struct conn *conn)
{
    if (conn->pair < 0)
        return;
    close(conn->pair);
    conn->pair = -1;
    conn->worker->http_pending = true; /* so that libmicrohttpd sees it */
}

static void handshake_over(const struct conn *conn, bool success)
{
    const struct net_handlers *handlers = handlers_of(conn);
    if (!conn->plain && handlers->on_handshake != NULL)
        handlers->on_handshake(handlers->context, success);
}

void conn_kill(struct conn *conn)
{
    if (conn->state == CONN_DEAD)
        return;
    if (conn->state == CONN_HANDSHAKE && stream_heard(&conn->stream))
        handshake_over(conn, false);
    conn->state = CONN_DEAD;
    stream_close(&conn->stream);
    close_pair(conn);
    worker_bury(conn->worker, conn);
}

bool conn_reapable(const struct conn *conn)
{
    return conn->state == CONN_DEAD && !conn->mhd_open && !conn->ready;
}

bool conn_idle(const struct conn *conn)
{
    return conn->state == CONN_OPEN && !conn->busy && conn->out.size == conn->out_at;
}

static void retime(struct conn *conn, int64_t deadline)
{
    conn->deadline = deadline;
    worker_deadline(conn->worker, deadline);
}

static int64_t idle_ms(const struct conn *conn)
{
    return conn->worker->stopping ? IDLE_STOP_MS : conn->worker->server->idle_ms;
}

void conn_finish(struct conn *conn, int64_t now)
{
    stream_shutdown(&conn->stream);
    close_pair(conn);
    if (conn->peer_eof) {
        conn_kill(conn);
        return;
    }
    conn->state = CONN_LINGER;
    conn->readable = true;
    retime(conn, now + (conn->worker->stopping ? LINGER_STOP_MS : LINGER_MS));
}

/* --- towards the client
 * ------------------------------------------------------------------- */

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
    }
    return moved;
}

/* Sends `data` at once as far as the client takes it and keeps the rest. */
static void send_to_client(struct conn *conn, const char *data, size_t n)
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

void conn_refuse(struct conn *conn, unsigned status, int64_t now)
{
    if (conn->state != CONN_OPEN || conn->refused)
        return;
    const struct net_handlers *handlers = handlers_of(conn);
    if (handlers->on_http_error != NULL)
        handlers->on_http_error(handlers->context, status);
    conn->refused = true;
    conn->busy = false;
    char answer[REFUSAL_MAXIMUM];
    size_t n = refusal_answer(status, answer, sizeof(answer));
    close_pair(conn);
    send_to_client(conn, answer, n);
    if (conn->state == CONN_OPEN) {
        retime(conn, now + conn->worker->server->write_ms);
        worker_ready(conn->worker, conn);
    }
}

/* libmicrohttpd wrote something although no answer was queued: a go-ahead for the body,
 * or an error of its own, which is in HTML and is replaced by ours. */
static void unasked(struct conn *conn, const char *data, size_t n)
{
    static const char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const size_t size = sizeof(go_ahead) - 1;
    if (n >= size && memcmp(data, go_ahead, size) == 0) {
        send_to_client(conn, data, size);
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
            close_pair(conn);
            break;
        }
        if (conn->exchange.queued) {
            conn->part = true;
            send_to_client(conn, worker->scratch, (size_t)n);
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
        conn->part = false;
    }
    conn->busy = false;
    conn->last_active = conn->worker->now;
    worker_ready(conn->worker, conn);
}

void conn_forgotten(struct conn *conn)
{
    conn->mhd_open = false;
    worker_ready(conn->worker, conn);
}

/* --- from the client
 * ---------------------------------------------------------------------- */

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
    conn->last_active = conn->worker->now;
    conn->busy = true;
    size_t done = feed(conn, data, n);
    if (done < n && !buf_append(&conn->in, data + done, n - done))
        conn_kill(conn);
}

/* Closes only our sending direction, since the answer may still be on its way; and only
 * once libmicrohttpd has read all: it takes a short read for an empty socket and,
 * watching edges, would not see an end that was there already. */
static bool pass_on_eof(struct conn *conn)
{
    if (conn->state != CONN_OPEN || !conn->peer_eof || conn->eof_fed || conn->pair < 0 ||
        conn->in.size != conn->in_at)
        return false;
    int unread = 0;
    if (ioctl(conn->pair, SIOCOUTQ, &unread) == 0 && unread > 0)
        return false;
    (void)shutdown(conn->pair, SHUT_WR);
    conn->eof_fed = true;
    conn->worker->http_pending = true;
    return true;
}

/* Reads until the client has no more or libmicrohttpd takes no more. */
static bool pump(struct conn *conn)
{
    struct worker *worker = conn->worker;
    bool moved = conn->pair >= 0 && feed_kept(conn);
    size_t got = 0;
    enum stream_result result = STREAM_DONE;
    for (int i = 0; i < READS_MAXIMUM && result == STREAM_DONE &&
                    conn->state == CONN_OPEN && conn->pair >= 0 && conn->readable &&
                    !conn->peer_eof && conn->in.size == conn->in_at;
         i++) {
        size_t n = 0;
        result = stream_read(&conn->stream, worker->scratch + got, NET_SCRATCH - got, &n);
        got += n;
        if (result == STREAM_DONE && conn->stream.drained && !conn->hangup)
            conn->readable = false;
        if (got > 0 && (got == NET_SCRATCH || result != STREAM_DONE || !conn->readable ||
                        i == READS_MAXIMUM - 1)) {
            received(conn, worker->scratch, got);
            got = 0;
            moved = true;
        }
    }
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

/* --- one turn
 * ------------------------------------------------------------------------------ */

static void open_bridge(struct conn *conn, int64_t now)
{
    handshake_over(conn, true);
    conn->state = CONN_OPEN;
    conn->last_active = now;
    retime(conn, now + idle_ms(conn));
    int ends[2];
    bool made = false;
    for (int i = 0; i < 2 && !made; i++) {
        made =
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0;
        if (!made && !worker_relieve(conn->worker))
            break;
    }
    if (made) {
        conn->pair = ends[0];
        if (http_add(conn->worker, conn, ends[1]))
            return;
    }
    conn_refuse(conn, 503, now);
}

/* Plain HTTP on the TLS port: said in plain HTTP, so that whoever made the mistake sees
 * it. */
static void tell_plain(struct conn *conn, int64_t now)
{
    static const char body[] = "{\"error\":\"this port speaks HTTPS: use TLS\"}\n";
    char answer[REFUSAL_MAXIMUM];
    size_t n = refusal_format(400, str_of(body), answer, sizeof(answer));
    handshake_over(conn, false);
    (void)!send(conn->stream.fd, answer, n, MSG_NOSIGNAL);
    conn_finish(conn, now);
}

static bool shake(struct conn *conn, int64_t now)
{
    if (!conn->readable)
        return false;
    enum stream_result result = stream_handshake(&conn->stream);
    if (result == STREAM_DONE) {
        open_bridge(conn, now);
        return true;
    }
    if (result == STREAM_WAIT) {
        conn->readable = false;
        if (stream_wants_output(&conn->stream))
            worker_watch_output(conn->worker, conn);
        return false;
    }
    if (result == STREAM_HTTP)
        tell_plain(conn, now);
    else
        conn_kill(conn);
    return true;
}

static bool linger(struct conn *conn)
{
    if (!conn->readable)
        return false;
    enum stream_result result = stream_discard(&conn->stream);
    if (result == STREAM_DONE)
        return true;
    if (result == STREAM_WAIT)
        conn->readable = false;
    else
        conn_kill(conn);
    return false;
}

/* libmicrohttpd is done and everything was sent. Was there an answer to what it was fed?
 */
static void end(struct conn *conn, int64_t now)
{
    bool owed = !conn->refused && conn->fed && !conn->part &&
                (conn->answered == 0 || (!conn->closing && !conn->peer_eof));
    if (owed)
        conn_refuse(conn, 400, now);
    else
        conn_finish(conn, now);
}

/* Sets the deadline that fits what the connection is at now. */
static void watch(struct conn *conn, bool moved, int64_t now)
{
    const struct net_server *server = conn->worker->server;
    enum conn_phase phase = CONN_IDLE;
    if (conn->refused || conn->exchange.queued || conn->out_at < conn->out.size)
        phase = CONN_SENDING;
    else if (conn->busy)
        phase = CONN_RECEIVING;
    bool new = phase != conn->phase || conn->answered != conn->phase_answered;
    conn->phase = phase;
    conn->phase_answered = conn->answered;
    if (phase == CONN_IDLE && new) {
        retime(conn, now + idle_ms(conn));
    } else if (phase == CONN_RECEIVING && new) {
        retime(conn, now + server->request_ms);
    } else if (phase == CONN_SENDING && (new || moved)) {
        if (new)
            conn->answer_by = now + 4 * server->write_ms;
        int64_t soon = now + server->write_ms;
        retime(conn, soon < conn->answer_by ? soon : conn->answer_by);
    }
}

bool conn_step(struct conn *conn, int64_t now)
{
    bool moved = false;
    if (conn->state == CONN_HANDSHAKE)
        moved = shake(conn, now);
    if (conn->state == CONN_LINGER)
        return linger(conn);
    if (conn->state != CONN_OPEN)
        return false;
    moved |= flush(conn);
    /* Without one of these it has written nothing: see conn_answered. */
    if (conn->exchange.queued || conn->exchange.expects || !conn->mhd_open)
        moved |= take(conn, false);
    moved |= pump(conn);
    if (conn->state == CONN_OPEN && conn->pair < 0 && conn->out_at == conn->out.size) {
        end(conn, now);
        moved = true;
    }
    if (conn->state == CONN_OPEN)
        watch(conn, moved, now);
    return moved;
}

void conn_timeout(struct conn *conn, int64_t now)
{
    bool waits_for_client = conn->out_at < conn->out.size;
    if (conn->state != CONN_OPEN || waits_for_client || conn->refused)
        conn_kill(conn);
    else if (conn->busy && !conn->exchange.queued)
        conn_refuse(conn, 408, now);
    else
        conn_finish(conn, now);
}
