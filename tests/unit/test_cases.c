/* The case folders of tests/cases, two more ways besides `review` (tests/cases/run.sh):
 * in process through admit_review(), and through the running server over TLS. What the
 * server says must be what want.json says: allowed or not, the patch, and which findings.
 *
 * Each object of a case is sent as the API server would send it: to /mutate, then, with
 * the patch of the answer applied, to /validate. The ConfigMaps among a case's documents
 * are what the watch would have seen. */
#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <cmocka.h>

#include "admit/admit.h"
#include "app/handlers.h"
#include "app/publish.h"
#include "cli/manifests.h"
#include "tests/unit/support/json_patch.h"
#include "tests/unit/support/net_peer.h"
#include "util/file.h"
#include "util/log.h"
#include "util/mem.h"

#define FOLDER      "tests/cases"
#define MAX_CASES   1024
#define MAX_REVIEWS (16u << 20)

/* --- what is asked -------------------------------------------------------------------
 */

struct way {
    /* An AdmissionReview's answer; the caller frees the JSON. */
    json_t *(*ask)(struct way *way, enum admit_endpoint endpoint, const char *body,
                   size_t n);
    const struct policy *policy;
    const struct config_maps *config_maps;
    struct peer *peer;
};

static json_t *ask_in_process(struct way *way, enum admit_endpoint endpoint,
                              const char *body, size_t n)
{
    struct arena arena;
    struct buf answer;
    struct admit_outcome outcome;
    struct err err = {.code = ERR_NONE};
    const struct admit_input input = {
        .endpoint = endpoint,
        .body = str_from(body, n),
        .policy = way->policy,
        .config_maps = way->config_maps,
        .policy_namespace = STR(""),
        .policy_name = STR(""),
    };
    arena_init(&arena, 64u << 20);
    buf_init(&answer, 16u << 20);
    bool good = admit_review(&arena, &input, &answer, &outcome, &err);
    if (!good)
        print_error("%s\n", err.message);
    assert_true(good);
    json_t *json = json_loadb(answer.data, answer.size, 0, NULL);
    assert_non_null(json);
    buf_done(&answer);
    arena_done(&arena);
    return json;
}

static json_t *ask_over_tls(struct way *way, enum admit_endpoint endpoint,
                            const char *body, size_t n)
{
    struct answer answer;
    assert_true(peer_post(way->peer,
                          endpoint == ADMIT_MUTATE ? "/mutate?timeout=3s"
                                                   : "/validate?timeout=3s",
                          body, n));
    assert_true(peer_answer(way->peer, false, &answer, NULL));
    assert_int_equal(answer.status, 200);
    json_t *json = json_loadb(answer.body, answer.size, 0, NULL);
    assert_non_null(json);
    answer_done(&answer);
    return json;
}

/* --- one object ------------------------------------------------------------------------
 */

static json_t *review_of(json_t *json)
{
    if (manifest_is(json, "admission.k8s.io/v1", "AdmissionReview"))
        return json_deep_copy(json);
    const json_t *meta = json_object_get(json, "metadata");
    const char *name = json_string_value(json_object_get(meta, "name"));
    const char *name_space = json_string_value(json_object_get(meta, "namespace"));
    bool deployment = manifest_is(json, "apps/v1", "Deployment");
    return json_pack("{s:s,s:s,s:{s:s,s:{s:s,s:s,s:s},s:s,s:s,s:s,s:o,s:n}}",
                     "apiVersion", "admission.k8s.io/v1", "kind", "AdmissionReview",
                     "request", "uid", "8a1f5c5e-1111-4222-8333-944455556666", "kind",
                     "group", deployment ? "apps" : "", "version", "v1", "kind",
                     deployment ? "Deployment" : "ConfigMap", "namespace",
                     name_space != NULL ? name_space : "nvcf", "name", name, "operation",
                     "CREATE", "object", json_deep_copy(json), "oldObject");
}

static json_t *decode_patch(const json_t *response)
{
    const char *text = json_string_value(json_object_get(response, "patch"));
    if (text == NULL)
        return json_array();
    assert_string_equal(json_string_value(json_object_get(response, "patchType")),
                        "JSONPatch");
    size_t n = strlen(text);
    unsigned char *bytes = calloc(1, n + 1);
    assert_non_null(bytes);
    int decoded = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n);
    assert_true(decoded > 0);
    while (n > 0 && text[n - 1] == '=') {
        n--;
        decoded--;
    }
    json_t *patch = json_loadb((char *)bytes, (size_t)decoded, 0, NULL);
    free(bytes);
    assert_non_null(patch);
    return patch;
}

static void collect_findings(const json_t *response, json_t *names)
{
    const json_t *audit = json_object_get(response, "auditAnnotations");
    const char *list = json_string_value(json_object_get(audit, "findings"));
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ",");
        char name[64];
        assert_true(n < sizeof(name));
        memcpy(name, list, n);
        name[n] = '\0';
        json_object_set_new(names, name, json_true());
        list += n + (list[n] == ',');
    }
}

