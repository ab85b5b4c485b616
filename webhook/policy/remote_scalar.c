/* Scalars of a remote configuration; see remote_scalar.h. Pure. */
#include "policy/remote_scalar.h"

/* y and n are no booleans there, and "!" leaves the meaning to the text. */
enum yaml_type remote_scalar_type(const struct yaml_node *scalar,
                                  struct yaml_value *value)
{
    struct yaml_node plain = *scalar;
    if (str_eq(scalar->tag, STR("!"))) {
        plain.tag = STR("");
        plain.style = STYLE_PLAIN;
    }
    *value = yaml_resolve(&plain);
    if (value->type == TYPE_BOOL && scalar->text.n == 1)
        return TYPE_STRING;
    return value->type;
}

struct str remote_scalar_text(const struct yaml_node *scalar)
{
    struct yaml_value value;
    switch (remote_scalar_type(scalar, &value)) {
    case TYPE_NULL:
        return STR("");
    case TYPE_BOOL:
        return value.boolean ? STR("true") : STR("false");
    default:
        return scalar->text;
    }
}

static size_t skip_digits(struct str text, size_t at)
{
    while (at < text.n && (ascii_is_digit(text.p[at]) || text.p[at] == '_'))
        at++;
    return at;
}

static bool is_plain(const struct yaml_node *scalar)
{
    return scalar->tag.n == 0 ? scalar->style == STYLE_PLAIN
                              : str_eq(scalar->tag, STR("!"));
}

/* Numbers that Java prints in a way of its own (0x1f is 31, 1.50 is 1.5), and plain texts
 * that are numbers or dates to YAML 1.1: 12:30 is 750, 2026-01-02 a Date. */
bool remote_scalar_is_odd(const struct yaml_node *scalar)
{
    struct str text = scalar->text;
    struct yaml_value value;
    enum yaml_type type = remote_scalar_type(scalar, &value);
    size_t start = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
    size_t digits = skip_digits(text, start);
    if (type == TYPE_REAL)
        return true;
    if (type == TYPE_INTEGER)
        return digits < text.n || text.p[0] == '+' || str_index(text, 0, '_') < text.n ||
               (digits > start + 1 && text.p[start] == '0');
    if (type != TYPE_STRING || !is_plain(scalar) || digits == start || digits == text.n)
        return false;
    return text.p[digits] == ':' || (digits == 4 && text.p[digits] == '-');
}
