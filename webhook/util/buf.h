/* A growing buffer of bytes with a mandatory maximum: bodies, answers, files. Appending
 * beyond the maximum or without memory fails and remembers (`failed`), so that a sequence
 * of appends needs one check at its end. Not shared between threads. */
#ifndef NRW_UTIL_BUF_H
#define NRW_UTIL_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/attr.h"
#include "util/str.h"

struct buf {
    char *data; /* NUL-terminated whenever it is not NULL; the NUL is not counted */
    size_t size;
    size_t capacity;
    size_t maximum;
    bool failed;     /* sticky */
    bool over_limit; /* it failed because of the maximum, not for want of memory */
};

void buf_init(struct buf *buf, size_t maximum);
void buf_done(struct buf *buf);
#define NRW_AUTO_BUF NRW_CLEANUP(buf_done)

/* All return false when nothing was added. */
bool buf_append(struct buf *buf, const void *data, size_t n);
bool buf_str(struct buf *buf, struct str text);
bool buf_text(struct buf *buf, const char *text);
bool buf_char(struct buf *buf, char c);
bool buf_printf(struct buf *buf, const char *fmt, ...) NRW_PRINTF(2, 3);
/* Text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
bool buf_json_string(struct buf *buf, struct str text);

/* Makes room for n more bytes; false when that is more than the maximum or the memory. */
bool buf_reserve(struct buf *buf, size_t n);
void buf_clear(struct buf *buf); /* size 0, failure forgotten, memory kept */
/* The bytes, NUL-terminated, now the caller's (mem_free); the buffer is empty again.
 * NULL when it failed or there is no memory for an empty text. */
char *buf_steal(struct buf *buf, size_t *ret_size);

static inline struct str buf_view(const struct buf *buf)
{
    return str_from(buf->data != NULL ? buf->data : "", buf->size);
}

#endif
