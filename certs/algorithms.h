/* Which keys and signatures Go's crypto/tls, and with it the API server, can use: fewer
 * than OpenSSL. Any thread. */
#ifndef NRW_CERTS_ALGORITHMS_H
#define NRW_CERTS_ALGORITHMS_H

#include <stdbool.h>

#include <openssl/x509.h>

#include "util/err.h"

#define CERT_KEYS_USABLE                                                                 \
    "use ECDSA P-256, P-384 or P-521, RSA from 2048 bits on, or Ed25519"

/* Every certificate of a chain that OpenSSL has verified: its key, and its signature
 * unless it is the trust anchor, which is the last one. How long a key must be is the
 * verification's business. False: err (ERR_INVALID) says which one and what to use. */
bool cert_algorithms_usable(const STACK_OF(X509) * chain, struct err *err);

#endif
