/* `status` as main calls it, against an API server that says what a test wants: what is
 * printed of a cluster that is well, of one that is not, and of answers that are none.
 * With a real one: tests/integration/kube_status.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <unistd.h>

#include "certs/issue.h"
#include "cli/cli.h"
#include "kube/base64.h"
#include "policy/policy_load.h"
#include "tests/unit/support/api_server.h"
#include "tests/unit/support/verb.h"
#include "util/clock.h"
#include "util/mem.h"

#define HOOK             "/api/v1/namespaces/nvcf-registry-webhook/"
#define POLICY           "GET " HOOK "configmaps/nvcf-registry-policy"
#define SECRET           "GET " HOOK "secrets/nvcf-registry-webhook-tls"
#define PROXY            "GET " HOOK "services/https:nvcf-registry-webhook:443/proxy"
#define ADMISSION        "GET /apis/admissionregistration.k8s.io/v1/"
#define MUTATING         ADMISSION "mutatingwebhookconfigurations/nvcf-registry-webhook"
#define VALIDATING       ADMISSION "validatingwebhookconfigurations/nvcf-registry-webhook"
#define DEPLOYMENTS      "GET /apis/apps/v1/namespaces/nvcf/deployments"
#define PODS             "GET /api/v1/namespaces/nvcf/pods?labelSelector=app%3Dapi"
#define ENV_MAP          "GET /api/v1/namespaces/nvcf/configmaps/nvcf-api-env"
#define RECOGNIZED       "GET /v2/nvcf/recognized-registries"
#define V                "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_"
#define LIST(items)      "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" items "]}"
#define ENV(name, value) "{\"name\":\"" V name "\",\"value\":\"" value "\"}"
#define GHCR             ENV("GHCR_NAME", "GitHub") "," ENV("GHCR_HOSTNAME", "ghcr.io")
#define POD_SPEC(env)                                                                    \
    "{\"containers\":[{\"name\":\"helm-nvcf-api\",\"env\":[" env                         \
    "],\"envFrom\":[{\"configMapRef\":{\"name\":\"nvcf-api-env\"}}]}]}"
#define DEPLOYMENT(notes, env)                                                           \
    "{\"metadata\":{\"name\":\"nvcf-api\",\"namespace\":\"nvcf\",\"uid\":\"u\","         \
    "\"resourceVersion\":\"5\",\"annotations\":{" notes "},\"labels\":{"                 \
    "\"app.kubernetes.io/name\":\"helm-nvcf-api\"}},\"spec\":{\"selector\":{"            \
    "\"matchLabels\":{\"app\":\"api\"},\"matchExpressions\":[{\"key\":\"a\","            \
    "\"operator\":\"In\",\"values\":[\"b\",\"c\"]},{\"key\":\"d\",\"operator\":"         \
    "\"NotIn\",\"values\":[\"e\"]},{\"key\":\"f\",\"operator\":\"Exists\"},{\"key\":"    \
    "\"g\",\"operator\":\"DoesNotExist\"},{\"operator\":7}]},\"template\":{"             \
    "\"metadata\":"                                                                      \
    "{\"labels\":{\"app\":\"api\"}},\"spec\":" POD_SPEC(env) "}}}"
#define POD(phase, env)                                                                  \
    "{\"metadata\":{\"name\":\"p\",\"namespace\":\"nvcf\"},\"spec\":" POD_SPEC(          \
        env) ",\"status\":{\"phase\":\"" phase                                           \
             "\",\"startTime\":\"2026-11-24T10:00:00Z\"}}"
#define MAP(data, written)                                                               \
    "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"nvcf-api-env\",\"namespace\":"     \
    "\"nvcf\",\"resourceVersion\":\"3\",\"managedFields\":[{\"time\":\"" written         \
    "\"}]},\"data\":{" data "}}"

static const char policy_text[] = "apiVersion: nvcf-registry-webhook/v1\n"
                                  "kind: RegistryPolicy\n"
                                  "registries:\n"
                                  "  GHCR: {name: GitHub, hostname: ghcr.io}\n";

struct fixture {
    struct api_server *server;
    char kubeconfig[64], url[64];
    char hash[128];
};

static char *base64_of(struct str text)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    assert_true(base64_encode(text, &out));
    return buf_steal(&out, NULL);
}

static void put_policy(struct fixture *it, const char *text)
{
    json_t *map =
        json_pack("{s:s,s:{s:s,s:s,s:s},s:{s:s}}", "kind", "ConfigMap", "metadata",
                  "name", "nvcf-registry-policy", "namespace", "nvcf-registry-webhook",
                  "resourceVersion", "1", "data", "policy.yaml", text);
    char *body = json_dumps(map, 0);
    api_set(it->server, POLICY, 200, body);
    mem_free(body);
    json_decref(map);
}

static void put_configuration(struct fixture *it, const char *what, const char *bundle,
                              const char *name)
{
    char body[8192];
    snprintf(body, sizeof(body),
             "{\"metadata\":{\"resourceVersion\":\"1\"},\"webhooks\":[{\"name\":\"a\","
             "\"failurePolicy\":\"Ignore\",\"clientConfig\":{\"caBundle\":\"%s\","
             "\"service\":{\"name\":\"%s\",\"namespace\":\"nvcf-registry-webhook\"}}}]}",
             bundle, name);
    api_set(it->server, what, 200, body);
}

static void put_secret(struct fixture *it, struct str chain)
{
    char body[16384];
    char *text = base64_of(chain);
    snprintf(body, sizeof(body),
             "{\"metadata\":{\"resourceVersion\":\"1\"},\"data\":{\"tls.crt\":\"%s\"}}",
             text);
    api_set(it->server, SECRET, 200, body);
    mem_free(text);
}

/* A CA and a leaf of it that were issued so many seconds ago, in all places. */
static void put_certificates(struct fixture *it, int64_t ago)
{
    static const char *const names[] = {
        "nvcf-registry-webhook.nvcf-registry-webhook.svc"};
    const struct cert_request request = {.now = clock_wall_seconds() - ago,
                                         .lifetime_seconds = 3 * 86400 + 60,
                                         .dns_names = names,
                                         .dns_count = 1};
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    assert_true(cert_issue_ca(&request, &ca, NULL));
    assert_true(
        cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, NULL));
    char *bundle = base64_of(buf_view(&ca.cert));
    put_configuration(it, MUTATING, bundle, "nvcf-registry-webhook");
    put_configuration(it, VALIDATING, bundle, "nvcf-registry-webhook");
    put_secret(it, buf_view(&leaf.cert));
    mem_free(bundle);
}

