/* What a review looks for at the API server, live: what the cache does not keep, what it
 * has left out, and what is said where the API server does not tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "admit/config_maps.h"
#include "tests/unit/support/cluster_fixture.h"
#include "util/clock.h"
#include "util/mem.h"

static void what_is_not_kept_is_looked_at(void **state)
{
    struct fixture *it = *state;
    const char *get = "GET " MAPS "/extra";
    fixture_start_with(it, LIST(MAP("nvcf", "nvcf-api-env", "2", "{\"A\":\"b\"}")), 1);
    assert_string_equal(fixture_allowed_by(it, "", FROM("nvcf-api-env")), "yes");
    assert_int_equal(LOOKED(it), 0); /* all is known: not a call */
    api_set(it->server, get, 200,
            MAP("nvcf", "extra", "2", "{\"" DOCKER "\":\"m.example\"}"));
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "collision");
    assert_int_equal(api_count(it->server, get), 1); /* by the denial, not again */
    assert_string_equal(
        fixture_allowed_by(it, "", FROM("nvcf-api-env") "," FROM("extra")), "collision");
    assert_int_equal(api_count(it->server, "GET " MAPS "/nvcf-api-env"), 1);
    /* A variable from it, that matters or not. */
    size_t before = LOOKED(it);
    assert_string_equal(
        fixture_allowed_by(it,
                           "{\"name\":\"A\",\"valueFrom\":{\"configMapKeyRef\":"
                           "{\"name\":\"extra\",\"key\":\"" DOCKER "\"}}}",
                           ""),
        "yes");
    assert_int_equal(LOOKED(it), before);
    assert_string_equal(
        fixture_allowed_by(it,
                           "{\"name\":\"" DOCKER "\",\"valueFrom\":"
                           "{\"configMapKeyRef\":{\"name\":\"extra\",\"key\":"
                           "\"" DOCKER "\"}}}",
                           ""),
        "collision");
    /* What says nothing, what is not there, what may not be read. */
    api_set(it->server, get, 200, MAP("nvcf", "extra", "2", "{\"A\":\"b\"}"));
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "yes");
    assert_string_equal(fixture_allowed_by(it, "", FROM("gone")), "opaque");
    api_set(it->server, get, 403, API_FORBIDDEN("get"));
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "opaque");
    /* Too large, and too late. */
    api_set_huge(it->server, get, 200,
                 MAP("nvcf", "extra", "2", "{\"" DOCKER "\":\"m.example\"}"), 5u << 20);
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "denied: opaque");
    api_set_silent(it->server, get);
    int64_t since = clock_mono_millis();
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra") "," FROM("gone")),
                        "opaque");
    assert_in_range(clock_mono_millis() - since, 400, 1500);
}

/* Of so many empty keys, and what matters beside them. */
static char *of_many_keys(const char *name, size_t count)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 4u << 20);
    buf_printf(&out,
               "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
               "\"nvcf\",\"resourceVersion\":\"2\"},\"data\":{\"" DOCKER
               "\":\"m.example\"",
               name);
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, ",\"k%zu\":\"\"", i);
    buf_text(&out, "}}");
    return buf_steal(&out, NULL);
}

/* Whoever could put a registry past the policy by what is beside it would. */
static void what_is_too_heavy_is_denied(void **state)
{
    struct fixture *it = *state;
    const char *get = "GET " MAPS "/extra";
    fixture_start_with(it, LIST(""), 0);
    char *heavy = of_many_keys("extra", 45000);
    api_set(it->server, get, 200, heavy);
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "collision");
    it->decision = 4u << 20;
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "denied: opaque");
    assert_string_equal(fixture_allowed_by(it, "", FROM("gone") "," FROM("extra")),
                        "denied: opaque");
    mem_free(heavy);
}

/* A ConfigMap that names the remote configuration, which is looked at then; and a known
 * one that a denial rests on beside it. */
