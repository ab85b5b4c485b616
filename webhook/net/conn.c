/* A connection's life, from the handshake to the last FIN, and its timers; see conn.h.
 * What moves its bytes is bridge.c. */
#include "net/conn.h"

#include <sys/socket.h>
#include <unistd.h>

#include "net/bridge.h"
#include "net/hello.h"
#include "net/http.h"
#include "net/refusal.h"
#include "net/tls.h"
#include "net/worker.h"
#include "util/mem.h"

#define LINGER_MS      2000
#define LINGER_STOP_MS 300
#define IDLE_STOP_MS   1000 /* while stopping: for those that have just come */

static const struct net_handlers *handlers_of(const struct conn *conn)
{
    return &conn->worker->server->handlers;
}

/* --- life --------------------------------------------------------------------- */

struct conn *conn_new(struct worker *worker, int fd, bool plain)
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
    conn->silent = !plain;
    conn->since = worker->now;
    buf_init(&conn->in, BRIDGE_IN_MAXIMUM);
    buf_init(&conn->out, BRIDGE_OUT_MAXIMUM);
    buf_init(&conn->exchange.body, NET_BODY_MAXIMUM);
    conn->deadline = worker->now + worker->server->handshake_ms;
    worker_deadline(worker, conn->deadline);
    return conn;
}

void conn_free(struct conn *conn)
{
    http_reset(conn);
    http_taken(conn);
    buf_done(&conn->in);
    buf_done(&conn->out);
    net_tls_free(conn->tls);
    mem_free(conn);
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
    bridge_close(conn);
    worker_bury(conn->worker, conn);
}

bool conn_reapable(const struct conn *conn)
{
    return conn->state == CONN_DEAD && !conn->mhd_open && !conn->ready && !conn->queued &&
           !conn->aside;
}

bool conn_idle(const struct conn *conn)
{
    return conn->state == CONN_OPEN && !conn->busy && conn->out.size == conn->out_at;
}

bool conn_first(const struct conn *conn)
{
    return conn->state == CONN_OPEN && conn->orderly && !conn->held && !conn->refused &&
           conn->asked <= CONN_FIRST_BYTES;
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
    bridge_close(conn);
    if (conn->peer_eof) {
        conn_kill(conn);
        return;
    }
    conn->state = CONN_LINGER;
    conn->readable = true;
    retime(conn, now + (conn->worker->stopping ? LINGER_STOP_MS : LINGER_MS));
}

/* --- errors of our own -------------------------------------------------------- */

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
    bridge_close(conn);
    bridge_send(conn, answer, n);
    if (conn->state == CONN_OPEN) {
        retime(conn, now + conn->worker->server->write_ms);
        worker_ready(conn->worker, conn);
    }
}

/* --- one turn ----------------------------------------------------------------- */

static void open_up(struct conn *conn, int64_t now)
{
    handshake_over(conn, true);
    /* Before it counts as open, and so as idle: making room must not hit itself. */
    bool made = bridge_open(conn);
    conn->state = CONN_OPEN;
    conn->since = now;
    retime(conn, now + idle_ms(conn));
    if (!made)
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

/* From now on it is closed in order, so that what was said arrives: see listen.c. */
static void be_orderly(const struct conn *conn)
{
    const struct linger none = {.l_onoff = 0};
    (void)setsockopt(conn->stream.fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

/* Only now, so that who connects and says nothing costs next to nothing. */
static bool begin_tls(struct conn *conn)
{
    struct net_server *server = conn->worker->server;
    be_orderly(conn);
    pthread_mutex_lock(&server->lock);
    conn->tls = net_tls_ref(server->tls);
    pthread_mutex_unlock(&server->lock);
    if (conn->tls != NULL)
        conn->stream.ssl = net_tls_session(conn->tls, conn->stream.fd);
    stream_guard(&conn->stream);
    return conn->stream.ssl != NULL;
}

/* True when the handshake may go on. */
static bool hello_fits(struct conn *conn)
{
    struct stream *stream = &conn->stream;
    if (conn->plain || stream->hello_seen || stream->paused)
        return true;
    enum hello hello = hello_look(stream->fd, stream->retried);
    if (conn->silent && hello == HELLO_END)
        conn_kill(conn); /* it never said anything */
    else if (conn->silent && hello != HELLO_NONE)
        worker_hear(conn->worker, conn);
    if (conn->state == CONN_DEAD)
        return false;
    stream->heard = stream->heard || hello == HELLO_WAIT || hello == HELLO_LARGE;
    /* What has ended is OpenSSL's to judge, too. */
    stream->hello_seen = hello == HELLO_GOOD || hello == HELLO_END ||
                         (hello != HELLO_LARGE && conn->hangup);
    if (hello == HELLO_LARGE)
        conn_kill(conn);
    else if (!stream->hello_seen)
        conn->readable = false;
    return stream->hello_seen;
}

static bool shake(struct conn *conn, int64_t now)
{
    if (!conn->readable)
        return false;
    if (!hello_fits(conn))
        return conn->state == CONN_DEAD;
    if (conn->plain)
        be_orderly(conn);
    if (!conn->plain && conn->stream.ssl == NULL && !begin_tls(conn)) {
        conn_kill(conn);
        return true;
    }
    enum stream_result result = stream_handshake(&conn->stream);
    if (result == STREAM_DONE) {
        open_up(conn, now);
        return true;
    }
    if (result == STREAM_PAUSE)
        return true;
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
                (conn->answered == 0 || (!conn->closing && !conn->eof_fed));
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
    if (conn->refused || conn->aside || conn->exchange.queued ||
        conn->out_at < conn->out.size)
        phase = CONN_SENDING;
    else if (conn->busy)
        phase = CONN_RECEIVING;
    bool new = phase != conn->phase || conn->answered != conn->phase_answered;
    conn->phase = phase;
    conn->phase_answered = conn->answered;
    if (new)
        conn->since = now;
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
    moved |= bridge_move(conn);
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
        conn_refuse(conn, conn->aside ? 503 : 408, now);
    else
        conn_finish(conn, now);
}
