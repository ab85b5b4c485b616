/* admit_review(): what is no review, what every answer must have, and that running out of
 * memory at any point is an error and never half an answer. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "admit/admit.h"
#include "admit/config_maps.h"
#include "admit/patch_json.h"
#include "policy/policy_load.h"
#include "tests/unit/support/json_patch.h"
#include "util/file.h"
#include "util/mem.h"

#define REVIEW "tests/e2e/recorded/helm3-upgrade-guide.02-mutate-UPDATE-Deployment.json"

static const char policy_text[] =
    "apiVersion: nvcf-registry-webhook/v1\n"
    "kind: RegistryPolicy\n"
    "registries:\n"
    "  CORP: {name: Corp, hostname: registry.corp.example}\n"
    "  GHCR: {name: GitHub, hostname: ghcr.io}\n";

struct ask {
    struct arena arena;
    struct buf answer;
    struct admit_outcome outcome;
    struct err err;
    bool good;
};

static void ask_init(struct ask *ask, const struct policy *policy,
                     enum admit_endpoint endpoint, struct str body)
{
    *ask = (struct ask){.good = false};
    arena_init(&ask->arena, 64u << 20);
    buf_init(&ask->answer, 16u << 20);
    const struct admit_input input = {
        .endpoint = endpoint,
        .body = body,
        .policy = policy,
        .policy_namespace = STR(""),
        .policy_name = STR(""),
    };
    ask->good = admit_review(&ask->arena, &input, &ask->answer, &ask->outcome, &ask->err);
}

static void ask_done(struct ask *ask)
{
    buf_done(&ask->answer);
    arena_done(&ask->arena);
}

static struct policy_doc *policy(void)
{
    struct policy_doc *doc = policy_doc_new(str_of(policy_text), NULL);
    assert_true(doc != NULL && doc->policy != NULL);
    return doc;
}

static void wrong_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum err_code code;
    } rows[] = {
        {"", ERR_SYNTAX},
        {"{", ERR_SYNTAX},
        {"null", ERR_SYNTAX},
        {"[]", ERR_SYNTAX},
        {"{}", ERR_INVALID},
        {"{\"kind\":\"AdmissionReview\"}", ERR_INVALID},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1beta1\","
         "\"request\":{\"uid\":\"x\"}}",
         ERR_INVALID},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}",
         ERR_INVALID},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
         "\"request\":{}}",
         ERR_INVALID},
        {"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
         "\"request\":{\"uid\":7}}",
         ERR_INVALID},
    };
    struct policy_doc *doc = policy();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ask ask;
        ask_init(&ask, doc->policy, ADMIT_MUTATE, str_of(rows[i].body));
        assert_false(ask.good);
        assert_int_equal(ask.err.code, rows[i].code);
        assert_true(strlen(ask.err.message) > 0);
        assert_null(strchr(ask.err.message, '\n'));
        ask_done(&ask);
    }
    policy_doc_free(doc);
}

/* The answer repeats it: whoever sends megabytes as a uid and does not read would have
 * the server keep them. */
static void a_uid_is_not_long(void **state)
{
    (void)state;
    char body[1024];
    struct policy_doc *doc = policy();
    for (int n = 255; n <= 257; n++) {
        snprintf(body, sizeof(body),
                 "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
                 "\"request\":{\"uid\":\"%0*d\"}}",
                 n, 7);
        struct ask ask;
        ask_init(&ask, doc->policy, ADMIT_MUTATE, str_of(body));
        assert_int_equal(ask.good, n <= 256);
        assert_int_equal(ask.err.code, n <= 256 ? ERR_NONE : ERR_INVALID);
        ask_done(&ask);
    }
    policy_doc_free(doc);
}

/* A review of a few bytes for each value takes dozens of times as much as it has: that is
 * said before it is taken, wherever the values are and in whatever order it stands. */
