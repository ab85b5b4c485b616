/* `review`: the decision, offline. Reads manifests as `helm template` prints them, or
 * AdmissionReviews, and says for every Deployment and ConfigMap what /mutate and then
 * /validate would answer. The same code decides as in the server. Main thread. */
#include <unistd.h>

#include "admit/judge.h"
#include "admit/object.h"
#include "admit/render.h"
#include "cli/diff.h"
#include "cli/manifests.h"
#include "cli/policy_arg.h"
#include "policy/yaml_write.h"
#include "util/utf8.h"

#define OUTPUT_MAXIMUM   (256u * 1024u * 1024u)
#define DECISION_MAXIMUM (256u * 1024u * 1024u)

enum { OPT_POLICY = 1, OPT_OUTPUT, OPT_NAMESPACE };
enum output { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_PATCHED, OUTPUT_DIFF };

static const struct cli_option options[] = {
    {OPT_POLICY, 'p', "policy-file", "FILE",
     "the policy, bare or in its ConfigMap; without it the policy\n"
     "ConfigMap among the documents, or else the built-in example"},
    {OPT_OUTPUT, 'o', "output", "FORMAT",
     "text (default): verdict, findings, what would change\n"
     "json: one object per reviewed object, one per line\n"
     "patched: all documents as YAML, as they would be admitted\n"
     "diff: what would change, as a unified diff"},
    {OPT_NAMESPACE, 'n', "namespace", "NAMESPACE",
     "of objects that do not name one (default: the first\n"
     "target's)"},
};

static const struct cli_command command = {
    .name = "review",
    .arguments = "[FILE...|-]",
    .summary =
        "Says what the webhook would decide about manifests or AdmissionReviews, and "
        "what it would change.",
    .options = options,
    .option_count = NRW_COUNT(options),
    .details =
        "Reads YAML (several documents, Lists) and JSON. ConfigMaps that a Deployment's\n"
        "envFrom and REMOTE_CONFIG_NAME refer to are looked for among the documents; "
        "one\n"
        "that is not there is an OpaqueSource.\n"
        "\n"
        "Exit codes: 0 everything is allowed, 1 something is denied, 2 something could "
        "not\n"
        "be read: a file, what is no Kubernetes object, a Deployment that is not of "
        "apps/v1.\n"
        "\n"
        "Examples:\n"
        "  helm template api helm-nvcf-api/ -n nvcf | " CLI_PROGRAM
        " review -p policy.yaml -\n"
        "  kubectl -n nvcf get deployments,configmaps -o yaml | " CLI_PROGRAM
        " review -o diff -\n",
};

struct run {
    enum output output;
    bool colour;
    struct str name_space;
    const struct policy *policy;
    const struct config_maps *config_maps;
    struct buf out;
    bool denied;
};

/* Takes the review that the API server would send for a manifest: a CREATE. */
static json_t *wrap(const struct run *run, json_t *object, bool deployment)
{
    struct str name = object_meta(object, "name");
    struct str where = object_meta(object, "namespace");
    if (str_is_null(where))
        where = run->name_space;
    if (str_is_null(name))
        name = STR("");
    return json_pack("{s:s,s:s,s:{s:s,s:{s:s,s:s,s:s},s:s%,s:s%,s:s,s:O}}", "apiVersion",
                     "admission.k8s.io/v1", "kind", "AdmissionReview", "request", "uid",
                     "offline", "kind", "group", deployment ? "apps" : "", "version",
                     "v1", "kind", deployment ? "Deployment" : "ConfigMap", "namespace",
                     where.p, where.n, "name", name.p, name.n, "operation", "CREATE",
                     "object", object);
}

/* What both passes said about one object. */
struct verdict {
    struct judged mutated; /* its decision and patch; `findings` holds those of both */
    struct findings findings;
    bool allowed;
};

static bool same_finding(const struct finding *a, const struct finding *b)
{
    return a->id == b->id && str_eq(a->key, b->key) && str_eq(a->source, b->source) &&
           str_eq(a->path, b->path);
}

static bool merge(struct arena *arena, const struct findings *from, struct findings *to)
{
    size_t before = findings_count(to);
    for (size_t i = 0; i < findings_count(from); i++) {
        const struct finding *finding = findings_at(from, i);
        bool there = false;
        for (size_t k = 0; k < before && !there; k++)
            there = same_finding(finding, findings_at(to, k));
        if (!there && findings_copy(arena, to, finding) == NULL)
            return false;
    }
    return findings_sort(arena, to);
}

