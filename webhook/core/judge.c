/* The rules for what would be recognised; see judge.h. What the API does with each fault
 * is in docs/SPRING.md and nvcf-facts.md, part 2. Pure. */
#include "core/judge.h"

#include "core/advice.h"
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
}

/* A key that is not a built-in's to the letter, but the same to Spring. */
static void judge_twin(const struct judge *judge, const struct registry *registry)
{
    const struct builtin *builtin = registry->builtin;
    judge_report(
        judge, FINDING_BUILTIN_COLLISION, SEVERITY_ERROR, registry, registry->first,
        arena_printf(judge->arena,
                     "%.*s makes a second entry \"%.*s\" that reads the properties of "
                     "the built-in \"%.*s\": the API takes the two for one and does not "
                     "start",
                     STR_ARG(registry->first->variable), STR_ARG(registry->map_key),
                     STR_ARG(builtin->key)),
        arena_printf(judge->arena,
                     "choose another key for a registry of your own; to tune the "
                     "built-in, write its key as %.*s",
                     STR_ARG(builtin->env)));
}

/* Blank, or not set at all where the API's own YAML sets nothing either. */
static bool is_missing(const struct registry *registry,
                       const struct declaration *declaration)
{
    if (declaration == NULL)
        return !registry->defaults;
    return declaration->readable && spring_blank(declaration->value);
}

static bool judge_complete(const struct judge *judge, const struct registries *registries,
                           const struct registry *registry)
{
    bool no_name = is_missing(registry, registry->name);
    bool no_host = is_missing(registry, registry->hostname);
    if (!no_name && !no_host)
        return true;
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
        advice_both(judge->arena, judge->prefix, registries, registry));
    return false;
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

static void judge_unlisted(const struct judge *judge, const struct registries *registries,
                           const struct registry *registry)
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
                  STR_ARG(advice_variables(judge->arena, registries, registry)),
                  STR_ARG(at->source))
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
    bool outranks = found->layer > LAYER_ENV;
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

/* Four of the API's Helm clients take their hostname from the container entry. */
static void judge_helm_client(const struct judge *judge,
                              const struct registries *registries,
                              const struct registry *registry)
{
    if (!judge->whole || registry->artifact != ARTIFACT_HELM || !registry->known ||
        registry->inactive)
        return;
    const struct registry *container =
        registries_find(registries, ARTIFACT_CONTAINER, registry->map_key);
    if (container != NULL && container->exists)
        return;
    judge_report(judge, FINDING_INCOMPLETE_REGISTRY, SEVERITY_ERROR, registry,
                 registry->first,
                 arena_printf(judge->arena,
                              "%.*s takes its hostname from the CONTAINER registry of "
                              "that key, and there is none: the API does not start",
                              STR_ARG(key_text(judge, registry))),
                 arena_printf(judge->arena, "set the CONTAINER registry %.*s as well",
                              STR_ARG(registry->label)));
}

static void judge_custom(const struct judge *judge, const struct registries *registries,
                         const struct registry *registry)
{
    bool container = registry->artifact == ARTIFACT_CONTAINER;
    bool complete = judge_complete(judge, registries, registry);
    if (!container && !registry->known)
        judge_report(
            judge, FINDING_UNSUPPORTED_ARTIFACT_TYPE, SEVERITY_WARNING, registry,
            registry->first,
            arena_printf(judge->arena,
                         "a custom registry under %s (%.*s) is not supported by the "
                         "API's guide: only CONTAINER is",
                         artifact_env(registry->artifact), STR_ARG(registry->label)),
            STR("use the CONTAINER type"));
    if (complete)
        judge_helm_client(judge, registries, registry);
    if (!container)
        return;
    judge_hostname(judge, registry);
    if (registry->builtin != NULL)
        return;
    if (registry->listed == NULL)
        judge_unlisted(judge, registries, registry);
}

static void report_value(const struct judge *judge, const struct registry *registry,
                         const struct declaration *at, struct str message,
                         struct str advice)
{
    judge_report(judge, FINDING_INVALID_VALUE, SEVERITY_ERROR, registry, at, message,
                 advice);
}

