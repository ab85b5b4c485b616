/* The Kubernetes API client: one question, one answer. Blocking, bounded in time and
 * size, TLS always verified unless the kubeconfig says otherwise. Any thread, several at
 * a time (each call takes a connection from a small pool). kube/loop.h has the form that
 * does not block, for the watcher thread. */
#ifndef NRW_KUBE_CLIENT_H
#define NRW_KUBE_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kube/config.h"
#include "kube/path.h"
#include "util/buf.h"
#include "util/err.h"

struct kube_client;

/* Called after every exchange; `code` 0: no answer came. From any thread. */
typedef void kube_observer(void *context, const char *verb, const char *resource,
                           unsigned code);

/* Takes `config`, also on failure. */
struct kube_client *kube_client_new_take(struct kube_config *config, struct err *err);
void kube_client_free(struct kube_client *client);
/* Before the first request. */
void kube_client_observe(struct kube_client *client, kube_observer *observer,
                         void *context);
const struct kube_config *kube_client_config(const struct kube_client *client);
/* By how many seconds the API server's clock is ahead of this machine's as it is now, by
 * its last answer; 0 while there was none. Its clock is the one that judges certificates.
 * Any thread. */
int64_t kube_client_clock_ahead(const struct kube_client *client);
/* Requests that run end at once with ERR_UNAVAILABLE (within a second), new ones fail:
 * for the way down. Any thread. */
void kube_client_stop(struct kube_client *client);

/* Asks, and parses the answer. Reads are tried again within the deadline when the API
 * server says when (429 or 503 with Retry-After); after a 401 the credentials are read
 * again and it is asked once more. `ret_object` may be NULL. Errors as in kube/status.h;
 * besides ERR_UNAVAILABLE (not reached, or no answer in time), ERR_LIMIT (answer too
 * large), ERR_SYNTAX (not JSON), ERR_NOMEM. */
bool kube_request(struct kube_client *client, const struct kube_request *request,
                  json_t **ret_object, struct err *err);
/* The same, the answer's bytes appended to `answer` (whose maximum counts). */
bool kube_request_raw(struct kube_client *client, const struct kube_request *request,
                      struct buf *answer, struct err *err);

/* kube_request with KUBE_GET for one object. */
bool kube_get(struct kube_client *client, const struct kube_resource *resource,
              const char *name_space, const char *name, unsigned deadline_ms,
              json_t **ret_object, struct err *err);

/* A JSON text from the API server. NUL characters in strings are taken: they are legal
 * in a ConfigMap, and one of them must not make a whole list unreadable. */
json_t *kube_parse(struct str text, struct err *err);
/* Whether it can be one object as the API server keeps it: those have a version, and what
 * a proxy makes up has none. To be asked before what is missing in it is taken for
 * absent, and before it is written over. ERR_SYNTAX; `what` is its kind. */
bool kube_is_object(const json_t *object, const char *what, struct err *err);

/* Once per process, before the first thread. */
bool kube_global_init(struct err *err);

#endif
