/* Whether the webhook itself is well: policy, configurations, caBundle, certificate, and
 * what a replica says when it is asked through the API server; see status.h. */
#include "cli/status.h"

#include <inttypes.h>
#include <stdio.h>

#include "admit/object.h"
#include "certs/inspect.h"
#include "certs/pem.h"
#include "certs/time.h"
#include "kube/base64.h"
#include "kube/status.h"
#include "util/clock.h"

#define ASK_MS      10000u
#define DAY         86400
#define METRIC_HASH "nvcf_registry_webhook_policy_info{hash=\""

static void check_policy(struct status *status)
{
    const struct status_wish *wish = status->wish;
    const struct policy *policy = status->doc->policy;
    NRW_AUTO_BUF struct buf place;
    buf_init(&place, 1024);
    if (wish->policy_file != NULL)
        buf_text(&place, wish->policy_file);
    else
        buf_printf(&place, "ConfigMap %s/%s", wish->policy.name_space, wish->policy.name);
    if (!status->policy_present)
        status_add(status, "policy", VERDICT_BAD, "there is no %.*s",
                   STR_ARG(buf_view(&place)));
    else if (status->policy_problem.n > 0)
        status_add(status, "policy", VERDICT_BAD, "%.*s is not valid: %.*s",
                   STR_ARG(buf_view(&place)), STR_ARG(status->policy_problem));
    else
        status_add(status, "policy", VERDICT_GOOD,
                   "%.*s is valid: %s, %s, %zu registr%s, hash %s",
                   STR_ARG(buf_view(&place)), policy_mode_name(policy->mode),
                   policy_enforcement_name(policy->enforcement), policy->registry_count,
                   policy->registry_count == 1 ? "y" : "ies", policy->hash);
}

/* --- configurations --- */

static void note_service(struct status *status, const json_t *client)
{
    const json_t *service = json_object_get(client, "service");
    struct str name = object_text(service, "name");
    struct str name_space = object_text(service, "namespace");
    if (str_is_null(name) || str_is_null(name_space))
        return;
    status->service_name = name;
    status->service_namespace = name_space;
    json_int_t port = json_integer_value(json_object_get(service, "port"));
    status->service_port = port > 0 && port < 65536 ? (int)port : 443;
}

/* The caBundle of one webhook, decoded into the arena; null when there is none. */
static struct str bundle_of(struct status *status, const json_t *hook)
{
    struct str text = object_text(json_object_get(hook, "clientConfig"), "caBundle");
    NRW_AUTO_BUF struct buf pem;
    buf_init(&pem, CERT_PEM_MAXIMUM);
    if (str_is_null(text) || text.n == 0 || !base64_decode(text, &pem))
        return str_null();
    return arena_str(&status->arena, buf_view(&pem));
}

static void check_bundle(struct status *status, const char *kind)
{
    struct cert_info *infos = NULL;
    size_t count = 0;
    struct err err = {.code = ERR_NONE};
    char text[CERT_TIME_TEXT];
    if (!cert_inspect(&status->arena, status->ca_bundle, "caBundle", &infos, &count,
                      &err)) {
        status_add(status, "caBundle", VERDICT_BAD, "of the %s configuration: %s", kind,
                   err.message);
        return;
    }
    int64_t now = clock_wall_seconds(), last = 0;
    for (size_t i = 0; i < count; i++)
        last = infos[i].not_after > last ? infos[i].not_after : last;
    status_add(status, "caBundle", last > now ? VERDICT_GOOD : VERDICT_BAD,
               "%zu certificate%s, the last %s %s", count, count == 1 ? "" : "s",
               last > now ? "expires" : "expired", cert_time_text(last, text));
}

