/* Names as Spring reads them: the rules of docs/SPRING.md, each with its example. That
 * the rules are Spring's is what tests/spring proves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/spring.h"
#include "util/attr.h"

#define E "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_"
#define D "nvcf.registries.recognized.container."

struct row {
    const char *name;
    const char *map_key; /* NULL: does not concern registries */
    enum spring_property property;
    enum spring_form form;
    const char *builtin; /* NULL: custom */
};

static const struct row rows[] = {
    {E "GHCR_NAME", "ghcr", SPRING_NAME, SPRING_FORM_UPPER, NULL},
    {E "GHCR_HOSTNAME", "ghcr", SPRING_HOSTNAME, SPRING_FORM_UPPER, NULL},
    {"nvcf_registries_recognized_container_ghcr_name", "ghcr", SPRING_NAME,
     SPRING_FORM_LOWER, NULL},
    {"Nvcf_Registries_Recognized_Container_Ghcr_Name", "ghcr", SPRING_NAME,
     SPRING_FORM_MAPPED, NULL},
    {D "ghcr.name", "ghcr", SPRING_NAME, SPRING_FORM_DOTTED, NULL},
    {D "GHCR.name", "GHCR", SPRING_NAME, SPRING_FORM_MAPPED, NULL},
    {D "my_reg.name", "my_reg", SPRING_NAME, SPRING_FORM_MAPPED, NULL},
    {"nvcf.registries.recognized.container[my.key].name", "my.key", SPRING_NAME,
     SPRING_FORM_DOTTED, NULL},
    {E "GHCR__NAME", "ghcr", SPRING_NAME, SPRING_FORM_MAPPED, NULL},
    {"_" E "GHCR_NAME", "ghcr", SPRING_NAME, SPRING_FORM_MAPPED, NULL},
    {E "GHCR_NAME_", "ghcr", SPRING_NAME, SPRING_FORM_MAPPED, NULL},
    {E "MY-REG_NAME", "my-reg", SPRING_NAME, SPRING_FORM_MAPPED, NULL},
    {E "GH!CR_NAME", "ghcr", SPRING_NAME, SPRING_FORM_MAPPED, NULL},
    {E "123_NAME", "123", SPRING_NAME, SPRING_FORM_UPPER, NULL},
    {E "3SCALE_NAME", "3scale", SPRING_NAME, SPRING_FORM_UPPER, NULL},
    {E "MY_REG_NAME", "my", SPRING_UNKNOWN, SPRING_FORM_UPPER, NULL},
    {E "GHCR_FOO", "ghcr", SPRING_UNKNOWN, SPRING_FORM_UPPER, NULL},
    {E "GHCR_NAME_0", "ghcr", SPRING_UNKNOWN, SPRING_FORM_UPPER, NULL},
    {E "GHCR", "ghcr", SPRING_SCALAR, SPRING_FORM_UPPER, NULL},
    {E "GHCR_CALLTIMEOUT", "ghcr", SPRING_TUNING, SPRING_FORM_UPPER, NULL},
    {E "GHCR_CALL_TIMEOUT", "ghcr", SPRING_TUNING, SPRING_FORM_UPPER_LEGACY, NULL},
    {E "GHCR_CREDENTIALVALIDATION_ENABLED", "ghcr", SPRING_TUNING, SPRING_FORM_UPPER,
     NULL},
    {E "GHCR_CREDENTIALVALIDATION", "ghcr", SPRING_OBJECT, SPRING_FORM_UPPER, NULL},
    {E "GHCR_OAUTH2_BASEURL", "ghcr", SPRING_TUNING, SPRING_FORM_UPPER, NULL},
    {E "DOCKER_NAME", "docker", SPRING_NAME, SPRING_FORM_UPPER, "docker"},
    {E "DOC!KER_HOST-NAME", "docker", SPRING_HOSTNAME, SPRING_FORM_MAPPED, "docker"},
    {E "ECRPUBLIC_HOSTNAME", "ecrpublic", SPRING_HOSTNAME, SPRING_FORM_UPPER,
     "ecr-public"},
    {E "ECR_PUBLIC_HOSTNAME", "ecr-public", SPRING_HOSTNAME, SPRING_FORM_UPPER_LEGACY,
     "ecr-public"},
    {"nvcf_registries_recognized_container_ecr_public_name", "ecr-public", SPRING_NAME,
     SPRING_FORM_LOWER_LEGACY, "ecr-public"},
    {E "ECR_PUBLIC_CALL_TIMEOUT", "ecr-public", SPRING_TUNING, SPRING_FORM_UPPER_LEGACY,
     "ecr-public"},
    {E "ECR_PUBLIC_CALLTIMEOUT", "ecr", SPRING_UNKNOWN, SPRING_FORM_UPPER, "ecr"},
    {D "ecr-public.hostname", "ecr-public", SPRING_HOSTNAME, SPRING_FORM_DOTTED,
     "ecr-public"},
    {"NV-CF_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_NAME", "ghcr", SPRING_NAME,
     SPRING_FORM_MAPPED, NULL},
    {"NVCF_REGISTRIES_RECOGNIZED_HELM_CORP_NAME", "corp", SPRING_NAME, SPRING_FORM_UPPER,
     NULL},
    {"NVCT_REGISTRIES_RECOGNIZED_CONTAINER_GHCR_NAME", NULL, SPRING_NAME,
     SPRING_FORM_UPPER, NULL},
    {"NVCF_REGISTRIES_RECOGNIZED_CONTAINER", NULL, SPRING_NAME, SPRING_FORM_UPPER, NULL},
    {"NVCF_REGISTRIES_RECOGNISED_CONTAINER_GHCR_NAME", NULL, SPRING_NAME,
     SPRING_FORM_UPPER, NULL},
    {"NVCFREGISTRIES_RECOGNIZED_CONTAINER_GHCR_NAME", NULL, SPRING_NAME,
     SPRING_FORM_UPPER, NULL},
    {"NVCF_REGISTRIES_RECOGNIZED_CONTAINERS_GHCR_NAME", NULL, SPRING_NAME,
     SPRING_FORM_UPPER, NULL},
    {"nvcf.registries.recognized.container_ghcr_name", NULL, SPRING_NAME,
     SPRING_FORM_UPPER, NULL},
    {E "MY.REG_NAME", NULL, SPRING_NAME, SPRING_FORM_UPPER, NULL},
    {"PATH", NULL, SPRING_NAME, SPRING_FORM_UPPER, NULL},
    {"", NULL, SPRING_NAME, SPRING_FORM_UPPER, NULL},
};

