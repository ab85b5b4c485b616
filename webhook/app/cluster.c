/* What comes from the cluster; see cluster.h. */
#include "app/cluster.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admit/config_maps.h"
#include "admit/object.h"
#include "admit/remote_maps.h"
#include "app/errand.h"
#include "app/reconcile.h"
#include "app/self_check.h"
#include "certs/rotate.h"
#include "kube/events.h"
#include "kube/sources.h"
#include "util/clock.h"
#include "util/json_weight.h"
#include "util/log.h"
#include "util/mem.h"

#define CONFIRM_MS  500
#define PLACE_BYTES 256u /* a namespace has 63, a name 253 bytes at most */
#define NOTE_BYTES  1024u

struct cluster {
    struct cluster_setup setup;
    struct kube_client *client;
    struct kube_loop *loop;
    struct kube_sources *sources;
    struct kube_events *events;
    _Atomic(struct rotate *) rotate; /* workers ask for it before it is there */
    struct reconcile *reconcile;
    struct errand *errand; /* for those looks that are to be made apart */
    char policy_namespace[PLACE_BYTES], policy_name[PLACE_BYTES];
    char secret_namespace[PLACE_BYTES], secret_name[PLACE_BYTES];
    char instance[128];
};

bool cluster_wanted(const struct app_cluster *options)
{
    return options->policy_configmap != NULL || options->tls_secret != NULL ||
           options->kubeconfig != NULL || options->reconcile;
}

/* --- policy ---------------------------------------------------------------------------
 */

static void tell_policy(struct cluster *cluster, const json_t *config_map, bool accepted,
                        const char *note)
{
    const struct kube_event event = {
        .api_version = STR("v1"),
        .kind = STR("ConfigMap"),
        .name_space = str_of(cluster->policy_namespace),
        .name = str_of(cluster->policy_name),
        .uid = config_map != NULL ? object_meta(config_map, "uid") : STR(""),
        .warning = !accepted,
        .reason = accepted ? STR("Accepted") : STR("Rejected"),
        .action = STR("LoadingPolicy"),
        .note = str_of(note),
    };
    kube_events_add(cluster->events, &event);
}

static void policy_is_gone(struct cluster *cluster)
{
    struct err why = {.code = ERR_NONE};
    char origin[2 * PLACE_BYTES + 16];
    snprintf(origin, sizeof(origin), "ConfigMap %s/%s", cluster->policy_namespace,
             cluster->policy_name);
    err_set(&why, ERR_NOT_FOUND, "there is no such ConfigMap");
    publish_policy_refused(cluster->setup.publish, origin, &why);
    tell_policy(cluster, NULL, false,
                cluster->setup.publish->policy_seen
                    ? "the policy is gone, the last good one stays in force"
                    : "there is no policy yet, and requests are refused");
}

static bool on_policy(void *context, const json_t *config_map)
{
    struct cluster *cluster = context;
    if (config_map == NULL) {
        policy_is_gone(cluster);
        return true;
    }
    char origin[2 * PLACE_BYTES + 16];
    char note[NOTE_BYTES];
    struct err why = {.code = ERR_NONE};
    snprintf(origin, sizeof(origin), "ConfigMap %s/%s", cluster->policy_namespace,
             cluster->policy_name);
    struct str text = object_text(json_object_get(config_map, "data"), POLICY_DATA_KEY);
    bool good;
    if (str_is_null(text)) {
        good = err_set(&why, ERR_INVALID, "it has no data key " POLICY_DATA_KEY);
        publish_policy_refused(cluster->setup.publish, origin, &why);
    } else {
        good = publish_policy(cluster->setup.publish, text, origin, PUBLISH_ALOUD, &why);
    }
    if (!good && why.code == ERR_NOMEM)
        return false;
    if (good)
        snprintf(note, sizeof(note), "the policy is in force");
    else
        snprintf(note, sizeof(note),
                 "the policy is not valid, the last good one stays in "
                 "force: %s",
                 why.message);
    tell_policy(cluster, config_map, good, note);
    return true;
}

