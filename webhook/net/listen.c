/* Listening sockets; see listen.h. */
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "util/num.h"
#include "util/str.h"

#define SEND_BUFFER    (64 * 1024)
#define RECEIVE_BUFFER (128 * 1024)
/* Where memory is short. A usual request still fits, so that it needs no second turn. */
#define SMALL_SEND_BUFFER    (16 * 1024)
#define SMALL_RECEIVE_BUFFER (32 * 1024)

bool listen_parse(const char *text, struct listen_address *ret_address, struct err *err)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL || !num_parse(str_of(colon + 1), 65535, &port))
        return err_set(err, ERR_USAGE,
                       "\"%s\" is not an address to listen on: write ADDRESS:PORT, "
                       "for example [::]:8443 or 127.0.0.1:8443",
                       text);
    char host[INET6_ADDRSTRLEN] = "::";
    size_t n = (size_t)(colon - text);
    bool bare = n < 2 || text[0] != '[' || colon[-1] != ']';
    if (!bare) {
        text++;
        n -= 2;
    }
    if (n >= sizeof(host))
        return err_set(err, ERR_USAGE, "\"%.*s\" is not an IP address", (int)n, text);
    if (n > 0) {
        memcpy(host, text, n);
        host[n] = '\0';
    }
    struct listen_address address = {.size = 0};
    if (inet_pton(AF_INET, host, &address.at.v4.sin_addr) == 1) {
        address.at.v4.sin_family = AF_INET;
        address.at.v4.sin_port = htons((uint16_t)port);
        address.size = sizeof(address.at.v4);
    } else if (inet_pton(AF_INET6, host, &address.at.v6.sin6_addr) == 1) {
        address.at.v6.sin6_family = AF_INET6;
        address.at.v6.sin6_port = htons((uint16_t)port);
        address.size = sizeof(address.at.v6);
    } else if (bare && strpbrk(host, ":[]") != NULL) {
        return err_set(err, ERR_USAGE,
                       "\"%s\" is not an IP address: write one of IPv6 in brackets, such "
                       "as [::1]:8443",
                       host);
    } else {
        return err_set(err, ERR_USAGE,
                       "\"%s\" is not an IP address: names are not looked up here", host);
    }
    *ret_address = address;
    return true;
}

unsigned listen_port(const struct listen_address *address)
{
    return ntohs(address->at.any.sa_family == AF_INET6 ? address->at.v6.sin6_port
                                                       : address->at.v4.sin_port);
}

/* Errors that mean "no IPv6 here". */
static bool without_ipv6(const struct listen_address *address, int why)
{
    return address->at.any.sa_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&address->at.v6.sin6_addr) &&
           (why == EAFNOSUPPORT || why == EADDRNOTAVAIL);
}

static int try_open(struct listen_address *address, bool small)
{
    int fd =
        socket(address->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* What a connection may have in the kernel, which doubles the numbers; unset it grows
     * to megabytes for each that reads nothing, and counts as this process's memory. */
    int on = 1, off = 0;
    int sent = small ? SMALL_SEND_BUFFER : SEND_BUFFER;
    int received = small ? SMALL_RECEIVE_BUFFER : RECEIVE_BUFFER;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sent, sizeof(sent));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &received, sizeof(received));
    /* These its connections have from it, too, without a call for each. Who is closed
     * before anything was said is reset: in a crowd of such what the kernel remembers of
     * each that it closes in order would be most of the work (conn.c takes it back). */
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        (address->at.any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) ||
        bind(fd, &address->at.any, address->size) != 0 ||
        listen(fd, LISTEN_BACKLOG) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    socklen_t size = sizeof(address->at);
    if (getsockname(fd, &address->at.any, &size) == 0)
        address->size = size;
    return fd;
}

bool listen_free(const struct listen_address *address, struct err *err)
{
    if (listen_port(address) == 0)
        return true;
    int fd = socket(address->at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; /* listen_open will say it, or knows a way */
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bool taken = bind(fd, &address->at.any, address->size) != 0 && errno == EADDRINUSE;
    close(fd);
    return !taken ||
           err_set(err, ERR_CONFLICT, "port %u is in use already: choose another",
                   listen_port(address));
}

int listen_open(struct listen_address *address, bool small_buffers, struct err *err)
{
    int fd = try_open(address, small_buffers);
    if (fd < 0 && without_ipv6(address, errno)) {
        in_port_t port = address->at.v6.sin6_port;
        *address = (struct listen_address){.size = sizeof(address->at.v4)};
        address->at.v4.sin_family = AF_INET;
        address->at.v4.sin_port = port;
        fd = try_open(address, small_buffers);
    }
    if (fd < 0)
        err_errno(err, errno, "cannot listen on port %u", listen_port(address));
    return fd;
}
