/* Part of rotate.c: one look at the cluster, and the writes. Rotation's thread only. */
#ifndef NRW_CERTS_ROTATE_LOOK_H
#define NRW_CERTS_ROTATE_LOOK_H

#include "certs/bundle.h"
#include "certs/contents.h"
#include "certs/rotate.h"
#include "certs/store.h"

/* Options with texts of its own. */
struct rotate_settings {
    struct rotate_options options;
    char **texts; /* owns every text that the options point to */
    size_t text_count;
    struct cert_names names;
    struct cert_place place;
};

/* ERR_USAGE for names that cannot stand in a certificate. */
bool rotate_check_options(const struct rotate_options *options, struct err *err);
/* Copies them, with the defaults filled in. To be done in any case. */
bool rotate_settings_copy(struct rotate_settings *settings,
                          const struct rotate_options *options, struct err *err);
void rotate_settings_done(struct rotate_settings *settings);

struct rotate_look {
    struct cert_bundle bundle[2]; /* mutating, validating */
    struct cert_secret secret;
    struct cert_contents contents;
    bool bundles_known; /* both could be read */
    char problem[768];  /* why not, or what is odd about them; "" */
};

/* The configurations first and the Secret after them. With that order a replica that was
 * stopped in between cannot put an old bundle over a new one: either its Secret is as new
 * as what it wants to replace, or its resourceVersion of the configuration is too old.
 * False: the Secret could not be read. `look` is done in any case. */
bool rotate_look(const struct rotate_settings *settings, struct rotate_look *look,
                 struct err *err);
void rotate_look_done(struct rotate_look *look);

/* Whether every configuration that exists holds the CA, and at least one exists. */
bool rotate_published(const struct rotate_settings *settings,
                      const struct rotate_look *look, struct str fingerprint);

/* When the Secret was deleted or emptied, its CAs must stay trusted all the same:
 * replicas serve leaves of theirs. Of the CAs that were known (PEM) those that are valid
 * still and would go with this plan, appended while there is room beside the others. */
void rotate_lost_cas(const struct rotate_look *look, const struct plan *plan,
                     struct str known_pem, int64_t now, struct buf *out);

/* What the plan says, written. `also`: a CA (PEM, or "") that must stay in ca.crt besides
 * those to keep. ERR_CONFLICT: look again. */
bool rotate_write(const struct rotate_settings *settings, const struct rotate_look *look,
                  const struct plan *plan, int64_t now, struct str also, struct err *err);

#endif
