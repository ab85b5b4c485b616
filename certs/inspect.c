/* Looking at certificates; see inspect.h. Not here: PEM (pem.c), and the server's own use
 * of its certificate (net/tls). */
#include "certs/inspect.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs/algorithms.h"
#include "certs/identity.h"
#include "certs/pem.h"
#include "certs/time.h"
#include "util/buf.h"

static struct str hex(struct arena *arena, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(arena, 2 * n + 1, 1);
    if (text == NULL)
        return STR("");
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 0x0f];
    }
    return str_from(text, 2 * n);
}

/* False when OpenSSL fails (memory): the caller gives up on the whole text. */
static bool distinguished_name(struct arena *arena, const X509_NAME *name,
                               struct str *ret_text)
{
    CERT_AUTO_BIO BIO *bio = BIO_new(BIO_s_mem());
    unsigned long style = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    if (bio == NULL || X509_NAME_print_ex(bio, name, 0, style) < 0)
        return false;
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    *ret_text = size > 0 ? arena_str(arena, str_from(data, (size_t)size)) : STR("");
    return true;
}

static struct str ip_text(struct arena *arena, const ASN1_STRING *bytes)
{
    char text[INET6_ADDRSTRLEN] = "";
    int n = ASN1_STRING_length(bytes);
    if (n == 4 || n == 16)
        inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(bytes), text,
                  sizeof(text));
    return text[0] != '\0' ? arena_str(arena, str_of(text))
                           : hex(arena, ASN1_STRING_get0_data(bytes), (size_t)n);
}

/* A DNS name is shown as it stands where that is printable; else escaped, because it goes
 * to terminals and logs. */
static struct str dns_text(struct arena *arena, const ASN1_STRING *text)
{
    const unsigned char *p = ASN1_STRING_get0_data(text);
    size_t n = (size_t)ASN1_STRING_length(text);
    NRW_AUTO_BUF struct buf clean;
    buf_init(&clean, 4 * n + 1);
    for (size_t i = 0; i < n; i++) {
        if (p[i] > 0x20 && p[i] < 0x7f && p[i] != '\\')
            buf_char(&clean, (char)p[i]);
        else
            buf_printf(&clean, "\\x%02x", (unsigned)p[i]);
    }
    if (clean.failed)
        arena->failed = true;
    return arena_str(arena, buf_view(&clean));
}

static void read_names(struct arena *arena, X509 *x509, struct cert_info *info)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    int count = names != NULL ? sk_GENERAL_NAME_num(names) : 0;
    info->names = ARENA_ARRAY(arena, struct str, (size_t)count);
    for (int i = 0; i < count && info->names != NULL; i++) {
        int type = 0;
        const ASN1_STRING *value =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type == GEN_DNS)
            info->names[info->name_count++] = dns_text(arena, value);
        else if (type == GEN_IPADD)
            info->names[info->name_count++] = ip_text(arena, value);
        else
            info->other_names++;
    }
    GENERAL_NAMES_free(names);
}

static struct str key_type(struct arena *arena, X509 *x509)
{
    EVP_PKEY *key = X509_get0_pubkey(x509);
    if (key == NULL)
        return STR("unreadable");
    int bits = EVP_PKEY_get_bits(key);
    char group[64] = "";
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return arena_printf(arena, "RSA %d", bits);
    case EVP_PKEY_ED25519:
        return STR("Ed25519");
    case EVP_PKEY_EC: {
        if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
            return arena_printf(arena, "ECDSA %d bits", bits);
        const char *nist = EC_curve_nid2nist(OBJ_sn2nid(group));
        return arena_printf(arena, "ECDSA %s", nist != NULL ? nist : group);
    }
    default: {
        const char *name = EVP_PKEY_get0_type_name(key);
        return arena_printf(arena, "%s %d bits", name != NULL ? name : "unknown", bits);
    }
    }
}

static struct str serial_text(struct arena *arena, X509 *x509)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x509);
    struct str text =
        hex(arena, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
    return ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER
               ? arena_printf(arena, "-%.*s", STR_ARG(text))
               : text;
}

static bool read_info(struct arena *arena, X509 *x509, struct cert_info *info)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(x509, EVP_sha256(), digest, &size) != 1)
        return false;
    info->fingerprint = hex(arena, digest, size);
    unsigned char *public_key = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &public_key);
    if (n <= 0 ||
        EVP_Digest(public_key, (size_t)n, digest, &size, EVP_sha256(), NULL) != 1) {
        OPENSSL_free(public_key);
        return false;
    }
    OPENSSL_free(public_key);
    info->public_key = hex(arena, digest, size);
    if (!distinguished_name(arena, X509_get_subject_name(x509), &info->subject) ||
        !distinguished_name(arena, X509_get_issuer_name(x509), &info->issuer))
        return false;
    info->serial = serial_text(arena, x509);
    info->key_type = key_type(arena, x509);
    info->is_ca = X509_check_ca(x509) == 1;
    info->self_issued =
        X509_NAME_cmp(X509_get_subject_name(x509), X509_get_issuer_name(x509)) == 0;
    info->server_auth = X509_check_purpose(x509, X509_PURPOSE_SSL_SERVER, 0) == 1;
    read_names(arena, x509, info);
    return true;
}

