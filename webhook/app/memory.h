/* How much memory the process may have, and what of it is whose: so that nobody who can
 * reach the port, or write a ConfigMap, gets the pod killed for its memory. What is
 * planned with are bounds; in rest next to nothing of it is used. Main thread, at start.
 */
#ifndef NRW_APP_MEMORY_H
#define NRW_APP_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct memory_plan {
    size_t connections;  /* all of them; 0 = no bound but that of their number */
    size_t small_bodies; /* theirs up to 64 KiB each; 0 = likewise */
    size_t large_bodies; /* with large answers, all together */
    size_t decision;     /* of one large review, for each of what admit/admit.h counts */
    size_t config_maps;  /* the watch's cache */
};

/* The memory limit of the cgroup that this process is in, or of one above it: bytes, or 0
 * where there is none or nothing says so. Reads files; `root` is "" but in tests. */
uint64_t memory_limit(const char *root);

/* For a limit, 0 = none. */
struct memory_plan memory_plan(uint64_t limit);

#endif
