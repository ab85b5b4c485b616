/* The clocks; see clock.h. */
#include "util/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id, int64_t per_second)
{
    struct timespec now;
    clock_gettime(id, &now); /* cannot fail for these clocks */
    return (int64_t)now.tv_sec * per_second + now.tv_nsec / (1000000000 / per_second);
}

int64_t clock_wall_seconds(void)
{
    return read_clock(CLOCK_REALTIME, 1);
}

int64_t clock_wall_micros(void)
{
    return read_clock(CLOCK_REALTIME, 1000000);
}

int64_t clock_mono_millis(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t clock_mono_nanos(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000000);
}

int64_t clock_boot_seconds(void)
{
    return read_clock(CLOCK_BOOTTIME, 1);
}

void clock_format(int64_t wall_micros, char *out, size_t size)
{
    time_t seconds = (time_t)(wall_micros / 1000000);
    int micros = (int)(wall_micros % 1000000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL) {
        snprintf(out, size, "1970-01-01T00:00:00.000000Z");
        return;
    }
    snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", utc.tm_year + 1900,
             utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, micros);
}
