/* policy/yaml_node, yaml_scalar and yaml_json: manifests as Kubernetes reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/yaml_json.h"
#include "util/buf.h"
#include "util/mem.h"

static char *dump(const struct yaml_json *docs)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    for (size_t i = 0; i < docs->count; i++) {
        char *text = json_dumps(docs->docs[i].json,
                                JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
        assert_non_null(text);
        if (i > 0)
            buf_char(&out, '\n');
        buf_text(&out, text);
        mem_free(text);
    }
    char *all = buf_steal(&out, NULL);
    assert_non_null(all);
    return all;
}

/* The documents as compact JSON, one a line. */
static void expect(const char *text, const char *want)
{
    struct yaml_json docs = {0};
    struct err err = {0};
    if (!yaml_json_parse(str_of(text), NULL, &docs, &err))
        fail_msg("%s\n-> %s", text, err.message);
    char *got = dump(&docs);
    assert_string_equal(got, want);
    mem_free(got);
    yaml_json_done(&docs);
}

static void expect_error(const char *text, enum err_code code, const char *part)
{
    struct yaml_json docs = {0};
    struct err err = {0};
    if (yaml_json_parse(str_of(text), NULL, &docs, &err))
        fail_msg("was accepted: %s", text);
    assert_null(docs.docs);
    if (strstr(err.message, part) == NULL || err.code != code)
        fail_msg("%s\n-> %s: %s (wanted %s: %s)", text, err_code_name(err.code),
                 err.message, err_code_name(code), part);
}

static void test_scalars(void **state)
{
    (void)state;
    expect("a: text", "{\"a\":\"text\"}");
    expect("- true\n- Yes\n- on\n- y\n- FALSE\n- no\n- Off\n- N\n",
           "[true,true,true,true,false,false,false,false]");
    expect("[tRue, yEs, ON, oN, nope]", "[\"tRue\",\"yEs\",true,\"oN\",\"nope\"]");
    expect("[~, null, Null, NULL, nUll, '']", "[null,null,null,null,\"nUll\",\"\"]");
    expect("a:\nb: ", "{\"a\":null,\"b\":null}");
    expect("[1, -1, +1, 0, 1_000, 0x1F, 0b101, 0o17, 0644, 08]",
           "[1,-1,1,0,1000,31,5,15,420,8.0]");
    expect("[9223372036854775807, -9223372036854775808]",
           "[9223372036854775807,-9223372036854775808]");
    expect("[9223372036854775808, 0xffffffffffffffff, -9223372036854775809]",
           "[9.2233720368547758e18,1.8446744073709552e19,-9.2233720368547758e18]");
    expect("[1e400, 0x1ffffffffffffffff]", "[\"1e400\",\"0x1ffffffffffffffff\"]");
    expect("{.inf: a, -.INF: b, .nan: c}",
           "{\"-.inf\":\"b\",\".inf\":\"a\",\".nan\":\"c\"}");
    expect("- -9223372036854775808\n- 9223372036854775807\n",
           "[-9223372036854775808,9223372036854775807]");
    expect("- -18446744073709551616\n- 1_2_3_4\n- 2026-01-01T00:00:00Z\n",
           "[-1.8446744073709552e19,1234,\"2026-01-01T00:00:00Z\"]");
    expect("[1.5, .5, 1., 1e3, -1.5E-2, +.5]",
           "[1.5,0.5,1.0,1000.0,-0.014999999999999999,0.5]");
    expect("[-, ., +, 1.2.3, 1e, 0x, 0xg, 1-2, 12:30, 2026-11-24, 1_, _1]",
           "[\"-\",\".\",\"+\",\"1.2.3\",\"1e\",\"0x\",\"0xg\",\"1-2\",\"12:30\","
           "\"2026-11-24\",1,\"_1\"]");
    expect("['1', \"true\", !!str 1, !!int '7', !!float 2, ! 3]",
           "[\"1\",\"true\",\"1\",7,2.0,\"3\"]");
}

static void test_keys(void **state)
{
    (void)state;
    expect("{1: a, yes: b, 1.5: c, 'x y': d}",
           "{\"1\":\"a\",\"1.5\":\"c\",\"true\":\"b\",\"x y\":\"d\"}");
    expect("a: 1\na: 2\n", "{\"a\":2}");
    expect_error("? [a]\n: b\n", ERR_INVALID, "line 1, column 3: a key that is a map");
    expect_error("~: b\n", ERR_INVALID, "a key that is empty");
}

static void test_block_scalars(void **state)
{
    (void)state;
    expect("a: |\n  x\n   y\n\n  z\nb: >-\n  one\n  two\n",
           "{\"a\":\"x\\n y\\n\\nz\\n\",\"b\":\"one two\"}");
}

