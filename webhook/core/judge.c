/* The rules for what would be recognised; see judge.h. What the API does with each fault
 * is in docs/SPRING.md and nvcf-facts.md, part 2. Pure. */
#include "core/judge.h"

#include "core/hostname.h"
#include "util/strmap.h"

struct finding *judge_report(const struct judge *judge, enum finding_id id,
                             enum severity severity, const struct registry *registry,
                             const struct declaration *at, struct str message,
                             struct str advice)
{
    struct finding *finding = findings_add(judge->arena, judge->findings, id, severity);
    if (finding == NULL)
        return NULL;
    finding->key = registry->label;
    finding->source = at != NULL ? at->source : STR("policy");
    finding->path = at != NULL ? at->path : STR("");
    finding->message = message;
    finding->advice = advice;
    return finding;
}

static struct str key_text(const struct judge *judge, const struct registry *registry)
{
    if (registry->artifact == ARTIFACT_CONTAINER)
        return registry->label;
    return arena_printf(judge->arena, "%s %.*s", artifact_env(registry->artifact),
                        STR_ARG(registry->label));
}

static void judge_builtin(const struct judge *judge, const struct registry *registry)
{
    const struct builtin *builtin = registry->builtin;
    const struct declaration *set[] = {registry->name, registry->hostname};
    for (size_t i = 0; i < 2; i++) {
        if (set[i] == NULL)
            continue;
        const char *then =
            i == 0
                ? "the API keeps its own name for it, and does not start if this is blank"
                : "the API would take it over, and its images would no longer be found";
        judge_report(
            judge, FINDING_BUILTIN_COLLISION, SEVERITY_ERROR, registry, set[i],
            arena_printf(
                judge->arena,
                "%.*s sets the %s of the built-in registry %.*s (%.*s, %.*s): %s",
                STR_ARG(set[i]->variable), i == 0 ? "name" : "hostname",
                STR_ARG(builtin->env), STR_ARG(builtin->name), STR_ARG(builtin->hostname),
                then),
            arena_printf(
                judge->arena,
                "unset it; for another host add a registry with a key of its own, "
                "such as %.*s_REGISTRIES_RECOGNIZED_%s_CORP_%s",
                STR_ARG(judge->prefix), artifact_env(registry->artifact),
                i == 0 ? "NAME" : "HOSTNAME"));
    }
    if (!str_is_null(registry->other_key) && set[0] == NULL && set[1] == NULL)
        judge_report(
            judge, FINDING_BUILTIN_COLLISION, SEVERITY_ERROR, registry, registry->first,
            arena_printf(judge->arena,
                         "%.*s makes a second entry \"%.*s\" that reads the "
                         "properties of the built-in \"%.*s\": two registries with "
                         "one hostname keep the API from starting",
                         STR_ARG(registry->first->variable), STR_ARG(registry->other_key),
                         STR_ARG(builtin->key)),
            arena_printf(judge->arena, "write the key as %.*s", STR_ARG(builtin->env)));
}

static bool is_missing(const struct declaration *declaration)
{
    return declaration == NULL ||
           (declaration->readable && spring_blank(declaration->value));
}

static void judge_complete(const struct judge *judge, const struct registry *registry)
{
    bool no_name = is_missing(registry->name);
    bool no_host = is_missing(registry->hostname);
    if (!no_name && !no_host)
        return;
    const struct declaration *at = registry->name != NULL       ? registry->name
                                   : registry->hostname != NULL ? registry->hostname
                                                                : registry->first;
    const struct declaration *faulty = no_host ? registry->hostname : registry->name;
    const char *what = no_name && no_host ? "neither a name nor a hostname"
                       : no_host          ? "no hostname"
                                          : "no name";
    judge_report(
        judge, FINDING_INCOMPLETE_REGISTRY, SEVERITY_ERROR, registry, at,
        arena_printf(judge->arena,
                     "%.*s has %s%s: both are required, binding fails and the API "
                     "does not start",
                     STR_ARG(key_text(judge, registry)), what,
                     faulty != NULL ? " (it is blank)" : ""),
        arena_printf(judge->arena,
                     "set both %.*s_REGISTRIES_RECOGNIZED_%s_%.*s_NAME and "
                     "…_%.*s_HOSTNAME, or neither",
                     STR_ARG(judge->prefix), artifact_env(registry->artifact),
                     STR_ARG(registry->label), STR_ARG(registry->label)));
}

