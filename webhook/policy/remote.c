/* The remote-config ConfigMap as properties; see remote.h. */
#include "policy/remote.h"

#include "core/spring.h"
#include "policy/remote_props.h"
#include "policy/remote_reading.h"
#include "policy/remote_scalar.h"
#include "policy/remote_text.h"
#include "policy/remote_tree.h"

#define TOLD_LIMIT 1024u /* of what is wrong in several files */

/* Far beyond what anybody writes (a ConfigMap has at most 1 MiB), and little enough for a
 * process with 128 MiB: the largest tree takes some 20 MiB. What exceeds them is refused,
 * since Spring might read it. Nodes and bytes are those of all ConfigMaps of one
 * configuration. */
#define TEXT_LIMIT (3u << 20)
static const struct yaml_limits remote_limits = {.bytes = TEXT_LIMIT,
                                                 .nodes = 100000,
                                                 .depth = REMOTE_DEPTH_LIMIT,
                                                 .documents = 1000,
                                                 .anchors = 500,
                                                 .any_keys = true};

struct flat {
    struct remote_reading reading;
    struct remote_props props;
    struct remote_tree maps; /* of the YAML file that is read */
    bool listed;             /* within a list */
};

/* --- names ----------------------------------------------------------------------------
 */

/* A key as a text: what is none to Java stands in brackets. */
static struct str element(struct flat *flat, const struct yaml_node *key)
{
    struct yaml_value value;
    enum yaml_type type = remote_scalar_type(key, &value);
    if (type == TYPE_STRING && !remote_scalar_is_odd(key))
        return key->text;
    return arena_join(flat->reading.tree,
                      (const struct str[]){STR("["), remote_scalar_text(key), STR("]")},
                      3);
}

/* How an element continues the path. One of blanks alone is none to Spring. */
static struct str join(struct flat *flat, struct str path, struct str next)
{
    bool bare = next.n > 0 && next.p[0] == '[';
    if (spring_blank(path))
        return next;
    return arena_join(flat->reading.tree,
                      (const struct str[]){path, bare ? STR("") : STR("."), next}, 3);
}

/* --- flattening -----------------------------------------------------------------------
 */

static void flatten(struct flat *flat, struct str path, const struct yaml_node *node,
                    size_t depth);

static void keep(struct flat *flat, struct str name, struct str value, unsigned how)
{
    remote_props_add(&flat->props, name, value, how | (flat->listed ? REMOTE_LISTED : 0));
}

/* Spring makes texts of the keys before all else: 1 and "[1]" are one then, in the place
 * of the first and with the value of the last. */
static const struct remote_pair *fold(struct flat *flat, const struct remote_pair *pairs,
                                      size_t *count)
{
    struct strmap places = {.slots = NULL};
    struct yaml_value value;
    size_t typed = 0;
    for (size_t i = 0; i < *count; i++)
        typed += pairs[i].key->kind == NODE_SCALAR &&
                         remote_scalar_type(pairs[i].key, &value) != TYPE_STRING
                     ? 1
                     : 0;
    struct remote_pair *out =
        typed > 0 ? ARENA_ARRAY(flat->reading.tree, struct remote_pair, *count) : NULL;
    if (out == NULL)
        return pairs;
    size_t n = 0;
    for (size_t i = 0; i < *count; i++) {
        bool fresh = true;
        size_t *place = NULL;
        if (pairs[i].key->kind == NODE_SCALAR)
            place = strmap_put(flat->reading.tree, &places, element(flat, pairs[i].key),
                               n, &fresh);
        if (place != NULL && !fresh)
            out[*place].value = pairs[i].value;
        else
            out[n++] = pairs[i];
    }
    *count = n;
    return out;
}

/* Can the key be followed as Java would? */
static bool good_key(struct flat *flat, struct str path, const struct yaml_node *key)
{
    struct yaml_value value;
    bool inside = remote_is_inside(&flat->reading, path);
    if (key->kind != NODE_SCALAR) {
        /* Spring puts its text in brackets: the end of a name, or nothing. */
        if (inside)
            remote_exceed(&flat->reading, key, "a key that is a map or a list");
        return false;
    }
    if (remote_scalar_type(key, &value) == TYPE_NULL)
        remote_fail(&flat->reading, key, "a key that is null");
    else if (inside && remote_scalar_is_odd(key))
        remote_exceed(&flat->reading, key,
                      "a key that is a number or a date, which Java prints otherwise");
    return true;
}