static void values_are_bounded(void **state)
{
    (void)state;
    enum { COUNT = 20000, ROOM = 1 << 20 };
    static const struct {
        const char *before, *item, *after;
    } rows[] = {
        {"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"env\":[0", ",{}",
         "]}]}}}}"},
        {"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"args\":[0", ",\"\"",
         "]}]}}}}"},
        {"{\"spec\":{\"template\":{\"spec\":{\"containers\":[0", ",{}", "]}}}}"},
        {"{\"spec\":{\"template\":{\"spec\":{\"containers\":[0", ",[]", "]}}}}"},
        {"{\"metadata\":{\"labels\":[0", ",{}", "]}}"},
        {"{\"metadata\":[0", ",{}", "]}"},
    };
#define DEPLOYMENT "\"kind\":{\"group\":\"apps\",\"kind\":\"Deployment\"}"
    static const struct {
        const char *before, *after;
    } orders[] = {
        {"," DEPLOYMENT ",\"object\":", ""},
        {",\"object\":", "," DEPLOYMENT},
        /* Through jansson as a whole. */
        {"," DEPLOYMENT ",\"object\":", ",\"kind\":{\"kind\":\"ConfigMap\"}"},
    };
    NRW_AUTO_BUF struct buf body;
    buf_init(&body, ROOM);
    struct policy_doc *doc = policy();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < sizeof(orders) / sizeof(orders[0]); k++) {
            struct ask ask = {.good = false};
            arena_init(&ask.arena, 1u << 20);
            buf_init(&ask.answer, 1u << 20);
            buf_clear(&body);
            buf_text(&body, "{\"kind\":\"AdmissionReview\",\"apiVersion\":"
                            "\"admission.k8s.io/v1\",\"request\":{\"uid\":\"1\","
                            "\"operation\":\"CREATE\",\"namespace\":\"nvcf\"");
            buf_text(&body, orders[k].before);
            buf_text(&body, rows[i].before);
            for (int n = 0; n < COUNT; n++)
                buf_text(&body, rows[i].item);
            buf_text(&body, rows[i].after);
            buf_text(&body, orders[k].after);
            buf_text(&body, "}}");
            assert_false(body.failed);
            const struct admit_input input = {.endpoint = ADMIT_MUTATE,
                                              .body = buf_view(&body),
                                              .policy = doc->policy,
                                              .policy_namespace = STR(""),
                                              .policy_name = STR("")};
            bool good =
                admit_review(&ask.arena, &input, &ask.answer, &ask.outcome, &ask.err);
            if (good || ask.err.code != ERR_LIMIT)
                fail_msg("row %zu, order %zu: %d %s", i, k, good, ask.err.message);
            ask_done(&ask);
        }
    }
    policy_doc_free(doc);
}

/* Odd, but a review: objects of other kinds and types are none of our business. */
static void odd_reviews_are_allowed(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "{\"uid\":\"u\"}",
        "{\"uid\":\"u\",\"object\":null,\"oldObject\":null}",
        "{\"uid\":\"u\",\"kind\":{\"group\":\"\",\"kind\":\"Pod\"},\"object\":{}}",
        "{\"uid\":\"u\",\"kind\":{\"group\":\"apps\",\"kind\":\"Deployment\"},"
        "\"namespace\":\"nvcf\",\"operation\":\"CREATE\",\"object\":[]}",
        "{\"uid\":\"u\",\"kind\":{\"group\":\"apps\",\"kind\":\"Deployment\"},"
        "\"namespace\":\"nvcf\",\"operation\":\"CREATE\",\"object\":{\"metadata\":7}}",
        "{\"uid\":\"u\",\"kind\":{\"group\":\"\",\"kind\":\"ConfigMap\"},"
        "\"namespace\":\"nvcf\",\"name\":\"a-env\",\"operation\":\"CREATE\","
        "\"object\":{\"data\":{\"a\":1}}}",
    };
    struct policy_doc *doc = policy();
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        char body[1024];
        snprintf(body, sizeof(body),
                 "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
                 "\"request\":%s}",
                 requests[i]);
        for (int endpoint = 0; endpoint < 2; endpoint++) {
            struct ask ask;
            ask_init(&ask, doc->policy, (enum admit_endpoint)endpoint, str_of(body));
            if (!ask.good)
                print_error("%s: %s\n", requests[i], ask.err.message);
            assert_true(ask.good);
            assert_true(ask.outcome.allowed);
            assert_non_null(strstr(ask.answer.data, "\"uid\":\"u\",\"allowed\":true"));
            ask_done(&ask);
        }
    }
    policy_doc_free(doc);
}

