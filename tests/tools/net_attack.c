/* Treats the server badly for some seconds, so that a script can look at how good clients
 * fare beside it and at what is left afterwards.
 *
 *   net_attack PORT ATTACK CONNECTIONS SECONDS
 *   net_attack list
 *
 * Keeps CONNECTIONS connections (or as many as it gets descriptors for) and opens each
 * anew when the server ends it. ATTACK is one of those listed at `attacks` below; `list`
 * prints them, ATTACK:CONNECTIONS, as the scripts run them. Prints
 * one line, "attack=silent connections=10000 opened=… ended=… refused=… alerts=…
 * answers=200:17,400:3": what the server ended, the fatal alerts and the answers by
 * status. ATTACK "compute" connects to nobody: it shows what an attacker costs that
 * shares the machine. Exit code 1 when nothing could be opened at all, 2 for wrong
 * arguments. One thread; every wait is bounded. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/num.h"

#define CONNECTIONS_MAXIMUM 20000u
#define SHAKE_MS            2000

struct victim {
    int fd; /* -1: none */
    SSL *ssl;
    unsigned step;
};

static unsigned port;
static SSL_CTX *any_version, *old_version;
static unsigned long opened, ended, refused, alerts, answers[600];

/* Each attack: what to do with a connection that was just made, and with one that lives
 * (every few milliseconds). False: it is over. */
struct attack {
    const char *name;
    unsigned usual; /* connections, for `list` */
    bool tls;       /* after a handshake */
    bool old;       /* … of TLS 1.2 */
    bool (*go)(struct victim *victim);
    void (*fill)(char *at, size_t room); /* of say_whole: the object of the review */
};

