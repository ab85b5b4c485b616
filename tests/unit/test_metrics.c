/* The exposition: names and values, bounded label sets, threads, allocations that fail,
 * and what promtool thinks of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "observe/metrics.h"
#include "util/mem.h"

#define P "nvcf_registry_webhook_"

static void expose(struct metrics *metrics, struct buf *out)
{
    buf_init(out, 1024 * 1024);
    metrics_write(metrics, out);
    assert_false(out->failed);
}

static void assert_has(const struct buf *out, const char *line)
{
    char want[512];
    snprintf(want, sizeof(want), "\n%s\n", line);
    if (strstr(out->data, want) == NULL)
        fail_msg("no line '%s' in:\n%s", line, out->data);
}

static void assert_has_not(const struct buf *out, const char *text)
{
    if (strstr(out->data, text) != NULL)
        fail_msg("unexpected '%s' in:\n%s", text, out->data);
}

static void one_of_each(struct metrics *metrics)
{
    metrics_admission(metrics, METRICS_MUTATE, STR("Deployment"), STR("CREATE"), "patch",
                      false, 180000);
    metrics_admission(metrics, METRICS_VALIDATE, STR("ConfigMap"), STR("UPDATE"), "deny",
                      true, 50000);
    metrics_admission(metrics, METRICS_VALIDATE, STR("Pod\"}\n"), STR("PATCH"), "shrug",
                      true, INT64_C(2000000001));
    metrics_finding(metrics, 2, "BuiltinCollision");
    metrics_finding(metrics, 64, "Beyond");
    metrics_policy(metrics, "00ff", 3, 1700000000);
    metrics_policy_reload(metrics, true);
    metrics_policy_reload(metrics, false);
    metrics_certificate(metrics, 1800000000);
    metrics_rotation(metrics, true);
    metrics_handshake(metrics, true);
    metrics_handshake(metrics, false);
    metrics_handshake(metrics, false);
    metrics_connections(metrics, 5);
    metrics_connections(metrics, -2);
    metrics_in_flight(metrics, 1);
    metrics_http_error(metrics, 413);
    metrics_http_error(metrics, 418);
    metrics_http_error(metrics, 1413);
    metrics_kube_request(metrics, "get", "secrets", 403);
    metrics_kube_request(metrics, "patch", "mutatingwebhookconfigurations", 0);
    metrics_kube_request(metrics, "PROPFIND", "widgets", 299);
}

/* What admit/ and app/ call a decision has a series of its own. */
static void decisions_by_their_word(void **state)
{
    (void)state;
    static const char *const words[] = {"allow",   "patch", "deny",  "audit",
                                        "ratchet", "skip",  "error", "unavailable"};
    struct metrics *metrics = metrics_new("1", "c");
    struct buf out;
    assert_non_null(metrics);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        metrics_admission(metrics, METRICS_MUTATE, STR("Deployment"), STR("UPDATE"),
                          words[i], false, 1000);
    expose(metrics, &out);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char want[256];
        snprintf(want, sizeof(want),
                 P "admission_requests_total{endpoint=\"mutate\",kind=\"Deployment\","
                   "operation=\"UPDATE\",decision=\"%s\",dry_run=\"false\"} 1",
                 words[i]);
        assert_has(&out, want);
    }
    assert_has_not(&out, "decision=\"other\"");
    buf_done(&out);
    metrics_free(metrics);
}

