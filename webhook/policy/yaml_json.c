/* YAML or JSON text to JSON documents; see yaml_json.h. A text that begins with a brace
 * or a bracket is tried as JSON first (libyaml does not know surrogate escapes or very
 * long keys); what is not JSON may still be YAML in flow style. */
#include "policy/yaml_json.h"

#include <math.h>
#include <stdio.h>

#include "util/mem.h"

const struct yaml_limits yaml_json_limits = {.bytes = 32u << 20,
                                             .nodes = 1000000,
                                             .depth = YAML_MAX_DEPTH,
                                             .documents = 10000,
                                             .anchors = 1000};

#define ARENA_LIMIT ((size_t)1 << 30)

struct converter {
    const struct yaml_limits *limits;
    size_t nodes;
    struct err *err;
};

static void json_cleanup(json_t **json)
{
    json_decref(*json);
}
#define AUTO_JSON NRW_CLEANUP(json_cleanup) json_t *

static bool fail_place(struct err *err, enum err_code code, unsigned line,
                       unsigned column, const char *message)
{
    if (code == ERR_NOMEM)
        return err_nomem(err);
    if (line == 0)
        return err_set(err, code, "%s", message);
    return err_set(err, code, "line %u, column %u: %s", line, column, message);
}

static json_t *refuse(struct converter *c, const struct yaml_node *node,
                      enum err_code code, const char *message)
{
    fail_place(c->err, code, node->line, node->column, message);
    return NULL;
}

static json_t *made(struct converter *c, json_t *json)
{
    if (json == NULL)
        err_nomem(c->err);
    return json;
}

static json_t *convert(struct converter *c, const struct yaml_node *node, size_t depth);

static json_t *convert_scalar(struct converter *c, const struct yaml_node *node)
{
    struct yaml_value value = yaml_resolve(node);
    switch (value.type) {
    case TYPE_NULL:
        return json_null();
    case TYPE_BOOL:
        return json_boolean(value.boolean);
    case TYPE_INTEGER:
        return made(c, json_integer(value.integer));
    case TYPE_REAL:
        if (!isfinite(value.real))
            return refuse(c, node, ERR_INVALID,
                          "an infinite number or NaN cannot be written as JSON");
        return made(c, json_real(value.real));
    case TYPE_STRING:
        if (memchr(node->text.p, '\0', node->text.n) != NULL)
            return refuse(c, node, ERR_INVALID, "a NUL character in a text");
        return made(c, json_stringn(node->text.p, node->text.n));
    case TYPE_BAD:
        break;
    }
    return refuse(c, node, ERR_INVALID, "a tag that does not fit or is not known");
}

static json_t *convert_sequence(struct converter *c, const struct yaml_node *node,
                                size_t depth)
{
    AUTO_JSON array = made(c, json_array());
    if (array == NULL)
        return NULL;
    for (const struct yaml_node *item = node->child; item != NULL; item = item->next) {
        json_t *json = convert(c, item, depth + 1);
        if (json == NULL)
            return NULL;
        if (json_array_append_new(array, json) != 0)
            return made(c, NULL);
    }
    return json_incref(array);
}

/* Keys become texts as sigs.k8s.io/yaml makes them: `1:` is "1", `on:` is "true". */
static bool key_text(struct converter *c, const struct yaml_node *key, char *number,
                     size_t size, struct str *ret_text)
{
    if (key->kind == NODE_ALIAS)
        key = key->target;
    if (key->kind != NODE_SCALAR) {
        refuse(c, key, ERR_INVALID, "a key that is a map or a list");
        return false;
    }
    struct yaml_value value = yaml_resolve(key);
    switch (value.type) {
    case TYPE_STRING:
        if (memchr(key->text.p, '\0', key->text.n) != NULL)
            break;
        *ret_text = key->text;
        return true;
    case TYPE_BOOL:
        *ret_text = value.boolean ? STR("true") : STR("false");
        return true;
    case TYPE_INTEGER:
        snprintf(number, size, "%lld", (long long)value.integer);
        *ret_text = str_of(number);
        return true;
    case TYPE_REAL:
        snprintf(number, size, "%.17g", value.real);
        *ret_text = isnan(value.real)         ? STR(".nan")
                    : value.real == INFINITY  ? STR(".inf")
                    : value.real == -INFINITY ? STR("-.inf")
                                              : str_of(number);
        return true;
    case TYPE_NULL:
    case TYPE_BAD:
        break;
    }
    refuse(c, key, ERR_INVALID, "a key that is empty or no text");
    return false;
}

static bool merge_map(struct converter *c, json_t *object, const struct yaml_node *map,
                      size_t depth)
{
    if (map->kind == NODE_ALIAS)
        map = map->target;
    if (map->kind != NODE_MAPPING) {
        refuse(c, map, ERR_INVALID, "<< takes a map, or a list of maps");
        return false;
    }
    AUTO_JSON merged = convert(c, map, depth + 1);
    if (merged == NULL)
        return false;
    if (json_object_update(object, merged) != 0) {
        err_nomem(c->err);
        return false;
    }
    return true;
}

