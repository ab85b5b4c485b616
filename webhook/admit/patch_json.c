/* JSON Patch; see patch_json.h. */
#include "admit/patch_json.h"

#include <stdio.h>

/* --- text ------------------------------------------------------------------------------
 */

static void variable(const struct patch_op *op, struct buf *out)
{
    buf_text(out, "{\"name\":");
    buf_json_string(out, op->name);
    buf_text(out, ",\"value\":");
    buf_json_string(out, op->value);
    buf_char(out, '}');
}

/* "nvcf-registry-webhook/injected" as a token of a JSON pointer. The names are ours and
 * need no other escape. */
static void pointer(struct str annotation, struct buf *out)
{
    buf_text(out, "/metadata/annotations/");
    for (size_t i = 0; i < annotation.n; i++) {
        if (annotation.p[i] == '/')
            buf_text(out, "~1");
        else
            buf_char(out, annotation.p[i]);
    }
}

static void operation(struct str env_path, const struct patch_op *op, struct buf *out)
{
    const char *verb =
        op->kind == PATCH_ENV_REPLACE                                         ? "replace"
        : op->kind == PATCH_ENV_REMOVE || op->kind == PATCH_ANNOTATION_REMOVE ? "remove"
                                                                              : "add";
    bool env = op->kind == PATCH_ENV_REPLACE || op->kind == PATCH_ENV_REMOVE ||
               op->kind == PATCH_ENV_CREATE || op->kind == PATCH_ENV_APPEND;
    buf_text(out, "{\"op\":\"");
    buf_text(out, verb);
    buf_text(out, "\",\"path\":\"");
    if (env)
        buf_str(out, env_path);
    switch (op->kind) {
    case PATCH_ENV_REPLACE:
        buf_printf(out, "/%zu\",\"value\":", op->index);
        variable(op, out);
        break;
    case PATCH_ENV_REMOVE:
        buf_printf(out, "/%zu\"", op->index);
        break;
    case PATCH_ENV_CREATE:
        buf_text(out, "\",\"value\":[]");
        break;
    case PATCH_ENV_APPEND:
        buf_text(out, "/-\",\"value\":");
        variable(op, out);
        break;
    case PATCH_ANNOTATIONS_CREATE:
        buf_text(out, "/metadata/annotations\",\"value\":{}");
        break;
    case PATCH_ANNOTATION_SET:
        pointer(op->name, out);
        buf_text(out, "\",\"value\":");
        buf_json_string(out, op->value);
        break;
    case PATCH_ANNOTATION_REMOVE:
        pointer(op->name, out);
        buf_char(out, '"');
        break;
    }
    buf_char(out, '}');
}

void patch_render(const struct patch *patch, struct buf *out)
{
    char path[64];
    int n = snprintf(path, sizeof(path), "/spec/template/spec/containers/%zu/env",
                     patch->container);
    struct str env_path = str_from(path, n > 0 ? (size_t)n : 0);
    buf_char(out, '[');
    for (size_t i = 0; i < patch->ops.count; i++) {
        if (i > 0)
            buf_char(out, ',');
        operation(env_path, patch_at(patch, i), out);
    }
    buf_char(out, ']');
}

/* --- application -----------------------------------------------------------------------
 */

static json_t *variable_json(const struct patch_op *op)
{
    json_t *object = json_object();
    json_t *name = json_stringn(op->name.p, op->name.n);
    json_t *value = json_stringn(op->value.p, op->value.n);
    /* The setters take the value, also on failure. */
    bool good = json_object_set_new(object, "name", name) == 0;
    good = json_object_set_new(object, "value", value) == 0 && good;
    if (good)
        return object;
    json_decref(object);
    return NULL;
}

static bool apply_env(json_t *container, const struct patch_op *op)
{
    json_t *env = json_object_get(container, "env");
    if (op->kind == PATCH_ENV_CREATE)
        return json_is_object(container) &&
               json_object_set_new(container, "env", json_array()) == 0;
    if (!json_is_array(env))
        return false;
    if (op->kind == PATCH_ENV_APPEND)
        return json_array_append_new(env, variable_json(op)) == 0;
    if (op->kind == PATCH_ENV_REMOVE)
        return json_array_remove(env, op->index) == 0;
    return json_array_set_new(env, op->index, variable_json(op)) == 0;
}

static bool apply_annotation(json_t *metadata, const struct patch_op *op)
{
    char name[64]; /* one of our two */
    json_t *annotations = json_object_get(metadata, "annotations");
    if (op->kind == PATCH_ANNOTATIONS_CREATE)
        return json_is_object(metadata) &&
               json_object_set_new(metadata, "annotations", json_object()) == 0;
    if (!json_is_object(annotations) || op->name.n >= sizeof(name))
        return false;
    memcpy(name, op->name.p, op->name.n);
    name[op->name.n] = '\0';
    if (op->kind == PATCH_ANNOTATION_REMOVE)
        return json_object_del(annotations, name) == 0;
    return json_object_set_new(annotations, name,
                               json_stringn(op->value.p, op->value.n)) == 0;
}

bool patch_apply(json_t *object, const struct patch *patch, struct err *err)
{
    json_t *metadata = json_object_get(object, "metadata");
    json_t *pod = json_object_get(
        json_object_get(json_object_get(object, "spec"), "template"), "spec");
    json_t *container =
        json_array_get(json_object_get(pod, "containers"), patch->container);
    for (size_t i = 0; i < patch->ops.count; i++) {
        const struct patch_op *op = patch_at(patch, i);
        bool annotation = op->kind == PATCH_ANNOTATIONS_CREATE ||
                          op->kind == PATCH_ANNOTATION_SET ||
                          op->kind == PATCH_ANNOTATION_REMOVE;
        if (!(annotation ? apply_annotation(metadata, op) : apply_env(container, op)))
            return err_set(err, ERR_INTERNAL, "operation %zu of the patch does not apply",
                           i);
    }
    return true;
}

/* --- base64 ----------------------------------------------------------------------------
 */

bool patch_base64(struct buf *out, struct str bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)bytes.p;
    size_t size = (bytes.n + 2) / 3 * 4;
    if (!buf_reserve(out, size))
        return false;
    char *to = out->data + out->size;
    size_t whole = bytes.n - bytes.n % 3;
    for (size_t i = 0; i < whole; i += 3, to += 4) {
        unsigned group =
            (unsigned)in[i] << 16 | (unsigned)in[i + 1] << 8 | (unsigned)in[i + 2];
        to[0] = digits[group >> 18];
        to[1] = digits[group >> 12 & 63];
        to[2] = digits[group >> 6 & 63];
        to[3] = digits[group & 63];
    }
    if (whole < bytes.n) {
        bool two = whole + 1 < bytes.n;
        unsigned group =
            (unsigned)in[whole] << 16 | (two ? (unsigned)in[whole + 1] << 8 : 0);
        to[0] = digits[group >> 18];
        to[1] = digits[group >> 12 & 63];
        to[2] = two ? digits[group >> 6 & 63] : '=';
        to[3] = '=';
    }
    out->size += size;
    out->data[out->size] = '\0';
    return true;
}
