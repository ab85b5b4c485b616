/* See client.h. */
#include "tests/tools/support/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/file.h"
#include "util/num.h"

#define CERTIFICATES_MAXIMUM 64u
#define BODY_MAXIMUM         (16u << 20)

static atomic_uint handshakes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long certificates[CERTIFICATES_MAXIMUM]; /* hashes */
static size_t certificate_count;

/* --- before the threads --------------------------------------------------------- */

/* libcrypto works out a certificate's extensions when it first needs them, under a lock
 * and with a flag that the thread sanitizer cannot see. All threads verify with this one:
 * it is done before they exist. */
static void extensions_now(X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (ca != NULL)
            (void)X509_check_purpose(ca, -1, 0);
    }
}

SSL_CTX *client_context(const char *ca_file)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_load_verify_file(ctx, ca_file) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    extensions_now(SSL_CTX_get_cert_store(ctx));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return ctx;
}

bool client_post(const char *program, const char *path, const char *file,
                 struct buf *ret_message, char *uid, size_t uid_size)
{
    NRW_AUTO_BUF struct buf body;
    struct err err = {0};
    buf_init(&body, BODY_MAXIMUM);
    buf_init(ret_message, BODY_MAXIMUM + 4096u);
    if (!file_read(file, &body, &err)) {
        fprintf(stderr, "%s: %s\n", program, err.message);
        return false;
    }
    struct str text = buf_view(&body);
    if (uid != NULL) {
        size_t at = str_find(text, STR("\"uid\":\""));
        struct str value = str_skip(text, at + sizeof("\"uid\":\"") - 1);
        snprintf(uid, uid_size, "\"uid\":\"%.*s\"",
                 STR_ARG(str_first(value, str_index(value, 0, '"'))));
    }
    buf_printf(ret_message,
               "POST %s?timeout=3s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "
               "kube-apiserver-admission\r\nContent-Length: %zu\r\nAccept: "
               "application/json, */*\r\nContent-Type: application/json\r\n\r\n",
               path, body.size);
    buf_str(ret_message, text);
    if (ret_message->failed)
        fprintf(stderr, "%s: out of memory\n", program);
    return !ret_message->failed;
}

/* --- a connection ----------------------------------------------------------------- */

static void note_certificate(const SSL *ssl)
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned long long mark = 0;
    if (certificate != NULL && X509_digest(certificate, EVP_sha256(), digest, NULL) == 1)
        memcpy(&mark, digest, sizeof(mark));
    X509_free(certificate);
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < certificate_count && certificates[i] != mark)
        i++;
    if (i == certificate_count && i < CERTIFICATES_MAXIMUM)
        certificates[certificate_count++] = mark;
    pthread_mutex_unlock(&lock);
}

unsigned session_handshakes(void)
{
    return atomic_load(&handshakes);
}

size_t session_certificates(void)
{
    pthread_mutex_lock(&lock);
    size_t count = certificate_count;
    pthread_mutex_unlock(&lock);
    return count;
}

void session_close(struct session *session)
{
    if (session->ssl != NULL) {
        SSL_shutdown(session->ssl);
        SSL_free(session->ssl);
    }
    if (session->fd >= 0)
        close(session->fd);
    *session = SESSION_NONE;
}

bool session_open(struct session *session, SSL_CTX *ctx, unsigned port,
                  const char **ret_why)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const struct timeval patience = {.tv_sec = 20};
    int on = 1;
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session->fd < 0 ||
        connect(session->fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        *ret_why = strerror(errno);
        return false;
    }
    (void)setsockopt(session->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    char name[] = "localhost"; /* the macro that sends it casts const away */
    session->ssl = SSL_new(ctx);
    ERR_clear_error();
    if (session->ssl == NULL || SSL_set_fd(session->ssl, session->fd) != 1 ||
        SSL_set1_host(session->ssl, "localhost") != 1 ||
        SSL_set_tlsext_host_name(session->ssl, name) != 1 ||
        SSL_connect(session->ssl) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        *ret_why = reason != NULL ? reason : strerror(errno);
        return false;
    }
    atomic_fetch_add(&handshakes, 1);
    note_certificate(session->ssl);
    return true;
}

bool session_send(struct session *session, const struct buf *message,
                  const char **ret_why)
{
    ERR_clear_error();
    *ret_why = "cannot send";
    return SSL_write(session->ssl, message->data, (int)message->size) ==
           (int)message->size;
}

bool session_answer(struct session *session, struct buf *in, size_t *ret_body,
                    const char **ret_why)
{
    char chunk[16384];
    buf_clear(in);
    size_t whole = 0;
    while (whole == 0 || in->size < whole) {
        ERR_clear_error();
        int n = SSL_read(session->ssl, chunk, sizeof(chunk));
        if (n <= 0) {
            *ret_why = in->size == 0 ? "no answer: closed" : "half an answer: cut off";
            return false;
        }
        if (!buf_append(in, chunk, (size_t)n)) {
            *ret_why = "answer too large";
            return false;
        }
        size_t end = str_find(buf_view(in), STR("\r\n\r\n"));
        if (whole != 0 || end == in->size)
            continue;
        *ret_body = end + 4;
        struct str head = str_first(buf_view(in), *ret_body);
        size_t at = str_find(head, STR("Content-Length: "));
        struct str value = str_skip(head, at + sizeof("Content-Length: ") - 1);
        uint64_t length;
        if (!num_parse(str_first(value, str_index(value, 0, '\r')), in->maximum,
                       &length)) {
            *ret_why = "no Content-Length";
            return false;
        }
        whole = *ret_body + (size_t)length;
    }
    return true;
}
