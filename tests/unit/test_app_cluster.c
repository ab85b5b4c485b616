/* What `serve` has from the cluster, against an API server that says what a test wants:
 * the policy that comes and goes, what readiness says, the look that confirms a denial,
 * and Events. With a real one: tests/integration and tests/e2e. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <unistd.h>

#include "admit/config_maps.h"
#include "app/admission.h"
#include "app/cluster.h"
#include "tests/unit/support/api_server.h"
#include "tests/unit/support/publish_fixture.h"
#include "util/clock.h"
#include "util/mem.h"

#define POLICIES    "/api/v1/namespaces/hook/configmaps"
#define MAPS        "/api/v1/namespaces/nvcf/configmaps"
#define EVENTS      "POST /apis/events.k8s.io/v1/namespaces/"
#define LIST(items) "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" items "]}"
#define MAP(space, name, version, data)                                                  \
    "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"" name "\",\"namespace\":\"" space \
    "\",\"uid\":\"u-1\",\"resourceVersion\":\"" version "\"},\"data\":" data "}"
#define HEAD                                                                             \
    "apiVersion: nvcf-registry-webhook/v1\\nkind: RegistryPolicy\\nregistries:\\n"
#define GOOD "{\"policy.yaml\":\"" HEAD "  GHCR: {name: GitHub, hostname: ghcr.io}\\n\"}"
#define BAD                                                                              \
    "{\"policy.yaml\":\"" HEAD "  DOCKER: {name: Mirror, hostname: m.example}\\n\"}"
#define OTHER                 "{\"policy\":\"\"}"
#define POLICY(version, data) MAP("hook", "policy", version, data)
#define EVENT(type, object)   "{\"type\":\"" type "\",\"object\":" object "}\n"

struct fixture {
    struct api_server *server;
    struct publish_fixture app;
    struct cluster *cluster;
    struct app_cluster options;
    char kubeconfig[64];
    size_t decision; /* what one in the turn may take; 0: 64 MiB */
    size_t maximum;  /* bytes of ConfigMaps that are kept; 0: 1 MiB */
};

static void on_policy(void *context, const struct policy *policy)
{
    struct fixture *it = context;
    cluster_policy_changed(it->cluster, policy);
}

static int set_up(void **state)
{
    static struct fixture it;
    it = (struct fixture){.server = api_start()};
    publish_fixture_init(&it.app, on_policy, &it);
    snprintf(it.kubeconfig, sizeof(it.kubeconfig), "/tmp/test_app_cluster.XXXXXX");
    api_kubeconfig(it.server, it.kubeconfig);
    it.options = (struct app_cluster){.policy_configmap = "hook/policy",
                                      .kubeconfig = it.kubeconfig};
    *state = &it;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *it = *state;
    cluster_free(it->cluster);
    publish_fixture_done(&it->app);
    api_stop(it->server);
    unlink(it->kubeconfig);
    return 0;
}

static bool join(struct fixture *it, struct err *err)
{
    const struct cluster_setup setup = {.options = &it->options,
                                        .publish = &it->app.publish,
                                        .health = &it->app.health,
                                        .metrics = it->app.metrics,
                                        .listen = "127.0.0.1:0",
                                        .config_maps_maximum =
                                            it->maximum > 0 ? it->maximum : 1u << 20};
    it->cluster = cluster_new(&setup, err);
    return it->cluster != NULL;
}

static void start(struct fixture *it)
{
    struct err err = {0};
    if (!join(it, &err) || !cluster_start(it->cluster, &err))
        fail_msg("%s", err.message);
}

/* The only registry's name in force, or "". */
static bool in_force(struct fixture *it, const char *name)
{
    NRW_AUTO_SNAPSHOT struct snapshot now;
    snapshots_take(it->app.snapshots, &now);
    return now.policy == NULL ? name[0] == '\0'
                              : now.policy->registry_count == 1 &&
                                    str_eq(now.policy->registries[0].name, str_of(name));
}

static bool has_maps(struct fixture *it, size_t count)
{
    NRW_AUTO_SNAPSHOT struct snapshot now;
    snapshots_take(it->app.snapshots, &now);
    size_t n = 0;
    if (now.config_maps != NULL)
        config_maps_items(now.config_maps, &n);
    return now.config_maps != NULL && n == count;
}