static bool judge_both(struct arena *arena, const struct run *run, struct review *review,
                       struct verdict *verdict, struct err *err)
{
    struct admit_input input = {
        .endpoint = ADMIT_MUTATE,
        .policy = run->policy,
        .config_maps = run->config_maps,
        .policy_namespace = STR(""),
        .policy_name = STR(""),
    };
    if (!judge_object(arena, &input, review, &verdict->mutated, err))
        return false;
    verdict->allowed = verdict->mutated.decision.allowed;
    verdict->findings = verdict->mutated.decision.findings;
    if (!verdict->allowed)
        return true;
    NRW_AUTO_JUDGED struct judged validated = {.patch_problem = NULL};
    input.endpoint = ADMIT_VALIDATE;
    if (!judge_object(arena, &input, review, &validated, err))
        return false;
    verdict->allowed = validated.decision.allowed;
    if (!verdict->mutated.concerned) {
        verdict->mutated.concerned = validated.concerned;
        verdict->mutated.target = validated.target;
    }
    return merge(arena, &validated.decision.findings, &verdict->findings) ||
           err_nomem(err);
}

static void write_json(struct arena *arena, struct run *run, const struct review *review,
                       const struct verdict *verdict)
{
    struct buf *out = &run->out;
    const struct findings *findings = &verdict->findings;
    buf_text(out, "{\"kind\":");
    buf_json_string(out, review->kind_name);
    buf_text(out, ",\"namespace\":");
    buf_json_string(out, review->name_space);
    buf_text(out, ",\"name\":");
    buf_json_string(out, review->name);
    buf_text(out, ",\"target\":");
    if (str_is_null(verdict->mutated.target))
        buf_text(out, "null");
    else
        buf_json_string(out, verdict->mutated.target);
    buf_printf(out, ",\"allowed\":%s,\"changed\":%s,\"findings\":[",
               verdict->allowed ? "true" : "false",
               verdict->allowed && verdict->mutated.patch.size > 0 ? "true" : "false");
    for (size_t i = 0; i < findings_count(findings); i++) {
        if (i > 0)
            buf_char(out, ',');
        render_finding_json(out, findings_at(findings, i));
    }
    buf_text(out, "],\"warnings\":[");
    struct str warnings[DECIDE_WARNINGS_MAX];
    size_t count = decide_warnings(arena, findings, warnings);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_char(out, ',');
        buf_json_string(out, warnings[i]);
    }
    buf_text(out, "],\"patch\":");
    if (verdict->allowed && verdict->mutated.patch.size > 0)
        buf_str(out, buf_view(&verdict->mutated.patch));
    else
        buf_text(out, "[]");
    buf_text(out, "}\n");
}

/* Bytes of an annotation's value, and one line of it: the record repeats all the rest. */
#define SHOWN_MAXIMUM 60u

static void write_annotation(struct buf *line, const json_t *before,
                             const struct patch_op *op)
{
    const json_t *old =
        json_object_get(json_object_get(before, "metadata"), "annotations");
    bool removed = op->kind == PATCH_ANNOTATION_REMOVE;
    bool there = json_object_getn(old, op->name.p, op->name.n) != NULL;
    buf_printf(line, "  %c annotation %.*s",
               removed ? '-'
               : there ? '~'
                       : '+',
               STR_ARG(op->name));
    if (removed)
        return;
    struct str shown =
        utf8_cut(str_first(op->value, str_index(op->value, 0, '\n')), SHOWN_MAXIMUM);
    buf_printf(line, ": %.*s%s", STR_ARG(shown), shown.n < op->value.n ? "..." : "");
}

/* One line for an operation; none for one that only makes room for others. */
static void write_change(struct buf *line, const json_t *before,
                         const struct patch_op *op)
{
    switch (op->kind) {
    case PATCH_ENV_CREATE:
    case PATCH_ANNOTATIONS_CREATE:
        return;
    case PATCH_ENV_REMOVE:
        buf_printf(line, "  - %.*s", STR_ARG(op->name));
        return;
    case PATCH_ENV_REPLACE:
    case PATCH_ENV_APPEND:
        buf_printf(line, "  %c %.*s=%.*s", op->kind == PATCH_ENV_APPEND ? '+' : '~',
                   STR_ARG(op->name), STR_ARG(op->value));
        return;
    case PATCH_ANNOTATION_SET:
    case PATCH_ANNOTATION_REMOVE:
        break;
    }
    write_annotation(line, before, op);
}

static void write_changes(struct run *run, const json_t *before,
                          const struct patch *patch)
{
    for (size_t i = 0; i < patch->ops.count; i++) {
        const struct patch_op *op = patch_at(patch, i);
        bool removes =
            op->kind == PATCH_ENV_REMOVE || op->kind == PATCH_ANNOTATION_REMOVE;
        NRW_AUTO_BUF struct buf line;
        buf_init(&line, OUTPUT_MAXIMUM);
        write_change(&line, before, op);
        run->out.failed = run->out.failed || line.failed;
        if (line.size == 0)
            continue;
        cli_paint(&run->out, run->colour, removes ? PAINT_ERROR : PAINT_GOOD,
                  buf_view(&line));
        buf_char(&run->out, '\n');
    }
}

