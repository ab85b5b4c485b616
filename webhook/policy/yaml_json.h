/* Manifests as people and tools write them — YAML with several documents, or JSON, one or
 * several values — as JSON documents, read as Kubernetes reads them. Anchors, aliases and
 * merge keys are written out within bounds; of a key that is given twice, by a merge or
 * not, the last one counts, as for kubectl and Helm. Any thread; no state. */
#ifndef NRW_POLICY_YAML_JSON_H
#define NRW_POLICY_YAML_JSON_H

#include <jansson.h>

#include "policy/yaml_node.h"
#include "util/err.h"

struct yaml_json_doc {
    json_t *json;          /* owned by the list */
    unsigned line, column; /* where it begins in the text */
};

struct yaml_json {
    struct yaml_json_doc *docs; /* empty documents (null) are left out */
    size_t count;
};

/* What a file of manifests may hold: 32 MiB, a million values, 128 deep, 10,000
 * documents.
 */
extern const struct yaml_limits yaml_json_limits;

/* Reads the text. `limits` NULL: yaml_json_limits. On failure `err` (ERR_SYNTAX,
 * ERR_LIMIT, ERR_NOMEM) begins with "line L, column C: " where a place is known. */
bool yaml_json_parse(struct str text, const struct yaml_limits *limits,
                     struct yaml_json *ret_docs, struct err *err);
void yaml_json_done(struct yaml_json *docs);
#define NRW_AUTO_YAML_JSON NRW_CLEANUP(yaml_json_done)

#endif