static bool exposes(struct fixture *it, const char *line)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 1u << 20);
    metrics_write(it->app.metrics, &out);
    return str_find(buf_view(&out), str_of(line)) < out.size;
}

/* Whether the last Event of the namespace has all of these. */
static bool told(struct fixture *it, const char *space, const char *const parts[3])
{
    char what[128];
    snprintf(what, sizeof(what), EVENTS "%s/events", space);
    char *body = api_body(it->server, what);
    bool all = true;
    for (size_t i = 0; i < 3; i++)
        all = all && strstr(body, parts[i]) != NULL;
    free(body);
    return all;
}

#define TOLD(space, ...) AWAIT(told(it, space, (const char *const[3]){__VA_ARGS__}))

static bool ready(struct fixture *it, const char *line)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    bool good = cluster_ready(it->cluster, &out);
    return good == (line[0] == '\0') &&
           str_find(buf_view(&out), str_of(line)) < out.size + (line[0] == '\0');
}

/* --- tests ------------------------------------------------------------------------ */

static void whether_and_how(void **state)
{
    struct fixture *it = *state;
    struct err err = {0};
    assert_false(cluster_wanted(&(struct app_cluster){.webhook_config = "x"}));
    assert_true(cluster_wanted(&(struct app_cluster){.policy_configmap = "a/b"}));
    assert_true(cluster_wanted(&(struct app_cluster){.tls_secret = "a/b"}));
    assert_true(cluster_wanted(&(struct app_cluster){.kubeconfig = "x"}));
    assert_true(cluster_wanted(&(struct app_cluster){.reconcile = true}));
    it->options.policy_configmap = "hook";
    assert_false(join(it, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.message, "\"hook\" is not NAMESPACE/NAME"));
    static char longest[600];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[1] = '/';
    it->options.policy_configmap = longest;
    assert_false(join(it, &err));
    longest[1] = 'a', longest[400] = '/';
    assert_false(join(it, &err));
    it->options.policy_configmap = NULL;
    it->options.kubeconfig = "/nowhere";
    err = (struct err){0};
    assert_false(join(it, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_non_null(strstr(err.message, "the cluster: "));
    it->options.kubeconfig = it->kubeconfig;
    it->options.tls_secret = "hook/tls";
    it->options.dns_names = (const char *const[]){"a_b"};
    it->options.dns_name_count = 1;
    assert_true(join(it, &err));
    assert_false(cluster_start(it->cluster, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(api_count(it->server, ""), 0);
}

static void a_policy_comes_and_goes(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
    api_set(it->server, "GET " MAPS, 200,
            LIST(MAP("nvcf", "nvcf-api-env", "2",
                     "{\"A\":\"b\"}") "," MAP("nvcf", "other", "3", "{\"A\":\"b\"}")));
    api_set(it->server, EVENTS, 201, NULL);
    start(it);
    assert_true(AWAIT(in_force(it, "GitHub")));
    assert_true(AWAIT(has_maps(it, 1))); /* of the target's namespace, what is needed */
    assert_true(AWAIT(ready(it, "")));
    assert_true(
        TOLD("hook", "\"reason\":\"Accepted\"", "\"type\":\"Normal\"", "\"u-1\""));
    assert_false(atomic_load(&it->app.health.policy_stale));
    assert_true(exposes(it, "nvcf_registry_webhook_kube_requests_total{verb=\"list\","));
    NRW_AUTO_BUF struct buf bundle;
    buf_init(&bundle, 100);
    cluster_ca_bundle(it->cluster, &bundle); /* of certificates that are not ours */
    assert_int_equal(bundle.size, 0);
}

/* Each time the last good one stays in force, and is called stale. */
static void what_is_no_policy(void **state)
{
    struct fixture *it = *state;
    static const struct {
        const char *change, *note;
    } changes[] = {
        {EVENT("MODIFIED", POLICY("11", BAD)), "is not valid, the last good one stays"},
        {EVENT("MODIFIED", POLICY("11", OTHER)), "it has no data key policy.yaml"},
        {EVENT("MODIFIED", POLICY("11", "null")), "it has no data key policy.yaml"},
        {EVENT("MODIFIED", POLICY("11", "{\"policy.yaml\":\"\"}")), "is not valid"},
        {EVENT("DELETED", POLICY("11", GOOD)), "the policy is gone, the last good one"},
    };
    for (size_t i = 0; i < NRW_COUNT(changes); i++) {
        api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
        api_set(it->server, "WATCH " POLICIES, 200, changes[i].change);
        api_set(it->server, "GET " MAPS, 200, LIST(""));
        api_set(it->server, EVENTS, 201, NULL);
        atomic_store(&it->app.health.policy_stale, false);
        start(it);
        assert_true(AWAIT(atomic_load(&it->app.health.policy_stale)));
        assert_true(in_force(it, "GitHub"));
        assert_true(TOLD("hook", "\"reason\":\"Rejected\"", "\"type\":\"Warning\"",
                         changes[i].note));
        assert_true(exposes(it, "policy_reloads_total{result=\"failure\"} "));
        cluster_free(it->cluster);
        it->cluster = NULL;
    }
    assert_true(exposes(it, "policy_reloads_total{result=\"failure\"} 5"));
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("12", GOOD)));
    api_set(it->server, "WATCH " POLICIES, 200, "");
    start(it); /* a good one is not stale */
    assert_true(AWAIT(!atomic_load(&it->app.health.policy_stale)));
}

static void without_any(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " POLICIES, 200, LIST(""));
    api_set(it->server, EVENTS, 201, NULL);
    start(it);
    assert_true(TOLD("hook", "there is no policy yet, and requests are refused",
                     "\"Rejected\"", "\"kind\":\"ConfigMap\""));
    assert_true(in_force(it, ""));
    assert_true(atomic_load(&it->app.health.policy_stale));
}

/* What is not known is not ready, and says what is missing. */
static void readiness(void **state)
{
    struct fixture *it = *state;
    static const char *const names[] = {"hook.hook.svc"};
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
    api_set(it->server, "GET " MAPS, 403,
            API_FORBIDDEN("list resource \\\"configmaps\\\" in API group \\\"\\\""));
    api_set(it->server, "GET /api/v1/namespaces/hook/secrets/tls", 403,
            API_FORBIDDEN("get resource \\\"secrets\\\" in API group \\\"\\\""));
    it->options.tls_secret = "hook/tls";
    it->options.dns_names = names;
    it->options.dns_name_count = 1;
    start(it);
    assert_true(AWAIT(ready(it, "resources: [configmaps], verbs: [list")));
    assert_true(
        AWAIT(ready(it, "configmaps: the targets' namespaces are not listed yet: ")));
    assert_true(AWAIT(
        ready(it, "certificate: none is served yet: not permitted to get secrets \"tls\" "
                  "in namespace \"hook\"")));
    assert_false(has_maps(it, 0)); /* what is missing is not absent */
    assert_int_equal(cluster_clock_ahead(it->cluster) / 5, 0);
}

/* --- the live look ---------------------------------------------------------------- */

static struct config_maps *known_maps(const char *text)
{
    struct config_maps *maps = config_maps_new();
    json_t *map = json_loads(text, 0, NULL);
    assert_true(config_maps_add(maps, STR("nvcf"), map));
    json_decref(map);
    return maps;
}

static struct config_maps *look(struct cluster *cluster, const struct config_maps *known,
                                struct str name_space, const struct str *names,
                                size_t count)
{
    struct cluster_look first = {.bytes_maximum = 1u << 20, .weight_maximum = 1u << 20};
    return cluster_confirm(cluster, &first, known, name_space, names, count);
}

static void a_denial_is_confirmed(void **state)
{
    struct fixture *it = *state;
    struct err err = {0};
    assert_true(join(it, &err));
    NRW_AUTO_CONFIG_MAPS struct config_maps *known =
        known_maps(MAP("nvcf", "a-env", "1", "{\"A\":\"old\"}"));
    const struct str names[] = {STR("gone"), STR("a-env")};
    const char *get = "GET " MAPS "/a-env";
    api_set(it->server, get, 200, MAP("nvcf", "a-env", "2", "{\"A\":\"new\"}"));
    struct config_maps *fresh = look(it->cluster, known, STR("nvcf"), names, 2);
    assert_non_null(fresh);
    const struct config_map *map = config_maps_find(fresh, STR("nvcf"), STR("a-env"));
    assert_int_equal(map->data_count, 1);
    assert_true(str_eq(map->data[0].value, STR("new")));
    config_maps_free(fresh);
    static const char *const no_news[] = {
        MAP("nvcf", "a-env", "2", "{\"A\":\"old\"}"),
        "{}",
        "[]",
        "<html>a proxy</html>",
        "{\"metadata\":{\"name\":\"a-env\",\"namespace\":\"nvcf\"}}",
    };
    for (size_t i = 0; i < NRW_COUNT(no_news); i++) {
        api_set(it->server, get, 200, no_news[i]);
        fresh = look(it->cluster, known, STR("nvcf"), names, 2);
        if (fresh != NULL)
            fail_msg("taken: %s", no_news[i]);
    }
    api_set(it->server, get, 403, API_FORBIDDEN("get"));
    assert_null(look(it->cluster, known, STR("nvcf"), names, 2));
    api_set_silent(it->server, get);
    int64_t since = clock_mono_millis();
    assert_null(look(it->cluster, known, STR("nvcf"), names, 2));
    assert_in_range(clock_mono_millis() - since, 400, 1500); /* the time of a request */
    /* Names that none can have, and none at all. */
    static char longest[300];
    memset(longest, 'a', sizeof(longest) - 1);
    const struct str endless[] = {str_of(longest)};
    assert_null(look(it->cluster, known, STR("nvcf"), endless, 1));
    assert_null(look(it->cluster, known, endless[0], names, 2));
    assert_null(look(it->cluster, NULL, STR("nvcf"), NULL, 0));
    api_set(it->server, get, 200, MAP("nvcf", "a-env", "2", "{\"A\":\"new\"}"));
    for (unsigned long k = 1; k < 60; k++) { /* never something in between */
        mem_fail_nth(k);
        fresh = look(it->cluster, known, STR("nvcf"), names, 2);
        mem_fail_nth(0);
        map = fresh != NULL ? config_maps_find(fresh, STR("nvcf"), STR("a-env")) : NULL;
        assert_true(fresh == NULL ||
                    (map->data_count == 1 && str_eq(map->data[0].value, STR("new"))));
        config_maps_free(fresh);
    }
}

/* --- what the cache does not keep ------------------------------------------------- */

#define DOCKER     "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_DOCKER_HOSTNAME"
#define FROM(name) "{\"configMapRef\":{\"name\":\"" name "\"}}"
#define TAKEOVER                                                                         \
    "{\"x.yaml\":\"nvcf: {registries: {recognized: {container: {docker: "                \
    "{hostname: m.example}}}}}\"}"

static const char *answered(struct fixture *it, enum admit_endpoint endpoint,
                            const char *body)
{
    static struct handlers handlers;
    handlers = (struct handlers){.snapshots = it->app.snapshots,
                                 .decision = it->decision > 0 ? it->decision : 64u << 20,
                                 .health = &it->app.health,
                                 .metrics = it->app.metrics,
                                 .cluster = it->cluster};
    struct net_request request = {.method = NET_POST, .body = str_of(body)};
    struct net_response response = {.status = 200};
    buf_init(&response.body, 1u << 20);
    request.since = clock_mono_nanos();
    enum net_handled handled = admission_answer(&handlers, endpoint, &request, &response);
    for (int i = 0; handled != NET_ANSWERED; i++) { /* as the server does */
        assert_true(i < 2);
        request.aside = true;
        request.aside_long = handled == NET_LONG;
        handled = admission_answer(&handlers, endpoint, &request, &response);
    }
    struct str text = buf_view(&response.body);
    bool allowed = str_find(text, STR("\"allowed\":true")) < text.n;
    bool denied = str_find(text, STR("\"allowed\":false")) < text.n;
    bool collides = str_find(text, STR("BuiltinCollision")) < text.n;
    bool opaque = str_find(text, STR("OpaqueSource")) < text.n;
    bool patched = str_find(text, STR("JSONPatch")) < text.n;
    buf_done(&response.body);
    assert_true(allowed != denied && patched == (allowed && endpoint == ADMIT_MUTATE));
    if (denied)
        return collides ? "collision" : opaque ? "denied: opaque" : "denied";
    return opaque ? "opaque" : "yes";
}

static const char *allowed_by(struct fixture *it, const char *env, const char *env_from)
{
    static char body[8192];
    snprintf(body, sizeof(body),
             "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
             "\"request\":{\"uid\":\"1\",\"kind\":{\"group\":\"apps\",\"version\":\"v1\","
             "\"kind\":\"Deployment\"},\"namespace\":\"nvcf\",\"name\":\"nvcf-api\","
             "\"operation\":\"CREATE\",\"object\":{\"apiVersion\":\"apps/v1\",\"kind\":"
             "\"Deployment\",\"metadata\":{\"name\":\"nvcf-api\",\"namespace\":\"nvcf\","
             "\"labels\":{\"app.kubernetes.io/name\":\"helm-nvcf-api\"}},\"spec\":"
             "{\"template\":{\"spec\":{\"containers\":[{\"name\":\"helm-nvcf-api\","
             "\"env\":[%s],\"envFrom\":[%s]}]}}}}}}",
             env, env_from);
    return answered(it, ADMIT_MUTATE, body);
}

/* With these in the cache. */
static void start_with(struct fixture *it, const char *list, size_t count)
{
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
    api_set(it->server, "GET " MAPS, 200, list);
    api_set(it->server, "GET " MAPS "/", 404, API_STATUS("404", "NotFound", "none"));
    api_set(it->server, EVENTS, 201, NULL);
    start(it);
    assert_true(AWAIT(has_maps(it, count)));
}

#define LOOKED(it) api_count((it)->server, "GET " MAPS "/")

static void what_is_not_kept_is_looked_at(void **state)
{
    struct fixture *it = *state;
    const char *get = "GET " MAPS "/extra";
    start_with(it, LIST(MAP("nvcf", "nvcf-api-env", "2", "{\"A\":\"b\"}")), 1);
    assert_string_equal(allowed_by(it, "", FROM("nvcf-api-env")), "yes");
    assert_int_equal(LOOKED(it), 0); /* all is known: not a call */
    api_set(it->server, get, 200,
            MAP("nvcf", "extra", "2", "{\"" DOCKER "\":\"m.example\"}"));
    assert_string_equal(allowed_by(it, "", FROM("extra")), "collision");
    assert_int_equal(api_count(it->server, get), 1); /* by the denial, not again */
    assert_string_equal(allowed_by(it, "", FROM("nvcf-api-env") "," FROM("extra")),
                        "collision");
    assert_int_equal(api_count(it->server, "GET " MAPS "/nvcf-api-env"), 1);
    /* A variable from it, that matters or not. */
    size_t before = LOOKED(it);
    assert_string_equal(allowed_by(it,
                                   "{\"name\":\"A\",\"valueFrom\":{\"configMapKeyRef\":"
                                   "{\"name\":\"extra\",\"key\":\"" DOCKER "\"}}}",
                                   ""),
                        "yes");
    assert_int_equal(LOOKED(it), before);
    assert_string_equal(allowed_by(it,
                                   "{\"name\":\"" DOCKER "\",\"valueFrom\":"
                                   "{\"configMapKeyRef\":{\"name\":\"extra\",\"key\":"
                                   "\"" DOCKER "\"}}}",
                                   ""),
                        "collision");
    /* What says nothing, what is not there, what may not be read. */
    api_set(it->server, get, 200, MAP("nvcf", "extra", "2", "{\"A\":\"b\"}"));
    assert_string_equal(allowed_by(it, "", FROM("extra")), "yes");
    assert_string_equal(allowed_by(it, "", FROM("gone")), "opaque");
    api_set(it->server, get, 403, API_FORBIDDEN("get"));
    assert_string_equal(allowed_by(it, "", FROM("extra")), "opaque");
    /* Too large, and too late. */
    api_set_huge(it->server, get, 200,
                 MAP("nvcf", "extra", "2", "{\"" DOCKER "\":\"m.example\"}"), 5u << 20);
    assert_string_equal(allowed_by(it, "", FROM("extra")), "denied: opaque");
    api_set_silent(it->server, get);
    int64_t since = clock_mono_millis();
    assert_string_equal(allowed_by(it, "", FROM("extra") "," FROM("gone")), "opaque");
    assert_in_range(clock_mono_millis() - since, 400, 1500);
}

/* Of so many empty keys, and what matters beside them. */
static char *of_many_keys(const char *name, size_t count)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 4u << 20);
    buf_printf(&out,
               "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
               "\"nvcf\",\"resourceVersion\":\"2\"},\"data\":{\"" DOCKER
               "\":\"m.example\"",
               name);
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, ",\"k%zu\":\"\"", i);
    buf_text(&out, "}}");
    return buf_steal(&out, NULL);
}

