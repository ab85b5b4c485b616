/* Reading an AdmissionReview; see review.h. The whole body goes through jansson. */
#include "admit/review.h"

#include "admit/object.h"

static struct str or_empty(struct str text)
{
    return str_is_null(text) ? STR("") : text;
}

static json_t *object_or_null(const json_t *request, const char *member)
{
    json_t *value = json_object_get(request, member);
    return json_is_object(value) ? value : NULL;
}

static enum review_kind kind_of(const json_t *kind)
{
    struct str group = or_empty(object_text(kind, "group"));
    struct str name = or_empty(object_text(kind, "kind"));
    if (str_eq(group, STR("apps")) && str_eq(name, STR("Deployment")))
        return REVIEW_DEPLOYMENT;
    if (group.n == 0 && str_eq(name, STR("ConfigMap")))
        return REVIEW_CONFIG_MAP;
    return REVIEW_OTHER;
}

bool review_from_json(json_t *root, struct review *ret_review, struct err *err)
{
    struct str api_version = or_empty(object_text(root, "apiVersion"));
    struct str kind = or_empty(object_text(root, "kind"));
    if (!str_eq(kind, STR("AdmissionReview")))
        return err_set(err, ERR_INVALID, "the body is no AdmissionReview");
    if (!str_eq(api_version, STR("admission.k8s.io/v1")))
        return err_set(err, ERR_INVALID,
                       "apiVersion \"%.*s\" is not admission.k8s.io/v1: list only v1 in "
                       "admissionReviewVersions",
                       STR_ARG(str_first(api_version, 100)));
    const json_t *request = json_object_get(root, "request");
    if (!json_is_object(request))
        return err_set(err, ERR_INVALID, "the AdmissionReview has no request");
    struct str uid = or_empty(object_text(request, "uid"));
    if (uid.n == 0)
        return err_set(err, ERR_INVALID, "the request has no uid");
    const json_t *gvk = json_object_get(request, "kind");
    json_t *object = object_or_null(request, "object");
    struct str name = or_empty(object_text(request, "name"));
    *ret_review = (struct review){
        .root = json_incref(root),
        .uid = uid,
        .kind_name = or_empty(object_text(gvk, "kind")),
        .kind = kind_of(gvk),
        .name_space = or_empty(object_text(request, "namespace")),
        .name = name.n > 0 ? name : or_empty(object_meta(object, "name")),
        .operation = or_empty(object_text(request, "operation")),
        .user = or_empty(object_text(json_object_get(request, "userInfo"), "username")),
        .object_uid = or_empty(object_meta(object, "uid")),
        .dry_run = json_is_true(json_object_get(request, "dryRun")),
        .has_subresource = or_empty(object_text(request, "subResource")).n > 0,
        .object = object,
        .old_object = object_or_null(request, "oldObject"),
    };
    return true;
}

bool review_read(struct str body, struct review *ret_review, struct err *err)
{
    json_error_t why;
    json_t *root = json_loadb(body.p, body.n, JSON_ALLOW_NUL, &why);
    if (root == NULL) {
        return err_set(err, ERR_SYNTAX, "the body is not JSON: line %d, column %d: %s",
                       why.line, why.column, why.text);
    }
    bool good = review_from_json(root, ret_review, err);
    json_decref(root);
    return good;
}

void review_done(struct review *review)
{
    json_decref(review->root);
    review->root = NULL;
}