static const char *const lines[] = {

    P "admission_requests_total{endpoint=\"mutate\",kind=\"Deployment\","
      "operation=\"CREATE\",decision=\"patch\",dry_run=\"false\"} 1",
    P "admission_requests_total{endpoint=\"validate\",kind=\"ConfigMap\","
      "operation=\"UPDATE\",decision=\"deny\",dry_run=\"true\"} 1",
    P "admission_requests_total{endpoint=\"validate\",kind=\"other\","
      "operation=\"other\",decision=\"other\",dry_run=\"true\"} 1",
    "# TYPE " P "admission_duration_seconds histogram",
    P "admission_duration_seconds_bucket{endpoint=\"mutate\",le=\"0.0001\"} 0",
    P "admission_duration_seconds_bucket{endpoint=\"mutate\",le=\"0.00025\"} 1",
    P "admission_duration_seconds_bucket{endpoint=\"mutate\",le=\"+Inf\"} 1",
    P "admission_duration_seconds_sum{endpoint=\"mutate\"} 0.000180000",
    P "admission_duration_seconds_bucket{endpoint=\"validate\",le=\"5e-05\"} 1",
    P "admission_duration_seconds_bucket{endpoint=\"validate\",le=\"1.0\"} 1",
    P "admission_duration_seconds_bucket{endpoint=\"validate\",le=\"+Inf\"} 2",
    P "admission_duration_seconds_sum{endpoint=\"validate\"} 2.000050001",
    P "admission_duration_seconds_count{endpoint=\"validate\"} 2",
    P "findings_total{finding=\"BuiltinCollision\"} 1",
    P "policy_info{hash=\"00ff\"} 1",
    P "policy_registries 3",
    P "policy_reloads_total{result=\"success\"} 1",
    P "policy_reloads_total{result=\"failure\"} 1",
    P "policy_last_success_timestamp_seconds 1700000000",
    P "certificate_expiry_timestamp_seconds 1800000000",
    P "certificate_rotations_total{result=\"success\"} 1",
    P "certificate_rotations_total{result=\"failure\"} 0",
    P "tls_handshakes_total{result=\"success\"} 1",
    P "tls_handshakes_total{result=\"failure\"} 2",
    P "connections 3",
    P "requests_in_flight 1",
    P "http_errors_total{code=\"413\"} 1",
    P "http_errors_total{code=\"other\"} 2",
    P "kube_requests_total{verb=\"get\",resource=\"secrets\",code=\"403\"} 1",
    P "kube_requests_total{verb=\"patch\",resource=\"mutatingwebhookconfigurations\","
      "code=\"none\"} 1",
    P "kube_requests_total{verb=\"other\",resource=\"other\",code=\"other\"} 1",
    P "build_info{version=\"1.2.3\",commit=\"abc\\\"def\\\\\"} 1",
    "# TYPE process_cpu_seconds_total counter",
    "# TYPE process_resident_memory_bytes gauge",
    "# TYPE process_virtual_memory_bytes gauge",
    "# TYPE process_virtual_memory_max_bytes gauge",
    "# TYPE process_open_fds gauge",
    "# TYPE process_max_fds gauge",
    "# TYPE process_start_time_seconds gauge",
    "# TYPE process_threads gauge",
};

static void names_and_values(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new("1.2.3", "abc\"def\\");
    assert_non_null(metrics);
    one_of_each(metrics);
    struct buf out;
    expose(metrics, &out);
    for (size_t i = 0; i < NRW_COUNT(lines); i++)
        assert_has(&out, lines[i]);
    assert_has_not(&out, "Beyond");
    assert_has_not(&out, "Pod");
    buf_done(&out);
    metrics_free(metrics);
}

/* What is not known yet must not look like 1970: alerts compare these with now. */
static void nothing_yet(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new("1", "c");
    assert_non_null(metrics);
    struct buf out;
    expose(metrics, &out);
    assert_has_not(&out, P "certificate_expiry_timestamp_seconds");
    assert_has_not(&out, P "policy_last_success");
    assert_has_not(&out, P "policy_info");
    assert_has(&out, P "policy_reloads_total{result=\"failure\"} 0");
    assert_has(&out, P "admission_duration_seconds_count{endpoint=\"mutate\"} 0");
    buf_done(&out);
    metrics_free(metrics);
}

static double value_of(const struct buf *out, const char *name)
{
    char start[128];
    double value = -1;
    snprintf(start, sizeof(start), "\n%s ", name);
    const char *at = strstr(out->data, start);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(start), "%lf", &value), 1);
    return value;
}

static void process_values(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new("1", "c");
    assert_non_null(metrics);
    struct buf out;
    expose(metrics, &out);
    double before = value_of(&out, "process_open_fds");
    double rss = value_of(&out, "process_resident_memory_bytes");
    assert_true(rss > 100 * 1024 && rss < value_of(&out, "process_virtual_memory_bytes"));
    double started = value_of(&out, "process_start_time_seconds");
    time_t now = time(NULL);
    assert_true(started > (double)now - 3600 && started < (double)now + 5);
    assert_true(value_of(&out, "process_threads") >= 1);
    buf_done(&out);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    /* Asked again within the second: as it was. By another one: as it is. */
    expose(metrics, &out);
    assert_true(value_of(&out, "process_open_fds") == before);
    buf_done(&out);
    struct metrics *other = metrics_new("1", "c");
    assert_non_null(other);
    expose(other, &out);
    assert_true(value_of(&out, "process_open_fds") == before + 1);
    close(fd);
    buf_done(&out);
    metrics_free(other);
    metrics_free(metrics);
}

