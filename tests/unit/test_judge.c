/* judge_object(): a profile's sibling of a remote configuration, beside the base that is
 * known; what one of the two says of the place of both. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "admit/config_maps.h"
#include "admit/judge.h"
#include "policy/policy_load.h"

static const char policy_text[] = "apiVersion: nvcf-registry-webhook/v1\n"
                                  "kind: RegistryPolicy\n"
                                  "registries:\n"
                                  "  GHCR: {name: GitHub, hostname: ghcr.io}\n";

#define BASE     "nvcf-api-remote-config"
#define SIBLING  BASE "-ncp"
#define TAKEOVER "nvcf.registries.recognized.container.docker.hostname: m.example\n"
#define NONE     "spring.cloud.config.override-none: "

static json_t *config_map(const char *name, const char *yaml)
{
    return json_pack("{s:s,s:s,s:{s:s,s:s},s:{s:s}}", "apiVersion", "v1", "kind",
                     "ConfigMap", "metadata", "name", name, "namespace", "nvcf", "data",
                     "a.yaml", yaml);
}

static char told[4096]; /* messages and advice of the last one */
static bool some;       /* the cache has left some out */
static bool beyond;     /* what was to be read live is too large */
static char noted[256]; /* what the last one would have read live */

/* Is the ConfigMap let through, with that one known? `old`, `base`: NULL for none. */
static bool allowed(const char *name, const char *new, const char *old, const char *base)
{
    NRW_AUTO_POLICY_DOC struct policy_doc *doc =
        policy_doc_new(str_of(policy_text), NULL);
    NRW_AUTO_CONFIG_MAPS struct config_maps *known = config_maps_new();
    assert_true(doc != NULL && doc->policy != NULL && known != NULL);
    if (some)
        config_maps_are_some(known);
    if (base != NULL) {
        json_t *object = config_map(BASE, base);
        assert_true(config_maps_add(known, STR("nvcf"), object));
        json_decref(object);
    }
    json_t *root =
        json_pack("{s:s,s:s,s:{s:s,s:{s:s,s:s,s:s},s:s,s:s,s:s,s:o,s:o}}", "apiVersion",
                  "admission.k8s.io/v1", "kind", "AdmissionReview", "request", "uid", "u",
                  "kind", "group", "", "version", "v1", "kind", "ConfigMap", "name", name,
                  "namespace", "nvcf", "operation", old != NULL ? "UPDATE" : "CREATE",
                  "object", config_map(name, new), "oldObject",
                  old != NULL ? config_map(name, old) : json_null());
    NRW_AUTO_REVIEW struct review review;
    NRW_AUTO_ARENA struct arena arena;
    NRW_AUTO_JUDGED struct judged judged;
    arena_init(&arena, 64u << 20);
    assert_true(review_from_json(root, &review, NULL));
    json_decref(root);
    const struct admit_input input = {.endpoint = ADMIT_VALIDATE,
                                      .policy = doc->policy,
                                      .policy_namespace = STR(""),
                                      .policy_name = STR(""),
                                      .config_maps = known,
                                      .config_maps_beyond = beyond};
    assert_true(judge_object(&arena, &input, &review, &judged, NULL));
    assert_true(judged.config_map_count <= 1);
    struct str first = judged.config_map_count > 0 ? judged.config_map_names[0] : STR("");
    snprintf(noted, sizeof(noted), "%.*s", STR_ARG(first));
    told[0] = '\0';
    for (size_t i = 0; i < findings_count(&judged.decision.findings); i++) {
        const struct finding *finding = findings_at(&judged.decision.findings, i);
        size_t n = strlen(told);
        snprintf(told + n, sizeof(told) - n, "%.*s\n%.*s\n", STR_ARG(finding->message),
                 STR_ARG(finding->advice));
    }
    return judged.decision.allowed;
}

static void sibling_moves_what_is_there(void **state)
{
    (void)state;
    /* What the base has always had counts now, or may. */
    assert_false(allowed(SIBLING, NONE "false\n", NULL, TAKEOVER NONE "true\n"));
    assert_false(allowed(SIBLING, NONE "false\n", "x: 1\n", TAKEOVER NONE "true\n"));
    assert_false(allowed(SIBLING, "x: 1\n", NONE "true\n", TAKEOVER));
    assert_false(allowed(SIBLING, "spring.profiles: x\n" NONE "true\n", "x: 1\n",
                         TAKEOVER NONE "true\n"));
    /* It counts as before, or less. */
    assert_true(allowed(SIBLING, NONE "true\n", "x: 1\n", TAKEOVER NONE "true\n"));
    assert_true(allowed(SIBLING, NONE "true\n", NULL, TAKEOVER));
    assert_true(allowed(SIBLING, "x: 2\n", "x: 1\n", TAKEOVER));
    /* There is nothing to move. */
    assert_true(allowed(SIBLING, NONE "false\n", "x: 1\n", "x: 1\n" NONE "true\n"));
    assert_true(allowed(SIBLING, NONE "false\n", NULL, NULL));
}

