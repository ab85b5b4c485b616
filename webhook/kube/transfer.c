/* One HTTP exchange; see transfer.h. HTTP/1.1 only, no redirects (a redirect would carry
 * the token elsewhere), no compression, no signals, a deadline on everything. */
#include "kube/transfer.h"

#include <stdio.h>
#include <string.h>

#include "kube/status.h"

#define CONNECT_MS     5000u
#define ANSWER_MAXIMUM (4u * 1024u * 1024u)
#define ERROR_MAXIMUM  (64u * 1024u) /* of a Status body where a stream was asked for */
#define URL_MAXIMUM    (16u * 1024u)

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t n = size * count;
    if (transfer->code == 0) {
        long code = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
        transfer->code = (unsigned)code;
    }
    struct str bytes = str_from(data, n);
    bool good = transfer->sink != NULL && transfer->code == 200
                    ? transfer->sink(transfer->sink_context, bytes)
                    : buf_str(transfer->body, bytes);
    return good ? n : 0;
}

/* "Date: Tue, 24 Nov 2026 07:30:00 GMT", which Go's HTTP server adds to every answer. */
static void note_date(struct transfer *transfer, struct str line)
{
    static const struct str name = {"date:", 5};
    char text[64];
    if (line.n <= name.n || line.n >= sizeof(text) ||
        !str_eq_nocase(str_first(line, name.n), name))
        return;
    memcpy(text, line.p + name.n, line.n - name.n);
    text[line.n - name.n] = '\0';
    time_t seconds = curl_getdate(text, NULL);
    if (seconds > 0)
        client_saw_date(transfer->client, (int64_t)seconds);
}

/* The empty line that ends the headers: a watch is on from here, though it may be silent
 * for a minute. */
static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t n = size * count;
    note_date(transfer, str_from(data, n));
    if (n <= 2 && transfer->on_headers != NULL &&
        (n == 0 || data[0] == '\r' || data[0] == '\n')) {
        long code = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code);
        if (code == 200)
            transfer->on_headers(transfer->sink_context);
    }
    return n;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c,
                       curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    const struct transfer *transfer = context;
    return client_stopped(transfer->client) && !transfer->last_word ? 1 : 0;
}

static bool add_header(struct transfer *transfer, const char *name, const char *value)
{
    char line[256];
    snprintf(line, sizeof(line), "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    if (longer == NULL)
        return false;
    transfer->headers = longer;
    return true;
}

static bool set_url(struct transfer *transfer, const struct kube_request *request,
                    CURLcode *code, struct err *err)
{
    NRW_AUTO_BUF struct buf url;
    buf_init(&url, URL_MAXIMUM);
    buf_text(&url, kube_config_base_url(client_config(transfer->client)));
    if (!kube_path(request, &url, err))
        return false;
    *code = curl_easy_setopt(transfer->easy, CURLOPT_URL, url.data);
    return true;
}

/* Remembers the first failure of a sequence of options. */
#define SET(option, value)                                                               \
    (code = code != CURLE_OK ? code : curl_easy_setopt(easy, (option), (value)))

static CURLcode set_fixed(struct transfer *transfer, CURL *easy)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_PROTOCOLS_STR, "https,http");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, 30L);
    SET(CURLOPT_TCP_KEEPINTVL, 10L);
    SET(CURLOPT_ERRORBUFFER, transfer->error_text);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, (void *)transfer);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, (void *)transfer);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, (void *)transfer);
    SET(CURLOPT_USERAGENT, "nvcf-registry-webhook/" NRW_VERSION);
    return code;
}

static CURLcode set_request(struct transfer *transfer, CURL *easy,
                            const struct kube_request *request)
{
    CURLcode code = CURLE_OK;
    unsigned connect =
        transfer->deadline_ms < CONNECT_MS ? transfer->deadline_ms : CONNECT_MS;
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
    SET(CURLOPT_TIMEOUT_MS, (long)transfer->deadline_ms);
    bool write = kube_content_type(request->verb) != NULL;
    if (write) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
        SET(CURLOPT_POSTFIELDS, request->body.p != NULL ? request->body.p : "");
    }
    SET(CURLOPT_CUSTOMREQUEST, kube_method(request->verb));
    return code;
}

