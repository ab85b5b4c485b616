/* The memory limit as the kernel's files say it, and what is planned with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/memory.h"
#include "util/attr.h"
#include "util/file.h"

#define MIB ((uint64_t)1 << 20)
#define V1  "/sys/fs/cgroup/memory"
#define V2  "/sys/fs/cgroup"

struct place {
    const char *path, *text;
};

/* All directories on the way to it. */
static void make_way(char *path)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
}

static int take_away(const char *path, const struct stat *status, int type,
                     struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static uint64_t limit_of(const struct place *places, size_t count)
{
    char root[] = "/tmp/nrw-memory.XXXXXX", path[512];
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < count && places[i].path != NULL; i++) {
        snprintf(path, sizeof(path), "%s%s", root, places[i].path);
        make_way(path);
        assert_true(
            file_write_atomic(path, places[i].text, strlen(places[i].text), 0644, NULL));
    }
    uint64_t limit = memory_limit(root);
    assert_int_equal(nftw(root, take_away, 8, FTW_DEPTH | FTW_PHYS), 0);
    return limit;
}

static const struct {
    const char *what;
    struct place places[5];
    uint64_t limit;
} rows[] = {
    {"nothing at all", {{NULL, NULL}}, 0},
    {"v2, its own namespace",
     {{"/proc/self/cgroup", "0::/\n"}, {V2 "/memory.max", "134217728\n"}},
     128 * MIB},
    {"v2, no limit", {{"/proc/self/cgroup", "0::/\n"}, {V2 "/memory.max", "max\n"}}, 0},
    {"v2, the pod's is lower",
     {{"/proc/self/cgroup", "0::/kubepods/pod1/c1\n"},
      {V2 "/kubepods/pod1/c1/memory.max", "268435456\n"},
      {V2 "/kubepods/pod1/memory.max", "134217728\n"},
      {V2 "/kubepods/memory.max", "max\n"}},
     128 * MIB},
    {"v1, its path seen",
     {{"/proc/self/cgroup", "12:cpu:/a\n7:memory:/a/b\n0::/a\n"},
      {V1 "/a/b/memory.limit_in_bytes", "67108864\n"},
      {V1 "/memory.limit_in_bytes", "9223372036854771712\n"}},
     64 * MIB},
    {"v1, mounted as its own root",
     {{"/proc/self/cgroup", "7:memory:/kubepods/pod1/c1\n"},
      {V1 "/memory.limit_in_bytes", "67108864\n"}},
     64 * MIB},
    {"v1, no limit",
     {{"/proc/self/cgroup", "7:memory:/\n"},
      {V1 "/memory.limit_in_bytes", "9223372036854771712\n"}},
     0},
    {"no sense in it",
     {{"/proc/self/cgroup", "\n:\n::\n0:\n0::\n0::x\n7:memory:\n0::/../../\nmemory"},
      {V2 "/memory.max", "-1\n"},
      {V1 "/memory.limit_in_bytes", "12 MiB\n"}},
     0},
};

static void what_the_files_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        uint64_t limit = limit_of(rows[i].places, NRW_COUNT(rows[i].places));
        if (limit != rows[i].limit)
            fail_msg("%s: %ju", rows[i].what, (uintmax_t)limit);
    }
}

/* All of it at once, with four workers, fits. */
static void the_parts_fit(void **state)
{
    (void)state;
    enum { PROGRAM = 12, WORKERS = 4, SMALL = 2, LEAST = 96 };
    for (uint64_t limit = LEAST; limit <= 4096; limit += 16) {
        struct memory_plan plan = memory_plan(limit * MIB);
        uint64_t all = plan.connections + plan.small_bodies + plan.large_bodies +
                       2 * plan.decision + plan.config_maps +
                       (PROGRAM + WORKERS * SMALL) * MIB;
        if (all > limit * MIB)
            fail_msg("of %ju MiB %ju", (uintmax_t)limit, (uintmax_t)(all / MIB));
        assert_true(plan.large_bodies >= 9 * MIB); /* one of the largest */
        assert_true(plan.connections > 0);
        assert_true(plan.small_bodies > 0);
    }
}

static void no_limit_no_bound(void **state)
{
    (void)state;
    struct memory_plan plan = memory_plan(0);
    assert_int_equal(plan.connections, 0);
    assert_int_equal(plan.small_bodies, 0);
    assert_int_equal(plan.large_bodies, 64 * MIB);
    assert_int_equal(plan.decision, 64 * MIB);
    assert_true(memory_plan(1).decision >= 2 * MIB); /* absurd, and serves all the same */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_files_say),
        cmocka_unit_test(the_parts_fit),
        cmocka_unit_test(no_limit_no_bound),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