/* Whoever could put a registry past the policy by what is beside it would. */
static void what_is_too_heavy_is_denied(void **state)
{
    struct fixture *it = *state;
    const char *get = "GET " MAPS "/extra";
    start_with(it, LIST(""), 0);
    char *heavy = of_many_keys("extra", 45000);
    api_set(it->server, get, 200, heavy);
    assert_string_equal(allowed_by(it, "", FROM("extra")), "collision");
    it->decision = 4u << 20;
    assert_string_equal(allowed_by(it, "", FROM("extra")), "denied: opaque");
    assert_string_equal(allowed_by(it, "", FROM("gone") "," FROM("extra")),
                        "denied: opaque");
    mem_free(heavy);
}

/* A ConfigMap that names the remote configuration, which is looked at then; and a known
 * one that a denial rests on beside it. */
static void one_look_leads_to_the_next(void **state)
{
    struct fixture *it = *state;
    start_with(it, LIST(MAP("nvcf", "nvcf-api-env", "2", "{\"" DOCKER "\":\"m\"}")), 1);
    api_set(it->server, "GET " MAPS "/extra", 200,
            MAP("nvcf", "extra", "2", "{\"REMOTE_CONFIG_NAME\":\"special\"}"));
    api_set(it->server, "GET " MAPS "/special", 200,
            MAP("nvcf", "special", "2", TAKEOVER));
    assert_string_equal(allowed_by(it, "", FROM("extra")), "collision");
    assert_string_equal(allowed_by(it,
                                   "{\"name\":\"REMOTE_CONFIG_NAME\",\"valueFrom\":"
                                   "{\"configMapKeyRef\":{\"name\":\"extra\",\"key\":"
                                   "\"REMOTE_CONFIG_NAME\"}}}",
                                   ""),
                        "collision");
    assert_int_equal(api_count(it->server, "GET " MAPS "/special"), 4);
    assert_int_equal(api_count(it->server, "GET " MAPS "/special-ncp"), 2);
    api_set(it->server, "GET " MAPS "/special", 200,
            MAP("nvcf", "special", "2", "{\"a\":\"b\"}"));
    api_set(it->server, "GET " MAPS "/nvcf-api-env", 200,
            MAP("nvcf", "nvcf-api-env", "3", "{\"A\":\"b\"}"));
    assert_string_equal(allowed_by(it, "", FROM("nvcf-api-env") "," FROM("extra")),
                        "yes");
}

