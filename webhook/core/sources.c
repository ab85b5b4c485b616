/* What a workload declares; see sources.h. Order of reading: env, then envFrom from the
 * last to the first (so that the first one to bring a name wins, as in the kubelet),
 * command and args, remote configuration. Pure. */
#include "core/sources.h"

#include "util/attr.h"
#include "util/strmap.h"
#include "util/utf8.h"

struct reader {
    struct arena *arena;
    struct str prefix;
    const struct workload *workload; /* NULL: a ConfigMap alone */
    struct sources *out;
    struct strmap names; /* variables that are set already, by a stronger source */
};

/* Where a value was found. */
struct place {
    enum layer layer;
    struct str source;
    struct str path;
    size_t env_index;
};

static struct finding *report(struct reader *reader, enum finding_id id,
                              const struct place *place, struct str key,
                              struct str message, const char *advice)
{
    struct finding *finding =
        findings_add(reader->arena, &reader->out->findings, id, SEVERITY_WARNING);
    if (finding == NULL)
        return NULL;
    finding->key = key;
    finding->source = place->source;
    finding->path = place->path;
    finding->message = message;
    finding->advice = str_of(advice);
    return finding;
}

static void opaque(struct reader *reader, const struct place *place, struct str key,
                   struct str message, const char *advice)
{
    report(reader, FINDING_OPAQUE_SOURCE, place, key, message, advice);
}

static const struct str config_names[] = {
    STR("springapplicationjson"),
    STR("springconfigimport"),
    STR("springconfiglocation"),
    STR("springconfigadditionallocation"),
};

/* Everything below them says where the remote configuration comes from. */
static const struct str config_roots[] = {
    STR("springcloudkubernetesconfig"),
    STR("springcloudbootstrap"),
};

/* Do the letters and digits of the name begin with these? What is left of them then. */
static bool begins(struct str uniform, struct str name, struct str *ret_rest)
{
    size_t at = 0;
    size_t i = 0;
    for (; i < name.n && at < uniform.n; i++) {
        if (!ascii_is_alnum(name.p[i]))
            continue;
        if (ascii_lower(name.p[i]) != uniform.p[at])
            return false;
        at++;
    }
    *ret_rest = str_skip(name, i);
    return at == uniform.n;
}

/* Nothing, or the index of a list: SPRING_CONFIG_IMPORT_0, spring.config.import[0]. */
static bool is_index(struct str rest)
{
    for (size_t i = 0; i < rest.n; i++) {
        if (ascii_is_alnum(rest.p[i]) && !ascii_is_digit(rest.p[i]))
            return false;
    }
    return true;
}

static bool loads_configuration(struct str name)
{
    struct str rest;
    for (size_t i = 0; i < NRW_COUNT(config_names); i++) {
        if (begins(config_names[i], name, &rest) && is_index(rest))
            return true;
    }
    for (size_t i = 0; i < NRW_COUNT(config_roots); i++) {
        if (begins(config_roots[i], name, &rest))
            return true;
    }
    return false;
}

/* As an argument or a system property they outrank the variables of the same name, which
 * are what is looked at for the remote configuration. */
static bool moves_remote(struct str name)
{
    return spring_same(STR("remoteconfigname"), name) ||
           spring_same(STR("remoteconfigenabled"), name);
}

/* "registries", in whatever case. */
static bool mentions_registries(struct str text)
{
    static const struct str word = STR("registries");
    for (size_t i = 0; i + word.n <= text.n; i++) {
        if (str_eq_nocase(str_from(text.p + i, word.n), word))
            return true;
    }
    return false;
}

static bool is_java_options(struct str name)
{
    return str_eq(name, STR("JAVA_TOOL_OPTIONS")) ||
           str_eq(name, STR("JDK_JAVA_OPTIONS")) || str_eq(name, STR("_JAVA_OPTIONS"));
}

bool sources_matter(struct str prefix, struct str name)
{
    return spring_concerns(prefix, name) || loads_configuration(name) ||
           is_java_options(name);
}

/* Kubernetes turns `$$` of a literal into `$`, and expands `$(NAME)`; Spring then
 * resolves
 * `${…}`. False: what the API will see cannot be told from here. */
