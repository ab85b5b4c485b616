/* What a workload declares, read from more than any honest one has: the time and the
 * memory that a request may cost grow with its size, not with a product of its parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/sources.h"

#define PREFIX STR("NVCF")
#define CORP   "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_CORP_NAME"

static struct arena arena;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 64u << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* A map of so many names that are looked at to the end, and one registry's. */
static struct config_map big_map(const char *name, size_t count)
{
    struct kv *data = ARENA_ARRAY(&arena, struct kv, count + 1);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++)
        data[i] = (struct kv){arena_printf(&arena, "SPRING_%zu", i), STR("x")};
    data[count] = (struct kv){STR(CORP), STR("Corp")};
    return (struct config_map){STR("nvcf"), str_of(name), data, count + 1};
}

static struct workload workload_of(const struct config_map *maps, size_t count)
{
    return (struct workload){.name_space = STR("nvcf"),
                             .container = {.found = true},
                             .config_maps = maps,
                             .config_map_count = count};
}

/* An envFrom of so many entries, all of the map "big". */
static struct env_from *bring(struct workload *workload, size_t count)
{
    struct env_from *from = ARENA_ARRAY(&arena, struct env_from, count);
    assert_non_null(from);
    for (size_t i = 0; i < count; i++)
        from[i] = (struct env_from){STR(""), STR("big"), str_null()};
    workload->container.env_from = from;
    workload->container.env_from_count = count;
    return from;
}

