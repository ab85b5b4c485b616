/* One line per event, to standard error, as JSON (machines) or text (people). Lines of
 * several threads never mix, and nobody ever waits for who reads them: while a full
 * disk, a reader that stopped or one that is gone takes nothing, lines are lost, counted,
 * and their number is the first thing that the log says afterwards. Any thread; the
 * settings are made once, before the first thread. */
#ifndef NRW_UTIL_LOG_H
#define NRW_UTIL_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "util/str.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

/* A field after the message. Texts are borrowed for the call. */
struct log_field {
    const char *name; /* NULL ends the list */
    enum { LOG_STR, LOG_INT, LOG_BOOL } type;
    struct str text;
    int64_t number;
};
#define LOG_S(field_name, value) ((struct log_field){(field_name), LOG_STR, (value), 0})
#define LOG_C(field_name, value)                                                         \
    ((struct log_field){(field_name), LOG_STR, str_of(value), 0})
#define LOG_I(field_name, value)                                                         \
    ((struct log_field){(field_name), LOG_INT, {NULL, 0}, (int64_t)(value)})
#define LOG_B(field_name, value)                                                         \
    ((struct log_field){(field_name), LOG_BOOL, {NULL, 0}, (value) ? 1 : 0})

void log_setup(enum log_level least, enum log_format format);
bool log_level_parse(const char *name, enum log_level *ret_level);
bool log_enabled(enum log_level level);
/* Since the start. */
uint64_t log_lines_lost(void);
void log_fields(enum log_level level, const char *message,
                const struct log_field *fields);

/* log_event(LOG_LEVEL_INFO, "policy accepted", LOG_C("hash", hash), LOG_I("n", n)); */
#define log_event(level, message, ...)                                                   \
    log_fields((level), (message),                                                       \
               (const struct log_field[]){                                               \
                   __VA_ARGS__ __VA_OPT__(, ){NULL, LOG_STR, {NULL, 0}, 0}})

#endif
