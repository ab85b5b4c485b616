/* The thread that answers what takes long; see aside.h. Both ways lead over lists to
 * which one is added, or which are taken as a whole, without a lock: this thread is the
 * last to get a processor, and no worker may have to wait for it. */
#include "net/aside.h"

#include <errno.h>
#include <sched.h>

#include "net/worker.h"

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

void aside_put(struct conn *conn)
{
    struct aside *aside = &conn->worker->server->aside;
    push(&aside->put, conn);
    (void)sem_post(&aside->changed);
}

struct conn *aside_back(struct worker *worker)
{
    return take_all(&worker->back);
}

/* They come last one first. */
static void requeue(struct aside *aside)
{
    struct conn *next;
    for (struct conn *conn = take_all(&aside->put); conn != NULL; conn = next) {
        next = conn->exchange.next_aside;
        conn->exchange.next_aside = aside->queue;
        aside->queue = conn;
    }
}

/* Who is first; NULL where nobody is. */
static struct conn *next(struct aside *aside)
{
    if (aside->queue == NULL)
        requeue(aside);
    struct conn *conn = aside->queue;
    if (conn != NULL)
        aside->queue = conn->exchange.next_aside;
    return conn;
}

static void give_back(struct conn *conn, bool answered)
{
    struct worker *worker = conn->worker;
    conn->exchange.answered = answered;
    push(&worker->back, conn); /* from here on it is the worker's */
    worker_wake(worker);
}

static void *run(void *context)
{
    struct aside *aside = context;
    const struct net_handlers *handlers = &aside->server->handlers;
    (void)pthread_setname_np(pthread_self(), "aside");
    while (!atomic_load(&aside->stopping)) {
        struct conn *conn = next(aside);
        if (conn == NULL) {
            (void)sem_wait(&aside->changed);
            continue;
        }
        struct exchange *x = &conn->exchange;
        give_back(conn, handlers->handle(handlers->context, &x->request, &x->answer));
    }
    return NULL;
}

bool aside_start(struct aside *aside, struct net_server *server, struct err *err)
{
    aside->server = server;
    (void)sem_init(&aside->changed, 0, 0);
    int failure = pthread_create(&aside->thread, NULL, run, aside);
    if (failure != 0)
        return err_errno(err, failure, "cannot start the thread for large requests");
    aside->started = true;
    /* A worker that wakes then takes the processor at once, sched(7); it would otherwise
     * wait for the end of a slice, which is milliseconds. Where it is refused, it does.
     */
    const struct sched_param none = {0};
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
