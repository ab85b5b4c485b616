/* What a remote configuration says of its own place among Spring's sources:
 * spring.cloud.config.override-none, override-system-properties and allow-override, as
 * PropertySourceBootstrapConfiguration asks for them (docs/SPRING.md, R6). Pure. */
#ifndef NRW_POLICY_REMOTE_RANK_H
#define NRW_POLICY_REMOTE_RANK_H

#include "core/workload.h"
#include "util/arena.h"

/* The letters that the names of these begin with. */
#define REMOTE_RANK_LETTERS "springcloudconfig"

enum remote_wish { WISH_NONE, WISH_NO, WISH_YES, WISH_UNCLEAR };

struct remote_wishes {
    enum remote_wish allow, none, system;
};

/* A property of the remote configuration, whatever it is. `clear`: its value is known,
 * and it counts in any case. */
void remote_rank_note(struct arena *arena, struct remote_wishes *wishes, struct str name,
                      struct str value, bool clear);

/* Was anything noted that bears on it? */
bool remote_rank_said(const struct remote_wishes *wishes);

/* False: it cannot be told from what was noted. */
bool remote_rank_tell(const struct remote_wishes *wishes, enum remote_rank *ret_rank);

#endif
