/* The remote-config ConfigMap as properties; see remote.h. */
#include "policy/remote.h"

#include "core/spring.h"
#include "policy/remote_rank.h"
#include "policy/remote_scalar.h"
#include "policy/remote_text.h"
#include "policy/yaml_node.h"
#include "util/strmap.h"
#include "util/utf8.h"

#define TREE_LIMIT     (64u << 20)
#define NAME_LIMIT     512u       /* longer than any property that means something */
#define PROPERTY_LIMIT 10000u     /* of registries: kept until the decision */
#define VALUE_LIMIT    4096u      /* the rest of a longer value is left out */
#define KEPT_LIMIT     (4u << 20) /* of all names and values that are kept */
#define WORK_LIMIT     (8u << 20) /* bytes of texts that are looked at, however often */
#define TOLD_LIMIT     1024u      /* of what is wrong in several files */

/* Far beyond what anybody writes (a ConfigMap has at most 1 MiB), and little enough for a
 * process with 128 MiB: the largest tree takes some 20 MiB, and each alias is looked up
 * among all anchors. What exceeds them is refused, since Spring might read it. Values
 * and texts count for all files together, and again each time that an alias leads to
 * them: a file of a few bytes can name itself a million times. */
static const struct yaml_limits remote_limits = {
    .bytes = 2u << 20, .nodes = 100000, .depth = 64, .documents = 1000, .anchors = 500};

/* The path of all that can be no property that is looked at: none of those begins so. */
static const struct str nowhere = STR("0");

struct item {
    struct remote_prop prop;
    bool replaced;
};

struct flat {
    struct arena *arena; /* the caller's: what is kept */
    struct arena *tree;  /* gone after each data key */
    struct str prefix;
    struct str registries;   /* "nvcfregistries": what names of registries begin with */
    struct str here;         /* the path of the map that is read */
    struct arena_list items; /* of struct item, in `arena` */
    struct strmap names;     /* in `tree`: index + 1 of the item that counts */
    bool conditional;        /* the document is bound to a profile */
    struct str condition;    /* … to this one, in `arena` */
    struct str text;         /* of the data key */
    struct remote_wishes wishes;
    size_t nodes, work, kept; /* of all data keys */
    unsigned line;
    const char *problem; /* with `line`: Spring refuses it as well, or may */
    unsigned limit_line;
    const char *limit; /* likewise: Spring may read it, and it is beyond us */
    bool stopped;      /* by a limit, after which nothing is read */
    bool spent;        /* … of all data keys together: nothing more is read at all */
};

/* The first one is told; what else can be read is read all the same. */
static void fail(struct flat *flat, const struct yaml_node *node, const char *problem)
{
    if (flat->problem != NULL)
        return;
    flat->problem = problem;
    flat->line = node->line;
}

static void exceed(struct flat *flat, const struct yaml_node *node, const char *limit)
{
    if (flat->limit != NULL)
        return;
    flat->limit = limit;
    flat->limit_line = node->line;
}

static void stop(struct flat *flat, const struct yaml_node *node, const char *limit)
{
    exceed(flat, node, limit);
    flat->stopped = true;
}

/* Counts a visit, and what it looks at. False: it is too much. */
static bool spend(struct flat *flat, const struct yaml_node *node, size_t bytes)
{
    flat->nodes++;
    flat->work += bytes;
    if (flat->nodes <= remote_limits.nodes && flat->work <= WORK_LIMIT)
        return true;
    stop(flat, node, "too large once aliases and merge keys are written out");
    flat->spent = true;
    return false;
}

/* --- paths that lead to what is looked at ---------------------------------------------
 */

/* Do the letters and digits of path and key, as far as they go, follow those of `root`?
 * No more of a key is looked at than may be in a name. */
static bool follows(struct str root, struct str path, struct str key)
{
    const struct str parts[] = {path, str_first(key, NAME_LIMIT)};
    size_t at = 0;
    for (size_t k = 0; k < NRW_COUNT(parts); k++) {
        for (size_t i = 0; i < parts[k].n && at < root.n; i++) {
            char c = spring_letter(str_skip(parts[k], i));
            if (!ascii_is_alnum(c))
                continue;
            if (ascii_lower(c) != root.p[at++])
                return false;
        }
    }
    return true;
}

