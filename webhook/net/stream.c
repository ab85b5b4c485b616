/* TLS and plain sockets alike; see stream.h.
 *
 * A server's side of a handshake is 0.2 ms of computing, as long as a whole request. So
 * that a request has to wait for a part of it only, it runs as a job of OpenSSL's
 * (SSL_MODE_ASYNC, ASYNC_start_job(3): a stack of its own in the same thread), which we
 * pause where a long part has ended. */
#include "net/stream.h"

#include <errno.h>
#include <limits.h>
#include <openssl/async.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/hello.h"

#define READ_AHEAD 16384u
/* Key updates, or attempts to renegotiate, in a row without a byte of data between them.
 * OpenSSL handles them inside one SSL_read for as long as they come: a fast sender would
 * have the thread for itself. */
#define IDLE_MESSAGES_MAXIMUM 4u

/* The error queue is the thread's: it is emptied before each call, because SSL_get_error
 * looks at it and must not see another connection's. */
static enum stream_result result_of(SSL *ssl, int returned)
{
    switch (SSL_get_error(ssl, returned)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return STREAM_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_EOF;
    default:
        return STREAM_ERROR;
    }
}

static enum stream_result result_of_errno(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? STREAM_WAIT
                                                                     : STREAM_ERROR;
}

/* The key exchange comes before the first, a signature before the others. */
static bool took_long(const unsigned char *message, size_t size)
{
    return size > 0 && (message[0] == SSL3_MT_SERVER_HELLO ||
                        message[0] == SSL3_MT_SERVER_KEY_EXCHANGE ||
                        message[0] == SSL3_MT_CERTIFICATE_VERIFY);
}

/* Under OpenSSL's reads, until the second hello was looked at. */
static long on_io(BIO *socket, int what, const char *data, size_t size, int number,
                  long other, int result, size_t *done)
{
    (void)data, (void)size, (void)number, (void)other, (void)done;
    const struct stream *stream = (void *)BIO_get_callback_arg(socket);
    if (what != BIO_CB_READ || stream->hello_seen)
        return result;
    BIO_clear_retry_flags(socket);
    BIO_set_retry_read(socket);
    return -1;
}

/* It is looked at before OpenSSL reads it, which it must not have begun: nobody in order
 * sends it unasked. It may come while we are paused. */
static void await_second_hello(struct stream *stream)
{
    char first;
    stream->retried = true;
    stream->hello_seen = false;
    BIO *socket = SSL_get_rbio(stream->ssl);
    BIO_set_callback_arg(socket, (char *)stream);
    BIO_set_callback_ex(socket, on_io);
    if (SSL_has_pending(stream->ssl) ||
        recv(stream->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
        stream->abused = true;
        (void)shutdown(stream->fd, SHUT_RDWR);
    }
}

/* OpenSSL tells of every message it reads or writes. */
static void on_message(int sent, int version, int type, const void *message, size_t size,
                       SSL *ssl, void *context)
{
    (void)version;
    struct stream *stream = context;
    if (type != SSL3_RT_HANDSHAKE)
        return;
    if (!stream->handshaken) {
        if (sent && hello_is_retry(message, size))
            await_second_hello(stream);
        if (sent && ASYNC_get_current_job() != NULL && took_long(message, size))
            (void)ASYNC_pause_job();
        return;
    }
    if (sent || stream->abused)
        return;
    if (++stream->idle_messages > IDLE_MESSAGES_MAXIMUM) {
        stream->abused = true;
        /* Ends the loop that we are called from: the first at the next message that
         * OpenSSL holds already, the second where it would read more. */
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN | SSL_SENT_SHUTDOWN);
        (void)shutdown(stream->fd, SHUT_RDWR);
    }
}

void stream_guard(struct stream *stream)
{
    if (stream->ssl == NULL)
        return;
    SSL_set_msg_callback(stream->ssl, on_message);
    SSL_set_msg_callback_arg(stream->ssl, stream);
}