void cluster_policy_changed(struct cluster *cluster, const struct policy *policy)
{
    struct str names[POLICY_MAX_TARGETS];
    struct err err = {.code = ERR_NONE};
    size_t count = policy->target_count < POLICY_MAX_TARGETS ? policy->target_count
                                                             : POLICY_MAX_TARGETS;
    for (size_t i = 0; i < count; i++)
        names[i] = policy->targets[i].name_space;
    if (!kube_sources_set_namespaces(cluster->sources, names, count, &err))
        log_event(LOG_LEVEL_ERROR, "cannot watch the targets' namespaces",
                  LOG_C("reason", err.message));
    if (cluster->reconcile != NULL)
        reconcile_policy_changed(cluster->reconcile);
}

/* --- ConfigMaps -----------------------------------------------------------------------
 */

static struct str name_space_of(const json_t *object)
{
    struct str text = object_meta(object, "namespace");
    return str_is_null(text) ? STR("") : text;
}

static bool add_object(struct config_maps *maps, const json_t *object)
{
    /* jansson counts references in the value itself, so that keeping one is no change. */
    union {
        const json_t *in;
        json_t *out;
    } cast = {object};
    return config_maps_add(maps, name_space_of(object), cast.out);
}

static bool on_config_maps(void *context, const struct kube_config_maps *seen)
{
    struct cluster *cluster = context;
    if (!seen->complete)
        return true; /* what is missing must not be taken for absent */
    struct config_maps *maps = config_maps_new();
    if (maps != NULL && seen->left_out)
        config_maps_are_some(maps);
    for (size_t i = 0; maps != NULL && i < seen->count; i++) {
        if (!add_object(maps, seen->objects[i])) {
            config_maps_free(maps);
            maps = NULL;
        }
    }
    return maps != NULL &&
           publish_config_maps_take(cluster->setup.publish, maps, config_maps_free, NULL);
}

/* False: it was asked for already, or too many were. */
static bool may_ask(struct cluster_look *look, struct str name)
{
    struct live *live = &look->live;
    for (size_t i = 0; i < live->count; i++)
        if (str_eq(live->names[i], name))
            return false;
    if (live->count == LIVE_MAXIMUM) {
        look->untold = look->untold || !live->closed;
        live->closed = true;
        return false;
    }
    live->names[live->count++] = name;
    return true;
}

/* curl counts in milliseconds, and may be one early. */
#define LATE_MS 5

/* Nothing but a 404 says that it is not there (kube/status.h). */
static enum live_told told_by(const struct cluster_look *look, const struct err *err)
{
    if (look->limited)
        return LIVE_LARGE;
    switch (err->code) {
    case ERR_NOT_FOUND:
        return LIVE_ABSENT;
    case ERR_DENIED:
        return LIVE_FORBIDDEN;
    case ERR_NOMEM:
        return LIVE_NO_MEMORY;
    default:
        return clock_mono_millis() + LATE_MS >= look->deadline ? LIVE_LATE : LIVE_FAILED;
    }
}

/* *ret_object is what is there, otherwise NULL. */
static enum live_told ask(struct cluster *cluster, struct cluster_look *look,
                          const char *place, struct str name, json_t **ret_object)
{
    char text[PLACE_BYTES];
    int64_t left = look->deadline - clock_mono_millis();
    *ret_object = NULL;
    if (name.n >= sizeof(text))
        return LIVE_ABSENT; /* no object is called so */
    if (left <= 0 || look->limited)
        return look->limited ? LIVE_LARGE : LIVE_LATE;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    const struct kube_request request = {.verb = KUBE_GET,
                                         .resource = &kube_configmaps,
                                         .name_space = place,
                                         .name = text,
                                         .deadline_ms = (unsigned)left};
    NRW_AUTO_BUF struct buf answer;
    buf_init(&answer, look->bytes_maximum - look->bytes);
    struct err err = {0};
    bool good = kube_request_raw(cluster->client, &request, &answer, &err);
    look->bytes += answer.size;
    look->weight += good ? json_weight(buf_view(&answer), SIZE_MAX) : 0;
    look->limited = err.code == ERR_LIMIT || look->weight > look->weight_maximum;
    if (!good || look->limited)
        return told_by(look, &err);
    json_t *object = kube_parse(buf_view(&answer), &err);
    if (object == NULL && err.code == ERR_NOMEM)
        return LIVE_NO_MEMORY;
    if (object != NULL && kube_is_object(object, "ConfigMap", NULL) &&
        str_eq(object_meta(object, "name"), name)) {
        *ret_object = object;
        return LIVE_THERE;
    }
    json_decref(object);
    return LIVE_NO_CONFIG_MAP;
}