static void every_name(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        struct spring_var var;
        bool concerns = spring_parse(&arena, STR("NVCF"), str_of(row->name), true, &var);
        if (concerns != (row->map_key != NULL))
            print_error("%s\n", row->name);
        assert_int_equal(concerns, row->map_key != NULL);
        if (!concerns)
            continue;
        bool same =
            str_eq(var.map_key, str_of(row->map_key)) && var.property == row->property &&
            var.form == row->form && (var.builtin == NULL) == (row->builtin == NULL) &&
            (var.builtin == NULL || str_eq(var.builtin->key, str_of(row->builtin)));
        if (!same)
            print_error("%s: key %.*s property %d form %d\n", row->name,
                        STR_ARG(var.map_key), (int)var.property, (int)var.form);
        assert_true(same);
    }
    assert_false(arena.failed);
    arena_done(&arena);
}

/* The property reading knows no underscores. */
static void properties(void **state)
{
    (void)state;
    struct arena arena;
    struct spring_var var;
    arena_init(&arena, 1u << 16);
    assert_false(spring_parse(&arena, STR("NVCF"), STR(E "GHCR_NAME"), false, &var));
    assert_true(spring_parse(&arena, STR("NVCF"), STR(D "ghcr.host-name"), false, &var));
    assert_int_equal(var.property, SPRING_HOSTNAME);
    assert_true(
        spring_parse(&arena, STR("nvcf"), STR(D "ghcr.callTimeout"), false, &var));
    assert_int_equal(var.property, SPRING_TUNING);
    arena_done(&arena);
}

static void the_intended_key_is_kept(void **state)
{
    (void)state;
    struct arena arena;
    struct spring_var var;
    arena_init(&arena, 1u << 16);
    assert_true(spring_parse(&arena, STR("NVCF"), STR(E "MY_BIG_REG_NAME"), true, &var));
    assert_true(var.nested_registry);
    assert_true(str_eq(var.key, STR("MY_BIG_REG")));
    assert_true(spring_parse(&arena, STR("NVCF"), STR(E "GHCR_FOO_BAR"), true, &var));
    assert_false(var.nested_registry);
    arena_done(&arena);
}

/* A name with more elements than are looked at is one of a key all the same (it may spell
 * another one with dashes); one of nothing but separators is none. */