static void check_configuration(struct status *status,
                                const struct kube_resource *resource, const char *name)
{
    json_t *object = NULL;
    struct err err = {.code = ERR_NONE};
    if (!kube_get(status->client, resource, "", status->wish->webhook_config, ASK_MS,
                  &object, &err)) {
        if (err.code == ERR_NOT_FOUND)
            status_add(status, name, VERDICT_BAD, "there is no configuration %s",
                       status->wish->webhook_config);
        else
            status_add(status, name, VERDICT_UNKNOWN, "%s", err.message);
        return;
    }
    if (status_keep(status, object) == NULL)
        return;
    const json_t *hooks = json_object_get(object, "webhooks");
    size_t count = json_array_size(hooks), bare = 0, other = 0;
    struct str failure = STR("Fail");
    for (size_t i = 0; i < count; i++) {
        const json_t *hook = json_array_get(hooks, i);
        note_service(status, json_object_get(hook, "clientConfig"));
        struct str policy = object_text(hook, "failurePolicy");
        failure = str_is_null(policy) ? failure : policy;
        struct str bundle = bundle_of(status, hook);
        if (str_is_null(bundle)) {
            bare++;
        } else if (str_is_null(status->ca_bundle)) {
            status->ca_bundle = bundle;
            check_bundle(status, name);
        } else if (!str_eq(bundle, status->ca_bundle)) {
            other++;
        }
    }
    if (count == 0 || bare > 0 || other > 0)
        status_add(
            status, name, VERDICT_BAD,
            "%zu webhooks, %zu without a caBundle, %zu with another one than the rest",
            count, bare, other);
    else
        status_add(status, name, VERDICT_GOOD, "%zu webhook%s, failurePolicy %.*s", count,
                   count == 1 ? "" : "s", STR_ARG(failure));
}

/* --- the serving certificate --- */

static void verify(struct status *status, struct str chain, const char *where)
{
    struct cert_info *infos = NULL;
    size_t count = 0;
    struct err err = {.code = ERR_NONE};
    if (!cert_inspect(&status->arena, chain, where, &infos, &count, &err)) {
        status_add(status, "certificate", VERDICT_BAD, "%s", err.message);
        return;
    }
    int64_t now = clock_wall_seconds();
    char name[512], text[CERT_TIME_TEXT];
    snprintf(name, sizeof(name), "%.*s.%.*s.svc", STR_ARG(status->service_name),
             STR_ARG(status->service_namespace));
    struct cert_check check = {.chain_pem = chain,
                               .ca_pem = status->ca_bundle,
                               .key_pem = STR(""),
                               .name = name,
                               .at = now};
    if (str_is_null(status->ca_bundle))
        status_add(status, "certificate", VERDICT_UNKNOWN,
                   "%s: expires %s; there is no caBundle to verify it with", where,
                   cert_time_text(infos[0].not_after, text));
    else if (!cert_verify(&check, &err))
        status_add(status, "certificate", VERDICT_BAD,
                   "%s: an API server does not accept it: %s", where, err.message);
    else
        status_add(status, "certificate", VERDICT_GOOD,
                   "%s: an API server accepts it as %s; expires %s (%" PRId64 " days)",
                   where, name, cert_time_text(infos[0].not_after, text),
                   (infos[0].not_after - now) / DAY);
}

static void check_certificate(struct status *status)
{
    struct status_name secret = status->wish->secret;
    bool guessed = secret.name == NULL;
    if (str_is_null(status->service_name)) {
        status_add(status, "certificate", VERDICT_UNKNOWN,
                   "no webhook configuration names a Service");
        return;
    }
    if (guessed) {
        secret.name_space = arena_str(&status->arena, status->service_namespace).p;
        secret.name =
            arena_printf(&status->arena, "%.*s-tls", STR_ARG(status->service_name)).p;
    }
    char where[600];
    snprintf(where, sizeof(where), "Secret %s/%s", secret.name_space, secret.name);
    json_t *object = NULL;
    struct err err = {.code = ERR_NONE};
    if (!kube_get(status->client, &kube_secrets, secret.name_space, secret.name, ASK_MS,
                  &object, &err)) {
        bool absent = err.code == ERR_NOT_FOUND;
        if (absent && guessed)
            status_add(status, "certificate", VERDICT_UNKNOWN,
                       "there is no %s; say where it is with --tls-secret", where);
        else
            status_add(status, "certificate", absent ? VERDICT_BAD : VERDICT_UNKNOWN,
                       "%s", err.message);
        return;
    }
    struct str text = object_text(json_object_get(object, "data"), "tls.crt");
    NRW_AUTO_BUF struct buf chain;
    buf_init(&chain, CERT_PEM_MAXIMUM);
    if (str_is_null(text) || !base64_decode(text, &chain))
        status_add(status, "certificate", VERDICT_BAD, "%s has no tls.crt", where);
    else
        verify(status, buf_view(&chain), where);
    json_decref(object); /* it holds the key as well: not kept a moment longer */
}

