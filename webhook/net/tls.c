/* TLS configuration: one immutable SSL_CTX with a reference count. A new certificate is a
 * new one, swapped whole; connections that live keep theirs, so nothing here changes
 * after net_tls_new and any thread may use it.
 *
 * TLS 1.2 and 1.3, forward secrecy and AEAD only, our order of suites, no renegotiation,
 * no compression, http/1.1 by ALPN. Resumption tickets are on (their keys live in the
 * SSL_CTX and go with it), except where a client certificate is demanded: there each
 * connection shows its certificate and is judged by the time of day, not by an old
 * ticket. */
#include "net/tls.h"

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>

#include "util/attr.h"
#include "util/mem.h"
#include "util/str.h"

/* TLS 1.3 has three suites that are both, and takes them in this order: AES in hardware
 * is the common case. */
#define SUITES_13                                                                        \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12                                                                        \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                         \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                         \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define TICKET_SECONDS       3600
#define CLIENT_CHAIN_MAXIMUM 32768 /* of certificates that a client shows */
/* The sanitizers do not know that OpenSSL changes stacks: one fails, the other says so in
 * the middle of our log. test_net_stream.c asks for it under the second all the same. */
#define STEPWISE (!NRW_SANITIZED)

struct net_tls {
    atomic_uint references;
    SSL_CTX *ctx;
    char **names; /* of clients; any of */
    size_t name_count;
};

static bool openssl_err(struct err *err, enum err_code code, const char *what)
{
    char text[256];
    unsigned long reason = ERR_peek_last_error();
    ERR_error_string_n(reason, text, sizeof(text));
    const char *why = reason != 0 ? ERR_reason_error_string(reason) : NULL;
    err_set(err, ERR_GET_REASON(reason) == ERR_R_MALLOC_FAILURE ? ERR_NOMEM : code,
            "%s: %s", what, why != NULL ? why : text);
    ERR_clear_error();
    return false;
}

/* --- who the client is -------------------------------------------------------- */

static bool name_listed(const struct net_tls *tls, const ASN1_STRING *found)
{
    unsigned char *utf8 = NULL;
    int n = ASN1_STRING_to_UTF8(&utf8, found);
    if (n < 0)
        return false;
    /* Compared with its length: a NUL in a certificate's name ends nothing. */
    struct str name = str_from((const char *)utf8, (size_t)n);
    bool listed = false;
    for (size_t i = 0; i < tls->name_count && !listed; i++)
        listed = str_eq_nocase(name, str_of(tls->names[i]));
    OPENSSL_free(utf8);
    return listed;
}

