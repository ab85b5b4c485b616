/* `explain`: what the API makes of an environment variable. The names are read as Spring
 * reads them, and the variables are judged together, as a ConfigMap that held just them
 * would be. Main thread. */
#include <unistd.h>

#include "admit/render.h"
#include "cli/policy_arg.h"
#include "core/decide.h"
#include "core/sources.h"
#include "core/spring.h"
#include "util/strmap.h"

#define OUTPUT_MAXIMUM (64u * 1024u * 1024u)

enum { OPT_POLICY = 1, OPT_OUTPUT };
enum { OUTPUT_TEXT, OUTPUT_JSON };

static const struct cli_option options[] = {
    {OPT_POLICY, 'p', "policy-file", "FILE",
     "judge by this policy (default: an empty one, so that every\n"
     "custom registry is unlisted)"},
    {OPT_OUTPUT, 'o', "output", "FORMAT",
     "text (default)\njson: one object per variable, one per line"},
};

static const struct cli_command command = {
    .name = "explain",
    .arguments = "NAME[=VALUE]...",
    .summary =
        "Says what the NVCF API makes of environment variables: artifact type, key, "
        "property, built-in or custom, and the verdict with its reason.",
    .options = options,
    .option_count = NRW_COUNT(options),
    .details =
        "The variables are judged together, as one ConfigMap behind envFrom, so each may "
        "be\n"
        "given once. A value that is not given counts as one that cannot be read.\n"
        "\n"
        "Exit codes: 0 allowed, 1 something is denied, 2 something could not be read.\n"
        "\n"
        "Examples:\n"
        "  " CLI_PROGRAM " explain NVCF_REGISTRIES_RECOGNIZED_CONTAINER_ECRPUBLIC_NAME\n"
        "  " CLI_PROGRAM
        " explain NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_NAME=GitHub \\\n"
        "      NVCF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_HOSTNAME=ghcr.io\n",
};

/* The two services, whatever the policy's targets are: a variable tells which it is for.
 */
static const struct str prefixes[] = {STR("NVCF"), STR("NVCT")};

static const char empty_policy[] =
    "apiVersion: " POLICY_API_VERSION "\nkind: " POLICY_KIND "\n";

struct question {
    struct str name, value;
    bool has_value;
    bool concerns;
    size_t prefix;
    struct spring_var var;
};

static void ask(struct arena *arena, const char *argument, struct question *question)
{
    struct str text = str_of(argument);
    size_t equals = str_index(text, 0, '=');
    *question = (struct question){
        .name = str_first(text, equals),
        .value = str_skip(text, equals + 1),
        .has_value = equals < text.n,
    };
    for (size_t i = 0; i < NRW_COUNT(prefixes) && !question->concerns; i++) {
        question->prefix = i;
        question->concerns =
            spring_parse(arena, prefixes[i], question->name, true, &question->var);
    }
}

/* False, and said: out of memory, or a name twice. A ConfigMap cannot hold that, so which
 * of the two values is meant cannot be told. */
static bool ask_all(struct arena *arena, char **arguments, size_t count,
                    struct question *questions)
{
    struct strmap names = {.slots = NULL};
    strmap_reserve(arena, &names, count);
    for (size_t i = 0; i < count; i++) {
        bool fresh = false;
        ask(arena, arguments[i], &questions[i]);
        if (strmap_put(arena, &names, questions[i].name, i, &fresh) == NULL) {
            cli_trouble(&command, "out of memory");
            return false;
        }
        if (!fresh) {
            cli_trouble(&command, "%.*s is given twice: give each variable once",
                        STR_ARG(questions[i].name));
            return false;
        }
    }
    return true;
}

/* What is named below the key, as Spring writes it: "reg.name" for MY_REG_NAME. */
static struct str below_key(struct arena *arena, const struct question *question)
{
    struct spring_name name;
    struct spring_name rest = {.n = 0};
    enum artifact artifact;
    if (!spring_path(arena, prefixes[question->prefix], question->name, true, &name,
                     &artifact))
        return STR("");
    for (size_t i = 5; i < name.n; i++)
        rest.e[rest.n++] = name.e[i];
    return spring_name_spell(arena, &rest, SPRING_FORM_DOTTED);
}

/* What binding does with it, in one sentence, which tests/spring has from Spring itself:
 * the two are compared word for word. */
