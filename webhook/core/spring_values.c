/* What Spring makes of values: blankness and conversion; see spring.h and docs/SPRING.md,
 * R5. Pure. */
#include "core/spring.h"

#include <stdint.h>

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

bool spring_is_encrypted(struct str value)
{
    return str_starts(value, STR("{cipher}"));
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

bool spring_boolean(struct str value, bool *ret_value)
{
    static const struct {
        struct str text;
        bool value;
    } words[] = {
        {STR("true"), true},   {STR("on"), true},   {STR("yes"), true}, {STR("1"), true},
        {STR("false"), false}, {STR("off"), false}, {STR("no"), false}, {STR("0"), false},
    };
    value = str_trim(value);
    for (size_t i = 0; i < NRW_COUNT(words); i++) {
        if (!str_eq_nocase(words[i].text, value))
            continue;
        *ret_value = words[i].value;
        return true;
    }
    return false;
}

static bool is_sign(struct str value, size_t at)
{
    return at < value.n && (value.p[at] == '+' || value.p[at] == '-');
}

/* Passes over a sign and digits. False: there are none, or more than a Java long holds,
 * by itself or `scale` times. */
static bool read_amount(struct str value, size_t *at, uint64_t scale)
{
    bool negative = *at < value.n && value.p[*at] == '-';
    const uint64_t most = (uint64_t)INT64_MAX / scale + (negative && scale == 1);
    size_t i = *at + (is_sign(value, *at) ? 1 : 0);
    size_t start = i;
    uint64_t amount = 0;
    for (; i < value.n && ascii_is_digit(value.p[i]); i++) {
        uint64_t digit = (uint64_t)(value.p[i] - '0');
        if (amount > (most - digit) / 10)
            return false;
        amount = amount * 10 + digit;
    }
    if (i == start)
        return false;
    *at = i;
    return true;
}

static bool fraction_follows(struct str value, size_t *at)
{
    if (*at == value.n || (value.p[*at] != '.' && value.p[*at] != ','))
        return false;
    size_t start = ++*at;
    while (*at < value.n && *at - start < 9 && ascii_is_digit(value.p[*at]))
        ++*at;
    return true;
}

/* java.time.Duration.parse, behind the sign and the P: days, then T and hours, minutes
 * and seconds, each once and in this order, and something of it. */
static bool is_iso_duration(struct str value, size_t i)
{
    static const char units[] = "dhms";
    static const uint64_t scales[] = {86400, 3600, 60, 1};
    size_t next = 0; /* the first unit that may still come */
    bool time = false;
    bool any = false;
    while (i < value.n) {
        if (!time && ascii_lower(value.p[i]) == 't') {
            time = true;
            any = false; /* it takes one behind the T */
            next = 1;
            i++;
            continue;
        }
        size_t end = i + (is_sign(value, i) ? 1 : 0);
        while (end < value.n && ascii_is_digit(value.p[end]))
            end++;
        struct str rest = str_skip(value, end);
        size_t behind = 0;
        bool fraction = fraction_follows(rest, &behind);
        size_t unit = next;
        while (unit < 4 &&
               (behind == rest.n || ascii_lower(rest.p[behind]) != units[unit]))
            unit++;
        if (unit == 4 || (unit > 0) != time || (fraction && unit < 3) ||
            !read_amount(value, &i, scales[unit]))
            return false;
        i = end + behind + 1;
        next = unit + 1;
        any = true;
    }
    return any;
}

/* "10s", "500", "PT10S"; "-3 ms" is not. */
static bool is_duration(struct str value)
{
    static const struct {
        struct str unit;
        uint64_t scale;
    } units[] = {
        {STR("ns"), 1}, {STR("us"), 1},   {STR("ms"), 1},    {STR("s"), 1},
        {STR("m"), 60}, {STR("h"), 3600}, {STR("d"), 86400}, {STR(""), 1},
    };
    if (value.n == 0)
        return true;
    size_t i = is_sign(value, 0) ? 1 : 0;
    if (i < value.n && ascii_lower(value.p[i]) == 'p')
        return is_iso_duration(value, i + 1);
    while (i < value.n && ascii_is_digit(value.p[i]))
        i++;
    struct str unit = str_skip(value, i);
    for (size_t k = 0; k < NRW_COUNT(units); k++) {
        size_t at = 0;
        if (str_eq_nocase(units[k].unit, unit))
            return read_amount(value, &at, units[k].scale);
    }
    return false;
}

bool spring_converts(struct str property_text, struct str value)
{
    if (str_ends(property_text, STR("-timeout")))
        return is_duration(value);
    if (str_ends(property_text, STR(".enabled")))
        return spring_boolean(value, &(bool){false});
    return true;
}
