/* The ConfigMaps that are known: given to `review` among its documents, or seen by the
 * watch. A snapshot: filled by one owner, then frozen and read by many. */
#ifndef NRW_ADMIT_CONFIG_MAPS_H
#define NRW_ADMIT_CONFIG_MAPS_H

#include <jansson.h>

#include "core/workload.h"

struct config_maps;

struct config_maps *config_maps_new(void); /* NULL: out of memory */
void config_maps_free(struct config_maps *maps);
void config_maps_cleanup(struct config_maps **maps);
#define NRW_AUTO_CONFIG_MAPS NRW_CLEANUP(config_maps_cleanup)

/* Adds a ConfigMap (a reference to the JSON is kept), or replaces the one of that name.
 * False: out of memory. */
bool config_maps_add(struct config_maps *maps, struct str name_space, json_t *config_map);

/* There are more of those that would be kept: absence says nothing. */
void config_maps_are_some(struct config_maps *maps);
bool config_maps_is_whole(const struct config_maps *maps);

/* A new set with the same ConfigMaps; `maps` may be NULL (then it is empty, and absence
 * says nothing). NULL: out of memory. */
struct config_maps *config_maps_copy(const struct config_maps *maps);
/* Is this ConfigMap's data other than what is known of it (or is it not known)? */
bool config_maps_differ(const struct config_maps *maps, struct str name_space,
                        const json_t *config_map);

/* All of them; those of one namespace are not apart. */
const struct config_map *config_maps_items(const struct config_maps *maps,
                                           size_t *ret_count);
const struct config_map *config_maps_find(const struct config_maps *maps,
                                          struct str name_space, struct str name);

#endif
