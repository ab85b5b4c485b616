/* Readiness; see health.h. */
#include "app/health.h"

#include "app/cluster.h"
#include "certs/time.h"
#include "net/server.h"
#include "util/clock.h"

void health_init(struct health *health, struct snapshots *snapshots)
{
    health->snapshots = snapshots;
    atomic_init(&health->server, NULL);
    atomic_init(&health->draining, false);
    atomic_init(&health->awaits_config_maps, false);
    atomic_init(&health->policy_stale, false);
    atomic_init(&health->cluster, NULL);
}

static bool certificate_good(struct snapshots *snapshots, int64_t now, struct buf *out)
{
    struct certificate_facts facts;
    char text[CERT_TIME_TEXT];
    snapshots_certificate(snapshots, &facts);
    if (!facts.present) {
        buf_text(out, "certificate: there is none yet\n");
        return false;
    }
    if (now > facts.not_after) {
        buf_printf(out, "certificate: it expired at %s\n",
                   cert_time_text(facts.not_after, text));
        return false;
    }
    if (now < facts.not_before) {
        buf_printf(out, "certificate: it is not valid before %s\n",
                   cert_time_text(facts.not_before, text));
        return false;
    }
    return true;
}

int64_t health_now(const struct health *health)
{
    const struct cluster *cluster = atomic_load(&health->cluster);
    return clock_wall_seconds() + (cluster != NULL ? cluster_clock_ahead(cluster) : 0);
}

bool health_ready(struct health *health, int64_t now, struct buf *out)
{
    bool ready = true;
    if (atomic_load(&health->draining)) {
        buf_text(out, "draining: this replica is about to end\n");
        ready = false;
    }
    NRW_AUTO_SNAPSHOT struct snapshot snapshot;
    snapshots_take(health->snapshots, &snapshot);
    if (snapshot.policy == NULL) {
        buf_text(out, "policy: none was accepted yet\n");
        ready = false;
    }
    if (atomic_load(&health->awaits_config_maps) && snapshot.config_maps == NULL) {
        buf_text(out, "configmaps: not listed yet\n");
        ready = false;
    }
    if (!certificate_good(health->snapshots, now, out))
        ready = false;
    struct cluster *cluster = atomic_load(&health->cluster);
    if (cluster != NULL && !cluster_ready(cluster, out))
        ready = false;
    if (ready && atomic_load(&health->policy_stale))
        buf_text(out,
                 "note: the policy as it is now was not taken; the last good one is in "
                 "force\n");
    const struct net_server *server = atomic_load(&health->server);
    if (server == NULL || !net_server_alive(server)) {
        buf_text(out, "workers: not all of them are running\n");
        ready = false;
    }
    return ready;
}
