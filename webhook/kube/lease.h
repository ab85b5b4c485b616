/* One of several replicas, chosen by a Lease. Driven by the watcher thread. Whether a
 * lease has run out is judged by our own monotonic clock since we last saw it change,
 * never by the times written in it: clocks of other nodes are not ours.
 * Source: client-go tools/leaderelection, with its times of 15 s, 10 s and 2 s. */
#ifndef NRW_KUBE_LEASE_H
#define NRW_KUBE_LEASE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kube/loop.h"

struct kube_lease_options {
    const char *name_space, *name;
    const char *identity; /* of this process; must be another after a restart */
    /* In the watcher thread, at every change; may be NULL. */
    void (*on_change)(void *context, bool leader);
    void *context;
    unsigned duration_seconds; /* others wait this long; 0 = 15 */
    unsigned renew_ms;         /* without a renewal we stop leading; 0 = 10000 */
    unsigned retry_ms;         /* 0 = 2000 */
};

struct kube_lease;

/* Before the loop starts. Texts are copied. */
struct kube_lease *kube_lease_new(struct kube_loop *loop,
                                  const struct kube_lease_options *options,
                                  struct err *err);
/* Any thread: exact in time, even when the watcher thread is late. */
bool kube_lease_is_leader(const struct kube_lease *lease);
/* After the loop was stopped: gives the lease back, so that the next leader need not wait
 * (within a second, only when we lead or may have come to), and frees. */
void kube_lease_free(struct kube_lease *lease);

/* --- pure, for tests --- */

/* What was last seen of the Lease, and when it last changed. */
struct lease_seen {
    char holder[256];
    char version[128];
    int64_t duration_ms;
    int64_t changed_at; /* of our monotonic clock */
    bool known;
};

enum lease_step { LEASE_WAIT, LEASE_TAKE, LEASE_RENEW };

/* Takes note of a Lease as it is now. */
void lease_observe(struct lease_seen *seen, const json_t *lease, int64_t now);
enum lease_step lease_next(const struct lease_seen *seen, const char *identity,
                           int64_t now);
/* The Lease as we want it; `lease` NULL: a new one. holder "" gives it back. NULL: no
 * memory. */
json_t *lease_body(const json_t *lease, const struct kube_lease_options *options,
                   const char *holder, int64_t wall_micros);

#endif
