/* Leader election; see lease.h. One request at a time:
 *
 *     look (GET) ──absent──► create (POST)
 *        │  free, run out or ours ──► put (PUT, bound to its resourceVersion)
 *        └─ another's: look again in 2 s        ours: put again in 2 s; 409: look soon
 *
 * We lead from the start of the last renewal that worked, for 10 s: less than the 15 s
 * that others wait, so two never lead at once as long as clocks run at about one speed.
 */
#include "kube/lease.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define TICK_MS           200
#define GIVE_BACK_MS      1000
#define CONFLICTS_AT_ONCE 3u /* are looked at at once; then it is given time */

enum asking { ASK_LOOK, ASK_CREATE, ASK_PUT };

struct kube_lease {
    struct kube_task task; /* first: run() casts back */
    struct kube_loop *loop;
    struct kube_lease_options options;
    char *name_space, *name, *identity;
    struct kube_call call;
    enum asking asking;
    char *body; /* of the request under way */
    int64_t asked_at, next_at;
    struct lease_seen seen;
    json_t *lease;                    /* as last seen; NULL: look first */
    atomic_int_least64_t leads_until; /* of the monotonic clock; 0: not leading */
    bool leader;                      /* what on_change was told */
    bool complained;
    unsigned conflicts; /* in a row */
};

bool kube_lease_is_leader(const struct kube_lease *lease)
{
    return clock_mono_millis() < atomic_load(&lease->leads_until);
}

static void tell(struct kube_lease *lease)
{
    bool leader = kube_lease_is_leader(lease);
    if (leader == lease->leader)
        return;
    lease->leader = leader;
    log_event(LOG_LEVEL_INFO,
              leader ? "this replica leads now" : "this replica leads no more",
              LOG_C("lease", lease->name));
    if (lease->options.on_change != NULL)
        lease->options.on_change(lease->options.context, leader);
}

static void remember(struct kube_lease *lease, json_t *object)
{
    json_decref(lease->lease);
    lease->lease = object;
    if (object != NULL)
        lease_observe(&lease->seen, object, clock_mono_millis());
}

static void wait_for(struct kube_lease *lease, int64_t ms)
{
    lease->next_at = clock_mono_millis() + ms;
    if (lease->task.due > lease->next_at)
        lease->task.due = lease->next_at;
}

static void wait_retry(struct kube_lease *lease)
{
    unsigned retry = lease->options.retry_ms;
    wait_for(lease, retry + kube_random() % (retry / 5 + 1));
}

