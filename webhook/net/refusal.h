/* The server's own errors: one line of JSON for each status. Constant texts, so that
 * they can be sent when there is no memory left. Pure; any thread. */
#ifndef NRW_NET_REFUSAL_H
#define NRW_NET_REFUSAL_H

#include "util/str.h"

/* {"error":"…"}\n; never empty: an unknown status gets the text of 500. */
struct str refusal_body(unsigned status);

/* A whole answer with that body and Connection: close, into `out` of at least
 * REFUSAL_MAXIMUM bytes. Returns its size. */
#define REFUSAL_MAXIMUM 512u
size_t refusal_answer(unsigned status, char *out, size_t size);
/* The same with another body. */
size_t refusal_format(unsigned status, struct str body, char *out, size_t size);

#endif
