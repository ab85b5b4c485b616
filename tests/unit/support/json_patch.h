/* JSON Patch (RFC 6902) as the API server applies it: add, remove and replace, by
 * pointers. Independent of how admit/ applies its own patches, so that tests can hold the
 * two against each other. */
#ifndef NRW_TESTS_UNIT_SUPPORT_JSON_PATCH_H
#define NRW_TESTS_UNIT_SUPPORT_JSON_PATCH_H

#include <jansson.h>
#include <stdbool.h>

#include "util/err.h"

/* False: an operation does not apply; the object may be changed in part. */
bool json_patch_apply(json_t *object, const json_t *patch, struct err *err);

#endif
