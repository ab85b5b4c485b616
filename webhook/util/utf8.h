/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Pure; any thread. */
#ifndef NRW_UTIL_UTF8_H
#define NRW_UTIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "util/str.h"

/* Bytes of the character that the text begins with: 1 to 4; 0 when it is empty or does
 * not begin with a whole, valid character. */
size_t utf8_length(struct str text);

bool utf8_valid(struct str text);

/* Bytes of the control character (U+0000 to U+001F, U+007F to U+009F) that the text
 * begins with: 1 or 2; 0 when it begins with none. */
size_t utf8_control(struct str text);

/* The longest beginning of at most `maximum` bytes that ends between two characters. */
struct str utf8_cut(struct str text, size_t maximum);

#endif
