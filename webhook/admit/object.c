/* Kubernetes objects read into what core/ judges; see object.h. What is absent, null or
 * of another type than Kubernetes has it counts as absent: the API server has checked the
 * types before it calls, and offline `kubectl apply` will. */
#include "admit/object.h"

#include "admit/mounts.h"
#include "admit/remote_maps.h"
#include "core/decide.h"
#include "core/sources.h"
#include "core/sources_ways.h"

struct str object_text(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value))
        return str_null();
    return str_from(json_string_value(value), json_string_length(value));
}

struct str object_meta(const json_t *object, const char *member)
{
    return object_text(json_object_get(object, "metadata"), member);
}

bool object_is_deleted(const json_t *object)
{
    const json_t *stamp =
        json_object_get(json_object_get(object, "metadata"), "deletionTimestamp");
    return stamp != NULL && !json_is_null(stamp);
}

static bool read_labels(struct arena *arena, const json_t *object,
                        struct arena_list *list)
{
    json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels");
    const char *key;
    json_t *value;
    json_object_foreach(labels, key, value)
    {
        struct kv *label = arena_list_add(arena, list, sizeof(*label));
        if (label == NULL)
            return false;
        *label = (struct kv){str_of(key), STR("")};
        if (json_is_string(value))
            label->value = str_from(json_string_value(value), json_string_length(value));
    }
    return true;
}

const struct policy_target *object_target(struct arena *arena,
                                          const struct policy *policy,
                                          struct str name_space, const json_t *object,
                                          const json_t *old_object)
{
    const json_t *both[] = {object, old_object};
    for (size_t i = 0; i < 2; i++) {
        struct arena_list labels = {.items = NULL};
        if (!json_is_object(both[i]) || !read_labels(arena, both[i], &labels))
            continue;
        const struct policy_target *target =
            decide_target(policy, name_space, labels.items, labels.count);
        if (target != NULL)
            return target;
    }
    return NULL;
}

static const json_t *pod_spec(const json_t *object)
{
    const json_t *spec = json_object_get(object, "spec");
    return json_object_get(json_object_get(spec, "template"), "spec");
}

static const json_t *pod_containers(const json_t *object)
{
    return json_object_get(pod_spec(object), "containers");
}

static const json_t *find_container(const json_t *object, struct str name,
                                    size_t *ret_index)
{
    const json_t *containers = pod_containers(object);
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        struct str found = object_text(container, "name");
        if (!str_is_null(found) && str_eq(found, name)) {
            *ret_index = i;
            return container;
        }
    }
    return NULL;
}

static struct str text_or_empty(const json_t *object, const char *member)
{
    struct str text = object_text(object, member);
    return str_is_null(text) ? STR("") : text;
}

static void read_value_from(struct arena *arena, const json_t *from, struct env_var *var)
{
    static const char *const kinds[] = {"secretKeyRef", "fieldRef", "resourceFieldRef",
                                        "fileKeyRef"};
    const json_t *map = json_object_get(from, "configMapKeyRef");
    if (json_is_object(map)) {
        var->cm_name = text_or_empty(map, "name");
        var->cm_key = text_or_empty(map, "key");
        var->from_what = arena_printf(arena, "configMapKeyRef %.*s/%.*s",
                                      STR_ARG(var->cm_name), STR_ARG(var->cm_key));
        return;
    }
    var->from_what = STR("valueFrom");
    for (size_t i = 0; i < NRW_COUNT(kinds); i++) {
        const json_t *ref = json_object_get(from, kinds[i]);
        if (!json_is_object(ref))
            continue;
        struct str name = text_or_empty(ref, "name");
        struct str key = text_or_empty(ref, "key");
        var->from_what =
            arena_printf(arena, "%s%s%.*s%s%.*s", kinds[i], name.n > 0 ? " " : "",
                         STR_ARG(name), key.n > 0 ? "/" : "", STR_ARG(key));
    }
}

static bool read_env(struct arena *arena, const json_t *env, struct container_spec *out)
{
    size_t count = json_array_size(env);
    struct env_var *vars = ARENA_ARRAY(arena, struct env_var, count);
    if (vars == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(env, i);
        const json_t *from = json_object_get(entry, "valueFrom");
        vars[i] = (struct env_var){
            .name = text_or_empty(entry, "name"),
            .value = text_or_empty(entry, "value"),
            .has_value_from = json_is_object(from),
            .cm_name = str_null(),
            .cm_key = str_null(),
            .from_what = STR(""),
        };
        if (vars[i].has_value_from)
            read_value_from(arena, from, &vars[i]);
    }
    out->env = vars;
    out->env_count = count;
    out->env_present = json_is_array(env);
    return true;
}

