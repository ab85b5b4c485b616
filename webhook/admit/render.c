/* Findings as JSON; see render.h. */
#include "admit/render.h"

static void member(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_json_string(out, value);
}

static void members(struct buf *out, const struct finding *finding)
{
    buf_printf(out, "{\"finding\":\"%s\",\"severity\":\"%s\"", finding_name(finding->id),
               severity_name(finding->severity));
    member(out, "key", finding->key);
    member(out, "source", finding->source);
    member(out, "path", finding->path);
    member(out, "message", finding->message);
    member(out, "advice", finding->advice);
}

void render_finding_json(struct buf *out, const struct finding *finding)
{
    members(out, finding);
    buf_char(out, '}');
}

void render_finding_json_in(struct buf *out, const struct finding *finding,
                            struct str file)
{
    members(out, finding);
    member(out, "file", file);
    buf_printf(out, ",\"line\":%u,\"column\":%u}", finding->line, finding->column);
}
