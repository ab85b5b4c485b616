/* How long the core takes: bytes of an AdmissionReview to bytes of the answer, beside
 * what jansson alone takes to parse the same bytes, interleaved in one run. Prints one
 * line of Markdown per size, and the raw medians as TSV to the file given. bench/core
 * REVIEW.json [RAW.tsv] REVIEW.json: a recorded UPDATE; its managedFields are repeated
 * until a size is reached, in both objects, as an object that many managers have touched
 * would look. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admit/admit.h"
#include "admit/review.h"
#include "policy/policy_load.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/mem.h"

#define ROUNDS 31

static const char policy_text[] =
    "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\nregistries:\n"
    "  GHCR: {name: GitHub Container Registry, hostname: ghcr.io}\n"
    "  INTERNAL: {name: Corporate Registry, hostname: registry.corp.example}\n";

static int by_value(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return (*left > *right) - (*left < *right);
}

static void widen(json_t *object, size_t copies)
{
    json_t *fields =
        json_object_get(json_object_get(object, "metadata"), "managedFields");
    json_t *first = json_array_get(fields, 0);
    for (size_t i = 0; first != NULL && i < copies; i++)
        json_array_append_new(fields, json_deep_copy(first));
}

/* A review of about `size` bytes; the caller frees it with mem_free. */
static char *make_review(const char *path, size_t size, size_t *ret_size)
{
    char *text = NULL;
    for (size_t copies = 0;; copies += copies / 2 + 1) {
        json_t *review = json_load_file(path, 0, NULL);
        json_t *request = json_object_get(review, "request");
        if (request == NULL)
            return NULL;
        json_t *object = json_object_get(request, "object");
        json_t *old = json_object_get(request, "oldObject");
        if (size < 8192) { /* a CREATE, as Helm's first */
            json_object_set_new(request, "oldObject", json_null());
            json_object_set_new(request, "operation", json_string("CREATE"));
        } else {
            widen(object, copies);
            widen(old, copies);
        }
        text = json_dumps(review, JSON_COMPACT);
        json_decref(review);
        if (text == NULL || strlen(text) >= size || size < 8192)
            break;
        mem_free(text);
    }
    *ret_size = text != NULL ? strlen(text) : 0;
    return text;
}

static double parse_once(const char *text, size_t n, unsigned times)
{
    int64_t began = clock_mono_nanos();
    for (unsigned i = 0; i < times; i++)
        json_decref(json_loadb(text, n, JSON_ALLOW_NUL, NULL));
    return (double)(clock_mono_nanos() - began) / 1000.0 / times;
}

static double answer_once(const struct policy *policy, const char *text, size_t n,
                          unsigned times)
{
    int64_t began = clock_mono_nanos();
    for (unsigned i = 0; i < times; i++) {
        struct arena arena;
        struct buf answer;
        struct admit_outcome outcome;
        const struct admit_input input = {
            .endpoint = ADMIT_MUTATE,
            .body = str_from(text, n),
            .policy = policy,
            .policy_namespace = STR(""),
            .policy_name = STR(""),
        };
        arena_init(&arena, 64u << 20);
        buf_init(&answer, 16u << 20);
        if (!admit_review(&arena, &input, &answer, &outcome, NULL) || !outcome.changed)
            exit(1); /* a benchmark of something that failed says nothing */
        buf_done(&answer);
        arena_done(&arena);
    }
    return (double)(clock_mono_nanos() - began) / 1000.0 / times;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {4096, 17 * 1024, 64 * 1024, 1u << 20, 3u << 20};
    if (argc < 2)
        return 2;
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(1);
    FILE *raw = argc > 2 ? fopen(argv[2], "w") : NULL;
    struct policy_doc *doc = policy_doc_new(str_of(policy_text), NULL);
    if (doc == NULL || doc->policy == NULL)
        return 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n;
        char *text = make_review(argv[1], sizes[i], &n);
        double parse[ROUNDS];
        double answer[ROUNDS];
        if (text == NULL)
            return 1;
        unsigned times = n < 65536 ? 200 : n < 262144 ? 50 : 4;
        for (size_t round = 0; round < ROUNDS; round++) {
            parse[round] = parse_once(text, n, times);
            answer[round] = answer_once(doc->policy, text, n, times);
            if (raw != NULL)
                fprintf(raw,
                        "%zu\tjansson\tparse\tus\t%zu\t%.3f\n"
                        "%zu\tours\tanswer\tus\t%zu\t%.3f\n",
                        n, round + 1, parse[round], n, round + 1, answer[round]);
        }
        qsort(parse, ROUNDS, sizeof(double), by_value);
        qsort(answer, ROUNDS, sizeof(double), by_value);
        printf("| %zu | %.1f (%.1f–%.1f) | %.1f (%.1f–%.1f) | %.1f |\n", n,
               parse[ROUNDS / 2], parse[0], parse[ROUNDS - 1], answer[ROUNDS / 2],
               answer[0], answer[ROUNDS - 1], parse[ROUNDS / 2] / answer[ROUNDS / 2]);
        mem_free(text);
    }
    if (raw != NULL)
        fclose(raw);
    policy_doc_free(doc);
    return 0;
}
