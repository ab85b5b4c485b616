/* UTF-8; see utf8.h. The ranges are those of RFC 3629, section 4. */
#include "util/utf8.h"

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_length(struct str text)
{
    if (text.n == 0)
        return 0;
    const unsigned char *s = (const unsigned char *)text.p;
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c <= 0xdf)
        return text.n >= 2 && is_tail(s[1]) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        if (text.n < 3 || !is_tail(s[1]) || !is_tail(s[2]))
            return 0;
        if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f))
            return 0;
        return 3;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        if (text.n < 4 || !is_tail(s[1]) || !is_tail(s[2]) || !is_tail(s[3]))
            return 0;
        if ((c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
            return 0;
        return 4;
    }
    return 0;
}

bool utf8_valid(struct str text)
{
    size_t i = 0;
    while (i < text.n) {
        size_t length = utf8_length(str_skip(text, i));
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t utf8_control(struct str text)
{
    if (text.n == 0)
        return 0;
    const unsigned char *s = (const unsigned char *)text.p;
    if (s[0] < 0x20 || s[0] == 0x7f)
        return 1;
    return s[0] == 0xc2 && text.n >= 2 && s[1] >= 0x80 && s[1] < 0xa0 ? 2 : 0;
}

struct str utf8_cut(struct str text, size_t maximum)
{
    if (text.n <= maximum)
        return text;
    size_t end = maximum;
    while (end > 0 && is_tail((unsigned char)text.p[end]))
        end--;
    return str_first(text, end);
}
