/* YAML text as a tree; see yaml_node.h. The events of libyaml are turned into nodes with
 * an explicit stack, so that depth costs no C stack. libyaml uses malloc itself; when
 * that fails it says so, and we do. */
#include "policy/yaml_node.h"

#include <limits.h>
#include <stdlib.h>
#include <yaml.h>

#include "util/strmap.h"
#include "util/utf8.h"

#define MAX_DIRECTIVES 64u
#define MAX_TAG_BYTES  256u

struct builder {
    struct arena *arena;
    const struct yaml_limits *limits;
    struct yaml_offset offset;
    struct str text;
    struct yaml_problem *problem;
    struct yaml_stream stream;
    struct yaml_node *open[YAML_MAX_DEPTH]; /* containers from the root down */
    struct yaml_node *last[YAML_MAX_DEPTH]; /* their last child */
    size_t depth;
    size_t nodes;
    struct arena_list anchors; /* of struct yaml_node *, of this document */
    struct strmap names;       /* of the anchors: the place of the last one of each */
};

static bool fail_at(struct builder *b, enum err_code code, unsigned line, unsigned column,
                    struct str message, struct str advice)
{
    *b->problem = (struct yaml_problem){.code = code,
                                        .line = line,
                                        .column = column,
                                        .message = message,
                                        .advice = advice};
    return false;
}

static bool fail_nomem(struct builder *b)
{
    return fail_at(b, ERR_NOMEM, 0, 0, STR("out of memory"), STR(""));
}

static unsigned mark_number(size_t from_zero, unsigned add)
{
    return from_zero >= INT_MAX ? (unsigned)INT_MAX : (unsigned)from_zero + 1 + add;
}

static bool fail_mark(struct builder *b, enum err_code code, const yaml_mark_t *mark,
                      struct str message, struct str advice)
{
    return fail_at(b, code, mark_number(mark->line, b->offset.lines),
                   mark_number(mark->column, b->offset.columns), message, advice);
}

/* Line and column of a byte, when libyaml has no mark for it. */
static bool fail_byte(struct builder *b, enum err_code code, size_t at,
                      struct str message, struct str advice)
{
    size_t line = 0;
    size_t column = 0;
    for (size_t i = 0; i < at && i < b->text.n; i++) {
        unsigned char c = (unsigned char)b->text.p[i];
        if (c == '\n') {
            line++;
            column = 0;
        } else if ((c & 0xc0) != 0x80) {
            column++;
        }
    }
    return fail_at(b, code, mark_number(line, b->offset.lines),
                   mark_number(column, b->offset.columns), message, advice);
}

static bool check_bytes(struct builder *b)
{
    if (b->text.n > b->limits->bytes)
        return fail_at(b, ERR_LIMIT, 0, 0,
                       arena_printf(b->arena, "%zu bytes are more than the %zu allowed",
                                    b->text.n, b->limits->bytes),
                       STR(""));
    size_t directives = 0;
    bool line_begins = true;
    for (size_t i = 0; i < b->text.n;) {
        unsigned char c = (unsigned char)b->text.p[i];
        /* libyaml compares each %TAG with all before it. */
        if (line_begins && str_starts(str_skip(b->text, i), STR("%TAG")) &&
            ++directives > MAX_DIRECTIVES)
            return fail_byte(b, ERR_LIMIT, i, STR("more than 64 %TAG directives"),
                             STR(""));
        /* Bytes from 0x80 on: libyaml ends lines at U+0085, U+2028 and U+2029 too. */
        line_begins = c == '\n' || c == '\r' || c >= 0x80;
        size_t length = c < 0x80 ? 1 : utf8_length(str_skip(b->text, i));
        if (length == 0)
            return fail_byte(b, ERR_SYNTAX, i,
                             arena_printf(b->arena, "byte 0x%02x is not UTF-8", c),
                             STR("save the file as UTF-8"));
        i += length;
    }
    return true;
}

/* --- libyaml's complaints, so that an admin can act on them ---------------------------
 */

static bool tab_at(const struct builder *b, const yaml_mark_t *mark)
{
    return mark->index < b->text.n && b->text.p[mark->index] == '\t';
}

static bool fail_parser(struct builder *b, const yaml_parser_t *parser)
{
    const char *what = parser->problem != NULL ? parser->problem : "not YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return fail_nomem(b);
    if (parser->error == YAML_READER_ERROR)
        return fail_byte(b, ERR_SYNTAX, parser->problem_offset,
                         arena_printf(b->arena, "not YAML: %s", what),
                         STR("remove the character"));
    const yaml_mark_t *mark = &parser->problem_mark;
    /* A mark counts characters; the tab is found by bytes only in an ASCII text, which is
     * good enough for a hint. */
    if (tab_at(b, mark))
        return fail_mark(b, ERR_SYNTAX, mark,
                         STR("not YAML: a tab where only spaces may stand"),
                         STR("indent with spaces"));
    if (parser->context == NULL || parser->context_mark.line == mark->line)
        return fail_mark(b, ERR_SYNTAX, mark,
                         arena_printf(b->arena, "not YAML: %s", what), STR(""));
    return fail_mark(
        b, ERR_SYNTAX, mark,
        arena_printf(b->arena, "not YAML: %s %s that begins on line %u", what,
                     parser->context,
                     mark_number(parser->context_mark.line, b->offset.lines)),
        STR("look at the indentation, a missing colon, or an open quote or "
            "bracket"));
}

