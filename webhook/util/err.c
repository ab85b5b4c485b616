/* Errors that travel; see err.h. Pure but for strerror_r. Any thread. */
#include "util/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool(err_set)(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (err == NULL)
        return false;
    char text[sizeof(err->message)]; /* the arguments may point into err->message */
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    err->code = code;
    memcpy(err->message, text, sizeof(text));
    return false;
}

bool(err_wrap)(struct err *err, const char *fmt, ...)
{
    if (err == NULL)
        return false;
    char text[sizeof(err->message)];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(text) - 3)
        return false; /* no room for the cause, which matters more */
    size_t used = (size_t)n;
    memcpy(text + used, ": ", 2);
    used += 2;
    size_t cause = strlen(err->message);
    if (cause > sizeof(text) - 1 - used)
        cause = sizeof(text) - 1 - used;
    memcpy(text + used, err->message, cause);
    text[used + cause] = '\0';
    memcpy(err->message, text, used + cause + 1);
    return false;
}

bool(err_errno)(struct err *err, int errno_value, const char *fmt, ...)
{
    if (err == NULL)
        return false;
    char text[sizeof(err->message)];
    char reason[128];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    const char *why = strerror_r(errno_value, reason, sizeof(reason));
    if (n >= 0 && (size_t)n < sizeof(text))
        snprintf(text + n, sizeof(text) - (size_t)n, ": %s", why);
    memcpy(err->message, text, sizeof(text));
    err->code = errno_value == ENOENT                           ? ERR_NOT_FOUND
                : errno_value == EACCES || errno_value == EPERM ? ERR_DENIED
                : errno_value == ENOMEM                         ? ERR_NOMEM
                                                                : ERR_IO;
    return false;
}

bool(err_nomem)(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

void err_clear(struct err *err)
{
    if (err == NULL)
        return;
    err->code = ERR_NONE;
    err->message[0] = '\0';
}

const char *err_code_name(enum err_code code)
{
    switch (code) {
    case ERR_NONE:
        return "none";
    case ERR_NOMEM:
        return "no-memory";
    case ERR_IO:
        return "io";
    case ERR_NOT_FOUND:
        return "not-found";
    case ERR_SYNTAX:
        return "syntax";
    case ERR_INVALID:
        return "invalid";
    case ERR_LIMIT:
        return "limit";
    case ERR_USAGE:
        return "usage";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_DENIED:
        return "denied";
    case ERR_UNAVAILABLE:
        return "unavailable";
    case ERR_INTERNAL:
        break;
    }
    return "internal";
}