/* `<<: [a, b]`: what stands first wins, so it is written last. */
static bool merge_list(struct converter *c, json_t *object, const struct yaml_node *item,
                       size_t depth)
{
    const struct yaml_node *items[64];
    size_t n = 0;
    for (; item != NULL; item = item->next) {
        if (n == NRW_COUNT(items)) {
            refuse(c, item, ERR_LIMIT, "<< with more than 64 maps");
            return false;
        }
        items[n++] = item;
    }
    while (n > 0) {
        if (!merge_map(c, object, items[--n], depth))
            return false;
    }
    return true;
}

static bool merge(struct converter *c, json_t *object, const struct yaml_node *value,
                  size_t depth)
{
    const struct yaml_node *real = value->kind == NODE_ALIAS ? value->target : value;
    if (real->kind == NODE_SEQUENCE)
        return merge_list(c, object, real->child, depth);
    return merge_map(c, object, value, depth);
}

static json_t *convert_mapping(struct converter *c, const struct yaml_node *node,
                               size_t depth)
{
    AUTO_JSON object = made(c, json_object());
    if (object == NULL)
        return NULL;
    for (const struct yaml_node *key = node->child; key != NULL; key = key->next->next) {
        char number[64];
        struct str text;
        /* In the order of the text, as goyaml.v2 does: a merge replaces what stands
         * before it, which YAML itself does not say. */
        if (yaml_is_merge_key(key)) {
            if (!merge(c, object, key->next, depth))
                return NULL;
            continue;
        }
        if (!key_text(c, key, number, sizeof(number), &text))
            return NULL;
        json_t *json = convert(c, key->next, depth + 1);
        if (json == NULL)
            return NULL;
        NRW_AUTOFREE char *name = mem_strndup(text.p, text.n);
        if (name == NULL) {
            json_decref(json);
            return made(c, NULL);
        }
        if (json_object_set_new_nocheck(object, name, json) != 0)
            return made(c, NULL);
    }
    return json_incref(object);
}

/* Recursive, at most limits->depth deep: aliases count as what they stand for. */
static json_t *convert(struct converter *c, const struct yaml_node *node, size_t depth)
{
    if (node->kind == NODE_ALIAS)
        node = node->target;
    if (depth > c->limits->depth)
        return refuse(c, node, ERR_LIMIT, "nested too deep once aliases are written out");
    if (++c->nodes > c->limits->nodes)
        return refuse(c, node, ERR_LIMIT, "too many values once aliases are written out");
    if (!yaml_tag_is_core(node))
        return refuse(c, node, ERR_INVALID, "a tag that is not known");
    switch (node->kind) {
    case NODE_SCALAR:
        return convert_scalar(c, node);
    case NODE_SEQUENCE:
        return convert_sequence(c, node, depth);
    case NODE_MAPPING:
    case NODE_ALIAS:
        break;
    }
    return convert_mapping(c, node, depth);
}

/* --- the list of documents ------------------------------------------------------------
 */

static bool docs_add(struct yaml_json *docs, size_t *capacity, json_t *json,
                     unsigned line, unsigned column, struct err *err)
{
    if (json_is_null(json))
        return true; /* nothing between two markers, or only comments */
    if (docs->count == *capacity) {
        size_t more = *capacity > 0 ? *capacity * 2 : 8;
        void *items = mem_realloc(docs->docs, more * sizeof(*docs->docs));
        if (items == NULL) {
            json_decref(json);
            return err_nomem(err);
        }
        docs->docs = items;
        *capacity = more;
    }
    docs->docs[docs->count++] = (struct yaml_json_doc){json, line, column};
    return true;
}

void yaml_json_done(struct yaml_json *docs)
{
    for (size_t i = 0; i < docs->count; i++)
        json_decref(docs->docs[i].json);
    mem_free(docs->docs);
    *docs = (struct yaml_json){0};
}

static bool parse_yaml(struct str text, const struct yaml_limits *limits,
                       struct yaml_json *docs, struct err *err)
{
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, ARENA_LIMIT);
    struct yaml_stream stream;
    struct yaml_problem problem;
    if (!yaml_parse(&arena, text, limits, (struct yaml_offset){0, 0}, &stream,
                    &problem)) {
        fail_place(err, problem.code, problem.line, problem.column, problem.message.p);
        if (problem.advice.n > 0 && err != NULL) {
            size_t used = strlen(err->message);
            snprintf(err->message + used, sizeof(err->message) - used, "; %s",
                     problem.advice.p);
        }
        return false;
    }
    struct converter c = {.limits = limits, .err = err};
    size_t capacity = 0;
    for (size_t i = 0; i < yaml_document_count(&stream); i++) {
        const struct yaml_node *root = yaml_document(&stream, i);
        json_t *json = convert(&c, root, 0);
        if (json == NULL ||
            !docs_add(docs, &capacity, json, root->line, root->column, err))
            return false;
    }
    return true;
}

