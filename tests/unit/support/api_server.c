/* Answers by method and path, from libmicrohttpd; see api_server.h. A thread for each
 * connection, so that one that hangs holds up no other. */
#include "tests/unit/support/api_server.h"

#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/support/net_fixture.h"
#include "util/attr.h"
#include "util/log.h"
#include "util/mem.h"

#define RULES    128
#define REQUESTS 4096

enum how { HOW_WHOLE, HOW_CUT, HOW_SILENT };

struct rule {
    char *what, *body;
    unsigned status;
    enum how how;
    size_t spaces;
};

struct asked {
    char *what, *body;
};

struct api_server {
    struct MHD_Daemon *daemon;
    unsigned port;
    atomic_bool stop;
    pthread_mutex_t lock; /* of what follows */
    struct rule rules[RULES];
    size_t rule_count;
    struct asked asked[REQUESTS];
    size_t asked_count;
    pthread_mutex_t hooking; /* one at a time */
    api_hook *hook;
    void *hook_context;
};

/* One request while its body comes in. */
struct incoming {
    char *url, *body;
    size_t size;
};

/* What goes out. */
struct outgoing {
    struct api_server *server;
    char *body; /* owned; NULL: silence */
    size_t size, spaces;
    bool cut, stays;
};

void api_pause(unsigned milliseconds)
{
    struct timespec wait = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&wait, NULL);
}

