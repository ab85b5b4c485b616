/* What an object says, from more than any honest one has: looking for the name of the
 * remote configuration does not cost the product of envFrom and of what is known. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "admit/config_maps.h"
#include "admit/object.h"
#include "admit/remote_maps.h"

#define KEYS 20000

static struct config_maps *big_map(void)
{
    char key[32];
    json_t *data = json_object();
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "KEY_AS_LONG_%06d", i); /* as REMOTE_CONFIG_NAME */
        json_object_set_new(data, key, json_string("x"));
    }
    json_object_set_new(data, "REMOTE_CONFIG_NAME", json_string("remote"));
    json_t *map = json_pack("{s:{s:s,s:s},s:o}", "metadata", "name", "big", "namespace",
                            "nvcf", "data", data);
    struct config_maps *maps = config_maps_new();
    assert_non_null(maps);
    assert_true(config_maps_add(maps, STR("nvcf"), map));
    json_decref(map);
    return maps;
}

static json_t *deployment(size_t env_from_count)
{
    json_t *from = json_array();
    for (size_t i = 0; i < env_from_count; i++)
        json_array_append_new(from,
                              json_pack("{s:{s:s}}", "configMapRef", "name", "big"));
    return json_pack("{s:{s:s},s:{s:{s:{s:[{s:s,s:o}]}}}}", "metadata", "name", "api",
                     "spec", "template", "spec", "containers", "name", "api", "envFrom",
                     from);
}

static int64_t time_of(const struct config_maps *maps, size_t env_from_count,
                       bool *ret_named)
{
    static const struct policy_target target = {.prefix = STR("NVCF"),
                                                .container = STR("api")};
    struct timespec from;
    struct timespec to;
    struct arena arena;
    struct workload workload;
    json_t *object = deployment(env_from_count);
    arena_init(&arena, 64u << 20);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    assert_true(object_workload(&arena, &target, STR("nvcf"), object, NULL, maps, NULL,
                                &workload));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    assert_int_equal(workload.container.env_from_count, env_from_count);
    assert_true(workload.has_remote);
    assert_int_equal(workload.beyond, env_from_count > 10000);
    *ret_named = str_eq(workload.remote.name, STR("remote"));
    arena_done(&arena);
    json_decref(object);
    return (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
}

static void looking_for_the_remote_configuration_is_bounded(void **state)
{
    (void)state;
    NRW_AUTO_CONFIG_MAPS struct config_maps *maps = big_map();
    bool named;
    int64_t few = time_of(maps, 100, &named);
    assert_true(named);
    int64_t many = time_of(maps, 20000, &named);
    assert_in_range(many, 1, (uint64_t)few * 60);
}

static void names_that_are_kept(void **state)
{
    (void)state;
    assert_true(remote_maps_kept(STR("nvcf-api-env")));
    assert_true(remote_maps_kept(STR("nvcf-api-remote-config")));
    assert_true(remote_maps_kept(STR("nvcf-api-remote-config-ncp")));
    assert_false(remote_maps_kept(STR("remote-config-ncp")));
    assert_false(remote_maps_kept(STR("nvcf-api-remote-configuration")));
    assert_false(remote_maps_kept(STR("env")));
    assert_false(remote_maps_kept(STR("nvcf-api-env-2")));
    assert_false(remote_maps_kept(STR("")));
}

static void expect_base(const char *name, const char *base)
{
    struct str got = remote_maps_base(str_of(name));
    if (base == NULL ? !str_is_null(got) : !str_eq(got, str_of(base)))
        fail_msg("%s: base %.*s", name, STR_ARG(got));
}

static void bases_of_siblings(void **state)
{
    (void)state;
    expect_base("nvcf-api-remote-config-ncp", "nvcf-api-remote-config");
    expect_base("nvcf-api-remote-config", NULL);
    expect_base("nvcf-api-env", NULL);
    /* A release may be called so. */
    expect_base("a-remote-config-b-remote-config-p", "a-remote-config-b-remote-config");
    expect_base("a-remote-config-remote-config-p", "a-remote-config-remote-config");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_kept),
        cmocka_unit_test(bases_of_siblings),
        cmocka_unit_test(looking_for_the_remote_configuration_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
