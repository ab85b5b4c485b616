/* What `serve` was told, by flags and by the environment. Main thread. */
#ifndef NRW_CLI_SERVE_FLAGS_H
#define NRW_CLI_SERVE_FLAGS_H

#include <stdint.h>

#include "app/app.h"
#include "cli/cli.h"
#include "util/log.h"

#define SERVE_NAMES_MAXIMUM 32u

struct serve_flags {
    struct app_options app;
    enum log_level log_level;
    enum log_format log_format;
    /* What the options point to. */
    const char *client_names[SERVE_NAMES_MAXIMUM];
    const char *dns_names[SERVE_NAMES_MAXIMUM];
    char *copies[2];    /* lists from the environment, cut into pieces */
    uint32_t as_option; /* a bit for each flag that was given as one */
};

/* CLI_GOOD with *ret_go: serve. Else the exit code (help was printed, or one line said
 * what is wrong). Release with serve_flags_done() in any case. */
int serve_flags_read(struct serve_flags *flags, int argc, char **argv, bool *ret_go);
void serve_flags_done(struct serve_flags *flags);

extern const struct cli_command serve_command;

#endif
