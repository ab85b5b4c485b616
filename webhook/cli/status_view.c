/* What a Deployment or a pod declares; see status_view.h. */
#include "cli/status_view.h"

#include "admit/object.h"

const char *status_c_text(struct status *status, struct str text)
{
    return arena_str(&status->arena, text).p;
}

bool status_view_make(struct status *status, const struct policy_target *target,
                      const json_t *object, const struct config_maps *maps,
                      struct status_view *view)
{
    struct arena *arena = &status->arena;
    if (!object_workload(arena, target, target->name_space, object, NULL, maps, NULL,
                         &view->workload))
        return false;
    sources_read(arena, target->prefix, &view->workload, NULL, &view->sources);
    registries_group(arena, status->doc->policy, target->prefix, &view->sources,
                     &view->registries);
    return !arena->failed;
}

/* Whether the annotation says that we set it. */
static bool is_ours(struct arena *arena, const struct workload *workload,
                    const struct declaration *declaration)
{
    if (str_is_null(workload->injected))
        return false;
    struct str line = arena_printf(arena, "\n%.*s=%.*s\n", STR_ARG(declaration->variable),
                                   STR_ARG(declaration->value));
    struct str record = arena_printf(arena, "\n%.*s\n", STR_ARG(workload->injected));
    return str_find(record, line) < record.n;
}

struct str status_view_source(struct arena *arena, const struct workload *workload,
                              const struct registry *registry)
{
    const struct declaration *from =
        registry->hostname != NULL ? registry->hostname : registry->name;
    if (from == NULL)
        from = registry->first;
    if (str_eq(from->source, STR("env")) && is_ours(arena, workload, from))
        return STR("policy");
    return from->source;
}

enum status_carry status_view_carries(const struct registry *registry, struct str name,
                                      struct str hostname)
{
    if (registry == NULL || (registry->name == NULL && registry->hostname == NULL))
        return CARRY_NO;
    bool same = registry->name != NULL && registry->hostname != NULL &&
                registry->name->readable && registry->hostname->readable &&
                str_eq(registry->name->value, name) &&
                str_eq(registry->hostname->value, hostname);
    return same ? CARRY_YES : CARRY_OTHER;
}
