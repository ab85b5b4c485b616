/* Numbers out of text, strictly: digits only, the whole text, in range. Pure; any thread.
 */
#ifndef NRW_UTIL_NUM_H
#define NRW_UTIL_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "util/str.h"

/* False (output untouched) when the text is not a decimal number from 0 to `maximum`. */
bool num_parse(struct str text, uint64_t maximum, uint64_t *ret_value);

#endif
