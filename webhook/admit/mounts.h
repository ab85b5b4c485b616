/* What is mounted into a container, of that where the API looks for its configuration: as
 * JSON into what core/ judges. Worker threads and the offline verbs. */
#ifndef NRW_ADMIT_MOUNTS_H
#define NRW_ADMIT_MOUNTS_H

#include <jansson.h>

#include "core/workload.h"
#include "util/arena.h"

/* Fills mounts and mount_count of `out`, with texts in the arena. Left out is what nobody
 * but the container itself and Kubernetes writes: an emptyDir into which no other
 * container of the pod may write, and the projection of a service account's own files.
 * False: the arena refused. */
bool mounts_read(struct arena *arena, const json_t *pod, const json_t *container,
                 struct container_spec *out);

/* Were all that there are now there before, in whatever order? False: the arena refused.
 */
bool mounts_are_old(struct arena *arena, const struct container_spec *now,
                    const struct container_spec *before, bool *ret_old);

#endif