static char *copy(const char *text)
{
    char *same = strdup(text);
    must(same != NULL, "strdup");
    return same;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* --- answers ------------------------------------------------------------------- */

static ssize_t read_out(void *context, uint64_t at, char *to, size_t room)
{
    struct outgoing *out = context;
    size_t end = out->cut ? out->size / 2 : out->size;
    if (at < end) {
        size_t n = end - at < room ? end - at : room;
        memcpy(to, out->body + at, n);
        return (ssize_t)n;
    }
    if (out->cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (at < out->size + out->spaces) {
        size_t left = out->size + out->spaces - (size_t)at;
        size_t n = left < room ? left : room;
        memset(to, ' ', n);
        return (ssize_t)n;
    }
    if (!out->stays)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (atomic_load(&out->server->stop))
        return MHD_CONTENT_READER_END_OF_STREAM;
    api_pause(5);
    return 0;
}

static void free_out(void *context)
{
    struct outgoing *out = context;
    free(out->body);
    free(out);
}

/* What is to be said, with the lock held; a copy, as rules may change meanwhile. */
static struct outgoing *choose(struct api_server *server, const char *what, bool watch,
                               const char *sent, unsigned *ret_status, bool *ret_silent)
{
    struct outgoing *out = calloc(1, sizeof(*out));
    must(out != NULL, "calloc");
    out->server = server;
    out->stays = watch;
    *ret_silent = false;
    for (size_t i = server->rule_count; i-- > 0;) {
        const struct rule *rule = &server->rules[i];
        if (!begins(what, rule->what))
            continue;
        *ret_status = rule->status;
        *ret_silent = rule->how == HOW_SILENT;
        out->cut = rule->how == HOW_CUT;
        out->body = copy(rule->body != NULL ? rule->body : sent);
        out->size = strlen(out->body);
        out->spaces = rule->spaces;
        out->stays = watch && rule->status == 200;
        return out;
    }
    *ret_status = watch ? 200 : 404;
    out->body =
        copy(watch ? "" : API_STATUS("404", "NotFound", "there is no such thing"));
    out->size = strlen(out->body);
    return out;
}

static enum MHD_Result answer(struct api_server *server,
                              struct MHD_Connection *connection, const char *method,
                              const struct incoming *in)
{
    bool watch = strcmp(method, "GET") == 0 && strstr(in->url, "watch=true") != NULL;
    char what[2048];
    snprintf(what, sizeof(what), "%s %s", watch ? "WATCH" : method, in->url);
    const char *sent = in->body != NULL ? in->body : "";
    unsigned status = 0;
    bool silent = false;
    pthread_mutex_lock(&server->lock);
    if (server->asked_count < REQUESTS)
        server->asked[server->asked_count++] = (struct asked){copy(what), copy(sent)};
    api_hook *hook = watch ? NULL : server->hook;
    void *hook_context = server->hook_context;
    struct outgoing *out = choose(server, what, watch, sent, &status, &silent);
    pthread_mutex_unlock(&server->lock);
    if (hook != NULL) {
        char *body = NULL;
        pthread_mutex_lock(&server->hooking);
        bool taken = hook(hook_context, method, in->url, sent, &status, &body);
        pthread_mutex_unlock(&server->hooking);
        if (taken) {
            free(out->body);
            *out = (struct outgoing){.server = server, .body = body};
            out->size = strlen(body);
            silent = false;
        }
    }
    for (int i = 0; silent && i < 2000 && !atomic_load(&server->stop); i++)
        api_pause(5);
    uint64_t size = out->stays ? MHD_SIZE_UNKNOWN : out->size + out->spaces;
    struct MHD_Response *response =
        MHD_create_response_from_callback(size, 16384, read_out, out, free_out);
    must(response != NULL, "MHD_create_response_from_callback");
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result queued =
        silent ? MHD_NO : MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

/* --- requests ------------------------------------------------------------------ */

static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    (void)context, (void)connection;
    struct incoming *in = calloc(1, sizeof(*in));
    must(in != NULL, "calloc");
    in->url = copy(uri);
    return in;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *data, size_t *size,
                                  void **state)
{
    (void)url, (void)version;
    struct incoming *in = *state;
    if (in->body == NULL) {
        in->body = calloc(1, 1);
        must(in->body != NULL, "calloc");
        return MHD_YES;
    }
    if (*size == 0)
        return answer(context, connection, method, in);
    in->body = realloc(in->body, in->size + *size + 1);
    must(in->body != NULL, "realloc");
    memcpy(in->body + in->size, data, *size);
    in->size += *size;
    in->body[in->size] = '\0';
    *size = 0;
    return MHD_YES;
}

static void on_end(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode code)
{
    (void)context, (void)connection, (void)code;
    struct incoming *in = *state;
    if (in == NULL)
        return;
    free(in->url);
    free(in->body);
    free(in);
    *state = NULL;
}

/* --- life ---------------------------------------------------------------------- */

struct api_server *api_start(void)
{
    struct api_server *server = calloc(1, sizeof(*server));
    must(server != NULL, "calloc");
    pthread_mutex_init(&server->lock, NULL);
    pthread_mutex_init(&server->hooking, NULL);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
        on_request, server, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_URI_LOG_CALLBACK,
        on_uri, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
    must(server->daemon != NULL, "MHD_start_daemon");
    server->port = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return server;
}

void api_stop(struct api_server *server)
{
    atomic_store(&server->stop, true);
    MHD_stop_daemon(server->daemon);
    for (size_t i = 0; i < server->rule_count; i++) {
        free(server->rules[i].what);
        free(server->rules[i].body);
    }
    for (size_t i = 0; i < server->asked_count; i++) {
        free(server->asked[i].what);
        free(server->asked[i].body);
    }
    pthread_mutex_destroy(&server->hooking);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

unsigned api_port(const struct api_server *server)
{
    return server->port;
}

void api_kubeconfig(const struct api_server *server, char *path)
{
    int fd = mkstemp(path);
    must(fd >= 0, "mkstemp");
    dprintf(fd,
            "current-context: x\n"
            "contexts: [{name: x, context: {cluster: c, namespace: ns}}]\n"
            "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:%u'}}]\n",
            server->port);
    close(fd);
}

bool api_tests_begin(void)
{
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    json_set_alloc_funcs(mem_alloc, mem_free);
    json_object_seed(0);
    return kube_global_init(NULL);
}

struct kube_client *api_client(const struct api_server *server)
{
    char path[] = "/tmp/test_api.XXXXXX";
    api_kubeconfig(server, path);
    struct kube_config *config = kube_config_from_file(path, NULL, NULL);
    unlink(path);
    must(config != NULL, "kubeconfig");
    struct kube_client *client = kube_client_new_take(config, NULL);
    must(client != NULL, "client");
    return client;
}

/* --- rules --------------------------------------------------------------------- */

static void set(struct api_server *server, const char *what, const char *body,
                const struct rule *kind)
{
    pthread_mutex_lock(&server->lock);
    size_t at = 0;
    while (at < server->rule_count && strcmp(server->rules[at].what, what) != 0)
        at++;
    must(at < RULES, "a place for one more rule");
    struct rule rule = *kind;
    if (at < server->rule_count) {
        free(server->rules[at].what);
        free(server->rules[at].body);
        memmove(&server->rules[at], &server->rules[at + 1],
                (server->rule_count - at - 1) * sizeof(rule));
        server->rule_count--;
    }
    rule.what = copy(what);
    rule.body = body != NULL ? copy(body) : NULL;
    server->rules[server->rule_count++] = rule;
    pthread_mutex_unlock(&server->lock);
}

void api_set(struct api_server *server, const char *what, unsigned status,
             const char *body)
{
    set(server, what, body, &(struct rule){.status = status});
}

void api_set_cut(struct api_server *server, const char *what, unsigned status,
                 const char *body)
{
    set(server, what, body, &(struct rule){.status = status, .how = HOW_CUT});
}

void api_set_huge(struct api_server *server, const char *what, unsigned status,
                  const char *body, size_t spaces)
{
    set(server, what, body, &(struct rule){.status = status, .spaces = spaces});
}

void api_set_silent(struct api_server *server, const char *what)
{
    set(server, what, "", &(struct rule){.status = 200, .how = HOW_SILENT});
}

void api_set_hook(struct api_server *server, api_hook *hook, void *context)
{
    pthread_mutex_lock(&server->lock);
    server->hook = hook;
    server->hook_context = context;
    pthread_mutex_unlock(&server->lock);
}

/* --- what was asked ------------------------------------------------------------ */

size_t api_count(struct api_server *server, const char *what)
{
    size_t count = 0;
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->asked_count; i++)
        count += begins(server->asked[i].what, what);
    pthread_mutex_unlock(&server->lock);
    return count;
}

bool api_await(struct api_server *server, const char *what, size_t count)
{
    return AWAIT(api_count(server, what) >= count);
}

char *api_body(struct api_server *server, const char *what)
{
    char *body = NULL;
    pthread_mutex_lock(&server->lock);
    for (size_t i = server->asked_count; i-- > 0 && body == NULL;) {
        if (begins(server->asked[i].what, what))
            body = copy(server->asked[i].body);
    }
    pthread_mutex_unlock(&server->lock);
    return body != NULL ? body : copy("");
}

void api_print(struct api_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->asked_count; i++)
        fprintf(stderr, "%s %s\n", server->asked[i].what, server->asked[i].body);
    pthread_mutex_unlock(&server->lock);
}
