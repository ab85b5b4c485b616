/* The watch cache against prepared answers: what is needed, what is told, and that no
 * allocation that fails leaves it incomplete. Against a real API server it is tested by
 * tests/integration/kube_live.sh. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "admit/remote_maps.h"
#include "kube/sources.h"
#include "kube/watch_line.h"
#include "tests/unit/support/api_server.h"
#include "tests/unit/support/script_server.h"
#include "util/mem.h"

#define OK                                                                               \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
#define MAP(name)                                                                        \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"ns\",\"uid\":\"u\","           \
    "\"resourceVersion\":\"1\",\"managedFields\":[{\"a\":1}]},\"data\":{\"k\":\"v\"}}"

/* A watch that gets this takes it for nonsense and lists again: every request can be
 * answered the same. */
static const struct script_step steps[] = {
    {"configmaps",
     OK "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[" MAP("a-env") "," MAP(
         "b-remote-config") "," MAP("policy") "," MAP("c-env-not") "]}",
     0},
};

struct fixture {
    struct script_server *server;
    struct kube_client *client;
    struct kube_loop *loop;
    struct kube_sources *sources;
    pthread_mutex_t lock;
    unsigned refuse; /* so many snapshots are not taken */
    bool policy;
    size_t maximum; /* 0: enough for all that is wanted */
    size_t wanted;
    bool left_out;
    json_t *kept[4];
    size_t count;
    bool complete;
};

static bool on_policy(void *context, const json_t *config_map)
{
    struct fixture *it = context;
    static const struct str names[] = {{"ns", 2}, {"ns", 2}};
    if (config_map == NULL)
        return true;
    if (!kube_sources_set_namespaces(it->sources, names, 2, NULL))
        return false;
    pthread_mutex_lock(&it->lock);
    it->policy = true;
    pthread_mutex_unlock(&it->lock);
    return true;
}

static void drop(struct fixture *it)
{
    for (size_t i = 0; i < it->count; i++)
        json_decref(it->kept[i]);
    it->count = 0;
}

static bool on_config_maps(void *context, const struct kube_config_maps *maps)
{
    struct fixture *it = context;
    pthread_mutex_lock(&it->lock);
    bool good = it->refuse == 0;
    if (!good) {
        it->refuse--;
    } else {
        drop(it);
        for (; it->count < maps->count && it->count < NRW_COUNT(it->kept); it->count++)
            it->kept[it->count] = json_incref(maps->objects[it->count]);
        it->complete = maps->complete;
        it->left_out = maps->left_out;
    }
    pthread_mutex_unlock(&it->lock);
    return good;
}

static bool done(struct fixture *it)
{
    pthread_mutex_lock(&it->lock);
    bool all = it->policy && it->complete && it->count == it->wanted;
    pthread_mutex_unlock(&it->lock);
    struct kube_sources_state state;
    kube_sources_state(it->sources, &state);
    return all && state.complete && state.policy_present;
}

/* Runs until everything is known, or for so long; `nth` allocation fails. */
static bool run(struct fixture *it, unsigned long nth)
{
    pthread_mutex_init(&it->lock, NULL);
    it->server = script_start(steps, 1);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", script_port(it->server));
    struct kube_config *config = kube_config_for_server(url, NULL, NULL, "test", NULL);
    assert_non_null(config);
    it->client = kube_client_new_take(config, NULL);
    it->loop = kube_loop_new(it->client, NULL);
    struct kube_sources_options options = {.policy_namespace = "ns",
                                           .policy_name = "policy",
                                           .context = it,
                                           .on_policy = on_policy,
                                           .on_config_maps = on_config_maps,
                                           .maximum =
                                               it->maximum > 0 ? it->maximum : 1u << 20,
                                           .needed = remote_maps_kept};
    it->sources = kube_sources_new(it->loop, &options, NULL);
    assert_non_null(it->sources);
    mem_fail_nth(nth);
    assert_true(kube_loop_start(it->loop, NULL));
    bool good = false;
    for (int i = 0; i < 2000 && !good; i++) {
        struct timespec wait = {0, 5000000};
        nanosleep(&wait, NULL);
        good = done(it);
    }
    mem_fail_nth(0);
    kube_loop_stop(it->loop);
    kube_sources_free(it->sources);
    kube_loop_free(it->loop);
    kube_client_free(it->client);
    script_stop(it->server);
    return good;
}

static void what_is_told(void **state)
{
    (void)state;
    struct fixture it = {.refuse = 1, .wanted = 2};
    assert_true(run(&it, 0));
    assert_int_equal(it.refuse, 0);
    /* It outlives the cache, and holds what is needed and no more. */
    for (size_t i = 0; i < it.count; i++) {
        assert_true(remote_maps_kept(str_of(kube_meta(it.kept[i], "name"))));
        assert_string_equal(kube_meta(it.kept[i], "namespace"), "ns");
        assert_null(
            json_object_get(json_object_get(it.kept[i], "metadata"), "managedFields"));
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(it.kept[i], "data"), "k")),
            "v");
    }
    drop(&it);
}

/* Whoever may write ConfigMaps does not decide how much is kept; that there is more is
 * said, so that what is not there is not taken for absent. */
static void only_so_much_is_kept(void **state)
{
    (void)state;
    static const struct {
        size_t maximum, wanted;
    } rows[] = {{1, 0}, {20000, 1}, {40000, 2}};
    for (size_t i = 0; i < NRW_COUNT(rows); i++) {
        struct fixture it = {.maximum = rows[i].maximum, .wanted = rows[i].wanted};
        assert_true(run(&it, 0));
        assert_int_equal(it.left_out, rows[i].wanted < 2);
        drop(&it);
    }
}

static void any_allocation_fails(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth <= 50; nth++) {
        struct fixture it = {.wanted = 2};
        if (!run(&it, nth))
            fail_msg("incomplete after allocation %lu failed", nth);
        drop(&it);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told),
        cmocka_unit_test(only_so_much_is_kept),
        cmocka_unit_test(any_allocation_fails),
    };
    if (!api_tests_begin())
        return 1;
    return cmocka_run_group_tests_name("kube_sources", tests, NULL, NULL);
}
