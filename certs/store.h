/* The one Secret that self-managed certificates live in: read, and written only over what
 * was read. Blocking; any thread. */
#ifndef NRW_CERTS_STORE_H
#define NRW_CERTS_STORE_H

#include <stdbool.h>

#include "kube/client.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

#define CERT_FIELD_MANAGER "nvcf-registry-webhook" /* who wrote, in managedFields */

struct cert_place {
    struct kube_client *client;
    const char *name_space;
    const char *name;
};

/* PEM texts as they stand in the Secret; empty where there is none. Initialise with
 * cert_secret_init. */
struct cert_secret {
    bool exists;
    char resource_version[64];
    struct buf ca_cert, ca_key, tls_cert, tls_key;
};
void cert_secret_init(struct cert_secret *secret);
void cert_secret_done(struct cert_secret *secret); /* wipes the keys */
#define CERT_AUTO_SECRET NRW_CLEANUP(cert_secret_done)

/* What a Secret's JSON holds, into an initialised one. The keys in the JSON are wiped.
 * ERR_SYNTAX: it is no Secret. */
bool cert_secret_take(const json_t *object, struct cert_secret *secret, struct err *err);

/* A Secret that does not exist is no failure: `exists` is false then. Entries that are
 * not base64 count as empty. `ret_secret` must be initialised; it is replaced on success
 * and untouched on failure (errors as in kube/client.h; the message names a missing RBAC
 * rule).
 */
bool cert_secret_read(const struct cert_place *place, struct cert_secret *ret_secret,
                      struct err *err);

/* Creates it, or changes these four entries of it and nothing else. ERR_CONFLICT when
 * someone else wrote (or created) it since it was read: read again. */
bool cert_secret_write(const struct cert_place *place, const struct cert_secret *secret,
                       struct err *err);

#endif
