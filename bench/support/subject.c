/* Reviews to measure with; see subject.h. */
#include "bench/support/subject.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admit/object.h"
#include "util/buf.h"
#include "util/mem.h"

#define ARENA_MAXIMUM  (256u << 20)
#define ANSWER_MAXIMUM (64u << 20)
#define TARGET         "helm-nvcf-api"

_Noreturn void subject_fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

void subject_start(void)
{
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(1);
}

struct policy_doc *subject_policy(size_t registries)
{
    struct buf text;
    buf_init(&text, 1u << 20);
    buf_text(&text, "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\n"
                    "registries:\n");
    for (size_t i = 0; i < registries; i++)
        buf_printf(&text,
                   "  CORP%zu: {name: Corporate Registry %zu, "
                   "hostname: registry-%zu.corp.example}\n",
                   i, i, i);
    struct policy_doc *doc = policy_doc_new(buf_view(&text), NULL);
    if (doc == NULL || doc->policy == NULL)
        subject_fail("the policy is not valid");
    buf_done(&text);
    return doc;
}

static json_t *load(const char *path)
{
    json_t *review = json_load_file(path, 0, NULL);
    if (!json_is_object(json_object_get(review, "request")))
        subject_fail("the recorded review cannot be read");
    return review;
}

static char *dump(json_t *review, size_t *ret_n)
{
    char *text = json_dumps(review, JSON_COMPACT);
    json_decref(review);
    if (text == NULL)
        subject_fail("out of memory");
    *ret_n = strlen(text);
    return text;
}

char *subject_load(const char *path, size_t *ret_n)
{
    return dump(load(path), ret_n);
}

static size_t length(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    size_t n = text != NULL ? strlen(text) : 0;
    mem_free(text);
    return n;
}

/* Another manager's entry, a copy of the first one. */
static void add_manager(json_t *fields, size_t i)
{
    json_t *entry = json_deep_copy(json_array_get(fields, 0));
    char name[32];
    snprintf(name, sizeof(name), "manager-%05zu", i);
    json_object_set_new(entry, "manager", json_string(name));
    json_array_append_new(fields, entry);
}

static json_t *managed_fields(json_t *review, const char *object)
{
    json_t *request = json_object_get(review, "request");
    return json_object_get(json_object_get(json_object_get(request, object), "metadata"),
                           "managedFields");
}

char *subject_of_size(const char *path, size_t size, size_t *ret_n)
{
    static const char *const objects[] = {"object", "oldObject"};
    json_t *review = load(path);
    size_t n = length(review);
    for (size_t i = 0;; i++) {
        json_t *fields = managed_fields(review, objects[i % 2]);
        size_t more = length(json_array_get(fields, 0)) + 16;
        if (fields == NULL || n + more > size)
            break;
        add_manager(fields, i / 2);
        n += more;
    }
    /* The rest, smaller than an entry: more annotations of the last manager. */
    for (size_t i = 0; n + 64 < size; i++) {
        json_t *fields = managed_fields(review, objects[i % 2]);
        json_t *last = json_array_get(fields, json_array_size(fields) - 1);
        json_t *metadata =
            json_object_get(json_object_get(last, "fieldsV1"), "f:metadata");
        char name[64];
        int written = snprintf(name, sizeof(name), "f:corp.example/note-%05zu", i / 2);
        json_object_set_new(json_object_get(metadata, "f:annotations"), name,
                            json_object());
        n += (size_t)written + 6;
    }
    char *text = dump(review, ret_n);
    if (*ret_n > size + size / 100 || *ret_n + size / 100 < size)
        subject_fail("the review did not reach its size");
    return text;
}

static json_t *literal(size_t i, bool declaring)
{
    char name[96];
    char value[64];
    if (declaring && i % 2 == 0) {
        snprintf(name, sizeof(name), "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_TEAM%zu_NAME",
                 i / 2);
        snprintf(value, sizeof(value), "Registry of team %zu", i / 2);
    } else if (declaring) {
        snprintf(name, sizeof(name),
                 "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_TEAM%zu_HOSTNAME", i / 2);
        snprintf(value, sizeof(value), "team-%zu.corp.example", i / 2);
    } else {
        snprintf(name, sizeof(name), "APPLICATION_SETTING_%zu", i);
        snprintf(value, sizeof(value), "https://service-%zu.corp.example/", i);
    }
    return json_pack("{s:s, s:s}", "name", name, "value", value);
}