static struct str read_review(struct buf *buf)
{
    buf_init(buf, 1u << 20);
    assert_true(file_read(REVIEW, buf, NULL));
    return buf_view(buf);
}

static void same_input_same_bytes(void **state)
{
    (void)state;
    struct buf body;
    struct policy_doc *doc = policy();
    struct str review = read_review(&body);
    struct ask first;
    struct ask second;
    ask_init(&first, doc->policy, ADMIT_MUTATE, review);
    ask_init(&second, doc->policy, ADMIT_MUTATE, review);
    assert_true(first.good && second.good);
    assert_true(first.outcome.changed);
    assert_true(str_eq(buf_view(&first.answer), buf_view(&second.answer)));
    ask_done(&first);
    ask_done(&second);
    buf_done(&body);
    policy_doc_free(doc);
}

/* Every allocation of one admission fails in turn: an error each time, no leak (the
 * address flavour looks), and afterwards all is as before. */
static void every_allocation_fails(void **state)
{
    (void)state;
    struct buf body;
    struct policy_doc *doc = policy();
    struct str review = read_review(&body);
    unsigned long failures = 0;
    for (unsigned long nth = 1; nth < 100000; nth++) {
        struct ask ask;
        mem_fail_nth(nth);
        ask_init(&ask, doc->policy, ADMIT_MUTATE, review);
        unsigned long counted = mem_fail_nth(0);
        bool good = ask.good;
        if (!good) {
            failures++;
            assert_int_equal(ask.err.code, ERR_NOMEM);
        } else {
            assert_true(ask.outcome.allowed);
            assert_true(ask.outcome.changed);
        }
        ask_done(&ask);
        if (counted < nth) {
            assert_true(good);
            break;
        }
        assert_false(good);
    }
    assert_true(failures > 100);
    buf_done(&body);
    policy_doc_free(doc);
}

/* The linker puts this before the real one (Makefile), so that a patch can be refused: no
 * review is known that brings it about. */
bool __real_patch_apply(json_t *object, const struct patch *patch, struct err *err);
bool __wrap_patch_apply(json_t *object, const struct patch *patch, struct err *err);
static bool refuse_patch;
static unsigned patches;

bool __wrap_patch_apply(json_t *object, const struct patch *patch, struct err *err)
{
    patches++;
    return !refuse_patch && __real_patch_apply(object, patch, err);
}

/* It would fail the user's request, whatever failurePolicy says: rather none, and a word.
 */
static void a_patch_that_does_not_apply_is_not_sent(void **state)
{
    (void)state;
    struct buf body;
    struct policy_doc *doc = policy();
    struct str review = read_review(&body);
    for (int i = 0; i < 2; i++) {
        struct ask ask;
        patches = 0;
        refuse_patch = i == 1;
        ask_init(&ask, doc->policy, ADMIT_MUTATE, review);
        refuse_patch = false;
        assert_int_equal(patches, 1);
        assert_true(ask.good);
        assert_true(ask.outcome.allowed);
        assert_int_equal(ask.outcome.changed, i == 0);
        json_t *answer = json_loads(ask.answer.data, 0, NULL);
        const json_t *response = json_object_get(answer, "response");
        assert_int_equal(json_object_get(response, "patch") != NULL, i == 0);
        assert_int_equal(json_object_get(response, "patchType") != NULL, i == 0);
        assert_int_equal(strstr(ask.answer.data, "the patch did not apply") != NULL,
                         i == 1);
        json_decref(answer);
        ask_done(&ask);
    }
    buf_done(&body);
    policy_doc_free(doc);
}

