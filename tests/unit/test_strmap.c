/* The map under names that were made to meet: it has a secret, so that whoever knows the
 * program cannot make them, and what it holds does not depend on which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "util/strmap.h"

#define FEW    2000u
#define MANY   32000u
#define LENGTH 16u

typedef void make_name(char *name, uint64_t i);

/* All of one hash in a map without secret: h = (h ^ word) * constant, h ^= h >> 32 over
 * the blocks, beginning with the length. The second block undoes what the first did. */
static uint64_t stir(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

static void undoing(char *name, uint64_t i)
{
    uint64_t words[2] = {i, stir(LENGTH, i)};
    memcpy(name, words, LENGTH);
}

/* All of one hash for whoever knows the secret of strmap_seed(1, …): the first block
 * makes one side of a product zero. */
static void annihilating(char *name, uint64_t i)
{
    uint64_t words[2] = {1, i};
    memcpy(name, words, LENGTH);
}

static int64_t time_of(make_name *make, size_t count)
{
    struct arena arena;
    struct strmap map = {.slots = NULL};
    struct timespec from;
    struct timespec to;
    arena_init(&arena, 1u << 24);
    char *names = arena_alloc(&arena, count, LENGTH);
    assert_non_null(names);
    for (size_t i = 0; i < count; i++)
        make(names + i * LENGTH, i);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    for (size_t i = 0; i < count; i++)
        assert_non_null(
            strmap_put(&arena, &map, str_from(names + i * LENGTH, LENGTH), i, NULL));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    assert_int_equal(map.count, count);
    assert_int_equal(*strmap_get(&map, str_from(names + 7 * LENGTH, LENGTH)), 7);
    arena_done(&arena);
    return (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
}

/* Sixteen times as many names take about sixteen times as long; were each compared with
 * all others it would be 256 times. The best of three, because the machine is busy. */
static void expect_linear(make_name *make)
{
    int64_t few = INT64_MAX;
    int64_t many = INT64_MAX;
    for (int i = 0; i < 3; i++) {
        int64_t took = time_of(make, FEW);
        few = took < few ? took : few;
        took = time_of(make, MANY);
        many = took < many ? took : many;
    }
    assert_in_range(many, 1, (uint64_t)few * 80);
}

static void names_made_to_meet_do_not(void **state)
{
    (void)state;
    expect_linear(undoing);
}

static void the_secret_decides(void **state)
{
    (void)state;
    strmap_seed(UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210));
    expect_linear(undoing);
    expect_linear(annihilating);
}

/* Names of every length, also those that differ in one place only. */
static void every_byte_counts(void **state)
{
    (void)state;
    char text[66];
    struct arena arena;
    struct strmap map = {.slots = NULL};
    arena_init(&arena, 1u << 20);
    memset(text, 'x', sizeof(text));
    for (size_t n = 0; n < sizeof(text); n++) {
        for (size_t at = 0; at <= n; at++) {
            text[at] = at < n ? 'y' : 'x';
            bool fresh;
            struct str key = arena_str(&arena, str_from(text, n));
            assert_non_null(strmap_put(&arena, &map, key, n * 100 + at, &fresh));
            assert_true(fresh);
            text[at] = 'x';
        }
    }
    for (size_t n = 0; n < sizeof(text); n++)
        assert_int_equal(*strmap_get(&map, str_from(text, n)), n * 100 + n);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_made_to_meet_do_not),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(the_secret_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
