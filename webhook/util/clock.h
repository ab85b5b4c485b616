/* The two clocks. Whoever decides something from a time takes it as an argument; only the
 * edges ask. Any thread. */
#ifndef NRW_UTIL_CLOCK_H
#define NRW_UTIL_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_wall_seconds(void); /* since 1970-01-01 UTC; may jump */
int64_t clock_wall_micros(void);
int64_t clock_mono_millis(void); /* never goes back; no meaning outside the process */
int64_t clock_mono_nanos(void);
/* Like the monotonic clock, but goes on while the machine sleeps. */
int64_t clock_boot_seconds(void);

/* "2026-11-24T06:47:29.123456Z" from microseconds since 1970. `out` of at least 32 bytes.
 */
void clock_format(int64_t wall_micros, char *out, size_t size);

#endif
