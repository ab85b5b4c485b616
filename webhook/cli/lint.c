/* `lint`: is this policy good? Says every problem with line and column, all in one run,
 * as a compiler would, or as JSON with one object per file. Main thread. */
#include <unistd.h>

#include "admit/render.h"
#include "cli/cli.h"
#include "policy/policy_file.h"

enum { OPT_OUTPUT = 1 };
enum { OUTPUT_TEXT, OUTPUT_JSON };

static const struct cli_option options[] = {
    {OPT_OUTPUT, 'o', "output", "FORMAT",
     "text (default): FILE:LINE:COLUMN: error: Finding: message, and advice\n"
     "json: one object per file, one per line"},
};

static const struct cli_command command = {
    .name = "lint",
    .arguments = "[FILE...|-]",
    .summary =
        "Checks policies, bare or inside their ConfigMap, and says line and column "
        "of every problem.",
    .options = options,
    .option_count = NRW_COUNT(options),
    .details =
        "Without a file, or with -, standard input is read. YAML and JSON are accepted.\n"
        "A ConfigMap is recognised by its data key policy.yaml; it may stand among "
        "other\n"
        "documents, as `helm template` prints them.\n"
        "\n"
        "Exit codes: 0 every policy is valid, 1 at least one is not, 2 something could "
        "not\n"
        "be read.\n"
        "\n"
        "Examples:\n"
        "  " CLI_PROGRAM " lint policy.yaml\n"
        "  helm template webhook chart/ | " CLI_PROGRAM " lint -o json -\n",
};

static void write_text(struct buf *out, bool colour, const char *file,
                       const struct policy_doc *doc)
{
    size_t n = findings_count(&doc->findings);
    for (size_t i = 0; i < n; i++) {
        const struct finding *finding = findings_at(&doc->findings, i);
        NRW_AUTO_BUF struct buf place;
        buf_init(&place, 1u << 16);
        buf_text(&place, file);
        if (finding->line > 0)
            buf_printf(&place, ":%u:%u", finding->line, finding->column);
        out->failed = out->failed || place.failed;
        cli_finding(out, colour, buf_view(&place), finding);
    }
    cli_paint(out, colour, PAINT_BOLD, str_of(file));
    buf_text(out, ": ");
    if (doc->policy == NULL) {
        cli_paint(out, colour, PAINT_ERROR, STR("not valid"));
        buf_printf(out, ", %zu problem%s\n", n, n == 1 ? "" : "s");
        return;
    }
    cli_paint(out, colour, PAINT_GOOD, STR("valid"));
    buf_printf(out, ", %zu registr%s, %zu target%s, hash %s\n",
               doc->policy->registry_count,
               doc->policy->registry_count == 1 ? "y" : "ies", doc->policy->target_count,
               doc->policy->target_count == 1 ? "" : "s", doc->policy->hash);
}

static void write_json(struct buf *out, const char *file, const struct policy_doc *doc)
{
    buf_text(out, "{\"file\":");
    buf_json_string(out, str_of(file));
    buf_printf(out, ",\"valid\":%s,\"hash\":", doc->policy != NULL ? "true" : "false");
    if (doc->policy != NULL)
        buf_json_string(out, str_of(doc->policy->hash));
    else
        buf_text(out, "null");
    buf_printf(out, ",\"registries\":%zu,\"findings\":[", doc->registry_count);
    for (size_t i = 0; i < findings_count(&doc->findings); i++) {
        if (i > 0)
            buf_char(out, ',');
        render_finding_json_in(out, findings_at(&doc->findings, i), str_of(file));
    }
    buf_text(out, "]}\n");
}

static int lint_file(const char *path, unsigned format)
{
    NRW_AUTO_BUF struct buf text;
    NRW_AUTO_BUF struct buf out;
    buf_init(&text, POLICY_FILE_MAX_BYTES);
    buf_init(&out, 64u << 20);
    if (!cli_read(&command, path, &text))
        return CLI_TROUBLE;
    struct err err = {0};
    NRW_AUTO_POLICY_DOC struct policy_doc *doc = policy_file_parse(buf_view(&text), &err);
    if (doc == NULL)
        return cli_trouble(&command, "%s: %s", path, err.message);
    const char *file = strcmp(path, "-") == 0 ? "<stdin>" : path;
    if (format == OUTPUT_JSON)
        write_json(&out, file, doc);
    else
        write_text(&out, cli_colour(STDOUT_FILENO), file, doc);
    if (!cli_write(&command, &out))
        return CLI_TROUBLE;
    return doc->policy != NULL ? CLI_GOOD : CLI_NOT_GOOD;
}

int cli_lint(int argc, char **argv)
{
    static const char *const formats[] = {"text", "json"};
    unsigned format = OUTPUT_TEXT;
    struct cli cli;
    cli_init(&cli, &command, argc, argv);
    int end = cli_format(&cli, formats, NRW_COUNT(formats), &format);
    if (end != CLI_END)
        return end == CLI_HELP ? CLI_GOOD : CLI_TROUBLE;
    size_t count;
    char **files = cli_arguments(&cli, &count);
    if (count == 0)
        return lint_file("-", format);
    if (!cli_one_stdin(&command, NULL, files, count))
        return CLI_TROUBLE;
    int worst = CLI_GOOD;
    for (size_t i = 0; i < count; i++) {
        int code = lint_file(files[i], format);
        if (code > worst)
            worst = code;
    }
    return worst;
}