static struct str effect(struct arena *arena, const struct question *question)
{
    const struct spring_var *var = &question->var;
    if (!question->concerns && sources_brings_properties(question->name))
        return STR("another source of properties, which the API reads");
    if (str_eq(question->name, STR("REMOTE_CONFIG_NAME")))
        return STR("names the ConfigMap of the remote configuration, which outranks the "
                   "environment");
    if (!question->concerns)
        return STR("ignored: it does not name a recognised registry of the API");
    switch (var->property) {
    case SPRING_NAME:
    case SPRING_HOSTNAME:
    case SPRING_TUNING:
        return arena_printf(arena, "sets %.*s of %s entry \"%.*s\"",
                            STR_ARG(var->property_text), artifact_name(var->artifact),
                            STR_ARG(var->map_key));
    case SPRING_OBJECT:
        return arena_printf(arena,
                            "gives %.*s of \"%.*s\" a value, but it has properties",
                            STR_ARG(var->property_text), STR_ARG(var->map_key));
    case SPRING_SCALAR:
        return arena_printf(arena, "gives the entry \"%.*s\" itself a value",
                            STR_ARG(var->map_key));
    case SPRING_UNKNOWN:
        break;
    }
    return arena_printf(arena, "ignored: \"%.*s\" has no property \"%.*s\"",
                        STR_ARG(var->map_key), STR_ARG(below_key(arena, question)));
}

static bool is_about(const struct finding *finding, const struct question *question)
{
    if (finding->id == FINDING_OPAQUE_SOURCE && !question->has_value)
        return false; /* that it cannot be read is the user's choice */
    static const struct str data = STR("data.");
    return str_starts(finding->path, data) &&
           str_eq(str_skip(finding->path, data.n), question->name);
}

static bool has_message(const struct findings *findings, struct str message)
{
    for (size_t i = 0; i < findings_count(findings); i++) {
        if (str_eq(findings_at(findings, i)->message, message))
            return true;
    }
    return false;
}

/* What both services' judgements say of it: a variable that brings in properties may set
 * registries of either. */
static struct findings about(struct arena *arena, const struct question *question,
                             const struct decision *decisions)
{
    struct findings found = {.list = {.items = NULL}};
    for (size_t i = 0; i < NRW_COUNT(prefixes); i++) {
        for (size_t k = 0; k < findings_count(&decisions[i].findings); k++) {
            const struct finding *finding = findings_at(&decisions[i].findings, k);
            if (is_about(finding, question) && !has_message(&found, finding->message))
                findings_copy(arena, &found, finding);
        }
    }
    findings_sort(arena, &found);
    return found;
}

static void write_json(struct arena *arena, struct buf *out,
                       const struct question *question, const struct findings *findings)
{
    const struct spring_var *var = &question->var;
    bool denied = false;
    bool first = true;
    buf_text(out, "{\"variable\":");
    buf_json_string(out, question->name);
    if (question->concerns) {
        buf_printf(out, ",\"service\":\"%.*s\",\"type\":\"%s\",\"key\":",
                   STR_ARG(prefixes[question->prefix]), artifact_name(var->artifact));
        buf_json_string(out, var->key);
        buf_text(out, ",\"mapKey\":");
        buf_json_string(out, var->map_key);
        buf_text(out, ",\"property\":");
        buf_json_string(out, var->property_text);
        buf_printf(out, ",\"builtin\":%s", var->builtin != NULL ? "true" : "false");
    } else {
        buf_text(out, ",\"service\":null,\"type\":null,\"key\":null,\"mapKey\":null,"
                      "\"property\":null,\"builtin\":false");
    }
    buf_text(out, ",\"effect\":");
    buf_json_string(out, effect(arena, question));
    buf_text(out, ",\"findings\":[");
    for (size_t i = 0; i < findings_count(findings); i++) {
        const struct finding *finding = findings_at(findings, i);
        if (!first)
            buf_char(out, ',');
        first = false;
        denied = denied || finding->severity == SEVERITY_ERROR;
        render_finding_json(out, finding);
    }
    buf_printf(out, "],\"allowed\":%s}\n", denied ? "false" : "true");
}

