/* Certificates, key and token, kept current; part of config (see config.h). Any thread.
 */
#ifndef NRW_KUBE_CREDENTIALS_H
#define NRW_KUBE_CREDENTIALS_H

#include <curl/curl.h>
#include <stdbool.h>

#include "kube/settings.h"
#include "util/err.h"

struct credentials;

/* `settings` is borrowed for the life of the credentials. Everything must be readable
 * once. */
struct credentials *credentials_new(const struct kube_settings *settings,
                                    struct err *err);
void credentials_free(struct credentials *credentials);
void credentials_distrust(struct credentials *credentials);
/* `connect_to` (may be NULL) as in CURLOPT_CONNECT_TO. The lists that curl keeps pointers
 * to live as long as the credentials. */
bool credentials_apply(struct credentials *credentials, CURL *easy,
                       struct curl_slist **headers, const char *connect_to,
                       struct err *err);

#endif