static void one_look_leads_to_the_next(void **state)
{
    struct fixture *it = *state;
    fixture_start_with(
        it, LIST(MAP("nvcf", "nvcf-api-env", "2", "{\"" DOCKER "\":\"m\"}")), 1);
    api_set(it->server, "GET " MAPS "/extra", 200,
            MAP("nvcf", "extra", "2", "{\"REMOTE_CONFIG_NAME\":\"special\"}"));
    api_set(it->server, "GET " MAPS "/special", 200,
            MAP("nvcf", "special", "2", TAKEOVER));
    api_set(it->server, "GET " MAPS "/special-ncp", 404, "{}");
    api_set(it->server, "GET " MAPS "/special-kubernetes", 404, "{}");
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "collision");
    assert_string_equal(
        fixture_allowed_by(it,
                           "{\"name\":\"REMOTE_CONFIG_NAME\",\"valueFrom\":"
                           "{\"configMapKeyRef\":{\"name\":\"extra\",\"key\":"
                           "\"REMOTE_CONFIG_NAME\"}}}",
                           ""),
        "collision");
    assert_int_equal(api_count(it->server, "GET " MAPS "/special"), 6);
    assert_int_equal(api_count(it->server, "GET " MAPS "/special-ncp"), 2);
    assert_int_equal(api_count(it->server, "GET " MAPS "/special-kubernetes"), 2);
    api_set(it->server, "GET " MAPS "/special", 200,
            MAP("nvcf", "special", "2", "{\"a\":\"b\"}"));
    api_set(it->server, "GET " MAPS "/special-ncp", 404, "{}");
    api_set(it->server, "GET " MAPS "/special-kubernetes", 404, "{}");
    api_set(it->server, "GET " MAPS "/nvcf-api-env", 200,
            MAP("nvcf", "nvcf-api-env", "3", "{\"A\":\"b\"}"));
    assert_string_equal(
        fixture_allowed_by(it, "", FROM("nvcf-api-env") "," FROM("extra")), "yes");
}

#define SIBLING "nvcf-api-remote-config-ncp"

/* That it is not in the cache means that it is not there; where the cache would not keep
 * it, it is looked for. */
static void a_profile_has_a_sibling(void **state)
{
    struct fixture *it = *state;
    const char *env = REMOTE("nvcf-api-remote-config");
    const char *get = "GET " MAPS "/" SIBLING;
    fixture_start_with(
        it, LIST(MAP("nvcf", "nvcf-api-remote-config", "2", "{\"a\":\"b\"}")), 1);
    assert_string_equal(fixture_allowed_by(it, env, ""), "yes");
    assert_int_equal(LOOKED(it), 0);
    api_set(it->server, "GET " MAPS "/special", 200,
            MAP("nvcf", "special", "2", "{\"a\":\"b\"}"));
    api_set(it->server, "GET " MAPS "/special-ncp", 404, "{}");
    api_set(it->server, "GET " MAPS "/special-kubernetes", 404, "{}");
    assert_string_equal(fixture_allowed_by(it, REMOTE("special"), ""), "yes");
    api_set(it->server, "GET " MAPS "/special-kubernetes", 200,
            MAP("nvcf", "special-kubernetes", "2", TAKEOVER));
    assert_string_equal(fixture_allowed_by(it, REMOTE("special"), ""), "collision");
    api_set(it->server, "GET " MAPS "/special-kubernetes", 404, "{}");
    api_set(it->server, "GET " MAPS "/special-ncp", 200,
            MAP("nvcf", "special-ncp", "2", TAKEOVER));
    assert_string_equal(fixture_allowed_by(it, REMOTE("special"), ""), "collision");
    cluster_free(it->cluster);
    it->cluster = NULL;
    fixture_start_with(it,
                       LIST(MAP("nvcf", "nvcf-api-remote-config", "2",
                                "{\"a\":\"b\"}") "," MAP("nvcf", SIBLING, "2", TAKEOVER)),
                       2);
    assert_string_equal(fixture_allowed_by(it, env, ""), "collision");
    assert_int_equal(api_count(it->server, get), 1); /* the denial was confirmed */
    api_set(it->server, get, 200, MAP("nvcf", SIBLING, "3", "{\"a\":\"b\"}"));
    assert_string_equal(fixture_allowed_by(it, env, ""), "yes");
}

