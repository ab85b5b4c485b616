/* Findings as JSON, the same everywhere: review, explain, lint. Pure; any thread. */
#ifndef NRW_ADMIT_RENDER_H
#define NRW_ADMIT_RENDER_H

#include "core/finding.h"
#include "util/buf.h"

/* {"finding":…,"severity":…,"key":…,"source":…,"path":…,"message":…,"advice":…}; all
 * seven are always there, as texts. Whether it fitted is in out->failed. */
void render_finding_json(struct buf *out, const struct finding *finding);

/* The same with "file", "line" and "column" after it: for a finding in a text that a
 * person edits. Line and column are 0 when the finding is about the whole text. */
void render_finding_json_in(struct buf *out, const struct finding *finding,
                            struct str file);

#endif