static bool read_env_from(struct arena *arena, const json_t *list,
                          struct container_spec *out)
{
    size_t count = json_array_size(list);
    struct env_from *items = ARENA_ARRAY(arena, struct env_from, count);
    if (items == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(list, i);
        items[i] = (struct env_from){
            .prefix = text_or_empty(entry, "prefix"),
            .cm_name = object_text(json_object_get(entry, "configMapRef"), "name"),
            .secret_name = object_text(json_object_get(entry, "secretRef"), "name"),
        };
    }
    out->env_from = items;
    out->env_from_count = count;
    return true;
}

static bool read_words(struct arena *arena, const json_t *list,
                       const struct str **ret_words, size_t *ret_count)
{
    size_t count = json_array_size(list);
    struct str *words = ARENA_ARRAY(arena, struct str, count);
    if (words == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *word = json_array_get(list, i);
        words[i] = json_is_string(word)
                       ? str_from(json_string_value(word), json_string_length(word))
                       : STR("");
    }
    *ret_words = words;
    *ret_count = count;
    return true;
}

/* Absent, null and empty are one and the same to Kubernetes (omitempty). */
static bool same_list(const json_t *a, const json_t *b)
{
    if (json_array_size(a) == 0 && json_array_size(b) == 0)
        return true;
    return a != NULL && b != NULL && json_equal(a, b) == 1;
}

/* What a decision reads of a container, but for its mounts. */
static const char *const judged[] = {"env", "envFrom", "args", "command"};

static bool same_member(const json_t *a, const json_t *b, const char *name)
{
    const json_t *mine = json_object_get(a, name), *theirs = json_object_get(b, name);
    return mine == theirs || json_equal(mine, theirs) == 1;
}

/* The same in what could be read of them, whatever else there is. */
static bool same_containers(const json_t *a, const json_t *b)
{
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        const json_t *mine = json_array_get(a, i), *theirs = json_array_get(b, i);
        if (!json_is_object(mine) || !json_is_object(theirs)) {
            if (json_equal(mine, theirs) != 1)
                return false;
            continue;
        }
        bool same = same_member(mine, theirs, "name");
        for (size_t k = 0; k < NRW_COUNT(judged); k++)
            same = same && same_member(mine, theirs, judged[k]);
        if (!same)
            return false;
    }
    return true;
}

static bool is_unchanged(const json_t *container, const json_t *object,
                         const json_t *old_object, struct str name)
{
    if (!json_is_object(old_object))
        return false;
    size_t index;
    const json_t *old = find_container(old_object, name, &index);
    if (container == NULL || old == NULL)
        return container == NULL && old == NULL &&
               same_containers(pod_containers(object), pod_containers(old_object));
    for (size_t i = 0; i < NRW_COUNT(judged); i++) {
        if (!same_list(json_object_get(container, judged[i]),
                       json_object_get(old, judged[i])))
            return false;
    }
    return true;
}

static struct str env_value(const struct workload *workload, const struct env_var *var,
                            bool *ret_readable)
{
    struct str value = var->value;
    if (var->has_value_from)
        value =
            config_map_value(workload_config_map(workload, var->cm_name), var->cm_key);
    *ret_readable = !str_is_null(value) && str_index(value, 0, '$') == value.n;
    return *ret_readable ? value : var->from_what;
}

/* The variable's text as the pod gets it from env, or else from envFrom; null: not set.
 * *ret_readable is false when it is set by something that cannot be read, or may be. */
static struct str look_up(struct workload *workload, struct str name, bool *ret_readable)
{
    const struct container_spec *container = &workload->container;
    size_t compared = 0;
    *ret_readable = true;
    for (size_t i = container->env_count; i-- > 0;) {
        if (str_eq(container->env[i].name, name))
            return env_value(workload, &container->env[i], ret_readable);
    }
    for (size_t i = container->env_from_count; i-- > 0;) {
        const struct env_from *from = &container->env_from[i];
        if (!str_starts(name, from->prefix))
            continue;
        const struct config_map *map = workload_config_map(workload, from->cm_name);
        struct str value = config_map_value(map, str_skip(name, from->prefix.n));
        if (!str_is_null(value))
            return value;
        compared += workload->config_map_count + (map != NULL ? map->data_count : 0);
        if (compared > WORKLOAD_COMPARED_MAXIMUM) {
            workload->beyond = true;
            *ret_readable = false;
            return STR("");
        }
    }
    return str_null();
}

