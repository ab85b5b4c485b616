/* The `targets` of a policy; see policy_targets.h. Names and labels are checked as the
 * API server would, because one with a typing error would silently match nothing. */
#include "policy/policy_targets.h"

#define MAX_LABELS     32u
#define DEFAULT_PREFIX "NVCF"

static const struct policy_label default_selector[] = {
    {STR("app.kubernetes.io/name"), STR("helm-nvcf-api")},
};
static const struct policy_target default_target = {
    .name_space = STR("nvcf"),
    .selector = default_selector,
    .selector_count = NRW_COUNT(default_selector),
    .container = STR("helm-nvcf-api"),
    .prefix = STR(DEFAULT_PREFIX),
};

/* Lower-case letters, digits and dashes, not at an end, at most 63: RFC 1123. */
static bool is_dns_label(struct str text)
{
    if (text.n == 0 || text.n > 63)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool inside = i > 0 && i + 1 < text.n;
        if (!ascii_is_lower(c) && !ascii_is_digit(c) && !(c == '-' && inside))
            return false;
    }
    return true;
}

static bool is_label_text(struct str text)
{
    if (text.n > 63)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool inside = i > 0 && i + 1 < text.n;
        if (!ascii_is_alnum(c) && !((c == '-' || c == '_' || c == '.') && inside))
            return false;
    }
    return true;
}

/* name, or prefix/name with a DNS name as prefix. */
static bool is_label_key(struct str key)
{
    size_t slash = str_index(key, 0, '/');
    if (slash == key.n)
        return key.n > 0 && is_label_text(key);
    struct str name = str_skip(key, slash + 1);
    struct str domain = str_first(key, slash);
    if (name.n == 0 || !is_label_text(name) || domain.n == 0 || domain.n > 253)
        return false;
    for (size_t from = 0; from <= domain.n;) {
        size_t dot = str_index(domain, from, '.');
        if (!is_dns_label(str_from(domain.p + from, dot - from)))
            return false;
        from = dot + 1;
    }
    return true;
}

static bool is_prefix(struct str text)
{
    if (text.n == 0 || text.n > 63 || !ascii_is_upper(text.p[0]))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (!ascii_is_upper(text.p[i]) && !ascii_is_digit(text.p[i]))
            return false;
    }
    return true;
}

static void read_dns_label(struct reader *reader, const struct yaml_node *owner,
                           const struct yaml_node *node, const char *field,
                           struct str advice, struct str *ret_text)
{
    if (node == NULL) {
        reader_report(reader, FINDING_INVALID_POLICY, owner, STR(""), advice,
                      "the target has no %s", field);
        return;
    }
    struct str text;
    if (!reader_text(reader, node, field, STR(""), &text))
        return;
    if (is_dns_label(text))
        *ret_text = arena_str(reader->arena, text);
    else
        reader_report(reader, FINDING_INVALID_POLICY, node, STR(""), advice,
                      "%s \"%s\" is no name that Kubernetes allows", field,
                      reader_show(reader, text));
}

static void read_label(struct reader *reader, const struct yaml_node *key,
                       struct arena_list *labels)
{
    struct str value;
    if (key->duplicate_of != NULL)
        reader_report(reader, FINDING_INVALID_POLICY, key, STR(""),
                      STR("keep one of them"),
                      "\"%s\" is given twice; the first time on line %u",
                      reader_show(reader, key->text), key->duplicate_of->line);
    if (key->kind != NODE_SCALAR || !is_label_key(key->text)) {
        reader_report(reader, FINDING_INVALID_POLICY, key, STR(""),
                      STR("write a label such as app.kubernetes.io/name"),
                      "\"%s\" is no label that Kubernetes allows",
                      reader_show(reader, key->text));
        return;
    }
    if (key->next->kind == NODE_MAPPING) {
        reader_report(reader, FINDING_INVALID_POLICY, key, STR(""),
                      STR("write the labels directly: selector: {app.kubernetes.io/name: "
                          "helm-nvcf-api}"),
                      "selector takes labels, without %s",
                      reader_show(reader, key->text));
        return;
    }
    if (!reader_text(reader, key->next, "the label", STR(""), &value))
        return;
    if (!is_label_text(value)) {
        reader_report(reader, FINDING_INVALID_POLICY, key->next, STR(""),
                      STR("write the value as the Deployment's label has it: at most 63 "
                          "letters, digits, dashes, dots and underscores"),
                      "\"%s\" is no label value that Kubernetes allows",
                      reader_show(reader, value));
        return;
    }
    struct policy_label *label = arena_list_add(reader->arena, labels, sizeof(*label));
    if (label == NULL)
        return;
    label->key = arena_str(reader->arena, key->text);
    label->value = arena_str(reader->arena, value);
}

