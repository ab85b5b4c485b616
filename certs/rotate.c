/* The rotation's thread; see rotate.h.
 *
 * One look follows another: read everything, serve what may be served, do the one thing
 * that the plan says, and look again until the plan says wait. A 409 only means that
 * another replica was quicker. Nothing is kept between looks but what is served, since
 * when the signing CA is seen published, and pauses.
 *
 * The time is the API server's, as its answers give it: its clock is the one that judges
 * the certificates, and with it replicas whose own clocks differ agree. */
#include "certs/rotate.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "certs/inspect.h"
#include "certs/issue.h"
#include "certs/pem.h"
#include "certs/rotate_look.h"
#include "certs/time.h"
#include "kube/backoff.h"
#include "kube/watch.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define STRANGER_MS       5000
#define LEAST_MS          200 /* between two looks, whatever pokes */
#define LOOKS_IN_A_ROW    16  /* actions and conflicts, then a pause */
#define HOLD_OFF_SECONDS  60  /* between two issues of ours, once something is served */
#define PUBLISHES_AT_ONCE 5   /* then someone fights us: pauses grow */
#define CALM_MS           120000 /* without publishing: the fight is over */
#define SKEW_SECONDS      60 /* of clocks, beyond which it is worth a line in the log */
#define FINGERPRINT       65

struct rotate {
    struct rotate_settings settings;
    struct kube_watch *watches[3];
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* of what follows, up to the line */
    pthread_cond_t wake;
    bool stop, poked;
    struct rotate_state state;
    struct buf ca_bundle;
    /* ---- the thread's own */
    bool verified;
    char serving[FINGERPRINT]; /* of the leaf; "" = none */
    char serving_ca[FINGERPRINT];
    int64_t serving_from, serving_until;
    struct buf known_cas;     /* ca.crt as last seen with something in it */
    char signer[FINGERPRINT]; /* seen published since signer_since (monotonic) */
    int64_t signer_since;
    int64_t started_at;
    int64_t issued_at; /* monotonic; of our last issue */
    int64_t published_at;
    int64_t fight_pause;
    unsigned publishes; /* in a row, without calm between them */
    struct backoff failures, fight;
    char logged[sizeof(((struct rotate_state *)0)->problem)];
    bool skew_logged;
};

/* --- one look -------------------------------------------------------------------------
 */

static int64_t api_server_time(struct rotate *rotate)
{
    int64_t ahead = kube_client_clock_ahead(rotate->settings.options.client);
    bool far = ahead > SKEW_SECONDS || ahead < -SKEW_SECONDS;
    if (far && !rotate->skew_logged)
        log_event(LOG_LEVEL_WARN,
                  "the API server's clock differs from this machine's; certificates "
                  "follow the API server",
                  LOG_I("seconds", ahead));
    rotate->skew_logged = far;
    return clock_wall_seconds() + ahead;
}

static void remember(char to[FINGERPRINT], struct str fingerprint)
{
    snprintf(to, FINGERPRINT, "%.*s", STR_ARG(fingerprint));
}

static struct plan_state plan_state_of(struct rotate *rotate,
                                       const struct rotate_look *look, int64_t now)
{
    const struct rotate_settings *settings = &rotate->settings;
    const struct cert_contents *contents = &look->contents;
    const struct cert_info *leaf = contents->leaf;
    struct plan_state state = {
        .now = now,
        .ca_count = contents->ca_count,
        .leaf_usable = leaf != NULL && contents->leaf_names,
        .leaf_not_before = leaf != NULL ? leaf->not_before : 0,
        .leaf_not_after = leaf != NULL ? leaf->not_after : 0,
        .leaf_issuer = contents->leaf_issuer,
        .bundle_exact = look->bundles_known &&
                        cert_bundle_is(&look->bundle[0], contents->bundle) &&
                        cert_bundle_is(&look->bundle[1], contents->bundle),
        .cannot_publish = !look->bundles_known,
    };
    const char *signer = "";
    for (size_t i = 0; i < contents->ca_count; i++) {
        const struct cert_info *ca = contents->cas[i];
        bool published = rotate_published(settings, look, ca->fingerprint);
        state.cas[i] = (struct plan_ca){ca->not_before, ca->not_after,
                                        contents->has_key[i], published};
        if (contents->has_key[i] && published && signer[0] == '\0')
            signer = ca->fingerprint.p;
    }
    int64_t mono = clock_mono_millis();
    if (signer[0] == '\0' || strcmp(signer, rotate->signer) != 0) {
        remember(rotate->signer, str_of(signer));
        rotate->signer_since = mono;
    }
    if (signer[0] != '\0')
        state.signer_published_for = (mono - rotate->signer_since) / 1000;
    return state;
}

