/* The remote-config ConfigMap as properties; see remote.h. */
#include "policy/remote.h"

#include "core/spring.h"
#include "policy/yaml_node.h"
#include "util/strmap.h"
#include "util/utf8.h"

#define TREE_LIMIT  (64u << 20)
#define NAME_LIMIT  512u  /* longer than any property that means something */
#define VALUE_LIMIT 4096u /* the rest of a longer value is left out */

static const struct yaml_limits remote_limits = {
    .bytes = 2u << 20, .nodes = 50000, .depth = 64, .documents = 100, .anchors = 200};

struct item {
    struct remote_prop prop;
    bool replaced;
};

struct flat {
    struct arena *arena; /* the caller's: what is kept */
    struct arena *tree;  /* gone after each data key */
    struct str prefix;
    struct arena_list items; /* of struct item, in `arena` */
    struct strmap names;     /* in `tree`: index + 1 of the item that counts */
    bool conditional;        /* the document is bound to a profile */
    size_t nodes;
    unsigned line;
    const char *problem; /* with `line` */
};

static void keep(struct flat *flat, struct str name, struct str value, bool unreadable)
{
    if (flat->prefix.n > 0 && !spring_concerns(flat->prefix, name))
        return;
    struct item *item = arena_list_add(flat->arena, &flat->items, sizeof(*item));
    if (item == NULL)
        return;
    item->prop =
        (struct remote_prop){arena_str(flat->arena, name),
                             arena_str(flat->arena, utf8_cut(value, VALUE_LIMIT)),
                             unreadable, flat->conditional, STR("")};
    if (flat->conditional)
        return;
    bool fresh;
    size_t index = flat->items.count - 1;
    size_t *slot = strmap_put(flat->tree, &flat->names, item->prop.name, index, &fresh);
    if (slot == NULL || fresh)
        return;
    ((struct item *)flat->items.items)[*slot].replaced = true;
    *slot = index;
}

static void fail(struct flat *flat, const struct yaml_node *node, const char *problem)
{
    if (flat->problem != NULL)
        return;
    flat->problem = problem;
    flat->line = node->line;
}

/* --- scalars as SnakeYAML and Java print them -----------------------------------------
 */

/* y and n are no booleans there. */
static enum yaml_type java_type(const struct yaml_node *scalar, struct yaml_value *value)
{
    *value = yaml_resolve(scalar);
    if (value->type == TYPE_BOOL && scalar->text.n == 1)
        return TYPE_STRING;
    return value->type;
}

