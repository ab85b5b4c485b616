/* The decision on values made by hand: who is a target, how findings are ordered and
 * worded, and that a want of memory at any point is no verdict. What is decided about
 * whole objects is in the case folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/decide.h"
#include "core/policy_rules.h"
#include "util/mem.h"
#include "util/utf8.h"

#define LABEL_63 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define E        "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_"

static const struct policy_label labels[] = {
    {STR("app.kubernetes.io/name"), STR("helm-nvcf-api")},
    {STR("tier"), STR("api")},
};
static const struct policy_target targets[] = {
    {STR("nvcf"), labels, 2, STR("helm-nvcf-api"), STR("NVCF")},
    {STR("nvcf"), labels, 1, STR("helm-nvcf-api"), STR("NVCT")},
};
static const struct policy_registry registries[] = {
    {.key = STR("GHCR"), .name = STR("GitHub"), .hostname = STR("ghcr.io")},
};
static const struct policy policy = {
    .registries = registries,
    .registry_count = 1,
    .targets = targets,
    .target_count = 2,
    .hash = "0123456789abcdef",
};

static void targets_by_namespace_and_labels(void **state)
{
    (void)state;
    const struct kv both[] = {{STR("tier"), STR("api")},
                              {STR("x"), STR("y")},
                              {STR("app.kubernetes.io/name"), STR("helm-nvcf-api")}};
    assert_ptr_equal(decide_target(&policy, STR("nvcf"), both, 3), &targets[0]);
    assert_ptr_equal(decide_target(&policy, STR("nvcf"), both + 2, 1), &targets[1]);
    assert_null(decide_target(&policy, STR("nvcf"), both, 2));
    assert_null(decide_target(&policy, STR("other"), both, 3));
    assert_null(decide_target(&policy, STR("nvcf"), NULL, 0));
}

static void findings_are_sorted_and_stable(void **state)
{
    (void)state;
    static const struct {
        enum finding_id id;
        enum severity severity;
        const char *key;
    } in[] = {
        {FINDING_UNLISTED_REGISTRY, SEVERITY_WARNING, "1"},
        {FINDING_MISSING_REGISTRY, SEVERITY_INFO, "2"},
        {FINDING_DUPLICATE_NAME, SEVERITY_ERROR, "3"},
        {FINDING_UNLISTED_REGISTRY, SEVERITY_WARNING, "4"},
        {FINDING_BUILTIN_COLLISION, SEVERITY_ERROR, "5"},
        {FINDING_MISSING_REGISTRY, SEVERITY_INFO, "6"},
        {FINDING_BUILTIN_COLLISION, SEVERITY_ERROR, "7"},
    };
    struct arena arena;
    struct findings findings = {.list = {.items = NULL}};
    char order[16] = "";
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < NRW_COUNT(in); i++)
        findings_add(&arena, &findings, in[i].id, in[i].severity)->key =
            str_of(in[i].key);
    assert_true(findings_sort(&arena, &findings));
    for (size_t i = 0; i < findings_count(&findings); i++)
        order[i] = findings_at(&findings, i)->key.p[0];
    assert_string_equal(order, "5731426");
    for (int id = 0; id < FINDING_COUNT; id++)
        assert_true(strlen(finding_name((enum finding_id)id)) > 4);
    arena_done(&arena);
}

static void a_warning_is_one_short_line(void **state)
{
    (void)state;
    struct arena arena;
    struct findings findings = {.list = {.items = NULL}};
    char text[600];
    arena_init(&arena, 1u << 20);
    struct finding *finding =
        findings_add(&arena, &findings, FINDING_VALUE_CONFLICT, SEVERITY_WARNING);
    finding->key = STR("GH\nCR");
    finding->source = STR("env");
    finding->message = STR("has\ta\x01tab \xff and \xc2\x85 a control");
    struct str warning = decide_warning(&arena, finding);
    assert_true(utf8_valid(warning));
    for (size_t i = 0; i < warning.n; i++)
        assert_true((unsigned char)warning.p[i] >= 0x20);
    assert_int_equal(str_find(warning, STR("\xc2\x85")), warning.n);
    assert_true(str_starts(warning, STR("ValueConflict GH CR (env): has a tab")));
    /* Cut between characters, with a sign that it was cut. */
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    finding->message = str_from(text, sizeof(text));
    warning = decide_warning(&arena, finding);
    assert_true(warning.n <= 256 && warning.n > 250);
    assert_true(utf8_valid(warning) && str_ends(warning, STR("\xe2\x80\xa6")));
    arena_done(&arena);
}

