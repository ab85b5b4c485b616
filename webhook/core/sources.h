/* What a workload declares: every variable and property, of every source that can be
 * read, that says something about recognised registries; and the ways in that cannot be
 * read. env, envFrom (with prefixes, later ones win, env wins over all), container
 * command and args, -D options in JAVA_TOOL_OPTIONS and its kin, the remote
 * configuration. Pure. */
#ifndef NRW_CORE_SOURCES_H
#define NRW_CORE_SOURCES_H

#include "core/finding.h"
#include "core/policy.h"
#include "core/spring.h"
#include "core/workload.h"

/* Who wins in Spring, lowest first: the environment, -D, --args, and above them all the
 * bootstrap sources, which are the remote configuration (nvcf-facts.md, part 1), unless
 * it says itself that it comes after the environment, or after the API's own YAML. */
enum layer {
    LAYER_REMOTE_LAST,
    LAYER_REMOTE_BELOW,
    LAYER_ENV,
    LAYER_SYSTEM,
    LAYER_ARGS,
    LAYER_REMOTE,
};

#define LAYER_COUNT 6u

static inline bool layer_is_remote(enum layer layer)
{
    return layer < LAYER_ENV || layer == LAYER_REMOTE;
}

#define NOT_IN_ENV ((size_t)-1)

struct declaration {
    struct spring_var var;
    struct str variable; /* the whole name */
    struct str value;
    bool readable; /* false: a reference or a placeholder; `value` is not it */
    enum layer layer;
    struct str source;    /* env, configmap/<name>, remoteConfig/<name>, args */
    struct str path;      /* where in the object */
    struct str condition; /* what its document is bound to, "" when nothing */
    size_t env_index;     /* in the container's env, or NOT_IN_ENV */
    bool injected;        /* not there yet: what the policy is about to add */
    bool bystander; /* names no registry, but may fill one in: NV_CF_… where another
                     * variable's NV-CF_… makes the key (docs/SPRING.md, R4) */
};

struct sources {
    struct arena_list declared; /* of struct declaration, env in its order first */
    size_t bystanders;          /* how many of them are */
    struct findings findings; /* OpaqueSource and DuplicateVariable, severity to be set */
};

static inline const struct declaration *sources_at(const struct sources *sources,
                                                   size_t i)
{
    return (const struct declaration *)sources->declared.items + i;
}

/* Reads everything. `skip_env` (may be NULL) marks entries of env that are going to be
 * taken out and count no more. Check arena->failed afterwards. */
void sources_read(struct arena *arena, struct str prefix, const struct workload *workload,
                  const bool *skip_env, struct sources *ret_sources);

/* Adds to `list`, that of SPRING_PROFILES_ACTIVE, the active profiles that the workload
 * names otherwise: in other spellings, as arguments, in options of the JVM. `certain`
 * becomes false where that adds any, or cannot be told, `cut` true where they are too
 * many. False: the arena refused. */
bool sources_profiles(struct arena *arena, const struct workload *workload,
                      struct str *list, bool *certain, bool *cut);

/* Does a variable of this name say, or bring in, anything about registries? */
bool sources_matter(struct str prefix, struct str name);

/* Do the two ConfigMaps have the same texts under every name that matters here, also
 * under those whose texts are not looked into? */
bool sources_same_config_map(struct str prefix, const struct config_map *a,
                             const struct config_map *b);

/* A path as the container's runtime sees it, the root as "". What is relative begins
 * there. */
struct str sources_mount_path(struct arena *arena, struct str path);

/* Does the API look for configuration at mount->path, or below? The rest but the index is
 * filled in then. `dir`: what the first one makes of the container's workingDir, "" where
 * it has none. */
struct str sources_working_dir(struct arena *arena, struct str working_dir);
bool sources_mount_is_read(struct str dir, struct mount *mount);

/* Whether a variable of this name brings in properties of other names: configuration in
 * JSON or by its place, the options of the JVM. */
bool sources_brings_properties(struct str name);

/* One ConfigMap alone, as an envFrom without prefix would bring it. */
void sources_read_config_map(struct arena *arena, struct str prefix,
                             const struct config_map *config_map,
                             struct sources *ret_sources);

/* A remote configuration alone. */
void sources_read_remote(struct arena *arena, struct str prefix,
                         const struct remote_config *remote, struct sources *ret_sources);

#endif