/* A cluster as it should be. */
static int set_up(void **state)
{
    static struct fixture it;
    it = (struct fixture){.server = api_start()};
    snprintf(it.kubeconfig, sizeof(it.kubeconfig), "/tmp/test_status.XXXXXX");
    snprintf(it.url, sizeof(it.url), "http://127.0.0.1:%u/", api_port(it.server));
    api_kubeconfig(it.server, it.kubeconfig);
    struct policy_doc *doc = policy_doc_new(str_of(policy_text), NULL);
    snprintf(it.hash, sizeof(it.hash), "%s", doc->policy->hash);
    policy_doc_free(doc);
    char note[512], metrics[256], deployment[8192];
    snprintf(note, sizeof(note),
             "\"nvcf-registry-webhook/policy\":\"%s\",\"nvcf-registry-webhook/injected\":"
             "\"" V "GHCR_NAME=GitHub\\n" V "GHCR_HOSTNAME=ghcr.io\"",
             it.hash);
    snprintf(deployment, sizeof(deployment), LIST(DEPLOYMENT("%s", GHCR)), note);
    snprintf(metrics, sizeof(metrics),
             "a 1\nnvcf_registry_webhook_policy_info{hash=\"%s\"} 1\n", it.hash);
    put_policy(&it, policy_text);
    put_certificates(&it, 0);
    api_set(it.server, DEPLOYMENTS, 200, deployment);
    api_set(it.server, PODS, 200,
            LIST(POD("Running", GHCR) "," POD("Running", GHCR) "," POD("Pending", "")));
    api_set(it.server, ENV_MAP, 200, MAP("", "2026-11-24T09:00:00Z"));
    api_set(it.server, PROXY "/readyz", 200, "ready\n");
    api_set(it.server, PROXY "/metrics", 200, metrics);
    *state = &it;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *it = *state;
    api_stop(it->server);
    unlink(it->kubeconfig);
    return 0;
}