static int64_t time_of(const struct workload *workload, struct sources *ret_sources)
{
    struct timespec from;
    struct timespec to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    sources_read(&arena, PREFIX, workload, NULL, ret_sources);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    assert_false(arena.failed);
    return (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
}

static bool has_message(const struct sources *sources, const char *part)
{
    for (size_t i = 0; i < findings_count(&sources->findings); i++) {
        struct str message = findings_at(&sources->findings, i)->message;
        if (str_find(message, str_of(part)) < message.n)
            return true;
    }
    return false;
}

static void a_map_is_read_once(void **state)
{
    (void)state;
    enum { REPEATS = 2000 };
    const struct config_map map = big_map("big", 10000);
    struct workload workload = workload_of(&map, 1);
    bring(&workload, REPEATS);
    workload.container.env_from_count = 1;
    struct sources sources;
    int64_t once = time_of(&workload, &sources);
    workload.container.env_from_count = REPEATS;
    assert_in_range(time_of(&workload, &sources), 1, (uint64_t)once * 100);
    assert_int_equal(sources.declared.count, 1);
    assert_int_equal(findings_count(&sources.findings), 0);
}

static void the_same_map_under_two_prefixes_is_two(void **state)
{
    (void)state;
    static const struct kv data[] = {{STR("CORP_NAME"), STR("Corp")},
                                     {STR(CORP), STR("Other")}};
    static const struct config_map map = {STR("nvcf"), STR("m"), data, 2};
    static const struct env_from from[] = {
        {STR(""), STR("m"), {NULL, 0}},
        {STR("NVCF_REGISTRIES_RECOGNIZED_CONTAINER_"), STR("m"), {NULL, 0}},
        {STR("NVCF_REGISTRIES_RECOGNIZED_HELM_"), STR("m"), {NULL, 0}},
        {STR("NVCF_REGISTRIES_RECOGNIZED_CONTAINER_"), STR("m"), {NULL, 0}},
    };
    struct workload workload = workload_of(&map, 1);
    struct sources sources;
    workload.container.env_from = from;
    workload.container.env_from_count = 4;
    time_of(&workload, &sources);
    size_t named = 0;
    for (size_t i = 0; i < sources.declared.count; i++)
        named += sources_at(&sources, i)->var.property == SPRING_NAME;
    assert_int_equal(named, 2); /* the one without prefix lost to the last one */
}

/* Each prefix makes other names of the same entries. */
static void what_is_looked_at_is_bounded(void **state)
{
    (void)state;
    enum { PREFIXES = 3000 };
    const struct config_map map = big_map("big", 1000);
    struct workload workload = workload_of(&map, 1);
    struct env_from *from = bring(&workload, PREFIXES);
    for (size_t i = 0; i + 1 < PREFIXES; i++)
        from[i].prefix = arena_printf(&arena, "P%zu_", i);
    struct sources sources;
    time_of(&workload, &sources);
    assert_true(has_message(&sources, "more variables than"));
    assert_int_equal(findings_count(&sources.findings), 1);
    assert_int_equal(findings_at(&sources.findings, 0)->severity, SEVERITY_ERROR);
    assert_int_equal(sources.declared.count, 1);
    from[0].prefix = arena_printf(&arena, "%05000d", 0); /* as dear as many */
    workload.container.env_from_count = 1;
    time_of(&workload, &sources);
    assert_int_equal(findings_count(&sources.findings), 1);
    from[0].prefix = STR("P");
    workload.container.env_from_count = 60;
    time_of(&workload, &sources);
    assert_int_equal(findings_count(&sources.findings), 0);
}

/* Each is a finding: a hundred of them are one too many for anybody, and thousands would
 * take megabytes to say. */
static void what_cannot_be_read_is_bounded(void **state)
{
    (void)state;
    struct workload workload = workload_of(NULL, 0);
    struct env_from *from = bring(&workload, 20000);
    for (size_t i = 0; i < 20000; i++)
        from[i] = (struct env_from){.prefix = STR(""),
                                    .cm_name = i % 2 == 0 ? STR("gone") : str_null(),
                                    .secret_name = i % 2 == 0 ? str_null() : STR("s")};
    struct sources sources;
    time_of(&workload, &sources);
    assert_true(has_message(&sources, "more variables than")); /* a denial */
    assert_in_range(findings_count(&sources.findings), 2, 300);
    workload.container.env_from_count = 200;
    time_of(&workload, &sources);
    assert_false(has_message(&sources, "more variables than"));
}

/* Names that are asked for one by one, in maps that are searched. */
static void references_are_bounded(void **state)
{
    (void)state;
    enum { REFERENCES = 20000 };
    const struct config_map map = big_map("big", 20000);
    struct workload workload = workload_of(&map, 1);
    struct env_var *env = ARENA_ARRAY(&arena, struct env_var, REFERENCES);
    assert_non_null(env);
    for (size_t i = 0; i < REFERENCES; i++)
        env[i] = (struct env_var){
            .name =
                arena_printf(&arena, "NVCF_REGISTRIES_RECOGNIZED_CONTAINER_C%zu_NAME", i),
            .has_value_from = true,
            .cm_name = STR("big"),
            .cm_key = STR(CORP),
            .from_what = STR("configMapKeyRef big"),
        };
    workload.container.env = env;
    workload.container.env_count = 100;
    struct sources sources;
    int64_t hundred = time_of(&workload, &sources);
    assert_int_equal(findings_count(&sources.findings), 0);
    workload.container.env_count = REFERENCES;
    assert_in_range(time_of(&workload, &sources), 1, (uint64_t)hundred * 100);
    assert_int_equal(sources.declared.count, REFERENCES);
    assert_true(sources_at(&sources, 0)->readable);
    assert_false(sources_at(&sources, REFERENCES - 1)->readable);
    assert_true(has_message(&sources, "cannot be read here"));
    assert_true(has_message(&sources, "more variables than")); /* a denial */
}

/* Thousands of options in one variable. */
static void options_take_little_memory(void **state)
{
    (void)state;
    enum { OPTIONS = 8000 };
    static const char option[] = "-Da='b c' ";
    const size_t n = sizeof(option) - 1;
    char *text = arena_alloc(&arena, OPTIONS, n);
    assert_non_null(text);
    for (size_t i = 0; i < OPTIONS; i++)
        memcpy(text + i * n, option, n);
    const struct env_var env = {.name = STR("JAVA_TOOL_OPTIONS"),
                                .value = str_from(text, OPTIONS * n)};
    struct workload workload = workload_of(NULL, 0);
    workload.container.env = &env;
    workload.container.env_count = 1;
    struct sources sources;
    size_t before = arena.used;
    time_of(&workload, &sources);
    assert_in_range(arena.used - before, 1, 1u << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_map_is_read_once, begin, end),
        cmocka_unit_test_setup_teardown(the_same_map_under_two_prefixes_is_two, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_is_looked_at_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(references_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(options_take_little_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
