/* The one door to the heap. Everything of ours allocates here, and jansson is pointed
 * here at start, so that a test can make the k-th allocation fail, for every k, and see
 * that the request ends as an error and nothing leaks. In production the functions are
 * malloc and friends and one relaxed load. Any thread. */
#ifndef NRW_UTIL_MEM_H
#define NRW_UTIL_MEM_H

#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"

/* NULL when out of memory; a size of 0 gives a pointer that may be freed. */
void *mem_alloc(size_t size) NRW_MUST_CHECK;
void *mem_calloc(size_t count, size_t size) NRW_MUST_CHECK;
/* On failure NULL, and `old` is still valid. */
void *mem_realloc(void *old, size_t size) NRW_MUST_CHECK;
char *mem_strdup(const char *text) NRW_MUST_CHECK;
char *mem_strndup(const char *text, size_t n) NRW_MUST_CHECK;
void mem_free(void *p); /* NULL is allowed */

/* Zeroed pages from the kernel, for what grows large: none of them costs anything until
 * it is written to (cli/serve.c declines huge pages), so it never has to be moved. malloc
 * would, whatever its bound for such blocks, take them from its heap where a crowd has
 * left room, and copy as they grow. NULL when out of memory. To be given back with the
 * same size. */
void *mem_map(size_t size) NRW_MUST_CHECK;
void mem_unmap(void *pages, size_t size);
/* Tests only: how many are not given back. The leak checkers do not know of them. */
size_t mem_mapped(void);

/* Gives what is free in the heap back to the system, in milliseconds where that is much.
 * A memory limit counts what the heap merely keeps. */
void mem_trim(void);

/* For threads that handle private keys and tokens: from now on, what this thread gives
 * back is overwritten first, so that no copy stays in free memory. Workers do without: it
 * costs them something, and the keys that they use are OpenSSL's, which wipes those. */
void mem_wipe_from_here(bool on);
/* For libraries: malloc(), and free() and realloc() that wipe. Tests do not fail them. */
void *mem_lib_alloc(size_t size) NRW_MUST_CHECK;
void mem_lib_free(void *p);
void *mem_lib_realloc(void *old, size_t size) NRW_MUST_CHECK;

/* How many allocations this thread has been refused so far: for asking whether a library
 * that allocates here, and only says that it failed, failed for want of memory. */
unsigned long mem_refusals(void);

/* For NRW_CLEANUP on a char* (or any pointer) variable. */
void mem_free_cleanup(void *pointer_to_pointer);
#define NRW_AUTOFREE NRW_CLEANUP(mem_free_cleanup)

/* Tests only: after `nth` more allocations (1 = the next) one fails; 0 turns it off.
 * Returns how many allocations were counted since the last call. */
unsigned long mem_fail_nth(unsigned long nth);

#endif
