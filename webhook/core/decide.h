/* The decision: a policy and what is judged in, a verdict with findings and a patch out.
 * Pure: no I/O, no clock, no globals; the same input gives the same output, byte for
 * byte. */
#ifndef NRW_CORE_DECIDE_H
#define NRW_CORE_DECIDE_H

#include "core/finding.h"
#include "core/patch.h"
#include "core/policy.h"
#include "core/workload.h"

enum decide_phase {
    DECIDE_MUTATE,   /* may change: what is missing is added */
    DECIDE_VALIDATE, /* judges the final object: what is missing is denied */
};

struct decision {
    bool allowed;
    bool audited;   /* enforcement is Audit, and it would have been denied or changed */
    bool ratcheted; /* errors became warnings because nothing judged was changed */
    struct findings findings; /* sorted, most serious first */
    struct patch patch;       /* empty unless allowed */
};

/* The target that selects an object with these labels in this namespace, or NULL. */
const struct policy_target *decide_target(const struct policy *policy,
                                          struct str name_space, const struct kv *labels,
                                          size_t label_count);

/* A Deployment. All texts of the decision are in the arena, literals, or borrowed from
 * policy and workload. False: the arena refused, and there is no verdict. */
bool decide_deployment(struct arena *arena, const struct policy *policy,
                       const struct policy_target *target,
                       const struct workload *workload, enum decide_phase phase,
                       struct decision *ret_decision);

/* A ConfigMap on its own, as the environment or as the remote configuration of a target.
 */
struct config_map_input {
    struct str prefix;
    const struct config_map *config_map, *old_config_map; /* or NULL, NULL */
    const struct remote_config *remote, *old_remote;      /* or NULL, NULL */
};

/* An UPDATE that leaves what the ConfigMap says about registries as it was is not denied.
 * *ret_concerned: it says something about registries (or hides whether it does). */
bool decide_config_map(struct arena *arena, const struct policy *policy,
                       const struct config_map_input *input,
                       struct decision *ret_decision, bool *ret_concerned);

/* The message of a denial: every finding, most serious first. At most `maximum` bytes. */
struct str decide_message(struct arena *arena, const struct decision *decision,
                          size_t maximum);

/* A finding as a warning: one line of at most 256 bytes, no control characters. */
struct str decide_warning(struct arena *arena, const struct finding *finding);

/* The warnings of an answer, in the order of the findings. An API server shows its client
 * 4096 characters of them (admission-contract.md, part 2), so that beyond a few dozen the
 * last one says how many more there are. Returns how many were put into ret_warnings. */
#define DECIDE_WARNINGS_MAX 32u
size_t decide_warnings(struct arena *arena, const struct findings *findings,
                       struct str ret_warnings[DECIDE_WARNINGS_MAX]);

#endif
