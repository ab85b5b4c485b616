/* The client's side of a connection: a non-blocking socket, with or without TLS on it.
 * One set of calls and results for both. The socket is watched edge-triggered: after any
 * event everything is tried again. The worker's thread. */
#ifndef NRW_NET_STREAM_H
#define NRW_NET_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

enum stream_result {
    STREAM_DONE,  /* moved something (or the handshake is complete) */
    STREAM_WAIT,  /* nothing now */
    STREAM_PAUSE, /* handshake only: there is more to compute; soon again, others first */
    STREAM_EOF,   /* the client closed its direction in order */
    STREAM_ERROR, /* over */
    STREAM_HTTP,  /* handshake only: the client speaks HTTP without TLS */
};

struct stream {
    int fd;
    SSL *ssl; /* NULL without TLS */
    bool handshaken;
    bool heard;      /* before OpenSSL has read anything */
    bool hello_seen; /* the ClientHello that is awaited was looked at (hello.h), … */
    bool retried;    /* … and it is the second, which is not read before */
    bool paused;     /* in the middle of a handshake's step */
    bool
        abused; /* too many messages that carry no data, or one out of turn: it is over */
    unsigned idle_messages;
    bool drained; /* the last read took all that the socket had: no need to ask again */
};

/* Once, when the structure has reached its final place. */
void stream_guard(struct stream *stream);

/* After STREAM_PAUSE it is to be called again in the same thread, and soon: what is
 * paused holds 32 KiB. */
enum stream_result stream_handshake(struct stream *stream);
/* After STREAM_WAIT of a read or a handshake: does it wait for room to write? */
bool stream_wants_output(const struct stream *stream);
/* Has the client sent anything? (A health check that only connects is no failed
 * handshake.) */
bool stream_heard(const struct stream *stream);
/* *ret_n bytes with STREAM_DONE, at least one. */
enum stream_result stream_read(struct stream *stream, void *to, size_t size,
                               size_t *ret_n);
/* Nothing has come that a read could take now: whatever comes later makes an event. */
bool stream_is_empty(const struct stream *stream);
/* May write less than asked. After STREAM_WAIT the same bytes must come first again. */
enum stream_result stream_write(struct stream *stream, const void *from, size_t size,
                                size_t *ret_n);
/* close_notify and FIN, as far as they go without waiting. */
void stream_shutdown(struct stream *stream);
/* Throws away what came (without decrypting it). STREAM_EOF at the client's FIN. */
enum stream_result stream_discard(struct stream *stream);
void stream_close(struct stream *stream);

#endif