static void write_text(struct arena *arena, struct buf *out, bool colour,
                       const struct question *question, const struct findings *findings)
{
    const struct spring_var *var = &question->var;
    cli_paint(out, colour, PAINT_BOLD, question->name);
    buf_char(out, '\n');
    if (question->concerns) {
        buf_printf(out, "  service   %.*s\n  type      %s\n  key       ",
                   STR_ARG(prefixes[question->prefix]), artifact_name(var->artifact));
        cli_plain(out, var->map_key);
        if (var->builtin != NULL) {
            buf_printf(out, " (built-in: %.*s", STR_ARG(var->builtin->name));
            if (builtin_has_host(var->builtin))
                buf_printf(out, ", %.*s", STR_ARG(var->builtin->hostname));
            buf_char(out, ')');
        } else {
            buf_text(out, " (custom)");
        }
        buf_text(out, "\n  property  ");
        cli_plain(out, var->property_text);
        buf_char(out, '\n');
    }
    buf_text(out, "  effect    ");
    cli_plain(out, effect(arena, question));
    buf_text(out, "\n  verdict   ");
    bool any = false;
    for (size_t i = 0; i < findings_count(findings); i++) {
        const struct finding *finding = findings_at(findings, i);
        if (!any)
            cli_paint(out, colour,
                      finding->severity == SEVERITY_ERROR ? PAINT_ERROR : PAINT_GOOD,
                      finding->severity == SEVERITY_ERROR ? STR("denied")
                                                          : STR("allowed"));
        if (!any)
            buf_char(out, '\n');
        any = true;
        cli_finding(out, colour, STR(""), finding);
    }
    if (!any) {
        cli_paint(out, colour, PAINT_GOOD, STR("allowed"));
        buf_char(out, '\n');
    }
}

/* The variables of one service, judged as a ConfigMap of theirs. */
static bool judge_service(struct arena *arena, const struct policy *policy, size_t prefix,
                          const struct question *questions, size_t count,
                          struct decision *ret_decision)
{
    struct kv *data = ARENA_ARRAY(arena, struct kv, count);
    if (data == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (questions[i].prefix == prefix || !questions[i].concerns)
            data[n++] = (struct kv){questions[i].name, questions[i].has_value
                                                           ? questions[i].value
                                                           : STR("${unknown}")};
    }
    const struct config_map map = {STR(""), STR("the arguments"), data, n};
    const struct config_map_input input = {.prefix = prefixes[prefix],
                                           .config_map = &map};
    bool concerned;
    return decide_config_map(arena, policy, &input, ret_decision, &concerned);
}

static int explain(const struct policy *policy, char **arguments, size_t count,
                   unsigned output)
{
    NRW_AUTO_ARENA struct arena arena;
    NRW_AUTO_BUF struct buf out;
    arena_init(&arena, OUTPUT_MAXIMUM);
    buf_init(&out, OUTPUT_MAXIMUM);
    struct question *questions = ARENA_ARRAY(&arena, struct question, count);
    if (questions == NULL)
        return cli_trouble(&command, "out of memory");
    if (!ask_all(&arena, arguments, count, questions))
        return CLI_TROUBLE;
    struct decision decisions[NRW_COUNT(prefixes)];
    bool denied = false;
    for (size_t i = 0; i < NRW_COUNT(prefixes); i++) {
        if (!judge_service(&arena, policy, i, questions, count, &decisions[i]))
            return cli_trouble(&command, "out of memory");
        denied = denied || !decisions[i].allowed;
    }
    for (size_t i = 0; i < count; i++) {
        const struct findings findings = about(&arena, &questions[i], decisions);
        if (output == OUTPUT_JSON)
            write_json(&arena, &out, &questions[i], &findings);
        else
            write_text(&arena, &out, cli_colour(STDOUT_FILENO), &questions[i], &findings);
    }
    if (arena.failed)
        return cli_trouble(&command, "out of memory");
    if (!cli_write(&command, &out))
        return CLI_TROUBLE;
    return denied ? CLI_NOT_GOOD : CLI_GOOD;
}

int cli_explain(int argc, char **argv)
{
    static const char *const outputs[] = {"text", "json"};
    const char *policy_path = NULL;
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
        else if (!cli_choice(&command, "-o", value, outputs, NRW_COUNT(outputs), &output))
            return CLI_TROUBLE;
    }
    size_t count;
    char **arguments = cli_arguments(&cli, &count);
    if (count == 0)
        return cli_trouble(&command,
                           "no variable given; write explain NAME[=VALUE]..., or --help");
    for (size_t i = 0; i < count; i++) {
        if (arguments[i][0] == '\0' || arguments[i][0] == '=')
            return cli_trouble(&command,
                               "\"%s\" has no variable's name: write NAME=VALUE",
                               arguments[i]);
    }
    NRW_AUTO_POLICY_DOC struct policy_doc *doc =
        policy_path != NULL
            ? cli_policy_file(&command, policy_path)
            : cli_policy_text(&command, str_of(empty_policy), "the empty policy");
    return doc == NULL ? CLI_TROUBLE : explain(doc->policy, arguments, count, output);
}
