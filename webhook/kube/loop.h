/* The watcher thread: one loop over curl_multi that drives every watch, the Event queue
 * and the Lease. Things that live in it are tasks: they run when they are due or poked,
 * may send requests, and get their answers in the same thread, so they need no locks
 * among themselves. */
#ifndef NRW_KUBE_LOOP_H
#define NRW_KUBE_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kube/client.h"
#include "kube/transfer.h"
#include "util/err.h"

#define KUBE_NEVER INT64_MAX

struct kube_loop;

/* Embedded in what it drives. */
struct kube_task {
    void (*run)(struct kube_task *task, int64_t now); /* loop thread */
    int64_t due;       /* clock_mono_millis; set by the task itself; KUBE_NEVER */
    atomic_bool poked; /* kube_loop_poke */
};

struct kube_loop *kube_loop_new(struct kube_client *client, struct err *err);
/* After kube_loop_stop, and after all that uses it is freed. */
void kube_loop_free(struct kube_loop *loop);
bool kube_loop_start(struct kube_loop *loop, struct err *err);
/* Ends the thread at once; requests that run are given up without a callback. */
void kube_loop_stop(struct kube_loop *loop);
struct kube_client *kube_loop_client(struct kube_loop *loop);

/* Before the start or after the stop, or in the loop's thread. */
bool kube_loop_add(struct kube_loop *loop, struct kube_task *task, struct err *err);
void kube_loop_remove(struct kube_loop *loop, struct kube_task *task);
/* Any thread: the task runs now. */
void kube_loop_poke(struct kube_loop *loop, struct kube_task *task);

/* A request under way. The owner fills `request` (whose texts must live as long),
 * `on_done` and, for a stream, the transfer's sink. */
struct kube_call {
    struct kube_request request;
    void (*on_done)(struct kube_call *call, bool good, const struct err *err);
    void *context;
    struct transfer transfer; /* `code`, `retry_after` and `body` hold in on_done */
    bool active;
};

/* Loop's thread, but not from a sink. False: nothing was sent, on_done will not come. */
bool kube_loop_send(struct kube_loop *loop, struct kube_call *call, struct err *err);
/* Same thread, or after the stop: given up without a callback. Nothing when inactive. */
void kube_loop_cancel(struct kube_loop *loop, struct kube_call *call);

uint32_t kube_random(void);

#endif
