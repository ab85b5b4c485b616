/* The limit and the plan; see memory.h.
 *
 * A quarter is for connections; an eighth for their small bodies; a tenth for bodies and
 * answers beyond those; an eighth each for the values and for the decision of one large
 * review at a time; a sixteenth for the ConfigMaps that are kept. The rest is the program
 * (12 MiB, of which 10 are pages of files), what each worker takes for small reviews (1
 * MiB), and what the watch takes for a page of ConfigMaps, which waits for the same turn
 * as large reviews.
 *
 * cgroup v2: memory.max of the process's own group and of all above it that can be seen
 * (in a container with a namespace of its own, the root is its own group); v1 likewise
 * with memory.limit_in_bytes. The paths are those of cgroups(7) and of the kernel's
 * admin-guide (cgroup-v1/memory, cgroup-v2). */
#include "app/memory.h"

#include <stdio.h>
#include <string.h>

#include "util/file.h"
#include "util/num.h"
#include "util/str.h"

#define MIB          ((size_t)1 << 20)
#define LARGEST      (64u * MIB)
#define ONE_BODY     (9u * MIB) /* one of the largest, and steps of others */
#define LEAST        (4u * MIB)
#define UNLIMITED    (UINT64_C(1) << 50) /* v1 writes a number near 2^63 for "none" */
#define PATH_MAXIMUM 1024

/* One file; 0 where it says "max", or is not there. */
static uint64_t limit_in(const char *root, const char *mount, struct str group,
                         const char *name)
{
    char path[PATH_MAXIMUM];
    int n =
        snprintf(path, sizeof(path), "%s%s%.*s/%s", root, mount, STR_ARG(group), name);
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, 64);
    uint64_t bytes = 0;
    if (n < 0 || (size_t)n >= sizeof(path) || !file_read(path, &text, NULL) ||
        !num_parse(str_trim(buf_view(&text)), UINT64_MAX, &bytes) || bytes >= UNLIMITED)
        return 0;
    return bytes;
}

static void lower(uint64_t *limit, uint64_t other)
{
    if (other > 0 && (*limit == 0 || other < *limit))
        *limit = other;
}

/* The group and all above it, up to where the mount begins. */
static void lower_by_group(const char *root, const char *mount, struct str group,
                           const char *name, uint64_t *limit)
{
    while (group.n > 0 && group.p[group.n - 1] == '/')
        group.n--;
    for (;;) {
        lower(limit, limit_in(root, mount, group, name));
        if (group.n == 0)
            return;
        while (group.p[--group.n] != '/') {
        }
    }
}

/* A line of /proc/self/cgroup: "0::/group" (v2), "7:memory:/group" (v1). */
static void lower_by_line(const char *root, struct str line, uint64_t *limit)
{
    size_t first = str_index(line, 0, ':');
    size_t second = str_index(line, first + 1, ':');
    if (second >= line.n || line.n - second < 2 || line.p[second + 1] != '/')
        return;
    struct str controllers = str_from(line.p + first + 1, second - first - 1);
    struct str group = str_skip(line, second + 1);
    if (controllers.n == 0)
        lower_by_group(root, "/sys/fs/cgroup", group, "memory.max", limit);
    else if (str_eq(controllers, STR("memory")))
        lower_by_group(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                       limit);
}

uint64_t memory_limit(const char *root)
{
    char path[PATH_MAXIMUM];
    (void)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, 64u * 1024u);
    uint64_t limit = 0;
    if (!file_read(path, &text, NULL))
        return 0;
    struct str rest = buf_view(&text);
    while (rest.n > 0) {
        size_t end = str_index(rest, 0, '\n');
        lower_by_line(root, str_first(rest, end), &limit);
        rest = end < rest.n ? str_skip(rest, end + 1) : STR("");
    }
    return limit;
}

/* Never 0, which would be no bound. */
static size_t part(uint64_t limit, unsigned divisor, size_t least, size_t most)
{
    uint64_t bytes = limit / divisor;
    return bytes < least ? least : bytes < most ? (size_t)bytes : most;
}

struct memory_plan memory_plan(uint64_t limit)
{
    if (limit == 0)
        return (struct memory_plan){
            .large_bodies = LARGEST, .decision = LARGEST, .config_maps = LARGEST};
    return (struct memory_plan){
        .connections = part(limit, 4, MIB, SIZE_MAX),
        .small_bodies = part(limit, 8, MIB, SIZE_MAX),
        .large_bodies = part(limit, 10, ONE_BODY, LARGEST),
        .decision = part(limit, 8, LEAST, LARGEST),
        .config_maps = part(limit, 16, LEAST / 2, LARGEST),
    };
}
