/* What is mounted where the API looks for its configuration; see mounts.h. Nearly always
 * there is no such mount, and no volume is looked at. */
#include "admit/mounts.h"

#include "admit/object.h"
#include "core/sources.h"
#include "util/strmap.h"

/* The pod's volumes. */
struct volumes {
    struct strmap named;  /* by name: their place in the list */
    struct strmap shared; /* names of those into which another container may write */
    const json_t *list;
};

static bool note_shared(struct arena *arena, const json_t *containers, const json_t *own,
                        struct volumes *volumes)
{
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        const json_t *mounts = json_object_get(container, "volumeMounts");
        if (container == own)
            continue;
        for (size_t k = 0; k < json_array_size(mounts); k++) {
            const json_t *mount = json_array_get(mounts, k);
            const struct str name = object_text(mount, "name");
            if (!str_is_null(name) && !json_is_true(json_object_get(mount, "readOnly")) &&
                strmap_put(arena, &volumes->shared, name, 1, NULL) == NULL)
                return false;
        }
    }
    return true;
}

static bool read_volumes(struct arena *arena, const json_t *pod, const json_t *own,
                         struct volumes *ret_volumes)
{
    struct volumes volumes = {.list = json_object_get(pod, "volumes")};
    for (size_t i = 0; i < json_array_size(volumes.list); i++) {
        const struct str name = object_text(json_array_get(volumes.list, i), "name");
        if (!str_is_null(name) &&
            strmap_put(arena, &volumes.named, name, i, NULL) == NULL)
            return false;
    }
    if (!note_shared(arena, json_object_get(pod, "containers"), own, &volumes) ||
        !note_shared(arena, json_object_get(pod, "initContainers"), own, &volumes))
        return false;
    *ret_volumes = volumes;
    return true;
}

static bool is_own_namespace(const json_t *downward)
{
    const json_t *items = json_object_get(downward, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *field = json_object_get(json_array_get(items, i), "fieldRef");
        const struct str path = object_text(field, "fieldPath");
        if (str_is_null(path) || !str_eq(path, STR("metadata.namespace")))
            return false;
    }
    return json_array_size(items) > 0;
}

/* A token, the cluster's CA or the pod's namespace: what the kubelet mounts by itself. */
static bool is_of_account(const json_t *source)
{
    const struct str map = object_text(json_object_get(source, "configMap"), "name");
    return json_object_size(source) == 1 &&
           (json_is_object(json_object_get(source, "serviceAccountToken")) ||
            (!str_is_null(map) && str_eq(map, STR("kube-root-ca.crt"))) ||
            is_own_namespace(json_object_get(source, "downwardAPI")));
}

static bool is_account(const json_t *volume)
{
    const json_t *sources =
        json_object_get(json_object_get(volume, "projected"), "sources");
    for (size_t i = 0; i < json_array_size(sources); i++) {
        if (!is_of_account(json_array_get(sources, i)))
            return false;
    }
    return json_array_size(sources) > 0;
}

/* Has nobody written there but who may? */
static bool is_known(const struct volumes *volumes, const json_t *mount)
{
    const struct str name = object_text(mount, "name");
    if (str_is_null(name))
        return false;
    const size_t *at = strmap_get(&volumes->named, name);
    if (at == NULL)
        return false;
    const json_t *volume = json_array_get(volumes->list, *at);
    return is_account(volume) || (json_is_object(json_object_get(volume, "emptyDir")) &&
                                  strmap_get(&volumes->shared, name) == NULL);
}

static struct str working_dir(struct arena *arena, const json_t *container)
{
    const struct str dir = object_text(container, "workingDir");
    return sources_working_dir(arena, str_is_null(dir) ? STR("") : dir);
}

bool mounts_read(struct arena *arena, const json_t *pod, const json_t *container,
                 struct container_spec *out)
{
    const json_t *list = json_object_get(container, "volumeMounts");
    const struct str dir = working_dir(arena, container);
    struct arena_list mounts = {.items = NULL};
    struct volumes volumes = {.list = NULL};
    bool looked = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const struct str path = object_text(entry, "mountPath");
        if (str_is_null(path))
            continue;
        struct mount mount = {.path = sources_mount_path(arena, path), .index = i};
        if (!sources_mount_is_read(dir, &mount))
            continue;
        if (!looked && !read_volumes(arena, pod, container, &volumes))
            return false;
        looked = true;
        if (is_known(&volumes, entry))
            continue;
        struct mount *slot = arena_list_add(arena, &mounts, sizeof(*slot));
        if (slot == NULL)
            return false;
        *slot = mount;
    }
    out->mounts = mounts.items;
    out->mount_count = mounts.count;
    return !arena->failed;
}

bool mounts_are_old(struct arena *arena, const struct container_spec *now,
                    const struct container_spec *before, bool *ret_old)
{
    struct strmap paths = {.slots = NULL}; /* how many are mounted there */
    for (size_t i = 0; i < before->mount_count; i++) {
        size_t *count = strmap_put(arena, &paths, before->mounts[i].path, 0, NULL);
        if (count == NULL)
            return false;
        ++*count;
    }
    *ret_old = true;
    for (size_t i = 0; i < now->mount_count && *ret_old; i++) {
        size_t *count = strmap_get(&paths, now->mounts[i].path);
        *ret_old = count != NULL && *count > 0;
        if (*ret_old)
            --*count;
    }
    return true;
}