static const struct str remote_enabled = STR("REMOTE_CONFIG_ENABLED");
static const struct str remote_name = STR("REMOTE_CONFIG_NAME");
static const struct str active_profiles = STR("SPRING_PROFILES_ACTIVE");

bool object_reads(struct str prefix, struct str variable)
{
    return str_eq(variable, remote_enabled) || str_eq(variable, remote_name) ||
           str_eq(variable, active_profiles) || sources_matter(prefix, variable);
}

/* bootstrap.yaml of the APIs: `name: ${REMOTE_CONFIG_NAME:nvcf-api-remote-config}`. */
static struct str default_remote(struct str prefix)
{
    return str_eq_nocase(prefix, STR("NVCF"))   ? STR("nvcf-api-remote-config")
           : str_eq_nocase(prefix, STR("NVCT")) ? STR("nvct-api-remote-config")
                                                : str_null();
}

/* Spring Cloud Kubernetes makes a profile of its own active in every pod; whether it does
 * so before or after the others has several answers, so that where it has a ConfigMap
 * none overrides another (docs/SPRING.md, R6). */
static struct str add_cloud_profile(struct arena *arena, const struct workload *workload,
                                    struct str name, struct str profiles, bool *certain)
{
    const struct str sibling =
        arena_printf(arena, "%.*s-" WAY_CLOUD_PROFILE, STR_ARG(name));
    *certain = *certain && workload_config_map(workload, sibling) == NULL;
    return arena_printf(arena, WAY_CLOUD_PROFILE ",%.*s", STR_ARG(profiles));
}

/* Spring's conditions on a property take everything but "false" for on. An empty name is
 * one that nobody knows here, see sources.c; none at all is the default, where the remote
 * configuration is spoken of. */
static bool read_remote(struct arena *arena, struct str prefix, struct workload *workload)
{
    bool readable;
    struct str enabled = look_up(workload, remote_enabled, &readable);
    if (!str_is_null(enabled) && readable && str_eq_nocase(enabled, STR("false")))
        return true;
    struct str name = look_up(workload, remote_name, &readable);
    if (str_is_null(name) && !str_is_null(enabled))
        name = default_remote(prefix);
    if (str_is_null(name))
        return true;
    workload->has_remote = true;
    workload->remote =
        (struct remote_config){.name = name, .problem = STR(""), .limit = STR("")};
    if (!readable || name.n == 0)
        return true;
    bool certain;
    struct str profiles = look_up(workload, active_profiles, &certain);
    certain = certain && !str_is_null(profiles);
    if (!certain)
        profiles = STR(WAY_CHART_PROFILE);
    if (!sources_profiles(arena, workload, &profiles, &certain,
                          &workload->remote.siblings_cut))
        return false;
    profiles = add_cloud_profile(arena, workload, name, profiles, &certain);
    bool good = remote_maps_read(arena, prefix, name, profiles, certain, workload);
    workload->remote.profiles = profiles;
    return good;
}

static bool read_container(struct arena *arena, const json_t *pod,
                           const json_t *container, struct container_spec *spec)
{
    spec->found = true;
    return read_env(arena, json_object_get(container, "env"), spec) &&
           read_env_from(arena, json_object_get(container, "envFrom"), spec) &&
           read_words(arena, json_object_get(container, "command"), &spec->command,
                      &spec->command_count) &&
           read_words(arena, json_object_get(container, "args"), &spec->args,
                      &spec->args_count) &&
           mounts_read(arena, pod, container, spec);
}

/* Does it list the charts' profile, for certain? */
static bool had_profile(struct arena *arena, struct workload *old, bool *ret_had)
{
    bool certain, cut = false;
    struct str profiles = look_up(old, active_profiles, &certain);
    *ret_had = false;
    if (str_is_null(profiles) || !certain || !way_has_profile(profiles))
        return true;
    if (!sources_profiles(arena, old, &profiles, &certain, &cut))
        return false;
    *ret_had = certain;
    return true;
}

