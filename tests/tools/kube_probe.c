/* Drives the Kubernetes client from a shell, for tests against a real API server; not
 * part of the product. Prints one line per thing that happens, to standard output.
 *
 *   kube_probe WHERE get RESOURCE NAMESPACE NAME     the object's data, or the error
 *   kube_probe WHERE every MS COUNT NAMESPACE NAME   a ConfigMap, read again and again
 *   kube_probe WHERE patch NAMESPACE NAME JSON       merge patch of a ConfigMap
 *   kube_probe WHERE watch NAMESPACE NAME [STREAM-SECONDS [PAGE]]    until SIGTERM
 *   kube_probe WHERE events NAMESPACE NAME COUNT     COUNT Events on a ConfigMap
 *   kube_probe WHERE lease NAMESPACE NAME IDENTITY   until SIGTERM
 *   kube_probe WHERE sources NAMESPACE NAME NAMESPACE…    policy and ConfigMaps;
 *       SIGTERM watches the last namespace only, the second SIGTERM ends
 *
 * WHERE is a kubeconfig, or HOST:PORT:FOLDER as in a pod. NAME "-" is the collection. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "kube/events.h"
#include "kube/lease.h"
#include "admit/remote_maps.h"
#include "kube/sources.h"
#include "kube/watch.h"
#include "kube/watch_line.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/num.h"

static int complain(const struct err *err)
{
    printf("error %s: %s\n", err_code_name(err->code), err->message);
    return 1;
}

static struct kube_config *find(char *where, struct err *err)
{
    char *port = where[0] != '/' ? strchr(where, ':') : NULL;
    char *folder = port != NULL ? strchr(port + 1, ':') : NULL;
    if (folder == NULL)
        return kube_config_from_file(where, NULL, err);
    *port = *folder = '\0';
    return kube_config_in_cluster_from(where, port + 1, folder + 1, err);
}

static unsigned number(const char *text)
{
    uint64_t value = 0;
    if (!num_parse(str_of(text), 1000000, &value))
        exit(2);
    return (unsigned)value;
}

static const char *name_of(const char *argument)
{
    return strcmp(argument, "-") == 0 ? "" : argument;
}

static void print_data(const json_t *object)
{
    char *data = json_dumps(json_object_get(object, "data"),
                            JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    printf("%s\n", data != NULL ? data : "null");
    free(data);
}

static const struct kube_resource *resource_of(const char *plural)
{
    const struct kube_resource *const all[] = {
        &kube_configmaps,
        &kube_secrets,
        &kube_deployments,
        &kube_namespaces,
        &kube_leases,
        &kube_pods,
        &kube_mutating_configurations,
    };
    for (size_t i = 0; i < NRW_COUNT(all); i++)
        if (strcmp(all[i]->plural, plural) == 0)
            return all[i];
    exit(2);
}

static int get(struct kube_client *client, char **args)
{
    json_t *object = NULL;
    struct err err = {0};
    if (!kube_get(client, resource_of(args[0]), name_of(args[1]), name_of(args[2]), 5000,
                  &object, &err))
        return complain(&err);
    print_data(object);
    json_decref(object);
    return 0;
}

static int every(struct kube_client *client, char **args)
{
    unsigned ms = number(args[0]), count = number(args[1]), good = 0;
    struct err err = {0};
    for (unsigned i = 0; i < count; i++) {
        if (kube_get(client, &kube_configmaps, args[2], args[3], 5000, NULL, &err))
            good++;
        else
            complain(&err);
        struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};
        nanosleep(&wait, NULL);
    }
    printf("%u of %u\n", good, count);
    return good == count ? 0 : 1;
}

static int patch(struct kube_client *client, char **args)
{
    struct kube_request request = {.verb = KUBE_PATCH_MERGE,
                                   .resource = &kube_configmaps,
                                   .name_space = args[0],
                                   .name = args[1],
                                   .field_manager = "probe",
                                   .body = str_of(args[2])};
    json_t *object = NULL;
    struct err err = {0};
    if (!kube_request(client, &request, &object, &err))
        return complain(&err);
    print_data(object);
    json_decref(object);
    return 0;
}

static bool on_change(void *context, const struct kube_change *change)
{
    (void)context;
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "SYNCED", "LOST"};
    printf("%s", names[change->type]);
    if (change->object != NULL) {
        printf(" %s ", kube_meta(change->object, "name"));
        print_data(change->object);
    } else {
        printf(" %s\n", change->reason != NULL ? change->reason : "");
    }
    return true;
}

static void wait_for_signal(void)
{
    sigset_t set;
    int signal;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigwait(&set, &signal);
}

static int watch(struct kube_loop *loop, char **args)
{
    struct err err = {0};
    struct kube_watch_options options = {.resource = &kube_configmaps,
                                         .name_space = args[0],
                                         .name = name_of(args[1]),
                                         .on_change = on_change};
    struct kube_watch *made = kube_watch_new(loop, &options, &err);
    if (made == NULL)
        return complain(&err);
    struct kube_watch_times times = {.stream_seconds =
                                         args[2] != NULL ? number(args[2]) : 0};
    if (args[2] != NULL && args[3] != NULL)
        times.page = number(args[3]);
    kube_watch_set_times(made, &times);
    if (!kube_loop_start(loop, &err))
        return complain(&err);
    wait_for_signal();
    struct kube_watch_state state;
    kube_watch_state(made, &state);
    int64_t begin = clock_mono_millis();
    kube_loop_stop(loop);
    printf("STOPPED in %" PRId64 " ms, synced %d, connected %d, lists again %u\n",
           clock_mono_millis() - begin, state.synced, state.connected, state.restarts);
    kube_watch_free(made);
    return 0;
}

static int send_events(struct kube_loop *loop, char **args)
{
    struct err err = {0};
    struct kube_events *events = kube_events_new(loop, "probe-0", &err);
    if (events == NULL || !kube_loop_start(loop, &err))
        return complain(&err);
    unsigned count = number(args[2]), taken = 0;
    for (unsigned i = 0; i < count; i++) {
        char note[64];
        snprintf(note, sizeof(note), "note %u",
                 i / 2); /* every second one is a repetition */
        struct kube_event event = {STR("v1"),       STR("ConfigMap"), str_of(args[0]),
                                   str_of(args[1]), STR(""),          i % 4 == 0,
                                   STR("Probed"),   STR("Probing"),   str_of(note)};
        taken += kube_events_add(events, &event);
    }
    struct kube_events_counts counts = {0};
    for (int i = 0; i < 100 && counts.sent + counts.failed < taken; i++) {
        usleep(100000);
        kube_events_counts(events, &counts);
    }
    printf("taken %u sent %lu repeated %lu dropped %lu failed %lu\n", taken, counts.sent,
           counts.repeated, counts.dropped, counts.failed);
    kube_loop_stop(loop);
    kube_events_free(events);
    return counts.sent == taken ? 0 : 1;
}

