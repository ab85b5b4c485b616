/* The small things everything stands on: errors, buffers, arenas, text, UTF-8, numbers,
 * maps, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/arena.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/file.h"
#include "util/mem.h"
#include "util/num.h"
#include "util/strmap.h"
#include "util/utf8.h"

static void errors_travel(void **state)
{
    (void)state;
    struct err err = {.code = ERR_NONE};
    assert_false(err_set(&err, ERR_INVALID, "key %s", "X"));
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(err_wrap(&err, "policy %d", 7));
    assert_string_equal(err.message, "policy 7: key X");
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(err_set(&err, ERR_IO, "%s again", err.message)); /* its own text */
    assert_string_equal(err.message, "policy 7: key X again");
    char long_text[2000];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_false(err_set(&err, ERR_IO, "%s", long_text));
    assert_true(strlen(err.message) == sizeof(err.message) - 1);
    assert_false(err_wrap(&err, "where"));
    assert_memory_equal(err.message, "where: aaa", 10);
    assert_false(err_set(NULL, ERR_IO, "nobody listens"));
    err_errno(&err, 2, "cannot open %s", "x");
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.message, "cannot open x: No such file or directory");
    for (int code = ERR_NONE; code <= ERR_INTERNAL; code++)
        assert_true(strlen(err_code_name((enum err_code)code)) > 0);
}

static void buffers_have_a_maximum(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_true(buf_append(&buf, "12345", 5));
    assert_true(buf_printf(&buf, "%d", 67890));
    assert_false(buf_char(&buf, 'x'));
    assert_true(buf.failed && buf.over_limit);
    assert_int_equal(buf.size, 10);
    assert_null(buf_steal(&buf, NULL));
    buf_clear(&buf);
    assert_false(buf.failed);
    assert_true(buf_text(&buf, "again"));
    size_t n;
    char *text = buf_steal(&buf, &n);
    assert_string_equal(text, "again");
    assert_int_equal(n, 5);
    mem_free(text);
    mem_fail_nth(1);
    assert_false(buf_text(&buf, "x"));
    mem_fail_nth(0);
    assert_true(buf.failed && !buf.over_limit);
    buf_done(&buf);
}

static void json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *out;
    } rows[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\n\t\r", 3, "\"\\n\\t\\r\""},
        {"\x01\x7f", 2, "\"\\u0001\\u007f\""},
        {"\0", 1, "\"\\u0000\""},
        {"\xc3\xa9\xf0\x9d\x84\x9e", 6, "\"\xc3\xa9\xf0\x9d\x84\x9e\""},
        {"a\xff"
         "b",
         3, "\"a\\ufffdb\""},
        {"\xc3", 1, "\"\\ufffd\""},
    };
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        struct buf buf;
        buf_init(&buf, 1000);
        assert_true(buf_json_string(&buf, str_from(rows[i].in, rows[i].n)));
        assert_string_equal(buf.data, rows[i].out);
        buf_done(&buf);
    }
}

static void arenas(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 200000);
    struct arena_list list = {.items = NULL};
    for (size_t i = 0; i < 1000; i++) {
        size_t *item = arena_list_add(&arena, &list, sizeof(*item));
        assert_non_null(item);
        assert_int_equal(*item, 0);
        *item = i;
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(((size_t *)list.items)[i], i);
    struct str text = arena_printf(&arena, "%s-%d", "a", 7);
    assert_true(str_eq(text, STR("a-7")));
    char long_text[1000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_int_equal(arena_printf(&arena, "%s!", long_text).n, 1000);
    assert_false(arena.failed);
    assert_null(arena_alloc(&arena, 1, 200000));
    assert_true(arena.failed);
    assert_null(arena_alloc(&arena, SIZE_MAX, 2));
    assert_int_equal(arena_str(&arena, str_from(long_text, 999)).n, 999); /* still room */
    arena_done(&arena);
    arena_init(&arena, 1000);
    const struct str parts[] = {STR("a"), str_null(), STR(""), STR("bc")};
    assert_true(str_eq(arena_join(&arena, parts, 4), STR("abc")));
    assert_true(str_eq(arena_join(&arena, parts, 0), STR("")));
    arena_done(&arena);
    arena_init(&arena, 100);
    mem_fail_nth(1);
    assert_true(str_eq(arena_str(&arena, STR("x")), STR("")));
    mem_fail_nth(0);
    assert_true(arena.failed);
    arena_done(&arena);
}

static void texts(void **state)
{
    (void)state;
    assert_int_equal(str_cmp(STR("a"), STR("b")) < 0, 1);
    assert_int_equal(str_cmp(STR("ab"), STR("a")) > 0, 1);
    assert_int_equal(str_cmp(STR(""), STR("")), 0);
    assert_int_equal(str_index(STR("abc"), 0, 'c'), 2);
    assert_int_equal(str_index(STR("abc"), 3, 'c'), 3);
    assert_int_equal(str_find(STR("a://b"), STR("://")), 1);
    assert_int_equal(str_find(STR("ab"), STR("abc")), 2);
    assert_int_equal(str_find(STR("ab"), STR("")), 0);
    assert_true(str_eq_nocase(STR("GHCR"), STR("ghcr")));
    assert_false(str_eq_nocase(STR("GHCR"), STR("ghc")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("c"), STR("bc")));
    assert_true(str_is_null(str_null()) && !str_is_null(STR("")));
    assert_int_equal(str_skip(STR("abc"), 9).n, 0);
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x98\x80",
                                       "\xed\x9f\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xe2\x82",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "a\xff"};
    for (size_t i = 0; i < NRW_COUNT(good); i++)
        assert_true(utf8_valid(str_of(good[i])));
    for (size_t i = 0; i < NRW_COUNT(bad); i++)
        assert_false(utf8_valid(str_of(bad[i])));
    static const struct {
        const char *text;
        size_t control;
    } rows[] = {{"", 0},         {"a", 0},           {"\n", 1},       {"\x7f", 1},
                {"\xc2\x80", 2}, {"\xc2\x9f", 2},    {"\xc2\xa0", 0}, {"\xc2", 0},
                {"\xc3\x85", 0}, {"\xe2\x80\xa8", 0}};
    for (size_t i = 0; i < NRW_COUNT(rows); i++)
        assert_int_equal(utf8_control(str_of(rows[i].text)), rows[i].control);
    assert_int_equal(utf8_cut(STR("a\xe2\x82\xac"), 3).n, 1);
    assert_int_equal(utf8_cut(STR("a\xe2\x82\xac"), 4).n, 4);
}

