/* New things into force; see publish.h. */
#include "app/publish.h"

#include <openssl/crypto.h>

#include "certs/identity.h"
#include "certs/inspect.h"
#include "certs/time.h"
#include "net/server.h"
#include "policy/policy_file.h"
#include "util/clock.h"
#include "util/log.h"

#define FINDINGS_LOGGED 50u
#define INSPECT_MAXIMUM (4u << 20)
#define PEM_MAXIMUM     (1u << 20)

/* --- policy ---------------------------------------------------------------------------
 */

static void log_findings(const char *origin, const struct policy_doc *doc)
{
    size_t n = findings_count(&doc->findings);
    for (size_t i = 0; i < n && i < FINDINGS_LOGGED; i++) {
        const struct finding *finding = findings_at(&doc->findings, i);
        log_event(LOG_LEVEL_ERROR, "policy is not valid", LOG_C("origin", origin),
                  LOG_C("finding", finding_name(finding->id)),
                  LOG_I("line", finding->line), LOG_I("column", finding->column),
                  LOG_S("message", finding->message), LOG_S("advice", finding->advice));
    }
}

void publish_policy_refused(struct publish *publish, const char *origin,
                            const struct err *why)
{
    metrics_policy_reload(publish->metrics, false);
    atomic_store(&publish->health->policy_stale, true);
    log_event(LOG_LEVEL_ERROR,
              publish->policy_seen ? "policy not taken; the last good one stays in force"
                                   : "policy not taken; there is none yet",
              LOG_C("origin", origin), LOG_C("reason", why->message));
}

void publish_policy_restored(struct publish *publish)
{
    atomic_store(&publish->health->policy_stale, false);
}

static bool refuse(struct publish *publish, const struct policy_doc *doc,
                   const char *origin, enum publish_tone tone, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 1u << 16);
    struct str summary = policy_doc_summary(&arena, doc);
    err_set(err, ERR_INVALID, "%.*s", STR_ARG(summary));
    arena_done(&arena);
    if (tone == PUBLISH_ALOUD) {
        log_findings(origin, doc);
        publish_policy_refused(publish, origin, err);
    }
    return false;
}

bool publish_policy(struct publish *publish, struct str text, const char *origin,
                    enum publish_tone tone, struct err *err)
{
    struct err why = {0};
    struct policy_doc *doc = policy_file_parse(text, &why);
    if (doc != NULL && doc->policy == NULL) {
        refuse(publish, doc, origin, tone, &why);
        policy_doc_free(doc);
        return err_set(err, why.code, "%s", why.message);
    }
    char hash[sizeof(doc->policy->hash)] = "";
    size_t registries = 0, targets = 0;
    if (doc != NULL) {
        memcpy(hash, doc->policy->hash, sizeof(hash));
        registries = doc->policy->registry_count;
        targets = doc->policy->target_count;
    }
    if (doc == NULL || !snapshots_set_policy_take(publish->snapshots, doc, &why)) {
        if (tone == PUBLISH_ALOUD)
            publish_policy_refused(publish, origin, &why);
        return err_set(err, why.code, "%s", why.message);
    }
    metrics_policy(publish->metrics, hash, (unsigned)registries, clock_wall_seconds());
    if (publish->policy_seen)
        metrics_policy_reload(publish->metrics, true);
    publish->policy_seen = true;
    publish_policy_restored(publish);
    log_event(LOG_LEVEL_INFO, "policy in force", LOG_C("origin", origin),
              LOG_C("policy", hash), LOG_I("registries", registries),
              LOG_I("targets", targets));
    if (publish->on_policy != NULL) {
        NRW_AUTO_SNAPSHOT struct snapshot snapshot;
        snapshots_take(publish->snapshots, &snapshot);
        publish->on_policy(publish->context, snapshot.policy);
    }
    return true;
}

/* --- certificate ----------------------------------------------------------------------
 */

void publish_certificate_refused(struct publish *publish, const char *origin,
                                 const struct err *why)
{
    metrics_rotation(publish->metrics, false);
    log_event(LOG_LEVEL_ERROR,
              atomic_load(&publish->certificate_seen)
                  ? "certificate not taken; the last good one stays in use"
                  : "certificate not taken; there is none yet",
              LOG_C("origin", origin), LOG_C("reason", why->message));
}

