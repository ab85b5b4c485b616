/* The properties of a remote configuration; see remote_props.h. Pure. */
#include "policy/remote_props.h"

#include "core/sources_ways.h"
#include "core/spring.h"
#include "util/utf8.h"

#define PROPERTY_LIMIT 10000u     /* of registries: kept until the decision */
#define VALUE_LIMIT    4096u      /* the rest of a longer value is left out */
#define KEPT_LIMIT     (4u << 20) /* of all names and values that are kept */

struct item {
    struct remote_prop prop;
    bool listed; /* neither replaces nor is replaced */
    bool list;   /* what it replaces is gone; no more is known of it */
    bool replaced;
};

struct rank_said {
    struct str name, value;
    bool unreadable;
};

static struct item *item_at(const struct remote_props *props, size_t i)
{
    return (struct item *)props->items.items + i;
}

void remote_props_data_key(struct remote_props *props, struct str text)
{
    props->text = text;
    props->names = (struct strmap){.slots = NULL};
    props->ranks = (struct arena_list){.items = NULL};
    props->first = props->items.count;
    props->bound = false;
    props->condition = STR("");
}

/* A long condition is as good as any text that has it. */
static void note_condition(struct remote_props *props, struct str name, struct str value,
                           bool known)
{
    props->bound = true;
    if (str_eq(props->condition, props->text))
        return;
    if (!known || props->condition.n > REMOTE_NAME_LIMIT || value.n > REMOTE_NAME_LIMIT)
        props->condition = props->text;
    else
        props->condition = arena_join(
            props->reading->arena,
            (const struct str[]){props->condition, name, STR("="), value, STR("\n")}, 5);
}

/* What is no registry's may say which registries count. */
static void note(struct remote_props *props, struct str name, struct str value,
                 unsigned how)
{
    bool known = how == 0;
    if (remote_binds(name))
        note_condition(props, name, value, known);
    if (!remote_follows(STR(REMOTE_RANK_LETTERS), name, STR("")))
        return;
    struct rank_said *said =
        arena_list_add(props->reading->tree, &props->ranks, sizeof(*said));
    if (said != NULL)
        *said = (struct rank_said){name, value, !known};
}

/* A NUL ends a text where it is shown. To Spring it is a character that is no letter, as
 * the one that stands for it here. */
static struct str own_text(struct arena *arena, struct str name)
{
    static const struct str replacement = STR("\xef\xbf\xbd");
    size_t nuls = 0;
    for (size_t i = 0; i < name.n; i++)
        nuls += name.p[i] == '\0' ? 1 : 0;
    if (nuls == 0)
        return arena_str(arena, name);
    char *out = arena_alloc(arena, name.n + nuls * replacement.n, 1);
    if (out == NULL)
        return STR("");
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        bool nul = name.p[i] == '\0';
        memcpy(out + n, nul ? replacement.p : name.p + i, nul ? replacement.n : 1);
        n += nul ? replacement.n : 1;
    }
    return str_from(out, n);
}

static bool may_keep(struct remote_props *props, size_t bytes, bool counts)
{
    struct remote_reading *reading = props->reading;
    reading->budget->kept += bytes;
    reading->budget->properties += counts ? 1 : 0;
    if (reading->budget->kept <= KEPT_LIMIT &&
        (reading->prefix.n == 0 || reading->budget->properties <= PROPERTY_LIMIT))
        return true;
    reading->limit = "more than 10000 properties, or 4 MiB, of registries";
    reading->limit_line = 0;
    reading->budget->spent = reading->stopped = true;
    return false;
}

void remote_props_add(struct remote_props *props, struct str name, struct str value,
                      unsigned how)
{
    struct remote_reading *reading = props->reading;
    if (remote_is_nowhere(name))
        return;
    note(props, name, value, how);
    bool activates = (how & REMOTE_LIST) == 0 && remote_activates(reading->tree, name);
    bool brings = (how & REMOTE_LIST) == 0 &&
                  way_in_remote(spring_fold(reading->tree, name),
                                (how & REMOTE_UNREADABLE) == 0 ? value : STR("?"));
    if (!activates && !brings && reading->prefix.n > 0 &&
        !spring_concerns(reading->prefix, name))
        return;
    /* Each profile counts, and an update is judged by the whole text. */
    if ((activates || brings) && value.n > VALUE_LIMIT && reading->limit == NULL) {
        reading->limit =
            activates ? "a list of profiles of more than 4096 bytes"
                      : "a value of more than 4096 bytes that brings in configuration";
        reading->limit_line = 0;
    }
    value = utf8_cut(value, VALUE_LIMIT);
    if (!may_keep(props, name.n + value.n, (how & REMOTE_LIST) == 0))
        return;
    struct item *item = arena_list_add(reading->arena, &props->items, sizeof(*item));
    if (item == NULL)
        return;
    *item = (struct item){.prop = {.name = own_text(reading->arena, name),
                                   .value = activates || brings
                                                ? own_text(reading->arena, value)
                                                : arena_str(reading->arena, value),
                                   .activates = activates,
                                   .brings = brings,
                                   .unreadable = (how & REMOTE_UNREADABLE) != 0,
                                   .condition = STR(""),
                                   .config_map = STR("")},
                          .listed = (how & REMOTE_LISTED) != 0,
                          .list = (how & REMOTE_LIST) != 0};
}

static void replace(struct remote_props *props, struct strmap *names, size_t index)
{
    bool fresh;
    size_t *slot = strmap_put(props->reading->tree, names,
                              item_at(props, index)->prop.name, index, &fresh);
    if (slot == NULL || fresh)
        return;
    item_at(props, *slot)->replaced = true;
    *slot = index;
}

void remote_props_end(struct remote_props *props, bool may_bind)
{
    bool bound = props->bound && may_bind;
    struct strmap own = {.slots = NULL}; /* of a document that may not count */
    for (size_t i = props->first; i < props->items.count; i++) {
        struct item *item = item_at(props, i);
        item->prop.conditional = bound;
        if (bound)
            item->prop.condition = props->condition;
        /* Where it may be there, the others of its name may not. */
        item->prop.unreadable = item->prop.unreadable || item->list;
        item->replaced = item->list && !bound;
        if (!item->listed)
            replace(props, bound ? &own : &props->names, i);
    }
    const struct rank_said *said = props->ranks.items;
    for (size_t i = 0; i < props->ranks.count; i++)
        remote_rank_note(props->reading->tree, &props->wishes, said[i].name,
                         said[i].value, !said[i].unreadable && !bound && props->alone);
    props->ranks.count = 0;
    props->first = props->items.count;
    props->bound = false;
    props->condition = STR("");
}

/* What was replaced is left out. */
void remote_props_finish(struct remote_props *props, struct remote_config *config)
{
    config->ranked = remote_rank_said(&props->wishes);
    config->rank_unclear = !remote_rank_tell(&props->wishes, &config->rank);
    struct remote_prop *kept =
        ARENA_ARRAY(props->reading->arena, struct remote_prop, props->items.count);
    if (kept == NULL)
        return;
    size_t n = 0;
    for (size_t i = 0; i < props->items.count; i++) {
        if (!item_at(props, i)->replaced)
            kept[n++] = item_at(props, i)->prop;
    }
    config->props = kept;
    config->prop_count = n;
}
