/* What is measured: a review of a given size or shape, the policy it is judged by, and
 * the two ways through it. Shared by the programs of bench/. Whatever fails ends the
 * program: a measurement of something that failed says nothing. One thread. */
#ifndef NRW_BENCH_SUPPORT_SUBJECT_H
#define NRW_BENCH_SUPPORT_SUBJECT_H

#include <jansson.h>

#include "admit/admit.h"
#include "admit/review.h"
#include "core/decide.h"
#include "policy/policy_load.h"

/* Ends the program with a message. */
_Noreturn void subject_fail(const char *what);

/* The heap and the hash seed, the same in every run. The heap keeps what it has: to give
 * megabytes back after each parse or answer and to ask for them again costs as much as
 * the largest of them, and is glibc's to decide. Call it first. */
void subject_start(void);

/* A policy of so many registries, in Inject mode, for the Deployment of the recordings.
 */
struct policy_doc *subject_policy(size_t registries);

/* A recorded review as bytes; mem_free. */
char *subject_load(const char *path, size_t *ret_n);

/* A recorded UPDATE grown to `size` bytes within 1 %: managedFields of both objects gain
 * entries of further managers, as an object has that many controllers touched. mem_free.
 */
char *subject_of_size(const char *path, size_t size, size_t *ret_n);

/* A recorded UPDATE with so many containers, of which the target's is the last, and so
 * many variables in that one, of which each pair declares a registry of its own
 * (`declaring`) or says nothing about registries. oldObject is null, as in a CREATE.
 * mem_free. */
char *subject_of_shape(const char *path, size_t containers, size_t variables,
                       bool declaring, size_t *ret_n);

/* Bytes to answer, once. Returns the bytes of the answer. */
size_t subject_answer(const struct policy *policy, enum admit_endpoint endpoint,
                      const char *text, size_t n);

/* What decide_deployment() takes, read once from a review. */
struct subject_decision {
    struct arena arena; /* of the reading */
    struct review review;
    const struct policy *policy;
    const struct policy_target *target;
    struct workload workload;
};
void subject_decision_init(struct subject_decision *decision, const struct policy *policy,
                           const char *text, size_t n);
void subject_decision_done(struct subject_decision *decision);
/* decide() alone, once. Returns the number of findings. */
size_t subject_decide(const struct subject_decision *decision);

/* jansson's parse alone, once. */
void subject_parse(const char *text, size_t n);

#endif