/* Whatever it says of its place: another one may take that back. */
static void nobody_is_excused_by_a_place(void **state)
{
    (void)state;
    assert_false(allowed(BASE, TAKEOVER NONE "true\n", NULL, NULL));
    assert_false(allowed(SIBLING, TAKEOVER NONE "true\n", NULL, "x: 1\n"));
    assert_false(allowed(SIBLING, TAKEOVER, NULL, NONE "true\n"));
    assert_false(allowed(BASE, TAKEOVER NONE "true\n", NONE "true\n", NULL));
    /* What was there before is nobody's fault, but it moves no further up. */
    assert_true(
        allowed(BASE, TAKEOVER NONE "true\nx: 2\n", TAKEOVER NONE "true\n", NULL));
    assert_true(allowed(BASE, TAKEOVER NONE "true\n", TAKEOVER, NULL));
    assert_false(allowed(BASE, TAKEOVER, TAKEOVER NONE "true\n", NULL));
    assert_false(allowed(BASE, TAKEOVER,
                         TAKEOVER "---\nspring.profiles: x\n" NONE "true\n", NULL));
}

/* That the cache left it out does not make it absent. */
static void a_base_that_is_not_known(void **state)
{
    (void)state;
    assert_true(allowed(SIBLING, NONE "false\n", "x: 1\n", NULL));
    assert_string_equal(noted, ""); /* all are known: it is not there */
    some = true;
    assert_true(allowed(SIBLING, NONE "false\n", "x: 1\n", NULL));
    assert_string_equal(noted, BASE);
    assert_true(allowed(SIBLING, NONE "false\n", NULL, NULL));
    assert_string_equal(noted, BASE);
    assert_true(allowed(SIBLING, NONE "false\n", NULL, "x: 1\n"));
    assert_string_equal(noted, ""); /* it is known */
    assert_true(allowed(SIBLING, NONE "false\n", NONE "false\n", NULL));
    assert_string_equal(noted, ""); /* nothing changes */
    assert_true(allowed(BASE, NONE "false\n", "x: 1\n", NULL));
    assert_true(allowed("a-env", "x: 2\n", "x: 1\n", NULL));
    assert_string_equal(noted, "");
    beyond = true;
    assert_false(allowed(SIBLING, NONE "false\n", "x: 1\n", NULL));
    assert_non_null(strstr(told, BASE ": it is larger than what is looked at here"));
    assert_false(allowed(SIBLING, "x: 1\n", NONE "true\n", NULL));
    assert_false(allowed(SIBLING, NONE "false\n", NULL, NULL));
    assert_true(allowed(SIBLING, NONE "false\n", NONE "false\n", NULL));
    assert_true(allowed(SIBLING, "x: 2\n", "x: 1\n", NULL)); /* nothing to complete */
    assert_true(allowed(SIBLING, NONE "false\n", NULL, "x: 1\n"));
    some = beyond = false;
}

/* What is wrong is told as what it is. */
static void messages(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *part;
    } rows[] = {
        {"nvcf.registries.recognized.container.ngc.call-timeout: 5_000\n",
         "call-timeout is a number, a date or a tagged value, which Java prints"},
        {"nvcf.registries.recognized.container.ngc.call-timeout: 0x10\n",
         "write a plain number, such as 5000 for 5_000, or put the value in quotes"},
        {"nvcf.registries.recognized.container.ngc.call-timeout: '${x}'\n",
         "takes its value from a placeholder"},
        {"nvcf.registries.recognized.container.ghcr: x\n", "configuration sets GHCR;"},
        {"a.b: !x {c: d}\n" TAKEOVER, "line 1: a tag that is not known"},
        {"spring.profiles.include: ncp, evil\n",
         "spring.profiles.include in the remote configuration makes profiles active, "
         "whose ConfigMaps the API reads at its next refresh and nobody looks at here: "
         "ncp, evil\nlist them in SPRING_PROFILES_ACTIVE of the Deployment"},
        {"\"\\0nvcf.registries.recognized.container.docker.hostname\": x\n",
         "\xef\xbf\xbdnvcf.registries.recognized.container"},
    };
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        (void)allowed(BASE, rows[i].yaml, NULL, NULL);
        if (strstr(told, rows[i].part) == NULL)
            fail_msg("%s-> %s", rows[i].yaml, told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sibling_moves_what_is_there),
        cmocka_unit_test(a_base_that_is_not_known),
        cmocka_unit_test(messages),
        cmocka_unit_test(nobody_is_excused_by_a_place),
    };
    return cmocka_run_group_tests_name("judge", tests, NULL, NULL);
}
