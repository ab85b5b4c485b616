/* A policy in a file; see policy_file.h. */
#include "policy/policy_file.h"

#include "policy/policy_reader.h"

#define TREE_LIMIT (256u << 20)
/* Policies that are looked at beside the first: each one searches the whole file. */
#define POLICIES_MAX 64u

static const struct yaml_limits file_limits = {.bytes = POLICY_FILE_MAX_BYTES,
                                               .nodes = 400000,
                                               .depth = YAML_MAX_DEPTH,
                                               .documents = 1000,
                                               .anchors = 1000};

/* What was found in the file. */
struct found {
    struct arena *arena;
    const struct yaml_node *config_map; /* the first ConfigMap, with a policy or not */
    const struct yaml_node *key;        /* the first data key policy.yaml … */
    struct arena_list more; /* … and further ones: const struct yaml_node * */
    bool key_by_name;       /* the first one's ConfigMap has the policy's own name */
    bool bare;              /* a RegistryPolicy stands among the documents */
    size_t others;          /* documents that are something else */
};

static struct str text_of(const struct yaml_node *mapping, const char *key)
{
    const struct yaml_node *node = yaml_get(mapping, str_of(key));
    return node != NULL && node->kind == NODE_SCALAR ? node->text : STR("");
}

static const struct yaml_node *find_key(const struct yaml_node *mapping, struct str key)
{
    if (mapping == NULL || mapping->kind != NODE_MAPPING)
        return NULL;
    for (const struct yaml_node *k = mapping->child; k != NULL; k = k->next->next) {
        if (k->kind == NODE_SCALAR && str_eq(k->text, key))
            return k;
    }
    return NULL;
}

static void look_at_config_map(struct found *found, const struct yaml_node *root)
{
    const struct yaml_node *key =
        find_key(yaml_get(root, STR("data")), STR(POLICY_DATA_KEY));
    bool by_name =
        str_eq(text_of(yaml_get(root, STR("metadata")), "name"), STR(POLICY_CONFIGMAP));
    if (found->config_map == NULL)
        found->config_map = root;
    if (key == NULL)
        return;
    if (found->key == NULL || (by_name && !found->key_by_name)) {
        /* Another product's ConfigMap may have such a key too: the name decides. */
        found->key = key;
        found->more.count = 0;
        found->key_by_name = by_name;
    } else if (by_name == found->key_by_name && found->more.count < POLICIES_MAX) {
        const struct yaml_node **more =
            arena_list_add(found->arena, &found->more, sizeof(*more));
        if (more != NULL)
            *more = key;
    }
}

static void look_at(struct found *found, const struct yaml_node *root, unsigned depth)
{
    if (root->kind != NODE_MAPPING)
        return;
    struct str kind = text_of(root, "kind");
    const struct yaml_node *items = yaml_get(root, STR("items"));
    if (str_eq(kind, STR("ConfigMap")))
        look_at_config_map(found, root);
    else if (str_eq(kind, STR(POLICY_KIND)))
        found->bare = true;
    else if (str_ends(kind, STR("List")) && items != NULL &&
             items->kind == NODE_SEQUENCE && depth < 4) {
        for (const struct yaml_node *item = items->child; item != NULL; item = item->next)
            look_at(found, item, depth + 1);
    } else {
        found->others++;
    }
}

/* --- where the text stands ------------------------------------------------------------
 */

static struct str line_at(struct str text, unsigned number)
{
    size_t at = 0;
    for (unsigned i = 1; i < number && at < text.n; i++)
        at = str_index(text, at, '\n') + 1;
    struct str rest = str_skip(text, at);
    return str_first(rest, str_index(rest, 0, '\n'));
}

/* How far a block text is indented. Its header may say so ("|2", counted from the key);
 * else the first line with anything on it does. */
static unsigned block_indent(struct str text, const struct yaml_node *key)
{
    struct str header = line_at(text, key->next->line);
    /* Columns count characters, and what is before them may not be ASCII: the last | on
     * the line is the header's, unless a comment has another one; then the digit after it
     * is no indicator of ours and detection goes by the lines. */
    size_t bar = str_index(header, 0, '|');
    for (size_t i = bar + 1; i < header.n && i <= bar + 2; i++) {
        if (ascii_is_digit(header.p[i]))
            return key->column - 1 + (unsigned)(header.p[i] - '0');
    }
    for (unsigned number = key->next->line + 1;; number++) {
        struct str line = line_at(text, number);
        size_t spaces = 0;
        while (spaces < line.n && line.p[spaces] == ' ')
            spaces++;
        if (spaces < line.n && line.p[spaces] != '\r')
            return (unsigned)spaces;
        if (line.p + line.n >= text.p + text.n)
            return 0; /* nothing in the block */
    }
}

