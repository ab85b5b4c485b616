/* The load generator of the benchmarks: one thread for one core, many TLS connections,
 * every answer looked at. Also measures what the server spends meanwhile, by the kernel's
 * clock of that process.
 *
 *   load --port N --ca FILE --body FILE [--path /mutate] [--connections 16] [--pid PID]
 *        [--seconds 5] [--warm 1] [--rate R [--sleep]] [--fresh]
 *   load --port N --ca FILE --body FILE [--core N] --starts N -- COMMAND…
 *
 * Without --rate every connection asks again as soon as it has its answer: how much the
 * server can do. With --rate a request is due every 1/R seconds whatever the server does,
 * and its time counts from when it was due, not from when a connection was free for it: a
 * server that stalls pays for all that came meanwhile. --fresh makes a connection with a
 * handshake for each request, without resumption, as the API server does beyond its pool.
 * --starts runs the command (on that core) that often, measures each time from exec to
 * the first right answer, in milliseconds, and kills it.
 *
 * TLS 1.3 with AES-128-GCM and X25519 for everybody, so that nobody is measured with
 * another cipher. The certificate is verified in the first handshake and has to be the
 * same afterwards; that the server has its key is verified in each. An answer is right
 * when it is a 200, allows, bears the uid and, on /mutate, a patch. Prints one line of
 * key=value; exit code 1 when an answer was wrong. `lag` is how late this program itself
 * was with what it had a connection for; `server` and `generator` are the parts of a core
 * that the two were busy, `others` what everything else on the machine took. With --rate
 * it spins between requests, so `generator` says nothing there; with --sleep it leaves
 * its core to others meanwhile. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/tools/support/client.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/num.h"

#define CONNECTIONS_MAXIMUM 256u
#define ANSWER_MAXIMUM      (1u << 20)
#define SAMPLES_MAXIMUM     4000000u
#define SECOND              1000000000LL
#define DRAIN               (3 * SECOND)
#define START_PATIENCE      (20 * SECOND)

enum state { FREE, CONNECTING, SENDING, RECEIVING };

struct conn {
    int fd;
    SSL *ssl;
    enum state state;
    int64_t due; /* when its request should have gone */
    struct buf in;
};

static unsigned port, connections = 16, rate;
static unsigned seconds = 5, warm = 1;
static bool fresh, sleepy;
static pid_t server_pid;
static const char *path = "/mutate";
static struct buf message; /* the request as it goes over the wire */
static char uid[128];
static SSL_CTX *ctx;
static int epoll_fd;
static struct conn conns[CONNECTIONS_MAXIMUM];
static unsigned
    idle[CONNECTIONS_MAXIMUM]; /* indices of free ones, the last used on top */
static unsigned idle_count;

static int64_t measure_from, measure_to;
static int64_t *latencies, *lags; /* nanoseconds, of what was due in between */
static size_t latency_count, lag_count;
static size_t completed; /* in between */
static size_t right, failed;
static char first_failure[200];

static void set_free(struct conn *conn)
{
    conn->state = FREE;
    idle[idle_count++] = (unsigned)(conn - conns);
}

static void drop(struct conn *conn)
{
    if (conn->ssl != NULL)
        SSL_free(conn->ssl);
    if (conn->fd >= 0)
        close(conn->fd);
    conn->ssl = NULL;
    conn->fd = -1;
}

static void fail_with(struct conn *conn, const char *why, const char *detail)
{
    failed++;
    if (first_failure[0] == '\0')
        snprintf(first_failure, sizeof(first_failure), "%s: %.150s", why, detail);
    drop(conn);
    set_free(conn);
    ERR_clear_error();
}

static int64_t clock_read(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) == 0 ? (int64_t)t.tv_sec * SECOND + t.tv_nsec : 0;
}

static int64_t server_cpu(void)
{
    clockid_t clock;
    if (server_pid == 0 || clock_getcpuclockid(server_pid, &clock) != 0)
        return 0;
    return clock_read(clock);
}

/* What all processes of the machine have used, from the kernel's ticks; 0 if unknown. */
static int64_t machine_cpu(void)
{
    FILE *file = fopen("/proc/stat", "re");
    long long user = 0, nice = 0, sys = 0, idle_ticks, wait, irq = 0, soft = 0;
    int n = file == NULL ? 0
                         : fscanf(file, "cpu %lld %lld %lld %lld %lld %lld %lld", &user,
                                  &nice, &sys, &idle_ticks, &wait, &irq, &soft);
    if (file != NULL)
        fclose(file);
    return n == 7 ? (user + nice + sys + irq + soft) * (SECOND / sysconf(_SC_CLK_TCK))
                  : 0;
}