static void judge_hostname(const struct judge *judge, const struct registry *registry)
{
    const struct declaration *host = registry->hostname;
    if (host == NULL || !host->readable || spring_blank(host->value))
        return;
    struct hostname_check check = hostname_check(host->value);
    if (check.problem == HOSTNAME_GOOD)
        return;
    judge_report(judge, FINDING_UNMATCHABLE_HOSTNAME, SEVERITY_ERROR, registry, host,
                 hostname_explain(judge->arena, host->value, check),
                 hostname_advise(judge->arena, host->value, check));
}

static void judge_unlisted(const struct judge *judge, const struct registry *registry)
{
    enum policy_unlisted unlisted = judge->policy->unlisted;
    if (unlisted == UNLISTED_ALLOW)
        return;
    bool deny = unlisted != UNLISTED_WARN;
    const struct declaration *at =
        unlisted == UNLISTED_REMOVE && registry->not_in_env != NULL ? registry->not_in_env
                                                                    : registry->first;
    struct str advice =
        unlisted == UNLISTED_REMOVE && registry->not_in_env != NULL
            ? arena_printf(
                  judge->arena,
                  "it cannot be taken out from here: unset %.*s in the Helm values "
                  "(or %.*s), or list it in the policy",
                  STR_ARG(at->variable), STR_ARG(at->source))
            : arena_printf(judge->arena,
                           "list %.*s in the policy, or unset its variables",
                           STR_ARG(registry->label));
    judge_report(judge, FINDING_UNLISTED_REGISTRY,
                 deny ? SEVERITY_ERROR : SEVERITY_WARNING, registry, at,
                 arena_printf(judge->arena, "the registry %.*s is not in the policy",
                              STR_ARG(registry->label)),
                 advice);
}

/* A listed registry: does what was found say the same as the policy? */
static void judge_listed_value(const struct judge *judge, const struct registry *registry,
                               const struct declaration *found, struct str want,
                               const char *what)
{
    if (found == NULL || (found->readable && str_eq(found->value, want)))
        return;
    bool outranks = found->layer != LAYER_ENV;
    if (!found->readable && (outranks || !judge->inject))
        return; /* its OpaqueSource says so already */
    bool in_env = found->env_index != NOT_IN_ENV;
    bool deny = outranks || (judge->inject ? in_env && !judge->can_set : true);
    struct str has = found->readable
                         ? arena_printf(judge->arena, "\"%.*s\"", STR_ARG(found->value))
                         : STR("a reference");
    const char *then = outranks       ? "and this source outranks the environment, so it "
                                        "cannot be set right from here"
                       : deny         ? "and the policy only checks"
                       : judge->whole ? "and is set to the latter"
                                      : "and the Deployment gets the latter";
    if (deny && judge->inject && !outranks)
        then = "and was not set right on its way here";
    judge_report(
        judge, FINDING_VALUE_CONFLICT, deny ? SEVERITY_ERROR : SEVERITY_WARNING, registry,
        found,
        arena_printf(judge->arena,
                     "the %s of %.*s is %.*s here and \"%.*s\" in the policy, %s", what,
                     STR_ARG(registry->label), STR_ARG(has), STR_ARG(want), then),
        arena_printf(judge->arena, "set %.*s to \"%.*s\", or unset it",
                     STR_ARG(found->variable), STR_ARG(want)));
}

static void judge_custom(const struct judge *judge, const struct registry *registry)
{
    if (!registry->exists)
        return;
    bool container = registry->artifact == ARTIFACT_CONTAINER;
    judge_complete(judge, registry);
    if (!container && registry->builtin == NULL)
        judge_report(
            judge, FINDING_UNSUPPORTED_ARTIFACT_TYPE, SEVERITY_WARNING, registry,
            registry->first,
            arena_printf(judge->arena,
                         "a custom registry under %s (%.*s) is not supported by the "
                         "API's guide: only CONTAINER is",
                         artifact_env(registry->artifact), STR_ARG(registry->label)),
            STR("use the CONTAINER type"));
    if (!container)
        return;
    if (!str_is_null(registry->other_key))
        judge_report(
            judge, FINDING_DUPLICATE_HOSTNAME, SEVERITY_ERROR, registry, registry->first,
            arena_printf(judge->arena,
                         "the keys \"%.*s\" and \"%.*s\" read each other's "
                         "properties: two registries with one hostname keep the API "
                         "from starting",
                         STR_ARG(registry->map_key), STR_ARG(registry->other_key)),
            STR("spell the key in one way only"));
    judge_hostname(judge, registry);
    if (registry->builtin != NULL)
        return;
    if (registry->listed == NULL)
        judge_unlisted(judge, registry);
}

