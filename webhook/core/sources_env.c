/* The variables of a container: those of env, then those that envFrom brings in, from the
 * last to the first, so that the first one to bring a name wins, as in the kubelet; see
 * sources.h. Pure. */
#include "core/sources_reader.h"

/* Entries behind envFrom, which no honest workload comes near; without a bound a request
 * could cost the product of what it names and of what the ConfigMaps hold. */
#define ENTRIES_MAXIMUM 65536u
/* One that cannot be read counts as so many: each is a finding. */
#define UNREAD_ENTRIES 256u

/* May so many more be looked at? */
static bool may_look(struct reader *reader, size_t *spent, size_t more, size_t maximum)
{
    if (more > maximum - *spent) {
        reader->beyond = true;
        return false;
    }
    *spent += more;
    return true;
}

/* Null: it is not known. */
static struct str referred(struct reader *reader, const struct env_var *var)
{
    const struct workload *workload = reader->workload;
    if (str_is_null(var->cm_name) ||
        !may_look(reader, &reader->compared, workload->config_map_count,
                  WORKLOAD_COMPARED_MAXIMUM))
        return str_null();
    const struct config_map *map = workload_config_map(workload, var->cm_name);
    if (map == NULL ||
        !may_look(reader, &reader->compared, map->data_count, WORKLOAD_COMPARED_MAXIMUM))
        return str_null();
    return config_map_value(map, var->cm_key);
}

/* What the charts set: nothing to be said of it. */
static bool is_chart_profile(const struct env_var *var)
{
    return !var->has_value_from && str_eq(var->value, STR(WAY_CHART_PROFILE)) &&
           way_of(var->name) == WAY_PROFILES;
}

void sources_read_env(struct reader *reader, const bool *skip)
{
    const struct container_spec *container = &reader->workload->container;
    strmap_reserve(reader->arena, &reader->names,
                   reader->names.count + container->env_count);
    for (size_t i = 0; i < container->env_count; i++) {
        if (skip != NULL && skip[i])
            continue;
        const struct env_var *var = &container->env[i];
        struct place place = {LAYER_ENV, STR("env"), STR(""), i, STR(""), false};
        bool fresh;
        if (strmap_put(reader->arena, &reader->names, var->name, i, &fresh) == NULL)
            return;
        bool relevant =
            !is_chart_profile(var) && sources_matter(reader->prefix, var->name);
        if (!fresh || relevant)
            place.path =
                arena_printf(reader->arena, "spec.template.spec.containers[%zu].env[%zu]",
                             container->index, i);
        if (!fresh)
            sources_report(
                reader, FINDING_DUPLICATE_VARIABLE, &place, var->name,
                arena_printf(reader->arena,
                             "the variable %.*s stands twice in env: the last one wins "
                             "today, server-side apply refuses it, and a later apply may "
                             "drop both",
                             STR_ARG(var->name)),
                "keep one of the two");
        if (!relevant)
            continue;
        bool literal = !var->has_value_from;
        struct str value = literal ? var->value : referred(reader, var);
        bool readable = !str_is_null(value);
        sources_variable(reader, &place, var->name, readable ? value : var->value,
                         readable, literal, var->from_what);
    }
}

void sources_read_map(struct reader *reader, struct str prefix,
                      const struct config_map *map)
{
    struct place place = {LAYER_ENV, STR(""), STR(""), NOT_IN_ENV, STR(""), false};
    for (size_t i = 0; i < map->data_count; i++) {
        struct str name = map->data[i].key;
        if (prefix.n > 0)
            name =
                arena_printf(reader->arena, "%.*s%.*s", STR_ARG(prefix), STR_ARG(name));
        if (!sources_matter(reader->prefix, name))
            continue;
        bool fresh;
        if (strmap_put(reader->arena, &reader->names, name, i, &fresh) == NULL)
            return;
        if (!fresh)
            continue; /* a stronger source has set it */
        if (place.source.n == 0)
            place.source =
                arena_printf(reader->arena, "configmap/%.*s", STR_ARG(map->name));
        place.path = arena_printf(reader->arena, "data.%.*s", STR_ARG(map->data[i].key));
        sources_variable(reader, &place, name, map->data[i].value, true, false, STR(""));
    }
}