/* What was read is lost, for want of memory or room, and must not be taken for absent. */
static void lose(struct cluster_look *look, size_t first, struct config_maps **fresh)
{
    for (size_t i = first; i < look->live.count; i++) {
        if (look->live.told[i] == LIVE_THERE)
            look->live.told[i] = LIVE_NO_MEMORY;
    }
    config_maps_free(*fresh);
    *fresh = NULL;
}

/* One round of looks: what is asked for, and what came of it. */
struct round {
    struct cluster *cluster;
    struct cluster_look *look;
    const struct config_maps *known;
    struct str name_space;
    const struct str *names;
    size_t count;
    struct config_maps *fresh; /* NULL: nothing is newer */
};

static void look_for(struct round *round, const char *place)
{
    struct cluster_look *look = round->look;
    struct live *live = &look->live;
    struct config_maps *fresh = config_maps_copy(round->known);
    const size_t first = live->count;
    bool newer = false;
    for (size_t i = 0; i < round->count; i++) {
        json_t *object = NULL;
        if (!may_ask(look, round->names[i]))
            continue;
        enum live_told *told = &live->told[live->count - 1];
        *told = fresh != NULL ? ask(round->cluster, look, place, round->names[i], &object)
                              : LIVE_NO_MEMORY;
        newer = newer || (object != NULL &&
                          config_maps_differ(round->known, round->name_space, object));
        if (object != NULL && !config_maps_add(fresh, round->name_space, object))
            lose(look, first, &fresh);
        json_decref(object);
        look->untold = look->untold || (*told != LIVE_THERE && *told != LIVE_ABSENT);
    }
    if (newer)
        round->fresh = fresh;
    else
        config_maps_free(fresh);
}

static void run_round(void *context)
{
    struct round *round = context;
    struct cluster_look *look = round->look;
    char place[PLACE_BYTES];
    look->untold = false;
    if (round->name_space.n >= sizeof(place))
        return;
    snprintf(place, sizeof(place), "%.*s", STR_ARG(round->name_space));
    int64_t began = clock_mono_millis();
    look->deadline = began + CONFIRM_MS - look->spent;
    look_for(round, place);
    look->spent += clock_mono_millis() - began;
}

struct config_maps *cluster_confirm(struct cluster *cluster, struct cluster_look *look,
                                    const struct config_maps *known,
                                    struct str name_space, const struct str *names,
                                    size_t count)
{
    struct round round = {.cluster = cluster,
                          .look = look,
                          .known = known,
                          .name_space = name_space,
                          .names = names,
                          .count = count};
    if (look->apart)
        errand_run(cluster->errand, run_round, &round);
    else
        run_round(&round);
    return round.fresh;
}

/* --- certificates ---------------------------------------------------------------------
 */

static bool on_certificate(void *context, struct str cert_pem, struct str key_pem,
                           int64_t not_after, struct err *err)
{
    struct cluster *cluster = context;
    (void)not_after;
    char origin[2 * PLACE_BYTES + 16];
    snprintf(origin, sizeof(origin), "Secret %s/%s", cluster->secret_namespace,
             cluster->secret_name);
    const struct publish_pair pair = {
        .cert_pem = cert_pem,
        .key_pem = key_pem,
        .origin = origin,
    };
    return publish_certificate(cluster->setup.publish, &pair, PUBLISH_ALOUD, err);
}

/* Rotation's thread: a worker that called itself would wait for itself. */
static bool on_self_check(void *context, struct str ca_pem, struct err *err)
{
    const struct cluster *cluster = context;
    unsigned port = publish_port(cluster->setup.publish);
    if (port == 0)
        return err_set(err, ERR_UNAVAILABLE, "the server does not run yet");
    const struct self_check check = {
        .listen = cluster->setup.listen,
        .port = port,
        .name = cluster->setup.options->dns_names[0],
        .ca_pem = ca_pem,
        .now = clock_wall_seconds() + kube_client_clock_ahead(cluster->client),
        .client_certificate = cluster->setup.client_certificate,
    };
    return self_check(&check, err);
}

static void on_rotation_failure(void *context)
{
    const struct cluster *cluster = context;
    metrics_rotation(cluster->setup.metrics, false);
}

