/* The blocking client; see client.h. A few easy handles are kept for the next caller, as
 * each carries its open connection (a TLS handshake costs more than the question). */
#include "kube/client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "kube/transfer.h"
#include "kube/watch_line.h"
#include "util/clock.h"
#include "util/mem.h"

#define POOL_SIZE   4u
#define DEADLINE_MS 10000u
#define NO_OFFSET   INT64_MIN

struct kube_client {
    struct kube_config *config;
    kube_observer *observer;
    void *observer_context;
    atomic_bool stopped;
    /* The API server's clock less our boot clock, which nobody sets: a jump of this
     * machine's clock is known at once, and not with the next answer. Seconds. */
    _Atomic int64_t clock_offset;
    pthread_mutex_t lock; /* of the pool */
    CURL *pool[POOL_SIZE];
    size_t pooled;
};

bool kube_global_init(struct err *err)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    return code == CURLE_OK ? true
                            : err_set(err, ERR_INTERNAL, "libcurl cannot start: %s",
                                      curl_easy_strerror(code));
}

struct kube_client *kube_client_new_take(struct kube_config *config, struct err *err)
{
    struct kube_client *client = mem_calloc(1, sizeof(*client));
    if (client == NULL) {
        kube_config_free(config);
        err_nomem(err);
        return NULL;
    }
    client->config = config;
    atomic_init(&client->clock_offset, NO_OFFSET);
    pthread_mutex_init(&client->lock, NULL);
    return client;
}

void kube_client_free(struct kube_client *client)
{
    if (client == NULL)
        return;
    for (size_t i = 0; i < client->pooled; i++)
        curl_easy_cleanup(client->pool[i]);
    pthread_mutex_destroy(&client->lock);
    kube_config_free(client->config);
    mem_free(client);
}

void kube_client_observe(struct kube_client *client, kube_observer *observer,
                         void *context)
{
    client->observer = observer;
    client->observer_context = context;
}

const struct kube_config *kube_client_config(const struct kube_client *client)
{
    return client->config;
}

void kube_client_stop(struct kube_client *client)
{
    atomic_store(&client->stopped, true);
}

struct kube_config *client_config(struct kube_client *client)
{
    return client->config;
}

bool client_stopped(const struct kube_client *client)
{
    return atomic_load_explicit(&client->stopped, memory_order_relaxed);
}

int64_t kube_client_clock_ahead(const struct kube_client *client)
{
    int64_t offset = atomic_load_explicit(&client->clock_offset, memory_order_relaxed);
    return offset == NO_OFFSET ? 0 : offset + clock_boot_seconds() - clock_wall_seconds();
}

void client_saw_date(struct kube_client *client, int64_t seconds)
{
    atomic_store_explicit(&client->clock_offset, seconds - clock_boot_seconds(),
                          memory_order_relaxed);
}

void client_observe(struct kube_client *client, const struct kube_request *request,
                    unsigned code)
{
    if (client->observer != NULL)
        client->observer(client->observer_context, kube_verb_name(request),
                         request->resource != NULL ? request->resource->plural : "other",
                         code);
}

static CURL *take_handle(struct kube_client *client)
{
    pthread_mutex_lock(&client->lock);
    CURL *easy = client->pooled > 0 ? client->pool[--client->pooled] : NULL;
    pthread_mutex_unlock(&client->lock);
    return easy != NULL ? easy : curl_easy_init();
}

static void give_handle(struct kube_client *client, CURL *easy)
{
    curl_easy_reset(easy); /* options go, connections stay */
    pthread_mutex_lock(&client->lock);
    bool kept = client->pooled < POOL_SIZE;
    if (kept)
        client->pool[client->pooled++] = easy;
    pthread_mutex_unlock(&client->lock);
    if (!kept)
        curl_easy_cleanup(easy);
}

/* What the next step is after a failure. */
struct attempt {
    unsigned code;
    unsigned retry_after;
};

static bool attempt(struct kube_client *client, const struct kube_request *request,
                    unsigned deadline_ms, struct buf *answer, struct attempt *ret_attempt,
                    struct err *err)
{
    CURL *easy = take_handle(client);
    if (easy == NULL)
        return err_nomem(err);
    struct transfer transfer = {.body = answer};
    bool good = transfer_prepare(&transfer, easy, client, request, deadline_ms, err);
    if (good)
        good = transfer_result(&transfer, request, curl_easy_perform(easy), err);
    *ret_attempt = (struct attempt){transfer.code, transfer.retry_after};
    transfer_done(&transfer);
    give_handle(client, easy);
    return good;
}

