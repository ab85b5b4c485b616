/* What a JSON text takes once it is values of jansson's: dozens of times its bytes where
 * it is nothing but small values. Asked before a text of an outsider's is parsed, because
 * jansson cannot be refused memory in the middle of a text and go on (DECISIONS.md).
 * Pure; any thread. */
#ifndef NRW_UTIL_JSON_WEIGHT_H
#define NRW_UTIL_JSON_WEIGHT_H

#include <stddef.h>

#include "util/str.h"

/* An object, an array, a text (without its bytes), and what each adds where it stands. */
#define JSON_WEIGHT_OBJECT 256u
#define JSON_WEIGHT_ARRAY  144u
#define JSON_WEIGHT_TEXT   96u
#define JSON_WEIGHT_PLACE  64u

/* No text weighs more for each of its bytes; "{}," does, nearly. What is short enough by
 * that need not be looked at. */
#define JSON_WEIGHT_BYTE 128u

/* Bytes of heap, never fewer than jansson and glibc take for a text that is JSON; of one
 * that is not, for as far as it is. Beyond `enough` it does not count on. */
size_t json_weight(struct str text, size_t enough);

#endif
