/* Errors that travel: one fixed, caller-owned struct, filled where the error happens,
 * given more context on the way up, printed once at the edge (cli/, main, the HTTP
 * answer). Setting one cannot fail and allocates nothing. A NULL `struct err *` is
 * allowed everywhere and means that the caller does not want to know. Any thread; the
 * struct is the caller's. */
#ifndef NRW_UTIL_ERR_H
#define NRW_UTIL_ERR_H

#include <stdarg.h>
#include <stdbool.h>

#include "util/attr.h"

enum err_code {
    ERR_NONE = 0,
    ERR_NOMEM,       /* an allocation failed: the request fails, the process lives */
    ERR_IO,          /* a file, socket or disk said no */
    ERR_NOT_FOUND,   /* a file, key or object is absent */
    ERR_SYNTAX,      /* bytes that are not JSON, YAML, PEM … */
    ERR_INVALID,     /* well-formed, but not what it should be */
    ERR_LIMIT,       /* larger, deeper or more than we accept */
    ERR_USAGE,       /* a flag or argument is wrong */
    ERR_CONFLICT,    /* someone else wrote first (HTTP 409) */
    ERR_DENIED,      /* not permitted (HTTP 401, 403, EACCES) */
    ERR_UNAVAILABLE, /* the other side cannot be reached, or not now */
    ERR_INTERNAL,    /* a library failed without a better reason */
};

struct err {
    enum err_code code;
    char message[768]; /* one line, no trailing newline, always terminated */
};

/* Sets code and message, replacing what was there. Always returns false, so that
 * `return err_set(err, …)` reads well in a function that returns bool. */
bool err_set(struct err *err, enum err_code code, const char *fmt, ...) NRW_PRINTF(3, 4);

/* Puts "context: " before the message that is there; the code stays. Returns false. */
bool err_wrap(struct err *err, const char *fmt, ...) NRW_PRINTF(2, 3);

/* Like err_set with ERR_IO (ERR_NOT_FOUND for ENOENT, ERR_DENIED for EACCES and EPERM),
 * the text of errno_value added after ": ". Returns false. */
bool err_errno(struct err *err, int errno_value, const char *fmt, ...) NRW_PRINTF(3, 4);

/* ERR_NOMEM with its standing text. Returns false. */
bool err_nomem(struct err *err);

void err_clear(struct err *err);

/* A word for a code, for logs: "no-memory", "io", … never NULL. */
const char *err_code_name(enum err_code code);

#ifdef __clang_analyzer__
/* The analyzer does not look into err.c: it is told here that these return false. */
#define err_set(...)   ((err_set)(__VA_ARGS__), false)
#define err_wrap(...)  ((err_wrap)(__VA_ARGS__), false)
#define err_errno(...) ((err_errno)(__VA_ARGS__), false)
#define err_nomem(...) ((err_nomem)(__VA_ARGS__), false)
#endif

#endif
