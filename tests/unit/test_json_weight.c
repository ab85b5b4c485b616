/* A text never takes more heap as jansson's values than it was said to, whatever it is
 * made of; and not so much less that honest reviews would be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/json_weight.h"

#define COUNT    4000u
#define OVERHEAD 16u /* of glibc's, for each piece */

static size_t held, most;

static void *take(size_t size)
{
    void *p = malloc(size);
    if (p != NULL)
        held += malloc_usable_size(p) + OVERHEAD;
    most = held > most ? held : most;
    return p;
}

static void give(void *p)
{
    if (p != NULL)
        held -= malloc_usable_size(p) + OVERHEAD;
    free(p);
}

/* "before", then the item COUNT times with commas between, then "after". A '#' in the
 * item is its number. */
static void repeat(struct buf *text, const char *before, const char *item,
                   const char *after)
{
    struct str whole = str_of(item);
    size_t number = str_index(whole, 0, '#');
    buf_init(text, 1u << 20);
    buf_text(text, before);
    for (unsigned i = 0; i < COUNT; i++) {
        buf_text(text, i > 0 ? "," : "");
        buf_str(text, str_first(whole, number));
        if (number < whole.n)
            buf_printf(text, "%x", i);
        buf_str(text, str_skip(whole, number + 1));
    }
    buf_text(text, after);
    assert_false(text->failed);
}

static const struct {
    const char *before, *item, *after;
    bool honest; /* as people write it */
} rows[] = {
    {"[", "0", "]", false},
    {"[", "1.5", "]", false},
    {"[", "null", "]", false},
    {"[", "{}", "]", false},
    {"[", "[]", "]", false},
    {"[", "\"\"", "]", false},
    {"[", "{\"\":{}}", "]", false},
    {"[", "[[[[0]]]]", "]", false},
    {"[", "{\"name\":\"V\"}", "]", false},
    {"[", "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0}",
     "]", false},
    {"{", "\"#\":0", "}", false},
    {"{", "\"#\":\"\"", "}", false},
    {"{", "\"f:#\":{}", "}", false},
    {"[", "\"\\u0041\\n\\ud83d\\ude00\"", "]", false},
    {"[", "{\"name\":\"SOME_NAME_#\",\"value\":\"some value of it\"}", "]", true},
    {"{", "\"some.key.of.it.#\":\"a line of text, {with} [all] \\\"signs\\\", of it\"",
     "}", true},
};

static void never_less_than_is_taken(void **state)
{
    (void)state;
    json_set_alloc_funcs(take, give);
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        NRW_AUTO_BUF struct buf text;
        repeat(&text, rows[i].before, rows[i].item, rows[i].after);
        struct str whole = buf_view(&text);
        held = most = 0;
        json_t *value = json_loadb(whole.p, whole.n, JSON_ALLOW_NUL, NULL);
        if (value == NULL)
            fail_msg("%s is no JSON", rows[i].item);
        size_t weight = json_weight(whole, SIZE_MAX);
        if (weight < most)
            fail_msg("%s: %zu bytes weigh %zu, took %zu", rows[i].item, whole.n, weight,
                     most);
        if (weight > 3 * most && rows[i].honest)
            fail_msg("%s: weighs %zu, took only %zu", rows[i].item, weight, most);
        json_decref(value);
    }
    json_set_alloc_funcs(malloc, free);
}

static void one_long_text(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, ',', SIZE);
    text[0] = text[SIZE - 1] = '"';
    assert_in_range(json_weight(str_from(text, SIZE), SIZE_MAX), SIZE, 2 * SIZE + 1000);
    free(text);
}

/* Cut off anywhere: no byte behind the end is looked at (the sanitizer sees it). */
static void cut_off(void **state)
{
    (void)state;
    static const char whole[] = "{\"a\\\"\":[\"b\\\\\",{\"c\":0}],\"d\":\"\\";
    for (size_t n = 0; n < sizeof(whole); n++) {
        char *piece = malloc(n > 0 ? n : 1);
        assert_non_null(piece);
        memcpy(piece, whole, n);
        assert_true(json_weight(str_from(piece, n), SIZE_MAX) >= n);
        free(piece);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_less_than_is_taken),
        cmocka_unit_test(one_long_text),
        cmocka_unit_test(cut_off),
    };
    return cmocka_run_group_tests_name("json_weight", tests, NULL, NULL);
}