void cluster_ca_bundle(struct cluster *cluster, struct buf *out)
{
    struct rotate *rotate = atomic_load(&cluster->rotate);
    if (rotate != NULL)
        rotate_ca_bundle(rotate, out);
}

static bool rotation_starts(struct cluster *cluster, struct err *err)
{
    const struct app_cluster *options = cluster->setup.options;
    if (options->tls_secret == NULL)
        return true;
    const struct rotate_options rotation = {
        .client = cluster->client,
        .loop = cluster->loop,
        .secret_namespace = cluster->secret_namespace,
        .secret_name = cluster->secret_name,
        .webhook_config = options->webhook_config,
        .dns_names = options->dns_names,
        .dns_count = options->dns_name_count,
        .times = {.ca_lifetime = options->ca_lifetime,
                  .leaf_lifetime = options->cert_lifetime},
        .on_certificate = on_certificate,
        .self_check = on_self_check,
        .on_failure = on_rotation_failure,
        .context = cluster,
    };
    struct rotate *rotate = rotate_start(&rotation, err);
    atomic_store(&cluster->rotate, rotate);
    return rotate != NULL;
}

/* --- Events ---------------------------------------------------------------------------
 */

static bool has_finding(const struct admit_outcome *outcome, enum finding_id id)
{
    for (size_t i = 0; i < findings_count(&outcome->findings); i++) {
        if (findings_at(&outcome->findings, i)->id == id)
            return true;
    }
    return false;
}

void cluster_tell(struct cluster *cluster, const struct admit_outcome *outcome)
{
    bool deployment = str_eq(outcome->kind, STR("Deployment"));
    if (outcome->dry_run || !deployment || (outcome->allowed && !outcome->changed))
        return;
    bool removed = has_finding(outcome, FINDING_REMOVED_REGISTRY);
    bool injected = has_finding(outcome, FINDING_MISSING_REGISTRY) ||
                    has_finding(outcome, FINDING_VALUE_CONFLICT);
    if (outcome->allowed && !removed && !injected)
        return; /* only the policy's hash was written */
    struct kube_event event = {
        .api_version = STR("apps/v1"),
        .kind = STR("Deployment"),
        .name_space = outcome->name_space,
        .name = outcome->name,
        .uid = outcome->object_uid,
        .warning = !outcome->allowed,
        .action = STR("Admission"),
    };
    if (!outcome->allowed) {
        event.reason = STR("Denied");
        event.note = outcome->message;
    } else if (injected) {
        event.reason = STR("Injected");
        event.note = STR("the registries of the policy were set in env");
    } else {
        event.reason = STR("Removed");
        event.note =
            STR("registries that the policy no longer lists were taken out of env");
    }
    kube_events_add(cluster->events, &event);
}

/* --- life -----------------------------------------------------------------------------
 */

static void on_request(void *context, const char *verb, const char *resource,
                       unsigned code)
{
    metrics_kube_request(context, verb, resource, code);
}

/* "NAMESPACE/NAME", which the flags have checked. */
static bool split_place(const char *place, char *name_space, char *name, struct err *err)
{
    const char *slash = strchr(place, '/');
    if (slash == NULL || (size_t)(slash - place) >= PLACE_BYTES ||
        strlen(slash + 1) >= PLACE_BYTES)
        return err_set(err, ERR_USAGE, "\"%s\" is not NAMESPACE/NAME", place);
    memcpy(name_space, place, (size_t)(slash - place));
    name_space[slash - place] = '\0';
    memcpy(name, slash + 1, strlen(slash + 1) + 1);
    return true;
}

static bool places_are_good(struct cluster *cluster, struct err *err)
{
    const struct app_cluster *options = cluster->setup.options;
    return (options->policy_configmap == NULL ||
            split_place(options->policy_configmap, cluster->policy_namespace,
                        cluster->policy_name, err)) &&
           (options->tls_secret == NULL ||
            split_place(options->tls_secret, cluster->secret_namespace,
                        cluster->secret_name, err));
}

static void name_instance(struct cluster *cluster)
{
    const char *pod = getenv("POD_NAME");
    if (pod != NULL && pod[0] != '\0')
        snprintf(cluster->instance, sizeof(cluster->instance), "%s", pod);
    else if (gethostname(cluster->instance, sizeof(cluster->instance)) != 0)
        snprintf(cluster->instance, sizeof(cluster->instance), "nvcf-registry-webhook");
    cluster->instance[sizeof(cluster->instance) - 1] = '\0';
}

