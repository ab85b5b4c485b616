/* A map from text to number; see strmap.h. Eight bytes at a time, each stirred in by a
 * multiplication (the constant is 2^64 divided by the golden ratio). */
#include "util/strmap.h"

#define STIR UINT64_C(0x9e3779b97f4a7c15)

static uint64_t stir(uint64_t h, uint64_t word)
{
    h = (h ^ word) * STIR;
    return h ^ h >> 32;
}

static size_t hash(struct str key)
{
    uint64_t h = key.n;
    size_t left = key.n;
    const char *at = key.p;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        h = stir(h, word);
    }
    uint64_t rest = 0;
    while (left > 0)
        rest = rest << 8 | (unsigned char)at[--left];
    /* The upper half of a product depends on all of what was multiplied; the lower bits
     * do not. */
    return (size_t)(stir(h, rest) * STIR >> 32);
}

static struct strmap_slot *find(const struct strmap *map, struct str key)
{
    size_t at = hash(key) & (map->capacity - 1);
    while (!str_is_null(map->slots[at].key) && !str_eq(map->slots[at].key, key))
        at = (at + 1) & (map->capacity - 1);
    return &map->slots[at];
}

static bool grow(struct arena *arena, struct strmap *map)
{
    struct strmap bigger = {.capacity = map->capacity > 0 ? map->capacity * 2 : 32};
    bigger.slots = ARENA_ARRAY(arena, struct strmap_slot, bigger.capacity);
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        if (!str_is_null(map->slots[i].key))
            *find(&bigger, map->slots[i].key) = map->slots[i];
    }
    bigger.count = map->count;
    *map = bigger;
    return true;
}

size_t *strmap_put(struct arena *arena, struct strmap *map, struct str key,
                   size_t initial, bool *ret_fresh)
{
    if (map->count * 2 >= map->capacity && !grow(arena, map))
        return NULL;
    struct strmap_slot *slot = find(map, key);
    bool fresh = str_is_null(slot->key);
    if (fresh) {
        *slot = (struct strmap_slot){key, initial};
        map->count++;
    }
    if (ret_fresh != NULL)
        *ret_fresh = fresh;
    return &slot->value;
}

size_t *strmap_get(const struct strmap *map, struct str key)
{
    if (map->capacity == 0)
        return NULL;
    struct strmap_slot *slot = find(map, key);
    return str_is_null(slot->key) ? NULL : &slot->value;
}
