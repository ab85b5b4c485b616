/* Certificates, key and token, kept current; see credentials.h. Files are opened by path
 * at most every 50 s, or at once after the API server refused us: kubelet and others swap
 * them by symlink, so a descriptor or an mtime would show the old one. A file that cannot
 * be read, or holds what cannot be right, leaves the last good content in force. Secrets
 * never appear in an error or a log line: only paths do. */
#include "kube/credentials.h"

#include <pthread.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/mem.h"

#define REREAD_MS          50000
#define CREDENTIAL_MAXIMUM (1024u * 1024u)
#define TOKEN_MAXIMUM      (64u * 1024u)

enum kind { KIND_CA, KIND_CERT, KIND_KEY, KIND_TOKEN, KIND_COUNT };

struct credential {
    const char *path; /* NULL: it does not change */
    char *value;      /* last good; NULL: there is none */
    bool failing;     /* the last read did not work: logged once, not every minute */
};

struct credentials {
    const struct kube_settings *settings;
    pthread_mutex_t lock;
    struct credential all[KIND_COUNT];
    struct curl_slist *connect_to;
    int64_t read_at;
    bool distrusted;
};

/* A token goes into a header line: nothing in it may end the line. */
static bool is_token(struct str text)
{
    if (text.n == 0 || text.n > TOKEN_MAXIMUM)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return false;
    return true;
}

static struct str trim(struct str text)
{
    while (text.n > 0 && (unsigned char)text.p[text.n - 1] <= ' ')
        text.n--;
    while (text.n > 0 && (unsigned char)text.p[0] <= ' ')
        text = str_skip(text, 1);
    return text;
}

static bool check(enum kind kind, struct str text, const char *where, struct err *err)
{
    static const struct {
        const char *is, *must_hold;
    } wanted[] = {
        [KIND_CA] = {"certificate authority", "-----BEGIN CERTIFICATE-----"},
        [KIND_CERT] = {"client certificate", "-----BEGIN CERTIFICATE-----"},
        [KIND_KEY] = {"client key", "PRIVATE KEY-----"},
        [KIND_TOKEN] = {"token", ""},
    };
    if (kind == KIND_TOKEN) {
        if (is_token(text))
            return true;
        return err_set(err, ERR_INVALID,
                       "%s: the token is empty or holds characters that "
                       "cannot be in a token",
                       where);
    }
    /* What is locked would make libcurl ask a terminal, or crash for want of one. */
    if (str_find(text, STR("-----BEGIN ENCRYPTED ")) < text.n ||
        str_find(text, STR("Proc-Type:")) < text.n)
        return err_set(err, ERR_INVALID,
                       "%s: the %s has a passphrase, and nobody can type it here; write "
                       "it without one%s",
                       where, wanted[kind].is,
                       kind == KIND_KEY ? ": openssl pkey -in OLD -out NEW" : "");
    if (str_find(text, str_of(wanted[kind].must_hold)) < text.n &&
        memchr(text.p, '\0', text.n) == NULL)
        return true;
    return err_set(err, ERR_INVALID, "%s: the %s is not PEM (no \"%s\" in it)", where,
                   wanted[kind].is, wanted[kind].must_hold);
}

static bool read_one(struct credential *credential, enum kind kind, struct err *err)
{
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, CREDENTIAL_MAXIMUM);
    if (!file_read(credential->path, &text, err))
        return false;
    struct str content = buf_view(&text);
    if (kind == KIND_TOKEN)
        content = trim(content);
    if (!check(kind, content, credential->path, err))
        return false;
    char *value = mem_strndup(content.p, content.n);
    if (value == NULL)
        return err_nomem(err);
    mem_free(credential->value);
    credential->value = value;
    return true;
}

static void read_again(struct credentials *credentials)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        struct credential *credential = &credentials->all[i];
        if (credential->path == NULL)
            continue;
        struct err err = {0};
        bool good = read_one(credential, (enum kind)i, &err);
        if (!good && !credential->failing)
            log_event(LOG_LEVEL_WARN,
                      "a credential for the API server cannot be read again; the last "
                      "good one stays in use",
                      LOG_C("path", credential->path), LOG_C("error", err.message));
        credential->failing = !good;
    }
}

static bool start(struct credential *credential, enum kind kind, const char *value,
                  const char *path, const char *source, struct err *err)
{
    credential->path = path;
    if (value != NULL) {
        struct str text = kind == KIND_TOKEN ? trim(str_of(value)) : str_of(value);
        if (!check(kind, text, source, err))
            return false;
        credential->value = mem_strndup(text.p, text.n);
        if (credential->value == NULL)
            return err_nomem(err);
    }
    if (path == NULL)
        return true;
    /* A token beside a tokenFile stands in until the file can be read. */
    return read_one(credential, kind, err) ||
           (value != NULL && err != NULL && err->code != ERR_NOMEM);
}

