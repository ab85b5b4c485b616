/* The decision; see decide.h. Reads the sources, plans what the policy wants changed,
 * judges what the API would recognise after that, and only then says yes or no. Pure. */
#include "core/decide.h"

#include "core/judge.h"
#include "core/plan.h"
#include "util/strmap.h"

const struct policy_target *decide_target(const struct policy *policy,
                                          struct str name_space, const struct kv *labels,
                                          size_t label_count)
{
    for (size_t i = 0; i < policy->target_count; i++) {
        const struct policy_target *target = &policy->targets[i];
        if (!str_eq(target->name_space, name_space))
            continue;
        size_t matched = 0;
        for (size_t k = 0; k < target->selector_count; k++) {
            for (size_t l = 0; l < label_count; l++) {
                if (str_eq(target->selector[k].key, labels[l].key) &&
                    str_eq(target->selector[k].value, labels[l].value)) {
                    matched++;
                    break;
                }
            }
        }
        if (matched == target->selector_count)
            return target;
    }
    return NULL;
}

/* What the reading found is an error, or a warning that opaqueSources makes one. */
static void take_over(struct arena *arena, const struct policy *policy,
                      const struct findings *from, struct findings *to)
{
    for (size_t i = 0; i < findings_count(from); i++) {
        const struct finding *finding = findings_at(from, i);
        bool depends = finding->severity == SEVERITY_WARNING;
        if (depends && policy->opaque == OPAQUE_ALLOW)
            continue;
        struct finding *copy = findings_copy(arena, to, finding);
        if (copy == NULL)
            return;
        if (depends && policy->opaque == OPAQUE_DENY)
            copy->severity = SEVERITY_ERROR;
    }
}

/* One more finding per registry that the remote configuration touches, as grave as the
 * gravest of its others. */
static void note_remote(struct judge *judge, const struct registries *registries)
{
    struct strmap gravest = {.slots =
                                 NULL}; /* by key; there is one remote configuration */
    for (size_t i = 0; i < findings_count(judge->findings); i++) {
        const struct finding *finding = findings_at(judge->findings, i);
        if (finding->id == FINDING_OPAQUE_SOURCE ||
            !str_starts(finding->source, STR("remoteConfig/")))
            continue;
        size_t *severity = strmap_put(judge->arena, &gravest, finding->key,
                                      (size_t)finding->severity, NULL);
        if (severity == NULL)
            return;
        if ((size_t)finding->severity < *severity)
            *severity = (size_t)finding->severity;
    }
    for (size_t i = 0; i < registries->list.count; i++) {
        const struct registry *registry = registries_at(registries, i);
        if (registry->remote == NULL)
            continue;
        const size_t *found = strmap_get(&gravest, registry->label);
        enum severity severity = found != NULL ? (enum severity) * found : SEVERITY_INFO;
        /* The key itself can be given a value. */
        struct str property = registry->remote->var.property_text;
        judge_report(
            judge, FINDING_REMOTE_CONFIG_OVERRIDE, severity, registry, registry->remote,
            arena_printf(
                judge->arena,
                "the remote configuration sets %.*s%s%.*s; it %s the "
                "environment and takes effect without a restart",
                STR_ARG(property), property.n > 0 ? " of " : "", STR_ARG(registry->label),
                registry->remote->layer == LAYER_REMOTE ? "outranks" : "comes after"),
            STR("take it out of the remote configuration and list the registry in "
                "the policy"));
    }
}

/* Is what is wrong with it no fault of this update? A mount that is new is one where it
 * may not be; elsewhere it must not make errors of what was there before. */
static bool was_so(const struct policy *policy, const struct workload *workload)
{
    return workload->unchanged &&
           (!workload->mounts_new || policy->opaque != OPAQUE_DENY);
}

/* Enforcement, ratcheting, order. */
static bool conclude(struct arena *arena, const struct policy *policy, bool unchanged,
                     bool would_change, struct decision *decision)
{
    struct findings *findings = &decision->findings;
    bool errors = findings_any(findings, SEVERITY_ERROR);
    bool audit = policy->enforcement == POLICY_AUDIT;
    decision->audited = audit && (errors || would_change);
    decision->ratcheted = errors && unchanged && !audit;
    decision->allowed = !errors || unchanged || audit;
    for (size_t i = 0; i < findings_count(findings) && errors && decision->allowed; i++) {
        struct finding *finding = findings_at(findings, i);
        if (finding->severity == SEVERITY_ERROR)
            finding->severity = SEVERITY_WARNING;
    }
    return findings_sort(arena, findings) && !arena->failed;
}

