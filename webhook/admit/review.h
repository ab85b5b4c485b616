/* The bytes of an AdmissionReview to what a decision needs of it. This is the seam behind
 * which the parser may be replaced: nothing outside asks how the bytes are read. */
#ifndef NRW_ADMIT_REVIEW_H
#define NRW_ADMIT_REVIEW_H

#include <jansson.h>

#include "util/err.h"
#include "util/str.h"

enum review_kind { REVIEW_DEPLOYMENT, REVIEW_CONFIG_MAP, REVIEW_OTHER };

struct review {
    json_t *root; /* owns everything below */
    struct str uid, kind_name, name_space, name, operation, user, object_uid;
    enum review_kind kind;
    bool dry_run;
    bool has_subresource;
    json_t *object, *old_object; /* borrowed; NULL where the review has null */
};

/* ERR_SYNTAX: no JSON; ERR_INVALID: no v1 AdmissionReview request; ERR_LIMIT: what is
 * read of it would take more than `maximum` bytes (util/json_weight.h); ERR_NOMEM. */
bool review_read(struct str body, size_t maximum, struct review *ret_review,
                 struct err *err);
/* The same from JSON that is parsed already (a reference is taken). */
bool review_from_json(json_t *root, struct review *ret_review, struct err *err);
void review_done(struct review *review);
#define NRW_AUTO_REVIEW NRW_CLEANUP(review_done)

#endif