/* Runs it with these words; the code must be so, and each of the texts there. */
static void expect(struct fixture *it, int code, const char *const *parts,
                   char *const *words)
{
    char *all[16] = {W("--kubeconfig"), it->kubeconfig};
    for (size_t i = 0; words[i] != NULL; i++)
        all[2 + i] = words[i];
    struct verb_run run;
    verb_run(&run, cli_status, "status", "", all);
    for (size_t i = 0; parts[i] != NULL; i++) {
        if (strstr(run.out.data, parts[i]) == NULL &&
            strstr(run.err.data, parts[i]) == NULL)
            fail_msg("no \"%s\" in\n%s%s", parts[i], run.out.data, run.err.data);
    }
    if (run.code != code)
        fail_msg("code %d\n%s%s", run.code, run.out.data, run.err.data);
    verb_run_done(&run);
}

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- tests ------------------------------------------------------------------------ */

static void all_is_well(void **state)
{
    struct fixture *it = *state;
    char policy[256];
    snprintf(policy, sizeof(policy),
             "  good    policy      ConfigMap nvcf-registry-webhook/nvcf-registry-policy "
             "is valid: Inject, Enforce, 1 registry, hash %s\n",
             it->hash);
    expect(it, 0,
           PARTS("Webhook\n", policy,
                 "  good    caBundle    1 certificate, the last expires ",
                 "  good    mutating    1 webhook, failurePolicy Ignore\n",
                 "  good    validating  1 webhook, failurePolicy Ignore\n",
                 "  good    certificate Secret nvcf-registry-webhook/"
                 "nvcf-registry-webhook-tls: an API server accepts it as "
                 "nvcf-registry-webhook.nvcf-registry-webhook.svc; expires ",
                 " (3 days)\n", "  good    ready       a replica says it is ready\n",
                 "  good    in force    a replica works with this policy\n",
                 "\nDeployment nvcf/nvcf-api (NVCF): as the policy says\n"
                 "  KEY    HOSTNAME   FROM     DEPLOYMENT   PODS   API\n"
                 "  GHCR   ghcr.io    policy   yes          2/2    -\n"),
           WORDS());
    assert_int_equal(
        api_count(it->server,
                  PODS "%2Ca%20in%20%28b%2Cc%29%2Cd%20notin%20%28e%29%2Cf%2C%21g"),
        1);
    expect(it, 0,
           PARTS("{\"good\":true,\"policy\":{\"present\":true,\"valid\":true,\"hash\":\"",
                 "\"targets\":[{\"namespace\":\"nvcf\",\"name\":\"nvcf-api\",\"target\":"
                 "\"NVCF\",\"drift\":false,\"denied\":false,\"changed\":false,\"pods\":2,"
                 "\"registries\":[{\"key\":\"GHCR\",\"name\":\"GitHub\",\"hostname\":"
                 "\"ghcr.io\",\"source\":\"policy\",\"listed\":true,\"builtin\":false,"
                 "\"deployment\":\"yes\",\"foundName\":null,\"foundHostname\":null,"
                 "\"pods\":2,\"podsUncertain\":false,\"api\":null}],\"findings\":[],"
                 "\"changes\":[],\"problem\":\"\"}]}\n"),
           WORDS(W("-o"), W("json")));
}

