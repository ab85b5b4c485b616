/* Reading and verifying: what is said of damaged, encrypted and foreign texts, and each
 * reason for which a certificate is refused, with its advice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "certs/inspect.h"
#include "certs/issue.h"
#include "certs/pem.h"
#include "certs/time.h"
#include "util/mem.h"

#define NOW INT64_C(1795000000)
#define DAY CERT_DAY_SECONDS

static const char *const dns[] = {"webhook.ns.svc", "*.wild.example"};
static const char *const ips[] = {"192.0.2.7", "2001:db8::1"};

static struct cert_pair ca = CERT_PAIR_INIT;
static struct cert_pair other_ca = CERT_PAIR_INIT;
static struct cert_pair leaf = CERT_PAIR_INIT;

static int set_up(void **state)
{
    (void)state;
    struct cert_request request = {.dns_names = dns,
                                   .dns_count = 2,
                                   .ip_addresses = ips,
                                   .ip_count = 2,
                                   .now = NOW,
                                   .lifetime_seconds = 365 * DAY};
    if (!cert_issue_ca(&request, &ca, NULL) || !cert_issue_ca(&request, &other_ca, NULL))
        return 1;
    request.lifetime_seconds = 30 * DAY;
    return cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, NULL)
               ? 0
               : 1;
}

static int tear_down(void **state)
{
    (void)state;
    cert_pair_done(&ca);
    cert_pair_done(&other_ca);
    cert_pair_done(&leaf);
    return 0;
}

static struct cert_check check_of(const char *name)
{
    return (struct cert_check){.chain_pem = buf_view(&leaf.cert),
                               .ca_pem = buf_view(&ca.cert),
                               .key_pem = buf_view(&leaf.key),
                               .name = name,
                               .at = NOW};
}

static void assert_refused(const struct cert_check *check, enum err_code code,
                           const char *text)
{
    struct err err = {0};
    assert_false(cert_verify(check, &err));
    assert_int_equal(err.code, code);
    if (strstr(err.message, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, err.message);
    assert_null(strchr(err.message, '\n'));
    assert_int_equal(ERR_peek_error(),
                     0); /* nothing left for the next TLS call to find */
}

static void verifies(void **state)
{
    (void)state;
    static const char *const names[] = {"webhook.ns.svc", "WEBHOOK.ns.svc",
                                        "a.wild.example", "192.0.2.7", "2001:db8:0::1"};
    for (size_t i = 0; i < NRW_COUNT(names); i++) {
        struct cert_check check = check_of(names[i]);
        struct err err = {0};
        if (!cert_verify(&check, &err))
            fail_msg("%s: %s", names[i], err.message);
    }
    struct cert_check any = check_of(NULL);
    any.key_pem = STR("");
    assert_true(cert_verify(&any, NULL));
    /* In a bundle of old and new CA the order does not matter. */
    for (int first = 0; first < 2; first++) {
        NRW_AUTO_BUF struct buf bundle;
        buf_init(&bundle, 65536);
        buf_str(&bundle, buf_view(first == 0 ? &ca.cert : &other_ca.cert));
        buf_str(&bundle, buf_view(first == 0 ? &other_ca.cert : &ca.cert));
        struct cert_check both = check_of("webhook.ns.svc");
        both.ca_pem = buf_view(&bundle);
        assert_true(cert_verify(&both, NULL));
    }
}