static void write_heading(struct run *run, const struct review *review)
{
    NRW_AUTO_BUF struct buf line;
    buf_init(&line, 1u << 20);
    buf_printf(&line, "%.*s %.*s/%.*s", STR_ARG(review->kind_name),
               STR_ARG(review->name_space), STR_ARG(review->name));
    cli_paint(&run->out, run->colour, PAINT_BOLD, buf_view(&line));
}

/* `before`: the object as it came, NULL where there is none. */
static void write_text(struct run *run, const struct review *review, const json_t *before,
                       const struct verdict *verdict)
{
    struct buf *out = &run->out;
    if (!verdict->mutated.concerned)
        return; /* nothing to say about what no target selects */
    write_heading(run, review);
    if (!str_is_null(verdict->mutated.target)) {
        buf_text(out, " (");
        cli_plain(out, verdict->mutated.target);
        buf_char(out, ')');
    }
    buf_text(out, ": ");
    if (!verdict->allowed)
        cli_paint(out, run->colour, PAINT_ERROR, STR("denied"));
    else
        cli_paint(out, run->colour, PAINT_GOOD,
                  verdict->mutated.patch.size > 0 ? STR("allowed, changed")
                                                  : STR("allowed, unchanged"));
    buf_char(out, '\n');
    for (size_t i = 0; i < findings_count(&verdict->findings); i++) {
        const struct finding *finding = findings_at(&verdict->findings, i);
        cli_finding(out, run->colour, finding->source, finding);
    }
    if (verdict->allowed && verdict->mutated.patch.size > 0)
        write_changes(run, before, &verdict->mutated.decision.patch);
}

static bool write_yaml(struct run *run, const json_t *json, struct err *err)
{
    return buf_text(&run->out, "---\n") && yaml_write(json, &run->out, err);
}

static bool write_diff(struct run *run, const struct review *review, const json_t *before,
                       struct err *err)
{
    NRW_AUTO_BUF struct buf old_text;
    NRW_AUTO_BUF struct buf new_text;
    buf_init(&old_text, OUTPUT_MAXIMUM);
    buf_init(&new_text, OUTPUT_MAXIMUM);
    if (!yaml_write(before, &old_text, err) ||
        !yaml_write(review->object, &new_text, err))
        return false;
    NRW_AUTO_BUF struct buf label;
    buf_init(&label, 1u << 20);
    buf_printf(&label, "%.*s %.*s/%.*s", STR_ARG(review->kind_name),
               STR_ARG(review->name_space), STR_ARG(review->name));
    if (!diff_unified(&run->out, buf_view(&label), buf_view(&old_text),
                      buf_view(&new_text), run->colour))
        return err_set(err, ERR_LIMIT, "the object is too large for a diff");
    return true;
}

/* Findings go to standard error where standard output is for a machine. */
static bool write_findings_aside(const struct review *review, const json_t *before,
                                 const struct verdict *verdict)
{
    struct run aside = {.colour = cli_colour(STDERR_FILENO)};
    buf_init(&aside.out, OUTPUT_MAXIMUM);
    write_text(&aside, review, before, verdict);
    bool good = !aside.out.failed;
    if (good && (!verdict->allowed || findings_count(&verdict->findings) > 0)) {
        ssize_t written = write(STDERR_FILENO, buf_view(&aside.out).p, aside.out.size);
        (void)written;
    }
    buf_done(&aside.out);
    return good;
}

static bool review_one(struct run *run, json_t *json, struct err *err)
{
    bool is_review = manifest_is(json, "admission.k8s.io/v1", "AdmissionReview");
    bool is_deployment = manifest_is(json, "apps/v1", "Deployment");
    if (!is_review && !is_deployment && !manifest_is(json, "v1", "ConfigMap"))
        return run->output != OUTPUT_PATCHED || write_yaml(run, json, err);
    json_t *root = is_review ? json_incref(json) : wrap(run, json, is_deployment);
    json_t *before = NULL;
    NRW_AUTO_REVIEW struct review review = {.root = NULL};
    bool good = root != NULL ? review_from_json(root, &review, err) : err_nomem(err);
    json_decref(root);
    if (good && review.object != NULL) {
        before = json_deep_copy(review.object);
        good = before != NULL || err_nomem(err);
    }
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, DECISION_MAXIMUM);
    struct verdict verdict = {.allowed = false};
    good = good && judge_both(&arena, run, &review, &verdict, err);
    if (good) {
        run->denied = run->denied || !verdict.allowed;
        if (run->output == OUTPUT_JSON)
            write_json(&arena, run, &review, &verdict);
        else if (run->output == OUTPUT_TEXT)
            write_text(run, &review, before, &verdict);
        else
            good = write_findings_aside(&review, before, &verdict) || err_nomem(err);
        if (good && run->output == OUTPUT_PATCHED)
            good = write_yaml(run, review.object != NULL ? review.object : json, err);
        if (good && run->output == OUTPUT_DIFF && before != NULL)
            good = write_diff(run, &review, before, err);
        if (good && (run->out.failed || arena.failed))
            good = err_nomem(err);
    }
    judged_done(&verdict.mutated);
    json_decref(before);
    return good;
}