static bool expand(struct arena *arena, struct str value, bool by_kubernetes,
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
        readable = expand(reader->arena, value, by_kubernetes, &expanded);
    struct declaration *declaration =
        declare(reader, place, name, &none, expanded, readable);
    if (declaration == NULL)
        return;
    declaration->bystander = true;
    reader->out->bystanders++;
}

/* A property by name: from a variable, an argument, -D or the remote configuration. */
static bool read_property(struct reader *reader, const struct place *place,
                          struct str name, struct str value, bool readable,
                          bool environment, bool by_kubernetes, struct str reference)
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
        readable = expand(reader->arena, value, by_kubernetes, &expanded);
    /* A timeout or a switch that cannot be read may be none, and then nothing starts. */
    bool converted = !spring_converts(var.property_text, STR("?"));
    if (!readable && (var.property == SPRING_NAME || var.property == SPRING_HOSTNAME ||
                      (var.property == SPRING_TUNING && converted))) {
        struct str what = reference.n > 0 ? reference : STR("a placeholder");
        opaque(reader, place, var.key,
               arena_printf(reader->arena,
                            "%.*s takes its value from %.*s, which cannot be read here",
                            STR_ARG(name), STR_ARG(what)),
               "write the value itself");
    }
    declare(reader, place, name, &var, expanded, readable);
    return true;
}

/* One option or argument: -Dname=value, --name=value, @file. */
static void read_option(struct reader *reader, const struct place *place,
                        struct str option, bool is_argument)
{
    bool dashes = is_argument && str_starts(option, STR("--"));
    bool define = str_starts(option, STR("-D"));
    if (!dashes && !define) {
        bool file = option.n > 1 && option.p[0] == '@';
        bool options_file = str_starts(option, STR("-XX:VMOptionsFile=")) ||
                            str_starts(option, STR("-XX:Flags="));
        bool reference = is_argument && (str_starts(option, STR("$(")) ||
                                         str_starts(option, STR("-$(")));
        bool hidden = mentions_registries(option);
        if (file || options_file || reference || hidden)
            opaque(reader, place, STR(""),
                   arena_printf(reader->arena,
                                "\"%.*s\" can set properties that cannot be read here",
                                STR_ARG(utf8_cut(option, 120))),
                   "pass what the API needs as environment variables");
        return;
    }
    size_t equals = str_index(option, 2, '=');
    struct str name = str_from(option.p + 2, equals - 2);
    struct str value = str_skip(option, equals + 1);
    struct place deeper = *place;
    deeper.layer = dashes ? LAYER_ARGS : LAYER_SYSTEM;
    bool unclear = str_find(name, STR("$(")) < name.n;
    name = spring_fold(reader->arena, name);
    if (loads_configuration(name) || moves_remote(name) || unclear) {
        opaque(reader, place, STR(""),
               arena_printf(reader->arena,
                            "\"%.*s\" brings in configuration that cannot be read here",
                            STR_ARG(utf8_cut(option, 120))),
               "pass what the API needs as environment variables");
        return;
    }
    if (read_property(reader, &deeper, name, value, true, false, is_argument, STR("")))
        opaque(
            reader, place, STR(""),
            arena_printf(reader->arena,
                         "\"%.*s\" sets a registry past the environment variables that "
                         "the policy manages",
                         STR_ARG(utf8_cut(option, 120))),
            "take it out and list the registry in the policy");
}

/* Splits as the JVM does: at white space, quotes keep it together. Quotes are not removed
 * from the middle of an option; the values that matter here have none. */
static void read_java_options(struct reader *reader, const struct place *place,
                              struct str value)
{
    size_t i = 0;
    while (i < value.n) {
        while (i < value.n && (unsigned char)value.p[i] <= ' ')
            i++;
        char *out = arena_alloc(reader->arena, value.n - i + 1, 1);
        if (out == NULL)
            return;
        size_t n = 0;
        char quote = '\0';
        for (; i < value.n && (quote != '\0' || (unsigned char)value.p[i] > ' '); i++) {
            char c = value.p[i];
            if (quote == '\0' && (c == '"' || c == '\''))
                quote = c;
            else if (c == quote)
                quote = '\0';
            else
                out[n++] = c;
        }
        if (n > 0)
            read_option(reader, place, str_from(out, n), false);
    }
}

