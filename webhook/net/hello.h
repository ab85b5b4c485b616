/* The first bytes of a ClientHello, before OpenSSL sees them: it makes room at once for
 * as much as a hello announces, 128 KiB where fifteen bytes say so, and keeps what it
 * says of suites and protocols as long as the connection lives. Looks only, takes
 * nothing. The worker's thread. */
#ifndef NRW_NET_HELLO_H
#define NRW_NET_HELLO_H

#include <stdbool.h>
#include <stddef.h>

/* Five times what any client sends, with the keys of the day after tomorrow. */
#define HELLO_MAXIMUM 8192u

enum hello {
    HELLO_NONE,  /* nothing has come, … */
    HELLO_WAIT,  /* … or too little to tell */
    HELLO_GOOD,  /* or nothing of the kind: OpenSSL will say what */
    HELLO_END,   /* nothing, and nothing will come */
    HELLO_LARGE, /* or, when it is awaited again, what one can be behind */
};

/* What a socket has to read. `again`: it is the one after a HelloRetryRequest, before
 * which there may be a ChangeCipherSpec (RFC 8446, appendix D.4). */
enum hello hello_look(int fd, bool again);

/* Is this message, a ServerHello, a HelloRetryRequest? */
bool hello_is_retry(const unsigned char *message, size_t size);

#endif
