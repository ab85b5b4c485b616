/* Requests through libmicrohttpd; see http.h.
 *
 * libmicrohttpd calls on_request once with the header, then with each part of the body,
 * then once more when all is there. An answer queued at the first call makes it close the
 * connection, so that is done only where an unread body is on its way; other refusals
 * wait for the last call and the connection lives on. Between the two it takes no answer
 * at all: a body that grows too long is answered by the bridge (conn_refuse).
 *
 * Memory: what is received of a body lies in the exchange, up to NET_BODY_MAXIMUM. Bodies
 * beyond SMALL_BODY share one budget for the whole server, so that many large ones at
 * once are refused (503) rather than let the process be killed; small ones are always
 * taken. So do answers beyond SMALL_ANSWER, until the client has taken them. */
#include "net/http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/head.h"
#include "net/refusal.h"
#include "net/worker.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

#define POOL_SIZE    (32u * 1024u) /* libmicrohttpd's: the header; it maps a larger one */
#define SMALL_BODY   (64u * 1024u)
#define MAPPED_BODY  (NET_BODY_MAXIMUM + 1) /* with its NUL */
#define SMALL_ANSWER (16u * 1024u)
#define USUAL_ANSWER (4u * 1024u)
#define ANSWER_COPIES                                                                    \
    3u /* libmicrohttpd's, then in a socketpair and ours, in TCP's buffer */
#define ANSWER_MAXIMUM (8u * 1024u * 1024u)
#define LARGEST_BODY   (NET_BODY_MAXIMUM + SMALL_BODY)
#define WANTED_MS      50
#define SCRAP_LEAST    (512u * 1024u)
#define SCRAP_PIECE    (256u * 1024u)
#define SCRAP_ALIGNED  (64u * 1024u) /* a multiple of every page size */
#define RUNS_MAXIMUM   64
#define LENT_MAXIMUM                                                                     \
    16u /* of a worker, at a time; half of it for who was never served                   \
         */
#define LATELY_NS       INT64_C(2000000000)
#define RETURNS_MAXIMUM 2  /* in a turn: each is answered before others are looked at */
#define TURN_ANSWERS    1u /* of one connection, before others have their turn */

/* The kernel takes a tenth of a millisecond for each MiB that is given back to it. So a
 * large body is given back in pieces, after each step; its beginning says what is left,
 * and what it holds of the budget until then. */
struct scrap {
    struct scrap *next;
    size_t size, budget;
};

static void free_budget(struct worker *worker, size_t *budget, size_t most)
{
    size_t freed = *budget < most ? *budget : most;
    *budget -= freed;
    atomic_fetch_sub(&worker->server->large, freed);
    worker->given_back += freed;
}

/* All workers look whose body has taken too long: not for this request, but for the next.
 */
static void want_room(struct worker *worker)
{
    struct net_server *server = worker->server;
    int64_t last = atomic_load(&server->large_wanted_at);
    if (worker->now - last < WANTED_MS ||
        !atomic_compare_exchange_strong(&server->large_wanted_at, &last, worker->now))
        return;
    atomic_fetch_add(&server->large_wanted, 1);
    for (unsigned i = 0; i < server->threads; i++)
        worker_wake(&server->workers[i]);
}

/* For those who were never served there is a quarter less, as long as that is enough for
 * one of the largest. */
static size_t large_maximum(const struct conn *conn)
{
    size_t all = conn->worker->server->large_maximum;
    size_t rest = all > LARGEST_BODY ? all - LARGEST_BODY : 0;
    size_t kept = rest < all / 4 ? rest : all / 4;
    return conn->answered > 0 ? all : all - kept;
}

static bool afford(struct conn *conn, size_t more)
{
    struct net_server *server = conn->worker->server;
    if (atomic_fetch_add(&server->large, more) + more > large_maximum(conn)) {
        atomic_fetch_sub(&server->large, more);
        want_room(conn->worker);
        return false;
    }
    conn->exchange.budget += more;
    return true;
}

static void give_back(struct conn *conn)
{
    struct worker *worker = conn->worker;
    struct exchange *x = &conn->exchange;
    if (x->mapped) {
        struct scrap *scrap = (void *)x->body.data;
        *scrap = (struct scrap){
            .next = worker->scrap, .size = x->body.size, .budget = x->budget};
        worker->scrap = scrap;
        x->budget = 0;
        x->mapped = false;
        x->body.data = NULL;
    }
    buf_done(&x->body);
    worker->small -= x->small;
    x->small = 0;
    free_budget(worker, &x->budget, SIZE_MAX);
}

