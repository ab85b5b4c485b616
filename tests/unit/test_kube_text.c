/* The pure parts of kube/: base64, request paths, error answers, lines and events of a
 * watch, backoff, what is parsed without memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "kube/backoff.h"
#include "kube/base64.h"
#include "kube/client.h"
#include "kube/lines.h"
#include "kube/path.h"
#include "kube/status.h"
#include "kube/watch_line.h"
#include "util/mem.h"

static void base64_round_trip(void **state)
{
    (void)state;
    char bytes[64];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        struct buf text, back;
        buf_init(&text, 1000);
        buf_init(&back, 1000);
        assert_true(base64_encode(str_from(bytes, n), &text));
        assert_int_equal(text.size, (n + 2) / 3 * 4);
        assert_true(base64_decode(buf_view(&text), &back));
        assert_int_equal(back.size, n);
        if (n > 0)
            assert_memory_equal(back.data, bytes, n);
        buf_done(&text);
        buf_done(&back);
    }
}

static bool decodes(const char *text, const char *want)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 100);
    return base64_decode(str_of(text), &out) && str_eq(buf_view(&out), str_of(want));
}

static void base64_strict(void **state)
{
    (void)state;
    assert_true(decodes("Zm9v\n YmE=\r\n", "fooba"));
    assert_true(decodes("", ""));
    assert_false(decodes("Zm9vYmE", "fooba")); /* cut off */
    assert_false(decodes("Zg", "f"));
    assert_false(decodes("Z", ""));
    assert_false(decodes("Zg==Zg==", "f"));
    assert_false(decodes("Zm9v=", "foo"));
    assert_false(decodes("Zm-_", "f"));
    NRW_AUTO_BUF struct buf small;
    buf_init(&small, 2);
    assert_false(base64_decode(STR("Zm9v"), &small));
    assert_true(small.over_limit);
}

static void is_path(const struct kube_request *request, const char *want)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 2000);
    struct err err = {0};
    assert_true(kube_path(request, &out, &err));
    assert_string_equal(out.data, want);
}

static void paths(void **state)
{
    (void)state;
    is_path(&(struct kube_request){.resource = &kube_configmaps,
                                   .name_space = "nvcf",
                                   .name = "nvcf-api-env"},
            "/api/v1/namespaces/nvcf/configmaps/nvcf-api-env");
    is_path(&(struct kube_request){.resource = &kube_deployments,
                                   .name_space = "nvcf",
                                   .label_selector = "a/b=c,d in (e)",
                                   .limit = 50,
                                   .continue_token = "x=="},
            "/apis/apps/v1/namespaces/nvcf/deployments"
            "?labelSelector=a%2Fb%3Dc%2Cd%20in%20%28e%29&continue=x%3D%3D&limit=50");
    is_path(&(struct kube_request){.verb = KUBE_WATCH,
                                   .resource = &kube_configmaps,
                                   .name_space = "ns",
                                   .field_selector = "metadata.name=n",
                                   .resource_version = "7",
                                   .timeout_seconds = 301},
            "/api/v1/namespaces/ns/configmaps?fieldSelector=metadata.name%3Dn"
            "&resourceVersion=7&watch=true&allowWatchBookmarks=true&timeoutSeconds=301");
    is_path(&(struct kube_request){.verb = KUBE_APPLY,
                                   .resource = &kube_deployments,
                                   .name_space = "ns",
                                   .name = "d",
                                   .field_manager = "me",
                                   .force = true,
                                   .dry_run = true},
            "/apis/apps/v1/namespaces/ns/deployments/d"
            "?fieldManager=me&dryRun=All&force=true");
    is_path(&(struct kube_request){.verb = KUBE_CREATE,
                                   .resource = &kube_leases,
                                   .name_space = "ns",
                                   .name = "l"},
            "/apis/coordination.k8s.io/v1/namespaces/ns/leases");
    is_path(&(struct kube_request){.verb = KUBE_DELETE,
                                   .resource = &kube_mutating_configurations,
                                   .name = "a/../b?c#d\xc3\xa9"},
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"
            "a%2F..%2Fb%3Fc%23d%C3%A9");
    is_path(&(struct kube_request){.raw_path = "/readyz?verbose"}, "/readyz?verbose");
}

static void path_refusals(void **state)
{
    (void)state;
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, 2000);
    struct err err = {0};
    assert_false(kube_path(&(struct kube_request){.resource = &kube_configmaps,
                                                  .name_space = "..",
                                                  .name = "x"},
                           &out, &err));
    assert_int_equal(err.code, ERR_INVALID);
    buf_clear(&out);
    assert_false(kube_path(&(struct kube_request){.resource = &kube_configmaps,
                                                  .name_space = "n",
                                                  .name = "."},
                           &out, &err));
}

