/* The registries that the API would recognise; see registries.h. Pure. */
#include "core/registries.h"

#include "util/strmap.h"

const struct policy_registry *registries_listed(const struct policy *policy,
                                                struct str uniform)
{
    /* The policy is sorted by key, and a key in lower case is its uniform form. */
    size_t low = 0;
    size_t high = policy->registry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct str key = policy->registries[middle].key;
        int order = 0;
        size_t i = 0;
        while (order == 0 && i < key.n && i < uniform.n) {
            order = ascii_lower(key.p[i]) - uniform.p[i];
            i++;
        }
        if (order == 0)
            order = (key.n > uniform.n) - (key.n < uniform.n);
        if (order == 0)
            return &policy->registries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Does `a` win over `b`, read earlier, for the same property? */
static bool wins(const struct declaration *a, const struct declaration *b)
{
    if (a->layer != b->layer)
        return a->layer > b->layer;
    if (a->var.form != b->var.form)
        return a->var.form < b->var.form;
    if (a->injected != b->injected)
        return a->injected;
    /* The same variable twice in env: the kubelet takes the last one. */
    return a->layer == LAYER_ENV && str_eq(a->variable, b->variable);
}

static bool same_strength(const struct declaration *a, const struct declaration *b)
{
    return !wins(a, b) && !wins(b, a);
}

static bool same_value(const struct declaration *a, const struct declaration *b)
{
    return a->readable && b->readable && str_eq(a->value, b->value);
}

static void settle(struct registry *registry, const struct declaration *declaration,
                   const struct declaration **winner, bool note_ambiguity)
{
    const struct declaration *doubt = registry->ambiguous;
    if (*winner == NULL || wins(declaration, *winner)) {
        *winner = declaration;
        /* A stronger one settles the doubt between weaker ones of its property. */
        if (note_ambiguity && doubt != NULL &&
            doubt->var.property == declaration->var.property)
            registry->ambiguous = NULL;
    } else if (note_ambiguity && same_strength(declaration, *winner) &&
               !same_value(declaration, *winner))
        registry->ambiguous = declaration;
}

static void add(struct registry *registry, const struct declaration *declaration)
{
    const struct spring_var *var = &declaration->var;
    if (!declaration->injected) {
        if (declaration->layer == LAYER_REMOTE)
            registry->remote = declaration;
        if (declaration->env_index == NOT_IN_ENV || declaration->layer != LAYER_ENV)
            registry->not_in_env = declaration;
    }
    if (var->property == SPRING_UNKNOWN && var->nested_registry)
        registry->nested = declaration;
    if (!var->legacy_builtin && !str_eq(var->map_key, registry->map_key))
        registry->other_key = var->map_key;
    if (var->property == SPRING_SCALAR)
        registry->scalar = declaration;
    if (var->property == SPRING_NAME || var->property == SPRING_HOSTNAME ||
        var->property == SPRING_TUNING)
        registry->exists = true;
    if (var->property == SPRING_NAME) {
        settle(registry, declaration, &registry->name, true);
        if (!declaration->injected)
            settle(registry, declaration, &registry->found_name, false);
    } else if (var->property == SPRING_HOSTNAME) {
        settle(registry, declaration, &registry->hostname, true);
        if (!declaration->injected)
            settle(registry, declaration, &registry->found_hostname, false);
    }
}

static struct registry *find_or_make(struct arena *arena, struct strmap *map,
                                     struct registries *registries,
                                     const struct policy *policy,
                                     const struct declaration *declaration)
{
    const struct spring_var *var = &declaration->var;
    bool fresh;
    size_t *index = strmap_put(arena, map, var->uniform, registries->list.count, &fresh);
    if (index == NULL)
        return NULL;
    if (!fresh)
        return registries_at(registries, *index);
    struct registry *registry =
        arena_list_add(arena, &registries->list, sizeof(*registry));
    if (registry == NULL)
        return NULL;
    *registry = (struct registry){
        .artifact = var->artifact,
        .uniform = var->uniform,
        .map_key = var->builtin != NULL && builtin_has_host(var->builtin)
                       ? var->builtin->key
                       : var->map_key,
        .other_key = str_null(),
        .label = var->builtin != NULL ? var->builtin->env : var->key,
        .builtin = var->builtin,
        .first = declaration,
        .exists = var->builtin != NULL && builtin_has_host(var->builtin) &&
                  var->artifact == ARTIFACT_CONTAINER,
    };
    if (var->artifact == ARTIFACT_CONTAINER)
        registry->listed = registries_listed(policy, var->uniform);
    if (registry->listed != NULL)
        registry->label = registry->listed->key;
    return registry;
}

void registries_group(struct arena *arena, const struct policy *policy,
                      const struct sources *sources, struct registries *ret_registries)
{
    struct strmap maps[ARTIFACT_RESOURCE + 1] = {{.slots = NULL}};
    *ret_registries = (struct registries){.list = {.items = NULL}};
    for (size_t i = 0; i < sources->declared.count; i++) {
        const struct declaration *declaration = sources_at(sources, i);
        struct registry *registry = find_or_make(arena, &maps[declaration->var.artifact],
                                                 ret_registries, policy, declaration);
        if (registry == NULL)
            return;
        add(registry, declaration);
    }
}
