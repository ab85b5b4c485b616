/* Numbers out of text; see num.h. */
#include "util/num.h"

bool num_parse(struct str text, uint64_t maximum, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.n == 0)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        if (!ascii_is_digit(text.p[i]))
            return false;
        uint64_t digit = (uint64_t)(text.p[i] - '0');
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value) || value > maximum)
            return false;
    }
    *ret_value = value;
    return true;
}
