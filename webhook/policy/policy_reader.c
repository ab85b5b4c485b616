/* Reading a policy's tree; see policy_reader.h. */
#include "policy/policy_reader.h"

#include "policy/suggest.h"
#include "util/utf8.h"

#define SHOWN_BYTES 64u

/* Messages of core/ quote keys as they are; nobody's terminal or log should be played
 * with, and the API server drops warnings that hold control characters. */
static size_t put_without_control(char *out, struct str text)
{
    size_t n = 0;
    for (size_t i = 0, control; i<text.n; i += control> 0 ? control : 1) {
        control = utf8_control(str_skip(text, i));
        out[n++] = control > 0 ? '?' : text.p[i];
    }
    return n;
}

static struct str without_control(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.n + 1, 1);
    return out == NULL ? STR("") : str_from(out, put_without_control(out, text));
}

void reader_report_at(struct reader *reader, enum finding_id id, unsigned line,
                      unsigned column, struct str key, struct str advice,
                      struct str message)
{
    if (reader->full)
        return;
    if (findings_count(reader->findings) == POLICY_MAX_FINDINGS) {
        reader->full = true;
        id = FINDING_INVALID_POLICY;
        key = STR("");
        message = STR("more than 200 problems: the rest is not listed");
        advice = STR("put these right first");
    }
    struct finding *finding =
        findings_add(reader->arena, reader->findings, id, SEVERITY_ERROR);
    if (finding == NULL)
        return;
    finding->source = STR("policy");
    finding->key = arena_str(reader->arena, key);
    finding->message = without_control(reader->arena, message);
    finding->advice = without_control(reader->arena, arena_str(reader->arena, advice));
    finding->line = line;
    finding->column = column;
}

struct str reader_problem_advice(const struct yaml_problem *problem)
{
    if (str_starts(problem->message, STR("alias ")))
        return STR("write the value out");
    if (problem->advice.n > 0 || problem->code != ERR_LIMIT)
        return problem->advice;
    return STR("write nothing but the fields of a policy: they stay far below that");
}

void reader_report(struct reader *reader, enum finding_id id,
                   const struct yaml_node *node, struct str key, struct str advice,
                   const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct str message = reader->full ? STR("") : arena_vprintf(reader->arena, fmt, args);
    va_end(args);
    reader_report_at(reader, id, node->line, node->column, key, advice, message);
}

const char *reader_show(struct reader *reader, struct str text)
{
    struct str cut = utf8_cut(text, SHOWN_BYTES);
    char *out = arena_alloc(reader->arena, cut.n + 4, 1);
    if (out == NULL)
        return "";
    size_t n = put_without_control(out, cut);
    if (cut.n < text.n)
        memcpy(out + n, "...", 3);
    return out;
}

/* --- what a policy may not use at all -------------------------------------------------
 */

static void check_node(struct reader *reader, const struct yaml_node *node)
{
    if (node->kind == NODE_ALIAS)
        reader_report(reader, FINDING_INVALID_POLICY, node, STR(""),
                      STR("write the value out"), "alias *%s: a policy takes no aliases",
                      reader_show(reader, node->text));
    if (node->anchor.n > 0)
        reader_report(reader, FINDING_INVALID_POLICY, node, STR(""),
                      STR("remove the anchor"), "anchor &%s: a policy takes no anchors",
                      reader_show(reader, node->anchor));
    if (!yaml_tag_is_core(node))
        reader_report(reader, FINDING_INVALID_POLICY, node, STR(""),
                      STR("remove the tag"), "tag %s is not known",
                      reader_show(reader, node->tag));
}

/* At most as deep as the tree may be. */
void reader_check_tree(struct reader *reader, const struct yaml_node *root)
{
    check_node(reader, root);
    for (const struct yaml_node *child = root->child; child != NULL; child = child->next)
        reader_check_tree(reader, child);
}

/* --- kinds ----------------------------------------------------------------------------
 */

/* As YAML 1.2 has it: yes, no, on and off are texts in a policy, which nobody but us
 * reads; a registry may be named "On". */
static enum yaml_type policy_type(const struct yaml_node *scalar)
{
    struct yaml_value value = yaml_resolve(scalar);
    if (value.type == TYPE_BOOL && !str_eq_nocase(scalar->text, STR("true")) &&
        !str_eq_nocase(scalar->text, STR("false")))
        return TYPE_STRING;
    return value.type;
}

const char *reader_kind(const struct yaml_node *node)
{
    switch (node->kind) {
    case NODE_MAPPING:
        return "a map";
    case NODE_SEQUENCE:
        return "a list";
    case NODE_ALIAS:
        return "an alias";
    case NODE_SCALAR:
        break;
    }
    switch (policy_type(node)) {
    case TYPE_NULL:
        return "empty";
    case TYPE_BOOL:
        return "true or false";
    case TYPE_INTEGER:
    case TYPE_REAL:
        return "a number";
    case TYPE_STRING:
        return "a text";
    case TYPE_BAD:
        break;
    }
    return "a value whose tag does not fit";
}

