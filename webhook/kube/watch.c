/* List and watch; see watch.h. A state machine with one request under way at most:
 *
 *     WAIT ──due──► LIST ──all pages──► STREAM ──EOF──► WAIT (resumes from the version)
 *       ▲            │ failure            │ 410, ERROR, nonsense: WAIT, then LIST again
 *       └────────────┴────────────────────┘
 *
 * What was told is remembered (known.h), so that a new list tells only what changed.
 * Everything runs in the watcher thread; only
 * the state for readiness is behind a lock. */
#include "kube/watch.h"

#include <pthread.h>
#include <stdio.h>

#include "kube/backoff.h"
#include "kube/known.h"
#include "kube/lines.h"
#include "kube/watch_line.h"
#include "util/clock.h"
#include "util/json_weight.h"
#include "util/mem.h"
#include "util/turn.h"

#define LINE_MAXIMUM  (16u * 1024u * 1024u)
#define PAGE_MAXIMUM  (4u * 1024u * 1024u)  /* a larger one is asked for in pieces */
#define ONE_MAXIMUM   (32u * 1024u * 1024u) /* what one object can be, and more */
#define PAGE_WEIGHT   (16u * 1024u * 1024u) /* likewise; of one object it is what it is */
#define TURN_LEAST    (256u * 1024u)
#define TURN_MS       2000u /* then without: a watch that waits for ever is worse */
#define LIST_MS       30000u
#define STREAM_GRACE  30u  /* seconds for the server to end the stream by itself */
#define SHORT_LIVE_MS 1000 /* a stream that ends sooner counts as a failure */
#define VERSION_SIZE  128u

enum step { STEP_WAIT, STEP_LIST, STEP_STREAM };

struct kube_watch {
    struct kube_task task; /* first: run() casts back */
    struct kube_loop *loop;
    struct kube_watch_options options;
    struct kube_watch_times times;
    char *name_space, *name, *label_selector, *field_selector;
    enum step step;
    struct kube_call call;
    struct lines lines;
    struct backoff backoff;
    bool must_list; /* what comes after the wait */
    unsigned cause; /* of the loss that was told last */
    bool retold;    /* credentials were renewed once already */
    char version[VERSION_SIZE];
    char *continue_token; /* between pages */
    unsigned page;        /* objects per page, smaller after a page was too large */
    struct known known;
    int64_t began, heard; /* of the stream */
    pthread_mutex_t lock; /* of `state` */
    struct kube_watch_state state;
};

static struct kube_watch *of_task(struct kube_task *task)
{
    return (struct kube_watch *)(void *)task;
}

/* --- telling ---------------------------------------------------------------------- */

static bool tell(struct kube_watch *watch, enum kube_change_type type,
                 const json_t *object, const char *reason)
{
    struct kube_change change = {type, object, reason};
    return watch->options.on_change(watch->options.context, &change);
}

/* What a failure is, so that the same one is not told again: HTTP's code, or libcurl's.
 */
static unsigned cause_of(const struct kube_watch *watch)
{
    const struct transfer *transfer = &watch->call.transfer;
    return transfer->result != CURLE_OK ? 1000 + (unsigned)transfer->result
                                        : transfer->code;
}

static void set_connected(struct kube_watch *watch, bool connected, const char *reason)
{
    pthread_mutex_lock(&watch->lock);
    struct kube_watch_state *state = &watch->state;
    bool changed = state->connected != connected;
    bool first_loss = !connected && state->reason[0] == '\0';
    if (changed)
        state->since = clock_mono_millis();
    state->connected = connected;
    state->synced = state->synced || connected;
    snprintf(state->reason, sizeof(state->reason), "%s", connected ? "" : reason);
    pthread_mutex_unlock(&watch->lock);
    if (connected) {
        if (changed && !tell(watch, KUBE_SYNCED, NULL, NULL))
            watch->must_list = true;
        return;
    }
    unsigned cause = cause_of(watch);
    if (changed || first_loss || cause != watch->cause)
        tell(watch, KUBE_LOST, NULL, reason);
    watch->cause = cause;
}

static bool on_known(void *context, enum known_change change, const json_t *object)
{
    static const enum kube_change_type types[] = {
        [KNOWN_NEW] = KUBE_ADDED,
        [KNOWN_CHANGED] = KUBE_MODIFIED,
        [KNOWN_GONE] = KUBE_DELETED,
    };
    return tell(context, types[change], object, NULL);
}

/* In a list or in an event, as it is now or as it was last. */
static bool take_object(struct kube_watch *watch, const json_t *object, bool deleted)
{
    if (watch->options.needed != NULL &&
        !watch->options.needed(watch->options.context, object))
        return true;
    return deleted ? known_delete(&watch->known, object)
                   : known_take(&watch->known, object);
}

