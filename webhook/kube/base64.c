/* Base64; see base64.h. Strict where it matters: a character that does not belong, data
 * after the padding or a cut-off group is an error, because half a certificate that
 * decodes is worse than none. Any thread; no state. */
#include "kube/base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    if (ascii_is_upper(c))
        return c - 'A';
    if (ascii_is_lower(c))
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool base64_decode(struct str text, struct buf *out)
{
    unsigned group = 0;
    unsigned have = 0;    /* characters in the group */
    unsigned padding = 0; /* '=' seen */
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            continue;
        if (c == '=') {
            padding++;
            continue;
        }
        int value = value_of(c);
        if (value < 0 || padding > 0)
            return false;
        group = group << 6 | (unsigned)value;
        if (++have < 4)
            continue;
        char bytes[3] = {(char)(group >> 16 & 0xff), (char)(group >> 8 & 0xff),
                         (char)(group & 0xff)};
        if (!buf_append(out, bytes, 3))
            return false;
        group = have = 0;
    }
    if (have == 0)
        return padding == 0;
    if (have == 2 && padding == 2)
        return buf_char(out, (char)(group >> 4 & 0xff));
    if (have != 3 || padding != 1)
        return false;
    return buf_char(out, (char)(group >> 10 & 0xff)) &&
           buf_char(out, (char)(group >> 2 & 0xff));
}

bool base64_encode(struct str bytes, struct buf *out)
{
    if (!buf_reserve(out, (bytes.n + 2) / 3 * 4))
        return false;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        unsigned group = (unsigned)(unsigned char)bytes.p[i] << 16;
        if (left > 1)
            group |= (unsigned)(unsigned char)bytes.p[i + 1] << 8;
        if (left > 2)
            group |= (unsigned)(unsigned char)bytes.p[i + 2];
        char four[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63],
                        left > 1 ? alphabet[group >> 6 & 63] : '=',
                        left > 2 ? alphabet[group & 63] : '='};
        buf_append(out, four, 4);
    }
    return !out->failed;
}
