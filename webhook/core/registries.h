/* The registries that the API would recognise: declarations grouped by key as Spring
 * groups them, with the value that wins for name and hostname. Pure. */
#ifndef NRW_CORE_REGISTRIES_H
#define NRW_CORE_REGISTRIES_H

#include "core/sources.h"

struct registry {
    enum artifact artifact;
    struct str uniform; /* what Spring compares */
    struct str map_key; /* the key of the map */
    struct str
        other_key; /* a second key of the map that reads the same properties, or null */
    struct str label; /* the key for people: as the policy or the variable spells it */
    const struct builtin *builtin;             /* NULL: custom */
    const struct policy_registry *listed;      /* NULL: the policy does not list it */
    const struct declaration *name, *hostname; /* what wins, NULL when nothing sets it */
    const struct declaration *found_name,
        *found_hostname;                 /* the same without injection */
    const struct declaration *first;     /* any one declaration, never NULL */
    const struct declaration *remote;    /* one from the remote configuration, or NULL */
    const struct declaration *ambiguous; /* as strong as the winner, with another value */
    const struct declaration
        *not_in_env; /* one that cannot be taken out of env, or NULL */
    const struct declaration
        *nested; /* a key with an underscore was meant here, or NULL */
    const struct declaration *scalar; /* a value for the key itself, or NULL */
    bool exists; /* a property is set: the API has this entry (docs/SPRING.md, R5.3) */
};

struct registries {
    struct arena_list list; /* of struct registry, in order of appearance */
};

static inline struct registry *registries_at(const struct registries *registries,
                                             size_t i)
{
    return (struct registry *)registries->list.items + i;
}

/* Groups. Declarations are borrowed and must stay where they are. Check arena->failed. */
void registries_group(struct arena *arena, const struct policy *policy,
                      const struct sources *sources, struct registries *ret_registries);

/* The policy's entry whose key Spring would take for this one, or NULL. */
const struct policy_registry *registries_listed(const struct policy *policy,
                                                struct str uniform);

#endif
