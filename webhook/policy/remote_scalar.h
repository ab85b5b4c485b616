/* Scalars of a remote configuration as SnakeYAML reads and Java prints them. Pure. */
#ifndef NRW_POLICY_REMOTE_SCALAR_H
#define NRW_POLICY_REMOTE_SCALAR_H

#include "policy/yaml_node.h"

/* What it means there: as yaml_resolve() says, but y and n are no booleans. */
enum yaml_type remote_scalar_type(const struct yaml_node *scalar,
                                  struct yaml_value *ret_value);

/* The text of the property that it becomes. */
struct str remote_scalar_text(const struct yaml_node *scalar);

/* Java prints it in a way of its own, which is not imitated. */
bool remote_scalar_is_odd(const struct yaml_node *scalar);

#endif
