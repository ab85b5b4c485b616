/* A certificate, its intermediates and its key, read from PEM once for all that need
 * them: OpenSSL takes longer to read one than for a whole handshake. Any thread. */
#ifndef NRW_CERTS_IDENTITY_H
#define NRW_CERTS_IDENTITY_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "util/attr.h"
#include "util/err.h"
#include "util/str.h"

struct cert_identity {
    STACK_OF(X509) * chain; /* the leaf first; never empty */
    EVP_PKEY *key;          /* the leaf's */
};
#define CERT_IDENTITY_NONE ((struct cert_identity){NULL, NULL})

/* The caller's to release with cert_identity_done. False and err (ERR_SYNTAX, ERR_LIMIT,
 * ERR_NOMEM; ERR_INVALID when the key is not the leaf's): the output stays untouched.
 * `what` names the certificates' text in messages. */
bool cert_identity_read(struct str chain_pem, struct str key_pem, const char *what,
                        struct cert_identity *ret_identity, struct err *err);
void cert_identity_done(struct cert_identity *identity);
#define CERT_AUTO_IDENTITY NRW_CLEANUP(cert_identity_done)

#endif
