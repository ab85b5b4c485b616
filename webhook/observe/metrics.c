/* The numbers of /metrics; see metrics.h.
 *
 * Every series is one 64-bit atomic in a table whose size is known at compile time: label
 * values are looked up in the fixed sets below, and what is not in them counts as
 * "other". So counting takes no lock and no memory, and a hostile kind or verb cannot
 * make the exposition grow. Series of large tables appear with their first count; the
 * small ones are there from the start, so that rate() sees the first failure.
 *
 * Orders are relaxed: a scrape may see one counter of a request and not yet another. The
 * policy's hash is the one value wider than a word; a sequence number guards it.
 *
 * Not here: process.c has process_*, who counts what is the caller's business. */
#include "observe/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "observe/process.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define PREFIX "nvcf_registry_webhook_"

typedef _Atomic uint64_t counter;

static const char *const endpoints[] = {"mutate", "validate"};
static const char *const results[] = {"success", "failure"};
static const char *const truths[] = {"false", "true"};

/* The last entry of each takes what is not before it. */
static const char *const kinds[] = {"Deployment", "ConfigMap", "other"};
static const char *const operations[] = {"CREATE", "UPDATE", "DELETE", "CONNECT",
                                         "other"};
static const char *const decisions[] = {"allow", "patch",       "deny",
                                        "audit", "ratchet",     "skip",
                                        "error", "unavailable", "other"};
static const char *const http_codes[] = {"400", "403", "404", "405", "408",  "411",
                                         "413", "414", "415", "417", "429",  "431",
                                         "500", "501", "503", "505", "other"};
static const char *const kube_verbs[] = {"get",    "list",  "watch",  "create",
                                         "update", "patch", "delete", "other"};
static const char *const kube_resources[] = {"configmaps",
                                             "secrets",
                                             "deployments",
                                             "pods",
                                             "events",
                                             "leases",
                                             "mutatingwebhookconfigurations",
                                             "validatingwebhookconfigurations",
                                             "other"};
/* "none": there was no answer at all. */
static const char *const kube_codes[] = {"none", "200", "201", "400", "401",  "403",
                                         "404",  "409", "410", "415", "422",  "429",
                                         "500",  "502", "503", "504", "other"};

#define KINDS          NRW_COUNT(kinds)
#define OPERATIONS     NRW_COUNT(operations)
#define DECISIONS      NRW_COUNT(decisions)
#define HTTP_CODES     NRW_COUNT(http_codes)
#define KUBE_VERBS     NRW_COUNT(kube_verbs)
#define KUBE_RESOURCES NRW_COUNT(kube_resources)
#define KUBE_CODES     NRW_COUNT(kube_codes)
#define FINDINGS       64u

/* A decision takes tens of microseconds, a request a few hundred; the API server gives up
 * after seconds. Upper bounds in nanoseconds, and the text of each in seconds. */
static const struct {
    int64_t nanoseconds;
    const char *le;
} buckets[] = {
    {50000, "5e-05"},    {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},
    {1000000, "0.001"},  {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},
    {25000000, "0.025"}, {50000000, "0.05"},  {100000000, "0.1"},  {250000000, "0.25"},
    {500000000, "0.5"},  {1000000000, "1.0"},
};
#define BUCKETS    NRW_COUNT(buckets)
#define HASH_WORDS 9u /* 64 hexadecimal digits and some room */

/* What the kernel knows is asked at most once a second, however often it is scraped: the
 * kernel lists every open descriptor for it, and a crowd of scrapers would keep a worker
 * from everybody else. */
#define PROCESS_AGE_MS  1000
#define PROCESS_MAXIMUM 16384u

struct process_lines {
    pthread_mutex_t lock;
    struct buf text;
    int64_t made_at; /* clock_mono_millis */
};

struct metrics {
    struct process_lines *process;
    char *version;
    char *commit;
    double start_time;

    counter admissions[2][KINDS][OPERATIONS][DECISIONS][2];
    counter durations[2][BUCKETS + 1]; /* not cumulative; the last is +Inf */
    counter duration_nanoseconds[2];
    counter findings[FINDINGS];
    _Atomic(const char *) finding_names[FINDINGS];

    counter hash_sequence; /* odd while it is being written; 0 = never */
    counter hash[HASH_WORDS];
    counter policy_registries;
    _Atomic int64_t policy_success;
    counter policy_reloads[2];

    _Atomic int64_t certificate_expiry; /* 0 = no certificate yet */
    counter rotations[2];
    counter handshakes[2];
    _Atomic long connections;
    _Atomic long in_flight;
    counter http_errors[HTTP_CODES];
    counter kube_requests[KUBE_VERBS][KUBE_RESOURCES][KUBE_CODES];
};