/* --- waiting ---------------------------------------------------------------------- */

static void wait_for(struct kube_watch *watch, unsigned ms)
{
    watch->step = STEP_WAIT;
    watch->task.due = clock_mono_millis() + ms;
}

static void forget_list(struct kube_watch *watch)
{
    mem_free(watch->continue_token);
    watch->continue_token = NULL;
    known_list_give_up(&watch->known);
}

static void wait_after_failure(struct kube_watch *watch, unsigned retry_after)
{
    unsigned wait = backoff_next(&watch->backoff, kube_random());
    if (retry_after > 60)
        retry_after = 60;
    wait_for(watch, wait > retry_after * 1000 ? wait : retry_after * 1000);
}

/* The listener had no memory: tell it everything again, later. */
static void start_over(struct kube_watch *watch)
{
    known_doubt(&watch->known);
    forget_list(watch);
    watch->must_list = true;
    set_connected(watch, false, "out of memory");
    wait_after_failure(watch, 0);
}

/* A 401 is worth one more attempt at once, as the token is read again then. */
static bool try_at_once(struct kube_watch *watch, unsigned code)
{
    if (code != 401 || watch->retold)
        return false;
    watch->retold = true;
    wait_for(watch, 0);
    return true;
}

/* --- list ------------------------------------------------------------------------- */

static void prepare_request(struct kube_watch *watch, enum kube_verb verb)
{
    watch->call.request = (struct kube_request){
        .verb = verb,
        .resource = watch->options.resource,
        .name_space = watch->name_space,
        .field_selector = watch->field_selector,
        .label_selector = watch->label_selector,
    };
    watch->call.transfer.sink = NULL;
    watch->call.transfer.on_headers = NULL;
}

static void send_call(struct kube_watch *watch, enum step step)
{
    struct err err = {0};
    watch->task.due = KUBE_NEVER;
    watch->step = step;
    if (kube_loop_send(watch->loop, &watch->call, &err))
        return;
    set_connected(watch, false, err.message);
    wait_after_failure(watch, 0);
}

static void begin_list(struct kube_watch *watch)
{
    if (watch->known.seen == NULL && !known_list_begin(&watch->known)) {
        start_over(watch);
        return;
    }
    prepare_request(watch, KUBE_GET);
    watch->call.request.limit = watch->page;
    watch->call.request.continue_token = watch->continue_token;
    watch->call.request.deadline_ms = LIST_MS;
    watch->call.request.body_maximum = watch->page > 1 ? PAGE_MAXIMUM : ONE_MAXIMUM;
    send_call(watch, STEP_LIST);
}

static void begin_stream(struct kube_watch *watch);

/* One page. True: it was taken; `ret_more` when there is another. */
static bool take_page(struct kube_watch *watch, const json_t *list, bool *ret_more)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(list, "items"), i, item)
    {
        if (kube_meta(item, "name")[0] != '\0' && !take_object(watch, item, false))
            return false;
    }
    const char *token = kube_meta(list, "continue");
    *ret_more = token[0] != '\0';
    mem_free(watch->continue_token);
    watch->continue_token = *ret_more ? mem_strdup(token) : NULL;
    return !*ret_more || watch->continue_token != NULL;
}

static void list_is_whole(struct kube_watch *watch)
{
    if (!known_list_end(&watch->known)) {
        start_over(watch);
        return;
    }
    forget_list(watch);
    watch->must_list = false;
    watch->retold = false;
    backoff_reset(&watch->backoff);
    if (watch->state.synced) { /* written by this thread only */
        pthread_mutex_lock(&watch->lock);
        watch->state.restarts++;
        pthread_mutex_unlock(&watch->lock);
    }
    set_connected(watch, true, "");
    if (watch->must_list)
        start_over(watch);
    else
        begin_stream(watch);
}

static void list_failed(struct kube_watch *watch, const struct err *err)
{
    const struct transfer *transfer = &watch->call.transfer;
    if (err->code == ERR_LIMIT && watch->page > 1) {
        watch->page = watch->page > 4 ? watch->page / 4 : 1;
        wait_for(watch, 0); /* the same page again, smaller: its token stays good */
        return;
    }
    forget_list(watch); /* also after a 410: the continue token has expired */
    if (try_at_once(watch, transfer->code))
        return;
    if (transfer->code != 410)
        set_connected(watch, false, err->message);
    wait_after_failure(watch, transfer->retry_after);
}

static void grow_page(struct kube_watch *watch, size_t bytes)
{
    if (bytes < PAGE_MAXIMUM / 4 && watch->page < watch->times.page)
        watch->page =
            watch->page * 2 < watch->times.page ? watch->page * 2 : watch->times.page;
}

