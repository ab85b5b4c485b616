/* What is asked of the API server, and the URL path it becomes. Pure; any thread.
 * Source of the forms: the Kubernetes API conventions (/api/v1 for the core group,
 * /apis/GROUP/VERSION otherwise; namespaces/NS before the resource). */
#ifndef NRW_KUBE_PATH_H
#define NRW_KUBE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

/* A kind of object, by its plural. */
struct kube_resource {
    const char *group; /* "" is the core group */
    const char *version;
    const char *plural;
};
extern const struct kube_resource kube_configmaps;
extern const struct kube_resource kube_secrets;
extern const struct kube_resource kube_pods;
extern const struct kube_resource kube_namespaces;
extern const struct kube_resource kube_services;
extern const struct kube_resource kube_deployments;
extern const struct kube_resource kube_replica_sets;
extern const struct kube_resource kube_leases;
extern const struct kube_resource kube_events_v1;
extern const struct kube_resource kube_mutating_configurations;
extern const struct kube_resource kube_validating_configurations;

enum kube_verb {
    KUBE_GET,             /* one object; with name "" the collection (list) */
    KUBE_WATCH,           /* a stream of changes; kube/watch.h does it */
    KUBE_CREATE,          /* POST to the collection */
    KUBE_UPDATE,          /* PUT the whole object */
    KUBE_PATCH_MERGE,     /* RFC 7396 */
    KUBE_PATCH_JSON,      /* RFC 6902 */
    KUBE_PATCH_STRATEGIC, /* lists merged by their key */
    KUBE_APPLY,           /* server-side apply; needs field_manager */
    KUBE_DELETE,
};

struct kube_request {
    enum kube_verb verb;
    const struct kube_resource *resource; /* NULL: `raw_path` is the whole path */
    const char *raw_path;                 /* "/readyz", "/version" … */
    const char *name_space; /* NULL or "": cluster-scoped, or all namespaces */
    const char *name;       /* NULL or "": the collection */
    const char *subresource;
    const char *field_selector, *label_selector;
    const char *continue_token; /* of a list in pages */
    unsigned limit;             /* objects per page; 0 = all */
    const char *resource_version;
    unsigned timeout_seconds;  /* of a watch */
    const char *field_manager; /* of a write */
    bool force;                /* of an apply: take over fields of others */
    bool dry_run;
    struct str body;      /* of a write: JSON, borrowed for the call */
    unsigned deadline_ms; /* for all of it, retries included; 0 = 10 s */
    size_t body_maximum;  /* of the answer; 0 = 4 MiB; beyond it ERR_LIMIT */
    bool last_word;     /* asked even after kube_client_stop, so with a short deadline */
    unsigned *ret_code; /* not NULL: every HTTP answer is a success, and this is its
                           code; nothing is tried again. Only kube_request_raw */
};

/* Appends path and query, percent-encoded. False: ERR_INVALID for a name that cannot
 * stand in a path ("." and "..", which proxies fold), ERR_NOMEM. */
bool kube_path(const struct kube_request *request, struct buf *out, struct err *err);

/* The verb as RBAC rules and metrics call it: get, list, watch, create, update, patch,
 * delete. */
const char *kube_verb_name(const struct kube_request *request);
const char *kube_method(enum kube_verb verb);       /* GET, POST … */
const char *kube_content_type(enum kube_verb verb); /* NULL where there is no body */

/* "configmaps \"x\" in namespace \"y\"", appended for messages. */
void kube_describe(const struct kube_request *request, struct buf *out);

#endif
