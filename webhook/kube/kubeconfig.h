/* kubeconfig text → settings. Text in, values out: no file is read here (relative paths
 * are made absolute against the kubeconfig's folder). Any thread; no state.
 * Source: client-go tools/clientcmd: of several files the first that defines a cluster,
 * user or context of a name wins, and the first that names a current context. */
#ifndef NRW_KUBE_KUBECONFIG_H
#define NRW_KUBE_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "kube/settings.h"
#include "util/err.h"
#include "util/str.h"

#define KUBECONFIG_MAXIMUM (1024u * 1024u)

struct kubeconfig_file {
    const char *path; /* for messages and as the base of relative paths */
    struct str text;
};

/* `context` NULL or "": the current context. Refused with one clear message: exec and
 * auth-provider plugins, basic auth, impersonation, a server that is neither https nor
 * (without credentials) http. */
bool kubeconfig_parse(const struct kubeconfig_file *files, size_t count,
                      const char *context, struct kube_settings *ret_settings,
                      struct err *err);

#endif
