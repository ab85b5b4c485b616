/* Command line arguments and options of the JVM: --name=value, -Dname=value, @file; see
 * sources.h. Each is read by itself, so that one that is unclear hides no other. Pure. */
#include "core/sources_reader.h"

#include "util/utf8.h"

static const char *const elsewhere = "pass what the API needs as environment variables";

/* What else is found before what is in the image: its configuration, too. */
static bool adds_to_class_path(struct str option)
{
    static const struct str begin[] = {STR("-Xbootclasspath"), STR("--class-path"),
                                       STR("--patch-module")};
    for (size_t i = 0; i < NRW_COUNT(begin); i++) {
        if (str_starts(option, begin[i]))
            return true;
    }
    return str_eq(option, STR("-cp")) || str_eq(option, STR("-classpath"));
}

/* `does`: what the option, which is quoted, does. */
static void report_option(struct reader *reader, const struct place *place,
                          struct str option, const char *does, const char *advice)
{
    sources_opaque(
        reader, place, STR(""),
        arena_printf(reader->arena, "\"%.*s\" %s", STR_ARG(utf8_cut(option, 120)), does),
        advice);
}

/* Neither a property nor a definition. */
static void read_other(struct reader *reader, const struct place *place,
                       struct str option, bool is_argument)
{
    bool file = option.n > 1 && option.p[0] == '@';
    bool options_file = str_starts(option, STR("-XX:VMOptionsFile=")) ||
                        str_starts(option, STR("-XX:Flags="));
    bool reference =
        is_argument && (str_starts(option, STR("$(")) || str_starts(option, STR("-$(")));
    if (adds_to_class_path(option)) {
        report_option(
            reader, place, option,
            "can put files before those of the image, also its configuration, "
            "which cannot be read here",
            "start the API as its image does; for an agent, -javaagent is enough");
        return;
    }
    if (!file && !options_file && !reference && !way_mentions_registries(option))
        return;
    report_option(reader, place, option, "can set properties that cannot be read here",
                  elsewhere);
}

static void report_configuration(struct reader *reader, const struct place *place,
                                 struct str option, enum way way, struct str name)
{
    report_option(reader, place, option,
                  "brings in configuration that cannot be read here",
                  way_advice(way, name));
}