static void numbers(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_true(num_parse(STR("0"), 10, &value));
    assert_int_equal(value, 0);
    assert_true(num_parse(STR("18446744073709551615"), UINT64_MAX, &value));
    assert_false(num_parse(STR("18446744073709551616"), UINT64_MAX, &value));
    static const char *const bad[] = {"", "-1", "+1", "1 ", "0x1", "11", "one"};
    for (size_t i = 0; i < NRW_COUNT(bad); i++) {
        value = 7;
        assert_false(num_parse(str_of(bad[i]), 10, &value));
        assert_int_equal(value, 7);
    }
}

static void maps(void **state)
{
    (void)state;
    struct arena arena;
    struct strmap map = {.slots = NULL};
    arena_init(&arena, 1u << 22);
    assert_null(strmap_get(&map, STR("x")));
    for (size_t i = 0; i < 5000; i++) {
        bool fresh;
        struct str key = arena_printf(&arena, "key%zu", i / 2);
        size_t *value = strmap_put(&arena, &map, key, i, &fresh);
        assert_non_null(value);
        assert_int_equal(fresh, i % 2 == 0);
        assert_int_equal(*value, i - i % 2);
    }
    assert_int_equal(map.count, 2500);
    assert_int_equal(*strmap_get(&map, STR("key1234")), 2468);
    assert_null(strmap_get(&map, STR("key2500")));
    bool fresh;
    assert_non_null(
        strmap_put(&arena, &map, STR(""), 1, &fresh)); /* the empty key is one */
    assert_true(fresh && strmap_get(&map, STR("")) != NULL);
    /* Room made ahead: nothing is lost, and nothing grows until it is full. */
    strmap_reserve(&arena, &map, 10000);
    size_t capacity = map.capacity;
    assert_int_equal(*strmap_get(&map, STR("key1234")), 2468);
    for (size_t i = 0; i < 7499; i++)
        assert_non_null(
            strmap_put(&arena, &map, arena_printf(&arena, "more%zu", i), i, NULL));
    assert_int_equal(map.count, 10000);
    assert_int_equal(map.capacity, capacity);
    assert_int_equal(*strmap_get(&map, STR("more7498")), 7498);
    strmap_reserve(&arena, &map, 3);
    strmap_reserve(&arena, &map, SIZE_MAX);
    assert_int_equal(map.capacity, capacity);
    assert_false(arena.failed);
    arena_done(&arena);
}

static void files(void **state)
{
    (void)state;
    char folder[] = "/tmp/nrw-test-util-XXXXXX";
    char path[64];
    struct err err = {.code = ERR_NONE};
    struct buf buf;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/f", folder);
    assert_true(file_write_atomic(path, "first", 5, 0600, &err));
    assert_true(file_write_atomic(path, "second", 6, 0600, &err));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    buf_init(&buf, 6);
    assert_true(file_read(path, &buf, &err));
    assert_string_equal(buf.data, "second");
    buf_done(&buf);
    buf_init(&buf, 5);
    assert_false(file_read(path, &buf, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_done(&buf);
    buf_init(&buf, 100);
    assert_false(file_read(folder, &buf, &err)); /* a directory */
    assert_false(file_read("/nonexistent/x", &buf, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(file_write_atomic("/nonexistent/x", "", 0, 0600, &err));
    /* A full disk leaves what was there and nothing beside it. */
    assert_false(file_write_atomic("/dev/full/x", "", 0, 0600, &err));
    buf_done(&buf);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing was left beside it */
}

static void times(void **state)
{
    (void)state;
    char text[32];
    clock_format(INT64_C(1795502849123456), text, sizeof(text));
    assert_string_equal(text, "2026-11-24T06:47:29.123456Z");
    int64_t before = clock_mono_nanos();
    assert_true(clock_mono_nanos() >= before);
    assert_true(clock_wall_seconds() > 1700000000);
}

static void refusals_are_counted(void **state)
{
    (void)state;
    unsigned long before = mem_refusals();
    mem_fail_nth(2);
    void *first = mem_alloc(1);
    void *second = mem_alloc(1);
    void *third = mem_alloc(1);
    assert_int_equal(mem_fail_nth(0), 3);
    assert_true(first != NULL && second == NULL && third != NULL);
    assert_int_equal(mem_refusals(), before + 1);
    mem_free(first);
    mem_free(third);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_travel),
        cmocka_unit_test(buffers_have_a_maximum),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(arenas),
        cmocka_unit_test(texts),
        cmocka_unit_test(utf8),
        cmocka_unit_test(numbers),
        cmocka_unit_test(maps),
        cmocka_unit_test(files),
        cmocka_unit_test(times),
        cmocka_unit_test(refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
