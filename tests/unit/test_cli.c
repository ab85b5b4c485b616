/* cli/: each verb as main calls it, but `lint` (test_policy_file.c): what it prints, and
 * its exit code. The decisions behind it have tests of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/serve_flags.h"
#include "tests/unit/support/verb.h"

#define R "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_"
#define POLICY                                                                           \
    "apiVersion: nvcf-registry-webhook/v1\nkind: RegistryPolicy\n"                       \
    "registries: {GHCR: {name: GitHub, hostname: ghcr.io}}\n"
#define DEPLOYMENT(env)                                                                  \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: nvcf-api, namespace: "      \
    "nvcf, "                                                                             \
    "labels: {app.kubernetes.io/name: helm-nvcf-api}}\n"                                 \
    "spec: {template: {spec: {containers: [{name: helm-nvcf-api, env: [" env             \
    "{name: REMOTE_CONFIG_ENABLED, value: 'false'}]}]}}}\n"

static char directory[] = "/tmp/nrw-cli-XXXXXX";
static char paths[8][96];

static char *in_directory(unsigned i, const char *name)
{
    snprintf(paths[i], sizeof(paths[i]), "%s/%s", directory, name);
    return paths[i];
}

static void version(void **state)
{
    (void)state;
    struct verb_run run;
    verb_expect(cli_version, "version", "", WORDS(), 0, "nvcf-registry-webhook ", "");
    verb_run(&run, cli_version, "version", "", WORDS(W("-o"), W("json")));
    json_t *json = json_loads(run.out.data, 0, NULL);
    assert_true(json_is_string(json_object_get(json, "version")));
    assert_true(json_is_string(json_object_get(json, "commit")));
    json_decref(json);
    verb_run_done(&run);
    verb_expect(cli_version, "version", "", WORDS(W("-o"), W("jsno")), 2, "",
                "use one of: text, json");
    verb_expect(cli_version, "version", "", WORDS(W("x")), 2, "",
                "unexpected argument x");
}

static void explain(void **state)
{
    (void)state;
    verb_expect(cli_explain, "explain", "",
                WORDS(W(R "GHCR_NAME=GitHub"), W(R "GHCR_HOSTNAME=ghcr.io")), 0,
                "sets hostname of container entry \"ghcr\"", "");
    verb_expect(cli_explain, "explain", "", WORDS(W(R "DOCKER_HOSTNAME=m.example")), 1,
                "error: BuiltinCollision: ", "");
    verb_expect(cli_explain, "explain", "", WORDS(W("PATH=/bin")), 0, "ignored: ", "");
    static char sources[][100] = {
        "JAVA_TOOL_OPTIONS=-Dnvcf.registries.recognized.container.docker.hostname=m.x",
        "JAVA_TOOL_OPTIONS=-Dnvct.registries.recognized.container.docker.hostname=m.x",
        "JAVA_TOOL_OPTIONS=@file",
        "SPRING_APPLICATION_JSON={}",
    };
    static const char *const verdicts[] = {
        "verdict   denied\nerror: BuiltinCollision: nvcf.",
        "verdict   denied\nerror: BuiltinCollision: nvct.",
        "verdict   allowed\nwarning: OpaqueSource: \"@file\"",
        "verdict   allowed\nwarning: OpaqueSource: SPRING_APPLICATION_JSON ",
    };
    for (size_t i = 0; i < NRW_COUNT(sources); i++) {
        verb_expect(cli_explain, "explain", "", WORDS(sources[i]), i < 2,
                    "effect    another source of properties, which the API reads\n", "");
        verb_expect(cli_explain, "explain", "", WORDS(sources[i]), i < 2, verdicts[i],
                    "");
    }
    verb_expect(cli_explain, "explain", "", WORDS(W("REMOTE_CONFIG_NAME=x")), 0,
                "effect    names the ConfigMap of the remote configuration, which "
                "outranks the environment\n",
                "");
    verb_expect(cli_explain, "explain", "", WORDS(W("SPRING_PROFILES_ACTIVE=prod")), 0,
                "    add `ncp` to the profiles\n", "");
    verb_expect(cli_explain, "explain", "", WORDS(W(R "CORP_READTIMEOUT=10s")), 1,
                "or unset " R "CORP_READTIMEOUT and what else names CORP\n", "");
    struct verb_run run;
    verb_run(&run, cli_explain, "explain", "",
             WORDS(W("-o"), W("json"), W("PATH"), W(R "NGC_CALLTIMEOUT=10s")));
    assert_int_equal(run.code, 0);
    char *second = strchr(run.out.data, '\n');
    assert_non_null(second);
    *second++ = '\0';
    for (int i = 0; i < 2; i++) {
        json_t *json = json_loads(i == 0 ? run.out.data : second, 0, NULL);
        assert_true(json_is_string(json_object_get(json, "variable")));
        assert_true(json_is_true(json_object_get(json, "allowed")));
        json_decref(json);
    }
    verb_run_done(&run);
    verb_expect(cli_explain, "explain", "", WORDS(), 2, "", "write explain NAME[=VALUE]");
    verb_expect(cli_explain, "explain", "", WORDS(W("=x")), 2, "", "write NAME=VALUE");
    verb_expect(cli_explain, "explain", "mode: x\n", WORDS(W("-p"), W("-"), W("A")), 2,
                "", "`lint` says all of it");
}

static void review(void **state)
{
    (void)state;
    FILE *file = fopen(in_directory(0, "policy.yaml"), "we");
    assert_non_null(file);
    assert_true(fputs(POLICY, file) >= 0 && fclose(file) == 0);
    char *policy = paths[0];
    verb_expect(cli_review, "review", DEPLOYMENT(""), WORDS(W("-p"), policy), 0,
                "allowed, changed\n", "");
    verb_expect(cli_review, "review", DEPLOYMENT(""),
                WORDS(W("-p"), policy, W("-o"), W("patched"), W("-")), 0,
                R "GHCR_HOSTNAME", "allowed, changed");
    verb_expect(cli_review, "review", DEPLOYMENT(""),
                WORDS(W("-p"), policy, W("-o"), W("diff")), 0, "\n+", NULL);
    verb_expect(cli_review, "review",
                DEPLOYMENT("{name: " R "DOCKER_HOSTNAME, value: m.example}, "),
                WORDS(W("-p"), policy), 1, "denied\n", "");
    struct verb_run run;
    verb_run(&run, cli_review, "review", DEPLOYMENT(""),
             WORDS(W("-p"), policy, W("-o"), W("json")));
    json_t *json = json_loads(run.out.data, 0, NULL);
    assert_true(json_is_true(json_object_get(json, "allowed")));
    assert_true(json_is_true(json_object_get(json, "changed")));
    assert_string_equal(json_string_value(json_object_get(json, "target")), "NVCF");
    assert_true(json_array_size(json_object_get(json, "patch")) > 0);
    json_decref(json);
    verb_run_done(&run);
    verb_expect(cli_review, "review", "", WORDS(W("-p"), policy), 2, "",
                "there is nothing to review");
    verb_expect(cli_review, "review", "a: [\n", WORDS(W("-p"), policy), 2, "", "line");
    verb_expect(cli_review, "review", "", WORDS(W("-p"), W("/nonexistent"), policy), 2,
                "", "cannot open /nonexistent");
    verb_expect(cli_review, "review", "", WORDS(W("-o"), W("yaml")), 2, "",
                "use one of: text, json, patched, diff");
    unlink(policy);
}

static void certs(void **state)
{
    (void)state;
    char *ca = in_directory(1, "tls/ca.crt");
    char *cert = in_directory(2, "tls/tls.crt");
    char *key = in_directory(3, "tls/tls.key");
    char *folder = in_directory(4, "tls");
    char *const *issue =
        WORDS(W("issue"), W("--dns-name"), W("a.example"), W("--out-dir"), folder);
    verb_expect(cli_certs, "certs", "", issue, 0, "for a.example", "");
    verb_expect(cli_certs, "certs", "", issue, 2, "", "give --force");
    verb_expect(cli_certs, "certs", "",
                WORDS(W("verify"), W("--ca"), ca, W("--key"), key, W("--dns-name"),
                      W("a.example"), cert),
                0, NULL, "");
    verb_expect(cli_certs, "certs", "",
                WORDS(W("verify"), W("--ca"), ca, W("--dns-name"), W("b.example"), cert),
                1, "b.example", "");
    verb_expect(cli_certs, "certs", "",
                WORDS(W("verify"), W("--ca"), ca, W("--at"), W("2001-01-01"),
                      W("--dns-name"), W("a.example"), cert),
                1, NULL, "");
    verb_expect(cli_certs, "certs", "", WORDS(W("show"), W("-o"), W("json"), cert), 0,
                "\"a.example\"", "");
    verb_expect(cli_certs, "certs", "", WORDS(W("show"), key), 2, "", NULL);
    verb_expect(cli_certs, "certs", "", WORDS(W("isue")), 2, "", "issue");
    verb_expect(cli_certs, "certs", "", WORDS(W("verify"), W("--ca"), ca, cert), 2, "",
                "--dns-name NAME");
    unlink(ca);
    unlink(cert);
    unlink(key);
    rmdir(folder);
}

static void status(void **state)
{
    (void)state;
    verb_expect(cli_status, "status", "", WORDS(W("--token-file"), W("x")), 2, "",
                "--token-file needs --nvcf-url URL");
    verb_expect(cli_status, "status", "", WORDS(W("--policy-configmap"), W("x")), 2, "",
                "write NAMESPACE/NAME");
    verb_expect(cli_status, "status", "",
                WORDS(W("--kubeconfig"), W("/nonexistent/config")), 2, "",
                "/nonexistent/config");
    verb_expect(cli_status, "status", "", WORDS(W("x")), 2, "",
                "no argument is expected");
}

/* serve's flags, without serving. */
static struct serve_flags flags;
static bool go;
static int read_flags(int argc, char **argv)
{
    return serve_flags_read(&flags, argc, argv, &go);
}

