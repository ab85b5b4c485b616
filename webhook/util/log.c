/* One line per event; see log.h. */
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"

#define LINE_MAXIMUM 65536u

static enum log_level least_level = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_JSON;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
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

void log_fields(enum log_level level, const char *message, const struct log_field *fields)
{
    if (!log_enabled(level))
        return;
    int saved = errno; /* a log line must not change what its caller looks at next */
    char now[32];
    clock_format(clock_wall_micros(), now, sizeof(now));
    NRW_AUTO_BUF struct buf line;
    buf_init(&line, LINE_MAXIMUM);
    if (line_format == LOG_FORMAT_JSON)
        as_json(&line, now, level, message, fields);
    else
        as_text(&line, now, level, message, fields);
    if (!line.failed) {
        ssize_t written = write(STDERR_FILENO, line.data, line.size);
        (void)written; /* nowhere to say that the log cannot be written */
    }
    errno = saved;
}
