/* `version`: what this build is and which libraries it runs with. Main thread. */
#include "app/version.h"
#include "cli/cli.h"

enum { OPT_OUTPUT = 1 };
enum { OUTPUT_TEXT, OUTPUT_JSON };

static const struct cli_option options[] = {
    {OPT_OUTPUT, 'o', "output", "FORMAT", "text (default) or json"},
};

static const struct cli_command command = {
    .name = "version",
    .arguments = "",
    .summary = "Prints version, commit and the versions of the libraries in use.",
    .options = options,
    .option_count = NRW_COUNT(options),
};

int cli_version(int argc, char **argv)
{
    static const char *const formats[] = {"text", "json"};
    unsigned format = OUTPUT_TEXT;
    struct cli cli;
    cli_init(&cli, &command, argc, argv);
    int end = cli_format(&cli, formats, NRW_COUNT(formats), &format);
    if (end != CLI_END)
        return end == CLI_HELP ? CLI_GOOD : CLI_TROUBLE;
    size_t count;
    char **arguments = cli_arguments(&cli, &count);
    if (count > 0)
        return cli_trouble(&command, "unexpected argument %s: version takes none",
                           arguments[0]);
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 1u << 16);
    if (format == OUTPUT_JSON) {
        version_json(&out);
    } else {
        struct version_part parts[VERSION_PARTS];
        version_libraries(parts);
        buf_printf(&out, CLI_PROGRAM " %s (commit %s)\n", version_number, version_commit);
        for (size_t i = 0; i < VERSION_PARTS; i++)
            buf_printf(&out, "  %-14s %s\n", parts[i].name, parts[i].number);
    }
    return cli_write(&command, &out) ? CLI_GOOD : CLI_TROUBLE;
}
