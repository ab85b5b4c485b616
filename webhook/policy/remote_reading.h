/* What the files remote_*.c share while they read the data keys of a remote
 * configuration: its bounds, what is wrong with it, and which names are looked at; nobody
 * else's. Pure. */
#ifndef NRW_POLICY_REMOTE_READING_H
#define NRW_POLICY_REMOTE_READING_H

#include "policy/remote.h"
#include "policy/yaml_node.h"

#define REMOTE_NAME_LIMIT  512u /* longer than any property that means something */
#define REMOTE_DEPTH_LIMIT 64u

struct remote_reading {
    struct arena *arena; /* the caller's: what is kept */
    struct arena *tree;  /* gone after each data key */
    struct str prefix;
    struct str registries; /* "nvcfregistries": what names of registries begin with */
    struct remote_budget *budget;
    unsigned line;
    const char *problem; /* with `line`: Spring refuses it as well, or may */
    unsigned limit_line;
    const char *limit; /* likewise: Spring may read it, and it is beyond us */
    bool stopped;      /* by a limit, after which nothing more of this data key is read */
};

/* The first one is told; what else can be read is read all the same. */
void remote_fail(struct remote_reading *reading, const struct yaml_node *node,
                 const char *problem);
void remote_exceed(struct remote_reading *reading, const struct yaml_node *node,
                   const char *limit);

/* Likewise, and nothing more is read. */
void remote_stop(struct remote_reading *reading, const struct yaml_node *node,
                 const char *limit);

/* Counts a visit, and the bytes that are looked at. False: it is too much. */
bool remote_spend(struct remote_reading *reading, const struct yaml_node *node,
                  size_t bytes);

static inline const struct yaml_node *remote_follow(const struct yaml_node *node)
{
    return node->kind == NODE_ALIAS ? node->target : node;
}

/* Do the letters and digits of path and key, as far as they go, follow those of `root`?
 * No more of a key is looked at than may be in a name. */
bool remote_follows(struct str root, struct str path, struct str key);

/* Are the letters and digits of `name` just those of `root`? */
bool remote_spells(struct str root, struct str name);

/* The names that say whether a document counts. */
extern const struct str remote_bound[2];

/* Of a document's property: is it one of these? */
bool remote_binds(struct str name);

/* Does a property of this name make profiles active in the running API? Spring Cloud asks
 * each source for spring.profiles.include and spring.profiles.active, and one that Boot
 * has put before them answers for any spelling of the two, but for no index. */
bool remote_activates(struct arena *arena, struct str name);

/* The path of all that can be no property that is looked at. */
struct str remote_nowhere(void);
bool remote_is_nowhere(struct str path);

/* May a name that begins with path and key be one that is looked at? */
bool remote_leads(const struct remote_reading *reading, struct str path, struct str key);

/* Below the root, where registries may be. */
bool remote_is_inside(const struct remote_reading *reading, struct str path);

#endif
