/* The cursor over JSON, YAML for people, and the unified diff. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "admit/prune.h"
#include "admit/review.h"
#include "admit/scan.h"
#include "cli/diff.h"
#include "policy/yaml_json.h"
#include "policy/yaml_write.h"
#include "util/mem.h"

static void values_that_are_passed_over(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        "\"\"",
        "\"a\\\"b\"",
        "\"\\\\\"",
        "1",
        "-1.5e+3",
        "true",
        "null",
        "{\"a\":[1,{\"b\":\"]}\"}]}",
        " \n\t[ ] ",
        "\"\\u0041\"",
        "[\"\\\\\",\"{\"]",
    };
    static const char *const bad[] = {
        "",           "{", "[", "\"",          "\"\\\"", "{]", "[}",
        "{\"a\":[}]", "]", ",", "{\"a\\\":1}", "[\\\"]", "[1", "{\"a\":\"}",
    };
    for (size_t i = 0; i < NRW_COUNT(good); i++) {
        struct scan scan;
        scan_init(&scan, str_of(good[i]));
        assert_false(str_is_null(scan_value(&scan)));
        assert_true(scan_is_done(&scan));
    }
    for (size_t i = 0; i < NRW_COUNT(bad); i++) {
        struct scan scan;
        scan_init(&scan, str_of(bad[i]));
        struct str value = scan_value(&scan);
        if (!str_is_null(value) && scan_is_done(&scan))
            print_error("accepted: %s\n", bad[i]);
        assert_true(str_is_null(value) || !scan_is_done(&scan));
    }
}

/* Strings, escapes and brackets at every place around the edge of a block. */
static void blocks_have_no_seams(void **state)
{
    (void)state;
    char text[400];
    for (size_t pad = 0; pad < 140; pad++) {
        size_t n = (size_t)snprintf(
            text, sizeof(text), "{\"%.*s\":\"\\\\\\\"]}\\\\\",\"x\":[{}]}", (int)pad,
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        struct scan scan;
        scan_init(&scan, str_from(text, n));
        assert_int_equal(scan_value(&scan).n, n);
        for (size_t cut = 1; cut < n; cut++) { /* cut off anywhere it is refused */
            scan_init(&scan, str_from(text, cut));
            assert_true(str_is_null(scan_value(&scan)));
        }
    }
}

/* A bracket and the one that closes it, next to each other, at every place of a block. */
static void pairs_match_in_kind(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"{}", true},     {"[]", true},    {"{]", false},   {"[}", false},
        {"[{}]", true},   {"{[]}", true},  {"[{]}", false}, {"{}{}", true},
        {"{}]", false},   {"}{", false},   {"[]]", false},  {"{[}]", false},
        {"\"{]\"", true}, {"\"}\"", true}, {"{\"}", false}, {"[][]{}", true},
    };
    char text[256];
    for (size_t pad = 0; pad < 140; pad++) {
        for (size_t i = 0; i < NRW_COUNT(rows); i++) {
            size_t n = (size_t)snprintf(text, sizeof(text), "[%*s%s,1]", (int)pad, "",
                                        rows[i].text);
            struct scan scan;
            scan_init(&scan, str_from(text, n));
            struct str value = scan_value(&scan);
            bool good = !str_is_null(value) && value.n == n;
            if (good != rows[i].good)
                print_error("pad %zu: %s\n", pad, rows[i].text);
            assert_int_equal(good, rows[i].good);
        }
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static char text[2 * SCAN_MAX_DEPTH + 2];
    memset(text, '[', SCAN_MAX_DEPTH);
    memset(text + SCAN_MAX_DEPTH, ']', SCAN_MAX_DEPTH);
    struct scan scan;
    scan_init(&scan, str_from(text, 2 * (size_t)SCAN_MAX_DEPTH));
    assert_false(str_is_null(scan_value(&scan)));
    memset(text, '[', SCAN_MAX_DEPTH + 1);
    memset(text + SCAN_MAX_DEPTH + 1, ']', SCAN_MAX_DEPTH + 1);
    scan_init(&scan, str_from(text, 2 * (size_t)SCAN_MAX_DEPTH + 2));
    assert_true(str_is_null(scan_value(&scan)));
    assert_non_null(scan.problem);
}

