/* The rules that a policy must keep; see policy_rules.h. Pure. */
#include "core/policy_rules.h"

#include <stdlib.h>

#include "core/builtin.h"
#include "core/hostname.h"
#include "core/spring.h"
#include "util/utf8.h"

/* All that is injected stands in an annotation too, and Kubernetes takes 256 KiB of those
 * (TotalAnnotationSizeLimitB): 256 registries of 32 + 256 + 253 bytes leave it room. */
#define NAME_MAXIMUM 256u

struct check {
    struct arena *arena;
    struct findings *findings;
};

static void report(struct check *check, const struct policy_registry *registry,
                   enum finding_id id, struct str message, struct str advice)
{
    struct finding *finding =
        findings_add(check->arena, check->findings, id, SEVERITY_ERROR);
    if (finding == NULL)
        return;
    finding->key = registry->key;
    finding->source = STR("policy");
    finding->message = message;
    finding->advice = advice;
    finding->line = registry->line;
    finding->column = registry->column;
    if (registry->line > 0)
        finding->path =
            arena_printf(check->arena, "%u:%u", registry->line, registry->column);
}

/* Letters and digits of the key in capitals, as a suggestion; "" when nothing is left. */
static struct str suggest_key(struct arena *arena, struct str key)
{
    char *out = arena_alloc(arena, key.n + 1, 1);
    if (out == NULL)
        return STR("");
    size_t n = 0;
    for (size_t i = 0; i < key.n && n < 32; i++) {
        char c = key.p[i];
        if (ascii_is_alpha(c) || (ascii_is_digit(c) && n > 0))
            out[n++] = ascii_upper(c);
    }
    struct str made = str_from(out, n);
    return builtin_by_key(made) == NULL ? made : STR("");
}

static bool key_is_good(struct str key)
{
    if (key.n == 0 || key.n > 32 || !ascii_is_upper(key.p[0]))
        return false;
    for (size_t i = 1; i < key.n; i++) {
        if (!ascii_is_upper(key.p[i]) && !ascii_is_digit(key.p[i]))
            return false;
    }
    return true;
}

static void check_key(struct check *check, const struct policy_registry *registry)
{
    struct str key = registry->key;
    const struct builtin *builtin = builtin_by_key(key);
    if (registry->native)
        return; /* the loader lets only HARBOR and ARTIFACTORY through */
    if (builtin != NULL) {
        struct str message = arena_printf(
            check->arena,
            "\"%.*s\" is the key of the built-in registry %.*s (%.*s) to Spring, "
            "whatever "
            "its spelling: the API would take these values for the built-in one",
            STR_ARG(key), STR_ARG(builtin->env), STR_ARG(builtin->name));
        struct str advice =
            builtin_has_host(builtin)
                ? arena_printf(check->arena,
                               "remove it: images of %.*s are recognised already; for "
                               "another host take a key of its own, such as CORP",
                               STR_ARG(builtin->hostname))
                : arena_printf(check->arena, "write it under `native:` as %.*s",
                               STR_ARG(builtin->env));
        report(check, registry, FINDING_BUILTIN_COLLISION, message, advice);
        return;
    }
    if (key_is_good(key))
        return;
    struct str better = suggest_key(check->arena, key);
    struct str message =
        str_index(key, 0, '_') < key.n
            ? arena_printf(
                  check->arena,
                  "the key \"%.*s\" has an underscore: Spring splits a variable's "
                  "name there, binds \"%.*s\" without a hostname, and the API does "
                  "not start",
                  STR_ARG(key), STR_ARG(str_first(key, str_index(key, 0, '_'))))
            : arena_printf(
                  check->arena,
                  "the key \"%.*s\" is not 1 to 32 capital letters and digits "
                  "beginning with a letter, so it would not bind as it is written",
                  STR_ARG(key));
    report(check, registry, FINDING_INVALID_KEY, message,
           better.n > 0 ? arena_printf(check->arena, "write %.*s", STR_ARG(better))
                        : STR("choose a key such as CORP"));
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (utf8_control(str_skip(text, i)) > 0)
            return true;
    }
    return false;
}

/* True when the text may be looked at further. */
static bool check_characters(struct check *check, const struct policy_registry *registry,
                             const char *field, struct str text)
{
    if (has_control(text)) {
        report(check, registry, FINDING_INVALID_POLICY,
               arena_printf(check->arena, "the %s has a control character", field),
               STR("write it on one line, without tabs"));
        return false;
    }
    if (str_index(text, 0, '$') < text.n) {
        report(check, registry, FINDING_INVALID_POLICY,
               arena_printf(
                   check->arena,
                   "the %s has a \"$\": Kubernetes expands $(…) and Spring resolves "
                   "${…}, so the API would see something else",
                   field),
               STR("write the value itself, without \"$\""));
        return false;
    }
    return true;
}

/* DNS allows 63 characters between two dots. The API itself would take more, so that this
 * is no fault of a Deployment's. */
static bool has_long_label(struct str hostname)
{
    for (size_t start = 0; start < hostname.n;) {
        size_t end = str_index(hostname, start, '.');
        if (end - start > 63)
            return true;
        start = end + 1;
    }
    return false;
}