enum stream_result stream_handshake(struct stream *stream)
{
    if (stream->ssl == NULL) {
        stream->handshaken = true;
        return STREAM_DONE;
    }
    ERR_clear_error();
    int n = SSL_accept(stream->ssl);
    stream->paused = n < 0 && SSL_want_async(stream->ssl);
    if (stream->paused)
        return STREAM_PAUSE;
    if (stream->abused)
        return STREAM_ERROR;
    if (n == 1) {
        stream->handshaken = true;
        (void)SSL_clear_mode(stream->ssl, SSL_MODE_ASYNC); /* records are no long parts */
        BIO_set_callback_ex(SSL_get_rbio(stream->ssl), NULL);
        return STREAM_DONE;
    }
    enum stream_result result = result_of(stream->ssl, n);
    if (result == STREAM_ERROR) {
        unsigned long reason = ERR_peek_error();
        if (ERR_GET_LIB(reason) == ERR_LIB_SSL &&
            ERR_GET_REASON(reason) == SSL_R_HTTP_REQUEST)
            result = STREAM_HTTP;
        ERR_clear_error();
    }
    return result;
}

bool stream_wants_output(const struct stream *stream)
{
    return stream->ssl != NULL && SSL_want_write(stream->ssl);
}

bool stream_heard(const struct stream *stream)
{
    return stream->heard ||
           (stream->ssl != NULL && BIO_number_read(SSL_get_rbio(stream->ssl)) > 0);
}

enum stream_result stream_read(struct stream *stream, void *to, size_t size,
                               size_t *ret_n)
{
    if (stream->ssl == NULL) {
        ssize_t n = recv(stream->fd, to, size, 0);
        if (n < 0)
            return result_of_errno();
        if (n == 0)
            return STREAM_EOF;
        *ret_n = (size_t)n;
        stream->drained = (size_t)n < size;
        return STREAM_DONE;
    }
    BIO *socket = SSL_get_rbio(stream->ssl);
    bool began_empty = SSL_has_pending(stream->ssl) == 0;
    uint64_t before = BIO_number_read(socket);
    ERR_clear_error();
    int n = SSL_read(stream->ssl, to, size > INT_MAX ? INT_MAX : (int)size);
    if (stream->abused)
        return STREAM_ERROR;
    if (n <= 0)
        return result_of(stream->ssl, n);
    stream->idle_messages = 0;
    *ret_n = (size_t)n;
    /* OpenSSL asks the socket for READ_AHEAD bytes or more, when it holds none: if it got
     * fewer in all, its last read(2) was short. */
    stream->drained = began_empty && SSL_has_pending(stream->ssl) == 0 &&
                      BIO_number_read(socket) - before < READ_AHEAD;
    return STREAM_DONE;
}

bool stream_is_empty(const struct stream *stream)
{
    char first;
    return (stream->ssl == NULL || SSL_has_pending(stream->ssl) == 0) &&
           recv(stream->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

enum stream_result stream_write(struct stream *stream, const void *from, size_t size,
                                size_t *ret_n)
{
    if (stream->ssl == NULL) {
        ssize_t n = send(stream->fd, from, size, MSG_NOSIGNAL);
        if (n < 0)
            return result_of_errno();
        *ret_n = (size_t)n;
        return STREAM_DONE;
    }
    ERR_clear_error();
    int n = SSL_write(stream->ssl, from, size > INT_MAX ? INT_MAX : (int)size);
    if (n <= 0) {
        enum stream_result result = result_of(stream->ssl, n);
        return result == STREAM_EOF ? STREAM_ERROR : result;
    }
    *ret_n = (size_t)n;
    return STREAM_DONE;
}

void stream_shutdown(struct stream *stream)
{
    if (stream->ssl != NULL && stream->handshaken) {
        ERR_clear_error();
        (void)SSL_shutdown(stream->ssl);
        ERR_clear_error();
    }
    (void)shutdown(stream->fd, SHUT_WR);
}

enum stream_result stream_discard(struct stream *stream)
{
    char bin[16384];
    /* Bounded, so that one fast sender cannot hold the thread; others wait for this. */
    for (int i = 0; i < 4; i++) {
        ssize_t n = recv(stream->fd, bin, sizeof(bin), 0);
        if (n < 0)
            return result_of_errno();
        if (n == 0)
            return STREAM_EOF;
    }
    return STREAM_DONE;
}

void stream_close(struct stream *stream)
{
    /* OpenSSL does not free what is paused: it has to come to its end. */
    while (stream->paused)
        (void)stream_handshake(stream);
    if (stream->ssl != NULL)
        SSL_free(stream->ssl);
    stream->ssl = NULL;
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
}
