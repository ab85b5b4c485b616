/* Searches in what is judged; see workload.h. Pure. */
#include "core/workload.h"

const struct config_map *workload_config_map(const struct workload *workload,
                                             struct str name)
{
    for (size_t i = 0; i < workload->config_map_count && !str_is_null(name); i++) {
        const struct config_map *map = &workload->config_maps[i];
        if (str_eq(map->name, name) && str_eq(map->name_space, workload->name_space))
            return map;
    }
    return NULL;
}

struct str config_map_value(const struct config_map *map, struct str key)
{
    for (size_t i = 0; map != NULL && i < map->data_count; i++) {
        if (str_eq(map->data[i].key, key))
            return map->data[i].value;
    }
    return str_null();
}