/* A quoted or folded text has lines of its own that are not the file's. */
static void place_at(struct policy_doc *doc, const struct yaml_node *value)
{
    struct str place = arena_printf(&doc->arena, "%u:%u", value->line, value->column);
    for (size_t i = 0; i < findings_count(&doc->findings); i++) {
        struct finding *finding = findings_at(&doc->findings, i);
        if (finding->line > 0)
            finding->message = arena_printf(
                &doc->arena,
                "%.*s (line %u, column %u of the text in " POLICY_DATA_KEY ")",
                STR_ARG(finding->message), finding->line, finding->column);
        finding->line = value->line;
        finding->column = value->column;
        finding->path = place;
    }
}

static struct policy_doc *finish(struct policy_doc *doc, struct err *err)
{
    if (doc != NULL && doc->arena.failed) {
        policy_doc_free(doc);
        err_nomem(err);
        return NULL;
    }
    return doc;
}

static struct policy_doc *refuse(const struct yaml_node *node, const char *message,
                                 const char *advice, struct err *err)
{
    return policy_doc_new_refused(node->line, node->column, message, advice, err);
}

/* The policy that is the value of one data key. */
static struct policy_doc *from_key(struct str text, const struct yaml_node *key,
                                   struct err *err)
{
    const struct yaml_node *value = key->next;
    if (value->kind == NODE_ALIAS)
        value = value->target;
    if (value->kind != NODE_SCALAR ||
        (value->style == STYLE_PLAIN && yaml_resolve(value).type != TYPE_STRING &&
         value->text.n > 0))
        return refuse(value, POLICY_DATA_KEY " is not a text, and a ConfigMap's data is",
                      "write `" POLICY_DATA_KEY ": |` and indent the policy below it",
                      err);
    struct yaml_offset offset = {0, 0};
    bool mapped = value->style == STYLE_LITERAL && value == key->next;
    if (mapped)
        offset = (struct yaml_offset){value->line, block_indent(text, key)};
    struct policy_doc *doc = policy_doc_new_at(value->text, offset, err);
    if (doc != NULL && !mapped)
        place_at(doc, value);
    return finish(doc, err);
}

static bool join(struct policy_doc *doc, struct policy_doc *other, struct err *err)
{
    return other != NULL && policy_doc_join(doc, other, err);
}

/* The first policy, and all that is wrong with it and with having others. */
static struct policy_doc *from_config_map(struct str text, const struct found *found,
                                          struct err *err)
{
    struct policy_doc *doc = from_key(text, found->key, err);
    const struct yaml_node *const *more = found->more.items;
    for (size_t i = 0; doc != NULL && i < found->more.count; i++) {
        struct policy_doc *extra = refuse(more[i],
                                          i == 0 ? "a second policy in this file"
                                                 : "one more policy in this file",
                                          "keep one, or check the files one by one", err);
        if (!join(doc, extra, err) || !join(doc, from_key(text, more[i], err), err)) {
            policy_doc_free(doc);
            return NULL;
        }
    }
    return doc;
}

struct policy_doc *policy_file_parse(struct str text, struct err *err)
{
    NRW_AUTO_ARENA struct arena tree;
    arena_init(&tree, TREE_LIMIT);
    struct yaml_stream stream;
    struct yaml_problem problem;
    struct found found = {.arena = &tree};
    if (!yaml_parse(&tree, text, &file_limits, (struct yaml_offset){0, 0}, &stream,
                    &problem)) {
        if (problem.code == ERR_NOMEM) {
            err_nomem(err);
            return NULL;
        }
        return policy_doc_new_refused(problem.line, problem.column, problem.message.p,
                                      reader_problem_advice(&problem).p, err);
    }
    for (size_t i = 0; i < yaml_document_count(&stream); i++)
        look_at(&found, yaml_document(&stream, i), 0);
    if (tree.failed) {
        err_nomem(err);
        return NULL;
    }
    if (found.bare || found.config_map == NULL)
        return policy_doc_new(text, err);
    if (found.key == NULL)
        return refuse(found.config_map,
                      found.others == 0
                          ? "the ConfigMap has no data key " POLICY_DATA_KEY
                          : "no ConfigMap here has a data key " POLICY_DATA_KEY,
                      "put the policy there as `" POLICY_DATA_KEY ": |`", err);
    return from_config_map(text, &found, err);
}