/* A variable with its value, whatever brought it. `reference`: where an unreadable value
 * comes from. */
static void read_variable(struct reader *reader, const struct place *place,
                          struct str name, struct str value, bool readable,
                          bool by_kubernetes, struct str reference)
{
    if (read_property(reader, place, name, value, readable, true, by_kubernetes,
                      reference))
        return;
    bool java = is_java_options(name);
    if (!java && !loads_configuration(name))
        return;
    struct str expanded;
    if (java && readable && expand(reader->arena, value, by_kubernetes, &expanded)) {
        read_java_options(reader, place, expanded);
        return;
    }
    if (readable && value.n == 0)
        return;
    opaque(reader, place, STR(""),
           arena_printf(reader->arena,
                        "%.*s brings in configuration that cannot be read here: it can "
                        "recognise, change or take over registries",
                        STR_ARG(name)),
           "pass what the API needs as environment variables of its own");
}

static const struct config_map *find_config_map(const struct reader *reader,
                                                struct str name)
{
    const struct workload *workload = reader->workload;
    for (size_t i = 0; i < workload->config_map_count; i++) {
        if (str_eq(workload->config_maps[i].name, name) &&
            str_eq(workload->config_maps[i].name_space, workload->name_space))
            return &workload->config_maps[i];
    }
    return NULL;
}

static bool find_value(const struct config_map *map, struct str key,
                       struct str *ret_value)
{
    for (size_t i = 0; i < map->data_count; i++) {
        if (str_eq(map->data[i].key, key)) {
            *ret_value = map->data[i].value;
            return true;
        }
    }
    return false;
}

static void read_env(struct reader *reader, const bool *skip)
{
    const struct container_spec *container = &reader->workload->container;
    strmap_reserve(reader->arena, &reader->names,
                   reader->names.count + container->env_count);
    for (size_t i = 0; i < container->env_count; i++) {
        if (skip != NULL && skip[i])
            continue;
        const struct env_var *var = &container->env[i];
        struct place place = {LAYER_ENV, STR("env"), STR(""), i};
        bool fresh;
        if (strmap_put(reader->arena, &reader->names, var->name, i, &fresh) == NULL)
            return;
        bool relevant = sources_matter(reader->prefix, var->name);
        if (!fresh || relevant)
            place.path =
                arena_printf(reader->arena, "spec.template.spec.containers[%zu].env[%zu]",
                             container->index, i);
        if (!fresh)
            report(
                reader, FINDING_DUPLICATE_VARIABLE, &place, var->name,
                arena_printf(reader->arena,
                             "the variable %.*s stands twice in env: the last one wins "
                             "today, server-side apply refuses it, and a later apply may "
                             "drop both",
                             STR_ARG(var->name)),
                "keep one of the two");
        if (!relevant)
            continue;
        struct str value = var->value;
        bool readable = !var->has_value_from;
        bool literal = readable;
        if (!readable && !str_is_null(var->cm_name)) {
            const struct config_map *map = find_config_map(reader, var->cm_name);
            readable = map != NULL && find_value(map, var->cm_key, &value);
        }
        read_variable(reader, &place, var->name, value, readable, literal,
                      var->from_what);
    }
}

static void read_map(struct reader *reader, struct str prefix,
                     const struct config_map *map)
{
    struct place place = {LAYER_ENV, STR(""), STR(""), NOT_IN_ENV};
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
        read_variable(reader, &place, name, map->data[i].value, true, false, STR(""));
    }
}

/* For a ConfigMap that is not known. */
static const char *unknown_advice(const struct reader *reader)
{
    return reader->workload->config_maps_unseen
               ? "serve with --policy-configmap or --kubeconfig, or set opaqueSources: "
                 "Allow"
               : "give the ConfigMap as well, or look whether it exists";
}

