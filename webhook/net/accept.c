/* Taking connections in, and what to do when there are too many; see worker.h.
 *
 * At the limit one connection makes room: see `enum worth`. With none that may go, a few
 * more are let in to be told 503, and beyond those the connection is closed at once. When
 * descriptors run out the same is done, and in the end a spare one is given up to accept
 * and close, so that a full queue never makes the loop spin. */
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen.h"
#include "util/clock.h"

#define ACCEPTS_MAXIMUM 16 /* per turn, so that those who are in get their turn too */
#define ACCEPTS_AT_END  (LISTEN_BACKLOG + 1)
#define PLAIN_MAXIMUM   64 /* probes and scrapes */
#define SHED_MAXIMUM    16
#define BATCH           4
#define HELLO_MS        1000
#define SILENT_MS       250
#define ASKING_MS       700
#define WAITING_MS      100
#define WAITED_MS       250
#define RESTING_MS      10000

/* Who goes first. A client in order shakes hands and sends its request within
 * milliseconds, so those that take their time go before those that have been served and
 * may ask again: a crowd that only connects, or drips, does not push out the API server,
 * however fast it comes. Requests that are being answered never go. */
enum worth {
    WORTH_LINGERING,   /* answered and over */
    WORTH_SLOW_HELLO,  /* in the handshake for a second */
    WORTH_SILENT,      /* open for a quarter of a second and never asked anything */
    WORTH_SLOW_ASKING, /* has been sending one request for most of a second, or has not
                        * taken anything of an answer for as long */
    WORTH_CROWD,       /* in the handshake, when half of all are */
    WORTH_HEAPING,     /* has sent requests behind one another and waits for its turn: no
                        * API server does */
    WORTH_RESTING,     /* was served, ten seconds ago or more, and can come again */
    WORTH_WAITING,     /* never served, and has let us wait for a tenth of a second */
    WORTH_IDLE,        /* was served a moment ago */
    WORTH_NEW,         /* open for less than those, or with something to be read */
    WORTH_HELLO,       /* in the handshake */
    WORTH_KINDS,       /* not to be closed */
};

/* How long it has taken nothing: the deadline is put off when it does, until the last
 * seconds of all that an answer may take. */
static int64_t untaken_ms(const struct conn *conn, int64_t age)
{
    int64_t left = conn->deadline - (conn->since + age);
    return conn->worker->server->write_ms - left;
}

static enum worth worth_of_open(const struct conn *conn, int64_t age)
{
    if (conn->aside) /* it is us who take the time */
        return WORTH_KINDS;
    bool idle = conn_idle(conn);
    bool unread = conn->readable && !conn->peer_eof; /* it may be us who are late */
    if (idle && conn->answered > 0)
        return unread ? WORTH_NEW : age > RESTING_MS ? WORTH_RESTING : WORTH_IDLE;
    if (idle && !unread && age > SILENT_MS)
        return WORTH_SILENT;
    if ((conn->phase == CONN_RECEIVING && age > ASKING_MS) ||
        (conn->phase == CONN_SENDING && untaken_ms(conn, age) > ASKING_MS))
        return WORTH_SLOW_ASKING;
    if (conn->held)
        return WORTH_HEAPING;
    if (conn->answered == 0 && conn->phase != CONN_SENDING &&
        age > (unread ? WAITED_MS : WAITING_MS))
        return WORTH_WAITING;
    return idle ? WORTH_NEW : WORTH_KINDS;
}

static enum worth worth_of(const struct conn *conn, int64_t now)
{
    int64_t age = now - conn->since;
    switch (conn->state) {
    case CONN_HANDSHAKE:
        if (conn->stream.handshaken) /* it is the one that room is made for */
            return WORTH_KINDS;
        return age > HELLO_MS ? WORTH_SLOW_HELLO : WORTH_HELLO;
    case CONN_LINGER:
        return WORTH_LINGERING;
    case CONN_OPEN:
        return worth_of_open(conn, age);
    default:
        return WORTH_KINDS;
    }
}

static void close_one(struct conn *conn)
{
    if (conn->state == CONN_OPEN)
        stream_shutdown(&conn->stream);
    conn_kill(conn);
}

/* Those of one kind: how many, and who of them would go. */
struct found {
    unsigned count;
    struct conn *oldest[BATCH]; /* the last ones seen, at their number modulo BATCH */
};

static bool was_served(unsigned worth)
{
    return worth == WORTH_RESTING || worth == WORTH_IDLE;
}

/* The oldest, not by when they came, but by when they were served. */
static void found_served(struct found *found, struct conn *conn)
{
    if (found->count == 0 || conn->since <= found->oldest[0]->since)
        found->oldest[0] = conn;
    found->count = 1;
}