static void only_what_is_wanted(void **state)
{
    (void)state;
    static const struct prune_want inner[] = {{STR("x"), NULL, false, 0},
                                              {{NULL, 0}, NULL, false, 0}};
    static const struct prune_want wants[] = {
        {STR("a"), inner, false, 0},
        {STR("list"), inner, true, 0},
        {STR("whole"), NULL, false, 0},
        {{NULL, 0}, NULL, false, 0},
    };
    static const char *const rows[][2] = {
        {"{\"a\":{\"x\":1,\"y\":2},\"b\":[1,2]}", "{\"a\":{\"x\":1}}"},
        {"{\"list\":[{\"x\":\"\\u00e9\",\"y\":{}},{},7]}",
         "{\"list\":[{\"x\":\"\xc3\xa9\"},{},7]}"},
        {"{\"whole\":{\"y\":[{\"z\":null}]}}", "{\"whole\":{\"y\":[{\"z\":null}]}}"},
        {"{\"a\":7}", "{\"a\":7}"},
        {"{\"\\u0061\":{\"x\":1}}", "{\"a\":{\"x\":1}}"}, /* the key with an escape */
        {"{\"a\":{\"x\":1},\"a\":{\"x\":2}}", "{\"a\":{\"x\":2}}"},
        {"{\"a\":{\"x\":1},\"a\":7,\"a\":{\"x\":3,\"y\":0,\"x\":4}}",
         "{\"a\":{\"x\":4}}"},
        {"{\"a\":{\"x\":1},\"\\u0061\":{\"y\":1}}", "{\"a\":{}}"},
        {"{\"list\":[{\"x\":1}],\"list\":[{\"x\":2},{\"x\":3}]}",
         "{\"list\":[{\"x\":2},{\"x\":3}]}"},
        {"{\"\\u0077ho\\u006Ce\":[\"\\n\"]}", "{\"whole\":[\"\\n\"]}"},
        {"{\"\\x\":1,\"a\\u0000\":1,\"\\u00e1\":1,\"\\u00\":1,\"\\\\a\":1,\"a\\/"
         "\":1,\"\\u0061\":2}",
         "{\"a\":2}"},
        {"{\"aa\":1,\"A\":2}", "{}"},
    };
    static const char *const bad[] = {
        "{\"a\":1,\"a\":{",
        "{\"a\":1,\"a\":}",
        "{\"a\":1,\"a\":[}]}",
        "{\"a\":1,\"a\":{\"x\":tru}}",
        "{\"whole\":1,\"whole\":[1,,2]}",
    };
    for (size_t i = 0; i < NRW_COUNT(bad); i++) {
        NRW_AUTO_PRUNE struct prune_context context = {.weight_maximum = SIZE_MAX};
        struct err err = {.code = ERR_NONE};
        assert_null(prune(str_of(bad[i]), wants, &context, &err));
        assert_int_equal(err.code, ERR_SYNTAX);
    }
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        struct prune_context context = {.weight_maximum = SIZE_MAX};
        struct err err = {.code = ERR_NONE};
        json_t *got = prune(str_of(rows[i][0]), wants, &context, &err);
        json_t *want = json_loads(rows[i][1], 0, NULL);
        if (got == NULL)
            print_error("%s: %s\n", rows[i][0], err.message);
        assert_true(got != NULL && json_equal(got, want));
        json_decref(got);
        json_decref(want);
        prune_context_done(&context);
    }
}

static void same_member(const json_t *mine, const json_t *whole, const char *name)
{
    mine = json_object_get(mine, name);
    whole = json_object_get(whole, name);
    assert_true(mine == whole || json_equal(mine, whole));
}

/* What a decision reads of an object of that kind. */
static void same_object(enum review_kind kind, const json_t *mine, const json_t *whole)
{
    assert_int_equal(mine == NULL, whole == NULL);
    same_member(mine, whole, "metadata");
    if (kind != REVIEW_OTHER)
        same_member(mine, whole, kind == REVIEW_DEPLOYMENT ? "spec" : "data");
}

/* Members of a request in every order, some twice or more often, and two requests: the
 * same as when all of it goes through jansson, where the last one of a name counts. */
static void members_in_any_order(void **state)
{
    (void)state;
    static const char *const members[] = {
        "\"kind\":{\"group\":\"apps\",\"kind\":\"Deployment\"}",
        "\"kind\":{\"group\":\"\",\"kind\":\"Deployment\",\"kind\":\"ConfigMap\"}",
        "\"object\":{\"data\":{\"a\":\"1\"},\"metadata\":{\"name\":\"x\"},"
        "\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\"}]}}}}",
        "\"object\":{\"metadata\":{},\"data\":{\"b\":\"2\"},\"metadata\":{\"name\":\"y\"}"
        "}",
        "\"object\":null",
        "\"oldObject\":{\"data\":{\"c\":\"3\"},\"spec\":{\"template\":{}}}",
        "\"uid\":\"second\"},\"request\":{\"uid\":\"third\"",
    };
    enum { COUNT = NRW_COUNT(members), PLACES = 5 };
    size_t orders = 1;
    for (size_t i = 0; i < PLACES; i++)
        orders *= COUNT;
    for (size_t order = 0; order < orders; order++) {
        char body[4096];
        size_t n =
            (size_t)snprintf(body, sizeof(body),
                             "{\"kind\":\"AdmissionReview\",\"apiVersion\":"
                             "\"admission.k8s.io/v1\",\"request\":{\"uid\":\"first\"");
        size_t rest = order;
        for (size_t i = 0; i < PLACES; i++, rest /= COUNT)
            n += (size_t)snprintf(body + n, sizeof(body) - n, ",%s",
                                  members[rest % COUNT]);
        n += (size_t)snprintf(body + n, sizeof(body) - n, "}}");
        struct review got = {.root = NULL}, want = {.root = NULL};
        json_t *root = json_loadb(body, n, 0, NULL);
        assert_true(review_from_json(root, &want, NULL));
        assert_true(review_read(str_from(body, n), SIZE_MAX, &got, NULL));
        assert_true(str_eq(got.uid, want.uid) && str_eq(got.name, want.name));
        assert_int_equal(got.kind, want.kind);
        same_object(got.kind, got.object, want.object);
        same_object(got.kind, got.old_object, want.old_object);
        review_done(&got);
        review_done(&want);
        json_decref(root);
    }
}

