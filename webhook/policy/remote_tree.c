/* Maps as SnakeYAML constructs them; see remote_tree.h. Pure. */
#include "policy/remote_tree.h"

#include "policy/remote_scalar.h"
#include "util/strmap.h"

struct remote_map {
    struct remote_pair *pairs;
    size_t count;
    bool loaded; /* the pairs are there */
    bool merges; /* there is a merge key among them, or was */
    bool built;
};

struct build {
    struct remote_reading *reading;
    struct remote_tree *tree;
};

/* Pairs whose keys differ, in the order in which they came. */
struct merge {
    struct arena_list list; /* of struct remote_pair */
    struct strmap texts;    /* their places, by the text of the key */
    struct strmap others;   /* … by type and value, of keys that are no texts */
};

bool remote_is_omap(const struct yaml_node *node)
{
    return node->kind == NODE_SEQUENCE &&
           str_eq(node->tag, STR("tag:yaml.org,2002:omap"));
}

bool remote_is_pairs(const struct yaml_node *node)
{
    return node->kind == NODE_SEQUENCE &&
           str_eq(node->tag, STR("tag:yaml.org,2002:pairs"));
}

/* Besides, one with "!", which leaves the meaning to the text even in quotes, and any
 * that has the tag. */
static bool is_merge_key(const struct yaml_node *key)
{
    return yaml_is_merge_key(key) || str_eq(key->tag, STR("tag:yaml.org,2002:merge")) ||
           (key->kind == NODE_SCALAR && str_eq(key->text, STR("<<")) &&
            str_eq(key->tag, STR("!")));
}

bool remote_tree_init(struct remote_reading *reading, const struct yaml_stream *stream,
                      struct remote_tree *ret_tree)
{
    ret_tree->maps = ARENA_ARRAY(reading->tree, struct remote_map, stream->nodes + 1);
    return ret_tree->maps != NULL;
}

static struct remote_map *map_of(const struct remote_tree *tree,
                                 const struct yaml_node *node)
{
    return &tree->maps[node->number];
}

const struct remote_pair *remote_tree_pairs(const struct remote_tree *tree,
                                            const struct yaml_node *node,
                                            size_t *ret_count)
{
    const struct remote_map *map = map_of(tree, node);
    *ret_count = map->count;
    return map->pairs;
}

/* The pairs as they are written. */
static struct remote_map *load(struct build *build, const struct yaml_node *node)
{
    struct remote_map *map = map_of(build->tree, node);
    if (map->loaded)
        return map;
    map->pairs = ARENA_ARRAY(build->reading->tree, struct remote_pair, node->count);
    if (map->pairs == NULL)
        return NULL;
    for (const struct yaml_node *k = node->child; k != NULL; k = k->next->next) {
        const struct yaml_node *key = remote_follow(k);
        map->pairs[map->count++] = (struct remote_pair){key, k->next};
        map->merges = map->merges || is_merge_key(key);
    }
    map->loaded = true;
    return map;
}

static void build_node(struct build *build, const struct yaml_node *node, size_t depth);

/* --- keys that are equal --- */

/* The place of the key's pair; with `fresh` it is `place`. NULL: it has none, since it is
 * no scalar (its text is no name, and never a registry's), or there is no memory. */
static size_t *place_of(struct build *build, struct merge *merge,
                        const struct yaml_node *key, size_t place, bool *ret_fresh)
{
    struct arena *arena = build->reading->tree;
    struct yaml_value value;
    struct str text;
    if (key->kind != NODE_SCALAR)
        return NULL;
    enum yaml_type type = remote_scalar_type(key, &value);
    if (type == TYPE_STRING && !remote_scalar_is_odd(key))
        return strmap_put(arena, &merge->texts, key->text, place, ret_fresh);
    switch (type) {
    case TYPE_NULL:
        text = STR("null");
        break;
    case TYPE_BOOL:
        text = value.boolean ? STR("true") : STR("false");
        break;
    case TYPE_INTEGER:
        text = arena_printf(arena, "%lld", (long long)value.integer);
        break;
    case TYPE_REAL:
        text = arena_printf(arena, "=%.17g", value.real);
        break;
    default: /* dates, times, and what Java refuses */
        text = arena_join(arena, (const struct str[]){STR("?"), key->text}, 2);
    }
    return strmap_put(arena, &merge->others, text, place, ret_fresh);
}

static void append(struct build *build, struct merge *merge, struct remote_pair pair)
{
    struct remote_pair *slot =
        arena_list_add(build->reading->tree, &merge->list, sizeof(*slot));
    if (slot != NULL)
        *slot = pair;
}

/* `preferred`: it replaces an equal one that is there, in its place. */
static void put(struct build *build, struct merge *merge, struct remote_pair pair,
                bool preferred)
{
    bool fresh;
    size_t *place = place_of(build, merge, pair.key, merge->list.count, &fresh);
    if (place == NULL || fresh)
        append(build, merge, pair);
    else if (preferred)
        ((struct remote_pair *)merge->list.items)[*place] = pair;
}

