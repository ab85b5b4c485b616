/* A map from text to number, in an arena: open addressing, grows by doubling, keys
 * borrowed. The slots are eight bytes each, so that those of ten thousand keys stay in a
 * core's own cache; what they lead to lies in the order in which it came, which is the
 * order in which it is mostly asked for. Not shared between threads.
 *
 * The hash has a secret of 128 bits. Without it names that all meet in one slot are made
 * in seconds, and each of them is compared with all before: a request of one megabyte
 * keeps a worker busy for seconds.
 */
#ifndef NRW_UTIL_STRMAP_H
#define NRW_UTIL_STRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/str.h"

struct strmap_entry {
    struct str key;
    size_t value;
};

struct strmap_slot {
    uint32_t hash;
    uint32_t entry; /* its number + 1; 0: empty */
};

struct strmap {
    struct strmap_slot *slots;
    struct strmap_entry *entries; /* in the order in which they came; half as many */
    size_t capacity;              /* of slots: a power of two, or 0 */
    size_t count;
};

/* Sets the secret, before the first thread and the first map. Until then it is a fixed
 * one, with which everything takes the same steps every time. */
void strmap_seed(uint64_t first, uint64_t second);

/* The value's place for the key, made with `initial` when it was absent (*ret_fresh,
 * which may be NULL, says so). NULL when the arena refused. Valid until the next call. */
size_t *strmap_put(struct arena *arena, struct strmap *map, struct str key,
                   size_t initial, bool *ret_fresh);
/* Room for so many keys in all, so that putting them does not grow it step by step. Just
 * a hint: what the arena refuses here, it may refuse strmap_put. */
void strmap_reserve(struct arena *arena, struct strmap *map, size_t keys);
/* NULL when absent. */
size_t *strmap_get(const struct strmap *map, struct str key);

#endif