static json_t *ask(struct way *way, enum admit_endpoint endpoint, const json_t *review)
{
    char *body = json_dumps(review, JSON_COMPACT);
    assert_non_null(body);
    json_t *answer = way->ask(way, endpoint, body, strlen(body));
    mem_free(body);
    const json_t *response = json_object_get(answer, "response");
    const json_t *request = json_object_get(review, "request");
    assert_true(
        json_equal(json_object_get(response, "uid"), json_object_get(request, "uid")));
    assert_string_equal(json_string_value(json_object_get(answer, "apiVersion")),
                        "admission.k8s.io/v1");
    size_t i;
    json_t *warning;
    json_array_foreach(json_object_get(response, "warnings"), i, warning)
    {
        assert_true(json_string_length(warning) <= 256);
    }
    json_t *kept = json_incref(json_object_get(answer, "response"));
    json_decref(answer);
    return kept;
}

/* {"allowed":…,"patch":[…],"findings":{…}} of both passes together. */
static json_t *verdict_of(struct way *way, json_t *object)
{
    json_t *review = review_of(object);
    assert_non_null(review);
    json_t *names = json_object();
    json_t *mutated = ask(way, ADMIT_MUTATE, review);
    json_t *patch = decode_patch(mutated);
    collect_findings(mutated, names);
    bool allowed = json_is_true(json_object_get(mutated, "allowed"));
    if (allowed) {
        json_t *inside = json_object_get(json_object_get(review, "request"), "object");
        assert_true(json_array_size(patch) == 0 || json_patch_apply(inside, patch, NULL));
        json_t *validated = ask(way, ADMIT_VALIDATE, review);
        allowed = json_is_true(json_object_get(validated, "allowed"));
        assert_null(json_object_get(validated, "patch"));
        collect_findings(validated, names);
        json_decref(validated);
    } else {
        const json_t *status = json_object_get(mutated, "status");
        assert_int_equal(json_integer_value(json_object_get(status, "code")), 403);
        assert_true(json_string_length(json_object_get(status, "message")) > 0);
    }
    json_decref(mutated);
    json_decref(review);
    if (!allowed)
        json_array_clear(patch);
    return json_pack("{s:b,s:o,s:o}", "allowed", allowed, "patch", patch, "findings",
                     names);
}

static json_t *verdict_wanted(const json_t *want)
{
    json_t *names = json_object();
    size_t i;
    json_t *finding;
    json_array_foreach(json_object_get(want, "findings"), i, finding)
    {
        json_object_set_new(names, json_string_value(json_object_get(finding, "finding")),
                            json_true());
    }
    return json_pack("{s:O,s:O,s:o}", "allowed", json_object_get(want, "allowed"),
                     "patch", json_object_get(want, "patch"), "findings", names);
}

/* --- one case --------------------------------------------------------------------------
 */

struct fixture {
    struct net_server *server;
    struct publish publish;
    struct snapshots *snapshots;
    struct health health;
    struct metrics *metrics;
    struct handlers handlers;
    struct identity *identity;
    struct net_tls *tls;
    SSL_CTX *client;
};
static struct fixture fixture;

static char *read_file(const char *name, const char *file, size_t *ret_size)
{
    char path[512];
    struct buf text;
    struct err err = {.code = ERR_NONE};
    snprintf(path, sizeof(path), FOLDER "/%s/%s", name, file);
    buf_init(&text, MAX_REVIEWS);
    if (!file_read(path, &text, &err)) {
        buf_done(&text);
        return NULL;
    }
    return buf_steal(&text, ret_size);
}

static void read_inputs(const char *name, struct manifests *manifests)
{
    static const struct cli_command command = {.name = "test_cases"};
    static const char *const files[] = {"input.yaml", "input.json"};
    size_t found = 0;
    for (size_t i = 0; i < 2; i++) {
        char path[512];
        snprintf(path, sizeof(path), FOLDER "/%s/%s", name, files[i]);
        FILE *there = fopen(path, "r");
        if (there == NULL)
            continue;
        fclose(there);
        found++;
        assert_true(manifests_read(&command, path, manifests));
    }
    assert_true(found > 0);
}

static bool is_reviewed(const json_t *json)
{
    return manifest_is(json, "admission.k8s.io/v1", "AdmissionReview") ||
           manifest_is(json, "apps/v1", "Deployment") ||
           manifest_is(json, "v1", "ConfigMap");
}

