/* The parts of `serve` by themselves: snapshots that readers keep, publishing with every
 * allocation failing, what readiness says, an admission without a policy. The whole runs
 * in tests/integration/serve_*.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "admit/config_maps.h"
#include "app/admission.h"
#include "app/demo.h"
#include "app/files.h"
#include "app/handlers.h"
#include "app/health.h"
#include "app/publish.h"
#include "app/snapshots.h"
#include "certs/issue.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/mem.h"

#define REVIEW "tests/e2e/recorded/helm3-install.02-mutate-CREATE-Deployment.json"

static const char policy_one[] = "apiVersion: nvcf-registry-webhook/v1\n"
                                 "kind: RegistryPolicy\n"
                                 "registries:\n"
                                 "  GHCR:\n"
                                 "    name: GitHub Container Registry\n"
                                 "    hostname: ghcr.io\n";
static const char policy_bad[] = "apiVersion: nvcf-registry-webhook/v1\n"
                                 "kind: RegistryPolicy\n"
                                 "registries:\n"
                                 "  DOCKER:\n"
                                 "    name: Mirror\n"
                                 "    hostname: mirror.example\n";

/* What app.c puts together, without threads. */
struct rig {
    struct snapshots *snapshots;
    struct metrics *metrics;
    struct health health;
    struct publish publish;
    struct handlers handlers;
};

static bool rig_init(struct rig *rig)
{
    *rig = (struct rig){.snapshots = snapshots_new(NULL)};
    rig->metrics = metrics_new("1", "c");
    if (rig->snapshots == NULL || rig->metrics == NULL)
        return false;
    health_init(&rig->health, rig->snapshots);
    rig->publish = (struct publish){
        .snapshots = rig->snapshots, .health = &rig->health, .metrics = rig->metrics};
    rig->handlers.snapshots = rig->snapshots;
    rig->handlers.health = &rig->health;
    rig->handlers.metrics = rig->metrics;
    rig->handlers.decision = 64u << 20;
    rig->handlers.policy_namespace = STR("nvcf-registry-webhook");
    rig->handlers.policy_name = STR(POLICY_CONFIGMAP);
    return true;
}

static void rig_done(struct rig *rig)
{
    net_tls_free(rig->publish.waiting);
    metrics_free(rig->metrics);
    snapshots_free(rig->snapshots);
}

static void accept_policy(struct rig *rig, const char *text)
{
    struct err err = {0};
    if (!publish_policy(&rig->publish, str_of(text), "test", PUBLISH_ALOUD, &err))
        fail_msg("%s", err.message);
}

static size_t registries_now(struct rig *rig)
{
    struct snapshot snapshot;
    snapshots_take(rig->snapshots, &snapshot);
    size_t n = snapshot.policy != NULL ? snapshot.policy->registry_count : 0;
    snapshot_release(&snapshot);
    return n;
}

static bool exposes(struct rig *rig, const char *line)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    metrics_write(rig->metrics, &out);
    bool found = str_find(buf_view(&out), str_of(line)) < out.size;
    buf_done(&out);
    return found;
}

/* --- snapshots ------------------------------------------------------------------------
 */

static void reader_keeps_what_it_took(void **state)
{
    (void)state;
    struct rig rig;
    assert_true(rig_init(&rig));
    accept_policy(&rig, policy_one);
    struct snapshot before;
    snapshots_take(rig.snapshots, &before);
    accept_policy(&rig, policy_example);
    assert_int_equal(before.policy->registry_count, 1);
    assert_true(str_eq(before.policy->registries[0].hostname, STR("ghcr.io")));
    assert_int_equal(registries_now(&rig), 3);
    snapshot_release(&before);
    assert_null(before.policy);
    snapshot_release(&before); /* a second time does nothing */
    rig_done(&rig);
}

static unsigned maps_freed;
static void count_free(struct config_maps *maps)
{
    maps_freed++;
    config_maps_free(maps);
}