/* --- nodes ----------------------------------------------------------------------------
 */

static struct str copy(struct builder *b, const yaml_char_t *text, size_t n)
{
    return text == NULL ? STR("") : arena_str(b->arena, str_from((const char *)text, n));
}

static struct str copy_text(struct builder *b, const yaml_char_t *text)
{
    return text == NULL ? STR("") : copy(b, text, strlen((const char *)text));
}

static struct yaml_node *node_new(struct builder *b, enum yaml_kind kind,
                                  const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    if (++b->nodes > b->limits->nodes) {
        fail_mark(b, ERR_LIMIT, mark,
                  arena_printf(b->arena, "more than %zu values", b->limits->nodes),
                  STR(""));
        return NULL;
    }
    struct yaml_node *node = ARENA_NEW(b->arena, struct yaml_node);
    if (node == NULL) {
        fail_nomem(b);
        return NULL;
    }
    node->kind = kind;
    node->number = b->nodes;
    node->line = mark_number(mark->line, b->offset.lines);
    node->column = mark_number(mark->column, b->offset.columns);
    node->text = node->tag = node->anchor = STR("");
    return node;
}

/* Puts the node where the stream has come to. */
static bool attach(struct builder *b, struct yaml_node *node)
{
    if (b->depth == 0) {
        struct yaml_node **root =
            arena_list_add(b->arena, &b->stream.documents, sizeof(struct yaml_node *));
        if (root == NULL)
            return fail_nomem(b);
        *root = node;
        return true;
    }
    struct yaml_node **last = &b->last[b->depth - 1];
    if (*last == NULL)
        b->open[b->depth - 1]->child = node;
    else
        (*last)->next = node;
    *last = node;
    b->open[b->depth - 1]->count++;
    return true;
}

static bool name_node(struct builder *b, struct yaml_node *node,
                      const yaml_char_t *anchor, const yaml_char_t *tag,
                      const yaml_mark_t *mark)
{
    /* A %TAG directive can make every tag as long as the text: refused before copying. */
    if (tag != NULL && strlen((const char *)tag) > MAX_TAG_BYTES)
        return fail_mark(b, ERR_LIMIT, mark, STR("a tag of more than 256 bytes"),
                         STR(""));
    node->tag = copy_text(b, tag);
    if (anchor == NULL)
        return true;
    node->anchor = copy_text(b, anchor);
    if (b->anchors.count >= b->limits->anchors)
        return fail_mark(
            b, ERR_LIMIT, mark,
            arena_printf(b->arena, "more than %zu anchors", b->limits->anchors), STR(""));
    struct yaml_node **slot =
        arena_list_add(b->arena, &b->anchors, sizeof(struct yaml_node *));
    if (slot == NULL)
        return fail_nomem(b);
    *slot = node;
    size_t *place =
        strmap_put(b->arena, &b->names, node->anchor, b->anchors.count - 1, NULL);
    if (place == NULL)
        return fail_nomem(b);
    *place = b->anchors.count - 1;
    return true;
}

static bool add_scalar(struct builder *b, const yaml_event_t *event)
{
    struct yaml_node *node = node_new(b, NODE_SCALAR, event);
    if (node == NULL)
        return false;
    node->text = copy(b, event->data.scalar.value, event->data.scalar.length);
    switch (event->data.scalar.style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE:
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
        node->style = STYLE_QUOTED;
        break;
    case YAML_LITERAL_SCALAR_STYLE:
        node->style = STYLE_LITERAL;
        break;
    case YAML_FOLDED_SCALAR_STYLE:
        node->style = STYLE_FOLDED;
        break;
    default:
        node->style = STYLE_PLAIN;
    }
    return name_node(b, node, event->data.scalar.anchor, event->data.scalar.tag,
                     &event->start_mark) &&
           attach(b, node);
}

static bool add_alias(struct builder *b, const yaml_event_t *event)
{
    struct yaml_node *node = node_new(b, NODE_ALIAS, event);
    if (node == NULL)
        return false;
    node->text = copy_text(b, event->data.alias.anchor);
    const size_t *place = strmap_get(&b->names, node->text);
    if (place != NULL)
        node->target = ((struct yaml_node **)b->anchors.items)[*place];
    if (node->target == NULL)
        return fail_mark(b, ERR_SYNTAX, &event->start_mark,
                         arena_printf(b->arena, "alias *%.*s names no anchor before it",
                                      STR_ARG(node->text)),
                         STR(""));
    for (size_t i = 0; i < b->depth; i++) {
        if (b->open[i] == node->target)
            return fail_mark(b, ERR_SYNTAX, &event->start_mark,
                             arena_printf(b->arena, "alias *%.*s stands inside itself",
                                          STR_ARG(node->text)),
                             STR(""));
    }
    return attach(b, node);
}

