/* The policy's text, YAML or JSON, to an immutable policy, or to everything that is wrong
 * with it, in one run, with line and column. Syntax, unknown fields, types and limits are
 * checked here; what a key, name or hostname may be is core/policy_rules. Text in, object
 * out: no files, no clock. Any thread. */
#ifndef NRW_POLICY_POLICY_LOAD_H
#define NRW_POLICY_POLICY_LOAD_H

#include "core/finding.h"
#include "core/policy.h"
#include "policy/yaml_node.h"
#include "util/arena.h"
#include "util/err.h"

/* A policy with its storage: one owner, nothing in it changes after it was made. */
struct policy_doc {
    struct arena arena;
    const struct policy *policy; /* NULL when the text is no valid policy */
    struct findings findings;    /* by line; all errors, source "policy", path
                                    "LINE:COLUMN"; empty when the policy is valid */
    size_t registry_count;       /* entries under registries and native, valid or not */
};

/* Never NULL but for want of memory (ERR_NOMEM), or when OpenSSL has no SHA-256
 * (ERR_INTERNAL). A policy that is not valid is a document with findings. */
struct policy_doc *policy_doc_new(struct str text, struct err *err) NRW_MUST_CHECK;

/* The same for a text that stands inside a file, `offset` lines and columns in, so that
 * the findings name the lines of the file. */
struct policy_doc *policy_doc_new_at(struct str text, struct yaml_offset offset,
                                     struct err *err) NRW_MUST_CHECK;

/* A document with one finding, InvalidPolicy, for who finds something wrong before the
 * text is looked at. Line 0: about the whole. The texts are copied. */
struct policy_doc *policy_doc_new_refused(unsigned line, unsigned column,
                                          const char *message, const char *advice,
                                          struct err *err) NRW_MUST_CHECK;

/* Adds the findings of `other`, a document of the same file, which it frees. `doc` is no
 * valid policy afterwards. False: out of memory. */
bool policy_doc_join(struct policy_doc *doc, struct policy_doc *other,
                     struct err *err) NRW_MUST_CHECK;

void policy_doc_free(struct policy_doc *doc); /* NULL is allowed */
void policy_doc_cleanup(struct policy_doc **doc);
#define NRW_AUTO_POLICY_DOC NRW_CLEANUP(policy_doc_cleanup)

/* One line for an error message or a log: the first finding, and how many more there are:
 * "line 4, column 13: … (and 2 more)". "" when there are no findings. */
struct str policy_doc_summary(struct arena *arena, const struct policy_doc *doc);

/* The example of the documentation: complete, valid, both targets. For `serve --demo`
 * and for `review` without a policy. */
extern const char policy_example[];

#endif
