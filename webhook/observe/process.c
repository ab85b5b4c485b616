/* What the kernel knows of this process, as metrics; see process.h. Reads /proc/self at
 * each scrape; holds no state. A scrape while file descriptors or memory are short loses
 * these lines and keeps the others: an admin needs the rest then. Any thread. */
#include "observe/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/file.h"
#include "util/num.h"

#define PROC_FILE_MAXIMUM 65536u

/* Fields of /proc/self/stat, counted as proc(5) does, from 1. */
enum {
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_THREADS = 20,
    STAT_START = 22,
    STAT_VSIZE = 23,
    STAT_RSS = 24,
    STAT_LAST = 24,
};

/* Fields 3 and up; those before hold the program's name, which may hold any character, so
 * counting starts after its last parenthesis. Negative numbers are left 0. */
static bool read_stat(uint64_t fields[STAT_LAST + 1])
{
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, PROC_FILE_MAXIMUM);
    if (!file_read("/proc/self/stat", &text, NULL))
        return false;
    struct str rest = buf_view(&text);
    size_t close = rest.n;
    while (close > 0 && rest.p[close - 1] != ')')
        close--;
    if (close == 0)
        return false;
    rest = str_skip(rest, close + 1);
    int field = 3;
    while (field <= STAT_LAST && rest.n > 0) {
        size_t end = str_index(rest, 0, ' ');
        fields[field] = 0;
        (void)num_parse(str_first(rest, end), UINT64_MAX, &fields[field]);
        rest = str_skip(rest, end + 1);
        field++;
    }
    return field > STAT_LAST;
}

static double ticks_per_second(void)
{
    long ticks = sysconf(_SC_CLK_TCK);
    return ticks > 0 ? (double)ticks : 100.0;
}

/* From the time since boot at which the kernel began it; not from the btime of
 * /proc/stat, which the kernel adds up all interrupts of all cores for. */
double process_start_time(void)
{
    uint64_t fields[STAT_LAST + 1] = {0};
    struct timespec boot;
    if (!read_stat(fields) || clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return 0;
    double age = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9 -
                 (double)fields[STAT_START] / ticks_per_second();
    return (double)clock_wall_micros() / 1e6 - age;
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "gauge", help);
    buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void limit(struct buf *out, const char *name, const char *help, int resource)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return;
    if (now.rlim_cur != RLIM_INFINITY) {
        gauge(out, name, help, (uint64_t)now.rlim_cur);
        return;
    }
    head(out, name, "gauge", help);
    buf_printf(out, "%s +Inf\n", name);
}

/* False when the folder cannot be read. The descriptor that reads it is not counted. */
static bool count_descriptors(uint64_t *ret_count)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return false;
    uint64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.')
            count++;
    }
    closedir(folder);
    *ret_count = count > 0 ? count - 1 : 0;
    return true;
}

void process_write(double start_time, struct buf *out)
{
    uint64_t fields[STAT_LAST + 1] = {0};
    if (read_stat(fields)) {
        double cpu =
            (double)(fields[STAT_UTIME] + fields[STAT_STIME]) / ticks_per_second();
        head(out, "process_cpu_seconds_total", "counter",
             "Total user and system CPU time spent in seconds.");
        buf_printf(out, "process_cpu_seconds_total %.2f\n", cpu);
        long page = sysconf(_SC_PAGESIZE);
        gauge(out, "process_resident_memory_bytes", "Resident memory size in bytes.",
              fields[STAT_RSS] * (uint64_t)(page > 0 ? page : 4096));
        gauge(out, "process_virtual_memory_bytes", "Virtual memory size in bytes.",
              fields[STAT_VSIZE]);
        gauge(out, "process_threads", "Number of OS threads in the process.",
              fields[STAT_THREADS]);
    }
    limit(out, "process_virtual_memory_max_bytes",
          "Maximum amount of virtual memory available in bytes.", RLIMIT_AS);
    limit(out, "process_max_fds", "Maximum number of open file descriptors.",
          RLIMIT_NOFILE);
    uint64_t descriptors = 0;
    if (count_descriptors(&descriptors))
        gauge(out, "process_open_fds", "Number of open file descriptors.", descriptors);
    if (start_time > 0) {
        head(out, "process_start_time_seconds", "gauge",
             "Start time of the process since unix epoch in seconds.");
        buf_printf(out, "process_start_time_seconds %.2f\n", start_time);
    }
}
