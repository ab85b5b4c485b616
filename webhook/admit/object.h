/* Kubernetes objects, as JSON, read into what core/ judges. Nothing is copied: the texts
 * are borrowed from the JSON values for as long as those live; lists are in the arena.
 * Worker threads and the offline verbs. */
#ifndef NRW_ADMIT_OBJECT_H
#define NRW_ADMIT_OBJECT_H

#include <jansson.h>

#include "admit/config_maps.h"
#include "core/policy.h"
#include "core/workload.h"
#include "util/arena.h"

/* The member's text, or the null text when it is absent or no string. */
struct str object_text(const json_t *object, const char *member);
/* metadata.<member> likewise. */
struct str object_meta(const json_t *object, const char *member);
bool object_is_deleted(const json_t *object); /* it has a deletionTimestamp */

/* The target that selects the object by its namespace and labels; where it does not, the
 * one that selected the old object (its labels may just have been taken off). */
const struct policy_target *object_target(struct arena *arena,
                                          const struct policy *policy,
                                          struct str name_space, const json_t *object,
                                          const json_t *old_object);

/* A Deployment, as the target sees it. `old_object` may be NULL or JSON null.
 * `config_maps` and `live` (what was told of others) may be NULL. False: the arena
 * refused. */
bool object_workload(struct arena *arena, const struct policy_target *target,
                     struct str name_space, const json_t *object,
                     const json_t *old_object, const struct config_maps *config_maps,
                     const struct live *live, struct workload *ret_workload);

/* Is a variable of this name looked at at all? */
bool object_reads(struct str prefix, struct str variable);

/* The data of a ConfigMap; entries that are no texts are left out. False: refused. */
bool object_config_map(struct arena *arena, struct str name_space, const json_t *object,
                       struct config_map *ret_config_map);

#endif
