/* The registries that the API would recognise: one for every key of its maps, bound as
 * Spring binds it (binding.h). Pure. */
#ifndef NRW_CORE_REGISTRIES_H
#define NRW_CORE_REGISTRIES_H

#include "core/binding.h"
#include "core/sources.h"

struct registry {
    enum artifact artifact;
    struct str
        uniform; /* what Spring compares; keys that are equal in it read the same */
    struct str map_key; /* the key of the map */
    struct str label;   /* the key for people: as the policy or the variable spells it */
    const struct builtin
        *builtin;  /* equal to the key in Spring's eyes, or NULL: custom */
    bool known;    /* the key is a built-in's, to the letter, and of a type that has it */
    bool defaults; /* the API's own YAML has this entry, or one that Spring equates */
    const struct policy_registry *listed;      /* NULL: the policy does not list it */
    const struct declaration *name, *hostname; /* what wins, NULL when nothing sets it */
    const struct declaration *found_name,
        *found_hostname;                 /* the same without injection */
    const struct declaration *first;     /* any one declaration, never NULL */
    const struct declaration *remote;    /* one from the remote configuration, or NULL */
    const struct declaration *ambiguous; /* as strong as a winner, with another value */
    const struct declaration
        *not_in_env; /* one that cannot be taken out of env, or NULL */
    const struct declaration
        *nested;   /* a key with an underscore was meant here, or NULL */
    bool inactive; /* the entry is there, but not under the spelling by which the API asks
                    * whether to make the built-in's client: nothing comes of it */
    bool proper;   /* something else than such a one makes the key */
    bool by_order; /* `ambiguous` spells what stands before the property in a way of its
                    * own, and what the API looks for depends on what it meets first */
    bool decided;  /* whether `nested` is there decides what the key is bound to */
    bool by_chance; /* … or, where the key is `ambiguous`, how chance decides */
    const struct declaration *scalar; /* a value for the key itself, or NULL */
    const struct declaration *object; /* a value where properties are expected, or NULL */
    struct arena_list invalid; /* of const struct declaration *: they do not convert */
    bool exists; /* a property is set: the API has this entry (docs/SPRING.md, R5.3) */
};

struct registries {
    struct arena_list list; /* of struct registry, in order of appearance */
    struct arena_list own;  /* of struct arena_list of const struct declaration *: what
                             * names the key of the registry with the same index. Only
                             * where the policy removes what it does not list; not in
                             * struct registry, which every decision has many of */
};

static inline struct registry *registries_at(const struct registries *registries,
                                             size_t i)
{
    return (struct registry *)registries->list.items + i;
}

/* The entry of the map with exactly this key, or NULL. */
const struct registry *registries_find(const struct registries *registries,
                                       enum artifact artifact, struct str map_key);

/* What names its key where the policy removes, else nothing: `own` above. */
struct arena_list registries_own(const struct registries *registries,
                                 const struct registry *registry);

/* Groups and binds. Declarations are borrowed and must stay where they are. Check
 * arena->failed. */
void registries_group(struct arena *arena, const struct policy *policy, struct str prefix,
                      const struct sources *sources, struct registries *ret_registries);

/* The policy's entry whose key Spring would take for this one, or NULL. */
const struct policy_registry *registries_listed(const struct policy *policy,
                                                struct str uniform);

/* Does the API's own YAML have an entry of this built-in under this type? */
bool registries_by_default(enum artifact artifact, const struct builtin *builtin);

#endif
