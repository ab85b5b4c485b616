/* What a workload declares; see sources.h. Order of reading: env, then envFrom from the
 * last to the first (so that the first one to bring a name wins, as in the kubelet),
 * command and args, remote configuration. Pure. */
#include "core/sources_reader.h"

static void report(struct reader *reader, enum finding_id id, enum severity severity,
                   const struct place *place, struct str key, struct str message,
                   const char *advice)
{
    struct finding *finding =
        findings_add(reader->arena, &reader->out->findings, id, severity);
    if (finding == NULL)
        return;
    finding->key = key;
    finding->source = place->source;
    finding->path = place->path;
    finding->message = message;
    finding->advice = str_of(advice);
}

void sources_report(struct reader *reader, enum finding_id id, const struct place *place,
                    struct str key, struct str message, const char *advice)
{
    report(reader, id, SEVERITY_ERROR, place, key, message, advice);
}

void sources_opaque(struct reader *reader, const struct place *place, struct str key,
                    struct str message, const char *advice)
{
    report(reader, FINDING_OPAQUE_SOURCE, SEVERITY_WARNING, place, key, message, advice);
}

void sources_quoted(struct reader *reader, const struct place *place,
                    const struct remote_prop *prop, const char *does, const char *advice)
{
    sources_opaque(reader, place, STR(""),
                   arena_printf(reader->arena,
                                "%.*s in the remote configuration %s: %.*s",
                                STR_ARG(prop->name), does, STR_ARG(prop->value)),
                   advice);
}

bool sources_brings_properties(struct str name)
{
    return way_of(name) != WAY_NONE || way_is_java_options(name);
}

bool sources_matter(struct str prefix, struct str name)
{
    return spring_concerns(prefix, name) || sources_brings_properties(name);
}

bool sources_expand(struct arena *arena, struct str value, bool by_kubernetes,
                    struct str *ret_value)
{
    size_t dollar = str_index(value, 0, '$');
    if (dollar == value.n) {
        *ret_value = value;
        return true;
    }
    char *out = arena_alloc(arena, value.n + 1, 1);
    if (out == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (by_kubernetes && value.p[i] == '$' && i + 1 < value.n) {
            if (value.p[i + 1] == '(')
                return false;
            if (value.p[i + 1] == '$')
                i++;
        }
        out[n++] = value.p[i];
    }
    *ret_value = str_from(out, n);
    return str_find(*ret_value, STR("${")) == ret_value->n;
}

static struct declaration *declare(struct reader *reader, const struct place *place,
                                   struct str variable, const struct spring_var *var,
                                   struct str value, bool readable)
{
    struct declaration *declaration =
        arena_list_add(reader->arena, &reader->out->declared, sizeof(*declaration));
    if (declaration == NULL)
        return NULL;
    *declaration = (struct declaration){
        .var = *var,
        .variable = variable,
        .value = value,
        .readable = readable,
        .layer = place->layer,
        .source = place->source,
        .path = place->path,
        .env_index = place->env_index,
        .condition = place->condition,
    };
    return declaration;
}

/* A variable that names no registry, and only its letters are those of one. */
static void declare_bystander(struct reader *reader, const struct place *place,
                              struct str name, struct str value, bool readable,
                              bool by_kubernetes)
{
    static const struct spring_var none = {.key = STR(""),
                                           .map_key = STR(""),
                                           .uniform = STR(""),
                                           .property = SPRING_UNKNOWN,
                                           .property_text = STR("")};
    struct str expanded = value;
    if (readable)
        readable = sources_expand(reader->arena, value, by_kubernetes, &expanded);
    struct declaration *declaration =
        declare(reader, place, name, &none, expanded, readable);
    if (declaration == NULL)
        return;
    declaration->bystander = true;
    reader->out->bystanders++;
}

