/* What Go can use of what OpenSSL verifies; see algorithms.h. */
#include "certs/algorithms.h"

#include <stdio.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>

#include "util/attr.h"

/* The curve by the name that people know; curves whose parameters are written out do not
 * verify in OpenSSL either. */
static bool curve_usable(const EVP_PKEY *key, char *ret_text, size_t size)
{
    static const char *const usable[] = {"P-256", "P-384", "P-521"};
    char group[64] = "with an unknown curve";
    EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    const char *nist = EC_curve_nid2nist(OBJ_sn2nid(group));
    const char *name = nist != NULL ? nist : group;
    snprintf(ret_text, size, "ECDSA %s", name);
    for (size_t i = 0; i < NRW_COUNT(usable); i++) {
        if (strcmp(name, usable[i]) == 0)
            return true;
    }
    return false;
}

static bool key_usable(X509 *x509, char *ret_text, size_t size)
{
    const EVP_PKEY *key = X509_get0_pubkey(x509);
    snprintf(ret_text, size, "of a kind that cannot be read");
    if (key == NULL)
        return false;
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_ED25519:
        return true;
    case EVP_PKEY_EC:
        return curve_usable(key, ret_text, size);
    default: {
        const char *name = EVP_PKEY_get0_type_name(key);
        snprintf(ret_text, size, "%s", name != NULL ? name : "unknown");
        return false;
    }
    }
}

static bool signature_usable(X509 *x509)
{
    int digest = NID_undef;
    int key = NID_undef;
    if (X509_get_signature_info(x509, &digest, &key, NULL, NULL) != 1)
        return false;
    return key == NID_ED25519 || digest == NID_sha256 || digest == NID_sha384 ||
           digest == NID_sha512;
}

bool cert_algorithms_usable(const STACK_OF(X509) * chain, struct err *err)
{
    int count = sk_X509_num(chain);
    /* Keys first: a signature is odd because its key is. */
    for (int i = 0; i < count; i++) {
        char text[128];
        if (!key_usable(sk_X509_value(chain, i), text, sizeof(text)))
            return err_set(err, ERR_INVALID,
                           "the key of %s is %s, which the API server (Go) cannot "
                           "use; " CERT_KEYS_USABLE,
                           i == 0 ? "the certificate" : "its CA", text);
    }
    for (int i = 0; i + 1 < count; i++) {
        X509 *x509 = sk_X509_value(chain, i);
        if (!signature_usable(x509))
            return err_set(err, ERR_INVALID,
                           "the signature of %s is %s, which the API server (Go) cannot "
                           "check; issue it again with SHA-256",
                           i == 0 ? "the certificate" : "its CA",
                           OBJ_nid2ln(X509_get_signature_nid(x509)));
    }
    return true;
}