char *subject_of_shape(const char *path, size_t containers, size_t variables,
                       bool declaring, size_t *ret_n)
{
    json_t *review = load(path);
    json_t *request = json_object_get(review, "request");
    json_t *object = json_object_get(request, "object");
    json_object_set_new(request, "oldObject", json_null());
    json_object_set_new(request, "operation", json_string("CREATE"));
    json_t *pod = json_object_get(
        json_object_get(json_object_get(object, "spec"), "template"), "spec");
    json_t *list = json_object_get(pod, "containers");
    json_t *target = json_incref(json_array_get(list, 0));
    if (!json_is_object(target))
        subject_fail("the recorded review has no container");
    json_array_clear(list);
    for (size_t i = 0; i + 1 < containers; i++) {
        char name[32];
        json_t *sidecar = json_deep_copy(target);
        snprintf(name, sizeof(name), "sidecar-%zu", i);
        json_object_set_new(sidecar, "name", json_string(name));
        json_array_append_new(list, sidecar);
    }
    json_t *env = json_object_get(target, "env");
    for (size_t i = 0; json_array_size(env) < variables; i++)
        json_array_append_new(env, literal(i, declaring));
    json_array_append_new(list, target);
    return dump(review, ret_n);
}

size_t subject_answer(const struct policy *policy, enum admit_endpoint endpoint,
                      const char *text, size_t n)
{
    struct arena arena;
    struct buf answer;
    struct admit_outcome outcome;
    const struct admit_input input = {
        .endpoint = endpoint,
        .body = str_from(text, n),
        .policy = policy,
        .policy_namespace = STR(""),
        .policy_name = STR(""),
    };
    arena_init(&arena, ARENA_MAXIMUM);
    buf_init(&answer, ANSWER_MAXIMUM);
    if (!admit_review(&arena, &input, &answer, &outcome, NULL) ||
        (endpoint == ADMIT_MUTATE && outcome.allowed && !outcome.changed))
        subject_fail("a review was not answered with a patch or a denial");
    size_t size = answer.size;
    buf_done(&answer);
    arena_done(&arena);
    return size;
}

void subject_decision_init(struct subject_decision *decision, const struct policy *policy,
                           const char *text, size_t n)
{
    *decision = (struct subject_decision){.policy = policy};
    arena_init(&decision->arena, ARENA_MAXIMUM);
    if (!review_read(str_from(text, n), ARENA_MAXIMUM, &decision->review, NULL))
        subject_fail("the review cannot be read");
    const struct review *review = &decision->review;
    decision->target = object_target(&decision->arena, policy, review->name_space,
                                     review->object, review->old_object);
    if (decision->target == NULL ||
        !object_workload(&decision->arena, decision->target, review->name_space,
                         review->object, review->old_object, NULL, NULL,
                         &decision->workload))
        subject_fail("the review is of no target");
}

void subject_decision_done(struct subject_decision *decision)
{
    review_done(&decision->review);
    arena_done(&decision->arena);
}

size_t subject_decide(const struct subject_decision *subject)
{
    struct arena arena;
    struct decision decision;
    arena_init(&arena, ARENA_MAXIMUM);
    if (!decide_deployment(&arena, subject->policy, subject->target, &subject->workload,
                           DECIDE_MUTATE, &decision))
        subject_fail("nothing was decided");
    size_t count = findings_count(&decision.findings);
    arena_done(&arena);
    return count;
}

void subject_parse(const char *text, size_t n)
{
    json_t *root = json_loadb(text, n, JSON_ALLOW_NUL, NULL);
    if (root == NULL)
        subject_fail("jansson refused the review");
    json_decref(root);
}