#define REMOTE(name) "{\"name\":\"REMOTE_CONFIG_NAME\",\"value\":\"" name "\"}"
#define SIBLING      "nvcf-api-remote-config-ncp"

/* That it is not in the cache means that it is not there; where the cache would not keep
 * it, it is looked for. */
static void a_profile_has_a_sibling(void **state)
{
    struct fixture *it = *state;
    const char *env = REMOTE("nvcf-api-remote-config");
    const char *get = "GET " MAPS "/" SIBLING;
    start_with(it, LIST(MAP("nvcf", "nvcf-api-remote-config", "2", "{\"a\":\"b\"}")), 1);
    assert_string_equal(allowed_by(it, env, ""), "yes");
    assert_int_equal(LOOKED(it), 0);
    api_set(it->server, "GET " MAPS "/special", 200,
            MAP("nvcf", "special", "2", "{\"a\":\"b\"}"));
    api_set(it->server, "GET " MAPS "/special-ncp", 404, "{}");
    assert_string_equal(allowed_by(it, REMOTE("special"), ""), "yes");
    api_set(it->server, "GET " MAPS "/special-ncp", 200,
            MAP("nvcf", "special-ncp", "2", TAKEOVER));
    assert_string_equal(allowed_by(it, REMOTE("special"), ""), "collision");
    cluster_free(it->cluster);
    it->cluster = NULL;
    start_with(it,
               LIST(MAP("nvcf", "nvcf-api-remote-config", "2",
                        "{\"a\":\"b\"}") "," MAP("nvcf", SIBLING, "2", TAKEOVER)),
               2);
    assert_string_equal(allowed_by(it, env, ""), "collision");
    assert_int_equal(api_count(it->server, get), 1); /* the denial was confirmed */
    api_set(it->server, get, 200, MAP("nvcf", SIBLING, "3", "{\"a\":\"b\"}"));
    assert_string_equal(allowed_by(it, env, ""), "yes");
}