void http_scrap(struct worker *worker)
{
    struct scrap *scrap = worker->scrap;
    if (scrap == NULL)
        return;
    uintptr_t begin = (uintptr_t)scrap;
    uintptr_t end = (begin + scrap->size) / SCRAP_ALIGNED * SCRAP_ALIGNED;
    if (end - begin >= SCRAP_LEAST) {
        char *piece = (char *)scrap + (end - begin - SCRAP_PIECE);
        (void)madvise(piece, SCRAP_PIECE, MADV_DONTNEED);
        scrap->size = end - begin - SCRAP_PIECE;
        free_budget(worker, &scrap->budget, SCRAP_PIECE);
        return;
    }
    worker->scrap = scrap->next;
    free_budget(worker, &scrap->budget, SIZE_MAX);
    mem_unmap(scrap, MAPPED_BODY);
}

void http_taken(struct conn *conn)
{
    free_budget(conn->worker, &conn->out_budget, SIZE_MAX);
}

void http_reset(struct conn *conn)
{
    struct exchange *x = &conn->exchange;
    if (conn->aside) /* lent: http_take_back does it */
        return;
    give_back(conn);
    if (x->back)
        buf_done(&x->answer.body);
    x->back = false;
    x->begun = x->checked = x->expects = x->queued = x->review = false;
    x->error = 0;
    x->length = 0;
    x->path_size = 0;
}

/* --- answers ------------------------------------------------------------------ */

static struct MHD_Response *fixed_response(struct str body)
{
    /* Constant and never written to; the interface has no const. */
    union {
        const char *p;
        void *v;
    } data = {.p = body.p};
    return MHD_create_response_from_buffer(body.n, data.v, MHD_RESPMEM_PERSISTENT);
}

/* Takes the response, which may be NULL. */
static enum MHD_Result give(struct conn *conn, struct MHD_Connection *connection,
                            unsigned status, const char *type,
                            struct MHD_Response *response)
{
    struct exchange *x = &conn->exchange;
    if (conn->shed ||
        atomic_load_explicit(&conn->worker->server->draining, memory_order_relaxed))
        conn->closing = true;
    bool good = response != NULL &&
                MHD_add_response_header(response, "Content-Type", type) == MHD_YES &&
                (!conn->closing ||
                 MHD_add_response_header(response, "Connection", "close") == MHD_YES);
    if (good) {
        x->queued = true; /* before, because bytes may leave inside the next call */
        good = MHD_queue_response(connection, status, response) == MHD_YES;
    }
    if (response != NULL)
        MHD_destroy_response(response);
    if (good)
        return MHD_YES;
    x->queued = false;
    conn_refuse(conn, 500, conn->worker->now);
    return MHD_NO;
}

static enum MHD_Result give_error(struct conn *conn, struct MHD_Connection *connection,
                                  unsigned status)
{
    const struct net_handlers *handlers = &conn->worker->server->handlers;
    if (handlers->on_http_error != NULL)
        handlers->on_http_error(handlers->context, status);
    struct MHD_Response *response = fixed_response(refusal_body(status));
    if (response != NULL && status == 405) {
        const char *allow = conn->exchange.route == NET_ROUTE_POST ? "POST" : "GET, HEAD";
        if (MHD_add_response_header(response, "Allow", allow) != MHD_YES) {
            MHD_destroy_response(response);
            response = NULL;
        }
    }
    return give(conn, connection, status, "application/json", response);
}

/* Takes the answer's body. */
static enum MHD_Result give_answer(struct conn *conn, struct MHD_Connection *connection,
                                   struct net_response *answer)
{
    struct exchange *x = &conn->exchange;
    give_back(conn);
    if (answer->body.failed || (answer->body.size == 0 && answer->status >= 400)) {
        buf_done(&answer->body);
        return give_error(conn, connection, answer->status >= 400 ? answer->status : 500);
    }
    size_t size = answer->body.size;
    /* Probes and metrics are few (accept.c) and told as ever. */
    if (size > SMALL_ANSWER && !conn->plain && !afford(conn, ANSWER_COPIES * size)) {
        buf_done(&answer->body);
        return give_error(conn, connection, 503);
    }
    char *data = size > 0 ? buf_steal(&answer->body, &size) : NULL;
    struct MHD_Response *response;
    if (data == NULL) {
        response = fixed_response(STR(""));
    } else {
        response =
            MHD_create_response_from_buffer_with_free_callback(size, data, mem_free);
        if (response == NULL)
            mem_free(data);
    }
    buf_done(&answer->body);
    x->review = x->method == NET_POST && answer->status == 200;
    return give(conn, connection, answer->status, answer->content_type, response);
}

