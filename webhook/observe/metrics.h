/* Counters, gauges and one histogram, in the text format of Prometheus, names as in
 * interface.md. All label values come from fixed sets, so the series cannot grow with the
 * cluster. Counting is lock-free (atomics); any thread. Where `metrics` is NULL, the
 * functions that count do nothing: offline verbs have none. */
#ifndef NRW_OBSERVE_METRICS_H
#define NRW_OBSERVE_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/str.h"

struct metrics;

struct metrics *metrics_new(const char *version, const char *commit);
void metrics_free(struct metrics *metrics);

enum metrics_endpoint { METRICS_MUTATE, METRICS_VALIDATE };
/* `kind`, `operation` and `decision` that are not in the fixed sets count as "other". */
void metrics_admission(struct metrics *metrics, enum metrics_endpoint endpoint,
                       struct str kind, struct str operation, const char *decision,
                       bool dry_run, int64_t nanoseconds);
/* `finding_name` is a literal; an index of 64 or more is not counted. */
void metrics_finding(struct metrics *metrics, unsigned finding_index,
                     const char *finding_name);
void metrics_policy(struct metrics *metrics, const char *hash, unsigned registries,
                    int64_t wall_seconds);
void metrics_policy_reload(struct metrics *metrics, bool success);
void metrics_certificate(struct metrics *metrics, int64_t not_after_wall_seconds);
void metrics_rotation(struct metrics *metrics, bool success);
void metrics_handshake(struct metrics *metrics, bool success);
void metrics_connections(struct metrics *metrics, long change);
void metrics_in_flight(struct metrics *metrics, long change);
void metrics_http_error(struct metrics *metrics, unsigned code);
/* `code` 0: no answer came. */
void metrics_kube_request(struct metrics *metrics, const char *verb, const char *resource,
                          unsigned code);

/* The whole exposition, process_* included (read from /proc/self and getrlimit). */
void metrics_write(const struct metrics *metrics, struct buf *out);

#endif
