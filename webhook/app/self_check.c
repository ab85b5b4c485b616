/* The call to ourselves; see self_check.h. It asks /healthz, which is neither counted as
 * an admission nor needs a policy. */
#include "app/self_check.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#define CALL_MS 2000L

/* Where to connect: a wildcard address is reached over the loopback. Brackets stay. */
static void host_of(const char *listen, char *out, size_t size)
{
    const char *colon = strrchr(listen, ':');
    size_t n = colon != NULL ? (size_t)(colon - listen) : 0;
    struct str host = str_from(listen, n);
    if (host.n == 0 || str_eq(host, STR("[::]")) || str_eq(host, STR("0.0.0.0")))
        host = STR("127.0.0.1");
    snprintf(out, size, "%.*s", STR_ARG(host));
}

static size_t swallow(char *data, size_t size, size_t count, void *context)
{
    (void)data, (void)context;
    return size * count;
}

/* By the time of whoever will really call, not by this machine's. */
static CURLcode set_time(CURL *easy, void *ctx, void *context)
{
    (void)easy;
    const struct self_check *check = context;
    if (check->now != 0)
        X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(ctx), (time_t)check->now);
    return CURLE_OK;
}

#define SET(option, value)                                                               \
    (code = code != CURLE_OK ? code : curl_easy_setopt(easy, (option), (value)))

static CURLcode prepare(CURL *easy, const struct self_check *check,
                        struct curl_slist *connect_to, char *error_text)
{
    char url[512];
    bool v6 = strchr(check->name, ':') != NULL;
    snprintf(url, sizeof(url), "https://%s%s%s:%u/healthz", v6 ? "[" : "", check->name,
             v6 ? "]" : "", check->port);
    struct curl_blob ca = {.len = check->ca_pem.n, .flags = CURL_BLOB_COPY};
    /* curl only reads it, but its struct says otherwise. */
    memcpy(&ca.data, &check->ca_pem.p, sizeof(ca.data));
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_CONNECT_TO, connect_to);
    SET(CURLOPT_CAINFO_BLOB, &ca);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, set_time);
    SET(CURLOPT_SSL_CTX_DATA, check);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, CALL_MS);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_WRITEFUNCTION, swallow);
    SET(CURLOPT_ERRORBUFFER, error_text);
    return code;
}

static bool verdict(const struct self_check *check, CURLcode code, const char *error_text,
                    struct err *err)
{
    bool past_the_certificate = code == CURLE_SSL_CONNECT_ERROR ||
                                code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
                                code == CURLE_SEND_ERROR;
    if (code == CURLE_OK || (check->client_certificate && past_the_certificate))
        return true;
    const char *why = error_text[0] != '\0' ? error_text : curl_easy_strerror(code);
    return err_set(err,
                   code == CURLE_PEER_FAILED_VERIFICATION ? ERR_INVALID : ERR_UNAVAILABLE,
                   "a call to ourselves as %.253s, verified with the caBundle, fails: %s",
                   check->name, why);
}

bool self_check(const struct self_check *check, struct err *err)
{
    char host[256];
    char place[320];
    char error_text[CURL_ERROR_SIZE] = "";
    host_of(check->listen, host, sizeof(host));
    snprintf(place, sizeof(place), "::%s:%u", host, check->port);
    CURL *easy = curl_easy_init();
    struct curl_slist *connect_to = curl_slist_append(NULL, place);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    if (easy != NULL && connect_to != NULL)
        code = prepare(easy, check, connect_to, error_text);
    if (code == CURLE_OK)
        code = curl_easy_perform(easy);
    bool good = code == CURLE_OUT_OF_MEMORY ? err_nomem(err)
                                            : verdict(check, code, error_text, err);
    curl_slist_free_all(connect_to);
    curl_easy_cleanup(easy);
    return good;
}
