/* PEM text to OpenSSL objects and back, through memory only. Internal to certs/ (and the
 * one place where passphrases are refused): other rooms use issue.h, inspect.h. Any
 * thread. */
#ifndef NRW_CERTS_PEM_H
#define NRW_CERTS_PEM_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

#define CERT_PEM_MAXIMUM   (1024u * 1024u) /* bytes of one file or Secret entry */
#define CERT_COUNT_MAXIMUM 1024u           /* certificates in one bundle */

/* Release at the end of the scope. */
void cert_x509_cleanup(X509 **x509);
void cert_stack_cleanup(STACK_OF(X509) * *stack);
void cert_pkey_cleanup(EVP_PKEY **key);
void cert_bio_cleanup(BIO **bio);
#define CERT_AUTO_X509  NRW_CLEANUP(cert_x509_cleanup)
#define CERT_AUTO_STACK NRW_CLEANUP(cert_stack_cleanup)
#define CERT_AUTO_PKEY  NRW_CLEANUP(cert_pkey_cleanup)
#define CERT_AUTO_BIO   NRW_CLEANUP(cert_bio_cleanup)

/* Sets err from OpenSSL's error queue (and empties the queue): "doing: reason". ERR_NOMEM
 * when that is the reason, ERR_INTERNAL else. Returns false. */
bool cert_openssl_error(struct err *err, const char *doing);

/* Every certificate of the text, in its order; text between the blocks is skipped, and so
 * are blocks of other kinds. NULL and err (ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM) when one
 * cannot be read or there is none. `what` names the text in messages, as all `what` here:
 * a path, or "Secret ns/name, tls.crt". */
STACK_OF(X509) * cert_pem_certificates(struct str pem, const char *what, struct err *err);

/* The one private key of the text. Encrypted keys are refused: nobody is there to type a
 * passphrase. */
EVP_PKEY *cert_pem_key(struct str pem, const char *what, struct err *err);

/* Append to `out`. The key's own copies are wiped; `out` is the caller's to wipe, see
 * cert_wipe. */
bool cert_pem_write(X509 *x509, struct buf *out, struct err *err);
bool cert_pem_write_key(EVP_PKEY *key, struct buf *out, struct err *err);

/* Overwrites the buffer's memory and frees it. */
void cert_wipe(struct buf *buf);

#endif