/* --- maps of known fields -------------------------------------------------------------
 */

static const char *field_list(struct reader *reader, const char *const *fields,
                              size_t count)
{
    struct str list = STR("");
    for (size_t i = 0; i < count; i++)
        list = arena_printf(reader->arena, "%.*s%s%s", STR_ARG(list), i > 0 ? ", " : "",
                            fields[i]);
    return list.p;
}

static void report_unknown(struct reader *reader, const struct yaml_node *node,
                           const char *what, struct str key, const char *const *fields,
                           size_t count)
{
    if (reader->full || node->kind == NODE_ALIAS)
        return; /* reader_check_tree has said so */
    if (node->kind != NODE_SCALAR) {
        reader_report(reader, FINDING_INVALID_POLICY, node, key,
                      arena_printf(reader->arena, "the fields of %s are: %s", what,
                                   field_list(reader, fields, count)),
                      "%s has %s where a field's name belongs", what, reader_kind(node));
        return;
    }
    if (yaml_is_merge_key(node)) {
        reader_report(reader, FINDING_INVALID_POLICY, node, key,
                      STR("write the fields out"), "a policy takes no merge keys (<<)");
        return;
    }
    const char *near = suggest(node->text, fields, count);
    struct str advice = near != NULL
                            ? arena_printf(reader->arena, "did you mean %s?", near)
                            : arena_printf(reader->arena, "the fields of %s are: %s",
                                           what, field_list(reader, fields, count));
    reader_report(reader, FINDING_INVALID_POLICY, node, key, advice,
                  "%s has an unknown field \"%s\"", what,
                  reader_show(reader, node->text));
}

bool reader_fields(struct reader *reader, const struct yaml_node *node, const char *what,
                   struct str key, const char *const *fields, size_t count,
                   const struct yaml_node **ret_values)
{
    for (size_t i = 0; i < count; i++)
        ret_values[i] = NULL;
    if (node->kind != NODE_MAPPING) {
        if (node->kind != NODE_ALIAS)
            reader_report(reader, FINDING_INVALID_POLICY, node, key,
                          arena_printf(reader->arena, "the fields of %s are: %s", what,
                                       field_list(reader, fields, count)),
                          "%s is %s where a map of fields belongs", what,
                          reader_kind(node));
        return false;
    }
    for (const struct yaml_node *k = node->child; k != NULL; k = k->next->next) {
        size_t i = 0;
        while (i < count &&
               !(k->kind == NODE_SCALAR && str_eq(k->text, str_of(fields[i]))))
            i++;
        if (i == count)
            report_unknown(reader, k, what, key, fields, count);
        else if (ret_values[i] == NULL)
            ret_values[i] = k->next;
        if (k->duplicate_of != NULL)
            reader_report(reader, FINDING_INVALID_POLICY, k, key, STR("keep one of them"),
                          "\"%s\" is given twice; the first time on line %u",
                          reader_show(reader, k->text), k->duplicate_of->line);
    }
    return true;
}

/* --- texts and words ------------------------------------------------------------------
 */

bool reader_text(struct reader *reader, const struct yaml_node *node, const char *field,
                 struct str key, struct str *ret_text)
{
    if (node->kind == NODE_ALIAS || !yaml_tag_is_core(node))
        return false; /* reader_check_tree has said so */
    if (node->kind != NODE_SCALAR) {
        reader_report(
            reader, FINDING_INVALID_POLICY, node, key,
            arena_printf(reader->arena, "write one text as the value of %s", field),
            "%s is %s where a text belongs", field, reader_kind(node));
        return false;
    }
    enum yaml_type type = policy_type(node);
    if (type == TYPE_STRING) {
        *ret_text = node->text;
        return true;
    }
    if (type == TYPE_NULL)
        reader_report(reader, FINDING_INVALID_POLICY, node, key,
                      STR("write a value, or leave the field out if it has a default"),
                      "%s is empty", field);
    else
        reader_report(reader, FINDING_INVALID_POLICY, node, key,
                      arena_printf(reader->arena,
                                   "if it is meant, write it in quotes: "
                                   "\"%s\"",
                                   reader_show(reader, node->text)),
                      "%s is %s where a text belongs", field, reader_kind(node));
    return false;
}

void reader_word(struct reader *reader, const struct yaml_node *node, const char *field,
                 const char *const *words, size_t count, unsigned *ret_index)
{
    struct str text;
    if (node == NULL || !reader_text(reader, node, field, STR(""), &text))
        return;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(text, str_of(words[i]))) {
            *ret_index = (unsigned)i;
            return;
        }
    }
    const char *near = suggest(text, words, count);
    struct str advice = near != NULL
                            ? arena_printf(reader->arena, "did you mean %s?", near)
                            : arena_printf(reader->arena, "write one of: %s",
                                           field_list(reader, words, count));
    reader_report(reader, FINDING_INVALID_POLICY, node, STR(""), advice,
                  "%s \"%s\" is not known", field, reader_show(reader, text));
}
