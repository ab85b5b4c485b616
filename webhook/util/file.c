/* Whole files; see file.h. */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mem.h"

static void close_cleanup(int *fd)
{
    if (*fd > STDERR_FILENO)
        close(*fd);
}

static bool read_chunks(int fd, const char *path, char *chunk, size_t size,
                        struct buf *out, struct err *err)
{
    for (;;) {
        ssize_t n = read(fd, chunk, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read %s", path);
        if (n == 0)
            return true;
        if (!buf_append(out, chunk, (size_t)n)) {
            if (!out->over_limit)
                return err_nomem(err);
            return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path,
                           out->maximum);
        }
    }
}

static bool read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    char chunk[16384];
    bool good = read_chunks(fd, path, chunk, sizeof(chunk), out, err);
    explicit_bzero(chunk, sizeof(chunk)); /* it may have been a private key */
    return good;
}

bool file_read(const char *path, struct buf *out, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, "standard input", out, err);
    NRW_CLEANUP(close_cleanup) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot open %s",
                         *path != '\0' ? path : "a file without a name");
    return read_all(fd, path, out, err);
}

static bool write_all(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        data += done;
        n -= (size_t)done;
    }
    return true;
}

/* Writes the file beside its target and leaves its name in file->temporary. */
static bool stage(struct file_write *file, struct err *err)
{
    size_t length = strlen(file->path);
    NRW_AUTOFREE char *temporary = mem_alloc(length + sizeof(".XXXXXX"));
    if (temporary == NULL)
        return err_nomem(err);
    memcpy(temporary, file->path, length);
    memcpy(temporary + length, ".XXXXXX", sizeof(".XXXXXX"));
    struct stat there;
    if (lstat(file->path, &there) == 0 && S_ISDIR(there.st_mode))
        return err_errno(err, EISDIR, "cannot write %s", file->path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot create a file beside %s", file->path);
    bool good = fchmod(fd, file->mode) == 0 && write_all(fd, file->data, file->n) &&
                fsync(fd) == 0;
    int reason = errno;
    if (close(fd) != 0 && good) {
        good = false;
        reason = errno;
    }
    if (!good) {
        unlink(temporary);
        return err_errno(err, reason, "cannot write %s", file->path);
    }
    file->temporary = temporary;
    temporary = NULL;
    return true;
}

bool file_write_set(struct file_write *files, size_t count, struct err *err)
{
    bool good = true;
    for (size_t i = 0; i < count; i++)
        files[i].temporary = NULL;
    for (size_t i = 0; i < count && good; i++)
        good = stage(&files[i], err);
    for (size_t i = 0; i < count; i++) {
        char *temporary = files[i].temporary;
        if (temporary == NULL)
            continue;
        bool renamed = good && rename(temporary, files[i].path) == 0;
        if (good && !renamed)
            good = err_errno(err, errno, "cannot write %s", files[i].path);
        if (!renamed)
            unlink(temporary);
        mem_free(temporary);
        files[i].temporary = NULL;
    }
    return good;
}

bool file_write_atomic(const char *path, const void *data, size_t n, mode_t mode,
                       struct err *err)
{
    struct file_write file = {.path = path, .data = data, .n = n, .mode = mode};
    return file_write_set(&file, 1, err);
}
