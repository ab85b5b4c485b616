/* The caBundles of the two webhook configurations: what the API server verifies our
 * certificate with. Blocking; any thread. */
#ifndef NRW_CERTS_BUNDLE_H
#define NRW_CERTS_BUNDLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "kube/client.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

/* One configuration as it was read. */
struct cert_bundle {
    bool exists;
    json_t *object; /* owned; NULL unless it exists */
};
void cert_bundle_done(struct cert_bundle *bundle);
#define CERT_AUTO_BUNDLE NRW_CLEANUP(cert_bundle_done)

/* `resource`: kube_mutating_configurations or kube_validating_configurations. One that
 * does not exist is no failure. `ret_bundle` is replaced on success (start with {0}),
 * untouched on failure. */
bool cert_bundle_read(struct kube_client *client, const struct kube_resource *resource,
                      const char *name, struct cert_bundle *ret_bundle, struct err *err);

/* Whether the caBundle of every webhook in it is exactly this text. True for one that
 * does not exist or has no webhooks. */
bool cert_bundle_is(const struct cert_bundle *bundle, struct str pem);
/* Whether every one of them holds the certificate with this SHA-256 fingerprint. */
bool cert_bundle_holds(const struct cert_bundle *bundle, struct str fingerprint);
/* How many webhooks are in it; 0 when it does not exist. */
size_t cert_bundle_webhooks(const struct cert_bundle *bundle);
/* The caBundle of the first webhook, appended; nothing when there is none. */
void cert_bundle_first(const struct cert_bundle *bundle, struct buf *out);

/* Sets the caBundle of every webhook, and nothing else. ERR_CONFLICT when the
 * configuration was changed since it was read: read again, the Secret too. */
bool cert_bundle_write(struct kube_client *client, const struct kube_resource *resource,
                       const char *name, const struct cert_bundle *bundle, struct str pem,
                       struct err *err);

#endif
