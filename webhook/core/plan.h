/* What would be changed in a container's env: the policy's registries in, what an earlier
 * policy injected out, unlisted ones out where the policy says so. Pure. */
#ifndef NRW_CORE_PLAN_H
#define NRW_CORE_PLAN_H

#include "core/patch.h"
#include "core/registries.h"

enum plan_action { PLAN_KEEP, PLAN_REPLACE, PLAN_REMOVE };

struct plan_add {
    struct str name, value;
};

struct plan {
    enum plan_action *actions; /* per entry of env; NULL when env is empty */
    struct str *values;        /* the new value of a replaced entry */
    bool *skip;                /* entries that count no more: replaced and removed ones */
    struct arena_list adds; /* of struct plan_add, sorted by key, NAME before HOSTNAME */
    struct arena_list record; /* of struct plan_add: what is ours afterwards */
    bool changes_env;
};

/* Plans the listed registries and what an earlier policy injected. Adds a finding for
 * what is taken out and for our own values that a newer policy changes. Check
 * arena->failed. */
void plan_make(struct arena *arena, const struct policy *policy, struct str prefix,
               const struct workload *workload, struct findings *findings,
               struct plan *ret_plan);

/* Also takes out the entries of env that declare this registry. */
void plan_remove_registry(struct plan *plan, const struct sources *sources,
                          const struct registry *registry);

/* What is about to be added, as declarations. */
void plan_declare(struct arena *arena, struct str prefix, const struct plan *plan,
                  const struct workload *workload, struct sources *sources);

/* Every registry of the policy, as if it were added: for a ConfigMap alone. */
void plan_declare_all(struct arena *arena, const struct policy *policy, struct str prefix,
                      struct sources *sources);

/* The operations, annotations included. */
void plan_patch(struct arena *arena, const struct policy *policy,
                const struct workload *workload, const struct plan *plan,
                struct patch *ret_patch);

#endif