static void warnings_are_few(void **state)
{
    (void)state;
    struct arena arena;
    struct findings findings = {.list = {.items = NULL}};
    struct str warnings[DECIDE_WARNINGS_MAX];
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < DECIDE_WARNINGS_MAX; i++) {
        findings_add(&arena, &findings, FINDING_VALUE_CONFLICT, SEVERITY_WARNING);
        findings_add(&arena, &findings, FINDING_MISSING_REGISTRY, SEVERITY_INFO);
    }
    assert_int_equal(decide_warnings(&arena, &findings, warnings), DECIDE_WARNINGS_MAX);
    assert_true(str_starts(warnings[DECIDE_WARNINGS_MAX - 1], STR("ValueConflict")));
    findings_add(&arena, &findings, FINDING_UNLISTED_REGISTRY, SEVERITY_WARNING);
    assert_int_equal(decide_warnings(&arena, &findings, warnings), DECIDE_WARNINGS_MAX);
    assert_true(str_starts(warnings[DECIDE_WARNINGS_MAX - 2], STR("ValueConflict")));
    assert_true(str_starts(warnings[DECIDE_WARNINGS_MAX - 1], STR("and 2 more ")));
    arena_done(&arena);
}

static const struct env_var bad_env[] = {
    {.name = STR(E "DOCKER_HOSTNAME"),
     .value = STR("mirror.example"),
     .cm_name = {NULL, 0}},
    {.name = STR(E "CORP_NAME"), .value = STR("Corp"), .cm_name = {NULL, 0}},
    {.name = STR("SPRING_CONFIG_IMPORT"), .value = STR("x"), .cm_name = {NULL, 0}},
};

static struct workload workload_of(const struct env_var *env, size_t count)
{
    return (struct workload){
        .name_space = STR("nvcf"),
        .name = STR("nvcf-api"),
        .injected = {NULL, 0},
        .policy = {NULL, 0},
        .old_injected = {NULL, 0},
        .container = {.found = true, .env = env, .env_count = count, .env_present = true},
    };
}

static void the_message_lists_everything(void **state)
{
    (void)state;
    struct arena arena;
    struct decision decision;
    const struct workload workload = workload_of(bad_env, NRW_COUNT(bad_env));
    arena_init(&arena, 1u << 20);
    assert_true(decide_deployment(&arena, &policy, &targets[0], &workload, DECIDE_MUTATE,
                                  &decision));
    assert_false(decision.allowed);
    assert_int_equal(decision.patch.ops.count, 0);
    struct str message = decide_message(&arena, &decision, 16384);
    assert_true(str_starts(
        message, STR("the registry policy refuses this for 2 reasons:\n- Builtin")));
    size_t collision = str_find(message, STR("BuiltinCollision DOCKER (env)"));
    size_t half = str_find(message, STR("IncompleteRegistry CORP"));
    size_t opaque = str_find(message, STR("(warning) OpaqueSource"));
    assert_true(collision < half && half < opaque && opaque < message.n);
    assert_true(str_find(message, STR("Instead: ")) < message.n);
    assert_true(decide_message(&arena, &decision, 100).n <= 100);
    arena_done(&arena);
}

static void expect_advice(const struct findings *findings, enum finding_id id,
                          const char *advice)
{
    for (size_t i = 0; i < findings_count(findings); i++) {
        const struct finding *finding = findings_at(findings, i);
        if (finding->id != id)
            continue;
        char text[600];
        snprintf(text, sizeof(text), "%.*s", STR_ARG(finding->advice));
        assert_string_equal(text, advice);
        return;
    }
    fail_msg("no %s", finding_name(id));
}

