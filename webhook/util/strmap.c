/* A map from text to number; see strmap.h. Eight bytes at a time, each stirred in by a
 * multiplication (the constant is 2^64 divided by the golden ratio). */
#include "util/strmap.h"

#define LEAST 32u
#define MOST  (1u << 31)
#define STIR  UINT64_C(0x9e3779b97f4a7c15)

static uint64_t stir(uint64_t h, uint64_t word)
{
    h = (h ^ word) * STIR;
    return h ^ h >> 32;
}

static uint32_t hash_of(struct str key)
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
    return (uint32_t)(stir(h, rest) * STIR >> 32);
}

/* The key's slot, or the empty one where it belongs. */
static struct strmap_slot *find(const struct strmap *map, struct str key, uint32_t hash)
{
    size_t at = hash & (map->capacity - 1);
    for (;; at = (at + 1) & (map->capacity - 1)) {
        struct strmap_slot *slot = &map->slots[at];
        if (slot->entry == 0 ||
            (slot->hash == hash && str_eq(map->entries[slot->entry - 1].key, key)))
            return slot;
    }
}

static bool grow(struct arena *arena, struct strmap *map, size_t capacity)
{
    struct strmap bigger = {.capacity = capacity, .count = map->count};
    bigger.slots = ARENA_ARRAY(arena, struct strmap_slot, capacity);
    bigger.entries = ARENA_ARRAY(arena, struct strmap_entry, capacity / 2);
    if (bigger.slots == NULL || bigger.entries == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        const struct strmap_slot *slot = &map->slots[i];
        size_t at = slot->hash & (capacity - 1);
        if (slot->entry == 0)
            continue;
        while (bigger.slots[at].entry != 0)
            at = (at + 1) & (capacity - 1);
        bigger.slots[at] = *slot;
    }
    if (map->count > 0)
        memcpy(bigger.entries, map->entries, map->count * sizeof(*map->entries));
    *map = bigger;
    return true;
}

void strmap_reserve(struct arena *arena, struct strmap *map, size_t keys)
{
    size_t capacity = map->capacity > 0 ? map->capacity : LEAST;
    while (capacity < MOST && keys * 2 > capacity)
        capacity *= 2;
    if (keys <= MOST / 2 && capacity > map->capacity)
        (void)grow(arena, map, capacity);
}

size_t *strmap_put(struct arena *arena, struct strmap *map, struct str key,
                   size_t initial, bool *ret_fresh)
{
    if (map->count * 2 >= map->capacity) {
        size_t capacity = map->capacity > 0 ? map->capacity * 2 : LEAST;
        if (capacity > MOST || !grow(arena, map, capacity)) {
            arena->failed = true;
            return NULL;
        }
    }
    uint32_t hash = hash_of(key);
    struct strmap_slot *slot = find(map, key, hash);
    bool fresh = slot->entry == 0;
    if (fresh) {
        map->entries[map->count++] = (struct strmap_entry){key, initial};
        *slot = (struct strmap_slot){hash, (uint32_t)map->count};
    }
    if (ret_fresh != NULL)
        *ret_fresh = fresh;
    return &map->entries[slot->entry - 1].value;
}

size_t *strmap_get(const struct strmap *map, struct str key)
{
    if (map->capacity == 0)
        return NULL;
    const struct strmap_slot *slot = find(map, key, hash_of(key));
    return slot->entry == 0 ? NULL : &map->entries[slot->entry - 1].value;
}