/* A sibling of that text is made, of which the base has a fault that does not count. */
static const char *sibling_by(struct fixture *it, const char *yaml)
{
    char body[2048];
    snprintf(body, sizeof(body),
             "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
             "\"request\":{\"uid\":\"1\",\"kind\":{\"group\":\"\",\"version\":\"v1\","
             "\"kind\":\"ConfigMap\"},\"namespace\":\"nvcf\",\"name\":\"" SIBLING "\","
             "\"operation\":\"CREATE\",\"object\":" MAP("nvcf", SIBLING, "1",
                                                        "{\"a.yaml\":\"%s\"}") "}}",
             yaml);
    return fixture_answered(it, ADMIT_VALIDATE, body);
}

#define NONE "spring.cloud.config.override-none: "
#define LAST                                                                             \
    "{\"x.yaml\":\"nvcf.registries.recognized.container.docker.hostname: "               \
    "m.example\\n" NONE "true\"}"

/* Whoever fills the cache leads no sibling past the base that is left out of it. */
static void a_base_that_is_left_out_is_looked_at(void **state)
{
    struct fixture *it = *state;
    const char *get = "GET " MAPS "/nvcf-api-remote-config";
    const char *list = LIST(MAP("nvcf", "nvcf-api-remote-config", "2", LAST));
    fixture_start_with(it, list, 1);
    assert_string_equal(sibling_by(it, NONE "false"), "collision");
    assert_int_equal(LOOKED(it), 0);
    cluster_free(it->cluster);
    it->cluster = NULL;
    it->maximum = 1;
    fixture_start_with(it, list, 0);
    api_set(it->server, get, 200, MAP("nvcf", "nvcf-api-remote-config", "2", LAST));
    assert_string_equal(sibling_by(it, NONE "false"), "collision");
    assert_int_equal(LOOKED(it), 1);
    assert_string_equal(sibling_by(it, "x: 1"), "yes");
    api_set_huge(it->server, get, 200, MAP("nvcf", "nvcf-api-remote-config", "2", LAST),
                 5u << 20);
    assert_string_equal(sibling_by(it, NONE "false"), "denied");
    assert_string_equal(sibling_by(it, "x: 1"), "yes");
    api_set(it->server, get, 404, API_STATUS("404", "NotFound", "none"));
    assert_string_equal(sibling_by(it, NONE "false"), "yes");
}

static bool whole(struct fixture *it)
{
    NRW_AUTO_SNAPSHOT struct snapshot now;
    snapshots_take(it->app.snapshots, &now);
    return config_maps_is_whole(now.config_maps);
}

/* So many are there, none of which is kept, and then none. */
static void come_and_go(struct fixture *it, size_t count)
{
    NRW_AUTO_BUF struct buf list;
    buf_init(&list, 1u << 20);
    buf_text(&list, "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[");
    for (size_t i = 0; i < count; i++)
        buf_printf(&list,
                   "%s{\"metadata\":{\"name\":\"m%zu-env\",\"namespace\":\"nvcf\","
                   "\"uid\":\"u\",\"resourceVersion\":\"1\"}}",
                   i > 0 ? "," : "", i);
    assert_true(buf_text(&list, "]}"));
    cluster_free(it->cluster);
    it->maximum = 1;
    /* Each watch ends at once in another list. */
    api_set(it->server, "WATCH " MAPS, 410, API_STATUS("410", "Expired", "too old"));
    fixture_start_with(it, list.data, 0);
    assert_true(AWAIT(!whole(it)));
    api_set(it->server, "GET " MAPS, 200, LIST(""));
    size_t lists = api_count(it->server, "GET " MAPS);
    assert_true(AWAIT(api_count(it->server, "GET " MAPS) > lists + 1));
}

/* Of those that were left out only so many names are remembered: beyond that it is not
 * believed that all of them are gone. */
static void what_was_left_out_is_remembered(void **state)
{
    struct fixture *it = *state;
    come_and_go(it, 1000);
    assert_true(AWAIT(whole(it)));
    come_and_go(it, 1001);
    assert_false(whole(it));
}

