/* An outsider's bytes through the whole bridge: one connection of a real worker, without
 * TLS and without a thread, with libmicrohttpd behind it. The first byte says into how
 * large pieces the rest is cut. Whatever comes:
 *   - what goes back is a sequence of whole answers, each with its length, and then the
 * end;
 *   - an answer that is not the handler's own is one line of JSON;
 *   - bytes that are not only line ends get an answer;
 *   - answers do not depend on the cutting, but for what blank_trailer() tells;
 *   - nothing is left of the connection afterwards. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/worker.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/num.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAXIMUM  (96u * 1024u)
#define TURNS_MAXIMUM  20000
#define OUTPUT_MAXIMUM (64u * 1024u * 1024u)

static struct net_server server;
static struct worker worker;

static enum net_route route(void *context, struct str path, bool plain)
{
    (void)context, (void)plain;
    if (str_eq(path, STR("/mutate")))
        return NET_ROUTE_POST;
    return str_eq(path, STR("/healthz")) ? NET_ROUTE_GET : NET_ROUTE_NONE;
}

static enum net_handled handle(void *context, const struct net_request *request,
                               struct net_response *response)
{
    (void)context;
    response->content_type = "text/plain"; /* ours, to be told from errors */
    unsigned hash = 0;
    for (size_t i = 0; i < request->body.n; i++)
        hash = hash * 31 + (unsigned char)request->body.p[i];
    buf_printf(&response->body, "%d %zu %u\n", (int)request->method, request->body.n,
               hash);
    return NET_ANSWERED;
}

static void begin(void)
{
    server = (struct net_server){
        .handlers = {.route = route, .handle = handle},
        .threads = 1,
        .workers = &worker,
        .max_connections = 8,
        .small_maximum = 64u << 10, /* little, so that it is met */
        .large_maximum = 64u << 20,
        .handshake_ms = 60000,
        .idle_ms = 60000,
        .request_ms = 60000,
        .write_ms = 60000,
    };
    pthread_mutex_init(&server.lock, NULL);
    worker.listen_fd = worker.metrics_fd = -1;
    struct err err;
    if (!worker_init(&worker, &server, 0, &err))
        abort();
}

static void collect(int fd, struct buf *out, bool *end)
{
    char part[65536];
    for (;;) {
        ssize_t n = recv(fd, part, sizeof(part), MSG_DONTWAIT);
        if (n > 0 && !buf_append(out, part, (size_t)n))
            abort();
        if (n > 0)
            continue;
        *end = n == 0;
        return;
    }
}

/* Everything the server answers to the text, cut into pieces. */
static void converse(struct str text, size_t piece, struct buf *out)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
        abort();
    worker.now = clock_mono_millis();
    struct conn *conn = conn_new(&worker, ends[1], true);
    if (conn == NULL || !worker_adopt(&worker, conn))
        abort();
    bool end = false, closed = false;
    size_t at = 0;
    for (int i = 0; !end || worker.all != NULL || worker.dead != NULL; i++) {
        if (i > TURNS_MAXIMUM)
            abort();
        if (at < text.n) {
            size_t n = text.n - at < piece ? text.n - at : piece;
            ssize_t sent = send(ends[0], text.p + at, n, MSG_NOSIGNAL);
            if (sent > 0)
                at += (size_t)sent;
            else if (sent < 0 && end)
                at = text.n; /* it has heard enough */
        } else if (!closed) {
            shutdown(ends[0], SHUT_WR);
            closed = true;
        }
        if (!worker_turn(&worker))
            abort();
        if (!end)
            collect(ends[0], out, &end);
    }
    close(ends[0]);
    if (worker.count != 0 || worker.plain_count != 0 || atomic_load(&server.large) != 0 ||
        worker.small != 0)
        abort();
}

