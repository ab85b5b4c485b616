/* See identity.h. */
#include "certs/identity.h"

#include "certs/inspect.h"
#include "certs/pem.h"

bool cert_identity_read(struct str chain_pem, struct str key_pem, const char *what,
                        struct cert_identity *ret_identity, struct err *err)
{
    CERT_AUTO_STACK STACK_OF(X509) *chain = cert_pem_certificates(chain_pem, what, err);
    if (chain == NULL)
        return false;
    CERT_AUTO_PKEY EVP_PKEY *key = cert_pem_key(key_pem, "the key file", err);
    if (key == NULL || !cert_key_belongs(sk_X509_value(chain, 0), key, err))
        return false;
    *ret_identity = (struct cert_identity){chain, key};
    chain = NULL;
    key = NULL;
    return true;
}

void cert_identity_done(struct cert_identity *identity)
{
    sk_X509_pop_free(identity->chain, X509_free);
    EVP_PKEY_free(identity->key);
    *identity = CERT_IDENTITY_NONE;
}
