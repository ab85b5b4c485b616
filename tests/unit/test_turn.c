/* The turn that threads take, one after another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "util/turn.h"

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
    self->got = turn_take(self->wait_ms);
    if (self->got) {
        self->order[(*self->next)++] = self->number;
        turn_give();
    }
    return NULL;
}

static void turns_are_in_order(void **state)
{
    (void)state;
    enum { COUNT = 6, IMPATIENT = 2 };
    unsigned order[COUNT], next = 0;
    struct waiter all[COUNT];
    assert_true(turn_take(0));
    assert_false(turn_take(1)); /* one's own, too */
    for (unsigned i = 0; i < COUNT; i++) {
        all[i] = (struct waiter){.wait_ms = i == IMPATIENT ? 1 : 60000,
                                 .number = i,
                                 .order = order,
                                 .next = &next};
        assert_int_equal(pthread_create(&all[i].thread, NULL, waits, &all[i]), 0);
        usleep(100000); /* so that it waits before the next one comes */
    }
    turn_give();
    for (unsigned i = 0; i < COUNT; i++)
        pthread_join(all[i].thread, NULL);
    assert_false(all[IMPATIENT].got);
    assert_int_equal(next, COUNT - 1);
    for (unsigned i = 0; i < COUNT - 1; i++)
        assert_int_equal(order[i], i < IMPATIENT ? i : i + 1);
    bool taken = turn_take(0);
    assert_true(taken);
    turn_cleanup(&taken);
    taken = false;
    turn_cleanup(&taken);
    taken = turn_take(0);
    assert_true(taken);
    turn_give();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_in_order),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
