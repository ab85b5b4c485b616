/* The client and the watch against prepared answers: what a real API server does rarely.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "kube/watch.h"
#include "kube/watch_line.h"
#include "tests/unit/support/script_server.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define JSON(status, body)                                                               \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: "              \
    "close\r\n\r\n" body
#define OK(body) JSON("200 OK", body)
#define META(n, v)                                                                       \
    "{\"metadata\":{\"name\":\"" n "\",\"namespace\":\"ns\",\"uid\":\"u\","              \
    "\"resourceVersion\":\"" v "\"}}"
#define LIST(v, items)                                                                   \
    OK("{\"metadata\":{\"resourceVersion\":\"" v "\"},\"items\":[" items "]}")
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define STATUS(code)        "{\"kind\":\"Status\",\"code\":" code ",\"message\":\"said so\"}"
#define QUIET                                                                            \
    {                                                                                    \
        "watch=true", OK(""), 60000                                                      \
    }

struct fixture {
    struct script_server *server;
    struct kube_client *client;
    struct kube_loop *loop;
    struct kube_watch *watch;
    pthread_mutex_t lock;
    char told[4096];
    unsigned refuse; /* so many on_change say no */
    bool (*needed)(void *context, const json_t *object);
};

static bool on_change(void *context, const struct kube_change *change)
{
    static const char *const names[] = {"+", "~", "-", "SYNCED", "LOST"};
    struct fixture *it = context;
    pthread_mutex_lock(&it->lock);
    bool good = change->object == NULL || it->refuse == 0;
    if (!good)
        it->refuse--;
    size_t n = strlen(it->told);
    snprintf(it->told + n, sizeof(it->told) - n, "%s%s%s ", good ? "" : "!",
             names[change->type],
             change->object != NULL ? kube_meta(change->object, "name") : "");
    pthread_mutex_unlock(&it->lock);
    return good;
}

static void connect_client(struct fixture *it, const struct script_step *steps, size_t n)
{
    it->server = script_start(steps, n);
    char path[] = "/tmp/test_kube_watch.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd,
            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
            "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:%u'}}]\n",
            script_port(it->server));
    close(fd);
    struct err err = {0};
    struct kube_config *config = kube_config_from_file(path, NULL, &err);
    unlink(path);
    if (config == NULL)
        fail_msg("%s", err.message);
    it->client = kube_client_new_take(config, &err);
    assert_non_null(it->client);
}

static void disconnect(struct fixture *it)
{
    kube_client_free(it->client);
    script_stop(it->server);
}

static void begin(struct fixture *it, const struct script_step *steps, size_t n,
                  unsigned silence_ms)
{
    memset(it->told, 0, sizeof(it->told));
    pthread_mutex_init(&it->lock, NULL);
    connect_client(it, steps, n);
    struct err err = {0};
    it->loop = kube_loop_new(it->client, &err);
    struct kube_watch_options options = {.resource = &kube_configmaps,
                                         .name_space = "ns",
                                         .needed = it->needed,
                                         .on_change = on_change,
                                         .context = it};
    it->watch = kube_watch_new(it->loop, &options, &err);
    assert_non_null(it->watch);
    struct kube_watch_times times = {1, silence_ms, 2, 20, 2};
    kube_watch_set_times(it->watch, &times);
    assert_true(kube_loop_start(it->loop, &err));
}

static bool told(struct fixture *it, const char *want)
{
    pthread_mutex_lock(&it->lock);
    bool same = strcmp(it->told, want) == 0;
    pthread_mutex_unlock(&it->lock);
    return same;
}

static void pause_ms(long ms)
{
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
}

/* Waits until it was told and so many requests were made (0: does not matter), then ends
 * everything. */
static void expect(struct fixture *it, const char *want, size_t requests)
{
    for (int i = 0; i < 1000; i++) {
        if (told(it, want) && script_count(it->server) >= requests)
            break;
        pause_ms(10);
    }
    kube_loop_stop(it->loop);
    kube_watch_free(it->watch);
    kube_loop_free(it->loop);
    assert_string_equal(it->told, want);
    assert_string_equal(script_wrong(it->server), "");
    if (requests > 0)
        assert_int_equal(script_count(it->server), requests);
    disconnect(it);
}

