/* What is answered on which path: admissions, health, metrics, version. Worker threads,
 * several at a time. */
#ifndef NRW_APP_HANDLERS_H
#define NRW_APP_HANDLERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "app/health.h"
#include "app/snapshots.h"
#include "net/server.h"
#include "observe/metrics.h"

struct cluster;

struct handlers {
    struct snapshots *snapshots;
    struct health *health;
    struct metrics *metrics;
    struct cluster *cluster; /* NULL without one; set before the server runs */
    size_t decision;         /* bytes that one may take: see app/memory.h */
    struct str policy_namespace, policy_name; /* the policy ConfigMap's, to be judged */
    _Atomic uint64_t bytes;                   /* of bodies and answers since the start */
};

/* The table for net_server_start(); `handlers` must outlive the server. */
struct net_handlers handlers_table(struct handlers *handlers);

#endif
