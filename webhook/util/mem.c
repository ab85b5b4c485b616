/* The one door to the heap; see mem.h. */
#include "util/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* 0 = off. Otherwise the number of allocations until one fails. */
static atomic_ulong fail_after;
static atomic_ulong counted;
static atomic_bool counting;
static atomic_size_t mapped;

static _Thread_local unsigned long refusals;
static _Thread_local bool wiping;

void mem_wipe_from_here(bool on)
{
    wiping = on;
}

void *mem_lib_alloc(size_t size)
{
    return malloc(size);
}

void mem_lib_free(void *p)
{
    if (wiping && p != NULL)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

/* What moves leaves its old place behind. */
void *mem_lib_realloc(void *old, size_t size)
{
    if (!wiping || old == NULL)
        return realloc(old, size);
    size_t had = malloc_usable_size(old);
    void *new = malloc(size > 0 ? size : 1);
    if (new == NULL)
        return NULL;
    memcpy(new, old, had < size ? had : size);
    mem_lib_free(old);
    return new;
}

unsigned long mem_refusals(void)
{
    return refusals;
}

static void *note(void *p)
{
    if (p == NULL)
        refusals++;
    return p;
}

static bool fails_now(void)
{
    if (!atomic_load_explicit(&counting, memory_order_relaxed))
        return false;
    atomic_fetch_add(&counted, 1);
    unsigned long left = atomic_load(&fail_after);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&fail_after, &left, left - 1))
            return left == 1;
    }
    return false;
}

void *mem_alloc(size_t size)
{
    if (fails_now())
        return note(NULL);
    return note(malloc(size > 0 ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    if (fails_now())
        return note(NULL);
    return note(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *mem_realloc(void *old, size_t size)
{
    if (fails_now())
        return note(NULL);
    return note(mem_lib_realloc(old, size > 0 ? size : 1));
}

char *mem_strndup(const char *text, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = mem_alloc(n + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

void mem_free(void *p)
{
    mem_lib_free(p);
}

void *mem_map(size_t size)
{
    if (fails_now())
        return note(NULL);
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        return note(NULL);
    atomic_fetch_add_explicit(&mapped, 1, memory_order_relaxed);
    return note(pages);
}

void mem_unmap(void *pages, size_t size)
{
    (void)munmap(pages, size);
    atomic_fetch_sub_explicit(&mapped, 1, memory_order_relaxed);
}

size_t mem_mapped(void)
{
    return atomic_load(&mapped);
}

/* Under a sanitizer glibc's own heap is not in use, and sets itself up at the first call:
 * in two threads at once if they are the first, and then ends the process. */
void mem_trim(void)
{
#if defined(__GLIBC__) && !NRW_SANITIZED
    malloc_trim(0);
#endif
}

void mem_free_cleanup(void *pointer_to_pointer)
{
    void *p;
    memcpy(&p, pointer_to_pointer, sizeof(p));
    mem_lib_free(p);
}

unsigned long mem_fail_nth(unsigned long nth)
{
    unsigned long seen = atomic_exchange(&counted, 0);
    atomic_store(&fail_after, nth);
    atomic_store(&counting, nth > 0);
    return seen;
}