static void pages_and_resume(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET /api/v1/namespaces/ns/configmaps?limit=2 ",
         OK("{\"metadata\":{\"resourceVersion\":\"10\",\"continue\":\"more\"},\"items\":"
            "[" META("a", "1") "," META("b", "2") "]}"),
         0},
        {"continue=more&limit=2 ", LIST("10", META("c", "3")), 0},
        /* The last event is cut in the middle: it comes again after the resumption. */
        {"?resourceVersion=10&watch=true&allowWatchBookmarks=true&timeoutSeconds=",
         OK(EVENT("MODIFIED", META("a", "11"))
                EVENT("BOOKMARK", META("", "12")) "{\"type"),
         0},
        {"?resourceVersion=12&watch=true",
         OK(EVENT("DELETED", META("b", "13")) EVENT("ADDED", META("d", "14"))), 1200},
        {"?resourceVersion=14&watch=true", OK(""), 60000},
    };
    struct fixture it = {.refuse = 0};
    begin(&it, steps, NRW_COUNT(steps), 60000);
    expect(&it, "+a +b +c SYNCED ~a -b +d ", 5);
}

static bool not_x(void *context, const json_t *object)
{
    (void)context;
    return kube_meta(object, "name")[0] != 'x';
}

/* Neither told nor remembered, so that it cannot be missed later; the others are. */
static void what_is_not_needed(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"limit=2 ", LIST("10", META("a", "1") "," META("x", "2")), 0},
        {"resourceVersion=10&watch=true",
         OK(EVENT("MODIFIED", META("x", "11")) EVENT("ADDED", META("x2", "12"))
                EVENT("DELETED", META("x", "13")) EVENT("ADDED", META("b", "14"))
                    EVENT("DELETED", META("b", "15")) EVENT("ERROR", STATUS("410"))),
         0},
        {"limit=2 ", LIST("20", META("c", "16")), 0},
        QUIET,
    };
    struct fixture it = {.needed = not_x};
    begin(&it, steps, NRW_COUNT(steps), 60000);
    expect(&it, "+a SYNCED +b -b +c -a ", 4);
}

static void gone_as_status(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"limit=2 ", LIST("10", META("a", "1") "," META("b", "2")), 0},
        {"resourceVersion=10&watch", JSON("410 Gone", STATUS("410")), 0},
        {"limit=2 ", LIST("20", META("a", "1") "," META("c", "19")), 0},
        {"resourceVersion=20&watch", OK(""), 60000},
    };
    struct fixture it = {.refuse = 0};
    begin(&it, steps, NRW_COUNT(steps), 60000);
    expect(&it, "+a +b SYNCED +c -b ", 4);
}

static void gone_as_event(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"limit=2 ", LIST("10", META("a", "1")), 0},
        {"watch", OK(EVENT("MODIFIED", META("a", "11")) EVENT("ERROR", STATUS("410"))),
         500},
        {"limit=2 ", LIST("20", META("a", "20")), 0},
        QUIET,
    };
    struct fixture it = {.refuse = 0};
    begin(&it, steps, NRW_COUNT(steps), 60000);
    expect(&it, "+a SYNCED ~a ~a ", 4);
}

static void nonsense_lists_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"limit=2 ", OK("<html>a proxy</html>"), 0},
        {"limit=2 ", LIST("10", META("a", "1")), 0},
        {"watch", OK("<html>\n"), 100},
        {"limit=2 ", LIST("11", ""), 0},
        {"watch", JSON("504 Gateway Timeout", STATUS("504")), 0},
        {"limit=2 ", LIST("12", META("b", "12")), 0},
        QUIET,
    };
    struct fixture it = {.refuse = 0};
    begin(&it, steps, NRW_COUNT(steps), 60000);
    expect(&it, "LOST +a SYNCED -a LOST +b SYNCED ", 7);
}

