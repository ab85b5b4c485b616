/* A map from text to number; see strmap.h. The hash takes sixteen bytes at a time: two
 * words, each hidden by something secret, are multiplied, and the halves of the product
 * of 128 bits are laid over each other. Which words make products meet depends on what
 * they were hidden by. */
#include "util/strmap.h"

#define LEAST 32u
#define MOST  (1u << 31)

__extension__ typedef unsigned __int128 product_type;

/* Written once, see strmap_seed(). */
static uint64_t secret[2] = {UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xd1b54a32d192ed03)};

void strmap_seed(uint64_t first, uint64_t second)
{
    secret[0] = first;
    secret[1] = second;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    product_type product = (product_type)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t eight_at(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static uint64_t four_at(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* The length is in it, and so the last words may overlap those before them. */
static uint32_t hash_of(struct str key)
{
    uint64_t h = secret[1] ^ key.n;
    const char *at = key.p;
    size_t left = key.n;
    for (; left > 16; left -= 16, at += 16)
        h = fold(eight_at(at) ^ secret[0], eight_at(at + 8) ^ h);
    uint64_t a = 0;
    uint64_t b = 0;
    if (left >= 8) {
        a = eight_at(at);
        b = eight_at(at + left - 8);
    } else if (left >= 4) {
        a = four_at(at);
        b = four_at(at + left - 4);
    } else if (left > 0) {
        a = (uint64_t)(unsigned char)at[0] << 16 |
            (uint64_t)(unsigned char)at[left / 2] << 8 | (unsigned char)at[left - 1];
    }
    h = fold(a ^ secret[0], b ^ h);
    return (uint32_t)fold(h ^ secret[0], secret[1]);
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
