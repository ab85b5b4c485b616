/* The remote configuration of a workload as Spring Cloud Kubernetes puts it together: the
 * ConfigMap that is named, and after it `<name>-<profile>` for each active profile, of
 * which a later one overrides (include-profile-specific-sources is on unless somebody
 * turns it off). Worker threads and the offline verbs. */
#ifndef NRW_ADMIT_REMOTE_MAPS_H
#define NRW_ADMIT_REMOTE_MAPS_H

#include "core/workload.h"
#include "util/arena.h"

/* Is it the name of a remote configuration, as the charts make it, or of a profile's
 * sibling? The cache keeps all such (kube/sources.h). */
bool remote_maps_named(struct str name);

/* Fills workload->remote and remote_names. `profiles`: comma-separated. `certain`: they
 * are the active ones; otherwise a sibling is read and overrides nothing. One that does
 * not exist is normal. False: the arena refused. */
bool remote_maps_read(struct arena *arena, struct str prefix, struct str name,
                      struct str profiles, bool certain, struct workload *workload);

/* "x-remote-config" for its sibling "x-remote-config-ncp"; null for any other name. */
struct str remote_maps_base(struct str name);

/* A sibling as it is read after its base; `sibling` NULL: the base before there was one.
 * The texts that are remembered are the sibling's. */
bool remote_maps_read_sibling(struct arena *arena, struct str prefix,
                              const struct config_map *base,
                              const struct config_map *sibling,
                              struct remote_config *ret_remote);

/* The one of its namespace, or NULL. `name` may be null. */
const struct config_map *remote_maps_find(const struct workload *workload,
                                          struct str name);

#endif
