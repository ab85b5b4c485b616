/* An answer of the API server, whatever it is: read as an error, as a list that a watch
 * begins with, as the policy's or another ConfigMap, as the Secret of the certificates,
 * as a webhook configuration and as a Lease. The first byte says which HTTP code it came
 * with. Nothing crashes or reads beyond, what is refused is refused in one line, and what
 * is written back is JSON. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admit/config_maps.h"
#include "admit/object.h"
#include "certs/bundle.h"
#include "certs/contents.h"
#include "certs/store.h"
#include "kube/client.h"
#include "kube/known.h"
#include "kube/lease.h"
#include "kube/path.h"
#include "kube/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void one_line(const struct err *err)
{
    check(err->code != ERR_NONE && err->message[0] != '\0');
    for (const char *p = err->message; *p != '\0'; p++)
        check((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void as_error(unsigned code, struct str text)
{
    struct err err = {0};
    const struct kube_request request = {.verb = KUBE_GET,
                                         .resource = &kube_configmaps,
                                         .name_space = "nvcf",
                                         .name = "a"};
    check(!kube_status_error(&request, code, text, &err));
    one_line(&err);
    char message[64];
    kube_status_message(text, message, sizeof(message));
    check(strlen(message) < sizeof(message));
}

static bool on_object(void *context, enum known_change change, const json_t *object)
{
    (void)change, (void)object;
    ++*(size_t *)context;
    return true;
}

static void as_list(json_t *root)
{
    struct known known;
    size_t told = 0, again = 0;
    check(known_init(&known, on_object, &told));
    json_t *items = json_object_get(root, "items");
    for (int round = 0; round < 2; round++) {
        known.context = round == 0 ? &told : &again;
        check(known_list_begin(&known));
        for (size_t i = 0; i < json_array_size(items); i++) {
            const json_t *item = json_array_get(items, i);
            bool long_name =
                object_meta(item, "namespace").n + object_meta(item, "name").n > 1000;
            check(known_take(&known, item) || long_name);
        }
        check(known_list_end(&known));
    }
    check(again <= told);
    known_done(&known);
}

static void as_config_map(json_t *root)
{
    struct config_maps *maps = config_maps_new();
    check(maps != NULL);
    struct str name_space = object_meta(root, "namespace");
    check(config_maps_add(maps, name_space, root));
    struct config_maps *copy = config_maps_copy(maps);
    check(copy != NULL);
    check(!config_maps_differ(copy, name_space, root) ||
          str_is_null(object_meta(root, "name")));
    (void)object_text(json_object_get(root, "data"), "policy.yaml");
    config_maps_free(copy);
    config_maps_free(maps);
}

static void as_secret(const json_t *root)
{
    static const char *const dns[] = {"a.example", "b.svc"};
    const struct cert_names names = {.dns = dns, .dns_count = 2};
    struct cert_secret secret;
    struct err err = {0};
    cert_secret_init(&secret);
    if (cert_secret_take(root, &secret, &err)) {
        struct cert_contents contents;
        struct buf bundle;
        buf_init(&bundle, 1u << 22);
        check(cert_contents_read(&contents, &secret, &names, &err));
        check(contents.ca_count <= PLAN_CAS_MAXIMUM);
        check(contents.leaf != NULL || contents.leaf_issuer == PLAN_NONE);
        cert_contents_bundle(&contents, ~0u, &bundle);
        check(!bundle.failed);
        buf_done(&bundle);
        cert_contents_done(&contents);
    } else {
        one_line(&err);
    }
    cert_secret_done(&secret);
}

static void as_configuration(json_t *root)
{
    struct cert_bundle bundle = {.exists = true, .object = json_incref(root)};
    struct buf first;
    buf_init(&first, 1u << 22);
    (void)cert_bundle_is(&bundle, STR("x"));
    (void)cert_bundle_holds(
        &bundle, STR("0000000000000000000000000000000000000000000000000000000000000000"));
    cert_bundle_first(&bundle, &first);
    check(!first.failed);
    buf_done(&first);
    cert_bundle_done(&bundle);
}

static void as_lease(const json_t *root)
{
    const struct kube_lease_options options = {
        .name_space = "nvcf", .name = "l", .identity = "me"};
    struct lease_seen seen = {0};
    lease_observe(&seen, root, 1000);
    enum lease_step early = lease_next(&seen, "me", 1000);
    enum lease_step late = lease_next(&seen, "me", INT64_C(1) << 60);
    /* Nobody holds it for ever by saying so. */
    check(late != LEASE_WAIT || early != LEASE_WAIT);
    json_t *body = lease_body(root, &options, "me", 1700000000000000);
    check(body != NULL);
    char *text = json_dumps(body, JSON_COMPACT);
    check(text != NULL);
    free(text);
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned codes[] = {400, 401, 403, 404, 409, 410, 413, 415,
                                     422, 429, 500, 503, 504, 302, 100, 0};
    if (size < 1 || size > 1u << 18)
        return 0;
    struct str text = str_from((const char *)data + 1, size - 1);
    struct err err = {0};
    as_error(codes[data[0] % (sizeof(codes) / sizeof(codes[0]))], text);
    json_t *root = kube_parse(text, &err);
    if (root == NULL) {
        one_line(&err);
        return 0;
    }
    as_list(root);
    as_config_map(root);
    as_configuration(root);
    as_lease(root);
    as_secret(root); /* wipes the keys in it: last */
    json_decref(root);
    return 0;
}