static bool put(struct victim *victim, const void *data, size_t n)
{
    if (victim->ssl == NULL) {
        ssize_t sent = send(victim->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent >= 0 || errno == EAGAIN;
    }
    ERR_clear_error();
    int sent = SSL_write(victim->ssl, data, (int)n);
    if (sent > 0)
        return true;
    int why = SSL_get_error(victim->ssl, sent);
    return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ;
}

static bool say(struct victim *victim, const char *text)
{
    return put(victim, text, strlen(text));
}

static bool silent(struct victim *victim)
{
    (void)victim;
    return true;
}

static bool half_hello(struct victim *victim)
{
    static const unsigned char hello[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
    return victim->step > 0 || put(victim, hello, sizeof(hello));
}

/* Fifteen bytes that announce a hello of 128 KiB. */
static bool large_hello(struct victim *victim)
{
    static const unsigned char hello[] = {0x16, 3,    1, 2, 0, 1, 1, 0xff,
                                          0,    0x03, 3, 0, 0, 0, 0};
    return victim->step > 0 || put(victim, hello, sizeof(hello));
}

static bool garbage(struct victim *victim)
{
    unsigned char noise[512];
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (unsigned char)random();
    if (victim->step % 2 == 0)
        memcpy(noise, "\x16\x03\x01", 3);
    return put(victim, noise, sizeof(noise));
}

static bool churn(struct victim *victim)
{
    (void)victim;
    return false; /* a handshake and away */
}

static bool slow_head(struct victim *victim)
{
    return say(victim, victim->step == 0 ? "POST /mutate HTTP/1.1\r\nHost: a\r\n" : "X");
}

static bool slow_body(struct victim *victim)
{
    return say(victim,
               victim->step == 0
                   ? "POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n"
                     "Content-Type: application/json\r\n\r\n{"
                   : " ");
}

/* As much of a body as is always taken, and no end. */
static bool half_bodies(struct victim *victim)
{
    static char part[61440];
    if (part[0] == 0) {
        memset(part, ' ', sizeof(part));
        int n = snprintf(part, sizeof(part),
                         "POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n"
                         "Content-Type: application/json\r\n\r\n");
        part[n] = ' ';
    }
    return victim->step > 0 || put(victim, part, sizeof(part));
}

static bool big_bodies(struct victim *victim)
{
    static char blanks[65536];
    if (victim->step == 0)
        return say(victim,
                   "POST /mutate HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                   "Content-Type: application/json\r\n\r\n800001\r\n");
    if (blanks[0] == 0)
        memset(blanks, ' ', sizeof(blanks));
    return put(victim, blanks, sizeof(blanks));
}

static bool headers(struct victim *victim)
{
    if (victim->step == 0)
        return say(victim, "GET /healthz HTTP/1.1\r\nHost: a\r\n");
    char lines[4096];
    size_t n = 0;
    for (int i = 0; n + 64 < sizeof(lines); i++)
        n += (size_t)snprintf(lines + n, sizeof(lines) - n,
                              "X-%u-%d: aaaaaaaaaaaaaaaa\r\n", victim->step, i);
    return put(victim, lines, n);
}

static bool never_reads(struct victim *victim)
{
    for (int i = 0; i < 20; i++) {
        if (!say(victim, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"))
            return false;
    }
    return true;
}

/* Reviews that are small, hundreds of them behind one another. */
static bool unread_reviews(struct victim *victim)
{
    static char many[61440];
    if (many[0] == 0) {
        static const char body[] =
            "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\","
            "\"request\":{\"uid\":\"1\"}}";
        size_t n = 0;
        while (n + 256 < sizeof(many))
            n += (size_t)snprintf(many + n, sizeof(many) - n,
                                  "POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: "
                                  "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                  sizeof(body) - 1, body);
    }
    return put(victim, many, strlen(many));
}

static bool key_updates(struct victim *victim)
{
    for (int i = 0; i < 100; i++) {
        ERR_clear_error();
        if (SSL_key_update(victim->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
            SSL_do_handshake(victim->ssl) != 1)
            return false;
    }
    return true;
}

static bool renegotiation(struct victim *victim)
{
    ERR_clear_error();
    if (SSL_renegotiate(victim->ssl) != 1)
        return false;
    int n = SSL_do_handshake(victim->ssl);
    return n == 1 || SSL_get_error(victim->ssl, n) == SSL_ERROR_WANT_READ;
}

static bool smuggling(struct victim *victim)
{
    return say(victim,
               "POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
               "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
               "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
}

/* --- what comes back ------------------------------------------------------------- */

static void on_info(const SSL *ssl, int where, int what)
{
    (void)ssl;
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && what >> 8 == SSL3_AL_FATAL)
        alerts++;
}

/* A status line that is cut in two is not counted. */
static void note_answers(const char *data, size_t n)
{
    static const char version[] = "HTTP/1.1 ";
    const size_t size = sizeof(version) - 1;
    const char *end = data + n, *at = data;
    while ((at = memmem(at, (size_t)(end - at), version, size)) != NULL) {
        at += size;
        if (end - at < 3)
            return;
        unsigned status = (unsigned)(at[0] - '0') * 100 + (unsigned)(at[1] - '0') * 10 +
                          (unsigned)(at[2] - '0');
        if (status < 600)
            answers[status]++;
    }
}

/* --- whole requests whose bodies are the attack --------------------------------- */

/* A review whose `object` is what `fill` writes. */
static char *made(void (*fill)(char *at, size_t room))
{
    enum { BODY = 61440 };
    static const char before[] =
        "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/"
        "v1\",\"request\":{"
        "\"uid\":\"1\",\"kind\":{\"group\":\"apps\",\"version\":\"v1\",\"kind\":"
        "\"Deployment\"},\"operation\":\"CREATE\",\"namespace\":\"nvcf\",\"name\":\"x\","
        "\"object\":";
    char *text = calloc(1, BODY + 512);
    char *object = calloc(1, BODY);
    if (text == NULL || object == NULL)
        exit(2);
    fill(object, BODY - sizeof(before) - 16);
    snprintf(text, BODY + 512,
             "POST /mutate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s%s}}",
             sizeof(before) - 1 + strlen(object) + 2, before, object);
    free(object);
    return text;
}

static void fill_deep(char *at, size_t room)
{
    memset(at, '[', room);
}

static void fill_numbers(char *at, size_t room)
{
    size_t n = (size_t)snprintf(at, room, "{\"spec\":{\"replicas\":1e999999999,\"a\":");
    memset(at + n, '9', room - n - 3);
    memcpy(at + room - 3, "}}", 3);
}

static void fill_utf8(char *at, size_t room)
{
    size_t n = (size_t)snprintf(at, room, "{\"metadata\":{\"name\":\"");
    memset(at + n, 0xc0, room - n - 4);
    memcpy(at + room - 4, "\"}}", 4);
}

static void fill_duplicates(char *at, size_t room)
{
    size_t n = 0;
    for (unsigned i = 0; n + 64 < room; i++)
        n += (size_t)snprintf(at + n, room - n, "%s\"metadata\":{\"name\":\"%u\"}",
                              i == 0 ? "{" : ",", i);
    memcpy(at + n, "}", 2);
}

/* Keys that have to be decoded to see that they are not wanted, wrong ones among them. */
static void fill_escapes(char *at, size_t room)
{
    size_t n = (size_t)snprintf(at, room, "{\"metadata\":{\"name\":\"x\"");
    while (n + 64 < room)
        n += (size_t)snprintf(at + n, room - n, ",\"\\x\":1,\"\\u0061\":1");
    memcpy(at + n, "}}", 3);
}

/* Each byte of it becomes dozens when it is read. */
static void fill_values(char *at, size_t room)
{
    size_t n = (size_t)snprintf(
        at, room, "{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"env\":[{}");
    while (n + 32 < room) {
        memcpy(at + n, ",{}", 3);
        n += 3;
    }
    memcpy(at + n, "]}]}}}}", 8);
}

/* The same of a Deployment that is judged, and only as much as takes long. */
static void fill_target(char *at, size_t room)
{
    size_t n = (size_t)snprintf(
        at, room,
        "{\"metadata\":{\"name\":\"nvcf-api\",\"namespace\":\"nvcf\",\"labels\":{"
        "\"app.kubernetes.io/name\":\"helm-nvcf-api\"}},\"spec\":{\"template\":{"
        "\"spec\":{\"containers\":[{\"name\":\"helm-nvcf-api\",\"env\":[{}");
    while (n + 32 < room && n < 8192) {
        memcpy(at + n, ",{}", 3);
        n += 3;
    }
    memcpy(at + n, "]}]}}}}", 8);
}

static char *whole; /* the request of the attack under way, where `fill` makes it */

static bool say_whole(struct victim *victim)
{
    return say(victim, whole);
}

/* … and away. */
static bool leaving(struct victim *victim)
{
    return victim->step == 0 && say(victim, whole);
}

/* --- requests of other kinds ---------------------------------------------------- */

/* Reads what comes, unlike never_reads. */
static bool pipelining(struct victim *victim)
{
    char bin[16384];
    for (int i = 0; i < 20; i++) {
        if (!say(victim, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"))
            return false;
    }
    for (int n; (n = SSL_read(victim->ssl, bin, sizeof(bin))) > 0;)
        note_answers(bin, (size_t)n);
    return true;
}

static bool old_http(struct victim *victim)
{
    return say(victim, victim->step % 2 == 0 ? "GET /healthz HTTP/1.0\r\n\r\n"
                                             : "GET /healthz\r\n\r\n");
}

static bool methods(struct victim *victim)
{
    static const char *const kinds[] = {"HEAD",    "TRACE", "OPTIONS",
                                        "CONNECT", "PATCH", "X"};
    char text[128];
    snprintf(text, sizeof(text), "%s /mutate HTTP/1.1\r\nHost: a\r\n\r\n",
             kinds[victim->step % (sizeof(kinds) / sizeof(kinds[0]))]);
    return say(victim, text);
}

static const struct attack attacks[] = {
    {"silent", 10000, false, false, silent, NULL},
    {"half-hello", 3000, false, false, half_hello, NULL},
    {"large-hello", 3000, false, false, large_hello, NULL},
    {"garbage", 200, false, false, garbage, NULL},
    {"plain-http", 200, false, false, slow_head, NULL},
    {"churn", 50, true, false, churn, NULL},
    {"idle", 3000, true, false, silent, NULL},
    {"slow-head", 3000, true, false, slow_head, NULL},
    {"slow-body", 3000, true, false, slow_body, NULL},
    {"half-bodies", 3000, true, false, half_bodies, NULL},
    {"big-bodies", 64, true, false, big_bodies, NULL},
    {"headers", 50, true, false, headers, NULL},
    {"never-reads", 200, true, false, never_reads, NULL},
    {"unread-reviews", 600, true, false, unread_reviews, NULL},
    {"pipelining", 50, true, false, pipelining, NULL},
    {"key-updates", 20, true, false, key_updates, NULL},
    {"renegotiation", 50, true, true, renegotiation, NULL},
    {"smuggling", 50, true, false, smuggling, NULL},
    {"deep-json", 20, true, false, say_whole, fill_deep},
    {"huge-numbers", 20, true, false, say_whole, fill_numbers},
    {"bad-utf8", 20, true, false, say_whole, fill_utf8},
    {"duplicate-keys", 20, true, false, say_whole, fill_duplicates},
    {"escaped-keys", 20, true, false, say_whole, fill_escapes},
    {"small-values", 20, true, false, say_whole, fill_values},
    {"heavy-crowd", 400, true, false, say_whole, fill_target},
    {"leaving", 50, true, false, leaving, fill_target},
    {"old-http", 50, true, false, old_http, NULL},
    {"methods", 50, true, false, methods, NULL},
    {"compute", 1, false, false, NULL, NULL},
};

static void drop(struct victim *victim)
{
    if (victim->ssl != NULL)
        SSL_free(victim->ssl);
    if (victim->fd >= 0)
        close(victim->fd);
    victim->ssl = NULL;
    victim->fd = -1;
}

static bool shake(struct victim *victim, bool old)
{
    victim->ssl = SSL_new(old ? old_version : any_version);
    if (victim->ssl == NULL || SSL_set_fd(victim->ssl, victim->fd) != 1)
        return false;
    int64_t until = clock_mono_millis() + SHAKE_MS;
    for (;;) {
        ERR_clear_error();
        int n = SSL_connect(victim->ssl);
        if (n == 1)
            return true;
        int why = SSL_get_error(victim->ssl, n);
        struct pollfd wait = {.fd = victim->fd,
                              .events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
        if ((why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) ||
            clock_mono_millis() > until || poll(&wait, 1, 100) < 0)
            return false;
    }
}

static bool dial(struct victim *victim, const struct attack *attack)
{
    *victim = (struct victim){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (victim->fd < 0)
        return false;
    struct timeval wait = {.tv_usec = 300000};
    setsockopt(victim->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((in_port_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool good = connect(victim->fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
                fcntl(victim->fd, F_SETFL, O_NONBLOCK) == 0 &&
                (!attack->tls || shake(victim, attack->old));
    if (good)
        opened++;
    else
        refused++;
    if (!good)
        drop(victim);
    return good;
}

/* The server ended it? What it says before is counted, unless it is not to be read. */
static bool over(struct victim *victim, const struct attack *attack)
{
    char bin[16384];
    if (attack->go == never_reads || attack->go == unread_reviews)
        return false;
    if (victim->ssl != NULL) {
        ERR_clear_error();
        int n = SSL_read(victim->ssl, bin, sizeof(bin));
        if (n > 0)
            note_answers(bin, (size_t)n);
        int why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(victim->ssl, n);
        return why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ &&
               why != SSL_ERROR_WANT_WRITE;
    }
    ssize_t n = recv(victim->fd, bin, sizeof(bin), MSG_DONTWAIT);
    if (n > 0 && bin[0] == SSL3_RT_ALERT)
        alerts++;
    else if (n > 0)
        note_answers(bin, (size_t)n);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

int main(int argc, char **argv)
{
    uint64_t number = 0, count = 0, seconds = 0;
    const struct attack *attack = NULL;
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
            if (attacks[i].go != NULL)
                printf("%s:%u\n", attacks[i].name, attacks[i].usual);
        }
        return 0;
    }
    for (size_t i = 0; argc == 5 && i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        if (strcmp(attacks[i].name, argv[2]) == 0)
            attack = &attacks[i];
    }
    if (attack == NULL || !num_parse(str_of(argv[1]), 65535, &number) ||
        !num_parse(str_of(argv[3]), CONNECTIONS_MAXIMUM, &count) ||
        !num_parse(str_of(argv[4]), 3600, &seconds)) {
        fprintf(stderr, "usage: net_attack PORT ATTACK CONNECTIONS SECONDS | list\n");
        return 2;
    }
    port = (unsigned)number;
    if (attack->fill != NULL)
        whole = made(attack->fill);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        if (count + 32 > limit.rlim_cur)
            count = limit.rlim_cur - 32;
    }
    any_version = SSL_CTX_new(TLS_client_method());
    old_version = SSL_CTX_new(TLS_client_method());
    struct victim *victims = calloc(count + 1, sizeof(*victims));
    if (any_version == NULL || old_version == NULL || victims == NULL)
        return 2;
    SSL_CTX_set_max_proto_version(old_version, TLS1_2_VERSION);
    SSL_CTX_set_info_callback(any_version, on_info);
    SSL_CTX_set_info_callback(old_version, on_info);
    for (size_t i = 0; i < count; i++)
        victims[i].fd = -1;
    int64_t until = clock_mono_millis() + (int64_t)seconds * 1000;
    while (clock_mono_millis() < until) {
        if (attack->go == NULL)
            continue;
        for (size_t i = 0; i < count && clock_mono_millis() < until; i++) {
            struct victim *victim = &victims[i];
            if (victim->fd < 0 && !dial(victim, attack))
                continue;
            if (!attack->go(victim) || over(victim, attack)) {
                ended++;
                drop(victim);
            } else {
                victim->step++;
            }
        }
        usleep(5000);
    }
    for (size_t i = 0; i < count; i++)
        drop(&victims[i]);
    free(victims);
    free(whole);
    SSL_CTX_free(any_version);
    SSL_CTX_free(old_version);
    printf(
        "attack=%s connections=%lu opened=%lu ended=%lu refused=%lu alerts=%lu answers=",
        attack->name, (unsigned long)count, opened, ended, refused, alerts);
    const char *comma = "";
    for (unsigned status = 0; status < sizeof(answers) / sizeof(answers[0]); status++) {
        if (answers[status] == 0)
            continue;
        printf("%s%u:%lu", comma, status, answers[status]);
        comma = ",";
    }
    printf("%s\n", *comma == '\0' ? "none" : "");
    return opened > 0 || attack->go == NULL ? 0 : 1;
}