static void report_unreadable(struct reader *reader, const struct place *place,
                              struct str name, struct str key, struct str reference)
{
    struct str what = reference.n > 0 ? reference : STR("a placeholder");
    if (place->odd)
        sources_opaque(
            reader, place, key,
            arena_printf(reader->arena,
                         "%.*s is a number, a date or a tagged value, which Java prints "
                         "in a way of its own: what the API sees cannot be told here",
                         STR_ARG(name)),
            "write a plain number, such as 5000 for 5_000, or put the value in quotes");
    else
        sources_opaque(
            reader, place, key,
            arena_printf(reader->arena,
                         "%.*s takes its value from %.*s, which cannot be read here",
                         STR_ARG(name), STR_ARG(what)),
            "write the value itself");
}

bool sources_property(struct reader *reader, const struct place *place, struct str name,
                      struct str value, bool readable, bool environment,
                      bool by_kubernetes, struct str reference)
{
    struct spring_var var;
    name = spring_fold(reader->arena, name);
    if (!spring_parse(reader->arena, reader->prefix, name, environment, &var)) {
        if (environment && spring_concerns(reader->prefix, name))
            declare_bystander(reader, place, name, value, readable, by_kubernetes);
        return false;
    }
    struct str expanded = value;
    if (readable)
        readable = sources_expand(reader->arena, value, by_kubernetes, &expanded);
    /* A timeout or a switch that cannot be read may be none, and then nothing starts. */
    bool converted = !spring_converts(var.property_text, STR("?"));
    if (!readable && (var.property == SPRING_NAME || var.property == SPRING_HOSTNAME ||
                      (var.property == SPRING_TUNING && converted))) {
        report_unreadable(reader, place, name, var.key, reference);
    }
    if (readable && spring_is_encrypted(expanded))
        sources_report(
            reader, FINDING_INVALID_VALUE, place, var.key,
            arena_printf(reader->arena,
                         "%.*s begins with {cipher}: Spring Cloud decrypts it, "
                         "and the API does not start where it cannot",
                         STR_ARG(name)),
            "write the value itself");
    declare(reader, place, name, &var, expanded, readable);
    return true;
}

/* Bytes of all lists together. */
#define PROFILES_MAXIMUM 16384u

/* Texts that are the same add nothing; others add theirs. */
static void note_profiles(struct reader *reader, struct str value, bool readable,
                          bool by_kubernetes)
{
    struct profiles *profiles = reader->profiles;
    struct str list;
    if (!readable || !sources_expand(reader->arena, value, by_kubernetes, &list)) {
        profiles->unreadable = true;
    } else if (profiles->list.n + list.n > PROFILES_MAXIMUM) {
        profiles->cut = true;
    } else if (!str_eq(list, profiles->list)) {
        profiles->differ = true;
        profiles->list = arena_printf(reader->arena, "%.*s,%.*s", STR_ARG(profiles->list),
                                      STR_ARG(list));
    }
}

enum way sources_way(struct reader *reader, struct str name, struct str value,
                     bool readable, bool by_kubernetes)
{
    enum way way = way_of(name);
    struct str profiles;
    if (reader->profiles != NULL && way_lists_profiles(name))
        note_profiles(reader, value, readable, by_kubernetes);
    bool harmless = way == WAY_PROFILES && readable &&
                    sources_expand(reader->arena, value, by_kubernetes, &profiles) &&
                    way_has_profile(profiles);
    return harmless ? WAY_NONE : way;
}

void sources_variable(struct reader *reader, const struct place *place, struct str name,
                      struct str value, bool readable, bool by_kubernetes,
                      struct str reference)
{
    if (sources_property(reader, place, name, value, readable, true, by_kubernetes,
                         reference))
        return;
    if (readable && way_is_java_options(name)) {
        sources_read_java_options(reader, place, value, by_kubernetes);
        return;
    }
    enum way way = sources_way(reader, name, value, readable, by_kubernetes);
    bool says_nothing = way == WAY_CONFIGURATION && readable &&
                        ((value.n == 0 && !way_counts_empty(name)) ||
                         way_is_harmless(name, value, reader->name_space));
    if (says_nothing || (way == WAY_NONE && !way_is_java_options(name)))
        return;
    sources_opaque(
        reader, place, STR(""),
        arena_printf(reader->arena,
                     "%.*s brings in configuration that cannot be read here: it can "
                     "recognise, change or take over registries",
                     STR_ARG(name)),
        way_advice(way, name));
}

