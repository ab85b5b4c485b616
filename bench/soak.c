/* The client of bench/soak.sh: sends admissions over TLS for as long as it takes,
 * compares every answer byte by byte with those that are right, and looks at the server's
 * memory and descriptors on the way.
 *
 *   soak --port N --ca FILE --pid SERVER --requests N [--connections 4] [--renew 2000]
 *        PATH:REVIEW:ANSWER[:ANSWER…]…
 *
 * Each case is sent in turn; its answer must be one of those given (under each policy
 * there is one). After --renew requests a connection is closed and made anew, so that new
 * certificates are seen. Prints a line at 1, 10, 20 … 100 % and what the first wrong
 * answer was. Exit code 1 when an answer was wrong or missing, 2 for wrong arguments. One
 * thread for each connection, and the main thread that looks. */
#include <dirent.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/tools/support/client.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/num.h"

#define CASES_MAXIMUM       32
#define ANSWERS_MAXIMUM     4
#define CONNECTIONS_MAXIMUM 64u
#define ANSWER_MAXIMUM      65536u

struct review {
    struct buf request;
    struct buf answers[ANSWERS_MAXIMUM];
    size_t answer_count;
    atomic_ulong seen[ANSWERS_MAXIMUM];
};

static unsigned port;
static unsigned connections = 4, renew = 2000;
static uint64_t wanted;
static const char *pid;
static struct review cases[CASES_MAXIMUM];
static size_t case_count;
static SSL_CTX *ctx;

static atomic_ullong begun, done, failed;
static atomic_bool stop;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char first_failure[2048];

static bool fail_with(const char *why, const char *detail, size_t n)
{
    atomic_fetch_add(&failed, 1);
    pthread_mutex_lock(&lock);
    if (first_failure[0] == '\0')
        snprintf(first_failure, sizeof(first_failure), "%s: %.*s", why,
                 (int)(n < 1500 ? n : 1500), detail);
    pthread_mutex_unlock(&lock);
    return false;
}

static bool judge(struct review *review, const char *in, size_t body, size_t size)
{
    if (memcmp(in, "HTTP/1.1 200 ", 13) != 0)
        return fail_with("not 200", in, body + size);
    for (size_t i = 0; i < review->answer_count; i++) {
        if (review->answers[i].size == size &&
            memcmp(review->answers[i].data, in + body, size) == 0) {
            atomic_fetch_add_explicit(&review->seen[i], 1, memory_order_relaxed);
            return true;
        }
    }
    return fail_with("a wrong answer", in + body, size);
}

static bool exchange(struct session *session, struct review *review, struct buf *in)
{
    size_t body = 0;
    const char *why;
    if ((session->ssl == NULL && !session_open(session, ctx, port, &why)) ||
        !session_send(session, &review->request, &why) ||
        !session_answer(session, in, &body, &why))
        return fail_with("no answer", why, strlen(why));
    return judge(review, in->data, body, in->size - body);
}

static void *run(void *context)
{
    struct session session = SESSION_NONE;
    struct buf in;
    unsigned used = 0;
    unsigned long long number;
    buf_init(&in, ANSWER_MAXIMUM);
    while (!atomic_load_explicit(&stop, memory_order_relaxed) &&
           (number = atomic_fetch_add(&begun, 1)) < wanted) {
        bool good = exchange(&session, &cases[number % case_count], &in);
        atomic_fetch_add(&done, 1);
        if (!good || ++used >= renew) {
            session_close(&session);
            used = 0;
        }
        if (atomic_load_explicit(&failed, memory_order_relaxed) > 1000)
            break;
    }
    session_close(&session);
    buf_done(&in);
    return context;
}

/* --- looking ----------------------------------------------------------------------- */

static long rss_kib(void)
{
    char name[64], line[256];
    long kib = -1;
    snprintf(name, sizeof(name), "/proc/%.20s/status", pid);
    FILE *file = fopen(name, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "VmRSS: %ld", &kib) == 1)
            break;
    }
    if (file != NULL)
        fclose(file);
    return kib;
}

static int descriptors(void)
{
    char name[64];
    int count = -2; /* "." and ".." */
    snprintf(name, sizeof(name), "/proc/%.20s/fd", pid);
    DIR *folder = opendir(name);
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count;
}

