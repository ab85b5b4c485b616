/* A core patch as the text of a JSON Patch (RFC 6902), and its application in memory. The
 * paths are those that the API server applies to the same JSON it sent
 * (admission-contract.md, part 4). */
#ifndef NRW_ADMIT_PATCH_JSON_H
#define NRW_ADMIT_PATCH_JSON_H

#include <jansson.h>

#include "core/patch.h"
#include "util/buf.h"
#include "util/err.h"

/* Appends the JSON Patch array; out->failed says whether it fitted. */
void patch_render(const struct patch *patch, struct buf *out);

/* Does to a Deployment what the patch says, in the same steps. ERR_INTERNAL: an operation
 * has no place to apply to; ERR_NOMEM. The object may be changed in part then. */
bool patch_apply(json_t *object, const struct patch *patch, struct err *err);

/* Standard base64 with padding, appended. */
bool patch_base64(struct buf *out, struct str bytes);

#endif
