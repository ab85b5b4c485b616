/* A TLS call to ourselves, as the API server would make one: is what we serve verified by
 * the caBundle that it has? Blocking, two seconds at most; any thread but a worker. */
#ifndef NRW_APP_SELF_CHECK_H
#define NRW_APP_SELF_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

struct self_check {
    const char *listen; /* the server's address as it was given; its port may be 0 */
    unsigned port;      /* what was really bound */
    const char *name;   /* that the API server asks for */
    struct str ca_pem;
    int64_t now;             /* of the clock that judges; 0: this machine's */
    bool client_certificate; /* one is demanded, which we have not: the call ends after
                                the server's own certificate was verified */
};

/* False with ERR_INVALID: the certificate is not verified. False with another code: no
 * verdict, since the call did not come so far. */
bool self_check(const struct self_check *check, struct err *err);

#endif