static bool build(struct cluster *cluster, struct err *err)
{
    const struct app_cluster *options = cluster->setup.options;
    if (!places_are_good(cluster, err) || !kube_global_init(err))
        return false;
    struct kube_config *config =
        options->kubeconfig != NULL
            ? kube_config_from_file(options->kubeconfig, NULL, err)
            : kube_config_in_cluster(err);
    if (config == NULL)
        return false;
    cluster->client = kube_client_new_take(config, err);
    if (cluster->client == NULL)
        return false;
    kube_client_observe(cluster->client, on_request, cluster->setup.metrics);
    name_instance(cluster);
    cluster->loop = kube_loop_new(cluster->client, err);
    if (cluster->loop == NULL)
        return false;
    cluster->events = kube_events_new(cluster->loop, cluster->instance, err);
    bool watches = options->policy_configmap != NULL;
    const struct kube_sources_options sources = {
        .policy_namespace = watches ? cluster->policy_namespace : NULL,
        .policy_name = watches ? cluster->policy_name : NULL,
        .context = cluster,
        .on_policy = watches ? on_policy : NULL,
        .on_config_maps = on_config_maps,
        .maximum = cluster->setup.config_maps_maximum,
        .needed = remote_maps_kept,
    };
    cluster->sources = kube_sources_new(cluster->loop, &sources, err);
    cluster->errand = errand_new("asks", err);
    return cluster->events != NULL && cluster->sources != NULL &&
           cluster->errand != NULL &&
           (!options->reconcile ||
            (cluster->reconcile = reconcile_new(cluster->client, cluster->loop,
                                                cluster->setup.publish->snapshots,
                                                cluster->instance, err)) != NULL);
}

struct cluster *cluster_new(const struct cluster_setup *setup, struct err *err)
{
    struct cluster *cluster = mem_calloc(1, sizeof(*cluster));
    if (cluster == NULL) {
        err_nomem(err);
        return NULL;
    }
    cluster->setup = *setup;
    if (!build(cluster, err)) {
        err_wrap(err, "the cluster");
        cluster_free(cluster);
        return NULL;
    }
    atomic_store(&setup->health->awaits_config_maps, true);
    return cluster;
}

bool cluster_start(struct cluster *cluster, struct err *err)
{
    return rotation_starts(cluster, err) && kube_loop_start(cluster->loop, err) &&
           (cluster->reconcile == NULL || reconcile_start(cluster->reconcile, err));
}

void cluster_free(struct cluster *cluster)
{
    if (cluster == NULL)
        return;
    if (cluster->client != NULL)
        kube_client_stop(cluster->client);
    if (cluster->loop != NULL)
        kube_loop_stop(cluster->loop);
    errand_free(cluster->errand);
    reconcile_free(cluster->reconcile);
    rotate_free(atomic_load(&cluster->rotate));
    if (cluster->sources != NULL)
        kube_sources_free(cluster->sources);
    if (cluster->events != NULL)
        kube_events_free(cluster->events);
    if (cluster->loop != NULL)
        kube_loop_free(cluster->loop);
    if (cluster->client != NULL)
        kube_client_free(cluster->client);
    mem_free(cluster);
}

int64_t cluster_clock_ahead(const struct cluster *cluster)
{
    return kube_client_clock_ahead(cluster->client);
}

bool cluster_ready(struct cluster *cluster, struct buf *out)
{
    struct kube_sources_state sources;
    kube_sources_state(cluster->sources, &sources);
    bool ready = true;
    if (!sources.complete) {
        buf_printf(out, "configmaps: the targets' namespaces are not listed yet%s%s\n",
                   sources.reason[0] != '\0' ? ": " : "", sources.reason);
        ready = false;
    }
    struct rotate *rotate = atomic_load(&cluster->rotate);
    if (rotate != NULL) {
        struct rotate_state state;
        rotate_state(rotate, &state);
        if (!state.serving || !state.published || !state.verified) {
            buf_printf(out, "certificate: %s%s%s\n",
                       !state.serving ? "none is served yet"
                       : !state.published
                           ? "the webhook configurations do not hold its CA yet"
                           : "a call to ourselves is not verified by the caBundle",
                       state.problem[0] != '\0' ? ": " : "", state.problem);
            ready = false;
        }
    }
    return ready;
}
