/* Hostnames: which the API can match, and what is said about those it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/builtin.h"
#include "core/hostname.h"
#include "util/attr.h"

struct row {
    const char *hostname;
    enum hostname_problem problem;
};

static const struct row rows[] = {
    {"ghcr.io", HOSTNAME_GOOD},
    {"registry.corp.example", HOSTNAME_GOOD},
    {"registry", HOSTNAME_GOOD},
    {"12", HOSTNAME_GOOD},
    {"a-b.c-d.e", HOSTNAME_GOOD},
    {"10.0.0.5", HOSTNAME_GOOD},
    {"[::1]", HOSTNAME_GOOD},
    {"[fd00::10.0.0.1]", HOSTNAME_GOOD},
    {"xn--bcher-kva.example", HOSTNAME_GOOD},
    {"index.docker.io", HOSTNAME_GOOD},
    {"12345678901.dkr.ecr.us-east-1.amazonaws.com", HOSTNAME_GOOD}, /* 11 digits */
    {"123456789012.dkr.ecr.us-east-1.amazonaws.com.cn", HOSTNAME_GOOD},
    {"a.b-cn-beijing.cr.volces.com", HOSTNAME_GOOD},
    {"team-cn-mars.cr.volces.com", HOSTNAME_GOOD},
    {"-cn-beijing.cr.volces.com", HOSTNAME_LABEL},
    {"", HOSTNAME_BLANK},
    {"   ", HOSTNAME_BLANK},
    {"\t", HOSTNAME_BLANK},
    {"https://ghcr.io", HOSTNAME_SCHEME},
    {"ghcr.io/org", HOSTNAME_PATH},
    {"ghcr.io/", HOSTNAME_PATH},
    {"registry.corp:5000", HOSTNAME_PORT},
    {"registry.corp:", HOSTNAME_PORT},
    {"registry.corp:http", HOSTNAME_CHARACTER},
    {"[fd00::1]:5000", HOSTNAME_PORT},
    {"[fd00::1]:", HOSTNAME_PORT},
    {"[fd00::1]5000", HOSTNAME_CHARACTER},
    {"[fd00::1:5000", HOSTNAME_CHARACTER},
    {"[corp]:5000", HOSTNAME_CHARACTER},
    {"fd00::1", HOSTNAME_CHARACTER},
    {"GHCR.io", HOSTNAME_CAPITALS},
    {"ghcr.io.", HOSTNAME_TRAILING_DOT},
    {"my_registry.corp", HOSTNAME_UNDERSCORE},
    {"me@registry.corp", HOSTNAME_CHARACTER},
    {" ghcr.io", HOSTNAME_CHARACTER},
    {"ghcr.io ", HOSTNAME_CHARACTER},
    {"gh\x01.io", HOSTNAME_CHARACTER},
    {"b\xc3\xbc"
     "cher.example",
     HOSTNAME_CHARACTER},
    {"registry.%63orp", HOSTNAME_CHARACTER},
    {"[::1", HOSTNAME_CHARACTER},
    {"registry..corp", HOSTNAME_LABEL},
    {".corp", HOSTNAME_LABEL},
    {"-registry.corp", HOSTNAME_LABEL},
    {"registry-.corp", HOSTNAME_LABEL},
    {"registry.corp-", HOSTNAME_LABEL},
    {"registry.1corp", HOSTNAME_LABEL},
    {"1.2.3", HOSTNAME_LABEL},
    {"256.0.0.1", HOSTNAME_LABEL},
    {"httpd.corp", HOSTNAME_HTTP},
    {"canary.nvcr.io", HOSTNAME_NORMALISED},
    {"helm.canary.ngc.nvidia.com", HOSTNAME_NORMALISED},
    {"123456789012.dkr.ecr.us-east-1.amazonaws.com", HOSTNAME_NORMALISED},
    {"123456789012.dkr.ecr.us-gov-west-1.amazonaws.com", HOSTNAME_NORMALISED},
    {"123456789012.dkr.ecr.aws-global.amazonaws.com", HOSTNAME_NORMALISED},
    {"team.azurecr.io", HOSTNAME_NORMALISED},
    {"myazurecr.io.corp.example", HOSTNAME_NORMALISED},
    {"team-cn-beijing.cr.volces.com", HOSTNAME_NORMALISED},
    {"a-b-ap-southeast-3.cr.volces.com", HOSTNAME_NORMALISED},
};