bool cert_inspect(struct arena *arena, struct str pem, const char *what,
                  struct cert_info **ret_infos, size_t *ret_count, struct err *err)
{
    CERT_AUTO_STACK STACK_OF(X509) *chain = cert_pem_certificates(pem, what, err);
    return chain != NULL &&
           cert_inspect_chain(arena, chain, what, ret_infos, ret_count, err);
}

bool cert_inspect_chain(struct arena *arena, const STACK_OF(X509) * chain,
                        const char *what, struct cert_info **ret_infos, size_t *ret_count,
                        struct err *err)
{
    size_t count = (size_t)sk_X509_num(chain);
    struct cert_info *infos = ARENA_ARRAY(arena, struct cert_info, count);
    if (infos == NULL)
        return err_nomem(err);
    for (size_t i = 0; i < count; i++) {
        X509 *x509 = sk_X509_value(chain, (int)i);
        if (!cert_time_of(X509_get0_notBefore(x509), &infos[i].not_before) ||
            !cert_time_of(X509_get0_notAfter(x509), &infos[i].not_after)) {
            ERR_clear_error();
            return err_set(err, ERR_SYNTAX,
                           "certificate %zu in %s has a validity that is no time", i + 1,
                           what);
        }
        if (!read_info(arena, x509, &infos[i]))
            return cert_openssl_error(err, what);
    }
    ERR_clear_error();
    if (arena->failed)
        return err_nomem(err);
    *ret_infos = infos;
    *ret_count = count;
    return true;
}

/* --- verifying -----------------------------------------------------------------------
 */

static void store_cleanup(X509_STORE **store)
{
    X509_STORE_free(*store);
}

static void store_context_cleanup(X509_STORE_CTX **context)
{
    X509_STORE_CTX_free(*context);
}

/* "a, b and 3 more", or "no name at all", bounded. */
static void list_names(X509 *x509, char *out, size_t size)
{
    NRW_CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, 65536);
    struct cert_info info = {0};
    read_names(&arena, x509, &info);
    size_t used = 0;
    size_t shown = 0;
    snprintf(out, size, "no name at all");
    while (shown < info.name_count && shown < 4 && !arena.failed) {
        int n = snprintf(out + used, size - used, "%s%.*s", shown > 0 ? ", " : "",
                         STR_ARG(str_first(info.names[shown], 80)));
        if (n < 0 || (size_t)n >= size - used)
            break;
        used += (size_t)n;
        shown++;
    }
    if (shown > 0 && shown < info.name_count)
        snprintf(out + used, size - used, " and %zu more", info.name_count - shown);
}

static void name_text(const X509_NAME *name, char *out, size_t size)
{
    NRW_CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, 65536);
    struct str text = STR("?");
    (void)distinguished_name(&arena, name, &text);
    snprintf(out, size, "%.*s", STR_ARG(str_first(text, 120)));
}

/* The number of the first certificate that is no CA where one that is stands before it;
 * else 0. What is wrong with the CA then says nothing. */
static int out_of_order(const STACK_OF(X509) * chain)
{
    if (X509_check_ca(sk_X509_value(chain, 0)) != 1)
        return 0;
    for (int i = 1; i < sk_X509_num(chain); i++) {
        if (X509_check_ca(sk_X509_value(chain, i)) == 0)
            return i + 1;
    }
    return 0;
}

