/* The turn; see turn.h. A mutex alone may let the same thread have it again and again, so
 * those who wait stand in a list, each with a condition of its own. */
#include "util/turn.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "util/clock.h"
#include "util/mem.h"

#define TRIM_MS 20 /* a trim takes milliseconds */

struct waiter {
    struct waiter *next;
    pthread_cond_t has_it;
    bool granted;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static struct waiter *waiters;                           /* first come, first */
static bool taken;
static int64_t trimmed_at; /* ms; of whose turn it is */

/* Under the lock, as is all that follows. */
static void enqueue(struct waiter *waiter)
{
    struct waiter **at = &waiters;
    while (*at != NULL)
        at = &(*at)->next;
    *at = waiter;
}

static void dequeue(const struct waiter *waiter)
{
    struct waiter **at = &waiters;
    while (*at != NULL && *at != waiter)
        at = &(*at)->next;
    if (*at != NULL)
        *at = waiter->next;
}

static bool wait_for_turn(unsigned wait_ms)
{
    int64_t end = clock_mono_millis() + (int64_t)wait_ms;
    const struct timespec until = {end / 1000, end % 1000 * 1000000};
    struct waiter self = {.has_it = PTHREAD_COND_INITIALIZER};
    enqueue(&self);
    int failure = 0;
    while (!self.granted && failure == 0)
        failure = pthread_cond_clockwait(&self.has_it, &lock, CLOCK_MONOTONIC, &until);
    dequeue(&self);
    pthread_cond_destroy(&self.has_it);
    return self.granted;
}

bool turn_take(unsigned wait_ms)
{
    pthread_mutex_lock(&lock);
    bool granted = !taken || wait_for_turn(wait_ms);
    taken = taken || granted;
    pthread_mutex_unlock(&lock);
    return granted;
}

void turn_give(void)
{
    int64_t now = clock_mono_millis();
    if (now - trimmed_at >= TRIM_MS) {
        mem_trim();
        trimmed_at = now;
    }
    pthread_mutex_lock(&lock);
    struct waiter *next = waiters;
    taken = next != NULL;
    if (next != NULL) {
        waiters = next->next;
        next->granted = true;
        pthread_cond_signal(&next->has_it);
    }
    pthread_mutex_unlock(&lock);
}

void turn_cleanup(const bool *was_taken)
{
    if (*was_taken)
        turn_give();
}
