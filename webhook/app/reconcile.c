/* Touching the targets when the policy changes; see reconcile.h. */
#include "app/reconcile.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "admit/object.h"
#include "kube/lease.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define PAGE         100u
#define BODY_MAXIMUM 4096u

struct reconcile {
    struct reconcile_times times;
    struct kube_client *client;
    struct snapshots *snapshots;
    struct kube_lease *lease;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of the two below */
    pthread_cond_t wake;
    bool stop, poked;
};

static void poke(struct reconcile *reconcile)
{
    pthread_mutex_lock(&reconcile->lock);
    reconcile->poked = true;
    pthread_cond_signal(&reconcile->wake);
    pthread_mutex_unlock(&reconcile->lock);
}

void reconcile_policy_changed(struct reconcile *reconcile)
{
    poke(reconcile);
}

static void on_change(void *context, bool leader)
{
    log_event(LOG_LEVEL_INFO,
              leader ? "reconciling from now on" : "no longer reconciling");
    if (leader)
        poke(context);
}

static bool is_annotated(const json_t *object, const char *name, const char *value)
{
    struct str text = object_text(
        json_object_get(json_object_get(object, "metadata"), "annotations"), name);
    return !str_is_null(text) && str_eq(text, str_of(value));
}

/* True when the Deployment needs nothing, or was touched. */
static bool touch(struct reconcile *reconcile, const json_t *object, const char *hash)
{
    struct str name = object_meta(object, "name");
    struct str name_space = object_meta(object, "namespace");
    if (str_is_null(name) || str_is_null(name_space) || object_is_deleted(object) ||
        is_annotated(object, ANNOTATION_POLICY, hash) ||
        is_annotated(object, RECONCILE_ANNOTATION, hash))
        return true;
    struct err err = {.code = ERR_NONE};
    NRW_AUTO_BUF struct buf body;
    buf_init(&body, BODY_MAXIMUM);
    buf_text(
        &body,
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":");
    buf_json_string(&body, name);
    buf_text(&body, ",\"namespace\":");
    buf_json_string(&body, name_space);
    buf_printf(&body, ",\"annotations\":{\"" RECONCILE_ANNOTATION "\":\"%s\"}}}", hash);
    /* Both come from the API server as JSON texts, NUL-terminated by jansson. */
    const struct kube_request request = {
        .verb = KUBE_APPLY,
        .resource = &kube_deployments,
        .name_space = name_space.p,
        .name = name.p,
        .field_manager = RECONCILE_MANAGER,
        .force = true, /* the annotation is ours alone */
        .body = buf_view(&body),
    };
    bool good = !body.failed && kube_request(reconcile->client, &request, NULL, &err);
    if (body.failed)
        err_nomem(&err);
    log_event(good ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
              good ? "Deployment submitted under the new policy"
                   : "Deployment could not be submitted under the new policy",
              LOG_S("namespace", name_space), LOG_S("name", name), LOG_C("policy", hash),
              LOG_C("reason", good ? "" : err.message));
    return good;
}

static bool touch_target(struct reconcile *reconcile, const struct policy_target *target,
                         const char *hash)
{
    struct err err = {.code = ERR_NONE};
    NRW_AUTO_BUF struct buf selector;
    NRW_AUTO_BUF struct buf name_space;
    buf_init(&selector, 65536);
    buf_init(&name_space, 256);
    buf_str(&name_space, target->name_space);
    for (size_t i = 0; i < target->selector_count; i++)
        buf_printf(&selector, "%s%.*s=%.*s", i > 0 ? "," : "",
                   STR_ARG(target->selector[i].key), STR_ARG(target->selector[i].value));
    if (selector.failed || name_space.failed)
        return false;
    const struct kube_request request = {
        .verb = KUBE_GET,
        .resource = &kube_deployments,
        .name_space = name_space.data,
        .label_selector = selector.data,
        .limit = PAGE, /* a target is one Deployment; a hundred would be a mistake */
    };
    json_t *list = NULL;
    if (!kube_request(reconcile->client, &request, &list, &err)) {
        log_event(LOG_LEVEL_WARN, "cannot list the targets",
                  LOG_C("reason", err.message));
        return false;
    }
    const json_t *items = json_object_get(list, "items");
    bool good = json_is_array(items);
    if (!good) /* else nothing would be touched, and nothing tried again */
        log_event(LOG_LEVEL_WARN, "cannot list the targets",
                  LOG_C("reason", "the API server's answer is no list"));
    for (size_t i = 0; i < json_array_size(items); i++)
        good = touch(reconcile, json_array_get(items, i), hash) && good;
    json_decref(list);
    return good;
}

