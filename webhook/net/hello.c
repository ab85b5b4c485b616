/* RFC 8446, 5.1 (records), 4 (messages) and 4.1.3 (a HelloRetryRequest); see hello.h. */
#include "net/hello.h"

#include <errno.h>
#include <openssl/ssl3.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define RECORD_HEAD  5u
#define MESSAGE_HEAD 4u
#define CHANGE_SIZE  (RECORD_HEAD + 1u)

enum hello hello_look(int fd, bool again)
{
    unsigned char bytes[CHANGE_SIZE + RECORD_HEAD + MESSAGE_HEAD];
    ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? HELLO_NONE
                                                                    : HELLO_END;
    size_t n = (size_t)got;
    const unsigned char *at = bytes;
    if (again && at[0] == SSL3_RT_CHANGE_CIPHER_SPEC) {
        if (n <= CHANGE_SIZE)
            return HELLO_WAIT;
        at += CHANGE_SIZE;
        n -= CHANGE_SIZE;
    }
    /* After a retry OpenSSL passes over more of those, and over some alerts: what is
     * behind them it would read unseen. */
    if (at[0] != SSL3_RT_HANDSHAKE)
        return again ? HELLO_LARGE : HELLO_GOOD;
    if (n < RECORD_HEAD + MESSAGE_HEAD)
        return HELLO_WAIT;
    size_t record = (size_t)at[3] << 8 | at[4];
    size_t message = (size_t)at[6] << 16 | (size_t)at[7] << 8 | at[8];
    return record < MESSAGE_HEAD || message > HELLO_MAXIMUM ? HELLO_LARGE : HELLO_GOOD;
}

bool hello_is_retry(const unsigned char *message, size_t size)
{
    /* SHA-256 of "HelloRetryRequest", in place of the random. */
    static const unsigned char retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11,
                                          0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
                                          0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
                                          0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
    const size_t at = MESSAGE_HEAD + 2; /* the version */
    return size >= at + sizeof(retry) && message[0] == SSL3_MT_SERVER_HELLO &&
           memcmp(message + at, retry, sizeof(retry)) == 0;
}
