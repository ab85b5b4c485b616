/* JSON Patch; see json_patch.h. */
#include "tests/unit/support/json_patch.h"

#include <string.h>

#include "util/num.h"

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

bool json_patch_apply(json_t *object, const json_t *patch, struct err *err)
{
    for (size_t i = 0; i < json_array_size(patch); i++) {
        if (!apply_one(object, json_array_get(patch, i)))
            return err_set(err, ERR_INTERNAL, "operation %zu of the patch does not apply",
                           i);
    }
    return true;
}