static void log_certificate(const struct publish *publish, const char *origin,
                            const struct cert_info *leaf)
{
    char from[CERT_TIME_TEXT], to[CERT_TIME_TEXT];
    int64_t now = health_now(publish->health);
    bool valid = now >= leaf->not_before && now <= leaf->not_after;
    log_event(valid ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
              valid ? "certificate in use" : "certificate in use is not valid now",
              LOG_C("origin", origin), LOG_S("subject", leaf->subject),
              LOG_S("serial", leaf->serial),
              LOG_C("not_before", cert_time_text(leaf->not_before, from)),
              LOG_C("not_after", cert_time_text(leaf->not_after, to)));
}

/* Hands over to the server, or keeps it for the start of the server. */
static void put_in_use(struct publish *publish, struct net_tls *tls)
{
    pthread_mutex_lock(&publish->handover);
    struct net_server *server = atomic_load(&publish->health->server);
    if (server != NULL) {
        net_server_set_tls(server, tls);
        net_tls_free(tls);
    } else {
        if (publish->waiting != NULL)
            net_tls_free(publish->waiting);
        publish->waiting = tls;
    }
    pthread_mutex_unlock(&publish->handover);
}

void publish_open(struct publish *publish, struct net_server *server)
{
    pthread_mutex_lock(&publish->handover);
    atomic_store(&publish->health->server, server);
    /* The server has its own reference: with ours, the first key would stay in memory
     * when it has long been replaced. */
    net_tls_free(publish->waiting);
    publish->waiting = NULL;
    pthread_mutex_unlock(&publish->handover);
}

void publish_close(struct publish *publish)
{
    pthread_mutex_lock(&publish->handover);
    atomic_store(&publish->health->server, NULL);
    pthread_mutex_unlock(&publish->handover);
}

unsigned publish_port(struct publish *publish)
{
    pthread_mutex_lock(&publish->handover);
    const struct net_server *server = atomic_load(&publish->health->server);
    unsigned port = server != NULL ? net_server_port(server) : 0;
    pthread_mutex_unlock(&publish->handover);
    return port;
}

static bool use_certificate(struct publish *publish, const struct publish_pair *pair,
                            struct err *err)
{
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, INSPECT_MAXIMUM);
    struct cert_info *infos;
    size_t count;
    CERT_AUTO_IDENTITY struct cert_identity identity = CERT_IDENTITY_NONE;
    if (!cert_identity_read(pair->cert_pem, pair->key_pem, "the certificate", &identity,
                            err) ||
        !cert_inspect_chain(&arena, identity.chain, "the certificate", &infos, &count,
                            err))
        return false;
    const struct net_tls_options options = {
        .chain = identity.chain,
        .key = identity.key,
        .client_ca_pem = pair->client_ca_pem,
        .client_names = publish->client_names,
        .client_name_count = publish->client_name_count,
    };
    struct net_tls *tls = net_tls_new(&options, err);
    if (tls == NULL)
        return false;
    put_in_use(publish, tls);
    const struct certificate_facts facts = {true, infos[0].not_before,
                                            infos[0].not_after};
    snapshots_set_certificate(publish->snapshots, &facts);
    metrics_certificate(publish->metrics, facts.not_after);
    log_certificate(publish, pair->origin, &infos[0]);
    return true;
}

static void wipe(struct buf *buf)
{
    if (buf->data != NULL)
        OPENSSL_cleanse(buf->data, buf->capacity);
    buf_done(buf);
}

/* Without memory for it the pair counts as not taken, and will be offered again. */
static bool keep_pair(struct publish *publish, const struct publish_pair *pair,
                      struct err *err)
{
    struct buf cert, key;
    buf_init(&cert, PEM_MAXIMUM);
    buf_init(&key, PEM_MAXIMUM);
    bool good = buf_reserve(&key, pair->key_pem.n) && buf_str(&cert, pair->cert_pem) &&
                buf_str(&key, pair->key_pem);
    if (!good) {
        buf_done(&cert);
        wipe(&key);
        return err_nomem(err);
    }
    buf_done(&publish->cert_pem);
    wipe(&publish->key_pem);
    publish->cert_pem = cert;
    publish->key_pem = key;
    snprintf(publish->pair_origin, sizeof(publish->pair_origin), "%s", pair->origin);
    return true;
}

