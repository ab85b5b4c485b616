/* The `targets` of a policy. Internal to policy/. */
#ifndef NRW_POLICY_POLICY_TARGETS_H
#define NRW_POLICY_POLICY_TARGETS_H

#include "core/policy.h"
#include "policy/policy_reader.h"

/* Reads the list; NULL gives the default (NVIDIA's API chart in namespace nvcf). The
 * targets live in reader->arena. */
void policy_read_targets(struct reader *reader, const struct yaml_node *node,
                         const struct policy_target **ret_targets, size_t *ret_count);

#endif
