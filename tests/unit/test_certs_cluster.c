/* The rotation against an API server that keeps three objects and has its moods: a
 * Secret and two webhook configurations with versions, merge patches and conflicts. What
 * a real one does over a year is in tests/long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "certs/issue.h"
#include "certs/rotate.h"
#include "certs/rotate_look.h"
#include "kube/base64.h"
#include "tests/unit/support/api_server.h"
#include "util/clock.h"
#include "util/mem.h"

#define ADMISSION  "/apis/admissionregistration.k8s.io/v1/"
#define SECRETS    "/api/v1/namespaces/ns/secrets"
#define SECRET     SECRETS "/tls"
#define MUTATING   ADMISSION "mutatingwebhookconfigurations/hook"
#define VALIDATING ADMISSION "validatingwebhookconfigurations/hook"
#define TWO_HOOKS                                                                        \
    "{\"metadata\":{\"name\":\"hook\",\"resourceVersion\":\"1\"},\"webhooks\":["         \
    "{\"name\":\"a\",\"clientConfig\":{}},{\"name\":\"b\",\"clientConfig\":{}}]}"
#define NO_HOOKS                                                                         \
    "{\"metadata\":{\"name\":\"hook\",\"resourceVersion\":\"1\"},\"webhooks\":[]}"

/* --- what the API server keeps --------------------------------------------------- */

static const char *const paths[] = {SECRET, MUTATING, VALIDATING};

struct world {
    struct api_server *server;
    struct kube_client *client;
    struct rotate *rotate;
    pthread_mutex_t lock; /* of the next four */
    json_t *objects[3];   /* as in `paths`; NULL: none */
    unsigned version;
    char served[16384]; /* the last certificate */
    enum err_code check;
    atomic_bool fight; /* someone empties every caBundle that was written */
    atomic_uint serves, failures, checks;
};

/* --- rules of the store: jansson's part of the world is the server's thread's */

static char *print(const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    char *same = strdup(text);
    mem_free(text);
    return same;
}

static void next_version(struct world *world, json_t *object)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", ++world->version + 100);
    json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
                        json_string(text));
}

static bool is_current(const json_t *object, const json_t *patch)
{
    return json_equal(
        json_object_get(json_object_get(object, "metadata"), "resourceVersion"),
        json_object_get(json_object_get(patch, "metadata"), "resourceVersion"));
}

static void merge(struct world *world, json_t *object, const json_t *patch)
{
    json_t *data = json_object_get(patch, "data");
    if (data != NULL && json_object_get(object, "data") == NULL)
        json_object_set_new(object, "data", json_object());
    if (data != NULL)
        json_object_update(json_object_get(object, "data"), data);
    const json_t *hooks = json_object_get(patch, "webhooks");
    for (size_t i = 0; i < json_array_size(hooks); i++) {
        json_t *to = json_object_get(
            json_array_get(json_object_get(object, "webhooks"), i), "clientConfig");
        json_object_update(to, json_object_get(json_array_get(hooks, i), "clientConfig"));
        if (atomic_load(&world->fight))
            json_object_set_new(to, "caBundle", json_string(""));
    }
    next_version(world, object);
}

static bool keep(void *context, const char *method, const char *url, const char *body,
                 unsigned *ret_status, char **ret_body)
{
    struct world *world = context;
    /* What a test has set for this is stronger than what is kept. */
    if (*ret_status != 404 || strstr(url, "watch=true") != NULL)
        return false;
    pthread_mutex_lock(&world->lock);
    json_t *sent = json_loads(body[0] != '\0' ? body : "{}", 0, NULL);
    bool taken = true;
    *ret_status = 200;
    if (strcmp(method, "POST") == 0) {
        taken = strncmp(url, SECRETS, strlen(SECRETS)) == 0;
        *ret_status = world->objects[0] == NULL ? 201 : 409;
        if (taken && world->objects[0] == NULL) {
            world->objects[0] = json_deep_copy(sent);
            next_version(world, world->objects[0]);
        }
        *ret_body = *ret_status == 201 ? print(world->objects[0]) : strdup(API_CONFLICT);
    } else {
        size_t i = 0;
        while (i < 3 && strncmp(url, paths[i], strlen(paths[i])) != 0)
            i++;
        json_t *object = i < 3 ? world->objects[i] : NULL;
        taken = object != NULL;
        if (taken && strcmp(method, "PATCH") == 0 && !is_current(object, sent)) {
            *ret_status = 409;
            *ret_body = strdup(API_CONFLICT);
        } else if (taken) {
            if (strcmp(method, "PATCH") == 0)
                merge(world, object, sent);
            *ret_body = print(object);
        }
    }
    json_decref(sent);
    if (!taken)
        *ret_status = 404;
    pthread_mutex_unlock(&world->lock);
    return taken;
}

