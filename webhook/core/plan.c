/* What would be changed; see plan.h. The record of what we injected is the annotation
 * nvcf-registry-webhook/injected, one `VARIABLE=value` a line; an entry of env is ours
 * only while it still has the recorded value. Pure. */
#include "core/plan.h"

#include "util/strmap.h"

struct planner {
    struct arena *arena;
    const struct policy *policy;
    struct str prefix;
    const struct workload *workload;
    struct findings *findings;
    struct plan *plan;
    struct strmap env;    /* name → index of its first entry */
    struct strmap record; /* name → offset of its value in the annotation */
    struct str annotation;
};

static struct str annotation_of(const struct workload *workload)
{
    struct str text = workload->injected;
    if (str_is_null(text))
        text = workload->old_injected;
    return str_is_null(text) ? STR("") : text;
}

static bool next_line(struct str text, size_t *at, struct str *ret_line)
{
    if (*at >= text.n)
        return false;
    size_t end = str_index(text, *at, '\n');
    *ret_line = str_from(text.p + *at, end - *at);
    *at = end + 1;
    return true;
}

static bool recorded(const struct planner *planner, struct str name,
                     struct str *ret_value)
{
    const size_t *at = strmap_get(&planner->record, name);
    if (at == NULL)
        return false;
    size_t end = str_index(planner->annotation, *at, '\n');
    *ret_value = str_from(planner->annotation.p + *at, end - *at);
    return true;
}

static bool index_names(struct planner *planner)
{
    const struct container_spec *container = &planner->workload->container;
    strmap_reserve(planner->arena, &planner->env, container->env_count);
    for (size_t i = 0; i < container->env_count; i++) {
        if (strmap_put(planner->arena, &planner->env, container->env[i].name, i, NULL) ==
            NULL)
            return false;
    }
    planner->annotation = annotation_of(planner->workload);
    size_t at = 0;
    struct str line;
    while (next_line(planner->annotation, &at, &line)) {
        size_t equals = str_index(line, 0, '=');
        if (equals == 0 || equals == line.n)
            continue;
        size_t offset = (size_t)(line.p - planner->annotation.p) + equals + 1;
        if (strmap_put(planner->arena, &planner->record, str_first(line, equals), offset,
                       NULL) == NULL)
            return false;
    }
    return true;
}

static void remember(struct arena *arena, struct arena_list *list, struct str name,
                     struct str value)
{
    struct plan_add *add = arena_list_add(arena, list, sizeof(*add));
    if (add != NULL)
        *add = (struct plan_add){name, value};
}

static bool literal_is(const struct env_var *var, struct str value)
{
    return !var->has_value_from && str_eq(var->value, value);
}

static void plan_variable(struct planner *planner, const struct policy_registry *registry,
                          enum spring_property property, struct str value)
{
    struct plan *plan = planner->plan;
    struct str name =
        spring_variable(planner->arena, planner->prefix, registry->key, property);
    const size_t *index = strmap_get(&planner->env, name);
    struct str before;
    bool ours = recorded(planner, name, &before);
    if (index == NULL) {
        remember(planner->arena, &plan->adds, name, value);
        remember(planner->arena, &plan->record, name, value);
        plan->changes_env = true;
        return;
    }
    const struct env_var *var = &planner->workload->container.env[*index];
    ours = ours && literal_is(var, before);
    if (ours)
        remember(planner->arena, &plan->record, name, value);
    /* A reference is replaced even where it reads the same today: what the pod gets must
     * not depend on how fresh a cache is. */
    if (literal_is(var, value))
        return;
    plan->actions[*index] = PLAN_REPLACE;
    plan->values[*index] = value;
    plan->changes_env = true;
    plan->skip[*index] = ours; /* ours: nobody's value is overridden, nothing to say */
    if (!ours)
        return;
    struct finding *finding = findings_add(planner->arena, planner->findings,
                                           FINDING_VALUE_CONFLICT, SEVERITY_INFO);
    if (finding == NULL)
        return;
    finding->key = registry->key;
    finding->source = STR("policy");
    finding->path = STR("");
    finding->message =
        arena_printf(planner->arena, "%.*s was injected as \"%.*s\" and is now \"%.*s\"",
                     STR_ARG(name), STR_ARG(before), STR_ARG(value));
}

/* Is the entry of this name absent, or still what the record says we made it? */
static bool is_ours_or_absent(const struct planner *planner, struct str key,
                              enum spring_property property)
{
    struct str name = spring_variable(planner->arena, planner->prefix, key, property);
    const size_t *index = strmap_get(&planner->env, name);
    struct str value;
    return index == NULL ||
           (recorded(planner, name, &value) &&
            literal_is(&planner->workload->container.env[*index], value));
}