static void nothing_is_there(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, "GET ", 404, API_STATUS("404", "NotFound", "no"));
    api_set(it->server, DEPLOYMENTS, 200, LIST(""));
    expect(
        it, 1,
        PARTS("  bad     policy      there is no ConfigMap ",
              "  bad     mutating    there is no configuration nvcf-registry-webhook\n",
              "  unknown certificate no webhook configuration names a Service\n",
              "  unknown target      no Deployment in namespace nvcf has the labels "),
        WORDS());
    expect(it, 1, PARTS("\"valid\":false,\"hash\":null,\"mode\":null", "\"targets\":[]}"),
           WORDS(W("-o"), W("json")));
}

/* What the Deployment, the pods and the API have, each otherwise than it should. */
static void drift(void **state)
{
    struct fixture *it = *state;
    char *env_map = W("\"" V "QUAY_NAME\":\"Quay\",\"" V "QUAY_HOSTNAME\":\"quay.io\"");
    char body[2048];
    snprintf(body, sizeof(body), MAP("%s", "2026-11-24T11:00:00Z"), env_map);
    api_set(it->server, ENV_MAP, 200, body);
    api_set(it->server, DEPLOYMENTS, 200,
            LIST(DEPLOYMENT("", ENV("GHCR_NAME", "GitHub") "," ENV("GHCR_HOSTNAME",
                                                                   "other.example"))));
    api_set(it->server, PODS, 200, LIST(POD("Running", GHCR) "," POD("Running", "")));
    api_set(
        it->server, RECOGNIZED, 200,
        "{\"recognizedRegistries\":{\"CONTAINER\":[{\"name\":\"Another\",\"hostname\":"
        "\"ghcr.io\"},{\"name\":\"Quay\",\"hostname\":\"quay.io\"},7]}}");
    expect(it, 1,
           PARTS("  good    api         recognises 3 container registries\n",
                 "Deployment nvcf/nvcf-api (NVCF): drift\n",
                 "  GHCR   ghcr.io    env                                      with "
                 "other.example   1/2    other name\n",
                 "  QUAY   quay.io    Helm values (nvcf-api-env), not listed   yes       "
                 "           2/2?   yes\n"),
           WORDS(W("--nvcf-url"), it->url));
    expect(it, 1,
           PARTS("\"drift\":true",
                 "\"deployment\":\"other\",\"foundName\":\"GitHub\","
                 "\"foundHostname\":\"other.example\",\"pods\":1",
                 "\"source\":\"configmap/nvcf-api-env\",\"listed\":false",
                 "\"pods\":2,"
                 "\"podsUncertain\":true,\"api\":null"),
           WORDS(W("-o"), W("json")));
    /* What the next update would set. */
    api_set(it->server, DEPLOYMENTS, 200, LIST(DEPLOYMENT("", "")));
    api_set(it->server, PODS, 403, API_FORBIDDEN("list"));
    expect(it, 1,
           PARTS("  GHCR   ghcr.io    -                                        no       ",
                 "  not looked at: not permitted to list pods", "resources: [pods]",
                 "  The next update changes:\n    + " V "GHCR_NAME=GitHub\n    + " V
                 "GHCR_HOSTNAME=ghcr.io\n"),
           WORDS());
    expect(it, 1,
           PARTS("\"changed\":true,\"pods\":null",
                 "\"changes\":[{\"op\":\"add\",\"name\":"
                 "\"" V "GHCR_NAME\",\"value\":\"GitHub\"}"),
           WORDS(W("-o"), W("json")));
}

