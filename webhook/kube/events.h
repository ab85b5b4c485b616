/* Kubernetes Events: what an admin sees in `kubectl describe`. Handed over from any
 * thread, sent by the watcher thread, never in the way of a request: when too many come,
 * or the API server is away, they are dropped and counted.
 * Source of the rules: API events.k8s.io/v1 and its validation. */
#ifndef NRW_KUBE_EVENTS_H
#define NRW_KUBE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "kube/loop.h"
#include "util/str.h"

/* Texts are borrowed for the call. What is too long is cut, what may not be empty is
 * filled. */
struct kube_event {
    struct str api_version, kind; /* of the object it is about: "apps/v1", "Deployment" */
    struct str name_space;        /* "" for a cluster-scoped object */
    struct str name, uid;         /* uid may be "" */
    bool warning;                 /* type Warning, else Normal */
    struct str reason;            /* "Injected": UpperCamelCase, for machines */
    struct str action;            /* what was done: "Mutating" */
    struct str note;              /* for people; cut at 1024 bytes */
};

struct kube_events;

/* `instance`: who reports (the pod's name); copied. Before the loop starts. */
struct kube_events *kube_events_new(struct kube_loop *loop, const char *instance,
                                    struct err *err);
void kube_events_free(struct kube_events *events); /* after the loop was stopped */

/* Any thread. False: dropped (the same was said within 30 s, too many, no memory). */
bool kube_events_add(struct kube_events *events, const struct kube_event *event);

struct kube_events_counts {
    unsigned long sent, repeated, dropped, failed;
};
void kube_events_counts(struct kube_events *events,
                        struct kube_events_counts *ret_counts);

/* The object itself, as JSON; pure. `micros` since 1970; `serial` makes the name unique.
 */
bool kube_event_body(const struct kube_event *event, const char *instance, int64_t micros,
                     unsigned serial, struct buf *out);

#endif
