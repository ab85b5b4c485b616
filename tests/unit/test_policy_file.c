/* policy/policy_file, cli/cli, cli/lint and admit/render: a policy in a file, bare or in
 * its ConfigMap, and what `lint` says about it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "admit/render.h"
#include "cli/cli.h"
#include "policy/policy_file.h"
#include "util/file.h"
#include "tests/unit/support/verb.h"
#include "util/mem.h"

#define HEAD "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\n"
#define CM   "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: nvcf-registry-policy\n"

/* The first finding as "LINE:COLUMN message", or "valid". */
static void expect(const char *text, const char *place, const char *part)
{
    struct err err = {0};
    struct policy_doc *doc = policy_file_parse(str_of(text), &err);
    assert_non_null(doc);
    if (findings_count(&doc->findings) == 0) {
        if (strcmp(place, "valid") != 0)
            fail_msg("valid, wanted %s %s:\n%s", place, part, text);
        assert_non_null(doc->policy);
    } else {
        const struct finding *f = findings_at(&doc->findings, 0);
        if (!str_eq(f->path, str_of(place)) ||
            str_find(f->message, str_of(part)) == f->message.n)
            fail_msg("%.*s %.*s, wanted %s %s:\n%s", STR_ARG(f->path),
                     STR_ARG(f->message), place, part, text);
        assert_null(doc->policy);
    }
    policy_doc_free(doc);
}

static void test_bare(void **state)
{
    (void)state;
    expect(HEAD, "valid", "");
    expect(HEAD "mode: x\n", "3:7", "mode \"x\"");
    expect(HEAD "---\n" HEAD, "4:1", "a second document");
    expect("a: [", "2:1", "not YAML");
    expect("", "1:1", "the policy is empty");
    expect("kind: Deployment\n", "1:1", "the policy has no apiVersion");
}

static void test_config_map(void **state)
{
    (void)state;
    expect(CM "data:\n  policy.yaml: |\n    apiVersion: nvcf-registry-webhook/v1\n"
              "    kind: RegistryPolicy\n",
           "valid", "");
    expect(CM "data:\n  other: x\n  policy.yaml: |\n"
              "    apiVersion: nvcf-registry-webhook/v1\n"
              "    kind: RegistryPolicy\n    mode: x\n",
           "10:11", "mode \"x\"");
    /* Blank lines first, deep indentation, a comment after the bar, an indicator. */
    expect(CM "data:\n  policy.yaml: |- # here\n\n\n"
              "        apiVersion: nvcf-registry-webhook/v1\n"
              "        kind: RegistryPolicy\n        mode: x\n",
           "11:15", "mode \"x\"");
    expect(CM "data:\n  policy.yaml: |2\n    apiVersion: nvcf-registry-webhook/v1\n"
              "    kind: RegistryPolicy\n    mode: x\n",
           "9:11", "mode \"x\"");
    expect(CM "data:\n  policy.yaml: |\n    apiVersion: [\n", "8:5", "not YAML");
    expect(CM "data:\n  policy.yaml: |\n", "7:1", "the policy is empty");
    expect(CM "data:\n  policy.yaml: ''\n", "6:16", "the policy is empty");
    expect(CM "data:\n  policy.yaml:\n", "6:15", "the policy is empty");
    /* A text that is not laid out line by line. */
    expect(CM "data:\n  policy.yaml: \"apiVersion: nvcf-registry-webhook/v1\\nkind: "
              "RegistryPolicy\\nmode: x\\n\"\n",
           "6:16",
           "mode \"x\" is not known (line 3, column 7 of the text in policy.yaml)");
    expect("{\"kind\": \"ConfigMap\", \"data\":\n {\"policy.yaml\": \"kind: x\"}}",
           "2:18", "of the text in policy.yaml");
    expect("x: &x \"kind: y\"\nkind: ConfigMap\ndata: {policy.yaml: *x}\n", "1:4",
           "has no apiVersion (line 1, column 1 of the text in policy.yaml)");
    expect(CM "data:\n  policy.yaml: {mode: x}\n", "6:16", "is not a text");
    expect(CM "data:\n  policy.yaml: 12\n", "6:16", "is not a text");
    expect(CM "data: {}\n", "1:1", "the ConfigMap has no data key policy.yaml");
    expect(CM, "1:1", "the ConfigMap has no data key policy.yaml");
    expect("a: 1\n---\n" CM, "3:1", "no ConfigMap here has a data key policy.yaml");
}

