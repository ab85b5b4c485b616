/* The Event queue; see events.h. One Event is sent at a time, in order. Three bounds: a
 * ring of 256, a bucket of 50 that refills by one a second, and a memory of what was said
 * lately. An Event that the API server refuses is dropped; one that does not reach it is
 * tried four times. */
#include "kube/events.h"

#include <pthread.h>
#include <stdatomic.h>

#include "kube/backoff.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define QUEUE_SIZE   256u
#define RECENT_SIZE  128u
#define RECENT_MS    30000
#define BUCKET_SIZE  50
#define BUCKET_MS    1000 /* per refilled Event */
#define BODY_MAXIMUM 8192u
#define SEND_MS      5000u
#define ATTEMPTS     4u
#define COMPLAINT_MS 60000 /* between log lines about failures */

struct queued {
    char *name_space;
    char *body;
    size_t size;
};

struct kube_events {
    struct kube_task task; /* first: run() casts back */
    struct kube_loop *loop;
    char *instance;
    atomic_uint serial;
    pthread_mutex_t lock; /* of what follows */
    struct queued queue[QUEUE_SIZE];
    size_t head, count;
    struct {
        uint64_t hash;
        int64_t at;
    } recent[RECENT_SIZE];
    size_t next_recent;
    int64_t bucket_at; /* when the bucket was (or will be) empty */
    struct kube_events_counts counts;
    /* Loop's thread only: */
    struct kube_call call;
    struct queued current;
    unsigned attempts;
    struct backoff backoff;
    int64_t complained_at;
};

static void queued_done(struct queued *queued)
{
    mem_free(queued->name_space);
    mem_free(queued->body);
    *queued = (struct queued){0};
}

static void mix(uint64_t *hash, struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        *hash = (*hash ^ (unsigned char)text.p[i]) * 1099511628211u;
    *hash = (*hash ^ 0xffu) * 1099511628211u;
}

static uint64_t hash_of(const struct kube_event *event)
{
    uint64_t hash =
        14695981039346656037u; /* FNV-1a: nobody gains from a collision here */
    mix(&hash, event->kind);
    mix(&hash, event->name_space);
    mix(&hash, event->name);
    mix(&hash, event->reason);
    mix(&hash, event->note);
    return hash;
}

/* Under the lock. */
static bool may_say(struct kube_events *events, uint64_t hash, int64_t now)
{
    for (size_t i = 0; i < RECENT_SIZE; i++) {
        if (events->recent[i].hash == hash && events->recent[i].at > 0 &&
            now - events->recent[i].at < RECENT_MS) {
            events->counts.repeated++;
            return false;
        }
    }
    int64_t full = now - (int64_t)BUCKET_SIZE * BUCKET_MS;
    if (events->bucket_at < full)
        events->bucket_at = full;
    if (events->count == QUEUE_SIZE || events->bucket_at + BUCKET_MS > now) {
        events->counts.dropped++;
        return false;
    }
    return true;
}

static void remember(struct kube_events *events, uint64_t hash, int64_t now)
{
    events->bucket_at += BUCKET_MS;
    events->recent[events->next_recent].hash = hash;
    events->recent[events->next_recent].at = now;
    events->next_recent = (events->next_recent + 1) % RECENT_SIZE;
}

static bool make_queued(struct kube_events *events, const struct kube_event *event,
                        struct queued *ret_queued)
{
    NRW_AUTO_BUF struct buf body;
    buf_init(&body, BODY_MAXIMUM);
    struct str name_space = event->name_space.n > 0 ? event->name_space : STR("default");
    struct queued made = {0};
    made.name_space = mem_strndup(name_space.p, name_space.n);
    if (made.name_space != NULL &&
        kube_event_body(event, events->instance, clock_wall_micros(),
                        atomic_fetch_add(&events->serial, 1), &body))
        made.body = buf_steal(&body, &made.size);
    if (made.body == NULL) {
        queued_done(&made);
        return false;
    }
    *ret_queued = made;
    return true;
}

