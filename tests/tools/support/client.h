/* What the programs that put load on a server share: a TLS client that verifies the
 * server as "localhost", the request, the answer, and the certificates that were seen.
 * Loopback only. Any thread, but for client_context() and client_post(), which come
 * before the threads. Left to them: what is sent when, and whether an answer is right. */
#ifndef NRW_TOOLS_CLIENT_H
#define NRW_TOOLS_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

/* Trusts the CAs in the file alone. NULL when it cannot be used. */
SSL_CTX *client_context(const char *ca_file);

/* The POST of the review in `file`, with the headers of an API server
 * (admission-contract.md, part 1), as it goes over the wire, into `ret_message`, which is
 * made here; `uid` (may be NULL) gets `"uid":"…"` as it stands in the review. False, and
 * said on standard error after `program`, when the file cannot be read. */
bool client_post(const char *program, const char *path, const char *file,
                 struct buf *ret_message, char *uid, size_t uid_size);

struct session {
    int fd;
    SSL *ssl;
};
#define SESSION_NONE ((struct session){-1, NULL})

/* A connection with its handshake; it waits 20 s for anything. On failure the session is
 * to be closed all the same, and ret_why says what happened. */
bool session_open(struct session *session, SSL_CTX *ctx, unsigned port,
                  const char **ret_why);
void session_close(struct session *session);

/* The whole message. On failure ret_why says what happened. */
bool session_send(struct session *session, const struct buf *message,
                  const char **ret_why);

/* One answer into `in`, whose maximum is the limit; its body begins at ret_body. On
 * failure ret_why says what happened. */
bool session_answer(struct session *session, struct buf *in, size_t *ret_body,
                    const char **ret_why);

/* How many handshakes there were, and how many different certificates they showed. */
unsigned session_handshakes(void);
size_t session_certificates(void);

#endif