/* --- one connection ------------------------------------------------------------- */

/* A certificate that has been verified is not verified again: the server has no part in
 * that, and this program should be the last to be full. */
static int verify_once(X509_STORE_CTX *store, void *context)
{
    static X509 *known;
    (void)context;
    X509 *shown = X509_STORE_CTX_get0_cert(store);
    if (known != NULL && X509_cmp(shown, known) == 0)
        return 1;
    if (X509_verify_cert(store) != 1)
        return 0;
    X509_free(known);
    known = shown;
    return X509_up_ref(known);
}

static bool open_socket(struct conn *conn)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (conn->fd < 0 ||
        (connect(conn->fd, (const struct sockaddr *)&to, sizeof(to)) != 0 &&
         errno != EINPROGRESS))
        return false;
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    char name[] = "localhost"; /* the macro that sends it casts const away */
    static const unsigned char http[] = "\x08http/1.1";
    conn->ssl = SSL_new(ctx);
    if (conn->ssl == NULL || SSL_set_fd(conn->ssl, conn->fd) != 1 ||
        SSL_set1_host(conn->ssl, "localhost") != 1 ||
        SSL_set_tlsext_host_name(conn->ssl, name) != 1 ||
        SSL_set_alpn_protos(conn->ssl, http, sizeof(http) - 1) != 0)
        return false;
    SSL_set_connect_state(conn->ssl);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) == 0;
}