static void sleep_ms(struct kube_client *client, int64_t ms)
{
    while (ms > 0 && !client_stopped(client)) {
        int64_t step = ms < 200 ? ms : 200;
        struct timespec wait = {step / 1000, step % 1000 * 1000000};
        nanosleep(&wait, NULL);
        ms -= step;
    }
}

static void forget_answer(struct buf *answer, size_t keep)
{
    if (answer->data == NULL)
        return;
    buf_clear(answer);
    answer->size = keep; /* what the caller had in it before */
    answer->data[keep] = '\0';
}

bool kube_request_raw(struct kube_client *client, const struct kube_request *request,
                      struct buf *answer, struct err *err)
{
    unsigned deadline = request->deadline_ms > 0 ? request->deadline_ms : DEADLINE_MS;
    int64_t end = clock_mono_millis() + deadline;
    size_t keep = answer->size;
    bool read = request->verb == KUBE_GET;
    bool renewed = false;
    for (;;) {
        int64_t left = end - clock_mono_millis();
        if ((client_stopped(client) && !request->last_word) || left <= 0)
            return err_set(err, ERR_UNAVAILABLE, "no answer from the API server in time");
        struct attempt result = {0, 0};
        if (attempt(client, request, (unsigned)left, answer, &result, err))
            return true;
        forget_answer(answer, keep);
        if (result.code == 401 && !renewed) {
            renewed = true; /* once more, with credentials as they are now */
            continue;
        }
        bool again =
            read && (result.code == 429 || result.code == 503) && result.retry_after > 0;
        int64_t wait = (int64_t)result.retry_after * 1000;
        if (!again || clock_mono_millis() + wait >= end)
            return false;
        sleep_ms(client, wait);
    }
}

json_t *kube_parse(struct str text, struct err *err)
{
    json_error_t where;
    unsigned long refusals = mem_refusals();
    json_t *root = json_loadb(text.p, text.n, JSON_ALLOW_NUL, &where);
    /* Refused memory, jansson calls it bad syntax, or loses a byte of a text. */
    if (mem_refusals() != refusals) {
        json_decref(root);
        err_nomem(err);
        return NULL;
    }
    if (root != NULL)
        return root;
    if (json_error_code(&where) == json_error_out_of_memory)
        err_nomem(err);
    else
        /* Without jansson's "near '…'": a piece of the answer, which may be a Secret. */
        err_set(err, ERR_SYNTAX, "the API server's answer is not JSON (at byte %d: %.*s)",
                where.position, (int)str_find(str_of(where.text), STR(" near '")),
                where.text);
    return NULL;
}

bool kube_is_object(const json_t *object, const char *what, struct err *err)
{
    if (kube_meta(object, "resourceVersion")[0] != '\0')
        return true;
    return err_set(
        err, ERR_SYNTAX,
        "the API server's answer is no %s: it has no metadata.resourceVersion; "
        "see what answers at its address (a proxy?)",
        what);
}

bool kube_request(struct kube_client *client, const struct kube_request *request,
                  json_t **ret_object, struct err *err)
{
    NRW_AUTO_BUF struct buf answer;
    buf_init(&answer,
             request->body_maximum > 0 ? request->body_maximum : 4u * 1024u * 1024u);
    if (!kube_request_raw(client, request, &answer, err))
        return false;
    if (ret_object == NULL)
        return true;
    json_t *object = kube_parse(buf_view(&answer), err);
    if (object == NULL)
        return false;
    *ret_object = object;
    return true;
}

bool kube_get(struct kube_client *client, const struct kube_resource *resource,
              const char *name_space, const char *name, unsigned deadline_ms,
              json_t **ret_object, struct err *err)
{
    struct kube_request request = {.verb = KUBE_GET,
                                   .resource = resource,
                                   .name_space = name_space,
                                   .name = name,
                                   .deadline_ms = deadline_ms};
    return kube_request(client, &request, ret_object, err);
}
