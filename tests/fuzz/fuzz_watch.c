/* A watch's body, cut at random places: the first byte says how. Whatever comes, the
 * splitter and the event parser neither crash nor read beyond, and the lines do not
 * depend on the cutting. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "kube/lines.h"
#include "kube/watch_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t lines, bytes;
    unsigned long hash;
};

static bool on_line(void *context, struct str line)
{
    struct seen *seen = context;
    seen->lines++;
    seen->bytes += line.n;
    for (size_t i = 0; i < line.n; i++)
        seen->hash = seen->hash * 31 + (unsigned char)line.p[i];
    seen->hash = seen->hash * 31 + 10;
    struct watch_line event;
    struct err err = {0};
    if (watch_line_parse(line, &event, &err)) {
        if (event.type != WATCH_LINE_ERROR && event.resource_version[0] == '\0')
            abort();
        watch_line_done(&event);
    } else if (err.code == ERR_NONE) {
        abort();
    }
    return true;
}

static struct seen feed(struct str text, size_t step)
{
    struct seen seen = {0};
    struct lines lines;
    lines_init(&lines, 1u << 20);
    for (size_t at = 0; at < text.n; at += step)
        if (!lines_feed(&lines, str_first(str_skip(text, at), step), on_line, &seen))
            abort(); /* nothing here is over the limit */
    lines_done(&lines);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1u << 18)
        return 0;
    struct str text = str_from((const char *)data + 1, size - 1);
    struct seen whole = feed(text, text.n);
    struct seen cut = feed(text, (size_t)data[0] + 1);
    if (whole.lines != cut.lines || whole.bytes != cut.bytes || whole.hash != cut.hash)
        abort();
    return 0;
}
