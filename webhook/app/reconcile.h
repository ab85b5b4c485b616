/* `--reconcile`: when the policy changes, one replica (a Lease elects it) touches every
 * target Deployment that was last admitted under another policy, so that the webhook sees
 * it again and the new policy takes effect without Helm. What is written is one
 * annotation of our own, by server-side apply with our own field manager: it conflicts
 * with nobody, and changes the pods only where the policy does. Each Deployment is
 * touched at most once per policy; what is refused is tried again with growing pauses. A
 * thread of its own. */
#ifndef NRW_APP_RECONCILE_H
#define NRW_APP_RECONCILE_H

#include "app/snapshots.h"
#include "kube/loop.h"

#define RECONCILE_ANNOTATION "nvcf-registry-webhook/reconciled"
#define RECONCILE_MANAGER    "nvcf-registry-webhook"
#define RECONCILE_LEASE      "nvcf-registry-webhook"

struct reconcile;

/* Before the loop starts. `instance` is copied. */
struct reconcile *reconcile_new(struct kube_client *client, struct kube_loop *loop,
                                struct snapshots *snapshots, const char *instance,
                                struct err *err);
/* Milliseconds: without another change of the policy until it is looked (1000), but no
 * longer than so (10000); the first pause after a failure (2000), which doubles up to the
 * last (300000). For tests; before the start. */
struct reconcile_times {
    unsigned calm_ms, restless_ms, first_pause_ms, last_pause_ms;
};
void reconcile_set_times(struct reconcile *reconcile,
                         const struct reconcile_times *times);
bool reconcile_start(struct reconcile *reconcile, struct err *err);
/* After the loop was stopped. NULL is allowed. */
void reconcile_free(struct reconcile *reconcile);
/* Look now. Any thread. */
void reconcile_policy_changed(struct reconcile *reconcile);

#endif
