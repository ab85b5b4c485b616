/* The remote configuration, of several ConfigMaps; see remote_maps.h. */
#include "admit/remote_maps.h"

#include "core/sources_ways.h"
#include "util/strmap.h"

/* More than anybody has; each costs a search. */
#define NAMES_MAXIMUM 65u
#define NAME_MAXIMUM  253u /* of an object */

bool remote_maps_kept(struct str name)
{
    return str_ends(name, STR("-env")) || remote_maps_named(name);
}

bool remote_maps_named(struct str name)
{
    return str_ends(name, STR("-remote-config")) ||
           str_find(name, STR("-remote-config-")) < name.n;
}

/* --- names --- */

static bool add_name(struct arena *arena, struct arena_list *names, struct str name)
{
    for (size_t i = 0; i < names->count; i++)
        if (str_eq(((const struct str *)names->items)[i], name))
            return true;
    struct str *slot = arena_list_add(arena, names, sizeof(*slot));
    if (slot != NULL)
        *slot = name;
    return slot != NULL;
}

static bool list_names(struct arena *arena, struct str name, struct str profiles,
                       struct workload *workload)
{
    struct arena_list names = {.items = NULL};
    bool good = add_name(arena, &names, name);
    struct str profile;
    while (good && way_next_profile(&profiles, &profile)) {
        if (names.count == NAMES_MAXIMUM) {
            workload->remote.siblings_cut = true;
            break;
        }
        if (name.n + 1 + profile.n <= NAME_MAXIMUM)
            good = add_name(
                arena, &names,
                arena_printf(arena, "%.*s-%.*s", STR_ARG(name), STR_ARG(profile)));
    }
    workload->remote_names = names.items;
    workload->remote_name_count = names.count;
    return good && !arena->failed;
}

/* --- one after another --- */

/* Spring makes one source of them all, in which the same name is one property. */
static bool append_props(struct arena *arena, const struct remote_config *more,
                         bool overrides, struct remote_config *remote)
{
    struct strmap named = {.slots = NULL};
    for (size_t i = 0; overrides && i < more->prop_count; i++) {
        if (!more->props[i].conditional &&
            strmap_put(arena, &named, more->props[i].name, 1, NULL) == NULL)
            return false;
    }
    struct remote_prop *props =
        ARENA_ARRAY(arena, struct remote_prop, remote->prop_count + more->prop_count);
    if (props == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < remote->prop_count; i++) {
        if (strmap_get(&named, remote->props[i].name) == NULL)
            props[n++] = remote->props[i];
    }
    for (size_t i = 0; i < more->prop_count; i++) {
        props[n] = more->props[i];
        props[n++].config_map = more->name;
    }
    remote->props = props;
    remote->prop_count = n;
    return true;
}

/* Spring asks all of them together for the place, and one that says nothing of it changes
 * nothing. Where two differ, it depends on more than is known of each here; so it does
 * where one may not be read. */
static void join_rank(const struct remote_config *more, bool certain,
                      struct remote_config *remote)
{
    bool differ = more->ranked && remote->ranked && more->rank != remote->rank;
    bool unclear = differ || (more->ranked && !certain);
    if (more->ranked)
        remote->rank = more->rank;
    remote->ranked = remote->ranked || more->ranked;
    remote->rank_unclear = remote->rank_unclear || more->rank_unclear || unclear;
    if (remote->rank_unclear)
        remote->rank = REMOTE_FIRST;
}

bool remote_maps_join(struct arena *arena, const struct config_map *map,
                      const struct remote_config *more, bool certain,
                      struct remote_config *remote)
{
    remote_config_tell(arena, &remote->problem, map->name, ": ", more->problem);
    remote_config_tell(arena, &remote->limit, map->name, ": ", more->limit);
    join_rank(more, certain, remote);
    remote->data = more->data;
    remote->data_count = more->data_count;
    /* A file alone is read whatever it is called; of several the API may skip any, and
     * one that is skipped overrides nothing. */
    bool overrides = certain && map->data_count == 1;
    return append_props(arena, more, overrides, remote) && !arena->failed;
}

bool remote_maps_read_one(struct arena *arena, struct str prefix,
                          const struct config_map *map, struct remote_budget *budget,
                          struct remote_config *ret_remote)
{
    *ret_remote = (struct remote_config){.name = map->name, .known = true};
    return remote_config_read(arena, prefix, map->data, map->data_count, budget,
                              ret_remote);
}

/* It does not exist, unless the cache has left some out, or would not keep it, and the
 * API server has not told. Before it was asked, so many names are too many. */
static void note_unknown(struct workload *workload, size_t i)
{
    struct remote_config *remote = &workload->remote;
    const struct str name = workload->remote_names[i];
    if (workload->live == NULL) {
        remote->siblings_cut =
            remote->siblings_cut || (i >= LIVE_MAXIMUM && !remote_maps_named(name));
        return;
    }
    const struct str why = live_problem(workload->live, name);
    if (why.n == 0 || (workload->config_maps_whole && remote_maps_named(name)))
        return;
    if (remote->untold_count++ == 0) {
        remote->untold = name;
        remote->untold_why = why;
    }
}

bool remote_maps_read(struct arena *arena, struct str prefix, struct str name,
                      struct str profiles, bool certain, struct workload *workload)
{
    struct remote_config *remote = &workload->remote;
    struct remote_budget budget = {.spent = false};
    if (!list_names(arena, name, profiles, workload))
        return false;
    const bool cut = remote->siblings_cut;
    const struct config_map *first = workload_config_map(workload, name);
    if (first != NULL && !remote_maps_read_one(arena, prefix, first, &budget, remote))
        return false;
    remote->siblings_cut = cut;
    for (size_t i = 1; i < workload->remote_name_count; i++) {
        const struct config_map *map =
            workload_config_map(workload, workload->remote_names[i]);
        struct remote_config more;
        if (map == NULL)
            note_unknown(workload, i);
        else if (!remote_maps_read_one(arena, prefix, map, &budget, &more) ||
                 !remote_maps_join(arena, map, &more, certain, remote))
            return false;
    }
    return !arena->failed;
}

/* From the end: the name of a release may have such a part itself, and what is behind the
 * last one is the profile. */
struct str remote_maps_base(struct str name)
{
    static const struct str infix = STR("-remote-config-");
    for (size_t at = name.n; at-- > 0;) {
        if (str_starts(str_skip(name, at), infix))
            return str_first(name, at + infix.n - 1);
    }
    return str_null();
}
