/* The other side of net/ in tests; see net_peer.h. */
#include "tests/unit/support/net_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

SSL_CTX *peer_context(const char *alpn, const struct identity *identity)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    must(context != NULL, "SSL_CTX_new");
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (alpn != NULL) {
        unsigned char wire[64];
        wire[0] = (unsigned char)strlen(alpn);
        memcpy(wire + 1, alpn, wire[0]);
        must(SSL_CTX_set_alpn_protos(context, wire, wire[0] + 1u) == 0, "ALPN");
    }
    if (identity != NULL)
        must(SSL_CTX_use_certificate(context, identity->certificate) == 1 &&
                 SSL_CTX_use_PrivateKey(context, identity->key) == 1,
             "client certificate");
    return context;
}

int peer_connect(unsigned port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct timeval wait = {.tv_sec = PEER_WAIT_S};
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct peer *peer_open_plain(unsigned port)
{
    int fd = peer_connect(port);
    if (fd < 0)
        return NULL;
    struct peer *peer = calloc(1, sizeof(*peer));
    must(peer != NULL, "calloc");
    peer->fd = fd;
    return peer;
}

struct peer *peer_open(SSL_CTX *context, unsigned port)
{
    struct peer *peer = peer_open_plain(port);
    if (peer == NULL)
        return NULL;
    ERR_clear_error();
    peer->ssl = SSL_new(context);
    must(peer->ssl != NULL && SSL_set_fd(peer->ssl, peer->fd) == 1, "SSL_new");
    if (SSL_connect(peer->ssl) != 1) {
        ERR_clear_error();
        peer_close(peer);
        return NULL;
    }
    return peer;
}

void peer_close(struct peer *peer)
{
    if (peer == NULL)
        return;
    if (peer->ssl != NULL) /* or OpenSSL would take the session for a broken one */
        SSL_set_shutdown(peer->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(peer->ssl);
    close(peer->fd);
    free(peer->data);
    free(peer);
}

void peer_reset(struct peer *peer)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    must(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0,
         "SO_LINGER");
    peer_close(peer);
}

bool peer_send(struct peer *peer, const void *data, size_t n)
{
    const char *at = data;
    while (n > 0) {
        int part = n > 1u << 20 ? 1 << 20 : (int)n;
        ERR_clear_error();
        ssize_t sent = peer->ssl != NULL ? SSL_write(peer->ssl, at, part)
                                         : send(peer->fd, at, (size_t)part, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        n -= (size_t)sent;
    }
    return true;
}

bool peer_say(struct peer *peer, const char *text)
{
    return peer_send(peer, text, strlen(text));
}

static bool more(struct peer *peer)
{
    if (peer->eof)
        return false;
    if (peer->capacity - peer->size < 65536) {
        peer->capacity = peer->capacity * 2 + 131072;
        peer->data = realloc(peer->data, peer->capacity);
        must(peer->data != NULL, "realloc");
    }
    int room = (int)(peer->capacity - peer->size - 1);
    ERR_clear_error();
    ssize_t n = peer->ssl != NULL
                    ? SSL_read(peer->ssl, peer->data + peer->size, room)
                    : recv(peer->fd, peer->data + peer->size, (size_t)room, 0);
    if (n <= 0) {
        peer->eof = true;
        return false;
    }
    peer->size += (size_t)n;
    return true;
}

static const char *field(const char *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL;
         line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " ");
    }
    return NULL;
}

static void taken(struct peer *peer, size_t n)
{
    memmove(peer->data, peer->data + n, peer->size - n);
    peer->size -= n;
}

bool peer_answer(struct peer *peer, bool head_only, struct answer *ret_answer,
                 unsigned *ret_continues)
{
    struct answer *answer = ret_answer;
    for (;;) {
        *answer = (struct answer){.status = 0};
        char *end;
        while (peer->size == 0 ||
               (end = memmem(peer->data, peer->size, "\r\n\r\n", 4)) == NULL) {
            if (!more(peer))
                return false;
        }
        size_t n = (size_t)(end - peer->data);
        if (n >= sizeof(answer->head) || n < 12 ||
            memcmp(peer->data, "HTTP/1.1 ", 9) != 0)
            return false;
        memcpy(answer->head, peer->data, n);
        answer->status = (unsigned)strtoul(answer->head + 9, NULL, 10);
        taken(peer, n + 4);
        if (answer->status != 100)
            break;
        if (ret_continues != NULL)
            ++*ret_continues;
    }
    const char *length = field(answer->head, "Content-Length");
    const char *connection = field(answer->head, "Connection");
    answer->closes = connection != NULL && strncasecmp(connection, "close", 5) == 0;
    if (length == NULL)
        return false; /* the server always says it */
    answer->size = head_only ? 0 : strtoul(length, NULL, 10);
    while (peer->size < answer->size) {
        if (!more(peer))
            return false;
    }
    answer->body = calloc(1, answer->size + 1);
    must(answer->body != NULL, "calloc");
    if (answer->size > 0)
        memcpy(answer->body, peer->data, answer->size);
    if (peer->size > 0)
        taken(peer, answer->size);
    return true;
}

void answer_done(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

bool peer_ends(struct peer *peer, unsigned milliseconds)
{
    struct timespec from, now;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        long passed =
            (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000;
        struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
        if (passed > (long)milliseconds ||
            ((peer->ssl == NULL || SSL_pending(peer->ssl) == 0) &&
             poll(&wait, 1, (int)((long)milliseconds - passed)) <= 0))
            return false;
        if (!more(peer))
            return true;
    }
}

bool peer_post(struct peer *peer, const char *path, const void *body, size_t n)
{
    char head[512];
    int size =
        snprintf(head, sizeof(head),
                 "POST %s?timeout=10s HTTP/1.1\r\nHost: webhook.test.svc:443\r\n"
                 "User-Agent: kube-apiserver-admission\r\nContent-Length: %zu\r\n"
                 "Accept: application/json, */*\r\nContent-Type: application/json\r\n"
                 "Accept-Encoding: gzip\r\n\r\n",
                 path, n);
    return peer_send(peer, head, (size_t)size) && peer_send(peer, body, n);
}

unsigned peer_status(struct peer *peer, const char *request)
{
    struct answer answer;
    if (!peer_say(peer, request) ||
        !peer_answer(peer, strncmp(request, "HEAD ", 5) == 0, &answer, NULL))
        return 0;
    answer_done(&answer);
    return answer.status;
}

struct peer *peer_dial(const struct world *world)
{
    struct peer *peer = peer_open(world->client, world->port);
    must(peer != NULL, "connecting");
    return peer;
}

unsigned peer_echo(struct peer *peer, const void *body, size_t n, bool *ret_closes)
{
    struct answer answer;
    if (peer == NULL || !peer_post(peer, "/echo", body, n) ||
        !peer_answer(peer, false, &answer, NULL))
        return 0;
    if (ret_closes != NULL)
        *ret_closes = answer.closes;
    bool same = answer.status != 200 ||
                (answer.size == n && (n == 0 || memcmp(answer.body, body, n) == 0));
    answer_done(&answer);
    return same ? answer.status : 0;
}