static void read_selector(struct reader *reader, const struct yaml_node *owner,
                          const struct yaml_node *node, struct policy_target *target)
{
    struct str advice =
        STR("write the Deployment's labels: {app.kubernetes.io/name: helm-nvcf-api}");
    if (node == NULL || (node->kind == NODE_MAPPING && node->count == 0)) {
        reader_report(
            reader, FINDING_INVALID_POLICY, node == NULL ? owner : node, STR(""), advice,
            node == NULL ? "the target has no selector"
                         : "selector is empty: it would match every Deployment");
        return;
    }
    if (node->kind == NODE_ALIAS)
        return;
    if (node->kind != NODE_MAPPING) {
        reader_report(reader, FINDING_INVALID_POLICY, node, STR(""), advice,
                      "selector is %s where a map of labels belongs", reader_kind(node));
        return;
    }
    if (node->count > MAX_LABELS) {
        reader_report(reader, FINDING_INVALID_POLICY, node, STR(""),
                      STR("name only the labels that tell the Deployment from others"),
                      "selector has more than %u labels", MAX_LABELS);
        return;
    }
    struct arena_list labels = {0};
    for (const struct yaml_node *key = node->child; key != NULL; key = key->next->next)
        read_label(reader, key, &labels);
    target->selector = labels.items;
    target->selector_count = labels.count;
}

static void read_target(struct reader *reader, const struct yaml_node *node,
                        struct policy_target *target)
{
    static const char *const fields[] = {"namespace", "selector", "container", "prefix"};
    const struct yaml_node *values[NRW_COUNT(fields)];
    *target = (struct policy_target){
        .name_space = STR(""), .container = STR(""), .prefix = STR(DEFAULT_PREFIX)};
    if (!reader_fields(reader, node, "a target", STR(""), fields, NRW_COUNT(fields),
                       values))
        return;
    read_dns_label(reader, node, values[0], "namespace",
                   STR("write the namespace of the API's Deployment, such as nvcf"),
                   &target->name_space);
    read_selector(reader, node, values[1], target);
    read_dns_label(reader, node, values[2], "container",
                   STR("write the container's name, such as helm-nvcf-api"),
                   &target->container);
    struct str prefix;
    if (values[3] == NULL || !reader_text(reader, values[3], "prefix", STR(""), &prefix))
        return;
    if (is_prefix(prefix))
        target->prefix = arena_str(reader->arena, prefix);
    else
        reader_report(reader, FINDING_INVALID_POLICY, values[3], STR(""),
                      STR("write NVCF for the functions API, NVCT for the tasks API"),
                      "prefix \"%s\" is not capital letters and digits beginning with a "
                      "letter",
                      reader_show(reader, prefix));
}

static bool has_label(const struct policy_target *target,
                      const struct policy_label *label)
{
    for (size_t i = 0; i < target->selector_count; i++) {
        if (str_eq(target->selector[i].key, label->key) &&
            str_eq(target->selector[i].value, label->value))
            return true;
    }
    return false;
}

/* The same container of the same Deployments. */
static bool same_target(const struct policy_target *a, const struct policy_target *b)
{
    if (a->selector_count == 0 || a->selector_count != b->selector_count ||
        !str_eq(a->name_space, b->name_space) || !str_eq(a->container, b->container))
        return false;
    for (size_t i = 0; i < a->selector_count; i++) {
        if (!has_label(b, &a->selector[i]))
            return false;
    }
    return true;
}

static void check_unique(struct reader *reader, const struct policy_target *targets,
                         const unsigned *lines, size_t i, const struct yaml_node *node)
{
    for (size_t k = 0; k < i; k++) {
        if (!same_target(&targets[k], &targets[i]))
            continue;
        reader_report(
            reader, FINDING_INVALID_POLICY, node, STR(""), STR("keep one of the two"),
            "the target selects the same container as the one on line %u%s", lines[k],
            str_eq(targets[k].prefix, targets[i].prefix) ? "" : ", with another prefix");
        return;
    }
}

void policy_read_targets(struct reader *reader, const struct yaml_node *node,
                         const struct policy_target **ret_targets, size_t *ret_count)
{
    *ret_targets = &default_target;
    *ret_count = 1;
    if (node == NULL || node->kind == NODE_ALIAS)
        return;
    if (node->kind != NODE_SEQUENCE || node->count == 0) {
        reader_report(
            reader, FINDING_INVALID_POLICY, node, STR(""),
            STR("write at least one target, or leave targets out for the default"),
            "targets is %s where a list of targets belongs",
            node->kind == NODE_SEQUENCE ? "an empty list" : reader_kind(node));
        return;
    }
    if (node->count > POLICY_MAX_TARGETS) {
        reader_report(reader, FINDING_INVALID_POLICY, node, STR(""),
                      STR("select several Deployments with one target's labels"),
                      "%zu targets are more than the %u allowed", node->count,
                      POLICY_MAX_TARGETS);
        return;
    }
    struct policy_target *targets =
        ARENA_ARRAY(reader->arena, struct policy_target, node->count);
    unsigned *lines = ARENA_ARRAY(reader->arena, unsigned, node->count);
    if (targets == NULL || lines == NULL)
        return;
    size_t i = 0;
    for (const struct yaml_node *item = node->child; item != NULL; item = item->next) {
        lines[i] = item->line;
        read_target(reader, item, &targets[i]);
        check_unique(reader, targets, lines, i, item);
        i++;
    }
    *ret_targets = targets;
    *ret_count = i;
}
