/* The policy file, the certificate's files and the client CA's, kept current: a thread of
 * its own reads them again when inotify says that something in their folders changed,
 * every ten seconds (a symlink swapped elsewhere tells nobody), and when asked to
 * (SIGHUP).
 *
 * A change is taken when two reads 200 ms apart agree, so that half of a file that is
 * being written is not taken for the whole. One that is not good is tried for a second
 * (certificate and key come one after the other) before it is counted and logged, once
 * for each content; the last good one stays. */
#ifndef NRW_APP_FILES_H
#define NRW_APP_FILES_H

#include <stdbool.h>

#include "app/publish.h"
#include "util/err.h"

struct files_options {
    const char *policy_file; /* NULL: the policy comes from elsewhere */
    const char *tls_cert;    /* NULL: the certificate comes from elsewhere */
    const char *tls_key;     /* with tls_cert */
    const char *client_ca;   /* NULL: none is demanded */
    struct publish *publish;
};

struct files;

/* Reads everything once. NULL and err (ERR_NOT_FOUND, ERR_IO, ERR_INVALID …) when
 * something is not good. The options' texts are borrowed until files_free(). */
struct files *files_new(const struct files_options *options,
                        struct err *err) NRW_MUST_CHECK;
/* Starts the thread. */
bool files_start(struct files *files, struct err *err);
/* Reads all again at once. Any thread. */
void files_again(struct files *files);
/* Ends the thread, if there is one, and frees. NULL is allowed. */
void files_free(struct files *files);

#endif
