/* AdmissionReviews from bytes to answer, with jansson as the reference. The first byte
 * picks policy and endpoint, the rest is the body.
 * - What jansson takes for JSON is decided the same when all of it goes through jansson.
 * - What the cursor takes has balanced brackets and closed strings.
 * - Every answer is JSON, and its patch, applied as the API server would, fits. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admit/judge.h"
#include "policy/policy_load.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const policies[] = {
    "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nregistries:\n"
    "  GHCR: {name: GitHub Container Registry, hostname: ghcr.io}\n",
    "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nmode: Check\n"
    "unlisted: Deny\nopaqueSources: Deny\nregistries:\n"
    "  GHCR: {name: GitHub Container Registry, hostname: ghcr.io}\n",
    "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nunlisted: Remove\n"
    "native:\n  HARBOR: {hostname: harbor.corp.example}\n",
    "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nenforcement: Audit\n",
};
#define POLICIES (sizeof(policies) / sizeof(policies[0]))

static struct policy_doc *docs[POLICIES];

static void need(bool good)
{
    if (!good)
        abort();
}

static void set_up(void)
{
    if (docs[0] != NULL)
        return;
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(1);
    for (size_t i = 0; i < POLICIES; i++) {
        docs[i] = policy_doc_new(str_of(policies[i]), NULL);
        need(docs[i] != NULL && docs[i]->policy != NULL);
    }
}

/* Brackets of the right kind and closed strings: a plain loop, for holding the cursor to.
 */
static bool is_balanced(const char *text, size_t n)
{
    static char kinds[1u << 16];
    size_t depth = 0;
    bool inside = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (inside) {
            if (c == '\\')
                i++;
            else if (c == '"')
                inside = false;
        } else if (c == '"') {
            inside = true;
        } else if (c == '{' || c == '[') {
            if (depth == sizeof(kinds))
                return false;
            kinds[depth++] = c;
        } else if (c == '}' || c == ']') {
            if (depth == 0 || kinds[--depth] != (c == '}' ? '{' : '['))
                return false;
        }
    }
    return depth == 0 && !inside;
}

/* The same body, all of it through jansson. */
static void compare(const struct admit_input *input, bool good,
                    const struct admit_outcome *outcome, const struct buf *answer)
{
    /* jansson passes over a NUL that stands behind a word or a number; no JSON has one.
     */
    if (memchr(input->body.p, '\0', input->body.n) != NULL)
        return;
    json_t *root = json_loadb(input->body.p, input->body.n, JSON_ALLOW_NUL, NULL);
    if (root == NULL)
        return;
    struct review review = {.root = NULL};
    struct judged judged = {.patch_problem = NULL};
    struct arena arena;
    arena_init(&arena, 64u << 20);
    bool whole = review_from_json(root, &review, NULL) &&
                 judge_object(&arena, input, &review, &judged, NULL);
    need(whole == good);
    if (whole) {
        need(judged.decision.allowed == outcome->allowed);
        need((judged.patch.size > 0) == outcome->changed);
        need(findings_count(&judged.decision.findings) ==
             findings_count(&outcome->findings));
        need(str_eq(review.uid, outcome->uid));
    }
    (void)answer;
    judged_done(&judged);
    if (review.root != NULL)
        review_done(&review);
    json_decref(root);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    if (size < 1)
        return 0;
    struct arena arena;
    struct buf answer;
    struct admit_outcome outcome = {.allowed = false};
    struct err err = {.code = ERR_NONE};
    const struct admit_input input = {
        .endpoint = (data[0] & 1) != 0 ? ADMIT_MUTATE : ADMIT_VALIDATE,
        .body = str_from((const char *)data + 1, size - 1),
        .policy = docs[(data[0] >> 1) % POLICIES]->policy,
        .policy_namespace = STR(""),
        .policy_name = STR(""),
    };
    arena_init(&arena, 64u << 20);
    buf_init(&answer, 16u << 20);
    bool good = admit_review(&arena, &input, &answer, &outcome, &err);
    if (good) {
        need(is_balanced(input.body.p, input.body.n));
        json_t *json = json_loadb(answer.data, answer.size, 0, NULL);
        need(json_is_object(json));
        json_decref(json);
    } else {
        need(err.code != ERR_NONE && err.code != ERR_NOMEM && err.code != ERR_INTERNAL);
    }
    compare(&input, good, &outcome, &answer);
    buf_done(&answer);
    arena_done(&arena);
    return 0;
}