static void only_so_many_are_looked_at(void **state)
{
    struct fixture *it = *state;
    char many[4096] = "";
    fixture_start_with(it, LIST(""), 0);
    for (unsigned i = 0; i < 20; i++) {
        size_t n = strlen(many);
        snprintf(many + n, sizeof(many) - n, "%s" FROM("m-%u") "," FROM("m-0"),
                 i > 0 ? "," : "", i);
    }
    assert_string_equal(fixture_allowed_by(it, "", many), "opaque");
    assert_int_equal(LOOKED(it), 16);
    api_set(it->server, "GET " MAPS "/m-15", 200,
            MAP("nvcf", "m-15", "2", "{\"" DOCKER "\":\"m.example\"}"));
    assert_string_equal(fixture_allowed_by(it, "", many), "collision");
    assert_int_equal(LOOKED(it), 32);
    assert_int_equal(api_count(it->server, "GET " MAPS "/m-16"), 0);
}

/* --- what is not told ------------------------------------------------------------- */

#define PLAIN(name) MAP("nvcf", name, "2", "{\"a\":\"b\"}")
#define BASE        "nvcf-api-remote-config"

/* Answers that say neither that a ConfigMap is there nor that it is not. */
enum { FORBIDDEN, BUSY, BROKEN, CUT, NO_CONFIG_MAP, SILENT, UNTOLD_COUNT };

static const char *const reasons[] = {
    [FORBIDDEN] = "is forbidden",        [BUSY] = "answered with an error",
    [BROKEN] = "answered with an error", [CUT] = "answered with an error",
    [NO_CONFIG_MAP] = "is no ConfigMap", [SILENT] = "did not answer in time",
};

static void does_not_tell(struct fixture *it, const char *get, int how)
{
    if (how == FORBIDDEN)
        api_set(it->server, get, 403, API_FORBIDDEN("get"));
    else if (how == BUSY)
        api_set(it->server, get, 429, API_STATUS("429", "TooManyRequests", "later"));
    else if (how == BROKEN)
        api_set(it->server, get, 500, API_STATUS("500", "InternalError", "etcd"));
    else if (how == CUT)
        api_set_cut(it->server, get, 200, PLAIN("special-ncp"));
    else if (how == NO_CONFIG_MAP)
        api_set(it->server, get, 200, "<html>a proxy</html>");
    else
        api_set_silent(it->server, get);
}

static void says(const struct fixture *it, const char *name, const char *reason)
{
    if (strstr(it->said, name) == NULL || strstr(it->said, reason) == NULL)
        fail_msg("no \"%s\" or \"%s\" in %s", name, reason, it->said);
}

/* The cache keeps none: it is not whole. */
static void start_full(struct fixture *it, const char *policy)
{
    void *state = it;
    fixture_tear_down(&state);
    fixture_set_up(&state);
    it->policy = policy;
    it->maximum = 1;
    fixture_start_with(it, LIST(PLAIN(BASE)), 0);
    api_set(it->server, "GET " MAPS "/" BASE, 200, PLAIN(BASE));
    api_set(it->server, "GET " MAPS "/special", 200, PLAIN("special"));
    api_set(it->server, "GET " MAPS "/" BASE "-", 404, "{}");
    api_set(it->server, "GET " MAPS "/special-", 404, "{}");
}

/* Of a remote configuration of any name, in a cache that is whole or not. */
static void a_sibling_that_is_not_told_is_not_absent(void **state)
{
    struct fixture *it = *state;
    static const char *const policies[] = {LIST(POLICY("1", GOOD)),
                                           LIST(POLICY("1", STRICT))};
    for (int how = 0; how < UNTOLD_COUNT; how++) {
        const char *want[] = {"opaque", "denied: opaque"};
        for (size_t i = 0; i < 2; i++) {
            start_full(it, policies[i]);
            does_not_tell(it, "GET " MAPS "/" SIBLING, how);
            assert_string_equal(fixture_allowed_by(it, REMOTE(BASE), ""), want[i]);
            says(it, SIBLING, reasons[how]);
            api_set(it->server, "GET " MAPS "/" SIBLING, 404, "{}");
            assert_string_equal(fixture_allowed_by(it, REMOTE(BASE), ""), "yes");
            does_not_tell(it, "GET " MAPS "/special-ncp", how);
            assert_string_equal(fixture_allowed_by(it, REMOTE("special"), ""), want[i]);
            says(it, "special-ncp", reasons[how]);
            api_set(it->server, "GET " MAPS "/special-ncp", 404, "{}");
            assert_string_equal(fixture_allowed_by(it, REMOTE("special"), ""), "yes");
        }
    }
}