/* A sibling of that text is made, of which the base has a fault that does not count. */
static const char *sibling_by(struct fixture *it, const char *yaml)
{
    char body[2048];
    snprintf(body, sizeof(body),
             "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
             "\"request\":{\"uid\":\"1\",\"kind\":{\"group\":\"\",\"version\":\"v1\","
             "\"kind\":\"ConfigMap\"},\"namespace\":\"nvcf\",\"name\":\"" SIBLING "\","
             "\"operation\":\"CREATE\",\"object\":" MAP("nvcf", SIBLING, "1",
                                                        "{\"a.yaml\":\"%s\"}") "}}",
             yaml);
    return answered(it, ADMIT_VALIDATE, body);
}

#define NONE "spring.cloud.config.override-none: "
#define LAST                                                                             \
    "{\"x.yaml\":\"nvcf.registries.recognized.container.docker.hostname: "               \
    "m.example\\n" NONE "true\"}"

/* Whoever fills the cache leads no sibling past the base that is left out of it. */
static void a_base_that_is_left_out_is_looked_at(void **state)
{
    struct fixture *it = *state;
    const char *get = "GET " MAPS "/nvcf-api-remote-config";
    const char *list = LIST(MAP("nvcf", "nvcf-api-remote-config", "2", LAST));
    start_with(it, list, 1);
    assert_string_equal(sibling_by(it, NONE "false"), "collision");
    assert_int_equal(LOOKED(it), 0);
    cluster_free(it->cluster);
    it->cluster = NULL;
    it->maximum = 1;
    start_with(it, list, 0);
    api_set(it->server, get, 200, MAP("nvcf", "nvcf-api-remote-config", "2", LAST));
    assert_string_equal(sibling_by(it, NONE "false"), "collision");
    assert_int_equal(LOOKED(it), 1);
    assert_string_equal(sibling_by(it, "x: 1"), "yes");
    api_set_huge(it->server, get, 200, MAP("nvcf", "nvcf-api-remote-config", "2", LAST),
                 5u << 20);
    assert_string_equal(sibling_by(it, NONE "false"), "denied");
    assert_string_equal(sibling_by(it, "x: 1"), "yes");
    api_set(it->server, get, 404, API_STATUS("404", "NotFound", "none"));
    assert_string_equal(sibling_by(it, NONE "false"), "yes");
}

