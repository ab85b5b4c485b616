/* What the verbs share: options, help, one-line complaints, output that notices a full
 * disk, colour only for people. Main thread only, before any other is started (getopt
 * keeps state).
 *
 * A verb's file has a `struct cli_command`, walks its options with cli_next(), and
 * returns one of the exit codes. Nothing here exits. */
#ifndef NRW_CLI_CLI_H
#define NRW_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "core/finding.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

#define CLI_PROGRAM "nvcf-registry-webhook"
#define CLI_PLUGIN  "kubectl nvcf-registry" /* its name as a kubectl plugin */

/* What the user typed to get here: CLI_PROGRAM, or CLI_PLUGIN when argv[0] says so. Set
 * once, by main. Texts of a `struct cli_command` may say CLI_PROGRAM: help replaces it.
 */
void cli_set_program(const char *argv0);
const char *cli_program(void);

/* Exit codes, as interface.md has them. */
#define CLI_GOOD     0 /* good */
#define CLI_NOT_GOOD 1 /* looked at, and not good: denied, invalid, drift */
#define CLI_TROUBLE  2 /* could not be looked at: usage, unreadable, unreachable */

/* The verbs. argv[0] is the verb's name. Each returns an exit code. */
int cli_serve(int argc, char **argv);
int cli_review(int argc, char **argv);
int cli_lint(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_certs(int argc, char **argv);
int cli_version(int argc, char **argv);

struct cli_option {
    int id;            /* what cli_next() returns: above 0, unique in the command */
    char letter;       /* its short form, or '\0' */
    const char *name;  /* its long form, without dashes */
    const char *value; /* what follows, for the help: "FILE"; NULL when nothing does */
    const char *help;  /* may hold newlines; they are indented */
};

struct cli_command {
    const char *name;                 /* "lint", or "certs issue" */
    const char *arguments;            /* "[FILE…|-]"; "" when there are none */
    const char *summary;              /* one sentence */
    const struct cli_option *options; /* --help and -h are added by themselves */
    size_t option_count;
    const char *details; /* examples, exit codes; ends with a newline; may be NULL */
};

#define CLI_MAX_OPTIONS 40u

struct cli {
    const struct cli_command *command;
    int argc;
    char **argv;
};

#define CLI_END  0  /* options are over: the arguments are cli_arguments() */
#define CLI_HELP -1 /* --help was given and printed: return CLI_GOOD */
#define CLI_BAD  -2 /* a wrong option, and said so: return CLI_TROUBLE */

void cli_init(struct cli *cli, const struct cli_command *command, int argc, char **argv);
/* The next option's id, or one of the above. `ret_value` is the text after it, or NULL.
 * Options and arguments may be mixed; "--" ends the options. */
int cli_next(struct cli *cli, const char **ret_value);
/* What is left after CLI_END; the count in ret_count. */
char **cli_arguments(const struct cli *cli, size_t *ret_count);

/* False, and said in one line, when standard output did not take it. */
bool cli_print_help(const struct cli_command *command);
/* The same after what was printed by other means (stdio). */
bool cli_printed(const struct cli_command *command);

/* Prints "nvcf-registry-webhook NAME: …" and a newline on standard error; control
 * characters are shown as "?". Returns CLI_TROUBLE. `command` NULL: without a name. */
int cli_trouble(const struct cli_command *command, const char *fmt, ...) NRW_PRINTF(2, 3);

/* The same for what is worth knowing and no trouble. */
void cli_note(const struct cli_command *command, const char *fmt, ...) NRW_PRINTF(2, 3);

/* The index of `value` among `words`; false, and said in one line with the nearest word,
 * when it is none of them. `option` as the user wrote it: "-o". */
bool cli_choice(const struct cli_command *command, const char *option, const char *value,
                const char *const *words, size_t count, unsigned *ret_index);

/* Walks the options of a verb whose only one is -o FORMAT. CLI_END, CLI_HELP or CLI_BAD.
 */
int cli_format(struct cli *cli, const char *const *formats, size_t count,
               unsigned *ret_index);

/* Reads a file or "-" (standard input) into `out`, whose maximum is the limit. False, and
 * said in one line. */
bool cli_read(const struct cli_command *command, const char *path, struct buf *out);

/* False, and said in one line, when "-" is named more than once: by the value of -p
 * (`policy`, NULL when there is none) and the paths, where no path means "-" as well. */
bool cli_one_stdin(const struct cli_command *command, const char *policy,
                   char *const *paths, size_t count);

/* The same of what `count` options say, NULL where one was not given: only one of `names`
 * can be "-". */
bool cli_one_of_stdin(const struct cli_command *command, const char *names,
                      const char *const *paths, size_t count);

/* Writes the buffer to standard output and empties it. False, and said in one line, when
 * the buffer had failed or the other side does not take it (a closed pipe, a full disk).
 */
bool cli_write(const struct cli_command *command, struct buf *out);

/* Colour: on a terminal, unless NO_COLOR is set (to anything) or TERM is "dumb". */
bool cli_colour(int fd);

enum cli_paint { PAINT_ERROR, PAINT_WARNING, PAINT_INFO, PAINT_GOOD, PAINT_BOLD };
/* Text in a colour, or as it is when `colour` is false. Control characters are shown as
 * "?", so that nothing from a file can steer the terminal. */
void cli_paint(struct buf *out, bool colour, enum cli_paint paint, struct str text);
/* Text with control characters shown as "?"; newlines too. */
void cli_plain(struct buf *out, struct str text);

/* A finding for people, with its place first where there is one:
 * "PLACE: error: BuiltinCollision: message" and, indented, the advice. `place` may be "".
 */
void cli_finding(struct buf *out, bool colour, struct str place,
                 const struct finding *finding);

#endif
