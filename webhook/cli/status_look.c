/* The policy, the Deployments of its targets, and what the running API says; see
 * status.h. The same code as in the server judges what the next update would bring.
 */
#include "cli/status_view.h"

#include <stdlib.h>

#include "admit/judge.h"
#include "admit/object.h"
#include "policy/policy_file.h"
#include "util/file.h"

#define LIST_MAXIMUM (64u * 1024u * 1024u)
#define ASK_MS       15000u
#define API_PATH     "/v2/nvcf/recognized-registries"

static const char no_policy[] =
    "apiVersion: " POLICY_API_VERSION "\nkind: " POLICY_KIND "\n";

/* --- policy --- */

static bool take_policy(struct status *status, struct str text, struct err *err)
{
    status->doc = status->wish->policy_file != NULL ? policy_file_parse(text, err)
                                                    : policy_doc_new(text, err);
    if (status->doc == NULL)
        return false;
    if (status->doc->policy != NULL)
        return true;
    status->policy_problem =
        arena_str(&status->arena, policy_doc_summary(&status->doc->arena, status->doc));
    policy_doc_free(status->doc);
    status->doc = policy_doc_new(str_of(no_policy), err);
    return status->doc != NULL && status->doc->policy != NULL;
}

bool status_look_policy(struct status *status, struct err *err)
{
    const struct status_wish *wish = status->wish;
    struct str text = str_of(no_policy);
    NRW_AUTO_BUF struct buf file;
    buf_init(&file, POLICY_FILE_MAX_BYTES);
    if (wish->policy_file != NULL) {
        if (!file_read(wish->policy_file, &file, err))
            return false;
        status->policy_present = true;
        return take_policy(status, buf_view(&file), err);
    }
    json_t *map = NULL;
    struct err reason = {.code = ERR_NONE};
    if (kube_get(status->client, &kube_configmaps, wish->policy.name_space,
                 wish->policy.name, ASK_MS, &map, &reason)) {
        if (status_keep(status, map) == NULL)
            return err_nomem(err);
        struct str found = object_text(json_object_get(map, "data"), POLICY_DATA_KEY);
        status->policy_present = true;
        if (str_is_null(found))
            status->policy_problem = STR("it has no data key " POLICY_DATA_KEY);
        else
            text = found;
    } else if (reason.code != ERR_NOT_FOUND) {
        return err_set(err, reason.code, "%s", reason.message);
    }
    return take_policy(status, text, err);
}

/* --- the running API --- */

bool status_look_api(struct status *status, struct err *err)
{
    const struct status_wish *wish = status->wish;
    if (wish->nvcf_url == NULL)
        return true;
    if (strncmp(wish->nvcf_url, "http://", 7) == 0 && wish->token_file != NULL &&
        strncmp(wish->nvcf_url, "http://localhost", 16) != 0 &&
        strncmp(wish->nvcf_url, "http://127.", 11) != 0)
        cli_note(status->command,
                 "--nvcf-url is http://: the token travels in the clear");
    struct kube_config *config = kube_config_for_server(
        wish->nvcf_url, wish->nvcf_ca, wish->token_file, "--nvcf-url", err);
    if (config == NULL)
        return false;
    struct kube_client *client = kube_client_new_take(config, err);
    if (client == NULL)
        return false;
    unsigned code = 0;
    NRW_AUTO_BUF struct buf answer;
    buf_init(&answer, 4u * 1024u * 1024u);
    struct kube_request request = {
        .raw_path = API_PATH, .deadline_ms = ASK_MS, .ret_code = &code};
    struct err reason = {.code = ERR_NONE};
    bool good = kube_request_raw(client, &request, &answer, &reason);
    kube_client_free(client);
    if (!good) {
        status_add(status, "api", VERDICT_UNKNOWN, "%s", reason.message);
        return true;
    }
    if (code == 401 || code == 403) {
        status_add(status, "api", VERDICT_UNKNOWN,
                   "%s answers HTTP %u: give --token-file with a token of scope "
                   "manage_registry_credentials",
                   wish->nvcf_url, code);
        return true;
    }
    json_t *root =
        code == 200 ? status_keep(status, kube_parse(buf_view(&answer), NULL)) : NULL;
    json_t *all = json_object_get(root, "recognizedRegistries");
    if (!json_is_array(json_object_get(all, "CONTAINER"))) {
        status_add(status, "api", VERDICT_UNKNOWN, "%s" API_PATH " answers HTTP %u%s",
                   wish->nvcf_url, code,
                   code == 200 ? ", but no list of recognised registries" : "");
        return true;
    }
    status->api = json_object_get(all, "CONTAINER");
    status_add(status, "api", VERDICT_GOOD, "recognises %zu container registries",
               json_array_size(status->api));
    return true;
}