/* Values that bind to this entry and that Spring cannot convert. */
static void judge_values(const struct judge *judge, const struct registry *registry)
{
    for (size_t i = 0; i < registry->invalid.count; i++) {
        const struct declaration *at =
            ((const struct declaration **)registry->invalid.items)[i];
        bool timeout = at->var.property_text.n == 0 ||
                       !str_ends(at->var.property_text, STR("enabled"));
        report_value(
            judge, registry, at,
            arena_printf(judge->arena,
                         "%.*s=\"%.*s\" is not %s: binding fails and the API does not "
                         "start",
                         STR_ARG(at->variable), STR_ARG(str_first(at->value, 120)),
                         timeout ? "a duration" : "true or false"),
            timeout ? STR("write a number with a unit, such as 10s")
                    : STR("write true or false"));
    }
    if (registry->object != NULL)
        report_value(judge, registry, registry->object,
                     arena_printf(judge->arena,
                                  "%.*s has properties of its own and takes no value: "
                                  "binding fails and the API does not start",
                                  STR_ARG(registry->object->variable)),
                     STR("unset it, or set one of its properties"));
}

static void judge_one(const struct judge *judge, const struct registries *registries,
                      const struct registry *registry)
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
        bool twice = layer_is_remote(at->layer) && !registry->by_order;
        judge_report(
            judge, FINDING_DUPLICATE_VARIABLE, SEVERITY_ERROR, registry, at,
            arena_printf(judge->arena,
                         registry->by_order
                             ? "%.*s and another variable of its key are spelled in two "
                               "ways, and which way the API looks for its properties is "
                               "left to chance"
                         : twice
                             ? "the remote configuration gives %.*s different values, in "
                               "several files, for several profiles or in several "
                               "spellings, and which one the API takes cannot be told"
                             : "%.*s and another spelling of it have different values, "
                               "and which one the API takes is left to chance",
                         STR_ARG(at->variable)),
            twice ? STR("give it once")
                  : STR("keep the one in capitals with underscores"));
    }
    judge_values(judge, registry);
    if (!registry->exists)
        return;
    const struct builtin *builtin = registry->builtin;
    bool served =
        registry->artifact == ARTIFACT_CONTAINER || registry->artifact == ARTIFACT_HELM;
    if (registry->known && registries_by_default(registry->artifact, builtin))
        judge_builtin(judge, registry);
    else if (!registry->known && builtin != NULL && served &&
             (registry->defaults || judge_complete(judge, registries, registry)))
        judge_twin(judge, registry);
    else if (registry->known || builtin == NULL || !served)
        judge_custom(judge, registries, registry);
    if (registry->listed != NULL) {
        judge_listed_value(judge, registry, registry->found_name, registry->listed->name,
                           "name");
        judge_listed_value(judge, registry, registry->found_hostname,
                           registry->listed->hostname, "hostname");
    }
}

/* The API's lookup maps: two entries with the same text keep it from starting. */
struct owner {
    struct str label, map_key;
};

struct lookup {
    struct strmap seen;       /* text → index of its owner */
    struct arena_list owners; /* of struct owner */
};

/* NULL: nobody has the text yet, and now this one does. Else who has it. */
static const struct owner *look_up(const struct judge *judge, struct lookup *lookup,
                                   struct str text, struct owner owner)
{
    bool fresh;
    size_t *index =
        strmap_put(judge->arena, &lookup->seen, text, lookup->owners.count, &fresh);
    if (index == NULL)
        return NULL;
    if (!fresh)
        return (const struct owner *)lookup->owners.items + *index;
    struct owner *slot = arena_list_add(judge->arena, &lookup->owners, sizeof(*slot));
    if (slot != NULL)
        *slot = owner;
    return NULL;
}

/* Two keys that differ in spelling only, as people see it one registry. */
static void report_same_key(const struct judge *judge, const struct registry *registry,
                            const struct owner *other)
{
    judge_report(judge, FINDING_DUPLICATE_HOSTNAME, SEVERITY_ERROR, registry,
                 registry->first,
                 arena_printf(judge->arena,
                              "the keys \"%.*s\" and \"%.*s\" read each other's "
                              "properties: two registries with one hostname keep the API "
                              "from starting",
                              STR_ARG(other->map_key), STR_ARG(registry->map_key)),
                 STR("spell the key in one way only"));
}

