/* One admission: the bytes of an AdmissionReview in, the bytes of the answer out, and
 * what happened for metrics, log and Events. No I/O, no clock. Worker threads. */
#ifndef NRW_ADMIT_ADMIT_H
#define NRW_ADMIT_ADMIT_H

#include <stdbool.h>

#include "core/finding.h"
#include "core/live.h"
#include "core/policy.h"
#include "util/buf.h"
#include "util/err.h"

enum admit_endpoint { ADMIT_MUTATE, ADMIT_VALIDATE };

struct config_maps; /* admit/config_maps.h: the ConfigMaps that are known, a snapshot */

struct admit_input {
    enum admit_endpoint endpoint;
    struct str body;
    const struct policy *policy;
    const struct config_maps *config_maps; /* may be NULL: none is known */
    const struct live *live; /* what was told of those that were to be read live; NULL:
                                nobody has asked for one */
    bool config_maps_beyond; /* one of them is larger than may be read */
    struct str policy_namespace,
        policy_name; /* the policy ConfigMap's, so that it is judged */
};

/* For labels of metrics, the log line and Events. Texts in the arena that was given. */
struct admit_outcome {
    struct str uid, kind, name_space, name, operation, user, object_uid;
    bool dry_run;
    bool allowed, changed;
    const char *decision; /* allow, deny, patch, skip, audit: from a fixed set */
    /* ConfigMaps that a Deployment refers to and that a live look could tell more about:
     * those that are not known; for a denial, which a newer one could lift, all. Of the
     * sibling of a remote configuration its base, where that may be there unknown. */
    const struct str *config_map_names;
    size_t config_map_count;
    struct findings findings;
    struct str message;
};

/* True: `answer` holds an AdmissionReview, to be sent with status 200. False: err says
 * why (ERR_SYNTAX and ERR_INVALID are a 400, ERR_NOMEM and ERR_INTERNAL a 500). The
 * arena's maximum counts twice: for what the decision takes, and for the values that are
 * read of the body. Beyond either it is ERR_LIMIT. */
bool admit_review(struct arena *arena, const struct admit_input *input,
                  struct buf *answer, struct admit_outcome *ret_outcome, struct err *err);

#endif