static void silence_is_a_dead_peer(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"limit=2 ", LIST("10", META("a", "1")), 0},
        {"resourceVersion=10&watch", OK(EVENT("MODIFIED", META("a", "11"))), 800},
        {"watch=true", OK(EVENT("MODIFIED", META("a", "12"))), 60000},
    };
    struct fixture it = {.refuse = 0};
    int64_t start = clock_mono_millis();
    begin(&it, steps, NRW_COUNT(steps), 300);
    expect(&it, "+a SYNCED ~a ~a ", 0); /* on a slow machine it may be silent again */
    assert_in_range(clock_mono_millis() - start, 300, 10000);
}

static void told_when_to_come_back(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"limit=2 ",
         "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: "
         "close\r\n\r\n{}",
         0},
        {"limit=2 ", JSON("401 Unauthorized", STATUS("401")), 0},
        {"limit=2 ", LIST("10", META("a", "1")), 0},
        QUIET,
    };
    struct fixture it = {.refuse = 0};
    int64_t start = clock_mono_millis();
    begin(&it, steps, NRW_COUNT(steps), 60000);
    expect(&it, "LOST +a SYNCED ", 4);
    assert_in_range(clock_mono_millis() - start, 1000, 10000);
}

/* A listener without memory is told again, also about what goes away meanwhile. */
static void told_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"limit=2 ", LIST("10", META("a", "1") "," META("b", "2")), 0},
        {"limit=2 ", LIST("10", META("a", "1") "," META("b", "2")), 0},
        {"watch", OK(EVENT("DELETED", META("a", "11"))), 0},
        {"limit=2 ", LIST("11", META("b", "2")), 0},
        QUIET,
    };
    struct fixture it = {.refuse = 1};
    begin(&it, steps, 2, 60000);
    /* Two lists, as the first was refused; then the deletion is refused. */
    for (int i = 0; i < 1000 && !told(&it, "!+a LOST ~a +b SYNCED "); i++)
        pause_ms(10);
    assert_true(told(&it, "!+a LOST ~a +b SYNCED "));
    kube_loop_stop(it.loop);
    kube_watch_free(it.watch);
    kube_loop_free(it.loop);
    disconnect(&it);
    it.refuse = 0;
    begin(&it, steps + 1, 4, 60000);
    for (int i = 0; i < 1000 && !told(&it, "+a +b SYNCED -a "); i++)
        pause_ms(10);
    assert_true(told(&it, "+a +b SYNCED -a "));
    kube_loop_stop(it.loop);
    kube_watch_free(it.watch);
    kube_loop_free(it.loop);
    disconnect(&it);
}

/* Whichever allocation fails, the watch ends up knowing everything. */
static void any_allocation_fails(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"configmaps", LIST("10", META("a", "1")), 0},
    };
    json_set_alloc_funcs(mem_alloc, mem_free);
    for (unsigned long nth = 1; nth <= 60; nth++) {
        struct fixture it = {.refuse = 0};
        memset(it.told, 0, sizeof(it.told));
        pthread_mutex_init(&it.lock, NULL);
        connect_client(&it, steps, 1);
        it.loop = kube_loop_new(it.client, NULL);
        struct kube_watch_options options = {.resource = &kube_configmaps,
                                             .name_space = "ns",
                                             .on_change = on_change,
                                             .context = &it};
        it.watch = kube_watch_new(it.loop, &options, NULL);
        assert_non_null(it.watch);
        kube_watch_set_times(it.watch, &(struct kube_watch_times){1, 60000, 1, 2, 2});
        mem_fail_nth(nth);
        assert_true(kube_loop_start(it.loop, NULL));
        struct kube_watch_state now = {0};
        for (int i = 0; i < 3000 && !now.synced; i++) {
            pause_ms(2);
            kube_watch_state(it.watch, &now);
        }
        mem_fail_nth(0);
        kube_loop_stop(it.loop);
        kube_watch_free(it.watch);
        kube_loop_free(it.loop);
        assert_true(now.synced);
        assert_true(strstr(it.told, "+a ") != NULL || strstr(it.told, "~a ") != NULL);
        disconnect(&it);
    }
}

