/* A certificate authority of our own and serving certificates signed by it: ECDSA P-256,
 * or RSA on demand. The time is an argument; randomness is OpenSSL's. Everything goes
 * through memory. Any thread. */
#ifndef NRW_CERTS_ISSUE_H
#define NRW_CERTS_ISSUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

#define CERT_BACKDATE_SECONDS 300 /* notBefore lies this far back: clocks differ */
#define CERT_DAY_SECONDS      INT64_C(86400)
#define CERT_DAYS_MAXIMUM     36500
#define CERT_NAMES_MAXIMUM    64u

struct cert_request {
    /* Alternative names of a leaf; the API server looks at nothing else. Texts: DNS names
     * (a leading "*." is allowed), IPv4 and IPv6 addresses. Ignored for a CA. */
    const char *const *dns_names;
    size_t dns_count;
    const char *const *ip_addresses;
    size_t ip_count;
    int64_t now;              /* seconds since 1970 */
    int64_t lifetime_seconds; /* counted from now */
    unsigned rsa_bits;        /* 0 = ECDSA P-256; else 2048, 3072 or 4096 */
};

/* A certificate and its private key (PKCS 8), both PEM. Initialise with CERT_PAIR_INIT.
 */
struct cert_pair {
    struct buf cert;
    struct buf key;
};
#define CERT_PAIR_INIT                                                                   \
    {                                                                                    \
        {.maximum = 65536},                                                              \
        {                                                                                \
            .maximum = 65536                                                             \
        }                                                                                \
    }
void cert_pair_done(struct cert_pair *pair); /* wipes the key */
#define CERT_AUTO_PAIR NRW_CLEANUP(cert_pair_done)

/* A self-signed CA: pathlen 0, keyCertSign and cRLSign, its own name (two CAs of ours
 * never share one, so that a bundle of old and new is not ambiguous). `ret_pair` is
 * untouched on failure: ERR_USAGE for a request that makes no sense, ERR_NOMEM,
 * ERR_INTERNAL. */
bool cert_issue_ca(const struct cert_request *request, struct cert_pair *ret_pair,
                   struct err *err);

/* A serving certificate (serverAuth) signed by the CA that is given in PEM; of a bundle
 * the certificate that the key belongs to. It never outlives its CA. ERR_INVALID when the
 * CA is expired, not valid yet, is no CA, or the key is not its own. */
bool cert_issue_leaf(const struct cert_request *request, struct str ca_cert_pem,
                     struct str ca_key_pem, struct cert_pair *ret_pair, struct err *err);

/* Whether the text may stand as a DNS name in a certificate: labels of letters, digits
 * and inner hyphens, at most 63 bytes each and 253 in all; a leading "*." is allowed. */
bool cert_dns_name_valid(const char *name);
/* Whether it is an IPv4 or IPv6 address. */
bool cert_ip_valid(const char *address);

#endif
