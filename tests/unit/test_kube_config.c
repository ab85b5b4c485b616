/* kubeconfig, in-cluster settings, and credentials that change on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "kube/config.h"
#include "kube/kubeconfig.h"
#include "util/file.h"
#include "util/log.h"
#include "util/mem.h"

#define CA_PEM "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n"

static const char whole[] =
    "apiVersion: v1\n"
    "kind: Config\n"
    "current-context: work\n"
    "contexts:\n"
    "- {name: home, context: {cluster: c2, user: u2}}\n"
    "- name: work\n"
    "  context: {cluster: c1, user: u1, namespace: nvcf}\n"
    "clusters:\n"
    "- name: c1\n"
    "  cluster:\n"
    "    server: https://10.0.0.1:6443/prefix/\n"
    "    certificate-authority: ca/ca.crt\n"
    "    tls-server-name: kubernetes\n"
    "- {name: c2, cluster: {server: 'https://two', insecure-skip-tls-verify: true}}\n"
    "users:\n"
    "- {name: u1, user: {token: abc, tokenFile: /run/token}}\n"
    "- name: u2\n"
    "  user:\n"
    "    client-certificate-data: >-\n"
    "      Y2Vy\n"
    "      dA==\n"
    "    client-key: key.pem\n";

static bool parse(const char *text, const char *context, struct kube_settings *settings,
                  struct err *err)
{
    struct kubeconfig_file file = {"/etc/kube/config", str_of(text)};
    return kubeconfig_parse(&file, 1, context, settings, err);
}

static void fields(void **state)
{
    (void)state;
    struct kube_settings got = {0};
    struct err err = {0};
    assert_true(parse(whole, NULL, &got, &err));
    assert_string_equal(got.server, "https://10.0.0.1:6443/prefix");
    assert_string_equal(got.ca_file, "/etc/kube/ca/ca.crt");
    assert_string_equal(got.tls_server_name, "kubernetes");
    assert_string_equal(got.token, "abc");
    assert_string_equal(got.token_file, "/run/token");
    assert_string_equal(got.name_space, "nvcf");
    assert_string_equal(got.context, "work");
    assert_string_equal(got.source, "/etc/kube/config");
    assert_false(got.insecure);
    kube_settings_done(&got);
    assert_true(parse(whole, "home", &got, &err));
    assert_string_equal(got.cert_pem, "cert");
    assert_string_equal(got.key_file, "/etc/kube/key.pem");
    assert_true(got.insecure);
    assert_null(got.name_space);
    assert_null(got.token);
    kube_settings_done(&got);
}

/* The first file that defines a name wins, and paths belong to the file they stand in. */
static void several_files(void **state)
{
    (void)state;
    static const char first[] = "clusters:\n"
                                "- {name: c1, cluster: {server: 'https://first', "
                                "certificate-authority: ca.crt}}\n";
    struct kubeconfig_file files[] = {{"/a/config", str_of(first)},
                                      {"/b/config", str_of(whole)},
                                      {"/c/config", STR("current-context: home\n")}};
    struct kube_settings got = {0};
    struct err err = {0};
    assert_true(kubeconfig_parse(files, 3, "", &got, &err));
    assert_string_equal(got.context, "work");
    assert_string_equal(got.server, "https://first");
    assert_string_equal(got.ca_file, "/a/ca.crt");
    assert_null(got.tls_server_name);
    kube_settings_done(&got);
}

#define FRAME(cluster, user)                                                             \
    "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"        \
    "clusters: [{name: c, cluster: {" cluster "}}]\nusers: [{name: u, user: {" user      \
    "}}]\n"

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } all[] = {
        {FRAME("server: 'https://a'", "exec: {command: aws}"), "`exec` of user \"u\""},
        {FRAME("server: 'https://a'", "auth-provider: {name: gcp}"), "`auth-provider`"},
        {FRAME("server: 'https://a'", "username: a, password: b"), "basic auth"},
        {FRAME("server: 'https://a'", "as: root, token: t"), "act as someone else"},
        {FRAME("server: 'https://a'", "client-certificate: c"), "without its key"},
        {FRAME("server: 'https://a'", "client-key-data: 'a*b='"), "not base64"},
        {FRAME("server: 'https://a', insecure-skip-tls-verify: true, "
               "certificate-authority: f",
               ""),
         "one of the two"},
        {FRAME("server: 'https://a', insecure-skip-tls-verify: maybe", ""),
         "must be true or false"},
        {FRAME("server: 'http://a'", "token: secret"), "in the clear"},
        {FRAME("server: 'ftp://a'", ""), "must be https://"},
        {FRAME("", ""), "has no server"},
        {"current-context: x\n", "there is no context \"x\""},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n",
         "there is no cluster \"c\""},
        {"contexts: [{name: x}]\n", "no current-context"},
        {"", "no current-context"},
        {"[1, 2]\n", "no current-context"},
        {"a: [\n", "not YAML"},
        {"a: *x\n", "not YAML"},
    };
    for (size_t i = 0; i < NRW_COUNT(all); i++) {
        struct kube_settings got = {0};
        struct err err = {0};
        assert_false(parse(all[i].text, NULL, &got, &err));
        if (strstr(err.message, all[i].says) == NULL)
            fail_msg("%zu: \"%s\" does not say \"%s\"", i, err.message, all[i].says);
        assert_null(strstr(err.message, "secret"));
        assert_null(got.server);
    }
    struct kube_settings got = {0};
    assert_true(
        parse(FRAME("server: 'https://a'", "exec: null, token: t"), NULL, &got, NULL));
    kube_settings_done(&got);
    assert_true(parse(FRAME("server: 'http://a'", ""), NULL, &got, NULL));
    kube_settings_done(&got);
}