bool transfer_prepare(struct transfer *transfer, CURL *easy, struct kube_client *client,
                      const struct kube_request *request, unsigned deadline_ms,
                      struct err *err)
{
    struct buf *body = transfer->body;
    transfer->easy = easy;
    transfer->client = client;
    transfer->deadline_ms = deadline_ms;
    transfer->last_word = request->last_word;
    transfer->code = transfer->retry_after = 0;
    transfer->result = CURLE_OK;
    transfer->error_text[0] = '\0';
    if (body == NULL) {
        size_t maximum =
            request->body_maximum > 0 ? request->body_maximum : ANSWER_MAXIMUM;
        buf_init(&transfer->own_body, transfer->sink != NULL ? ERROR_MAXIMUM : maximum);
        transfer->body = &transfer->own_body;
    }
    const char *type = kube_content_type(request->verb);
    if (!add_header(transfer, "Accept", "application/json") ||
        !add_header(transfer, "Expect", "") ||
        (type != NULL && !add_header(transfer, "Content-Type", type)))
        return err_nomem(err);
    if (!kube_config_apply(client_config(client), easy, &transfer->headers, err))
        return false;
    CURLcode code = CURLE_OK;
    if (!set_url(transfer, request, &code, err))
        return false;
    code = code != CURLE_OK ? code : set_fixed(transfer, easy);
    code = code != CURLE_OK ? code : set_request(transfer, easy, request);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    if (code == CURLE_OUT_OF_MEMORY)
        return err_nomem(err);
    if (code != CURLE_OK)
        return err_set(err, ERR_INTERNAL, "libcurl cannot be set up: %s",
                       curl_easy_strerror(code));
    return true;
}

static bool not_reached(struct transfer *transfer, const struct kube_request *request,
                        CURLcode code, struct err *err)
{
    NRW_AUTO_BUF struct buf what;
    buf_init(&what, 512);
    kube_describe(request, &what);
    const char *verb = kube_verb_name(request);
    const char *server = kube_config_base_url(client_config(transfer->client));
    const char *why =
        transfer->error_text[0] != '\0' ? transfer->error_text : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return err_nomem(err);
    case CURLE_WRITE_ERROR:
        if (transfer->sink != NULL && transfer->code == 200)
            break;
        if (!transfer->body->over_limit)
            return err_nomem(err);
        return err_set(err, ERR_LIMIT,
                       "cannot %s %.*s: the answer is larger than %zu bytes", verb,
                       STR_ARG(buf_view(&what)), transfer->body->maximum);
    case CURLE_SSL_CERTPROBLEM: /* libcurl names the buffer, and OpenSSL's errors */
        why = "the client certificate or its key is damaged, or the two do not belong "
              "together";
        break;
    case CURLE_ABORTED_BY_CALLBACK:
        why = "the program is ending";
        break;
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ERR_UNAVAILABLE,
                       "cannot %s %.*s: %s gave no whole answer within %u ms", verb,
                       STR_ARG(buf_view(&what)), server, transfer->deadline_ms);
    default:
        break;
    }
    return err_set(err, ERR_UNAVAILABLE, "cannot %s %.*s: %s: %s", verb,
                   STR_ARG(buf_view(&what)), server, why);
}

bool transfer_result(struct transfer *transfer, const struct kube_request *request,
                     CURLcode code, struct err *err)
{
    long http = 0;
    curl_off_t wait = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &wait);
    transfer->result = code;
    bool answered = code == CURLE_OK || (transfer->sink != NULL && http == 200);
    transfer->code = http > 0 && http < 1000 ? (unsigned)http : 0;
    transfer->retry_after = wait > 0 ? (wait < 3600 ? (unsigned)wait : 3600) : 0;
    client_observe(transfer->client, request, answered ? transfer->code : 0);
    /* A CA or a client certificate may have been replaced since it was read. */
    if (transfer->code == 401 || code == CURLE_PEER_FAILED_VERIFICATION ||
        code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CONNECT_ERROR)
        kube_config_distrust(client_config(transfer->client));
    if (code != CURLE_OK)
        return not_reached(transfer, request, code, err);
    if (request->ret_code != NULL)
        *request->ret_code = transfer->code;
    if ((transfer->code >= 200 && transfer->code < 300) || request->ret_code != NULL)
        return true;
    return kube_status_error(request, transfer->code, buf_view(transfer->body), err);
}

void transfer_done(struct transfer *transfer)
{
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    buf_done(&transfer->own_body);
}
