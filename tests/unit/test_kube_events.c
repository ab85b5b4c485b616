/* The Event queue against prepared answers: what is tried again, what is dropped, and
 * that nothing waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "kube/events.h"
#include "tests/unit/support/script_server.h"
#include "util/clock.h"
#include "util/log.h"

#define JSON(status)                                                                     \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: "              \
    "close\r\n\r\n{\"message\":\"said so\"}"
#define PATH "POST /apis/events.k8s.io/v1/namespaces/ns/events"

struct fixture {
    struct script_server *server;
    struct kube_client *client;
    struct kube_loop *loop;
    struct kube_events *events;
};

static void begin(struct fixture *it, const struct script_step *steps, size_t count)
{
    it->server = script_start(steps, count);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", script_port(it->server));
    struct kube_config *config = kube_config_for_server(url, NULL, NULL, "test", NULL);
    assert_non_null(config);
    it->client = kube_client_new_take(config, NULL);
    it->loop = kube_loop_new(it->client, NULL);
    it->events = kube_events_new(it->loop, "pod-0", NULL);
    assert_non_null(it->events);
}

static void end(struct fixture *it)
{
    kube_loop_stop(it->loop);
    kube_events_free(it->events);
    kube_loop_free(it->loop);
    kube_client_free(it->client);
    assert_string_equal(script_wrong(it->server), "");
    script_stop(it->server);
}

static bool add(struct fixture *it, const char *note)
{
    struct kube_event event = {.api_version = STR("v1"),
                               .kind = STR("ConfigMap"),
                               .name_space = STR("ns"),
                               .name = STR("policy"),
                               .uid = STR(""),
                               .reason = STR("Tested"),
                               .action = STR("Testing"),
                               .note = str_of(note)};
    return kube_events_add(it->events, &event);
}

static struct kube_events_counts wait_for(struct fixture *it, unsigned long settled)
{
    struct kube_events_counts counts = {0};
    for (int i = 0; i < 1000 && counts.sent + counts.failed < settled; i++) {
        struct timespec wait = {0, 10000000};
        nanosleep(&wait, NULL);
        kube_events_counts(it->events, &counts);
    }
    return counts;
}

static void sent_in_order(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {PATH, JSON("503 Unavailable"), 0}, /* the same one is tried again */
        {"note\":\"first", JSON("201 Created"), 0},
        {"note\":\"second", JSON("403 Forbidden"), 0}, /* and this one is not */
        {"note\":\"third", JSON("201 Created"), 0},
    };
    struct fixture it;
    begin(&it, steps, NRW_COUNT(steps));
    assert_true(add(&it, "first")); /* also before the thread runs */
    assert_true(kube_loop_start(it.loop, NULL));
    assert_true(add(&it, "second"));
    assert_false(add(&it, "second")); /* just said */
    assert_true(add(&it, "third"));
    struct kube_events_counts counts = wait_for(&it, 3);
    assert_int_equal(counts.sent, 2);
    assert_int_equal(counts.failed, 1);
    assert_int_equal(counts.repeated, 1);
    assert_int_equal(counts.dropped, 0);
    assert_int_equal(script_count(it.server), NRW_COUNT(steps));
    end(&it);
}

/* A server that hangs keeps nobody waiting, and the queue does not grow without end. */
static void never_in_the_way(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{PATH, "", 60000}};
    struct fixture it;
    begin(&it, steps, 1);
    assert_true(kube_loop_start(it.loop, NULL));
    int64_t start = clock_mono_millis();
    unsigned taken = 0;
    for (unsigned i = 0; i < 5000; i++) {
        char note[32];
        snprintf(note, sizeof(note), "note %u", i);
        taken += add(&it, note);
    }
    int64_t added = clock_mono_millis();
    assert_true(added - start < 2000);
    assert_in_range(taken, 50, 60); /* a burst, and a little for the time it took */
    struct kube_events_counts counts;
    kube_events_counts(it.events, &counts);
    assert_int_equal(counts.dropped, 5000 - taken);
    end(&it); /* at once, though a request hangs */
    assert_true(clock_mono_millis() - added < 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sent_in_order),
        cmocka_unit_test(never_in_the_way),
    };
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    json_object_seed(0);
    if (!kube_global_init(NULL))
        return 1;
    return cmocka_run_group_tests_name("kube_events", tests, NULL, NULL);
}
