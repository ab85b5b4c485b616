/* The watch cache; see sources.h. Everything is in the watcher thread but for what other
 * threads ask for: the wanted namespaces and the state, behind one lock. Changes mark the
 * cache as dirty; the task, which runs once per turn of the loop, tells it whole. */
#include "kube/sources.h"

#include <pthread.h>
#include <stdio.h>

#include "kube/watch.h"
#include "kube/watch_line.h"
#include "util/log.h"
#include "util/mem.h"

#define NAMESPACES_MAXIMUM 64u
#define RETRY_MS           500
#define MAP_WEIGHT         16384u /* each counts: what is done with them takes time, too */
#define KEY_WEIGHT         256u
/* Names of those that were too much to keep: half a MiB. When more were, nobody can tell
 * when the last of them is gone. */
#define LEFT_OUT_MAXIMUM 1000u

struct place {
    struct kube_sources *sources;
    char *name;
    struct kube_watch *watch;
    json_t *maps;       /* name → object */
    json_t *left_out;   /* the names of those that were too much to keep */
    bool more_left_out; /* there were more than are remembered; stays so */
    bool listed, connected;
    char reason[200];
};

struct names {
    char *items[NAMESPACES_MAXIMUM];
    size_t count;
};

struct kube_sources {
    struct kube_task task; /* first: run() casts back */
    struct kube_loop *loop;
    struct kube_sources_options options;
    char *policy_namespace, *policy_name;
    struct place policy; /* its watch; `maps` is not used */
    bool policy_seen;
    bool absence_told;
    struct place *places[NAMESPACES_MAXIMUM];
    size_t place_count;
    size_t kept; /* of options.maximum */
    bool dirty;
    pthread_mutex_t lock; /* of what follows */
    struct names wanted;
    bool wanted_changed;
    struct kube_sources_state state;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->items[i]);
    names->count = 0;
}

static bool names_have(const struct names *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++)
        if (str_eq(str_of(names->items[i]), name))
            return true;
    return false;
}

static void place_done(struct place *place)
{
    kube_watch_free(place->watch);
    json_decref(place->maps);
    json_decref(place->left_out);
    mem_free(place->name);
    place->watch = NULL;
    place->maps = place->left_out = NULL;
    place->name = NULL;
}

/* --- what others see --- */

static void update_state(struct kube_sources *sources)
{
    struct kube_sources_state now = {.complete = true, .connected = true};
    const struct place *silent = NULL;
    if (sources->policy.watch != NULL && !sources->policy.connected)
        silent = &sources->policy;
    for (size_t i = 0; i < sources->place_count; i++) {
        const struct place *place = sources->places[i];
        now.complete = now.complete && place->listed;
        if (!place->connected && silent == NULL)
            silent = place;
    }
    now.connected = silent == NULL;
    now.policy_known = sources->policy_seen || sources->absence_told;
    now.policy_present = sources->policy_seen;
    if (silent != NULL)
        snprintf(now.reason, sizeof(now.reason), "%s", silent->reason);
    pthread_mutex_lock(&sources->lock);
    now.complete = now.complete && !sources->wanted_changed;
    sources->state = now;
    pthread_mutex_unlock(&sources->lock);
}

void kube_sources_state(struct kube_sources *sources,
                        struct kube_sources_state *ret_state)
{
    pthread_mutex_lock(&sources->lock);
    *ret_state = sources->state;
    pthread_mutex_unlock(&sources->lock);
}

/* --- what the watches tell --- */

static void note_connection(struct place *place, const struct kube_change *change,
                            const char *what)
{
    bool connected = change->type == KUBE_SYNCED;
    place->connected = connected;
    snprintf(place->reason, sizeof(place->reason), "%s",
             connected || change->reason == NULL ? "" : change->reason);
    if (connected)
        log_event(LOG_LEVEL_INFO, "watching", LOG_C("what", what),
                  LOG_C("namespace", place->name));
    else
        log_event(LOG_LEVEL_WARN,
                  "the watch is broken; what was last seen stays in force",
                  LOG_C("what", what), LOG_C("namespace", place->name),
                  LOG_C("error", place->reason));
}