static void judge_values(const struct judge *judge, const struct declaration *declaration)
{
    const struct spring_var *var = &declaration->var;
    if (!declaration->readable || var->property != SPRING_TUNING ||
        spring_converts(var->property_text, declaration->value))
        return;
    struct finding *finding = findings_add(judge->arena, judge->findings,
                                           FINDING_INVALID_VALUE, SEVERITY_ERROR);
    if (finding == NULL)
        return;
    bool timeout = str_ends(var->property_text, STR("-timeout"));
    finding->key = var->key;
    finding->source = declaration->source;
    finding->path = declaration->path;
    finding->message = arena_printf(
        judge->arena, "%.*s=\"%.*s\" is not %s: binding fails and the API does not start",
        STR_ARG(declaration->variable), STR_ARG(str_first(declaration->value, 120)),
        timeout ? "a duration" : "true or false");
    finding->advice = timeout ? STR("write a number with a unit, such as 10s")
                              : STR("write true or false");
}

static void judge_one(const struct judge *judge, const struct registry *registry)
{
    if (registry->nested != NULL) {
        const struct declaration *at = registry->nested;
        struct finding *finding = judge_report(
            judge, FINDING_INVALID_KEY, SEVERITY_ERROR, registry, at,
            arena_printf(judge->arena,
                         "%.*s has a key with an underscore: Spring takes \"%.*s\" "
                         "for the key and ignores the rest, so the registry %.*s "
                         "would silently not exist",
                         STR_ARG(at->variable), STR_ARG(at->var.map_key),
                         STR_ARG(at->var.key)),
            STR("write the key in letters and digits only, such as MYREG"));
        if (finding != NULL)
            finding->key = at->var.key;
    }
    if (registry->scalar != NULL && !registry->exists) {
        const struct declaration *at = registry->scalar;
        judge_report(
            judge, FINDING_INCOMPLETE_REGISTRY, SEVERITY_ERROR, registry, at,
            arena_printf(judge->arena,
                         "%.*s gives a value to the key itself: binding fails and "
                         "the API does not start",
                         STR_ARG(at->variable)),
            arena_printf(judge->arena, "set %.*s_NAME and %.*s_HOSTNAME",
                         STR_ARG(at->variable), STR_ARG(at->variable)));
    }
    if (registry->ambiguous != NULL) {
        const struct declaration *at = registry->ambiguous;
        judge_report(
            judge, FINDING_DUPLICATE_VARIABLE, SEVERITY_ERROR, registry, at,
            arena_printf(judge->arena,
                         "%.*s and another spelling of it have different values, and "
                         "which one the API takes is left to chance",
                         STR_ARG(at->variable)),
            STR("keep the one in capitals with underscores"));
    }
    if (registry->builtin != NULL && builtin_has_host(registry->builtin))
        judge_builtin(judge, registry);
    else
        judge_custom(judge, registry);
    if (registry->listed != NULL && registry->exists) {
        judge_listed_value(judge, registry, registry->found_name, registry->listed->name,
                           "name");
        judge_listed_value(judge, registry, registry->found_hostname,
                           registry->listed->hostname, "hostname");
    }
}

/* The API's lookup maps: two entries with the same text keep it from starting. */
struct lookup {
    struct strmap seen;       /* text → index of the label in `owners` */
    struct arena_list owners; /* of struct str */
};

static bool look_up(const struct judge *judge, struct lookup *lookup, struct str text,
                    struct str owner, struct str *ret_other)
{
    bool fresh;
    size_t *index =
        strmap_put(judge->arena, &lookup->seen, text, lookup->owners.count, &fresh);
    if (index == NULL)
        return true;
    if (!fresh) {
        *ret_other = ((struct str *)lookup->owners.items)[*index];
        return str_eq(*ret_other, owner);
    }
    struct str *slot = arena_list_add(judge->arena, &lookup->owners, sizeof(*slot));
    if (slot != NULL)
        *slot = owner;
    return true;
}