static void config_maps_are_freed_with_their_last_reader(void **state)
{
    (void)state;
    struct rig rig;
    assert_true(rig_init(&rig));
    maps_freed = 0;
    struct config_maps *first = config_maps_new(), *second = config_maps_new();
    assert_non_null(first);
    assert_non_null(second);
    assert_true(publish_config_maps_take(&rig.publish, first, count_free, NULL));
    struct snapshot reader;
    snapshots_take(rig.snapshots, &reader);
    assert_ptr_equal(reader.config_maps, first);
    assert_true(publish_config_maps_take(&rig.publish, second, count_free, NULL));
    assert_int_equal(maps_freed, 0);
    snapshot_release(&reader);
    assert_int_equal(maps_freed, 1);
    rig_done(&rig);
    assert_int_equal(maps_freed, 2);
}

static atomic_bool readers_stop;
static void *read_snapshots(void *opaque)
{
    struct rig *rig = opaque;
    uintptr_t wrong = 0;
    while (!atomic_load(&readers_stop)) {
        struct snapshot snapshot;
        snapshots_take(rig->snapshots, &snapshot);
        size_t n = snapshot.policy->registry_count;
        if ((n != 1 && n != 3) || snapshot.policy->registries[n - 1].hostname.n == 0)
            wrong++;
        snapshot_release(&snapshot);
    }
    return (void *)wrong; // NOLINT(performance-no-int-to-ptr)
}

static void readers_and_a_writer(void **state)
{
    (void)state;
    struct rig rig;
    assert_true(rig_init(&rig));
    accept_policy(&rig, policy_one);
    atomic_store(&readers_stop, false);
    pthread_t threads[4];
    for (size_t i = 0; i < NRW_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_snapshots, &rig), 0);
    for (int i = 0; i < 200; i++)
        accept_policy(&rig, i % 2 == 0 ? policy_example : policy_one);
    atomic_store(&readers_stop, true);
    for (size_t i = 0; i < NRW_COUNT(threads); i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    rig_done(&rig);
}

/* --- publishing -----------------------------------------------------------------------
 */

static void invalid_policy_leaves_the_last_good_one(void **state)
{
    (void)state;
    struct rig rig;
    struct err err = {0};
    assert_true(rig_init(&rig));
    assert_false(
        publish_policy(&rig.publish, str_of(policy_bad), "test", PUBLISH_ALOUD, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "line 4"));
    assert_int_equal(registries_now(&rig), 0);
    accept_policy(&rig, policy_one);
    assert_true(exposes(&rig, "policy_reloads_total{result=\"success\"} 0\n"));
    assert_false(
        publish_policy(&rig.publish, str_of(policy_bad), "test", PUBLISH_ALOUD, NULL));
    assert_true(exposes(&rig, "policy_reloads_total{result=\"failure\"} 2\n"));
    assert_false(
        publish_policy(&rig.publish, str_of(policy_bad), "test", PUBLISH_QUIETLY, NULL));
    assert_true(exposes(&rig, "policy_reloads_total{result=\"failure\"} 2\n"));
    assert_int_equal(registries_now(&rig), 1);
    accept_policy(&rig, policy_example);
    assert_true(exposes(&rig, "policy_reloads_total{result=\"success\"} 1\n"));
    assert_true(exposes(&rig, "policy_registries 3\n"));
    rig_done(&rig);
}

/* Every allocation in turn: refused as such, and the old policy stays. */
static void publishing_without_memory(void **state)
{
    (void)state;
    struct rig rig;
    assert_true(rig_init(&rig));
    accept_policy(&rig, policy_one);
    unsigned long nth = 1;
    for (bool done = false; !done; nth++) {
        struct err err = {0};
        mem_fail_nth(nth);
        done = publish_policy(&rig.publish, str_of(policy_example), "test",
                              PUBLISH_QUIETLY, &err);
        mem_fail_nth(0);
        assert_int_equal(registries_now(&rig), done ? 3 : 1);
        if (!done)
            assert_int_equal(err.code, ERR_NOMEM);
    }
    assert_true(nth > 3);
    rig_done(&rig);
}

static void building_without_memory(void **state)
{
    (void)state;
    bool good = false;
    for (unsigned long nth = 1; !good; nth++) {
        struct rig rig;
        mem_fail_nth(nth);
        good = rig_init(&rig);
        mem_fail_nth(0);
        rig_done(&rig);
    }
}

