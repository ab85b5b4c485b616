/* Sends one POST over and over, on kept or on fresh TLS connections, and looks at every
 * answer: status 200 and the uid that was asked with. For the integration scripts.
 *
 *   load --port N --ca FILE --path /mutate --body FILE [--connections 16]
 *        [--requests 1000 | --seconds 5] [--fresh] [--idle 0]
 *
 * Prints one line, "requests=1000 failed=0 closed=0 handshakes=16 certificates=1
 * seconds=0.41 rate=2400 p50_us=… p99_us=… max_us=…", and what the first failure was.
 * `closed` counts answers that said Connection: close (a new connection follows),
 * `certificates` the different ones that the server showed. Exit code 1 when a request
 * failed. --idle opens that many connections before, which ask nothing. SIGTERM ends
 * --seconds early. One thread for each connection; nothing is shared but the totals. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/num.h"

#define CONNECTIONS_MAXIMUM  256u
#define IDLE_MAXIMUM         1024u
#define CERTIFICATES_MAXIMUM 64u
#define ANSWER_MAXIMUM       (4u << 20)

static unsigned port, connections = 16, requests, seconds, idle;
static bool fresh;
static const char *ca_file, *path = "/mutate";
static struct buf message; /* the request as it goes over the wire */
static char uid[128];
static SSL_CTX *ctx;
static int64_t deadline; /* of --seconds */

static atomic_int told_to_stop; /* set in a signal handler, read by all threads */
static atomic_uint sent, failed, closed, handshakes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char first_failure[256];
static unsigned long long serials[CERTIFICATES_MAXIMUM]; /* hashes of certificates */
static size_t serial_count;
static int64_t *latencies; /* microseconds; up to latency_room of them */
static size_t latency_room;
static atomic_size_t latency_count;

struct session {
    int fd;
    SSL *ssl;
};

static bool fail_with(const char *why, const char *detail)
{
    pthread_mutex_lock(&lock);
    if (first_failure[0] == '\0')
        snprintf(first_failure, sizeof(first_failure), "%s%s%.160s", why,
                 detail[0] != '\0' ? ": " : "", detail);
    pthread_mutex_unlock(&lock);
    return false;
}

static void note_certificate(const SSL *ssl)
{
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (certificate == NULL)
        return;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned long long mark = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, NULL) == 1)
        memcpy(&mark, digest, sizeof(mark));
    X509_free(certificate);
    pthread_mutex_lock(&lock);
    size_t i = 0;
    while (i < serial_count && serials[i] != mark)
        i++;
    if (i == serial_count && serial_count < CERTIFICATES_MAXIMUM)
        serials[serial_count++] = mark;
    pthread_mutex_unlock(&lock);
}

static void session_close(struct session *session)
{
    if (session->ssl != NULL) {
        SSL_shutdown(session->ssl);
        SSL_free(session->ssl);
    }
    if (session->fd >= 0)
        close(session->fd);
    *session = (struct session){-1, NULL};
}