/* --- the world ------------------------------------------------------------------- */

static bool on_certificate(void *context, struct str cert_pem, struct str key_pem,
                           int64_t not_after, struct err *err)
{
    struct world *world = context;
    (void)not_after, (void)err;
    assert_true(key_pem.n > 0 && cert_pem.n < sizeof(world->served));
    pthread_mutex_lock(&world->lock);
    memcpy(world->served, cert_pem.p, cert_pem.n);
    world->served[cert_pem.n] = '\0';
    pthread_mutex_unlock(&world->lock);
    atomic_fetch_add(&world->serves, 1);
    return true;
}

static bool self_check(void *context, struct str ca_pem, struct err *err)
{
    struct world *world = context;
    atomic_fetch_add(&world->checks, 1);
    pthread_mutex_lock(&world->lock);
    enum err_code code = ca_pem.n > 0 ? world->check : ERR_INTERNAL;
    pthread_mutex_unlock(&world->lock);
    return code == ERR_NONE || err_set(err, code, "the call says no");
}

static void on_failure(void *context)
{
    struct world *world = context;
    atomic_fetch_add(&world->failures, 1);
}

static const char *const names[] = {"hook.ns.svc", "192.0.2.1"};

static struct rotate_options options_of(struct world *world)
{
    return (struct rotate_options){.client = world->client,
                                   .secret_namespace = "ns",
                                   .secret_name = "tls",
                                   .webhook_config = "hook",
                                   .dns_names = names,
                                   .dns_count = 2,
                                   .on_certificate = on_certificate,
                                   .self_check = self_check,
                                   .on_failure = on_failure,
                                   .context = world};
}

static void start(struct world *world)
{
    const struct rotate_options options = options_of(world);
    struct err err = {0};
    world->rotate = rotate_start(&options, &err);
    if (world->rotate == NULL)
        fail_msg("%s", err.message);
}

static void end(struct world *world)
{
    rotate_free(world->rotate);
    world->rotate = NULL;
}

