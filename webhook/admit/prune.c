/* The wanted subtrees of a JSON text; see prune.h. */
#include "admit/prune.h"

#include <string.h>

#include "util/json_weight.h"

/* jansson reads byte by byte. Most of what is wanted are texts without escapes, in
 * objects and arrays of such: those are made into the same values here, from where the
 * cursor says they begin and end. Anything else, and whatever goes wrong, is left to
 * jansson. */
#define QUICK_MAX_DEPTH 8u

static json_t *quick(struct scan *scan, unsigned depth);

static bool is_simple(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == '\\')
            return false;
    }
    return true;
}

/* The value that was made for what begins here, once its bracket is passed; or NULL. */
static json_t *opened(json_t *made, struct scan *scan, char bracket, struct err *err)
{
    if (made != NULL && scan_open(scan, bracket))
        return made;
    json_decref(made);
    err_nomem(err);
    return NULL;
}

static json_t *quick_object(struct scan *scan, unsigned depth)
{
    json_t *object = opened(json_object(), scan, '{', NULL);
    struct str key;
    bool escaped;
    if (object == NULL)
        return NULL;
    for (bool first = true; scan_member(scan, first, &key, &escaped); first = false) {
        json_t *value = is_simple(key) ? quick(scan, depth) : NULL;
        if (value == NULL || json_object_setn_new(object, key.p, key.n, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *quick_array(struct scan *scan, unsigned depth)
{
    json_t *array = opened(json_array(), scan, '[', NULL);
    if (array == NULL)
        return NULL;
    for (bool first = true; scan_item(scan, first); first = false) {
        json_t *value = quick(scan, depth);
        if (value == NULL || json_array_append_new(array, value) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *quick(struct scan *scan, unsigned depth)
{
    char c = scan_peek(scan);
    if (depth == QUICK_MAX_DEPTH)
        return NULL;
    if (c == '{')
        return quick_object(scan, depth + 1);
    if (c == '[')
        return quick_array(scan, depth + 1);
    if (c != '"')
        return NULL;
    struct str text = scan_value(scan);
    if (str_is_null(text))
        return NULL;
    text = str_from(text.p + 1, text.n - 2);
    return is_simple(text) ? json_stringn(text.p, text.n) : NULL;
}

/* One value by itself. NULL: ERR_SYNTAX or ERR_NOMEM. */
static json_t *make(struct str text, struct err *err)
{
    struct scan scan;
    scan_init(&scan, text);
    json_t *value = quick(&scan, 0);
    if (value != NULL && scan_is_done(&scan))
        return value;
    json_decref(value);
    json_error_t why;
    value = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (value == NULL)
        err_set(err, ERR_SYNTAX, "the body is not JSON: %s", why.text);
    return value;
}

bool prune_charge(struct prune_context *context, size_t weight, struct err *err)
{
    if (weight <= context->weight_maximum - context->weight) {
        context->weight += weight;
        return true;
    }
    return err_set(err, ERR_LIMIT,
                   "the review has more values than %zu MiB can hold: make the object "
                   "smaller, or give the webhook more memory",
                   context->weight_maximum >> 20);
}

static json_t *weigh_and_make(struct str text, struct prune_context *context,
                              struct err *err)
{
    size_t left = context->weight_maximum - context->weight;
    size_t weight = text.n < left / JSON_WEIGHT_BYTE / 2 ? text.n * JSON_WEIGHT_BYTE
                                                         : json_weight(text, left);
    return prune_charge(context, weight, err) ? make(text, err) : NULL;
}

void prune_context_done(struct prune_context *context)
{
    for (size_t i = 0; i < context->count; i++)
        json_decref(context->items[i].value);
    context->count = 0;
}

/* What is shorter is made again sooner than found again. */
#define SHARED_LEAST 32u

static json_t *take(struct str text, struct prune_context *context, struct err *err)
{
    if (text.n < SHARED_LEAST)
        return weigh_and_make(text, context, err);
    for (size_t i = 0; i < context->count; i++) {
        if (str_eq(context->items[i].bytes, text))
            return json_incref(context->items[i].value);
    }
    json_t *value = weigh_and_make(text, context, err);
    if (value != NULL && context->count < PRUNE_SHARED) {
        context->items[context->count].bytes = text;
        context->items[context->count].value = json_incref(value);
        context->count++;
    }
    return value;
}

/* The text of a key with escapes, as far as one that is wanted can have it: those are
 * ASCII, and not longer. By hand, because a body may be nothing but such keys. */
#define KEY_MAXIMUM 64u

static bool unescape(struct str key, char text[KEY_MAXIMUM], struct str *ret_text)
{
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;
    for (size_t i = 0; i < key.n; i++, n++) {
        if (n == KEY_MAXIMUM)
            return false;
        text[n] = key.p[i];
        if (key.p[i] != '\\')
            continue;
        if (++i == key.n)
            return false;
        const char *name = memchr(names, key.p[i], sizeof(names) - 1);
        if (name != NULL) {
            text[n] = meant[name - names];
            continue;
        }
        if (key.p[i] != 'u' || key.n - i < 5)
            return false;
        int code = 0;
        for (unsigned k = 0; k < 4; k++) {
            int digit = ascii_hex(key.p[++i]);
            if (digit < 0)
                return false;
            code = code * 16 + digit;
        }
        if (code == 0 || code >= 0x80)
            return false;
        text[n] = (char)code;
    }
    *ret_text = str_from(text, n);
    return true;
}

static const struct prune_want *find(const struct prune_want *wants, struct str key,
                                     bool escaped)
{
    char text[KEY_MAXIMUM];
    if (escaped && !unescape(key, text, &key))
        return NULL;
    for (; !str_is_null(wants->key); wants++) {
        if (str_eq(key, wants->key))
            return wants;
    }
    return NULL;
}

#define OBJECT_WEIGHT (JSON_WEIGHT_OBJECT + PRUNE_WANTS * JSON_WEIGHT_PLACE)

static json_t *prune_object(struct scan *scan, const struct prune_want *wants,
                            struct prune_context *context, struct err *err);

static json_t *prune_list(struct scan *scan, const struct prune_want *wants,
                          struct prune_context *context, struct err *err)
{
    json_t *list = prune_charge(context, JSON_WEIGHT_ARRAY, err)
                       ? opened(json_array(), scan, '[', err)
                       : NULL;
    if (list == NULL)
        return NULL;
    for (bool first = true; scan_item(scan, first); first = false) {
        json_t *item = NULL;
        if (!prune_charge(context, JSON_WEIGHT_PLACE, err)) {
            json_decref(list);
            return NULL;
        }
        if (scan_peek(scan) == '{') {
            item = prune_object(scan, wants, context, err);
        } else {
            struct str text = scan_value(scan);
            item = str_is_null(text) ? NULL : take(text, context, err);
        }
        if (item == NULL || json_array_append_new(list, item) != 0) {
            json_decref(list);
            if (item != NULL)
                err_nomem(err);
            return NULL;
        }
    }
    return list;
}

static json_t *prune_member(struct scan *scan, const struct prune_want *want,
                            const json_t *siblings, struct prune_context *context,
                            struct err *err)
{
    char c = scan_peek(scan);
    if (want->late > 0) {
        const struct prune_want *wants = c == '{' ? context->late(siblings) : NULL;
        if (wants != NULL) {
            context->late_taken = wants;
            return prune_object(scan, wants, context, err);
        }
        struct str bytes = scan_value(scan);
        context->raw[want->late - 1] = bytes;
        return str_is_null(bytes) ? NULL : json_null();
    }
    if (want->members != NULL && !want->each && c == '{')
        return prune_object(scan, want->members, context, err);
    if (want->members != NULL && want->each && c == '[')
        return prune_list(scan, want->members, context, err);
    struct str text = scan_value(scan);
    return str_is_null(text) ? NULL : take(text, context, err);
}

/* Members that were given more than once: of each the last bytes. */
struct repeated {
    unsigned which; /* a bit for each of the wants */
    struct str bytes[PRUNE_WANTS];
};

static bool set(json_t *object, const struct prune_want *want, json_t *value,
                struct err *err)
{
    return value != NULL &&
           (json_object_setn_new_nocheck(object, want->key.p, want->key.n, value) == 0 ||
            err_nomem(err));
}

/* What was noted of late members was the first one's. */
static void forget_late(const struct prune_want *wants, struct prune_context *context)
{
    bool late = false;
    for (; wants != NULL && !str_is_null(wants->key); wants++)
        late = late || wants->late > 0;
    if (late) {
        context->raw[0] = context->raw[1] = str_null();
        context->late_taken = NULL;
    }
}

/* Only now, so that a text that says the same thing a thousand times costs no more than
 * passing over it. */
static bool set_repeated(json_t *object, const struct prune_want *wants,
                         const struct repeated *repeated, struct scan *outer,
                         struct prune_context *context, struct err *err)
{
    for (size_t i = 0; repeated->which >> i != 0; i++) {
        if ((repeated->which >> i & 1) == 0)
            continue;
        json_t *value;
        if (wants[i].late > 0) {
            /* Waits, to be read as what the kind says that counts in the end. */
            context->raw[wants[i].late - 1] = repeated->bytes[i];
            value = json_null();
        } else {
            struct scan scan;
            scan_init(&scan, repeated->bytes[i]);
            forget_late(wants[i].members, context);
            value = prune_member(&scan, &wants[i], object, context, err);
            if (scan.problem != NULL)
                outer->problem = scan.problem;
        }
        if (!set(object, &wants[i], value, err))
            return false;
    }
    return true;
}

static bool fill(json_t *object, struct scan *scan, const struct prune_want *wants,
                 struct prune_context *context, struct err *err)
{
    struct repeated repeated = {.which = 0};
    unsigned seen = 0;
    struct str key;
    bool escaped;
    for (bool first = true; scan_member(scan, first, &key, &escaped); first = false) {
        const struct prune_want *want = find(wants, key, escaped);
        unsigned bit = want != NULL ? 1u << (want - wants) : 0;
        if (want != NULL && (seen & bit) == 0) {
            seen |= bit;
            if (!set(object, want, prune_member(scan, want, object, context, err), err))
                return false;
            continue;
        }
        struct str bytes = scan_value(scan);
        if (str_is_null(bytes))
            return false;
        if (want != NULL) {
            repeated.which |= bit;
            repeated.bytes[want - wants] = bytes;
        }
    }
    return scan->problem == NULL &&
           set_repeated(object, wants, &repeated, scan, context, err);
}

static json_t *prune_object(struct scan *scan, const struct prune_want *wants,
                            struct prune_context *context, struct err *err)
{
    /* With room for all that may be wanted of it, at most PRUNE_WANTS. */
    json_t *object = prune_charge(context, OBJECT_WEIGHT, err)
                         ? opened(json_object(), scan, '{', err)
                         : NULL;
    if (object == NULL || fill(object, scan, wants, context, err))
        return object;
    json_decref(object);
    return NULL;
}

json_t *prune(struct str text, const struct prune_want *wants,
              struct prune_context *context, struct err *err)
{
    struct scan scan;
    scan_init(&scan, text);
    if (scan_peek(&scan) != '{') {
        err_set(err, ERR_SYNTAX, "the body is not JSON: an object was expected");
        return NULL;
    }
    json_t *object = prune_object(&scan, wants, context, err);
    if (object != NULL && scan_is_done(&scan))
        return object;
    json_decref(object);
    if (scan.problem != NULL || object != NULL)
        err_set(err, ERR_SYNTAX, "the body is not JSON: %s",
                scan.problem != NULL ? scan.problem : "something follows its end");
    return NULL;
}