static bool tell_policy(struct kube_sources *sources, const json_t *config_map)
{
    if (sources->options.on_policy != NULL &&
        !sources->options.on_policy(sources->options.context, config_map))
        return false;
    sources->policy_seen = config_map != NULL;
    sources->absence_told = config_map == NULL;
    return true;
}

static bool on_policy_change(void *context, const struct kube_change *change)
{
    struct place *place = context;
    struct kube_sources *sources = place->sources;
    bool good = true;
    switch (change->type) {
    case KUBE_ADDED:
    case KUBE_MODIFIED:
        good = tell_policy(sources, change->object);
        break;
    case KUBE_DELETED:
        good = tell_policy(sources, NULL);
        break;
    case KUBE_SYNCED:
        note_connection(place, change, "policy");
        if (!sources->policy_seen && !sources->absence_told)
            good = tell_policy(sources, NULL);
        break;
    case KUBE_LOST:
        note_connection(place, change, "policy");
        break;
    }
    update_state(sources);
    return good;
}

/* What is kept of a ConfigMap: its data is shared with what was parsed, the rest (managed
 * fields, annotations with the last applied manifest) is let go. NULL: no memory. */
static json_t *slim(const json_t *object)
{
    json_t *made =
        json_pack("{s:s,s:s,s:{s:s,s:s,s:s,s:s}}", "apiVersion", "v1", "kind",
                  "ConfigMap", "metadata", "namespace", kube_meta(object, "namespace"),
                  "name", kube_meta(object, "name"), "uid", kube_meta(object, "uid"),
                  "resourceVersion", kube_meta(object, "resourceVersion"));
    json_t *data = json_object_get(object, "data");
    if (made != NULL && json_is_object(data) &&
        json_object_set(made, "data", data) != 0) {
        json_decref(made);
        return NULL;
    }
    return made;
}

static void mark_dirty(struct kube_sources *sources)
{
    sources->dirty = true;
    kube_loop_poke(sources->loop, &sources->task);
}

/* About what it takes, with its part of the snapshots; NULL: nothing. */
static size_t weight_of(const json_t *object)
{
    const char *key;
    json_t *value;
    size_t weight = object != NULL ? MAP_WEIGHT : 0;
    /* Not const in jansson's interface; only read. */
    union {
        const json_t *in;
        json_t *out;
    } data = {json_object_get(object, "data")};
    json_object_foreach(data.out, key, value)
    {
        weight += KEY_WEIGHT + strlen(key) + json_string_length(value);
    }
    return weight;
}

static void forget(struct place *place, const char *name)
{
    size_t weight = weight_of(json_object_get(place->maps, name));
    if (json_object_del(place->maps, name) == 0 ||
        json_object_del(place->left_out, name) == 0)
        mark_dirty(place->sources);
    place->sources->kept -= weight;
}

static bool is_needed(void *context, const json_t *object)
{
    const struct place *place = context;
    return place->sources->options.needed(str_of(kube_meta(object, "name")));
}

/* False: no memory. */
static bool leave_out(struct place *place, const char *name)
{
    if (json_object_size(place->left_out) >= LEFT_OUT_MAXIMUM &&
        json_object_get(place->left_out, name) == NULL)
        place->more_left_out = true;
    else if (json_object_set_new(place->left_out, name, json_null()) != 0)
        return false;
    json_object_del(place->maps, name);
    return true;
}

