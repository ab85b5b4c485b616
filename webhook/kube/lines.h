/* Cuts the body of a watch into lines. Network chunks have nothing to do with lines: a
 * line may come in many pieces, a piece may hold many lines. Pure; not shared between
 * threads. */
#ifndef NRW_KUBE_LINES_H
#define NRW_KUBE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"
#include "util/str.h"

struct lines {
    struct buf pending; /* the beginning of a line whose end has not come */
};

/* `maximum`: the longest line accepted, without its newline. */
void lines_init(struct lines *lines, size_t maximum);
void lines_done(struct lines *lines);
/* A new stream begins: what is left of the old one is forgotten. */
void lines_reset(struct lines *lines);

/* Calls `on_line` for every line that ends in `data` (without "\n" and a "\r" before it;
 * empty lines are skipped). The text lives for the call only. False when `on_line` said
 * so, or a line is too long or there is no memory (`pending.failed`); then the stream is
 * of no more use. */
bool lines_feed(struct lines *lines, struct str data,
                bool (*on_line)(void *context, struct str line), void *context);

#endif
