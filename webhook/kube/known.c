/* What a watch has told; see known.h. A key gets its place before its object is told, so
 * that running out of memory in between can lead to telling twice, never to forgetting
 * that something must be told as gone one day. */
#include "kube/known.h"

#include <string.h>

#include "kube/watch_line.h"
#include "util/buf.h"

#define KEY_MAXIMUM 1024u

bool known_init(struct known *known, known_tell *tell, void *context)
{
    *known = (struct known){json_object(), NULL, tell, context};
    return known->told != NULL;
}

void known_done(struct known *known)
{
    json_decref(known->told);
    json_decref(known->seen);
    known->told = known->seen = NULL;
}

static bool print_key(const json_t *object, struct buf *out)
{
    buf_init(out, KEY_MAXIMUM);
    return buf_printf(out, "%s/%s", kube_meta(object, "namespace"),
                      kube_meta(object, "name"));
}

bool known_take(struct known *known, const json_t *object)
{
    NRW_AUTO_BUF struct buf key;
    if (!print_key(object, &key))
        return false;
    const json_t *before = json_object_get(known->told, key.data);
    bool remembers = before != NULL || json_object_size(known->told) < KNOWN_MAXIMUM;
    if (remembers && known->seen != NULL &&
        json_object_set_new(known->seen, key.data, json_null()) != 0)
        return false;
    json_t *now = json_sprintf("%s/%s", kube_meta(object, "uid"),
                               kube_meta(object, "resourceVersion"));
    if (now == NULL)
        return false;
    bool good = true;
    if (before == NULL && remembers)
        good = json_object_set_new(known->told, key.data, json_null()) == 0;
    if (good && (before == NULL || !json_equal(before, now)))
        good = known->tell(known->context, before == NULL ? KNOWN_NEW : KNOWN_CHANGED,
                           object) &&
               (!remembers || json_object_set(known->told, key.data, now) == 0);
    json_decref(now);
    return good;
}

bool known_delete(struct known *known, const json_t *object)
{
    NRW_AUTO_BUF struct buf key;
    if (!print_key(object, &key) || !known->tell(known->context, KNOWN_GONE, object))
        return false;
    json_object_del(known->told, key.data);
    return true;
}

bool known_list_begin(struct known *known)
{
    known_list_give_up(known);
    known->seen = json_object();
    return known->seen != NULL;
}

void known_list_give_up(struct known *known)
{
    json_decref(known->seen);
    known->seen = NULL;
}

/* All that is left of an object that went away unseen. */
static json_t *remains(const char *key)
{
    const char *slash = strchr(key, '/'); /* neither a namespace nor a name holds one */
    if (slash == NULL)
        return NULL;
    return json_pack("{s:{s:s%,s:s}}", "metadata", "namespace", key,
                     (size_t)(slash - key), "name", slash + 1);
}

bool known_list_end(struct known *known)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(known->told, next, key, value)
    {
        if (json_object_get(known->seen, key) != NULL)
            continue;
        json_t *object = remains(key);
        bool good = object != NULL && known->tell(known->context, KNOWN_GONE, object);
        json_decref(object);
        if (!good)
            return false;
        json_object_del(known->told, key);
    }
    known_list_give_up(known);
    return true;
}

void known_doubt(struct known *known)
{
    known_list_give_up(known);
    /* By iterator: json_object_set may want to grow the table, and memory may be out. */
    void *at = json_object_iter(known->told);
    for (; at != NULL; at = json_object_iter_next(known->told, at))
        json_object_iter_set_new(known->told, at, json_null());
}
