/* The running pods of a Deployment, and which registries they run with; see status.h. A
 * pod is read by the same code as a Deployment. What it got from a ConfigMap that was
 * written after its start cannot be known, and is shown with a doubt. */
#include "cli/status_view.h"

#include "admit/object.h"

#define LIST_MAXIMUM (64u * 1024u * 1024u)
#define ASK_MS       15000u

static void add_expression(struct buf *out, const json_t *expression)
{
    const char *key = json_string_value(json_object_get(expression, "key"));
    const char *op = json_string_value(json_object_get(expression, "operator"));
    const json_t *values = json_object_get(expression, "values");
    if (key == NULL || op == NULL)
        return;
    buf_text(out, out->size > 0 ? "," : "");
    if (strcmp(op, "Exists") == 0 || strcmp(op, "DoesNotExist") == 0) {
        buf_printf(out, "%s%s", strcmp(op, "Exists") == 0 ? "" : "!", key);
        return;
    }
    buf_printf(out, "%s %s (", key, strcmp(op, "In") == 0 ? "in" : "notin");
    for (size_t i = 0; i < json_array_size(values); i++) {
        const char *value = json_string_value(json_array_get(values, i));
        buf_printf(out, "%s%s", i > 0 ? "," : "", value != NULL ? value : "");
    }
    buf_char(out, ')');
}

/* A LabelSelector as the query parameter has it. */
static void selector_of(const json_t *deployment, struct buf *out)
{
    const json_t *selector =
        json_object_get(json_object_get(deployment, "spec"), "selector");
    json_t *labels = json_object_get(selector, "matchLabels");
    const char *key;
    json_t *value;
    json_object_foreach(labels, key, value)
    {
        const char *text = json_string_value(value);
        buf_printf(out, "%s%s=%s", out->size > 0 ? "," : "", key,
                   text != NULL ? text : "");
    }
    const json_t *expressions = json_object_get(selector, "matchExpressions");
    for (size_t i = 0; i < json_array_size(expressions); i++)
        add_expression(out, json_array_get(expressions, i));
}

static bool is_running(const json_t *pod)
{
    struct str phase = object_text(json_object_get(pod, "status"), "phase");
    return !object_is_deleted(pod) && !str_is_null(phase) &&
           str_eq(phase, STR("Running"));
}

/* Whether the ConfigMap was written after the pod had started: then what the pod has of
 * it is not known. Times are RFC 3339 in UTC, so text order is time order. */
static bool written_after(const json_t *map, struct str started)
{
    const json_t *writers =
        json_object_get(json_object_get(map, "metadata"), "managedFields");
    for (size_t i = 0; i < json_array_size(writers); i++) {
        struct str time = object_text(json_array_get(writers, i), "time");
        if (!str_is_null(time) && !str_is_null(started) && str_cmp(time, started) > 0)
            return true;
    }
    return false;
}

static const json_t *kept_map(const struct status *status, struct str name_space,
                              struct str name)
{
    for (size_t i = 0; i < json_array_size(status->keep); i++) {
        const json_t *object = json_array_get(status->keep, i);
        struct str kind = object_text(object, "kind");
        struct str where = object_meta(object, "namespace");
        struct str called = object_meta(object, "name");
        if (!str_is_null(kind) && str_eq(kind, STR("ConfigMap")) && !str_is_null(where) &&
            !str_is_null(called) && str_eq(where, name_space) && str_eq(called, name))
            return object;
    }
    return NULL;
}

static bool count_pod(struct status *status, const struct policy_target *target,
                      struct status_deployment *deployment, json_t *pod,
                      const struct config_maps *maps)
{
    /* In the clothes of a Deployment, so that it is read by the same code. */
    json_t *as =
        status_keep(status, json_pack("{s:O,s:{s:{s:O}}}", "metadata",
                                      json_object_get(pod, "metadata"), "spec",
                                      "template", "spec", json_object_get(pod, "spec")));
    struct status_view view = {.registries = {.list = {.items = NULL}}};
    if (as == NULL || !status_view_make(status, target, as, maps, &view))
        return false;
    struct str started = object_text(json_object_get(pod, "status"), "startTime");
    deployment->pods++;
    for (size_t i = 0; i < deployment->registries.count; i++) {
        struct status_registry *row = status_registry_at(deployment, i);
        for (size_t k = 0; k < view.registries.list.count; k++) {
            const struct registry *registry = registries_at(&view.registries, k);
            if (registry->artifact != ARTIFACT_CONTAINER ||
                !str_eq(registry->listed != NULL ? registry->listed->key
                                                 : registry->label,
                        row->key))
                continue;
            if (status_view_carries(registry, row->name, row->hostname) == CARRY_YES)
                row->pods++;
            struct str source =
                status_view_source(&status->arena, &view.workload, registry);
            const json_t *map =
                str_starts(source, STR("configmap/"))
                    ? kept_map(status, deployment->name_space, str_skip(source, 10))
                    : NULL;
            if (map != NULL && written_after(map, started))
                row->pods_uncertain = true;
        }
    }
    return true;
}

bool status_look_pods(struct status *status, const struct policy_target *target,
                      struct status_deployment *deployment, const json_t *object,
                      const struct config_maps *maps, struct err *err)
{
    NRW_AUTO_BUF struct buf selector;
    buf_init(&selector, 16384);
    selector_of(object, &selector);
    if (selector.failed || selector.size == 0)
        return true;
    struct kube_request request = {
        .resource = &kube_pods,
        .name_space = status_c_text(status, deployment->name_space),
        .label_selector = selector.data,
        .deadline_ms = ASK_MS,
        .body_maximum = LIST_MAXIMUM,
    };
    json_t *list = NULL;
    struct err reason = {.code = ERR_NONE};
    if (!kube_request(status->client, &request, &list, &reason)) {
        deployment->problem = arena_str(&status->arena, str_of(reason.message));
        return true;
    }
    if (status_keep(status, list) == NULL)
        return err_nomem(err);
    deployment->pods_known = true;
    json_t *pods = json_object_get(list, "items");
    for (size_t i = 0; i < json_array_size(pods); i++) {
        json_t *pod = json_array_get(pods, i);
        if (is_running(pod) && !count_pod(status, target, deployment, pod, maps))
            return err_nomem(err);
    }
    return true;
}
