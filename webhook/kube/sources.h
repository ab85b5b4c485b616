/* The watch cache that decisions rest on: the policy's ConfigMap (one name), and in the
 * target namespaces the ConfigMaps that reach the API's environment or its remote
 * configuration. Told by callback from the watcher thread; what is told is never changed
 * afterwards, so it may be kept and read by any thread.
 *
 * RBAC cannot say "names that end in -env": list and watch are needed on all ConfigMaps
 * of a target namespace, by a Role there. Only those that are needed stay in memory, by
 * name and data, and only within a bound: who may write ConfigMaps decides how many have
 * such names. */
#ifndef NRW_KUBE_SOURCES_H
#define NRW_KUBE_SOURCES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "kube/loop.h"
#include "util/str.h"

struct kube_sources;

/* All that is needed and kept, of all namespaces: objects with metadata (namespace, name,
 * uid, resourceVersion) and data. To keep one, take a reference. */
struct kube_config_maps {
    json_t *const *objects;
    size_t count;
    bool complete; /* every wanted namespace has been listed */
    bool left_out; /* there are more than could be kept (or were: many more) */
};

struct kube_sources_options {
    const char *policy_namespace, *policy_name; /* NULL: no policy is watched */
    void *context;
    /* The policy's ConfigMap as it is now; NULL: there is none (told once when that is
     * known, and when it goes away). False: no memory, to be told again. May be NULL. */
    bool (*on_policy)(void *context, const json_t *config_map);
    /* Several changes may come as one. False: no memory, to be told again. May be NULL.
     */
    bool (*on_config_maps)(void *context, const struct kube_config_maps *maps);
    size_t maximum; /* bytes that all of them may take */
    /* Which ConfigMaps are needed, by name. Watcher thread. */
    bool (*needed)(struct str name);
};

/* Before the loop starts. Texts are copied. */
struct kube_sources *kube_sources_new(struct kube_loop *loop,
                                      const struct kube_sources_options *options,
                                      struct err *err);
/* After the loop was stopped. */
void kube_sources_free(struct kube_sources *sources);

/* The namespaces to watch from now on, as the policy's targets name them (repetitions are
 * allowed). Any thread, also from on_policy. ERR_NOMEM: nothing has changed. */
bool kube_sources_set_namespaces(struct kube_sources *sources, const struct str *names,
                                 size_t count, struct err *err);

/* For readiness and `status`; any thread. */
struct kube_sources_state {
    bool policy_known;   /* whether there is a policy is known */
    bool policy_present; /* and there is one */
    bool complete;       /* every wanted namespace has been listed at least once */
    bool connected;      /* all watches are up now */
    char reason[256];    /* of a watch that is not; one line; may be "" */
};
void kube_sources_state(struct kube_sources *sources,
                        struct kube_sources_state *ret_state);

#endif
