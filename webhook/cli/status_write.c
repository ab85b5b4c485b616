/* What `status` found, as tables for people and as one JSON object; see status.h. */
#include "cli/status.h"

#include "admit/render.h"

static const char *verdict_word(enum status_verdict verdict)
{
    switch (verdict) {
    case VERDICT_GOOD:
        return "good";
    case VERDICT_BAD:
        return "bad";
    case VERDICT_UNKNOWN:
        break;
    }
    return "unknown";
}

/* --- for people --- */

#define COLUMNS 6

struct row {
    struct str cell[COLUMNS];
};

static struct str source_words(struct arena *arena, const struct status_registry *row)
{
    struct str source = row->source;
    if (str_is_null(source))
        return STR("-");
    if (str_starts(source, STR("configmap/")))
        source = arena_printf(arena, "Helm values (%.*s)", STR_ARG(str_skip(source, 10)));
    else if (str_starts(source, STR("remoteConfig/")))
        source =
            arena_printf(arena, "remote config (%.*s)", STR_ARG(str_skip(source, 13)));
    if (row->listed)
        return source;
    return arena_printf(arena, "%.*s, %s", STR_ARG(source),
                        row->builtin ? "a built-in" : "not listed");
}

static struct str carry_words(struct arena *arena, const struct status_registry *row)
{
    if (row->deployment == CARRY_NO)
        return STR("no");
    if (row->deployment == CARRY_YES)
        return STR("yes");
    if (str_is_null(row->found_hostname))
        return STR("incomplete");
    if (str_eq(row->found_hostname, row->hostname))
        return arena_printf(arena, "as \"%.*s\"", STR_ARG(row->found_name));
    return arena_printf(arena, "with %.*s", STR_ARG(row->found_hostname));
}

static struct str api_words(const struct status_registry *row)
{
    static const char *const words[] = {[API_UNKNOWN] = "-",
                                        [API_NO] = "no",
                                        [API_YES] = "yes",
                                        [API_OTHER_NAME] = "other name"};
    return str_of(words[row->api]);
}

/* Characters, not bytes: names may hold any. */
static size_t width_of(struct str text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.n; i++)
        width += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return width;
}

static void write_cells(struct buf *out, const struct row *row, const size_t *width)
{
    size_t pending = 2; /* blanks before the next cell, so that none end a line */
    for (size_t c = 0; c < COLUMNS; c++) {
        for (; pending > 0; pending--)
            buf_char(out, ' ');
        cli_plain(out, row->cell[c]);
        pending = width[c] - width_of(row->cell[c]) + 3;
    }
    buf_char(out, '\n');
}

static void write_registries(struct arena *arena,
                             const struct status_deployment *deployment, struct buf *out)
{
    struct arena_list rows = {.items = NULL};
    struct row *titles = arena_list_add(arena, &rows, sizeof(struct row));
    if (titles == NULL)
        return;
    *titles = (struct row){{STR("KEY"), STR("HOSTNAME"), STR("FROM"), STR("DEPLOYMENT"),
                            STR("PODS"), STR("API")}};
    for (size_t i = 0; i < deployment->registries.count; i++) {
        const struct status_registry *from = status_registry_at(deployment, i);
        struct row *row = arena_list_add(arena, &rows, sizeof(*row));
        if (row == NULL)
            return;
        struct str pods = STR("-");
        if (deployment->pods_known)
            pods = arena_printf(arena, "%u/%u%s", from->pods, deployment->pods,
                                from->pods_uncertain ? "?" : "");
        *row = (struct row){{from->key, from->hostname.n > 0 ? from->hostname : STR("-"),
                             source_words(arena, from), carry_words(arena, from), pods,
                             api_words(from)}};
    }
    size_t width[COLUMNS] = {0};
    for (size_t r = 0; r < rows.count; r++) {
        for (size_t c = 0; c < COLUMNS; c++) {
            size_t n = width_of(((const struct row *)rows.items + r)->cell[c]);
            width[c] = n > width[c] ? n : width[c];
        }
    }
    for (size_t r = 0; r < rows.count; r++)
        write_cells(out, (const struct row *)rows.items + r, width);
}