static void container_missing(struct arena *arena, const struct policy_target *target,
                              struct findings *findings)
{
    struct finding *finding =
        findings_add(arena, findings, FINDING_CONTAINER_NOT_FOUND, SEVERITY_ERROR);
    if (finding == NULL)
        return;
    finding->source = STR("policy");
    finding->path = STR("spec.template.spec.containers");
    finding->message =
        arena_printf(arena,
                     "the policy's target has no container %.*s here, so what "
                     "the API would recognise cannot be told",
                     STR_ARG(target->container));
    finding->advice =
        STR("name the container in the policy's targets as the Deployment does");
}

/* What is about to be added is said, so that nobody wonders where it came from; and what
 * is not, for another finding's sake. */
static void note_added(struct arena *arena, const struct policy *policy,
                       const struct registries *found, struct str path,
                       enum severity severity, const char *what,
                       struct findings *findings)
{
    for (size_t i = 0; i < policy->registry_count; i++) {
        const struct policy_registry *listed = &policy->registries[i];
        bool there = false;
        for (size_t k = 0; k < found->list.count && !there; k++) {
            const struct registry *registry = registries_at(found, k);
            there = registry->listed == listed && registry->found_name != NULL &&
                    registry->found_hostname != NULL;
        }
        if (there)
            continue;
        struct finding *finding =
            findings_add(arena, findings, FINDING_MISSING_REGISTRY, severity);
        if (finding == NULL)
            return;
        finding->key = listed->key;
        finding->source = STR("policy");
        finding->path = path;
        finding->message = arena_printf(
            arena,
            "the registry %.*s (%.*s) is in the policy and not in the Deployment: %s",
            STR_ARG(listed->key), STR_ARG(listed->hostname), what);
    }
}

/* In the mutating pass: nothing for a denial, which has worse to say. */
static void note_missing(struct arena *arena, const struct policy *policy,
                         const struct workload *workload, const struct registries *found,
                         struct str path, struct findings *findings)
{
    bool errors = findings_any(findings, SEVERITY_ERROR);
    if (policy->enforcement == POLICY_AUDIT)
        note_added(arena, policy, found, path, SEVERITY_WARNING, "Audit does not add it",
                   findings);
    else if (!errors)
        note_added(arena, policy, found, path, SEVERITY_INFO, "it is added", findings);
    else if (was_so(policy, workload))
        note_added(arena, policy, found, path, SEVERITY_WARNING,
                   "it is not added before the other findings are put right", findings);
}

bool decide_deployment(struct arena *arena, const struct policy *policy,
                       const struct policy_target *target,
                       const struct workload *workload, enum decide_phase phase,
                       struct decision *ret_decision)
{
    struct decision decision = {.patch = {.container = workload->container.index}};
    if (!workload->container.found) {
        container_missing(arena, target, &decision.findings);
        if (!conclude(arena, policy, was_so(policy, workload), false, &decision))
            return false;
        *ret_decision = decision;
        return true;
    }
    bool inject = policy->mode == POLICY_INJECT;
    bool changing = inject && phase == DECIDE_MUTATE;
    struct plan plan = {.actions = NULL};
    if (changing)
        plan_make(arena, policy, target->prefix, workload, &decision.findings, &plan);
    if (arena->failed)
        return false;
    struct sources sources;
    struct registries registries;
    sources_read(arena, target->prefix, workload, plan.skip, &sources);
    if (changing)
        plan_declare(arena, target->prefix, &plan, workload, &sources);
    registries_group(arena, policy, target->prefix, &sources, &registries);
    if (arena->failed)
        return false;
    bool removed = false;
    for (size_t i = 0;
         changing && policy->unlisted == UNLISTED_REMOVE && i < registries.list.count;
         i++) {
        const struct registry *registry = registries_at(&registries, i);
        if (registry->artifact != ARTIFACT_CONTAINER || registry->builtin != NULL ||
            registry->listed != NULL || !registry->exists || registry->not_in_env != NULL)
            continue;
        removed = true;
        plan_remove_registry(&plan, &sources, registry);
        const struct judge reporter = {.arena = arena, .findings = &decision.findings};
        judge_report(
            &reporter, FINDING_UNLISTED_REGISTRY, SEVERITY_WARNING, registry,
            registry->first,
            arena_printf(arena, "the registry %.*s is not in the policy and is taken out",
                         STR_ARG(registry->label)),
            arena_printf(arena, "list %.*s in the policy to keep it",
                         STR_ARG(registry->label)));
    }
    if (removed) {
        sources_read(arena, target->prefix, workload, plan.skip, &sources);
        plan_declare(arena, target->prefix, &plan, workload, &sources);
        registries_group(arena, policy, target->prefix, &sources, &registries);
    }
    if (arena->failed)
        return false;
    struct str path = arena_printf(arena, "spec.template.spec.containers[%zu].env",
                                   workload->container.index);
    struct judge judge = {
        .arena = arena,
        .policy = policy,
        .prefix = target->prefix,
        .env_path = path,
        .inject = inject,
        .can_set = changing,
        /* In Audit the mutating pass has said what it would add. */
        .whole = changing || !(inject && policy->enforcement == POLICY_AUDIT),
        .findings = &decision.findings,
    };
    take_over(arena, policy, &sources.findings, &decision.findings);
    judge_registries(&judge, &registries);
    note_remote(&judge, &registries);
    if (changing)
        note_missing(arena, policy, workload, &registries, path, &decision.findings);
    if (!conclude(arena, policy, was_so(policy, workload), plan.changes_env, &decision))
        return false;
    if (changing && decision.allowed && !decision.ratcheted &&
        policy->enforcement == POLICY_ENFORCE)
        plan_patch(arena, policy, workload, &plan, &decision.patch);
    if (arena->failed)
        return false;
    *ret_decision = decision;
    return true;
}

