/* Self-managed certificates, kept alive: a thread that looks at the Secret and the
 * webhook configurations, asks the plan (plan.h) what is next, does it, and hands the
 * server each new certificate. Any number of replicas run it side by side without a
 * leader.
 *
 * It looks every `check_ms`, at once when a watch or rotate_poke says that something
 * changed, and again after a pause that grows when the API server says no. What is served
 * stays served whatever fails. */
#ifndef NRW_CERTS_ROTATE_H
#define NRW_CERTS_ROTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "certs/plan.h"
#include "kube/client.h"
#include "kube/loop.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

struct rotate_options {
    struct kube_client *client;   /* lives longer than the rotation */
    struct kube_loop *loop;       /* to watch with, not started yet; NULL: only looks */
    const char *secret_namespace; /* texts are copied */
    const char *secret_name;
    const char *webhook_config; /* name of both configurations; NULL: publishes nothing,
                                   and trusts that the caBundle is cared for elsewhere */
    const char *const
        *dns_names; /* what the leaf is for; IP addresses are taken as well */
    size_t dns_count;
    unsigned rsa_bits;       /* 0 = ECDSA P-256 */
    struct plan_times times; /* 0 = the default: 365 days, 30 days, 300 s, and
                                30 s, less where leaves live for minutes */
    unsigned check_ms;       /* 0 = 60 s */

    /* In the rotation's thread. A certificate to serve from now on (PEM, borrowed for the
     * call); false: it could not be taken, and the old one is still served. */
    bool (*on_certificate)(void *context, struct str cert_pem, struct str key_pem,
                           int64_t not_after, struct err *err);
    /* A TLS call to the server, verified with this caBundle; may be NULL. After every
     * look that found everything in order. False with ERR_INVALID: what is served is not
     * verified, and `verified` becomes false; with another code the last verdict stays.
     */
    bool (*self_check)(void *context, struct str ca_pem, struct err *err);
    /* Something on the way to a new certificate could not be written; may be NULL. */
    void (*on_failure)(void *context);
    /* Tests only: before and after every write ("secret", "mutating", "validating"). */
    void (*on_step)(void *context, const char *what, bool after);
    void *context;
};

struct rotate;

/* Copies the options and starts the thread. NULL and err: names that cannot stand in a
 * certificate (ERR_USAGE), no memory. */
struct rotate *rotate_start(const struct rotate_options *options, struct err *err);
/* After the loop was stopped. Waits for a request under way (kube_client_stop cuts that
 * short). NULL is allowed. */
void rotate_free(struct rotate *rotate);
/* Look now. Any thread. */
void rotate_poke(struct rotate *rotate);

/* For readiness and `status`. Any thread. */
struct rotate_state {
    bool serving; /* a certificate was handed out, and is valid now */
    int64_t not_after;
    bool published;    /* the configurations hold the CA of what is served */
    bool verified;     /* by self_check; true where there is none */
    char problem[768]; /* what stands in the way, one line; "" when nothing does */
};
void rotate_state(struct rotate *rotate, struct rotate_state *ret_state);

/* The caBundle as it was last seen in the configurations, appended: what the API server
 * would verify with. Nothing when none was seen. Any thread. */
void rotate_ca_bundle(struct rotate *rotate, struct buf *out);

#endif
