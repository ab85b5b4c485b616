/* What the texts in the Secret amount to: which CAs, whose key, whether the leaf is good,
 * and who signed it; and how to put them together anew. No I/O, no clock. Any thread. */
#ifndef NRW_CERTS_CONTENTS_H
#define NRW_CERTS_CONTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "certs/inspect.h"
#include "certs/issue.h"
#include "certs/plan.h"
#include "certs/store.h"
#include "util/arena.h"

/* The names a leaf has to bear; texts borrowed. */
struct cert_names {
    const char *const *dns;
    size_t dns_count;
    const char *const *ips;
    size_t ip_count;
};

struct cert_contents {
    struct arena arena; /* of all texts below */
    /* The CAs of ca.crt in their order, without repetitions, at most PLAN_CAS_MAXIMUM. */
    struct cert_info *cas[PLAN_CAS_MAXIMUM];
    struct str ca_pem[PLAN_CAS_MAXIMUM];
    bool has_key[PLAN_CAS_MAXIMUM];
    size_t ca_count;
    struct str bundle;      /* all of them: what the caBundles are to hold */
    struct cert_info *leaf; /* NULL when it cannot be used: absent, damaged, not its key,
                               no serving certificate */
    bool leaf_names;        /* it bears every name that is wanted */
    int leaf_issuer;        /* index, or PLAN_NONE */
};

/* Damage in the Secret is no failure: what cannot be read counts as absent. False only
 * for want of memory. `contents` need not be initialised; done in any case. */
bool cert_contents_read(struct cert_contents *contents, const struct cert_secret *secret,
                        const struct cert_names *names, struct err *err);
void cert_contents_done(struct cert_contents *contents);
#define CERT_AUTO_CONTENTS NRW_CLEANUP(cert_contents_done)

/* The CAs whose bits are set in `keep`, appended as PEM. */
void cert_contents_bundle(const struct cert_contents *contents, unsigned keep,
                          struct buf *out);

/* Whether a leaf bears every name. */
bool cert_names_covered(const struct cert_names *names, const struct cert_info *leaf);

#endif