static bool certificate_listed(const struct net_tls *tls, X509 *certificate)
{
    bool listed = false;
    GENERAL_NAMES *names =
        X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !listed; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            listed = name_listed(tls, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
    const X509_NAME *subject = X509_get_subject_name(certificate);
    for (int at = -1; !listed;) {
        at = X509_NAME_get_index_by_NID(subject, NID_commonName, at);
        if (at < 0)
            break;
        listed =
            name_listed(tls, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
    return listed;
}

/* Runs once the chain has been verified, inside the handshake, so that the client gets an
 * alert and no byte of HTTP is ever looked at. */
static int verify_chain(X509_STORE_CTX *store, void *opaque)
{
    struct net_tls *tls = opaque;
    if (X509_verify_cert(store) <= 0)
        return 0;
    if (tls->name_count == 0)
        return 1;
    X509 *leaf = X509_STORE_CTX_get0_cert(store);
    if (leaf != NULL && certificate_listed(tls, leaf))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
}

static bool demand_clients(struct net_tls *tls, const struct net_tls_options *options,
                           struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(tls->ctx);
    if (options->client_ca_pem.n == 0)
        return err_set(err, ERR_SYNTAX,
                       "the client CA is empty: give the certificates of the CAs whose "
                       "clients are served, or leave --client-ca out");
    BIO *bio = BIO_new_mem_buf(options->client_ca_pem.p, (int)options->client_ca_pem.n);
    if (bio == NULL)
        return err_nomem(err);
    unsigned count = 0;
    for (;;) {
        X509 *ca = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (ca == NULL)
            break;
        /* Its extensions now, not in the first handshake of each worker at once: after
         * net_tls_new nothing changes. */
        (void)X509_check_purpose(ca, -1, 0);
        /* The name goes into the request, so that the client can choose. */
        bool added = X509_STORE_add_cert(store, ca) == 1 &&
                     SSL_CTX_add_client_CA(tls->ctx, ca) == 1;
        X509_free(ca);
        if (!added) {
            BIO_free(bio);
            return openssl_err(err, ERR_INVALID, "client CA cannot be used");
        }
        count++;
    }
    BIO_free(bio);
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (count == 0 || !ended)
        return openssl_err(err, ERR_SYNTAX,
                           "client CA is not a list of PEM certificates");
    ERR_clear_error();
    for (size_t i = 0; i < options->client_name_count; i++) {
        tls->names[i] = mem_strdup(options->client_names[i]);
        if (tls->names[i] == NULL)
            return err_nomem(err);
        tls->name_count++;
    }
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(tls->ctx, verify_chain, tls);
    SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls->ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(tls->ctx, 0);
    return true;
}

/* --- our own certificate ------------------------------------------------------ */

static bool use_chain(SSL_CTX *ctx, const STACK_OF(X509) * chain, struct err *err)
{
    bool good = sk_X509_num(chain) > 0 &&
                SSL_CTX_use_certificate(ctx, sk_X509_value(chain, 0)) == 1;
    for (int i = 1; good && i < sk_X509_num(chain); i++)
        good = SSL_CTX_add1_chain_cert(ctx, sk_X509_value(chain, i)) == 1;
    return good || openssl_err(err, ERR_INVALID,
                               "the certificate cannot be used (take ECDSA P-256, or RSA "
                               "of 2048 bits or more)");
}

static bool use_key(SSL_CTX *ctx, EVP_PKEY *key, struct err *err)
{
    return (SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
            SSL_CTX_check_private_key(ctx) == 1) ||
           openssl_err(
               err, ERR_INVALID,
               "the private key cannot be used with this certificate (give the pair)");
}

/* --- the rest ----------------------------------------------------------------- */

/* A client that offers protocols but not ours would misunderstand every byte: it gets the
 * alert of RFC 7301. One that offers none speaks HTTP/1.1. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned in_size, void *context)
{
    (void)ssl, (void)context;
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof(ours) - 1, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool configure(SSL_CTX *ctx, bool clients, struct err *err)
{
    SSL_CTX_set_security_level(ctx, 2);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, 0) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, SUITES_13) != 1 ||
        SSL_CTX_set_cipher_list(ctx, SUITES_12) != 1)
        return openssl_err(err, ERR_INTERNAL, "TLS cannot be set up");
    /* A FIPS provider has no X25519; then OpenSSL's own list stands. The macro casts
     * const away, which clang refuses for a literal. */
    char groups[] = "X25519:P-256:P-384";
    if (SSL_CTX_set1_groups_list(ctx, groups) != 1)
        ERR_clear_error();
    /* A FIN without close_notify counts as an end, not as an error: the lengths in HTTP
     * tell a cut-off message from a whole one, and the answer can still be sent. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    /* See stream.c. Not where clients show certificates: those are parsed and verified on
     * the job's small stack, and what they need of it is theirs to say. */
    if (STEPWISE && !clients && ASYNC_is_capable())
        SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC);
    SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_MAXIMUM);
    SSL_CTX_set_read_ahead(ctx, 1); /* one read(2) for a record's header and body */
    static const unsigned char session_context[] = "nvcf-registry-webhook";
    SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets hold it all */
    SSL_CTX_set_timeout(ctx, TICKET_SECONDS);
    SSL_CTX_set_num_tickets(ctx, 1);
    /* What is sent is what the file has. Otherwise OpenSSL looks for the leaf's issuers
     * with every handshake, among the CAs of clients. */
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    return true;
}

struct net_tls *net_tls_new(const struct net_tls_options *options, struct err *err)
{
    if (options->client_name_count > 0 && str_is_null(options->client_ca_pem)) {
        err_set(err, ERR_USAGE, "client names need a client CA: give --client-ca too");
        return NULL;
    }
    ERR_clear_error();
    struct net_tls *tls = mem_calloc(1, sizeof(*tls));
    if (tls == NULL) {
        err_nomem(err);
        return NULL;
    }
    atomic_init(&tls->references, 1);
    tls->names = mem_calloc(options->client_name_count, sizeof(*tls->names));
    tls->ctx = SSL_CTX_new(TLS_server_method());
    if (tls->names == NULL || tls->ctx == NULL) {
        ERR_clear_error();
        err_nomem(err);
        net_tls_free(tls);
        return NULL;
    }
    bool clients = !str_is_null(options->client_ca_pem);
    if (!configure(tls->ctx, clients, err) || !use_chain(tls->ctx, options->chain, err) ||
        !use_key(tls->ctx, options->key, err) ||
        (clients && !demand_clients(tls, options, err))) {
        net_tls_free(tls);
        return NULL;
    }
    return tls;
}

struct net_tls *net_tls_ref(struct net_tls *tls)
{
    if (tls != NULL)
        atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
    return tls;
}

void net_tls_free(struct net_tls *tls)
{
    if (tls == NULL ||
        atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(tls->ctx);
    for (size_t i = 0; i < tls->name_count; i++)
        mem_free(tls->names[i]);
    mem_free(tls->names);
    mem_free(tls);
}

SSL *net_tls_session(struct net_tls *tls, int fd)
{
    ERR_clear_error();
    SSL *ssl = SSL_new(tls->ctx);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}
