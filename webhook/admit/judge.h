/* One object judged: which rule applies to it, what is decided, and the patch that comes
 * of it, applied in memory. Shared by the server and `review`, so that both say the same.
 */
#ifndef NRW_ADMIT_JUDGE_H
#define NRW_ADMIT_JUDGE_H

#include "admit/admit.h"
#include "admit/review.h"
#include "core/decide.h"

struct judged {
    bool concerned; /* a target (or the policy) is concerned; false: allowed, no findings
                     */
    struct str target; /* the prefix: "NVCF"; the null text where none matches */
    struct decision decision;
    struct buf patch; /* the JSON Patch as text; empty when nothing changes */
    const struct str *config_map_names; /* to be looked at live; see admit.h */
    size_t config_map_count;
    const char *patch_problem; /* not NULL: the patch did not apply and was dropped */
};

void judged_done(struct judged *judged);
#define NRW_AUTO_JUDGED NRW_CLEANUP(judged_done)

/* `review->object` is changed to what the patch makes of it. ERR_NOMEM. */
bool judge_object(struct arena *arena, const struct admit_input *input,
                  struct review *review, struct judged *ret_judged, struct err *err);

#endif
