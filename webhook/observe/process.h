/* The process_* metrics that every Prometheus client library exports under these names
 * (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics). */
#ifndef NRW_OBSERVE_PROCESS_H
#define NRW_OBSERVE_PROCESS_H

#include "util/buf.h"

/* Seconds since 1970 at which this process was started, or 0 when /proc does not say. */
double process_start_time(void);

/* Appends the lines; what /proc or getrlimit does not tell now is left out. */
void process_write(double start_time, struct buf *out);

#endif