#define BLOCK                                                                            \
    "data:\n  policy.yaml: |\n    apiVersion: nvcf-registry-webhook/v1\n"                \
    "    kind: RegistryPolicy\n"
#define OTHER "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\n"

static void test_among_others(void **state)
{
    (void)state;
    expect("kind: Namespace\n---\n" CM BLOCK "---\nkind: Service\n", "valid", "");
    expect(OTHER "data: {x: y}\n---\n" CM BLOCK "    mode: x\n", "15:11", "mode \"x\"");
    expect("kind: List\nitems:\n- kind: ConfigMap\n  data:\n    policy.yaml: |\n"
           "      apiVersion: nvcf-registry-webhook/v1\n      kind: RegistryPolicy\n"
           "      mode: x\n",
           "8:13", "mode \"x\"");
    expect(CM BLOCK "---\n" CM BLOCK, "15:3", "a second policy in this file");
    /* The ConfigMap's name decides between several that have such a key. */
    expect(OTHER "data: {policy.yaml: x}\n---\n" CM BLOCK, "valid", "");
    expect(CM BLOCK "---\n" OTHER "data: {policy.yaml: x}\n", "valid", "");
    expect(CM BLOCK "---\n" HEAD, "2:7", "a ConfigMap where the policy itself belongs");
}

static void test_allocations(void **state)
{
    (void)state;
    static const char *const texts[] = {
        CM BLOCK "    mode: x\n",
        CM "data:\n  policy.yaml: \"kind: x\"\n",
        CM,
        "a: [",
        CM BLOCK "    mode: x\n---\n" CM BLOCK "    mode: y\n",
    };
    for (size_t t = 0; t < NRW_COUNT(texts); t++) {
        bool passed = false;
        for (unsigned long k = 1; k < 1000 && !passed; k++) {
            struct err err = {0};
            mem_fail_nth(k);
            struct policy_doc *doc = policy_file_parse(str_of(texts[t]), &err);
            passed = mem_fail_nth(0) < k;
            assert_true((doc != NULL) == passed);
            if (doc == NULL)
                assert_int_equal(err.code, ERR_NOMEM);
            policy_doc_free(doc);
        }
        assert_true(passed);
    }
}

/* Every problem in one run: of each policy, and that there is more than one. */
static void test_several(void **state)
{
    (void)state;
    static const struct {
        const char *place, *part;
    } wanted[] = {
        {"9:11", "mode \"x\""},      {"16:3", "a second policy in this file"},
        {"19:15", "unlisted \"y\""}, {"26:3", "one more policy in this file"},
        {"26:16", "is not a text"},
    };
    struct policy_doc *doc = policy_file_parse(STR(CM BLOCK "    mode: x\n---\n" CM BLOCK
                                                            "    unlisted: y\n---\n" CM
                                                            "data:\n  policy.yaml: {}\n"),
                                               NULL);
    assert_non_null(doc);
    assert_null(doc->policy);
    assert_int_equal(findings_count(&doc->findings), NRW_COUNT(wanted));
    for (size_t i = 0; i < NRW_COUNT(wanted); i++) {
        const struct finding *f = findings_at(&doc->findings, i);
        if (!str_eq(f->path, str_of(wanted[i].place)) ||
            str_find(f->message, str_of(wanted[i].part)) == f->message.n)
            fail_msg("%.*s %.*s, wanted %s %s", STR_ARG(f->path), STR_ARG(f->message),
                     wanted[i].place, wanted[i].part);
    }
    policy_doc_free(doc);
}