static enum status_api ask_api(const struct status *status, struct str prefix,
                               struct str name, struct str hostname)
{
    /* The address is the functions API's; it knows nothing of the tasks API. */
    if (status->api == NULL || !str_eq(prefix, STR("NVCF")))
        return API_UNKNOWN;
    for (size_t i = 0; i < json_array_size(status->api); i++) {
        const json_t *entry = json_array_get(status->api, i);
        struct str there = object_text(entry, "hostname");
        struct str called = object_text(entry, "name");
        if (str_is_null(there) || str_is_null(called) || !str_eq(there, hostname))
            continue;
        return str_eq(called, name) ? API_YES : API_OTHER_NAME;
    }
    return API_NO;
}

/* --- one workload --- */

static struct str value_of(const struct declaration *declaration)
{
    if (declaration == NULL)
        return STR("");
    return declaration->readable ? declaration->value : STR("(cannot be read)");
}

static const struct registry *find_registry(const struct registries *registries,
                                            const struct policy_registry *listed)
{
    for (size_t i = 0; i < registries->list.count; i++) {
        const struct registry *registry = registries_at(registries, i);
        if (registry->artifact == ARTIFACT_CONTAINER && registry->listed == listed)
            return registry;
    }
    return NULL;
}

static bool add_row(struct status *status, struct status_deployment *deployment,
                    const struct status_view *view, const struct policy_registry *listed,
                    const struct registry *registry)
{
    struct arena *arena = &status->arena;
    struct status_registry *row =
        arena_list_add(arena, &deployment->registries, sizeof(*row));
    if (row == NULL)
        return false;
    *row = (struct status_registry){
        .key = listed != NULL ? listed->key : registry->label,
        .name = listed != NULL ? listed->name : value_of(registry->name),
        .hostname = listed != NULL ? listed->hostname : value_of(registry->hostname),
        .found_name = str_null(),
        .found_hostname = str_null(),
        .source = registry != NULL ? status_view_source(arena, &view->workload, registry)
                                   : str_null(),
        .listed = listed != NULL,
        .builtin = registry != NULL && registry->builtin != NULL && listed == NULL,
    };
    row->deployment = status_view_carries(registry, row->name, row->hostname);
    if (row->deployment == CARRY_OTHER && listed != NULL) {
        row->found_name = value_of(registry->name);
        row->found_hostname = value_of(registry->hostname);
    }
    row->api = ask_api(status, deployment->prefix, row->name, row->hostname);
    return true;
}

static int by_key(const void *a, const void *b)
{
    const struct status_registry *left = a, *right = b;
    return str_cmp(left->key, right->key);
}

static bool add_rows(struct status *status, struct status_deployment *deployment,
                     const struct status_view *view)
{
    const struct policy *policy = status->doc->policy;
    for (size_t i = 0; i < policy->registry_count; i++) {
        const struct policy_registry *listed = &policy->registries[i];
        if (!add_row(status, deployment, view, listed,
                     find_registry(&view->registries, listed)))
            return false;
    }
    for (size_t i = 0; i < view->registries.list.count; i++) {
        const struct registry *registry = registries_at(&view->registries, i);
        bool counts = registry->artifact == ARTIFACT_CONTAINER &&
                      registry->listed == NULL &&
                      (registry->name != NULL || registry->hostname != NULL);
        if (counts && !add_row(status, deployment, view, NULL, registry))
            return false;
    }
    if (deployment->registries.count > 1)
        qsort(deployment->registries.items, deployment->registries.count,
              sizeof(struct status_registry), by_key);
    return true;
}

