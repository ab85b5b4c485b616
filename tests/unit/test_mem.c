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

/* Who comes later does not go first, and who waits for too long goes away. */
struct waiter {
    pthread_t thread;
    unsigned wait_ms, number;
    bool got;
    unsigned *order, *next;
};

static void *waits(void *context)
{
    struct waiter *self = context;
    self->got = mem_turn_take(self->wait_ms);
    if (self->got) {
        self->order[(*self->next)++] = self->number;
        mem_turn_give();
    }
    return NULL;
}

static void turns_are_in_order(void **state)
{
    (void)state;
    enum { COUNT = 6, IMPATIENT = 2 };
    unsigned order[COUNT], next = 0;
    struct waiter all[COUNT];
    assert_true(mem_turn_take(0));
    assert_false(mem_turn_take(1)); /* one's own, too */
    for (unsigned i = 0; i < COUNT; i++) {
        all[i] = (struct waiter){.wait_ms = i == IMPATIENT ? 1 : 60000,
                                 .number = i,
                                 .order = order,
                                 .next = &next};
        assert_int_equal(pthread_create(&all[i].thread, NULL, waits, &all[i]), 0);
        usleep(100000); /* so that it waits before the next one comes */
    }
    mem_turn_give();
    for (unsigned i = 0; i < COUNT; i++)
        pthread_join(all[i].thread, NULL);
    assert_false(all[IMPATIENT].got);
    assert_int_equal(next, COUNT - 1);
    for (unsigned i = 0; i < COUNT - 1; i++)
        assert_int_equal(order[i], i < IMPATIENT ? i : i + 1);
    bool taken = mem_turn_take(0);
    assert_true(taken);
    mem_turn_cleanup(&taken);
    taken = false;
    mem_turn_cleanup(&taken);
    taken = mem_turn_take(0);
    assert_true(taken);
    mem_turn_give();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_trims_at_once),
        cmocka_unit_test(maps_are_counted),
        cmocka_unit_test(turns_are_in_order),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
