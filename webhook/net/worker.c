/* The loop; see worker.h. One turn: wait; let the connections that go first (conn_first)
 * move their bytes, then libmicrohttpd answer, and again while that moves more; then take
 * in who knocks and let the others move, for a slice of time; end those whose time is up;
 * free the dead. A turn never blocks for longer than a second, and each part of it is
 * bounded.
 *
 * So who asks in order waits for one slice of what all others do at most, however many
 * they are and whatever they send, and not for each of them; a slice is as short as it
 * can be, because looking for events again costs a microsecond. The others have a third
 * of the time at least, also when those who go first take all that they can get. */
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/http.h"
#include "util/clock.h"
#include "util/mem.h"

#define EVENTS_MAXIMUM    1024 /* all: the one who goes first may be the last */
#define TURN_MS           1000
#define ROUNDS_MAXIMUM    8
#define MOVE_MS           5       /* then who has just come is looked at, too */
#define SLICE_NS          50000   /* what goes beyond is the last step alone */
#define OWED_NS           1000000 /* from here on slices are longer */
#define OWED_MAXIMUM_NS   5000000
#define TIMEOUTS_MAXIMUM  16 /* connections ended in a turn; the next one goes on */
#define QUEUED_MAXIMUM    2  /* pipelined requests answered in a turn */
#define SPARE_CONNECTIONS 64 /* libmicrohttpd's limit is never the one that is hit */
#define CROWD             128u
#define LARGE             (16u << 20)
#define FRESH_STOP_MS     1000

/* --- lists -------------------------------------------------------------------- */

static void list_add(struct conn **list, struct conn *conn)
{
    conn->prev = NULL;
    conn->next = *list;
    if (*list != NULL)
        (*list)->prev = conn;
    *list = conn;
}

static void list_remove(struct conn **list, struct conn *conn)
{
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        *list = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
}

static unsigned *count_of(struct worker *worker, const struct conn *conn)
{
    return conn->silent  ? &worker->silent_count
           : conn->plain ? &worker->plain_count
                         : &worker->count;
}

static unsigned count_all(const struct worker *worker)
{
    return worker->count + worker->plain_count + worker->silent_count;
}

static void list_in(struct worker *worker, struct conn *conn)
{
    if (conn->silent && worker->silent == NULL)
        worker->oldest = conn;
    list_add(conn->silent ? &worker->silent : &worker->all, conn);
    ++*count_of(worker, conn);
}

static void list_out(struct worker *worker, struct conn *conn)
{
    if (worker->oldest == conn)
        worker->oldest = conn->prev;
    list_remove(conn->silent ? &worker->silent : &worker->all, conn);
    --*count_of(worker, conn);
}

static void counted(struct worker *worker, long change)
{
    const struct net_handlers *handlers = &worker->server->handlers;
    if (handlers->on_connections != NULL)
        handlers->on_connections(handlers->context, change);
    unsigned all = count_all(worker);
    if (all > worker->peak)
        worker->peak = all;
}

void worker_ready(struct worker *worker, struct conn *conn)
{
    if (conn->ready)
        return;
    conn->ready = true;
    conn->next_ready = NULL;
    bool first = conn_first(conn);
    struct conns *conns = first ? &worker->first : &worker->rest;
    worker->rest_added += first ? 0 : 1;
    if (conns->head == NULL)
        conns->head = conn;
    else
        conns->last->next_ready = conn;
    conns->last = conn;
}

/* Back to the head, as if it had not been taken: its handshake is paused, and there is
 * never more than one of those. */
static void ready_again(struct worker *worker, struct conn *conn)
{
    conn->ready = true;
    conn->next_ready = worker->rest.head;
    if (worker->rest.head == NULL)
        worker->rest.last = conn;
    worker->rest.head = conn;
    worker->rest_taken--;
}

static struct conn *take_ready(struct conns *conns)
{
    struct conn *conn = conns->head;
    if (conn == NULL)
        return NULL;
    conns->head = conn->next_ready;
    conn->ready = false;
    return conn;
}

void worker_queue(struct worker *worker, struct conn *conn)
{
    if (conn->queued)
        return;
    conn->queued = true;
    conn->next_queued = NULL;
    if (worker->queue == NULL)
        worker->queue = conn;
    else
        worker->queue_last->next_queued = conn;
    worker->queue_last = conn;
}