/* --- its ConfigMaps --- */

static bool fetch_map(struct status *status, struct status_deployment *deployment,
                      struct config_maps *maps, struct str name, struct err *err)
{
    if (str_is_null(name) || name.n == 0 ||
        config_maps_find(maps, deployment->name_space, name) != NULL)
        return true;
    json_t *map = NULL;
    struct err reason = {.code = ERR_NONE};
    if (kube_get(status->client, &kube_configmaps,
                 status_c_text(status, deployment->name_space),
                 status_c_text(status, name), ASK_MS, &map, &reason)) {
        if (status_keep(status, map) != NULL &&
            config_maps_add(maps, deployment->name_space, map))
            return true;
        return err_nomem(err);
    }
    if (reason.code == ERR_NOMEM)
        return err_nomem(err);
    if (reason.code != ERR_NOT_FOUND)
        deployment->problem = arena_str(&status->arena, str_of(reason.message));
    return true; /* unknown then, and the finding says OpaqueSource */
}

/* What the container refers to; and, once those are known, the remote configuration. */
static bool fetch_maps(struct status *status, const struct policy_target *target,
                       struct status_deployment *deployment, const json_t *object,
                       struct config_maps *maps, struct err *err)
{
    for (int round = 0; round < 2; round++) {
        struct workload workload;
        if (!object_workload(&status->arena, target, deployment->name_space, object, NULL,
                             maps, NULL, &workload))
            return err_nomem(err);
        const struct container_spec *container = &workload.container;
        for (size_t i = 0; i < container->env_from_count; i++)
            if (!fetch_map(status, deployment, maps, container->env_from[i].cm_name, err))
                return false;
        for (size_t i = 0; i < container->env_count; i++)
            if (container->env[i].has_value_from &&
                !fetch_map(status, deployment, maps, container->env[i].cm_name, err))
                return false;
        for (size_t i = 0; i < workload.remote_name_count; i++)
            if (!fetch_map(status, deployment, maps, workload.remote_names[i], err))
                return false;
    }
    return true;
}

/* --- what the next update would bring --- */

static bool look_ahead(struct status *status, struct status_deployment *deployment,
                       const json_t *object, const struct config_maps *maps,
                       struct err *err)
{
    /* As a CREATE, so that old faults show as what they are and not as warnings. */
    json_t *root = json_pack(
        "{s:s,s:s,s:{s:s,s:{s:s,s:s,s:s},s:s%,s:s%,s:s,s:o}}", "apiVersion",
        "admission.k8s.io/v1", "kind", "AdmissionReview", "request", "uid", "status",
        "kind", "group", "apps", "version", "v1", "kind", "Deployment", "namespace",
        deployment->name_space.p, deployment->name_space.n, "name", deployment->name.p,
        deployment->name.n, "operation", "CREATE", "object", json_deep_copy(object));
    NRW_AUTO_REVIEW struct review review = {.root = NULL};
    bool good = root != NULL ? review_from_json(root, &review, err) : err_nomem(err);
    json_decref(root);
    struct admit_input input = {.endpoint = ADMIT_MUTATE,
                                .policy = status->doc->policy,
                                .config_maps = maps,
                                .policy_namespace = STR(""),
                                .policy_name = STR("")};
    NRW_AUTO_JUDGED struct judged judged = {.concerned = false};
    good = good && judge_object(&status->arena, &input, &review, &judged, err);
    if (!good)
        return false;
    deployment->denied = !judged.decision.allowed;
    deployment->findings = judged.decision.findings;
    deployment->changed = judged.decision.allowed && judged.patch.size > 0;
    const struct patch *patch = &judged.decision.patch;
    for (size_t i = 0; deployment->changed && i < patch->ops.count; i++) {
        const struct patch_op *op = patch_at(patch, i);
        struct patch_op *copy =
            arena_list_add(&status->arena, &deployment->changes, sizeof(*copy));
        if (copy == NULL)
            return err_nomem(err);
        *copy = *op;
        /* A removed entry's name is borrowed from the object that goes with the review.
         */
        copy->name =
            arena_str(&status->arena, str_is_null(op->name) ? STR("") : op->name);
        copy->value =
            arena_str(&status->arena, str_is_null(op->value) ? STR("") : op->value);
    }
    return true;
}

