/* The policy's hash: over what it means, not over how it is written. */
#ifndef NRW_POLICY_POLICY_HASH_H
#define NRW_POLICY_POLICY_HASH_H

#include "core/policy.h"
#include "util/err.h"

/* The first 16 hexadecimal digits of the SHA-256 of a canonical text: the four settings,
 * the registries by key, the targets sorted. Comments, layout, the order of entries and
 * defaults written out make no difference. Fills policy->hash; ERR_NOMEM or ERR_INTERNAL.
 */
bool policy_hash(struct policy *policy, struct err *err);

#endif
