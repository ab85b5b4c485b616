/* policy/yaml_write: what is written is read back as it was, by other readers as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/yaml_json.h"
#include "policy/yaml_write.h"
#include "util/mem.h"

/* The JSON as YAML, and the same when it is read back. */
static void expect(const char *text, const char *want)
{
    struct buf out;
    struct err err = {0};
    struct yaml_json docs = {0};
    buf_init(&out, 1u << 16);
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    assert_true(yaml_write(json, &out, &err));
    assert_string_equal(out.data, want);
    assert_true(yaml_json_parse(buf_view(&out), NULL, &docs, &err));
    assert_int_equal(docs.count, 1);
    assert_true(json_equal(docs.docs[0].json, json));
    yaml_json_done(&docs);
    json_decref(json);
    buf_done(&out);
}

/* Numbers, dates and merges to readers of YAML 1.1 or 1.2 other than Kubernetes'. */
static void test_quoted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "12:30:45",
        "1:2",
        "-1:30",
        "1:30.5",
        "190:20:30",
        "2026-01-01",
        "2026-1-2T3:04:05Z",
        "2026-01-01 00:00:00",
        "=",
        "<<",
        "1e400",
        "0x1ffffffffffffffff",
        ".5_0",
        "1,000",
        "0o17",
        "0b12_",
        "yes",
        "null",
        "~",
        "08",
        "1_000",
        ".inf",
        "",
        "-.5_5",
        "0o9",
        "+1,5",
    };
    for (size_t i = 0; i < NRW_COUNT(texts); i++) {
        char json[96];
        char want[96];
        snprintf(json, sizeof(json), "{\"%s\":\"%s\"}", texts[i], texts[i]);
        snprintf(want, sizeof(want), "\"%s\": \"%s\"\n", texts[i], texts[i]);
        expect(json, want);
    }
}

static void test_plain(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "10.0.0.1",    "1.2.3",
        "v1",          "8080/tcp",
        "ghcr.io",     "a:b",
        "100m",        "1Gi",
        "1-2",         "2026-01",
        "3cafe",       "12:30h",
        "10s",         "a=b",
        "==",          "<",
        ".",           "..a",
        "+",           "1.2.3-4",
        "k8s.io/x",    "sha256:0123abcd",
        "nvcr.io:443",
    };
    for (size_t i = 0; i < NRW_COUNT(texts); i++) {
        char json[96];
        char want[96];
        snprintf(json, sizeof(json), "{\"a\":\"%s\"}", texts[i]);
        snprintf(want, sizeof(want), "a: %s\n", texts[i]);
        expect(json, want);
    }
}

/* As few digits as say the same. */
static void test_numbers(void **state)
{
    (void)state;
    expect("[1, -7, 0.1, 1.5, 1e3, 3.14159, 1.7976931348623157e308]",
           "- 1\n- -7\n- 0.1\n- 1.5\n- 1000.0\n- 3.14159\n- 1.7976931348623157e308\n");
    expect("[0.30000000000000004, 9223372036854775807]",
           "- 0.30000000000000004\n- 9223372036854775807\n");
}

static void test_layout(void **state)
{
    (void)state;
    expect("{\"a\":{},\"b\":[],\"c\":[{\"d\":true,\"e\":null}],\"f\":\"x\\ny\\n\"}",
           "a: {}\nb: []\nc:\n- d: true\n  e: null\nf: |\n  x\n  y\n");
}

static int setup(void **state)
{
    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quoted),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_layout),
    };
    return cmocka_run_group_tests_name("yaml_write", tests, setup, NULL);
}