static void test_documents(void **state)
{
    (void)state;
    expect("", "");
    expect("# only a comment\n---\n# another\n---\n", "");
    expect("---\n# Source: x\na: 1\n---\n---\nb: 2\n...\n", "{\"a\":1}\n{\"b\":2}");
    expect("\xef\xbb\xbf"
           "a: 1",
           "{\"a\":1}");
    struct yaml_json docs = {0};
    assert_true(
        yaml_json_parse(STR("# x\n---\na: 1\n---\n\n  b: 2\n"), NULL, &docs, NULL));
    assert_int_equal(docs.count, 2);
    assert_int_equal(docs.docs[0].line, 3);
    assert_int_equal(docs.docs[1].line, 6);
    assert_int_equal(docs.docs[1].column, 3);
    yaml_json_done(&docs);
}

static void test_anchors(void **state)
{
    (void)state;
    expect("a: &x {k: 1}\nb: *x\n", "{\"a\":{\"k\":1},\"b\":{\"k\":1}}");
    expect("a: &x {k: 1, l: 2}\nb:\n  k: 3\n  <<: *x\n",
           "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"k\":1,\"l\":2}}");
    expect("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n",
           "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"k\":3,\"l\":2}}");
    expect("- &x {k: 1}\n- &y {k: 2, m: 5}\n- <<: [*x, *y]\n",
           "[{\"k\":1},{\"k\":2,\"m\":5},{\"k\":1,\"m\":5}]");
    expect("a: {'<<': 1}", "{\"a\":{\"<<\":1}}");
    expect("&k a: 1\nb: *k\n", "{\"a\":1,\"b\":\"a\"}");
    expect("- &x k\n- {*x : 1}\n", "[\"k\",{\"k\":1}]");
    struct buf text;
    buf_init(&text, 1u << 16);
    buf_text(&text, "- &x {k: 1}\n- <<: [*x");
    for (int i = 0; i < 64; i++)
        buf_text(&text, ", *x");
    buf_text(&text, "]\n");
    expect_error(text.data, ERR_LIMIT, "<< with more than 64 maps");
    buf_done(&text);
    expect_error("a: *x\n", ERR_SYNTAX, "line 1, column 4: alias *x names no anchor");
    expect_error("a: &x [1, *x]\n", ERR_SYNTAX, "stands inside itself");
    expect_error("- &x 1\n- <<: *x\n", ERR_INVALID, "<< takes a map");
    /* An anchor does not reach into the next document. */
    expect_error("a: &x 1\n---\nb: *x\n", ERR_SYNTAX, "line 3, column 4: alias *x");
}

static void test_laughs(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1u << 16);
    buf_text(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_printf(&text, "%s*a%d", k > 0 ? ", " : "", i - 1);
        buf_text(&text, "]\n");
    }
    assert_false(text.failed);
    expect_error(text.data, ERR_LIMIT, "too many values once aliases are written out");
    buf_done(&text);
}

