/* The policy's text to a policy; see policy_load.h. The tree is read into an arena of its
 * own that is gone afterwards; what the policy and the findings need is copied. */
#include "policy/policy_load.h"

#include <stdlib.h>

#include "core/builtin.h"
#include "core/policy_rules.h"
#include "policy/policy_hash.h"
#include "policy/policy_reader.h"
#include "policy/policy_targets.h"
#include "util/mem.h"

#define TREE_LIMIT (64u << 20)
#define DOC_LIMIT  (32u << 20)

static const struct yaml_limits policy_limits = {.bytes = POLICY_MAX_BYTES,
                                                 .nodes = 50000,
                                                 .depth = 32,
                                                 .documents = 2, /* to name the second */
                                                 .anchors = 1000};

enum field {
    F_API_VERSION,
    F_KIND,
    F_MODE,
    F_ENFORCEMENT,
    F_UNLISTED,
    F_OPAQUE,
    F_REGISTRIES,
    F_NATIVE,
    F_TARGETS,
    F_COUNT
};
static const char *const fields[F_COUNT] = {"apiVersion",  "kind",     "mode",
                                            "enforcement", "unlisted", "opaqueSources",
                                            "registries",  "native",   "targets"};

/* Where the parts of a registry stand, so that a rule's finding names the value's line
 * and not the entry's. */
struct marks {
    const struct yaml_node *key, *name, *hostname;
};

struct loader {
    struct reader reader;
    struct policy_registry *registries;
    struct marks *marks;
    size_t count;
};

/* --- registries -----------------------------------------------------------------------
 */

/* A field that is absent or no text has been reported; a stand-in that breaks no rule
 * keeps the rules from complaining about it a second time. */
static struct str stand_in(struct loader *loader, bool hostname)
{
    struct arena *arena = loader->reader.arena;
    return hostname ? arena_printf(arena, "absent-%zu.invalid", loader->count)
                    : arena_printf(arena, "Registry without name %zu", loader->count);
}

static void read_value(struct loader *loader, const struct yaml_node *key,
                       const struct yaml_node *node, const char *field,
                       struct str *ret_text)
{
    struct reader *reader = &loader->reader;
    struct str text;
    if (node == NULL) {
        reader_report(reader, FINDING_INCOMPLETE_REGISTRY, key, key->text,
                      arena_printf(reader->arena, "add %s:", field),
                      "registry %s has no %s: binding fails without one and the API "
                      "does not start",
                      reader_show(reader, key->text), field);
    } else if (reader_text(reader, node, field, key->text, &text)) {
        *ret_text = arena_str(reader->arena, text);
        return;
    }
    *ret_text = stand_in(loader, strcmp(field, "hostname") == 0);
}

static void read_registry(struct loader *loader, const struct yaml_node *key,
                          const struct builtin *native)
{
    static const char *const parts[] = {"name", "hostname"};
    const struct yaml_node *values[NRW_COUNT(parts)];
    struct reader *reader = &loader->reader;
    struct str what =
        arena_printf(reader->arena, "registry %s", reader_show(reader, key->text));
    struct str texts[2] = {STR(""), STR("")};
    if (reader_fields(reader, key->next, what.p, key->text, parts, NRW_COUNT(parts),
                      values)) {
        if (native != NULL && values[0] == NULL)
            texts[0] = native->name;
        else
            read_value(loader, key, values[0], "name", &texts[0]);
        read_value(loader, key, values[1], "hostname", &texts[1]);
    } else {
        texts[0] = stand_in(loader, false);
        texts[1] = stand_in(loader, true);
    }
    loader->marks[loader->count] = (struct marks){key, values[0], values[1]};
    loader->registries[loader->count++] =
        (struct policy_registry){.key = arena_str(reader->arena, key->text),
                                 .name = texts[0],
                                 .hostname = texts[1],
                                 .native = native != NULL,
                                 .line = key->line,
                                 .column = key->column};
}

/* NULL, and reported, when the key is none of the two. */
static const struct builtin *native_key(struct reader *reader,
                                        const struct yaml_node *key)
{
    const struct builtin *builtin = builtin_by_key(key->text);
    bool known = builtin != NULL && !builtin_has_host(builtin);
    if (known && str_eq(builtin->env, key->text))
        return builtin;
    struct str advice =
        known ? arena_printf(reader->arena, "did you mean %.*s?", STR_ARG(builtin->env))
        : builtin != NULL ? STR("remove it: the API recognises this registry already")
                          : STR("a registry of your own belongs under registries");
    reader_report(reader, FINDING_INVALID_POLICY, key, key->text, advice,
                  "\"%s\" under native: only HARBOR and ARTIFACTORY may stand there",
                  reader_show(reader, key->text));
    return NULL;
}

