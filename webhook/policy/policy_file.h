/* A policy as people keep it in a file: bare, or inside its ConfigMap's manifest, alone
 * or among other documents. Text in, object out. Any thread. */
#ifndef NRW_POLICY_POLICY_FILE_H
#define NRW_POLICY_POLICY_FILE_H

#include "policy/policy_load.h"

#define POLICY_FILE_MAX_BYTES (8u << 20)

/* Like policy_doc_new(). A ConfigMap with data key policy.yaml is looked for among the
 * documents (and in Lists); without one the whole text is the policy. Findings name lines
 * of the file: exactly for a block text (`policy.yaml: |`); for a quoted or folded one
 * the place where the text begins, with the line inside it in the message. A second
 * policy in the file is an error, beside those that either has. */
struct policy_doc *policy_file_parse(struct str text, struct err *err) NRW_MUST_CHECK;

#endif