/* --- the verb -------------------------------------------------------------------------
 */

static char directory[] = "/tmp/nrw-lint-XXXXXX";
static char paths[8][64];

static char *path_of(unsigned i, const char *name)
{
    snprintf(paths[i], sizeof(paths[i]), "%s/%s", directory, name);
    return paths[i];
}

static char *write_file(unsigned i, const char *name, const char *text)
{
    assert_true(file_write_atomic(path_of(i, name), text, strlen(text), 0600, NULL));
    return paths[i];
}

static int redirect(int fd, const char *name)
{
    int saved = dup(fd);
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(saved >= 0 && file >= 0 && dup2(file, fd) == fd);
    close(file);
    return saved;
}

static void expect_run(const char *input, char *const *words, int code, const char *out,
                       const char *err)
{
    verb_expect(cli_lint, "lint", input, words, code, out, err);
}

static void test_lint_text(void **state)
{
    (void)state;
    char *good = write_file(0, "good.yaml", policy_example);
    char *bad = write_file(1, "bad.yaml", HEAD "mode: x\nmode: Check\n");
    expect_run("", WORDS(good), 0, "good.yaml: valid, 3 registries, 2 targets, hash ",
               "");
    expect_run(HEAD "registries: {A: {name: A, hostname: a.example}}\n", WORDS(W("-")), 0,
               "<stdin>: valid, 1 registry, 1 target, hash ", "");
    expect_run(HEAD, WORDS(), 0, "<stdin>: valid, 0 registries", "");
    expect_run("", WORDS(bad), 1,
               "bad.yaml:3:7: error: InvalidPolicy: mode \"x\" is not known\n"
               "    write one of: Inject, Check\n",
               "");
    expect_run("", WORDS(bad, good), 1, "bad.yaml: not valid, 2 problems\n", "");
    expect_run("", WORDS(bad, path_of(2, "absent"), good), 2, "good.yaml: valid",
               "lint: cannot open");
    expect_run("", WORDS(W("--"), bad), 1, "not valid", "");
    expect_run("kind: \"\\e[31m\"\n", WORDS(), 1, "kind is \"?[31m\"", "");
    /* Nothing that is no terminal gets colours. */
    struct verb_run run;
    verb_run(&run, cli_lint, "lint", "", WORDS(bad));
    assert_null(strchr(run.out.data, '\x1b'));
    verb_run_done(&run);
}

static void test_lint_json(void **state)
{
    (void)state;
    char *good = write_file(0, "good.yaml", policy_example);
    char *bad = write_file(1, "bad.yaml", HEAD "mode: \"x\\ty\"\n");
    struct verb_run run;
    verb_run(&run, cli_lint, "lint", "", WORDS(W("-o"), W("json"), bad, good));
    assert_int_equal(run.code, 1);
    char *second = strchr(run.out.data, '\n');
    assert_non_null(second);
    *second++ = '\0';
    json_t *json = json_loads(run.out.data, 0, NULL);
    assert_non_null(json);
    assert_true(json_is_false(json_object_get(json, "valid")));
    assert_true(json_is_null(json_object_get(json, "hash")));
    const json_t *finding = json_array_get(json_object_get(json, "findings"), 0);
    assert_string_equal(json_string_value(json_object_get(finding, "finding")),
                        "InvalidPolicy");
    assert_string_equal(json_string_value(json_object_get(finding, "severity")), "error");
    assert_string_equal(json_string_value(json_object_get(finding, "source")), "policy");
    assert_string_equal(json_string_value(json_object_get(finding, "path")), "3:7");
    assert_string_equal(json_string_value(json_object_get(finding, "key")), "");
    assert_string_equal(json_string_value(json_object_get(finding, "file")), bad);
    assert_int_equal(json_integer_value(json_object_get(finding, "line")), 3);
    assert_int_equal(json_integer_value(json_object_get(finding, "column")), 7);
    assert_string_equal(json_string_value(json_object_get(finding, "advice")),
                        "write one of: Inject, Check");
    json_decref(json);
    json = json_loads(second, 0, NULL); /* and nothing after it but the newline */
    assert_non_null(json);
    assert_true(json_is_true(json_object_get(json, "valid")));
    assert_int_equal(json_integer_value(json_object_get(json, "registries")), 3);
    assert_int_equal(strlen(json_string_value(json_object_get(json, "hash"))), 16);
    assert_int_equal(json_array_size(json_object_get(json, "findings")), 0);
    json_decref(json);
    verb_run_done(&run);
}

