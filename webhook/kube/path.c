/* Requests as URL paths; see path.h. Everything that is not an unreserved character of
 * RFC 3986 is percent-encoded, so that no name can leave its place in the path. */
#include "kube/path.h"

const struct kube_resource kube_configmaps = {"", "v1", "configmaps"};
const struct kube_resource kube_secrets = {"", "v1", "secrets"};
const struct kube_resource kube_pods = {"", "v1", "pods"};
const struct kube_resource kube_namespaces = {"", "v1", "namespaces"};
const struct kube_resource kube_services = {"", "v1", "services"};
const struct kube_resource kube_deployments = {"apps", "v1", "deployments"};
const struct kube_resource kube_replica_sets = {"apps", "v1", "replicasets"};
const struct kube_resource kube_leases = {"coordination.k8s.io", "v1", "leases"};
const struct kube_resource kube_events_v1 = {"events.k8s.io", "v1", "events"};
const struct kube_resource kube_mutating_configurations = {
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations"};
const struct kube_resource kube_validating_configurations = {
    "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"};

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static void add_encoded(struct buf *out, const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (ascii_is_alnum(*text) || c == '-' || c == '.' || c == '_' || c == '~') {
            buf_char(out, *text);
        } else {
            buf_char(out, '%');
            buf_char(out, digits[c >> 4]);
            buf_char(out, digits[c & 15]);
        }
    }
}

static bool add_segment(struct buf *out, const char *text, struct err *err)
{
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return err_set(err, ERR_INVALID, "\"%s\" cannot be the name of an object", text);
    buf_char(out, '/');
    add_encoded(out, text);
    return true;
}

static void add_query(struct buf *out, bool *first, const char *key, const char *value)
{
    if (!is_set(value))
        return;
    buf_char(out, *first ? '?' : '&');
    *first = false;
    buf_text(out, key);
    buf_char(out, '=');
    add_encoded(out, value);
}

static void add_number(struct buf *out, bool *first, const char *key, unsigned value)
{
    if (value == 0)
        return;
    buf_printf(out, "%c%s=%u", *first ? '?' : '&', key, value);
    *first = false;
}

static bool add_object_path(const struct kube_request *request, struct buf *out,
                            struct err *err)
{
    const struct kube_resource *resource = request->resource;
    if (resource->group[0] == '\0')
        buf_printf(out, "/api/%s", resource->version);
    else
        buf_printf(out, "/apis/%s/%s", resource->group, resource->version);
    if (is_set(request->name_space)) {
        buf_text(out, "/namespaces");
        if (!add_segment(out, request->name_space, err))
            return false;
    }
    buf_printf(out, "/%s", resource->plural);
    if (!is_set(request->name) || request->verb == KUBE_CREATE)
        return true;
    if (!add_segment(out, request->name, err))
        return false;
    return !is_set(request->subresource) || add_segment(out, request->subresource, err);
}

bool kube_path(const struct kube_request *request, struct buf *out, struct err *err)
{
    if (request->resource == NULL) {
        buf_text(out, request->raw_path);
        return out->failed ? err_nomem(err) : true;
    }
    if (!add_object_path(request, out, err))
        return false;
    bool first = true;
    add_query(out, &first, "fieldSelector", request->field_selector);
    add_query(out, &first, "labelSelector", request->label_selector);
    if (request->verb == KUBE_GET || request->verb == KUBE_WATCH) {
        add_query(out, &first, "resourceVersion", request->resource_version);
        add_query(out, &first, "continue", request->continue_token);
        add_number(out, &first, "limit", request->limit);
    }
    if (request->verb == KUBE_WATCH) {
        add_query(out, &first, "watch", "true");
        add_query(out, &first, "allowWatchBookmarks", "true");
        add_number(out, &first, "timeoutSeconds", request->timeout_seconds);
    } else if (request->verb != KUBE_GET) {
        if (request->verb != KUBE_DELETE)
            add_query(out, &first, "fieldManager", request->field_manager);
        add_query(out, &first, "dryRun", request->dry_run ? "All" : "");
        if (request->verb == KUBE_APPLY)
            add_query(out, &first, "force", request->force ? "true" : "");
    }
    return out->failed ? err_nomem(err) : true;
}

const char *kube_verb_name(const struct kube_request *request)
{
    switch (request->verb) {
    case KUBE_GET:
        return request->resource == NULL || is_set(request->name) ? "get" : "list";
    case KUBE_WATCH:
        return "watch";
    case KUBE_CREATE:
        return "create";
    case KUBE_UPDATE:
        return "update";
    case KUBE_PATCH_MERGE:
    case KUBE_PATCH_JSON:
    case KUBE_PATCH_STRATEGIC:
    case KUBE_APPLY:
        return "patch";
    case KUBE_DELETE:
        return "delete";
    }
    return "get";
}

const char *kube_method(enum kube_verb verb)
{
    switch (verb) {
    case KUBE_GET:
    case KUBE_WATCH:
        return "GET";
    case KUBE_CREATE:
        return "POST";
    case KUBE_UPDATE:
        return "PUT";
    case KUBE_PATCH_MERGE:
    case KUBE_PATCH_JSON:
    case KUBE_PATCH_STRATEGIC:
    case KUBE_APPLY:
        return "PATCH";
    case KUBE_DELETE:
        return "DELETE";
    }
    return "GET";
}

const char *kube_content_type(enum kube_verb verb)
{
    switch (verb) {
    case KUBE_CREATE:
    case KUBE_UPDATE:
        return "application/json";
    case KUBE_PATCH_MERGE:
        return "application/merge-patch+json";
    case KUBE_PATCH_JSON:
        return "application/json-patch+json";
    case KUBE_PATCH_STRATEGIC:
        return "application/strategic-merge-patch+json";
    case KUBE_APPLY:
        return "application/apply-patch+yaml"; /* JSON is YAML; every version takes it */
    case KUBE_GET:
    case KUBE_WATCH:
    case KUBE_DELETE:
        break;
    }
    return NULL;
}

void kube_describe(const struct kube_request *request, struct buf *out)
{
    if (request->resource == NULL) {
        buf_text(out, request->raw_path);
        return;
    }
    buf_text(out, request->resource->plural);
    if (is_set(request->name))
        buf_printf(out, " \"%s\"", request->name);
    else if (is_set(request->field_selector))
        buf_printf(out, " with %s", request->field_selector);
    if (is_set(request->name_space))
        buf_printf(out, " in namespace \"%s\"", request->name_space);
}