static enum err_code as_err(const struct kube_request *request, unsigned code,
                            const char *body, struct err *err)
{
    assert_false(kube_status_error(request, code, str_of(body), err));
    return err->code;
}

static void error_answers(void **state)
{
    (void)state;
    struct kube_request get = {
        .resource = &kube_configmaps, .name_space = "nvcf", .name = "x"};
    struct err err = {0};
    assert_int_equal(as_err(&get, 404, "{\"message\":\"gone\\nnow\\u001b[1m\"}", &err),
                     ERR_NOT_FOUND);
    assert_string_equal(err.message, "cannot get configmaps \"x\" in namespace \"nvcf\": "
                                     "HTTP 404: gone now [1m");
    assert_int_equal(as_err(&get, 409, "{}", &err), ERR_CONFLICT);
    assert_int_equal(as_err(&get, 410, "{}", &err), ERR_CONFLICT);
    assert_int_equal(as_err(&get, 422, "", &err), ERR_INVALID);
    assert_int_equal(as_err(&get, 413, "nonsense", &err), ERR_LIMIT);
    assert_int_equal(as_err(&get, 429, "[1,2]", &err), ERR_UNAVAILABLE);
    assert_int_equal(as_err(&get, 500, "{\"message\":7}", &err), ERR_UNAVAILABLE);
    assert_int_equal(as_err(&get, 401, "{\"message\":\"Unauthorized\"}", &err),
                     ERR_DENIED);
    assert_non_null(strstr(err.message, "does not accept our credentials"));
}

static const char forbidden[] = "{\"kind\":\"Status\",\"code\":403,\"message\":"
                                "\"configmaps \\\"x\\\" is forbidden: User "
                                "\\\"system:serviceaccount:reg:hook\\\" cannot watch "
                                "resource \\\"configmaps\\\" in API "
                                "group \\\"\\\" in the namespace \\\"nvcf\\\"\"}";

static void missing_rule(void **state)
{
    (void)state;
    struct err err = {0};
    struct kube_request watch = {.verb = KUBE_WATCH,
                                 .resource = &kube_configmaps,
                                 .name_space = "nvcf",
                                 .field_selector = "metadata.name=x"};
    assert_int_equal(as_err(&watch, 403, forbidden, &err), ERR_DENIED);
    assert_string_equal(
        err.message,
        "not permitted to watch configmaps with metadata.name=x in namespace \"nvcf\": "
        "user "
        "\"system:serviceaccount:reg:hook\" needs the rule {apiGroups: [\"\"], "
        "resources: "
        "[configmaps], resourceNames: [x], verbs: [watch]} in a Role in namespace nvcf, "
        "bound to it");
    struct kube_request create = {
        .verb = KUBE_CREATE, .resource = &kube_leases, .name_space = "a", .name = "l"};
    as_err(&create, 403, forbidden, &err);
    assert_null(strstr(err.message, "resourceNames")); /* RBAC ignores it on create */
    struct kube_request patch = {.verb = KUBE_PATCH_MERGE,
                                 .resource = &kube_validating_configurations,
                                 .name = "v"};
    as_err(&patch, 403, forbidden, &err);
    assert_non_null(strstr(err.message, "[admissionregistration.k8s.io]") != NULL
                        ? err.message
                        : strstr(err.message, "\"admissionregistration.k8s.io\""));
    assert_non_null(strstr(err.message, "in a ClusterRole"));
    as_err(&patch, 403, "{\"message\":\"a policy says no\"}", &err);
    assert_non_null(strstr(err.message, "a policy says no"));
    assert_null(strstr(err.message, "needs the rule"));
}

struct collected {
    char text[4096];
    size_t lines;
    size_t stop_after;
};

static bool collect(void *context, struct str line)
{
    struct collected *all = context;
    size_t n = strlen(all->text);
    snprintf(all->text + n, sizeof(all->text) - n, "[%.*s]", STR_ARG(line));
    return ++all->lines != all->stop_after;
}

/* However the stream is cut into chunks, the lines are the same. */
static void lines_any_cut(void **state)
{
    (void)state;
    static const char stream[] = "one\r\n\n\r\ntwo\nthree, longer\n\nlast, unfinished";
    for (size_t step = 1; step <= sizeof(stream); step++) {
        struct lines lines;
        lines_init(&lines, 100);
        struct collected all = {.stop_after = 0};
        for (size_t at = 0; at < sizeof(stream) - 1; at += step)
            assert_true(lines_feed(&lines, str_first(str_skip(str_of(stream), at), step),
                                   collect, &all));
        assert_string_equal(all.text, "[one][two][three, longer]");
        assert_int_equal(lines.pending.size, sizeof("last, unfinished") - 1);
        lines_done(&lines);
    }
}