/* --- all of it --- */

static bool has_drift(const struct status_deployment *deployment)
{
    if (deployment->denied || deployment->changed)
        return true;
    for (size_t i = 0; i < deployment->registries.count; i++) {
        const struct status_registry *row = status_registry_at(deployment, i);
        if (row->listed && (row->deployment != CARRY_YES ||
                            (deployment->pods_known && row->pods < deployment->pods) ||
                            row->api == API_NO || row->api == API_OTHER_NAME))
            return true;
    }
    return false;
}

static bool look_deployment(struct status *status, const struct policy_target *target,
                            json_t *object, struct err *err)
{
    struct status_deployment *deployment =
        arena_list_add(&status->arena, &status->deployments, sizeof(*deployment));
    NRW_AUTO_CONFIG_MAPS struct config_maps *maps = config_maps_new();
    if (deployment == NULL || maps == NULL)
        return err_nomem(err);
    deployment->name_space = target->name_space;
    deployment->name = object_meta(object, "name");
    deployment->prefix = target->prefix;
    deployment->problem = STR("");
    struct status_view view = {.registries = {.list = {.items = NULL}}};
    if (!fetch_maps(status, target, deployment, object, maps, err))
        return false;
    if (!status_view_make(status, target, object, maps, &view) ||
        !add_rows(status, deployment, &view))
        return err_nomem(err);
    if (!look_ahead(status, deployment, object, maps, err) ||
        !status_look_pods(status, target, deployment, object, maps, err))
        return false;
    deployment->drift = has_drift(deployment);
    return true;
}

static bool look_target(struct status *status, const struct policy_target *target,
                        struct err *err)
{
    NRW_AUTO_BUF struct buf selector;
    buf_init(&selector, 16384);
    for (size_t i = 0; i < target->selector_count; i++)
        buf_printf(&selector, "%s%.*s=%.*s", i > 0 ? "," : "",
                   STR_ARG(target->selector[i].key), STR_ARG(target->selector[i].value));
    struct kube_request request = {
        .resource = &kube_deployments,
        .name_space = status_c_text(status, target->name_space),
        .label_selector = selector.data,
        .deadline_ms = ASK_MS,
        .body_maximum = LIST_MAXIMUM,
    };
    json_t *list = NULL;
    if (selector.failed)
        return err_nomem(err);
    if (!kube_request(status->client, &request, &list, err))
        return false;
    if (status_keep(status, list) == NULL)
        return err_nomem(err);
    json_t *items = json_object_get(list, "items");
    if (!json_is_array(items)) /* which is not that there are none */
        return err_set(err, ERR_SYNTAX, "the API server's answer is no list");
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *object = json_array_get(items, i);
        if (str_is_null(object_meta(object, "name")))
            return err_set(err, ERR_SYNTAX,
                           "the API server's answer is no list of Deployments");
        /* Items of a list carry no kind; what judges them asks for it. */
        if (json_object_set_new(object, "apiVersion", json_string("apps/v1")) != 0 ||
            json_object_set_new(object, "kind", json_string("Deployment")) != 0)
            return err_nomem(err);
        if (!look_deployment(status, target, object, err))
            return false;
    }
    if (json_array_size(items) == 0)
        status_add(status, "target", VERDICT_UNKNOWN,
                   "no Deployment in namespace %.*s has the labels %.*s",
                   STR_ARG(target->name_space), STR_ARG(buf_view(&selector)));
    return true;
}

bool status_look_deployments(struct status *status, struct err *err)
{
    const struct policy *policy = status->doc->policy;
    for (size_t i = 0; i < policy->target_count; i++)
        if (!look_target(status, &policy->targets[i], err))
            return false;
    return true;
}