static void compare(const char *name, struct way *way, const struct manifests *manifests)
{
    size_t size;
    char *want_text = read_file(name, "want.json", &size);
    assert_non_null(want_text);
    size_t at = 0;
    for (size_t i = 0; i < manifests->count; i++) {
        if (!is_reviewed(manifests->items[i].json))
            continue;
        json_error_t error;
        json_t *want =
            json_loadb(want_text + at, size - at, JSON_DISABLE_EOF_CHECK, &error);
        assert_non_null(want);
        at += (size_t)error.position;
        json_t *expected = verdict_wanted(want);
        json_t *got = verdict_of(way, manifests->items[i].json);
        if (!json_equal(expected, got)) {
            char *left = json_dumps(expected, JSON_COMPACT);
            char *right = json_dumps(got, JSON_COMPACT);
            print_error("%s, object %zu\nwant %s\ngot  %s\n", name, i, left, right);
            mem_free(left);
            mem_free(right);
        }
        assert_true(json_equal(expected, got));
        json_decref(expected);
        json_decref(got);
        json_decref(want);
    }
    mem_free(want_text);
}

static void in_process(void **state)
{
    const char *name = *state;
    size_t size;
    char *text = read_file(name, "policy.yaml", &size);
    assert_non_null(text);
    struct policy_doc *doc = policy_doc_new(str_from(text, size), NULL);
    assert_true(doc != NULL && doc->policy != NULL);
    struct manifests manifests = {.items = NULL};
    read_inputs(name, &manifests);
    struct config_maps *maps = manifests_config_maps(&manifests, STR("nvcf"));
    struct way way = {.ask = ask_in_process, .policy = doc->policy, .config_maps = maps};
    compare(name, &way, &manifests);
    config_maps_free(maps);
    manifests_done(&manifests);
    policy_doc_free(doc);
    mem_free(text);
}

static void over_tls(void **state)
{
    const char *name = *state;
    size_t size;
    struct err err = {.code = ERR_NONE};
    char *text = read_file(name, "policy.yaml", &size);
    assert_non_null(text);
    assert_true(publish_policy(&fixture.publish, str_from(text, size), "the case",
                               PUBLISH_QUIETLY, &err));
    struct manifests manifests = {.items = NULL};
    read_inputs(name, &manifests);
    struct config_maps *maps = manifests_config_maps(&manifests, STR("nvcf"));
    assert_true(publish_config_maps_take(&fixture.publish, maps, config_maps_free, &err));
    struct way way = {.ask = ask_over_tls};
    way.peer = peer_open(fixture.client, net_server_port(fixture.server));
    assert_non_null(way.peer);
    compare(name, &way, &manifests);
    peer_close(way.peer);
    manifests_done(&manifests);
    mem_free(text);
}

/* --- all -------------------------------------------------------------------------------
 */

static int start_server(void **state)
{
    (void)state;
    struct err err = {.code = ERR_NONE};
    fixture.snapshots = snapshots_new(&err);
    fixture.metrics = metrics_new("test", "test");
    health_init(&fixture.health, fixture.snapshots);
    fixture.identity = identity_new(NULL, "localhost", "localhost");
    fixture.tls = identity_tls(fixture.identity);
    fixture.publish = (struct publish){
        .snapshots = fixture.snapshots,
        .health = &fixture.health,
        .metrics = fixture.metrics,
    };
    fixture.handlers = (struct handlers){
        .snapshots = fixture.snapshots,
        .health = &fixture.health,
        .metrics = fixture.metrics,
        .policy_namespace = STR(""),
        .policy_name = STR(""),
    };
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    const struct net_options options = {
        .listen = "127.0.0.1:0",
        .threads = 1,
        .handlers = handlers_table(&fixture.handlers),
    };
    fixture.server = net_server_start(&options, fixture.tls, &err);
    if (fixture.server == NULL)
        print_error("%s\n", err.message);
    fixture.client = peer_context("http/1.1", NULL);
    return fixture.server == NULL || fixture.client == NULL;
}

static int stop_server(void **state)
{
    (void)state;
    net_server_stop(fixture.server, 1000);
    SSL_CTX_free(fixture.client);
    net_tls_free(fixture.tls);
    identity_free(fixture.identity);
    metrics_free(fixture.metrics);
    snapshots_free(fixture.snapshots);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

int main(void)
{
    static char *names[MAX_CASES];
    static char labels[2 * MAX_CASES][128];
    static struct CMUnitTest tests[2 * MAX_CASES];
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(0);
    DIR *folder = opendir(FOLDER);
    if (folder == NULL) {
        print_error("cannot open " FOLDER ": run this from the project's root\n");
        return 1;
    }
    size_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL && count < MAX_CASES) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            names[count++] = strdup(entry->d_name);
    }
    closedir(folder);
    qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++) {
        for (size_t way = 0; way < 2; way++) {
            snprintf(labels[2 * i + way], sizeof(labels[0]), "%s %s", names[i],
                     way == 0 ? "in process" : "over TLS");
            tests[2 * i + way] = (struct CMUnitTest){
                .name = labels[2 * i + way],
                .test_func = way == 0 ? in_process : over_tls,
                .initial_state = names[i],
            };
        }
    }
    int failed =
        _cmocka_run_group_tests("cases", tests, 2 * count, start_server, stop_server);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    return failed;
}
