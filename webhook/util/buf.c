/* A growing buffer with a maximum; see buf.h. */
#include "util/buf.h"

#include <stdint.h>
#include <stdio.h>

#include "util/mem.h"
#include "util/utf8.h"

void buf_init(struct buf *buf, size_t maximum)
{
    *buf = (struct buf){.maximum = maximum};
}

void buf_done(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){.maximum = buf->maximum};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    buf->over_limit = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

bool buf_reserve(struct buf *buf, size_t n)
{
    if (buf->failed)
        return false;
    if (n > buf->maximum - buf->size) {
        buf->failed = true;
        buf->over_limit = true;
        return false;
    }
    size_t need = buf->size + n + 1;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity > 0 ? buf->capacity : 256;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    if (capacity > buf->maximum + 1)
        capacity = buf->maximum + 1;
    char *data = mem_realloc(buf->data, capacity);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    buf->data[buf->size] = '\0';
    return true;
}

bool buf_append(struct buf *buf, const void *data, size_t n)
{
    if (!buf_reserve(buf, n))
        return false;
    if (n > 0)
        memcpy(buf->data + buf->size, data, n);
    buf->size += n;
    buf->data[buf->size] = '\0';
    return true;
}

bool buf_str(struct buf *buf, struct str text)
{
    return buf_append(buf, text.p, text.n);
}

bool buf_text(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

bool buf_char(struct buf *buf, char c)
{
    return buf_append(buf, &c, 1);
}

bool buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_list again;
    char small[256];
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    va_end(args);
    bool good = false;
    if (n < 0) {
        buf->failed = true;
    } else if ((size_t)n < sizeof(small)) {
        good = buf_append(buf, small, (size_t)n);
    } else if (buf_reserve(buf, (size_t)n)) {
        vsnprintf(buf->data + buf->size, (size_t)n + 1, fmt, again);
        buf->size += (size_t)n;
        good = true;
    }
    va_end(again);
    return good;
}

/* What a JSON string of ours has no escape for and ASCII has a character for. */
static const bool is_clean[256] = {
    [' ' ... '"' - 1] = true,
    ['"' + 1 ... '\\' - 1] = true,
    ['\\' + 1 ... '~'] = true,
};

bool buf_json_string(struct buf *buf, struct str text)
{
    static const char hex[] = "0123456789abcdef";
    buf_char(buf, '"');
    size_t clean = 0; /* start of the run that needs no escaping */
    size_t i = 0;
    while (i < text.n) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_clean[c]) {
            i++;
            continue;
        }
        size_t length = utf8_length(str_skip(text, i));
        if (length > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += length;
            continue;
        }
        buf_append(buf, text.p + clean, i - clean);
        if (length == 0) {
            buf_text(buf, "\\ufffd");
        } else if (c == '"' || c == '\\') {
            buf_char(buf, '\\');
            buf_char(buf, (char)c);
        } else if (c == '\n') {
            buf_text(buf, "\\n");
        } else if (c == '\t') {
            buf_text(buf, "\\t");
        } else if (c == '\r') {
            buf_text(buf, "\\r");
        } else {
            char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
            buf_append(buf, escape, sizeof(escape));
        }
        i++;
        clean = i;
    }
    buf_append(buf, text.p + clean, text.n - clean);
    return buf_char(buf, '"');
}

char *buf_steal(struct buf *buf, size_t *ret_size)
{
    if (buf->failed || !buf_reserve(buf, 0))
        return NULL;
    char *data = buf->data;
    if (ret_size != NULL)
        *ret_size = buf->size;
    *buf = (struct buf){.maximum = buf->maximum};
    return data;
}