static void operations_without_a_place(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        size_t container;
        struct patch_op op;
        bool applies;
    } rows[] = {
        {"[{\"env\":[1]}]", 0, {PATCH_ENV_APPEND, 0, STR("A"), STR("b")}, true},
        {"[{\"env\":[1]}]", 0, {PATCH_ENV_REMOVE, 0, STR("A"), STR("")}, true},
        {"[{\"env\":[1]}]", 0, {PATCH_ENV_REMOVE, 1, STR("A"), STR("")}, false},
        {"[{\"env\":[1]}]", 0, {PATCH_ENV_REPLACE, 1, STR("A"), STR("b")}, false},
        {"[{\"env\":[1]}]", 1, {PATCH_ENV_APPEND, 0, STR("A"), STR("b")}, false},
        {"[{}]", 0, {PATCH_ENV_APPEND, 0, STR("A"), STR("b")}, false},
        {"[7]", 0, {PATCH_ENV_CREATE, 0, STR(""), STR("")}, false},
        {"[{}]", 0, {PATCH_ANNOTATION_SET, 0, STR("a"), STR("b")}, false},
        {"[{}]", 0, {PATCH_ANNOTATION_REMOVE, 0, STR("a"), STR("")}, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_error_t where;
        json_t *containers = json_loads(rows[i].object, 0, &where);
        json_t *object = json_pack("{s:{},s:{s:{s:{s:o}}}}", "metadata", "spec",
                                   "template", "spec", "containers", containers);
        struct patch_op op = rows[i].op;
        const struct patch patch = {.ops = {.items = &op, .count = 1},
                                    .container = rows[i].container};
        struct err err = {.code = ERR_NONE};
        assert_int_equal(__real_patch_apply(object, &patch, &err), rows[i].applies);
        assert_int_equal(err.code, rows[i].applies ? ERR_NONE : ERR_INTERNAL);
        json_decref(object);
    }
}

static void base64(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    }; /* RFC 4648, part 10 */
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct buf out;
        buf_init(&out, 100);
        assert_true(patch_base64(&out, str_of(pairs[i][0])));
        assert_string_equal(out.data != NULL ? out.data : "", pairs[i][1]);
        buf_done(&out);
    }
}