static void what_the_webhook_lacks(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, MUTATING, 200,
            "{\"metadata\":{\"resourceVersion\":\"1\"},\"webhooks\":[]}");
    api_set(it->server, VALIDATING, 403, API_FORBIDDEN("get"));
    expect(
        it, 1,
        PARTS("  bad     mutating    0 webhooks, 0 without a caBundle, 0 with another ",
              "  unknown validating  not permitted to get validatingwebhookconfigur"),
        WORDS());
    put_certificates(it, 4 * 86400);
    expect(it, 1,
           PARTS("  bad     caBundle    1 certificate, the last expired ",
                 "  bad     certificate Secret ", "an API server does not accept it: "),
           WORDS());
    put_certificates(it, 0);
    put_configuration(it, VALIDATING, "QQ==", "nvcf-registry-webhook");
    put_secret(it, STR("no certificate"));
    expect(
        it, 1,
        PARTS("  bad     validating  1 webhooks, 0 without a caBundle, 1 with another ",
              "  bad     certificate "),
        WORDS());
    put_configuration(it, MUTATING, "!", "nvcf-registry-webhook");
    api_set(it->server, SECRET, 200, "{\"metadata\":{\"resourceVersion\":\"1\"}}");
    expect(it, 1,
           PARTS("  bad     mutating    1 webhooks, 1 without a caBundle",
                 "  bad     caBundle    of the validating configuration: ",
                 "  bad     certificate Secret nvcf-registry-webhook/"
                 "nvcf-registry-webhook-tls has no tls.crt\n"),
           WORDS());
    api_set(it->server, SECRET, 404, API_STATUS("404", "NotFound", "no"));
    expect(it, 1, PARTS("say where it is with --tls-secret"), WORDS());
    expect(
        it, 1, PARTS("  bad     certificate "),
        WORDS(W("--tls-secret"), W("nvcf-registry-webhook/nvcf-registry-webhook-tls")));
}

static void what_a_replica_says(void **state)
{
    struct fixture *it = *state;
    api_set(it->server, PROXY "/metrics", 200,
            "nvcf_registry_webhook_policy_info{hash=\"0ther\"} 1\n");
    expect(it, 1,
           PARTS("  bad     in force    a replica works with another policy, hash "
                 "0ther\n"),
           WORDS());
    static const char *const useless[] = {"", "a 1\n",
                                          "nvcf_registry_webhook_policy_info{hash=\""};
    for (size_t i = 0; i < 2; i++) {
        api_set(it->server, PROXY "/metrics", 200, useless[i]);
        expect(it, 0, PARTS("  good    ready "), WORDS());
    }
    api_set(it->server, PROXY "/metrics", 200, useless[2]);
    expect(it, 1, PARTS("another policy, hash \n"), WORDS());
    api_set(it->server, PROXY "/readyz", 503, "policy: none was accepted yet\n\n");
    expect(
        it, 1,
        PARTS("  bad     ready       a replica is not ready: policy: none was accepted "
              "yet\n"),
        WORDS());
    api_set(it->server, PROXY "/readyz", 503, "");
    expect(it, 1, PARTS("  bad     ready       a replica is not ready: \n"), WORDS());
    api_set(it->server, PROXY "/readyz", 503,
            API_STATUS("503", "ServiceUnavailable", "no endpoints available"));
    expect(it, 0,
           PARTS("  unknown ready       no replica could be asked through the API server "
                 "(HTTP 503): no endpoints available\n"),
           WORDS());
    api_set_cut(it->server, PROXY "/readyz", 200, "ready ready ready");
    expect(it, 0, PARTS("  unknown ready       cannot get "), WORDS());
}

