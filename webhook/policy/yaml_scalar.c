/* What a scalar means; see yaml_resolve() in yaml_node.h. The rules are those of
 * sigs.k8s.io/yaml (its goyaml.v2), which kubectl, Helm and the API server share: a table
 * of words, then integers in Go's base-0 notation, then floats. Pure. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "policy/yaml_node.h"

#define CORE_TAG "tag:yaml.org,2002:"

static bool tag_is(const struct yaml_node *node, const char *name)
{
    struct str prefix = STR(CORE_TAG);
    return str_starts(node->tag, prefix) &&
           str_eq(str_skip(node->tag, prefix.n), str_of(name));
}

bool yaml_tag_is_core(const struct yaml_node *node)
{
    static const char *const known[] = {"str",  "int", "float", "bool",
                                        "null", "map", "seq"};
    if (node->tag.n == 0 || str_eq(node->tag, STR("!")))
        return true;
    for (size_t i = 0; i < NRW_COUNT(known); i++) {
        if (tag_is(node, known[i]))
            return true;
    }
    return false;
}

bool yaml_is_merge_key(const struct yaml_node *key)
{
    return key->kind == NODE_SCALAR && key->style == STYLE_PLAIN &&
           str_eq(key->text, STR("<<")) && (key->tag.n == 0 || tag_is(key, "merge"));
}

/* The word as it is, with a capital, or in capitals: what YAML 1.1 lists. */
static bool is_word(struct str text, const char *lower)
{
    struct str word = str_of(lower);
    if (!str_eq_nocase(text, word))
        return false;
    size_t capitals = 0;
    for (size_t i = 0; i < text.n; i++)
        capitals += ascii_is_upper(text.p[i]) ? 1 : 0;
    return capitals == 0 || capitals == text.n ||
           (capitals == 1 && ascii_is_upper(text.p[0]));
}

static bool is_any(struct str text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (is_word(text, words[i]))
            return true;
    }
    return false;
}

static bool resolve_word(struct str text, struct yaml_value *value)
{
    static const char *const yes[] = {"true", "yes", "on", "y"};
    static const char *const no[] = {"false", "no", "off", "n"};
    if (text.n == 0 || str_eq(text, STR("~")) || is_word(text, "null")) {
        value->type = TYPE_NULL;
        return true;
    }
    bool truth = is_any(text, yes, NRW_COUNT(yes));
    if (!truth && !is_any(text, no, NRW_COUNT(no)))
        return false;
    value->type = TYPE_BOOL;
    value->boolean = truth;
    return true;
}

static bool resolve_special(struct str text, struct yaml_value *value)
{
    struct str rest = text;
    bool negative = rest.n > 0 && rest.p[0] == '-';
    if (negative || (rest.n > 0 && rest.p[0] == '+'))
        rest = str_skip(rest, 1);
    if (str_eq(rest, STR(".inf")) || str_eq(rest, STR(".Inf")) ||
        str_eq(rest, STR(".INF"))) {
        value->real = negative ? -INFINITY : INFINITY;
    } else if (str_eq(text, STR(".nan")) || str_eq(text, STR(".NaN")) ||
               str_eq(text, STR(".NAN"))) {
        value->real = NAN;
    } else {
        return false;
    }
    value->type = TYPE_REAL;
    return true;
}

/* Without underscores, NUL-terminated; false when it is too long to be a number. */
static bool plain_number(struct str text, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '_')
            continue;
        if (n + 1 >= size)
            return false;
        out[n++] = text.p[i];
    }
    out[n] = '\0';
    return n > 0;
}

static bool all_digits(const char *text, int base)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        char c = ascii_lower(*text);
        int digit = ascii_is_digit(c)      ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : 99;
        if (digit >= base)
            return false;
    }
    return true;
}

static bool resolve_integer(const char *plain, struct yaml_value *value)
{
    bool negative = *plain == '-';
    const char *digits = negative || *plain == '+' ? plain + 1 : plain;
    int base = 10;
    if (digits[0] == '0' && digits[1] != '\0') {
        char mark = ascii_lower(digits[1]);
        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        digits += mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
    }
    if (!all_digits(digits, base))
        return false;
    errno = 0;
    unsigned long long magnitude = strtoull(digits, NULL, base);
    bool over = errno == ERANGE;
    if (!over && magnitude <= (unsigned long long)INT64_MAX) {
        value->type = TYPE_INTEGER;
        value->integer = negative ? -(int64_t)magnitude : (int64_t)magnitude;
        return true;
    }
    if (!over && negative && magnitude == (unsigned long long)INT64_MAX + 1) {
        value->type = TYPE_INTEGER;
        value->integer = INT64_MIN;
        return true;
    }
    if (over && base != 10)
        return false;        /* Go has a big integer here, JSON a number nobody reads */
    value->type = TYPE_REAL; /* larger than our JSON library's integers */
    value->real =
        base == 10 ? strtod(plain, NULL) : (negative ? -1.0 : 1.0) * (double)magnitude;
    return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_real(const char *p)
{
    if (*p == '-' || *p == '+')
        p++;
    size_t before = 0;
    size_t after = 0;
    for (; ascii_is_digit(*p); p++)
        before++;
    if (*p == '.') {
        for (p++; ascii_is_digit(*p); p++)
            after++;
    }
    if (before + after == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+')
            p++;
        if (!ascii_is_digit(*p))
            return false;
        while (ascii_is_digit(*p))
            p++;
    }
    return *p == '\0';
}

static bool resolve_number(struct str text, struct yaml_value *value)
{
    char plain[128];
    char first = text.n > 0 ? text.p[0] : '\0';
    if (!ascii_is_digit(first) && first != '+' && first != '-' && first != '.')
        return false;
    if (memchr(text.p, '\0', text.n) != NULL || !plain_number(text, plain, sizeof(plain)))
        return false;
    if (first != '.' && resolve_integer(plain, value))
        return true;
    if (!looks_real(plain) || (first == '.' && str_index(text, 0, '_') < text.n))
        return false;
    double real = strtod(plain, NULL);
    if (!isfinite(real))
        return false; /* out of range: a text */
    value->type = TYPE_REAL;
    value->real = real;
    return true;
}

static struct yaml_value resolve_plain(struct str text)
{
    struct yaml_value value = {.type = TYPE_STRING};
    if (!resolve_word(text, &value) && !resolve_special(text, &value))
        (void)resolve_number(text, &value);
    return value;
}

struct yaml_value yaml_resolve(const struct yaml_node *scalar)
{
    struct yaml_value value = {.type = TYPE_STRING};
    if (scalar->tag.n == 0)
        return scalar->style == STYLE_PLAIN ? resolve_plain(scalar->text) : value;
    if (str_eq(scalar->tag, STR("!")) || tag_is(scalar, "str"))
        return value;
    struct yaml_value plain = resolve_plain(scalar->text);
    if (tag_is(scalar, "float") && plain.type == TYPE_INTEGER) {
        plain.type = TYPE_REAL;
        plain.real = (double)plain.integer;
    }
    static const struct {
        const char *tag;
        enum yaml_type type;
    } fits[] = {{"int", TYPE_INTEGER},
                {"float", TYPE_REAL},
                {"bool", TYPE_BOOL},
                {"null", TYPE_NULL}};
    for (size_t i = 0; i < NRW_COUNT(fits); i++) {
        if (tag_is(scalar, fits[i].tag) && plain.type == fits[i].type)
            return plain;
    }
    return (struct yaml_value){.type = TYPE_BAD};
}
