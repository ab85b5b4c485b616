/* Certificates and servers for the tests of net/; see net_fixture.h. */
#include "tests/unit/support/net_fixture.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/support/net_peer.h"
#include "util/clock.h"
#include "util/mem.h"

void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "test peer: %s failed\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file != NULL && fscanf(file, "%*d %ld", &pages) == 1, "/proc/self/statm");
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* --- certificates ------------------------------------------------------------- */

static char *pem_of(BIO *bio)
{
    char *data = NULL;
    long n = BIO_get_mem_data(bio, &data);
    char *text = strndup(data, (size_t)n);
    must(text != NULL, "strndup");
    BIO_free(bio);
    return text;
}

static void extend(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, "extension");
    X509_EXTENSION_free(extension);
}

struct identity *identity_new(const struct identity *issuer, const char *common_name,
                              const char *dns)
{
    static atomic_long serial = 1;
    struct identity *identity = calloc(1, sizeof(*identity));
    must(identity != NULL, "calloc");
    identity->key = EVP_EC_gen("P-256");
    X509 *x = identity->certificate = X509_new();
    must(identity->key != NULL && x != NULL, "key");
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), atomic_fetch_add(&serial, 1));
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, identity->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(x,
                         X509_get_subject_name(issuer != NULL ? issuer->certificate : x));
    if (issuer == NULL)
        extend(x, NID_basic_constraints, "critical,CA:TRUE");
    if (dns != NULL) {
        char value[256];
        snprintf(value, sizeof(value), "DNS:%s", dns);
        extend(x, NID_subject_alt_name, value);
    }
    must(X509_sign(x, issuer != NULL ? issuer->key : identity->key, EVP_sha256()) > 0,
         "sign");
    identity->chain = sk_X509_new_null();
    must(identity->chain != NULL && sk_X509_push(identity->chain, x) == 1, "chain");
    BIO *bio = BIO_new(BIO_s_mem());
    must(bio != NULL && PEM_write_bio_X509(bio, x) == 1, "PEM");
    identity->cert_pem = pem_of(bio);
    bio = BIO_new(BIO_s_mem());
    must(bio != NULL &&
             PEM_write_bio_PrivateKey(bio, identity->key, NULL, NULL, 0, NULL, NULL) == 1,
         "PEM");
    identity->key_pem = pem_of(bio);
    return identity;
}

void identity_free(struct identity *identity)
{
    sk_X509_free(identity->chain);
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    free(identity->cert_pem);
    free(identity->key_pem);
    free(identity);
}

struct net_tls *identity_tls(const struct identity *identity)
{
    struct net_tls_options options = {
        .chain = identity->chain, .key = identity->key, .client_ca_pem = str_null()};
    struct net_tls *tls = net_tls_new(&options, NULL);
    must(tls != NULL, "net_tls_new");
    return tls;
}

/* --- server ------------------------------------------------------------------- */

static enum net_route route(void *context, struct str path, bool plain)
{
    (void)context;
    if (str_eq(path, STR("/hello")) || str_eq(path, STR("/fail")))
        return NET_ROUTE_GET;
    if (!plain && (str_eq(path, STR("/echo")) || str_eq(path, STR("/size")) ||
                   str_eq(path, STR("/slow")) || str_eq(path, STR("/aside")) ||
                   str_eq(path, STR("/wait")) || str_eq(path, STR("/both")) ||
                   str_eq(path, STR("/big"))))
        return NET_ROUTE_POST;
    return NET_ROUTE_NONE;
}

/* Where it is to be answered, unless that is here. */
static enum net_handled elsewhere(const struct net_request *request)
{
    bool both = str_eq(request->path, STR("/both"));
    if (request->said == NET_ANSWERED)
        return str_eq(request->path, STR("/aside"))          ? NET_LONG
               : both || str_eq(request->path, STR("/wait")) ? NET_WAITS
                                                             : NET_ANSWERED;
    return both && request->said == NET_WAITS ? NET_LONG : NET_ANSWERED;
}

static void take_long(struct peer_counts *counts, bool waits)
{
    atomic_fetch_add(waits ? &counts->waited_ever : &counts->aside_ever, 1);
    long now = atomic_fetch_add(&counts->aside, 1) + 1;
    if (now > atomic_load(&counts->aside_at_once))
        atomic_store(&counts->aside_at_once, now);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    atomic_fetch_sub(&counts->aside, 1);
}