static void refuses(void **state)
{
    (void)state;
    struct cert_check check = check_of("other.ns.svc");
    assert_refused(&check, ERR_INVALID,
                   "is not for other.ns.svc but for webhook.ns.svc, *.wild.example, "
                   "192.0.2.7, 2001:db8::1; issue one with --dns-name other.ns.svc");
    check = check_of("a.b.wild.example");
    assert_refused(&check, ERR_INVALID, "is not for a.b.wild.example");
    check = check_of("192.0.2.8");
    assert_refused(&check, ERR_INVALID, "issue one with --ip 192.0.2.8");
    check = check_of("webhook.ns.svc");
    check.at = NOW + 30 * DAY + 1;
    assert_refused(&check, ERR_INVALID, "the certificate expired on 2026-12-18T");
    check.at = NOW - 301;
    assert_refused(&check, ERR_INVALID, "valid from 2026-11-18T");
    check.at = NOW;
    check.ca_pem = buf_view(&other_ca.cert);
    assert_refused(&check, ERR_INVALID,
                   "no CA given here signed the certificate (its issuer: "
                   "CN=nvcf-registry-webhook CA ");
    check = check_of("webhook.ns.svc");
    check.key_pem = buf_view(&ca.key);
    assert_refused(&check, ERR_INVALID, "the private key does not belong");
    /* A CA as a serving certificate. */
    check = check_of("webhook.ns.svc");
    check.chain_pem = buf_view(&ca.cert);
    check.key_pem = STR("");
    assert_refused(&check, ERR_INVALID, "not meant for TLS servers");
}

/* Certificates that issue.c does not make, made here by hand. */
struct odd {
    unsigned rsa_bits;
    const EVP_MD *digest;
    const char *usage; /* extended key usage, or NULL */
    bool common_name_only;
};

static void issue_odd(const struct odd *odd, struct cert_pair *ret_pair)
{
    EVP_PKEY *key = odd->rsa_bits != 0 ? EVP_RSA_gen(odd->rsa_bits) : EVP_EC_gen("P-256");
    EVP_PKEY *ca_key = cert_pem_key(buf_view(&ca.key), "ca", NULL);
    STACK_OF(X509) *stack = cert_pem_certificates(buf_view(&ca.cert), "ca", NULL);
    X509 *x509 = X509_new();
    assert_true(key != NULL && ca_key != NULL && stack != NULL && x509 != NULL);
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), -5);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                               (const unsigned char *)"webhook.ns.svc", -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(sk_X509_value(stack, 0)));
    ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)(NOW - 1));
    ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)(NOW + DAY));
    X509_set_pubkey(x509, key);
    X509V3_CTX context;
    X509V3_set_ctx(&context, NULL, x509, NULL, NULL, 0);
    if (!odd->common_name_only) {
        X509_EXTENSION *san =
            X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name,
                                "DNS:webhook.ns.svc,URI:spiffe://x/y,email:a@b");
        X509_add_ext(x509, san, -1);
        X509_EXTENSION_free(san);
    }
    if (odd->usage != NULL) {
        X509_EXTENSION *usage =
            X509V3_EXT_conf_nid(NULL, &context, NID_ext_key_usage, odd->usage);
        X509_add_ext(x509, usage, -1);
        X509_EXTENSION_free(usage);
    }
    assert_true(X509_sign(x509, ca_key, odd->digest) > 0);
    assert_true(cert_pem_write(x509, &ret_pair->cert, NULL));
    assert_true(cert_pem_write_key(key, &ret_pair->key, NULL));
    X509_free(x509);
    sk_X509_pop_free(stack, X509_free);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
}

static void refuses_what_the_api_server_would(void **state)
{
    (void)state;
    const struct {
        struct odd odd;
        const char *text; /* NULL: verifies */
    } cases[] = {
        {{0, EVP_sha256(), NULL, false}, NULL},
        {{2048, EVP_sha256(), "serverAuth,clientAuth", false}, NULL},
        {{0, EVP_sha256(), "clientAuth", false}, "not meant for TLS servers"},
        {{0, EVP_sha256(), NULL, true}, "but for no name at all"},
        {{1024, EVP_sha256(), NULL, false}, "too short"},
        {{0, EVP_sha1(), NULL, false}, "SHA-1"},
    };
    for (size_t i = 0; i < NRW_COUNT(cases); i++) {
        CERT_AUTO_PAIR struct cert_pair pair = CERT_PAIR_INIT;
        issue_odd(&cases[i].odd, &pair);
        struct cert_check check = check_of("webhook.ns.svc");
        check.chain_pem = buf_view(&pair.cert);
        check.key_pem = buf_view(&pair.key);
        struct err err = {0};
        if (cases[i].text != NULL)
            assert_refused(&check, ERR_INVALID, cases[i].text);
        else if (!cert_verify(&check, &err))
            fail_msg("case %zu: %s", i, err.message);
    }
}

