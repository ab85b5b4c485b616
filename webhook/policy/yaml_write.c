/* JSON as YAML; see yaml_write.h. libyaml's emitter writes; what must be quoted is
 * decided here, with the same rules that read it. */
#include "policy/yaml_write.h"

#include <stdio.h>
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

static bool emit_text(yaml_emitter_t *emitter, struct str text)
{
    const struct yaml_node node = {
        .kind = NODE_SCALAR, .style = STYLE_PLAIN, .text = text};
    yaml_scalar_style_t style = YAML_ANY_SCALAR_STYLE; /* libyaml quotes where it must */
    if (str_index(text, 0, '\n') < text.n)
        style = YAML_LITERAL_SCALAR_STYLE;
    else if (yaml_resolve(&node).type != TYPE_STRING || text.n == 0)
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
    case JSON_REAL: {
        size_t n = json_dumpb(value, number, sizeof(number), JSON_ENCODE_ANY);
        return n <= sizeof(number) &&
               emit_scalar(emitter, number, n, YAML_PLAIN_SCALAR_STYLE);
    }
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
