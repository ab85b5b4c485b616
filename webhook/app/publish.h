/* Puts a new policy, certificate or set of ConfigMaps in force: builds it from its text,
 * swaps it in, counts and logs. What is not good leaves what was there before. This is
 * the door for everyone who learns of something new: the watcher of files (files.c), and
 * whoever watches the cluster. Any thread; one caller at a time for each kind of thing,
 * but for certificates. */
#ifndef NRW_APP_PUBLISH_H
#define NRW_APP_PUBLISH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/health.h"
#include "app/snapshots.h"
#include "observe/metrics.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/str.h"

struct net_tls;
struct net_server;

#define PUBLISH_ORIGIN 528

struct publish {
    struct snapshots *snapshots;
    struct health *health; /* knows the server */
    struct metrics *metrics;
    const char *const *client_names; /* demanded of client certificates; any of */
    size_t client_name_count;
    /* A policy has come into force; may be NULL. In the thread that brought it. */
    void (*on_policy)(void *context, const struct policy *policy);
    void *context;
    /* The first is no reload, no rotation. Certificates and their CAs may come from two
     * threads. */
    bool policy_seen;
    atomic_bool certificate_seen;
    /* Where certificates come without their client CA: that, and the last of them, kept
     * so that another CA can be put beside it. */
    pthread_mutex_t pairing;
    struct buf client_ca_pem, cert_pem, key_pem; /* empty: none demanded, none kept */
    char pair_origin[PUBLISH_ORIGIN];
    pthread_mutex_t handover; /* of a certificate to the server, against its end */
    struct net_tls *waiting;  /* made before the server ran, which starts with it */
};

/* Whether a refusal is counted and logged, or only returned: files are read while someone
 * is still writing them, so files.c tries quietly first. */
enum publish_tone { PUBLISH_QUIETLY, PUBLISH_ALOUD };

/* `origin` says where the text is from: "/etc/policy.yaml", "ConfigMap ns/name". The text
 * is a policy, or a ConfigMap that holds one. False: the old one stays in force; err is
 * ERR_INVALID with the first finding, or ERR_NOMEM, ERR_INTERNAL. */
bool publish_policy(struct publish *publish, struct str text, const char *origin,
                    enum publish_tone tone, struct err *err);

struct publish_pair {
    struct str cert_pem; /* leaf first */
    struct str key_pem;
    struct str client_ca_pem; /* null: the one of publish_client_ca, if any; else no
                                 client certificate is demanded */
    const char *origin;
};
/* False: the old one stays in force; ERR_INVALID or ERR_SYNTAX when the pair is not good.
 * An expired certificate is taken: readiness says so, and it may be all there is. */
bool publish_certificate(struct publish *publish, const struct publish_pair *pair,
                         enum publish_tone tone, struct err *err);

/* For certificates that come without it, from now on and for the one in use. False: the
 * old one stays; ERR_SYNTAX, ERR_INVALID. */
bool publish_client_ca(struct publish *publish, struct str pem, const char *origin,
                       enum publish_tone tone, struct err *err);

bool publish_config_maps_take(struct publish *publish, struct config_maps *maps,
                              void (*free_maps)(struct config_maps *maps),
                              struct err *err);

/* `publish` is zeroed, but for what the caller has set; done: what init has made. */
void publish_init(struct publish *publish);
void publish_done(struct publish *publish);

/* The server runs, started with `waiting`: what comes is handed to it from now on. */
void publish_open(struct publish *publish, struct net_server *server);

/* Before the server is stopped: nothing is handed to it any more. */
void publish_close(struct publish *publish);

/* The server's port, 0 while none runs. For threads that the server's end does not wait
 * for: the server itself may be gone at any time. */
unsigned publish_port(struct publish *publish);

/* What was refused is gone, and what is in force stands there again. */
void publish_policy_restored(struct publish *publish);

/* A new content could not even be read; counted and logged like one that is not good. */
void publish_policy_refused(struct publish *publish, const char *origin,
                            const struct err *why);
void publish_certificate_refused(struct publish *publish, const char *origin,
                                 const struct err *why);

#endif