static void flatten_pairs(struct flat *flat, struct str path,
                          const struct yaml_node *node, size_t depth)
{
    size_t count;
    const struct remote_pair *pairs = remote_tree_pairs(&flat->maps, node, &count);
    pairs = fold(flat, pairs, &count);
    for (size_t i = 0; i < count && !flat->reading.stopped; i++) {
        const struct yaml_node *key = pairs[i].key;
        if (!remote_spend(&flat->reading, key, key->text.n))
            return;
        if (!good_key(flat, path, key))
            continue;
        bool leads = remote_leads(&flat->reading, path, key->text);
        if (leads && path.n + key->text.n > REMOTE_NAME_LIMIT)
            remote_exceed(&flat->reading, key, "a property name of more than 512 bytes");
        else
            flatten(flat, leads ? join(flat, path, element(flat, key)) : remote_nowhere(),
                    pairs[i].value, depth + 1);
    }
}

static void flatten_list(struct flat *flat, struct str path, const struct yaml_node *list,
                         size_t depth)
{
    bool listed = flat->listed;
    size_t i = 0;
    keep(flat, path, STR(""), list->count == 0 ? 0 : REMOTE_LIST);
    flat->listed = true;
    for (const struct yaml_node *item = list->child; item != NULL; item = item->next) {
        if (flat->reading.stopped)
            break;
        struct str name = path;
        if (remote_leads(&flat->reading, path, STR("")))
            name = join(flat, path, arena_printf(flat->reading.tree, "[%zu]", i++));
        flatten(flat, name, item, depth + 1);
    }
    flat->listed = listed;
}

static void flatten_scalar(struct flat *flat, struct str path,
                           const struct yaml_node *node)
{
    struct yaml_value value;
    bool readable = yaml_tag_is_core(node) &&
                    remote_scalar_type(node, &value) != TYPE_BAD &&
                    !remote_scalar_is_odd(node);
    if (!remote_is_nowhere(path))
        keep(flat, path, remote_scalar_text(node), readable ? 0 : REMOTE_UNREADABLE);
}

static bool is_other_collection(const struct yaml_node *node)
{
    return (node->kind == NODE_MAPPING &&
            str_eq(node->tag, STR("tag:yaml.org,2002:set"))) ||
           remote_is_pairs(node);
}

static void flatten(struct flat *flat, struct str path, const struct yaml_node *node,
                    size_t depth)
{
    struct remote_reading *reading = &flat->reading;
    if (reading->stopped || reading->tree->failed || reading->arena->failed)
        return;
    node = remote_follow(node);
    if (!remote_spend(reading, node, node->text.n))
        return;
    if (depth > REMOTE_DEPTH_LIMIT) {
        remote_stop(reading, node, "too deep once aliases are written out");
    } else if (node->kind == NODE_SCALAR) {
        flatten_scalar(flat, path, node);
    } else if (is_other_collection(node)) {
        /* To Spring the items of a list, or one value: no name that is looked at. */
        if (remote_is_inside(reading, path))
            remote_exceed(reading, node, "a !!set or !!pairs");
        keep(flat, path, STR(""), REMOTE_LIST);
    } else if (remote_is_omap(node)) {
        flatten_pairs(flat, path, node, depth);
    } else if (!yaml_tag_is_core(node)) {
        remote_fail(reading, node, "a tag that is not known");
    } else if (node->kind == NODE_MAPPING) {
        flatten_pairs(flat, path, node, depth);
    } else {
        flatten_list(flat, path, node, depth);
    }
}

/* --- files ----------------------------------------------------------------------------
 */

static bool may_parse(struct flat *flat, struct str text, struct str *ret_limit)
{
    struct remote_budget *budget = flat->reading.budget;
    budget->bytes += text.n;
    if (budget->bytes <= TEXT_LIMIT)
        return true;
    *ret_limit = STR("more than 3 MiB of text in all");
    budget->spent = true;
    return false;
}

static void read_document(struct flat *flat, const struct yaml_node *root)
{
    root = remote_follow(root);
    /* Others become nothing. */
    if (remote_is_omap(root) ||
        (root->kind == NODE_MAPPING && !is_other_collection(root))) {
        remote_tree_build(&flat->reading, &flat->maps, root);
        flatten(flat, STR(""), root, 0);
    }
    remote_props_end(&flat->props, true);
}