static void certificate_of_another_key(void **state)
{
    (void)state;
    struct rig rig;
    struct err err = {0};
    assert_true(rig_init(&rig));
    assert_true(demo_certificate(&rig.publish, &err));
    struct certificate_facts before, after;
    snapshots_certificate(rig.snapshots, &before);
    assert_true(before.present);
    struct cert_pair ca = CERT_PAIR_INIT, other = CERT_PAIR_INIT;
    const struct cert_request request = {.now = clock_wall_seconds(),
                                         .lifetime_seconds = CERT_DAY_SECONDS};
    assert_true(cert_issue_ca(&request, &ca, NULL));
    assert_true(cert_issue_ca(&request, &other, NULL));
    const struct publish_pair pair = {.cert_pem = buf_view(&ca.cert),
                                      .key_pem = buf_view(&other.key),
                                      .client_ca_pem = str_null(),
                                      .origin = "test"};
    assert_false(publish_certificate(&rig.publish, &pair, PUBLISH_ALOUD, &err));
    assert_int_equal(err.code, ERR_INVALID);
    snapshots_certificate(rig.snapshots, &after);
    assert_int_equal(before.not_after, after.not_after);
    assert_true(exposes(&rig, "certificate_rotations_total{result=\"failure\"} 1\n"));
    cert_pair_done(&ca);
    cert_pair_done(&other);
    rig_done(&rig);
}

/* --- readiness ------------------------------------------------------------------------
 */