/* Who may have to go. */
enum among {
    AMONG_ALL,
    AMONG_PLAIN, /* of the metrics listener */
    AMONG_TLS,
    AMONG_BODIES, /* with a part of a body: it is memory that is wanted */
    AMONG_LARGE,  /* … and much of it */
};

static bool is_among(const struct conn *conn, enum among among)
{
    switch (among) {
    case AMONG_PLAIN:
    case AMONG_TLS:
        return conn->plain == (among == AMONG_PLAIN);
    case AMONG_BODIES:
        return conn->exchange.small > 0 && !conn->refused;
    case AMONG_LARGE:
        return conn->exchange.budget > 0 && !conn->refused;
    case AMONG_ALL:
        break;
    }
    return true;
}

static bool holds_body(enum among among)
{
    return among == AMONG_BODIES || among == AMONG_LARGE;
}

/* What is said now would be a part of it. */
static bool has_answer(const struct conn *conn)
{
    return conn->exchange.queued || conn->out_at < conn->out.size;
}

/* Once through all, newest first: looking through them is most of what this takes. */
static unsigned look(struct worker *worker, enum among among, struct found *kinds)
{
    unsigned all = 0;
    for (struct conn *conn = worker->all; conn != NULL; conn = conn->next) {
        if (!is_among(conn, among))
            continue;
        all++;
        unsigned worth = worth_of(conn, worker->now);
        struct found *found = &kinds[worth];
        if (was_served(worth))
            found_served(found, conn);
        else
            found->oldest[found->count++ % BATCH] = conn;
    }
    return all;
}

/* Closes connections that are worth least: one that was served, or a few of those that
 * were not, because they come in crowds and looking through all takes its time. False
 * when all are at work. */
static bool relieve(struct worker *worker, enum among among)
{
    struct found kinds[WORTH_KINDS + 1] = {0};
    unsigned all = look(worker, among, kinds);
    bool crowd = kinds[WORTH_HELLO].count > all / 2;
    unsigned least = 0;
    while (least < WORTH_KINDS && kinds[least].count == 0 &&
           !(least == WORTH_CROWD && crowd))
        least++;
    if (least == WORTH_KINDS)
        return false;
    const struct found *going = &kinds[least == WORTH_CROWD ? WORTH_HELLO : least];
    unsigned count = going->count, most = count < BATCH ? count : BATCH;
    if (least > WORTH_IDLE)
        most = 1;
    for (unsigned i = 1; i <= most; i++) {
        struct conn *conn = going->oldest[(count - i) % BATCH];
        if (holds_body(among) && !has_answer(conn))
            conn_refuse(conn, 503, worker->now); /* the connection itself may stay */
        else
            close_one(conn);
        if (clock_mono_nanos() >= worker->slice_end)
            break;
    }
    return true;
}

bool worker_relieve(struct worker *worker)
{
    if (worker->oldest != NULL) {
        conn_kill(worker->oldest);
        return true;
    }
    return relieve(worker, AMONG_ALL);
}

bool worker_relieve_bodies(struct worker *worker)
{
    return relieve(worker, AMONG_BODIES);
}

void worker_relieve_large(struct worker *worker)
{
    unsigned wanted = atomic_load(&worker->server->large_wanted);
    if (wanted != worker->large_wanted)
        (void)relieve(worker, AMONG_LARGE);
    worker->large_wanted = wanted;
}

static void accept_and_close(struct worker *worker, int listen_fd)
{
    close(worker->spare_fd);
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    worker->spare_fd = fcntl(worker->wake_fd, F_DUPFD_CLOEXEC, 0);
}

bool worker_has_room(struct worker *worker, struct conn *conn)
{
    unsigned *count = conn->plain ? &worker->plain_count : &worker->count;
    unsigned limit = conn->plain ? PLAIN_MAXIMUM : worker->server->max_connections;
    /* More than one where some are in that were told 503. */
    while (*count >= limit && relieve(worker, conn->plain ? AMONG_PLAIN : AMONG_TLS)) {
    }
    conn->shed = *count >= limit;
    return *count < limit + SHED_MAXIMUM;
}

static void take_in(struct worker *worker, int fd, bool plain)
{
    struct conn *conn = conn_new(worker, fd, plain);
    if (conn == NULL)
        return;
    if (!plain && worker->silent_count >= worker->server->max_silent)
        conn_kill(worker->oldest);
    bool welcome = !plain || worker_has_room(worker, conn);
    if (!worker_adopt(worker, conn) || !welcome)
        conn_kill(conn);
}

void worker_accept(struct worker *worker, int listen_fd, bool plain)
{
    const int most = worker->stopping ? ACCEPTS_AT_END : ACCEPTS_MAXIMUM;
    for (int i = 0; i < most && (i == 0 || clock_mono_nanos() < worker->slice_end); i++) {
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