#define PROFILES(list) "{\"name\":\"SPRING_PROFILES_ACTIVE\",\"value\":\"" list "\"}"
#define FOURTEEN       "ncp,b,c,d,e,f,g,h,i,j,k,l,m,n"

/* Sixteen are asked for, the base and that of Spring Cloud's own profile among them. */
static void a_sibling_that_is_not_asked_for_is_not_absent(void **state)
{
    struct fixture *it = *state;
    start_full(it, LIST(POLICY("1", STRICT)));
    api_set(it->server, "GET " MAPS "/" BASE "-o", 200,
            MAP("nvcf", BASE "-o", "2", TAKEOVER));
    const char *last = REMOTE(BASE) "," PROFILES(FOURTEEN ",o");
    assert_string_equal(fixture_allowed_by(it, last, ""), "denied: opaque");
    says(it, BASE "-o", "more than 16");
    assert_string_equal(fixture_allowed_by(it, REMOTE(BASE) "," PROFILES(FOURTEEN), ""),
                        "yes");
    assert_string_equal(
        fixture_allowed_by(it, REMOTE(BASE) "," PROFILES(FOURTEEN ",o,p,q"), ""),
        "denied: opaque");
    says(it, BASE "-o", "and 2 more");
    api_set(it->server, "GET " MAPS "/" BASE "-n", 200,
            MAP("nvcf", BASE "-n", "2", TAKEOVER));
    assert_string_equal(fixture_allowed_by(it, last, ""), "collision");
    /* What the cache has is asked for by nobody. */
    cluster_free(it->cluster);
    it->cluster = NULL;
    it->maximum = 0;
    fixture_start_with(it, LIST(PLAIN(BASE)), 1);
    size_t before = LOOKED(it);
    assert_string_equal(fixture_allowed_by(it, last, ""), "yes");
    assert_int_equal(LOOKED(it), before);
}

/* What a look leads to may not be asked for any more, and what it told is not doubted. */
static void what_comes_late_is_not_absent(void **state)
{
    struct fixture *it = *state;
    start_full(it, LIST(POLICY("1", STRICT)));
    NRW_AUTO_BUF struct buf many;
    buf_init(&many, 4096);
    api_set(it->server, "GET " MAPS "/extra", 200,
            MAP("nvcf", "extra", "2", "{\"REMOTE_CONFIG_NAME\":\"" BASE "\"}"));
    assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "yes");
    for (int i = 1; i < 14; i++) { /* the base and Spring Cloud's sibling are the last */
        char name[16];
        snprintf(name, sizeof(name), "/m-%d", i);
        NRW_AUTO_BUF struct buf get, map;
        buf_init(&get, 256);
        buf_init(&map, 1024);
        buf_printf(&get, "GET " MAPS "%s", name);
        buf_printf(&map, MAP("nvcf", "%s", "2", "{}"), name + 1);
        buf_printf(&many, FROM("%s") ",", name + 1);
        api_set(it->server, get.data, 200, map.data);
    }
    assert_true(buf_text(&many, FROM("extra")));
    assert_string_equal(fixture_allowed_by(it, "", many.data), "denied: opaque");
    says(it, SIBLING, "more than 16");
}

/* As it is for one that is too large, but the policy says how grave it is. */
static void a_base_that_is_not_told_is_not_absent(void **state)
{
    struct fixture *it = *state;
    static const char *const policies[] = {LIST(POLICY("1", GOOD)),
                                           LIST(POLICY("1", STRICT))};
    const char *get = "GET " MAPS "/" BASE;
    for (int how = 0; how < UNTOLD_COUNT; how++) {
        for (size_t i = 0; i < 2; i++) {
            start_full(it, policies[i]);
            does_not_tell(it, get, how);
            assert_string_equal(sibling_by(it, NONE "false"),
                                i == 0 ? "opaque" : "denied: opaque");
            says(it, BASE, reasons[how]);
            assert_string_equal(sibling_by(it, "x: 1"), "yes"); /* completes nothing */
            api_set(it->server, get, 404, "{}");
            assert_string_equal(sibling_by(it, NONE "false"), "yes");
        }
    }
}