static void says(struct rig *rig, int64_t at, const char *what)
{
    struct buf out;
    buf_init(&out, 4096);
    assert_false(health_ready(&rig->health, at, &out));
    assert_non_null(out.data);
    if (strstr(out.data, what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, out.data);
    buf_done(&out);
}

static void readiness_names_what_is_missing(void **state)
{
    (void)state;
    struct rig rig;
    int64_t now = clock_wall_seconds();
    assert_true(rig_init(&rig));
    says(&rig, now, "policy: none was accepted yet\n");
    says(&rig, now, "certificate: there is none yet\n");
    says(&rig, now, "workers: not all of them are running\n");
    assert_true(demo_policy(&rig.publish, NULL));
    assert_true(demo_certificate(&rig.publish, NULL));
    says(&rig, now + 8 * 86400, "certificate: it expired at 20");
    says(&rig, now - 86400, "certificate: it is not valid before 20");
    atomic_store(&rig.health.draining, true);
    says(&rig, now, "draining: ");
    atomic_store(&rig.health.awaits_config_maps, true);
    says(&rig, now, "configmaps: not listed yet\n");
    struct buf out;
    buf_init(&out, 4096);
    atomic_store(&rig.health.draining, false);
    atomic_store(&rig.health.awaits_config_maps, false);
    assert_false(health_ready(&rig.health, now, &out));
    assert_string_equal(out.data, "workers: not all of them are running\n");
    buf_done(&out);
    rig_done(&rig);
}

/* --- answers --------------------------------------------------------------------------
 */

static struct net_response ask(struct rig *rig, struct str path, struct str body)
{
    struct net_handlers table = handlers_table(&rig->handlers);
    const struct net_request request = {
        .method = body.n > 0 ? NET_POST : NET_GET, .path = path, .body = body};
    struct net_response response = {.status = 200, .content_type = "application/json"};
    buf_init(&response.body, 32u << 20);
    table.handle(table.context, &request, &response);
    return response;
}

static void routes(void **state)
{
    (void)state;
    struct rig rig;
    assert_true(rig_init(&rig));
    struct net_handlers table = handlers_table(&rig.handlers);
    assert_int_equal(table.route(table.context, STR("/mutate"), false), NET_ROUTE_POST);
    assert_int_equal(table.route(table.context, STR("/validate"), false), NET_ROUTE_POST);
    assert_int_equal(table.route(table.context, STR("/mutate"), true), NET_ROUTE_NONE);
    assert_int_equal(table.route(table.context, STR("/readyz"), true), NET_ROUTE_GET);
    assert_int_equal(table.route(table.context, STR("/metrics"), false), NET_ROUTE_GET);
    assert_int_equal(table.route(table.context, STR("/mutate/"), false), NET_ROUTE_NONE);
    assert_int_equal(table.route(table.context, STR(""), false), NET_ROUTE_NONE);
    rig_done(&rig);
}

static void no_policy_is_never_allowed(void **state)
{
    (void)state;
    struct rig rig;
    assert_true(rig_init(&rig));
    struct net_response response = ask(&rig, STR("/mutate"), STR("{}"));
    assert_int_equal(response.status, 503);
    assert_string_equal(response.body.data,
                        "{\"error\":\"no policy was accepted yet\"}\n");
    buf_done(&response.body);
    assert_true(exposes(&rig, "decision=\"unavailable\",dry_run=\"false\"} 1\n"));
    assert_true(exposes(&rig, "http_errors_total{code=\"503\"} 1\n"));
    rig_done(&rig);
}

/* Every allocation of an admission failing: 500 with nothing in it that could be taken
 * for a verdict, or the whole answer. */
static void admission_without_memory(void **state)
{
    (void)state;
    struct rig rig;
    struct buf review;
    buf_init(&review, 1u << 20);
    assert_true(rig_init(&rig));
    assert_true(demo_policy(&rig.publish, NULL));
    assert_true(file_read(REVIEW, &review, NULL));
    struct net_response whole = ask(&rig, STR("/mutate"), buf_view(&review));
    assert_int_equal(whole.status, 200);
    unsigned long nth = 1;
    for (bool done = false; !done; nth++) {
        mem_fail_nth(nth);
        struct net_response response = ask(&rig, STR("/mutate"), buf_view(&review));
        done = mem_fail_nth(0) < nth; /* none was left to fail */
        if (response.status == 200)
            assert_true(str_eq(buf_view(&response.body), buf_view(&whole.body)));
        else if (response.status != 500)
            fail_msg("%lu: %u %s", nth, response.status, response.body.data);
        if (response.status == 500)
            assert_true(str_find(buf_view(&response.body), STR("allowed")) ==
                        response.body.size);
        buf_done(&response.body);
    }
    assert_true(nth > 20);
    buf_done(&whole.body);
    buf_done(&review);
    rig_done(&rig);
}

/* --- files ----------------------------------------------------------------------------
 */

static void files_that_are_not_good_end_the_start(void **state)
{
    (void)state;
    struct rig rig;
    struct err err = {0};
    char path[] = "/tmp/nrw-test-app-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_true(rig_init(&rig));
    struct files_options options = {.policy_file = path, .publish = &rig.publish};
    assert_true(file_write_atomic(path, policy_bad, sizeof(policy_bad) - 1, 0600, NULL));
    assert_null(files_new(&options, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, path));
    assert_true(file_write_atomic(path, policy_one, sizeof(policy_one) - 1, 0600, NULL));
    struct files *files = NULL;
    for (unsigned long nth = 1; files == NULL; nth++) {
        err_clear(&err);
        mem_fail_nth(nth);
        files = files_new(&options, &err);
        mem_fail_nth(0);
        if (files == NULL)
            assert_int_equal(err.code, ERR_NOMEM);
    }
    assert_int_equal(registries_now(&rig), 1);
    assert_true(files_start(files, &err));
    assert_true(
        file_write_atomic(path, policy_example, strlen(policy_example), 0600, NULL));
    files_again(files);
    for (int i = 0; i < 100 && registries_now(&rig) != 3; i++)
        usleep(20000);
    assert_int_equal(registries_now(&rig), 3);
    unlink(path);
    files_free(files);
    options.policy_file = path;
    assert_null(files_new(&options, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    rig_done(&rig);
}

static int silence(void **state)
{
    (void)state;
    json_set_alloc_funcs(mem_alloc, mem_free);
    /* What is refused here would be logged as an error, hundreds of times. */
    log_setup((enum log_level)(LOG_LEVEL_ERROR + 1), LOG_FORMAT_JSON);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_keeps_what_it_took),
        cmocka_unit_test(config_maps_are_freed_with_their_last_reader),
        cmocka_unit_test(readers_and_a_writer),
        cmocka_unit_test(invalid_policy_leaves_the_last_good_one),
        cmocka_unit_test(publishing_without_memory),
        cmocka_unit_test(building_without_memory),
        cmocka_unit_test(certificate_of_another_key),
        cmocka_unit_test(readiness_names_what_is_missing),
        cmocka_unit_test(routes),
        cmocka_unit_test(no_policy_is_never_allowed),
        cmocka_unit_test(admission_without_memory),
        cmocka_unit_test(files_that_are_not_good_end_the_start),
    };
    return cmocka_run_group_tests(tests, silence, NULL);
}
