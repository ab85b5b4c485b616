/* The maps of a YAML document as SnakeYAML constructs them: duplicate keys resolved,
 * merge keys written out (its SafeConstructor is imitated step by step, since a map that
 * several aliases name is changed where it is first met; compared with SnakeYAML 2.5).
 * Pure.
 *
 * - Of a key that is given twice the last one counts; keys are equal when they are the
 *   same value to Java: 1 and 0x1 are, 1 and "1" are not.
 * - What a map says itself goes before what it merges. Within a merged map nothing does:
 *   its pairs are taken as they are written, a merge key among them, and the first wins.
 * - A map within a merge key is not constructed by itself, so a merge key of its own is
 *   used up by the first merge, and missing where an alias names it later. */
#ifndef NRW_POLICY_REMOTE_TREE_H
#define NRW_POLICY_REMOTE_TREE_H

#include "policy/remote_reading.h"

struct remote_pair {
    const struct yaml_node *key; /* no alias */
    const struct yaml_node *value;
};

struct remote_map;

struct remote_tree {
    struct remote_map *maps; /* by the number of the node */
};

/* Constructs one document of the stream, after those before it. */
bool remote_tree_init(struct remote_reading *reading, const struct yaml_stream *stream,
                      struct remote_tree *ret_tree);
void remote_tree_build(struct remote_reading *reading, struct remote_tree *tree,
                       const struct yaml_node *root);

/* The pairs of a map, or of an !!omap, of a document that is built. */
const struct remote_pair *remote_tree_pairs(const struct remote_tree *tree,
                                            const struct yaml_node *node,
                                            size_t *ret_count);

/* Is it a list of maps that become one? */
bool remote_is_omap(const struct yaml_node *node);
/* … or of such that each stay by themselves? */
bool remote_is_pairs(const struct yaml_node *node);

#endif
