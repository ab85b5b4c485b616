/* Properties of the decision over generated Deployments and policies: whatever comes in,
 * - the patch applies, and changes nothing but env of the target container and our two
 *   annotations;
 * - what the user wrote stays in its order, and is replaced only where the policy lists
 * it;
 * - no variable is there twice that was not before;
 * - a second pass over the outcome is empty, and /validate allows it;
 * - the same input gives the same bytes.
 * NRW_SEED picks another sequence, NRW_ROUNDS another length; both are printed. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admit/judge.h"
#include "policy/policy_load.h"
#include "tests/unit/support/json_patch.h"
#include "util/mem.h"
#include "util/num.h"

static uint64_t state_of_random;

static uint64_t next_random(void) /* splitmix64 */
{
    uint64_t z = state_of_random += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static size_t below(size_t n)
{
    return (size_t)(next_random() % n);
}

#define PICK(array) (array)[below(sizeof(array) / sizeof((array)[0]))]

static const char *const keys[] = {"GHCR", "CORP", "ZOT", "A1", "MIRROR"};
static const char *const hosts[] = {"ghcr.io", "registry.corp.example", "zot.example",
                                    "a1.example", "10.0.0.1"};
static const char *const names[] = {"GitHub", "Corp", "Zot", "A One", "The Mirror"};
static const char *const values[] = {
    "ghcr.io", "registry.corp.example", "GitHub", "Corp", "x:5000", "",
    "$(X)",    "a \"quoted\" \\ one",   "é€𝄞"};
static const char *const other_names[] = {
    "AWS_REGION",
    "POD_IP",
    "JAVA_TOOL_OPTIONS",
    "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_NGC_CALLTIMEOUT",
    "nvcf.registries.recognized.container.zot.name",
    "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_MY_REG_NAME",
    "NVCF_REGISTRIES_RECOGNIZED_HELM_CORP_NAME",
    "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME",
};

static struct policy_doc *random_policy(void)
{
    static const char *const modes[] = {"Inject", "Inject", "Inject", "Check"};
    static const char *const unlisted[] = {"Warn", "Deny", "Remove", "Remove", "Allow"};
    static const char *const enforcement[] = {"Enforce", "Enforce", "Enforce", "Audit"};
    struct buf text;
    buf_init(&text, 65536);
    buf_printf(&text,
               "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nmode: %s\n"
               "unlisted: %s\nenforcement: %s\nregistries:\n",
               PICK(modes), PICK(unlisted), PICK(enforcement));
    size_t listed = 0;
    for (size_t i = 0; i < 5; i++) {
        if (below(2) == 0)
            continue;
        buf_printf(&text, "  %s: {name: %s, hostname: %s}\n", keys[i], names[i],
                   hosts[i]);
        listed++;
    }
    if (listed == 0)
        buf_printf(&text, "  GHCR: {name: GitHub, hostname: ghcr.io}\n");
    struct policy_doc *doc = policy_doc_new(buf_view(&text), NULL);
    assert_true(doc != NULL && doc->policy != NULL);
    buf_done(&text);
    return doc;
}

static json_t *random_variable(void)
{
    char name[128];
    size_t i = below(5);
    if (below(3) == 0)
        return json_pack("{s:s,s:s}", "name", PICK(other_names), "value", PICK(values));
    bool host = below(2) == 0;
    snprintf(name, sizeof(name), "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_%s_%s", keys[i],
             host ? "HOSTNAME" : "NAME");
    if (below(8) == 0)
        return json_pack("{s:s,s:{s:{s:s,s:s}}}", "name", name, "valueFrom",
                         "secretKeyRef", "name", "s", "key", "k");
    const char *good = host ? hosts[i] : names[i];
    return json_pack("{s:s,s:s}", "name", name, "value",
                     below(4) > 0 ? good : PICK(values));
}

/* Mostly pairs that fit, so that many objects are admitted; and our own annotation, as an
 * earlier policy would have left it, for some of them. */
static json_t *random_deployment(void)
{
    struct buf record;
    buf_init(&record, 65536);
    json_t *env = json_array();
    for (size_t i = below(4); i > 0; i--)
        json_array_append_new(env, json_pack("{s:s,s:s}", "name", i % 2 ? "A" : "B_C",
                                             "value", PICK(values)));
    if (json_array_size(env) > 2)
        json_array_remove(env, 2);
    for (size_t i = 0; i < 5; i++) {
        if (below(3) != 0)
            continue;
        for (int half = 0; half < 2; half++) {
            char name[128];
            const char *value = half == 0 ? names[i] : hosts[i];
            snprintf(name, sizeof(name), "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_%s_%s",
                     keys[i], half == 0 ? "NAME" : "HOSTNAME");
            json_array_append_new(env,
                                  json_pack("{s:s,s:s}", "name", name, "value", value));
            if (below(2) == 0)
                buf_printf(&record, "%s=%s\n", name, below(8) > 0 ? value : "other");
        }
    }
    while (below(4) == 0)
        json_array_append_new(env, random_variable());
    json_t *container = json_pack("{s:s,s:s}", "name", "helm-nvcf-api", "image", "x");
    if (json_array_size(env) > 0 || below(2) == 0)
        json_object_set(container, "env", env);
    json_decref(env);
    json_t *meta = json_pack("{s:s,s:s,s:{s:s}}", "name", "nvcf-api", "namespace", "nvcf",
                             "labels", "app.kubernetes.io/name", "helm-nvcf-api");
    if (below(2) == 0)
        json_object_set_new(meta, "annotations", json_pack("{s:s}", "note", "x"));
    if (record.size > 0) {
        json_t *annotations = json_object_get(meta, "annotations");
        if (annotations == NULL) {
            annotations = json_object();
            json_object_set_new(meta, "annotations", annotations);
        }
        json_object_set_new(annotations, ANNOTATION_INJECTED, json_string(record.data));
    }
    buf_done(&record);
    json_t *containers = json_array();
    if (below(3) == 0)
        json_array_append_new(containers, json_pack("{s:s}", "name", "sidecar"));
    json_array_append_new(containers, container);
    return json_pack("{s:s,s:s,s:o,s:{s:{s:{s:o}}}}", "apiVersion", "apps/v1", "kind",
                     "Deployment", "metadata", meta, "spec", "template", "spec",
                     "containers", containers);
}

static json_t *review_of(json_t *object)
{
    return json_pack("{s:s,s:s,s:{s:s,s:{s:s,s:s},s:s,s:s,s:s,s:O}}", "apiVersion",
                     "admission.k8s.io/v1", "kind", "AdmissionReview", "request", "uid",
                     "u", "kind", "group", "apps", "kind", "Deployment", "namespace",
                     "nvcf", "name", "nvcf-api", "operation", "CREATE", "object", object);
}

/* The outcome of one pass; the object is changed to it. The patch is the caller's. */
static bool pass(const struct policy *policy, enum admit_endpoint endpoint,
                 json_t *object, json_t **ret_patch)
{
    struct arena arena;
    struct review review;
    struct judged judged = {.patch_problem = NULL};
    struct err err = {.code = ERR_NONE};
    arena_init(&arena, 16u << 20);
    json_t *before = json_deep_copy(object);
    json_t *root = review_of(object);
    const struct admit_input input = {.endpoint = endpoint,
                                      .policy = policy,
                                      .policy_namespace = STR(""),
                                      .policy_name = STR("")};
    assert_true(review_from_json(root, &review, &err));
    assert_true(judge_object(&arena, &input, &review, &judged, &err));
    assert_null(judged.patch_problem);
    bool allowed = judged.decision.allowed;
    if (!allowed)
        assert_int_equal(judged.patch.size, 0);
    *ret_patch = judged.patch.size > 0
                     ? json_loadb(judged.patch.data, judged.patch.size, 0, NULL)
                     : NULL;
    /* The text, applied as the API server would, gives what was made in memory. */
    assert_true(judged.patch.size == 0 || json_patch_apply(before, *ret_patch, NULL));
    assert_true(json_equal(before, object));
    json_decref(before);
    judged_done(&judged);
    review_done(&review);
    json_decref(root);
    arena_done(&arena);
    return allowed;
}

static json_t *container_of(json_t *object)
{
    json_t *spec = json_object_get(object, "spec");
    json_t *pod = json_object_get(json_object_get(spec, "template"), "spec");
    json_t *containers = json_object_get(pod, "containers");
    return json_array_get(containers, json_array_size(containers) - 1);
}

static void strip(json_t *object)
{
    json_t *meta = json_object_get(object, "metadata");
    json_t *annotations = json_object_get(meta, "annotations");
    json_object_del(container_of(object), "env");
    json_object_del(annotations, ANNOTATION_INJECTED);
    json_object_del(annotations, ANNOTATION_POLICY);
    if (json_object_size(annotations) == 0)
        json_object_del(meta, "annotations");
}

static size_t count_named(const json_t *env, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(env); i++)
        count +=
            strcmp(json_string_value(json_object_get(json_array_get(env, i), "name")),
                   name) == 0;
    return count;
}

