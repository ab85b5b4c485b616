/* What certificates say of themselves, and whether one verifies. The time is an argument.
 * Any thread. */
#ifndef NRW_CERTS_INSPECT_H
#define NRW_CERTS_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"

struct cert_info {
    struct str subject, issuer; /* RFC 2253, UTF-8; control characters are escaped */
    struct str *names;          /* alternative names, DNS names and addresses as text */
    size_t name_count;
    size_t other_names;            /* alternative names of other kinds, not in `names` */
    int64_t not_before, not_after; /* seconds since 1970 */
    struct str serial;             /* lower-case hexadecimal */
    struct str fingerprint;        /* SHA-256 of the certificate, 64 hexadecimal digits */
    struct str public_key;         /* SHA-256 of its public key, likewise */
    struct str key_type;           /* "ECDSA P-256", "RSA 2048", … */
    bool is_ca;
    bool self_issued; /* subject and issuer are the same */
    bool server_auth; /* fit for a TLS server by its extended key usage */
};

/* Every certificate of a PEM text in its order, texts in the arena. False and err
 * (ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM): outputs untouched. `what` names the text in
 * messages.
 */
bool cert_inspect(struct arena *arena, struct str pem, const char *what,
                  struct cert_info **ret_infos, size_t *ret_count, struct err *err);

/* The same of certificates that have been read already. */
bool cert_inspect_chain(struct arena *arena, const STACK_OF(X509) * chain,
                        const char *what, struct cert_info **ret_infos, size_t *ret_count,
                        struct err *err);

struct cert_check {
    struct str chain_pem; /* the leaf, then intermediates if there are any */
    struct str ca_pem;    /* what the caBundle would be */
    struct str key_pem;   /* "" = not checked */
    const char *name;     /* DNS name or IP address the client asks for; NULL = any */
    int64_t at;           /* seconds since 1970 */
};

/* Whether an API server with that caBundle would accept the certificate under that name
 * at that time, and whether the key belongs to it. False: err says why not and what to
 * do; ERR_SYNTAX and ERR_LIMIT when a text cannot be read, ERR_INVALID when it does not
 * verify. Imitates Go's crypto/x509 where OpenSSL differs: any certificate of the bundle
 * is an anchor, the subject's CN is no name, and fewer keys are usable. */
bool cert_verify(const struct cert_check *check, struct err *err);

/* Whether the key is the first certificate's. False: err as above. */
bool cert_key_matches(struct str chain_pem, struct str key_pem, struct err *err);
bool cert_key_belongs(const X509 *leaf, const EVP_PKEY *key, struct err *err);

#endif