/* What people are told to set or unset is all of it, by its full name. */
static void advice_names_every_variable(void **state)
{
    (void)state;
    const struct kv data[] = {{STR(E "QUAY_CALLTIMEOUT"), STR("5s")},
                              {STR(E "QUAY_NAME"), STR("Quay")},
                              {STR(E "OTHER_NAME"), STR("Other")},
                              {STR(E "QUAY_HOSTNAME"), STR("quay.io")},
                              {STR(E "OTHER_HOSTNAME"), STR("other.example")}};
    const struct config_map map = {STR("nvcf"), STR("api-env"), data, NRW_COUNT(data)};
    const struct config_map_input input = {.prefix = STR("NVCF"), .config_map = &map};
    struct policy strict = policy;
    struct arena arena;
    struct decision decision;
    bool concerned;
    strict.unlisted = UNLISTED_REMOVE;
    strict.mode = POLICY_CHECK;
    arena_init(&arena, 1u << 20);
    assert_true(decide_config_map(&arena, &strict, &input, &decision, &concerned));
    expect_advice(&decision.findings, FINDING_UNLISTED_REGISTRY,
                  "it cannot be taken out from here: unset " E "QUAY_CALLTIMEOUT, " E
                  "QUAY_NAME and " E "QUAY_HOSTNAME in the Helm values (or "
                  "configmap/api-env), or list it in the policy");
    const struct workload workload = workload_of(bad_env, NRW_COUNT(bad_env));
    assert_true(decide_deployment(&arena, &strict, &targets[0], &workload, DECIDE_MUTATE,
                                  &decision));
    expect_advice(&decision.findings, FINDING_MISSING_REGISTRY,
                  "set " E "GHCR_NAME=\"GitHub\" and " E "GHCR_HOSTNAME=\"ghcr.io\"");
    expect_advice(&decision.findings, FINDING_INCOMPLETE_REGISTRY,
                  "set " E "CORP_NAME and " E "CORP_HOSTNAME, or unset " E "CORP_NAME");
    arena_done(&arena);
}

static void no_memory_is_no_verdict(void **state)
{
    (void)state;
    static const struct env_var env[] = {
        {.name = STR("A"), .value = STR("b"), .cm_name = {NULL, 0}},
        {.name = STR(E "CORP_NAME"), .value = STR("Corp"), .cm_name = {NULL, 0}},
        {.name = STR(E "CORP_HOSTNAME"),
         .value = STR("corp.example"),
         .cm_name = {NULL, 0}},
    };
    const struct workload workload = workload_of(env, NRW_COUNT(env));
    struct decision decision;
    struct arena arena;
    size_t refused = 0;
    /* The arena's own maximum, byte by byte in steps: refused, until it is enough. */
    for (size_t maximum = 16;; maximum += 64) {
        arena_init(&arena, maximum);
        bool good = decide_deployment(&arena, &policy, &targets[0], &workload,
                                      DECIDE_MUTATE, &decision);
        if (good) {
            assert_false(arena.failed);
            assert_true(decision.allowed);
            assert_true(decision.patch.ops.count >= 4);
        }
        arena_done(&arena);
        if (good)
            break;
        refused++;
        assert_true(maximum < (1u << 22));
    }
    assert_true(refused > 10);
}