static void read_entry(struct loader *loader, const struct yaml_node *key, bool native)
{
    struct reader *reader = &loader->reader;
    const struct builtin *builtin = NULL;
    if (key->kind != NODE_SCALAR) {
        if (key->kind != NODE_ALIAS)
            reader_report(reader, FINDING_INVALID_KEY, key, STR(""),
                          STR("write a key such as CORP"),
                          "%s where a registry's key belongs", reader_kind(key));
        return;
    }
    if (yaml_is_merge_key(key)) {
        reader_report(reader, FINDING_INVALID_POLICY, key, STR(""),
                      STR("write the registries out"),
                      "a policy takes no merge keys (<<)");
        return;
    }
    if (key->duplicate_of != NULL) {
        reader_report(reader, FINDING_INVALID_POLICY, key, key->text,
                      STR("keep one of them"),
                      "registry %s is given twice; the first time on line %u",
                      reader_show(reader, key->text), key->duplicate_of->line);
        return;
    }
    if (native && (builtin = native_key(reader, key)) == NULL)
        return;
    read_registry(loader, key, builtin);
}

static void read_registries(struct loader *loader, const struct yaml_node *node,
                            bool native, size_t *total)
{
    const char *field = native ? "native" : "registries";
    struct reader *reader = &loader->reader;
    if (node == NULL || node->kind == NODE_ALIAS)
        return;
    if (node->kind != NODE_MAPPING) {
        reader_report(
            reader, FINDING_INVALID_POLICY, node, STR(""),
            arena_printf(reader->arena, "write the registries by key, or %s: {} for none",
                         field),
            "%s is %s where a map of registries belongs", field, reader_kind(node));
        return;
    }
    for (const struct yaml_node *key = node->child; key != NULL; key = key->next->next) {
        if (++*total == POLICY_MAX_REGISTRIES + 1)
            reader_report(reader, FINDING_INVALID_POLICY, key, STR(""),
                          STR("list the ones that images come from; what is not listed "
                              "is judged as unlisted says"),
                          "more than %u registries", POLICY_MAX_REGISTRIES);
        if (*total <= POLICY_MAX_REGISTRIES)
            read_entry(loader, key, native);
    }
}

/* --- rules, and where their findings stand --------------------------------------------
 */

static const struct yaml_node *mark_of(const struct finding *finding,
                                       const struct marks *marks)
{
    bool name = str_starts(finding->message, STR("the name "));
    switch (finding->id) {
    case FINDING_DUPLICATE_NAME:
        return marks->name;
    case FINDING_DUPLICATE_HOSTNAME:
    case FINDING_UNMATCHABLE_HOSTNAME:
        return marks->hostname;
    case FINDING_INCOMPLETE_REGISTRY:
    case FINDING_INVALID_POLICY:
        return name ? marks->name : marks->hostname;
    default:
        return marks->key;
    }
}

static void check_rules(struct loader *loader)
{
    struct findings found = {{0}};
    struct reader *reader = &loader->reader;
    policy_rules_check(reader->arena, loader->registries, loader->count, &found);
    for (size_t i = 0; i < findings_count(&found); i++) {
        const struct finding *finding = findings_at(&found, i);
        const struct yaml_node *mark = NULL;
        for (size_t k = 0; k < loader->count && mark == NULL; k++) {
            if (loader->registries[k].line == finding->line &&
                loader->registries[k].column == finding->column)
                mark = mark_of(finding, &loader->marks[k]);
        }
        reader_report_at(reader, finding->id, mark != NULL ? mark->line : finding->line,
                         mark != NULL ? mark->column : finding->column, finding->key,
                         finding->advice, finding->message);
    }
}

static int compare_registries(const void *a, const void *b)
{
    return str_cmp(((const struct policy_registry *)a)->key,
                   ((const struct policy_registry *)b)->key);
}

static int compare_findings(const void *left, const void *right)
{
    const struct finding *a = left;
    const struct finding *b = right;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return str_cmp(a->message, b->message);
}

static void sort_findings(struct policy_doc *doc)
{
    size_t n = findings_count(&doc->findings);
    if (n > 1)
        qsort(doc->findings.list.items, n, sizeof(struct finding), compare_findings);
}

static void finish_findings(struct policy_doc *doc)
{
    sort_findings(doc);
    for (size_t i = 0; i < findings_count(&doc->findings); i++) {
        struct finding *finding = findings_at(&doc->findings, i);
        if (finding->line > 0)
            finding->path =
                arena_printf(&doc->arena, "%u:%u", finding->line, finding->column);
    }
}

