/* What to set and what to unset, by the full names of the variables: people copy them.
 * Pure. */
#ifndef NRW_CORE_ADVICE_H
#define NRW_CORE_ADVICE_H

#include "core/registries.h"

/* "A, B and C": every variable that makes the registry. One that stays behind makes half
 * a registry. */
struct str advice_variables(struct arena *arena, const struct registries *registries,
                            const struct registry *registry);

/* Both variables that a registry needs, or else none of those that make it. */
struct str advice_both(struct arena *arena, struct str prefix,
                       const struct registries *registries,
                       const struct registry *registry);

/* Both variables of a registry of the policy, with their values. */
struct str advice_listed(struct arena *arena, struct str prefix,
                         const struct policy_registry *listed);

#endif