struct metrics *metrics_new(const char *version, const char *commit)
{
    struct metrics *metrics = mem_calloc(1, sizeof(*metrics));
    if (metrics == NULL)
        return NULL;
    metrics->version = mem_strdup(version);
    metrics->commit = mem_strdup(commit);
    metrics->process = mem_calloc(1, sizeof(*metrics->process));
    if (metrics->process != NULL) {
        pthread_mutex_init(&metrics->process->lock, NULL);
        buf_init(&metrics->process->text, PROCESS_MAXIMUM);
    }
    if (metrics->version == NULL || metrics->commit == NULL || metrics->process == NULL) {
        metrics_free(metrics);
        return NULL;
    }
    metrics->start_time = process_start_time();
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    if (metrics->process != NULL) {
        buf_done(&metrics->process->text);
        pthread_mutex_destroy(&metrics->process->lock);
    }
    mem_free(metrics->process);
    mem_free(metrics->version);
    mem_free(metrics->commit);
    mem_free(metrics);
}

/* --- counting ------------------------------------------------------------------------
 */

static void add(counter *value, uint64_t n)
{
    atomic_fetch_add_explicit(value, n, memory_order_relaxed);
}

static uint64_t get(const counter *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* Index of the text in a set, or that of its last entry. */
static size_t member(const char *const *set, size_t count, struct str text)
{
    size_t i = 0;
    while (i < count - 1 && !str_eq(str_of(set[i]), text))
        i++;
    return i;
}

/* The same for a status code of up to three digits. */
static size_t member_code(const char *const *set, size_t count, unsigned code)
{
    char text[4] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
                    (char)('0' + code % 10), '\0'};
    return code > 999 ? count - 1 : member(set, count, str_of(text));
}

void metrics_admission(struct metrics *metrics, enum metrics_endpoint endpoint,
                       struct str kind, struct str operation, const char *decision,
                       bool dry_run, int64_t nanoseconds)
{
    if (metrics == NULL)
        return;
    size_t at = endpoint == METRICS_VALIDATE ? 1 : 0;
    add(&metrics->admissions[at][member(kinds, KINDS, kind)]
                            [member(operations, OPERATIONS, operation)][member(
                                decisions, DECISIONS, str_of(decision))][dry_run ? 1 : 0],
        1);
    if (nanoseconds < 0)
        nanoseconds = 0;
    size_t bucket = 0;
    while (bucket < BUCKETS && nanoseconds > buckets[bucket].nanoseconds)
        bucket++;
    add(&metrics->durations[at][bucket], 1);
    add(&metrics->duration_nanoseconds[at], (uint64_t)nanoseconds);
}

void metrics_finding(struct metrics *metrics, unsigned finding_index,
                     const char *finding_name)
{
    if (metrics == NULL || finding_index >= FINDINGS)
        return;
    atomic_store_explicit(&metrics->finding_names[finding_index], finding_name,
                          memory_order_relaxed);
    add(&metrics->findings[finding_index], 1);
}

/* Several writers are kept apart by the odd sequence number; readers try again while one
 * is at it. A writer holds it for a few stores, so nobody waits long. */
static void hash_store(struct metrics *metrics, const char *hash)
{
    uint64_t words[HASH_WORDS] = {0};
    size_t n = strnlen(hash, sizeof(words) - 1);
    memcpy(words, hash, n);
    uint64_t sequence = get(&metrics->hash_sequence);
    do {
        sequence &= ~UINT64_C(1);
    } while (
        !atomic_compare_exchange_weak(&metrics->hash_sequence, &sequence, sequence + 1));
    for (size_t i = 0; i < HASH_WORDS; i++)
        atomic_store(&metrics->hash[i], words[i]);
    atomic_store(&metrics->hash_sequence, sequence + 2);
}

/* False when there never was one. */
static bool hash_load(const struct metrics *metrics, char *out, size_t size)
{
    for (;;) {
        uint64_t words[HASH_WORDS];
        uint64_t before = atomic_load(&metrics->hash_sequence);
        if (before == 0)
            return false;
        for (size_t i = 0; i < HASH_WORDS; i++)
            words[i] = atomic_load(&metrics->hash[i]);
        if ((before & 1) == 0 && atomic_load(&metrics->hash_sequence) == before) {
            memcpy(out, words, size < sizeof(words) ? size : sizeof(words));
            return true;
        }
    }
}

void metrics_policy(struct metrics *metrics, const char *hash, unsigned registries,
                    int64_t wall_seconds)
{
    if (metrics == NULL)
        return;
    hash_store(metrics, hash);
    atomic_store(&metrics->policy_registries, registries);
    atomic_store(&metrics->policy_success, wall_seconds);
}

static void add_result(counter values[2], bool success)
{
    add(&values[success ? 0 : 1], 1);
}