/* --- the policy -----------------------------------------------------------------------
 */

static void check_identity(struct reader *reader, const struct yaml_node *root,
                           const struct yaml_node *node, const char *field,
                           const char *want)
{
    struct str text;
    struct str advice = arena_printf(reader->arena, "write %s: %s", field, want);
    if (node == NULL)
        reader_report(reader, FINDING_INVALID_POLICY, root, STR(""), advice,
                      "the policy has no %s", field);
    else if (reader_text(reader, node, field, STR(""), &text) &&
             !str_eq(text, str_of(want)))
        reader_report(reader, FINDING_INVALID_POLICY, node, STR(""), advice,
                      "%s is \"%s\"", field, reader_show(reader, text));
}

static void read_settings(struct reader *reader, const struct yaml_node *const *values,
                          struct policy *policy)
{
    static const char *const modes[] = {"Inject", "Check"};
    static const char *const enforcements[] = {"Enforce", "Audit"};
    static const char *const unlisted[] = {"Warn", "Deny", "Remove", "Allow"};
    static const char *const opaque[] = {"Warn", "Deny", "Allow"};
    unsigned index[4] = {POLICY_INJECT, POLICY_ENFORCE, UNLISTED_WARN, OPAQUE_WARN};
    reader_word(reader, values[F_MODE], "mode", modes, NRW_COUNT(modes), &index[0]);
    reader_word(reader, values[F_ENFORCEMENT], "enforcement", enforcements,
                NRW_COUNT(enforcements), &index[1]);
    reader_word(reader, values[F_UNLISTED], "unlisted", unlisted, NRW_COUNT(unlisted),
                &index[2]);
    reader_word(reader, values[F_OPAQUE], "opaqueSources", opaque, NRW_COUNT(opaque),
                &index[3]);
    policy->mode = (enum policy_mode)index[0];
    policy->enforcement = (enum policy_enforcement)index[1];
    policy->unlisted = (enum policy_unlisted)index[2];
    policy->opaque = (enum policy_opaque)index[3];
}

/* Says what the text is instead, when it is plainly something else. */
static bool is_other_kind(struct reader *reader, const struct yaml_node *root)
{
    const struct yaml_node *kind = yaml_get(root, STR("kind"));
    if (kind == NULL || kind->kind != NODE_SCALAR ||
        !str_eq(kind->text, STR("ConfigMap")))
        return false;
    reader_report(reader, FINDING_INVALID_POLICY, kind, STR(""),
                  STR("give the text of its data key " POLICY_DATA_KEY),
                  "a ConfigMap where the policy itself belongs");
    return true;
}

static struct policy *read_policy(struct loader *loader, struct policy_doc *doc,
                                  const struct yaml_node *root)
{
    const struct yaml_node *values[F_COUNT];
    struct reader *reader = &loader->reader;
    struct policy *policy = ARENA_NEW(reader->arena, struct policy);
    loader->registries =
        ARENA_ARRAY(reader->arena, struct policy_registry, POLICY_MAX_REGISTRIES);
    loader->marks = ARENA_ARRAY(reader->arena, struct marks, POLICY_MAX_REGISTRIES);
    if (policy == NULL || loader->registries == NULL || loader->marks == NULL)
        return NULL;
    reader_check_tree(reader, root);
    if (is_other_kind(reader, root) ||
        !reader_fields(reader, root, "the policy", STR(""), fields, F_COUNT, values))
        return NULL;
    check_identity(reader, root, values[F_API_VERSION], fields[F_API_VERSION],
                   POLICY_API_VERSION);
    check_identity(reader, root, values[F_KIND], fields[F_KIND], POLICY_KIND);
    read_settings(reader, values, policy);
    read_registries(loader, values[F_REGISTRIES], false, &doc->registry_count);
    read_registries(loader, values[F_NATIVE], true, &doc->registry_count);
    policy_read_targets(reader, values[F_TARGETS], &policy->targets,
                        &policy->target_count);
    if (!reader->arena->failed)
        check_rules(loader);
    if (loader->count > 1)
        qsort(loader->registries, loader->count, sizeof(*loader->registries),
              compare_registries);
    policy->registries = loader->registries;
    policy->registry_count = loader->count;
    return policy;
}

static bool is_empty(const struct yaml_node *root)
{
    return root->kind == NODE_SCALAR && yaml_resolve(root).type == TYPE_NULL;
}

