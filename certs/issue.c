/* Issuing certificates; see issue.h.
 *
 * The profile follows RFC 5280 as the two verifiers that matter read it: Go's crypto/x509
 * in the API server (names only from the alternative names, no SHA-1) and OpenSSL. Not
 * here: when to issue (plan.h), where to keep it (store.h). */
#include "certs/issue.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certs/pem.h"
#include "certs/time.h"

#define SERIAL_BYTES  16 /* 128 bits; RFC 5280 allows 20 bytes */
#define COMMON_NAME   "nvcf-registry-webhook"
#define CN_MAXIMUM    64 /* ub-common-name of RFC 5280 */
#define NAME_MAXIMUM  253
#define LABEL_MAXIMUM 63

void cert_pair_done(struct cert_pair *pair)
{
    buf_done(&pair->cert);
    cert_wipe(&pair->key);
}

bool cert_ip_valid(const char *address)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, address, bytes) == 1 ||
           inet_pton(AF_INET6, address, bytes) == 1;
}

static bool label_valid(struct str label)
{
    if (label.n == 0 || label.n > LABEL_MAXIMUM || label.p[0] == '-' ||
        label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-')
            return false;
    }
    return true;
}

bool cert_dns_name_valid(const char *name)
{
    struct str rest = str_of(name);
    if (rest.n > NAME_MAXIMUM || cert_ip_valid(name))
        return false;
    if (str_starts(rest, STR("*.")))
        rest = str_skip(rest, 2);
    for (;;) {
        size_t dot = str_index(rest, 0, '.');
        if (!label_valid(str_first(rest, dot)))
            return false;
        if (dot == rest.n)
            return true;
        rest = str_skip(rest, dot + 1);
    }
}

static bool check_request(const struct cert_request *request, struct err *err)
{
    if (request->rsa_bits != 0 && request->rsa_bits != 2048 &&
        request->rsa_bits != 3072 && request->rsa_bits != 4096)
        return err_set(err, ERR_USAGE,
                       "RSA keys of %u bits are not made here: use 2048, 3072 or 4096, "
                       "or leave it out for ECDSA P-256",
                       request->rsa_bits);
    if (request->lifetime_seconds <= 0 ||
        request->lifetime_seconds > CERT_DAYS_MAXIMUM * CERT_DAY_SECONDS)
        return err_set(err, ERR_USAGE, "a certificate lives from 1 second to %d days",
                       CERT_DAYS_MAXIMUM);
    return true;
}

static bool check_names(const struct cert_request *request, struct err *err)
{
    if (request->dns_count + request->ip_count == 0)
        return err_set(err, ERR_USAGE,
                       "a serving certificate needs a DNS name or an IP address");
    if (request->dns_count + request->ip_count > CERT_NAMES_MAXIMUM)
        return err_set(err, ERR_USAGE, "more than %u names in one certificate",
                       CERT_NAMES_MAXIMUM);
    for (size_t i = 0; i < request->dns_count; i++) {
        if (!cert_dns_name_valid(request->dns_names[i]))
            return err_set(err, ERR_USAGE,
                           "'%.*s' is not a DNS name: use labels of letters, digits and "
                           "hyphens, such as nvcf-registry-webhook.nvcf.svc",
                           300, request->dns_names[i]);
    }
    for (size_t i = 0; i < request->ip_count; i++) {
        if (!cert_ip_valid(request->ip_addresses[i]))
            return err_set(err, ERR_USAGE, "'%.*s' is not an IPv4 or IPv6 address", 300,
                           request->ip_addresses[i]);
    }
    return true;
}

static EVP_PKEY *generate_key(unsigned rsa_bits, struct err *err)
{
    EVP_PKEY *key = rsa_bits != 0 ? EVP_RSA_gen(rsa_bits) : EVP_EC_gen("P-256");
    if (key == NULL)
        cert_openssl_error(err, "cannot generate a private key");
    return key;
}

/* A positive number of exactly 16 bytes: the first bit is off, the second on. */
static bool set_serial(X509 *x509, unsigned char bytes[SERIAL_BYTES])
{
    if (RAND_bytes(bytes, SERIAL_BYTES) != 1)
        return false;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, SERIAL_BYTES, NULL);
    bool good =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != NULL;
    BN_free(number);
    return good;
}

