/* What one thread has another do for it, and waits for. For a thread that is the last to
 * get a processor (net/aside.h), and has something to do that is a matter of time: the
 * other one has the priority of whoever started it. */
#ifndef NRW_APP_ERRAND_H
#define NRW_APP_ERRAND_H

#include "util/attr.h"
#include "util/err.h"

struct errand;

/* Starts the thread, which is called `name`. */
struct errand *errand_new(const char *name, struct err *err) NRW_MUST_CHECK;
/* When nobody waits any more; NULL is allowed. */
void errand_free(struct errand *errand);

/* Returns when `what` has returned, there. Any thread, one after another. */
void errand_run(struct errand *errand, void (*what)(void *context), void *context);

#endif
