/* See policy_arg.h. Main thread. */
#include "cli/policy_arg.h"

#include <stdio.h>

static struct policy_doc *parse(const struct cli_command *command, struct str text,
                                const char *label)
{
    struct err err = {.code = ERR_NONE};
    struct policy_doc *doc = policy_file_parse(text, &err);
    if (doc == NULL)
        cli_trouble(command, "%s: %s", label, err.message);
    return doc;
}

/* Takes the document: gives it back when it is valid, else says why it is not. */
static struct policy_doc *valid(const struct cli_command *command, struct policy_doc *doc,
                                const char *label)
{
    if (doc == NULL || doc->policy != NULL)
        return doc;
    struct str summary = policy_doc_summary(&doc->arena, doc);
    cli_trouble(command, "%s is no valid policy: %.*s; `lint` says all of it", label,
                STR_ARG(summary));
    policy_doc_free(doc);
    return NULL;
}

struct policy_doc *cli_policy_text(const struct cli_command *command, struct str text,
                                   const char *label)
{
    return valid(command, parse(command, text, label), label);
}

/* The same problem comes first in both; of a quoted text the file's says more. */
static bool same_problem(const struct policy_doc *text, const struct policy_doc *file)
{
    return findings_count(&text->findings) > 0 && findings_count(&file->findings) > 0 &&
           str_starts(findings_at(&file->findings, 0)->message,
                      findings_at(&text->findings, 0)->message);
}

struct policy_doc *cli_policy_among(const struct cli_command *command, struct str text,
                                    struct str file_text, const char *file)
{
    struct policy_doc *doc = parse(command, text, file);
    if (doc == NULL || doc->policy != NULL)
        return doc;
    NRW_AUTO_POLICY_DOC struct policy_doc *placed = policy_file_parse(file_text, NULL);
    bool better = placed != NULL && same_problem(doc, placed);
    char label[256];
    snprintf(label, sizeof(label), "%s%s", better ? "" : "the policy in ", file);
    if (!better)
        return valid(command, doc, label);
    policy_doc_free(doc);
    doc = placed;
    placed = NULL;
    return valid(command, doc, label);
}

struct policy_doc *cli_policy_file(const struct cli_command *command, const char *path)
{
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, POLICY_FILE_MAX_BYTES);
    return cli_read(command, path, &text)
               ? cli_policy_text(command, buf_view(&text), path)
               : NULL;
}
