/* JSON Patch; see patch_json.h. */
#include "admit/patch_json.h"

#include <stdio.h>

#include "util/num.h"

static json_t *variable(const struct patch_op *op)
{
    return json_pack("{s:s%,s:s%}", "name", op->name.p, op->name.n, "value", op->value.p,
                     op->value.n);
}

/* "nvcf-registry-webhook/injected" as a token of a JSON pointer. */
static void pointer_of(struct str annotation, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "/metadata/annotations/");
    for (size_t i = 0; i < annotation.n && n + 3 < size; i++) {
        char c = annotation.p[i];
        if (c == '~' || c == '/') {
            out[n++] = '~';
            out[n++] = c == '~' ? '0' : '1';
        } else {
            out[n++] = c;
        }
    }
    out[n] = '\0';
}

static json_t *operation(const struct patch *patch, const struct patch_op *op)
{
    char env[96];
    char path[192];
    snprintf(env, sizeof(env), "/spec/template/spec/containers/%zu/env",
             patch->container);
    switch (op->kind) {
    case PATCH_ENV_REPLACE:
        snprintf(path, sizeof(path), "%s/%zu", env, op->index);
        return json_pack("{s:s,s:s,s:o}", "op", "replace", "path", path, "value",
                         variable(op));
    case PATCH_ENV_REMOVE:
        snprintf(path, sizeof(path), "%s/%zu", env, op->index);
        return json_pack("{s:s,s:s}", "op", "remove", "path", path);
    case PATCH_ENV_CREATE:
        return json_pack("{s:s,s:s,s:[]}", "op", "add", "path", env, "value");
    case PATCH_ENV_APPEND:
        snprintf(path, sizeof(path), "%s/-", env);
        return json_pack("{s:s,s:s,s:o}", "op", "add", "path", path, "value",
                         variable(op));
    case PATCH_ANNOTATIONS_CREATE:
        return json_pack("{s:s,s:s,s:{}}", "op", "add", "path", "/metadata/annotations",
                         "value");
    case PATCH_ANNOTATION_SET:
        pointer_of(op->name, path, sizeof(path));
        return json_pack("{s:s,s:s,s:s%}", "op", "add", "path", path, "value",
                         op->value.p, op->value.n);
    case PATCH_ANNOTATION_REMOVE:
        break;
    }
    pointer_of(op->name, path, sizeof(path));
    return json_pack("{s:s,s:s}", "op", "remove", "path", path);
}

json_t *patch_json(const struct patch *patch)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < patch->ops.count; i++) {
        json_t *op = operation(patch, patch_at(patch, i));
        if (op == NULL || json_array_append_new(array, op) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* The next token of a pointer, unescaped; false at its end. */
static bool next_token(const char **at, char *out, size_t size)
{
    const char *p = *at;
    if (*p != '/')
        return false;
    size_t n = 0;
    for (p++; *p != '\0' && *p != '/'; p++) {
        char c = *p;
        if (c == '~' && (p[1] == '0' || p[1] == '1')) {
            c = p[1] == '0' ? '~' : '/';
            p++;
        }
        if (n + 1 < size)
            out[n++] = c;
    }
    out[n] = '\0';
    *at = p;
    return true;
}

static json_t *step(json_t *value, const char *token)
{
    if (json_is_object(value))
        return json_object_get(value, token);
    uint64_t index;
    if (json_is_array(value) && num_parse(str_of(token), json_array_size(value), &index))
        return json_array_get(value, (size_t)index);
    return NULL;
}

static bool apply_to_array(json_t *array, const char *token, const char *op,
                           json_t *value)
{
    uint64_t index = json_array_size(array);
    if (strcmp(token, "-") != 0 &&
        !num_parse(str_of(token), json_array_size(array), &index))
        return false;
    if (strcmp(op, "add") == 0)
        return value != NULL && json_array_insert(array, (size_t)index, value) == 0;
    if (strcmp(op, "replace") == 0)
        return value != NULL && json_array_set(array, (size_t)index, value) == 0;
    return strcmp(op, "remove") == 0 && json_array_remove(array, (size_t)index) == 0;
}

static bool apply_to_object(json_t *object, const char *token, const char *op,
                            json_t *value)
{
    if (strcmp(op, "remove") == 0)
        return json_object_del(object, token) == 0;
    if (strcmp(op, "add") != 0 && strcmp(op, "replace") != 0)
        return false;
    return value != NULL && json_object_set(object, token, value) == 0;
}

static bool apply_one(json_t *object, const json_t *operation)
{
    const char *op = json_string_value(json_object_get(operation, "op"));
    const char *path = json_string_value(json_object_get(operation, "path"));
    const json_t *given = json_object_get(operation, "value");
    char token[256];
    char next[256];
    json_t *parent = object;
    if (op == NULL || path == NULL || !next_token(&path, token, sizeof(token)))
        return false;
    while (next_token(&path, next, sizeof(next))) {
        parent = step(parent, token);
        memcpy(token, next, sizeof(token));
    }
    /* A copy: later operations change what is in the object, never the patch itself. */
    json_t *value = given != NULL ? json_deep_copy(given) : NULL;
    bool good = json_is_array(parent)    ? apply_to_array(parent, token, op, value)
                : json_is_object(parent) ? apply_to_object(parent, token, op, value)
                                         : false;
    json_decref(value);
    return good;
}

bool patch_apply(json_t *object, const json_t *patch, struct err *err)
{
    for (size_t i = 0; i < json_array_size(patch); i++) {
        if (!apply_one(object, json_array_get(patch, i)))
            return err_set(err, ERR_INTERNAL, "operation %zu of the patch does not apply",
                           i);
    }
    return true;
}

bool patch_base64(struct buf *out, struct str bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)bytes.p;
    if (!buf_reserve(out, (bytes.n + 2) / 3 * 4))
        return false;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        unsigned group = (unsigned)in[i] << 16 |
                         (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                         (left > 2 ? in[i + 2] : 0);
        char four[] = {digits[group >> 18], digits[group >> 12 & 63],
                       left > 1 ? digits[group >> 6 & 63] : '=',
                       left > 2 ? digits[group & 63] : '='};
        buf_append(out, four, sizeof(four));
    }
    return !out->failed;
}