/* Only variables of the shape that we inject are touched, whatever the annotation says;
 * and a registry of which the user has made one half his own is left whole. */
static bool is_stale(const struct planner *planner, struct str name,
                     struct spring_var *var)
{
    return spring_parse(planner->arena, planner->prefix, name, true, var) &&
           var->artifact == ARTIFACT_CONTAINER && var->form == SPRING_FORM_UPPER &&
           (var->property == SPRING_NAME || var->property == SPRING_HOSTNAME) &&
           registries_listed(planner->policy, var->uniform) == NULL &&
           is_ours_or_absent(planner, var->key, SPRING_NAME) &&
           is_ours_or_absent(planner, var->key, SPRING_HOSTNAME);
}

/* What an earlier policy injected and this one does not list. */
static void plan_stale(struct planner *planner)
{
    size_t at = 0;
    struct str line;
    while (next_line(planner->annotation, &at, &line)) {
        size_t equals = str_index(line, 0, '=');
        struct str name = str_first(line, equals);
        const size_t *index = strmap_get(&planner->env, name);
        struct spring_var var;
        if (equals == line.n || index == NULL || planner->plan->skip[*index] ||
            !is_stale(planner, name, &var))
            continue;
        planner->plan->actions[*index] = PLAN_REMOVE;
        planner->plan->skip[*index] = true;
        planner->plan->changes_env = true;
        struct finding *finding = findings_add(planner->arena, planner->findings,
                                               FINDING_REMOVED_REGISTRY, SEVERITY_INFO);
        if (finding == NULL)
            return;
        finding->key = var.key;
        finding->source = STR("env");
        finding->path =
            arena_printf(planner->arena, "spec.template.spec.containers[%zu].env[%zu]",
                         planner->workload->container.index, *index);
        finding->message =
            arena_printf(planner->arena,
                         "%.*s was injected by an earlier policy and is taken "
                         "out, since the policy no longer lists %.*s",
                         STR_ARG(name), STR_ARG(var.key));
    }
}

void plan_make(struct arena *arena, const struct policy *policy, struct str prefix,
               const struct workload *workload, struct findings *findings,
               struct plan *ret_plan)
{
    *ret_plan = (struct plan){.actions = NULL};
    struct planner planner = {arena,           policy,          prefix,
                              workload,        findings,        ret_plan,
                              {.slots = NULL}, {.slots = NULL}, STR("")};
    size_t count = workload->container.env_count;
    ret_plan->actions = ARENA_ARRAY(arena, enum plan_action, count + 1);
    ret_plan->values = ARENA_ARRAY(arena, struct str, count + 1);
    ret_plan->skip = ARENA_ARRAY(arena, bool, count + 1);
    if (ret_plan->actions == NULL || ret_plan->values == NULL || ret_plan->skip == NULL ||
        !index_names(&planner))
        return;
    for (size_t i = 0; i < policy->registry_count; i++) {
        const struct policy_registry *registry = &policy->registries[i];
        plan_variable(&planner, registry, SPRING_NAME, registry->name);
        plan_variable(&planner, registry, SPRING_HOSTNAME, registry->hostname);
    }
    plan_stale(&planner);
}

void plan_remove_registry(struct plan *plan, const struct sources *sources,
                          const struct registry *registry)
{
    for (size_t i = 0; i < sources->declared.count; i++) {
        const struct declaration *declaration = sources_at(sources, i);
        bool own = declaration->var.artifact == registry->artifact &&
                   str_eq(declaration->var.map_key, registry->map_key);
        /* A variable may fill in a key that is not its own (docs/SPRING.md, R4). */
        bool filling = declaration == registry->name || declaration == registry->hostname;
        if (declaration->env_index == NOT_IN_ENV || declaration->layer != LAYER_ENV ||
            (!own && !filling))
            continue;
        plan->actions[declaration->env_index] = PLAN_REMOVE;
        plan->skip[declaration->env_index] = true;
        plan->changes_env = true;
    }
}

static void declare(struct arena *arena, struct str prefix, struct sources *sources,
                    struct str name, struct str value)
{
    struct spring_var var;
    if (!spring_parse(arena, prefix, name, true, &var))
        return;
    struct declaration *declaration =
        arena_list_add(arena, &sources->declared, sizeof(*declaration));
    if (declaration == NULL)
        return;
    *declaration = (struct declaration){
        .var = var,
        .variable = name,
        .value = value,
        .readable = true,
        .layer = LAYER_ENV,
        .source = STR("policy"),
        .path = STR(""),
        .env_index = NOT_IN_ENV,
        .injected = true,
    };
}