struct credentials *credentials_new(const struct kube_settings *settings, struct err *err)
{
    struct credentials *credentials = mem_calloc(1, sizeof(*credentials));
    if (credentials == NULL) {
        err_nomem(err);
        return NULL;
    }
    credentials->settings = settings;
    pthread_mutex_init(&credentials->lock, NULL);
    struct credential *all = credentials->all;
    struct err reason = {0};
    const char *source = settings->source;
    if (!start(&all[KIND_CA], KIND_CA, settings->ca_pem, settings->ca_file, source,
               &reason) ||
        !start(&all[KIND_CERT], KIND_CERT, settings->cert_pem, settings->cert_file,
               source, &reason) ||
        !start(&all[KIND_KEY], KIND_KEY, settings->key_pem, settings->key_file, source,
               &reason) ||
        !start(&all[KIND_TOKEN], KIND_TOKEN, settings->token, settings->token_file,
               source, &reason)) {
        err_set(err, reason.code, "%s", reason.message);
        credentials_free(credentials);
        return NULL;
    }
    credentials->read_at = clock_mono_millis();
    return credentials;
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    for (int i = 0; i < KIND_COUNT; i++)
        mem_free(credentials->all[i].value);
    curl_slist_free_all(credentials->connect_to);
    pthread_mutex_destroy(&credentials->lock);
    mem_free(credentials);
}

void credentials_distrust(struct credentials *credentials)
{
    pthread_mutex_lock(&credentials->lock);
    credentials->distrusted = true;
    pthread_mutex_unlock(&credentials->lock);
}

static CURLcode set_blob(CURL *easy, CURLoption option, const char *text)
{
    if (text == NULL)
        return CURLE_OK;
    /* curl copies it, and never writes to it. */
    union {
        const char *from;
        void *to;
    } data = {.from = text};
    struct curl_blob blob = {data.to, strlen(text), CURL_BLOB_COPY};
    return curl_easy_setopt(easy, option, &blob);
}

static CURLcode set_tls(const struct credentials *credentials, CURL *easy)
{
    const struct credential *all = credentials->all;
    long verify = credentials->settings->insecure ? 0L : 1L;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify != 0 ? 2L : 0L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (code == CURLE_OK)
        code = set_blob(easy, CURLOPT_CAINFO_BLOB, all[KIND_CA].value);
    if (code == CURLE_OK)
        code = set_blob(easy, CURLOPT_SSLCERT_BLOB, all[KIND_CERT].value);
    if (code == CURLE_OK)
        code = set_blob(easy, CURLOPT_SSLKEY_BLOB, all[KIND_KEY].value);
    if (code == CURLE_OK) /* any will do: without one it would be asked for */
        code = curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
    return code;
}

static bool add_token(const char *token, struct curl_slist **headers)
{
    if (token == NULL)
        return true;
    NRW_AUTO_BUF struct buf line;
    buf_init(&line, TOKEN_MAXIMUM + 64);
    buf_printf(&line, "Authorization: Bearer %s", token);
    struct curl_slist *longer =
        line.failed ? NULL : curl_slist_append(*headers, line.data);
    if (longer == NULL)
        return false;
    *headers = longer;
    return true;
}

static CURLcode set_connect_to(struct credentials *credentials, CURL *easy,
                               const char *connect_to)
{
    if (connect_to == NULL)
        return CURLE_OK;
    if (credentials->connect_to == NULL)
        credentials->connect_to = curl_slist_append(NULL, connect_to);
    if (credentials->connect_to == NULL)
        return CURLE_OUT_OF_MEMORY;
    return curl_easy_setopt(easy, CURLOPT_CONNECT_TO, credentials->connect_to);
}

bool credentials_apply(struct credentials *credentials, CURL *easy,
                       struct curl_slist **headers, const char *connect_to,
                       struct err *err)
{
    pthread_mutex_lock(&credentials->lock);
    int64_t now = clock_mono_millis();
    if (credentials->distrusted || now - credentials->read_at >= REREAD_MS) {
        read_again(credentials);
        credentials->read_at = now;
        credentials->distrusted = false;
    }
    CURLcode code = set_connect_to(credentials, easy, connect_to);
    if (code == CURLE_OK)
        code = set_tls(credentials, easy);
    bool token = add_token(credentials->all[KIND_TOKEN].value, headers);
    pthread_mutex_unlock(&credentials->lock);
    if (code == CURLE_OUT_OF_MEMORY || !token)
        return err_nomem(err);
    if (code != CURLE_OK)
        return err_set(err, ERR_INTERNAL, "libcurl cannot be set up for TLS: %s",
                       curl_easy_strerror(code));
    return true;
}