static bool open_container(struct builder *b, struct yaml_node *node,
                           const yaml_event_t *event)
{
    if (b->depth >= b->limits->depth || b->depth >= YAML_MAX_DEPTH)
        return fail_mark(b, ERR_LIMIT, &event->start_mark,
                         arena_printf(b->arena, "nested more than %zu deep", b->depth),
                         STR(""));
    if (!attach(b, node))
        return false;
    b->open[b->depth] = node;
    b->last[b->depth] = NULL;
    b->depth++;
    return true;
}

static bool add_container(struct builder *b, const yaml_event_t *event)
{
    bool map = event->type == YAML_MAPPING_START_EVENT;
    struct yaml_node *node = node_new(b, map ? NODE_MAPPING : NODE_SEQUENCE, event);
    if (node == NULL)
        return false;
    const yaml_char_t *anchor =
        map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const yaml_char_t *tag =
        map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    return name_node(b, node, anchor, tag, &event->start_mark) &&
           open_container(b, node, event);
}

/* --- duplicate keys -------------------------------------------------------------------
 */

static int compare_keys(const void *left, const void *right)
{
    const struct yaml_node *a = *(struct yaml_node *const *)left;
    const struct yaml_node *b = *(struct yaml_node *const *)right;
    int order = str_cmp(a->text, b->text);
    if (order != 0)
        return order;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return (a->column > b->column) - (a->column < b->column);
}

/* Sorted, so that a map of a hundred thousand keys takes no quadratic time. */
static bool find_duplicates(struct builder *b, struct yaml_node *map)
{
    if (map->count < 2)
        return true;
    struct yaml_node **keys = ARENA_ARRAY(b->arena, struct yaml_node *, map->count);
    if (keys == NULL)
        return fail_nomem(b);
    size_t n = 0;
    for (struct yaml_node *key = map->child; key != NULL; key = key->next->next) {
        if (key->kind == NODE_SCALAR)
            keys[n++] = key;
    }
    if (n > 1)
        qsort(keys, n, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < n; i++) {
        const struct yaml_node *before = keys[i - 1];
        if (str_eq(before->text, keys[i]->text))
            keys[i]->duplicate_of =
                before->duplicate_of != NULL ? before->duplicate_of : before;
    }
    return true;
}

static bool close_container(struct builder *b)
{
    struct yaml_node *node = b->open[--b->depth];
    if (node->kind == NODE_SEQUENCE)
        return true;
    node->count /= 2; /* keys and values were counted */
    return b->limits->any_keys || find_duplicates(b, node);
}

static bool handle(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        b->anchors = (struct arena_list){0};
        b->names = (struct strmap){.slots = NULL};
        if (b->stream.documents.count >= b->limits->documents)
            return fail_mark(
                b, ERR_LIMIT, &event->start_mark,
                arena_printf(b->arena, "more than %zu documents", b->limits->documents),
                STR(""));
        return true;
    case YAML_SCALAR_EVENT:
        return add_scalar(b, event);
    case YAML_ALIAS_EVENT:
        return add_alias(b, event);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return add_container(b, event);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return close_container(b);
    default:
        return true;
    }
}

static bool read_events(struct builder *b, yaml_parser_t *parser)
{
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return fail_parser(b, parser);
        bool end = event.type == YAML_STREAM_END_EVENT;
        bool good = handle(b, &event);
        yaml_event_delete(&event);
        if (end || !good)
            return good;
    }
}

bool yaml_parse(struct arena *arena, struct str text, const struct yaml_limits *limits,
                struct yaml_offset offset, struct yaml_stream *ret_stream,
                struct yaml_problem *ret_problem)
{
    /* A byte order mark is no part of the text, and would shift the first column. */
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_skip(text, 3);
    struct builder b = {.arena = arena,
                        .limits = limits,
                        .offset = offset,
                        .text = text,
                        .problem = ret_problem};
    if (!check_bytes(&b))
        return arena->failed ? fail_nomem(&b) : false;
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return fail_nomem(&b);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    bool good = read_events(&b, &parser);
    yaml_parser_delete(&parser);
    if (arena->failed)
        return fail_nomem(&b);
    b.stream.nodes = b.nodes;
    if (good)
        *ret_stream = b.stream;
    return good;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, struct str key)
{
    if (mapping == NULL || mapping->kind != NODE_MAPPING)
        return NULL;
    for (const struct yaml_node *k = mapping->child; k != NULL; k = k->next->next) {
        if (k->kind == NODE_SCALAR && str_eq(k->text, key))
            return k->next;
    }
    return NULL;
}
