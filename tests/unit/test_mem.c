/* The heap's door where threads meet; that any allocation may fail is tested by everyone
 * who allocates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/mem.h"

enum { PROCESSES = 300, THREADS = 4 };

static void *trims(void *context)
{
    pthread_barrier_wait(context);
    mem_trim();
    pthread_barrier_wait(context);
    return NULL;
}

static int several_trim(void)
{
    pthread_barrier_t together;
    pthread_t threads[THREADS];
    if (pthread_barrier_init(&together, NULL, THREADS) != 0)
        return 90;
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, trims, &together) != 0)
            return 91;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

/* Two threads that were the first to use glibc's heap, under a sanitizer, ended the
 * process in one of a hundred. */
static void the_first_trims_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(several_trim());
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

static void maps_are_counted(void **state)
{
    (void)state;
    char *one = mem_map(1 << 20), *two = mem_map(4096);
    assert_non_null(one);
    assert_non_null(two);
    assert_int_equal(mem_mapped(), 2);
    for (int i = 0; i < 1 << 20; i += 4096)
        assert_int_equal(one[i], 0);
    mem_unmap(one, 1 << 20);
    mem_unmap(two, 4096);
    assert_int_equal(mem_mapped(), 0);
    unsigned long before = mem_refusals();
    mem_fail_nth(1);
    assert_null(mem_map(4096));
    mem_fail_nth(0);
    assert_int_equal(mem_refusals(), before + 1);
    assert_int_equal(mem_mapped(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_trims_at_once),
        cmocka_unit_test(maps_are_counted),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
