/* Issuing: the profile of what comes out (read back with OpenSSL's own calls), requests
 * that make no sense, allocations that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "certs/inspect.h"
#include "certs/issue.h"
#include "certs/pem.h"
#include "util/mem.h"

#define NOW INT64_C(1795000000)

static const char *const dns[] = {"webhook.ns.svc", "webhook.ns.svc.cluster.local"};
static const char *const ips[] = {"127.0.0.1", "2001:db8::1"};

static struct cert_request request_for(int64_t days)
{
    return (struct cert_request){
        .dns_names = dns,
        .dns_count = 2,
        .ip_addresses = ips,
        .ip_count = 2,
        .now = NOW,
        .lifetime_seconds = days * CERT_DAY_SECONDS,
    };
}

static X509 *parse(const struct cert_pair *pair)
{
    STACK_OF(X509) *stack = cert_pem_certificates(buf_view(&pair->cert), "test", NULL);
    assert_non_null(stack);
    assert_int_equal(sk_X509_num(stack), 1);
    X509 *x509 = sk_X509_pop(stack);
    sk_X509_free(stack);
    return x509;
}

static void ca_profile(void **state)
{
    (void)state;
    struct cert_request request = request_for(365);
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    struct err err = {0};
    assert_true(cert_issue_ca(&request, &ca, &err));
    CERT_AUTO_X509 X509 *x509 = parse(&ca);
    assert_int_equal(X509_get_version(x509), X509_VERSION_3);
    assert_int_equal(X509_get_key_usage(x509), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(X509_get_pathlen(x509), 0);
    assert_int_equal(X509_check_ca(x509), 1);
    assert_non_null(X509_get0_subject_key_id(x509));
    assert_int_equal(X509_get_signature_nid(x509), NID_ecdsa_with_SHA256);
    assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(
                         x509, X509_get_ext_by_NID(x509, NID_basic_constraints, -1))),
                     1);
    BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
    assert_int_equal(BN_num_bytes(serial), 16);
    assert_false(BN_is_negative(serial));
    BN_free(serial);
    assert_true(cert_key_matches(buf_view(&ca.cert), buf_view(&ca.key), &err));
}

static void leaf_profile(void **state)
{
    (void)state;
    struct cert_request request = request_for(365);
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    struct err err = {0};
    assert_true(cert_issue_ca(&request, &ca, &err));
    request.lifetime_seconds = 30 * CERT_DAY_SECONDS;
    assert_true(
        cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, &err));
    CERT_AUTO_X509 X509 *x509 = parse(&leaf);
    CERT_AUTO_X509 X509 *issuer = parse(&ca);
    assert_int_equal(X509_get_key_usage(x509), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(x509), XKU_SSL_SERVER);
    assert_int_equal(X509_check_ca(x509), 0);
    assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(x509),
                                           X509_get0_subject_key_id(issuer)),
                     0);
    assert_int_equal(X509_verify(x509, X509_get0_pubkey(issuer)), 1);
    struct arena arena;
    arena_init(&arena, 65536);
    struct cert_info *info = NULL;
    size_t count = 0;
    assert_true(cert_inspect(&arena, buf_view(&leaf.cert), "leaf", &info, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(info->not_before, NOW - 300);
    assert_int_equal(info->not_after, NOW + 30 * CERT_DAY_SECONDS);
    assert_int_equal(info->name_count, 4);
    static const char *const want[] = {"webhook.ns.svc", "webhook.ns.svc.cluster.local",
                                       "127.0.0.1", "2001:db8::1"};
    for (size_t i = 0; i < 4; i++)
        assert_true(str_eq(info->names[i], str_of(want[i])));
    assert_true(str_eq(info->key_type, STR("ECDSA P-256")));
    assert_true(info->server_auth && !info->is_ca && !info->self_issued);
    arena_done(&arena);
}

static void rsa_on_demand(void **state)
{
    (void)state;
    static const unsigned sizes[] = {2048, 3072, 4096};
    for (size_t i = 0; i < 3; i++) {
        struct cert_request request = request_for(1);
        request.rsa_bits = sizes[i];
        CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
        struct err err = {0};
        assert_true(cert_issue_ca(&request, &ca, &err));
        CERT_AUTO_X509 X509 *x509 = parse(&ca);
        assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(x509)), (int)sizes[i]);
        assert_int_equal(X509_get_signature_nid(x509), NID_sha256WithRSAEncryption);
        request.rsa_bits = 0; /* an ECDSA leaf under an RSA CA */
        CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
        assert_true(cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key),
                                    &leaf, &err));
    }
}