static bool add_extension(X509 *x509, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    bool good = extension != NULL && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* Whether the name is there already; names are compared as clients do. */
static bool has_name(const GENERAL_NAMES *names, int type, const void *data, size_t n)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int other = 0;
        const ASN1_STRING *value =
            GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &other);
        struct str text = str_from((const char *)ASN1_STRING_get0_data(value),
                                   (size_t)ASN1_STRING_length(value));
        struct str wanted = str_from(data, n);
        if (other == type &&
            (type == GEN_DNS ? str_eq_nocase(text, wanted) : str_eq(text, wanted)))
            return true;
    }
    return false;
}

/* Once, however often it is asked for. */
static bool push_name(GENERAL_NAMES *names, int type, const void *data, size_t n)
{
    if (has_name(names, type, data, n))
        return true;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *text = type == GEN_DNS ? ASN1_IA5STRING_new() : ASN1_OCTET_STRING_new();
    if (name == NULL || text == NULL || ASN1_STRING_set(text, data, (int)n) != 1) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(text);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, text);
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

/* Built from values, not from a text that OpenSSL would parse: a comma in a name must not
 * become a second name. */
static bool add_alternative_names(X509 *x509, const struct cert_request *request)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool good = names != NULL;
    for (size_t i = 0; good && i < request->dns_count; i++)
        good = push_name(names, GEN_DNS, request->dns_names[i],
                         strlen(request->dns_names[i]));
    for (size_t i = 0; good && i < request->ip_count; i++) {
        unsigned char bytes[16];
        if (inet_pton(AF_INET, request->ip_addresses[i], bytes) == 1)
            good = push_name(names, GEN_IPADD, bytes, 4);
        else if (inet_pton(AF_INET6, request->ip_addresses[i], bytes) == 1)
            good = push_name(names, GEN_IPADD, bytes, 16);
    }
    good = good && X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0) == 1;
    GENERAL_NAMES_free(names);
    return good;
}

static bool set_common_name(X509 *x509, const char *text)
{
    X509_NAME *name = X509_get_subject_name(x509);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                      (const unsigned char *)text, -1, -1, 0) == 1;
}

static bool set_times(X509 *x509, int64_t not_before, int64_t not_after)
{
    return ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)not_before) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)not_after) != NULL;
}

/* Both as PEM into fresh buffers that replace the caller's, so that it never sees half.
 */
static bool hand_out(X509 *x509, EVP_PKEY *key, struct cert_pair *ret_pair,
                     struct err *err)
{
    struct cert_pair made = CERT_PAIR_INIT;
    if (!cert_pem_write(x509, &made.cert, err) ||
        !cert_pem_write_key(key, &made.key, err)) {
        cert_pair_done(&made);
        return false;
    }
    cert_pair_done(ret_pair);
    *ret_pair = made;
    return true;
}

