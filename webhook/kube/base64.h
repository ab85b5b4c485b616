/* Base64 as Kubernetes writes it (RFC 4648, standard alphabet, padded): Secret data,
 * caBundle, the *-data fields of a kubeconfig. Pure; any thread. */
#ifndef NRW_KUBE_BASE64_H
#define NRW_KUBE_BASE64_H

#include <stdbool.h>

#include "util/buf.h"
#include "util/str.h"

/* Appends the decoded bytes. White space is skipped, as YAML may fold long values.
 * False: not base64, or the buffer is full (then out->failed); `out` may hold a part. */
bool base64_decode(struct str text, struct buf *out);
/* Appends the encoded text, on one line. False: the buffer is full. */
bool base64_encode(struct str bytes, struct buf *out);

#endif