/* Whether there is something to lose by changing what is served. */
static bool serves_well(const struct rotate *rotate, const struct rotate_look *look,
                        int64_t now)
{
    if (rotate->serving[0] == '\0' || now < rotate->serving_from ||
        now >= rotate->serving_until)
        return false;
    return !look->bundles_known || (!look->bundle[0].exists && !look->bundle[1].exists) ||
           rotate_published(&rotate->settings, look, str_of(rotate->serving_ca));
}

/* A leaf that we do not serve yet. */
static bool is_news(const struct rotate *rotate, const struct cert_info *leaf)
{
    return leaf != NULL && !str_eq(leaf->fingerprint, str_of(rotate->serving));
}

/* Hands the Secret's leaf to the server, where that is due. False: it was not taken. */
static bool serve(struct rotate *rotate, const struct rotate_look *look,
                  const struct plan_state *state, struct err *err)
{
    const struct rotate_options *options = &rotate->settings.options;
    const struct cert_info *leaf = look->contents.leaf;
    if (!is_news(rotate, leaf) ||
        !plan_may_serve(state, &options->times, serves_well(rotate, look, state->now)))
        return true;
    bool taken =
        options->on_certificate(options->context, buf_view(&look->secret.tls_cert),
                                buf_view(&look->secret.tls_key), leaf->not_after, err);
    if (!taken)
        return err_wrap(err, "the certificate in Secret %s/%s", options->secret_namespace,
                        options->secret_name);
    remember(rotate->serving, leaf->fingerprint);
    rotate->serving_from = leaf->not_before;
    rotate->serving_until = leaf->not_after;
    int issuer = look->contents.leaf_issuer;
    rotate->serving_ca[0] = '\0';
    if (issuer != PLAN_NONE)
        remember(rotate->serving_ca, look->contents.cas[issuer]->fingerprint);
    char until[CERT_TIME_TEXT];
    log_event(LOG_LEVEL_INFO, "serving a new certificate",
              LOG_S("sha256", leaf->fingerprint), LOG_S("issuer", leaf->issuer),
              LOG_C("expires", cert_time_text(leaf->not_after, until)));
    return true;
}

static void remember_cas(struct rotate *rotate, const struct rotate_look *look)
{
    if (look->contents.ca_count == 0)
        return;
    buf_clear(&rotate->known_cas);
    buf_str(&rotate->known_cas, look->contents.bundle);
}

/* Someone was here before: the Secret is gone, and replicas that run may remember more
 * than one that has just started. They go first. */
static bool something_published(const struct rotate_look *look)
{
    NRW_AUTO_BUF struct buf pem;
    buf_init(&pem, CERT_PEM_MAXIMUM);
    cert_bundle_first(&look->bundle[0], &pem);
    cert_bundle_first(&look->bundle[1], &pem);
    return pem.size > 0;
}

/* Makes loops impossible that nobody thought of: replicas, or people, who undo each
 * other's work get slower at it. 0 = go on; else milliseconds. */
static int64_t hold_off(struct rotate *rotate, const struct rotate_look *look,
                        const struct plan *plan)
{
    int64_t mono = clock_mono_millis();
    if (plan->action == PLAN_ISSUE_ALL && rotate->known_cas.size == 0 &&
        mono < rotate->started_at + STRANGER_MS && something_published(look))
        return rotate->started_at + STRANGER_MS - mono;
    if (plan->action == PLAN_PUBLISH) {
        if (mono - rotate->published_at > CALM_MS) {
            rotate->publishes = 0;
            rotate->fight_pause = 0;
            backoff_reset(&rotate->fight);
        }
        int64_t left = rotate->published_at + rotate->fight_pause - mono;
        return left > 0 ? left : 0;
    }
    if (rotate->serving[0] == '\0' || rotate->issued_at == 0)
        return 0;
    int64_t seconds = rotate->settings.options.times.leaf_lifetime / 20;
    if (seconds > HOLD_OFF_SECONDS)
        seconds = HOLD_OFF_SECONDS;
    int64_t left = rotate->issued_at + seconds * 1000 - mono;
    return left > 0 ? left : 0;
}

