/* The running webhook; see app.h.
 *
 * Order of starting: policy and certificate (what is not good ends the start here), then
 * the server, then the thread that watches the files, then the filter of system calls.
 * Ending is the reverse, with the drain before it. The main thread waits for signals and,
 * every ten seconds, keeps house: memory of a burst goes back, a certificate near its end
 * is said. */
#include "app/app.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "app/cluster.h"
#include "app/confine.h"
#include "app/demo.h"
#include "app/files.h"
#include "app/handlers.h"
#include "app/health.h"
#include "app/memory.h"
#include "app/publish.h"
#include "app/snapshots.h"
#include "app/version.h"
#include "core/policy.h"
#include "net/server.h"
#include "observe/metrics.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define TICK_SECONDS             10
#define STOP_WAIT_MS             10000u
#define BURST_BYTES              (8u << 20) /* since the last trim: worth one */
#define CALM_BYTES               (1u << 20) /* in one tick: the burst is over */
#define EXPIRY_WARNING           (INT64_C(7) * 86400)
#define POLICY_DEFAULT_NAMESPACE "nvcf-registry-webhook"

struct app {
    const struct app_options *options;
    struct snapshots *snapshots;
    struct metrics *metrics;
    struct health health;
    struct publish publish;
    struct handlers handlers;
    struct files *files;
    struct cluster *cluster;
    struct net_server *server;
    uint64_t memory_limit; /* 0 = none */
    struct memory_plan memory;
    uint64_t bytes_seen, bytes_trimmed; /* housekeeping */
    int64_t expiry_warned;
};

/* --- starting -------------------------------------------------------------------------
 */

/* "NAMESPACE/NAME", which the caller has checked; else the chart's default place. */
static void set_policy_place(struct handlers *handlers, const char *place)
{
    handlers->policy_namespace = STR(POLICY_DEFAULT_NAMESPACE);
    handlers->policy_name = STR(POLICY_CONFIGMAP);
    if (place == NULL)
        return;
    struct str whole = str_of(place);
    size_t slash = str_index(whole, 0, '/');
    handlers->policy_namespace = str_first(whole, slash);
    handlers->policy_name = str_skip(whole, slash + 1);
}

static void on_policy(void *context, const struct policy *policy)
{
    struct app *app = context;
    if (app->cluster != NULL)
        cluster_policy_changed(app->cluster, policy);
}

static bool build(struct app *app, struct err *err)
{
    const struct app_options *options = app->options;
    app->snapshots = snapshots_new(err);
    if (app->snapshots == NULL)
        return false;
    app->metrics = metrics_new(version_number, version_commit);
    if (app->metrics == NULL)
        return err_nomem(err);
    health_init(&app->health, app->snapshots);
    app->publish = (struct publish){.snapshots = app->snapshots,
                                    .health = &app->health,
                                    .metrics = app->metrics,
                                    .client_names = options->client_names,
                                    .client_name_count = options->client_name_count,
                                    .on_policy = on_policy,
                                    .context = app};
    publish_init(&app->publish);
    app->handlers.snapshots = app->snapshots;
    app->handlers.health = &app->health;
    app->handlers.metrics = app->metrics;
    atomic_init(&app->handlers.bytes, 0);
    app->memory_limit = memory_limit("");
    app->memory = memory_plan(app->memory_limit);
    app->handlers.decision = app->memory.decision;
    set_policy_place(&app->handlers, options->cluster.policy_configmap);
    return true;
}

/* Before anything is loaded, so that a policy from a file says what is to be watched. */
static bool join_cluster(struct app *app, struct err *err)
{
    if (!cluster_wanted(&app->options->cluster))
        return true;
    const struct cluster_setup setup = {.options = &app->options->cluster,
                                        .publish = &app->publish,
                                        .health = &app->health,
                                        .metrics = app->metrics,
                                        .listen = app->options->listen,
                                        .client_certificate =
                                            app->options->client_ca != NULL,
                                        .config_maps_maximum = app->memory.config_maps};
    app->cluster = cluster_new(&setup, err);
    app->handlers.cluster = app->cluster;
    atomic_store(&app->health.cluster, app->cluster);
    return app->cluster != NULL;
}

static bool load(struct app *app, struct err *err)
{
    const struct app_options *options = app->options;
    const struct files_options files = {.policy_file = options->policy_file,
                                        .tls_cert = options->tls_cert,
                                        .tls_key = options->tls_key,
                                        .client_ca = options->client_ca,
                                        .publish = &app->publish};
    app->files = files_new(&files, err);
    if (app->files == NULL)
        return false;
    bool policy_given =
        options->policy_file != NULL || options->cluster.policy_configmap != NULL;
    bool certificate_given =
        options->tls_cert != NULL || options->cluster.tls_secret != NULL;
    return !options->demo ||
           ((policy_given || demo_policy(&app->publish, err)) &&
            (certificate_given || demo_certificate(&app->publish, err)));
}

