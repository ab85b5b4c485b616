/* What requests work with, kept so that it can be replaced while they run: the policy and
 * the ConfigMaps that are known, and what is known of the serving certificate. Each is
 * immutable and reference-counted, and replaced whole: a reader takes what is current
 * once and keeps it for its request, a writer builds the next one outside and swaps it
 * in. This is the only lock of the room, held for a few assignments. Any thread.
 *
 * The certificate's TLS configuration itself is counted and swapped in net/
 * (net_server_set_tls); here are the facts that readiness speaks of. */
#ifndef NRW_APP_SNAPSHOTS_H
#define NRW_APP_SNAPSHOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/policy_load.h"
#include "util/attr.h"
#include "util/err.h"

struct config_maps; /* admit's; only passed through here */

struct snapshot {
    const struct policy *policy;           /* NULL: none was accepted yet */
    const struct config_maps *config_maps; /* NULL: none is known */
    struct shared *held[2];                /* what keeps the two alive */
};

struct certificate_facts {
    bool present;
    int64_t not_before, not_after; /* seconds since 1970 */
};

struct snapshots;

struct snapshots *snapshots_new(struct err *err) NRW_MUST_CHECK;
/* After the last reader has released. */
void snapshots_free(struct snapshots *snapshots);

/* What is current, until snapshot_release(). Cannot fail. */
void snapshots_take(struct snapshots *snapshots, struct snapshot *ret_snapshot);
void snapshot_release(struct snapshot *snapshot);
#define NRW_AUTO_SNAPSHOT NRW_CLEANUP(snapshot_release)

/* Puts another one in force. The old one lives until its last reader is done. The
 * document must hold a valid policy. False (ERR_NOMEM): the old one stays. */
bool snapshots_set_policy_take(struct snapshots *snapshots, struct policy_doc *doc,
                               struct err *err);
bool snapshots_set_config_maps_take(struct snapshots *snapshots, struct config_maps *maps,
                                    void (*free_maps)(struct config_maps *maps),
                                    struct err *err);

void snapshots_set_certificate(struct snapshots *snapshots,
                               const struct certificate_facts *facts);
void snapshots_certificate(struct snapshots *snapshots,
                           struct certificate_facts *ret_facts);

#endif
