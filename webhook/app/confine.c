/* A seccomp filter made of the list in syscalls.def; see confine.h. Main thread.
 *
 * The program is one straight line: is it our architecture? Then for each call of the
 * list: is it this number? Then judge its arguments, if they matter, and return. Whatever
 * is left gets ENOSYS. That, rather than EPERM, is what libraries fall back from; rather
 * than a signal, because one call that we did not think of must not end an API server's
 * webhook. The kernel is asked to log what was refused (the audit log says which number).
 *
 * Which number a name has is taken from the preprocessor as text: "__NR_stat" where the
 * architecture has no such call, "4" where it has. So the list needs no #ifdef. */
#include "app/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/attr.h"
#include "util/num.h"
#include "util/str.h"

#if defined(__x86_64__)
#define OUR_ARCHITECTURE AUDIT_ARCH_X86_64
#define FOREIGN_NUMBERS  0x40000000u /* x32 */
#elif defined(__aarch64__)
#define OUR_ARCHITECTURE AUDIT_ARCH_AARCH64
#define FOREIGN_NUMBERS  0x40000000u /* none: above all that there are */
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* Linux 5.17 */
#endif
#ifndef SECCOMP_FILTER_FLAG_LOG
#define SECCOMP_FILTER_FLAG_LOG (1UL << 1)
#endif

#define VALUES_MAXIMUM  6
#define PROGRAM_MAXIMUM 1024

#ifdef OUR_ARCHITECTURE

enum rule_kind { RULE_ALLOW, RULE_CLEAR, RULE_ONE, RULE_THREAD, RULE_HOSTILE };

struct rule {
    const char *number; /* decimal, or no number where there is no such call */
    enum rule_kind kind;
    unsigned argument;
    uint32_t values[VALUES_MAXIMUM]; /* RULE_CLEAR: one mask */
    unsigned value_count;
    int error;
};

struct program {
    struct sock_filter code[PROGRAM_MAXIMUM];
    unsigned short size;
    bool overflowed;
};

static void put(struct program *program, struct sock_filter instruction)
{
    if (program->size == PROGRAM_MAXIMUM)
        program->overflowed = true;
    else
        program->code[program->size++] = instruction;
}