static void done(struct rotate *rotate, const struct plan *plan)
{
    int64_t mono = clock_mono_millis();
    if (plan->action == PLAN_PUBLISH) {
        rotate->published_at = mono;
        if (++rotate->publishes == PUBLISHES_AT_ONCE)
            log_event(LOG_LEVEL_WARN,
                      "someone keeps changing the caBundle; it is restored more and more "
                      "slowly. To see who: kubectl get mutatingwebhookconfiguration -o "
                      "yaml --show-managed-fields");
        if (rotate->publishes >= PUBLISHES_AT_ONCE)
            rotate->fight_pause = backoff_next(&rotate->fight, kube_random());
    } else if (plan->action != PLAN_DROP_CA) {
        rotate->issued_at = mono;
    }
    log_event(LOG_LEVEL_INFO, "certificates",
              LOG_C("action", plan_action_name(plan->action)),
              LOG_C("reason", plan->reason));
}

/* The caBundle that an API server verifies us with: of the first configuration that has
 * one, as each may be absent, or without webhooks. */
static void published_bundle(const struct rotate_look *look, struct buf *out)
{
    size_t before = out->size;
    cert_bundle_first(&look->bundle[0], out);
    if (out->size == before)
        cert_bundle_first(&look->bundle[1], out);
}

static void report(struct rotate *rotate, const struct rotate_look *look, int64_t now,
                   const char *problem)
{
    struct rotate_state state = {
        .serving = rotate->serving[0] != '\0' && now >= rotate->serving_from &&
                   now < rotate->serving_until,
        .not_after = rotate->serving_until,
        .verified = rotate->verified,
    };
    snprintf(state.problem, sizeof(state.problem), "%s", problem);
    if (look != NULL && rotate->serving_ca[0] != '\0')
        state.published =
            rotate_published(&rotate->settings, look, str_of(rotate->serving_ca));
    pthread_mutex_lock(&rotate->lock);
    if (look == NULL) /* nothing new was learnt */
        state.published = rotate->state.published;
    rotate->state = state;
    if (look != NULL && look->bundles_known) {
        buf_clear(&rotate->ca_bundle);
        published_bundle(look, &rotate->ca_bundle);
    }
    pthread_mutex_unlock(&rotate->lock);
    if (strcmp(problem, rotate->logged) == 0)
        return;
    snprintf(rotate->logged, sizeof(rotate->logged), "%s", problem);
    if (problem[0] != '\0')
        log_event(LOG_LEVEL_WARN, "certificates", LOG_C("problem", problem));
    else
        log_event(LOG_LEVEL_INFO, "certificates are in order again");
}

/* What an API server would find that calls now. True unless that is bad. */
static bool call_ourselves(struct rotate *rotate, const struct rotate_look *look,
                           struct err *err)
{
    const struct rotate_options *options = &rotate->settings.options;
    if (options->self_check == NULL) {
        rotate->verified = true;
        return true;
    }
    NRW_AUTO_BUF struct buf pem;
    buf_init(&pem, CERT_PEM_MAXIMUM);
    if (options->webhook_config != NULL)
        published_bundle(look, &pem);
    else
        buf_str(&pem, look->contents.bundle);
    if (pem.size == 0) /* not published: that is said already */
        return true;
    bool good = options->self_check(options->context, buf_view(&pem), err);
    if (good || err->code == ERR_INVALID)
        rotate->verified = good;
    return good;
}

enum turn { TURN_AGAIN, TURN_WAIT, TURN_FAILED };

/* Looks, serves, and does one thing. `cannot_publish` outlives the turn: it is not tried
 * again before the next pause. */