static struct conn *unqueue(struct worker *worker)
{
    struct conn *conn = worker->queue;
    worker->queue = conn->next_queued;
    conn->queued = false;
    return conn;
}

void worker_deadline(struct worker *worker, int64_t when)
{
    if (when < worker->next_scan)
        worker->next_scan = when;
}

bool worker_adopt(struct worker *worker, struct conn *conn)
{
    list_in(worker, conn);
    counted(worker, 1);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                                .data.ptr = conn};
    return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, conn->stream.fd, &event) == 0;
}

void worker_watch_output(struct worker *worker, struct conn *conn)
{
    if (conn->watched)
        return;
    conn->watched = true;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = conn};
    if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_MOD, conn->stream.fd, &event) != 0)
        conn_kill(conn);
}

void worker_hear(struct worker *worker, struct conn *conn)
{
    list_out(worker, conn);
    conn->silent = false;
    conn->since = worker->now;
    bool welcome = worker_has_room(worker, conn);
    list_in(worker, conn);
    if (!welcome)
        conn_kill(conn);
}

void worker_bury(struct worker *worker, struct conn *conn)
{
    list_out(worker, conn);
    list_add(&worker->dead, conn);
    counted(worker, -1);
}

static void reap(struct worker *worker)
{
    struct conn *next;
    for (struct conn *conn = worker->dead; conn != NULL; conn = next) {
        next = conn->next;
        if (conn_reapable(conn)) {
            list_remove(&worker->dead, conn);
            conn_free(conn);
        }
    }
}

/* --- one turn ----------------------------------------------------------------- */

static void step(struct worker *worker, struct conn *conn)
{
    bool more = conn_step(conn, worker->now);
    if (conn->stream.paused)
        ready_again(worker, conn);
    else if (more)
        worker_ready(worker, conn);
}

static void answer(struct worker *worker)
{
    if (!worker->http_pending)
        return;
    worker->http_pending = false;
    bool more = http_run(worker); /* may set it again */
    worker->http_pending = worker->http_pending || more;
}

/* Connections move their bytes, libmicrohttpd answers, the answers leave; again with
 * those that moved something, until nothing moves or others must have their turn. */
static void move_first(struct worker *worker)
{
    int64_t until = worker->now + MOVE_MS;
    for (int round = 0; round < ROUNDS_MAXIMUM && worker->now <= until; round++) {
        struct conns list = worker->first;
        worker->first = (struct conns){NULL, NULL};
        for (struct conn *conn; (conn = take_ready(&list)) != NULL;)
            step(worker, conn);
        answer(worker);
        if (worker->first.head == NULL)
            break;
        worker->now = clock_mono_millis();
    }
}

/* One at a time, with its answer: that is what one who goes first may have to wait for.
 */
static void move_rest(struct worker *worker)
{
    struct conn *conn;
    while ((conn = take_ready(&worker->rest)) != NULL) {
        worker->rest_taken++;
        step(worker, conn);
        answer(worker);
        http_scrap(worker); /* a step takes in less than a piece: so it never piles up */
        if (clock_mono_nanos() >= worker->slice_end)
            break;
    }
}

/* Pipelined requests are answered a few at a time, each connection in turn: hundreds of
 * clients that send heaps of them, and read no answer, would otherwise have all the time
 * there is, while one that waits for its answers has one request in as many turns. */
static void let_go_on(struct worker *worker)
{
    if (worker->rest_taken < worker->go_on_at)
        return; /* not before all others had their turn */
    for (int i = 0; i < QUEUED_MAXIMUM && worker->queue != NULL;) {
        struct conn *conn = unqueue(worker);
        if (conn->state != CONN_OPEN || !conn->held)
            continue;
        conn->its_turn = true;
        worker_ready(worker, conn);
        i++;
    }
    worker->go_on_at = worker->rest_added;
}

/* After a crowd, or large bodies, have gone: glibc keeps what the one was made of, and
 * what was allocated to decide on the other. */
static void trim(struct worker *worker)
{
    unsigned all = count_all(worker);
    bool crowd = worker->peak >= CROWD && all <= worker->peak / 4;
    bool large = worker->given_back >= LARGE && atomic_load(&worker->server->large) == 0;
    if (!crowd && !large)
        return;
    worker->peak = all;
    worker->given_back = 0;
    mem_trim();
}

