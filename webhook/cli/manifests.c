/* What `review` reads; see manifests.h. */
#include "cli/manifests.h"

#include "admit/object.h"
#include "policy/policy_load.h"
#include "policy/yaml_json.h"
#include "util/mem.h"

bool manifest_is(const json_t *json, const char *api_version, const char *kind)
{
    struct str found_version = object_text(json, "apiVersion");
    struct str found_kind = object_text(json, "kind");
    return !str_is_null(found_version) && !str_is_null(found_kind) &&
           str_eq(found_version, str_of(api_version)) && str_eq(found_kind, str_of(kind));
}

static bool add(struct manifests *manifests, json_t *json, const char *file,
                unsigned line)
{
    if (manifests->count == manifests->capacity) {
        size_t capacity = manifests->capacity > 0 ? manifests->capacity * 2 : 16;
        struct manifest *items = mem_realloc(manifests->items, capacity * sizeof(*items));
        if (items == NULL)
            return false;
        manifests->items = items;
        manifests->capacity = capacity;
    }
    manifests->items[manifests->count++] =
        (struct manifest){json_incref(json), file, line};
    return true;
}

/* The kinds that are judged, or hold what is. */
static const struct known {
    const char *api_version, *kind;
    const char *item; /* a list's: the kind of items that do not say theirs */
} known[] = {
    {"admission.k8s.io/v1", "AdmissionReview", NULL},
    {"apps/v1", "Deployment", NULL},
    {"v1", "ConfigMap", NULL},
    {"v1", "List", ""},
    {"apps/v1", "DeploymentList", "Deployment"},
    {"v1", "ConfigMapList", "ConfigMap"},
};

/* A custom resource's group has a dot; those of Kubernetes end in .k8s.io or have none.
 */
static bool is_custom(struct str api_version)
{
    struct str group = str_first(api_version, str_index(api_version, 0, '/'));
    return group.n < api_version.n && str_index(group, 0, '.') < group.n &&
           !str_ends(group, STR(".k8s.io"));
}

/* What is not read must not look like consent: neither what is no object, nor another
 * version of a kind that is judged. `ret_known` is NULL for a kind that is not. */
static bool know(const json_t *json, const struct known **ret_known, struct err *err)
{
    if (!json_is_object(json))
        return err_set(err, ERR_INVALID, "a Kubernetes object was expected here");
    struct str version = object_text(json, "apiVersion");
    struct str kind = object_text(json, "kind");
    bool no_version = version.n == 0;
    bool no_kind = kind.n == 0;
    if (no_version || no_kind)
        return err_set(err, ERR_INVALID, "no Kubernetes object: it has no %s%s%s",
                       no_version ? "apiVersion" : "",
                       no_version && no_kind ? " and no " : "", no_kind ? "kind" : "");
    *ret_known = NULL;
    for (size_t i = 0; i < NRW_COUNT(known); i++) {
        if (!str_eq(kind, str_of(known[i].kind)) || is_custom(version))
            continue;
        if (!str_eq(version, str_of(known[i].api_version)))
            return err_set(err, ERR_INVALID, "apiVersion \"%.*s\" is not %s",
                           STR_ARG(str_first(version, 100)), known[i].api_version);
        *ret_known = &known[i];
    }
    return true;
}

/* Takes an item of a typed list (`kubectl get --raw`): only the list says what it is. */
static json_t *typed(const struct known *list, json_t *item)
{
    struct str version = object_text(item, "apiVersion");
    struct str kind = object_text(item, "kind");
    if (list->item[0] == '\0' || !json_is_object(item) || (version.n > 0 && kind.n > 0))
        return json_incref(item);
    if (version.n == 0)
        version = str_of(list->api_version);
    if (kind.n == 0)
        kind = str_of(list->item);
    json_t *whole = json_pack("{s:s%,s:s%}", "apiVersion", version.p, version.n, "kind",
                              kind.p, kind.n);
    if (whole != NULL && json_object_update_missing(whole, item) == 0)
        return whole;
    json_decref(whole);
    return NULL;
}

static bool add_flat(struct manifests *manifests, json_t *json, const char *file,
                     unsigned line, struct err *err);

