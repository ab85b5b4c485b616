/* The running webhook: builds, starts, drains and stops everything that `serve` needs.
 * Main thread; it is the one that waits for signals.
 *
 * SIGTERM, SIGINT: not ready at once, serves on for drain_seconds with Connection: close,
 * then ends. A second one ends the process at once (exit code 128 + signal). SIGHUP:
 * files are read again now. */
#ifndef NRW_APP_APP_H
#define NRW_APP_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* What needs the cluster's API. Everything may be NULL or 0. */
struct app_cluster {
    const char *policy_configmap; /* "NAMESPACE/NAME" */
    const char *tls_secret;       /* "NAMESPACE/NAME" */
    const char *webhook_config;
    const char *const *dns_names;
    size_t dns_name_count;
    int64_t ca_lifetime, cert_lifetime; /* seconds; 0 = the default */
    const char *kubeconfig;
    bool reconcile;
};

struct app_options {
    const char *listen;
    const char *metrics_listen; /* NULL: none */
    unsigned threads;
    unsigned drain_seconds;
    const char *policy_file; /* NULL: from the cluster, or the example's when `demo` */
    const char *tls_cert, *tls_key; /* NULL: from the cluster, or issued when `demo` */
    const char *client_ca;          /* NULL: no client certificate is demanded */
    const char *const *client_names;
    size_t client_name_count;
    bool confine; /* once serving, the filter of system calls; see confine.h */
    bool demo;    /* makes what is not given: a policy, a certificate for localhost */
    struct app_cluster cluster;
    /* Called in a signal handler by the second SIGTERM or SIGINT; must not return. */
    void (*end_at_once)(int signal_number);
};

/* Serves until a signal says to end: true. False: err says why it cannot start;
 * ERR_INVALID and ERR_SYNTAX when a policy or certificate was read and is not good. */
bool app_run(const struct app_options *options, struct err *err);

#endif