/* --- JSON -----------------------------------------------------------------------------
 */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct place {
    unsigned line, column;
};

/* Moves the place over the bytes from `from` to `to`. */
static void walk(struct str text, size_t from, size_t to, struct place *place)
{
    for (size_t i = from; i < to && i < text.n; i++) {
        if (text.p[i] == '\n') {
            place->line++;
            place->column = 1;
        } else if (((unsigned char)text.p[i] & 0xc0) != 0x80) {
            place->column++;
        }
    }
}

/* Depth and number of values, before a parser recurses over them. */
static bool json_bounds(struct str text, const struct yaml_limits *limits,
                        struct err *err)
{
    size_t depth = 0;
    size_t values = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            continue;
        }
        quoted = c == '"';
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        if (c == ',' || c == '{' || c == '[')
            values++;
        if (depth > limits->depth || values > limits->nodes) {
            struct place at = {1, 1};
            walk(text, 0, i, &at);
            return fail_place(err, ERR_LIMIT, at.line, at.column,
                              depth > limits->depth ? "nested too deep"
                                                    : "too many values");
        }
    }
    return true;
}

static bool json_failure(const json_error_t *why, const struct place *start,
                         struct err *err)
{
    if (json_error_code(why) == json_error_out_of_memory)
        return err_nomem(err);
    unsigned line = start->line + (why->line > 0 ? (unsigned)why->line - 1 : 0);
    unsigned column = (unsigned)(why->column > 0 ? why->column : 1);
    if (why->line <= 1)
        column += start->column - 1;
    char message[sizeof(why->text) + 16];
    snprintf(message, sizeof(message), "not JSON: %s", why->text);
    return fail_place(err, ERR_SYNTAX, line, column, message);
}

static bool parse_json(struct str text, const struct yaml_limits *limits,
                       struct yaml_json *docs, struct err *err)
{
    size_t capacity = 0;
    size_t at = 0;
    struct place place = {1, 1};
    for (;;) {
        size_t start = at;
        while (at < text.n && is_space(text.p[at]))
            at++;
        walk(text, start, at, &place);
        if (at == text.n)
            return true;
        if (docs->count >= limits->documents)
            return fail_place(err, ERR_LIMIT, place.line, place.column,
                              "too many documents");
        json_error_t why;
        unsigned long refusals = mem_refusals();
        json_t *json = json_loadb(text.p + at, text.n - at,
                                  JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &why);
        /* Refused memory, jansson calls it bad syntax, or loses a byte of a text. */
        if (mem_refusals() != refusals) {
            json_decref(json);
            return err_nomem(err);
        }
        if (json == NULL)
            return json_failure(&why, &place, err);
        size_t used = why.position > 0 ? (size_t)why.position : 1;
        if (!docs_add(docs, &capacity, json, place.line, place.column, err))
            return false;
        walk(text, at, at + used, &place);
        at = used < text.n - at ? at + used : text.n;
    }
}

/* `{` and then a quote or nothing: JSON was meant, and its complaint is the useful one.
 */
static bool meant_as_json(struct str text)
{
    size_t i = 1;
    while (i < text.n && is_space(text.p[i]))
        i++;
    return i >= text.n || text.p[i] == '"' || text.p[i] == '}' || text.p[i] == '{' ||
           text.p[i] == ']';
}

static bool parse_either(struct str text, const struct yaml_limits *limits,
                         struct yaml_json *docs, struct err *err)
{
    size_t start = 0;
    while (start < text.n && is_space(text.p[start]))
        start++;
    if (start == text.n || (text.p[start] != '{' && text.p[start] != '['))
        return parse_yaml(text, limits, docs, err);
    struct err json_err = {0};
    if (json_bounds(text, limits, &json_err) && parse_json(text, limits, docs, &json_err))
        return true;
    if (json_err.code != ERR_SYNTAX) {
        if (err != NULL)
            *err = json_err;
        return false;
    }
    yaml_json_done(docs);
    if (parse_yaml(text, limits, docs, err))
        return true;
    if (meant_as_json(str_skip(text, start)) && err != NULL && err->code == ERR_SYNTAX)
        *err = json_err;
    return false;
}

bool yaml_json_parse(struct str text, const struct yaml_limits *limits,
                     struct yaml_json *ret_docs, struct err *err)
{
    if (limits == NULL)
        limits = &yaml_json_limits;
    if (text.n > limits->bytes)
        return err_set(err, ERR_LIMIT, "%zu bytes are more than the %zu allowed", text.n,
                       limits->bytes);
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_skip(text, 3);
    NRW_AUTO_YAML_JSON struct yaml_json docs = {0};
    if (!parse_either(text, limits, &docs, err))
        return false;
    *ret_docs = docs;
    docs = (struct yaml_json){0};
    return true;
}
