/* How the time of an answer grows with what there is: registries in the policy,
 * containers in the pod, variables in the container (that say nothing about registries,
 * and that declare one each pair). Rounds are interleaved over all cases. Prints a table
 * in Markdown, and every measurement to the file given.
 *   bench/growth UPDATE.json [RAW.tsv]
 * One thread. */
#include <stdio.h>
#include <string.h>

#include "bench/support/clockwork.h"
#include "bench/support/subject.h"
#include "util/attr.h"
#include "util/mem.h"

#define ROUNDS 11u
/* For caches that the larger case no longer fits into. */
#define SLACK 1.3

enum series { REGISTRIES, CONTAINERS, VARIABLES, DECLARING };

static const char *const names[] = {"registries", "containers", "variables", "declaring"};

static struct growth {
    enum series series;
    size_t count;
    unsigned times;
    char *text;
    size_t n;
    struct policy_doc *policy;
    struct clockwork clockwork;
} cases[] = {
    {.series = REGISTRIES, .count = 1, .times = 100},
    {.series = REGISTRIES, .count = 16, .times = 50},
    {.series = REGISTRIES, .count = 256, .times = 4},
    {.series = CONTAINERS, .count = 1, .times = 100},
    {.series = CONTAINERS, .count = 10, .times = 100},
    {.series = CONTAINERS, .count = 100, .times = 20},
    {.series = VARIABLES, .count = 10, .times = 100},
    {.series = VARIABLES, .count = 100, .times = 50},
    {.series = VARIABLES, .count = 1000, .times = 4},
    {.series = VARIABLES, .count = 10000, .times = 1},
    {.series = DECLARING, .count = 10, .times = 50},
    {.series = DECLARING, .count = 100, .times = 10},
    {.series = DECLARING, .count = 1000, .times = 2},
    {.series = DECLARING, .count = 10000, .times = 1},
};

static void prepare(struct growth *growth, const char *path)
{
    growth->policy = subject_policy(growth->series == REGISTRIES ? growth->count : 2);
    if (growth->series == REGISTRIES)
        growth->text = subject_of_size(path, 17u << 10, &growth->n);
    else if (growth->series == CONTAINERS)
        growth->text = subject_of_shape(path, growth->count, 10, false, &growth->n);
    else
        growth->text = subject_of_shape(path, 1, growth->count,
                                        growth->series == DECLARING, &growth->n);
}

/* A row of the table; `before` is the next smaller case of the series, or NULL. */
static bool report(struct growth *growth, const struct growth *before)
{
    bool linear = true;
    printf("| %s | %zu | %zu |", names[growth->series], growth->count, growth->n);
    double median = clockwork_cell(&growth->clockwork);
    if (before == NULL) {
        printf(" | |\n");
        return true;
    }
    double more = (double)growth->count / (double)before->count;
    double longer = median / before->clockwork.us[before->clockwork.count / 2];
    linear = longer <= more * SLACK;
    printf(" %.0f | %.1f%s |\n", more, longer, linear ? "" : " (more than linear)");
    return linear;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    subject_start();
    FILE *raw = argc > 2 ? fopen(argv[2], "w") : NULL;
    if (argc > 2 && raw == NULL)
        subject_fail("the file for the measurements cannot be written");
    for (size_t i = 0; i < NRW_COUNT(cases); i++)
        prepare(&cases[i], argv[1]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < NRW_COUNT(cases); i++) {
            struct growth *growth = &cases[i];
            char name[32];
            snprintf(name, sizeof(name), "%s:%zu", names[growth->series], growth->count);
            CLOCKWORK_RUN(&growth->clockwork, growth->times,
                          subject_answer(growth->policy->policy, ADMIT_MUTATE,
                                         growth->text, growth->n));
            clockwork_row(&growth->clockwork, raw, name, "ours", "answer");
        }
    }
    bool linear = true;
    for (size_t i = 0; i < NRW_COUNT(cases); i++) {
        bool first = i == 0 || cases[i - 1].series != cases[i].series;
        linear = report(&cases[i], first ? NULL : &cases[i - 1]) && linear;
    }
    for (size_t i = 0; i < NRW_COUNT(cases); i++) {
        mem_free(cases[i].text);
        policy_doc_free(cases[i].policy);
    }
    if (linear)
        printf("\nNo step takes longer than what is asked for has grown, but for a "
               "factor of "
               "%.1f at most:\nthe instructions grow in proportion, the memory that they "
               "work on no longer fits into a core's caches.\n",
               SLACK);
    else
        printf("\n**A step takes longer than what is asked for has grown.**\n");
    return raw != NULL && fclose(raw) != 0;
}