static bool whole(struct fixture *it)
{
    NRW_AUTO_SNAPSHOT struct snapshot now;
    snapshots_take(it->app.snapshots, &now);
    return config_maps_is_whole(now.config_maps);
}

/* So many are there, none of which is kept, and then none. */
static void come_and_go(struct fixture *it, size_t count)
{
    NRW_AUTO_BUF struct buf list;
    buf_init(&list, 1u << 20);
    buf_text(&list, "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[");
    for (size_t i = 0; i < count; i++)
        buf_printf(&list,
                   "%s{\"metadata\":{\"name\":\"m%zu-env\",\"namespace\":\"nvcf\","
                   "\"uid\":\"u\",\"resourceVersion\":\"1\"}}",
                   i > 0 ? "," : "", i);
    assert_true(buf_text(&list, "]}"));
    cluster_free(it->cluster);
    it->maximum = 1;
    /* Each watch ends at once in another list. */
    api_set(it->server, "WATCH " MAPS, 410, API_STATUS("410", "Expired", "too old"));
    start_with(it, list.data, 0);
    assert_true(AWAIT(!whole(it)));
    api_set(it->server, "GET " MAPS, 200, LIST(""));
    size_t lists = api_count(it->server, "GET " MAPS);
    assert_true(AWAIT(api_count(it->server, "GET " MAPS) > lists + 1));
}