static void list_done(struct kube_watch *watch, bool good, const struct err *err)
{
    if (!good) {
        list_failed(watch, err);
        return;
    }
    struct err reason = {0};
    size_t bytes = watch->call.transfer.body->size;
    if (watch->page > 1 && bytes > PAGE_WEIGHT / JSON_WEIGHT_BYTE &&
        json_weight(buf_view(watch->call.transfer.body), PAGE_WEIGHT) > PAGE_WEIGHT) {
        buf_done(watch->call.transfer.body);
        err_set(&reason, ERR_LIMIT, "a page has too many values");
        list_failed(watch, &reason);
        return;
    }
    NRW_AUTO_TURN NRW_UNUSED bool turn = bytes > TURN_LEAST && turn_take(TURN_MS);
    json_t *list = kube_parse(buf_view(watch->call.transfer.body), &reason);
    buf_done(watch->call.transfer.body); /* the text is no longer needed, the memory is */
    const char *version = kube_meta(list, "resourceVersion");
    if (version[0] == '\0') {
        if (list != NULL)
            err_set(&reason, ERR_INVALID, "a list without a resourceVersion");
        json_decref(list);
        forget_list(watch);
        set_connected(watch, false, reason.message);
        wait_after_failure(watch, 0);
        return;
    }
    bool more = false;
    bool taken = take_page(watch, list, &more);
    snprintf(watch->version, sizeof(watch->version), "%s", version);
    json_decref(list);
    grow_page(watch, bytes);
    if (!taken)
        start_over(watch);
    else if (more)
        begin_list(watch);
    else
        list_is_whole(watch);
}

/* --- stream ----------------------------------------------------------------------- */

static bool on_line(void *context, struct str text)
{
    struct kube_watch *watch = context;
    struct watch_line line;
    struct err err = {0};
    NRW_AUTO_TURN NRW_UNUSED bool turn = text.n > TURN_LEAST && turn_take(TURN_MS);
    if (!watch_line_parse(text, &line, &err)) {
        watch->must_list = true;
        return false;
    }
    bool good = true;
    if (line.type == WATCH_LINE_ERROR) {
        watch->must_list = true;
        good = false;
    } else if (line.type != WATCH_LINE_BOOKMARK) {
        good = take_object(watch, line.object, line.type == WATCH_LINE_DELETED);
        if (!good) {
            known_doubt(&watch->known);
            watch->must_list = true;
        }
    }
    if (good)
        snprintf(watch->version, sizeof(watch->version), "%s", line.resource_version);
    watch_line_done(&line);
    return good;
}

static bool on_data(void *context, struct str data)
{
    struct kube_watch *watch = context;
    watch->heard = clock_mono_millis();
    if (lines_feed(&watch->lines, data, on_line, watch))
        return true;
    watch->must_list = true; /* a line too long to take, or one that said so */
    return false;
}

static void on_headers(void *context)
{
    struct kube_watch *watch = context;
    watch->heard = clock_mono_millis();
    watch->retold = false;
    set_connected(watch, true, "");
}

static void begin_stream(struct kube_watch *watch)
{
    prepare_request(watch, KUBE_WATCH);
    unsigned least = watch->times.stream_seconds;
    unsigned seconds = least + kube_random() % (least + 1);
    watch->call.request.resource_version = watch->version;
    watch->call.request.timeout_seconds = seconds;
    watch->call.request.deadline_ms = (seconds + STREAM_GRACE) * 1000;
    watch->call.transfer.sink = on_data;
    watch->call.transfer.on_headers = on_headers;
    watch->call.transfer.sink_context = watch;
    lines_reset(&watch->lines);
    watch->began = watch->heard = clock_mono_millis();
    send_call(watch, STEP_STREAM);
    if (watch->step == STEP_STREAM)
        watch->task.due = watch->heard + watch->times.silence_ms;
}

static void stream_done(struct kube_watch *watch, bool good, const struct err *err)
{
    const struct transfer *transfer = &watch->call.transfer;
    bool lived = clock_mono_millis() - watch->began >= SHORT_LIVE_MS;
    lines_reset(&watch->lines);
    if (lived && transfer->code == 200)
        backoff_reset(&watch->backoff);
    if (transfer->code == 200 && good && lived && !watch->must_list) {
        wait_for(watch, kube_random() % 100); /* the normal end of a stream */
        return;
    }
    if (transfer->code == 200) {
        /* Cut off, or it told us to list again: not lost as long as that works. Who cut
         * it off may come back with an earlier etcd, as below. */
        watch->must_list = watch->must_list || !good;
        wait_after_failure(watch, 0);
        return;
    }
    if (try_at_once(watch, transfer->code))
        return;
    /* An answer that refuses the stream may refuse its version (410 Gone, and 504 when
     * etcd was restored to an earlier state); and of a server that was away nobody knows
     * whether its etcd is an earlier one that has passed our version since. Listing is
     * right in all these cases. */
    if (transfer->code != 429)
        watch->must_list = true;
    if (transfer->code != 410)
        set_connected(watch, false, err->message);
    wait_after_failure(watch, transfer->retry_after);
}

