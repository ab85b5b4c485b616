/* A core patch as JSON Patch (RFC 6902), and its application in memory. The paths are
 * those that the API server applies to the same JSON it sent (admission-contract.md, part
 * 4). */
#ifndef NRW_ADMIT_PATCH_JSON_H
#define NRW_ADMIT_PATCH_JSON_H

#include <jansson.h>

#include "core/patch.h"
#include "util/buf.h"
#include "util/err.h"

/* The JSON Patch array (owned by the caller), or NULL: out of memory. */
json_t *patch_json(const struct patch *patch);

/* Applies add, remove and replace operations to `object`, as the API server's library
 * does. False: an operation does not apply (err says which); the object may be changed in
 * part. */
bool patch_apply(json_t *object, const json_t *patch, struct err *err);

/* Standard base64 with padding, appended. */
bool patch_base64(struct buf *out, struct str bytes);

#endif