/* What to write: `old` (NULL: none) with another holder. NULL when out of memory. */
static char *body_text(const struct kube_lease *lease, const json_t *old,
                       const char *holder)
{
    json_t *body = lease_body(old, &lease->options, holder, clock_wall_micros());
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static void ask(struct kube_lease *lease, enum asking asking)
{
    mem_free(lease->body);
    lease->body = NULL;
    size_t size = 0;
    if (asking != ASK_LOOK) {
        lease->body =
            body_text(lease, asking == ASK_PUT ? lease->lease : NULL, lease->identity);
        if (lease->body == NULL) {
            wait_retry(lease);
            return;
        }
        size = strlen(lease->body);
    }
    static const enum kube_verb verbs[] = {
        [ASK_LOOK] = KUBE_GET, [ASK_CREATE] = KUBE_CREATE, [ASK_PUT] = KUBE_UPDATE};
    lease->call.request = (struct kube_request){
        .verb = verbs[asking],
        .resource = &kube_leases,
        .name_space = lease->name_space,
        .name = lease->name,
        .body = str_from(lease->body != NULL ? lease->body : "", size),
        .deadline_ms = lease->options.renew_ms / 2,
    };
    lease->asking = asking;
    lease->asked_at = clock_mono_millis();
    if (!kube_loop_send(lease->loop, &lease->call, NULL))
        wait_retry(lease);
}

/* Once we know how it stands. */
static void act(struct kube_lease *lease)
{
    if (lease_next(&lease->seen, lease->identity, clock_mono_millis()) != LEASE_WAIT) {
        ask(lease, ASK_PUT);
        return;
    }
    atomic_store(&lease->leads_until, 0); /* another leads, whatever we thought */
    tell(lease);
    wait_retry(lease);
}

static void failed(struct kube_lease *lease, const struct err *err)
{
    if (lease->asking == ASK_LOOK && err->code == ERR_NOT_FOUND) {
        ask(lease, ASK_CREATE);
        return;
    }
    remember(lease, NULL); /* whatever happened, look before writing again */
    if (err->code == ERR_CONFLICT) {
        if (++lease->conflicts > CONFLICTS_AT_ONCE)
            wait_retry(lease); /* someone is always quicker, or it is no conflict */
        else
            wait_for(lease, kube_random() % 200);
        return;
    }
    if (!lease->complained)
        log_event(LOG_LEVEL_WARN, "the Lease cannot be had", LOG_C("lease", lease->name),
                  LOG_C("error", err->message));
    lease->complained = true;
    wait_retry(lease);
}

/* Whether it is a Lease at all, and ours after a write: a proxy in between may answer 200
 * with anything, and one without a version would be written over whoever leads. */
static bool is_lease(struct kube_lease *lease, const json_t *object, struct err *err)
{
    const json_t *spec = json_object_get(object, "spec");
    if (!kube_is_object(object, "Lease", err))
        return false;
    if (spec != NULL && !json_is_object(spec))
        return err_set(err, ERR_SYNTAX, "the API server's answer is no Lease");
    const char *holder = json_string_value(json_object_get(spec, "holderIdentity"));
    if (lease->asking == ASK_LOOK ||
        (holder != NULL && strcmp(holder, lease->identity) == 0))
        return true;
    return err_set(err, ERR_CONFLICT,
                   "Lease %s was written, and the answer names another holder",
                   lease->name);
}

static json_t *parse(struct kube_lease *lease, struct str text, struct err *err)
{
    json_t *object = kube_parse(text, err);
    if (object == NULL || is_lease(lease, object, err))
        return object;
    json_decref(object);
    return NULL;
}

static void on_done(struct kube_call *call, bool good, const struct err *err)
{
    struct kube_lease *lease = call->context;
    struct err reason = {0};
    json_t *object = good ? parse(lease, buf_view(call->transfer.body), &reason) : NULL;
    if (object == NULL) {
        failed(lease, good ? &reason : err);
        return;
    }
    remember(lease, object);
    lease->complained = false;
    if (lease->asking != ASK_LOOK)
        lease->conflicts = 0;
    if (lease->asking == ASK_LOOK) {
        act(lease);
        return;
    }
    atomic_store(&lease->leads_until, lease->asked_at + lease->options.renew_ms);
    tell(lease);
    wait_retry(lease);
}

static void run(struct kube_task *task, int64_t now)
{
    struct kube_lease *lease = (struct kube_lease *)(void *)task;
    tell(lease);
    if (!lease->call.active && now >= lease->next_at) {
        wait_retry(lease);
        if (lease->lease != NULL && lease->leader)
            act(lease);
        else
            ask(lease, ASK_LOOK);
    }
    /* Also in the middle of a request: the end of leading must be told in time. */
    task->due = clock_mono_millis() + TICK_MS;
    if (!lease->call.active && lease->next_at < task->due)
        task->due = lease->next_at;
}

struct kube_lease *kube_lease_new(struct kube_loop *loop,
                                  const struct kube_lease_options *options,
                                  struct err *err)
{
    struct kube_lease *lease = mem_calloc(1, sizeof(*lease));
    if (lease == NULL) {
        err_nomem(err);
        return NULL;
    }
    lease->loop = loop;
    lease->task.run = run;
    lease->call.on_done = on_done;
    lease->call.context = lease;
    lease->name_space = mem_strdup(options->name_space);
    lease->name = mem_strdup(options->name);
    lease->identity = mem_strdup(options->identity);
    lease->options = *options;
    lease->options.name_space = lease->name_space;
    lease->options.name = lease->name;
    lease->options.identity = lease->identity;
    if (options->duration_seconds == 0)
        lease->options.duration_seconds = 15;
    if (options->renew_ms == 0)
        lease->options.renew_ms = 10000;
    if (options->retry_ms == 0)
        lease->options.retry_ms = 2000;
    if (lease->name_space == NULL || lease->name == NULL || lease->identity == NULL) {
        err_nomem(err);
        kube_lease_free(lease);
        return NULL;
    }
    if (!kube_loop_add(loop, &lease->task, err)) {
        kube_lease_free(lease);
        return NULL;
    }
    return lease;
}

static bool last_word(struct kube_lease *lease, int64_t until, enum kube_verb verb,
                      const char *body, json_t **ret_object, struct err *err)
{
    int64_t left = until - clock_mono_millis();
    if (left <= 0)
        return err_set(err, ERR_UNAVAILABLE, "no time is left");
    const struct kube_request request = {
        .verb = verb,
        .resource = &kube_leases,
        .name_space = lease->name_space,
        .name = lease->name,
        .body = str_of(body),
        .deadline_ms = (unsigned)left,
        .last_word = true,
    };
    return kube_request(kube_loop_client(lease->loop), &request, ret_object, err);
}

/* Whether it is ours by what the API server has. */
static bool look_again(struct kube_lease *lease, int64_t until)
{
    json_t *object = NULL;
    struct err err = {0};
    lease->asking = ASK_LOOK;
    if (!last_word(lease, until, KUBE_GET, "", &object, &err) ||
        !is_lease(lease, object, &err)) {
        json_decref(object);
        return false;
    }
    remember(lease, object);
    return strcmp(lease->seen.holder, lease->identity) == 0;
}

static bool put_back(struct kube_lease *lease, int64_t until, struct err *err)
{
    char *text = body_text(lease, lease->lease, "");
    if (text == NULL)
        return err_nomem(err);
    bool good = last_word(lease, until, KUBE_UPDATE, text, NULL, err);
    mem_free(text);
    return good;
}

/* A courtesy, within a second in all. A renewal that was under way when all was stopped
 * may come to count in between. */
static void give_back(struct kube_lease *lease)
{
    int64_t until = clock_mono_millis() + GIVE_BACK_MS;
    for (unsigned conflicts = 0; conflicts <= CONFLICTS_AT_ONCE; conflicts++) {
        struct err err = {0};
        if (lease->lease == NULL && !look_again(lease, until))
            return;
        if (put_back(lease, until, &err) || err.code != ERR_CONFLICT)
            return;
        remember(lease, NULL);
    }
}

void kube_lease_free(struct kube_lease *lease)
{
    if (lease == NULL)
        return;
    if (lease->call.active && lease->asking != ASK_LOOK)
        remember(lease, NULL);
    /* Of a write that had no answer only the API server knows whether it counts. */
    bool unknown = lease->lease == NULL && lease->asking != ASK_LOOK;
    kube_loop_cancel(lease->loop, &lease->call);
    kube_loop_remove(lease->loop, &lease->task);
    if (unknown || kube_lease_is_leader(lease))
        give_back(lease);
    json_decref(lease->lease);
    mem_free(lease->body);
    mem_free(lease->name_space);
    mem_free(lease->name);
    mem_free(lease->identity);
    mem_free(lease);
}
