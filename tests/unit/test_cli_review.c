/* cli/review and cli/manifests: what `review` reads and what it does not take for read,
 * and how it says what would change. (test_cli.c has the verb's plain ways.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "tests/unit/support/verb.h"
#include "util/file.h"

#define HEAD "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\n"
#define GHCR HEAD "registries: {GHCR: {name: GitHub, hostname: ghcr.io}}\n"
#define META                                                                             \
    "metadata: {name: nvcf-api, namespace: nvcf, labels: {app.kubernetes.io/name: "      \
    "helm-nvcf-api}}\n"
#define BODY                                                                             \
    META "spec: {template: {spec: {containers: [{name: helm-nvcf-api, env: [{name: "     \
         "REMOTE_CONFIG_ENABLED, value: 'false'}]}]}}}\n"
#define DEPLOYMENT "apiVersion: apps/v1\nkind: Deployment\n" BODY
#define NOTHING    "no Deployment or ConfigMap here is a target of the policy\n"

static char directory[] = "/tmp/nrw-review-XXXXXX";
static char policy_path[64];
static char manifest_path[64];

static void expect(const char *input, int code, const char *out, const char *err)
{
    verb_expect(cli_review, "review", input, WORDS(W("-p"), policy_path), code, out, err);
}

static void expect_patched(const char *input, const char *out)
{
    verb_expect(cli_review, "review", input,
                WORDS(W("-p"), policy_path, W("-o"), W("patched")), 0, out, NULL);
}

static void write_file(char *path, const char *text)
{
    assert_true(file_write_atomic(path, text, strlen(text), 0600, NULL));
}

/* Consent is for what was read. */
static void test_other_versions(void **state)
{
    (void)state;
#define REVIEW(version)                                                                  \
    "{\"apiVersion\":\"admission.k8s.io/" version "\",\"kind\":\"AdmissionReview\","     \
    "\"request\":{\"uid\":\"u\",\"object\":{\"apiVersion\":\"apps/v1\",\"kind\":"        \
    "\"Deployment\"}}}"
    expect(REVIEW("v1beta1"), 2, "",
           "standard input: line 1: apiVersion \"admission.k8s.io/v1beta1\" is not "
           "admission.k8s.io/v1\n");
    expect(REVIEW("v2"), 2, "", "is not admission.k8s.io/v1\n");
    expect("---\napiVersion: apps/v2\nkind: Deployment\n" BODY, 2, "",
           "standard input: line 2: apiVersion \"apps/v2\" is not apps/v1\n");
    expect("apiVersion: extensions/v1beta1\nkind: Deployment\n" BODY, 2, "",
           "is not apps/v1\n");
    expect("apiVersion: v2\nkind: ConfigMap\n" META, 2, "", "\"v2\" is not v1\n");
    expect("apiVersion: apps/v1beta1\nkind: DeploymentList\nitems: []\n", 2, "",
           "is not apps/v1\n");
    expect("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n"
           "- apiVersion: apps/v2\n  kind: Deployment\n",
           2, "", "line 1: item 2 of the List: apiVersion \"apps/v2\" is not apps/v1\n");
    /* A custom resource's group has a dot and is nobody else's. */
    expect("apiVersion: example.com/v1\nkind: Deployment\n" BODY, 0, NOTHING, "");
    expect("apiVersion: batch/v1\nkind: Job\n" META, 0, NOTHING, "");
}

static void test_no_objects(void **state)
{
    (void)state;
    expect(DEPLOYMENT "---\nreplicas: 2\nimage: {tag: x}\n", 2, "",
           "standard input: line 6: no Kubernetes object: it has no apiVersion and no "
           "kind\n");
    expect("kind: Deployment\n" BODY, 2, "",
           "no Kubernetes object: it has no apiVersion\n");
    expect("apiVersion: apps/v1\nkind: ''\n" BODY, 2, "", "it has no kind\n");
    expect("apiVersion: 1\nkind: x\n" BODY, 2, "", "it has no apiVersion\n");
    expect("- a\n- b\n", 2, "", "line 1: a Kubernetes object was expected here\n");
    expect("Thank you for installing.\n", 2, "", "a Kubernetes object was expected here");
    expect("apiVersion: v1\nkind: List\nitems: {a: 1}\n", 2, "",
           "line 1: the items of the List are no list\n");
    expect("apiVersion: v1\nkind: List\n", 2, "", "the items of the List are no list\n");
    expect("apiVersion: v1\nkind: List\nitems: [7]\n", 2, "",
           "item 1 of the List: a Kubernetes object was expected here\n");
    expect(
        "apiVersion: v1\nkind: List\nitems: [{a: 1}]\n", 2, "",
        "item 1 of the List: no Kubernetes object: it has no apiVersion and no kind\n");
    expect("# Source: a\n---\n# nothing\n---\n" DEPLOYMENT, 0, "allowed, changed\n", "");
    expect("apiVersion: v1\nkind: ConfigMapList\nitems: null\n", 0, NOTHING, "");
}

