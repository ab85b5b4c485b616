/* One line of a watch → what happened. Pure; any thread.
 * Source: apimachinery meta/v1 WatchEvent, pkg/watch. */
#ifndef NRW_KUBE_WATCH_LINE_H
#define NRW_KUBE_WATCH_LINE_H

#include <jansson.h>
#include <stdbool.h>

#include "util/err.h"
#include "util/str.h"

enum watch_line_type {
    WATCH_LINE_ADDED,
    WATCH_LINE_MODIFIED,
    WATCH_LINE_DELETED,
    WATCH_LINE_BOOKMARK, /* only resource_version means something */
    WATCH_LINE_ERROR,    /* `code` and `message` of a Status */
};

struct watch_line {
    enum watch_line_type type;
    json_t *root;                 /* owned; all below points into it */
    const json_t *object;         /* NULL for an error */
    const char *resource_version; /* "" for an error */
    unsigned code;                /* of an error; 0 when it says none */
    const char *message;          /* of an error */
};

/* ERR_SYNTAX: no JSON; ERR_INVALID: JSON, but no watch event; ERR_NOMEM. */
bool watch_line_parse(struct str line, struct watch_line *ret_line, struct err *err);
void watch_line_done(struct watch_line *line);

/* Texts under metadata; "" when absent or not a text. */
const char *kube_meta(const json_t *object, const char *field);

#endif