void plan_declare(struct arena *arena, struct str prefix, const struct plan *plan,
                  const struct workload *workload, struct sources *sources)
{
    const struct plan_add *adds = plan->adds.items;
    for (size_t i = 0; i < plan->adds.count; i++)
        declare(arena, prefix, sources, adds[i].name, adds[i].value);
    for (size_t i = 0; i < workload->container.env_count; i++) {
        if (plan->actions[i] == PLAN_REPLACE)
            declare(arena, prefix, sources, workload->container.env[i].name,
                    plan->values[i]);
    }
}

void plan_declare_all(struct arena *arena, const struct policy *policy, struct str prefix,
                      struct sources *sources)
{
    for (size_t i = 0; i < policy->registry_count; i++) {
        const struct policy_registry *registry = &policy->registries[i];
        declare(arena, prefix, sources,
                spring_variable(arena, prefix, registry->key, SPRING_NAME),
                registry->name);
        declare(arena, prefix, sources,
                spring_variable(arena, prefix, registry->key, SPRING_HOSTNAME),
                registry->hostname);
    }
}

static void add_op(struct arena *arena, struct patch *patch, enum patch_kind kind,
                   size_t index, struct str name, struct str value)
{
    struct patch_op *op = arena_list_add(arena, &patch->ops, sizeof(*op));
    if (op != NULL)
        *op = (struct patch_op){kind, index, name, value};
}

static void patch_env(struct arena *arena, const struct workload *workload,
                      const struct plan *plan, struct patch *patch)
{
    const struct container_spec *container = &workload->container;
    for (size_t i = 0; i < container->env_count; i++) {
        if (plan->actions[i] == PLAN_REPLACE)
            add_op(arena, patch, PATCH_ENV_REPLACE, i,
                   arena_str(arena, container->env[i].name), plan->values[i]);
    }
    for (size_t i = container->env_count; i-- > 0;) {
        if (plan->actions[i] == PLAN_REMOVE)
            add_op(arena, patch, PATCH_ENV_REMOVE, i,
                   arena_str(arena, container->env[i].name), STR(""));
    }
    const struct plan_add *adds = plan->adds.items;
    if (plan->adds.count > 0 && !container->env_present)
        add_op(arena, patch, PATCH_ENV_CREATE, 0, STR(""), STR(""));
    for (size_t i = 0; i < plan->adds.count; i++)
        add_op(arena, patch, PATCH_ENV_APPEND, 0, adds[i].name, adds[i].value);
}

static struct str render_record(struct arena *arena, const struct plan *plan)
{
    const struct plan_add *record = plan->record.items;
    size_t n = 0;
    for (size_t i = 0; i < plan->record.count; i++)
        n += record[i].name.n + record[i].value.n + 2;
    char *text = arena_alloc(arena, n + 1, 1);
    if (text == NULL)
        return STR("");
    size_t at = 0;
    for (size_t i = 0; i < plan->record.count; i++) {
        memcpy(text + at, record[i].name.p, record[i].name.n);
        at += record[i].name.n;
        text[at++] = '=';
        memcpy(text + at, record[i].value.p, record[i].value.n);
        at += record[i].value.n;
        text[at++] = '\n';
    }
    return str_from(text, at > 0 ? at - 1 : 0); /* no newline at the end */
}

void plan_patch(struct arena *arena, const struct policy *policy,
                const struct workload *workload, const struct plan *plan,
                struct patch *ret_patch)
{
    *ret_patch = (struct patch){.container = workload->container.index};
    patch_env(arena, workload, plan, ret_patch);
    struct str record = render_record(arena, plan);
    struct str hash = str_of(policy->hash);
    bool set_policy = str_is_null(workload->policy) || !str_eq(workload->policy, hash);
    bool set_record = record.n > 0 && (str_is_null(workload->injected) ||
                                       !str_eq(workload->injected, record));
    bool drop_record = record.n == 0 && !str_is_null(workload->injected);
    if (!workload->annotations_present && (set_policy || set_record))
        add_op(arena, ret_patch, PATCH_ANNOTATIONS_CREATE, 0, STR(""), STR(""));
    if (set_record)
        add_op(arena, ret_patch, PATCH_ANNOTATION_SET, 0, STR(ANNOTATION_INJECTED),
               record);
    if (drop_record)
        add_op(arena, ret_patch, PATCH_ANNOTATION_REMOVE, 0, STR(ANNOTATION_INJECTED),
               STR(""));
    if (set_policy)
        add_op(arena, ret_patch, PATCH_ANNOTATION_SET, 0, STR(ANNOTATION_POLICY), hash);
}