static struct str scalar_text(const struct yaml_node *scalar)
{
    struct yaml_value value;
    switch (java_type(scalar, &value)) {
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

/* Numbers that Java prints in a way of its own (0x1f is 31, 1.50 is 1.5), and plain texts
 * that are numbers or dates to YAML 1.1: 12:30 is 750, 2026-01-02 a Date. */
static bool is_odd_number(const struct yaml_node *scalar)
{
    struct str text = scalar->text;
    struct yaml_value value;
    enum yaml_type type = java_type(scalar, &value);
    size_t start = text.n > 0 && (text.p[0] == '-' || text.p[0] == '+') ? 1 : 0;
    size_t digits = skip_digits(text, start);
    if (type == TYPE_REAL)
        return true;
    if (type == TYPE_INTEGER)
        return digits < text.n || text.p[0] == '+' || str_index(text, 0, '_') < text.n ||
               (digits > start + 1 && text.p[start] == '0');
    if (type != TYPE_STRING || scalar->style != STYLE_PLAIN || digits == start ||
        digits == text.n)
        return false;
    return text.p[digits] == ':' || (digits == 4 && text.p[digits] == '-');
}

/* How a key continues the path. */
static struct str join(struct flat *flat, struct str path, const struct yaml_node *key)
{
    struct yaml_value value;
    enum yaml_type type = java_type(key, &value);
    if (type != TYPE_STRING) {
        struct str text = type == TYPE_NULL ? STR("null") : scalar_text(key);
        return arena_printf(flat->tree, "%.*s[%.*s]", STR_ARG(path), STR_ARG(text));
    }
    bool bare = path.n == 0 || (key->text.n > 0 && key->text.p[0] == '[');
    return arena_printf(flat->tree, "%.*s%s%.*s", STR_ARG(path), bare ? "" : ".",
                        STR_ARG(key->text));
}

/* --- maps with their merges -----------------------------------------------------------
 */

struct pair {
    const struct yaml_node *key, *value;
};

struct pairs {
    struct arena_list list; /* of struct pair */
    struct strmap seen;
};

static const struct yaml_node *follow(const struct yaml_node *node)
{
    return node->kind == NODE_ALIAS ? node->target : node;
}

static void collect(struct flat *flat, const struct yaml_node *map, struct pairs *pairs,
                    size_t depth);

static void collect_merge(struct flat *flat, const struct yaml_node *value,
                          struct pairs *pairs, size_t depth)
{
    value = follow(value);
    if (value->kind == NODE_MAPPING) {
        collect(flat, value, pairs, depth + 1);
        return;
    }
    if (value->kind != NODE_SEQUENCE) {
        fail(flat, value, "<< takes a map, or a list of maps");
        return;
    }
    for (const struct yaml_node *item = value->child; item != NULL; item = item->next) {
        if (follow(item)->kind == NODE_MAPPING)
            collect(flat, follow(item), pairs, depth + 1);
        else
            fail(flat, item, "<< takes a map, or a list of maps");
    }
}

/* The map's own keys, then those of its merges that are not there yet. */
static void collect(struct flat *flat, const struct yaml_node *map, struct pairs *pairs,
                    size_t depth)
{
    flat->nodes += map->count + 1;
    if (depth > remote_limits.depth || flat->nodes > remote_limits.nodes) {
        fail(flat, map, "too large or too deep once merge keys are written out");
        return;
    }
    for (const struct yaml_node *k = map->child; k != NULL; k = k->next->next) {
        bool fresh;
        const struct yaml_node *key = follow(k);
        if (yaml_is_merge_key(k))
            continue;
        if (key->kind != NODE_SCALAR || k->duplicate_of != NULL) {
            fail(flat, k,
                 k->duplicate_of != NULL ? "a key is given twice"
                                         : "a key that is a map or a list");
            continue;
        }
        if (strmap_put(flat->tree, &pairs->seen, key->text, 1, &fresh) == NULL || !fresh)
            continue;
        struct pair *pair = arena_list_add(flat->tree, &pairs->list, sizeof(*pair));
        if (pair != NULL)
            *pair = (struct pair){key, k->next};
    }
    for (const struct yaml_node *k = map->child; k != NULL; k = k->next->next) {
        if (yaml_is_merge_key(k) && flat->problem == NULL)
            collect_merge(flat, k->next, pairs, depth);
    }
}

/* --- flattening -----------------------------------------------------------------------
 */

static void flatten(struct flat *flat, struct str path, const struct yaml_node *node,
                    size_t depth);

static void flatten_map(struct flat *flat, struct str path, const struct yaml_node *map,
                        size_t depth)
{
    struct pairs pairs = {{.items = NULL}, {.slots = NULL}};
    collect(flat, map, &pairs, 0);
    const struct pair *items = pairs.list.items;
    for (size_t i = 0; i < pairs.list.count && flat->problem == NULL; i++) {
        if (path.n + items[i].key->text.n > NAME_LIMIT)
            fail(flat, items[i].key, "a property name of more than 512 bytes");
        else
            flatten(flat, join(flat, path, items[i].key), items[i].value, depth + 1);
    }
}

static void flatten_list(struct flat *flat, struct str path, const struct yaml_node *list,
                         size_t depth)
{
    size_t i = 0;
    if (list->count == 0)
        keep(flat, path, STR(""), false);
    for (const struct yaml_node *item = list->child;
         item != NULL && flat->problem == NULL; item = item->next) {
        struct str name = arena_printf(flat->tree, "%.*s[%zu]", STR_ARG(path), i++);
        flatten(flat, name, item, depth + 1);
    }
}

static void flatten(struct flat *flat, struct str path, const struct yaml_node *node,
                    size_t depth)
{
    if (flat->problem != NULL || flat->tree->failed || flat->arena->failed)
        return;
    node = follow(node);
    if (++flat->nodes > remote_limits.nodes || depth > remote_limits.depth) {
        fail(flat, node, "too large or too deep once aliases are written out");
        return;
    }
    bool known = yaml_tag_is_core(node);
    if (node->kind == NODE_SCALAR) {
        struct yaml_value value;
        bool readable =
            known && java_type(node, &value) != TYPE_BAD && !is_odd_number(node);
        keep(flat, path, scalar_text(node), !readable);
    } else if (!known) {
        fail(flat, node, "a tag that is not known");
    } else if (node->kind == NODE_MAPPING) {
        flatten_map(flat, path, node, depth);
    } else {
        flatten_list(flat, path, node, depth);
    }
}

/* --- YAML files -----------------------------------------------------------------------
 */

static const struct yaml_node *child_at(const struct yaml_node *node, const char *key)
{
    const struct yaml_node *value = node == NULL ? NULL : yaml_get(node, str_of(key));
    return value == NULL ? NULL : follow(value);
}

/* Bound to a profile, however it is written. Too often true does no harm. */
static bool is_conditional(const struct yaml_node *root)
{
    if (root->kind != NODE_MAPPING)
        return false;
    const struct yaml_node *spring = child_at(root, "spring");
    if (child_at(spring, "profiles") != NULL || child_at(spring, "config") != NULL)
        return true;
    for (const struct yaml_node *k = root->child; k != NULL; k = k->next->next) {
        if (k->kind == NODE_SCALAR && (str_starts(k->text, STR("spring.config")) ||
                                       str_starts(k->text, STR("spring.profiles"))))
            return true;
    }
    for (const struct yaml_node *k = spring == NULL ? NULL : spring->child;
         spring != NULL && spring->kind == NODE_MAPPING && k != NULL; k = k->next->next) {
        if (k->kind == NODE_SCALAR && (str_starts(k->text, STR("config.")) ||
                                       str_starts(k->text, STR("profiles."))))
            return true;
    }
    return false;
}

static void read_yaml(struct flat *flat, struct str text, struct str *ret_problem)
{
    struct yaml_stream stream;
    struct yaml_problem problem;
    if (!yaml_parse(flat->tree, text, &remote_limits, (struct yaml_offset){0, 0}, &stream,
                    &problem)) {
        *ret_problem = problem.line == 0
                           ? arena_str(flat->arena, problem.message)
                           : arena_printf(flat->arena, "line %u: %.*s", problem.line,
                                          STR_ARG(problem.message));
        return;
    }
    for (size_t i = 0; i < yaml_document_count(&stream); i++) {
        const struct yaml_node *root = follow(yaml_document(&stream, i));
        flat->conditional = is_conditional(root);
        if (root->kind ==
            NODE_MAPPING) /* others become "document", which is no registry */
            flatten(flat, STR(""), root, 0);
    }
}

static void add_property(void *context, struct str name, struct str value)
{
    struct flat *flat = context;
    keep(flat, name, value, false);
}

static bool is_file(struct str key, const char *extension)
{
    return str_ends(key, str_of(extension));
}

static void read_entry(struct flat *flat, const struct kv *entry, struct str *ret_problem)
{
    if (is_file(entry->key, ".yaml") || is_file(entry->key, ".yml")) {
        read_yaml(flat, entry->value, ret_problem);
    } else if (is_file(entry->key, ".properties")) {
        (void)properties_parse(flat->tree, entry->value, add_property, flat, &flat->line,
                               &flat->problem);
    } else {
        keep(flat, entry->key, entry->value, false);
    }
    if (flat->problem != NULL)
        *ret_problem =
            arena_printf(flat->arena, "line %u: %s", flat->line, flat->problem);
}

/* What was replaced is left out. */
static void finish(struct flat *flat, struct remote_config *config)
{
    const struct item *items = flat->items.items;
    struct remote_prop *props =
        ARENA_ARRAY(flat->arena, struct remote_prop, flat->items.count);
    if (props == NULL)
        return;
    size_t n = 0;
    for (size_t i = 0; i < flat->items.count; i++) {
        if (!items[i].replaced)
            props[n++] = items[i].prop;
    }
    config->props = props;
    config->prop_count = n;
}

bool remote_config_read(struct arena *arena, struct str prefix, const struct kv *data,
                        size_t count, struct remote_config *ret_config)
{
    struct flat flat = {.arena = arena, .prefix = prefix};
    struct str problems = STR("");
    for (size_t i = 0; i < count && !arena->failed; i++) {
        NRW_AUTO_ARENA struct arena tree;
        struct str problem = STR("");
        arena_init(&tree, TREE_LIMIT);
        flat.tree = &tree;
        flat.names = (struct strmap){.slots = NULL};
        flat.conditional = false;
        flat.nodes = 0;
        flat.problem = NULL;
        read_entry(&flat, &data[i], &problem);
        if (tree.failed)
            return false;
        if (problem.n > 0)
            problems = arena_printf(arena, "%.*s%s%.*s, %.*s", STR_ARG(problems),
                                    problems.n > 0 ? "; " : "", STR_ARG(data[i].key),
                                    STR_ARG(problem));
    }
    finish(&flat, ret_config);
    ret_config->problem = problems;
    return !arena->failed;
}