/* Of those that were left out only so many names are remembered: beyond that it is not
 * believed that all of them are gone. */
static void what_was_left_out_is_remembered(void **state)
{
    struct fixture *it = *state;
    come_and_go(it, 1000);
    assert_true(AWAIT(whole(it)));
    come_and_go(it, 1001);
    assert_false(whole(it));
}

static void only_so_many_are_looked_at(void **state)
{
    struct fixture *it = *state;
    char many[4096] = "";
    start_with(it, LIST(""), 0);
    for (unsigned i = 0; i < 20; i++) {
        size_t n = strlen(many);
        snprintf(many + n, sizeof(many) - n, "%s" FROM("m-%u") "," FROM("m-0"),
                 i > 0 ? "," : "", i);
    }
    assert_string_equal(allowed_by(it, "", many), "opaque");
    assert_int_equal(LOOKED(it), 16);
    api_set(it->server, "GET " MAPS "/m-15", 200,
            MAP("nvcf", "m-15", "2", "{\"" DOCKER "\":\"m.example\"}"));
    assert_string_equal(allowed_by(it, "", many), "collision");
    assert_int_equal(LOOKED(it), 32);
    assert_int_equal(api_count(it->server, "GET " MAPS "/m-16"), 0);
}

/* --- Events ----------------------------------------------------------------------- */

