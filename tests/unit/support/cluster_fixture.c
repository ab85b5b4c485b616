/* See cluster_fixture.h. */
#include "tests/unit/support/cluster_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unistd.h>

#include "admit/config_maps.h"
#include "app/admission.h"
#include "util/clock.h"

static void on_policy(void *context, const struct policy *policy)
{
    struct fixture *it = context;
    cluster_policy_changed(it->cluster, policy);
}

int fixture_set_up(void **state)
{
    static struct fixture it;
    it = (struct fixture){.server = api_start()};
    publish_fixture_init(&it.app, on_policy, &it);
    snprintf(it.kubeconfig, sizeof(it.kubeconfig), "/tmp/cluster_fixture.XXXXXX");
    api_kubeconfig(it.server, it.kubeconfig);
    it.options = (struct app_cluster){.policy_configmap = "hook/policy",
                                      .kubeconfig = it.kubeconfig};
    *state = &it;
    return 0;
}

int fixture_tear_down(void **state)
{
    struct fixture *it = *state;
    cluster_free(it->cluster);
    publish_fixture_done(&it->app);
    api_stop(it->server);
    unlink(it->kubeconfig);
    return 0;
}

bool fixture_join(struct fixture *it, struct err *err)
{
    const struct cluster_setup setup = {.options = &it->options,
                                        .publish = &it->app.publish,
                                        .health = &it->app.health,
                                        .metrics = it->app.metrics,
                                        .listen = "127.0.0.1:0",
                                        .config_maps_maximum =
                                            it->maximum > 0 ? it->maximum : 1u << 20};
    it->cluster = cluster_new(&setup, err);
    return it->cluster != NULL;
}

void fixture_start(struct fixture *it)
{
    struct err err = {0};
    if (!fixture_join(it, &err) || !cluster_start(it->cluster, &err))
        fail_msg("%s", err.message);
}

bool fixture_has_maps(struct fixture *it, size_t count)
{
    NRW_AUTO_SNAPSHOT struct snapshot now;
    snapshots_take(it->app.snapshots, &now);
    size_t n = 0;
    if (now.config_maps != NULL)
        config_maps_items(now.config_maps, &n);
    return now.config_maps != NULL && n == count;
}

const char *fixture_answered(struct fixture *it, enum admit_endpoint endpoint,
                             const char *body)
{
    static struct handlers handlers;
    handlers = (struct handlers){.snapshots = it->app.snapshots,
                                 .decision = it->decision > 0 ? it->decision : 64u << 20,
                                 .health = &it->app.health,
                                 .metrics = it->app.metrics,
                                 .cluster = it->cluster};
    struct net_request request = {.method = NET_POST, .body = str_of(body)};
    struct net_response response = {.status = 200};
    buf_init(&response.body, 1u << 20);
    request.since = clock_mono_nanos();
    enum net_handled handled = admission_answer(&handlers, endpoint, &request, &response);
    for (int i = 0; handled != NET_ANSWERED; i++) { /* as the server does */
        assert_true(i < 2);
        request.said = handled;
        handled = admission_answer(&handlers, endpoint, &request, &response);
    }
    struct str text = buf_view(&response.body);
    bool allowed = str_find(text, STR("\"allowed\":true")) < text.n;
    bool denied = str_find(text, STR("\"allowed\":false")) < text.n;
    bool collides = str_find(text, STR("BuiltinCollision")) < text.n;
    bool opaque = str_find(text, STR("OpaqueSource")) < text.n;
    bool patched = str_find(text, STR("JSONPatch")) < text.n;
    snprintf(it->said, sizeof(it->said), "%.*s", STR_ARG(text));
    buf_done(&response.body);
    assert_true(allowed != denied && patched == (allowed && endpoint == ADMIT_MUTATE));
    if (denied)
        return collides ? "collision" : opaque ? "denied: opaque" : "denied";
    return opaque ? "opaque" : "yes";
}

const char *fixture_body(const char *env, const char *env_from)
{
    static char body[8192];
    snprintf(body, sizeof(body),
             "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
             "\"request\":{\"uid\":\"1\",\"kind\":{\"group\":\"apps\",\"version\":\"v1\","
             "\"kind\":\"Deployment\"},\"namespace\":\"nvcf\",\"name\":\"nvcf-api\","
             "\"operation\":\"CREATE\",\"object\":{\"apiVersion\":\"apps/v1\",\"kind\":"
             "\"Deployment\",\"metadata\":{\"name\":\"nvcf-api\",\"namespace\":\"nvcf\","
             "\"labels\":{\"app.kubernetes.io/name\":\"helm-nvcf-api\"}},\"spec\":"
             "{\"template\":{\"spec\":{\"containers\":[{\"name\":\"helm-nvcf-api\","
             "\"env\":[%s],\"envFrom\":[%s]}]}}}}}}",
             env, env_from);
    return body;
}

const char *fixture_allowed_by(struct fixture *it, const char *env, const char *env_from)
{
    return fixture_answered(it, ADMIT_MUTATE, fixture_body(env, env_from));
}

void fixture_start_with(struct fixture *it, const char *list, size_t count)
{
    api_set(it->server, "GET " POLICIES, 200,
            it->policy != NULL ? it->policy : LIST(POLICY("1", GOOD)));
    api_set(it->server, "GET " MAPS, 200, list);
    api_set(it->server, "GET " MAPS "/", 404, API_STATUS("404", "NotFound", "none"));
    api_set(it->server, EVENTS, 201, NULL);
    fixture_start(it);
    assert_true(AWAIT(fixture_has_maps(it, count)));
}