static void read_alone(struct arena *arena, struct str prefix,
                       const struct config_map *config_map,
                       const struct remote_config *remote, struct sources *ret_sources)
{
    if (config_map != NULL)
        sources_read_config_map(arena, prefix, config_map, ret_sources);
    else
        sources_read_remote(arena, prefix, remote, ret_sources);
}

/* The order counts too: it is that of the object, and equal objects have equal orders. */
static bool says_the_same(const struct sources *a, const struct sources *b)
{
    if (a->declared.count != b->declared.count ||
        findings_count(&a->findings) != findings_count(&b->findings))
        return false;
    for (size_t i = 0; i < a->declared.count; i++) {
        const struct declaration *left = sources_at(a, i);
        const struct declaration *right = sources_at(b, i);
        if (!str_eq(left->variable, right->variable) ||
            !str_eq(left->value, right->value) || left->layer != right->layer ||
            !str_eq(left->condition, right->condition))
            return false;
    }
    for (size_t i = 0; i < findings_count(&a->findings); i++) {
        if (!str_eq(findings_at(&a->findings, i)->message,
                    findings_at(&b->findings, i)->message))
            return false;
    }
    return true;
}

/* Of two that cannot be read wholly, only the texts can tell. */
static bool same_unread(const struct remote_config *a, const struct remote_config *b)
{
    if (a == NULL || b == NULL || (a->problem.n + a->limit.n == 0 && !a->rank_unclear))
        return true;
    if (a->data_count != b->data_count)
        return false;
    for (size_t i = 0; i < a->data_count; i++) {
        if (!str_eq(a->data[i].key, b->data[i].key) ||
            !str_eq(a->data[i].value, b->data[i].value))
            return false;
    }
    return true;
}

bool decide_config_map(struct arena *arena, const struct policy *policy,
                       const struct config_map_input *input,
                       struct decision *ret_decision, bool *ret_concerned)
{
    struct decision decision = {.patch = {.container = 0}};
    struct sources sources;
    read_alone(arena, input->prefix, input->config_map, input->remote, &sources);
    bool unchanged = false;
    if (input->old_config_map != NULL || input->old_remote != NULL) {
        struct sources old;
        read_alone(arena, input->prefix, input->old_config_map, input->old_remote, &old);
        unchanged = says_the_same(&sources, &old) &&
                    same_unread(input->remote, input->old_remote) &&
                    (input->config_map == NULL ||
                     sources_same_config_map(input->prefix, input->config_map,
                                             input->old_config_map));
    }
    bool declares = sources.declared.count > sources.bystanders;
    bool concerned = declares || findings_count(&sources.findings) > 0;
    /* The Deployment will carry the policy's registries whatever the mode is: what this
     * ConfigMap declares must get on with them. */
    if (declares)
        plan_declare_all(arena, policy, input->prefix, &sources);
    struct registries registries;
    registries_group(arena, policy, input->prefix, &sources, &registries);
    if (arena->failed)
        return false;
    struct judge judge = {
        .arena = arena,
        .policy = policy,
        .prefix = input->prefix,
        .env_path = STR(""),
        .inject = policy->mode == POLICY_INJECT,
        .findings = &decision.findings,
    };
    take_over(arena, policy, &sources.findings, &decision.findings);
    judge_registries(&judge, &registries);
    note_remote(&judge, &registries);
    if (!conclude(arena, policy, unchanged, false, &decision))
        return false;
    *ret_decision = decision;
    *ret_concerned = concerned;
    return true;
}
