/* What SnakeYAML reads and libyaml does not; see remote_text.h. Pure. */
#include "policy/remote_text.h"

#define UNIT_ESCAPE 6u /* \uXXXX */

static const struct str bom = STR("\xef\xbb\xbf");         /* U+FEFF */
static const struct str replacement = STR("\xef\xbf\xbd"); /* U+FFFD */

/* The surrogate that is escaped at `at`; 0: none. */
static unsigned surrogate_at(struct str text, size_t at)
{
    unsigned unit = 0;
    if (at + UNIT_ESCAPE > text.n || text.p[at] != '\\' || text.p[at + 1] != 'u')
        return 0;
    for (size_t i = at + 2; i < at + UNIT_ESCAPE; i++) {
        int digit = ascii_hex(text.p[i]);
        if (digit < 0)
            return 0;
        unit = unit * 16 + (unsigned)digit;
    }
    return unit >= 0xd800 && unit <= 0xdfff ? unit : 0;
}

static size_t put_pair(char *out, unsigned high, unsigned low)
{
    unsigned c = 0x10000u + ((high & 0x3ff) << 10) + (low & 0x3ff);
    out[0] = (char)(0xf0u | (c >> 18));
    out[1] = (char)(0x80u | ((c >> 12) & 0x3f));
    out[2] = (char)(0x80u | ((c >> 6) & 0x3f));
    out[3] = (char)(0x80u | (c & 0x3f));
    return 4;
}

/* Any other escape is copied whole, so that its second backslash begins none. */
static size_t copy_escape(struct str text, size_t *at, char *out)
{
    size_t n = 0;
    out[n++] = text.p[(*at)++];
    if (*at < text.n)
        out[n++] = text.p[(*at)++];
    return n;
}

static size_t read_escape(struct str text, size_t *at, char *out)
{
    unsigned high = surrogate_at(text, *at);
    if (high == 0)
        return copy_escape(text, at, out);
    unsigned low = high < 0xdc00 ? surrogate_at(text, *at + UNIT_ESCAPE) : 0;
    if (low < 0xdc00) {
        *at += UNIT_ESCAPE;
        memcpy(out, replacement.p, replacement.n);
        return replacement.n;
    }
    *at += 2 * UNIT_ESCAPE;
    return put_pair(out, high, low);
}

static bool is_directive(struct str text, size_t at)
{
    return text.p[at] == '%' &&
           (at == 0 || text.p[at - 1] == '\n' || text.p[at - 1] == '\r') &&
           !str_starts(str_skip(text, at), STR("%TAG"));
}

static bool is_bom(struct str text, size_t at)
{
    return at > 0 && text.p[at] == bom.p[0] && str_starts(str_skip(text, at), bom);
}

static bool is_odd(struct str text, size_t at)
{
    return surrogate_at(text, at) != 0 || is_directive(text, at) || is_bom(text, at);
}

struct str remote_text_for_libyaml(struct arena *arena, struct str text)
{
    size_t first = 0;
    while (first < text.n && !is_odd(text, first))
        first++;
    if (first == text.n)
        return text;
    /* Nothing gets longer. */
    char *out = arena_alloc(arena, text.n + 1, 1);
    if (out == NULL)
        return text;
    size_t n = 0;
    for (size_t at = 0; at < text.n;) {
        if (text.p[at] == '\\') {
            n += read_escape(text, &at, out + n);
        } else if (is_bom(text, at)) {
            memcpy(out + n, replacement.p, replacement.n);
            n += replacement.n;
            at += bom.n;
        } else {
            out[n++] = is_directive(text, at) ? '#' : text.p[at];
            at++;
        }
    }
    return str_from(out, n);
}