void metrics_policy_reload(struct metrics *metrics, bool success)
{
    if (metrics != NULL)
        add_result(metrics->policy_reloads, success);
}

void metrics_certificate(struct metrics *metrics, int64_t not_after_wall_seconds)
{
    if (metrics != NULL)
        atomic_store(&metrics->certificate_expiry, not_after_wall_seconds);
}

void metrics_rotation(struct metrics *metrics, bool success)
{
    if (metrics != NULL)
        add_result(metrics->rotations, success);
}

void metrics_handshake(struct metrics *metrics, bool success)
{
    if (metrics != NULL)
        add_result(metrics->handshakes, success);
}

void metrics_connections(struct metrics *metrics, long change)
{
    if (metrics != NULL)
        atomic_fetch_add_explicit(&metrics->connections, change, memory_order_relaxed);
}

void metrics_in_flight(struct metrics *metrics, long change)
{
    if (metrics != NULL)
        atomic_fetch_add_explicit(&metrics->in_flight, change, memory_order_relaxed);
}

void metrics_http_error(struct metrics *metrics, unsigned code)
{
    if (metrics != NULL)
        add(&metrics->http_errors[member_code(http_codes, HTTP_CODES, code)], 1);
}

void metrics_kube_request(struct metrics *metrics, const char *verb, const char *resource,
                          unsigned code)
{
    if (metrics == NULL)
        return;
    size_t at = code == 0 ? 0 : member_code(kube_codes, KUBE_CODES, code);
    add(&metrics->kube_requests[member(kube_verbs, KUBE_VERBS, str_of(verb))][member(
            kube_resources, KUBE_RESOURCES, str_of(resource))][at],
        1);
}

/* --- writing -------------------------------------------------------------------------
 */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name,
               type);
}

static void label_value(struct buf *out, const char *text)
{
    buf_char(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '"')
            buf_char(out, '\\');
        if (*text == '\n')
            buf_text(out, "\\n");
        else
            buf_char(out, *text);
    }
    buf_char(out, '"');
}

static void write_gauge(struct buf *out, const char *name, const char *help,
                        int64_t value)
{
    head(out, name, "gauge", help);
    buf_printf(out, PREFIX "%s %" PRId64 "\n", name, value);
}

static void write_results(struct buf *out, const char *name, const char *help,
                          const counter values[2])
{
    head(out, name, "counter", help);
    for (size_t i = 0; i < 2; i++)
        buf_printf(out, PREFIX "%s{result=\"%s\"} %" PRIu64 "\n", name, results[i],
                   get(&values[i]));
}

static void write_admissions(const struct metrics *metrics, struct buf *out)
{
    head(out, "admission_requests_total", "counter",
         "AdmissionReviews answered, by what was decided.");
    const counter *value = &metrics->admissions[0][0][0][0][0];
    for (size_t i = 0; i < sizeof(metrics->admissions) / sizeof(*value); i++) {
        uint64_t n = get(value + i);
        if (n == 0)
            continue;
        size_t rest = i;
        size_t dry_run = rest % 2;
        rest /= 2;
        size_t decision = rest % DECISIONS;
        rest /= DECISIONS;
        size_t operation = rest % OPERATIONS;
        rest /= OPERATIONS;
        buf_printf(out,
                   PREFIX "admission_requests_total{endpoint=\"%s\",kind=\"%s\","
                          "operation=\"%s\",decision=\"%s\",dry_run=\"%s\"} %" PRIu64
                          "\n",
                   endpoints[rest / KINDS], kinds[rest % KINDS], operations[operation],
                   decisions[decision], truths[dry_run], n);
    }
}

static void write_durations(const struct metrics *metrics, struct buf *out)
{
    const char *name = PREFIX "admission_duration_seconds";
    head(out, "admission_duration_seconds", "histogram",
         "Time from the whole request read to the answer ready.");
    for (size_t at = 0; at < 2; at++) {
        uint64_t sum = get(&metrics->duration_nanoseconds[at]);
        uint64_t count = 0;
        for (size_t i = 0; i < BUCKETS; i++) {
            count += get(&metrics->durations[at][i]);
            buf_printf(out, "%s_bucket{endpoint=\"%s\",le=\"%s\"} %" PRIu64 "\n", name,
                       endpoints[at], buckets[i].le, count);
        }
        count += get(&metrics->durations[at][BUCKETS]);
        buf_printf(out, "%s_bucket{endpoint=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name,
                   endpoints[at], count);
        buf_printf(out, "%s_sum{endpoint=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n", name,
                   endpoints[at], sum / 1000000000, sum % 1000000000);
        buf_printf(out, "%s_count{endpoint=\"%s\"} %" PRIu64 "\n", name, endpoints[at],
                   count);
    }
}