static int set_up(void **state)
{
    static struct world world;
    world = (struct world){.server = api_start()};
    pthread_mutex_init(&world.lock, NULL);
    world.client = api_client(world.server);
    world.objects[1] = json_loads(TWO_HOOKS, 0, NULL);
    world.objects[2] = json_loads(TWO_HOOKS, 0, NULL);
    api_set_hook(world.server, keep, &world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    kube_client_stop(world->client);
    end(world);
    kube_client_free(world->client);
    api_stop(world->server);
    for (size_t i = 0; i < 3; i++)
        json_decref(world->objects[i]);
    pthread_mutex_destroy(&world->lock);
    return 0;
}

/* An entry of the Secret, decoded; "" when there is none. From mem_alloc. */
static char *entry(struct world *world, const char *name)
{
    struct buf out;
    buf_init(&out, 65536);
    pthread_mutex_lock(&world->lock);
    const char *text = json_string_value(
        json_object_get(json_object_get(world->objects[0], "data"), name));
    bool good = base64_decode(str_of(text != NULL ? text : ""), &out);
    pthread_mutex_unlock(&world->lock);
    assert_true(good);
    buf_str(&out, STR(""));
    return out.data != NULL ? buf_steal(&out, NULL) : mem_strdup("");
}

static void erase(struct world *world, size_t i, const char *text)
{
    pthread_mutex_lock(&world->lock);
    json_decref(world->objects[i]);
    world->objects[i] = text != NULL ? json_loads(text, 0, NULL) : NULL;
    if (text != NULL)
        next_version(world, world->objects[i]);
    pthread_mutex_unlock(&world->lock);
}

static bool bundles_are(struct world *world, const char *pem)
{
    NRW_AUTO_BUF struct buf want;
    buf_init(&want, 65536);
    assert_true(base64_encode(str_of(pem), &want));
    bool same = true;
    pthread_mutex_lock(&world->lock);
    for (size_t i = 2; i < 6; i++) {
        const char *text = json_string_value(json_object_get(
            json_object_get(
                json_array_get(json_object_get(world->objects[i / 2], "webhooks"), i % 2),
                "clientConfig"),
            "caBundle"));
        same = same && text != NULL && strcmp(text, want.data) == 0;
    }
    pthread_mutex_unlock(&world->lock);
    return same;
}

static struct rotate_state state_of(struct world *world)
{
    struct rotate_state now;
    rotate_state(world->rotate, &now);
    return now;
}

static bool is_well(struct world *world)
{
    struct rotate_state now = state_of(world);
    return now.serving && now.published && now.verified && now.problem[0] == '\0';
}

static bool says(struct world *world, const char *text)
{
    struct rotate_state now = state_of(world);
    return strstr(now.problem, text) != NULL;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

/* --- tests ------------------------------------------------------------------------ */

static void from_nothing(void **state)
{
    struct world *world = *state;
    start(world);
    assert_true(AWAIT(is_well(world)));
    char *ca = entry(world, "ca.crt"), *leaf = entry(world, "tls.crt");
    char *key = entry(world, "tls.key"), *ca_key = entry(world, "ca.key");
    assert_true(bundles_are(world, ca));
    assert_string_equal(world->served, leaf);
    assert_int_equal(count_of(ca, "BEGIN CERTIFICATE"), 1);
    assert_true(cert_key_matches(str_of(leaf), str_of(key), NULL));
    assert_true(cert_key_matches(str_of(ca), str_of(ca_key), NULL));
    for (size_t i = 0; i < 2; i++) {
        const struct cert_check check = {.chain_pem = str_of(leaf),
                                         .ca_pem = str_of(ca),
                                         .key_pem = str_of(key),
                                         .name = names[i],
                                         .at = clock_wall_seconds()};
        assert_true(cert_verify(&check, NULL));
    }
    NRW_AUTO_BUF struct buf seen;
    buf_init(&seen, 65536);
    rotate_ca_bundle(world->rotate, &seen);
    assert_true(str_eq(buf_view(&seen), str_of(ca)));
    assert_int_equal(atomic_load(&world->serves), 1);
    assert_int_equal(atomic_load(&world->failures), 0);
    assert_int_equal(api_count(world->server, "POST " SECRETS), 1);
    assert_int_equal(api_count(world->server, "PATCH "), 2);
    /* Another replica takes what is there, and writes nothing. */
    end(world);
    start(world);
    assert_true(AWAIT(is_well(world)));
    assert_int_equal(atomic_load(&world->serves), 2);
    assert_string_equal(world->served, leaf);
    assert_int_equal(api_count(world->server, "PATCH "), 2);
    mem_free(ca), mem_free(leaf), mem_free(key), mem_free(ca_key);
}

/* Somebody empties the Secret: the CA of what replicas still serve stays trusted. */
static void a_secret_that_was_emptied(void **state)
{
    struct world *world = *state;
    start(world);
    assert_true(AWAIT(is_well(world)));
    char *old = entry(world, "ca.crt");
    end(world);
    start(world); /* that has issued nothing, and need not hold back */
    assert_true(AWAIT(is_well(world)));
    erase(world, 0, "{\"metadata\":{\"name\":\"tls\"},\"data\":{\"ca.crt\":\"!\"}}");
    rotate_poke(world->rotate);
    assert_true(api_await(world->server, "PATCH " SECRET, 1));
    char *both = entry(world, "ca.crt");
    assert_int_equal(count_of(both, "BEGIN CERTIFICATE"), 2);
    assert_non_null(strstr(both, old));
    assert_true(AWAIT(bundles_are(world, both)));
    assert_int_equal(atomic_load(&world->serves), 2); /* until it has settled */
    mem_free(old), mem_free(both);
}

/* What is served is served on, whatever the API server says. */
static void what_is_refused_is_said(void **state)
{
    struct world *world = *state;
    api_set(world->server, "POST " SECRETS, 403,
            API_FORBIDDEN("create resource \\\"secrets\\\" in API group \\\"\\\""));
    start(world);
    assert_true(AWAIT(says(world, "resources: [secrets], verbs: [create]")));
    assert_true(AWAIT(atomic_load(&world->failures) >= 1));
    assert_false(state_of(world).serving);
    api_set(world->server, "POST " SECRETS, 404, "");
    api_set(world->server, "PATCH " VALIDATING, 403, API_FORBIDDEN("patch"));
    rotate_poke(world->rotate);
    assert_true(AWAIT(says(world, "[validatingwebhookconfigurations], resourceNames: "
                                  "[hook], verbs: [patch]")));
    struct rotate_state now = state_of(world);
    assert_true(now.serving);
    assert_false(now.published);
    api_set(world->server, "PATCH " VALIDATING, 404, "");
    rotate_poke(world->rotate);
    assert_true(AWAIT(is_well(world)));
    api_set(world->server, "GET " SECRET, 500, API_STATUS("500", "InternalError", "no"));
    rotate_poke(world->rotate);
    assert_true(AWAIT(says(world, "HTTP 500")));
    now = state_of(world);
    assert_true(now.serving && now.published && now.verified);
    assert_int_equal(atomic_load(&world->serves), 1);
}

/* Where the answer is no Secret, and no configuration, nothing is written over it. */
static void nonsense_is_not_written_over(void **state)
{
    struct world *world = *state;
    api_set(world->server, "GET " SECRET, 200, "{}");
    start(world);
    assert_true(AWAIT(says(world, "no Secret")));
    api_set(world->server, "GET " SECRET, 404, "");
    api_set(world->server, "GET " MUTATING, 200, "{}");
    rotate_poke(world->rotate);
    assert_true(AWAIT(says(world, "no webhook configuration")));
    assert_int_equal(api_count(world->server, "PATCH "), 0);
    assert_false(state_of(world).published);
    erase(world, 1, NULL);
    erase(world, 2, NULL);
    api_set(world->server, "GET " MUTATING, 404, "");
    rotate_poke(world->rotate);
    assert_true(AWAIT(says(world, "check --webhook-config")));
    assert_false(state_of(world).published);
    erase(world, 1, TWO_HOOKS);
    rotate_poke(world->rotate);
    assert_true(AWAIT(says(world, "there is no ValidatingWebhookConfiguration hook")));
    assert_true(AWAIT(state_of(world).published));
}

/* Somebody has taken the injection out, in a hurry: what is left is verified with. */
static void a_configuration_without_webhooks(void **state)
{
    struct world *world = *state;
    erase(world, 1, NO_HOOKS);
    start(world);
    assert_true(AWAIT(is_well(world)));
    NRW_AUTO_BUF struct buf seen;
    buf_init(&seen, 65536);
    rotate_ca_bundle(world->rotate, &seen);
    char *ca = entry(world, "ca.crt");
    assert_true(str_eq(buf_view(&seen), str_of(ca)));
    mem_free(ca);
    erase(world, 2, NO_HOOKS);
    rotate_poke(world->rotate);
    assert_true(AWAIT(says(world, "has a webhook in it")));
}

/* A conflict that never ends is no hurry, and is said. */
static void conflicts_without_end(void **state)
{
    struct world *world = *state;
    api_set(world->server, "POST " SECRETS, 409, API_CONFLICT);
    start(world);
    assert_true(AWAIT(says(world, "16 times")));
    size_t before = api_count(world->server, "POST " SECRETS);
    assert_in_range(before, 16, 32);
    api_set(world->server, "POST " SECRETS, 404, "");
    rotate_poke(world->rotate);
    assert_true(AWAIT(is_well(world)));
}

static void who_fights_us_is_met_more_slowly(void **state)
{
    struct world *world = *state;
    atomic_store(&world->fight, true);
    start(world);
    assert_true(api_await(world->server, "PATCH ", 10)); /* five times both */
    int64_t since = clock_mono_millis();
    assert_true(api_await(world->server, "PATCH ", 11));
    assert_in_range(clock_mono_millis() - since, 450, 9000);
    assert_false(state_of(world).published);
}

static void a_call_that_is_not_verified(void **state)
{
    struct world *world = *state;
    world->check = ERR_INVALID;
    start(world);
    assert_true(AWAIT(says(world, "the call says no")));
    struct rotate_state now = state_of(world);
    assert_true(now.serving && now.published);
    assert_false(now.verified);
    pthread_mutex_lock(&world->lock);
    world->check = ERR_NONE;
    pthread_mutex_unlock(&world->lock);
    rotate_poke(world->rotate);
    assert_true(AWAIT(is_well(world)));
    /* Not asked is no verdict: the last one stays. */
    pthread_mutex_lock(&world->lock);
    world->check = ERR_UNAVAILABLE;
    pthread_mutex_unlock(&world->lock);
    rotate_poke(world->rotate);
    assert_true(AWAIT(says(world, "the call says no")));
    assert_true(state_of(world).verified);
}

/* Looking and writing, without the thread: all of it or ERR_NOMEM. A configuration that
 * could not be read is only not known. */
static void any_allocation_fails(void **state)
{
    struct world *world = *state;
    const struct rotate_options options = options_of(world);
    struct rotate_settings settings = {.texts = NULL};
    assert_true(rotate_settings_copy(&settings, &options, NULL));
    static const struct plan plans[] = {
        {.action = PLAN_ISSUE_ALL, .signer = PLAN_NONE, .reason = "none"},
        {.action = PLAN_PUBLISH, .reason = "published"},
        {.action = PLAN_ISSUE_LEAF, .keep = 1, .reason = "renewal"},
        {.action = PLAN_ISSUE_CA, .keep = 1, .reason = "new CA"},
        {.action = PLAN_DROP_CA, .keep = 1, .reason = "old CA"},
    };
    for (size_t p = 0; p < NRW_COUNT(plans); p++) {
        unsigned refused = 0;
        bool good = false, passed = false;
        for (unsigned long k = 1; !passed && k < 2000; k += 2) {
            struct err err = {0};
            NRW_CLEANUP(rotate_look_done) struct rotate_look look;
            mem_fail_nth(k);
            good = rotate_look(&settings, &look, &err) &&
                   rotate_write(&settings, &look, &plans[p], clock_wall_seconds(),
                                STR(""), &err);
            passed = mem_fail_nth(0) < k;
            refused += !good;
            assert_int_equal(err.code, good ? ERR_NONE : ERR_NOMEM);
        }
        assert_true(good && passed);
        assert_in_range(refused, 3, 1000);
    }
    char *ca = entry(world, "ca.crt");
    assert_int_equal(count_of(ca, "BEGIN CERTIFICATE"), 1);
    mem_free(ca);
    rotate_settings_done(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(from_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_secret_that_was_emptied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonsense_is_not_written_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_configuration_without_webhooks, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(conflicts_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_fights_us_is_met_more_slowly, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_call_that_is_not_verified, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_allocation_fails, set_up, tear_down),
    };
    if (!api_tests_begin())
        return 1;
    json_set_alloc_funcs(mem_lib_alloc, mem_lib_free); /* not what is made to fail here */
    return cmocka_run_group_tests_name("certs_cluster", tests, NULL, NULL);
}
