/* Memory for one decision: many small pieces, freed at once. An arena has a mandatory
 * maximum; beyond it, and when the heap says no, it fails and remembers (`failed`), so
 * that the caller checks once more at the end and answers 500 rather than half a verdict.
 * Not shared between threads. */
#ifndef NRW_UTIL_ARENA_H
#define NRW_UTIL_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"
#include "util/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used;    /* bytes handed out */
    size_t maximum; /* bytes it may hand out */
    bool failed;    /* sticky: an allocation was refused, … */
    bool full;      /* … because of the maximum */
};

void arena_init(struct arena *arena, size_t maximum);
void arena_done(struct arena *arena); /* frees all; the arena may be initialised again */
#define NRW_AUTO_ARENA NRW_CLEANUP(arena_done)

/* Zeroed, aligned for any type; NULL (and `failed`) when refused. count*size may
 * overflow. */
void *arena_alloc(struct arena *arena, size_t count, size_t size) NRW_MUST_CHECK;
#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), 1, sizeof(type)))
#define ARENA_ARRAY(arena, type, count)                                                  \
    ((type *)arena_alloc((arena), (count), sizeof(type)))

/* Copies and formatted texts. When refused they return "" (never NULL), and `failed` is
 * set: a sequence of them needs one check at its end. The bytes are NUL-terminated as
 * well. */
struct str arena_str(struct arena *arena, struct str text);
/* One after the other, whatever bytes they have (a formatted text would end at a NUL),
 * and in a quarter of the time that arena_printf takes. */
struct str arena_join(struct arena *arena, const struct str *parts, size_t count);
struct str arena_printf(struct arena *arena, const char *fmt, ...) NRW_PRINTF(2, 3);
struct str arena_vprintf(struct arena *arena, const char *fmt, va_list args)
    NRW_PRINTF(2, 0);

/* A list that grows in an arena: `items` of `size` bytes, doubled when full. Returns the
 * new, zeroed element or NULL. Old storage stays in the arena until it is done. */
struct arena_list {
    void *items;
    size_t count;
    size_t capacity;
};
void *arena_list_add(struct arena *arena, struct arena_list *list,
                     size_t size) NRW_MUST_CHECK;

#endif