static void put_load(struct program *program, size_t offset)
{
    put(program,
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Jumps count instructions to pass over, when it is so and when it is not. */
static void put_jump(struct program *program, unsigned short test, uint32_t value,
                     unsigned so, unsigned otherwise)
{
    put(program, (struct sock_filter){.code = (uint16_t)(BPF_JMP | test | BPF_K),
                                      .jt = (uint8_t)so,
                                      .jf = (uint8_t)otherwise,
                                      .k = value});
}

static void put_return(struct program *program, uint32_t action)
{
    put(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static uint32_t error_action(int error)
{
    return SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA);
}

/* The low half of an argument: what the kernel looks at for an int, a mask of bits or a
 * pointer that is to be NULL (no object of ours lies at a multiple of 4 GiB). */
static void put_argument(struct program *program, unsigned argument)
{
    put_load(program, offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t));
}

/* What follows the test for the number; its length, so that the test can jump over it, is
 * known only afterwards. Each way ends in a return. */
static void put_verdict(struct program *program, const struct rule *rule)
{
    switch (rule->kind) {
    case RULE_ALLOW:
        put_return(program, SECCOMP_RET_ALLOW);
        return;
    case RULE_HOSTILE:
        put_return(program, SECCOMP_RET_KILL_PROCESS);
        return;
    case RULE_THREAD: /* a thread; a process is for somebody else's program */
        put_argument(program, rule->argument);
        put_jump(program, BPF_JSET, rule->values[0], 0, 1);
        put_return(program, SECCOMP_RET_ALLOW);
        put_return(program, SECCOMP_RET_KILL_PROCESS);
        return;
    case RULE_CLEAR:
        put_argument(program, rule->argument);
        put_jump(program, BPF_JSET, rule->values[0], 1, 0);
        put_return(program, SECCOMP_RET_ALLOW);
        put_return(program, error_action(rule->error));
        return;
    case RULE_ONE:
        put_argument(program, rule->argument);
        for (unsigned i = 0; i < rule->value_count; i++)
            put_jump(program, BPF_JEQ, rule->values[i], rule->value_count - i, 0);
        put_return(program, error_action(rule->error));
        put_return(program, SECCOMP_RET_ALLOW);
        return;
    }
}

static void put_rule(struct program *program, const struct rule *rule)
{
    uint64_t number;
    if (!num_parse(str_of(rule->number), UINT32_MAX, &number))
        return;
    unsigned short test = program->size;
    put_jump(program, BPF_JEQ, (uint32_t)number, 0, 0);
    put_verdict(program, rule);
    if (!program->overflowed)
        program->code[test].jf = (uint8_t)(program->size - test - 1);
    /* An argument that was looked at took the number's place; but every such way has
     * returned. */
}

static void put_rules(struct program *program)
{
    const uint32_t own_pid = (uint32_t)getpid();
#define TEXT_OF(text) #text
#define TEXT(number)  TEXT_OF(number)
#define VALUES(...)                                                                      \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }
#define COUNT(...)       (sizeof((uint32_t[])__VA_ARGS__) / sizeof(uint32_t))
#define ALLOW(name, why) {.number = TEXT(__NR_##name), .kind = RULE_ALLOW},
#define ALLOW_THREAD(name, why)                                                          \
    {.number = TEXT(__NR_##name), .kind = RULE_THREAD, .values = {CLONE_THREAD}},
#define ALLOW_CLEAR(name, arg, bits, e, why)                                             \
    {.number = TEXT(__NR_##name),                                                        \
     .kind = RULE_CLEAR,                                                                 \
     .argument = arg,                                                                    \
     .values = {(uint32_t)(bits)},                                                       \
     .error = e},
#define ALLOW_ONE(name, arg, e, list, why)                                               \
    {.number = TEXT(__NR_##name),                                                        \
     .kind = RULE_ONE,                                                                   \
     .argument = arg,                                                                    \
     .values = list,                                                                     \
     .value_count = COUNT(list),                                                         \
     .error = e},
#define HOSTILE(name) {.number = TEXT(__NR_##name), .kind = RULE_HOSTILE},
    const struct rule rules[] = {
#include "app/syscalls.def"
    };
    for (size_t i = 0; i < NRW_COUNT(rules); i++)
        put_rule(program, &rules[i]);
}

static void make_program(struct program *program)
{
    put_load(program, offsetof(struct seccomp_data, arch));
    put_jump(program, BPF_JEQ, OUR_ARCHITECTURE, 1, 0);
    put_return(program, SECCOMP_RET_KILL_PROCESS);
    put_load(program, offsetof(struct seccomp_data, nr));
    put_jump(program, BPF_JGE, FOREIGN_NUMBERS, 0, 1);
    put_return(program, SECCOMP_RET_KILL_PROCESS);
    put_rules(program);
    put_return(program, error_action(ENOSYS));
}

static bool install(const struct sock_fprog *fprog, unsigned long flags)
{
    long got = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, fprog);
    if (got > 0) /* a thread that has a filter of its own; there is none such here */
        errno = EBUSY;
    return got == 0;
}

enum confine_result confine_process(void)
{
    if (NRW_SANITIZED)
        return CONFINE_SANITIZER;
    struct program program = {.size = 0};
    make_program(&program);
    if (program.overflowed) {
        errno = E2BIG;
        return CONFINE_NOT_ALLOWED;
    }
    const struct sock_fprog fprog = {.len = program.size, .filter = program.code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return CONFINE_NOT_ALLOWED;
    /* Kernels before 4.14 do not log. */
    bool good = install(&fprog, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG) ||
                (errno == EINVAL && install(&fprog, SECCOMP_FILTER_FLAG_TSYNC));
    return good ? CONFINE_ON : CONFINE_NOT_ALLOWED;
}

#else

enum confine_result confine_process(void)
{
    return CONFINE_NOT_KNOWN;
}

#endif

const char *confine_text(enum confine_result result)
{
    switch (result) {
    case CONFINE_ON:
        return "on";
    case CONFINE_NOT_WANTED:
        return "off";
    case CONFINE_SANITIZER:
        return "off: built with a sanitizer";
    case CONFINE_NOT_ALLOWED:
        return "off: the kernel refused the filter";
    case CONFINE_NOT_KNOWN:
        break;
    }
    return "off: no filter for this architecture";
}
