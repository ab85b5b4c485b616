/* What `serve --demo` makes up: the example policy, and a certificate for localhost from
 * a CA that nobody keeps. Main thread. */
#ifndef NRW_APP_DEMO_H
#define NRW_APP_DEMO_H

#include "app/publish.h"
#include "util/err.h"

bool demo_policy(struct publish *publish, struct err *err);
bool demo_certificate(struct publish *publish, struct err *err);

#endif