static bool start(struct app *app, struct err *err)
{
    const struct app_options *options = app->options;
    const struct net_options net = {.listen = options->listen,
                                    .metrics_listen = options->metrics_listen,
                                    .threads = options->threads,
                                    .connection_bytes = app->memory.connections,
                                    .small_bytes = app->memory.small_bodies,
                                    .large_bytes = app->memory.large_bodies,
                                    .handlers = handlers_table(&app->handlers)};
    app->server = net_server_start(&net, app->publish.waiting, err);
    if (app->server == NULL)
        return false;
    publish_open(&app->publish, app->server);
    if (!files_start(app->files, err) ||
        (app->cluster != NULL && !cluster_start(app->cluster, err)))
        return false;
    enum confine_result confined = CONFINE_NOT_WANTED;
    if (options->confine)
        confined = confine_process();
    if (confined == CONFINE_NOT_ALLOWED)
        log_event(LOG_LEVEL_WARN, "serving without a filter of system calls",
                  LOG_C("reason", strerror(errno)));
    log_event(LOG_LEVEL_INFO, "serving", LOG_C("version", version_number),
              LOG_C("commit", version_commit), LOG_C("listen", options->listen),
              LOG_I("port", net_server_port(app->server)),
              LOG_C("metrics_listen",
                    options->metrics_listen != NULL ? options->metrics_listen : "none"),
              LOG_I("metrics_port", net_server_metrics_port(app->server)),
              LOG_I("threads", options->threads),
              LOG_I("connections", net_server_connections(app->server)),
              LOG_I("memory_limit", app->memory_limit),
              LOG_C("seccomp", confine_text(confined)));
    return true;
}

/* --- running --------------------------------------------------------------------------
 */

static void warn_of_expiry(struct app *app)
{
    struct certificate_facts facts;
    snapshots_certificate(app->snapshots, &facts);
    int64_t now = health_now(&app->health);
    int64_t left = facts.not_after - now;
    if (!facts.present || left > EXPIRY_WARNING || now - app->expiry_warned < 3600)
        return;
    app->expiry_warned = now;
    log_event(left < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
              left < 0 ? "certificate is expired" : "certificate ends soon",
              LOG_I("seconds_left", left));
}

/* glibc keeps what a burst has freed. Given back when the burst is over, since it takes
 * the allocator's locks for a moment. */
static void trim_memory(struct app *app)
{
    uint64_t now = atomic_load_explicit(&app->handlers.bytes, memory_order_relaxed);
    bool calm = now - app->bytes_seen < CALM_BYTES;
    app->bytes_seen = now;
    if (!calm || now - app->bytes_trimmed < BURST_BYTES)
        return;
    app->bytes_trimmed = now;
    mem_trim();
}

/* Returns the signal that says to end. */
static int wait_for_end(struct app *app, const sigset_t *signals)
{
    for (;;) {
        const struct timespec tick = {.tv_sec = TICK_SECONDS};
        int got = sigtimedwait(signals, NULL, &tick);
        if (got == SIGHUP) {
            log_event(LOG_LEVEL_INFO, "SIGHUP: reading files again");
            files_again(app->files);
        } else if (got > 0) {
            return got;
        } else if (errno == EAGAIN) {
            warn_of_expiry(app);
            trim_memory(app);
        }
    }
}

/* From here on a second signal ends the process wherever it is. */
static void second_signal_ends(const struct app *app)
{
    struct sigaction action = {.sa_handler = app->options->end_at_once};
    sigset_t ending;
    sigemptyset(&action.sa_mask);
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &ending, NULL);
}

static void drain(struct app *app, int signal_number)
{
    atomic_store(&app->health.draining, true);
    net_server_drain(app->server);
    log_event(LOG_LEVEL_INFO, "draining: not ready, serving on",
              LOG_C("signal", signal_number == SIGINT ? "SIGINT" : "SIGTERM"),
              LOG_I("seconds", app->options->drain_seconds));
    if (app->options->end_at_once != NULL)
        second_signal_ends(app);
    int64_t until = clock_mono_millis() + (int64_t)app->options->drain_seconds * 1000;
    int64_t left;
    while ((left = until - clock_mono_millis()) > 0) {
        const struct timespec rest = {.tv_sec = left / 1000,
                                      .tv_nsec = left % 1000 * 1000000};
        nanosleep(&rest, NULL);
    }
}

static void stop(struct app *app)
{
    /* These may hand the server a certificate: first. */
    files_free(app->files);
    atomic_store(&app->health.cluster, NULL);
    publish_close(&app->publish);
    if (app->server != NULL)
        net_server_stop(app->server, STOP_WAIT_MS);
    cluster_free(app->cluster);
    publish_done(&app->publish);
    metrics_free(app->metrics);
    snapshots_free(app->snapshots);
}

bool app_run(const struct app_options *options, struct err *err)
{
    struct app app = {.options = options};
    /* Before the first thread, so that all of them leave these to the main thread. */
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of write(2) */
    bool good = build(&app, err) && join_cluster(&app, err) && load(&app, err) &&
                start(&app, err);
    if (good) {
        drain(&app, wait_for_end(&app, &signals));
        log_event(LOG_LEVEL_INFO, "stopping");
    }
    stop(&app);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return good;
}