static void what_the_policy_lacks(void **state)
{
    struct fixture *it = *state;
    put_policy(it, "mode: Nonsense\n");
    expect(it, 1,
           PARTS("  bad     policy      ConfigMap nvcf-registry-webhook/"
                 "nvcf-registry-policy is not valid: line 1"),
           WORDS());
    api_set(it->server, POLICY, 200, "{\"metadata\":{\"resourceVersion\":\"1\"}}");
    expect(it, 1, PARTS("is not valid: it has no data key policy.yaml\n"), WORDS());
    expect(it, 2, PARTS("cannot open /nowhere"),
           WORDS(W("--policy-file"), W("/nowhere")));
    api_set(it->server, POLICY, 403, API_FORBIDDEN("get"));
    expect(it, 2, PARTS("resourceNames: [nvcf-registry-policy], verbs: [get]"), WORDS());
}

/* Nothing of these is taken for a cluster without Deployments. */
static void answers_that_are_none(void **state)
{
    struct fixture *it = *state;
    static const char *const nonsense[] = {
        "{}", "[]", "<html>", "{\"items\":{}}", "{\"items\":[7]}", "{\"items\":[{}]}"};
    for (size_t i = 0; i < NRW_COUNT(nonsense); i++) {
        api_set(it->server, DEPLOYMENTS, 200, nonsense[i]);
        expect(it, 2, PARTS("the API server's answer is "), WORDS());
    }
    api_set_cut(it->server, DEPLOYMENTS, 200, LIST(DEPLOYMENT("", GHCR)));
    expect(it, 2, PARTS("cannot list deployments"), WORDS());
}

static void what_the_api_says(void **state)
{
    struct fixture *it = *state;
    static const struct {
        unsigned status;
        const char *body, *want;
    } answers[] = {
        {401, "{}", "answers HTTP 401: give --token-file with a token of scope"},
        {403, "{}", "answers HTTP 403: give --token-file with a token of scope"},
        {404, "{}", "recognized-registries answers HTTP 404\n"},
        {200, "{}", "answers HTTP 200, but no list of recognised registries\n"},
        {200, "<html>", "answers HTTP 200, but no list of recognised registries\n"},
        {200, "{\"recognizedRegistries\":{\"CONTAINER\":{}}}", "but no list of "},
    };
    for (size_t i = 0; i < NRW_COUNT(answers); i++) {
        api_set(it->server, RECOGNIZED, answers[i].status, answers[i].body);
        expect(it, 0, PARTS("  unknown api         http://127.0.0.1:", answers[i].want),
               WORDS(W("--nvcf-url"), it->url));
    }
    api_set(it->server, RECOGNIZED, 200,
            "{\"recognizedRegistries\":{\"CONTAINER\":[{\"hostname\":\"x.io\"}]}}");
    expect(it, 1, PARTS("  GHCR   ghcr.io    policy   yes          2/2    no\n"),
           WORDS(W("--nvcf-url"), it->url));
    api_set_cut(it->server, RECOGNIZED, 200, "{\"recognizedRegistries\":{}}");
    expect(it, 0, PARTS("  unknown api "), WORDS(W("--nvcf-url"), it->url));
}

static void usage(void **state)
{
    struct fixture *it = *state;
    expect(it, 2, PARTS("--policy-configmap a: write NAMESPACE/NAME"),
           WORDS(W("--policy-configmap"), W("a")));
    expect(it, 2, PARTS("--tls-secret a/b/c: write NAMESPACE/NAME"),
           WORDS(W("--tls-secret"), W("a/b/c")));
    expect(it, 2, PARTS("--token-file needs --nvcf-url"),
           WORDS(W("--token-file"), W("x")));
    expect(it, 2, PARTS("x: no argument is expected"), WORDS(W("x")));
    expect(it, 2, PARTS("-o xml"), WORDS(W("-o"), W("xml")));
    expect(it, 2, PARTS("/nowhere"), WORDS(W("--kubeconfig"), W("/nowhere")));
    expect(it, 0, PARTS("Exit codes: 0 all is as the policy says"), WORDS(W("--help")));
    assert_int_equal(api_count(it->server, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_is_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(drift, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_webhook_lacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_replica_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_policy_lacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_api_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(usage, set_up, tear_down),
    };
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(0);
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
