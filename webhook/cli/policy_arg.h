/* The policy that a verb works with: a valid one, or one line that says why not. Main
 * thread. `lint`, which wants the problems themselves, reads policies its own way. */
#ifndef NRW_CLI_POLICY_ARG_H
#define NRW_CLI_POLICY_ARG_H

#include "cli/cli.h"
#include "policy/policy_file.h"

/* The valid policy that `text` (bare or in its ConfigMap) is; the caller frees it. NULL,
 * and said in one line that begins with `label`, when it is none. */
struct policy_doc *cli_policy_text(const struct cli_command *command, struct str text,
                                   const char *label);
/* The same of a text that stands in a ConfigMap among the documents of `file`: what is
 * wrong is placed in the file, as `lint` places it, where that can be told. */
struct policy_doc *cli_policy_among(const struct cli_command *command, struct str text,
                                    struct str file_text, const char *file);
/* The same of a file, or of standard input ("-"). */
struct policy_doc *cli_policy_file(const struct cli_command *command, const char *path);

#endif
