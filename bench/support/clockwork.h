/* Repeating and timing; the numbers of one case. Shared by the programs of bench/. */
#ifndef NRW_BENCH_SUPPORT_CLOCKWORK_H
#define NRW_BENCH_SUPPORT_CLOCKWORK_H

#include <stdio.h>
#include <stdlib.h>

#include "util/clock.h"

#define CLOCKWORK_MAXIMUM 101u

struct clockwork {
    double us[CLOCKWORK_MAXIMUM];
    size_t count;
};

/* Runs the statement `times` times and notes the microseconds that one of them took. */
#define CLOCKWORK_RUN(clockwork, times, statement)                                       \
    do {                                                                                 \
        int64_t began_ = clock_mono_nanos();                                             \
        for (unsigned run_ = 0; run_ < (times); run_++)                                  \
            statement;                                                                   \
        (clockwork)->us[(clockwork)->count++] =                                          \
            (double)(clock_mono_nanos() - began_) / 1000.0 / (times);                    \
    } while (0)

static inline int clockwork_compare(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return (*left > *right) - (*left < *right);
}

/* Sorts; afterwards us[0] is the least and us[count - 1] the most. */
static inline double clockwork_median(struct clockwork *clockwork)
{
    qsort(clockwork->us, clockwork->count, sizeof(double), clockwork_compare);
    return clockwork->us[clockwork->count / 2];
}

/* The last run as a row of results.tsv. */
static inline void clockwork_row(const struct clockwork *clockwork, FILE *out,
                                 const char *name, const char *subject,
                                 const char *measure)
{
    if (out != NULL)
        fprintf(out, "%s\t%s\t%s\tus\t%zu\t%.3f\n", name, subject, measure,
                clockwork->count, clockwork->us[clockwork->count - 1]);
}

/* " 34.6 (34.1–38.1) |" */
static inline double clockwork_cell(struct clockwork *clockwork)
{
    double median = clockwork_median(clockwork);
    printf(" %.1f (%.1f–%.1f) |", median, clockwork->us[0],
           clockwork->us[clockwork->count - 1]);
    return median;
}

#endif