static void on_done(struct kube_call *call, bool good, const struct err *err)
{
    struct kube_watch *watch = call->context;
    if (watch->step == STEP_LIST)
        list_done(watch, good, err);
    else
        stream_done(watch, good, err);
}

static void run(struct kube_task *task, int64_t now)
{
    struct kube_watch *watch = of_task(task);
    if (watch->step == STEP_STREAM) {
        int64_t limit = watch->heard + watch->times.silence_ms;
        if (now < limit) {
            task->due = limit;
            return;
        }
        /* The peer is dead, or a proxy in between went silent. */
        kube_loop_cancel(watch->loop, &watch->call);
        wait_for(watch, 0);
    }
    if (watch->step != STEP_WAIT || task->due > now)
        return;
    if (watch->must_list)
        begin_list(watch);
    else
        begin_stream(watch);
}

/* --- life ------------------------------------------------------------------------- */

static bool copy_texts(struct kube_watch *watch, const struct kube_watch_options *options)
{
    watch->name_space =
        mem_strdup(options->name_space != NULL ? options->name_space : "");
    watch->name = mem_strdup(options->name != NULL ? options->name : "");
    watch->label_selector =
        mem_strdup(options->label_selector != NULL ? options->label_selector : "");
    if (watch->name_space == NULL || watch->name == NULL || watch->label_selector == NULL)
        return false;
    NRW_AUTO_BUF struct buf selector;
    buf_init(&selector, 1024);
    if (watch->name[0] !=
        '\0') /* what RBAC with resourceNames demands of list and watch */
        buf_printf(&selector, "metadata.name=%s", watch->name);
    watch->field_selector = buf_steal(&selector, NULL);
    return watch->field_selector != NULL;
}

struct kube_watch *kube_watch_new(struct kube_loop *loop,
                                  const struct kube_watch_options *options,
                                  struct err *err)
{
    struct kube_watch *watch = mem_calloc(1, sizeof(*watch));
    if (watch == NULL) {
        err_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&watch->lock, NULL);
    watch->loop = loop;
    watch->options = *options;
    watch->must_list = true;
    watch->task.run = run;
    watch->call.on_done = on_done;
    watch->call.context = watch;
    lines_init(&watch->lines, LINE_MAXIMUM);
    kube_watch_set_times(watch, &(struct kube_watch_times){0});
    watch->state.since = clock_mono_millis();
    bool known = known_init(&watch->known, on_known, watch);
    if (!copy_texts(watch, options) || !known) {
        err_nomem(err);
        kube_watch_free(watch);
        return NULL;
    }
    if (!kube_loop_add(loop, &watch->task, err)) {
        kube_watch_free(watch);
        return NULL;
    }
    return watch;
}

void kube_watch_free(struct kube_watch *watch)
{
    if (watch == NULL)
        return;
    kube_loop_cancel(watch->loop, &watch->call);
    kube_loop_remove(watch->loop, &watch->task);
    forget_list(watch);
    known_done(&watch->known);
    lines_done(&watch->lines);
    mem_free(watch->name_space);
    mem_free(watch->name);
    mem_free(watch->label_selector);
    mem_free(watch->field_selector);
    pthread_mutex_destroy(&watch->lock);
    mem_free(watch);
}

void kube_watch_set_times(struct kube_watch *watch, const struct kube_watch_times *times)
{
    watch->times = (struct kube_watch_times){
        .stream_seconds = times->stream_seconds > 0 ? times->stream_seconds : 300,
        .silence_ms = times->silence_ms > 0 ? times->silence_ms : 150000,
        .backoff_ms = times->backoff_ms > 0 ? times->backoff_ms : 200,
        .backoff_cap_ms = times->backoff_cap_ms > 0 ? times->backoff_cap_ms : 10000,
        .page = times->page > 0 ? times->page : 50,
    };
    watch->page = watch->times.page;
    watch->backoff =
        (struct backoff){watch->times.backoff_ms, watch->times.backoff_cap_ms, 0};
}

void kube_watch_state(struct kube_watch *watch, struct kube_watch_state *ret_state)
{
    pthread_mutex_lock(&watch->lock);
    *ret_state = watch->state;
    pthread_mutex_unlock(&watch->lock);
}