/* The reason stands where the others say that they do not know it. */
static void what_is_not_told_of_the_others_is_said(void **state)
{
    struct fixture *it = *state;
    start_full(it, LIST(POLICY("1", GOOD)));
    for (int how = 0; how < UNTOLD_COUNT; how++) {
        does_not_tell(it, "GET " MAPS "/extra", how);
        assert_string_equal(fixture_allowed_by(it, "", FROM("extra")), "opaque");
        says(it, "extra", reasons[how]);
        assert_string_equal(fixture_allowed_by(it, REMOTE("extra"), ""), "opaque");
        says(it, "extra", reasons[how]);
    }
}

/* What is in the cache counts although nobody can confirm it; it lifts no denial. */
static void what_is_cached_needs_no_confirmation(void **state)
{
    struct fixture *it = *state;
    it->policy = LIST(POLICY("1", STRICT));
    fixture_start_with(it,
                       LIST(PLAIN(BASE) "," MAP("nvcf", SIBLING, "2", TAKEOVER) "," MAP(
                           "nvcf", "nvcf-api-env", "2", "{\"A\":\"b\"}")),
                       3);
    api_set(it->server, "GET " MAPS "/", 500, "{}");
    assert_string_equal(fixture_allowed_by(it, REMOTE(BASE), FROM("nvcf-api-env")),
                        "collision");
    assert_null(strstr(it->said, "OpaqueSource"));
    assert_string_equal(fixture_allowed_by(it, "", FROM("nvcf-api-env")), "yes");
}

static bool has_policy(struct fixture *it)
{
    NRW_AUTO_SNAPSHOT struct snapshot now;
    snapshots_take(it->app.snapshots, &now);
    return now.policy != NULL;
}

/* Before anything was listed nothing is known to be absent. */
static void without_a_list_nothing_is_absent(void **state)
{
    struct fixture *it = *state;
    it->policy = LIST(POLICY("1", STRICT));
    api_set(it->server, "GET " POLICIES, 200, it->policy);
    api_set(it->server, "GET " MAPS, 403, API_FORBIDDEN("list"));
    api_set(it->server, EVENTS, 201, NULL);
    fixture_start(it);
    assert_true(AWAIT(has_policy(it)));
    api_set(it->server, "GET " MAPS "/" BASE, 200, PLAIN(BASE));
    api_set(it->server, "GET " MAPS "/" BASE "-kubernetes", 404, "{}");
    api_set(it->server, "GET " MAPS "/" SIBLING, 500, "{}");
    assert_string_equal(fixture_allowed_by(it, REMOTE(BASE), ""), "denied: opaque");
    says(it, SIBLING, "answered with an error");
    api_set(it->server, "GET " MAPS "/" SIBLING, 404, "{}");
    assert_string_equal(fixture_allowed_by(it, REMOTE(BASE), ""), "yes");
}

/* Memory that is refused on the way makes nothing absent, whatever it is refused to. */
static void memory_that_is_refused_is_not_absence(void **state)
{
    struct fixture *it = *state;
    const struct str names[] = {STR("special"), STR("extra"), STR("gone")};
    unsigned lost = 0;
    start_full(it, NULL);
    api_set(it->server, "GET " MAPS "/extra", 200, PLAIN("extra"));
    for (unsigned long k = 1; k < 120; k++) {
        struct cluster_look look = {.bytes_maximum = 1u << 20,
                                    .weight_maximum = 1u << 20};
        mem_fail_nth(k);
        NRW_AUTO_CONFIG_MAPS struct config_maps *fresh =
            cluster_confirm(it->cluster, &look, NULL, STR("nvcf"), names, 3);
        mem_fail_nth(0);
        assert_int_equal(look.live.count, 3);
        for (size_t i = 0; i < 3; i++) {
            bool there =
                fresh != NULL && config_maps_find(fresh, STR("nvcf"), names[i]) != NULL;
            bool untold = live_problem(&look.live, names[i]).n > 0;
            assert_true(there + untold == 1 || (i == 2 && !there));
            assert_true(!untold || look.untold);
            lost += untold;
        }
    }
    assert_in_range(lost, 20, 300);
}

