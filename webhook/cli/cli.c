/* What the verbs share; see cli.h. */
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy/suggest.h"
#include "util/file.h"
#include "util/utf8.h"

/* Ids above any character, so that a short option and an id are never mixed up. */
#define ID_BASE   0x1000
#define OPT_HELP  (ID_BASE - 1)
#define HELP_WIDE 26

/* --- the name ------------------------------------------------------------------------
 */

static const char *program = CLI_PROGRAM;

void cli_set_program(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');
    const char *base = slash != NULL ? slash + 1 : argv0;
    program = strcmp(base, "kubectl-nvcf_registry") == 0 ? CLI_PLUGIN : CLI_PROGRAM;
}

const char *cli_program(void)
{
    return program;
}

/* Prints help with CLI_PROGRAM as the name of a command replaced;
 * "nvcf-registry-webhook/v1" stays. */
static void print_named(const char *text)
{
    const size_t n = sizeof(CLI_PROGRAM " ") - 1;
    const char *found;
    while ((found = strstr(text, CLI_PROGRAM " ")) != NULL) {
        printf("%.*s%s ", (int)(found - text), text, program);
        text = found + n;
    }
    fputs(text, stdout);
}

/* --- complaints -----------------------------------------------------------------------
 */

static void clean(char *text)
{
    for (size_t n; *text != '\0'; text += n > 0 ? n : 1) {
        n = utf8_control(str_of(text));
        memset(text, '?', n);
    }
}

static NRW_PRINTF(2, 0) void complain(const struct cli_command *command, const char *fmt,
                                      va_list args)
{
    char text[2048];
    vsnprintf(text, sizeof(text), fmt, args);
    clean(text);
    fprintf(stderr, "%s%s%s: %s\n", program, command != NULL ? " " : "",
            command != NULL ? command->name : "", text);
}

int cli_trouble(const struct cli_command *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    complain(command, fmt, args);
    va_end(args);
    return CLI_TROUBLE;
}

void cli_note(const struct cli_command *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    complain(command, fmt, args);
    va_end(args);
}

/* --- options --------------------------------------------------------------------------
 */

struct tables {
    struct option longs[CLI_MAX_OPTIONS + 2];
    char shorts[2 * CLI_MAX_OPTIONS + 8];
};

static void make_tables(const struct cli_command *command, struct tables *tables)
{
    size_t n =
        command->option_count < CLI_MAX_OPTIONS ? command->option_count : CLI_MAX_OPTIONS;
    size_t s = 0;
    *tables = (struct tables){0};
    tables->shorts[s++] = ':'; /* a missing value is ':' and not '?' */
    tables->shorts[s++] = 'h';
    for (size_t i = 0; i < n; i++) {
        const struct cli_option *option = &command->options[i];
        tables->longs[i] = (struct option){
            .name = option->name,
            .has_arg = option->value != NULL ? required_argument : no_argument,
            .val = ID_BASE + (int)i};
        if (option->letter == '\0')
            continue;
        tables->shorts[s++] = option->letter;
        if (option->value != NULL)
            tables->shorts[s++] = ':';
    }
    tables->longs[n] = (struct option){.name = "help", .val = OPT_HELP};
}

/* By what getopt returns: an id of ours, or a letter. */
static const struct cli_option *find_option(const struct cli_command *command, int got)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *option = &command->options[i];
        if (got == ID_BASE + (int)i || (got != 0 && got == option->letter))
            return option;
    }
    return NULL;
}

static int wrong_long(const struct cli_command *command, const char *argument)
{
    const char *names[CLI_MAX_OPTIONS + 1];
    size_t n = 0;
    for (; n < command->option_count && n < CLI_MAX_OPTIONS; n++)
        names[n] = command->options[n].name;
    names[n++] = "help";
    struct str name = str_skip(str_of(argument), 2);
    name = str_first(name, str_index(name, 0, '='));
    const char *near = suggest(name, names, n);
    if (near != NULL)
        cli_trouble(command, "unknown option --%.*s; did you mean --%s?", STR_ARG(name),
                    near);
    else
        cli_trouble(command, "unknown option --%.*s; %s %s --help lists what there is",
                    STR_ARG(name), program, command->name);
    return CLI_BAD;
}

