/* The watcher thread; see loop.h. */
#include "kube/loop.h"

#include <pthread.h>
#include <sys/random.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define TASKS_MAXIMUM 256u
#define POLL_MS       1000
#define DEADLINE_MS   10000u

struct kube_loop {
    struct kube_client *client;
    CURLM *multi;
    pthread_t thread;
    bool running;
    atomic_bool stop;
    struct kube_task *tasks[TASKS_MAXIMUM]; /* NULL: a free place */
};

uint32_t kube_random(void)
{
    uint32_t value;
    if (getrandom(&value, sizeof(value), GRND_NONBLOCK) == (ssize_t)sizeof(value))
        return value;
    return (uint32_t)clock_mono_nanos() * 2654435761u; /* jitter only, no secret */
}

struct kube_loop *kube_loop_new(struct kube_client *client, struct err *err)
{
    struct kube_loop *loop = mem_calloc(1, sizeof(*loop));
    if (loop != NULL)
        loop->multi = curl_multi_init();
    if (loop == NULL || loop->multi == NULL) {
        mem_free(loop);
        err_nomem(err);
        return NULL;
    }
    loop->client = client;
    return loop;
}

void kube_loop_free(struct kube_loop *loop)
{
    if (loop == NULL)
        return;
    kube_loop_stop(loop);
    curl_multi_cleanup(loop->multi);
    mem_free(loop);
}

struct kube_client *kube_loop_client(struct kube_loop *loop)
{
    return loop->client;
}

bool kube_loop_add(struct kube_loop *loop, struct kube_task *task, struct err *err)
{
    for (size_t i = 0; i < TASKS_MAXIMUM; i++) {
        if (loop->tasks[i] == NULL) {
            loop->tasks[i] = task;
            return true;
        }
    }
    return err_set(err, ERR_LIMIT, "more than %u watches at once", TASKS_MAXIMUM);
}

void kube_loop_remove(struct kube_loop *loop, struct kube_task *task)
{
    for (size_t i = 0; i < TASKS_MAXIMUM; i++)
        if (loop->tasks[i] == task)
            loop->tasks[i] = NULL;
}

void kube_loop_poke(struct kube_loop *loop, struct kube_task *task)
{
    atomic_store(&task->poked, true);
    curl_multi_wakeup(loop->multi);
}

bool kube_loop_send(struct kube_loop *loop, struct kube_call *call, struct err *err)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return err_nomem(err);
    call->transfer.body = NULL;
    unsigned deadline =
        call->request.deadline_ms > 0 ? call->request.deadline_ms : DEADLINE_MS;
    bool good = transfer_prepare(&call->transfer, easy, loop->client, &call->request,
                                 deadline, err);
    if (good && curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)call) != CURLE_OK)
        good = err_nomem(err);
    if (good && curl_multi_add_handle(loop->multi, easy) != CURLM_OK)
        good = err_nomem(err);
    if (!good) {
        curl_easy_cleanup(easy);
        transfer_done(&call->transfer);
        return false;
    }
    call->active = true;
    return true;
}

static void end_call(struct kube_loop *loop, struct kube_call *call)
{
    curl_multi_remove_handle(loop->multi, call->transfer.easy);
    curl_easy_cleanup(call->transfer.easy);
    call->transfer.easy = NULL;
    call->active = false;
}

void kube_loop_cancel(struct kube_loop *loop, struct kube_call *call)
{
    if (!call->active)
        return;
    end_call(loop, call);
    transfer_done(&call->transfer);
}

static void finish(struct kube_loop *loop, CURL *easy, CURLcode code)
{
    char *private = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    struct kube_call *call = (struct kube_call *)(void *)private;
    struct err err = {0};
    bool good = transfer_result(&call->transfer, &call->request, code, &err);
    end_call(loop, call);
    /* The callback may send the same call again: what it reads must be out of the way. */
    struct buf body = call->transfer.own_body;
    buf_init(&call->transfer.own_body, 0);
    call->transfer.body = &body;
    transfer_done(&call->transfer);
    call->on_done(call, good, &err);
    buf_done(&body);
}

/* Returns when the next task is due. */
static int64_t run_tasks(struct kube_loop *loop)
{
    int64_t next = KUBE_NEVER;
    for (size_t i = 0; i < TASKS_MAXIMUM; i++) {
        struct kube_task *task = loop->tasks[i];
        if (task == NULL)
            continue;
        int64_t now = clock_mono_millis();
        bool poked = atomic_exchange(&task->poked, false);
        if (poked || task->due <= now)
            task->run(task, now);
        /* It may have removed itself, or another. */
        if (loop->tasks[i] == task && task->due < next)
            next = task->due;
    }
    return next;
}

static bool take_results(struct kube_loop *loop)
{
    bool any = false;
    int left;
    for (;;) {
        const CURLMsg *message = curl_multi_info_read(loop->multi, &left);
        if (message == NULL)
            return any;
        if (message->msg != CURLMSG_DONE)
            continue;
        any = true;
        finish(loop, message->easy_handle, message->data.result);
    }
}

static void *run(void *context)
{
    struct kube_loop *loop = context;
    mem_wipe_from_here(true); /* Secrets come by here */
    while (!atomic_load(&loop->stop)) {
        int64_t next = run_tasks(loop);
        int running;
        curl_multi_perform(loop->multi, &running);
        if (take_results(loop))
            continue;
        int64_t wait = next == KUBE_NEVER ? POLL_MS : next - clock_mono_millis();
        if (wait > POLL_MS)
            wait = POLL_MS;
        if (wait > 0)
            curl_multi_poll(loop->multi, NULL, 0, (int)wait, NULL);
    }
    return NULL;
}

bool kube_loop_start(struct kube_loop *loop, struct err *err)
{
    atomic_store(&loop->stop, false);
    int reason = pthread_create(&loop->thread, NULL, run, loop);
    if (reason != 0)
        return err_errno(err, reason, "cannot start the watcher thread");
    loop->running = true;
    pthread_setname_np(loop->thread, "nrw-kube");
    return true;
}

void kube_loop_stop(struct kube_loop *loop)
{
    if (!loop->running)
        return;
    atomic_store(&loop->stop, true);
    curl_multi_wakeup(loop->multi);
    pthread_join(loop->thread, NULL);
    loop->running = false;
}