/* However many different values come, the series stay the same. */
static void label_sets_are_bounded(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new("1", "c");
    assert_non_null(metrics);
    for (unsigned i = 0; i < 5000; i++) {
        char text[32];
        snprintf(text, sizeof(text), "v%u", i);
        metrics_admission(metrics, METRICS_MUTATE, str_of(text), str_of(text), text,
                          i % 2 == 0, i * 1000);
        metrics_finding(metrics, i, "Finding");
        metrics_http_error(metrics, i);
        metrics_kube_request(metrics, text, text, i);
    }
    struct buf out;
    expose(metrics, &out);
    size_t count = 0;
    for (const char *p = out.data; *p != '\0'; p++)
        count += *p == '\n' ? 1 : 0;
    assert_true(count < 250);
    buf_done(&out);
    metrics_free(metrics);
}

struct race {
    struct metrics *metrics;
    unsigned number;
};

static void *hammer(void *argument)
{
    struct race *race = argument;
    for (unsigned i = 0; i < 2000; i++) {
        metrics_admission(race->metrics, METRICS_MUTATE, STR("Deployment"), STR("UPDATE"),
                          "allow", false, 1000);
        metrics_connections(race->metrics, 1);
        metrics_connections(race->metrics, -1);
        metrics_policy(race->metrics,
                       race->number == 0
                           ? "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                           : "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                       race->number, i);
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new("1", "c");
    assert_non_null(metrics);
    pthread_t thread[2];
    struct race race[2] = {{metrics, 0}, {metrics, 1}};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, hammer, &race[i]), 0);
    for (unsigned i = 0; i < 100; i++) {
        struct buf out;
        expose(metrics, &out);
        const char *hash = strstr(out.data, "policy_info{hash=\"");
        if (hash != NULL) { /* never half of one and half of the other */
            hash += strlen("policy_info{hash=\"");
            assert_true(strspn(hash, "a") == 48 || strspn(hash, "b") == 48);
        }
        buf_done(&out);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    struct buf out;
    expose(metrics, &out);
    assert_has(&out, P "admission_duration_seconds_count{endpoint=\"mutate\"} 4000");
    assert_has(&out, P "connections 0");
    buf_done(&out);
    metrics_free(metrics);
}

static void allocations_fail(void **state)
{
    (void)state;
    bool done = false;
    unsigned long k = 1;
    for (; !done; k++) {
        assert_true(k < 100);
        mem_fail_nth(k);
        struct metrics *metrics = metrics_new("1", "c");
        struct buf out;
        buf_init(&out, 1024 * 1024);
        if (metrics != NULL)
            metrics_write(metrics, &out);
        done = mem_fail_nth(0) < k;
        assert_true(!done || (metrics != NULL && !out.failed));
        buf_done(&out);
        metrics_free(metrics);
    }
    assert_true(k > 5);
}

static void nowhere_to_count(void **state)
{
    (void)state;
    one_of_each(NULL); /* offline verbs have no metrics */
    metrics_free(NULL);
}

static void promtool(void **state)
{
    (void)state;
    if (access("/usr/bin/promtool", X_OK) != 0) {
        print_message("skipped: promtool is not installed (Debian package prometheus)\n");
        skip();
    }
    struct metrics *metrics = metrics_new("1.2.3", "abc\"def\\");
    assert_non_null(metrics);
    one_of_each(metrics);
    struct buf out;
    expose(metrics, &out);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[0], STDIN_FILENO);
        close(ends[1]);
        execl("/usr/bin/promtool", "promtool", "check", "metrics", (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    assert_int_equal(write(ends[1], out.data, out.size), (ssize_t)out.size);
    close(ends[1]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    buf_done(&out);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values),
        cmocka_unit_test(nothing_yet),
        cmocka_unit_test(process_values),
        cmocka_unit_test(label_sets_are_bounded),
        cmocka_unit_test(threads),
        cmocka_unit_test(allocations_fail),
        cmocka_unit_test(nowhere_to_count),
        cmocka_unit_test(promtool),
        cmocka_unit_test(decisions_by_their_word),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