/* --- a large review, in a thread that is the last to run ---------------------------- */

static _Atomic pthread_t asking;
static atomic_bool held;

/* What it is when others have the processors. */
static void hold(int signal_number)
{
    (void)signal_number;
    const struct timespec longer = {.tv_nsec = 700000000};
    atomic_store(&held, true);
    nanosleep(&longer, NULL);
}

/* It has no time from here on, while the API server answers at once. */
static bool hold_who_asks(void *context, const char *method, const char *url,
                          const char *body, unsigned *ret_status, char **ret_body)
{
    (void)context, (void)method, (void)body, (void)ret_status, (void)ret_body;
    if (strcmp(url, MAPS "/extra") == 0) {
        assert_int_equal(pthread_kill(atomic_load(&asking), SIGUSR1), 0);
        assert_true(AWAIT(atomic_load(&held)));
    }
    return false;
}

struct large {
    struct fixture *it;
    const char *body, *said;
};

static void *ask(void *opaque)
{
    struct large *large = opaque;
    atomic_store(&asking, pthread_self());
    large->said = fixture_answered(large->it, ADMIT_MUTATE, large->body);
    return NULL;
}

/* Whoever keeps the workers busy would otherwise make a warning of a denial: the thread
 * for large reviews has what they leave, and the API server half a second. */
static void who_has_no_time_is_told_all_the_same(void **state)
{
    struct fixture *it = *state;
    fixture_start_with(it, LIST(""), 0);
    api_set(it->server, "GET " MAPS "/extra", 200,
            MAP("nvcf", "extra", "2", "{\"REMOTE_CONFIG_NAME\":\"special\"}"));
    api_set(it->server, "GET " MAPS "/special", 200,
            MAP("nvcf", "special", "2", TAKEOVER));
    api_set(it->server, "GET " MAPS "/special-ncp", 404, "{}");
    api_set_hook(it->server, hold_who_asks, NULL);
    NRW_AUTO_BUF struct buf body;
    buf_init(&body, 1u << 20);
    buf_printf(&body, "%300000s%s", "", fixture_body("", FROM("extra")));
    struct large large = {.it = it, .body = body.data};
    const struct sigaction action = {.sa_handler = hold};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, &large), 0);
    pthread_join(thread, NULL);
    api_set_hook(it->server, NULL, NULL);
    assert_true(atomic_load(&held));
    assert_string_equal(large.said, "collision");
}

#define LOOK_TEST(name)                                                                  \
    cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOK_TEST(what_is_not_kept_is_looked_at),
        LOOK_TEST(what_is_too_heavy_is_denied),
        LOOK_TEST(one_look_leads_to_the_next),
        LOOK_TEST(a_profile_has_a_sibling),
        LOOK_TEST(a_base_that_is_left_out_is_looked_at),
        LOOK_TEST(what_was_left_out_is_remembered),
        LOOK_TEST(only_so_many_are_looked_at),
        LOOK_TEST(a_sibling_that_is_not_told_is_not_absent),
        LOOK_TEST(a_sibling_that_is_not_asked_for_is_not_absent),
        LOOK_TEST(what_comes_late_is_not_absent),
        LOOK_TEST(a_base_that_is_not_told_is_not_absent),
        LOOK_TEST(what_is_not_told_of_the_others_is_said),
        LOOK_TEST(what_is_cached_needs_no_confirmation),
        LOOK_TEST(without_a_list_nothing_is_absent),
        LOOK_TEST(memory_that_is_refused_is_not_absence),
        LOOK_TEST(who_has_no_time_is_told_all_the_same),
    };
    if (!api_tests_begin())
        return 1;
    return cmocka_run_group_tests_name("app_look", tests, NULL, NULL);
}
