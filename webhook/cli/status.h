/* What `status` knows of a cluster, and the steps that find it out and print it: look
 * (Deployments, pods, the running API), health (the webhook itself), write (table,
 * JSON). Main thread. */
#ifndef NRW_CLI_STATUS_H
#define NRW_CLI_STATUS_H

#include <jansson.h>

#include "admit/config_maps.h"
#include "cli/cli.h"
#include "core/finding.h"
#include "core/patch.h"
#include "kube/client.h"
#include "policy/policy_load.h"

/* "NAMESPACE/NAME", taken apart. */
struct status_name {
    const char *name_space, *name;
};

struct status_wish {
    const char *kubeconfig, *context;
    struct status_name policy; /* its ConfigMap */
    const char *policy_file;   /* instead of it, or NULL */
    struct status_name secret; /* with tls.crt; name NULL: guessed from the Service */
    const char *webhook_config;
    const char *nvcf_url, *token_file, *nvcf_ca; /* or NULL */
};

enum status_carry {
    CARRY_NO,    /* not at all */
    CARRY_YES,   /* with the values that are wanted */
    CARRY_OTHER, /* with others, or only a part */
};

enum status_api { API_UNKNOWN, API_NO, API_YES, API_OTHER_NAME };

/* A registry, as one Deployment has it or should have it. */
struct status_registry {
    struct str key, name, hostname;        /* as wanted: the policy's, else as found */
    struct str found_name, found_hostname; /* where they differ; else null */
    struct str source; /* policy, env, configmap/<name>, remoteConfig/<name>, args; null
                          when nothing sets it */
    bool listed, builtin;
    enum status_carry deployment;
    unsigned pods;       /* running ones that have it with the wanted values */
    bool pods_uncertain; /* its ConfigMap was changed after a pod had started */
    enum status_api api;
};

struct status_deployment {
    struct str name_space, name, prefix;
    struct arena_list registries; /* of struct status_registry, by key */
    struct findings findings;     /* what the next update would be told */
    struct arena_list changes;    /* of struct patch_op: what it would change */
    bool changed;                 /* it would, if only our annotations */
    bool denied;
    bool pods_known;
    unsigned pods;      /* running */
    struct str problem; /* what could not be looked at; "" */
    bool drift;
};

enum status_verdict { VERDICT_GOOD, VERDICT_BAD, VERDICT_UNKNOWN };

struct status_check {
    const char *name; /* a literal: "policy", "certificate" … */
    enum status_verdict verdict;
    struct str text;
};

struct status {
    const struct cli_command *command;
    const struct status_wish *wish;
    struct kube_client *client;
    struct arena arena;
    json_t *keep; /* whatever texts are borrowed from */
    struct policy_doc
        *doc; /* never NULL once looked at: without a policy, an empty one */
    bool policy_present;
    struct str policy_problem; /* "" when it is valid */
    json_t *api;               /* what recognized-registries answered; NULL: not asked */
    struct arena_list deployments;              /* of struct status_deployment */
    struct arena_list checks;                   /* of struct status_check */
    struct str service_namespace, service_name; /* of the webhook; null: unknown */
    int service_port;
    struct str ca_bundle; /* PEM; null: unknown */
    bool good;
};

static inline struct status_deployment *status_deployment_at(const struct status *status,
                                                             size_t i)
{
    return (struct status_deployment *)status->deployments.items + i;
}
static inline struct status_check *status_check_at(const struct status *status, size_t i)
{
    return (struct status_check *)status->checks.items + i;
}
static inline struct status_registry *
status_registry_at(const struct status_deployment *deployment, size_t i)
{
    return (struct status_registry *)deployment->registries.items + i;
}

/* Adds a check; a bad one makes the whole not good. */
void status_add(struct status *status, const char *name, enum status_verdict verdict,
                const char *fmt, ...) NRW_PRINTF(4, 5);
/* Keeps the JSON (stolen, NULL is allowed) until the end, and gives it back. */
json_t *status_keep(struct status *status, json_t *json);

/* Each: false when nothing more can be looked at; err says why. */
bool status_look_policy(struct status *status, struct err *err);
bool status_look_deployments(struct status *status, struct err *err);
bool status_look_api(struct status *status, struct err *err);
/* Never fails: what cannot be found out is a check that says so. */
void status_look_health(struct status *status);

void status_write_table(const struct status *status, bool colour, struct buf *out);
void status_write_json(const struct status *status, struct buf *out);

#endif