static int wrong(const struct cli *cli, int got)
{
    const struct cli_command *command = cli->command;
    const struct cli_option *option = find_option(command, optopt);
    if (got == ':' && option != NULL) {
        cli_trouble(command, "option --%s needs a value: --%s %s", option->name,
                    option->name, option->value);
        return CLI_BAD;
    }
    if (optopt == OPT_HELP || option != NULL) { /* a long one with "=value" */
        cli_trouble(command, "option --%s takes no value",
                    option != NULL ? option->name : "help");
        return CLI_BAD;
    }
    if (optopt != 0) {
        cli_trouble(command, "unknown option -%c; %s %s --help lists what there is",
                    optopt, program, command->name);
        return CLI_BAD;
    }
    return wrong_long(command, optind > 0 ? cli->argv[optind - 1] : "--");
}

void cli_init(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    *cli = (struct cli){command, argc, argv};
    opterr = 0;
    optind = 0; /* glibc: start anew, whatever an earlier walk left */
}

int cli_next(struct cli *cli, const char **ret_value)
{
    struct tables tables;
    make_tables(cli->command, &tables);
    *ret_value = NULL;
    int got = getopt_long(cli->argc, cli->argv, tables.shorts, tables.longs, NULL);
    if (got == -1)
        return CLI_END;
    if (got == 'h' || got == OPT_HELP) {
        return cli_print_help(cli->command) ? CLI_HELP : CLI_BAD;
    }
    const struct cli_option *option =
        got == '?' || got == ':' ? NULL : find_option(cli->command, got);
    if (option == NULL)
        return wrong(cli, got);
    *ret_value = option->value != NULL ? optarg : NULL;
    if (*ret_value != NULL && **ret_value == '\0') {
        cli_trouble(cli->command, "option --%s has an empty value: --%s %s", option->name,
                    option->name, option->value);
        return CLI_BAD;
    }
    return option->id;
}

char **cli_arguments(const struct cli *cli, size_t *ret_count)
{
    *ret_count = optind < cli->argc ? (size_t)(cli->argc - optind) : 0;
    return cli->argv + optind;
}

bool cli_choice(const struct cli_command *command, const char *option, const char *value,
                const char *const *words, size_t count, unsigned *ret_index)
{
    char list[256] = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(value, words[i]) == 0) {
            *ret_index = (unsigned)i;
            return true;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    const char *near = suggest(str_of(value), words, count);
    if (near != NULL)
        cli_trouble(command, "%s %s is not known; did you mean %s? (%s)", option, value,
                    near, list);
    else
        cli_trouble(command, "%s %s is not known; use one of: %s", option, value, list);
    return false;
}

int cli_format(struct cli *cli, const char *const *formats, size_t count,
               unsigned *ret_index)
{
    const char *value;
    int got;
    while ((got = cli_next(cli, &value)) > 0) {
        if (!cli_choice(cli->command, "-o", value, formats, count, ret_index))
            return CLI_BAD;
    }
    return got;
}

/* --- help -----------------------------------------------------------------------------
 */

static void help_option(char letter, const char *name, const char *value,
                        const char *help)
{
    char left[128];
    char shown[4] = "  ";
    if (letter != '\0')
        snprintf(shown, sizeof(shown), "-%c", letter);
    snprintf(left, sizeof(left), "  %s%s --%s%s%s", shown, letter != '\0' ? "," : " ",
             name, value != NULL ? " " : "", value != NULL ? value : "");
    if (strlen(left) < HELP_WIDE)
        printf("%-*s", HELP_WIDE, left);
    else
        printf("%s\n%*s", left, HELP_WIDE, "");
    for (const char *p = help; *p != '\0'; p++) {
        putchar(*p);
        if (*p == '\n')
            printf("%*s", HELP_WIDE, "");
    }
    putchar('\n');
}

bool cli_printed(const struct cli_command *command)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return true;
    cli_trouble(command, "cannot write to standard output: %s",
                strerror(errno)); /* one thread: strerror will do */
    return false;
}