static void rules_of_a_policy(void **state)
{
    (void)state;
    static const struct {
        const char *key, *name, *hostname;
        bool native;
        int id; /* -1: good */
    } rows[] = {
        {"GHCR", "GitHub", "ghcr.io", false, -1},
        {"A1", "A", "a.example", false, -1},
        {"HARBOR", "Harbor Registry", "harbor.example", true, -1},
        {"DOCKER", "D", "d.example", false, FINDING_BUILTIN_COLLISION},
        {"ECRPUBLIC", "E", "e.example", false, FINDING_BUILTIN_COLLISION},
        {"ECR_PUBLIC", "E", "e.example", false, FINDING_BUILTIN_COLLISION},
        {"ecr-public", "E", "e.example", false, FINDING_BUILTIN_COLLISION},
        {"HARBOR", "H", "h.example", false, FINDING_BUILTIN_COLLISION},
        {"MY_REG", "M", "m.example", false, FINDING_INVALID_KEY},
        {"ghcr", "M", "m.example", false, FINDING_INVALID_KEY},
        {"3SCALE", "M", "m.example", false, FINDING_INVALID_KEY},
        {"123", "M", "m.example", false, FINDING_INVALID_KEY},
        {"", "M", "m.example", false, FINDING_INVALID_KEY},
        {"A12345678901234567890123456789012", "M", "m.example", false,
         FINDING_INVALID_KEY},
        {"X", "Docker Hub Registry", "m.example", false, FINDING_DUPLICATE_NAME},
        {"X", "Harbor Registry", "m.example", false, FINDING_DUPLICATE_NAME},
        {"X", "  ", "m.example", false, FINDING_INCOMPLETE_REGISTRY},
        {"X", "M", "", false, FINDING_INCOMPLETE_REGISTRY},
        {"X", "M", "docker.io", false, FINDING_DUPLICATE_HOSTNAME},
        {"X", "M", "m.example:5000", false, FINDING_UNMATCHABLE_HOSTNAME},
        {"X", LABEL_63 "n" LABEL_63 "n" LABEL_63 "n" LABEL_63 "n", "m.example", false,
         -1},
        {"X", LABEL_63 "n" LABEL_63 "n" LABEL_63 "n" LABEL_63 "nn", "m.example", false,
         FINDING_INVALID_POLICY},
        {"X", "M", LABEL_63 ".example", false, -1},
        {"X", "M", "a." LABEL_63 "n.example", false, FINDING_UNMATCHABLE_HOSTNAME},
        {"X", "M", "x.azurecr.io", false, FINDING_UNMATCHABLE_HOSTNAME},
        {"X", "${M}", "m.example", false, FINDING_INVALID_POLICY},
        {"X", "M", "$(M)", false, FINDING_INVALID_POLICY},
        {"X", "M\nN", "m.example", false, FINDING_INVALID_POLICY},
    };
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        const struct policy_registry registry = {
            .key = str_of(rows[i].key),
            .name = str_of(rows[i].name),
            .hostname = str_of(rows[i].hostname),
            .native = rows[i].native,
            .line = 3,
            .column = 5,
        };
        struct arena arena;
        struct findings findings = {.list = {.items = NULL}};
        arena_init(&arena, 1u << 20);
        policy_rules_check(&arena, &registry, 1, &findings);
        assert_int_equal(findings_count(&findings), rows[i].id >= 0 ? 1 : 0);
        if (rows[i].id >= 0) {
            const struct finding *finding = findings_at(&findings, 0);
            if ((int)finding->id != rows[i].id)
                print_error("%s/%s/%s: %s\n", rows[i].key, rows[i].name, rows[i].hostname,
                            finding_name(finding->id));
            assert_int_equal(finding->id, rows[i].id);
            assert_int_equal(finding->line, 3);
            assert_true(finding->message.n > 20 && finding->advice.n > 5);
        }
        arena_done(&arena);
    }
}

static void a_policy_has_no_twins(void **state)
{
    (void)state;
    const struct policy_registry twins[] = {
        {.key = STR("A"), .name = STR("Same"), .hostname = STR("a.example")},
        {.key = STR("B"), .name = STR("Same"), .hostname = STR("b.example")},
        {.key = STR("C"), .name = STR("C"), .hostname = STR("a.example")},
        {.key = STR("A"), .name = STR("D"), .hostname = STR("d.example")},
    };
    struct arena arena;
    struct findings findings = {.list = {.items = NULL}};
    arena_init(&arena, 1u << 20);
    policy_rules_check(&arena, twins, NRW_COUNT(twins), &findings);
    assert_int_equal(findings_count(&findings), 3);
    assert_int_equal(findings_at(&findings, 0)->id, FINDING_INVALID_KEY);
    assert_int_equal(findings_at(&findings, 1)->id, FINDING_DUPLICATE_NAME);
    assert_int_equal(findings_at(&findings, 2)->id, FINDING_DUPLICATE_HOSTNAME);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_by_namespace_and_labels),
        cmocka_unit_test(findings_are_sorted_and_stable),
        cmocka_unit_test(a_warning_is_one_short_line),
        cmocka_unit_test(warnings_are_few),
        cmocka_unit_test(the_message_lists_everything),
        cmocka_unit_test(advice_names_every_variable),
        cmocka_unit_test(no_memory_is_no_verdict),
        cmocka_unit_test(rules_of_a_policy),
        cmocka_unit_test(a_policy_has_no_twins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