static void write_change(struct buf *out, bool colour, const struct patch_op *op)
{
    NRW_AUTO_BUF struct buf line;
    buf_init(&line, 1u << 20);
    enum cli_paint paint = PAINT_GOOD;
    switch (op->kind) {
    case PATCH_ENV_APPEND:
        buf_printf(&line, "+ %.*s=%.*s", STR_ARG(op->name), STR_ARG(op->value));
        break;
    case PATCH_ENV_REPLACE:
        buf_printf(&line, "~ %.*s=%.*s", STR_ARG(op->name), STR_ARG(op->value));
        break;
    case PATCH_ENV_REMOVE:
        buf_printf(&line, "- %.*s", STR_ARG(op->name));
        paint = PAINT_ERROR;
        break;
    case PATCH_ENV_CREATE:
    case PATCH_ANNOTATIONS_CREATE:
    case PATCH_ANNOTATION_SET:
    case PATCH_ANNOTATION_REMOVE:
        return;
    }
    buf_text(out, "    ");
    cli_paint(out, colour, paint, buf_view(&line));
    buf_char(out, '\n');
}

static bool changes_env(const struct status_deployment *deployment)
{
    const struct patch_op *ops = deployment->changes.items;
    for (size_t i = 0; i < deployment->changes.count; i++)
        if (ops[i].kind == PATCH_ENV_APPEND || ops[i].kind == PATCH_ENV_REPLACE ||
            ops[i].kind == PATCH_ENV_REMOVE)
            return true;
    return false;
}

static void write_deployment(struct arena *arena,
                             const struct status_deployment *deployment, bool colour,
                             struct buf *out)
{
    struct str heading = arena_printf(
        arena, "Deployment %.*s/%.*s (%.*s)", STR_ARG(deployment->name_space),
        STR_ARG(deployment->name), STR_ARG(deployment->prefix));
    buf_char(out, '\n');
    cli_paint(out, colour, PAINT_BOLD, heading);
    buf_text(out, ": ");
    if (deployment->drift)
        cli_paint(out, colour, PAINT_ERROR, STR("drift"));
    else
        cli_paint(out, colour, PAINT_GOOD, STR("as the policy says"));
    buf_char(out, '\n');
    if (deployment->registries.count > 0)
        write_registries(arena, deployment, out);
    else
        buf_text(out, "  no registries\n");
    if (deployment->problem.n > 0) {
        buf_text(out, "  not looked at: ");
        cli_plain(out, deployment->problem);
        buf_char(out, '\n');
    }
    for (size_t i = 0; i < findings_count(&deployment->findings); i++) {
        const struct finding *finding = findings_at(&deployment->findings, i);
        if (finding->severity == SEVERITY_INFO)
            continue;
        cli_finding(out, colour, finding->source, finding);
    }
    if (deployment->denied) {
        buf_text(out, "  The next update of this Deployment is denied as it stands.\n");
    } else if (changes_env(deployment)) {
        buf_text(out, "  The next update changes:\n");
        for (size_t i = 0; i < deployment->changes.count; i++)
            write_change(out, colour,
                         (const struct patch_op *)deployment->changes.items + i);
    } else if (deployment->changed) {
        buf_text(out, "  The next update changes only our annotations.\n");
    }
}

void status_write_table(const struct status *status, bool colour, struct buf *out)
{
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, 64u << 20);
    cli_paint(out, colour, PAINT_BOLD, STR("Webhook"));
    buf_char(out, '\n');
    for (size_t i = 0; i < status->checks.count; i++) {
        const struct status_check *check = status_check_at(status, i);
        static const enum cli_paint paints[] = {[VERDICT_GOOD] = PAINT_GOOD,
                                                [VERDICT_BAD] = PAINT_ERROR,
                                                [VERDICT_UNKNOWN] = PAINT_WARNING};
        struct str word = arena_printf(&arena, "%-8s", verdict_word(check->verdict));
        buf_text(out, "  ");
        cli_paint(out, colour, paints[check->verdict], word);
        buf_printf(out, "%-12s", check->name);
        cli_plain(out, check->text);
        buf_char(out, '\n');
    }
    for (size_t i = 0; i < status->deployments.count; i++)
        write_deployment(&arena, status_deployment_at(status, i), colour, out);
    out->failed = out->failed || arena.failed;
}

/* --- for machines --- */

static void member(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "\"%s\":", name);
    if (str_is_null(value))
        buf_text(out, "null");
    else
        buf_json_string(out, value);
}