/* For one that may be there and could not be read. */
#define UNTOLD_ADVICE                                                                    \
    "try again; if it stays, look whether the webhook may get ConfigMaps of the "        \
    "namespace, and whether the API server is slow"

struct str sources_unknown(const struct reader *reader, struct str name)
{
    const struct str why = live_problem(reader->workload->live, name);
    return why.n == 0 ? STR("is not known here")
                      : arena_printf(reader->arena, "could not be read here: %.*s",
                                     STR_ARG(why));
}

const char *sources_unknown_advice(const struct reader *reader, struct str name)
{
    if (live_problem(reader->workload->live, name).n > 0)
        return UNTOLD_ADVICE;
    return reader->workload->config_maps_unseen
               ? "serve with --policy-configmap or --kubeconfig, or set opaqueSources: "
                 "Allow"
               : "give the ConfigMap as well, or look whether it exists";
}

static void report_untold(struct reader *reader, const struct place *place,
                          const struct remote_config *remote)
{
    const struct str others =
        remote->untold_count > 1
            ? arena_printf(reader->arena, " (and %zu more)", remote->untold_count - 1)
            : STR("");
    sources_opaque(
        reader, place, STR(""),
        arena_printf(reader->arena,
                     "the remote configuration's ConfigMap %.*s%.*s could not be read "
                     "here: %.*s; what it says about registries cannot be told",
                     STR_ARG(remote->untold), STR_ARG(others),
                     STR_ARG(remote->untold_why)),
        UNTOLD_ADVICE);
}

static void read_remote(struct reader *reader, const struct remote_config *remote)
{
    static const enum layer layers[] = {[REMOTE_FIRST] = LAYER_REMOTE,
                                        [REMOTE_BELOW] = LAYER_REMOTE_BELOW,
                                        [REMOTE_LAST] = LAYER_REMOTE_LAST};
    struct place place = {layers[remote->rank], STR(""), STR(""),
                          NOT_IN_ENV,           STR(""), false};
    place.source =
        arena_printf(reader->arena, "remoteConfig/%.*s", STR_ARG(remote->name));
    if (remote->name.n == 0) {
        place.source = STR("env");
        sources_opaque(reader, &place, STR(""),
                       STR("REMOTE_CONFIG_NAME is empty or a reference: which ConfigMap "
                           "is the remote configuration cannot be told here"),
                       "name the ConfigMap, or set REMOTE_CONFIG_ENABLED to false");
        return;
    }
    if (!remote->known) {
        sources_opaque(
            reader, &place, STR(""),
            reader->workload->config_maps_unseen
                /* Short, so that a warning has room for the advice. */
                ? arena_printf(reader->arena,
                               "the remote configuration in ConfigMap %.*s is not looked "
                               "at here",
                               STR_ARG(remote->name))
                : arena_printf(reader->arena,
                               "the remote configuration comes from the ConfigMap %.*s, "
                               "which %.*s; what it says about registries outranks the "
                               "environment",
                               STR_ARG(remote->name),
                               STR_ARG(sources_unknown(reader, remote->name))),
            sources_unknown_advice(reader, remote->name));
    }
    if (remote->problem.n > 0)
        sources_opaque(reader, &place, STR(""),
                       arena_printf(reader->arena,
                                    "the remote configuration cannot be read: %.*s",
                                    STR_ARG(remote->problem)),
                       "correct the YAML");
    if (remote->siblings_cut)
        sources_opaque(reader, &place, STR(""),
                       STR("there are more active profiles than ConfigMaps of the remote "
                           "configuration that are looked at: what is in the others "
                           "cannot be told"),
                       "make fewer profiles active");
    if (remote->untold.n > 0)
        report_untold(reader, &place, remote);
    if (remote->rank_unclear)
        sources_opaque(
            reader, &place, STR(""),
            STR("whether the remote configuration outranks the environment "
                "cannot be told: it says so for a profile only, in two ways, or in one "
                "of "
                "several files"),
            "say each spring.cloud.config.* of it once, for all profiles, in a ConfigMap "
            "of one file");
    /* No honest configuration has it, and anything may be behind it: no warning, but a
     * denial. */
    if (remote->limit.n > 0)
        sources_report(
            reader, FINDING_REMOTE_CONFIG_OVERRIDE, &place, STR(""),
            arena_printf(reader->arena,
                         "the remote configuration is beyond what can be read here: "
                         "%.*s; what is said there can recognise, change or take "
                         "over registries",
                         STR_ARG(remote->limit)),
            "write it in fewer and plainer lines");
    for (size_t i = 0; i < remote->prop_count; i++) {
        const struct remote_prop *prop = &remote->props[i];
        if (prop->config_map.n > 0 &&
            (i == 0 || prop[-1].config_map.p != prop->config_map.p))
            place.source = arena_printf(reader->arena, "remoteConfig/%.*s",
                                        STR_ARG(prop->config_map));
        place.path = prop->name;
        place.condition = prop->condition;
        place.odd = prop->unreadable;
        if (prop->activates)
            sources_activation(reader, &place, remote, prop);
        else if (prop->brings)
            sources_quoted(reader, &place, prop,
                           "brings in configuration that cannot be read here: it can "
                           "recognise, change or take over registries",
                           "take it out of the remote configuration");
        else
            sources_property(reader, &place, prop->name, prop->value, !prop->unreadable,
                             false, false, STR(""));
    }
}