static void what_the_tests_apply_patches_with(void **state)
{
    (void)state;
    static const struct {
        const char *object, *patch;
        bool applies;
    } rows[] = {
        {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/-\",\"value\":2}]", true},
        {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/1\",\"value\":2}]", true},
        {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":2}]", false},
        {"{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/1\"}]", false},
        {"{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/b\"}]", false},
        {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/b/c\",\"value\":2}]", false},
        {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/b\"}]", false},
        {"{\"a\":[1]}", "[{\"op\":\"move\",\"path\":\"/b\",\"value\":1}]", false},
        {"{\"a\":[1]}", "[{\"op\":\"replace\",\"path\":\"/a/0\",\"value\":2}]", true},
        {"{\"a\":[1]}", "[{\"op\":\"replace\",\"path\":\"/a/1\",\"value\":2}]", false},
        {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"a\",\"value\":2}]", false},
        {"{\"a/b\":{}}", "[{\"op\":\"add\",\"path\":\"/a~1b/~0\",\"value\":2}]", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *object = json_loads(rows[i].object, 0, NULL);
        json_t *patch = json_loads(rows[i].patch, 0, NULL);
        json_t *before = json_deep_copy(patch);
        struct err err = {.code = ERR_NONE};
        assert_int_equal(json_patch_apply(object, patch, &err), rows[i].applies);
        assert_int_equal(err.code, rows[i].applies ? ERR_NONE : ERR_INTERNAL);
        assert_true(json_equal(before, patch));
        json_decref(before);
        json_decref(object);
        json_decref(patch);
    }
}

/* At kubectl apply the denial is all that the admin sees. */
static void a_refused_policy_says_where(void **state)
{
    (void)state;
    static const char body[] =
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
        "\"request\":{\"uid\":\"u\",\"kind\":{\"group\":\"\",\"kind\":\"ConfigMap\"},"
        "\"namespace\":\"nvcf-registry-webhook\",\"name\":\"nvcf-registry-policy\","
        "\"operation\":\"CREATE\",\"object\":{\"metadata\":{\"name\":"
        "\"nvcf-registry-policy\"},\"data\":{\"policy.yaml\":\"apiVersion: "
        "nvcf-registry-webhook/v1\\nkind: RegistryPolicy\\ncolour: "
        "green\\n\"}}}}";
    struct policy_doc *doc = policy();
    struct ask ask;
    ask_init(&ask, doc->policy, ADMIT_VALIDATE, str_of(body));
    assert_true(ask.good);
    assert_false(ask.outcome.allowed);
    assert_non_null(strstr(ask.answer.data, "(line 3, column "));
    ask_done(&ask);
    policy_doc_free(doc);
}

static void a_config_map_is_replaced_by_name(void **state)
{
    (void)state;
    struct config_maps *maps = config_maps_new();
    for (int i = 0; i < 100; i++) {
        json_t *map = json_pack("{s:{s:s},s:{s:s}}", "metadata", "name",
                                i % 2 ? "a" : "b", "data", "k", i == 99 ? "last" : "v");
        assert_true(config_maps_add(maps, i % 4 < 2 ? STR("x") : STR("y"), map));
        json_decref(map);
    }
    size_t count;
    (void)config_maps_items(maps, &count);
    assert_int_equal(count, 4);
    const struct config_map *found = config_maps_find(maps, STR("y"), STR("a"));
    assert_non_null(found);
    assert_true(str_eq(found->data[0].value, STR("last")));
    assert_null(config_maps_find(maps, STR("z"), STR("a")));
    config_maps_free(maps);
}

/* Each is compared with those before it: a hundred thousand took fourteen seconds. */
static void names_to_look_at_are_bounded(void **state)
{
    (void)state;
    struct policy_doc *doc = policy();
    NRW_AUTO_BUF struct buf body;
    buf_init(&body, 8u << 20);
    buf_text(&body,
             "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
             "\"request\":{\"uid\":\"1\",\"kind\":{\"group\":\"apps\",\"version\":"
             "\"v1\",\"kind\":\"Deployment\"},\"namespace\":\"nvcf\",\"operation\":"
             "\"CREATE\",\"object\":{\"metadata\":{\"namespace\":\"nvcf\",\"labels\":"
             "{\"app.kubernetes.io/name\":\"helm-nvcf-api\"}},\"spec\":{\"template\":"
             "{\"spec\":{\"containers\":[{\"name\":\"helm-nvcf-api\",\"envFrom\":[");
    for (unsigned i = 0; i < 1000; i++)
        buf_printf(&body, "%s{\"configMapRef\":{\"name\":\"m-%u\"}}", i > 0 ? "," : "",
                   i / 2);
    buf_text(&body, "]}]}}}}}}");
    struct ask ask;
    ask_init(&ask, doc->policy, ADMIT_VALIDATE, buf_view(&body));
    assert_true(ask.good);
    assert_int_equal(ask.outcome.config_map_count, 64);
    assert_true(str_eq(ask.outcome.config_map_names[63], STR("m-63")));
    ask_done(&ask);
    policy_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_bodies),
        cmocka_unit_test(a_uid_is_not_long),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(odd_reviews_are_allowed),
        cmocka_unit_test(same_input_same_bytes),
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test(a_patch_that_does_not_apply_is_not_sent),
        cmocka_unit_test(operations_without_a_place),
        cmocka_unit_test(base64),
        cmocka_unit_test(what_the_tests_apply_patches_with),
        cmocka_unit_test(a_refused_policy_says_where),
        cmocka_unit_test(a_config_map_is_replaced_by_name),
        cmocka_unit_test(names_to_look_at_are_bounded),
    };
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
