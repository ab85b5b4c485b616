/* Large bodies and the heap that malloc has. The server runs in this process with one
 * worker, all on one heap, with malloc set as main.c sets it; the sanitizers have heaps
 * of their own, which keep what was freed, so that there is nothing to be seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"
#include "util/attr.h"

#if !NRW_SANITIZED

enum { CROWD = 24, CROWD_BLOCK = 900 << 10, LARGE_BODY = 8 << 20 };

/* Room in the heap as a crowd that is gone leaves it, with pages that were written to.
 * Its end is what still stands behind it: to be freed. */
static char *make_hole(uintptr_t *ret_begin)
{
    char *crowd[CROWD + 1];
    for (int i = 0; i <= CROWD; i++) {
        crowd[i] = malloc(CROWD_BLOCK);
        assert_non_null(crowd[i]);
        memset(crowd[i], 'x', CROWD_BLOCK);
    }
    for (int i = 0; i < CROWD; i++)
        free(crowd[i]);
    *ret_begin = (uintptr_t)crowd[0];
    uintptr_t end = (uintptr_t)crowd[CROWD];
    assert_true(end > *ret_begin && end < (uintptr_t)sbrk(0));
    assert_true(end - *ret_begin >= (uintptr_t)CROWD * CROWD_BLOCK);
    return crowd[CROWD];
}

static void post_large(struct world *w)
{
    static const char body[LARGE_BODY];
    struct peer *peer = peer_dial(w);
    struct answer answer = {.status = 0};
    assert_true(peer_post(peer, "/size", body, LARGE_BODY));
    assert_true(peer_answer(peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    answer_done(&answer);
    peer_close(peer);
}

/* A body that grows in such room is copied again and again, which took 0.6 ms at a time:
 * a large one has pages of its own. */
static void large_bodies_keep_out_of_the_heap(void **state)
{
    (void)state;
    struct world *w = world_new(one_worker);
    uintptr_t begin;
    char *end = make_hole(&begin);
    post_large(w);
    uintptr_t at = atomic_load(&w->counts.body_at);
    assert_true(at != 0 && (at < begin || at > (uintptr_t)sbrk(0)));
    free(end);
    assert_true(world_free(w));
}

/* Deciding on large reviews allocates, too, and glibc would keep it: once they are gone,
 * what is free in the heap goes back to the system. */
static void memory_goes_back_after_large_bodies(void **state)
{
    (void)state;
    struct world *w = world_new(one_worker);
    uintptr_t begin;
    char *end = make_hole(&begin);
    long before = resident_kib(), after = before;
    for (int i = 0; i < 3; i++)
        post_large(w);
    for (int i = 0; i < 100 && after > before - 16384; i++) {
        usleep(100000);
        after = resident_kib();
    }
    assert_in_range(after, 1, before - 16384);
    free(end);
    assert_true(world_free(w));
}

int main(void)
{
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_bodies_keep_out_of_the_heap),
        cmocka_unit_test(memory_goes_back_after_large_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void not_with_this_heap(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(not_with_this_heap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