/* What `kubectl get --raw` prints: only the list says what its items are. */
static void test_typed_lists(void **state)
{
    (void)state;
#define TYPED                                                                            \
    "{\"apiVersion\":\"apps/"                                                            \
    "v1\",\"kind\":\"DeploymentList\",\"metadata\":{},\"items\":["                       \
    "{\"metadata\":{\"name\":\"nvcf-api\",\"namespace\":\"nvcf\",\"labels\":{"           \
    "\"app.kubernetes.io/name\":\"helm-nvcf-api\"}},\"spec\":{\"template\":{\"spec\":{"  \
    "\"containers\":[{\"name\":\"helm-nvcf-api\"}]}}}}]}"
    expect(TYPED, 0, "Deployment nvcf/nvcf-api (NVCF): allowed, changed\n", "");
    expect_patched(TYPED, "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n");
    expect_patched("apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n",
                   "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n");
    expect("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n"
           "  items:\n  - " TYPED "\n",
           0, "allowed, changed\n", "");
    /* What only ends in List, and what is not judged, stays whole. */
    expect_patched("apiVersion: example.com/v1\nkind: IPAllowList\nmetadata:\n  name: a\n"
                   "spec: {b: c}\nitems: [{a: 1}]\n",
                   "---\napiVersion: example.com/v1\nkind: IPAllowList\nmetadata:\n"
                   "  name: a\nspec:\n  b: c\nitems:\n- a: 1\n");
    expect_patched("apiVersion: apps/v1\nkind: ReplicaSetList\nitems:\n- metadata: {}\n",
                   "---\napiVersion: apps/v1\nkind: ReplicaSetList\nitems:\n"
                   "- metadata: {}\n");
}

/* A policy without registries sets our own annotation, and nothing else. */
static void test_annotations(void **state)
{
    (void)state;
    char bare[sizeof(directory) + 16];
    snprintf(bare, sizeof(bare), "%s/bare.yaml", directory);
    assert_true(file_write_atomic(bare, HEAD, strlen(HEAD), 0600, NULL));
    char *const *words = WORDS(W("-p"), bare);
    verb_expect(cli_review, "review", DEPLOYMENT, words, 0,
                "allowed, changed\n  + annotation nvcf-registry-webhook/policy: ", "");
#define ANNOTATED(annotations)                                                           \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: nvcf, "       \
    "labels: {app.kubernetes.io/name: helm-nvcf-api}, annotations: {" annotations        \
    "}}\nspec: {template: {spec: {containers: [{name: helm-nvcf-api}]}}}\n"
    verb_expect(cli_review, "review", ANNOTATED("nvcf-registry-webhook/policy: x"), words,
                0, "  ~ annotation nvcf-registry-webhook/policy: ", NULL);
    verb_expect(cli_review, "review", ANNOTATED("nvcf-registry-webhook/injected: x"),
                words, 0, "  - annotation nvcf-registry-webhook/injected\n", NULL);
    expect(DEPLOYMENT, 0,
           "  + annotation nvcf-registry-webhook/injected: NVCF_REGISTRIES_RECOGNIZED_"
           "CONTAINER_GHCR_NAME=GitHub...\n",
           NULL);
    unlink(bare);
}

/* Standard input can be read once. */
static void test_one_standard_input(void **state)
{
    (void)state;
#define ONCE "standard input can be read only once: "
    verb_expect(cli_review, "review", GHCR, WORDS(W("-p"), W("-"), W("-")), 2, "",
                ONCE "only one of -p and FILE can be -\n");
    verb_expect(cli_review, "review", GHCR, WORDS(W("-p"), W("-")), 2, "",
                ONCE "-p is -, so give a FILE\n");
    verb_expect(cli_review, "review", DEPLOYMENT,
                WORDS(W("-p"), policy_path, W("-"), W("-")), 2, "",
                ONCE "only one FILE can be -\n");
    verb_expect(cli_lint, "lint", HEAD, WORDS(W("-"), policy_path, W("-")), 2, "",
                ONCE "only one FILE can be -\n");
    write_file(manifest_path, DEPLOYMENT);
    verb_expect(cli_review, "review", GHCR, WORDS(W("-p"), W("-"), manifest_path), 0,
                "allowed, changed\n", "");
    verb_expect(cli_lint, "lint", HEAD, WORDS(policy_path, W("-")), 0, "valid", "");
}

/* The place of what is wrong with the policy is the file's, as `lint` says it. */
static void test_policy_among_documents(void **state)
{
    (void)state;
#define CONFIG_MAP                                                                       \
    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: nvcf-registry-policy}\n"     \
    "data:\n"
    write_file(manifest_path,
               CONFIG_MAP "  policy.yaml: |\n    apiVersion: nvcf-registry-webhook/v1\n"
                          "    kind: RegistryPolicy\n    mode: x\n");
    verb_expect(cli_lint, "lint", "", WORDS(manifest_path), 1,
                "manifest.yaml:9:11: error: InvalidPolicy: mode \"x\"", "");
    verb_expect(cli_review, "review", DEPLOYMENT, WORDS(W("-"), manifest_path), 2, "",
                "manifest.yaml is no valid policy: line 9, column 11: mode \"x\"");
    verb_expect(cli_review, "review",
                CONFIG_MAP
                "  policy.yaml: \"apiVersion: nvcf-registry-webhook/v1\\nkind: "
                "RegistryPolicy\\nmode: x\\n\"\n",
                WORDS(), 2, "",
                "standard input is no valid policy: line 6, column 16: mode \"x\" is not "
                "known (line 3, column 7 of the text in policy.yaml)");
    verb_expect(cli_review, "review",
                DEPLOYMENT CONFIG_MAP
                "  policy.yaml: |\n    apiVersion: nvcf-registry-webhook/v1\n"
                "    kind: RegistryPolicy\n",
                WORDS(), 0, "allowed, changed\n", "");
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(policy_path, sizeof(policy_path), "%s/policy.yaml", directory);
    snprintf(manifest_path, sizeof(manifest_path), "%s/manifest.yaml", directory);
    write_file(policy_path, GHCR);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(policy_path);
    unlink(manifest_path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_no_objects),
        cmocka_unit_test(test_typed_lists),
        cmocka_unit_test(test_annotations),
        cmocka_unit_test(test_one_standard_input),
        cmocka_unit_test(test_policy_among_documents),
    };
    return cmocka_run_group_tests_name("cli_review", tests, set_up, tear_down);
}
