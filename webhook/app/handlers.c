/* Paths and their answers; see handlers.h. */
#include "app/handlers.h"

#include "app/admission.h"
#include "app/version.h"

#define TEXT_PLAIN "text/plain; charset=utf-8"
/* https://prometheus.io/docs/instrumenting/exposition_formats/ */
#define TEXT_METRICS "text/plain; version=0.0.4; charset=utf-8"

enum endpoint {
    ENDPOINT_NONE,
    ENDPOINT_MUTATE,
    ENDPOINT_VALIDATE,
    ENDPOINT_HEALTHZ,
    ENDPOINT_READYZ,
    ENDPOINT_METRICS,
    ENDPOINT_VERSION,
};

static enum endpoint endpoint_of(struct str path)
{
    static const struct {
        struct str path;
        enum endpoint endpoint;
    } table[] = {
        {{"/mutate", 7}, ENDPOINT_MUTATE},   {{"/validate", 9}, ENDPOINT_VALIDATE},
        {{"/healthz", 8}, ENDPOINT_HEALTHZ}, {{"/readyz", 7}, ENDPOINT_READYZ},
        {{"/metrics", 8}, ENDPOINT_METRICS}, {{"/version", 8}, ENDPOINT_VERSION},
    };
    for (size_t i = 0; i < NRW_COUNT(table); i++) {
        if (str_eq(path, table[i].path))
            return table[i].endpoint;
    }
    return ENDPOINT_NONE;
}

static enum net_route route(void *context, struct str path, bool plain)
{
    (void)context;
    switch (endpoint_of(path)) {
    case ENDPOINT_NONE:
        return NET_ROUTE_NONE;
    case ENDPOINT_MUTATE:
    case ENDPOINT_VALIDATE: /* only over TLS */
        return plain ? NET_ROUTE_NONE : NET_ROUTE_POST;
    case ENDPOINT_HEALTHZ:
    case ENDPOINT_READYZ:
    case ENDPOINT_METRICS:
    case ENDPOINT_VERSION:
        break;
    }
    return NET_ROUTE_GET;
}

void handlers_error(const struct handlers *handlers, struct net_response *response,
                    unsigned status, const char *message)
{
    response->status = status;
    response->content_type = "application/json";
    buf_clear(&response->body);
    buf_text(&response->body, "{\"error\":");
    buf_json_string(&response->body, str_of(message));
    buf_text(&response->body, "}\n");
    if (response->body.failed)
        buf_clear(&response->body); /* the server has a text of its own, and counts it */
    else
        metrics_http_error(handlers->metrics, status);
}

static void answer_ready(struct handlers *handlers, struct net_response *response)
{
    response->content_type = TEXT_PLAIN;
    if (health_ready(handlers->health, health_now(handlers->health), &response->body))
        buf_text(&response->body, "ok\n");
    else
        response->status = 503;
}

static enum net_handled handle(void *context, const struct net_request *request,
                               struct net_response *response)
{
    struct handlers *handlers = context;
    enum net_handled handled = NET_ANSWERED;
    switch (endpoint_of(request->path)) {
    case ENDPOINT_MUTATE:
        handled = admission_answer(handlers, ADMIT_MUTATE, request, response);
        break;
    case ENDPOINT_VALIDATE:
        handled = admission_answer(handlers, ADMIT_VALIDATE, request, response);
        break;
    case ENDPOINT_HEALTHZ:
        response->content_type = TEXT_PLAIN;
        buf_text(&response->body, "ok\n");
        break;
    case ENDPOINT_READYZ:
        answer_ready(handlers, response);
        break;
    case ENDPOINT_METRICS:
        response->content_type = TEXT_METRICS;
        metrics_write(handlers->metrics, &response->body);
        break;
    case ENDPOINT_VERSION:
        version_json(&response->body);
        break;
    case ENDPOINT_NONE: /* route() said so before */
        response->status = 404;
        break;
    }
    if (handled != NET_ANSWERED)
        return handled;
    if (response->body.failed) { /* out of memory; the server fills in its own text */
        buf_clear(&response->body);
        response->status = 500;
    }
    atomic_fetch_add_explicit(&handlers->bytes, request->body.n + response->body.size,
                              memory_order_relaxed);
    return NET_ANSWERED;
}

static void on_handshake(void *context, bool tls_ok)
{
    const struct handlers *handlers = context;
    metrics_handshake(handlers->metrics, tls_ok);
}

static void on_http_error(void *context, unsigned code)
{
    const struct handlers *handlers = context;
    metrics_http_error(handlers->metrics, code);
}

static void on_connections(void *context, long change)
{
    const struct handlers *handlers = context;
    metrics_connections(handlers->metrics, change);
}

struct net_handlers handlers_table(struct handlers *handlers)
{
    return (struct net_handlers){
        .context = handlers,
        .route = route,
        .handle = handle,
        .on_handshake = on_handshake,
        .on_http_error = on_http_error,
        .on_connections = on_connections,
    };
}