/* No allocation that fails makes a crash, a leak or half a result. */
static void no_memory(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth < 200; nth++) {
        struct kube_settings got = {0};
        struct err err = {0};
        mem_fail_nth(nth);
        bool good = parse(whole, "home", &got, &err);
        mem_fail_nth(0);
        if (good) {
            kube_settings_done(&got);
            assert_true(nth > 5);
            return;
        }
        assert_int_equal(err.code, ERR_NOMEM);
        assert_null(got.server);
    }
    fail_msg("it never came to an end");
}

static char folder[64];

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_true(file_write_atomic(path, text, strlen(text), 0600, NULL));
}

static void drop(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/test_kube_config.XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    drop("token");
    drop("ca.crt");
    drop("namespace");
    return rmdir(folder);
}

static void has_token(struct kube_config *config, const char *want)
{
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = NULL;
    char line[128];
    snprintf(line, sizeof(line), "Authorization: Bearer %s", want);
    assert_true(kube_config_apply(config, easy, &headers, NULL));
    assert_non_null(headers);
    assert_string_equal(headers->data, line);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
}

static void in_cluster(void **state)
{
    (void)state;
    struct err err = {0};
    assert_null(kube_config_in_cluster_from("fd00::1", "443", folder, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    put("token", "first\n");
    put("ca.crt", "no pem");
    assert_null(kube_config_in_cluster_from("fd00::1", "443", folder, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "ca.crt"));
    put("ca.crt", CA_PEM);
    put("namespace", "registry\n");
    assert_null(kube_config_in_cluster_from("fd00::1", "66000", folder, &err));
    struct kube_config *config =
        kube_config_in_cluster_from("fd00::1", "443", folder, &err);
    assert_non_null(config);
    assert_string_equal(kube_config_base_url(config), "https://[fd00::1]:443");
    assert_string_equal(kube_config_namespace(config), "registry");
    has_token(config, "first");
    put("token", "second");
    has_token(config, "first"); /* not read for every request */
    kube_config_distrust(config);
    has_token(config, "second");
    kube_config_free(config);
}

/* What worked stays in use when the file is gone, empty or nonsense. */
static void last_good_stays(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    put("token", "good");
    put("ca.crt", CA_PEM);
    struct kube_config *config = kube_config_in_cluster_from("h", "1", folder, NULL);
    assert_non_null(config);
    static const char *const bad[] = {NULL, "", "  \n", "two words", "line\nbreak: x"};
    for (size_t i = 0; i < NRW_COUNT(bad); i++) {
        drop("token");
        if (bad[i] != NULL)
            put("token", bad[i]);
        kube_config_distrust(config);
        has_token(config, "good");
    }
    put("token", "better");
    kube_config_distrust(config);
    has_token(config, "better");
    kube_config_free(config);
}

static void server_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"https://u:p@host", "https://host/?a=b", "https://",
                                      "https://a b", "https://host:port"};
    for (size_t i = 0; i < NRW_COUNT(bad); i++) {
        char text[512], path[128];
        snprintf(text, sizeof(text), FRAME("server: '%s'", ""), bad[i]);
        put("token", text);
        snprintf(path, sizeof(path), "%s/token", folder);
        struct err err = {0};
        struct kube_config *config = kube_config_from_file(path, NULL, &err);
        if (config != NULL)
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(strstr(err.message, "u:p"));
    }
}

static void where_it_is_found(void **state)
{
    (void)state;
    char path[128], list[300];
    snprintf(path, sizeof(path), "%s/token", folder);
    put("token", FRAME("server: 'https://found'", "token: t"));
    snprintf(list, sizeof(list), "/nowhere/at/all::%s", path);
    setenv("KUBECONFIG", list, 1);
    struct err err = {0};
    struct kube_config *config = kube_config_find(NULL, NULL, &err);
    assert_non_null(config);
    assert_string_equal(kube_config_base_url(config), "https://found:443");
    assert_string_equal(kube_config_namespace(config), "default");
    kube_config_free(config);
    assert_null(kube_config_find("/nowhere/at/all", NULL, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    setenv("KUBECONFIG", "/nowhere/at/all", 1);
    assert_null(kube_config_find(NULL, NULL, &err));
    setenv("KUBECONFIG", "", 1);
    setenv("HOME", "/nowhere", 1);
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_null(kube_config_find(NULL, NULL, &err));
    assert_non_null(strstr(err.message, "give --kubeconfig FILE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(several_files),
        cmocka_unit_test(refusals),
        cmocka_unit_test(no_memory),
        cmocka_unit_test_setup_teardown(in_cluster, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(last_good_stays, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(server_names, make_folder, drop_folder),
        cmocka_unit_test_setup_teardown(where_it_is_found, make_folder, drop_folder),
    };
    return cmocka_run_group_tests_name("kube_config", tests, NULL, NULL);
}