/* One option or argument: -Dname=value, --name=value, @file. */
static void read_option(struct reader *reader, const struct place *place,
                        struct str option, bool is_argument)
{
    bool dashes = is_argument && str_starts(option, STR("--"));
    if ((!dashes && !str_starts(option, STR("-D"))) || adds_to_class_path(option)) {
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
    enum way way =
        unclear ? WAY_NONE : sources_way(reader, name, value, true, is_argument);
    if (way == WAY_CONFIGURATION && way_is_harmless(name, value, reader->name_space))
        return;
    if (unclear || way != WAY_NONE || way_moves_remote(name) ||
        (!dashes && way_is_of_java(name))) {
        report_configuration(reader, place, option, way, name);
        return;
    }
    if (sources_property(reader, &deeper, name, value, true, false, is_argument, STR("")))
        report_option(reader, place, option,
                      "sets a registry past the environment variables that the policy "
                      "manages",
                      "take it out and list the registry in the policy");
}

/* No other control character parts options; to Spring they are nothing within a name. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next option as the JVM splits them: at white space, quotes keep it together.
 * Kubernetes comes first: its `$$` are `$`, and what a reference stands for may be
 * anything, even several options: *ret_unclear. Written to `out`, where it takes no more
 * than it did in the value. */
static struct str next_option(char *out, struct str value, size_t *at, bool by_kubernetes,
                              bool *ret_unclear)
{
    size_t n = 0;
    size_t i = *at;
    char quote = '\0';
    for (; i < value.n && (quote != '\0' || !is_space(value.p[i])); i++) {
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
    /* All options share one copy: one each would be the square of them. */
    char *out = arena_alloc(reader->arena, value.n + 1, 1);
    size_t at = 0;
    while (out != NULL) {
        while (at < value.n && is_space(value.p[at]))
            at++;
        if (at == value.n)
            return;
        bool unclear = false;
        struct str option = next_option(out + at, value, &at, by_kubernetes, &unclear);
        if (unclear)
            report_configuration(reader, place, option, WAY_NONE, STR(""));
        else if (option.n > 0)
            read_option(reader, place, option, false);
    }
}

static bool is_option(struct str word)
{
    return word.n >= 2 && (word.p[0] == '-' || word.p[0] == '@' || word.p[0] == '$' ||
                           way_mentions_registries(word));
}

/* command and args, one after the other. */
static struct str word_at(const struct container_spec *container, size_t i)
{
    return i < container->command_count ? container->command[i]
                                        : container->args[i - container->command_count];
}

/* An argument that is given again: Spring joins the values of one name with commas. */
struct repeats {
    size_t *next; /* per word: the next of its name; 0: none */
    bool *again;  /* per word: it is not the first one */
};

/* Names count as they are written: another spelling is another argument. */
static bool find_repeats(struct reader *reader, size_t count, struct repeats *ret)
{
    struct strmap last = {.slots = NULL};
    ret->next = ARENA_ARRAY(reader->arena, size_t, count);
    ret->again = ARENA_ARRAY(reader->arena, bool, count);
    if (ret->next == NULL || ret->again == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct str word = word_at(&reader->workload->container, i);
        struct str name = str_first(word, str_index(word, 0, '='));
        bool fresh;
        if (!str_starts(word, STR("--")) || !spring_concerns(reader->prefix, name))
            continue;
        size_t *before = strmap_put(reader->arena, &last, name, i, &fresh);
        if (before == NULL)
            return false;
        if (fresh)
            continue;
        ret->again[i] = true;
        ret->next[*before] = i;
        *before = i;
    }
    return true;
}

static struct str value_of(struct str word)
{
    size_t equals = str_index(word, 0, '=');
    return equals < word.n ? str_skip(word, equals + 1) : str_null();
}

/* "--name=a,b" for "--name=a" and all of its name that follow; one without "=" has no
 * value. */
static struct str join_repeats(struct reader *reader, const struct repeats *repeats,
                               size_t first)
{
    const struct container_spec *container = &reader->workload->container;
    struct str word = word_at(container, first);
    struct str name = str_first(word, str_index(word, 0, '='));
    size_t size = name.n + 1;
    for (size_t i = first;; i = repeats->next[i]) {
        size += word_at(container, i).n + 1;
        if (repeats->next[i] == 0)
            break;
    }
    char *out = arena_alloc(reader->arena, size, 1);
    if (out == NULL)
        return str_null();
    memcpy(out, name.p, name.n);
    size_t n = name.n;
    char separator = '=';
    for (size_t i = first;; i = repeats->next[i]) {
        struct str value = value_of(word_at(container, i));
        if (!str_is_null(value)) {
            out[n++] = separator;
            separator = ',';
            if (value.n > 0)
                memcpy(out + n, value.p, value.n);
            n += value.n;
        }
        if (repeats->next[i] == 0)
            return str_from(out, n);
    }
}

static void read_word(struct reader *reader, struct str word, size_t i)
{
    const struct container_spec *container = &reader->workload->container;
    bool is_args = i >= container->command_count;
    struct place place = {LAYER_ARGS, STR("args"), STR(""), NOT_IN_ENV, STR(""), false};
    place.path = arena_printf(reader->arena, "spec.template.spec.containers[%zu].%s[%zu]",
                              container->index, is_args ? "args" : "command",
                              is_args ? i - container->command_count : i);
    read_option(reader, &place, word, true);
}

void sources_read_words(struct reader *reader)
{
    const struct container_spec *container = &reader->workload->container;
    size_t count = container->command_count + container->args_count;
    struct repeats repeats;
    if (count == 0 || !find_repeats(reader, count, &repeats))
        return;
    for (size_t i = 0; i < count; i++) {
        struct str word = word_at(container, i);
        if (!is_option(word) || repeats.again[i])
            continue;
        if (repeats.next[i] != 0)
            word = join_repeats(reader, &repeats, i);
        if (!str_is_null(word))
            read_word(reader, word, i);
    }
}
