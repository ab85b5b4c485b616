/* What to do next about self-managed certificates. PURE: what exists and what time it is
 * go in, one action comes out; no clock, no I/O, no OpenSSL. Any thread.
 *
 * One Secret holds everything: ca.crt (every CA that the caBundles must hold), ca.key (of
 * the CA that signs from now on), tls.crt and tls.key (the leaf that replicas serve). All
 * replicas run the same plan over the same state; a write carries the resourceVersion
 * that was read, so that of two who want the same only one gets it, and the other reads
 * again.
 *
 * A CA is replaced in four steps, and every call in between verifies:
 *   issue CA     ca.crt = new + old, ca.key = new; the leaf is still the old CA's
 *   publish      both configurations hold new + old
 *   issue leaf   by the new CA, when that has been published for `settle_seconds`
 *   drop CA      when the last leaf that the old CA can have signed has expired; its key
 *                was gone since the first step, so that moment is known without asking
 *                any replica, and even one that cannot reach the API server is safe */
#ifndef NRW_CERTS_PLAN_H
#define NRW_CERTS_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_CAS_MAXIMUM 8
#define PLAN_NONE        (-1)

struct plan_times {
    int64_t ca_lifetime;    /* seconds, as are all */
    int64_t leaf_lifetime;  /* at most ca_lifetime */
    int64_t backdate;       /* how far before its issue a certificate begins */
    int64_t settle_seconds; /* what API servers get to see a new caBundle in */
};

struct plan_ca {
    int64_t not_before, not_after;
    bool has_key;   /* ca.key is this one's */
    bool published; /* in the caBundle of every webhook of every configuration */
};

struct plan_state {
    int64_t now;
    struct plan_ca cas[PLAN_CAS_MAXIMUM]; /* of ca.crt, newest first */
    size_t ca_count;
    /* The leaf in the Secret. */
    bool leaf_usable; /* there, its key matches, and it bears the names that are wanted */
    int64_t leaf_not_before, leaf_not_after;
    int leaf_issuer; /* index in `cas`, or PLAN_NONE */
    /* The caBundles hold exactly `cas`, nothing missing and nothing more. */
    bool bundle_exact;
    /* For how long the CA with the key has been seen published in a row. */
    int64_t signer_published_for;
    /* The last attempt to publish has failed just now: plan the rest. */
    bool cannot_publish;
};

enum plan_action {
    PLAN_WAIT,       /* until `due` */
    PLAN_ISSUE_ALL,  /* a CA and a leaf of it, in one write; CAs in `keep` stay in ca.crt
                      */
    PLAN_ISSUE_CA,   /* a CA; the leaf stays; CAs in `keep` stay */
    PLAN_ISSUE_LEAF, /* a leaf by cas[signer] */
    PLAN_DROP_CA,    /* ca.crt with only the CAs in `keep` */
    PLAN_PUBLISH,    /* caBundle of every webhook := ca.crt */
};

struct plan {
    enum plan_action action;
    int signer;         /* the CA with the key, or PLAN_NONE */
    unsigned keep;      /* bit i: cas[i] stays */
    int64_t due;        /* when, by today's knowledge, there will be more to do */
    const char *reason; /* a literal, for the log */
};

struct plan plan_next(const struct plan_state *state, const struct plan_times *times);

/* Whether a replica that serves a certificate (`have`: and that is valid now) should
 * change to the Secret's leaf: only when the API server can verify it, or when there is
 * nothing to lose. */
bool plan_may_serve(const struct plan_state *state, const struct plan_times *times,
                    bool have);

/* When a replica that may not serve the Secret's leaf yet should ask again, because
 * waiting is all that is missing; INT64_MAX when something else has to happen first. */
int64_t plan_serve_due(const struct plan_state *state, const struct plan_times *times);

/* A word for an action: "wait", "issue-ca" … */
const char *plan_action_name(enum plan_action action);

#endif
