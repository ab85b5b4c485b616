/* How long the core takes: bytes of an AdmissionReview to bytes of the answer, and
 * decide() alone, beside what jansson alone takes to parse the same bytes; interleaved in
 * one run. Prints one line of Markdown per size, and every measurement to the file given.
 *   bench/core CREATE.json UPDATE.json [RAW.tsv]
 * The smallest review is the recorded CREATE as it is, the others are the recorded UPDATE
 * with more managers in its managedFields. One thread. */
#include <stdio.h>

#include "bench/support/clockwork.h"
#include "bench/support/subject.h"
#include "util/mem.h"

#define ROUNDS 31u

static const struct size {
    const char *name;
    size_t size; /* 0: as recorded */
    unsigned parses, answers;
} cases[] = {
    {"4KiB", 0, 200, 200},         {"17KiB", 17u << 10, 100, 200},
    {"64KiB", 64u << 10, 40, 100}, {"1MiB", 1u << 20, 3, 40},
    {"3MiB", 3u << 20, 1, 20},
};

static void measure(const struct policy *policy, const struct size *size,
                    const char *text, size_t n, FILE *raw)
{
    const char *name = size->name;
    struct clockwork parse = {.count = 0};
    struct clockwork answer = {.count = 0};
    struct clockwork decide = {.count = 0};
    struct subject_decision decision;
    subject_decision_init(&decision, policy, text, n);
    for (unsigned round = 0; round < ROUNDS; round++) {
        CLOCKWORK_RUN(&parse, size->parses, subject_parse(text, n));
        clockwork_row(&parse, raw, name, "jansson", "parse");
        /* The pieces that jansson freed are put together by who comes next. */
        (void)subject_answer(policy, ADMIT_MUTATE, text, n);
        CLOCKWORK_RUN(&answer, size->answers,
                      subject_answer(policy, ADMIT_MUTATE, text, n));
        clockwork_row(&answer, raw, name, "ours", "answer");
        CLOCKWORK_RUN(&decide, 200, subject_decide(&decision));
        clockwork_row(&decide, raw, name, "ours", "decide");
    }
    subject_decision_done(&decision);
    printf("| %s | %zu |", name, n);
    double parsed = clockwork_cell(&parse);
    double answered = clockwork_cell(&answer);
    (void)clockwork_cell(&decide);
    printf(" %.1f |\n", parsed / answered);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    subject_start();
    FILE *raw = argc > 3 ? fopen(argv[3], "w") : NULL;
    if (argc > 3 && raw == NULL)
        subject_fail("the file for the measurements cannot be written");
    struct policy_doc *doc = subject_policy(2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n;
        char *text = cases[i].size == 0 ? subject_load(argv[1], &n)
                                        : subject_of_size(argv[2], cases[i].size, &n);
        measure(doc->policy, &cases[i], text, n, raw);
        mem_free(text);
    }
    policy_doc_free(doc);
    return raw != NULL && fclose(raw) != 0;
}
