/* List and watch: the objects of a collection (or one of them, by name) as they are and
 * as they change. One struct per watch, all driven by the watcher thread (kube/loop.h).
 * Source of the protocol: Kubernetes API concepts, "Efficient detection of changes". */
#ifndef NRW_KUBE_WATCH_H
#define NRW_KUBE_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kube/loop.h"

enum kube_change_type {
    KUBE_ADDED, /* a listener should take ADDED and MODIFIED alike */
    KUBE_MODIFIED,
    KUBE_DELETED, /* after a gap, `object` is only metadata.name and namespace */
    KUBE_SYNCED,  /* all that exists has been told, and the connection is up */
    KUBE_LOST,    /* a (re)connection failed; what was told may be old. Told once, and
                     again when the cause changes, until the next KUBE_SYNCED */
};

struct kube_change {
    enum kube_change_type type;
    const json_t *object; /* borrowed; NULL for SYNCED and LOST. Items of a list have no
                             kind and no apiVersion */
    const char *reason;   /* of LOST; one line */
};

struct kube_watch_options {
    const struct kube_resource *resource;
    const char *name_space;     /* "" = all namespaces, or cluster-scoped */
    const char *name;           /* "" = the whole collection */
    const char *label_selector; /* or NULL */
    /* Which objects are told, and remembered, so that those of no use take no memory; it
     * is to say the same of an object as long as that lives. NULL: all. */
    bool (*needed)(void *context, const json_t *object);
    /* In the watcher thread; must not send from here, may poke. False: it could not be
     * taken (no memory); everything is told again after a pause. */
    bool (*on_change)(void *context, const struct kube_change *change);
    void *context;
};

struct kube_watch;

/* Before the loop starts, or in its thread (not from an on_change). Texts are copied. */
struct kube_watch *kube_watch_new(struct kube_loop *loop,
                                  const struct kube_watch_options *options,
                                  struct err *err);
/* After the loop was stopped, or in its thread (not from this watch's on_change). */
void kube_watch_free(struct kube_watch *watch);

/* For readiness and `status`; any thread. */
struct kube_watch_state {
    bool synced;       /* was, at least once: what was told is complete, if perhaps old */
    bool connected;    /* and is up to date now */
    int64_t since;     /* clock_mono_millis of the last change of `connected` */
    unsigned restarts; /* lists after the first */
    char reason[256];  /* while not connected: why; may be "" */
};
void kube_watch_state(struct kube_watch *watch, struct kube_watch_state *ret_state);

/* Times, so that tests need not wait for minutes; 0 = the default. Before the start. */
struct kube_watch_times {
    unsigned stream_seconds; /* least length of one stream; up to twice that. 300 */
    unsigned silence_ms; /* without a byte, though bookmarks come every minute. 150 s */
    unsigned backoff_ms; /* first wait after a failure. 200 */
    unsigned backoff_cap_ms; /* 10000 */
    unsigned page;           /* objects per list page. 50 */
};
void kube_watch_set_times(struct kube_watch *watch, const struct kube_watch_times *times);

#endif