static void serve_flags(void **state)
{
    (void)state;
    char *const *good = WORDS(W("--policy-file"), W("p"), W("--tls-cert"), W("c"),
                              W("--tls-key"), W("k"), W("--threads"), W("3"),
                              W("--drain-seconds"), W("7"), W("--log-format"), W("text"));
    verb_expect(read_flags, "serve", "", good, 0, "", "");
    assert_true(go);
    assert_int_equal(flags.app.threads, 3);
    assert_int_equal(flags.log_format, LOG_FORMAT_TEXT);
    serve_flags_done(&flags);
    /* The environment says the same; a flag beats it. */
    assert_int_equal(setenv("NVCF_REGISTRY_WEBHOOK_THREADS", "2", 1), 0);
    verb_expect(read_flags, "serve", "", good, 0, "", "");
    assert_int_equal(flags.app.threads, 3);
    serve_flags_done(&flags);
    verb_expect(read_flags, "serve", "", WORDS(W("--demo")), 0, "", "");
    assert_int_equal(flags.app.threads, 2);
    serve_flags_done(&flags);
    assert_int_equal(setenv("NVCF_REGISTRY_WEBHOOK_THREADS", "many", 1), 0);
    verb_expect(read_flags, "serve", "", WORDS(W("--demo")), 2, "",
                "NVCF_REGISTRY_WEBHOOK_THREADS");
    assert_false(go);
    serve_flags_done(&flags);
    unsetenv("NVCF_REGISTRY_WEBHOOK_THREADS");
    static const struct {
        const char *flag, *value, *says;
    } wrong[] = {
        {"--threads", "0", "--threads"},
        {"--listen", "nowhere", "--listen"},
        {"--log-level", "loud", "--log-level"},
        {"--tls-secret", "noslash", "NAMESPACE/NAME"},
        {"--drain-seconds", "-1", "--drain-seconds"},
        {"--polciy-file", "x", "did you mean --policy-file?"},
    };
    for (size_t i = 0; i < NRW_COUNT(wrong); i++) {
        char flag[32], value[32];
        snprintf(flag, sizeof(flag), "%s", wrong[i].flag);
        snprintf(value, sizeof(value), "%s", wrong[i].value);
        verb_expect(read_flags, "serve", "", WORDS(W("--demo"), flag, value), 2, "",
                    wrong[i].says);
        assert_false(go);
        serve_flags_done(&flags);
    }
    verb_expect(read_flags, "serve", "", WORDS(), 2, "", "--policy-");
    serve_flags_done(&flags);
}

static void help(void **state)
{
    (void)state;
    static const struct {
        int (*verb)(int, char **);
        const char *name;
    } verbs[] = {{cli_serve, "serve"},     {cli_review, "review"},
                 {cli_explain, "explain"}, {cli_status, "status"},
                 {cli_certs, "certs"},     {cli_version, "version"}};
    for (size_t i = 0; i < NRW_COUNT(verbs); i++) {
        char usage[64];
        snprintf(usage, sizeof(usage), "Usage: nvcf-registry-webhook %s", verbs[i].name);
        verb_expect(verbs[i].verb, verbs[i].name, "", WORDS(W("--help")), 0, usage, "");
        verb_expect(verbs[i].verb, verbs[i].name, "", WORDS(W("--nonsense")), 2, "",
                    "--nonsense");
    }
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version), cmocka_unit_test(explain),
        cmocka_unit_test(review),  cmocka_unit_test(certs),
        cmocka_unit_test(status),  cmocka_unit_test(serve_flags),
        cmocka_unit_test(help),
    };
    return cmocka_run_group_tests_name("cli", tests, set_up, tear_down);
}