static void judge_unique(const struct judge *judge, const struct registry *registry,
                         struct lookup *names, struct lookup *hosts)
{
    const struct builtin *builtin = registry->builtin;
    struct str other;
    /* A built-in's name is a constant in the API, whatever its NAME variable says. */
    bool named = builtin != NULL || (registry->name != NULL && registry->name->readable);
    struct str name = builtin != NULL ? builtin->name : STR("");
    if (builtin == NULL && named)
        name = registry->name->value;
    if (named && !look_up(judge, names, name, registry->label, &other))
        judge_report(
            judge, FINDING_DUPLICATE_NAME, SEVERITY_ERROR, registry, registry->name,
            arena_printf(judge->arena,
                         "%.*s has the name \"%.*s\", which is that of %.*s: two "
                         "registries with one name keep the API from starting",
                         STR_ARG(registry->label), STR_ARG(name), STR_ARG(other)),
            STR("choose another display name"));
    const struct declaration *host = registry->hostname;
    if (host == NULL || !host->readable)
        return;
    if (!look_up(judge, hosts, host->value, registry->label, &other)) {
        const struct builtin *owner = builtin_by_hostname(host->value);
        judge_report(
            judge, FINDING_DUPLICATE_HOSTNAME, SEVERITY_ERROR, registry, host,
            arena_printf(judge->arena,
                         "%.*s has the hostname \"%.*s\", which is that of %s%.*s: "
                         "two registries with one hostname keep the API from "
                         "starting",
                         STR_ARG(registry->label), STR_ARG(host->value),
                         owner != NULL ? "the built-in registry " : "", STR_ARG(other)),
            owner != NULL ? STR("remove it: images of this host are recognised already")
                          : STR("keep one of the two"));
    }
}

static void judge_together(const struct judge *judge, const struct registries *registries,
                           enum artifact artifact)
{
    struct lookup names = {.owners = {.items = NULL}};
    struct lookup hosts = {.owners = {.items = NULL}};
    struct str other;
    for (size_t i = 0; artifact == ARTIFACT_CONTAINER && i < BUILTIN_COUNT; i++) {
        const struct builtin *builtin = builtin_at(i);
        if (!builtin_has_host(builtin))
            continue;
        (void)look_up(judge, &names, builtin->name, builtin->env, &other);
        (void)look_up(judge, &hosts, builtin->hostname, builtin->env, &other);
    }
    /* The listed ones first, so that the blame falls on what is not in the policy. */
    for (size_t k = 0; k < 2 * registries->list.count; k++) {
        size_t i = k % registries->list.count;
        bool listed_turn = k < registries->list.count;
        const struct registry *registry = registries_at(registries, i);
        bool taken = registry->builtin != NULL && builtin_has_host(registry->builtin);
        if ((registry->listed != NULL) == listed_turn && registry->artifact == artifact &&
            registry->exists && !taken && !is_missing(registry->name) &&
            !is_missing(registry->hostname))
            judge_unique(judge, registry, &names, &hosts);
    }
}

static bool is_there(const struct registry *registry)
{
    return registry->exists && !is_missing(registry->name) &&
           !is_missing(registry->hostname);
}

static void judge_missing(const struct judge *judge, const struct registries *registries)
{
    struct strmap there = {.slots = NULL};
    for (size_t i = 0; i < registries->list.count; i++) {
        const struct registry *registry = registries_at(registries, i);
        if (registry->listed != NULL && registry->artifact == ARTIFACT_CONTAINER &&
            is_there(registry) &&
            strmap_put(judge->arena, &there, registry->listed->key, 0, NULL) == NULL)
            return;
    }
    for (size_t i = 0; i < judge->policy->registry_count; i++) {
        const struct policy_registry *listed = &judge->policy->registries[i];
        if (strmap_get(&there, listed->key) != NULL)
            continue;
        const struct registry missing = {.label = listed->key};
        struct str variable =
            spring_variable(judge->arena, judge->prefix, listed->key, SPRING_HOSTNAME);
        struct finding *finding = judge_report(
            judge, FINDING_MISSING_REGISTRY, SEVERITY_ERROR, &missing, NULL,
            arena_printf(judge->arena, "the registry %.*s (%.*s) is in the policy and %s",
                         STR_ARG(listed->key), STR_ARG(listed->hostname),
                         judge->inject ? "was not injected on its way here"
                                       : "the Deployment does not carry it"),
            arena_printf(judge->arena, "set …_%.*s_NAME=\"%.*s\" and %.*s=\"%.*s\"",
                         STR_ARG(listed->key), STR_ARG(listed->name), STR_ARG(variable),
                         STR_ARG(listed->hostname)));
        if (finding != NULL)
            finding->path = judge->env_path;
    }
}

void judge_registries(const struct judge *judge, const struct registries *registries,
                      const struct sources *sources)
{
    for (size_t i = 0; i < registries->list.count; i++)
        judge_one(judge, registries_at(registries, i));
    for (size_t i = 0; i < sources->declared.count; i++)
        judge_values(judge, sources_at(sources, i));
    judge_together(judge, registries, ARTIFACT_CONTAINER);
    judge_together(judge, registries, ARTIFACT_HELM);
    if (judge->whole)
        judge_missing(judge, registries);
}
