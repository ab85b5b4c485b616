/* One line of a watch; see watch_line.h. Nothing is taken on trust: an object without a
 * name or a resourceVersion would poison what is remembered, so it is an error. */
#include "kube/watch_line.h"

#include "kube/client.h"

const char *kube_meta(const json_t *object, const char *field)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(object, "metadata"), field));
    return text != NULL ? text : "";
}

void watch_line_done(struct watch_line *line)
{
    json_decref(line->root);
    line->root = NULL;
}

static bool type_of(const char *name, enum watch_line_type *ret_type)
{
    static const char *const names[] = {
        [WATCH_LINE_ADDED] = "ADDED",     [WATCH_LINE_MODIFIED] = "MODIFIED",
        [WATCH_LINE_DELETED] = "DELETED", [WATCH_LINE_BOOKMARK] = "BOOKMARK",
        [WATCH_LINE_ERROR] = "ERROR",
    };
    for (size_t i = 0; name != NULL && i < NRW_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_type = (enum watch_line_type)i;
            return true;
        }
    }
    return false;
}

static bool digest(struct watch_line *line, struct err *err)
{
    const char *type = json_string_value(json_object_get(line->root, "type"));
    const json_t *object = json_object_get(line->root, "object");
    if (!type_of(type, &line->type) || !json_is_object(object))
        return err_set(err, ERR_INVALID, "a line of the watch is no watch event");
    line->resource_version = line->message = "";
    if (line->type == WATCH_LINE_ERROR) {
        json_int_t code = json_integer_value(json_object_get(object, "code"));
        line->code = code > 0 && code < 1000 ? (unsigned)code : 0;
        const char *message = json_string_value(json_object_get(object, "message"));
        line->message = message != NULL ? message : "";
        return true;
    }
    line->object = object;
    line->resource_version = kube_meta(object, "resourceVersion");
    if (line->resource_version[0] == '\0')
        return err_set(err, ERR_INVALID, "a watch event has no resourceVersion");
    if (line->type != WATCH_LINE_BOOKMARK && kube_meta(object, "name")[0] == '\0')
        return err_set(err, ERR_INVALID, "a watch event has an object without a name");
    return true;
}

bool watch_line_parse(struct str text, struct watch_line *ret_line, struct err *err)
{
    struct watch_line line = {.root = kube_parse(text, err)};
    if (line.root == NULL)
        return false;
    if (!digest(&line, err)) {
        watch_line_done(&line);
        return false;
    }
    *ret_line = line;
    return true;
}
