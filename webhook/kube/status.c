/* Answers that are not a success; see status.h. The text of the API server is quoted, as
 * it alone knows who we are, but never trusted to be one line. */
#include "kube/status.h"

#include <jansson.h>
#include <stdio.h>

#include "util/utf8.h"

#define SAID_MAXIMUM 400u

static void one_line(struct str text, char *out, size_t size)
{
    struct str cut = utf8_cut(text, size - 1);
    for (size_t i = 0; i < cut.n; i++) {
        unsigned char c = (unsigned char)cut.p[i];
        out[i] = c < 0x20 || c == 0x7f ? ' ' : cut.p[i];
    }
    out[cut.n] = '\0';
}

void kube_status_message(struct str body, char *out, size_t size)
{
    out[0] = '\0';
    json_t *root =
        json_loadb(body.p, body.n, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
    json_t *message = json_object_get(root, "message");
    if (json_is_string(message))
        one_line(str_from(json_string_value(message), json_string_length(message)), out,
                 size);
    json_decref(root);
}

/* Who we are, out of `… is forbidden: User "system:serviceaccount:ns:name" cannot …`. */
static struct str find_user(struct str said)
{
    static const struct str before = {"User \"", 6};
    size_t at = str_find(said, before);
    if (at == said.n)
        return str_null();
    struct str rest = str_skip(said, at + before.n);
    return str_first(rest, str_index(rest, 0, '"'));
}

static void describe_rule(const struct kube_request *request, struct buf *out)
{
    const struct kube_resource *resource = request->resource;
    const char *name = request->name != NULL ? request->name : "";
    static const char by_name[] = "metadata.name=";
    if (name[0] == '\0' && request->field_selector != NULL &&
        strncmp(request->field_selector, by_name, sizeof(by_name) - 1) == 0)
        name = request->field_selector + sizeof(by_name) - 1;
    buf_printf(out, "{apiGroups: [\"%s\"], resources: [%s%s%s]", resource->group,
               resource->plural, request->subresource != NULL ? "/" : "",
               request->subresource != NULL ? request->subresource : "");
    /* RBAC cannot tie a create to a name. */
    if (name[0] != '\0' && request->verb != KUBE_CREATE)
        buf_printf(out, ", resourceNames: [%s]", name);
    buf_printf(out, ", verbs: [%s]}", kube_verb_name(request));
    if (request->name_space != NULL && request->name_space[0] != '\0')
        buf_printf(out, " in a Role in namespace %s", request->name_space);
    else
        buf_text(out, " in a ClusterRole");
}

static bool denied(const struct kube_request *request, struct str what, const char *said,
                   struct err *err)
{
    if (request->resource == NULL)
        return err_set(err, ERR_DENIED,
                       "not permitted to %s %.*s: the API server says: %s",
                       kube_verb_name(request), STR_ARG(what), said);
    NRW_AUTO_BUF struct buf rule;
    buf_init(&rule, 1024);
    describe_rule(request, &rule);
    struct str user = find_user(str_of(said));
    /* A 403 that names no user is not RBAC's (an admission plugin, a namespace that goes
     * away): its own words say more than a rule would. */
    if (str_is_null(user))
        return err_set(
            err, ERR_DENIED, "not permitted to %s %.*s: the API server says: %s",
            kube_verb_name(request), STR_ARG(what), said[0] != '\0' ? said : "(nothing)");
    return err_set(
        err, ERR_DENIED,
        "not permitted to %s %.*s: user \"%.*s\" needs the rule %.*s, bound to it",
        kube_verb_name(request), STR_ARG(what), STR_ARG(user), STR_ARG(buf_view(&rule)));
}

bool kube_status_error(const struct kube_request *request, unsigned code, struct str body,
                       struct err *err)
{
    char said[SAID_MAXIMUM + 1];
    kube_status_message(body, said, sizeof(said));
    NRW_AUTO_BUF struct buf description;
    buf_init(&description, 1024);
    kube_describe(request, &description);
    struct str what = buf_view(&description);
    const char *verb = kube_verb_name(request);
    const char *separator = said[0] != '\0' ? ": " : "";
    enum err_code as = ERR_UNAVAILABLE;
    switch (code) {
    case 401:
        return err_set(err, ERR_DENIED,
                       "cannot %s %.*s: the API server does not accept our credentials "
                       "(HTTP 401)%s%s",
                       verb, STR_ARG(what), separator, said);
    case 403:
        return denied(request, what, said, err);
    case 404:
        as = ERR_NOT_FOUND;
        break;
    case 409:
    case 410:
        as = ERR_CONFLICT;
        break;
    case 400:
    case 405:
    case 415:
    case 422:
        as = ERR_INVALID;
        break;
    case 413:
        as = ERR_LIMIT;
        break;
    default:
        break;
    }
    return err_set(err, as, "cannot %s %.*s: HTTP %u%s%s", verb, STR_ARG(what), code,
                   separator, said);
}