static bool add_items(struct manifests *manifests, const struct known *list,
                      const json_t *json, const char *file, unsigned line,
                      struct err *err)
{
    const json_t *items = json_object_get(json, "items");
    if (!json_is_array(items) && !json_is_null(items)) /* null: Go's empty list */
        return err_set(err, ERR_INVALID, "the items of the %s are no list", list->kind);
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *item = typed(list, json_array_get(items, i));
        if (item == NULL)
            return err_nomem(err);
        bool good = add_flat(manifests, item, file, line, err);
        json_decref(item);
        if (!good)
            return err_wrap(err, "item %zu of the %s", i + 1, list->kind);
    }
    return true;
}

/* Recursive, as deep as the text is nested, which its reader bounds. */
static bool add_flat(struct manifests *manifests, json_t *json, const char *file,
                     unsigned line, struct err *err)
{
    const struct known *what = NULL;
    if (!know(json, &what, err))
        return false;
    if (what != NULL && what->item != NULL)
        return add_items(manifests, what, json, file, line, err);
    return add(manifests, json, file, line) || err_nomem(err);
}

static struct str policy_from(const struct manifests *manifests, size_t first)
{
    for (size_t i = first; i < manifests->count; i++) {
        const json_t *json = manifests->items[i].json;
        if (!manifest_is(json, "v1", "ConfigMap"))
            continue;
        struct str text = object_text(json_object_get(json, "data"), POLICY_DATA_KEY);
        if (!str_is_null(text) && str_find(text, STR(POLICY_API_VERSION)) < text.n)
            return text;
    }
    return str_null();
}

bool manifests_read(const struct cli_command *command, const char *path,
                    struct manifests *manifests)
{
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, yaml_json_limits.bytes);
    if (!cli_read(command, path, &text))
        return false;
    const char *shown = strcmp(path, "-") == 0 ? "standard input" : path;
    struct err err = {.code = ERR_NONE};
    NRW_AUTO_YAML_JSON struct yaml_json docs = {.docs = NULL};
    if (!yaml_json_parse(buf_view(&text), NULL, &docs, &err)) {
        cli_trouble(command, "%s: %s", shown, err.message);
        return false;
    }
    size_t before = manifests->count;
    manifests->documents += docs.count;
    for (size_t i = 0; i < docs.count; i++) {
        const struct yaml_json_doc *doc = &docs.docs[i];
        if (!add_flat(manifests, doc->json, shown, doc->line, &err)) {
            cli_trouble(command, "%s: line %u: %s", shown, doc->line, err.message);
            return false;
        }
    }
    if (manifests->policy_source == NULL &&
        !str_is_null(policy_from(manifests, before))) {
        manifests->policy_source = buf_steal(&text, &manifests->policy_source_size);
        manifests->policy_file = shown;
        if (manifests->policy_source == NULL) {
            cli_trouble(command, "out of memory");
            return false;
        }
    }
    return true;
}

void manifests_done(struct manifests *manifests)
{
    for (size_t i = 0; i < manifests->count; i++)
        json_decref(manifests->items[i].json);
    mem_free(manifests->items);
    mem_free(manifests->policy_source);
    *manifests = (struct manifests){.items = NULL};
}

struct str manifests_policy(const struct manifests *manifests)
{
    return policy_from(manifests, 0);
}

struct config_maps *manifests_config_maps(const struct manifests *manifests,
                                          struct str name_space)
{
    struct config_maps *maps = config_maps_new();
    for (size_t i = 0; maps != NULL && i < manifests->count; i++) {
        json_t *json = manifests->items[i].json;
        struct str where = str_null();
        if (manifest_is(json, "admission.k8s.io/v1", "AdmissionReview")) {
            const json_t *request = json_object_get(json, "request");
            where = object_text(request, "namespace");
            json = json_object_get(request, "object");
            struct str kind = object_text(json, "kind");
            if (str_is_null(kind) || !str_eq(kind, STR("ConfigMap")))
                continue;
        } else if (!manifest_is(json, "v1", "ConfigMap")) {
            continue;
        }
        if (str_is_null(where))
            where = object_meta(json, "namespace");
        if (!config_maps_add(maps, str_is_null(where) ? name_space : where, json)) {
            config_maps_free(maps);
            return NULL;
        }
    }
    return maps;
}