static void json_registry(const struct status_deployment *deployment,
                          const struct status_registry *row, struct buf *out)
{
    static const char *const carry[] = {
        [CARRY_NO] = "no", [CARRY_YES] = "yes", [CARRY_OTHER] = "other"};
    static const char *const api[] = {[API_UNKNOWN] = "null",
                                      [API_NO] = "false",
                                      [API_YES] = "true",
                                      [API_OTHER_NAME] = "false"};
    buf_char(out, '{');
    member(out, "key", row->key);
    buf_char(out, ',');
    member(out, "name", row->name);
    buf_char(out, ',');
    member(out, "hostname", row->hostname);
    buf_char(out, ',');
    member(out, "source", row->source);
    buf_printf(out, ",\"listed\":%s,\"builtin\":%s,\"deployment\":\"%s\",",
               row->listed ? "true" : "false", row->builtin ? "true" : "false",
               carry[row->deployment]);
    member(out, "foundName", row->found_name);
    buf_char(out, ',');
    member(out, "foundHostname", row->found_hostname);
    if (deployment->pods_known)
        buf_printf(out, ",\"pods\":%u", row->pods);
    else
        buf_text(out, ",\"pods\":null");
    buf_printf(out, ",\"podsUncertain\":%s,\"api\":%s}",
               row->pods_uncertain ? "true" : "false", api[row->api]);
}

static void json_changes(const struct status_deployment *deployment, struct buf *out)
{
    bool first = true;
    for (size_t i = 0; i < deployment->changes.count; i++) {
        const struct patch_op *op =
            (const struct patch_op *)deployment->changes.items + i;
        const char *word = op->kind == PATCH_ENV_APPEND    ? "add"
                           : op->kind == PATCH_ENV_REPLACE ? "replace"
                           : op->kind == PATCH_ENV_REMOVE  ? "remove"
                                                           : NULL;
        if (word == NULL)
            continue;
        buf_printf(out, "%s{\"op\":\"%s\",", first ? "" : ",", word);
        first = false;
        member(out, "name", op->name);
        buf_char(out, ',');
        member(out, "value", op->kind == PATCH_ENV_REMOVE ? str_null() : op->value);
        buf_char(out, '}');
    }
}

static void json_deployment(const struct status_deployment *deployment, struct buf *out)
{
    buf_char(out, '{');
    member(out, "namespace", deployment->name_space);
    buf_char(out, ',');
    member(out, "name", deployment->name);
    buf_char(out, ',');
    member(out, "target", deployment->prefix);
    buf_printf(out, ",\"drift\":%s,\"denied\":%s,\"changed\":%s,\"pods\":",
               deployment->drift ? "true" : "false",
               deployment->denied ? "true" : "false",
               deployment->changed ? "true" : "false");
    if (deployment->pods_known)
        buf_printf(out, "%u", deployment->pods);
    else
        buf_text(out, "null");
    buf_text(out, ",\"registries\":[");
    for (size_t i = 0; i < deployment->registries.count; i++) {
        buf_text(out, i > 0 ? "," : "");
        json_registry(deployment, status_registry_at(deployment, i), out);
    }
    buf_text(out, "],\"findings\":[");
    for (size_t i = 0; i < findings_count(&deployment->findings); i++) {
        buf_text(out, i > 0 ? "," : "");
        render_finding_json(out, findings_at(&deployment->findings, i));
    }
    buf_text(out, "],\"changes\":[");
    json_changes(deployment, out);
    buf_text(out, "],");
    member(out, "problem", deployment->problem);
    buf_char(out, '}');
}

void status_write_json(const struct status *status, struct buf *out)
{
    const struct policy *policy = status->doc->policy;
    bool valid = status->policy_present && status->policy_problem.n == 0;
    buf_printf(out, "{\"good\":%s,\"policy\":{\"present\":%s,\"valid\":%s,",
               status->good ? "true" : "false", status->policy_present ? "true" : "false",
               valid ? "true" : "false");
    member(out, "hash", valid ? str_of(policy->hash) : str_null());
    buf_char(out, ',');
    member(out, "mode", valid ? str_of(policy_mode_name(policy->mode)) : str_null());
    buf_char(out, ',');
    member(out, "enforcement",
           valid ? str_of(policy_enforcement_name(policy->enforcement)) : str_null());
    buf_printf(out, ",\"registries\":%zu,", valid ? policy->registry_count : 0);
    member(out, "problem", status->policy_problem);
    buf_text(out, "},\"webhook\":[");
    for (size_t i = 0; i < status->checks.count; i++) {
        const struct status_check *check = status_check_at(status, i);
        buf_printf(out, "%s{\"check\":\"%s\",\"verdict\":\"%s\",", i > 0 ? "," : "",
                   check->name, verdict_word(check->verdict));
        member(out, "message", check->text);
        buf_char(out, '}');
    }
    buf_text(out, "],\"targets\":[");
    for (size_t i = 0; i < status->deployments.count; i++) {
        buf_text(out, i > 0 ? "," : "");
        json_deployment(status_deployment_at(status, i), out);
    }
    buf_text(out, "]}\n");
}
