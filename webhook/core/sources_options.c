/* Command line arguments and options of the JVM: --name=value, -Dname=value, @file; see
 * sources.h. Each is read by itself, so that one that is unclear hides no other. Pure. */
#include "core/sources_reader.h"

#include "core/sources_ways.h"
#include "util/utf8.h"

static const char *const elsewhere = "pass what the API needs as environment variables";

/* Neither a property nor a definition. */
static void read_other(struct reader *reader, const struct place *place,
                       struct str option, bool is_argument)
{
    bool file = option.n > 1 && option.p[0] == '@';
    bool options_file = str_starts(option, STR("-XX:VMOptionsFile=")) ||
                        str_starts(option, STR("-XX:Flags="));
    bool reference =
        is_argument && (str_starts(option, STR("$(")) || str_starts(option, STR("-$(")));
    if (!file && !options_file && !reference && !way_mentions_registries(option))
        return;
    sources_opaque(reader, place, STR(""),
                   arena_printf(reader->arena,
                                "\"%.*s\" can set properties that cannot be read here",
                                STR_ARG(utf8_cut(option, 120))),
                   elsewhere);
}

static void report_configuration(struct reader *reader, const struct place *place,
                                 struct str option)
{
    sources_opaque(
        reader, place, STR(""),
        arena_printf(reader->arena,
                     "\"%.*s\" brings in configuration that cannot be read here",
                     STR_ARG(utf8_cut(option, 120))),
        elsewhere);
}

/* Does it say where configuration comes from, or which of it applies? */
static bool is_way_in(struct reader *reader, struct str name, struct str value,
                      bool is_argument)
{
    struct str profiles;
    enum way way = way_of(name);
    if (way == WAY_PROFILES &&
        sources_expand(reader->arena, value, is_argument, &profiles))
        return !way_has_profile(profiles);
    return way != WAY_NONE || way_moves_remote(name);
}

/* One option or argument: -Dname=value, --name=value, @file. */
static void read_option(struct reader *reader, const struct place *place,
                        struct str option, bool is_argument)
{
    bool dashes = is_argument && str_starts(option, STR("--"));
    if (!dashes && !str_starts(option, STR("-D"))) {
        read_other(reader, place, option, is_argument);
        return;
    }
    size_t equals = str_index(option, 2, '=');
    struct str name = str_from(option.p + 2, equals - 2);
    struct str value = str_skip(option, equals + 1);
    struct place deeper = *place;
    deeper.layer = dashes ? LAYER_ARGS : LAYER_SYSTEM;
    bool unclear = str_find(name, STR("$(")) < name.n;
    name = spring_fold(reader->arena, name);
    if (unclear || is_way_in(reader, name, value, is_argument)) {
        report_configuration(reader, place, option);
        return;
    }
    if (sources_property(reader, &deeper, name, value, true, false, is_argument, STR("")))
        sources_opaque(
            reader, place, STR(""),
            arena_printf(reader->arena,
                         "\"%.*s\" sets a registry past the environment variables that "
                         "the policy manages",
                         STR_ARG(utf8_cut(option, 120))),
            "take it out and list the registry in the policy");
}

/* The next option as the JVM splits them: at white space, quotes keep it together.
 * Kubernetes comes first: its `$$` are `$`, and what a reference stands for may be
 * anything, even several options: *ret_unclear. Null: out of memory. */
static struct str next_option(struct arena *arena, struct str value, size_t *at,
                              bool by_kubernetes, bool *ret_unclear)
{
    char *out = arena_alloc(arena, value.n - *at + 1, 1);
    if (out == NULL)
        return str_null();
    size_t n = 0;
    size_t i = *at;
    char quote = '\0';
    for (; i < value.n && (quote != '\0' || (unsigned char)value.p[i] > ' '); i++) {
        char c = value.p[i];
        char next = i + 1 < value.n ? value.p[i + 1] : '\0';
        if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == quote) {
            quote = '\0';
        } else {
            if (by_kubernetes && c == '$' && next == '$')
                i++;
            else if (by_kubernetes && c == '$' && next == '(')
                *ret_unclear = true;
            out[n++] = c;
        }
    }
    *at = i;
    return str_from(out, n);
}

void sources_read_java_options(struct reader *reader, const struct place *place,
                               struct str value, bool by_kubernetes)
{
    size_t at = 0;
    for (;;) {
        while (at < value.n && (unsigned char)value.p[at] <= ' ')
            at++;
        if (at == value.n)
            return;
        bool unclear = false;
        struct str option =
            next_option(reader->arena, value, &at, by_kubernetes, &unclear);
        if (str_is_null(option))
            return;
        if (unclear)
            report_configuration(reader, place, option);
        else if (option.n > 0)
            read_option(reader, place, option, false);
    }
}

static bool is_option(struct str word)
{
    return word.n >= 2 && (word.p[0] == '-' || word.p[0] == '@' || word.p[0] == '$' ||
                           way_mentions_registries(word));
}

static void read_words(struct reader *reader, const char *field, const struct str *words,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_option(words[i]))
            continue;
        struct place place = {LAYER_ARGS, STR("args"), STR(""), NOT_IN_ENV, STR("")};
        place.path =
            arena_printf(reader->arena, "spec.template.spec.containers[%zu].%s[%zu]",
                         reader->workload->container.index, field, i);
        read_option(reader, &place, words[i], true);
    }
}

void sources_read_words(struct reader *reader)
{
    const struct container_spec *container = &reader->workload->container;
    read_words(reader, "command", container->command, container->command_count);
    read_words(reader, "args", container->args, container->args_count);
}
