/* What it came to when the API server was asked for ConfigMaps, live, for one review. One
 * that it did not tell of may be there: only what it says is absent is. Pure. */
#ifndef NRW_CORE_LIVE_H
#define NRW_CORE_LIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/str.h"

/* So many ConfigMaps are read live for one review, and no more. */
#define LIVE_MAXIMUM 16u

enum live_told {
    LIVE_THERE,
    LIVE_ABSENT, /* HTTP 404 */
    /* It was not told: */
    LIVE_FORBIDDEN,
    LIVE_LATE,
    LIVE_FAILED, /* another error, half an answer, no connection */
    LIVE_NO_CONFIG_MAP,
    LIVE_LARGE,
    LIVE_NO_MEMORY,
};

struct live {
    struct str names[LIVE_MAXIMUM]; /* that were asked for */
    enum live_told told[LIVE_MAXIMUM];
    size_t count;
    bool closed; /* what is not among them is not going to be asked for */
};

/* Why it was not told whether there is a ConfigMap of that name, as the end of a
 * sentence;
 * "" when it was, or may still be asked for. `live` NULL: nobody has asked yet. */
struct str live_problem(const struct live *live, struct str name);

#endif