static void on_leader(void *context, bool leader)
{
    printf("%" PRId64 " %s %s\n", clock_wall_micros() / 1000, (const char *)context,
           leader ? "leads" : "follows");
}

static int lease(struct kube_loop *loop, char **args)
{
    struct err err = {0};
    struct kube_lease_options options = {.name_space = args[0],
                                         .name = args[1],
                                         .identity = args[2],
                                         .on_change = on_leader,
                                         .context = args[2],
                                         .duration_seconds = 4,
                                         .renew_ms = 3000,
                                         .retry_ms = 500};
    struct kube_lease *made = kube_lease_new(loop, &options, &err);
    if (made == NULL || !kube_loop_start(loop, &err))
        return complain(&err);
    wait_for_signal();
    kube_client_stop(kube_loop_client(loop)); /* the lease has a last word all the same */
    kube_loop_stop(loop);
    kube_lease_free(made);
    return 0;
}

static bool on_policy(void *context, const json_t *config_map)
{
    (void)context;
    printf("POLICY ");
    print_data(config_map);
    return true;
}

static bool on_config_maps(void *context, const struct kube_config_maps *maps)
{
    (void)context;
    printf("MAPS complete=%d", maps->complete);
    for (size_t i = 0; i < maps->count; i++)
        printf(" %s/%s=%zu", kube_meta(maps->objects[i], "namespace"),
               kube_meta(maps->objects[i], "name"),
               json_object_size(json_object_get(maps->objects[i], "data")));
    printf("\n");
    return true;
}

