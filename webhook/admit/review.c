/* Reading an AdmissionReview; see review.h. The body is walked with the cursor of scan.h:
 * of the request a few texts are taken, of the two objects what object.c reads, and the
 * rest is skipped. */
#include "admit/review.h"

#include "admit/object.h"
#include "admit/prune.h"
#include "util/json_weight.h"

/* A UUID has 36. The answer repeats it, and who does not read answers lets them pile up.
 */
#define UID_MAXIMUM 256u

/* What object.c reads of a Deployment, and what the patch needs to find its place in. */
static const struct prune_want own_annotations[] = {
    {STR(ANNOTATION_INJECTED), NULL, false, 0},
    {STR(ANNOTATION_POLICY), NULL, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want meta_wants[] = {
    {STR("name"), NULL, false, 0},
    {STR("namespace"), NULL, false, 0},
    {STR("uid"), NULL, false, 0},
    {STR("labels"), NULL, false, 0},
    {STR("deletionTimestamp"), NULL, false, 0},
    {STR("annotations"), own_annotations, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want mount_wants[] = {
    {STR("name"), NULL, false, 0},
    {STR("mountPath"), NULL, false, 0},
    {STR("readOnly"), NULL, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want container_wants[] = {
    {STR("name"), NULL, false, 0},       {STR("env"), NULL, false, 0},
    {STR("envFrom"), NULL, false, 0},    {STR("args"), NULL, false, 0},
    {STR("command"), NULL, false, 0},    {STR("volumeMounts"), mount_wants, true, 0},
    {STR("workingDir"), NULL, false, 0}, {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want init_wants[] = {
    {STR("volumeMounts"), mount_wants, true, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want volume_wants[] = {
    {STR("name"), NULL, false, 0},
    {STR("emptyDir"), NULL, false, 0},
    {STR("projected"), NULL, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want pod_wants[] = {
    {STR("containers"), container_wants, true, 0},
    {STR("initContainers"), init_wants, true, 0},
    {STR("volumes"), volume_wants, true, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want template_wants[] = {
    {STR("spec"), pod_wants, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want spec_wants[] = {
    {STR("template"), template_wants, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want deployment_wants[] = {
    {STR("metadata"), meta_wants, false, 0},
    {STR("spec"), spec_wants, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want config_map_wants[] = {
    {STR("metadata"), meta_wants, false, 0},
    {STR("data"), NULL, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want other_wants[] = {
    {STR("metadata"), meta_wants, false, 0},
    {{NULL, 0}, NULL, false, 0},
};

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
    if (uid.n > UID_MAXIMUM)
        return err_set(err, ERR_INVALID,
                       "the request's uid has more than %u bytes: an API server sends "
                       "a UUID",
                       UID_MAXIMUM);
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

static const struct prune_want user_wants[] = {
    {STR("username"), NULL, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want kind_wants[] = {
    {STR("group"), NULL, false, 0},
    {STR("kind"), NULL, false, 0},
    {{NULL, 0}, NULL, false, 0},
};
static const struct prune_want request_wants[] = {
    {STR("uid"), NULL, false, 0},       {STR("kind"), kind_wants, false, 0},
    {STR("namespace"), NULL, false, 0}, {STR("name"), NULL, false, 0},
    {STR("operation"), NULL, false, 0}, {STR("userInfo"), user_wants, false, 0},
    {STR("dryRun"), NULL, false, 0},    {STR("subResource"), NULL, false, 0},
    {STR("object"), NULL, false, 1},    {STR("oldObject"), NULL, false, 2},
    {{NULL, 0}, NULL, false, 0},
};
_Static_assert(NRW_COUNT(request_wants) <= PRUNE_WANTS + 1, "the longest list of all");
static const struct prune_want review_wants[] = {
    {STR("apiVersion"), NULL, false, 0},
    {STR("kind"), NULL, false, 0},
    {STR("request"), request_wants, false, 0},
    {{NULL, 0}, NULL, false, 0},
};

static const struct prune_want *wants_of(enum review_kind kind)
{
    switch (kind) {
    case REVIEW_DEPLOYMENT:
        return deployment_wants;
    case REVIEW_CONFIG_MAP:
        return config_map_wants;
    case REVIEW_OTHER:
        break;
    }
    return other_wants;
}

/* Which object it is must be known before it is read. The API server says so before, as
 * the fields of its type stand; should the order be another one, the objects have to
 * wait. */
static const struct prune_want *late_wants(const json_t *siblings)
{
    const json_t *kind = json_object_get(siblings, "kind");
    return kind != NULL ? wants_of(kind_of(kind)) : NULL;
}

/* Reads one of the two objects that had to wait into the request. */
static bool read_late(json_t *request, const char *member, struct str bytes,
                      struct prune_context *context, struct err *err)
{
    if (str_is_null(bytes) || bytes.p[0] != '{')
        return true;
    const json_t *kind = json_object_get(request, "kind");
    json_t *value = prune(bytes, wants_of(kind_of(kind)), context, err);
    if (value == NULL)
        return false;
    return json_object_set_new(request, member, value) == 0 || err_nomem(err);
}

/* Everything through jansson: for a body whose fields stand as no API server writes them.
 */
static bool read_whole(struct str body, struct prune_context *context,
                       struct review *ret_review, struct err *err)
{
    if (!prune_charge(context, json_weight(body, context->weight_maximum), err))
        return false;
    json_error_t why;
    json_t *root = json_loadb(body.p, body.n, JSON_ALLOW_NUL, &why);
    if (root == NULL)
        return err_set(err, ERR_SYNTAX, "the body is not JSON: %s", why.text);
    bool good = review_from_json(root, ret_review, err);
    json_decref(root);
    return good;
}

bool review_read(struct str body, size_t maximum, struct review *ret_review,
                 struct err *err)
{
    NRW_AUTO_PRUNE struct prune_context context = {.raw = {{NULL, 0}, {NULL, 0}},
                                                   .late = late_wants,
                                                   .count = 0,
                                                   .weight_maximum = maximum};
    json_t *root = prune(body, review_wants, &context, err);
    if (root == NULL)
        return false;
    json_t *request = json_object_get(root, "request");
    const json_t *kind = json_object_get(request, "kind");
    /* The kind was said twice, differently, with an object between. */
    if (context.late_taken != NULL && context.late_taken != wants_of(kind_of(kind))) {
        json_decref(root);
        return read_whole(body, &context, ret_review, err);
    }
    bool good = !json_is_object(request) ||
                (read_late(request, "object", context.raw[0], &context, err) &&
                 read_late(request, "oldObject", context.raw[1], &context, err));
    good = good && review_from_json(root, ret_review, err);
    json_decref(root);
    return good;
}

void review_done(struct review *review)
{
    json_decref(review->root);
    review->root = NULL;
}
