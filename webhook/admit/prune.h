/* The few subtrees of a JSON text that are wanted, as jansson values; everything else is
 * skipped with the cursor of scan.h and is not there in the result. Not shared between
 * threads. */
#ifndef NRW_ADMIT_PRUNE_H
#define NRW_ADMIT_PRUNE_H

#include <jansson.h>

#include "admit/scan.h"
#include "util/err.h"

/* A member that is wanted. A list of them, PRUNE_WANTS at most, ends with a NULL key. */
#define PRUNE_WANTS 16u
struct prune_want {
    struct str key; /* of the last one of a list: null */
    /* NULL: the value whole. Otherwise an object of which only these members are kept
     * (the object itself always, so that it is known to be there), or … */
    const struct prune_want *members;
    bool each; /* … an array of such objects, all of them kept */
    /* 1 or 2: what is wanted of it depends on its siblings. If context->late can tell by
     * then, that is taken; otherwise its bytes are kept in raw[0] or raw[1]. */
    unsigned late;
};

#define PRUNE_SHARED 32u

struct prune_context {
    /* Of late members that had to wait; null where none did. */
    struct str raw[2];
    /* What is wanted of a late member, by the siblings read so far; NULL: cannot tell. */
    const struct prune_want *(*late)(const json_t *siblings);
    const struct prune_want *late_taken; /* what it last said, or NULL */
    /* Values that were made, with the bytes they were made of: where a later text has the
     * same bytes (an old object beside the new one), the value is the same one, with one
     * more reference, and is not parsed again. */
    struct {
        struct str bytes;
        json_t *value; /* a reference of ours: of a member given twice, the first goes */
    } items[PRUNE_SHARED];
    size_t count;
    /* What the values made so far take (util/json_weight.h), and may. */
    size_t weight, weight_maximum;
};

void prune_context_done(struct prune_context *context);
#define NRW_AUTO_PRUNE NRW_CLEANUP(prune_context_done)

/* The wanted part of a text that is one object. Returns NULL with ERR_SYNTAX, ERR_LIMIT
 * or ERR_NOMEM. What is there but of another type than wanted is kept whole. Of a member
 * that is given twice the last counts, as for jansson and for the API server. */
json_t *prune(struct str text, const struct prune_want *wants,
              struct prune_context *context, struct err *err);

/* Counts what is about to be made. False, with ERR_LIMIT: it would be too much. */
bool prune_charge(struct prune_context *context, size_t weight, struct err *err);

#endif