static void long_names(void **state)
{
    (void)state;
    struct arena arena;
    struct spring_var var;
    char name[4096];
    arena_init(&arena, 1u << 20);
    memset(name, '_', sizeof(name));
    assert_false(
        spring_parse(&arena, STR("NVCF"), str_from(name, sizeof(name)), true, &var));
    size_t n = sizeof(E) - 1;
    memcpy(name, E, n);
    while (n + 2 < sizeof(name)) {
        name[n++] = 'X';
        name[n++] = '_';
    }
    assert_true(spring_parse(&arena, STR("NVCF"), str_from(name, n), true, &var));
    assert_int_equal(var.property, SPRING_UNKNOWN);
    arena_done(&arena);
}

static void blank_values(void **state)
{
    (void)state;
    static const char *const blank[] = {"",       " ",      "\t\n\x0b\f\r", "\x1c\x1f",
                                        "\u2003", "\u3000", "\u2028 "};
    static const char *const not_blank[] = {"x",      " x ",    "\u00a0", "\u2007",
                                            "\u202f", "\u200b", "\x01",   "\xff"};
    for (size_t i = 0; i < NRW_COUNT(blank); i++)
        assert_true(spring_blank(str_of(blank[i])));
    for (size_t i = 0; i < NRW_COUNT(not_blank); i++)
        assert_false(spring_blank(str_of(not_blank[i])));
}

static void conversions(void **state)
{
    (void)state;
    static const char *const durations[] = {"10",
                                            "10s",
                                            "10S",
                                            "5m",
                                            "1d",
                                            "-3ms",
                                            "+3us",
                                            "PT10S",
                                            "",
                                            "7ns",
                                            "2h",
                                            "pt10.5s",
                                            "-P1DT-2H",
                                            "P1D",
                                            "PT1H2M3S",
                                            "PT1.S",
                                            "PT+1M",
                                            "-PT1H",
                                            "0000000000000000000000000000001s",
                                            "9223372036854775807us",
                                            "-9223372036854775808ns",
                                            "153722867280912930m"};
    static const char *const no_durations[] = {"soon",
                                               "10 s",
                                               "s",
                                               "10x",
                                               "1.5s",
                                               "-",
                                               "pizza",
                                               "P",
                                               "PT",
                                               "P1DT",
                                               "P1W",
                                               "P1H",
                                               "PT1D",
                                               "PT1S1M",
                                               "PT1.5M",
                                               "PT.5S",
                                               "PT1.0123456789S",
                                               "P1D1D",
                                               "PT10",
                                               "PT1S ",
                                               "99999999999999999999s",
                                               "9223372036854775807d",
                                               "153722867280912931m",
                                               "P106751991167301D"};
    static const char *const booleans[] = {"true", "FALSE", " yes ", "off",
                                           "0",    "1",     "on"};
    static const char *const no_booleans[] = {"", "maybe", "2", "t"};
    for (size_t i = 0; i < NRW_COUNT(durations); i++)
        assert_true(spring_converts(STR("call-timeout"), str_of(durations[i])));
    for (size_t i = 0; i < NRW_COUNT(no_durations); i++)
        assert_false(spring_converts(STR("call-timeout"), str_of(no_durations[i])));
    for (size_t i = 0; i < NRW_COUNT(booleans); i++)
        assert_true(
            spring_converts(STR("artifact-validation.enabled"), str_of(booleans[i])));
    for (size_t i = 0; i < NRW_COUNT(no_booleans); i++)
        assert_false(
            spring_converts(STR("artifact-validation.enabled"), str_of(no_booleans[i])));
    assert_true(spring_converts(STR("oauth2.base-url"), STR("anything")));
}

static void builtins_by_any_spelling(void **state)
{
    (void)state;
    static const char *const spellings[] = {"ECR_PUBLIC", "ECRPUBLIC", "ecr-public",
                                            "EcrPublic", "E.C.R.public"};
    for (size_t i = 0; i < NRW_COUNT(spellings); i++) {
        const struct builtin *builtin = builtin_by_key(str_of(spellings[i]));
        assert_non_null(builtin);
        assert_true(str_eq(builtin->key, STR("ecr-public")));
    }
    assert_null(builtin_by_key(STR("GHCR")));
    assert_null(builtin_by_key(STR("")));
    assert_null(builtin_by_hostname(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name),
        cmocka_unit_test(properties),
        cmocka_unit_test(the_intended_key_is_kept),
        cmocka_unit_test(long_names),
        cmocka_unit_test(blank_values),
        cmocka_unit_test(conversions),
        cmocka_unit_test(builtins_by_any_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