static void every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        struct hostname_check check = hostname_check(str_of(rows[i].hostname));
        if (check.problem != rows[i].problem)
            print_error("\"%s\": %d instead of %d\n", rows[i].hostname,
                        (int)check.problem, (int)rows[i].problem);
        assert_int_equal(check.problem, rows[i].problem);
    }
}

/* An IPv6 address is found in what was written, and in brackets. */
static void addresses_are_advised(void **state)
{
    (void)state;
    static const struct {
        const char *hostname, *advice;
    } advised[] = {
        {"fd00::1", "write \"[fd00::1]\""},
        {"FD00::1", "write \"[fd00::1]\""},
        {"[FD00::1]", "write \"[fd00::1]\""},
        {"https://[fd00::1]:5000/v2", "write \"[fd00::1]\""},
        {"[fd00::1]:5000", "write \"[fd00::1]\": it matches images on any port"},
        {"registry.corp:5000", "write \"registry.corp\": it matches images on any port"},
    };
    struct arena arena;
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < NRW_COUNT(advised); i++) {
        struct str hostname = str_of(advised[i].hostname);
        struct str advice = hostname_advise(&arena, hostname, hostname_check(hostname));
        assert_string_equal(arena_str(&arena, advice).p, advised[i].advice);
    }
    assert_false(arena.failed);
    arena_done(&arena);
}

/* Whatever is wrong is explained in one line, and what is advised is itself good. */
static void every_problem_is_explained(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        struct str hostname = str_of(rows[i].hostname);
        struct hostname_check check = hostname_check(hostname);
        struct str message = hostname_explain(&arena, hostname, check);
        struct str advice = hostname_advise(&arena, hostname, check);
        bool good = rows[i].problem == HOSTNAME_GOOD;
        assert_true((message.n == 0) == good);
        assert_true((advice.n == 0) == good);
        struct str quoted = str_skip(advice, str_find(advice, STR("write \"")) + 7);
        if (str_find(advice, STR("write \"")) < advice.n) {
            quoted = str_first(quoted, str_index(quoted, 0, '"'));
            assert_int_equal(hostname_check(quoted).problem, HOSTNAME_GOOD);
            assert_null(builtin_by_hostname(quoted));
        }
    }
    assert_false(arena.failed);
    arena_done(&arena);
}

static void advice_is_the_bare_host(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"https://Registry.Corp:5000/team", "write \"registry.corp\""},
        {"registry.corp:5000", "write \"registry.corp\": it matches images on any port"},
        {"GHCR.IO", "write \"ghcr.io\""},
        {"ghcr.io.", "write \"ghcr.io\""},
    };
    struct arena arena;
    arena_init(&arena, 1u << 20);
    for (size_t i = 0; i < NRW_COUNT(pairs); i++) {
        struct str hostname = str_of(pairs[i][0]);
        struct str advice = hostname_advise(&arena, hostname, hostname_check(hostname));
        assert_int_equal(advice.n, strlen(pairs[i][1]));
        assert_memory_equal(advice.p, pairs[i][1], advice.n);
    }
    arena_done(&arena);
}

static void normalised_hosts_are_those_of_builtins(void **state)
{
    (void)state;
    assert_true(str_eq(hostname_normalise(STR("canary.nvcr.io")), STR("nvcr.io")));
    assert_true(str_eq(hostname_normalise(STR("x.azurecr.io")), STR("azurecr.io")));
    assert_true(str_eq(hostname_normalise(STR("ghcr.io")), STR("ghcr.io")));
    assert_true(
        str_eq(hostname_normalise(STR("000000000000.dkr.ecr.eu-central-1.amazonaws.com")),
               STR("dkr.ecr.amazonaws.com")));
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        struct str host = builtin_at(i)->hostname;
        assert_true(str_eq(hostname_normalise(host), host));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(every_problem_is_explained),
        cmocka_unit_test(addresses_are_advised),
        cmocka_unit_test(advice_is_the_bare_host),
        cmocka_unit_test(normalised_hosts_are_those_of_builtins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