static enum turn turn(struct rotate *rotate, bool *cannot_publish, char *problem,
                      size_t size, int64_t *ret_wait)
{
    struct err err = {0};
    NRW_CLEANUP(rotate_look_done) struct rotate_look look;
    bool good = rotate_look(&rotate->settings, &look, &err);
    int64_t now = api_server_time(rotate);
    if (!good) {
        report(rotate, NULL, now, err.message);
        return TURN_FAILED;
    }
    if (look.problem[0] != '\0')
        snprintf(problem, size, "%s", look.problem);
    struct plan_state state = plan_state_of(rotate, &look, now);
    state.cannot_publish = state.cannot_publish || *cannot_publish;
    remember_cas(rotate, &look);
    bool served = serve(rotate, &look, &state, &err);
    if (!served)
        snprintf(problem, size, "%s", err.message);
    struct plan plan = plan_next(&state, &rotate->settings.options.times);
    int64_t pause = plan.action == PLAN_WAIT ? 0 : hold_off(rotate, &look, &plan);
    if (plan.action == PLAN_WAIT || pause > 0) {
        bool called = !served || call_ourselves(rotate, &look, &err);
        if (!called && problem[0] == '\0')
            snprintf(problem, size, "%s", err.message);
        report(rotate, &look, now, problem);
        int64_t due = plan.due;
        int64_t serve_due = plan_serve_due(&state, &rotate->settings.options.times);
        if (serve_due < due && is_news(rotate, look.contents.leaf))
            due = serve_due;
        *ret_wait = pause > 0 ? pause : (due - now) * 1000;
        return served && called ? TURN_WAIT : TURN_FAILED;
    }
    NRW_AUTO_BUF struct buf also;
    buf_init(&also, CERT_PEM_MAXIMUM);
    rotate_lost_cas(&look, &plan, buf_view(&rotate->known_cas), now, &also);
    if (rotate_write(&rotate->settings, &look, &plan, now, buf_view(&also), &err)) {
        done(rotate, &plan);
        return TURN_AGAIN;
    }
    if (err.code == ERR_CONFLICT)
        return TURN_AGAIN;
    if (rotate->settings.options.on_failure != NULL)
        rotate->settings.options.on_failure(rotate->settings.options.context);
    snprintf(problem, size, "%s", err.message);
    report(rotate, &look, now, problem);
    if (plan.action != PLAN_PUBLISH)
        return TURN_FAILED;
    *cannot_publish = true; /* a renewal must not wait for it */
    return TURN_AGAIN;
}

static void pause_a_little(uint32_t random)
{
    struct timespec wait = {0, (long)(random % 50 + 5) * 1000000};
    nanosleep(&wait, NULL);
}

static bool stopping(struct rotate *rotate)
{
    pthread_mutex_lock(&rotate->lock);
    bool stop = rotate->stop;
    pthread_mutex_unlock(&rotate->lock);
    return stop;
}

/* Turns until there is nothing to do now. Returns the pause in milliseconds. */
static int64_t look_and_act(struct rotate *rotate)
{
    int64_t check = rotate->settings.options.check_ms;
    int64_t wait = check;
    bool cannot_publish = false;
    char problem[sizeof(rotate->logged)] = "";
    for (int i = 0; i < LOOKS_IN_A_ROW && !stopping(rotate); i++) {
        enum turn next = turn(rotate, &cannot_publish, problem, sizeof(problem), &wait);
        if (next == TURN_FAILED || (next == TURN_WAIT && cannot_publish)) {
            int64_t pause = backoff_next(&rotate->failures, kube_random());
            return pause < check ? pause : check;
        }
        if (next == TURN_WAIT) {
            backoff_reset(&rotate->failures);
            return wait < check ? wait : check;
        }
        pause_a_little(kube_random());
    }
    /* Others, who undo or overtake whatever we write: time for them, too. */
    snprintf(problem, sizeof(problem),
             "what was written to Secret %s/%s, or published, was overtaken by someone "
             "else %d times in a row; kubectl get -o yaml --show-managed-fields says by "
             "whom",
             rotate->settings.options.secret_namespace,
             rotate->settings.options.secret_name, LOOKS_IN_A_ROW);
    if (!stopping(rotate))
        report(rotate, NULL, api_server_time(rotate), problem);
    int64_t pause = backoff_next(&rotate->failures, kube_random());
    return pause < check ? pause : check;
}

/* --- the thread -----------------------------------------------------------------------
 */

static void *run(void *argument)
{
    struct rotate *rotate = argument;
    mem_wipe_from_here(true);
    while (!stopping(rotate)) {
        int64_t wait = look_and_act(rotate);
        if (wait < LEAST_MS)
            wait = LEAST_MS;
        int64_t least = clock_mono_nanos() + LEAST_MS * INT64_C(1000000);
        int64_t end = clock_mono_nanos() + wait * 1000000;
        struct timespec until = {(time_t)(end / 1000000000), (long)(end % 1000000000)};
        pthread_mutex_lock(&rotate->lock);
        while (!rotate->stop && !rotate->poked && clock_mono_nanos() < end)
            pthread_cond_timedwait(&rotate->wake, &rotate->lock, &until);
        pthread_mutex_unlock(&rotate->lock);
        int64_t left = least - clock_mono_nanos();
        if (left > 0 &&
            !stopping(rotate)) { /* pokes come in swarms: take them together */
            struct timespec rest = {0, (long)left};
            nanosleep(&rest, NULL);
        }
        pthread_mutex_lock(&rotate->lock);
        rotate->poked = false;
        pthread_mutex_unlock(&rotate->lock);
    }
    return NULL;
}

