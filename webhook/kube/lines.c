/* Lines of a watch; see lines.h. A line that lies whole in the data is not copied. */
#include "kube/lines.h"

void lines_init(struct lines *lines, size_t maximum)
{
    buf_init(&lines->pending, maximum);
}

void lines_done(struct lines *lines)
{
    buf_done(&lines->pending);
}

void lines_reset(struct lines *lines)
{
    buf_done(&lines->pending); /* the memory of one large object does not stay for ever */
}

static bool give(struct str line, bool (*on_line)(void *context, struct str line),
                 void *context)
{
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line.n == 0 || on_line(context, line);
}

bool lines_feed(struct lines *lines, struct str data,
                bool (*on_line)(void *context, struct str line), void *context)
{
    while (data.n > 0) {
        size_t end = str_index(data, 0, '\n');
        struct str piece = str_first(data, end);
        bool whole = end < data.n;
        if (!whole || lines->pending.size > 0) {
            if (!buf_str(&lines->pending, piece))
                return false;
            piece = buf_view(&lines->pending);
        } else if (piece.n > lines->pending.maximum) {
            lines->pending.failed = lines->pending.over_limit = true;
            return false;
        }
        if (!whole)
            return true;
        if (!give(piece, on_line, context))
            return false;
        if (lines->pending.size > 0)
            lines_reset(lines);
        data = str_skip(data, end + 1);
    }
    return true;
}