static int sources(struct kube_loop *loop, char **args)
{
    struct err err = {0};
    struct kube_sources_options options = {.policy_namespace = args[0],
                                           .policy_name = args[1],
                                           .on_policy = on_policy,
                                           .on_config_maps = on_config_maps,
                                           .maximum = 64u << 20,
                                           .needed = remote_maps_kept};
    struct kube_sources *made = kube_sources_new(loop, &options, &err);
    if (made == NULL || !kube_loop_start(loop, &err))
        return complain(&err);
    struct str names[8];
    size_t count = 0;
    for (char **name = args + 2; *name != NULL && count < NRW_COUNT(names); name++)
        names[count++] = str_of(*name);
    if (!kube_sources_set_namespaces(made, names, count, &err))
        return complain(&err);
    wait_for_signal();
    struct kube_sources_state state;
    kube_sources_state(made, &state);
    printf("STATE known=%d present=%d complete=%d connected=%d\n", state.policy_known,
           state.policy_present, state.complete, state.connected);
    if (count > 0 && !kube_sources_set_namespaces(made, names + count - 1, 1, &err))
        return complain(&err);
    wait_for_signal();
    kube_loop_stop(loop);
    kube_sources_free(made);
    return 0;
}

static void on_request(void *context, const char *verb, const char *resource,
                       unsigned code)
{
    (void)context;
    if (getenv("KUBE_PROBE_TRACE") != NULL)
        printf("REQUEST %s %s %u\n", verb, resource, code);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int least;
        int (*ask)(struct kube_client *client, char **args);
        int (*run)(struct kube_loop *loop, char **args);
    } verbs[] = {
        {"get", 3, get, NULL},
        {"every", 4, every, NULL},
        {"patch", 3, patch, NULL},
        {"watch", 2, NULL, watch},
        {"events", 3, NULL, send_events},
        {"lease", 3, NULL, lease},
        {"sources", 3, NULL, sources},
    };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL); /* before any thread */
    setvbuf(stdout, NULL, _IOLBF, 0);
    json_object_seed(0);
    struct err err = {0};
    if (!kube_global_init(&err))
        return complain(&err);
    for (size_t i = 0; argc >= 3 && i < NRW_COUNT(verbs); i++) {
        if (strcmp(argv[2], verbs[i].name) != 0 || argc - 3 < verbs[i].least)
            continue;
        struct kube_config *config = find(argv[1], &err);
        struct kube_client *client =
            config != NULL ? kube_client_new_take(config, &err) : NULL;
        if (client == NULL)
            return complain(&err);
        kube_client_observe(client, on_request, NULL);
        int code = 0;
        if (verbs[i].ask != NULL) {
            code = verbs[i].ask(client, argv + 3);
        } else {
            struct kube_loop *loop = kube_loop_new(client, &err);
            if (loop == NULL)
                return complain(&err);
            code = verbs[i].run(loop, argv + 3);
            kube_loop_free(loop);
        }
        kube_client_free(client);
        curl_global_cleanup();
        return code;
    }
    fprintf(stderr, "usage: see the head of tests/tools/kube_probe.c\n");
    return 2;
}
