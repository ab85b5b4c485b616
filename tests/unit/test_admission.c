/* What a worker leaves to the thread aside, and what becomes of it there. No cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/admission.h"
#include "tests/unit/support/publish_fixture.h"
#include "util/clock.h"
#include "util/mem.h"

#define HEAD                                                                             \
    "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{" \
    "\"uid\":\"1\",\"kind\":{\"group\":\"apps\",\"version\":\"v1\",\"kind\":"            \
    "\"Deployment\"},\"namespace\":\"nvcf\",\"name\":\"nvcf-api\",\"operation\":"        \
    "\"CREATE\",\"object\":{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\","         \
    "\"metadata\":{\"name\":\"nvcf-api\",\"namespace\":\"nvcf\",\"labels\":{"            \
    "\"app.kubernetes.io/name\":\"helm-nvcf-api\"}},\"spec\":{\"template\":{\"spec\":{"  \
    "\"containers\":[{\"name\":\"helm-nvcf-api\",\"env\":["
#define TAIL "]}]}}}}}}"

struct fixture {
    struct publish_fixture app;
    struct handlers handlers;
    struct buf body;
};

static int set_up(void **state)
{
    static struct fixture it;
    publish_fixture_init(&it.app, NULL, NULL);
    it.handlers = (struct handlers){.snapshots = it.app.snapshots,
                                    .decision = 64u << 20,
                                    .health = &it.app.health,
                                    .metrics = it.app.metrics};
    buf_init(&it.body, 1u << 20);
    struct policy_doc *doc = policy_doc_new(str_of(policy_example), NULL);
    *state = &it;
    return doc != NULL && snapshots_set_policy_take(it.app.snapshots, doc, NULL) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *it = *state;
    buf_done(&it->body);
    publish_fixture_done(&it->app);
    return 0;
}

/* A review with `count` variables of which each is written as `format` says of its
 * number, padded to `size` bytes at least. */
static void write_review(struct fixture *it, const char *variable, bool numbered,
                         unsigned count, size_t size)
{
    buf_clear(&it->body);
    buf_text(&it->body, HEAD);
    for (unsigned i = 0; i < count; i++) {
        buf_text(&it->body, i > 0 ? "," : "");
        buf_text(&it->body, variable);
        if (numbered)
            buf_printf(&it->body, "%u\",\"value\":\"x\"}", i);
    }
    buf_text(&it->body, TAIL);
    while (it->body.size < size)
        buf_char(&it->body, ' ');
    assert_false(it->body.failed);
}

/* `waited_ms` < 0: in a worker. */
static enum net_handled ask(struct fixture *it, int64_t waited_ms,
                            struct net_response *ret_response)
{
    const struct net_request request = {
        .method = NET_POST,
        .body = buf_view(&it->body),
        .said = waited_ms >= 0 ? NET_LONG : NET_ANSWERED,
        .since = clock_mono_nanos() - (waited_ms > 0 ? waited_ms : 0) * 1000000};
    *ret_response = (struct net_response){.status = 200};
    buf_init(&ret_response->body, 1u << 20);
    return admission_answer(&it->handlers, ADMIT_VALIDATE, &request, ret_response);
}

static bool says(const struct net_response *response, const char *text)
{
    return str_find(buf_view(&response->body), str_of(text)) < response->body.size;
}

static unsigned long counted(const struct fixture *it)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 1u << 20);
    metrics_write(it->app.metrics, &out);
    struct str text = buf_view(&out);
    const struct str name = STR("\nnvcf_registry_webhook_admission_requests_total{");
    unsigned long sum = 0;
    for (size_t at; (at = str_find(text, name)) < text.n;) {
        text = str_skip(text, at + name.n);
        size_t end = str_index(text, 0, '\n');
        size_t blank = end;
        while (blank > 0 && text.p[blank - 1] != ' ')
            blank--;
        sum += strtoul(text.p + blank, NULL, 10);
    }
    return sum;
}

/* In a worker: no answer, and nothing counted. Aside: answered. After others were in the
 * way for too long: 503. */
static void is_for_aside(struct fixture *it)
{
    struct net_response response;
    unsigned long before = counted(it);
    assert_int_equal(ask(it, -1, &response), NET_LONG);
    assert_int_equal(response.body.size, 0);
    buf_done(&response.body);
    assert_int_equal(counted(it), before);
    assert_int_equal(ask(it, 7000, &response), NET_ANSWERED);
    assert_int_equal(response.status, 200);
    assert_true(says(&response, "\"allowed\":"));
    buf_done(&response.body);
    assert_int_equal(counted(it), before + 1);
    assert_int_equal(ask(it, 8100, &response), NET_ANSWERED);
    assert_int_equal(response.status, 503);
    assert_true(says(&response, "try again"));
    buf_done(&response.body);
    assert_int_equal(counted(it), before + 2);
}

static void is_answered_at_once(struct fixture *it)
{
    struct net_response response;
    unsigned long before = counted(it);
    assert_int_equal(ask(it, -1, &response), NET_ANSWERED);
    assert_int_equal(response.status, 200);
    assert_true(says(&response, "\"allowed\":"));
    buf_done(&response.body);
    assert_int_equal(counted(it), before + 1);
}

static void many_values(void **state)
{
    struct fixture *it = *state;
    write_review(it, "{\"name\":\"V", true, 200, 0);
    is_answered_at_once(it);
    write_review(it, "{}", false, 4000, 0);
    is_for_aside(it);
}

#define DECLARING "{\"name\":\"NVCF_REGISTRIES_RECOGNIZED_CONTAINER_"

/* Each declares a registry that the policy does not have. */
static void long_decisions(void **state)
{
    struct fixture *it = *state;
    write_review(it, DECLARING "X_NAME", true, 50, 0);
    is_answered_at_once(it);
    write_review(it, DECLARING "X_NAME", true, 400, 0);
    is_for_aside(it);
}

static void long_bodies(void **state)
{
    struct fixture *it = *state;
    write_review(it, DECLARING "X_NAME", true, 1, 256u << 10);
    is_answered_at_once(it);
    write_review(it, DECLARING "X_NAME", true, 1, (256u << 10) + 1);
    is_for_aside(it);
}

/* What cannot be answered aside either is an error there, and not asked for again. */
static void beyond_the_limit(void **state)
{
    struct fixture *it = *state;
    it->handlers.decision = 1u << 20;
    write_review(it, "{}", false, 8000, 0);
    struct net_response response;
    assert_int_equal(ask(it, -1, &response), NET_LONG);
    assert_int_equal(ask(it, 0, &response), NET_ANSWERED);
    assert_int_equal(response.status, 413);
    buf_done(&response.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_decisions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