static bool session_open(struct session *session)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const struct timeval patience = {.tv_sec = 20};
    int on = 1;
    session->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session->fd < 0 ||
        connect(session->fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        return fail_with("connect", strerror(errno));
    (void)setsockopt(session->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    char name[] = "localhost"; /* the macro that sends it casts const away */
    session->ssl = SSL_new(ctx);
    ERR_clear_error();
    if (session->ssl == NULL || SSL_set_fd(session->ssl, session->fd) != 1 ||
        SSL_set1_host(session->ssl, "localhost") != 1 ||
        SSL_set_tlsext_host_name(session->ssl, name) != 1 ||
        SSL_connect(session->ssl) != 1) {
        const char *why = ERR_reason_error_string(ERR_peek_error());
        return fail_with("handshake", why != NULL ? why : strerror(errno));
    }
    atomic_fetch_add(&handshakes, 1);
    note_certificate(session->ssl);
    return true;
}

/* One answer into `in`; its body's place in the two outputs. */
static bool read_answer(struct session *session, struct buf *in, size_t *ret_body)
{
    char chunk[16384];
    buf_clear(in);
    size_t whole = 0, head = 0;
    while (whole == 0 || in->size < whole) {
        ERR_clear_error();
        int n = SSL_read(session->ssl, chunk, sizeof(chunk));
        if (n <= 0)
            return fail_with("no whole answer", in->size == 0 ? "closed" : "cut off");
        if (!buf_append(in, chunk, (size_t)n))
            return fail_with("answer too large", "");
        size_t end = str_find(buf_view(in), STR("\r\n\r\n"));
        if (whole != 0 || end == in->size)
            continue;
        head = end + 4;
        struct str heads = str_first(buf_view(in), head);
        size_t at = str_find(heads, STR("Content-Length: "));
        struct str value = str_skip(heads, at + sizeof("Content-Length: ") - 1);
        uint64_t length;
        if (!num_parse(str_first(value, str_index(value, 0, '\r')), ANSWER_MAXIMUM,
                       &length))
            return fail_with("no Content-Length", "");
        whole = head + (size_t)length;
    }
    *ret_body = head;
    return true;
}

static bool exchange(struct session *session, struct buf *in, bool *ret_close)
{
    size_t body = 0;
    ERR_clear_error();
    if (SSL_write(session->ssl, message.data, (int)message.size) != (int)message.size)
        return fail_with("cannot send", "");
    if (!read_answer(session, in, &body))
        return false;
    struct str answer = buf_view(in);
    if (!str_starts(answer, STR("HTTP/1.1 200 ")))
        return fail_with("not 200", in->data);
    if (str_find(str_skip(answer, body), str_of(uid)) == answer.n - body)
        return fail_with("another uid", in->data + body);
    *ret_close = str_find(str_first(answer, body), STR("\r\nConnection: close")) < body;
    return true;
}

static void on_signal(int number)
{
    (void)number;
    told_to_stop = 1;
}

static bool go_on(void)
{
    if (told_to_stop)
        return false;
    if (seconds > 0)
        return clock_mono_millis() < deadline;
    return atomic_fetch_add(&sent, 1) < requests;
}

static void *run(void *nothing)
{
    (void)nothing;
    struct session session = {-1, NULL};
    struct buf in;
    buf_init(&in, ANSWER_MAXIMUM);
    while (go_on()) {
        if (seconds > 0)
            atomic_fetch_add(&sent, 1);
        int64_t began = clock_mono_nanos();
        bool close_it = false;
        if ((session.ssl == NULL && !session_open(&session)) ||
            !exchange(&session, &in, &close_it)) {
            atomic_fetch_add(&failed, 1);
            session_close(&session);
            continue;
        }
        size_t at = atomic_fetch_add(&latency_count, 1);
        if (at < latency_room)
            latencies[at] = (clock_mono_nanos() - began) / 1000;
        if (close_it)
            atomic_fetch_add(&closed, 1);
        if (close_it || fresh)
            session_close(&session);
    }
    session_close(&session);
    buf_done(&in);
    return nothing;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void usage(void)
{
    fprintf(stderr, "load: see the comment at the top of tests/tools/load.c\n");
    exit(2);
}

static unsigned number(const char *text)
{
    uint64_t value;
    if (!num_parse(str_of(text), 100000000, &value))
        usage();
    return (unsigned)value;
}

/* libcrypto works out a certificate's extensions when it first needs them, under a lock
 * and with a flag that the thread sanitizer cannot see. All threads verify with this one:
 * it is done before they exist. */
static void extensions_now(X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (ca != NULL)
            (void)X509_check_purpose(ca, -1, 0);
    }
}

static void prepare(const char *body_file)
{
    struct buf body;
    struct err err = {0};
    buf_init(&body, 16u << 20);
    buf_init(&message, 17u << 20);
    if (!file_read(body_file, &body, &err)) {
        fprintf(stderr, "load: %s\n", err.message);
        exit(2);
    }
    struct str text = buf_view(&body);
    size_t at = str_find(text, STR("\"uid\":\""));
    struct str value = str_skip(text, at + sizeof("\"uid\":\"") - 1);
    snprintf(uid, sizeof(uid), "\"uid\":\"%.*s\"",
             STR_ARG(str_first(value, str_index(value, 0, '"'))));
    buf_printf(&message,
               "POST %s?timeout=3s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
               "application/json\r\nContent-Length: %zu\r\n\r\n",
               path, body.size);
    buf_str(&message, text);
    buf_done(&body);
    ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || message.failed || SSL_CTX_load_verify_file(ctx, ca_file) != 1) {
        fprintf(stderr, "load: cannot use %s\n", ca_file);
        exit(2);
    }
    extensions_now(SSL_CTX_get_cert_store(ctx));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
}