static void test_usage(void **state)
{
    (void)state;
    expect_run("", WORDS(W("--help")), 0, "Usage: nvcf-registry-webhook lint [OPTIONS] ",
               "");
    expect_run("", WORDS(W("-h")), 0, "Exit codes: 0 every policy is valid", "");
    expect_run("", WORDS(W("--outptu"), W("json")), 2, "",
               "nvcf-registry-webhook lint: unknown option --outptu; did you mean "
               "--output?\n");
    expect_run("", WORDS(W("--zzz=1")), 2, "", "unknown option --zzz; ");
    expect_run("", WORDS(W("-x")), 2, "", "unknown option -x; ");
    expect_run("", WORDS(W("--output")), 2, "",
               "--output needs a value: --output FORMAT");
    expect_run("", WORDS(W("-o")), 2, "", "--output needs a value");
    expect_run("", WORDS(W("--help=x")), 2, "", "--help takes no value");
    expect_run("", WORDS(W("-o"), W("jsn")), 2, "",
               "-o jsn is not known; did you mean json? (text, json)");
    expect_run("", WORDS(W("-o"), W("a\x1b")), 2, "", "-o a? is not known; use one of");
    expect_run(HEAD, WORDS(W("--out=json")), 0, "{\"file\":\"<stdin>\",\"valid\":true",
               "");
    expect_run("", WORDS(directory), 2, "", "Is a directory");
}

static void test_full_disk(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    if (full < 0)
        skip();
    int saved = dup(1);
    struct buf out;
    buf_init(&out, 100);
    buf_text(&out, "text");
    int saved_err = redirect(2, path_of(3, "err"));
    fflush(NULL);
    dup2(full, 1);
    bool good = cli_write(NULL, &out);
    dup2(saved, 1);
    dup2(saved_err, 2);
    close(full);
    close(saved);
    close(saved_err);
    assert_false(good);
    buf_done(&out);
}

static void test_render(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    struct findings findings = {{0}};
    struct finding *finding =
        findings_add(&arena, &findings, FINDING_OPAQUE_SOURCE, SEVERITY_WARNING);
    assert_non_null(finding);
    finding->message = STR("a \"b\"\n");
    struct buf out;
    buf_init(&out, 4096);
    render_finding_json(&out, finding);
    assert_string_equal(
        out.data, "{\"finding\":\"OpaqueSource\",\"severity\":\"warning\",\"key\":\"\","
                  "\"source\":\"\",\"path\":\"\",\"message\":\"a \\\"b\\\"\\n\","
                  "\"advice\":\"\"}");
    buf_clear(&out);
    cli_finding(&out, true, STR("f:1:2"), finding);
    assert_string_equal(out.data, "\x1b[1mf:1:2\x1b[0m: \x1b[1;33mwarning\x1b[0m: "
                                  "OpaqueSource: a \"b\"?\n");
    buf_done(&out);
    arena_done(&arena);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"good.yaml", "bad.yaml", "err"};
    for (size_t i = 0; i < NRW_COUNT(names); i++)
        unlink(path_of(0, names[i]));
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bare),         cmocka_unit_test(test_config_map),
        cmocka_unit_test(test_among_others), cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_lint_text),    cmocka_unit_test(test_lint_json),
        cmocka_unit_test(test_usage),        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_render),       cmocka_unit_test(test_several),
    };
    return cmocka_run_group_tests_name("policy_file", tests, set_up, tear_down);
}