static void judge_unique(const struct judge *judge, const struct registry *registry,
                         const struct declaration *host, struct lookup *names,
                         struct lookup *hosts)
{
    struct owner owner = {registry->label, registry->map_key};
    const struct owner *other =
        host != NULL && host->readable ? look_up(judge, hosts, host->value, owner) : NULL;
    if (other != NULL && str_eq(other->label, registry->label)) {
        report_same_key(judge, registry, other);
        return;
    }
    const struct builtin *builtin =
        other != NULL ? builtin_by_hostname(host->value) : NULL;
    if (other != NULL)
        judge_report(
            judge, FINDING_DUPLICATE_HOSTNAME, SEVERITY_ERROR, registry, host,
            arena_printf(judge->arena,
                         "%.*s has the hostname \"%.*s\", which is that of %s%.*s: "
                         "two registries with one hostname keep the API from "
                         "starting",
                         STR_ARG(registry->label), STR_ARG(host->value),
                         builtin != NULL ? "the built-in registry " : "",
                         STR_ARG(other->label)),
            builtin != NULL ? STR("remove it: images of this host are recognised already")
                            : STR("keep one of the two"));
    /* A built-in's name is a constant in the API, whatever its NAME variable says. */
    bool known = registry->known;
    if (!known && (registry->name == NULL || !registry->name->readable))
        return;
    struct str name = known ? registry->builtin->name : registry->name->value;
    other = look_up(judge, names, name, owner);
    if (other != NULL)
        judge_report(
            judge, FINDING_DUPLICATE_NAME, SEVERITY_ERROR, registry, registry->name,
            arena_printf(judge->arena,
                         "%.*s has the name \"%.*s\", which is that of %.*s: two "
                         "registries with one name keep the API from starting",
                         STR_ARG(registry->label), STR_ARG(name), STR_ARG(other->label)),
            STR("choose another display name"));
}

static void judge_together(const struct judge *judge, const struct registries *registries,
                           enum artifact artifact)
{
    static const struct str helm_ngc = STR("helm.ngc.nvidia.com");
    struct lookup names = {.owners = {.items = NULL}};
    struct lookup hosts = {.owners = {.items = NULL}};
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        const struct builtin *builtin = builtin_at(i);
        const struct owner owner = {builtin->env, builtin->key};
        if (!registries_by_default(artifact, builtin))
            continue;
        bool ngc = artifact == ARTIFACT_HELM && str_eq(builtin->key, STR("ngc"));
        (void)look_up(judge, &names, builtin->name, owner);
        (void)look_up(judge, &hosts, ngc ? helm_ngc : builtin->hostname, owner);
    }
    /* The listed ones first, so that the blame falls on what is not in the policy. What
     * is left to chance is refused for that, and not said to be this or that. */
    for (size_t k = 0; k < 2 * registries->list.count; k++) {
        size_t i = k % registries->list.count;
        bool listed_turn = k < registries->list.count;
        const struct registry *registry = registries_at(registries, i);
        const struct declaration *host = registry->hostname;
        if ((registry->listed != NULL) != listed_turn || registry->artifact != artifact ||
            !registry->exists || registry->inactive || registry->ambiguous != NULL ||
            (registry->builtin != NULL &&
             (!registry->known || registries_by_default(artifact, registry->builtin))) ||
            is_missing(registry, registry->name) || is_missing(registry, host))
            continue;
        if (artifact == ARTIFACT_HELM && registry->known) {
            const struct registry *container =
                registries_find(registries, ARTIFACT_CONTAINER, registry->map_key);
            if (container == NULL || !container->exists)
                continue; /* then there is no client, and the API does not start */
            host = container->hostname;
        }
        judge_unique(judge, registry, host, &names, &hosts);
    }
}

static bool is_there(const struct registry *registry)
{
    return registry->exists && !is_missing(registry, registry->name) &&
           !is_missing(registry, registry->hostname);
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
        struct finding *finding = judge_report(
            judge, FINDING_MISSING_REGISTRY, SEVERITY_ERROR, &missing, NULL,
            arena_printf(judge->arena, "the registry %.*s (%.*s) of the policy %s",
                         STR_ARG(listed->key), STR_ARG(listed->hostname),
                         judge->inject ? "was not injected on its way here"
                                       : "is not in the Deployment"),
            advice_listed(judge->arena, judge->prefix, listed));
        if (finding != NULL)
            finding->path = judge->env_path;
    }
}

void judge_registries(const struct judge *judge, const struct registries *registries)
{
    for (size_t i = 0; i < registries->list.count; i++)
        judge_one(judge, registries, registries_at(registries, i));
    judge_together(judge, registries, ARTIFACT_CONTAINER);
    judge_together(judge, registries, ARTIFACT_HELM);
    if (judge->whole)
        judge_missing(judge, registries);
}
