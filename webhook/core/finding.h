/* What a decision has to say: findings, as interface.md names them.
 * Pure. Texts are borrowed from the arena of the decision (or are literals). */
#ifndef NRW_CORE_FINDING_H
#define NRW_CORE_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "util/arena.h"
#include "util/str.h"

enum finding_id { /* most serious first: the order in which a message lists them */
                  FINDING_INVALID_POLICY,
                  FINDING_CONTAINER_NOT_FOUND,
                  FINDING_BUILTIN_COLLISION,
                  FINDING_DUPLICATE_HOSTNAME,
                  FINDING_DUPLICATE_NAME,
                  FINDING_INCOMPLETE_REGISTRY,
                  FINDING_INVALID_KEY,
                  FINDING_INVALID_VALUE, /* a tuning value that the API cannot convert */
                  FINDING_UNMATCHABLE_HOSTNAME,
                  FINDING_DUPLICATE_VARIABLE,
                  FINDING_REMOTE_CONFIG_OVERRIDE,
                  FINDING_VALUE_CONFLICT,
                  FINDING_MISSING_REGISTRY,
                  FINDING_UNLISTED_REGISTRY,
                  FINDING_OPAQUE_SOURCE,
                  FINDING_UNSUPPORTED_ARTIFACT_TYPE,
                  FINDING_REMOVED_REGISTRY, /* info: what an earlier policy injected is
                                               taken out */
                  FINDING_COUNT,
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING, SEVERITY_INFO };

struct finding {
    enum finding_id id;
    enum severity severity; /* after enforcement and ratcheting */
    struct str key;     /* as the policy writes it or the variable spells it; may be "" */
    struct str source;  /* env, policy, configmap/<name>, remoteConfig/<name>, args */
    struct str path;    /* where in the object, or "LINE:COLUMN" in a policy; may be "" */
    struct str message; /* what is wrong, and what the API would do with it */
    struct str advice;  /* what to write instead; may be "" */
    unsigned line, column; /* of a policy text, from 1; 0 elsewhere */
};

struct findings {
    struct arena_list list; /* of struct finding */
};

/* "BuiltinCollision", … */
const char *finding_name(enum finding_id id);
/* "error", "warning", "info" */
const char *severity_name(enum severity severity);

static inline size_t findings_count(const struct findings *findings)
{
    return findings->list.count;
}
static inline struct finding *findings_at(const struct findings *findings, size_t i)
{
    return (struct finding *)findings->list.items + i;
}
/* A zeroed finding with its texts set to "", or NULL (arena->failed). */
struct finding *findings_add(struct arena *arena, struct findings *findings,
                             enum finding_id id, enum severity severity);
/* One more, just as that one is; NULL likewise. Texts stay borrowed. */
struct finding *findings_copy(struct arena *arena, struct findings *findings,
                              const struct finding *finding);
/* Severity first, then the order of finding_id, then the order of adding. */
bool findings_sort(struct arena *arena,
                   struct findings *findings); /* false: out of memory */
/* Copies every text into the arena: what was borrowed may now go away. False: refused. */
bool findings_own(struct arena *arena, struct findings *findings);
bool findings_any(const struct findings *findings, enum severity severity);

#endif
