/* How long to wait before trying again: exponential, with jitter and a cap, so that many
 * replicas do not return to a recovering API server in step. Pure: randomness is an
 * argument. Not shared between threads. */
#ifndef NRW_KUBE_BACKOFF_H
#define NRW_KUBE_BACKOFF_H

#include <stdint.h>

struct backoff {
    unsigned base_ms;
    unsigned cap_ms;
    unsigned failures; /* in a row */
};

/* The wait after one more failure: between half and all of min(cap, base * 2^failures).
 */
static inline unsigned backoff_next(struct backoff *backoff, uint32_t random)
{
    uint64_t wait = backoff->base_ms;
    for (unsigned i = 0; i < backoff->failures && wait < backoff->cap_ms; i++)
        wait *= 2;
    if (wait > backoff->cap_ms)
        wait = backoff->cap_ms;
    if (backoff->failures < 1000)
        backoff->failures++;
    uint64_t half = wait / 2;
    return (unsigned)(half + random % (wait - half + 1));
}

static inline void backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
}

#endif
