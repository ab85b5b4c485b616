/* The remote configuration, of several ConfigMaps; see remote_maps.h. */
#include "admit/remote_maps.h"

#include "policy/remote.h"
#include "util/strmap.h"

/* More than anybody has; each costs a search. */
#define PROFILES_MAXIMUM 64u
#define NAME_MAXIMUM     253u  /* of an object */
#define TOLD_MAXIMUM     1024u /* of what is wrong in several */

bool remote_maps_named(struct str name)
{
    return str_ends(name, STR("-remote-config")) ||
           str_find(name, STR("-remote-config-")) < name.n;
}

const struct config_map *remote_maps_find(const struct workload *workload,
                                          struct str name)
{
    for (size_t i = 0; i < workload->config_map_count && !str_is_null(name); i++) {
        const struct config_map *map = &workload->config_maps[i];
        if (str_eq(map->name, name) && str_eq(map->name_space, workload->name_space))
            return map;
    }
    return NULL;
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

static struct str trim(struct str text)
{
    while (text.n > 0 && (unsigned char)text.p[0] <= ' ')
        text = str_skip(text, 1);
    while (text.n > 0 && (unsigned char)text.p[text.n - 1] <= ' ')
        text.n--;
    return text;
}

static bool list_names(struct arena *arena, struct str name, struct str profiles,
                       struct workload *workload)
{
    struct arena_list names = {.items = NULL};
    bool good = add_name(arena, &names, name);
    for (size_t at = 0; good && at < profiles.n && names.count <= PROFILES_MAXIMUM;) {
        size_t end = str_index(profiles, at, ',');
        struct str profile = trim(str_from(profiles.p + at, end - at));
        at = end + 1;
        if (profile.n > 0 && name.n + 1 + profile.n <= NAME_MAXIMUM)
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

/* "name: what is wrong with it", after what is wrong with others. */
static void add_what(struct arena *arena, struct str *all, struct str name,
                     struct str what)
{
    if (what.n > 0 && all->n < TOLD_MAXIMUM)
        *all = arena_printf(arena, "%.*s%s%.*s: %.*s", STR_ARG(*all),
                            all->n > 0 ? "; " : "", STR_ARG(name), STR_ARG(what));
}

/* Spring asks all of them together for the place, and one that says nothing of it changes
 * nothing. Where two differ, it depends on more than is known of each here. */
static void join_rank(struct arena *arena, const struct remote_config *more,
                      struct remote_config *remote)
{
    bool differ = more->ranked && remote->ranked && more->rank != remote->rank;
    if (differ)
        add_what(arena, &remote->problem, more->name,
                 STR("whether it outranks the environment depends"));
    if (more->ranked)
        remote->rank = differ ? REMOTE_FIRST : more->rank;
    remote->ranked = remote->ranked || more->ranked;
}

static bool append(struct arena *arena, struct str prefix, const struct config_map *map,
                   bool certain, struct remote_config *remote)
{
    struct remote_config more = {.name = map->name, .known = true};
    if (!remote_config_read(arena, prefix, map->data, map->data_count, &more))
        return false;
    add_what(arena, &remote->problem, map->name, more.problem);
    add_what(arena, &remote->limit, map->name, more.limit);
    join_rank(arena, &more, remote);
    remote->data = more.data;
    remote->data_count = more.data_count;
    /* A file alone is read whatever it is called; of several the API may skip any, and
     * one that is skipped overrides nothing. */
    bool overrides = certain && map->data_count == 1;
    return append_props(arena, &more, overrides, remote);
}

bool remote_maps_read(struct arena *arena, struct str prefix, struct str name,
                      struct str profiles, bool certain, struct workload *workload)
{
    struct remote_config *remote = &workload->remote;
    if (!list_names(arena, name, profiles, workload))
        return false;
    const struct config_map *first = remote_maps_find(workload, name);
    remote->known = first != NULL;
    if (first != NULL &&
        !remote_config_read(arena, prefix, first->data, first->data_count, remote))
        return false;
    for (size_t i = 1; i < workload->remote_name_count; i++) {
        const struct config_map *map =
            remote_maps_find(workload, workload->remote_names[i]);
        if (map != NULL && !append(arena, prefix, map, certain, remote))
            return false;
    }
    return !arena->failed;
}

struct str remote_maps_base(struct str name)
{
    static const struct str infix = STR("-remote-config-");
    size_t at = str_find(name, infix);
    return at == name.n ? str_null() : str_first(name, at + infix.n - 1);
}

bool remote_maps_read_sibling(struct arena *arena, struct str prefix,
                              const struct config_map *base,
                              const struct config_map *sibling,
                              struct remote_config *ret_remote)
{
    *ret_remote = (struct remote_config){.name = base->name, .known = true};
    if (!remote_config_read(arena, prefix, base->data, base->data_count, ret_remote))
        return false;
    ret_remote->data = NULL;
    ret_remote->data_count = 0;
    return sibling == NULL || append(arena, prefix, sibling, true, ret_remote);
}
