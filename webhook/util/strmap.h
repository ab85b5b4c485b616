/* A map from text to number, in an arena: open addressing, grows by doubling, keys
 * borrowed. Not shared between threads. Collisions forced by an attacker cost at most the
 * bounded size of one request (8 MiB of names), which the caller is authorised to send.
 */
#ifndef NRW_UTIL_STRMAP_H
#define NRW_UTIL_STRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/str.h"

struct strmap_slot {
    struct str key; /* null: empty */
    size_t value;
};

struct strmap {
    struct strmap_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

/* The value's place for the key, made with `initial` when it was absent (*ret_fresh,
 * which may be NULL, says so). NULL when the arena refused. Valid until the next call. */
size_t *strmap_put(struct arena *arena, struct strmap *map, struct str key,
                   size_t initial, bool *ret_fresh);
/* NULL when absent. */
size_t *strmap_get(const struct strmap *map, struct str key);

#endif