static const struct str rank_letters = STR(REMOTE_RANK_LETTERS);
static const struct str bound_letters[] = {STR("springconfig"), STR("springprofiles")};

static bool is_nowhere(struct str path)
{
    return path.p == nowhere.p;
}

/* May a name that begins with path and key be one that is looked at? */
static bool leads(const struct flat *flat, struct str path, struct str key)
{
    if (is_nowhere(path))
        return false;
    return flat->prefix.n == 0 || follows(flat->registries, path, key) ||
           follows(rank_letters, path, key) || follows(bound_letters[0], path, key) ||
           follows(bound_letters[1], path, key);
}

/* --- properties -----------------------------------------------------------------------
 */

/* A long condition is as good as any text that has it. */
static void note_condition(struct flat *flat, struct str name, struct str value)
{
    if (flat->condition.n > NAME_LIMIT || value.n > NAME_LIMIT)
        flat->condition = flat->text;
    else
        flat->condition =
            arena_printf(flat->arena, "%.*s%.*s=%.*s\n", STR_ARG(flat->condition),
                         STR_ARG(name), STR_ARG(value));
}

/* What is no registry's may say which registries count. */
static void note(struct flat *flat, struct str name, struct str value, bool unreadable)
{
    bool clear = !unreadable && !flat->conditional;
    if (follows(rank_letters, name, STR("")))
        remote_rank_note(flat->tree, &flat->wishes, name, value, clear);
    if (flat->conditional && flat->condition.n < flat->text.n &&
        (follows(bound_letters[0], name, STR("")) ||
         follows(bound_letters[1], name, STR(""))))
        note_condition(flat, name, value);
}