/* For a ConfigMap or Secret whose entries cannot be told. False: beyond what is looked
 * at.
 */
static bool report_unread(struct reader *reader, const struct env_from *from,
                          struct place *place)
{
    if (!may_look(reader, &reader->entries, UNREAD_ENTRIES, ENTRIES_MAXIMUM))
        return false;
    if (!str_is_null(from->secret_name)) {
        sources_opaque(
            reader, place, STR(""),
            arena_printf(reader->arena,
                         "envFrom takes variables from the Secret %.*s, which cannot "
                         "be read here: any of them can set a registry",
                         STR_ARG(from->secret_name)),
            "keep registries in the policy, and name the Secret's keys one by one");
    } else if (!str_is_null(from->cm_name)) {
        place->source =
            arena_printf(reader->arena, "configmap/%.*s", STR_ARG(from->cm_name));
        sources_opaque(reader, place, STR(""),
                       arena_printf(reader->arena,
                                    "envFrom takes variables from the ConfigMap %.*s, "
                                    "which %.*s",
                                    STR_ARG(from->cm_name),
                                    STR_ARG(sources_unknown(reader, from->cm_name))),
                       sources_unknown_advice(reader, from->cm_name));
    }
    return true;
}

/* As with a remote configuration that is beyond what can be read: no honest workload is,
 * and anything may be behind it, so that it is a denial whatever opaqueSources says. */
static void report_beyond(struct reader *reader, const struct place *place)
{
    sources_report(
        reader, FINDING_OPAQUE_SOURCE, place, STR(""),
        arena_printf(reader->arena,
                     "envFrom and the references in env bring in more variables than the "
                     "%u that are looked at here (%u for each that cannot be read), or "
                     "ConfigMaps that are larger than what is looked at here: what is "
                     "behind them can set a registry",
                     ENTRIES_MAXIMUM, UNREAD_ENTRIES),
        "bring in fewer or smaller ConfigMaps and Secrets");
}

/* Its place among those that were met, 0 until it was read. The length keeps a name and
 * a prefix apart; a name alone has no slash. */
static size_t *met(struct reader *reader, const struct env_from *from)
{
    struct str key = from->cm_name;
    if (from->prefix.n > 0)
        key = arena_printf(reader->arena, "%zu/%.*s%.*s", from->cm_name.n,
                           STR_ARG(from->cm_name), STR_ARG(from->prefix));
    return strmap_put(reader->arena, &reader->maps, key, 0, NULL);
}

/* False: beyond what is looked at. */
static bool read_from(struct reader *reader, const struct env_from *from,
                      struct place *place)
{
    if (str_is_null(from->cm_name))
        return report_unread(reader, from, place);
    size_t *read = met(reader, from);
    if (read == NULL || *read == 1)
        return true; /* again: all that it brings is set already */
    const struct workload *workload = reader->workload;
    if (!may_look(reader, &reader->compared, workload->config_map_count,
                  WORKLOAD_COMPARED_MAXIMUM))
        return false;
    const struct config_map *map = workload_config_map(workload, from->cm_name);
    if (map == NULL)
        return report_unread(reader, from, place);
    /* A long prefix costs as much as many entries. */
    size_t cost = map->data_count * (1 + from->prefix.n / 64);
    if (!may_look(reader, &reader->entries, cost, ENTRIES_MAXIMUM))
        return false;
    *read = 1;
    sources_read_map(reader, from->prefix, map);
    return true;
}

void sources_read_env_from(struct reader *reader)
{
    const struct container_spec *container = &reader->workload->container;
    for (size_t i = container->env_from_count; i-- > 0;) {
        struct place place = {LAYER_ENV, STR("env"), STR(""), NOT_IN_ENV, STR(""), false};
        place.path =
            arena_printf(reader->arena, "spec.template.spec.containers[%zu].envFrom[%zu]",
                         container->index, i);
        if (!read_from(reader, &container->env_from[i], &place))
            break;
    }
    const struct place place = {LAYER_ENV,  STR("env"), STR(""),
                                NOT_IN_ENV, STR(""),    false};
    if (reader->beyond || reader->workload->beyond)
        report_beyond(reader, &place);
}
