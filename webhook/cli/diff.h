/* A unified diff of two texts, line by line, as `diff -u` prints it. Pure. */
#ifndef NRW_CLI_DIFF_H
#define NRW_CLI_DIFF_H

#include "util/buf.h"
#include "util/str.h"

/* Appends nothing when the texts are equal. `label` names both sides. `colour`: for a
 * terminal. False: out of memory, or more than 20,000 differing lines. */
bool diff_unified(struct buf *out, struct str label, struct str before, struct str after,
                  bool colour);

#endif
