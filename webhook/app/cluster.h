/* Everything that `serve` has from the cluster: the policy and the ConfigMaps by watch,
 * self-managed certificates, Events, and the live look that confirms a denial. Built and
 * ended by the main thread; what it learns comes in the watcher's and the rotation's
 * threads and goes through publish.h. */
#ifndef NRW_APP_CLUSTER_H
#define NRW_APP_CLUSTER_H

#include "admit/admit.h"
#include "app/app.h"
#include "app/health.h"
#include "app/publish.h"
#include "observe/metrics.h"

struct cluster;

struct cluster_setup {
    const struct app_cluster *options;
    struct publish *publish;
    struct health *health;
    struct metrics *metrics;
    const char *listen; /* the server's own address, for a call to ourselves */
    bool client_certificate;
    size_t config_maps_maximum; /* bytes of those that are kept */
};

/* True when any of the options asks for the cluster. */
bool cluster_wanted(const struct app_cluster *options);

/* Reads the kubeconfig or the pod's own settings; asks nothing yet. ERR_NOT_FOUND,
 * ERR_INVALID: the settings; ERR_USAGE: names that cannot stand in a certificate. */
struct cluster *cluster_new(const struct cluster_setup *setup, struct err *err);
/* After the server runs. */
bool cluster_start(struct cluster *cluster, struct err *err);
void cluster_free(struct cluster *cluster); /* NULL is allowed; waits a second at most */

/* The targets' namespaces are watched from now on. Any thread. */
void cluster_policy_changed(struct cluster *cluster, const struct policy *policy);

/* After an admission: says what was injected, removed or denied in an Event, except on a
 * dry run. Never waits. Worker threads. */
void cluster_tell(struct cluster *cluster, const struct admit_outcome *outcome);

/* What was asked for one review, in all rounds together: each name once, so many of them,
 * within the maxima and 500 ms, in which what is done between them does not count. The
 * others stay as unknown (or as old) as they are, and
 * `live` has why. The rest starts as zeros; borrows the names. */
struct cluster_look {
    size_t bytes_maximum;  /* of the answers, and … */
    size_t weight_maximum; /* … of what is made of them (util/json_weight.h) */
    bool apart;            /* in a thread for it: the one that asks may have no time */
    struct live live;
    size_t bytes, weight;
    bool limited;            /* one was not read because of the maxima */
    bool untold;             /* the last time one was not told of, or not asked for */
    int64_t deadline, spent; /* ms */
};

/* These ConfigMaps, read live, with all others as they are in `known`: NULL when nothing
 * is newer than what was known, or it could not be read, of which look->live tells. The
 * caller frees it. Worker threads. */
struct config_maps *cluster_confirm(struct cluster *cluster, struct cluster_look *look,
                                    const struct config_maps *known,
                                    struct str name_space, const struct str *names,
                                    size_t count);

/* The bundle that the API server verifies us with, as last seen; nothing where we do not
 * manage it. */
void cluster_ca_bundle(struct cluster *cluster, struct buf *out);
/* By how many seconds the API server's clock is ahead of ours, as last seen. */
int64_t cluster_clock_ahead(const struct cluster *cluster);
/* One line for each thing that readiness must know of; true when nothing is missing. */
bool cluster_ready(struct cluster *cluster, struct buf *out);

#endif
