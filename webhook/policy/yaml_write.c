/* JSON as YAML; see yaml_write.h. libyaml's emitter writes; what must be quoted is
 * decided here, with the same rules that read it. */
#include "policy/yaml_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "policy/yaml_node.h"

static int append(void *data, unsigned char *bytes, size_t size)
{
    return buf_append(data, bytes, size) ? 1 : 0;
}

static bool emit(yaml_emitter_t *emitter, yaml_event_t *event, int made)
{
    return made != 0 && yaml_emitter_emit(emitter, event) != 0;
}

/* libyaml's interface takes bytes that it does not change as non-const. */
static yaml_char_t *bytes_of(const char *text)
{
    union {
        const char *in;
        yaml_char_t *out;
    } cast = {text};
    return cast.out;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, size_t size,
                        yaml_scalar_style_t style)
{
    yaml_event_t event;
    int plain = style == YAML_PLAIN_SCALAR_STYLE || style == YAML_ANY_SCALAR_STYLE;
    return emit(emitter, &event,
                yaml_scalar_event_initialize(&event, NULL, NULL, bytes_of(text),
                                             (int)size, plain, 1, style));
}

static bool is_made_of(struct str text, const char *characters)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\0' || strchr(characters, text.p[i]) == NULL)
            return false;
    }
    return text.n > 0;
}

#define DIGITS "0123456789"

static bool is_date(struct str text)
{
    if (text.n < 8 || text.p[4] != '-' || !is_made_of(str_first(text, 4), DIGITS))
        return false;
    struct str rest = str_skip(text, 5);
    size_t month = str_index(rest, 0, '-');
    return month <= 2 && is_made_of(str_first(rest, month), DIGITS) &&
           month + 1 < rest.n && ascii_is_digit(rest.p[month + 1]);
}

/* A number to somebody: base 60, with commas, or too large for ours. */
static bool looks_numeric(struct str text)
{
    bool sign = text.n > 0 && (text.p[0] == '+' || text.p[0] == '-');
    struct str rest = str_skip(text, sign ? 1 : 0);
    char first = rest.n > 0 ? rest.p[0] : '\0';
    char second = rest.n > 1 ? ascii_lower(rest.p[1]) : '\0';
    if (first == '0' && (second == 'x' || second == 'o' || second == 'b'))
        return is_made_of(str_skip(rest, 2), DIGITS "_abcdefABCDEF");
    if (!ascii_is_digit(first) && !(first == '.' && ascii_is_digit(second)))
        return false;
    if (str_index(rest, str_index(rest, 0, '.') + 1, '.') < rest.n)
        return false; /* 10.0.0.1, 1.2.3 */
    size_t e = str_index(rest, 0, 'e');
    if (e == rest.n)
        e = str_index(rest, 0, 'E');
    return is_made_of(str_first(rest, e), DIGITS "_,:.") &&
           (e == rest.n || is_made_of(str_skip(rest, e + 1), DIGITS "+-"));
}

/* A text to Kubernetes' reader that others take for something else: 12:30 is a number to
 * base 60 in YAML 1.1, 2026-01-01 a date, 1e400 infinite, = and << are a value and a
 * merge. Of a number's looks more are quoted than any reader has. */
static bool others_misread(struct str text)
{
    if (str_eq(text, STR("=")) || str_eq(text, STR("<<")) || is_date(text))
        return true;
    return looks_numeric(text);
}

static bool emit_text(yaml_emitter_t *emitter, struct str text)
{
    const struct yaml_node node = {
        .kind = NODE_SCALAR, .style = STYLE_PLAIN, .text = text};
    yaml_scalar_style_t style = YAML_ANY_SCALAR_STYLE; /* libyaml quotes where it must */
    if (str_index(text, 0, '\n') < text.n)
        style = YAML_LITERAL_SCALAR_STYLE;
    else if (yaml_resolve(&node).type != TYPE_STRING || others_misread(text))
        style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    return emit_scalar(emitter, text.p, text.n, style);
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value);

static bool emit_object(yaml_emitter_t *emitter, const json_t *object)
{
    yaml_event_t event;
    if (!emit(emitter, &event,
              yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                  json_object_size(object) == 0
                                                      ? YAML_FLOW_MAPPING_STYLE
                                                      : YAML_BLOCK_MAPPING_STYLE)))
        return false;
    /* jansson's iterator takes a non-const object and does not change it. */
    union {
        const json_t *in;
        json_t *out;
    } cast = {object};
    const char *key;
    json_t *value;
    json_object_foreach(cast.out, key, value)
    {
        if (!emit_text(emitter, str_of(key)) || !emit_value(emitter, value))
            return false;
    }
    return emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static bool emit_array(yaml_emitter_t *emitter, const json_t *array)
{
    yaml_event_t event;
    if (!emit(emitter, &event,
              yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                   json_array_size(array) == 0
                                                       ? YAML_FLOW_SEQUENCE_STYLE
                                                       : YAML_BLOCK_SEQUENCE_STYLE)))
        return false;
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!emit_value(emitter, json_array_get(array, i)))
            return false;
    }
    return emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

/* With as few digits as give the number back: 0.1 and not 0.10000000000000001. */
static bool emit_real(yaml_emitter_t *emitter, const json_t *value)
{
    char number[64];
    size_t n = 0;
    for (size_t digits = 15; digits <= 17; digits++) {
        n = json_dumpb(value, number, sizeof(number) - 1,
                       JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        if (n == 0 || n >= sizeof(number))
            return false;
        number[n] = '\0';
        if (strtod(number, NULL) == json_real_value(value))
            break;
    }
    return emit_scalar(emitter, number, n, YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value)
{
    char number[64];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return emit_object(emitter, value);
    case JSON_ARRAY:
        return emit_array(emitter, value);
    case JSON_STRING:
        return emit_text(emitter,
                         str_from(json_string_value(value), json_string_length(value)));
    case JSON_INTEGER: {
        int n = snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
                         json_integer_value(value));
        return emit_scalar(emitter, number, (size_t)n, YAML_PLAIN_SCALAR_STYLE);
    }
    case JSON_REAL:
        return emit_real(emitter, value);
    case JSON_TRUE:
        return emit_scalar(emitter, "true", 4, YAML_PLAIN_SCALAR_STYLE);
    case JSON_FALSE:
        return emit_scalar(emitter, "false", 5, YAML_PLAIN_SCALAR_STYLE);
    case JSON_NULL:
        break;
    }
    return emit_scalar(emitter, "null", 4, YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_document(yaml_emitter_t *emitter, const json_t *json)
{
    yaml_event_t event;
    return emit(emitter, &event,
                yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING)) &&
           emit(emitter, &event,
                yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1)) &&
           emit_value(emitter, json) &&
           emit(emitter, &event, yaml_document_end_event_initialize(&event, 1)) &&
           emit(emitter, &event, yaml_stream_end_event_initialize(&event)) &&
           yaml_emitter_flush(emitter) != 0;
}

bool yaml_write(const json_t *json, struct buf *out, struct err *err)
{
    yaml_emitter_t emitter;
    if (yaml_emitter_initialize(&emitter) == 0)
        return err_nomem(err);
    yaml_emitter_set_output(&emitter, append, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    bool good = emit_document(&emitter, json);
    yaml_emitter_delete(&emitter);
    if (good)
        return true;
    if (out->over_limit)
        return err_set(err, ERR_LIMIT, "the YAML is larger than %zu bytes", out->maximum);
    return err_nomem(err);
}
