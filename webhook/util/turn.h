/* What takes megabytes for a moment (a large review, a page of ConfigMaps) does so one
 * after another in the whole process, first come first, so that a memory limit need only
 * have room for one. When the turn is given back, so is what is free in the heap, but not
 * every time. Any thread; not recursive. */
#ifndef NRW_UTIL_TURN_H
#define NRW_UTIL_TURN_H

#include <stdbool.h>

#include "util/attr.h"

/* False: others had the turn for all of `wait_ms`. */
bool turn_take(unsigned wait_ms) NRW_MUST_CHECK;
void turn_give(void);
/* For NRW_CLEANUP on a bool that says whether the turn was taken. */
void turn_cleanup(const bool *taken);
#define NRW_AUTO_TURN NRW_CLEANUP(turn_cleanup)

#endif
