/* What `review` reads: files of manifests and AdmissionReviews, as a flat list of
 * objects. Lists of what is judged are taken apart. Main thread. */
#ifndef NRW_CLI_MANIFESTS_H
#define NRW_CLI_MANIFESTS_H

#include <jansson.h>

#include "admit/config_maps.h"
#include "cli/cli.h"

struct manifest {
    json_t *json;     /* owned; an object */
    const char *file; /* borrowed: the argument */
    unsigned line;
};

struct manifests {
    struct manifest *items;
    size_t count, capacity;
    size_t documents; /* that were read; an empty List is one, too */
    /* The first file with a policy in it, whole: its lines are those that a person knows.
     * NULL when there is none. */
    char *policy_source; /* owned */
    size_t policy_source_size;
    const char *policy_file;
};

/* Reads a file, or "-". False, and said in one line: also about a document that is no
 * Kubernetes object, and about another version of what is judged. */
bool manifests_read(const struct cli_command *command, const char *path,
                    struct manifests *manifests);
void manifests_done(struct manifests *manifests);
#define NRW_AUTO_MANIFESTS NRW_CLEANUP(manifests_done)

bool manifest_is(const json_t *json, const char *api_version, const char *kind);

/* The text of a policy in a ConfigMap among them. Null when there is none. */
struct str manifests_policy(const struct manifests *manifests);

/* All ConfigMaps among them, those inside AdmissionReviews too; an object without a
 * namespace is in `name_space`. NULL: out of memory. */
struct config_maps *manifests_config_maps(const struct manifests *manifests,
                                          struct str name_space);

#endif