static void tell(struct fixture *it, struct admit_outcome *outcome, enum finding_id id)
{
    NRW_AUTO_ARENA struct arena arena;
    arena_init(&arena, 1u << 16);
    outcome->findings = (struct findings){.list = {.items = NULL}};
    assert_non_null(findings_add(&arena, &outcome->findings, id, SEVERITY_INFO));
    cluster_tell(it->cluster, outcome);
}

static void admissions_are_told(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET " POLICIES, 200, LIST(POLICY("1", GOOD)));
    api_set(it->server, "GET " MAPS, 200, LIST(""));
    api_set(it->server, EVENTS, 201, NULL);
    start(it);
    struct admit_outcome outcome = {.kind = STR("Deployment"),
                                    .name_space = STR("nvcf"),
                                    .name = STR("nvcf-api"),
                                    .object_uid = STR("u-7"),
                                    .allowed = true,
                                    .changed = true,
                                    .message = STR("no such registry")};
    outcome.dry_run = true;
    tell(it, &outcome, FINDING_MISSING_REGISTRY);
    outcome.dry_run = false;
    outcome.kind = STR("ConfigMap");
    tell(it, &outcome, FINDING_MISSING_REGISTRY);
    outcome.kind = STR("Deployment");
    outcome.changed = false;
    tell(it, &outcome, FINDING_MISSING_REGISTRY);
    outcome.changed = true;
    tell(it, &outcome, FINDING_UNLISTED_REGISTRY); /* only the annotation is new */
    tell(it, &outcome, FINDING_MISSING_REGISTRY);
    assert_true(TOLD("nvcf", "\"Injected\"", "\"type\":\"Normal\"", "\"u-7\""));
    assert_int_equal(api_count(it->server, EVENTS "nvcf/"), 1);
    tell(it, &outcome, FINDING_REMOVED_REGISTRY);
    assert_true(TOLD("nvcf", "\"Removed\"", "no longer lists", "\"nvcf-api\""));
    outcome.allowed = false;
    tell(it, &outcome, FINDING_UNLISTED_REGISTRY);
    assert_true(TOLD("nvcf", "\"Denied\"", "\"type\":\"Warning\"", "no such registry"));
    assert_int_equal(api_count(it->server, EVENTS "nvcf/"), 3);
}

static void allocations_fail(void **state)
{
    struct fixture *it = *state;
    it->options.reconcile = true;
    unsigned refused = 0;
    bool good = false;
    for (unsigned long k = 1; !good && k < 200; k++) {
        struct err err = {0};
        mem_fail_nth(k);
        good = join(it, &err);
        mem_fail_nth(0);
        refused += !good;
        assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
    }
    assert_in_range(refused, 20, 100);
    cluster_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whether_and_how, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_policy_comes_and_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_policy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_any, set_up, tear_down),
        cmocka_unit_test_setup_teardown(readiness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_denial_is_confirmed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_kept_is_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_heavy_is_denied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_look_leads_to_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_profile_has_a_sibling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_that_is_left_out_is_looked_at, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_left_out_is_remembered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_so_many_are_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(admissions_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(allocations_fail, set_up, tear_down),
    };
    if (!api_tests_begin())
        return 1;
    return cmocka_run_group_tests_name("app_cluster", tests, NULL, NULL);
}
