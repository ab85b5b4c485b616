/* One replica of the certificate rotation, with the real server in front of it, for tests
 * against a real API server; and the load that goes through it. Not part of the product.
 *
 *   rotate_replica serve KUBECONFIG NS/SECRET CONFIG DNS-NAME LISTEN CA-S LEAF-S SETTLE-S
 *                  CHECK-MS [KILL-AT]
 *     answers every AdmissionReview with yes, each on a connection of its own, so that
 *     every call is a TLS handshake that the API server verifies. KILL-AT:
 * "secret-before", "mutating-after" …: it kills itself with SIGKILL at that write. A line
 * per event on standard output, until SIGTERM. rotate_replica load KUBECONFIG NAMESPACE
 * SECONDS creates ConfigMaps (dry run) until the time is over; prints how many calls, how
 * many failed, and why. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "certs/identity.h"
#include "certs/rotate.h"
#include "net/server.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/num.h"

static int complain(const struct err *err)
{
    printf("error %s: %s\n", err_code_name(err->code), err->message);
    return 1;
}

static unsigned number(const char *text)
{
    uint64_t value = 0;
    if (!num_parse(str_of(text), 100000000, &value))
        exit(2);
    return (unsigned)value;
}

/* --- serve ----------------------------------------------------------------------------
 */

struct replica {
    struct net_server *server;
    const char *kill_at;
};

static enum net_route route(void *context, struct str path, bool plain)
{
    (void)context, (void)path, (void)plain;
    return NET_ROUTE_POST;
}

static enum net_handled handle(void *context, const struct net_request *request,
                               struct net_response *response)
{
    (void)context;
    struct str mark = STR("\"uid\":\"");
    struct str rest =
        str_skip(request->body, str_find(request->body, STR("\"request\":{")));
    struct str uid = str_skip(rest, str_find(rest, mark) + mark.n);
    uid = str_first(uid, str_index(uid, 0, '"'));
    buf_printf(&response->body,
               "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
               "\"response\":{\"uid\":\"%.*s\",\"allowed\":true}}",
               STR_ARG(uid));
    return NET_ANSWERED;
}

static bool on_certificate(void *context, struct str cert_pem, struct str key_pem,
                           int64_t not_after, struct err *err)
{
    struct replica *replica = context;
    CERT_AUTO_IDENTITY struct cert_identity identity = CERT_IDENTITY_NONE;
    if (!cert_identity_read(cert_pem, key_pem, "the certificate", &identity, err))
        return false;
    const struct net_tls_options options = {
        .chain = identity.chain, .key = identity.key, .client_ca_pem = str_null()};
    struct net_tls *tls = net_tls_new(&options, err);
    if (tls == NULL)
        return false;
    net_server_set_tls(replica->server, tls);
    net_tls_free(tls);
    printf("serving until %" PRId64 "\n", not_after);
    fflush(stdout);
    return true;
}

static void on_step(void *context, const char *what, bool after)
{
    const struct replica *replica = context;
    char step[64];
    snprintf(step, sizeof(step), "%s-%s", what, after ? "after" : "before");
    printf("step %s\n", step);
    fflush(stdout);
    if (replica->kill_at != NULL && strcmp(replica->kill_at, step) == 0)
        raise(SIGKILL);
}

static void wait_for_signal(struct rotate *rotate)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    char last[sizeof(((struct rotate_state *)0)->problem)] = "";
    bool was_good = false;
    for (;;) {
        struct timespec second = {0, 200000000};
        if (sigtimedwait(&set, NULL, &second) > 0)
            return;
        struct rotate_state state;
        rotate_state(rotate, &state);
        bool good = state.serving && state.published;
        if (strcmp(last, state.problem) != 0)
            printf("problem %s\n", state.problem);
        if (good != was_good)
            printf("%s\n", good ? "ready" : "not ready");
        snprintf(last, sizeof(last), "%s", state.problem);
        was_good = good;
        fflush(stdout);
    }
}

static int serve(char **argv)
{
    struct err err = {0};
    struct replica replica = {.kill_at = argv[9]};
    struct kube_config *config = kube_config_from_file(argv[0], NULL, &err);
    struct kube_client *client =
        config != NULL ? kube_client_new_take(config, &err) : NULL;
    struct kube_loop *loop = client != NULL ? kube_loop_new(client, &err) : NULL;
    if (loop == NULL)
        return complain(&err);
    struct net_options options = {
        .listen = argv[4], .threads = 1, .handlers = {.route = route, .handle = handle}};
    replica.server = net_server_start(&options, NULL, &err);
    if (replica.server == NULL)
        return complain(&err);
    net_server_drain(replica.server); /* Connection: close on every answer */
    char *slash = strchr(argv[1], '/');
    if (slash == NULL)
        return 2;
    *slash = '\0';
    const char *dns[] = {argv[3]};
    struct rotate_options rotation = {
        .client = client,
        .loop = loop,
        .secret_namespace = argv[1],
        .secret_name = slash + 1,
        .webhook_config = argv[2],
        .dns_names = dns,
        .dns_count = 1,
        .times = {.ca_lifetime = number(argv[5]),
                  .leaf_lifetime = number(argv[6]),
                  .settle_seconds = number(argv[7])},
        .check_ms = number(argv[8]),
        .on_certificate = on_certificate,
        .on_step = on_step,
        .context = &replica,
    };
    struct rotate *rotate = rotate_start(&rotation, &err);
    if (rotate == NULL || !kube_loop_start(loop, &err))
        return complain(&err);
    wait_for_signal(rotate);
    kube_client_stop(client);
    kube_loop_stop(loop);
    rotate_free(rotate);
    net_server_stop(replica.server, 1000);
    kube_loop_free(loop);
    kube_client_free(client);
    return 0;
}

/* --- load -----------------------------------------------------------------------------
 */

static int load(char **argv)
{
    struct err err = {0};
    struct kube_config *config = kube_config_from_file(argv[0], NULL, &err);
    struct kube_client *client =
        config != NULL ? kube_client_new_take(config, &err) : NULL;
    if (client == NULL)
        return complain(&err);
    unsigned calls = 0;
    unsigned failed = 0;
    int64_t end = clock_mono_millis() + (int64_t)number(argv[2]) * 1000;
    while (clock_mono_millis() < end) {
        struct kube_request request = {
            .verb = KUBE_CREATE,
            .resource = &kube_configmaps,
            .name_space = argv[1],
            .dry_run = true,
            .body = STR("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":"
                        "{\"generateName\":\"load-\"},\"data\":{\"a\":\"b\"}}"),
        };
        calls++;
        if (kube_request(client, &request, NULL, &err))
            continue;
        if (failed++ < 20)
            printf("failed at %" PRId64 ": %s\n", clock_wall_seconds(), err.message);
    }
    printf("%u calls, %u failed\n", calls, failed);
    kube_client_free(client);
    return failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        sigprocmask(SIG_BLOCK, &set, NULL);
    if (!kube_global_init(&err))
        return complain(&err);
    if ((argc == 11 || argc == 12) && strcmp(argv[1], "serve") == 0)
        return serve(argv + 2);
    if (argc == 5 && strcmp(argv[1], "load") == 0)
        return load(argv + 2);
    printf("rotate_replica: see the head of its source\n");
    return 2;
}