static enum MHD_Result handle(struct conn *conn, struct MHD_Connection *connection)
{
    struct net_server *server = conn->worker->server;
    const struct net_handlers *handlers = &server->handlers;
    struct exchange *x = &conn->exchange;
    x->request = (struct net_request){.method = x->method,
                                      .path = str_from(x->path, x->path_size),
                                      .body = buf_view(&x->body),
                                      .plain = conn->plain,
                                      .since = clock_mono_nanos()};
    x->answer = (struct net_response){.status = 200, .content_type = "application/json"};
    buf_init(&x->answer.body, ANSWER_MAXIMUM);
    enum net_handled handled =
        handlers->handle(handlers->context, &x->request, &x->answer);
    if (handled == NET_ANSWERED)
        return give_answer(conn, connection, &x->answer);
    if (conn->worker->lent >= (conn->reviewed ? LENT_MAXIMUM : LENT_MAXIMUM / 2)) {
        buf_done(&x->answer.body);
        give_back(conn);
        return give_error(conn, connection, 503);
    }
    /* glibc tidies up the heap that a block came from when it is freed, here, and the
     * other thread's is a mess. */
    (void)buf_reserve(&x->answer.body, USUAL_ANSWER);
    x->request.said = handled;
    x->known = conn->reviewed;
    if (x->request.since - x->aside_last > LATELY_NS)
        x->aside_time = 0;
    x->aside_last = x->request.since;
    x->aside_before = x->aside_time;
    atomic_store(&x->gone, false);
    conn->aside = conn->parked = true;
    conn->worker->lent++;
    MHD_suspend_connection(connection);
    worker_ready(conn->worker, conn); /* for its deadline */
    aside_put(handled == NET_LONG ? &server->aside_long : &server->aside_waits, conn);
    return MHD_YES;
}

void http_take_back(struct worker *worker)
{
    if (worker->returned == NULL)
        worker->returned = aside_back(worker);
    for (int i = 0; i < RETURNS_MAXIMUM && worker->returned != NULL; i++) {
        struct conn *conn = worker->returned;
        struct exchange *x = &conn->exchange;
        worker->returned = x->next_aside;
        worker->lent--;
        conn->aside = false;
        conn->phase = CONN_IDLE; /* its time begins anew */
        x->back = true;
        if (conn->parked)
            http_resume(conn);
        else
            http_reset(conn); /* it was refused or is gone */
    }
}

static enum MHD_Result give_back_answer(struct conn *conn,
                                        struct MHD_Connection *connection)
{
    struct exchange *x = &conn->exchange;
    x->back = false;
    worker_ready(conn->worker, conn); /* nothing that it was fed says so */
    if (!x->answered) {               /* only in the end */
        buf_done(&x->answer.body);
        return give_error(conn, connection, 503);
    }
    return give_answer(conn, connection, &x->answer);
}

/* --- requests ----------------------------------------------------------------- */

static struct conn *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* The request target as it was sent, before libmicrohttpd decodes it in place. */
static void *on_target(void *context, const char *target,
                       struct MHD_Connection *connection)
{
    (void)context;
    struct conn *conn = conn_of(connection);
    if (conn == NULL)
        return NULL;
    struct exchange *x = &conn->exchange;
    http_reset(conn);
    buf_init(&x->body, NET_BODY_MAXIMUM);
    x->begun = true;
    conn->busy = true; /* a pipelined one was fed before the last answer ended */
    struct str path = head_path(str_of(target != NULL ? target : ""));
    if (path.n <= sizeof(x->path)) {
        memcpy(x->path, path.p, path.n);
        x->path_size = path.n;
    } /* else "", which is no path of ours */
    return conn;
}