static enum net_handled handle(void *context, const struct net_request *request,
                               struct net_response *response)
{
    struct peer_counts *counts = context;
    if (request->said != NET_ANSWERED)
        take_long(counts, request->said == NET_WAITS);
    enum net_handled handled = elsewhere(request);
    if (handled != NET_ANSWERED)
        return handled;
    atomic_fetch_add(&counts->handled, 1);
    if (str_eq(request->path, STR("/fail"))) {
        response->status = 500;
    } else if (str_eq(request->path, STR("/size"))) {
        atomic_store(&counts->body_at, (uintptr_t)request->body.p);
        buf_printf(&response->body, "%zu\n", request->body.n);
    } else if (str_eq(request->path, STR("/big"))) {
        size_t n = 8u * 1024u * 1024u;
        if (buf_reserve(&response->body, n)) {
            memset(response->body.data, 'x', n);
            response->body.size = n;
        }
    } else if (request->method == NET_POST) {
        if (str_eq(request->path, STR("/slow")))
            nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        buf_str(&response->body, request->body);
    } else {
        response->content_type = "text/plain";
        buf_text(&response->body, "hello\n");
    }
    return NET_ANSWERED;
}

static void on_handshake(void *context, bool good)
{
    struct peer_counts *counts = context;
    atomic_fetch_add(good ? &counts->handshakes : &counts->failed_handshakes, 1);
}

static void on_error(void *context, unsigned code)
{
    struct peer_counts *counts = context;
    atomic_fetch_add(&counts->errors, 1);
    atomic_store(&counts->last_error, code);
}

static void on_connections(void *context, long change)
{
    struct peer_counts *counts = context;
    atomic_fetch_add(&counts->connections, change);
}

struct net_options peer_options(struct peer_counts *counts)
{
    return (struct net_options){.listen = "127.0.0.1:0",
                                .metrics_listen = "127.0.0.1:0",
                                .threads = 2,
                                .handlers = {.context = counts,
                                             .route = route,
                                             .handle = handle,
                                             .on_handshake = on_handshake,
                                             .on_http_error = on_error,
                                             .on_connections = on_connections}};
}

struct net_server *peer_server(struct peer_counts *counts, struct net_tls *tls)
{
    struct net_options options = peer_options(counts);
    struct net_server *server = net_server_start(&options, tls, NULL);
    must(server != NULL, "a server");
    return server;
}

/* --- all of it together --- */

void one_worker(struct net_options *options)
{
    options->threads = 1;
}

struct gates gates;
static enum net_handled (*usual_handler)(void *context, const struct net_request *request,
                                         struct net_response *response);

static enum net_handled gated(void *context, const struct net_request *request,
                              struct net_response *response)
{
    if (request->said == NET_ANSWERED && str_eq(request->path, STR("/aside")))
        return NET_LONG;
    if (request->said != NET_ANSWERED) {
        struct peer_counts *counts = context;
        atomic_fetch_add(&counts->aside_ever, 1);
        sem_wait(&gates.go_aside);
        buf_str(&response->body, request->body);
        return NET_ANSWERED;
    }
    if (str_eq(request->path, STR("/slow"))) {
        sem_post(&gates.entered);
        sem_wait(&gates.go);
    }
    return usual_handler(context, request, response);
}

void with_gates(struct net_options *options)
{
    one_worker(options);
    usual_handler = options->handlers.handle;
    options->handlers.handle = gated;
    sem_init(&gates.go, 0, 0);
    sem_init(&gates.entered, 0, 0);
    sem_init(&gates.go_aside, 0, 0);
}

struct world *world_new(void (*adjust)(struct net_options *options))
{
    struct world *world = calloc(1, sizeof(*world));
    must(world != NULL, "calloc");
    world->identity = identity_new(NULL, "server", "localhost");
    struct net_tls *tls = identity_tls(world->identity);
    world->options = peer_options(&world->counts);
    if (adjust != NULL)
        adjust(&world->options);
    struct err err = {.code = ERR_NONE};
    world->server = net_server_start(&world->options, tls, &err);
    net_tls_free(tls);
    if (world->server == NULL)
        fprintf(stderr, "%s\n", err.message);
    must(world->server != NULL, "net_server_start");
    world->client = peer_context("http/1.1", NULL);
    world->port = net_server_port(world->server);
    world->plain_port = net_server_metrics_port(world->server);
    return world;
}

long world_stop(struct world *world, unsigned wait_ms)
{
    int64_t from = clock_mono_millis();
    net_server_stop(world->server, wait_ms);
    world->server = NULL;
    return (long)(clock_mono_millis() - from);
}

bool world_free(struct world *world)
{
    world_stop(world, 2000);
    long connections = atomic_load(&world->counts.connections);
    SSL_CTX_free(world->client);
    identity_free(world->identity);
    free(world);
    return connections == 0 && mem_mapped() == 0;
}

int world_set_up(void **state)
{
    *state = world_new(NULL);
    return 0;
}

int world_tear_down(void **state)
{
    return world_free(*state) ? 0 : -1;
}