static void inspects(void **state)
{
    (void)state;
    CERT_AUTO_PAIR struct cert_pair odd = CERT_PAIR_INIT;
    issue_odd(&(struct odd){2048, EVP_sha256(), NULL, false}, &odd);
    NRW_AUTO_BUF struct buf bundle;
    buf_init(&bundle, 65536);
    buf_text(&bundle, "# comment\n");
    buf_str(&bundle, buf_view(&ca.cert));
    buf_text(&bundle, "Certificate:\n    Data:\n");
    buf_str(&bundle, buf_view(&leaf.key)); /* other blocks are passed over */
    buf_str(&bundle, buf_view(&odd.cert));
    struct arena arena;
    arena_init(&arena, 65536);
    struct cert_info *info = NULL;
    size_t count = 0;
    struct err err = {0};
    assert_true(cert_inspect(&arena, buf_view(&bundle), "bundle", &info, &count, &err));
    assert_int_equal(count, 2);
    assert_true(info[0].is_ca && info[0].self_issued);
    assert_int_equal(info[0].name_count, 0);
    assert_int_equal(info[0].serial.n, 32);
    assert_int_equal(info[0].fingerprint.n, 64);
    assert_true(str_eq(info[1].issuer, info[0].subject));
    assert_true(str_eq(info[1].key_type, STR("RSA 2048")));
    assert_true(str_eq(info[1].serial, STR("-05")));
    assert_int_equal(info[1].name_count, 1);
    assert_int_equal(info[1].other_names, 2);
    assert_false(str_eq(info[0].public_key, info[1].public_key));
    arena_done(&arena);
}

static void unreadable_certificates(void **state)
{
    (void)state;
    NRW_AUTO_BUF struct buf cut;
    buf_init(&cut, 65536);
    buf_str(&cut, buf_view(&ca.cert));
    buf_append(&cut, leaf.cert.data, leaf.cert.size / 2);
    NRW_AUTO_BUF struct buf flipped;
    buf_init(&flipped, 65536);
    buf_text(&flipped, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    NRW_AUTO_BUF struct buf many;
    buf_init(&many, 4 * 1024 * 1024);
    while (many.size <= CERT_PEM_MAXIMUM)
        buf_str(&many, buf_view(&ca.cert));
    const struct {
        struct str text;
        enum err_code code;
        const char *message;
    } cases[] = {
        {STR(""), ERR_SYNTAX, "x.pem holds no certificate"},
        {STR("hello\n"), ERR_SYNTAX, "begins with -----BEGIN CERTIFICATE-----"},
        {buf_view(&leaf.key), ERR_SYNTAX, "a private key, no certificate"},
        {buf_view(&cut), ERR_SYNTAX, "damaged after 1 certificates"},
        {buf_view(&flipped), ERR_SYNTAX, "certificate 1 in x.pem is damaged"},
        {buf_view(&many), ERR_LIMIT, "larger than 1048576 bytes"},
    };
    for (size_t i = 0; i < NRW_COUNT(cases); i++) {
        struct arena arena;
        arena_init(&arena, 1024 * 1024);
        struct err err = {0};
        struct cert_info *info = NULL;
        size_t count = 77;
        assert_false(cert_inspect(&arena, cases[i].text, "x.pem", &info, &count, &err));
        assert_int_equal(err.code, cases[i].code);
        if (strstr(err.message, cases[i].message) == NULL)
            fail_msg("'%s' is not in '%s'", cases[i].message, err.message);
        assert_null(info);
        assert_int_equal(count, 77);
        assert_int_equal(ERR_peek_error(), 0);
        arena_done(&arena);
    }
}

static void write_encrypted(struct buf *pkcs8, struct buf *traditional)
{
    EVP_PKEY *key = cert_pem_key(buf_view(&leaf.key), "k", NULL);
    assert_non_null(key);
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_256_cbc(), "secret",
                                                   6, NULL, NULL),
                     1);
    long n = BIO_get_mem_data(bio, &data);
    buf_append(pkcs8, data, (size_t)n);
    BIO_free(bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, key, EVP_aes_256_cbc(),
                                                          (const unsigned char *)"secret",
                                                          6, NULL, NULL),
                     1);
    n = BIO_get_mem_data(bio, &data);
    buf_append(traditional, data, (size_t)n);
    BIO_free(bio);
    EVP_PKEY_free(key);
}