static struct policy_doc *find_policy(const char *path, const struct manifests *manifests)
{
    if (path != NULL)
        return cli_policy_file(&command, path);
    struct str given = manifests_policy(manifests);
    if (!str_is_null(given))
        return cli_policy_among(
            &command, given,
            str_from(manifests->policy_source, manifests->policy_source_size),
            manifests->policy_file);
    cli_note(&command, "no policy given (-p FILE): the built-in example is used");
    return cli_policy_text(&command, str_of(policy_example), "the example policy");
}

static int review_all(struct run *run, const struct manifests *manifests)
{
    for (size_t i = 0; i < manifests->count; i++) {
        const struct manifest *manifest = &manifests->items[i];
        struct err err = {.code = ERR_NONE};
        if (!review_one(run, manifest->json, &err))
            return cli_trouble(&command, "%s: line %u: %s", manifest->file,
                               manifest->line, err.message);
    }
    if (run->output == OUTPUT_TEXT && run->out.size == 0)
        buf_text(&run->out,
                 "no Deployment or ConfigMap here is a target of the policy\n");
    if (!cli_write(&command, &run->out))
        return CLI_TROUBLE;
    return run->denied ? CLI_NOT_GOOD : CLI_GOOD;
}

static bool read_inputs(const struct cli *cli, const char *policy_path,
                        struct manifests *manifests)
{
    size_t count;
    char **paths = cli_arguments(cli, &count);
    if (!cli_one_stdin(&command, policy_path, paths, count))
        return false;
    if (count == 0)
        return manifests_read(&command, "-", manifests);
    for (size_t i = 0; i < count; i++) {
        if (!manifests_read(&command, paths[i], manifests))
            return false;
    }
    return true;
}

/* What came through a pipe whose other end failed must not look like consent. */
static bool anything_read(const struct manifests *manifests)
{
    if (manifests->documents > 0)
        return true;
    cli_trouble(&command,
                "there is nothing to review: the input is empty; give manifests "
                "or AdmissionReviews");
    return false;
}

int cli_review(int argc, char **argv)
{
    static const char *const outputs[] = {"text", "json", "patched", "diff"};
    const char *policy_path = NULL;
    const char *name_space = NULL;
    unsigned output = OUTPUT_TEXT;
    struct cli cli;
    const char *value;
    int option;
    cli_init(&cli, &command, argc, argv);
    while ((option = cli_next(&cli, &value)) != CLI_END) {
        if (option == CLI_HELP)
            return CLI_GOOD;
        if (option == CLI_BAD)
            return CLI_TROUBLE;
        if (option == OPT_POLICY)
            policy_path = value;
        else if (option == OPT_NAMESPACE)
            name_space = value;
        else if (!cli_choice(&command, "-o", value, outputs, NRW_COUNT(outputs), &output))
            return CLI_TROUBLE;
    }
    NRW_AUTO_MANIFESTS struct manifests manifests = {.items = NULL};
    if (!read_inputs(&cli, policy_path, &manifests) || !anything_read(&manifests))
        return CLI_TROUBLE;
    NRW_AUTO_POLICY_DOC struct policy_doc *doc = find_policy(policy_path, &manifests);
    if (doc == NULL)
        return CLI_TROUBLE;
    struct run run = {
        .output = (enum output)output,
        .colour = cli_colour(STDOUT_FILENO),
        .policy = doc->policy,
        .name_space =
            name_space != NULL ? str_of(name_space) : doc->policy->targets[0].name_space,
    };
    NRW_AUTO_CONFIG_MAPS struct config_maps *maps =
        manifests_config_maps(&manifests, run.name_space);
    if (maps == NULL)
        return cli_trouble(&command, "out of memory");
    run.config_maps = maps;
    buf_init(&run.out, OUTPUT_MAXIMUM);
    int result = review_all(&run, &manifests);
    buf_done(&run.out);
    return result;
}
