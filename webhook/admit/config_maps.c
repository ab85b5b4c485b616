/* The ConfigMaps that are known; see config_maps.h. */
#include "admit/config_maps.h"

#include "admit/object.h"
#include "util/mem.h"

/* Bounded, as everything that outsiders can make grow: what the two charts bring is six.
 * The watch keeps half as many at most (kube/sources.c), so that a live look has room. */
#define MAXIMUM       8192u
#define ARENA_MAXIMUM (64u * 1024u * 1024u)

struct config_maps {
    struct arena arena;
    struct config_map *items;
    json_t **owned;
    size_t count, capacity;
    bool some; /* not all */
};

struct config_maps *config_maps_new(void)
{
    struct config_maps *maps = mem_calloc(1, sizeof(*maps));
    if (maps != NULL)
        arena_init(&maps->arena, ARENA_MAXIMUM);
    return maps;
}

void config_maps_free(struct config_maps *maps)
{
    if (maps == NULL)
        return;
    for (size_t i = 0; i < maps->count; i++)
        json_decref(maps->owned[i]);
    mem_free(maps->owned);
    mem_free(maps->items);
    arena_done(&maps->arena);
    mem_free(maps);
}

void config_maps_cleanup(struct config_maps **maps)
{
    config_maps_free(*maps);
}

static bool grow(struct config_maps *maps)
{
    if (maps->count < maps->capacity)
        return true;
    if (maps->capacity >= MAXIMUM)
        return false;
    size_t capacity = maps->capacity > 0 ? maps->capacity * 2 : 8;
    struct config_map *items = mem_realloc(maps->items, capacity * sizeof(*items));
    if (items == NULL)
        return false;
    maps->items = items;
    json_t **owned = mem_realloc(maps->owned, capacity * sizeof(*owned));
    if (owned == NULL)
        return false;
    maps->owned = owned;
    maps->capacity = capacity;
    return true;
}

bool config_maps_add(struct config_maps *maps, struct str name_space, json_t *config_map)
{
    struct config_map item;
    struct str own = arena_str(&maps->arena, name_space);
    if (!object_config_map(&maps->arena, own, config_map, &item) || maps->arena.failed)
        return false;
    size_t at = 0;
    while (at < maps->count && !(str_eq(maps->items[at].name, item.name) &&
                                 str_eq(maps->items[at].name_space, item.name_space)))
        at++;
    if (at == maps->count) {
        if (!grow(maps))
            return false;
        maps->count++;
    } else {
        json_decref(maps->owned[at]);
    }
    maps->items[at] = item;
    maps->owned[at] = json_incref(config_map);
    return true;
}

const struct config_map *config_maps_items(const struct config_maps *maps,
                                           size_t *ret_count)
{
    *ret_count = maps->count;
    return maps->items;
}

const struct config_map *config_maps_find(const struct config_maps *maps,
                                          struct str name_space, struct str name)
{
    for (size_t i = 0; i < maps->count; i++) {
        if (str_eq(maps->items[i].name, name) &&
            str_eq(maps->items[i].name_space, name_space))
            return &maps->items[i];
    }
    return NULL;
}

void config_maps_are_some(struct config_maps *maps)
{
    maps->some = true;
}

bool config_maps_is_whole(const struct config_maps *maps)
{
    return !maps->some;
}

struct config_maps *config_maps_copy(const struct config_maps *maps)
{
    struct config_maps *copy = config_maps_new();
    if (copy != NULL)
        copy->some = maps == NULL || maps->some;
    for (size_t i = 0; copy != NULL && maps != NULL && i < maps->count; i++) {
        if (!config_maps_add(copy, maps->items[i].name_space, maps->owned[i])) {
            config_maps_free(copy);
            return NULL;
        }
    }
    return copy;
}

bool config_maps_differ(const struct config_maps *maps, struct str name_space,
                        const json_t *config_map)
{
    struct str name = object_meta(config_map, "name");
    for (size_t i = 0; maps != NULL && i < maps->count; i++) {
        if (!str_eq(maps->items[i].name, name) ||
            !str_eq(maps->items[i].name_space, name_space))
            continue;
        const json_t *known = json_object_get(maps->owned[i], "data");
        const json_t *fresh = json_object_get(config_map, "data");
        return known == NULL || fresh == NULL ? known != fresh
                                              : json_equal(known, fresh) == 0;
    }
    return true;
}