static void scan(struct worker *worker)
{
    worker->next_scan = worker->now + TURN_MS;
    unsigned ended = 0;
    /* All of these have the same time, so that theirs ends in the order of the list. */
    while (worker->oldest != NULL && worker->oldest->deadline <= worker->now &&
           ended < TIMEOUTS_MAXIMUM) {
        conn_timeout(worker->oldest, worker->now);
        ended++;
    }
    if (worker->oldest != NULL)
        worker_deadline(worker, worker->oldest->deadline);
    struct conn *next;
    for (struct conn *conn = worker->all; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->deadline > worker->now) {
            worker_deadline(worker, conn->deadline);
        } else if (ended < TIMEOUTS_MAXIMUM) {
            conn_timeout(conn, worker->now);
            ended++;
        } else {
            worker_deadline(worker, worker->now);
        }
    }
    trim(worker);
}

static void stop_listening(struct worker *worker)
{
    int *fds[] = {&worker->listen_fd, &worker->metrics_fd};
    for (unsigned i = 0; i < 2; i++) {
        if (*fds[i] < 0)
            continue;
        /* Who is in the queue already is still served. */
        worker->slice_end = INT64_MAX;
        worker_accept(worker, *fds[i], i == 1);
        (void)epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, *fds[i], NULL);
        close(*fds[i]);
        *fds[i] = -1;
    }
}

/* Connections that were used and are idle are closed; those that have just come may still
 * say what they came for, but not for long. */
static void begin_stop(struct worker *worker)
{
    worker->stopping = true;
    stop_listening(worker);
    struct conn *next;
    const int64_t soon = worker->now + FRESH_STOP_MS;
    for (struct conn *conn = worker->silent; conn != NULL; conn = conn->next) {
        if (conn->deadline > soon)
            conn->deadline = soon;
        worker_deadline(worker, soon);
    }
    for (struct conn *conn = worker->all; conn != NULL; conn = next) {
        next = conn->next;
        if (conn_idle(conn) && conn->answered > 0 && !conn->readable) {
            conn_finish(conn, worker->now);
        } else if ((conn_idle(conn) || conn->state != CONN_OPEN) &&
                   conn->deadline > soon) {
            conn->deadline = soon;
            worker_deadline(worker, soon);
        }
    }
}

static bool something_to_do(const struct worker *worker)
{
    return worker->first.head != NULL || worker->rest.head != NULL ||
           worker->queue != NULL || worker->scrap != NULL || worker->http_pending ||
           worker->returned != NULL || atomic_load(&worker->back) != NULL;
}

