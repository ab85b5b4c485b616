/* How to reach the API server, kept current: the settings, and the credentials behind
 * their files, which are read again while the program runs. Any thread (one lock).
 * Source: client-go rest/config.go InClusterConfig, transport/token_source.go (token
 * files are re-read every minute by path, as the kubelet swaps them by symlink). */
#ifndef NRW_KUBE_CONFIG_H
#define NRW_KUBE_CONFIG_H

#include <curl/curl.h>
#include <stdbool.h>

#include "kube/settings.h"
#include "util/err.h"

#define KUBE_SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

struct kube_config;

/* From KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and the service account's files.
 * NULL and ERR_NOT_FOUND when this is no pod. */
struct kube_config *kube_config_in_cluster(struct err *err);
/* The same with everything given, for tests. */
struct kube_config *kube_config_in_cluster_from(const char *host, const char *port,
                                                const char *folder, struct err *err);
/* One kubeconfig. `context` NULL: its current one. */
struct kube_config *kube_config_from_file(const char *path, const char *context,
                                          struct err *err);
/* As kubectl looks for it: `path` if given, else the files of $KUBECONFIG, else
 * ~/.kube/config, else in-cluster. */
struct kube_config *kube_config_find(const char *path, const char *context,
                                     struct err *err);
/* Another server than Kubernetes', asked with the same client: `server` is http:// or
 * https://, the files may be NULL. With http:// the token travels in the clear: the
 * caller has to have said so. `source` names it in messages. */
struct kube_config *kube_config_for_server(const char *server, const char *ca_file,
                                           const char *token_file, const char *source,
                                           struct err *err);
void kube_config_free(struct kube_config *config);

/* What was read; the credentials in it may be older than what is in force. */
const struct kube_settings *kube_config_settings(const struct kube_config *config);
/* The namespace of the context or the pod, "default" when none is said. */
const char *kube_config_namespace(const struct kube_config *config);

/* The next use reads all files again: after a 401 or a failed handshake. */
void kube_config_distrust(struct kube_config *config);

/* Puts proxy, certificates and verification on an easy handle and the token on its
 * headers. Files older than 50 s are read again; what cannot be read keeps its last good
 * content. */
bool kube_config_apply(struct kube_config *config, CURL *easy,
                       struct curl_slist **headers, struct err *err);
/* "https://host:port/prefix", the beginning of every URL. */
const char *kube_config_base_url(const struct kube_config *config);

#endif