/* --- a replica, asked through the API server --- */

static bool ask_replica(struct status *status, const char *path, unsigned *ret_code,
                        struct buf *answer, struct err *err)
{
    struct str url = arena_printf(
        &status->arena, "/api/v1/namespaces/%.*s/services/https:%.*s:%d/proxy%s",
        STR_ARG(status->service_namespace), STR_ARG(status->service_name),
        status->service_port, path);
    struct kube_request request = {
        .raw_path = url.p, .deadline_ms = ASK_MS, .ret_code = ret_code};
    return kube_request_raw(status->client, &request, answer, err);
}

/* Which policy the replica works with, by its own metric. */
static void check_replica_policy(struct status *status)
{
    unsigned code = 0;
    NRW_AUTO_BUF struct buf answer;
    buf_init(&answer, 4u * 1024u * 1024u);
    if (status->policy_problem.n > 0 || !status->policy_present ||
        status->wish->policy_file != NULL ||
        !ask_replica(status, "/metrics", &code, &answer, NULL) || code != 200)
        return;
    struct str text = buf_view(&answer);
    size_t at = str_find(text, STR(METRIC_HASH));
    struct str hash = str_skip(text, at + sizeof(METRIC_HASH) - 1);
    hash = str_first(hash, str_index(hash, 0, '"'));
    if (at == text.n)
        return;
    bool same = str_eq(hash, str_of(status->doc->policy->hash));
    status_add(status, "in force", same ? VERDICT_GOOD : VERDICT_BAD,
               same ? "a replica works with this policy"
                    : "a replica works with another policy, hash %.*s",
               STR_ARG(hash));
}

static void check_replica(struct status *status)
{
    if (str_is_null(status->service_name))
        return;
    unsigned code = 0;
    NRW_AUTO_BUF struct buf answer;
    buf_init(&answer, 65536);
    struct err err = {.code = ERR_NONE};
    if (!ask_replica(status, "/readyz", &code, &answer, &err)) {
        status_add(status, "ready", VERDICT_UNKNOWN, "%s", err.message);
        return;
    }
    char said[400];
    kube_status_message(buf_view(&answer), said, sizeof(said));
    struct str body = str_of(said[0] != '\0' ? said : buf_view(&answer).p);
    while (body.n > 0 && body.p[body.n - 1] == '\n')
        body.n--;
    /* A Status is the API server's own word: it could not ask. */
    if (said[0] != '\0')
        status_add(status, "ready", VERDICT_UNKNOWN,
                   "no replica could be asked through the API server (HTTP %u): %s", code,
                   said);
    else if (code == 200)
        status_add(status, "ready", VERDICT_GOOD, "a replica says it is ready");
    else
        status_add(status, "ready", VERDICT_BAD, "a replica is not ready: %.*s",
                   STR_ARG(str_first(body, 300)));
    if (code == 200)
        check_replica_policy(status);
}

void status_look_health(struct status *status)
{
    check_policy(status);
    check_configuration(status, &kube_mutating_configurations, "mutating");
    check_configuration(status, &kube_validating_configurations, "validating");
    check_certificate(status);
    check_replica(status);
}
