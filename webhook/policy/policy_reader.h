/* How policy_load reads a tree: findings with places, maps of known fields, words and
 * texts. Internal to policy/. */
#ifndef NRW_POLICY_POLICY_READER_H
#define NRW_POLICY_POLICY_READER_H

#include "core/finding.h"
#include "policy/yaml_node.h"
#include "util/arena.h"

/* Beyond this many a policy is not read by a person any more. */
#define POLICY_MAX_FINDINGS 200u

struct reader {
    struct arena *arena; /* where findings and texts of the policy live */
    struct findings *findings;
    bool full; /* POLICY_MAX_FINDINGS reached, and said */
};

/* Adds an error at a node. `key` is the registry's key or "". The advice may be "". */
void reader_report(struct reader *reader, enum finding_id id,
                   const struct yaml_node *node, struct str key, struct str advice,
                   const char *fmt, ...) NRW_PRINTF(6, 7);
void reader_report_at(struct reader *reader, enum finding_id id, unsigned line,
                      unsigned column, struct str key, struct str advice,
                      struct str message);

/* What to write instead of what the parser refuses; "" for a text that is no YAML. */
struct str reader_problem_advice(const struct yaml_problem *problem);

/* Anchors, aliases and tags that are not YAML's core, anywhere in the tree. */
void reader_check_tree(struct reader *reader, const struct yaml_node *root);

/* Sorts a mapping's values into `ret_values` by the list of known fields (NULL where a
 * field is absent) and reports unknown and repeated ones. False when the node is no
 * mapping (reported, unless it is an alias, which reader_check_tree has reported). `what`
 * is for messages: "the policy", "registry GHCR". */
bool reader_fields(struct reader *reader, const struct yaml_node *node, const char *what,
                   struct str key, const char *const *fields, size_t count,
                   const struct yaml_node **ret_values);

/* The node's text, borrowed from the tree. False, and reported, when it is not a text, or
 * empty and no text was written. A quoted "" is a text. */
bool reader_text(struct reader *reader, const struct yaml_node *node, const char *field,
                 struct str key, struct str *ret_text);

/* The index of a word in a list, as it is spelled there. NULL nodes leave it untouched.
 */
void reader_word(struct reader *reader, const struct yaml_node *node, const char *field,
                 const char *const *words, size_t count, unsigned *ret_index);

/* A user's text as a message can hold it: at most 64 bytes, control characters as "?". In
 * the arena; never NULL. */
const char *reader_show(struct reader *reader, struct str text);

/* "a map", "a list", "a number", "true or false" … */
const char *reader_kind(const struct yaml_node *node);

#endif