bool kube_events_add(struct kube_events *events, const struct kube_event *event)
{
    uint64_t hash = hash_of(event);
    int64_t now = clock_mono_millis();
    struct queued queued;
    pthread_mutex_lock(&events->lock);
    bool good = may_say(events, hash, now);
    if (good && !make_queued(events, event, &queued)) {
        events->counts.dropped++;
        good = false;
    }
    if (good) {
        events->queue[(events->head + events->count) % QUEUE_SIZE] = queued;
        events->count++;
        remember(events, hash, now);
    }
    pthread_mutex_unlock(&events->lock);
    if (good)
        kube_loop_poke(events->loop, &events->task);
    return good;
}

static void count(struct kube_events *events, bool sent)
{
    pthread_mutex_lock(&events->lock);
    if (sent)
        events->counts.sent++;
    else
        events->counts.failed++;
    pthread_mutex_unlock(&events->lock);
}

static void complain(struct kube_events *events, const struct err *err)
{
    int64_t now = clock_mono_millis();
    if (events->complained_at != 0 && now - events->complained_at < COMPLAINT_MS)
        return;
    events->complained_at = now;
    log_event(LOG_LEVEL_WARN, "an Event could not be sent", LOG_C("error", err->message));
}

static void on_done(struct kube_call *call, bool good, const struct err *err)
{
    struct kube_events *events = call->context;
    bool again = !good && err->code == ERR_UNAVAILABLE && ++events->attempts < ATTEMPTS;
    if (again) {
        unsigned wait = backoff_next(&events->backoff, kube_random());
        unsigned told = call->transfer.retry_after * 1000;
        events->task.due = clock_mono_millis() + (wait > told ? wait : told);
        return;
    }
    if (good)
        backoff_reset(&events->backoff);
    else
        complain(events, err);
    count(events, good);
    queued_done(&events->current);
    events->task.due = clock_mono_millis();
}

static void run(struct kube_task *task, int64_t now)
{
    struct kube_events *events = (struct kube_events *)(void *)task;
    if (events->call.active || (events->current.body != NULL && task->due > now))
        return;
    task->due = KUBE_NEVER;
    if (events->current.body == NULL) {
        pthread_mutex_lock(&events->lock);
        if (events->count > 0) {
            events->current = events->queue[events->head];
            events->queue[events->head] = (struct queued){0};
            events->head = (events->head + 1) % QUEUE_SIZE;
            events->count--;
        }
        pthread_mutex_unlock(&events->lock);
        events->attempts = 0;
    }
    if (events->current.body == NULL)
        return;
    events->call.request = (struct kube_request){
        .verb = KUBE_CREATE,
        .resource = &kube_events_v1,
        .name_space = events->current.name_space,
        .body = str_from(events->current.body, events->current.size),
        .deadline_ms = SEND_MS,
    };
    struct err err = {0};
    if (!kube_loop_send(events->loop, &events->call, &err)) {
        count(events, false);
        queued_done(&events->current);
        task->due = now + 1000;
    }
}

struct kube_events *kube_events_new(struct kube_loop *loop, const char *instance,
                                    struct err *err)
{
    struct kube_events *events = mem_calloc(1, sizeof(*events));
    if (events == NULL) {
        err_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&events->lock, NULL);
    events->loop = loop;
    events->task.run = run;
    events->task.due = KUBE_NEVER;
    events->call.on_done = on_done;
    events->call.context = events;
    events->backoff = (struct backoff){500, 10000, 0};
    events->instance = mem_strdup(instance);
    if (events->instance == NULL) {
        err_nomem(err);
        kube_events_free(events);
        return NULL;
    }
    if (!kube_loop_add(loop, &events->task, err)) {
        kube_events_free(events);
        return NULL;
    }
    return events;
}

void kube_events_free(struct kube_events *events)
{
    if (events == NULL)
        return;
    kube_loop_cancel(events->loop, &events->call);
    kube_loop_remove(events->loop, &events->task);
    queued_done(&events->current);
    for (size_t i = 0; i < QUEUE_SIZE; i++)
        queued_done(&events->queue[i]);
    pthread_mutex_destroy(&events->lock);
    mem_free(events->instance);
    mem_free(events);
}

void kube_events_counts(struct kube_events *events, struct kube_events_counts *ret_counts)
{
    pthread_mutex_lock(&events->lock);
    *ret_counts = events->counts;
    pthread_mutex_unlock(&events->lock);
}