static bool take(struct place *place, const json_t *object)
{
    struct kube_sources *sources = place->sources;
    const char *name = kube_meta(object, "name");
    size_t weight = weight_of(object);
    size_t before = weight_of(json_object_get(place->maps, name));
    if (weight > sources->options.maximum - (sources->kept - before)) {
        if (!leave_out(place, name))
            return false;
        weight = 0;
    } else {
        json_t *made = slim(object);
        if (made == NULL || json_object_set_new(place->maps, name, made) != 0)
            return false;
        json_object_del(place->left_out, name);
    }
    sources->kept = sources->kept - before + weight;
    mark_dirty(sources);
    return true;
}

static bool on_place_change(void *context, const struct kube_change *change)
{
    struct place *place = context;
    switch (change->type) {
    case KUBE_ADDED:
    case KUBE_MODIFIED:
        return take(place, change->object);
    case KUBE_DELETED:
        forget(place, kube_meta(change->object, "name"));
        return true;
    case KUBE_SYNCED:
        note_connection(place, change, "ConfigMaps");
        if (!place->listed) {
            place->listed = true;
            mark_dirty(place->sources);
        }
        break;
    case KUBE_LOST:
        note_connection(place, change, "ConfigMaps");
        break;
    }
    update_state(place->sources);
    return true;
}

/* --- telling the cache whole --- */

static bool tell_config_maps(struct kube_sources *sources)
{
    if (sources->options.on_config_maps == NULL)
        return true;
    size_t count = 0, n = 0;
    bool complete = true, left_out = false;
    for (size_t i = 0; i < sources->place_count; i++) {
        count += json_object_size(sources->places[i]->maps);
        complete = complete && sources->places[i]->listed;
        left_out = left_out || sources->places[i]->more_left_out ||
                   json_object_size(sources->places[i]->left_out) > 0;
    }
    NRW_AUTOFREE json_t **objects = mem_calloc(count, sizeof(*objects));
    if (objects == NULL)
        return false;
    for (size_t i = 0; i < sources->place_count; i++) {
        const char *name;
        json_t *object;
        json_object_foreach(sources->places[i]->maps, name, object)
        {
            objects[n++] = object;
        }
    }
    const struct kube_config_maps maps = {objects, count, complete, left_out};
    return sources->options.on_config_maps(sources->options.context, &maps);
}

/* --- which namespaces --- */

bool kube_sources_set_namespaces(struct kube_sources *sources, const struct str *names,
                                 size_t count, struct err *err)
{
    struct names wanted = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        if (names_have(&wanted, names[i]))
            continue;
        if (wanted.count == NAMESPACES_MAXIMUM) {
            names_done(&wanted);
            return err_set(err, ERR_LIMIT, "more than %u target namespaces",
                           NAMESPACES_MAXIMUM);
        }
        wanted.items[wanted.count] = mem_strndup(names[i].p, names[i].n);
        if (wanted.items[wanted.count] == NULL) {
            names_done(&wanted);
            return err_nomem(err);
        }
        wanted.count++;
    }
    pthread_mutex_lock(&sources->lock);
    names_done(&sources->wanted);
    sources->wanted = wanted;
    sources->wanted_changed = true;
    sources->state.complete = false;
    pthread_mutex_unlock(&sources->lock);
    kube_loop_poke(sources->loop, &sources->task);
    return true;
}

static struct place *place_new(struct kube_sources *sources, const char *name)
{
    struct place *place = mem_calloc(1, sizeof(*place));
    if (place == NULL)
        return NULL;
    place->sources = sources;
    place->name = mem_strdup(name);
    place->maps = json_object();
    place->left_out = json_object();
    struct kube_watch_options options = {.resource = &kube_configmaps,
                                         .name_space = name,
                                         .needed = is_needed,
                                         .on_change = on_place_change,
                                         .context = place};
    if (place->name != NULL && place->maps != NULL && place->left_out != NULL)
        place->watch = kube_watch_new(sources->loop, &options, NULL);
    if (place->watch != NULL)
        return place;
    place_done(place);
    mem_free(place);
    return NULL;
}