static void keep(struct flat *flat, struct str name, struct str value, bool unreadable)
{
    if (is_nowhere(name))
        return;
    note(flat, name, value, unreadable);
    if (flat->prefix.n > 0 && !spring_concerns(flat->prefix, name))
        return;
    value = utf8_cut(value, VALUE_LIMIT);
    flat->kept += name.n + value.n;
    if (flat->kept > KEPT_LIMIT ||
        (flat->prefix.n > 0 && flat->items.count == PROPERTY_LIMIT)) {
        flat->limit = "more than 10000 properties, or 4 MiB, of registries";
        flat->spent = flat->stopped = true;
        return;
    }
    struct item *item = arena_list_add(flat->arena, &flat->items, sizeof(*item));
    if (item == NULL)
        return;
    item->prop = (struct remote_prop){.name = arena_str(flat->arena, name),
                                      .value = arena_str(flat->arena, value),
                                      .unreadable = unreadable,
                                      .conditional = flat->conditional,
                                      .condition = STR(""),
                                      .config_map = STR("")};
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

/* How a key continues the path. */
static struct str join(struct flat *flat, struct str path, const struct yaml_node *key)
{
    struct yaml_value value;
    if (!leads(flat, path, key->text))
        return nowhere;
    enum yaml_type type = remote_scalar_type(key, &value);
    if (type != TYPE_STRING) {
        struct str text = type == TYPE_NULL ? STR("null") : remote_scalar_text(key);
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

/* Below the root, where registries may be. */
static bool is_inside(const struct flat *flat, struct str path)
{
    return path.n > 0 &&
           (flat->prefix.n == 0 || follows(flat->registries, path, STR("")));
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
    for (const struct yaml_node *item = value->child;
         item != NULL && spend(flat, item, 0); item = item->next) {
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
    if (!spend(flat, map, 0))
        return;
    if (depth > remote_limits.depth) {
        stop(flat, map, "too deep once merge keys are written out");
        return;
    }
    for (const struct yaml_node *k = map->child; k != NULL; k = k->next->next) {
        bool fresh;
        const struct yaml_node *key = follow(k);
        if (!spend(flat, k, key->text.n))
            return;
        if (yaml_is_merge_key(k))
            continue;
        if (k->duplicate_of != NULL)
            fail(flat, k, "a key is given twice");
        /* Spring puts its text in brackets: the end of a name, or nothing. */
        else if (key->kind != NODE_SCALAR && is_inside(flat, flat->here))
            exceed(flat, k, "a key that is a map or a list");
        if (k->duplicate_of != NULL || key->kind != NODE_SCALAR)
            continue;
        if (strmap_put(flat->tree, &pairs->seen, key->text, 1, &fresh) == NULL || !fresh)
            continue;
        struct pair *pair = arena_list_add(flat->tree, &pairs->list, sizeof(*pair));
        if (pair != NULL)
            *pair = (struct pair){key, k->next};
    }
    for (const struct yaml_node *k = map->child; k != NULL; k = k->next->next) {
        if (yaml_is_merge_key(k) && !flat->stopped)
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
    flat->here = path;
    collect(flat, map, &pairs, 0);
    const struct pair *items = pairs.list.items;
    for (size_t i = 0; i < pairs.list.count && !flat->stopped; i++) {
        const struct yaml_node *key = items[i].key;
        if (path.n + key->text.n > NAME_LIMIT && leads(flat, path, key->text))
            exceed(flat, key, "a property name of more than 512 bytes");
        else
            flatten(flat, join(flat, path, key), items[i].value, depth + 1);
    }
}

/* !!omap: a list of maps of one entry each, which are those of one map. */
static void flatten_omap(struct flat *flat, struct str path, const struct yaml_node *list,
                         size_t depth)
{
    for (const struct yaml_node *item = list->child;
         item != NULL && !flat->stopped && spend(flat, item, 0); item = item->next) {
        if (follow(item)->kind == NODE_MAPPING)
            flatten_map(flat, path, follow(item), depth);
        else
            fail(flat, item, "!!omap takes a list of maps");
    }
}

static void flatten_list(struct flat *flat, struct str path, const struct yaml_node *list,
                         size_t depth)
{
    size_t i = 0;
    if (list->count == 0)
        keep(flat, path, STR(""), false);
    for (const struct yaml_node *item = list->child; item != NULL && !flat->stopped;
         item = item->next) {
        struct str name = path;
        if (leads(flat, path, STR("")))
            name = arena_printf(flat->tree, "%.*s[%zu]", STR_ARG(path), i++);
        flatten(flat, name, item, depth + 1);
    }
}

static bool is_omap(const struct yaml_node *node)
{
    return node->kind == NODE_SEQUENCE &&
           str_eq(node->tag, STR("tag:yaml.org,2002:omap"));
}

static bool is_other_collection(const struct yaml_node *node)
{
    return (node->kind == NODE_MAPPING &&
            str_eq(node->tag, STR("tag:yaml.org,2002:set"))) ||
           (node->kind == NODE_SEQUENCE &&
            str_eq(node->tag, STR("tag:yaml.org,2002:pairs")));
}

static void flatten(struct flat *flat, struct str path, const struct yaml_node *node,
                    size_t depth)
{
    if (flat->stopped || flat->tree->failed || flat->arena->failed)
        return;
    node = follow(node);
    if (!spend(flat, node, node->text.n))
        return;
    if (depth > remote_limits.depth) {
        stop(flat, node, "too deep once aliases are written out");
        return;
    }
    bool known = yaml_tag_is_core(node);
    if (node->kind == NODE_SCALAR && is_nowhere(path)) {
        return;
    } else if (node->kind == NODE_SCALAR) {
        struct yaml_value value;
        bool readable = known && remote_scalar_type(node, &value) != TYPE_BAD &&
                        !remote_scalar_is_odd(node);
        keep(flat, path, remote_scalar_text(node), !readable);
    } else if (is_omap(node)) {
        flatten_omap(flat, path, node, depth);
    } else if (is_other_collection(node)) {
        /* To Spring the items of a list, or one value: no name that is looked at. */
        if (is_inside(flat, path))
            exceed(flat, node, "a !!set or !!pairs");
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
        return is_omap(root);
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

static void read_yaml(struct flat *flat, struct str text, struct str *ret_problem,
                      struct str *ret_limit)
{
    struct yaml_stream stream;
    struct yaml_problem problem;
    text = remote_text_for_libyaml(flat->tree, text);
    if (!yaml_parse(flat->tree, text, &remote_limits, (struct yaml_offset){0, 0}, &stream,
                    &problem)) {
        struct str *ret = problem.code == ERR_LIMIT ? ret_limit : ret_problem;
        *ret = problem.line == 0 ? arena_str(flat->arena, problem.message)
                                 : arena_printf(flat->arena, "line %u: %.*s",
                                                problem.line, STR_ARG(problem.message));
        return;
    }
    for (size_t i = 0; i < yaml_document_count(&stream) && !flat->stopped; i++) {
        const struct yaml_node *root = follow(yaml_document(&stream, i));
        size_t first = flat->items.count;
        flat->conditional = is_conditional(root);
        flat->condition = STR("");
        /* Others become "document", which is no registry. */
        if (is_omap(root) || (root->kind == NODE_MAPPING && !is_other_collection(root)))
            flatten(flat, STR(""), root, 0);
        for (size_t k = first; k < flat->items.count; k++)
            ((struct item *)flat->items.items)[k].prop.condition = flat->condition;
    }
}

static void add_property(void *context, struct str name, struct str value)
{
    struct flat *flat = context;
    keep(flat, name, value, false);
}

static bool is_yaml(struct str key)
{
    return str_ends(key, STR(".yaml")) || str_ends(key, STR(".yml"));
}

bool remote_config_is_file(struct str key)
{
    return is_yaml(key) || str_ends(key, STR(".properties"));
}

static void read_entry(struct flat *flat, const struct kv *entry, struct str *ret_problem,
                       struct str *ret_limit)
{
    if (is_yaml(entry->key)) {
        read_yaml(flat, entry->value, ret_problem, ret_limit);
    } else if (remote_config_is_file(entry->key)) {
        (void)properties_parse(flat->tree, entry->value, add_property, flat, &flat->line,
                               &flat->problem);
    } else {
        keep(flat, entry->key, entry->value, false);
    }
    if (flat->problem != NULL)
        *ret_problem =
            arena_printf(flat->arena, "line %u: %s", flat->line, flat->problem);
    if (flat->limit != NULL)
        *ret_limit = flat->limit_line == 0 ? str_of(flat->limit)
                                           : arena_printf(flat->arena, "line %u: %s",
                                                          flat->limit_line, flat->limit);
}

void remote_config_tell(struct arena *arena, struct str *all, struct str name,
                        const char *between, struct str what)
{
    if (what.n > 0 && all->n < TOLD_LIMIT)
        *all =
            arena_printf(arena, "%.*s%s%.*s%s%.*s", STR_ARG(*all), all->n > 0 ? "; " : "",
                         STR_ARG(name), between, STR_ARG(what));
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

/* The files, of which something may not have been read. */
static void remember(struct arena *arena, const struct kv *data, size_t count,
                     struct remote_config *config)
{
    struct kv *files = ARENA_ARRAY(arena, struct kv, count);
    size_t n = 0;
    for (size_t i = 0; files != NULL && i < count; i++) {
        if (remote_config_is_file(data[i].key))
            files[n++] = data[i];
    }
    config->data = files;
    config->data_count = n;
}

bool remote_config_read(struct arena *arena, struct str prefix, const struct kv *data,
                        size_t count, struct remote_config *ret_config)
{
    struct flat flat = {.arena = arena, .prefix = prefix};
    struct str problems = STR("");
    struct str limits = STR("");
    flat.registries =
        spring_uniform(arena, arena_printf(arena, "%.*sregistries", STR_ARG(prefix)));
    for (size_t i = 0; i < count && !arena->failed && !flat.spent; i++) {
        NRW_AUTO_ARENA struct arena tree;
        struct str problem = STR("");
        struct str limit = STR("");
        arena_init(&tree, TREE_LIMIT);
        flat.tree = &tree;
        flat.names = (struct strmap){.slots = NULL};
        flat.conditional = false;
        flat.problem = NULL;
        flat.limit = NULL;
        flat.limit_line = 0;
        flat.stopped = false;
        flat.text = data[i].value;
        read_entry(&flat, &data[i], &problem, &limit);
        if (tree.failed)
            return false;
        remote_config_tell(arena, &problems, data[i].key, ", ", problem);
        remote_config_tell(arena, &limits, data[i].key, ", ", limit);
    }
    ret_config->ranked = remote_rank_said(&flat.wishes);
    ret_config->rank_unclear = !remote_rank_tell(&flat.wishes, &ret_config->rank);
    finish(&flat, ret_config);
    if (problems.n + limits.n > 0 || ret_config->rank_unclear)
        remember(arena, data, count, ret_config);
    ret_config->problem = problems;
    ret_config->limit = limits;
    return !arena->failed;
}
