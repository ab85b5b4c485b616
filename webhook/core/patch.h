/* What a decision changes, as a short list of operations on one Deployment: entries of
 * the target container's env, and our own two annotations. admit/ renders them as JSON
 * Patch and applies them in memory before it answers. The order is fixed (replacements,
 * removals from the back, additions, annotations), so that the same input gives the same
 * bytes. Pure. */
#ifndef NRW_CORE_PATCH_H
#define NRW_CORE_PATCH_H

#include "util/arena.h"
#include "util/str.h"

enum patch_kind {
    PATCH_ENV_REPLACE,        /* env[index] := {name, value} */
    PATCH_ENV_REMOVE,         /* env[index] */
    PATCH_ENV_CREATE,         /* env := [] — there was no array; appends follow */
    PATCH_ENV_APPEND,         /* env += {name, value} */
    PATCH_ANNOTATIONS_CREATE, /* metadata.annotations := {} — sets follow */
    PATCH_ANNOTATION_SET,     /* metadata.annotations[name] := value */
    PATCH_ANNOTATION_REMOVE,
};

struct patch_op {
    enum patch_kind kind;
    size_t index; /* of env, as the object is when the operation's turn comes */
    struct str name, value;
};

struct patch {
    struct arena_list ops; /* of struct patch_op */
    size_t container;      /* index in spec.template.spec.containers */
};

static inline const struct patch_op *patch_at(const struct patch *patch, size_t i)
{
    return (const struct patch_op *)patch->ops.items + i;
}

#endif