/* Nor otherwise than by that variable? What may be a list and cannot be read is an opaque
 * source itself. */
static bool lists_none(struct arena *arena, const struct workload *workload,
                       bool *ret_none)
{
    bool certain = true, cut = false;
    struct str profiles = STR(" "); /* other than any that is found */
    if (!sources_profiles(arena, workload, &profiles, &certain, &cut))
        return false;
    *ret_none = certain;
    return true;
}

/* A Deployment that never had one is somebody's own, and as it is meant. */
static bool read_profiles_gone(struct arena *arena, const struct policy_target *target,
                               const json_t *old_object, struct workload *workload)
{
    bool certain, had, none;
    size_t index;
    if (workload->unchanged || !json_is_object(old_object) ||
        !str_is_null(look_up(workload, active_profiles, &certain)))
        return true;
    const json_t *container = find_container(old_object, target->container, &index);
    struct workload old = {.name_space = workload->name_space,
                           .config_maps = workload->config_maps,
                           .config_map_count = workload->config_map_count};
    if (!read_container(arena, pod_spec(old_object), container, &old.container) ||
        !had_profile(arena, &old, &had))
        return false;
    if (!had)
        return true;
    if (!lists_none(arena, workload, &none))
        return false;
    workload->profiles_gone = none;
    return true;
}

static bool compare_mounts(struct arena *arena, const struct policy_target *target,
                           const json_t *old_object, struct workload *workload)
{
    size_t index;
    struct container_spec old = {.mounts = NULL};
    bool are_old = true;
    if (workload->container.mount_count == 0)
        return true;
    bool good =
        mounts_read(arena, pod_spec(old_object),
                    find_container(old_object, target->container, &index), &old) &&
        mounts_are_old(arena, &workload->container, &old, &are_old);
    workload->mounts_new = !are_old;
    return good;
}

static struct str annotation(const json_t *object, const char *name)
{
    return object_text(
        json_object_get(json_object_get(object, "metadata"), "annotations"), name);
}

bool object_workload(struct arena *arena, const struct policy_target *target,
                     struct str name_space, const json_t *object,
                     const json_t *old_object, const struct config_maps *config_maps,
                     const struct live *live, struct workload *ret_workload)
{
    struct workload workload = {
        .name_space = name_space,
        .name = object_meta(object, "name"),
        .annotations_present = json_is_object(
            json_object_get(json_object_get(object, "metadata"), "annotations")),
        .injected = annotation(object, ANNOTATION_INJECTED),
        .policy = annotation(object, ANNOTATION_POLICY),
        .old_injected = annotation(old_object, ANNOTATION_INJECTED),
    };
    workload.config_maps_unseen = config_maps == NULL;
    workload.config_maps_whole = config_maps != NULL && config_maps_is_whole(config_maps);
    workload.live = live;
    if (config_maps != NULL)
        workload.config_maps = config_maps_items(config_maps, &workload.config_map_count);
    struct container_spec *spec = &workload.container;
    const json_t *container = find_container(object, target->container, &spec->index);
    workload.unchanged = is_unchanged(container, object, old_object, target->container);
    if (container != NULL) {
        if (!read_container(arena, pod_spec(object), container, spec) ||
            !compare_mounts(arena, target, old_object, &workload) ||
            !read_remote(arena, target->prefix, &workload) ||
            !read_profiles_gone(arena, target, old_object, &workload))
            return false;
    }
    *ret_workload = workload;
    return !arena->failed;
}

bool object_config_map(struct arena *arena, struct str name_space, const json_t *object,
                       struct config_map *ret_config_map)
{
    json_t *data = json_object_get(object, "data");
    size_t count = json_object_size(data);
    struct kv *items = ARENA_ARRAY(arena, struct kv, count);
    if (items == NULL)
        return false;
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach(data, key, value)
    {
        if (json_is_string(value))
            items[n++] = (struct kv){str_of(key), str_from(json_string_value(value),
                                                           json_string_length(value))};
    }
    struct str name = object_meta(object, "name");
    *ret_config_map = (struct config_map){
        .name_space = name_space,
        .name = str_is_null(name) ? STR("") : name,
        .data = items,
        .data_count = n,
    };
    return true;
}