static void report(int64_t nanoseconds)
{
    size_t n = atomic_load(&latency_count);
    if (n > latency_room)
        n = latency_room;
    qsort(latencies, n, sizeof(*latencies), by_size);
    double took = (double)nanoseconds / 1e9;
    unsigned all = seconds > 0 ? atomic_load(&sent) : requests;
    printf("requests=%u failed=%u closed=%u handshakes=%u certificates=%zu "
           "seconds=%.2f rate=%.0f p50_us=%lld p99_us=%lld max_us=%lld\n",
           all, atomic_load(&failed), atomic_load(&closed), atomic_load(&handshakes),
           serial_count, took, (double)all / took,
           n > 0 ? (long long)latencies[n / 2] : 0,
           n > 0 ? (long long)latencies[n * 99 / 100] : 0,
           n > 0 ? (long long)latencies[n - 1] : 0);
    if (first_failure[0] != '\0')
        printf("first failure: %s\n", first_failure);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},
        {"ca", required_argument, NULL, 'a'},
        {"path", required_argument, NULL, 'u'},
        {"body", required_argument, NULL, 'b'},
        {"requests", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {"fresh", no_argument, NULL, 'f'},
        {"idle", required_argument, NULL, 'i'},
        {"connections", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    const char *body_file = NULL;
    for (int got; (got = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (got) {
        case 'p':
            port = number(optarg);
            break;
        case 'a':
            ca_file = optarg;
            break;
        case 'u':
            path = optarg;
            break;
        case 'b':
            body_file = optarg;
            break;
        case 'n':
            requests = number(optarg);
            break;
        case 's':
            seconds = number(optarg);
            break;
        case 'c':
            connections = number(optarg);
            break;
        case 'i':
            idle = number(optarg);
            break;
        case 'f':
            fresh = true;
            break;
        default:
            usage();
        }
    }
    if (port == 0 || ca_file == NULL || body_file == NULL || connections == 0 ||
        connections > CONNECTIONS_MAXIMUM || idle > IDLE_MAXIMUM ||
        (requests == 0) == (seconds == 0))
        usage();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    prepare(body_file);
    latency_room = requests > 0 ? requests : 1000000;
    latencies = calloc(latency_room, sizeof(*latencies));
    if (latencies == NULL)
        usage();
    static struct session sleepers[IDLE_MAXIMUM];
    for (unsigned i = 0; i < idle; i++) {
        if (!session_open(&sleepers[i]))
            atomic_fetch_add(&failed, 1);
    }
    if (idle > 0)
        usleep(1200000); /* the server takes them for idle after a second */
    int64_t began = clock_mono_nanos();
    deadline = clock_mono_millis() + (int64_t)seconds * 1000;
    pthread_t threads[CONNECTIONS_MAXIMUM];
    unsigned started = 0;
    while (started < connections &&
           pthread_create(&threads[started], NULL, run, NULL) == 0)
        started++;
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    report(clock_mono_nanos() - began);
    for (unsigned i = 0; i < idle; i++)
        session_close(&sleepers[i]);
    SSL_CTX_free(ctx);
    buf_done(&message);
    free(latencies);
    return atomic_load(&failed) == 0 && started == connections ? 0 : 1;
}
