/* Plays kube-proxy in tests: each new TCP connection goes to the next of the backends
 * that a file lists, one ADDRESS:PORT a line, read anew each time; connections that live
 * stay where they are, whatever the file says then. IPv4 only. Not part of the product.
 *
 *   forward ADDRESS:PORT FILE
 *
 * Prints "N connections, N without a backend" when SIGTERM ends it. One thread for each
 * connection. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/file.h"
#include "util/num.h"

static const char *list;
static atomic_uint connections, refused;

static bool parse(struct str text, struct sockaddr_in *ret_address)
{
    char host[64];
    uint64_t port;
    size_t colon = str_index(text, 0, ':');
    if (colon >= sizeof(host) || !num_parse(str_skip(text, colon + 1), 65535, &port))
        return false;
    memcpy(host, text.p, colon);
    host[colon] = '\0';
    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &ret_address->sin_addr) == 1;
}

/* The `turn`th of the list, round and round. */
static bool backend(unsigned turn, struct sockaddr_in *ret_address)
{
    NRW_AUTO_BUF struct buf text;
    buf_init(&text, 4096);
    struct sockaddr_in found[16];
    unsigned count = 0;
    if (!file_read(list, &text, NULL))
        return false;
    struct str rest = buf_view(&text);
    while (rest.n > 0 && count < 16) {
        size_t end = str_index(rest, 0, '\n');
        count += parse(str_first(rest, end), &found[count]);
        rest = str_skip(rest, end + 1);
    }
    if (count > 0)
        *ret_address = found[turn % count];
    return count > 0;
}

struct pair {
    int from, to;
};

/* One direction; its end is passed on as a half-close. */
static void *pump(void *opaque)
{
    const struct pair pair = *(struct pair *)opaque;
    char chunk[16384];
    ssize_t n;
    while ((n = recv(pair.from, chunk, sizeof(chunk), 0)) > 0) {
        for (ssize_t done = 0, sent; done < n; done += sent) {
            sent = send(pair.to, chunk + done, (size_t)(n - done), MSG_NOSIGNAL);
            if (sent <= 0)
                goto end;
        }
    }
end:
    shutdown(pair.to, SHUT_WR);
    shutdown(pair.from, SHUT_RD);
    return NULL;
}

static void *serve(void *opaque)
{
    int client = (int)(intptr_t)opaque;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address;
    int on = 1;
    pthread_t back;
    if (server >= 0 && backend(atomic_fetch_add(&connections, 1), &address) &&
        connect(server, (struct sockaddr *)&address, sizeof(address)) == 0) {
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct pair there = {client, server}, home = {server, client};
        if (pthread_create(&back, NULL, pump, &home) == 0) {
            pump(&there);
            pthread_join(back, NULL);
        }
    } else {
        atomic_fetch_add(&refused, 1);
    }
    close(client);
    if (server >= 0)
        close(server);
    return NULL;
}

static void *accept_all(void *opaque)
{
    int listener = (int)(intptr_t)opaque, client;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    while ((client = accept(listener, NULL, NULL)) >= 0) {
        pthread_t thread;
        if (pthread_create(&thread, &detached, serve, (void *)(intptr_t)client) != 0)
            close(client);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int on = 1, got;
    sigset_t set;
    pthread_t thread;
    if (argc != 3 || !parse(str_of(argv[1]), &address)) {
        fputs("forward ADDRESS:PORT FILE\n", stderr);
        return 2;
    }
    list = argv[2];
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 128) != 0 ||
        pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener) != 0) {
        perror("forward");
        return 1;
    }
    sigwait(&set, &got);
    printf("%u connections, %u without a backend\n", atomic_load(&connections),
           atomic_load(&refused));
    fflush(stdout);
    _exit(0);
}