static void look(unsigned percent, int64_t began)
{
    double seconds = (double)(clock_mono_millis() - began) / 1000;
    unsigned long long n = atomic_load(&done);
    printf("percent=%u admissions=%llu failed=%llu rss_kib=%ld descriptors=%d "
           "certificates=%zu handshakes=%u seconds=%.1f rate=%.0f\n",
           percent, n, atomic_load(&failed), rss_kib(), descriptors(),
           session_certificates(), session_handshakes(), seconds, (double)n / seconds);
    fflush(stdout);
}

static void watch(int64_t began)
{
    unsigned next = 1;
    while (next <= 100 && !atomic_load(&stop)) {
        usleep(20000);
        unsigned long long n = atomic_load(&done);
        if (atomic_load(&failed) > 1000 || rss_kib() < 0)
            atomic_store(&stop, true);
        if (n * 100 < wanted * next)
            continue;
        look(next, began);
        next = next < 10 ? 10 : next + 10;
    }
}

/* --- arguments --------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(stderr, "soak: see the comment at the top of bench/soak.c\n");
    exit(2);
}

static void load_file(const char *name, struct buf *out)
{
    struct err err = {0};
    buf_init(out, 1u << 20);
    if (!file_read(name, out, &err)) {
        fprintf(stderr, "soak: %s\n", err.message);
        exit(2);
    }
}

static void add_case(char *text)
{
    struct review *review = &cases[case_count];
    char *rest = text;
    const char *path = strsep(&rest, ":");
    const char *file = rest != NULL ? strsep(&rest, ":") : NULL;
    if (case_count == CASES_MAXIMUM || file == NULL)
        usage();
    if (!client_post("soak", path, file, &review->request, NULL, 0))
        exit(2);
    while (rest != NULL && review->answer_count < ANSWERS_MAXIMUM)
        load_file(strsep(&rest, ":"), &review->answers[review->answer_count++]);
    if (review->answer_count == 0)
        usage();
    case_count++;
}

static uint64_t number(const char *text)
{
    uint64_t value;
    if (!num_parse(str_of(text), UINT64_C(10000000000), &value))
        usage();
    return value;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"port", required_argument, NULL, 'p'},
        {"ca", required_argument, NULL, 'a'},
        {"pid", required_argument, NULL, 'i'},
        {"requests", required_argument, NULL, 'n'},
        {"connections", required_argument, NULL, 'c'},
        {"renew", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    const char *ca = NULL;
    for (int got; (got = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (got == 'p')
            port = (unsigned)number(optarg);
        else if (got == 'a')
            ca = optarg;
        else if (got == 'i')
            pid = optarg;
        else if (got == 'n')
            wanted = number(optarg);
        else if (got == 'c')
            connections = (unsigned)number(optarg);
        else if (got == 'r')
            renew = (unsigned)number(optarg);
        else
            usage();
    }
    for (int i = optind; i < argc; i++)
        add_case(argv[i]);
    if (port == 0 || port > 65535 || ca == NULL || pid == NULL || wanted == 0 ||
        case_count == 0 || connections == 0 || connections > CONNECTIONS_MAXIMUM)
        usage();
    signal(SIGPIPE, SIG_IGN);
    ctx = client_context(ca);
    if (ctx == NULL) {
        fprintf(stderr, "soak: cannot use %s\n", ca);
        return 2;
    }
    int64_t began = clock_mono_millis();
    pthread_t threads[CONNECTIONS_MAXIMUM];
    unsigned started = 0;
    while (started < connections &&
           pthread_create(&threads[started], NULL, run, NULL) == 0)
        started++;
    if (started == connections)
        watch(began);
    else
        atomic_store(&stop, true);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < case_count; i++) {
        printf("case=%zu", i + 1);
        for (size_t k = 0; k < cases[i].answer_count; k++)
            printf(" answer_%zu=%lu", k + 1, atomic_load(&cases[i].seen[k]));
        printf("\n");
    }
    if (first_failure[0] != '\0')
        printf("first failure: %s\n", first_failure);
    return atomic_load(&failed) == 0 && atomic_load(&done) >= wanted ? 0 : 1;
}
