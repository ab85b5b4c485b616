/* Whole files, read with a limit and written all or not at all. Any thread. */
#ifndef NRW_UTIL_FILE_H
#define NRW_UTIL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/err.h"

/* Appends the file's bytes to `out`, whose maximum is the limit (ERR_LIMIT beyond it).
 * The path "-" is standard input. A directory is an error. On failure `out` may hold a
 * part. */
bool file_read(const char *path, struct buf *out, struct err *err);

/* Writes a file next to the target (mode as given, umask not applied), syncs it and
 * renames it over the target: readers see the old or the new one, and a full disk leaves
 * the old. */
bool file_write_atomic(const char *path, const void *data, size_t n, mode_t mode,
                       struct err *err);

/* The same for files that belong together: all are written and synced before the first is
 * renamed, so that what goes wrong (a full disk) leaves all the old ones. */
struct file_write {
    const char *path;
    const void *data;
    size_t n;
    mode_t mode;
    char *temporary; /* file_write_set's own */
};
bool file_write_set(struct file_write *files, size_t count, struct err *err);

#endif