void rotate_poke(struct rotate *rotate)
{
    pthread_mutex_lock(&rotate->lock);
    rotate->poked = true;
    pthread_cond_signal(&rotate->wake);
    pthread_mutex_unlock(&rotate->lock);
}

static bool on_change(void *context, const struct kube_change *change)
{
    if (change->type != KUBE_LOST)
        rotate_poke(context);
    return true;
}

static bool watch(struct rotate *rotate, struct err *err)
{
    const struct rotate_options *options = &rotate->settings.options;
    const struct kube_watch_options watches[3] = {
        {.resource = &kube_secrets,
         .name_space = options->secret_namespace,
         .name = options->secret_name,
         .on_change = on_change,
         .context = rotate},
        {.resource = &kube_mutating_configurations,
         .name_space = "",
         .name = options->webhook_config,
         .on_change = on_change,
         .context = rotate},
        {.resource = &kube_validating_configurations,
         .name_space = "",
         .name = options->webhook_config,
         .on_change = on_change,
         .context = rotate},
    };
    size_t n = options->webhook_config != NULL ? 3 : 1;
    for (size_t i = 0; i < n && options->loop != NULL; i++) {
        rotate->watches[i] = kube_watch_new(options->loop, &watches[i], err);
        if (rotate->watches[i] == NULL)
            return false;
    }
    return true;
}

static bool start(struct rotate *rotate, struct err *err)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&rotate->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&rotate->lock, NULL);
    if (!watch(rotate, err))
        return false;
    int code = pthread_create(&rotate->thread, NULL, run, rotate);
    if (code != 0)
        return err_errno(err, code, "cannot start the certificate thread");
    rotate->started = true;
    return true;
}

struct rotate *rotate_start(const struct rotate_options *options, struct err *err)
{
    if (!rotate_check_options(options, err))
        return NULL;
    struct rotate *rotate = mem_calloc(1, sizeof(*rotate));
    if (rotate == NULL) {
        err_nomem(err);
        return NULL;
    }
    buf_init(&rotate->ca_bundle, CERT_PEM_MAXIMUM);
    buf_init(&rotate->known_cas, CERT_PEM_MAXIMUM);
    rotate->started_at = clock_mono_millis();
    rotate->failures = (struct backoff){.base_ms = 500, .cap_ms = 30000};
    rotate->fight = (struct backoff){.base_ms = 1000, .cap_ms = 60000};
    snprintf(rotate->state.problem, sizeof(rotate->state.problem),
             "no certificate yet: the Secret was not read so far");
    if (rotate_settings_copy(&rotate->settings, options, err) && start(rotate, err))
        return rotate;
    rotate_free(rotate);
    return NULL;
}

void rotate_free(struct rotate *rotate)
{
    if (rotate == NULL)
        return;
    if (rotate->started) {
        pthread_mutex_lock(&rotate->lock);
        rotate->stop = true;
        pthread_cond_signal(&rotate->wake);
        pthread_mutex_unlock(&rotate->lock);
        pthread_join(rotate->thread, NULL);
    }
    for (size_t i = 0; i < NRW_COUNT(rotate->watches); i++) {
        if (rotate->watches[i] != NULL)
            kube_watch_free(rotate->watches[i]);
    }
    rotate_settings_done(&rotate->settings);
    buf_done(&rotate->ca_bundle);
    buf_done(&rotate->known_cas);
    mem_free(rotate);
}

void rotate_state(struct rotate *rotate, struct rotate_state *ret_state)
{
    pthread_mutex_lock(&rotate->lock);
    *ret_state = rotate->state;
    pthread_mutex_unlock(&rotate->lock);
}

void rotate_ca_bundle(struct rotate *rotate, struct buf *out)
{
    pthread_mutex_lock(&rotate->lock);
    buf_str(out, buf_view(&rotate->ca_bundle));
    pthread_mutex_unlock(&rotate->lock);
}