/* False while it only waits. */
static bool broken(struct conn *conn, int result)
{
    int why = SSL_get_error(conn->ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return false;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    static const char *const doing[] = {"idle", "handshake", "sending", "receiving"};
    fail_with(conn, doing[conn->state], reason != NULL ? reason : "connection closed");
    return true;
}

static bool contains(const struct buf *in, const char *needle)
{
    return memmem(in->data, in->size, needle, strlen(needle)) != NULL;
}

/* Whole by Content-Length, or by the last chunk. */
static bool is_whole(const struct buf *in)
{
    static const char name[] = "Content-Length: ";
    const char *head = memmem(in->data, in->size, "\r\n\r\n", 4);
    if (head == NULL)
        return false;
    size_t body = in->size - (size_t)(head + 4 - in->data);
    const char *at = memmem(in->data, in->size, name, sizeof(name) - 1);
    if (at == NULL || at > head)
        return body >= 5 && memcmp(in->data + in->size - 5, "0\r\n\r\n", 5) == 0;
    return body >= (size_t)strtoul(at + sizeof(name) - 1, NULL, 10);
}

static void note_answer(struct conn *conn)
{
    int64_t now = clock_mono_nanos();
    struct buf *in = &conn->in;
    if (in->size < 12 || memcmp(in->data, "HTTP/1.1 200", 12) != 0 ||
        !contains(in, uid) || !contains(in, "\"allowed\":true") ||
        (strcmp(path, "/mutate") == 0 && !contains(in, "\"patch\":\""))) {
        fail_with(conn, "answer", in->data);
        return;
    }
    right++;
    if (now >= measure_from && now < measure_to)
        completed++;
    if (conn->due >= measure_from && conn->due < measure_to &&
        latency_count < SAMPLES_MAXIMUM)
        latencies[latency_count++] = now - conn->due;
    if (fresh || contains(in, "\r\nConnection: close")) {
        SSL_shutdown(conn->ssl);
        drop(conn);
    }
    set_free(conn);
}

static void receive(struct conn *conn)
{
    static char chunk[65536];
    for (;;) {
        int n = SSL_read(conn->ssl, chunk, sizeof(chunk));
        if (n <= 0) {
            (void)broken(conn, n);
            return;
        }
        if (!buf_append(&conn->in, chunk, (size_t)n)) {
            fail_with(conn, "answer", "too large");
            return;
        }
        if (is_whole(&conn->in)) {
            note_answer(conn);
            return;
        }
    }
}

/* As far as it goes without waiting. */
static void advance(struct conn *conn)
{
    if (conn->state == CONNECTING) {
        int n = SSL_do_handshake(conn->ssl);
        if (n != 1) {
            (void)broken(conn, n);
            return;
        }
        conn->state = SENDING;
    }
    if (conn->state == SENDING) {
        int n = SSL_write(conn->ssl, message.data, (int)message.size);
        if (n <= 0) {
            (void)broken(conn, n);
            return;
        }
        conn->state = RECEIVING;
    }
    if (conn->state == RECEIVING)
        receive(conn);
}

static void ask(struct conn *conn, int64_t due)
{
    conn->due = due;
    buf_clear(&conn->in);
    conn->state = conn->ssl != NULL ? SENDING : CONNECTING;
    if (conn->ssl == NULL && !open_socket(conn)) {
        fail_with(conn, "connect", strerror(errno));
        return;
    }
    advance(conn);
}

static void take_events(int64_t timeout)
{
    struct epoll_event events[CONNECTIONS_MAXIMUM];
    struct timespec wait = {.tv_sec = timeout / SECOND, .tv_nsec = timeout % SECOND};
    int n = epoll_pwait2(epoll_fd, events, CONNECTIONS_MAXIMUM, &wait, NULL);
    for (int i = 0; i < n; i++)
        advance(events[i].data.ptr);
}

/* --- the load ------------------------------------------------------------------- */

/* Every connection that has its answer asks again. */
static void run_closed(int64_t now)
{
    if (now < measure_to) {
        for (unsigned n = idle_count; n > 0 && idle_count > 0; n--)
            ask(&conns[idle[--idle_count]], now);
    }
    take_events(SECOND / 10);
}

static void run_open(int64_t now, int64_t *due, int64_t gap)
{
    static bool starved;
    while (*due <= now && *due < measure_to && idle_count > 0) {
        if (!starved && *due >= measure_from && lag_count < SAMPLES_MAXIMUM)
            lags[lag_count++] = now - *due;
        ask(&conns[idle[--idle_count]], *due);
        *due += gap;
    }
    starved = idle_count == 0;
    int64_t wait = 0;
    if (sleepy)
        wait = starved || *due >= measure_to ? SECOND / 10 : *due - clock_mono_nanos();
    take_events(wait > 0 ? wait : 0);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double part(int64_t *sorted, size_t n, double share)
{
    return n == 0 ? 0 : (double)sorted[(size_t)((double)(n - 1) * share)] / 1000.0;
}

static int run_load(void)
{
    int64_t gap = rate > 0 ? SECOND / rate : 0;
    int64_t due = clock_mono_nanos() + SECOND / 100;
    int64_t cpu[2] = {0, 0}, own[2] = {0, 0}, at[2] = {0, 0}, all[2] = {0, 0};
    measure_from = due + (int64_t)warm * SECOND;
    measure_to = measure_from + (int64_t)seconds * SECOND;
    for (int64_t now = 0; now < measure_to + DRAIN;) {
        now = clock_mono_nanos();
        int edge = now >= measure_to ? 1 : 0;
        if (now >= measure_from && at[edge] == 0) {
            at[edge] = now;
            cpu[edge] = server_cpu();
            own[edge] = clock_read(CLOCK_PROCESS_CPUTIME_ID);
            all[edge] = machine_cpu();
        }
        if (now >= measure_to && idle_count == connections &&
            (rate == 0 || due >= measure_to))
            break;
        if (rate > 0)
            run_open(now, &due, gap);
        else
            run_closed(now);
    }
    size_t unanswered = connections - idle_count;
    if (rate > 0 && due < measure_to)
        unanswered += (size_t)((measure_to - due) / gap);
    double took = (double)(at[1] - at[0]);
    int64_t others = all[1] - all[0] - (cpu[1] - cpu[0]) - (own[1] - own[0]);
    qsort(latencies, latency_count, sizeof(*latencies), by_size);
    qsort(lags, lag_count, sizeof(*lags), by_size);
    printf("completed=%zu failed=%zu unanswered=%zu per_second=%.0f cpu_us=%.2f "
           "server=%.3f generator=%.3f p50_us=%.1f p99_us=%.1f p999_us=%.1f max_us=%.1f "
           "lag99_us=%.1f others=%.3f\n",
           completed, failed, unanswered, (double)completed * 1e9 / took,
           completed == 0 ? 0 : (double)(cpu[1] - cpu[0]) / 1000.0 / (double)completed,
           (double)(cpu[1] - cpu[0]) / took, (double)(own[1] - own[0]) / took,
           part(latencies, latency_count, 0.5), part(latencies, latency_count, 0.99),
           part(latencies, latency_count, 0.999), part(latencies, latency_count, 1),
           part(lags, lag_count, 0.99), (double)others / took);
    if (failed > 0)
        fprintf(stderr, "load: first failure: %s\n", first_failure);
    return failed == 0 && completed > 0 ? 0 : 1; /* overload is a result, not a failure */
}

/* --- exec to ready -------------------------------------------------------------- */

static double start_once(char **command, int core)
{
    struct conn *conn = &conns[0];
    int64_t began = clock_mono_nanos();
    right = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (core >= 0) {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET((size_t)core, &set);
            (void)sched_setaffinity(0, sizeof(set), &set);
        }
        execvp(command[0], command);
        _exit(127);
    }
    while (right == 0 && clock_mono_nanos() < began + START_PATIENCE) {
        if (conn->state == FREE) {
            const struct timespec nap = {.tv_nsec = 20000};
            nanosleep(&nap, NULL);
            idle_count = connections - 1;
            ask(conn, clock_mono_nanos());
        }
        if (conn->state != FREE) /* else nobody listens yet: at once again */
            take_events(SECOND / 1000);
    }
    double took = (double)(clock_mono_nanos() - began) / 1e6;
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return right > 0 ? took : 0;
}

/* The first start does not count: it warms this program's own TLS and the page cache. */
static int run_starts(char **command, unsigned starts, int core)
{
    measure_to = INT64_MAX;
    fresh = true;
    for (unsigned i = 0; i <= starts; i++) {
        double took = start_once(command, core);
        if (took <= 0)
            return 1;
        if (i > 0)
            printf("%.2f\n", took);
    }
    return 0;
}

/* --- beginning ------------------------------------------------------------------ */

static void usage(void)
{
    fprintf(stderr, "load: see the comment at the top of bench/load.c\n");
    exit(2);
}

static unsigned number(const char *text)
{
    uint64_t value;
    if (!num_parse(str_of(text), 100000000, &value))
        usage();
    return (unsigned)value;
}

static void prepare(const char *ca_file, const char *body_file)
{
    if (!client_post("load", path, body_file, &message, uid, sizeof(uid)))
        exit(2);
    ctx = client_context(ca_file);
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519") != 1) {
        fprintf(stderr, "load: cannot set up TLS with %s\n", ca_file);
        exit(2);
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_cert_verify_callback(ctx, verify_once, NULL);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    latencies = calloc(SAMPLES_MAXIMUM, sizeof(*latencies));
    lags = calloc(SAMPLES_MAXIMUM, sizeof(*lags));
    if (epoll_fd < 0 || latencies == NULL || lags == NULL)
        usage();
    for (unsigned i = connections; i-- > 0;) {
        conns[i].fd = -1;
        buf_init(&conns[i].in, ANSWER_MAXIMUM);
        set_free(&conns[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},
        {"ca", required_argument, NULL, 'a'},
        {"path", required_argument, NULL, 'u'},
        {"body", required_argument, NULL, 'b'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"warm", required_argument, NULL, 'w'},
        {"pid", required_argument, NULL, 'i'},
        {"fresh", no_argument, NULL, 'f'},
        {"sleep", no_argument, NULL, 'l'},
        {"connections", required_argument, NULL, 'c'},
        {"starts", required_argument, NULL, 't'},
        {"core", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    const char *ca_file = NULL, *body_file = NULL;
    unsigned starts = 0;
    int core = -1;
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
        case 'r':
            rate = number(optarg);
            break;
        case 's':
            seconds = number(optarg);
            break;
        case 'w':
            warm = number(optarg);
            break;
        case 'i':
            server_pid = (pid_t)number(optarg);
            break;
        case 'f':
            fresh = true;
            break;
        case 'l':
            sleepy = true;
            break;
        case 'c':
            connections = number(optarg);
            break;
        case 't':
            starts = number(optarg);
            break;
        case 'o':
            core = (int)number(optarg);
            break;
        default:
            usage();
        }
    }
    if (port == 0 || ca_file == NULL || body_file == NULL || connections == 0 ||
        connections > CONNECTIONS_MAXIMUM || seconds == 0 ||
        (starts > 0 && optind >= argc))
        usage();
    signal(SIGPIPE, SIG_IGN);
    if (sleepy)
        (void)prctl(PR_SET_TIMERSLACK, 1000UL); /* ns: no later than need be */
    prepare(ca_file, body_file);
    return starts > 0 ? run_starts(argv + optind, starts, core) : run_load();
}
