/* The rules that a policy must keep (interface.md, "Rules for a key"). Pure: values in,
 * findings out. Syntax, unknown fields and limits are policy/'s business. */
#ifndef NRW_CORE_POLICY_RULES_H
#define NRW_CORE_POLICY_RULES_H

#include "core/finding.h"
#include "core/policy.h"

/* Adds one finding (severity error, source "policy", line and column of the registry,
 * key) for every broken rule: keys, built-in keys in any spelling, hostnames, names,
 * duplicates, `$` and control characters. Several per registry are possible. The
 * registries may be in any order. Check arena->failed afterwards. */
void policy_rules_check(struct arena *arena, const struct policy_registry *registries,
                        size_t count, struct findings *findings);

#endif
