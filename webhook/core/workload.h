/* What is judged, as values: a Deployment's target container and the ConfigMaps behind
 * it. admit/ fills these from JSON (and YAML, offline); core/ only reads them. All texts
 * are borrowed from whoever filled them, for the time of the decision. */
#ifndef NRW_CORE_WORKLOAD_H
#define NRW_CORE_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "core/live.h"
#include "util/str.h"

/* One entry of a container's `env`. */
struct env_var {
    struct str name;
    struct str value;    /* literal; "" when absent */
    bool has_value_from; /* then `value` is not it */
    struct str cm_name;  /* valueFrom.configMapKeyRef, or null */
    struct str cm_key;
    struct str from_what; /* "secretKeyRef app/token", "fieldRef" …: for messages */
};

/* One entry of `envFrom`. */
struct env_from {
    struct str prefix;      /* "" when absent */
    struct str cm_name;     /* configMapRef, or null */
    struct str secret_name; /* secretRef, or null */
};

struct kv {
    struct str key, value;
};

/* A ConfigMap that is known (given, or in the watch cache). */
struct config_map {
    struct str name_space, name;
    const struct kv *data; /* in the object's order */
    size_t data_count;
};

/* A property that a remote-config ConfigMap sets, flattened: "nvcf.registries…". */
struct remote_prop {
    struct str name, value;
    bool unreadable;       /* value is a list or map where a scalar is expected */
    bool activates;        /* it is no registry's, but makes the profiles active that its
                              value lists */
    bool brings;           /* nor is this, but brings in what cannot be read here */
    bool conditional;      /* in a document bound to a profile */
    struct str condition;  /* what that is bound to, "" when nothing */
    struct str config_map; /* not "": the sibling that sets it, not remote_config.name */
};

/* Where Spring Cloud puts the remote configuration among the sources. */
enum remote_rank {
    REMOTE_FIRST, /* before all others */
    REMOTE_BELOW, /* after the environment, before the API's own YAML */
    REMOTE_LAST,  /* after that, too */
};

struct remote_config {
    enum remote_rank rank; /* as it says itself: spring.cloud.config.override-none … */
    bool ranked;           /* it says anything of that */
    bool rank_unclear;     /* … for a profile only, or differently in two places */
    bool siblings_cut;     /* there are more profiles than are looked at */
    struct str untold;     /* not "": the first of its ConfigMaps that may be there and */
    struct str untold_why; /* … could not be read, and why (core/live.h) */
    size_t untold_count;   /* … of so many */
    struct str profiles;   /* which the workload lists; null: it is judged alone */
    struct str name;       /* of the ConfigMap */
    bool known;            /* false: not among what we can see */
    struct str problem;    /* not "": could not be read as YAML, with the reason */
    struct str limit;      /* not "": what Spring may read, and is beyond our limits */
    const struct remote_prop *props;
    size_t prop_count;
    const struct kv *data; /* the files, where not all can be told from what was read */
    size_t data_count;
};

/* One entry of a container's `volumeMounts`, of those where the API looks for its
 * configuration and others may have written. */
struct mount {
    struct str path;    /* cleaned, see sources.h */
    struct str reads;   /* what the API looks for: the same, or below */
    const char *advice; /* what to do about it */
    size_t index;
};

struct container_spec {
    bool found;
    size_t index; /* in spec.template.spec.containers */
    const struct env_var *env;
    size_t env_count;
    bool env_present; /* the array exists in the object (null and absent: false) */
    const struct env_from *env_from;
    size_t env_from_count;
    const struct str *command;
    size_t command_count;
    const struct str *args;
    size_t args_count;
    const struct mount *mounts;
    size_t mount_count;
};

struct workload {
    struct str name_space, name;
    struct container_spec container;
    bool annotations_present;
    struct str injected; /* annotation nvcf-registry-webhook/injected, or null */
    struct str policy;   /* annotation nvcf-registry-webhook/policy, or null */
    struct str
        old_injected; /* the same of oldObject, or null; used when `injected` is null */
    bool beyond; /* it brings in more than is looked at, or what is larger: what it says
                    cannot be told */
    bool unchanged; /* UPDATE, and env, envFrom, args and command equal those of oldObject
                     */
    bool mounts_new;    /* there is such a mount that oldObject did not have */
    bool profiles_gone; /* UPDATE, and the list of profiles with the charts' own among
                           them, which oldObject has, is nowhere now */
    const struct config_map *config_maps; /* all that are known in the namespace */
    size_t config_map_count;
    bool config_maps_unseen; /* nobody looks at ConfigMaps: none can be known */
    bool config_maps_whole;  /* all that are kept by their name are known */
    const struct live *live; /* what was told of others; NULL: nobody has asked */
    struct remote_config remote;
    bool has_remote;                /* REMOTE_CONFIG_NAME (or its convention) names one */
    const struct str *remote_names; /* its ConfigMaps, in order: that one, then those of
                                       the profiles, which need not exist; none when the
                                       name cannot be told */
    size_t remote_name_count;
};

/* The known ConfigMap of the workload's namespace, or NULL. `name` may be null. */
const struct config_map *workload_config_map(const struct workload *workload,
                                             struct str name);

/* Null: it has no such key. `map` may be NULL. */
struct str config_map_value(const struct config_map *map, struct str key);

/* Names that are compared in such searches: no honest workload comes near (about ten
 * milliseconds), and without a bound it would be the product of what the workload names
 * and of what the ConfigMaps hold. */
#define WORKLOAD_COMPARED_MAXIMUM 4194304u

#define ANNOTATION_INJECTED "nvcf-registry-webhook/injected"
#define ANNOTATION_POLICY   "nvcf-registry-webhook/policy"

#endif
