/* A stand-in for a Service: takes TCP connections on one address and hands each to one of
 * the endpoints in a file, as kube-proxy does: at random, without looking whether it is
 * well, and what is connected stays connected whatever the file says later.
 *
 *   balance ADDRESS PORT FILE
 *
 * FILE has one port of 127.0.0.1 a line; it is read for each connection, so that it can
 * be replaced at any time. Prints how many connections it had when it is ended by
 * SIGTERM. Exit code 2 for wrong arguments or a port in use. One thread; poll(). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/num.h"

#define PAIRS_MAXIMUM     512
#define ENDPOINTS_MAXIMUM 16
#define ROOM              65536

/* One direction of a connection: what was read from `from` and not yet taken by `to`. */
struct way {
    char data[ROOM];
    size_t at, size;
    bool ended, passed_on;
};

struct pair {
    int fds[2]; /* the client's, the endpoint's */
    struct way ways[2];
};

static struct pair *pairs[PAIRS_MAXIMUM];
static volatile sig_atomic_t told_to_stop;
static unsigned long taken, refused;

static void on_signal(int number)
{
    (void)number;
    told_to_stop = 1;
}

static struct sockaddr_in address_of(const char *host, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        exit(2);
    return address;
}

/* A port of the file, or 0 when it has none. */
static unsigned choose(const char *file)
{
    unsigned ports[ENDPOINTS_MAXIMUM], count = 0;
    char line[32];
    FILE *in = fopen(file, "re");
    while (in != NULL && count < ENDPOINTS_MAXIMUM &&
           fgets(line, sizeof(line), in) != NULL) {
        uint64_t port;
        line[strcspn(line, "\n")] = '\0';
        if (num_parse(str_of(line), 65535, &port))
            ports[count++] = (unsigned)port;
    }
    if (in != NULL)
        fclose(in);
    return count > 0 ? ports[(unsigned long)random() % count] : 0;
}

static void prepare(int fd)
{
    int on = 1;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void take_in(int listener, const char *file)
{
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    size_t place = 0;
    while (place < PAIRS_MAXIMUM && pairs[place] != NULL)
        place++;
    unsigned port = choose(file);
    struct sockaddr_in to = address_of("127.0.0.1", port);
    int endpoint = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pair *pair = calloc(1, sizeof(*pair));
    /* On the loopback this is answered at once. */
    if (place == PAIRS_MAXIMUM || port == 0 || pair == NULL || endpoint < 0 ||
        connect(endpoint, (struct sockaddr *)&to, sizeof(to)) != 0) {
        refused++;
        free(pair);
        close(client);
        if (endpoint >= 0)
            close(endpoint);
        return;
    }
    prepare(client);
    prepare(endpoint);
    pair->fds[0] = client;
    pair->fds[1] = endpoint;
    pairs[place] = pair;
    taken++;
}

/* False: the connection broke. */
static bool move(struct way *way, int from, int to)
{
    if (way->size == way->at && !way->ended) {
        ssize_t n = recv(from, way->data, ROOM, 0);
        if (n < 0)
            return errno == EAGAIN;
        way->at = 0;
        way->size = (size_t)n;
        way->ended = n == 0;
    }
    while (way->at < way->size) {
        ssize_t n = send(to, way->data + way->at, way->size - way->at, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        way->at += (size_t)n;
    }
    if (way->ended && !way->passed_on) {
        (void)shutdown(to, SHUT_WR);
        way->passed_on = true;
    }
    return true;
}

static short wants(const struct way *from_here, const struct way *to_here)
{
    short events = 0;
    if (!from_here->ended && from_here->size == from_here->at)
        events |= POLLIN;
    if (to_here->at < to_here->size)
        events |= POLLOUT;
    return events;
}

static void turn(int listener, const char *file)
{
    static struct pollfd polls[1 + 2 * PAIRS_MAXIMUM];
    static size_t places[PAIRS_MAXIMUM];
    size_t count = 0;
    polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (size_t i = 0; i < PAIRS_MAXIMUM; i++) {
        struct pair *pair = pairs[i];
        if (pair == NULL)
            continue;
        for (int k = 0; k < 2; k++)
            polls[1 + 2 * count + (size_t)k] = (struct pollfd){
                .fd = pair->fds[k], .events = wants(&pair->ways[k], &pair->ways[1 - k])};
        places[count++] = i;
    }
    if (poll(polls, 1 + 2 * count, 200) <= 0)
        return;
    for (size_t i = 0; i < count; i++) {
        struct pair *pair = pairs[places[i]];
        if (polls[1 + 2 * i].revents == 0 && polls[2 + 2 * i].revents == 0)
            continue;
        bool good = move(&pair->ways[0], pair->fds[0], pair->fds[1]) &&
                    move(&pair->ways[1], pair->fds[1], pair->fds[0]);
        if (good && !(pair->ways[0].passed_on && pair->ways[1].passed_on))
            continue;
        close(pair->fds[0]);
        close(pair->fds[1]);
        free(pair);
        pairs[places[i]] = NULL;
    }
    if ((polls[0].revents & POLLIN) != 0)
        take_in(listener, file);
}

int main(int argc, char **argv)
{
    uint64_t port = 0;
    int on = 1;
    if (argc != 4 || !num_parse(str_of(argv[2]), 65535, &port)) {
        fprintf(stderr, "usage: balance ADDRESS PORT FILE\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    struct sockaddr_in at = address_of(argv[1], (unsigned)port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(listener, 128) != 0) {
        fprintf(stderr, "balance: %s\n", strerror(errno));
        return 2;
    }
    prepare(listener);
    while (!told_to_stop)
        turn(listener, argv[3]);
    printf("connections=%lu refused=%lu\n", taken, refused);
    return 0;
}
