/* The active profiles, where SPRING_PROFILES_ACTIVE alone does not say: what else lists
 * them in a workload, see sources.h, and what adds to them in a remote configuration, see
 * sources_reader.h. Pure. */
#include "core/sources_reader.h"

static bool is_exact(struct str name)
{
    return str_eq(name, STR("SPRING_PROFILES_ACTIVE"));
}

/* What of a variable is read here: another list of profiles, or options that may have
 * one. */
static bool matters(struct str name)
{
    return (way_lists_profiles(name) && !is_exact(name)) || way_is_java_options(name);
}

/* More than are looked at are refused, which is said where they are read for what they
 * declare. */
static bool may_search(struct reader *reader, size_t cost)
{
    reader->compared += cost + reader->workload->config_map_count;
    return reader->compared <= WORKLOAD_COMPARED_MAXIMUM;
}

static void read_env(struct reader *reader)
{
    const struct container_spec *container = &reader->workload->container;
    const struct place place = {LAYER_ENV,  STR("env"), STR(""),
                                NOT_IN_ENV, STR(""),    false};
    for (size_t i = 0; i < container->env_count; i++) {
        const struct env_var *var = &container->env[i];
        if (!matters(var->name))
            continue;
        struct str value = var->value;
        if (var->has_value_from && !may_search(reader, 1))
            value = str_null();
        else if (var->has_value_from)
            value = config_map_value(workload_config_map(reader->workload, var->cm_name),
                                     var->cm_key);
        if (str_is_null(value))
            reader->profiles->unreadable = true;
        else
            sources_variable(reader, &place, var->name, value, true, !var->has_value_from,
                             STR(""));
    }
}

static void read_map(struct reader *reader, struct str prefix,
                     const struct config_map *map)
{
    const struct place place = {LAYER_ENV,  STR("env"), STR(""),
                                NOT_IN_ENV, STR(""),    false};
    for (size_t i = 0; i < map->data_count; i++) {
        struct str name = map->data[i].key;
        if (prefix.n > 0)
            name =
                arena_printf(reader->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(name));
        if (matters(name))
            sources_variable(reader, &place, name, map->data[i].value, true, false,
                             STR(""));
    }
}

static void read_env_from(struct reader *reader)
{
    const struct workload *workload = reader->workload;
    const struct container_spec *container = &workload->container;
    for (size_t i = 0; i < container->env_from_count; i++) {
        const struct env_from *from = &container->env_from[i];
        const struct config_map *map = workload_config_map(workload, from->cm_name);
        size_t cost = map == NULL ? 0 : map->data_count * (64 + from->prefix.n);
        if (!may_search(reader, cost)) {
            reader->profiles->unreadable = true;
            return;
        }
        if (map != NULL)
            read_map(reader, from->prefix, map);
    }
}

bool sources_profiles(struct arena *arena, const struct workload *workload,
                      struct str *list, bool *certain, bool *cut)
{
    struct sources nothing = {.declared = {.items = NULL}};
    struct profiles profiles = {.list = *list};
    /* Of no prefix, so that no property is a registry's. */
    struct reader reader = {.arena = arena,
                            .prefix = STR("0"),
                            .workload = workload,
                            .name_space = workload->name_space,
                            .out = &nothing,
                            .profiles = &profiles};
    read_env(&reader);
    read_env_from(&reader);
    sources_read_words(&reader);
    *list = profiles.list;
    *cut = *cut || profiles.cut;
    *certain = *certain && !profiles.differ && !profiles.unreadable && !*cut;
    return !arena->failed;
}

/* --- of a remote configuration --- */

/* A map, since what is asked for may be as long as what is there. */
static void learn_active(struct reader *reader, const struct remote_config *remote)
{
    /* Judged alone, nothing is known but what the charts and Spring Cloud set. */
    struct str rest = str_is_null(remote->profiles)
                          ? STR(WAY_CHART_PROFILE "," WAY_CLOUD_PROFILE)
                          : remote->profiles;
    struct str profile;
    if (reader->active.count > 0)
        return;
    while (way_next_profile(&rest, &profile)) {
        if (strmap_put(reader->arena, &reader->active, profile, 1, NULL) == NULL)
            return;
    }
}

static bool are_active(const struct reader *reader, struct str list)
{
    struct str profile;
    while (way_next_profile(&list, &profile)) {
        if (strmap_get(&reader->active, profile) == NULL)
            return false;
    }
    return true;
}

void sources_activation(struct reader *reader, const struct place *place,
                        const struct remote_config *remote,
                        const struct remote_prop *prop)
{
    learn_active(reader, remote);
    if (!prop->unreadable && are_active(reader, prop->value))
        return;
    sources_quoted(reader, place, prop,
                   "makes profiles active, whose ConfigMaps the API reads at its next "
                   "refresh and nobody looks at here",
                   "list them in SPRING_PROFILES_ACTIVE of the Deployment");
}
