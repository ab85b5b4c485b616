/* Where the API server is and how to prove who we are: what a kubeconfig or the pod's
 * service account comes down to. A plain value with owned texts; whoever made it passes
 * it on. */
#ifndef NRW_KUBE_SETTINGS_H
#define NRW_KUBE_SETTINGS_H

#include <stdbool.h>

#include "util/attr.h"

struct kube_settings {
    char *server; /* "https://host:port/prefix" without a slash at the end */
    char *tls_server_name;
    char *proxy_url;
    bool insecure; /* only when the kubeconfig says insecure-skip-tls-verify */
    char *ca_pem, *ca_file;
    char *cert_pem, *cert_file;
    char *key_pem, *key_file;
    char *token, *token_file; /* the file wins while it can be read */
    char *name_space;         /* of the context or the pod; NULL when none is said */
    char *source;             /* for messages: "in-cluster" or the kubeconfig's path */
    char *context;            /* name of the kubeconfig's context; NULL in-cluster */
};

void kube_settings_done(struct kube_settings *settings);
#define NRW_AUTO_KUBE_SETTINGS NRW_CLEANUP(kube_settings_done)

#endif
