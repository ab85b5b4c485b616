/* The thread that answers what takes long; see aside.h. Both ways lead over lists to
 * which one is added, or which are taken as a whole, without a lock: this thread is the
 * last to get a processor, and no worker may have to wait for it. */
#include "net/aside.h"

#include <errno.h>
#include <sched.h>

#include "net/worker.h"
#include "util/clock.h"

#define LATE_NS INT64_C(1000000000)

static void push(_Atomic(struct conn *) *list, struct conn *conn)
{
    struct conn *before = atomic_load(list);
    do {
        conn->exchange.next_aside = before;
    } while (!atomic_compare_exchange_weak(list, &before, conn));
}

static struct conn *take_all(_Atomic(struct conn *) *list)
{
    /* Looked at first: most times there is nothing. */
    return atomic_load(list) != NULL ? atomic_exchange(list, NULL) : NULL;
}

void aside_put(struct aside *aside, struct conn *conn)
{
    push(&aside->put, conn);
    (void)sem_post(&aside->changed);
}

struct conn *aside_back(struct worker *worker)
{
    return take_all(&worker->back);
}

/* In front of the queue, in the order that they have. */
static void requeue(struct aside *aside)
{
    struct conn *all = take_all(&aside->put), **end = &all;
    while (*end != NULL)
        end = &(*end)->exchange.next_aside;
    *end = aside->queue;
    aside->queue = all;
}

static bool goes_first(const struct conn *conn, const struct conn *other, int64_t now)
{
    const struct exchange *x = &conn->exchange, *y = &other->exchange;
    bool late = now - x->request.since > LATE_NS;
    bool other_late = now - y->request.since > LATE_NS;
    if (late || other_late)
        return late && (!other_late || x->request.since <= y->request.since);
    return x->known != y->known ? x->known : x->aside_before <= y->aside_before;
}

/* Who is first; NULL where nobody is. There are never many. */
static struct conn *next(struct aside *aside)
{
    requeue(aside);
    int64_t now = aside->queue != NULL ? clock_mono_nanos() : 0;
    struct conn **first = &aside->queue;
    for (struct conn **at = first; *at != NULL; at = &(*at)->exchange.next_aside) {
        if (goes_first(*at, *first, now)) /* if they are equal it came before */
            first = at;
    }
    struct conn *conn = *first;
    if (conn != NULL)
        *first = conn->exchange.next_aside;
    return conn;
}

static void give_back(struct conn *conn, bool answered)
{
    struct worker *worker = conn->worker;
    conn->exchange.answered = answered;
    push(&worker->back, conn); /* from here on it is the worker's */
    worker_wake(worker);
}

static void answer(struct aside *aside, struct conn *conn)
{
    const struct net_handlers *handlers = &aside->server->handlers;
    struct exchange *x = &conn->exchange;
    if (atomic_load(&x->gone)) { /* nobody waits for it any more */
        give_back(conn, false);
        return;
    }
    int64_t began = clock_mono_nanos();
    enum net_handled handled =
        handlers->handle(handlers->context, &x->request, &x->answer);
    x->aside_time += clock_mono_nanos() - began;
    if (handled == NET_LONG && !aside->idle) {
        x->request.said = NET_LONG;
        aside_put(&aside->server->aside_long, conn);
    } else {
        give_back(conn, handled == NET_ANSWERED);
    }
}

static void *run(void *context)
{
    struct aside *aside = context;
    (void)pthread_setname_np(pthread_self(), aside->idle ? "aside" : "looks");
    while (!atomic_load(&aside->stopping)) {
        struct conn *conn = next(aside);
        if (conn != NULL)
            answer(aside, conn);
        else
            (void)sem_wait(&aside->changed);
    }
    return NULL;
}

bool aside_start(struct aside *aside, struct net_server *server, bool idle,
                 struct err *err)
{
    aside->server = server;
    aside->idle = idle;
    (void)sem_init(&aside->changed, 0, 0);
    int failure = pthread_create(&aside->thread, NULL, run, aside);
    if (failure != 0)
        return err_errno(err, failure, "cannot start the thread for large requests");
    aside->started = true;
    /* A worker that wakes then takes the processor at once, sched(7); it would otherwise
     * wait for the end of a slice, which is milliseconds. Where it is refused, it does.
     */
    const struct sched_param none = {0};
    if (idle)
        (void)pthread_setschedparam(aside->thread, SCHED_IDLE, &none);
    return true;
}

void aside_stop(struct aside *aside)
{
    if (!aside->started)
        return;
    atomic_store(&aside->stopping, true);
    (void)sem_post(&aside->changed);
    pthread_join(aside->thread, NULL);
    aside->started = false;
    for (struct conn *conn; (conn = next(aside)) != NULL;)
        give_back(conn, false);
    (void)sem_destroy(&aside->changed);
}