static void read_yaml(struct flat *flat, struct str text, struct str *ret_problem,
                      struct str *ret_limit)
{
    struct remote_reading *reading = &flat->reading;
    struct yaml_limits limits = remote_limits;
    struct yaml_stream stream;
    struct yaml_problem problem;
    limits.nodes -= reading->budget->parsed;
    text = remote_text_for_libyaml(reading->tree, text);
    if (!yaml_parse(reading->tree, text, &limits, (struct yaml_offset){0, 0}, &stream,
                    &problem)) {
        struct str *ret = problem.code == ERR_LIMIT ? ret_limit : ret_problem;
        *ret = problem.line == 0 ? arena_str(reading->arena, problem.message)
                                 : arena_printf(reading->arena, "line %u: %.*s",
                                                problem.line, STR_ARG(problem.message));
        return;
    }
    reading->budget->parsed += stream.nodes;
    if (!remote_tree_init(reading, &stream, &flat->maps))
        return;
    for (size_t i = 0; i < yaml_document_count(&stream) && !reading->stopped; i++)
        read_document(flat, yaml_document(&stream, i));
}

static void add_property(void *context, struct str name, struct str value)
{
    struct flat *flat = context;
    keep(flat, name, value, 0);
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
    struct remote_reading *reading = &flat->reading;
    if (remote_config_is_file(entry->key) && !may_parse(flat, entry->value, ret_limit))
        return;
    if (is_yaml(entry->key)) {
        read_yaml(flat, entry->value, ret_problem, ret_limit);
    } else if (remote_config_is_file(entry->key)) {
        (void)properties_parse(reading->tree, entry->value, add_property, flat,
                               &reading->line, &reading->problem);
    } else {
        keep(flat, entry->key, entry->value, 0);
    }
    remote_props_end(&flat->props, false);
    if (reading->problem != NULL)
        *ret_problem =
            arena_printf(reading->arena, "line %u: %s", reading->line, reading->problem);
    if (reading->limit != NULL)
        *ret_limit = reading->limit_line == 0
                         ? str_of(reading->limit)
                         : arena_printf(reading->arena, "line %u: %s",
                                        reading->limit_line, reading->limit);
}

void remote_config_tell(struct arena *arena, struct str *all, struct str name,
                        const char *between, struct str what)
{
    if (what.n > 0 && all->n < TOLD_LIMIT)
        *all =
            arena_printf(arena, "%.*s%s%.*s%s%.*s", STR_ARG(*all), all->n > 0 ? "; " : "",
                         STR_ARG(name), between, STR_ARG(what));
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

/* False: the memory for one data key did not do. */
static bool read_data_key(struct flat *flat, const struct kv *entry,
                          struct remote_config *config)
{
    NRW_AUTO_ARENA struct arena tree;
    struct remote_reading *reading = &flat->reading;
    struct str problem = STR("");
    struct str limit = STR("");
    /* Of what the decision may take: otherwise each data key could have as much again. */
    arena_init(&tree, reading->arena->maximum - reading->arena->used);
    reading->tree = &tree;
    reading->problem = reading->limit = NULL;
    reading->limit_line = 0;
    reading->stopped = false;
    remote_props_data_key(&flat->props, entry->value);
    read_entry(flat, entry, &problem, &limit);
    remote_config_tell(reading->arena, &config->problem, entry->key, ", ", problem);
    remote_config_tell(reading->arena, &config->limit, entry->key, ", ", limit);
    reading->arena->full = reading->arena->full || tree.full;
    return !tree.failed;
}

bool remote_config_read(struct arena *arena, struct str prefix, const struct kv *data,
                        size_t count, struct remote_budget *budget,
                        struct remote_config *ret_config)
{
    struct flat flat = {.reading = {.arena = arena, .prefix = prefix, .budget = budget},
                        .props = {.alone = count == 1}};
    flat.props.reading = &flat.reading;
    flat.reading.registries =
        spring_uniform(arena, arena_printf(arena, "%.*sregistries", STR_ARG(prefix)));
    ret_config->problem = ret_config->limit = STR("");
    if (budget->spent)
        ret_config->limit = STR("too large with the others of this configuration");
    for (size_t i = 0; i < count && !arena->failed && !budget->spent; i++) {
        if (!read_data_key(&flat, &data[i], ret_config))
            return false;
    }
    remote_props_finish(&flat.props, ret_config);
    if (ret_config->problem.n + ret_config->limit.n > 0 || ret_config->rank_unclear)
        remember(arena, data, count, ret_config);
    return !arena->failed;
}