static void unreadable_keys(void **state)
{
    (void)state;
    NRW_AUTO_BUF struct buf pkcs8;
    NRW_AUTO_BUF struct buf traditional;
    buf_init(&pkcs8, 65536);
    buf_init(&traditional, 65536);
    write_encrypted(&pkcs8, &traditional);
    NRW_AUTO_BUF struct buf large;
    buf_init(&large, 1024 * 1024);
    while (large.size < 65537)
        buf_text(&large, "\n\n\n\n\n\n\n\n");
    const struct {
        struct str text;
        enum err_code code;
        const char *message;
    } cases[] = {
        {buf_view(&pkcs8), ERR_INVALID, "in k.pem is encrypted"},
        {buf_view(&traditional), ERR_INVALID, "openssl pkey -in OLD -out NEW"},
        {buf_view(&ca.cert), ERR_SYNTAX, "a certificate, no private key"},
        {STR(""), ERR_SYNTAX, "holds no private key"},
        {STR("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
         ERR_SYNTAX, "is damaged or of a kind"},
        {STR("-----BEGIN PRIVATE KEY-----\nAAAA\n"), ERR_SYNTAX, "is damaged"},
        {buf_view(&large), ERR_LIMIT, "larger than"},
    };
    for (size_t i = 0; i < NRW_COUNT(cases); i++) {
        struct err err = {0};
        assert_null(cert_pem_key(cases[i].text, "k.pem", &err));
        assert_int_equal(err.code, cases[i].code);
        if (strstr(err.message, cases[i].message) == NULL)
            fail_msg("'%s' is not in '%s'", cases[i].message, err.message);
        assert_int_equal(ERR_peek_error(), 0);
    }
    /* What `openssl ecparam -genkey` writes before the key is passed over. */
    NRW_AUTO_BUF struct buf with_parameters;
    buf_init(&with_parameters, 65536);
    buf_text(&with_parameters, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                               "-----END EC PARAMETERS-----\n");
    buf_str(&with_parameters, buf_view(&leaf.key));
    assert_true(cert_key_matches(buf_view(&leaf.cert), buf_view(&with_parameters), NULL));
}

static EVP_PKEY *a_key(const char *type, const char *group)
{
    if (strcmp(type, "EC") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, type, group);
    if (strcmp(type, "RSA") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, type, (size_t)2048);
    return EVP_PKEY_Q_keygen(NULL, NULL, type);
}

/* Of types that are named to OpenSSL and of one that is not, as PKCS #8 and as each tool
 * used to write it. */
static void every_kind_of_key(void **state)
{
    (void)state;
    static const struct {
        const char *type, *group;
        bool traditional;
    } cases[] = {
        {"EC", "P-256", false},   {"EC", "P-256", true},  {"EC", "P-384", false},
        {"EC", "P-521", true},    {"RSA", NULL, false},   {"RSA", NULL, true},
        {"ED25519", NULL, false}, {"ED448", NULL, false},
    };
    for (size_t i = 0; i < NRW_COUNT(cases); i++) {
        EVP_PKEY *key = a_key(cases[i].type, cases[i].group);
        assert_non_null(key);
        BIO *bio = BIO_new(BIO_s_mem());
        assert_int_equal(cases[i].traditional ? PEM_write_bio_PrivateKey_traditional(
                                                    bio, key, NULL, NULL, 0, NULL, NULL)
                                              : PEM_write_bio_PKCS8PrivateKey(
                                                    bio, key, NULL, NULL, 0, NULL, NULL),
                         1);
        char *data = NULL;
        long size = BIO_get_mem_data(bio, &data);
        struct str pem = str_from(data, (size_t)size);
        struct err err = {0};
        EVP_PKEY *read = cert_pem_key(pem, "k.pem", &err);
        if (read == NULL || EVP_PKEY_eq(read, key) != 1)
            fail_msg("%s, case %zu: %s", cases[i].type, i, err.message);
        EVP_PKEY_free(read);
        /* Cut inside its text: not a key, whatever it is called. */
        assert_null(cert_pem_key(str_first(pem, pem.n / 2), "k.pem", NULL));
        assert_int_equal(ERR_peek_error(), 0);
        BIO_free(bio);
        EVP_PKEY_free(key);
    }
    /* What it is called and what it is are not the same. */
    NRW_AUTO_BUF struct buf other_name;
    buf_init(&other_name, 65536);
    struct str text = buf_view(&leaf.key);
    size_t body = str_index(text, 0, '\n'), end = str_find(text, STR("-----END"));
    buf_text(&other_name, "-----BEGIN RSA PRIVATE KEY-----");
    buf_str(&other_name, str_first(str_skip(text, body), end - body));
    buf_text(&other_name, "-----END RSA PRIVATE KEY-----\n");
    struct err err = {0};
    assert_null(cert_pem_key(buf_view(&other_name), "k.pem", &err));
    assert_int_equal(err.code, ERR_SYNTAX);
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"0", 0},
        {"1795000000", NOW},
        {"2026-11-18T11:06:40Z", NOW},
        {"1970-01-01", 0},
        {"2024-02-29", 1709164800},
        {"2023-02-29", -1},
        {"2026-11-31", -1},
        {"2026-13-01", -1},
        {"2026-11-18T24:00:00Z", -1},
        {"2026-11-18T11:06:40", -1},
        {"2026-11-18T11:06:40+01:00", -1},
        {"2026-11-18 11:06:40Z", -1},
        {"26-11-18", -1},
        {"now", -1},
        {"", -1},
        {"-5", -1},
        {"99999999999999999999", -1},
    };
    for (size_t i = 0; i < NRW_COUNT(cases); i++) {
        int64_t got = -1;
        bool good = cert_time_parse(str_of(cases[i].text), &got);
        if (good != (cases[i].want >= 0) || got != cases[i].want)
            fail_msg("'%s' gave %lld", cases[i].text, (long long)got);
    }
    char text[CERT_TIME_TEXT];
    assert_string_equal(cert_time_text(NOW, text), "2026-11-18T11:06:40Z");
    assert_string_equal(cert_time_text(INT64_C(253402300799), text),
                        "9999-12-31T23:59:59Z");
    assert_true(strlen(cert_time_text(INT64_MAX, text)) > 0);
}

