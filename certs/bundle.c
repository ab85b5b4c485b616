/* caBundles; see bundle.h. Written as a strategic merge patch, which finds webhooks by
 * name, with the resourceVersion that was read. Server-side apply would make us an owner
 * who fights the chart's; a patch of a field that the chart never renders does not. */
#include "certs/bundle.h"

#include "certs/inspect.h"
#include "certs/pem.h"
#include "certs/store.h"
#include "kube/base64.h"
#include "kube/watch_line.h"

#define DEADLINE_MS 5000u

void cert_bundle_done(struct cert_bundle *bundle)
{
    json_decref(bundle->object);
    *bundle = (struct cert_bundle){0};
}

static bool is_configuration(const json_t *object, struct err *err)
{
    const json_t *webhooks = json_object_get(object, "webhooks");
    if (!kube_is_object(object, "webhook configuration", err))
        return false;
    return webhooks == NULL || json_is_array(webhooks) || json_is_null(webhooks) ||
           err_set(
               err, ERR_SYNTAX,
               "the API server's answer has no list of webhooks in its configuration");
}

bool cert_bundle_read(struct kube_client *client, const struct kube_resource *resource,
                      const char *name, struct cert_bundle *ret_bundle, struct err *err)
{
    struct err problem = {0};
    json_t *object = NULL;
    bool good = kube_get(client, resource, "", name, DEADLINE_MS, &object, &problem);
    bool absent = !good && problem.code == ERR_NOT_FOUND;
    if (good)
        good = is_configuration(object, &problem);
    if (!good && !absent) {
        json_decref(object);
        if (err != NULL)
            *err = problem;
        return false;
    }
    cert_bundle_done(ret_bundle);
    *ret_bundle = (struct cert_bundle){.exists = good, .object = object};
    return true;
}

static const json_t *webhooks_of(const struct cert_bundle *bundle)
{
    return json_object_get(bundle->object, "webhooks");
}

/* The text of one webhook's caBundle; false when it has none that can be read. */
static bool decode(const json_t *webhook, struct buf *out)
{
    const json_t *text =
        json_object_get(json_object_get(webhook, "clientConfig"), "caBundle");
    buf_init(out, CERT_PEM_MAXIMUM);
    return json_is_string(text) &&
           base64_decode(str_from(json_string_value(text), json_string_length(text)),
                         out);
}

bool cert_bundle_is(const struct cert_bundle *bundle, struct str pem)
{
    size_t i;
    const json_t *webhook;
    json_array_foreach(webhooks_of(bundle), i, webhook)
    {
        NRW_AUTO_BUF struct buf text;
        if (!decode(webhook, &text) || !str_eq(buf_view(&text), pem))
            return false;
    }
    return true;
}

static bool holds(struct str pem, struct str fingerprint)
{
    NRW_CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, 8u << 20);
    struct cert_info *infos = NULL;
    size_t count = 0;
    if (!cert_inspect(&arena, pem, "caBundle", &infos, &count, NULL))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(infos[i].fingerprint, fingerprint))
            return true;
    }
    return false;
}

bool cert_bundle_holds(const struct cert_bundle *bundle, struct str fingerprint)
{
    size_t i;
    const json_t *webhook;
    json_array_foreach(webhooks_of(bundle), i, webhook)
    {
        NRW_AUTO_BUF struct buf text;
        if (!decode(webhook, &text) || !holds(buf_view(&text), fingerprint))
            return false;
    }
    return true;
}

size_t cert_bundle_webhooks(const struct cert_bundle *bundle)
{
    return json_array_size(webhooks_of(bundle));
}

void cert_bundle_first(const struct cert_bundle *bundle, struct buf *out)
{
    const json_t *webhook = json_array_get(webhooks_of(bundle), 0);
    NRW_AUTO_BUF struct buf text;
    if (decode(webhook, &text))
        buf_str(out, buf_view(&text));
}

static void put_body(struct buf *out, const struct cert_bundle *bundle, struct str pem)
{
    size_t i;
    const json_t *webhook;
    NRW_AUTO_BUF struct buf encoded;
    buf_init(&encoded, 2u * CERT_PEM_MAXIMUM);
    if (!base64_encode(pem, &encoded))
        out->failed = true;
    buf_text(out, "{\"metadata\":{\"resourceVersion\":");
    buf_json_string(out, str_of(kube_meta(bundle->object, "resourceVersion")));
    buf_text(out, "},\"webhooks\":[");
    json_array_foreach(webhooks_of(bundle), i, webhook)
    {
        const char *name = json_string_value(json_object_get(webhook, "name"));
        buf_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        buf_json_string(out, str_of(name != NULL ? name : ""));
        buf_text(out, ",\"clientConfig\":{\"caBundle\":\"");
        buf_str(out, buf_view(&encoded));
        buf_text(out, "\"}}");
    }
    buf_text(out, "]}");
}

bool cert_bundle_write(struct kube_client *client, const struct kube_resource *resource,
                       const char *name, const struct cert_bundle *bundle, struct str pem,
                       struct err *err)
{
    NRW_AUTO_BUF struct buf body;
    buf_init(&body, 16u * CERT_PEM_MAXIMUM);
    put_body(&body, bundle, pem);
    if (body.failed)
        return err_nomem(err);
    struct kube_request request = {.verb = KUBE_PATCH_STRATEGIC,
                                   .resource = resource,
                                   .name = name,
                                   .field_manager = CERT_FIELD_MANAGER,
                                   .body = buf_view(&body),
                                   .deadline_ms = DEADLINE_MS};
    return kube_request(client, &request, NULL, err);
}
