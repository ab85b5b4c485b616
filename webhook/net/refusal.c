/* The server's own errors; see refusal.h. */
#include "net/refusal.h"

#include <stdio.h>

#include "util/attr.h"

static const struct refusal {
    unsigned status;
    const char *reason; /* RFC 9110 and RFC 6585 */
    struct str body;
} refusals[] = {
    {400, "Bad Request",
     STR("{\"error\":\"bad request: not a well-formed HTTP/1.1 request\"}\n")},
    {404, "Not Found",
     STR("{\"error\":\"not found: POST /mutate and /validate by HTTPS only, GET "
         "/healthz, /readyz, /metrics and /version are served\"}\n")},
    {405, "Method Not Allowed",
     STR("{\"error\":\"method not allowed: the header Allow names those that are\"}\n")},
    {408, "Request Timeout",
     STR("{\"error\":\"request timeout: the request did not arrive whole in time\"}\n")},
    {411, "Length Required",
     STR("{\"error\":\"length required: send Content-Length or a chunked body\"}\n")},
    {413, "Content Too Large",
     STR("{\"error\":\"content too large: a body may have 8388608 bytes\"}\n")},
    {414, "URI Too Long", STR("{\"error\":\"uri too long\"}\n")},
    {415, "Unsupported Media Type",
     STR("{\"error\":\"unsupported media type: send Content-Type: "
         "application/json\"}\n")},
    {431, "Request Header Fields Too Large",
     STR("{\"error\":\"request header fields too large\"}\n")},
    {500, "Internal Server Error",
     STR("{\"error\":\"internal error: out of memory, or a library failed\"}\n")},
    {503, "Service Unavailable",
     STR("{\"error\":\"overloaded: too many connections, bodies or long requests at "
         "once: try again\"}\n")},
    {505, "HTTP Version Not Supported",
     STR("{\"error\":\"http version not supported: speak HTTP/1.1\"}\n")},
};

static const struct refusal *find(unsigned status)
{
    const struct refusal *otherwise = NULL;
    for (size_t i = 0; i < NRW_COUNT(refusals); i++) {
        if (refusals[i].status == status)
            return &refusals[i];
        if (refusals[i].status == 500)
            otherwise = &refusals[i];
    }
    return otherwise;
}

struct str refusal_body(unsigned status)
{
    return find(status)->body;
}

size_t refusal_format(unsigned status, struct str body, char *out, size_t size)
{
    const struct refusal *refusal = find(status);
    int n = snprintf(out, size,
                     "HTTP/1.1 %u %s\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
                     refusal->status, refusal->reason, body.n, STR_ARG(body));
    return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

size_t refusal_answer(unsigned status, char *out, size_t size)
{
    return refusal_format(status, refusal_body(status), out, size);
}