/* True when there is nothing left to do. */
static bool reconcile_once(struct reconcile *reconcile)
{
    NRW_AUTO_SNAPSHOT struct snapshot snapshot;
    snapshots_take(reconcile->snapshots, &snapshot);
    const struct policy *policy = snapshot.policy;
    if (policy == NULL || policy->mode != POLICY_INJECT ||
        policy->enforcement != POLICY_ENFORCE || !kube_lease_is_leader(reconcile->lease))
        return true;
    bool good = true;
    for (size_t i = 0; i < policy->target_count; i++)
        good = touch_target(reconcile, &policy->targets[i], policy->hash) && good;
    return good;
}

enum woken { WOKEN_STOP, WOKEN_POKED, WOKEN_TIME };

/* Waits until poked or for so long; 0: until poked. */
static enum woken wait(struct reconcile *reconcile, int64_t milliseconds)
{
    int64_t end = clock_mono_nanos() + milliseconds * 1000000;
    const struct timespec until = {(time_t)(end / 1000000000), (long)(end % 1000000000)};
    pthread_mutex_lock(&reconcile->lock);
    int rc = 0;
    while (!reconcile->stop && !reconcile->poked && rc == 0)
        rc = milliseconds > 0
                 ? pthread_cond_timedwait(&reconcile->wake, &reconcile->lock, &until)
                 : pthread_cond_wait(&reconcile->wake, &reconcile->lock);
    enum woken woken = reconcile->stop    ? WOKEN_STOP
                       : reconcile->poked ? WOKEN_POKED
                                          : WOKEN_TIME;
    reconcile->poked = false;
    pthread_mutex_unlock(&reconcile->lock);
    return woken;
}

/* Until nobody has poked for a while, or a longer one is over: someone who edits a policy
 * several times in a row does not want as many roll-outs. */
static enum woken calm_down(struct reconcile *reconcile)
{
    enum woken woken = WOKEN_POKED;
    int64_t end = clock_mono_millis() + reconcile->times.restless_ms;
    while (woken == WOKEN_POKED && clock_mono_millis() < end)
        woken = wait(reconcile, reconcile->times.calm_ms);
    return woken;
}

static void *run(void *context)
{
    struct reconcile *reconcile = context;
    int64_t pause = 0;
    for (;;) {
        enum woken woken = wait(reconcile, pause);
        if (woken == WOKEN_POKED) {
            pause = 0; /* another policy, or the first time: what failed is past */
            woken = calm_down(reconcile);
        }
        if (woken == WOKEN_STOP)
            return NULL;
        if (reconcile_once(reconcile))
            pause = 0;
        else if (pause == 0)
            pause = reconcile->times.first_pause_ms;
        else
            pause = pause * 2 < reconcile->times.last_pause_ms
                        ? pause * 2
                        : reconcile->times.last_pause_ms;
    }
}

struct reconcile *reconcile_new(struct kube_client *client, struct kube_loop *loop,
                                struct snapshots *snapshots, const char *instance,
                                struct err *err)
{
    struct reconcile *reconcile = mem_calloc(1, sizeof(*reconcile));
    if (reconcile == NULL) {
        err_nomem(err);
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&reconcile->lock, NULL);
    pthread_cond_init(&reconcile->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    reconcile->times = (struct reconcile_times){1000, 10000, 2000, 300000};
    reconcile->client = client;
    reconcile->snapshots = snapshots;
    char identity[256];
    snprintf(identity, sizeof(identity), "%s_%08x%08x", instance, kube_random(),
             kube_random());
    const struct kube_lease_options lease = {
        .name_space = kube_config_namespace(kube_client_config(client)),
        .name = RECONCILE_LEASE,
        .identity = identity,
        .on_change = on_change,
        .context = reconcile,
    };
    reconcile->lease = kube_lease_new(loop, &lease, err);
    if (reconcile->lease == NULL) {
        reconcile_free(reconcile);
        return NULL;
    }
    return reconcile;
}

void reconcile_set_times(struct reconcile *reconcile, const struct reconcile_times *times)
{
    reconcile->times = *times;
}

bool reconcile_start(struct reconcile *reconcile, struct err *err)
{
    int rc = pthread_create(&reconcile->thread, NULL, run, reconcile);
    if (rc != 0)
        return err_errno(err, rc, "cannot start the reconciling thread");
    reconcile->started = true;
    return true;
}

void reconcile_free(struct reconcile *reconcile)
{
    if (reconcile == NULL)
        return;
    if (reconcile->started) {
        pthread_mutex_lock(&reconcile->lock);
        reconcile->stop = true;
        pthread_cond_signal(&reconcile->wake);
        pthread_mutex_unlock(&reconcile->lock);
        pthread_join(reconcile->thread, NULL);
    }
    if (reconcile->lease != NULL)
        kube_lease_free(reconcile->lease);
    pthread_cond_destroy(&reconcile->wake);
    pthread_mutex_destroy(&reconcile->lock);
    mem_free(reconcile);
}