static void allocations_fail(void **state)
{
    (void)state;
    unsigned long k = 1;
    for (bool done = false; !done; k++) {
        assert_true(k < 1000);
        struct arena arena;
        arena_init(&arena, 65536);
        struct cert_info *info = NULL;
        size_t count = 0;
        struct err err = {0};
        mem_fail_nth(k);
        bool good =
            cert_inspect(&arena, buf_view(&leaf.cert), "leaf", &info, &count, &err);
        done = mem_fail_nth(0) < k;
        assert_true(good == done);
        assert_true(good || (err.code == ERR_NOMEM && info == NULL));
        arena_done(&arena);
    }
    assert_true(k > 3);
    /* The verdict does not depend on memory; only the wording may suffer. */
    for (unsigned long n = 1; n < 8; n++) {
        struct cert_check check = check_of("other.ns.svc");
        struct err err = {0};
        mem_fail_nth(n);
        assert_false(cert_verify(&check, &err));
        mem_fail_nth(0);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifies),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_what_the_api_server_would),
        cmocka_unit_test(inspects),
        cmocka_unit_test(unreadable_certificates),
        cmocka_unit_test(unreadable_keys),
        cmocka_unit_test(every_kind_of_key),
        cmocka_unit_test(times),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("certs_inspect", tests, set_up, tear_down);
}