/* Of equal keys the last one stays, where it is. */
static void drop_duplicates(struct build *build, struct remote_map *map, size_t depth)
{
    struct merge met = {.list = {.items = NULL}};
    bool any = false;
    strmap_reserve(build->reading->tree, &met.texts, map->count);
    for (size_t i = 0; i < map->count; i++) {
        bool fresh;
        const struct yaml_node *key = map->pairs[i].key;
        if (is_merge_key(key))
            continue;
        build_node(build, key, depth + 1);
        size_t *place = place_of(build, &met, key, i, &fresh);
        if (place == NULL || fresh)
            continue;
        map->pairs[*place].key = NULL;
        *place = i;
        any = true;
    }
    size_t kept = 0;
    for (size_t i = 0; any && i < map->count; i++) {
        if (map->pairs[i].key != NULL)
            map->pairs[kept++] = map->pairs[i];
    }
    if (any)
        map->count = kept;
}

/* --- merge keys --- */

static void merge_map(struct build *build, struct merge *merge,
                      const struct yaml_node *node, bool preferred, size_t depth);

static void merge_value(struct build *build, struct merge *merge,
                        const struct yaml_node *value, size_t depth)
{
    value = remote_follow(value);
    if (value->kind == NODE_MAPPING) {
        merge_map(build, merge, value, false, depth + 1);
        return;
    }
    if (value->kind != NODE_SEQUENCE) {
        remote_fail(build->reading, value, "<< takes a map, or a list of maps");
        return;
    }
    for (const struct yaml_node *item = value->child;
         item != NULL && remote_spend(build->reading, item, 0); item = item->next) {
        if (remote_follow(item)->kind == NODE_MAPPING)
            merge_map(build, merge, remote_follow(item), false, depth + 1);
        else
            remote_fail(build->reading, item, "<< takes a map, or a list of maps");
    }
}

static void merge_map(struct build *build, struct merge *merge,
                      const struct yaml_node *node, bool preferred, size_t depth)
{
    if (!remote_spend(build->reading, node, 0))
        return;
    if (depth > REMOTE_DEPTH_LIMIT) {
        remote_stop(build->reading, node, "too deep once merge keys are written out");
        return;
    }
    struct remote_map *map = load(build, node);
    size_t kept = 0;
    for (size_t i = 0; map != NULL && i < map->count && !build->reading->stopped; i++) {
        struct remote_pair pair = map->pairs[i];
        if (!remote_spend(build->reading, pair.key, pair.key->text.n))
            return;
        if (is_merge_key(pair.key)) {
            merge_value(build, merge, pair.value, depth);
            continue;
        }
        map->pairs[kept++] = pair;
        build_node(build, pair.key, depth + 1);
        put(build, merge, pair, preferred);
    }
    if (map != NULL)
        map->count = kept;
}

/* --- construction, in the order of the document --- */

static void build_pairs(struct build *build, const struct remote_map *map, size_t depth)
{
    for (size_t i = 0; i < map->count && !build->reading->stopped; i++) {
        build_node(build, map->pairs[i].key, depth + 1);
        build_node(build, map->pairs[i].value, depth + 1);
    }
}

static void build_mapping(struct build *build, const struct yaml_node *node, size_t depth)
{
    struct remote_map *map = load(build, node);
    if (map == NULL)
        return;
    if (map->count > 1)
        drop_duplicates(build, map, depth);
    if (map->merges) {
        struct merge merge = {.list = {.items = NULL}};
        merge_map(build, &merge, node, true, depth);
        map->pairs = merge.list.items;
        map->count = merge.list.count;
    }
    build_pairs(build, map, depth);
}

/* Each item is a map of one pair, which are those of one map. */
static void build_omap(struct build *build, const struct yaml_node *list, size_t depth)
{
    struct merge merge = {.list = {.items = NULL}};
    for (const struct yaml_node *item = list->child; item != NULL; item = item->next) {
        const struct yaml_node *node = remote_follow(item);
        struct remote_map *map = node->kind == NODE_MAPPING ? load(build, node) : NULL;
        if (map == NULL || map->count != 1) {
            remote_fail(build->reading, item, "!!omap takes a list of maps of one entry");
            continue;
        }
        build_pairs(build, map, depth + 1);
        put(build, &merge, map->pairs[0], true);
    }
    map_of(build->tree, list)->pairs = merge.list.items;
    map_of(build->tree, list)->count = merge.list.count;
}

static void build_sequence(struct build *build, const struct yaml_node *list,
                           size_t depth)
{
    for (const struct yaml_node *item = list->child;
         item != NULL && !build->reading->stopped; item = item->next) {
        const struct yaml_node *node = remote_follow(item);
        struct remote_map *map = NULL;
        if (remote_is_pairs(list) && node->kind == NODE_MAPPING)
            map = load(build, node);
        if (map != NULL)
            build_pairs(build, map, depth + 1);
        else
            build_node(build, node, depth + 1);
    }
}

/* Once: an alias leads to what is there already. */
static void build_node(struct build *build, const struct yaml_node *node, size_t depth)
{
    node = remote_follow(node);
    if (node->kind == NODE_SCALAR || map_of(build->tree, node)->built ||
        build->reading->stopped || build->reading->tree->failed)
        return;
    if (depth > REMOTE_DEPTH_LIMIT) {
        remote_stop(build->reading, node, "too deep once aliases are written out");
        return;
    }
    map_of(build->tree, node)->built = true;
    if (node->kind == NODE_MAPPING)
        build_mapping(build, node, depth);
    else if (remote_is_omap(node))
        build_omap(build, node, depth);
    else
        build_sequence(build, node, depth);
}

void remote_tree_build(struct remote_reading *reading, struct remote_tree *tree,
                       const struct yaml_node *root)
{
    struct build build = {reading, tree};
    build_node(&build, root, 0);
}
