/* The remote configuration of a workload as Spring Cloud Kubernetes puts it together: the
 * ConfigMap that is named, and after it `<name>-<profile>` for each active profile, of
 * which a later one overrides (include-profile-specific-sources is on unless somebody
 * turns it off). Worker threads and the offline verbs. */
#ifndef NRW_ADMIT_REMOTE_MAPS_H
#define NRW_ADMIT_REMOTE_MAPS_H

#include "core/workload.h"
#include "policy/remote.h"
#include "util/arena.h"

/* Is it a name as NVIDIA's charts make them, …-env or …-remote-config, or that of the
 * latter's sibling for a profile? The cache keeps all such, so that one which is not
 * there does not exist (app/cluster.c). */
bool remote_maps_kept(struct str name);

/* Is it that of a remote configuration, or of a sibling? */
bool remote_maps_named(struct str name);

/* Fills workload->remote and remote_names. `profiles`: comma-separated. `certain`: they
 * are the active ones; otherwise a sibling is read and overrides nothing. One that does
 * not exist is normal. False: the arena refused. */
bool remote_maps_read(struct arena *arena, struct str prefix, struct str name,
                      struct str profiles, bool certain, struct workload *workload);

/* "x-remote-config" for its sibling "x-remote-config-ncp"; null for any other name. */
struct str remote_maps_base(struct str name);

/* One ConfigMap alone; `budget`: that of all that are read for one configuration. False:
 * the arena refused. */
bool remote_maps_read_one(struct arena *arena, struct str prefix,
                          const struct config_map *map, struct remote_budget *budget,
                          struct remote_config *ret_remote);

/* What `map` says (`more`, as remote_maps_read_one() has it) after what `remote` says:
 * its sibling. The texts that are remembered are then the former's. False likewise. */
bool remote_maps_join(struct arena *arena, const struct config_map *map,
                      const struct remote_config *more, bool certain,
                      struct remote_config *remote);

#endif
