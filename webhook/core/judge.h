/* The rules for what would be recognised: each registry by itself, then all of them
 * together. Says what it finds with the severity that the policy's mode gives it;
 * enforcement and ratcheting come after (decide.c). Pure. */
#ifndef NRW_CORE_JUDGE_H
#define NRW_CORE_JUDGE_H

#include "core/registries.h"

struct judge {
    struct arena *arena;
    const struct policy *policy;
    struct str prefix;
    bool inject; /* the policy's registries are in `registries` already, or will be set */
    bool can_set; /* /mutate: a conflict in env can be set right */
    bool whole;   /* a Deployment with all its sources; false: one ConfigMap alone */
    struct str
        env_path; /* of the container's env, for what is missing there; may be "" */
    struct findings *findings;
};

/* Judges `registries`; and, of a whole Deployment, whether every
 * listed one is there (what is about to be injected is). Check arena->failed. */
void judge_registries(const struct judge *judge, const struct registries *registries);

/* A finding about a registry where `at` declares it (NULL: no place). */
struct finding *judge_report(const struct judge *judge, enum finding_id id,
                             enum severity severity, const struct registry *registry,
                             const struct declaration *at, struct str message,
                             struct str advice);

#endif