bool cert_issue_ca(const struct cert_request *request, struct cert_pair *ret_pair,
                   struct err *err)
{
    if (!check_request(request, err))
        return false;
    CERT_AUTO_PKEY EVP_PKEY *key = generate_key(request->rsa_bits, err);
    if (key == NULL)
        return false;
    CERT_AUTO_X509 X509 *x509 = X509_new();
    unsigned char serial[SERIAL_BYTES];
    if (x509 == NULL || X509_set_version(x509, X509_VERSION_3) != 1 ||
        !set_serial(x509, serial))
        return cert_openssl_error(err, "cannot make a CA certificate");
    char name[CN_MAXIMUM + 1];
    snprintf(name, sizeof(name), COMMON_NAME " CA %02x%02x%02x%02x", serial[0], serial[1],
             serial[2], serial[3]);
    X509V3_CTX context;
    X509V3_set_ctx(&context, x509, x509, NULL, NULL, 0);
    if (!set_common_name(x509, name) ||
        X509_set_issuer_name(x509, X509_get_subject_name(x509)) != 1 ||
        !set_times(x509, request->now - CERT_BACKDATE_SECONDS,
                   request->now + request->lifetime_seconds) ||
        X509_set_pubkey(x509, key) != 1 ||
        !add_extension(x509, &context, NID_basic_constraints,
                       "critical,CA:TRUE,pathlen:0") ||
        !add_extension(x509, &context, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(x509, &context, NID_subject_key_identifier, "hash") ||
        X509_sign(x509, key, EVP_sha256()) <= 0)
        return cert_openssl_error(err, "cannot make a CA certificate");
    return hand_out(x509, key, ret_pair, err);
}

/* The certificate of the bundle that the key belongs to, borrowed from the stack. */
static X509 *find_ca(STACK_OF(X509) * bundle, EVP_PKEY *key, int64_t now, struct err *err)
{
    X509 *found = NULL;
    for (int i = 0; i < sk_X509_num(bundle) && found == NULL; i++) {
        X509 *candidate = sk_X509_value(bundle, i);
        if (EVP_PKEY_eq(X509_get0_pubkey(candidate), key) == 1)
            found = candidate;
    }
    ERR_clear_error();
    int64_t not_before = 0;
    int64_t not_after = 0;
    char when[CERT_TIME_TEXT];
    if (found == NULL)
        err_set(err, ERR_INVALID,
                "the CA's private key does not belong to its "
                "certificate; give the two that were made together");
    else if (X509_check_ca(found) != 1)
        err_set(err, ERR_INVALID,
                "the certificate given as CA is not a CA; give one "
                "with basicConstraints CA:TRUE");
    else if (!cert_time_of(X509_get0_notBefore(found), &not_before) ||
             !cert_time_of(X509_get0_notAfter(found), &not_after))
        err_set(err, ERR_INVALID, "the CA certificate's validity cannot be read");
    else if (not_after <= now)
        err_set(err, ERR_INVALID, "the CA expired on %s; issue a new CA",
                cert_time_text(not_after, when));
    else if (not_before > now)
        err_set(err, ERR_INVALID,
                "the CA is valid from %s on only; is this machine's clock right?",
                cert_time_text(not_before, when));
    else
        return found;
    return NULL;
}

static bool build_leaf(X509 *x509, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key,
                       const struct cert_request *request)
{
    int64_t ca_before = 0;
    int64_t ca_after = 0;
    if (!cert_time_of(X509_get0_notBefore(ca), &ca_before) ||
        !cert_time_of(X509_get0_notAfter(ca), &ca_after))
        return false;
    int64_t not_before = request->now - CERT_BACKDATE_SECONDS;
    int64_t not_after = request->now + request->lifetime_seconds;
    const char *name = COMMON_NAME;
    if (request->dns_count > 0 && strlen(request->dns_names[0]) <= CN_MAXIMUM)
        name = request->dns_names[0];
    /* keyEncipherment only matters for RSA key exchange, which nobody offers any more. */
    unsigned char serial[SERIAL_BYTES];
    X509V3_CTX context;
    X509V3_set_ctx(&context, ca, x509, NULL, NULL, 0);
    return X509_set_version(x509, X509_VERSION_3) == 1 && set_serial(x509, serial) &&
           set_common_name(x509, name) &&
           X509_set_issuer_name(x509, X509_get_subject_name(ca)) == 1 &&
           set_times(x509, not_before > ca_before ? not_before : ca_before,
                     not_after < ca_after ? not_after : ca_after) &&
           X509_set_pubkey(x509, key) == 1 &&
           add_extension(x509, &context, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x509, &context, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x509, &context, NID_ext_key_usage, "serverAuth") &&
           add_extension(x509, &context, NID_subject_key_identifier, "hash") &&
           add_extension(x509, &context, NID_authority_key_identifier, "keyid:always") &&
           add_alternative_names(x509, request) &&
           X509_sign(x509, ca_key, EVP_sha256()) > 0;
}

bool cert_issue_leaf(const struct cert_request *request, struct str ca_cert_pem,
                     struct str ca_key_pem, struct cert_pair *ret_pair, struct err *err)
{
    if (!check_request(request, err) || !check_names(request, err))
        return false;
    CERT_AUTO_STACK STACK_OF(X509) *bundle =
        cert_pem_certificates(ca_cert_pem, "the CA certificate", err);
    if (bundle == NULL)
        return false;
    CERT_AUTO_PKEY EVP_PKEY *ca_key = cert_pem_key(ca_key_pem, "the CA's key file", err);
    if (ca_key == NULL)
        return false;
    X509 *ca = find_ca(bundle, ca_key, request->now, err);
    if (ca == NULL)
        return false;
    CERT_AUTO_PKEY EVP_PKEY *key = generate_key(request->rsa_bits, err);
    if (key == NULL)
        return false;
    CERT_AUTO_X509 X509 *x509 = X509_new();
    if (x509 == NULL || !build_leaf(x509, key, ca, ca_key, request))
        return cert_openssl_error(err, "cannot make a serving certificate");
    return hand_out(x509, key, ret_pair, err);
}
