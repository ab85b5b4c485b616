/* See policy_arg.h. Main thread. */
#include "cli/policy_arg.h"

struct policy_doc *cli_policy_text(const struct cli_command *command, struct str text,
                                   const char *label)
{
    struct err err = {.code = ERR_NONE};
    struct policy_doc *doc = policy_file_parse(text, &err);
    if (doc == NULL) {
        cli_trouble(command, "%s: %s", label, err.message);
        return NULL;
    }
    if (doc->policy != NULL)
        return doc;
    struct str summary = policy_doc_summary(&doc->arena, doc);
    cli_trouble(command, "%s is no valid policy: %.*s; `lint` says all of it", label,
                STR_ARG(summary));
    policy_doc_free(doc);
    return NULL;
}

struct policy_doc *cli_policy_file(const struct cli_command *command, const char *path)
{
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, POLICY_FILE_MAX_BYTES);
    return cli_read(command, path, &text)
               ? cli_policy_text(command, buf_view(&text), path)
               : NULL;
}
