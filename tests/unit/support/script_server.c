/* Prepared answers over HTTP; see script_server.h. One thread, one connection at a time
 * in order of arrival. */
#include "tests/unit/support/script_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct script_server {
    const struct script_step *steps;
    size_t count;
    atomic_size_t answered;
    atomic_bool stop;
    int listener;
    unsigned port;
    pthread_t thread;
    char wrong[1024];
};

static bool readable(const struct script_server *server, int fd)
{
    while (!atomic_load(&server->stop)) {
        struct pollfd one = {fd, POLLIN, 0};
        if (poll(&one, 1, 20) > 0)
            return true;
    }
    return false;
}

/* A whole request: headers, and the body that Content-Length announces. */
static void read_request(const struct script_server *server, int fd, char *text,
                         size_t size)
{
    size_t n = 0, want = 0;
    while (n < size - 1 && readable(server, fd)) {
        ssize_t got = read(fd, text + n, size - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        text[n] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        if (end == NULL)
            continue;
        const char *length = strstr(text, "Content-Length: ");
        want = (size_t)(end - text) + 4;
        if (length != NULL && length < end)
            want += strtoul(length + 16, NULL, 10);
        if (n >= want)
            break;
    }
    text[n] = '\0';
}

/* Until the time is over or the client has gone. */
static void hang(const struct script_server *server, int fd, unsigned ms)
{
    for (; ms >= 10 && !atomic_load(&server->stop); ms -= 10) {
        struct pollfd one = {fd, POLLIN | POLLRDHUP, 0};
        if (poll(&one, 1, 10) > 0)
            return;
    }
}

static void serve(struct script_server *server, int fd)
{
    static const struct timeval limit = {2, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    char text[65536];
    read_request(server, fd, text, sizeof(text));
    if (text[0] == '\0')
        return;
    size_t at = atomic_load(&server->answered);
    const struct script_step *step =
        &server->steps[at < server->count ? at : server->count - 1];
    if (strstr(text, step->want) == NULL && server->wrong[0] == '\0')
        snprintf(server->wrong, sizeof(server->wrong), "wanted %s, got %.500s",
                 step->want, text);
    size_t sent = 0, size = strlen(step->answer);
    while (sent < size) {
        ssize_t n = send(fd, step->answer + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    atomic_store(&server->answered, at + 1);
    hang(server, fd, step->hang_ms);
}

static void *run(void *context)
{
    struct script_server *server = context;
    while (readable(server, server->listener)) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            continue;
        serve(server, fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

struct script_server *script_start(const struct script_step *steps, size_t count)
{
    struct script_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        abort();
    server->steps = steps;
    server->count = count;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    if (bind(server->listener, (struct sockaddr *)&address, length) != 0 ||
        listen(server->listener, 16) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &length) != 0)
        abort();
    server->port = ntohs(address.sin_port);
    if (pthread_create(&server->thread, NULL, run, server) != 0)
        abort();
    return server;
}

unsigned script_port(const struct script_server *server)
{
    return server->port;
}

size_t script_count(struct script_server *server)
{
    return atomic_load(&server->answered);
}

const char *script_wrong(struct script_server *server)
{
    return server->wrong;
}

void script_stop(struct script_server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    close(server->listener);
    free(server);
}