static void read_env_from(struct reader *reader)
{
    const struct container_spec *container = &reader->workload->container;
    for (size_t i = container->env_from_count; i-- > 0;) {
        const struct env_from *from = &container->env_from[i];
        const struct config_map *map =
            str_is_null(from->cm_name) ? NULL : find_config_map(reader, from->cm_name);
        if (map != NULL) {
            read_map(reader, from->prefix, map);
            continue;
        }
        struct place place = {LAYER_ENV, STR("env"), STR(""), NOT_IN_ENV};
        place.path =
            arena_printf(reader->arena, "spec.template.spec.containers[%zu].envFrom[%zu]",
                         container->index, i);
        if (!str_is_null(from->secret_name)) {
            opaque(
                reader, &place, STR(""),
                arena_printf(reader->arena,
                             "envFrom takes variables from the Secret %.*s, which cannot "
                             "be read here: any of them can set a registry",
                             STR_ARG(from->secret_name)),
                "keep registries in the policy, and name the Secret's keys one by one");
        } else if (!str_is_null(from->cm_name)) {
            place.source =
                arena_printf(reader->arena, "configmap/%.*s", STR_ARG(from->cm_name));
            opaque(
                reader, &place, STR(""),
                arena_printf(reader->arena,
                             "envFrom takes variables from the ConfigMap %.*s, which is "
                             "not known here",
                             STR_ARG(from->cm_name)),
                unknown_advice(reader));
        }
    }
}

static void read_words(struct reader *reader, const char *field, const struct str *words,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct str word = words[i];
        if (word.n < 2 || (word.p[0] != '-' && word.p[0] != '@' && word.p[0] != '$' &&
                           !mentions_registries(word)))
            continue;
        struct place place = {LAYER_ARGS, STR("args"), STR(""), NOT_IN_ENV};
        place.path =
            arena_printf(reader->arena, "spec.template.spec.containers[%zu].%s[%zu]",
                         reader->workload->container.index, field, i);
        read_option(reader, &place, word, true);
    }
}

static void read_remote(struct reader *reader, const struct remote_config *remote)
{
    struct place place = {LAYER_REMOTE, STR(""), STR(""), NOT_IN_ENV};
    place.source =
        arena_printf(reader->arena, "remoteConfig/%.*s", STR_ARG(remote->name));
    if (!remote->known) {
        opaque(
            reader, &place, STR(""),
            reader->workload->config_maps_unseen
                /* Short, so that a warning has room for the advice. */
                ? arena_printf(reader->arena,
                               "the remote configuration in ConfigMap %.*s is not looked "
                               "at here",
                               STR_ARG(remote->name))
                : arena_printf(reader->arena,
                               "the remote configuration comes from the ConfigMap %.*s, "
                               "which is not known here; what it says about registries "
                               "outranks the environment",
                               STR_ARG(remote->name)),
            unknown_advice(reader));
    }
    if (remote->problem.n > 0)
        opaque(reader, &place, STR(""),
               arena_printf(reader->arena,
                            "the remote configuration cannot be read: %.*s",
                            STR_ARG(remote->problem)),
               "correct the YAML");
    for (size_t i = 0; i < remote->prop_count; i++) {
        const struct remote_prop *prop = &remote->props[i];
        if (prop->config_map.n > 0 &&
            (i == 0 || prop[-1].config_map.p != prop->config_map.p))
            place.source = arena_printf(reader->arena, "remoteConfig/%.*s",
                                        STR_ARG(prop->config_map));
        place.path = prop->name;
        read_property(reader, &place, prop->name, prop->value, !prop->unreadable, false,
                      false, STR(""));
    }
}

void sources_read(struct arena *arena, struct str prefix, const struct workload *workload,
                  const bool *skip_env, struct sources *ret_sources)
{
    *ret_sources = (struct sources){.declared = {.items = NULL}};
    struct reader reader = {arena, prefix, workload, ret_sources, {.slots = NULL}};
    const struct container_spec *container = &workload->container;
    read_env(&reader, skip_env);
    read_env_from(&reader);
    read_words(&reader, "command", container->command, container->command_count);
    read_words(&reader, "args", container->args, container->args_count);
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
    struct reader reader = {arena, prefix, NULL, ret_sources, {.slots = NULL}};
    read_map(&reader, STR(""), config_map);
}

void sources_read_remote(struct arena *arena, struct str prefix,
                         const struct remote_config *remote, struct sources *ret_sources)
{
    *ret_sources = (struct sources){.declared = {.items = NULL}};
    struct reader reader = {arena, prefix, NULL, ret_sources, {.slots = NULL}};
    read_remote(&reader, remote);
}