static struct policy *read_stream(struct loader *loader, struct policy_doc *doc,
                                  const struct yaml_stream *stream,
                                  struct yaml_offset offset)
{
    size_t n = yaml_document_count(stream);
    const struct yaml_node *root = n > 0 ? yaml_document(stream, 0) : NULL;
    if (n > 1) {
        const struct yaml_node *second = yaml_document(stream, 1);
        if (is_empty(root) && !is_empty(second))
            root = second; /* a comment, then "---", then the policy */
        else if (!is_empty(second))
            reader_report(&loader->reader, FINDING_INVALID_POLICY, second, STR(""),
                          STR("keep one policy; remove the rest and the \"---\""),
                          "a second document");
    }
    if (root == NULL || is_empty(root)) {
        reader_report_at(&loader->reader, FINDING_INVALID_POLICY,
                         root != NULL ? root->line : offset.lines + 1,
                         root != NULL ? root->column : offset.columns + 1, STR(""),
                         STR("write at least apiVersion and kind"),
                         STR("the policy is empty"));
        return NULL;
    }
    return read_policy(loader, doc, root);
}

static bool load(struct policy_doc *doc, struct str text, struct yaml_offset offset,
                 struct err *err)
{
    NRW_AUTO_ARENA struct arena tree;
    arena_init(&tree, TREE_LIMIT);
    struct loader loader = {.reader = {&doc->arena, &doc->findings, false}};
    struct yaml_stream stream;
    struct yaml_problem problem;
    struct policy *policy = NULL;
    if (yaml_parse(&tree, text, &policy_limits, offset, &stream, &problem))
        policy = read_stream(&loader, doc, &stream, offset);
    else if (problem.code == ERR_NOMEM)
        return err_nomem(err);
    else
        reader_report_at(&loader.reader, FINDING_INVALID_POLICY, problem.line,
                         problem.column, STR(""), reader_problem_advice(&problem),
                         arena_str(&doc->arena, problem.message));
    finish_findings(doc);
    if (doc->arena.failed)
        return err_nomem(err);
    if (policy == NULL || findings_count(&doc->findings) > 0)
        return true;
    if (!policy_hash(policy, err))
        return false;
    doc->policy = policy;
    return true;
}

static struct policy_doc *doc_new(struct err *err)
{
    struct policy_doc *doc = mem_calloc(1, sizeof(*doc));
    if (doc == NULL)
        err_nomem(err);
    else
        arena_init(&doc->arena, DOC_LIMIT);
    return doc;
}

struct policy_doc *policy_doc_new_at(struct str text, struct yaml_offset offset,
                                     struct err *err)
{
    struct policy_doc *doc = doc_new(err);
    if (doc == NULL || load(doc, text, offset, err))
        return doc;
    policy_doc_free(doc);
    return NULL;
}

struct policy_doc *policy_doc_new_refused(unsigned line, unsigned column,
                                          const char *message, const char *advice,
                                          struct err *err)
{
    struct policy_doc *doc = doc_new(err);
    if (doc == NULL)
        return NULL;
    struct reader reader = {&doc->arena, &doc->findings, false};
    reader_report_at(&reader, FINDING_INVALID_POLICY, line, column, STR(""),
                     str_of(advice), arena_str(&doc->arena, str_of(message)));
    finish_findings(doc);
    if (!doc->arena.failed)
        return doc;
    policy_doc_free(doc);
    err_nomem(err);
    return NULL;
}

bool policy_doc_join(struct policy_doc *doc, struct policy_doc *other, struct err *err)
{
    bool good = findings_own(&doc->arena, &other->findings);
    for (size_t i = 0; good && i < findings_count(&other->findings); i++)
        good = findings_copy(&doc->arena, &doc->findings,
                             findings_at(&other->findings, i)) != NULL;
    policy_doc_free(other);
    sort_findings(doc);
    doc->policy = NULL;
    return good || err_nomem(err);
}

struct policy_doc *policy_doc_new(struct str text, struct err *err)
{
    return policy_doc_new_at(text, (struct yaml_offset){0, 0}, err);
}

void policy_doc_free(struct policy_doc *doc)
{
    if (doc == NULL)
        return;
    arena_done(&doc->arena);
    mem_free(doc);
}

void policy_doc_cleanup(struct policy_doc **doc)
{
    policy_doc_free(*doc);
}

struct str policy_doc_summary(struct arena *arena, const struct policy_doc *doc)
{
    size_t n = findings_count(&doc->findings);
    if (n == 0)
        return STR("");
    const struct finding *first = findings_at(&doc->findings, 0);
    struct str place =
        first->line > 0
            ? arena_printf(arena, "line %u, column %u: ", first->line, first->column)
            : STR("");
    struct str rest = n > 1 ? arena_printf(arena, " (and %zu more)", n - 1) : STR("");
    return arena_printf(arena, "%.*s%.*s%.*s", STR_ARG(place), STR_ARG(first->message),
                        STR_ARG(rest));
}