static bool ask(struct fixture *it, enum kube_verb verb, unsigned deadline_ms,
                size_t maximum, struct err *err)
{
    struct kube_request request = {.verb = verb,
                                   .resource = &kube_configmaps,
                                   .name_space = "ns",
                                   .name = "a",
                                   .body = STR("{}"),
                                   .deadline_ms = deadline_ms,
                                   .body_maximum = maximum};
    json_t *object = NULL;
    bool good = kube_request(it->client, &request, &object, err);
    json_decref(object);
    return good;
}

#define LATER(code) "HTTP/1.1 " code "\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{}"

static void requests(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET", LATER("503 Unavailable"), 0},
        {"GET", OK("{}"), 0},                               /* tried again */
        {"GET", LATER("429 Slow"), 0},                      /* too late for it */
        {"PATCH", LATER("503 Unavailable"), 0},             /* never again */
        {"GET", JSON("503 Unavailable", STATUS("503")), 0}, /* nor without a time */
        {"GET", JSON("401 Unauthorized", STATUS("401")), 0},
        {"GET", OK("{}"), 0}, /* with new credentials */
        {"GET", JSON("401 Unauthorized", STATUS("401")), 0},
        {"GET", JSON("401 Unauthorized", STATUS("401")), 0}, /* once only */
        {"PATCH", JSON("409 Conflict", STATUS("409")), 0},
        {"GET", OK("{\"a\":\"0123456789\"}"), 0},
        {"GET", OK("no json"), 0},
        {"GET", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", 0},
        {"Content-Type: application/merge-patch+json", OK("{}"), 0},
        {"GET", OK("{"), 2000},
    };
    struct fixture it = {.refuse = 0};
    connect_client(&it, steps, NRW_COUNT(steps));
    struct err err = {0};
    assert_true(ask(&it, KUBE_GET, 5000, 0, &err));
    assert_false(ask(&it, KUBE_GET, 500, 0, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_false(ask(&it, KUBE_PATCH_MERGE, 5000, 0, &err));
    assert_false(ask(&it, KUBE_GET, 5000, 0, &err));
    assert_non_null(strstr(err.message, "HTTP 503: said so"));
    assert_true(ask(&it, KUBE_GET, 5000, 0, &err));
    assert_false(ask(&it, KUBE_GET, 5000, 0, &err));
    assert_int_equal(err.code, ERR_DENIED);
    assert_false(ask(&it, KUBE_PATCH_MERGE, 5000, 0, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_false(ask(&it, KUBE_GET, 5000, 10, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(ask(&it, KUBE_GET, 5000, 0, &err));
    assert_int_equal(err.code, ERR_SYNTAX);
    assert_false(ask(&it, KUBE_GET, 5000, 0, &err)); /* a redirect is not followed */
    assert_non_null(strstr(err.message, "HTTP 302"));
    assert_true(ask(&it, KUBE_PATCH_MERGE, 5000, 0, &err));
    int64_t start = clock_mono_millis();
    assert_false(ask(&it, KUBE_GET, 200, 0, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_in_range(clock_mono_millis() - start, 150, 1900);
    assert_string_equal(script_wrong(it.server), "");
    kube_client_stop(it.client);
    assert_false(ask(&it, KUBE_GET, 5000, 0, &err));
    assert_int_equal(script_count(it.server), NRW_COUNT(steps));
    disconnect(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_and_resume),
        cmocka_unit_test(what_is_not_needed),
        cmocka_unit_test(gone_as_status),
        cmocka_unit_test(gone_as_event),
        cmocka_unit_test(nonsense_lists_again),
        cmocka_unit_test(silence_is_a_dead_peer),
        cmocka_unit_test(told_when_to_come_back),
        cmocka_unit_test(told_again),
        cmocka_unit_test(requests),
        cmocka_unit_test(any_allocation_fails),
    };
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    json_object_seed(0);
    if (!kube_global_init(NULL))
        return 1;
    return cmocka_run_group_tests_name("kube_watch", tests, NULL, NULL);
}