static void a_leaf_stays_within_its_ca(void **state)
{
    (void)state;
    struct cert_request request = request_for(10);
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    struct err err = {0};
    assert_true(cert_issue_ca(&request, &ca, &err));
    request.lifetime_seconds = 30 * CERT_DAY_SECONDS;
    request.now = NOW - 200; /* the other clock is behind */
    assert_true(
        cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, &err));
    struct arena arena;
    arena_init(&arena, 65536);
    struct cert_info *info = NULL;
    size_t count = 0;
    assert_true(cert_inspect(&arena, buf_view(&leaf.cert), "leaf", &info, &count, &err));
    assert_int_equal(info->not_before, NOW - 300);
    assert_int_equal(info->not_after, NOW + 10 * CERT_DAY_SECONDS);
    arena_done(&arena);
    request.now = NOW + 10 * CERT_DAY_SECONDS;
    assert_false(
        cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "the CA expired on 2026-11-28T"));
    request.now = NOW - 301;
    assert_false(
        cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, &err));
    assert_non_null(strstr(err.message, "clock"));
}

/* Two CAs are told apart by name; serials and keys are never the same. */
static void nothing_repeats(void **state)
{
    (void)state;
    struct cert_request request = request_for(1);
    CERT_AUTO_PAIR struct cert_pair one = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair two = CERT_PAIR_INIT;
    assert_true(cert_issue_ca(&request, &one, NULL));
    assert_true(cert_issue_ca(&request, &two, NULL));
    CERT_AUTO_X509 X509 *a = parse(&one);
    CERT_AUTO_X509 X509 *b = parse(&two);
    assert_int_not_equal(
        X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)), 0);
    assert_int_not_equal(
        ASN1_INTEGER_cmp(X509_get0_serialNumber(a), X509_get0_serialNumber(b)), 0);
    assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)), 1);
    ERR_clear_error();
}

static void of_a_bundle_the_ca_with_that_key(void **state)
{
    (void)state;
    struct cert_request request = request_for(5);
    CERT_AUTO_PAIR struct cert_pair old = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair new = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    assert_true(cert_issue_ca(&request, &old, NULL));
    assert_true(cert_issue_ca(&request, &new, NULL));
    NRW_AUTO_BUF struct buf bundle;
    buf_init(&bundle, 65536);
    buf_str(&bundle, buf_view(&old.cert));
    buf_str(&bundle, buf_view(&new.cert));
    struct err err = {0};
    assert_true(
        cert_issue_leaf(&request, buf_view(&bundle), buf_view(&new.key), &leaf, &err));
    struct cert_check check = {
        .chain_pem = buf_view(&leaf.cert), .ca_pem = buf_view(&new.cert), .at = NOW};
    assert_true(cert_verify(&check, &err));
    check.ca_pem = buf_view(&old.cert);
    assert_false(cert_verify(&check, &err));
    /* A key that belongs to none of them, and a certificate that is no CA. */
    assert_false(
        cert_issue_leaf(&request, buf_view(&old.cert), buf_view(&new.key), &leaf, &err));
    assert_non_null(strstr(err.message, "does not belong"));
    CERT_AUTO_PAIR struct cert_pair below = CERT_PAIR_INIT;
    assert_false(cert_issue_leaf(&request, buf_view(&leaf.cert), buf_view(&leaf.key),
                                 &below, &err));
    assert_non_null(strstr(err.message, "is not a CA"));
    assert_int_equal(below.cert.size, 0);
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"a",
                                       "a.b-c.d1",
                                       "*.example.com",
                                       "UPPER.example",
                                       "1.example",
                                       "xn--mller-kva.example"};
    static const char *const bad[] = {"",
                                      ".",
                                      "a.",
                                      ".a",
                                      "a..b",
                                      "-a",
                                      "a-",
                                      "a_b",
                                      "a b",
                                      "a,DNS:b",
                                      "*",
                                      "a.*.b",
                                      "*a.b",
                                      "10.0.0.1",
                                      "::1",
                                      "a\nb",
                                      "m\xc3\xbcller.example"};
    for (size_t i = 0; i < NRW_COUNT(good); i++)
        assert_true(cert_dns_name_valid(good[i]));
    for (size_t i = 0; i < NRW_COUNT(bad); i++)
        assert_false(cert_dns_name_valid(bad[i]));
    char label[65];
    memset(label, 'a', 64);
    label[64] = '\0';
    assert_false(cert_dns_name_valid(label));
    label[63] = '\0';
    assert_true(cert_dns_name_valid(label));
    char longest[260];
    for (size_t i = 0; i < 254; i++)
        longest[i] = i % 2 == 0 ? 'a' : '.';
    longest[253] = '\0';
    assert_true(cert_dns_name_valid(longest));
    longest[253] = 'a';
    longest[254] = '\0';
    assert_false(cert_dns_name_valid(longest));
}

