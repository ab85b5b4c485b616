/* "Did you mean …": the known word that a wrong one was probably meant to be. Pure. */
#ifndef NRW_POLICY_SUGGEST_H
#define NRW_POLICY_SUGGEST_H

#include <stddef.h>

#include "util/str.h"

/* The word among `words` that differs from `text` only in capitals, begins with it, or is
 * at most three edits away (one in texts of up to four letters, two in up to seven);
 * NULL when none is near. */
const char *suggest(struct str text, const char *const *words, size_t count);

#endif
