/* What this build is: version, commit, and the libraries it runs with. Any thread. */
#ifndef NRW_APP_VERSION_H
#define NRW_APP_VERSION_H

#include <stddef.h>

#include "util/buf.h"

extern const char version_number[]; /* "0.1.0" */
extern const char version_commit[]; /* "229a977aa0c1", or "unknown" */

struct version_part {
    const char *name;
    char number[64];
};
#define VERSION_PARTS 5
/* The libraries as they are loaded now, which may be newer than the headers were. */
void version_libraries(struct version_part parts[VERSION_PARTS]);

/* {"version":"…","commit":"…","libraries":{…}} and a newline: `version -o json` and
 * GET /version. */
void version_json(struct buf *out);

#endif