/* Under `pairing`. */
static bool take_pair(struct publish *publish, const struct publish_pair *pair,
                      struct err *err)
{
    if (!use_certificate(publish, pair, err))
        return false;
    if (atomic_exchange(&publish->certificate_seen, true))
        metrics_rotation(publish->metrics, true);
    return true;
}

bool publish_certificate(struct publish *publish, const struct publish_pair *pair,
                         enum publish_tone tone, struct err *err)
{
    struct err why = {0};
    struct publish_pair whole = *pair;
    pthread_mutex_lock(&publish->pairing);
    bool apart = str_is_null(pair->client_ca_pem) && publish->client_ca_pem.size > 0;
    if (apart)
        whole.client_ca_pem = buf_view(&publish->client_ca_pem);
    bool good =
        take_pair(publish, &whole, &why) && (!apart || keep_pair(publish, &whole, &why));
    pthread_mutex_unlock(&publish->pairing);
    if (good)
        return true;
    if (tone == PUBLISH_ALOUD)
        publish_certificate_refused(publish, pair->origin, &why);
    return err_set(err, why.code, "%s", why.message);
}

/* Under `pairing`. */
static bool take_client_ca(struct publish *publish, struct str pem, struct err *err)
{
    struct buf taken;
    buf_init(&taken, PEM_MAXIMUM);
    if (!buf_str(&taken, pem))
        return err_nomem(err);
    const struct publish_pair pair = {.cert_pem = buf_view(&publish->cert_pem),
                                      .key_pem = buf_view(&publish->key_pem),
                                      .client_ca_pem = pem,
                                      .origin = publish->pair_origin};
    bool good = true;
    if (publish->cert_pem.size > 0) {
        good = take_pair(publish, &pair, err);
    } else { /* the first one, before any certificate */
        NRW_AUTO_ARENA struct arena arena;
        struct cert_info *infos;
        size_t count;
        arena_init(&arena, INSPECT_MAXIMUM);
        good = cert_inspect(&arena, pem, "the client CA", &infos, &count, err);
    }
    if (!good) {
        buf_done(&taken);
        return false;
    }
    buf_done(&publish->client_ca_pem);
    publish->client_ca_pem = taken;
    return true;
}

bool publish_client_ca(struct publish *publish, struct str pem, const char *origin,
                       enum publish_tone tone, struct err *err)
{
    struct err why = {0};
    pthread_mutex_lock(&publish->pairing);
    bool good = take_client_ca(publish, pem, &why);
    pthread_mutex_unlock(&publish->pairing);
    if (good) {
        log_event(LOG_LEVEL_INFO, "client CA in use", LOG_C("origin", origin));
        return true;
    }
    if (tone == PUBLISH_ALOUD)
        publish_certificate_refused(publish, origin, &why);
    return err_set(err, why.code, "%s", why.message);
}

void publish_init(struct publish *publish)
{
    pthread_mutex_init(&publish->handover, NULL);
    pthread_mutex_init(&publish->pairing, NULL);
    buf_init(&publish->client_ca_pem, PEM_MAXIMUM);
    buf_init(&publish->cert_pem, PEM_MAXIMUM);
    buf_init(&publish->key_pem, PEM_MAXIMUM);
}

void publish_done(struct publish *publish)
{
    if (publish->waiting != NULL)
        net_tls_free(publish->waiting);
    buf_done(&publish->client_ca_pem);
    buf_done(&publish->cert_pem);
    wipe(&publish->key_pem);
    pthread_mutex_destroy(&publish->pairing);
    pthread_mutex_destroy(&publish->handover);
}

/* --- ConfigMaps -----------------------------------------------------------------------
 */

bool publish_config_maps_take(struct publish *publish, struct config_maps *maps,
                              void (*free_maps)(struct config_maps *maps),
                              struct err *err)
{
    return snapshots_set_config_maps_take(publish->snapshots, maps, free_maps, err);
}