static void check_hostname(struct check *check, const struct policy_registry *registry)
{
    struct str hostname = registry->hostname;
    if (!check_characters(check, registry, "hostname", hostname))
        return;
    struct hostname_check found = hostname_check(hostname);
    if (found.problem != HOSTNAME_GOOD) {
        report(check, registry,
               found.problem == HOSTNAME_BLANK ? FINDING_INCOMPLETE_REGISTRY
                                               : FINDING_UNMATCHABLE_HOSTNAME,
               hostname_explain(check->arena, hostname, found),
               hostname_advise(check->arena, hostname, found));
        return;
    }
    const struct builtin *builtin = builtin_by_hostname(hostname);
    if (builtin != NULL) {
        report(check, registry, FINDING_DUPLICATE_HOSTNAME,
               arena_printf(check->arena,
                            "\"%.*s\" is the hostname of the built-in registry %.*s: two "
                            "registries with one hostname keep the API from starting",
                            STR_ARG(hostname), STR_ARG(builtin->env)),
               STR("remove it: images of this host are recognised already"));
        return;
    }
    if (hostname.n > 253)
        report(check, registry, FINDING_UNMATCHABLE_HOSTNAME,
               STR("the hostname is longer than the 253 characters that DNS allows"),
               STR("write the registry's DNS name"));
    else if (has_long_label(hostname))
        report(check, registry, FINDING_UNMATCHABLE_HOSTNAME,
               arena_printf(check->arena,
                            "\"%.*s\" has a part of more than the 63 characters that "
                            "DNS allows between two dots: no image can come from it",
                            STR_ARG(hostname)),
               STR("write the registry's DNS name"));
}

static void check_name(struct check *check, const struct policy_registry *registry)
{
    struct str name = registry->name;
    if (spring_blank(name)) {
        report(check, registry, FINDING_INCOMPLETE_REGISTRY,
               STR("the name is blank: binding fails and the API does not start"),
               STR("write a display name of your own"));
        return;
    }
    if (!check_characters(check, registry, "name", name))
        return;
    if (spring_is_encrypted(name))
        report(check, registry, FINDING_INVALID_POLICY,
               STR("the name begins with {cipher}: Spring Cloud decrypts it, and the API "
                   "does not start where it cannot"),
               STR("write the name itself"));
    if (name.n > NAME_MAXIMUM)
        report(check, registry, FINDING_INVALID_POLICY,
               STR("the name is longer than 256 bytes"), STR("write a shorter one"));
    const struct builtin *builtin = builtin_by_name(name);
    if (builtin != NULL &&
        !(registry->native && spring_same(builtin->uniform, registry->key)))
        report(check, registry, FINDING_DUPLICATE_NAME,
               arena_printf(check->arena,
                            "\"%.*s\" is the name of the built-in registry %.*s: two "
                            "registries with one name keep the API from starting",
                            STR_ARG(name), STR_ARG(builtin->env)),
               STR("choose another display name"));
}

enum field { FIELD_KEY, FIELD_NAME, FIELD_HOSTNAME };

struct entry {
    struct str text;
    size_t index;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    int order = str_cmp(left->text, right->text);
    if (order != 0)
        return order;
    return (left->index > right->index) - (left->index < right->index);
}

static void report_twice(struct check *check, const struct policy_registry *first,
                         const struct policy_registry *second, enum field field)
{
    struct arena *arena = check->arena;
    if (field == FIELD_KEY)
        report(check, second, FINDING_INVALID_KEY,
               arena_printf(arena, "the key %.*s is the same as %.*s to Spring",
                            STR_ARG(second->key), STR_ARG(first->key)),
               STR("give each registry a key of its own"));
    else if (field == FIELD_NAME)
        report(check, second, FINDING_DUPLICATE_NAME,
               arena_printf(
                   arena,
                   "%.*s and %.*s have the same name \"%.*s\": two registries with "
                   "one name keep the API from starting",
                   STR_ARG(first->key), STR_ARG(second->key), STR_ARG(second->name)),
               STR("give each registry a display name of its own"));
    else
        report(check, second, FINDING_DUPLICATE_HOSTNAME,
               arena_printf(
                   arena,
                   "%.*s and %.*s have the same hostname \"%.*s\": two registries "
                   "with one hostname keep the API from starting",
                   STR_ARG(first->key), STR_ARG(second->key), STR_ARG(second->hostname)),
               STR("keep one of the two"));
}

static void check_unique(struct check *check, const struct policy_registry *registries,
                         size_t count, enum field field)
{
    struct entry *entries = ARENA_ARRAY(check->arena, struct entry, count);
    if (entries == NULL)
        return;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct str text = field == FIELD_KEY
                              ? spring_uniform(check->arena, registries[i].key)
                          : field == FIELD_NAME ? registries[i].name
                                                : registries[i].hostname;
        if (!spring_blank(text))
            entries[n++] = (struct entry){text, i};
    }
    qsort(entries, n, sizeof(*entries), compare_entries);
    size_t first = 0;
    for (size_t i = 1; i < n; i++) {
        if (str_eq(entries[i].text, entries[first].text))
            report_twice(check, &registries[entries[first].index],
                         &registries[entries[i].index], field);
        else
            first = i;
    }
}

void policy_rules_check(struct arena *arena, const struct policy_registry *registries,
                        size_t count, struct findings *findings)
{
    struct check check = {arena, findings};
    for (size_t i = 0; i < count; i++) {
        check_key(&check, &registries[i]);
        check_name(&check, &registries[i]);
        check_hostname(&check, &registries[i]);
    }
    check_unique(&check, registries, count, FIELD_KEY);
    check_unique(&check, registries, count, FIELD_NAME);
    check_unique(&check, registries, count, FIELD_HOSTNAME);
}
