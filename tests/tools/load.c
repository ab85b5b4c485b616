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
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/tools/support/client.h"
#include "util/clock.h"
#include "util/num.h"

#define CONNECTIONS_MAXIMUM 256u
#define IDLE_MAXIMUM        1024u
#define ANSWER_MAXIMUM      (4u << 20)

static unsigned port, connections = 16, requests, seconds, idle;
static bool fresh;
static const char *ca_file, *path = "/mutate";
static struct buf message; /* the request as it goes over the wire */
static char uid[128];
static SSL_CTX *ctx;
static int64_t deadline; /* of --seconds */

static atomic_int told_to_stop; /* set in a signal handler, read by all threads */
static atomic_uint sent, failed, closed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char first_failure[256];
static int64_t *latencies; /* microseconds; up to latency_room of them */
static size_t latency_room;
static atomic_size_t latency_count;

static bool fail_with(const char *why, const char *detail)
{
    pthread_mutex_lock(&lock);
    if (first_failure[0] == '\0')
        snprintf(first_failure, sizeof(first_failure), "%s%s%.160s", why,
                 detail[0] != '\0' ? ": " : "", detail);
    pthread_mutex_unlock(&lock);
    return false;
}

static bool exchange(struct session *session, struct buf *in, bool *ret_close)
{
    size_t body = 0;
    const char *why;
    if (!session_send(session, &message, &why) ||
        !session_answer(session, in, &body, &why))
        return fail_with(why, "");
    struct str answer = buf_view(in);
    if (!str_starts(answer, STR("HTTP/1.1 200 ")))
        return fail_with("not 200", in->data);
    if (str_find(str_skip(answer, body), str_of(uid)) == answer.n - body)
        return fail_with("another uid", in->data + body);
    *ret_close = str_find(str_first(answer, body), STR("\r\nConnection: close")) < body;
    return true;
}

static bool open_session(struct session *session)
{
    const char *why;
    return session_open(session, ctx, port, &why) || fail_with("no connection", why);
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
    struct session session = SESSION_NONE;
    struct buf in;
    buf_init(&in, ANSWER_MAXIMUM);
    while (go_on()) {
        if (seconds > 0)
            atomic_fetch_add(&sent, 1);
        int64_t began = clock_mono_nanos();
        bool close_it = false;
        if ((session.ssl == NULL && !open_session(&session)) ||
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

static void prepare(const char *body_file)
{
    if (!client_post("load", path, body_file, &message, uid, sizeof(uid)))
        exit(2);
    ctx = client_context(ca_file);
    if (ctx == NULL) {
        fprintf(stderr, "load: cannot use %s\n", ca_file);
        exit(2);
    }
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
           all, atomic_load(&failed), atomic_load(&closed), session_handshakes(),
           session_certificates(), took, (double)all / took,
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
        if (!open_session(&sleepers[i]))
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
