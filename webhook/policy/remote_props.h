/* The properties that a remote configuration comes to: those of registries are kept, and
 * what is said of its place among the sources is noted. One document after another, each
 * concluded at its end, since only then it is known whether it is bound to a profile.
 * Pure. */
#ifndef NRW_POLICY_REMOTE_PROPS_H
#define NRW_POLICY_REMOTE_PROPS_H

#include "policy/remote_rank.h"
#include "policy/remote_reading.h"
#include "util/strmap.h"

struct remote_props {
    struct remote_reading *reading;
    struct arena_list items; /* in the caller's arena */
    struct remote_wishes wishes;
    bool alone; /* the only data key: of several the API may skip any */
    /* Of the data key: */
    struct str text;
    struct strmap names; /* the item that counts, in the arena `tree` */
    /* Of the document: */
    size_t first;            /* its first item */
    struct arena_list ranks; /* what it says of its place, in `tree` */
    bool bound;              /* to a profile */
    struct str condition;    /* … to this one, in the caller's arena */
};

/* How a property was come by; together. */
enum {
    REMOTE_UNREADABLE = 1, /* the value is not what Java makes of it */
    REMOTE_LISTED = 2,     /* within a list, which Spring replaces as a whole */
    REMOTE_LIST = 4,       /* a list, which replaces a value of its name; not kept */
};

void remote_props_data_key(struct remote_props *props, struct str text);
void remote_props_add(struct remote_props *props, struct str name, struct str value,
                      unsigned how);
/* `may_bind`: a document of YAML, where the names that bind it mean something. */
void remote_props_end(struct remote_props *props, bool may_bind);

/* Fills rank, ranked, rank_unclear, props and prop_count. */
void remote_props_finish(struct remote_props *props, struct remote_config *config);

#endif
