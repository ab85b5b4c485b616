/* One case, a number of times, for tools that count: callgrind collects what is inside
 * measured(), so that start and reading do not count.
 *   bench/repeat CASE TIMES RECORDED.json
 *   bench/repeat --versions        what instruction counts depend on, one a line
 * CASE: what:number, where what is
 *   create      the recorded review as it is (number: 0)
 *   size        the recorded UPDATE grown to so many bytes
 *   decide      the same, decide() alone
 *   validate    the same, asked of /validate
 *   registries  so many registries in the policy
 *   containers, variables, declaring    see subject_of_shape() */
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

#include "bench/support/subject.h"
#include "util/mem.h"

static size_t sum; /* of the results, so that nothing is left out */

void measured(const struct policy *policy, enum admit_endpoint endpoint, const char *text,
              size_t n, unsigned times) __attribute__((noinline, used));
void measured(const struct policy *policy, enum admit_endpoint endpoint, const char *text,
              size_t n, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        sum += subject_answer(policy, endpoint, text, n);
}

void measured_decide(const struct subject_decision *decision, unsigned times)
    __attribute__((noinline, used));
void measured_decide(const struct subject_decision *decision, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        sum += subject_decide(decision);
}

static int versions(void)
{
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    printf("compiler\t%s\nlibc\t%s\njansson\t%s\n", compiler, gnu_get_libc_version(),
           jansson_version_str());
    return 0;
}

static char *make(const char *what, unsigned long number, const char *path, size_t *ret_n)
{
    if (strcmp(what, "create") == 0)
        return subject_load(path, ret_n);
    if (strcmp(what, "containers") == 0)
        return subject_of_shape(path, number, 10, false, ret_n);
    if (strcmp(what, "variables") == 0 || strcmp(what, "declaring") == 0)
        return subject_of_shape(path, 1, number, what[0] == 'd', ret_n);
    return subject_of_size(path, strcmp(what, "registries") == 0 ? 17u << 10 : number,
                           ret_n);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--versions") == 0)
        return versions();
    char what[32];
    unsigned long number;
    unsigned times;
    if (argc != 4 || sscanf(argv[1], "%31[a-z]:%lu", what, &number) != 2 ||
        sscanf(argv[2], "%u", &times) != 1)
        return 2;
    subject_start();
    struct policy_doc *doc = subject_policy(strcmp(what, "registries") == 0 ? number : 2);
    size_t n;
    char *text = make(what, number, argv[3], &n);
    if (strcmp(what, "decide") == 0) {
        struct subject_decision decision;
        subject_decision_init(&decision, doc->policy, text, n);
        sum += subject_decide(&decision);
        measured_decide(&decision, times);
        subject_decision_done(&decision);
    } else {
        enum admit_endpoint endpoint =
            strcmp(what, "validate") == 0 ? ADMIT_VALIDATE : ADMIT_MUTATE;
        sum += subject_answer(doc->policy, endpoint, text, n);
        measured(doc->policy, endpoint, text, n, times);
    }
    mem_free(text);
    policy_doc_free(doc);
    return sum == 0;
}
