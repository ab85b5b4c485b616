/* What an answer that is not a success means: an HTTP code and a Kubernetes `Status` body
 * become a struct err. Pure; any thread.
 * Source: k8s.io/apimachinery meta/v1 Status; RBAC forms from the Kubernetes docs. */
#ifndef NRW_KUBE_STATUS_H
#define NRW_KUBE_STATUS_H

#include <stdbool.h>

#include "kube/path.h"
#include "util/err.h"
#include "util/str.h"

/* Always false, err set: 409 ERR_CONFLICT; 401 and 403 ERR_DENIED, the latter with the
 * RBAC rule that is missing and who the API server says we are; 404 ERR_NOT_FOUND; 410
 * ERR_CONFLICT (what was asked for is too old); 400, 405, 415, 422 ERR_INVALID; 413
 * ERR_LIMIT; everything else ERR_UNAVAILABLE. */
bool kube_status_error(const struct kube_request *request, unsigned code, struct str body,
                       struct err *err);

/* The message of a Status body, made fit for one line: control characters become spaces,
 * cut at `size`. "" when there is none. */
void kube_status_message(struct str body, char *out, size_t size);

#endif