/* 0, or the status to refuse the request with. */
static unsigned judge(struct conn *conn, const struct head *head, const char *method)
{
    const struct net_handlers *handlers = &conn->worker->server->handlers;
    struct exchange *x = &conn->exchange;
    if (head->malformed)
        return 400;
    if (conn->shed)
        return 503;
    x->route =
        handlers->route(handlers->context, str_from(x->path, x->path_size), conn->plain);
    if (x->route == NET_ROUTE_NONE)
        return 404;
    if (x->route == NET_ROUTE_GET) {
        if (strcmp(method, "GET") == 0)
            x->method = NET_GET;
        else if (strcmp(method, "HEAD") == 0)
            x->method = NET_HEAD;
        else
            return 405;
        /* No body of a GET means anything; none is read. */
        return head->chunked || head->length > 0 || head->too_long ? 400 : 0;
    }
    if (strcmp(method, "POST") != 0)
        return 405;
    x->method = NET_POST;
    if (!head->has_length && !head->chunked)
        return 411;
    if (head->too_long || head->length > NET_BODY_MAXIMUM)
        return 413;
    return head->json ? 0 : 415;
}

static enum MHD_Result begin(struct conn *conn, struct MHD_Connection *connection,
                             const char *method, const char *version)
{
    struct exchange *x = &conn->exchange;
    struct head head;
    head_read(connection, version, &head);
    x->checked = true;
    x->error = judge(conn, &head, method);
    conn->closing = head.wants_close || x->error == 400;
    x->length = head.chunked || head.too_long ? SIZE_MAX : (size_t)head.length;
    if (x->error == 0) {
        /* All at once where it is small and known: no growing while it comes in. */
        if (head.length > 0 && head.length <= SMALL_BODY &&
            !buf_reserve(&x->body, (size_t)head.length))
            x->error = 500;
        x->expects = head.expects;
    }
    /* At once where a body is on its way, or would be asked for. */
    if (x->error != 0 &&
        (head.chunked || head.length > 0 || head.too_long || head.expects)) {
        conn->closing = true;
        return give_error(conn, connection, x->error);
    }
    /* Who expects a go-ahead for no body at all is answered at once: libmicrohttpd would
     * ask with the next request's bytes in its buffer, when no answer can be queued. */
    if (head.expects && !head.chunked && head.length == 0) {
        conn->closing = true;
        return handle(conn, connection);
    }
    return MHD_YES;
}

/* What lies beyond SMALL_BODY is taken from the budget, in steps. */
static bool afford_body(struct conn *conn, size_t size)
{
    const size_t has = SMALL_BODY + conn->exchange.budget;
    return size <= has || afford(conn, SMALL_BODY * ((size - has) / SMALL_BODY + 1));
}

/* Up to SMALL_BODY of each is always taken, unless that is more than the process may
 * have: then place is made by those who are worth least, and where there are none it is
 * the newcomer who must go. Half of it is only for those who have been served before, as
 * an API server has: a crowd that begins bodies does not take their place. */
static bool afford_small(struct conn *conn, size_t size)
{
    struct exchange *x = &conn->exchange;
    struct worker *worker = conn->worker;
    size_t wanted = size < SMALL_BODY ? size : SMALL_BODY;
    if (wanted <= x->small)
        return true;
    size_t maximum = worker->server->small_maximum / (conn->answered > 0 ? 1 : 2);
    size_t becomes = worker->small + wanted - x->small;
    if (becomes > maximum && !conn->plain &&
        (!worker_relieve_bodies(worker) || conn->state != CONN_OPEN || conn->refused))
        return false;
    worker->small += wanted - x->small;
    x->small = wanted;
    return true;
}

/* A large body gets pages of its own, for all that it may become. */
static bool make_room(struct exchange *x, size_t size)
{
    if (x->mapped || x->body.size + size <= SMALL_BODY)
        return true;
    char *pages = mem_map(MAPPED_BODY);
    if (pages == NULL)
        return false;
    if (x->body.size > 0)
        memcpy(pages, x->body.data, x->body.size);
    mem_free(x->body.data);
    x->body.data = pages;
    x->body.capacity = MAPPED_BODY;
    x->mapped = true;
    return true;
}

static enum MHD_Result take_body(struct conn *conn, const char *data, size_t size)
{
    struct exchange *x = &conn->exchange;
    unsigned status = 0;
    const size_t becomes = x->body.size + size;
    if (!afford_small(conn, becomes) || !afford_body(conn, becomes))
        status = 503;
    else if (!make_room(x, size) || !buf_append(&x->body, data, size))
        status = x->body.over_limit ? 413 : 500;
    if (status == 0)
        return MHD_YES;
    conn_refuse(conn, status, conn->worker->now);
    return MHD_NO;
}

