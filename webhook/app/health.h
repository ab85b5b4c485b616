/* Is this replica fit to be sent requests? One line for each thing that is missing, for
 * the body of /readyz. Time is an argument. Any thread. */
#ifndef NRW_APP_HEALTH_H
#define NRW_APP_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/snapshots.h"
#include "util/buf.h"

struct cluster;
struct net_server;

struct health {
    struct snapshots *snapshots;
    _Atomic(struct net_server *) server; /* NULL until it runs */
    atomic_bool draining;
    /* The decision needs ConfigMaps that are not listed yet: set by whoever watches them.
     */
    atomic_bool awaits_config_maps;
    /* What was last seen of the policy was not taken, or it is gone: the last good one is
     * in force. Said, but no reason to be sent no requests. */
    atomic_bool policy_stale;
    _Atomic(struct cluster *) cluster; /* NULL without one */
};

void health_init(struct health *health, struct snapshots *snapshots);

/* The time by which certificates are judged: the API server's, as far as it is known. */
int64_t health_now(const struct health *health);
/* True when nothing is missing; else `out` gets one line for each thing that is. */
bool health_ready(struct health *health, int64_t now, struct buf *out);

#endif