bool cli_print_help(const struct cli_command *command)
{
    printf("Usage: %s %s [OPTIONS]%s%s\n\n%s\n\nOptions:\n", program, command->name,
           command->arguments[0] != '\0' ? " " : "", command->arguments,
           command->summary);
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *option = &command->options[i];
        help_option(option->letter, option->name, option->value, option->help);
    }
    help_option('h', "help", NULL, "print this and exit");
    if (command->details != NULL) {
        putchar('\n');
        print_named(command->details);
    }
    return cli_printed(command);
}

/* --- reading and writing --------------------------------------------------------------
 */

bool cli_read(const struct cli_command *command, const char *path, struct buf *out)
{
    struct err err = {0};
    if (file_read(path, out, &err))
        return true;
    cli_trouble(command, "%s", err.message);
    return false;
}

bool cli_one_stdin(const struct cli_command *command, const char *policy,
                   char *const *paths, size_t count)
{
    bool policy_too = policy != NULL && strcmp(policy, "-") == 0;
    size_t times = 0;
    for (size_t i = 0; i < count; i++)
        times += strcmp(paths[i], "-") == 0;
    const char *instead = times > 1                  ? "only one FILE can be -"
                          : policy_too && times > 0  ? "only one of -p and FILE can be -"
                          : policy_too && count == 0 ? "-p is -, so give a FILE"
                                                     : NULL;
    if (instead != NULL)
        cli_trouble(command, "standard input can be read only once: %s", instead);
    return instead == NULL;
}

bool cli_one_of_stdin(const struct cli_command *command, const char *names,
                      const char *const *paths, size_t count)
{
    size_t times = 0;
    for (size_t i = 0; i < count; i++)
        times += paths[i] != NULL && strcmp(paths[i], "-") == 0;
    if (times > 1)
        cli_trouble(command,
                    "standard input can be read only once: only one of %s can be -",
                    names);
    return times <= 1;
}

bool cli_write(const struct cli_command *command, struct buf *out)
{
    if (out->failed) {
        cli_trouble(command,
                    out->over_limit ? "the output is too large" : "out of memory");
        return false;
    }
    const char *p = out->data;
    size_t left = out->size;
    fflush(stdout);
    while (left > 0) {
        ssize_t n = write(STDOUT_FILENO, p, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            cli_trouble(command, "cannot write to standard output: %s",
                        strerror(errno)); /* one thread: strerror will do */
            return false;
        }
        p += n;
        left -= (size_t)n;
    }
    buf_clear(out);
    return true;
}

/* --- for people -----------------------------------------------------------------------
 */

bool cli_colour(int fd)
{
    const char *no = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(fd) == 1 && (no == NULL || *no == '\0') && terminal != NULL &&
           strcmp(terminal, "dumb") != 0;
}

void cli_plain(struct buf *out, struct str text)
{
    for (size_t i = 0, n; i<text.n; i += n> 0 ? n : 1) {
        n = utf8_control(str_skip(text, i));
        buf_char(out, n > 0 ? '?' : text.p[i]);
    }
}

void cli_paint(struct buf *out, bool colour, enum cli_paint paint, struct str text)
{
    static const char *const codes[] = {[PAINT_ERROR] = "1;31",
                                        [PAINT_WARNING] = "1;33",
                                        [PAINT_INFO] = "36",
                                        [PAINT_GOOD] = "32",
                                        [PAINT_BOLD] = "1"};
    if (colour)
        buf_printf(out, "\x1b[%sm", codes[paint]);
    cli_plain(out, text);
    if (colour)
        buf_text(out, "\x1b[0m");
}

void cli_finding(struct buf *out, bool colour, struct str place,
                 const struct finding *finding)
{
    enum cli_paint paint = finding->severity == SEVERITY_ERROR     ? PAINT_ERROR
                           : finding->severity == SEVERITY_WARNING ? PAINT_WARNING
                                                                   : PAINT_INFO;
    if (place.n > 0) {
        cli_paint(out, colour, PAINT_BOLD, place);
        buf_text(out, ": ");
    }
    cli_paint(out, colour, paint, str_of(severity_name(finding->severity)));
    buf_printf(out, ": %s: ", finding_name(finding->id));
    cli_plain(out, finding->message);
    buf_char(out, '\n');
    if (finding->advice.n == 0)
        return;
    buf_text(out, "    ");
    cli_plain(out, finding->advice);
    buf_char(out, '\n');
}
