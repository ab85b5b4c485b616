/* The Secret; see store.h. A write is a merge patch that carries the resourceVersion that
 * was read: the API server refuses it with 409 when that is not the present one. So
 * labels and entries of others stay, and a Secret that a chart made in advance serves as
 * well. Not here: what to write (plan.h, rotate.c). */
#include "certs/store.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "certs/pem.h"
#include "kube/base64.h"
#include "kube/watch_line.h"

#define DEADLINE_MS 5000u

void cert_secret_init(struct cert_secret *secret)
{
    *secret = (struct cert_secret){.ca_cert = {.maximum = CERT_PEM_MAXIMUM},
                                   .ca_key = {.maximum = CERT_PEM_MAXIMUM},
                                   .tls_cert = {.maximum = CERT_PEM_MAXIMUM},
                                   .tls_key = {.maximum = CERT_PEM_MAXIMUM}};
}

void cert_secret_done(struct cert_secret *secret)
{
    buf_done(&secret->ca_cert);
    cert_wipe(&secret->ca_key);
    buf_done(&secret->tls_cert);
    cert_wipe(&secret->tls_key);
}

/* jansson hands out what it owns as const and frees it as it is; a key must not stay in
 * freed memory. */
static void wipe_text(const json_t *text)
{
    if (json_is_string(text))
        OPENSSL_cleanse((void *)(uintptr_t)json_string_value(text),
                        json_string_length(text));
}

static bool take_entry(const json_t *data, const char *name, struct buf *out,
                       struct err *err)
{
    const json_t *entry = json_object_get(data, name);
    if (!json_is_string(entry))
        return true;
    struct str text = str_from(json_string_value(entry), json_string_length(entry));
    bool good =
        buf_reserve(out, text.n < out->maximum ? text.n : 0) && base64_decode(text, out);
    if (!good && out->failed && !out->over_limit)
        return err_nomem(err);
    if (!good)
        buf_clear(out);
    return true;
}

bool cert_secret_take(const json_t *object, struct cert_secret *secret, struct err *err)
{
    const json_t *data = json_object_get(object, "data");
    if (!kube_is_object(object, "Secret", err))
        return false;
    if (strlen(kube_meta(object, "resourceVersion")) >= sizeof(secret->resource_version))
        return err_set(err, ERR_SYNTAX,
                       "the API server's answer has a resourceVersion "
                       "that is longer than any");
    secret->exists = true;
    snprintf(secret->resource_version, sizeof(secret->resource_version), "%s",
             kube_meta(object, "resourceVersion"));
    bool good = take_entry(data, "ca.crt", &secret->ca_cert, err) &&
                take_entry(data, "ca.key", &secret->ca_key, err) &&
                take_entry(data, "tls.crt", &secret->tls_cert, err) &&
                take_entry(data, "tls.key", &secret->tls_key, err);
    wipe_text(json_object_get(data, "ca.key"));
    wipe_text(json_object_get(data, "tls.key"));
    return good;
}

bool cert_secret_read(const struct cert_place *place, struct cert_secret *ret_secret,
                      struct err *err)
{
    struct kube_request request = {.verb = KUBE_GET,
                                   .resource = &kube_secrets,
                                   .name_space = place->name_space,
                                   .name = place->name,
                                   .deadline_ms = DEADLINE_MS};
    NRW_CLEANUP(cert_wipe) struct buf answer;
    buf_init(&answer, 4u * CERT_PEM_MAXIMUM);
    struct err problem = {0};
    struct cert_secret found;
    cert_secret_init(&found);
    buf_reserve(&answer, 32768);
    bool good = kube_request_raw(place->client, &request, &answer, &problem);
    if (good) {
        json_t *object = kube_parse(buf_view(&answer), &problem);
        good = object != NULL && cert_secret_take(object, &found, &problem);
        json_decref(object);
    } else if (problem.code == ERR_NOT_FOUND) {
        good = true;
    }
    if (!good) {
        cert_secret_done(&found);
        if (err != NULL)
            *err = problem;
        return false;
    }
    cert_secret_done(ret_secret);
    *ret_secret = found;
    return true;
}

static void put_entry(struct buf *out, const char *name, const struct buf *value)
{
    buf_printf(out, "\"%s\":\"", name);
    base64_encode(buf_view(value), out);
    buf_char(out, '"');
}

static void put_body(struct buf *out, const struct cert_place *place,
                     const struct cert_secret *secret)
{
    if (secret->exists) {
        buf_text(out, "{\"metadata\":{\"resourceVersion\":");
        buf_json_string(out, str_of(secret->resource_version));
        buf_text(out, "}");
    } else {
        buf_text(out, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\","
                      "\"type\":\"kubernetes.io/tls\",\"metadata\":{\"name\":");
        buf_json_string(out, str_of(place->name));
        buf_text(out, ",\"labels\":{\"app.kubernetes.io/managed-by\":"
                      "\"nvcf-registry-webhook\"}}");
    }
    buf_text(out, ",\"data\":{");
    put_entry(out, "ca.crt", &secret->ca_cert);
    buf_char(out, ',');
    put_entry(out, "ca.key", &secret->ca_key);
    buf_char(out, ',');
    put_entry(out, "tls.crt", &secret->tls_cert);
    buf_char(out, ',');
    put_entry(out, "tls.key", &secret->tls_key);
    buf_text(out, "}}");
}

bool cert_secret_write(const struct cert_place *place, const struct cert_secret *secret,
                       struct err *err)
{
    NRW_CLEANUP(cert_wipe) struct buf body;
    buf_init(&body, 8u * CERT_PEM_MAXIMUM);
    /* Room at once, so that growing leaves no pieces of keys behind. */
    buf_reserve(&body, 1024 + 2 * (secret->ca_cert.size + secret->ca_key.size +
                                   secret->tls_cert.size + secret->tls_key.size));
    put_body(&body, place, secret);
    if (body.failed)
        return err_nomem(err);
    struct kube_request request = {.verb =
                                       secret->exists ? KUBE_PATCH_MERGE : KUBE_CREATE,
                                   .resource = &kube_secrets,
                                   .name_space = place->name_space,
                                   .name = secret->exists ? place->name : NULL,
                                   .field_manager = CERT_FIELD_MANAGER,
                                   .body = buf_view(&body),
                                   .deadline_ms = DEADLINE_MS};
    NRW_CLEANUP(cert_wipe) struct buf answer; /* the keys come back */
    buf_init(&answer, 4u * CERT_PEM_MAXIMUM);
    buf_reserve(&answer, 32768);
    return kube_request_raw(place->client, &request, &answer, err);
}
