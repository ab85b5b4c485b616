/* What Spring makes of values: blankness and conversion; see spring.h and docs/SPRING.md,
 * R5. Pure. */
#include "core/spring.h"

#include "util/attr.h"
#include "util/utf8.h"

/* Java's Character.isWhitespace beyond ASCII, as UTF-8: U+1680, U+2000–2006, U+2008–200A,
 * U+2028, U+2029, U+205F, U+3000. */
static bool is_wide_space(struct str c)
{
    const unsigned char *s = (const unsigned char *)c.p;
    if (c.n != 3)
        return false;
    if (s[0] == 0xe1)
        return s[1] == 0x9a && s[2] == 0x80;
    if (s[0] == 0xe3)
        return s[1] == 0x80 && s[2] == 0x80;
    if (s[0] != 0xe2)
        return false;
    if (s[1] == 0x80)
        return (s[2] >= 0x80 && s[2] <= 0x8a && s[2] != 0x87) || s[2] == 0xa8 ||
               s[2] == 0xa9;
    return s[1] == 0x81 && s[2] == 0x9f;
}

bool spring_blank(struct str text)
{
    while (text.n > 0) {
        unsigned char c = (unsigned char)text.p[0];
        size_t length = utf8_length(text);
        bool space = c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f);
        if (!space && (length == 0 || !is_wide_space(str_first(text, length))))
            return false;
        text = str_skip(text, length);
    }
    return true;
}

static struct str trim(struct str text)
{
    while (text.n > 0 && (unsigned char)text.p[0] <= ' ')
        text = str_skip(text, 1);
    while (text.n > 0 && (unsigned char)text.p[text.n - 1] <= ' ')
        text.n--;
    return text;
}

static bool is_boolean(struct str value)
{
    static const struct str words[] = {
        STR("true"),  STR("on"),  STR("yes"), STR("1"),
        STR("false"), STR("off"), STR("no"),  STR("0"),
    };
    value = trim(value);
    for (size_t i = 0; i < NRW_COUNT(words); i++) {
        if (str_eq_nocase(words[i], value))
            return true;
    }
    return false;
}

/* "10s", "500", "-3 ms" is not; "PT10S" and its kin are left to Java's own parser. */
static bool is_duration(struct str value)
{
    static const struct str units[] = {
        STR("ns"), STR("us"), STR("ms"), STR("s"), STR("m"), STR("h"), STR("d"), STR(""),
    };
    if (value.n == 0)
        return true;
    size_t i = value.p[0] == '+' || value.p[0] == '-' ? 1 : 0;
    if (i < value.n && ascii_lower(value.p[i]) == 'p')
        return true;
    size_t digits = i;
    while (i < value.n && ascii_is_digit(value.p[i]))
        i++;
    struct str unit = str_skip(value, i);
    for (size_t k = 0; k < NRW_COUNT(units) && i > digits; k++) {
        if (str_eq_nocase(units[k], unit))
            return true;
    }
    return false;
}

bool spring_converts(struct str property_text, struct str value)
{
    if (str_ends(property_text, STR("-timeout")))
        return is_duration(value);
    if (str_ends(property_text, STR(".enabled")))
        return is_boolean(value);
    return true;
}
