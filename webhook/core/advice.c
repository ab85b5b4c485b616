/* Variables by their full names; see advice.h. Pure. */
#include "core/advice.h"

static const struct declaration *at(const struct arena_list *own, size_t i)
{
    return ((const struct declaration **)own->items)[i];
}

/* A variable may fill in a key that is not its own (docs/SPRING.md, R4). */
static bool is_own(const struct arena_list *own, const struct declaration *declaration)
{
    for (size_t i = 0; i < own->count; i++) {
        if (at(own, i) == declaration)
            return true;
    }
    return declaration == NULL;
}

struct str advice_variables(struct arena *arena, const struct registries *registries,
                            const struct registry *registry)
{
    const struct arena_list own = registries_own(registries, registry);
    size_t count = own.count;
    struct str *names = ARENA_ARRAY(arena, struct str, count + 2);
    if (names == NULL)
        return STR("");
    for (size_t i = 0; i < count; i++)
        names[i] = at(&own, i)->variable;
    if (!is_own(&own, registry->name))
        names[count++] = registry->name->variable;
    if (!is_own(&own, registry->hostname))
        names[count++] = registry->hostname->variable;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += names[i].n + sizeof(" and ");
    char *text = arena_alloc(arena, n + 1, 1);
    if (text == NULL)
        return STR("");
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct str between = i == 0 ? STR("") : i + 1 == count ? STR(" and ") : STR(", ");
        memcpy(text + used, between.p, between.n);
        used += between.n;
        memcpy(text + used, names[i].p, names[i].n);
        used += names[i].n;
    }
    return str_from(text, used);
}

/* All variables where they are kept, else one, by which the others are found. */
static struct str there_is(struct arena *arena, const struct registries *registries,
                           const struct registry *registry)
{
    if (registries_own(registries, registry).count > 0)
        return advice_variables(arena, registries, registry);
    const struct declaration *one = registry->name != NULL       ? registry->name
                                    : registry->hostname != NULL ? registry->hostname
                                                                 : registry->first;
    return arena_printf(arena, "%.*s and what else names %.*s", STR_ARG(one->variable),
                        STR_ARG(registry->label));
}

struct str advice_both(struct arena *arena, struct str prefix,
                       const struct registries *registries,
                       const struct registry *registry)
{
    const char *type = artifact_env(registry->artifact);
    struct str key = registry->label;
    struct str there = there_is(arena, registries, registry);
    return arena_printf(arena,
                        "set %.*s_REGISTRIES_RECOGNIZED_%s_%.*s_NAME and "
                        "%.*s_REGISTRIES_RECOGNIZED_%s_%.*s_HOSTNAME, or unset %.*s",
                        STR_ARG(prefix), type, STR_ARG(key), STR_ARG(prefix), type,
                        STR_ARG(key), STR_ARG(there));
}

struct str advice_listed(struct arena *arena, struct str prefix,
                         const struct policy_registry *listed)
{
    return arena_printf(arena,
                        "set %.*s_REGISTRIES_RECOGNIZED_CONTAINER_%.*s_NAME=\"%.*s\" and "
                        "%.*s_REGISTRIES_RECOGNIZED_CONTAINER_%.*s_HOSTNAME=\"%.*s\"",
                        STR_ARG(prefix), STR_ARG(listed->key), STR_ARG(listed->name),
                        STR_ARG(prefix), STR_ARG(listed->key), STR_ARG(listed->hostname));
}