static struct str line_of(struct str *rest)
{
    size_t n = str_find(*rest, STR("\r\n"));
    if (n == rest->n)
        abort(); /* a header that does not end */
    struct str line = str_first(*rest, n);
    *rest = str_skip(*rest, n + 2);
    return line;
}

/* One whole answer off the front; its status line, type and body go to `gist`. */
static void read_answer(struct str *rest, bool head, struct buf *gist)
{
    struct str line = line_of(rest);
    if (!str_starts(line, STR("HTTP/1.1 ")) || line.n < 12)
        abort();
    buf_str(gist, line);
    buf_char(gist, '\n');
    if (str_starts(line, STR("HTTP/1.1 100"))) {
        if (line_of(rest).n != 0)
            abort();
        return;
    }
    uint64_t length = UINT64_MAX;
    bool json = false;
    while ((line = line_of(rest)).n > 0) {
        if (str_starts(line, STR("Content-Length: ")) &&
            !num_parse(str_skip(line, 16), OUTPUT_MAXIMUM, &length))
            abort();
        json |= str_eq(line, STR("Content-Type: application/json"));
    }
    if (length == UINT64_MAX)
        abort();
    struct str body = str_first(*rest, (size_t)length);
    if (json && str_starts(*rest, STR("HTTP/1.1 ")))
        head = true; /* an error in answer to HEAD has no body */
    if (head && (rest->n == 0 || str_starts(*rest, STR("HTTP/1.1 "))))
        return;
    if (body.n != length)
        abort();
    if (json && (!str_starts(body, STR("{\"error\":\"")) ||
                 !str_ends(body, STR("\"}\n")) || str_index(body, 0, '\n') != body.n - 1))
        abort();
    buf_str(gist, body);
    *rest = str_skip(*rest, body.n);
}

/* A line after the last chunk that begins with a blank: libmicrohttpd 0.9.75 takes it for
 * more of the header's last line (and lets it pass) or for a line without a name (400),
 * as the pieces come. The request and its end are the same in both. */
static bool blank_trailer(struct str text)
{
    bool chunked = false;
    for (size_t i = 0; i + 1 < text.n; i++) {
        chunked |= str_eq_nocase(str_first(str_skip(text, i), 7), STR("chunked"));
        if (!chunked || text.p[i] != '0')
            continue;
        size_t end = i + str_index(str_skip(text, i), 0, '\n');
        if (end + 1 < text.n && (text.p[end + 1] == ' ' || text.p[end + 1] == '\t'))
            return true;
    }
    return false;
}

static void gist_of(struct str output, bool head, struct buf *gist)
{
    while (output.n > 0)
        read_answer(&output, head, gist);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (worker.server == NULL)
        begin();
    if (size < 2 || size > INPUT_MAXIMUM)
        return 0;
    struct str text = str_from((const char *)data + 1, size - 1);
    size_t piece = data[0] > 0 ? data[0] : 4096;
    bool blank = true;
    for (size_t i = 0; i < text.n; i++)
        blank &= text.p[i] == '\r' || text.p[i] == '\n';
    bool head = str_find(text, STR("HEAD")) < text.n;
    struct buf whole, cut, gist, cut_gist;
    buf_init(&whole, OUTPUT_MAXIMUM);
    buf_init(&cut, OUTPUT_MAXIMUM);
    buf_init(&gist, OUTPUT_MAXIMUM);
    buf_init(&cut_gist, OUTPUT_MAXIMUM);
    converse(text, text.n, &whole);
    if (whole.size == 0 && !blank)
        abort();
    gist_of(buf_view(&whole), head, &gist);
    if (text.n / piece < 2048 && !blank_trailer(text)) {
        converse(text, piece, &cut);
        gist_of(buf_view(&cut), head, &cut_gist);
        if (!str_eq(buf_view(&gist), buf_view(&cut_gist)))
            abort();
    }
    buf_done(&whole);
    buf_done(&cut);
    buf_done(&gist);
    buf_done(&cut_gist);
    return 0;
}