/* Out of memory anywhere is told as an error, and as that one wherever it is ours. */
static void refused_memory_is_told(void **state)
{
    (void)state;
    static const struct prune_want inner[] = {{STR("x"), NULL, false, 0},
                                              {{NULL, 0}, NULL, false, 0}};
    static const struct prune_want wants[] = {{STR("a"), inner, false, 0},
                                              {STR("list"), inner, true, 0},
                                              {{NULL, 0}, NULL, false, 0}};
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof(text),
                                "{\"a\":{\"x\":\"1\"},\"a\":{\"x\":[]},\"list\":[7");
    for (int i = 0; i < 20; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",{\"x\":\"%d\"}", i);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "]}");
    bool good = false;
    for (unsigned long nth = 1; !good; nth++) {
        NRW_AUTO_PRUNE struct prune_context context = {.weight_maximum = SIZE_MAX};
        struct err err = {.code = ERR_NONE};
        (void)mem_fail_nth(nth);
        json_t *got = prune(str_from(text, n), wants, &context, &err);
        (void)mem_fail_nth(0);
        good = got != NULL;
        assert_true(good || err.code != ERR_NONE);
        json_decref(got);
    }
}

/* What is written is read back as it was, texts that look like something else included.
 */
static void yaml_is_read_back(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"a\":\"true\",\"b\":true,\"c\":\"1\",\"d\":1,\"e\":\"\",\"f\":null,\"g\":"
        "\"null\"}",
        "{\"a\":\"yes\",\"b\":\"0x1f\",\"c\":\"1_000\",\"d\":\"~\",\"e\":\"2026-11-24\"}",
        "{\"a\":\"line\\nline\\n\",\"b\":\"no end\\nof line\",\"c\":\" "
        "lead\",\"d\":\"trail \"}",
        "{\"a\":[],\"b\":{},\"c\":[{\"d\":[1,2.5,-3]}],\"true\":1,\"7\":2}",
        "{\"a\":\"# no comment\",\"b\":\"key: value\",\"c\":\"- "
        "item\",\"d\":\"{x\",\"e\":\"'\\\"\"}",
        "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\",\"b\":\"tab\\there\",\"c\":\"\\u0001\"}",
    };
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        json_t *json = json_loads(rows[i], 0, NULL);
        struct buf out;
        struct yaml_json docs = {.docs = NULL};
        struct err err = {.code = ERR_NONE};
        assert_non_null(json);
        buf_init(&out, 1u << 20);
        assert_true(yaml_write(json, &out, &err));
        if (!yaml_json_parse(buf_view(&out), NULL, &docs, &err))
            print_error("%s\n%s\n", err.message, out.data);
        assert_int_equal(docs.count, 1);
        if (!json_equal(docs.docs[0].json, json))
            print_error("%s\n", out.data);
        assert_true(json_equal(docs.docs[0].json, json));
        yaml_json_done(&docs);
        buf_done(&out);
        json_decref(json);
    }
}

static void diffs(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1u << 16);
    assert_true(diff_unified(&out, STR("x"), STR("a\nb\n"), STR("a\nb\n"), false));
    assert_int_equal(out.size, 0);
    assert_true(diff_unified(&out, STR("x"), STR("1\n2\n3\n4\n5\n6\n7\n8\n9\n"),
                             STR("1\n2\n3\n4\n5\nfive\n6\n7\n8\n"), false));
    assert_string_equal(out.data, "--- x (as given)\n+++ x (as admitted)\n"
                                  "@@ -3,7 +3,7 @@\n 3\n 4\n 5\n+five\n 6\n 7\n 8\n-9\n");
    buf_clear(&out);
    assert_true(diff_unified(&out, STR("x"), STR(""), STR("new\n"), false));
    assert_non_null(strstr(out.data, "+new\n"));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_are_passed_over),
        cmocka_unit_test(blocks_have_no_seams),
        cmocka_unit_test(pairs_match_in_kind),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(only_what_is_wanted),
        cmocka_unit_test(members_in_any_order),
        cmocka_unit_test(refused_memory_is_told),
        cmocka_unit_test(yaml_is_read_back),
        cmocka_unit_test(diffs),
    };
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
