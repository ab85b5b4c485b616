/* Memory for one decision; see arena.h. Blocks double up to 64 KiB; a large piece gets a
 * block of its own. */
#include "util/arena.h"

#include <stdint.h>
#include <stdio.h>

#include "util/mem.h"

#define FIRST_BLOCK   4096u
#define LARGEST_BLOCK 65536u

struct arena_block {
    struct arena_block *next;
    size_t size; /* usable bytes behind the header */
    size_t used;
    max_align_t data[];
};

void arena_init(struct arena *arena, size_t maximum)
{
    *arena = (struct arena){.maximum = maximum};
}

void arena_done(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
    *arena = (struct arena){.maximum = arena->maximum};
}

static void *refuse(struct arena *arena)
{
    arena->failed = true;
    return NULL;
}

static void *take(struct arena *arena, size_t bytes)
{
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < bytes) {
        size_t size = block == NULL ? FIRST_BLOCK : block->size * 2;
        if (size > LARGEST_BLOCK)
            size = LARGEST_BLOCK;
        if (size < bytes)
            size = bytes;
        struct arena_block *fresh = mem_alloc(sizeof(*fresh) + size);
        if (fresh == NULL)
            return refuse(arena);
        fresh->size = size;
        fresh->used = 0;
        fresh->next = block;
        arena->blocks = fresh;
        block = fresh;
    }
    void *piece = (char *)block->data + block->used;
    block->used += bytes;
    arena->used += bytes;
    return piece;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - 64)
        return refuse(arena);
    bytes = (bytes + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    if (bytes > arena->maximum - arena->used) {
        arena->full = true;
        return refuse(arena);
    }
    void *piece = take(arena, bytes);
    if (piece != NULL)
        memset(piece, 0, bytes);
    return piece;
}

struct str arena_str(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.n + 1, 1);
    if (copy == NULL)
        return STR("");
    if (text.n > 0)
        memcpy(copy, text.p, text.n);
    return (struct str){copy, text.n};
}

struct str arena_join(struct arena *arena, const struct str *parts, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += parts[i].n;
    char *text = arena_alloc(arena, n + 1, 1);
    if (text == NULL)
        return STR("");
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n > 0)
            memcpy(text + at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    return (struct str){text, n};
}

struct str arena_vprintf(struct arena *arena, const char *fmt, va_list args)
{
    char small[512];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    struct str out = STR("");
    if (n < 0) {
        arena->failed = true;
    } else if ((size_t)n < sizeof(small)) {
        out = arena_str(arena, str_from(small, (size_t)n));
    } else {
        char *text = arena_alloc(arena, (size_t)n + 1, 1);
        if (text != NULL) {
            vsnprintf(text, (size_t)n + 1, fmt, again);
            out = str_from(text, (size_t)n);
        }
    }
    va_end(again);
    return out;
}

struct str arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str out = arena_vprintf(arena, fmt, args);
    va_end(args);
    return out;
}

void *arena_list_add(struct arena *arena, struct arena_list *list, size_t size)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity > 0 ? list->capacity * 2 : 8;
        void *items = arena_alloc(arena, capacity, size);
        if (items == NULL)
            return NULL;
        if (list->count > 0)
            memcpy(items, list->items, list->count * size);
        list->items = items;
        list->capacity = capacity;
    }
    void *item = (char *)list->items + list->count * size;
    list->count++;
    return item;
}
