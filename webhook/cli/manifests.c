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

/* `kubectl get -o yaml` gives a List; typed lists (DeploymentList) are the same. */
static bool add_flat(struct manifests *manifests, json_t *json, const char *file,
                     unsigned line)
{
    struct str kind = object_text(json, "kind");
    json_t *items = json_object_get(json, "items");
    if (str_is_null(kind) || !str_ends(kind, STR("List")) || !json_is_array(items))
        return add(manifests, json, file, line);
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *item = json_array_get(items, i);
        if (json_is_object(item) && !add(manifests, item, file, line))
            return false;
    }
    return true;
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
    manifests->documents += docs.count;
    for (size_t i = 0; i < docs.count; i++) {
        json_t *json = docs.docs[i].json;
        if (!json_is_object(json)) {
            cli_trouble(command, "%s: line %u: a Kubernetes object was expected here",
                        shown, docs.docs[i].line);
            return false;
        }
        if (!add_flat(manifests, json, shown, docs.docs[i].line)) {
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
    *manifests = (struct manifests){.items = NULL};
}

struct str manifests_policy(const struct manifests *manifests)
{
    for (size_t i = 0; i < manifests->count; i++) {
        const json_t *json = manifests->items[i].json;
        if (!manifest_is(json, "v1", "ConfigMap"))
            continue;
        struct str text = object_text(json_object_get(json, "data"), POLICY_DATA_KEY);
        if (!str_is_null(text) && str_find(text, STR(POLICY_API_VERSION)) < text.n)
            return text;
    }
    return str_null();
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