/* A service's name may be longer than a common name can be. */
static void long_names(void **state)
{
    (void)state;
    static const char *const long_dns[] = {
        "a-service-with-a-name-as-long-as-a-label-may-be-in-kubernetes.a-namespace-"
        "with-a-name-as-long-as-a-label-may-be-in-k8s.svc"};
    struct cert_request request = request_for(1);
    request.dns_names = long_dns;
    request.dns_count = 1;
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    struct err err = {0};
    assert_true(cert_issue_ca(&request, &ca, &err));
    assert_true(
        cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, &err));
    struct cert_check check = {.chain_pem = buf_view(&leaf.cert),
                               .ca_pem = buf_view(&ca.cert),
                               .key_pem = buf_view(&leaf.key),
                               .name = long_dns[0],
                               .at = NOW};
    assert_true(cert_verify(&check, &err));
}

static void senseless_requests(void **state)
{
    (void)state;
    struct err err = {0};
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    struct cert_request good = request_for(1);
    assert_true(cert_issue_ca(&good, &ca, &err));
    static const char *const comma[] = {"a.example,DNS:b.example"};
    static const char *const not_ip[] = {"1.2.3"};
    static const char *const many[65] = {"a"};
    struct cert_request bad[] = {good, good, good, good, good, good, good, good};
    bad[0].rsa_bits = 1024;
    bad[1].rsa_bits = 2049;
    bad[2].lifetime_seconds = 0;
    bad[3].lifetime_seconds = (CERT_DAYS_MAXIMUM + 1) * CERT_DAY_SECONDS;
    bad[4].dns_count = bad[4].ip_count = 0;
    bad[5].dns_names = comma;
    bad[5].dns_count = 1;
    bad[6].ip_addresses = not_ip;
    bad[6].ip_count = 1;
    bad[7].dns_names = many;
    bad[7].dns_count = 65;
    for (size_t i = 0; i < NRW_COUNT(bad); i++) {
        err_clear(&err);
        assert_false(
            cert_issue_leaf(&bad[i], buf_view(&ca.cert), buf_view(&ca.key), &leaf, &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_true(err.message[0] != '\0');
        assert_null(leaf.cert.data);
    }
    for (size_t i = 0; i < 4; i++)
        assert_false(cert_issue_ca(&bad[i], &leaf, &err));
}

/* What a failed call leaves behind must be what was there. */
static void failure_keeps_the_pair(void **state)
{
    (void)state;
    struct cert_request request = request_for(1);
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    assert_true(cert_issue_ca(&request, &ca, NULL));
    char *before = mem_strdup(ca.cert.data);
    request.rsa_bits = 1;
    assert_false(cert_issue_ca(&request, &ca, NULL));
    assert_string_equal(ca.cert.data, before);
    mem_free(before);
}

static void allocations_fail(void **state)
{
    (void)state;
    struct cert_request request = request_for(1);
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    assert_true(cert_issue_ca(&request, &ca, NULL));
    unsigned long k = 1;
    for (bool done = false; !done; k++) {
        assert_true(k < 100);
        CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
        CERT_AUTO_PAIR struct cert_pair other = CERT_PAIR_INIT;
        struct err err = {0};
        mem_fail_nth(k);
        bool good =
            cert_issue_ca(&request, &other, &err) &&
            cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, &err);
        done = mem_fail_nth(0) < k;
        assert_true(good == done);
        if (!good)
            assert_int_equal(err.code, ERR_NOMEM);
    }
    assert_true(k > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ca_profile),
        cmocka_unit_test(leaf_profile),
        cmocka_unit_test(rsa_on_demand),
        cmocka_unit_test(a_leaf_stays_within_its_ca),
        cmocka_unit_test(nothing_repeats),
        cmocka_unit_test(of_a_bundle_the_ca_with_that_key),
        cmocka_unit_test(names),
        cmocka_unit_test(long_names),
        cmocka_unit_test(senseless_requests),
        cmocka_unit_test(failure_keeps_the_pair),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("certs_issue", tests, NULL, NULL);
}