static void lines_limits(void **state)
{
    (void)state;
    struct lines lines;
    struct collected all = {.stop_after = 2};
    lines_init(&lines, 5);
    assert_true(lines_feed(&lines, STR("12345\n"), collect, &all));
    assert_false(
        lines_feed(&lines, STR("a\nb\n"), collect, &all)); /* the callback's no */
    lines_reset(&lines);
    assert_false(lines_feed(&lines, STR("123456\n"), collect, &all));
    assert_true(lines.pending.over_limit);
    lines_reset(&lines);
    assert_true(lines_feed(&lines, STR("123"), collect, &all));
    assert_false(lines_feed(&lines, STR("456"), collect, &all));
    assert_true(lines.pending.over_limit);
    lines_done(&lines);
}

static bool parses(const char *text, struct watch_line *line)
{
    struct err err = {0};
    return watch_line_parse(str_of(text), line, &err);
}

static void watch_events(void **state)
{
    (void)state;
    struct watch_line line;
    assert_true(parses("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"n\","
                       "\"resourceVersion\":\"12\"},\"data\":{\"k\":\"a\\u0000b\"}}}",
                       &line));
    assert_int_equal(line.type, WATCH_LINE_MODIFIED);
    assert_string_equal(line.resource_version, "12");
    assert_string_equal(kube_meta(line.object, "name"), "n");
    assert_string_equal(kube_meta(line.object, "uid"), "");
    watch_line_done(&line);
    assert_true(parses(
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"13\"}}}",
        &line));
    assert_int_equal(line.type, WATCH_LINE_BOOKMARK);
    watch_line_done(&line);
    assert_true(parses("{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
                       "\"message\":\"too old\"}}",
                       &line));
    assert_int_equal(line.code, 410);
    assert_string_equal(line.message, "too old");
    watch_line_done(&line);
    static const char *const wrong[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"type\":\"ADDED\"}",
        "{\"type\":\"ADDED\",\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"n\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":1,\"resourceVersion\":1}}"
        "}",
        ("{\"type\":\"OTHER\",\"object\":{\"metadata\":{\"name\":\"n\","
         "\"resourceVersion\":\"1\"}}}"),
        "{\"type\":1,\"object\":[]}",
    };
    for (size_t i = 0; i < NRW_COUNT(wrong); i++)
        assert_false(parses(wrong[i], &line));
}

static void waits(void **state)
{
    (void)state;
    struct backoff low = {100, 1000, 0}, high = {100, 1000, 0};
    static const unsigned want[] = {100, 200, 400, 800, 1000, 1000, 1000};
    for (size_t i = 0; i < NRW_COUNT(want); i++) {
        assert_int_equal(backoff_next(&low, 0), want[i] / 2);
        unsigned wait = backoff_next(&high, UINT32_MAX);
        assert_in_range(wait, want[i] / 2, want[i]);
    }
    backoff_reset(&low);
    assert_int_equal(backoff_next(&low, 50), 100);
}

/* jansson, refused memory for a longer token, goes on without the byte: an answer is
 * taken whole or not at all. */
static void answers_are_whole(void **state)
{
    (void)state;
    static const char text[] = "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\","
                               "\"resourceVersion\":\"1\"},\"data\":{\"k\":"
                               "\"a registry's hostname of more than 32 bytes\"}}";
    unsigned refused = 0;
    json_t *object = NULL;
    json_set_alloc_funcs(mem_alloc, mem_free);
    for (unsigned long k = 1; object == NULL && k < 1000; k++) {
        struct err err = {0};
        mem_fail_nth(k);
        object = kube_parse(str_of(text), &err);
        mem_fail_nth(0);
        refused += object == NULL;
        assert_int_equal(err.code, object != NULL ? ERR_NONE : ERR_NOMEM);
    }
    assert_in_range(refused, 10, 100);
    char *got = json_dumps(object, JSON_COMPACT);
    assert_string_equal(got, text);
    mem_free(got);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_round_trip),
        cmocka_unit_test(base64_strict),
        cmocka_unit_test(paths),
        cmocka_unit_test(path_refusals),
        cmocka_unit_test(error_answers),
        cmocka_unit_test(missing_rule),
        cmocka_unit_test(lines_any_cut),
        cmocka_unit_test(lines_limits),
        cmocka_unit_test(watch_events),
        cmocka_unit_test(waits),
        cmocka_unit_test(answers_are_whole),
    };
    return cmocka_run_group_tests_name("kube_text", tests, NULL, NULL);
}