/* A client may send many requests at once. The next waits until the answers to the others
 * are taken, so that they do not pile up here, and until its turn comes (worker.c), which
 * is after those who ask one at a time, as an API server does. */
static bool hold(struct conn *conn)
{
    if (conn->in_turn < TURN_ANSWERS && conn->out_at == conn->out.size)
        return false;
    MHD_suspend_connection(conn->mhd);
    conn->held = true;
    worker_ready(conn->worker, conn);
    return true;
}

void http_resume(struct conn *conn)
{
    if (!conn->held && !conn->parked)
        return;
    if (conn->held) {
        conn->ahead = false;
        conn->in_turn = 0;
    }
    conn->held = conn->its_turn = conn->parked = false;
    MHD_resume_connection(conn->mhd);
    conn->stirred_at = conn->worker->http_runs;
    conn->worker->http_pending = true;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *data, size_t *size,
                                  void **request_context)
{
    (void)context, (void)url;
    struct conn *conn = *request_context;
    if (conn == NULL || conn->pair < 0) /* refused or gone: nobody listens */
        return MHD_NO;
    struct exchange *x = &conn->exchange;
    if (!x->checked && hold(conn))
        return MHD_YES;
    if (!x->checked)
        return begin(conn, connection, method, version);
    if (*size > 0) {
        size_t n = *size;
        *size = 0;
        return take_body(conn, data, n);
    }
    if (x->error != 0)
        return give_error(conn, connection, x->error);
    return x->back ? give_back_answer(conn, connection) : handle(conn, connection);
}

static void on_completed(void *context, struct MHD_Connection *connection,
                         void **request_context, enum MHD_RequestTerminationCode how)
{
    (void)context, (void)connection;
    struct conn *conn = *request_context;
    *request_context = NULL;
    if (conn == NULL)
        return;
    conn_answered(conn, how == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    if (conn->out_at < conn->out.size) { /* the client has not taken it yet */
        conn->out_budget += conn->exchange.budget;
        conn->exchange.budget = 0;
    }
    http_reset(conn);
}

static void on_connection(void *context, struct MHD_Connection *connection,
                          void **socket_context, enum MHD_ConnectionNotificationCode what)
{
    struct worker *worker = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        worker->adding->mhd_open = true;
        worker->adding->mhd = connection;
        *socket_context = worker->adding;
    } else if (*socket_context != NULL) {
        struct conn *conn = *socket_context;
        *socket_context = NULL;
        conn_forgotten(conn);
    }
}

/* --- the daemon --------------------------------------------------------------- */

/* libmicrohttpd found its own state broken: it must not go on. */
static void on_panic(void *context, const char *file, unsigned line, const char *reason)
{
    (void)context;
    log_event(LOG_LEVEL_ERROR, "libmicrohttpd cannot go on", LOG_C("file", file),
              LOG_I("line", line), LOG_C("reason", reason != NULL ? reason : ""));
    abort();
}

bool http_start(struct worker *worker, unsigned max_connections)
{
    MHD_set_panic_func(on_panic, NULL);
    /* No MHD_USE_ERROR_LOG: it complains to standard error about TCP options of an
     * AF_UNIX socket with every answer. */
    worker->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL,
        NULL, on_request, worker, MHD_OPTION_CONNECTION_LIMIT, max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_SIZE,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, worker,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, worker, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, worker, MHD_OPTION_END);
    return worker->daemon != NULL;
}

void http_stop(struct worker *worker)
{
    if (worker->daemon != NULL)
        MHD_stop_daemon(worker->daemon);
    worker->daemon = NULL;
}

bool http_add(struct worker *worker, struct conn *conn, int fd)
{
    static const struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
    worker->adding = conn;
    enum MHD_Result added = MHD_add_connection(
        worker->daemon, fd, (const struct sockaddr *)&nowhere, sizeof(nowhere));
    worker->adding = NULL;
    return added == MHD_YES;
}

bool http_run(struct worker *worker)
{
    worker->http_runs++;
    for (int i = 0; i < RUNS_MAXIMUM; i++) {
        if (MHD_run(worker->daemon) != MHD_YES)
            return false;
        unsigned long long wait = 0;
        if (MHD_get_timeout(worker->daemon, &wait) != MHD_YES || wait > 0)
            return false;
    }
    return true;
}