static void test_limits(void **state)
{
    (void)state;
    struct yaml_limits limits = {
        .bytes = 100, .nodes = 8, .depth = 3, .documents = 2, .anchors = 1};
    struct yaml_json docs = {0};
    struct err err = {0};
    assert_true(yaml_json_parse(STR("[[[1]]]"), &limits, &docs, &err));
    yaml_json_done(&docs);
    assert_true(yaml_json_parse(STR("- - - 1\n"), &limits, &docs, &err));
    yaml_json_done(&docs);
    static const char *const over[] = {
        "[[[[1]]]]",
        "- - - - 1\n",
        "[1,2,3,4,5,6,7,8,9]",
        "- 1\n- 2\n- 3\n- 4\n- 5\n- 6\n- 7\n- 8\n",
        "a\n---\nb\n---\nc\n",
        "{} {} {}",
        "- &a 1\n- &b 2\n",
        "- &a [1]\n- *a\n- *a\n- *a\n- *a\n",
        "# a comment of more than a hundred bytes, which is more than the limit of this "
        "test, so it is refused",
    };
    for (size_t i = 0; i < NRW_COUNT(over); i++) {
        err_clear(&err);
        if (yaml_json_parse(str_of(over[i]), &limits, &docs, &err))
            fail_msg("was accepted: %s", over[i]);
        if (err.code != ERR_LIMIT)
            fail_msg("%s -> %s", over[i], err.message);
    }
    /* What libyaml would take quadratic time or memory for. */
    struct buf text;
    buf_init(&text, 1u << 16);
    for (int i = 0; i < 65; i++)
        buf_printf(&text, "%%TAG !a%d! tag:x,2000:\n", i);
    buf_text(&text, "--- x\n");
    expect_error(text.data, ERR_LIMIT, "line 65, column 1: more than 64 %TAG");
    buf_clear(&text);
    buf_text(&text, "%TAG !a! tag:");
    for (int i = 0; i < 300; i++)
        buf_char(&text, 'x');
    buf_text(&text, "\n---\n- !a!b c\n");
    expect_error(text.data, ERR_LIMIT, "line 3, column 3: a tag of more than 256");
    buf_done(&text);
    expect("%TAG !e! tag:yaml.org,2002:\n---\na: !e!str 1\n", "{\"a\":\"1\"}");
    /* A document that is deep through aliases only. */
    limits = (struct yaml_limits){
        .bytes = 1000, .nodes = 100, .depth = 3, .documents = 2, .anchors = 10};
    assert_false(yaml_json_parse(STR("- &a [[1]]\n- &b [*a]\n"), &limits, &docs, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void test_json(void **state)
{
    (void)state;
    expect("{\"a\": \"\\ud83d\\ude00\\/\\u00e4\"}",
           "{\"a\":\"\xf0\x9f\x98\x80/\xc3\xa4\"}");
    expect("{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}\n{\"b\":2}");
    expect(" [1, {\"a\": null}] ", "[1,{\"a\":null}]");
    expect("{a: b, c: [d]}", "{\"a\":\"b\",\"c\":[\"d\"]}");
    expect("{\"a\": 1, # comment\n \"b\": 2}", "{\"a\":1,\"b\":2}");
    expect_error("{\"a\": 1,\n \"b\": }x", ERR_SYNTAX, "line 2, column");
    expect_error("{\"a\":1}\n\n  {\"b\": [1,}\n", ERR_SYNTAX, "line 3, column");
    expect_error("{\"a\":1} trailing", ERR_SYNTAX, "");
}

static void test_syntax_errors(void **state)
{
    (void)state;
    expect_error("a: 1\n b: 2\n", ERR_SYNTAX,
                 "line 2, column 3: not YAML: mapping values");
    expect_error("a:\n\t- 1\n", ERR_SYNTAX, "line 2, column 1: not YAML: a tab");
    expect_error("a: \"open\nb: 1\n", ERR_SYNTAX, "line 3, column 1");
    expect_error("a: 1\n- b\n", ERR_SYNTAX, "line 2, column 1");
    expect_error("a: [1, 2\nb: 3\n", ERR_SYNTAX, "that begins on line 1");
    expect_error("a: \xff\n", ERR_SYNTAX, "line 1, column 4: byte 0xff is not UTF-8");
    expect_error("ok: 1\nb: \x01\n", ERR_SYNTAX, "line 2, column 4: not YAML: control");
    expect_error("a: .inf\n", ERR_INVALID, "line 1, column 4: an infinite number");
    expect_error("a: \"x\\0y\"\n", ERR_INVALID, "a NUL character");
    expect_error("a: !!int x\n", ERR_INVALID, "a tag");
    expect_error("a: !custom x\n", ERR_INVALID, "a tag that is not known");
    assert_false(yaml_json_parse(STR("a: ["), NULL, &(struct yaml_json){0}, NULL));
}

static void test_every_allocation(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a: &x {k: [1, 2.5, true, ~, text]}\nb:\n  <<: [*x]\n  c: |\n    block\n---\nd: "
        "1\n",
        "{\"a\": [1, 2.5, true, null, \"text\"]} {\"b\": 2}",
        "a: [",
        "{\"a\": ",
    };
    for (size_t t = 0; t < NRW_COUNT(texts); t++) {
        struct yaml_json docs = {0};
        bool want = yaml_json_parse(str_of(texts[t]), NULL, &docs, NULL);
        yaml_json_done(&docs);
        bool passed = false;
        unsigned long k;
        for (k = 1; k < 10000 && !passed; k++) {
            struct err err = {0};
            mem_fail_nth(k);
            bool good = yaml_json_parse(str_of(texts[t]), NULL, &docs, &err);
            passed = mem_fail_nth(0) < k;
            if (good)
                yaml_json_done(&docs);
            else
                assert_int_not_equal(err.code, ERR_NONE);
            if (passed)
                assert_int_equal(good, want);
        }
        assert_true(passed);
        assert_true(k > 2);
    }
}

/* jansson, refused memory for a longer token, goes on without the byte. (None here of 14
 * or 30 bytes: there the byte is the closing quote, and jansson 2.14 reads on past it.)
 */
static void test_nothing_is_lost(void **state)
{
    (void)state;
    static const char text[] =
        "{\"kind\":\"Policy\",\"registries\":{\"CORP\":{\"hostname\":"
        "\"registry.corp.example.and.longer.than.32\",\"ofMoreThan16Bytes\":true}}}";
    unsigned refused = 0;
    bool good = false;
    for (unsigned long k = 1; !good && k < 1000; k++) {
        struct yaml_json docs = {0};
        struct err err = {0};
        mem_fail_nth(k);
        good = yaml_json_parse(str_of(text), NULL, &docs, &err);
        mem_fail_nth(0);
        refused += !good;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
        if (!good)
            continue;
        char *got = json_dumps(docs.docs[0].json, JSON_COMPACT);
        assert_string_equal(got, text);
        mem_free(got);
        yaml_json_done(&docs);
    }
    assert_in_range(refused, 10, 100);
}

static int setup(void **state)
{
    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),         cmocka_unit_test(test_keys),
        cmocka_unit_test(test_block_scalars),   cmocka_unit_test(test_documents),
        cmocka_unit_test(test_anchors),         cmocka_unit_test(test_laughs),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_json),
        cmocka_unit_test(test_syntax_errors),   cmocka_unit_test(test_every_allocation),
        cmocka_unit_test(test_nothing_is_lost),
    };
    return cmocka_run_group_tests_name("yaml_json", tests, setup, NULL);
}