static void write_findings(const struct metrics *metrics, struct buf *out)
{
    head(out, "findings_total", "counter", "Findings in decisions, by kind of finding.");
    for (size_t i = 0; i < FINDINGS; i++) {
        uint64_t n = get(&metrics->findings[i]);
        const char *name =
            atomic_load_explicit(&metrics->finding_names[i], memory_order_relaxed);
        if (n > 0 && name != NULL)
            buf_printf(out, PREFIX "findings_total{finding=\"%s\"} %" PRIu64 "\n", name,
                       n);
    }
}

static void write_policy(const struct metrics *metrics, struct buf *out)
{
    char hash[HASH_WORDS * sizeof(uint64_t)];
    if (hash_load(metrics, hash, sizeof(hash))) {
        head(out, "policy_info", "gauge", "The policy in force; the value is always 1.");
        buf_text(out, PREFIX "policy_info{hash=");
        label_value(out, hash);
        buf_text(out, "} 1\n");
        write_gauge(out, "policy_last_success_timestamp_seconds",
                    "When the policy in force was accepted, in seconds since 1970.",
                    atomic_load(&metrics->policy_success));
    }
    write_gauge(out, "policy_registries", "Registries that the policy in force lists.",
                (int64_t)get(&metrics->policy_registries));
    write_results(out, "policy_reloads_total",
                  "Policies read: accepted, or refused (the last good one stays).",
                  metrics->policy_reloads);
}

static void write_http_errors(const struct metrics *metrics, struct buf *out)
{
    head(out, "http_errors_total", "counter",
         "Requests answered with an HTTP error instead of an AdmissionReview.");
    for (size_t i = 0; i < HTTP_CODES; i++) {
        uint64_t n = get(&metrics->http_errors[i]);
        if (n > 0)
            buf_printf(out, PREFIX "http_errors_total{code=\"%s\"} %" PRIu64 "\n",
                       http_codes[i], n);
    }
}

static void write_kube(const struct metrics *metrics, struct buf *out)
{
    head(out, "kube_requests_total", "counter",
         "Requests to the API server; code none means that no answer came.");
    const counter *value = &metrics->kube_requests[0][0][0];
    for (size_t i = 0; i < sizeof(metrics->kube_requests) / sizeof(*value); i++) {
        uint64_t n = get(value + i);
        size_t code = i % KUBE_CODES;
        size_t resource = i / KUBE_CODES % KUBE_RESOURCES;
        size_t verb = i / KUBE_CODES / KUBE_RESOURCES;
        if (n > 0)
            buf_printf(out,
                       PREFIX "kube_requests_total{verb=\"%s\",resource=\"%s\","
                              "code=\"%s\"} %" PRIu64 "\n",
                       kube_verbs[verb], kube_resources[resource], kube_codes[code], n);
    }
}

static void write_process(const struct metrics *metrics, struct buf *out)
{
    struct process_lines *lines = metrics->process;
    int64_t now = clock_mono_millis();
    pthread_mutex_lock(&lines->lock);
    if (lines->text.size == 0 || lines->text.failed ||
        now - lines->made_at >= PROCESS_AGE_MS) {
        buf_clear(&lines->text);
        process_write(metrics->start_time, &lines->text);
        lines->made_at = now;
    }
    if (!lines->text.failed)
        buf_str(out, buf_view(&lines->text));
    pthread_mutex_unlock(&lines->lock);
}

void metrics_write(const struct metrics *metrics, struct buf *out)
{
    head(out, "build_info", "gauge", "The program; the value is always 1.");
    buf_text(out, PREFIX "build_info{version=");
    label_value(out, metrics->version);
    buf_text(out, ",commit=");
    label_value(out, metrics->commit);
    buf_text(out, "} 1\n");
    write_admissions(metrics, out);
    write_durations(metrics, out);
    write_findings(metrics, out);
    write_policy(metrics, out);
    int64_t expiry = atomic_load(&metrics->certificate_expiry);
    if (expiry != 0)
        write_gauge(out, "certificate_expiry_timestamp_seconds",
                    "When the serving certificate expires, in seconds since 1970.",
                    expiry);
    write_results(out, "certificate_rotations_total",
                  "Serving certificates taken into use, or refused.", metrics->rotations);
    write_results(out, "tls_handshakes_total", "TLS handshakes, by how they ended.",
                  metrics->handshakes);
    write_gauge(out, "connections", "Open connections.",
                atomic_load(&metrics->connections));
    write_gauge(out, "requests_in_flight", "Requests being answered now.",
                atomic_load(&metrics->in_flight));
    write_http_errors(metrics, out);
    write_kube(metrics, out);
    head(out, "log_lines_dropped_total", "counter",
         "Log lines lost because standard error could not take them.");
    buf_printf(out, PREFIX "log_lines_dropped_total %" PRIu64 "\n", log_lines_lost());
    write_process(metrics, out);
}