static bool is_watched(const struct kube_sources *sources, const char *name)
{
    for (size_t i = 0; i < sources->place_count; i++)
        if (strcmp(sources->places[i]->name, name) == 0)
            return true;
    return false;
}

static void drop_unwanted(struct kube_sources *sources)
{
    size_t kept = 0;
    for (size_t i = 0; i < sources->place_count; i++) {
        struct place *place = sources->places[i];
        if (names_have(&sources->wanted, str_of(place->name))) {
            sources->places[kept++] = place;
            continue;
        }
        const char *name;
        json_t *object;
        json_object_foreach(place->maps, name, object)
        {
            sources->kept -= weight_of(object);
        }
        place_done(place);
        mem_free(place);
    }
    sources->place_count = kept;
}

/* Under the lock, but only this thread touches the places. False: no memory. */
static bool follow_wanted(struct kube_sources *sources)
{
    drop_unwanted(sources);
    for (size_t i = 0; i < sources->wanted.count; i++) {
        if (is_watched(sources, sources->wanted.items[i]))
            continue;
        struct place *place = place_new(sources, sources->wanted.items[i]);
        if (place == NULL)
            return false;
        sources->places[sources->place_count++] = place;
    }
    return true;
}

static void run(struct kube_task *task, int64_t now)
{
    struct kube_sources *sources = (struct kube_sources *)(void *)task;
    task->due = KUBE_NEVER;
    pthread_mutex_lock(&sources->lock);
    if (sources->wanted_changed) {
        sources->wanted_changed = !follow_wanted(sources);
        sources->dirty = true;
        if (sources->wanted_changed)
            task->due = now + RETRY_MS;
    }
    bool settled = !sources->wanted_changed;
    pthread_mutex_unlock(&sources->lock);
    if (sources->dirty && settled) {
        sources->dirty = !tell_config_maps(sources);
        if (sources->dirty)
            task->due = now + RETRY_MS;
    }
    update_state(sources);
}

/* --- life --- */

static bool watch_policy(struct kube_sources *sources, struct err *err)
{
    sources->policy_namespace = mem_strdup(sources->options.policy_namespace);
    sources->policy_name = mem_strdup(sources->options.policy_name);
    sources->policy.name = mem_strdup(sources->options.policy_namespace);
    if (sources->policy_namespace == NULL || sources->policy_name == NULL ||
        sources->policy.name == NULL)
        return err_nomem(err);
    sources->options.policy_namespace = sources->policy_namespace;
    sources->options.policy_name = sources->policy_name;
    sources->policy.sources = sources;
    struct kube_watch_options options = {.resource = &kube_configmaps,
                                         .name_space = sources->policy_namespace,
                                         .name = sources->policy_name,
                                         .on_change = on_policy_change,
                                         .context = &sources->policy};
    sources->policy.watch = kube_watch_new(sources->loop, &options, err);
    return sources->policy.watch != NULL;
}

struct kube_sources *kube_sources_new(struct kube_loop *loop,
                                      const struct kube_sources_options *options,
                                      struct err *err)
{
    struct kube_sources *sources = mem_calloc(1, sizeof(*sources));
    if (sources == NULL) {
        err_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&sources->lock, NULL);
    sources->loop = loop;
    sources->options = *options;
    sources->task.run = run;
    sources->task.due = KUBE_NEVER;
    if ((options->policy_name != NULL && !watch_policy(sources, err)) ||
        !kube_loop_add(loop, &sources->task, err)) {
        kube_sources_free(sources);
        return NULL;
    }
    update_state(sources);
    return sources;
}

void kube_sources_free(struct kube_sources *sources)
{
    if (sources == NULL)
        return;
    kube_loop_remove(sources->loop, &sources->task);
    place_done(&sources->policy);
    names_done(&sources->wanted);
    drop_unwanted(sources); /* nothing is wanted now */
    mem_free(sources->policy_namespace);
    mem_free(sources->policy_name);
    pthread_mutex_destroy(&sources->lock);
    mem_free(sources);
}
