/* Java properties files, as java.util.Properties.load reads them; see remote.h. Pure. */
#include "policy/remote.h"

struct scanner {
    struct arena *arena;
    struct str text;
    size_t at;
    unsigned line;
    const char *problem;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static bool is_end(char c)
{
    return c == '\n' || c == '\r';
}

static void skip_end(struct scanner *s)
{
    if (s->at + 1 < s->text.n && s->text.p[s->at] == '\r' && s->text.p[s->at + 1] == '\n')
        s->at++;
    if (s->at < s->text.n)
        s->at++;
    s->line++;
}

static void skip_blanks(struct scanner *s)
{
    while (s->at < s->text.n && is_blank(s->text.p[s->at]))
        s->at++;
}

/* Four digits at `from`; -1 when they are not there. */
static long unit_at(const struct scanner *s, size_t from)
{
    long unit = 0;
    if (from + 4 > s->text.n)
        return -1;
    for (size_t i = from; i < from + 4; i++) {
        int digit = ascii_hex(s->text.p[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t put_utf8(char *out, unsigned long c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    out[0] = (char)((n == 2 ? 0xc0u : n == 3 ? 0xe0u : 0xf0u) | c);
    return n;
}

/* After "\u". Two halves of a pair make one character; half a pair alone is U+FFFD. */
static size_t read_unicode(struct scanner *s, char *out)
{
    long unit = unit_at(s, s->at);
    if (unit < 0) {
        s->problem = "\\u without four hexadecimal digits";
        return 0;
    }
    s->at += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return put_utf8(out, (unsigned long)unit);
    long low = unit < 0xdc00 && s->at + 2 <= s->text.n && s->text.p[s->at] == '\\' &&
                       s->text.p[s->at + 1] == 'u'
                   ? unit_at(s, s->at + 2)
                   : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return put_utf8(out, 0xfffd);
    s->at += 6;
    return put_utf8(out, 0x10000ul + (((unsigned long)unit & 0x3ff) << 10) +
                             ((unsigned long)low & 0x3ff));
}

/* After the backslash. Returns how many bytes it stands for. */
static size_t read_escape(struct scanner *s, char *out)
{
    if (s->at >= s->text.n)
        return 0;
    char c = s->text.p[s->at];
    if (is_end(c)) { /* the line goes on in the next one, without its indentation */
        skip_end(s);
        skip_blanks(s);
        return 0;
    }
    s->at++;
    if (c == 'u')
        return read_unicode(s, out);
    *out = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
    return 1;
}

/* Up to the end of the line, or, for a name, up to what separates it from its value.
 * The bytes are those of ISO 8859-1, whoever wrote them. `out` has room for twice the
 * text: such a byte takes two, and an escape never stands for more than it takes. */
static struct str read_part(struct scanner *s, bool name, char *out)
{
    size_t n = 0;
    while (s->at < s->text.n && s->problem == NULL) {
        char c = s->text.p[s->at];
        if (is_end(c) || (name && (is_blank(c) || c == '=' || c == ':')))
            break;
        s->at++;
        if (c == '\\')
            n += read_escape(s, out + n);
        else
            n += put_utf8(out + n, (unsigned char)c);
    }
    return arena_str(s->arena, str_from(out, n));
}

/* Blanks, at most one "=" or ":", and blanks again. */
static void skip_separator(struct scanner *s)
{
    skip_blanks(s);
    if (s->at < s->text.n && (s->text.p[s->at] == '=' || s->text.p[s->at] == ':'))
        s->at++;
    skip_blanks(s);
}

bool properties_parse(struct arena *arena, struct str text, properties_add *add,
                      void *context, unsigned *ret_line, const char **ret_problem)
{
    struct scanner s = {arena, text, 0, 1, NULL};
    char *scratch = arena_alloc(arena, text.n + 1, 2);
    while (s.at < text.n && !arena->failed) {
        char c = text.p[s.at];
        if (is_blank(c)) {
            skip_blanks(&s);
        } else if (is_end(c)) {
            skip_end(&s);
        } else if (c == '\\' && s.at + 1 < text.n && is_end(text.p[s.at + 1])) {
            s.at++; /* nothing yet, and it goes on: the next line begins as any other */
            skip_end(&s);
        } else if (c == '#' || c == '!') {
            while (s.at < text.n && !is_end(text.p[s.at]))
                s.at++;
        } else {
            *ret_line = s.line;
            struct str name = read_part(&s, true, scratch);
            skip_separator(&s);
            struct str value = read_part(&s, false, scratch);
            if (s.problem != NULL) {
                *ret_problem = s.problem;
                return false;
            }
            add(context, name, value);
        }
    }
    return !arena->failed;
}