/* What is left of the user's entries is in their order, with nothing new between them. */
static void check_env(const json_t *before, const json_t *after)
{
    size_t at = 0;
    bool ours = false;
    for (size_t i = 0; i < json_array_size(after); i++) {
        const json_t *entry = json_array_get(after, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (count_named(before, name) == 0) {
            ours = true;
            assert_int_equal(count_named(after, name), 1);
            continue;
        }
        assert_false(ours); /* appended ones come last */
        while (
            at < json_array_size(before) &&
            strcmp(json_string_value(json_object_get(json_array_get(before, at), "name")),
                   name) != 0)
            at++;
        assert_true(at < json_array_size(before));
        at++;
        assert_true(count_named(after, name) <= count_named(before, name));
    }
}

struct tally {
    unsigned long admitted, denied, changed;
};

static void one_round(struct tally *tally)
{
    struct policy_doc *doc = random_policy();
    json_t *original = random_deployment();
    json_t *object = json_deep_copy(original);
    json_t *again = json_deep_copy(original);
    json_t *patch;
    json_t *patch_again;
    json_t *second;
    bool allowed = pass(doc->policy, ADMIT_MUTATE, object, &patch);
    assert_int_equal(pass(doc->policy, ADMIT_MUTATE, again, &patch_again), allowed);
    char *text = json_dumps(patch, JSON_COMPACT);
    char *text_again = json_dumps(patch_again, JSON_COMPACT);
    assert_true((text == NULL) == (text_again == NULL));
    if (text != NULL)
        assert_string_equal(text, text_again);
    if (allowed) {
        tally->admitted++;
        tally->changed += patch != NULL;
        check_env(json_object_get(container_of(original), "env"),
                  json_object_get(container_of(object), "env"));
        if (!pass(doc->policy, ADMIT_MUTATE, object, &second) || second != NULL) {
            char *what = json_dumps(original, JSON_COMPACT);
            char *more = json_dumps(second, JSON_COMPACT);
            print_error("second pass not empty: %s\n%s\n%s\n", what, text, more);
            mem_free(what);
            mem_free(more);
            fail();
        }
        assert_true(pass(doc->policy, ADMIT_VALIDATE, object, &second));
        assert_null(second);
    } else {
        tally->denied++;
        assert_true(json_equal(original, object));
    }
    strip(original);
    strip(object);
    assert_true(json_equal(original, object));
    mem_free(text);
    mem_free(text_again);
    json_decref(patch);
    json_decref(patch_again);
    json_decref(original);
    json_decref(object);
    json_decref(again);
    policy_doc_free(doc);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t value;
    return text != NULL && num_parse(str_of(text), UINT64_MAX, &value) ? value
                                                                       : otherwise;
}

static void properties_hold(void **state)
{
    (void)state;
    uint64_t seed = setting("NRW_SEED", 20261124);
    uint64_t rounds = setting("NRW_ROUNDS", 5000);
    struct tally tally = {0, 0, 0};
    state_of_random = seed;
    for (uint64_t i = 0; i < rounds; i++)
        one_round(&tally);
    print_message("# seed %llu: %lu admitted, %lu of them changed, %lu denied\n",
                  (unsigned long long)seed, tally.admitted, tally.changed, tally.denied);
    /* The generator must reach all three, or the test says nothing. */
    assert_true(tally.changed > rounds / 10);
    assert_true(tally.denied > rounds / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(properties_hold)};
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
