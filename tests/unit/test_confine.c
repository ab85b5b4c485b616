/* The filter of system calls, each case in a process of its own: what an intruder would
 * do ends it, what is not listed fails as if the kernel did not know it, what serving
 * needs goes on; for threads that run already as for new ones. */
#include "app/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOT_CONFINED 77

/* How the child ended that ran `act` under the filter: its exit code, or 128 + signal. */
static int ended(int (*act)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        enum confine_result result = confine_process();
        if (result != CONFINE_ON) {
            fprintf(stderr, "# %s\n", confine_text(result));
            _exit(NOT_CONFINED);
        }
        _exit(act());
    }
    int status = 0;
    assert_true(child > 0);
    assert_int_equal(child, waitpid(child, &status, 0));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void must_end(int want, int (*act)(void))
{
    int got = ended(act);
    if (got == NOT_CONFINED)
        skip();
    assert_int_equal(want, got);
}

/* Returned by the acts below: the error of a call that must fail, 0 if it did not. */
static int error_of(long got)
{
    return got == -1 ? errno : 0;
}

/* --- what an intruder would do ------------------------------------------------------ */

static int run_program(void)
{
    char *const argv[] = {(char[]){"/bin/true"}, NULL};
    execv("/bin/true", argv);
    return 1;
}
static int run_descriptor(void)
{
    syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0);
    return 1;
}
static int make_process(void)
{
    return fork() >= 0 ? 1 : 2;
}
static int make_process_raw(void)
{
    syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    return 1;
}
static int trace(void)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    return 1;
}
static int read_memory(void)
{
    syscall(SYS_process_vm_readv, (long)getppid(), NULL, 0L, NULL, 0L, 0L);
    return 1;
}
static int new_namespace(void)
{
    (void)!unshare(CLONE_NEWNS);
    return 1;
}
static int use_bpf(void)
{
    syscall(SYS_bpf, 0L, NULL, 0L);
    return 1;
}
static int become_other(void)
{
    (void)!setresuid(1, 1, 1);
    return 1;
}

static void intruder_is_killed(void **state)
{
    (void)state;
    int (*const acts[])(void) = {run_program,      run_descriptor, make_process,
                                 make_process_raw, trace,          read_memory,
                                 new_namespace,    use_bpf,        become_other};
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        must_end(128 + SIGSYS, acts[i]);
}

#ifdef __x86_64__
static int foreign_number(void)
{
    syscall(0x40000000L + SYS_getpid);
    return 1;
}
static int foreign_architecture(void)
{
    long got;
    __asm__ volatile("int $0x80"
                     : "=a"(got)
                     : "a"(20L)
                     : "memory", "r8", "r9", "r10", "r11");
    return got > 0 ? 1 : 2;
}

static void other_numbers_are_killed(void **state)
{
    (void)state;
    must_end(128 + SIGSYS, foreign_number);
    must_end(128 + SIGSYS, foreign_architecture);
}
#endif

/* --- what fails --------------------------------------------------------------------- */

static int write_file(void)
{
    return error_of(open("/tmp", O_WRONLY | O_TMPFILE, 0600));
}
static int create_file(void)
{
    return error_of(open("/tmp/nrw-test-confine", O_RDONLY | O_CREAT, 0600));
}
static int map_code(void)
{
    void *got =
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return error_of(got == MAP_FAILED ? -1 : 0);
}
static int make_code(void)
{
    void *got =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return got == MAP_FAILED ? 0 : error_of(mprotect(got, 4096, PROT_READ | PROT_EXEC));
}
static int raw_socket(void)
{
    return error_of(socket(AF_PACKET, SOCK_RAW, 0));
}
static int dumpable_again(void)
{
    return error_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static int raise_limit(void)
{
    const struct rlimit none = {0, 0};
    return error_of(setrlimit(RLIMIT_CORE, &none));
}
static int kill_other(void)
{
    return error_of(kill(getppid(), 0));
}
static int kill_other_thread(void)
{
    return error_of(syscall(SYS_tgkill, (long)getppid(), (long)getppid(), 0L));
}
static int serve_anew(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? 0 : error_of(listen(fd, 1));
}
static int unlisted(void)
{
    return error_of(syscall(SYS_memfd_create, "x", 0L));
}
static int unheard_of(void)
{
    return error_of(syscall(5000L));
}

static void other_calls_fail(void **state)
{
    (void)state;
    must_end(EACCES, write_file);
    must_end(EACCES, create_file);
    must_end(EACCES, map_code);
    must_end(EACCES, make_code);
    must_end(EAFNOSUPPORT, raw_socket);
    must_end(EINVAL, dumpable_again);
    must_end(EPERM, raise_limit);
    must_end(ENOSYS, kill_other);
    must_end(EPERM, kill_other_thread);
    must_end(ENOSYS, serve_anew);
    must_end(ENOSYS, unlisted);
    must_end(ENOSYS, unheard_of);
}

/* --- what goes on ------------------------------------------------------------------- */

static void *nothing(void *context)
{
    return context;
}
static int work(void)
{
    char line[64];
    pthread_t thread;
    struct rlimit limit;
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL || fgets(line, sizeof(line), file) == NULL || fclose(file) != 0)
        return 1;
    for (size_t size = 16; size < (64u << 20); size *= 4) {
        void *memory = malloc(size);
        if (memory == NULL)
            return 2;
        memset(memory, 1, size);
        free(memory);
    }
    for (int i = 0; i < 4; i++) {
        if (pthread_create(&thread, NULL, nothing, NULL) != 0 ||
            pthread_join(thread, NULL) != 0)
            return 3;
    }
    struct addrinfo *found = NULL;
    if (getaddrinfo("localhost", "443", NULL, &found) != 0)
        return 4;
    freeaddrinfo(found);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 5;
    return 0;
}
static int abort_it(void)
{
    abort();
}

static void serving_goes_on(void **state)
{
    (void)state;
    must_end(0, work);
    must_end(128 + SIGABRT, abort_it);
}

static int go; /* an eventfd */
static void *run_program_when_told(void *context)
{
    uint64_t count;
    (void)!read(go, &count, sizeof(count));
    run_program();
    return context;
}

/* The thread is there before the filter is. */
static void threads_that_run_have_it_too(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        uint64_t one = 1;
        go = eventfd(0, 0);
        if (pthread_create(&thread, NULL, run_program_when_told, NULL) != 0)
            _exit(1);
        if (confine_process() != CONFINE_ON)
            _exit(NOT_CONFINED);
        (void)!write(go, &one, sizeof(one));
        pthread_join(thread, NULL);
        _exit(2);
    }
    int status = 0;
    assert_int_equal(child, waitpid(child, &status, 0));
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_CONFINED)
        skip();
    assert_true(WIFSIGNALED(status));
    assert_int_equal(SIGSYS, WTERMSIG(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intruder_is_killed),
#ifdef __x86_64__
        cmocka_unit_test(other_numbers_are_killed),
#endif
        cmocka_unit_test(other_calls_fail),
        cmocka_unit_test(serving_goes_on),
        cmocka_unit_test(threads_that_run_have_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