/* OpenSSL's verdict in words that say what to do. */
static bool refused(X509_STORE_CTX *context, const struct cert_check *check,
                    struct err *err)
{
    int number = out_of_order(X509_STORE_CTX_get0_untrusted(context));
    if (number > 0)
        return err_set(err, ERR_INVALID,
                       "its first certificate is a CA, and the API server takes the "
                       "first; put certificate %d, the serving one, before it",
                       number);
    int reason = X509_STORE_CTX_get_error(context);
    X509 *x509 = X509_STORE_CTX_get_current_cert(context);
    X509 *leaf = X509_STORE_CTX_get0_cert(context);
    bool is_leaf = x509 == NULL || X509_STORE_CTX_get_error_depth(context) == 0;
    const char *who = is_leaf ? "the certificate" : "its CA";
    if (x509 == NULL)
        x509 = leaf;
    char text[512];
    char time_text[CERT_TIME_TEXT];
    int64_t seconds = 0;
    switch (reason) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        (void)cert_time_of(X509_get0_notAfter(x509), &seconds);
        return err_set(err, ERR_INVALID, "%s expired on %s; issue a new one", who,
                       cert_time_text(seconds, time_text));
    case X509_V_ERR_CERT_NOT_YET_VALID:
        (void)cert_time_of(X509_get0_notBefore(x509), &seconds);
        return err_set(err, ERR_INVALID,
                       "%s is valid from %s on only; wait, or check this machine's clock",
                       who, cert_time_text(seconds, time_text));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        list_names(leaf, text, sizeof(text));
        return err_set(err, ERR_INVALID,
                       "the certificate is not for %.253s but for %s; issue one with "
                       "%s %.253s",
                       check->name, text,
                       reason == X509_V_ERR_HOSTNAME_MISMATCH ? "--dns-name" : "--ip",
                       check->name);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        name_text(X509_get_issuer_name(x509), text, sizeof(text));
        return err_set(err, ERR_INVALID,
                       "no CA given here signed %s (its issuer: %s); give the CA that it "
                       "was issued with, or issue it again with this one",
                       is_leaf ? "the certificate" : "its intermediate", text);
    case X509_V_ERR_INVALID_PURPOSE:
        return err_set(err, ERR_INVALID,
                       "%s is not meant for TLS servers (key usage); issue one "
                       "with serverAuth",
                       who);
    case X509_V_ERR_INVALID_CA:
        return err_set(
            err, ERR_INVALID,
            "the certificate that signed this one is no CA; issue it with a CA");
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        return err_set(err, ERR_INVALID,
                       "the key of %s is too short; use ECDSA P-256 or RSA 2048", who);
    case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
        return err_set(
            err, ERR_INVALID,
            "the key of %s has its curve written out, which the API server (Go) "
            "cannot use; " CERT_KEYS_USABLE,
            who);
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return err_set(err, ERR_INVALID,
                       "the signature of %s is SHA-1 or weaker, which the API server "
                       "refuses; issue it again with SHA-256",
                       who);
    case X509_V_ERR_OUT_OF_MEM:
        return err_nomem(err);
    default:
        return err_set(err, ERR_INVALID, "%s does not verify: %s", who,
                       X509_verify_cert_error_string(reason));
    }
}

static bool set_parameters(X509_STORE_CTX *context, const struct cert_check *check)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t)check->at);
    /* 112 bits: no RSA below 2048, no SHA-1, as with the API server. */
    X509_VERIFY_PARAM_set_auth_level(param, 2);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1 ||
        X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER) != 1)
        return false;
    if (check->name == NULL)
        return true;
    unsigned char bytes[16];
    if (inet_pton(AF_INET, check->name, bytes) == 1 ||
        inet_pton(AF_INET6, check->name, bytes) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, check->name) == 1;
    return X509_VERIFY_PARAM_set1_host(param, check->name, strlen(check->name)) == 1;
}

bool cert_key_belongs(const X509 *leaf, const EVP_PKEY *key, struct err *err)
{
    bool same = EVP_PKEY_eq(X509_get0_pubkey(leaf), key) == 1;
    ERR_clear_error();
    return same || err_set(err, ERR_INVALID,
                           "the private key does not belong to the certificate; "
                           "give the two that were made together");
}

bool cert_key_matches(struct str chain_pem, struct str key_pem, struct err *err)
{
    CERT_AUTO_IDENTITY struct cert_identity pair = CERT_IDENTITY_NONE;
    return cert_identity_read(chain_pem, key_pem, "the certificate file", &pair, err);
}

bool cert_verify(const struct cert_check *check, struct err *err)
{
    CERT_AUTO_STACK STACK_OF(X509) *chain =
        cert_pem_certificates(check->chain_pem, "the certificate file", err);
    if (chain == NULL)
        return false;
    CERT_AUTO_STACK STACK_OF(X509) *anchors =
        cert_pem_certificates(check->ca_pem, "the CA file", err);
    if (anchors == NULL)
        return false;
    X509 *leaf = sk_X509_value(chain, 0);
    NRW_CLEANUP(store_cleanup) X509_STORE *store = X509_STORE_new();
    NRW_CLEANUP(store_context_cleanup)
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    if (store == NULL || context == NULL)
        return cert_openssl_error(err, "cannot verify");
    for (int i = 0; i < sk_X509_num(anchors); i++) {
        if (X509_STORE_add_cert(store, sk_X509_value(anchors, i)) != 1)
            return cert_openssl_error(err, "cannot verify");
    }
    if (X509_STORE_CTX_init(context, store, leaf, chain) != 1 ||
        !set_parameters(context, check))
        return cert_openssl_error(err, "cannot verify");
    bool good = X509_verify_cert(context) == 1;
    if (good)
        good = cert_algorithms_usable(X509_STORE_CTX_get0_chain(context), err);
    else
        refused(context, check, err); /* looks into the certificate once more */
    ERR_clear_error();
    if (!good)
        return false;
    if (check->key_pem.n == 0)
        return true;
    CERT_AUTO_PKEY EVP_PKEY *key = cert_pem_key(check->key_pem, "the key file", err);
    return key != NULL && cert_key_belongs(leaf, key, err);
}