/* As with a list that has no `ncp`, which is found where it stands. */
static void report_profiles_gone(struct reader *reader)
{
    const struct place place = {
        .layer = LAYER_ENV,
        .source = STR("env"),
        .path = arena_printf(reader->arena, "spec.template.spec.containers[%zu].env",
                             reader->workload->container.index),
        .env_index = NOT_IN_ENV,
    };
    sources_opaque(reader, &place, STR(""),
                   STR("SPRING_PROFILES_ACTIVE is taken away: without `" WAY_CHART_PROFILE
                       "` other configuration applies, and NGC is stg.nvcr.io"),
                   way_advice(WAY_PROFILES, STR("")));
}

void sources_read(struct arena *arena, struct str prefix, const struct workload *workload,
                  const bool *skip_env, struct sources *ret_sources)
{
    *ret_sources = (struct sources){.declared = {.items = NULL}};
    struct reader reader = {.arena = arena,
                            .prefix = prefix,
                            .workload = workload,
                            .name_space = workload->name_space,
                            .out = ret_sources};
    sources_read_env(&reader, skip_env);
    sources_read_env_from(&reader);
    sources_read_words(&reader);
    sources_read_mounts(&reader);
    if (workload->profiles_gone)
        report_profiles_gone(&reader);
    if (workload->has_remote)
        read_remote(&reader, &workload->remote);
}

static const struct kv *next_that_matters(struct str prefix, const struct config_map *map,
                                          size_t *at)
{
    while (*at < map->data_count) {
        const struct kv *entry = &map->data[(*at)++];
        if (sources_matter(prefix, entry->key))
            return entry;
    }
    return NULL;
}

/* The order counts too: it is that of the object, and equal objects have equal orders. */
bool sources_same_config_map(struct str prefix, const struct config_map *a,
                             const struct config_map *b)
{
    size_t at_a = 0;
    size_t at_b = 0;
    for (;;) {
        const struct kv *left = next_that_matters(prefix, a, &at_a);
        const struct kv *right = next_that_matters(prefix, b, &at_b);
        if (left == NULL || right == NULL)
            return left == right;
        if (!str_eq(left->key, right->key) || !str_eq(left->value, right->value))
            return false;
    }
}

void sources_read_config_map(struct arena *arena, struct str prefix,
                             const struct config_map *config_map,
                             struct sources *ret_sources)
{
    *ret_sources = (struct sources){.declared = {.items = NULL}};
    struct reader reader = {.arena = arena,
                            .prefix = prefix,
                            .name_space = config_map->name_space,
                            .out = ret_sources};
    sources_read_map(&reader, STR(""), config_map);
}

void sources_read_remote(struct arena *arena, struct str prefix,
                         const struct remote_config *remote, struct sources *ret_sources)
{
    *ret_sources = (struct sources){.declared = {.items = NULL}};
    struct reader reader = {.arena = arena, .prefix = prefix, .out = ret_sources};
    read_remote(&reader, remote);
}
