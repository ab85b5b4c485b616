/* One line per event; see log.h.
 *
 * Never waiting for a reader rests on this: after poll(2) has said that a pipe, socket or
 * terminal takes something, it takes PIPE_BUF bytes without blocking, and the lock keeps
 * other threads from taking that room in between. What a line has left when there is no
 * more room is kept, and goes first the next time. */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"

#define LINE_MAXIMUM 65536u
/* A pipe has 64 KiB, a tenth of a second under load: a reader may be away for longer. */
#define PIPE_ROOM (1 << 20)

static enum log_level least_level = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_JSON;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static char rest[LINE_MAXIMUM]; /* of a line whose beginning is written */
static size_t rest_at, rest_size;
static uint64_t untold; /* lines lost since the log last said how many */
static _Atomic uint64_t lost;

void log_setup(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
    (void)fcntl(STDERR_FILENO, F_SETPIPE_SZ, PIPE_ROOM); /* where it is one, and may be */
}

uint64_t log_lines_lost(void)
{
    return atomic_load_explicit(&lost, memory_order_relaxed);
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < NRW_COUNT(level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return level >= least_level;
}

static void add_value(struct buf *line, const struct log_field *field)
{
    if (field->type == LOG_STR)
        buf_json_string(line, field->text);
    else if (field->type == LOG_INT)
        buf_printf(line, "%" PRId64, field->number);
    else
        buf_text(line, field->number != 0 ? "true" : "false");
}

static void as_json(struct buf *line, const char *now, enum log_level level,
                    const char *message, const struct log_field *fields)
{
    buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":", now,
               level_names[level]);
    buf_json_string(line, str_of(message));
    for (; fields->name != NULL; fields++) {
        buf_printf(line, ",\"%s\":", fields->name);
        add_value(line, fields);
    }
    buf_text(line, "}\n");
}

static void as_text(struct buf *line, const char *now, enum log_level level,
                    const char *message, const struct log_field *fields)
{
    buf_printf(line, "%s %-5s %s", now, level_names[level], message);
    for (; fields->name != NULL; fields++) {
        buf_printf(line, " %s=", fields->name);
        add_value(line, fields);
    }
    buf_char(line, '\n');
}

/* --- writing --------------------------------------------------------------------------
 */

/* As much as goes without waiting. Returns how much that was. */
static size_t put(const char *data, size_t n)
{
    size_t done = 0;
    while (done < n) {
        struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (poll(&err, 1, 0) != 1 || (err.revents & POLLOUT) == 0)
            break;
        size_t piece = n - done < PIPE_BUF ? n - done : PIPE_BUF;
        ssize_t written = write(STDERR_FILENO, data + done, piece);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    return done;
}

/* A line that is begun will be ended. False: nothing of it was written. */
static bool put_line(const struct buf *line)
{
    size_t done = line->failed ? 0 : put(line->data, line->size);
    if (done == 0)
        return false;
    rest_at = 0;
    rest_size = line->size - done;
    memcpy(rest, line->data + done, rest_size);
    return true;
}

static void make_line(struct buf *line, enum log_level level, const char *message,
                      const struct log_field *fields)
{
    char now[32];
    clock_format(clock_wall_micros(), now, sizeof(now));
    buf_init(line, LINE_MAXIMUM);
    if (line_format == LOG_FORMAT_JSON)
        as_json(line, now, level, message, fields);
    else
        as_text(line, now, level, message, fields);
}

/* Ends the line that was begun, and says what was lost since. False: not now. */
static bool catch_up(void)
{
    size_t done = put(rest + rest_at, rest_size);
    rest_at += done;
    rest_size -= done;
    if (rest_size > 0)
        return false;
    if (untold == 0)
        return true;
    NRW_AUTO_BUF struct buf line;
    const struct log_field fields[] = {LOG_I("lines", untold), {.name = NULL}};
    make_line(&line, LOG_LEVEL_WARN, "log lines were lost", fields);
    if (!put_line(&line))
        return false;
    untold = 0;
    return rest_size == 0;
}

void log_fields(enum log_level level, const char *message, const struct log_field *fields)
{
    if (!log_enabled(level))
        return;
    int saved = errno; /* a log line must not change what its caller looks at next */
    NRW_AUTO_BUF struct buf line;
    make_line(&line, level, message, fields);
    pthread_mutex_lock(&writing);
    if (!catch_up() || !put_line(&line)) {
        untold++;
        atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&writing);
    errno = saved;
}