static bool wait_for_events(struct worker *worker)
{
    struct epoll_event events[EVENTS_MAXIMUM];
    int64_t wait = worker->next_scan - worker->now;
    if (something_to_do(worker) || wait < 0)
        wait = 0;
    int n = epoll_wait(worker->epoll_fd, events, EVENTS_MAXIMUM,
                       wait < TURN_MS ? (int)wait : TURN_MS);
    worker->now = clock_mono_millis();
    bool knocks = false;
    for (int i = 0; i < n; i++) {
        void *who = events[i].data.ptr;
        if (who == &worker->listen_fd) {
            knocks = worker->knocks = true;
        } else if (who == &worker->metrics_fd) {
            knocks = worker->knocks_plain = true;
        } else if (who == &worker->wake_fd) {
            uint64_t count;
            (void)!read(worker->wake_fd, &count, sizeof(count));
        } else {
            struct conn *conn = who;
            conn->readable = true;
            if (conn->aside && (events[i].events & (EPOLLHUP | EPOLLERR)) != 0)
                conn_kill(conn); /* it reads nothing now, and so would not see it */
            if ((events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
                conn->hangup = true;
            worker_ready(worker, conn);
        }
    }
    if (knocks && !worker->accepting) {
        worker->accepting = true;
        worker->accept_at = worker->rest_added;
    }
    return n >= 0 || errno == EINTR;
}

/* Who knocks is taken in after those of the rest that had something to do by then: a
 * storm of new ones does not keep those who are in from shaking hands. */
static void take_in(struct worker *worker)
{
    if (!worker->accepting || worker->rest_taken < worker->accept_at)
        return;
    worker->accepting = false;
    if (worker->knocks && worker->listen_fd >= 0)
        worker_accept(worker, worker->listen_fd, false);
    if (worker->knocks_plain && worker->metrics_fd >= 0)
        worker_accept(worker, worker->metrics_fd, true);
    worker->knocks = worker->knocks_plain = false;
}

/* Those who do not go first are owed half as long as those who do take. They get it in
 * slices as short as they can be, and in longer ones once much is owed: that is only
 * where those who go first want all that there is. */
static void give_slice(struct worker *worker, int64_t began)
{
    int64_t now = clock_mono_nanos(), half = (now - began) / 2;
    worker->owed += half;
    if (worker->owed > OWED_MAXIMUM_NS)
        worker->owed = OWED_MAXIMUM_NS;
    bool much = worker->owed > OWED_NS && half > SLICE_NS;
    worker->slice_end = now + (much ? half : SLICE_NS);
    bool knocked = worker->accepting; /* and may not be all who do */
    take_in(worker);
    move_rest(worker);
    worker->owed -= clock_mono_nanos() - now;
    if (worker->owed < 0 || (worker->rest.head == NULL && !knocked))
        worker->owed = 0;
}

bool worker_turn(struct worker *worker)
{
    struct net_server *server = worker->server;
    atomic_store_explicit(&worker->last_turn, worker->now, memory_order_relaxed);
    if (!wait_for_events(worker))
        return false; /* the epoll descriptor is gone: nothing can be served any more */
    int64_t began = clock_mono_nanos();
    if (!worker->stopping && atomic_load(&server->stopping))
        begin_stop(worker);
    http_take_back(worker);
    let_go_on(worker);
    move_first(worker);
    if (worker->rest.head != NULL || worker->accepting)
        give_slice(worker, began);
    answer(worker);
    worker_relieve_large(worker);
    http_scrap(worker);
    if (worker->now >= worker->next_scan)
        scan(worker);
    reap(worker);
    return !worker->stopping ||
           (count_all(worker) > 0 && worker->now < atomic_load(&server->stop_by));
}

static void kill_all(struct worker *worker)
{
    while (worker->silent != NULL)
        conn_kill(worker->silent);
    while (worker->all != NULL)
        conn_kill(worker->all);
}

void *worker_main(void *context)
{
    struct worker *worker = context;
    char name[] = "net-0";
    name[4] = (char)('0' + worker->index % 10);
    (void)pthread_setname_np(pthread_self(), name);
    worker->now = clock_mono_millis();
    while (worker_turn(worker))
        ;
    kill_all(worker);
    (void)http_run(worker);
    return NULL;
}

/* --- beginning and end -------------------------------------------------------- */

void worker_wake(struct worker *worker)
{
    uint64_t one = 1;
    (void)!write(worker->wake_fd, &one, sizeof(one));
}

static bool listen_to(struct worker *worker, int *fd)
{
    if (*fd < 0)
        return true;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};
    return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, *fd, &event) == 0;
}

bool worker_init(struct worker *worker, struct net_server *server, unsigned index,
                 struct err *err)
{
    worker->server = server;
    worker->index = index;
    worker->now = clock_mono_millis();
    worker->next_scan = worker->now + TURN_MS;
    atomic_init(&worker->last_turn, worker->now);
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->spare_fd = fcntl(worker->wake_fd, F_DUPFD_CLOEXEC, 0);
    if (worker->epoll_fd < 0 || worker->wake_fd < 0 || worker->spare_fd < 0 ||
        !listen_to(worker, &worker->wake_fd) || !listen_to(worker, &worker->listen_fd) ||
        !listen_to(worker, &worker->metrics_fd))
        return err_errno(err, errno, "worker %u cannot be set up", index);
    errno = 0; /* it does not say why, but the kernel may have */
    if (!http_start(worker, server->max_connections + SPARE_CONNECTIONS * 3))
        return errno != 0 ? err_errno(err, errno, "libmicrohttpd does not start")
                          : err_set(err, ERR_INTERNAL, "libmicrohttpd does not start");
    return true;
}

void worker_done(struct worker *worker)
{
    while (worker->lent > 0) /* nobody else has one by now */
        http_take_back(worker);
    http_stop(worker); /* forgets what is left, so that all can be freed */
    kill_all(worker);
    while (worker->queue != NULL)
        (void)unqueue(worker);
    while (take_ready(&worker->first) != NULL || take_ready(&worker->rest) != NULL)
        ;
    reap(worker);
    while (worker->scrap != NULL)
        http_scrap(worker);
    int fds[] = {worker->listen_fd, worker->metrics_fd, worker->spare_fd, worker->wake_fd,
                 worker->epoll_fd};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}
