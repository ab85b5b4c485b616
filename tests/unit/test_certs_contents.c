/* What the Secret's texts amount to: whole, damaged, foreign, repeated; and every
 * allocation failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "certs/contents.h"
#include "certs/pem.h"
#include "util/mem.h"

#define NOW INT64_C(1795000000)

static const char *const dns[] = {"hook.ns.svc", "other.ns.svc"};
static const char *const ips[] = {"2001:db8:0:0::1"};
static const struct cert_names names = {dns, 2, ips, 1};

static struct cert_pair ca = CERT_PAIR_INIT;
static struct cert_pair old_ca = CERT_PAIR_INIT;
static struct cert_pair leaf = CERT_PAIR_INIT;

static int set_up(void **state)
{
    (void)state;
    struct cert_request request = {.dns_names = dns,
                                   .dns_count = 2,
                                   .ip_addresses = ips,
                                   .ip_count = 1,
                                   .now = NOW,
                                   .lifetime_seconds = 365 * CERT_DAY_SECONDS};
    return cert_issue_ca(&request, &ca, NULL) && cert_issue_ca(&request, &old_ca, NULL) &&
                   cert_issue_leaf(&request, buf_view(&old_ca.cert),
                                   buf_view(&old_ca.key), &leaf, NULL)
               ? 0
               : 1;
}

static int tear_down(void **state)
{
    (void)state;
    cert_pair_done(&ca);
    cert_pair_done(&old_ca);
    cert_pair_done(&leaf);
    return 0;
}

/* In the middle of a rotation: two CAs, the key of the new one, a leaf of the old one. */
static void fill(struct cert_secret *secret)
{
    cert_secret_init(secret);
    buf_str(&secret->ca_cert, buf_view(&ca.cert));
    buf_str(&secret->ca_cert, buf_view(&old_ca.cert));
    buf_str(&secret->ca_key, buf_view(&ca.key));
    buf_str(&secret->tls_cert, buf_view(&leaf.cert));
    buf_str(&secret->tls_key, buf_view(&leaf.key));
}

static void set(struct buf *buf, struct str text)
{
    buf_clear(buf);
    assert_true(buf_str(buf, text));
}

static void whole(void **state)
{
    (void)state;
    CERT_AUTO_SECRET struct cert_secret secret;
    CERT_AUTO_CONTENTS struct cert_contents contents;
    fill(&secret);
    assert_true(cert_contents_read(&contents, &secret, &names, NULL));
    assert_int_equal(contents.ca_count, 2);
    assert_true(contents.has_key[0] && !contents.has_key[1]);
    assert_non_null(contents.leaf);
    assert_true(contents.leaf_names);
    assert_int_equal(contents.leaf_issuer, 1);
    assert_true(str_eq(contents.bundle, buf_view(&secret.ca_cert)));
    NRW_AUTO_BUF struct buf one;
    buf_init(&one, 65536);
    cert_contents_bundle(&contents, 2, &one);
    assert_true(str_eq(buf_view(&one), buf_view(&old_ca.cert)));
}

static void nothing(void **state)
{
    (void)state;
    CERT_AUTO_SECRET struct cert_secret secret;
    CERT_AUTO_CONTENTS struct cert_contents contents;
    cert_secret_init(&secret);
    assert_true(cert_contents_read(&contents, &secret, &names, NULL));
    assert_int_equal(contents.ca_count, 0);
    assert_null(contents.leaf);
    assert_int_equal(contents.leaf_issuer, PLAN_NONE);
    assert_int_equal(contents.bundle.n, 0);
}

static void damage(void **state)
{
    (void)state;
    static const char broken[] =
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (int i = 0; i < 6; i++) {
        CERT_AUTO_SECRET struct cert_secret secret;
        CERT_AUTO_CONTENTS struct cert_contents contents;
        fill(&secret);
        if (i == 0)
            set(&secret.ca_cert, str_of(broken));
        else if (i == 1)
            set(&secret.ca_key, STR("nonsense"));
        else if (i == 2)
            set(&secret.tls_cert, str_of(broken));
        else if (i == 3)
            set(&secret.tls_key, buf_view(&ca.key)); /* a key, but another's */
        else if (i == 4)
            set(&secret.tls_cert, buf_view(&ca.cert)); /* a CA is no leaf */
        else
            set(&secret.ca_cert, buf_view(&ca.cert)); /* the leaf's CA is gone */
        assert_true(cert_contents_read(&contents, &secret, &names, NULL));
        assert_int_equal(contents.ca_count, i == 0 ? 0 : i == 5 ? 1 : 2);
        assert_true(i == 0 || contents.has_key[0] == (i != 1));
        assert_true((contents.leaf == NULL) == (i >= 2 && i <= 4));
        assert_int_equal(contents.leaf_issuer, i == 1 ? 1 : PLAN_NONE);
    }
}

/* Nothing but CAs reaches a caBundle, each once, and not more than there is room for. */
static void bundle_is_clean(void **state)
{
    (void)state;
    CERT_AUTO_SECRET struct cert_secret secret;
    CERT_AUTO_CONTENTS struct cert_contents contents;
    fill(&secret);
    buf_text(&secret.ca_cert, "# someone's remark\n");
    buf_str(&secret.ca_cert, buf_view(&leaf.cert));
    buf_str(&secret.ca_cert, buf_view(&ca.cert));
    assert_true(cert_contents_read(&contents, &secret, &names, NULL));
    assert_int_equal(contents.ca_count, 2);
    assert_int_equal(contents.bundle.n, ca.cert.size + old_ca.cert.size);
    cert_contents_done(&contents);

    struct cert_request request = {.now = NOW, .lifetime_seconds = CERT_DAY_SECONDS};
    for (int i = 0; i < 12; i++) {
        CERT_AUTO_PAIR struct cert_pair more = CERT_PAIR_INIT;
        assert_true(cert_issue_ca(&request, &more, NULL));
        buf_str(&secret.ca_cert, buf_view(&more.cert));
    }
    assert_true(cert_contents_read(&contents, &secret, &names, NULL));
    assert_int_equal(contents.ca_count, PLAN_CAS_MAXIMUM);
}

static void wanted_names(void **state)
{
    (void)state;
    CERT_AUTO_SECRET struct cert_secret secret;
    fill(&secret);
    static const char *const upper[] = {"HOOK.ns.svc"};
    static const char *const third[] = {"hook.ns.svc", "third.ns.svc"};
    static const char *const other_ip[] = {"2001:db8::2"};
    static const char *const same_ip[] = {"2001:db8::1"};
    const struct {
        struct cert_names names;
        bool covered;
    } cases[] = {
        {{upper, 1, NULL, 0}, true},
        {{third, 2, NULL, 0}, false},
        {{NULL, 0, other_ip, 1}, false},
        {{NULL, 0, same_ip, 1}, true},
    };
    for (size_t i = 0; i < NRW_COUNT(cases); i++) {
        CERT_AUTO_CONTENTS struct cert_contents contents;
        assert_true(cert_contents_read(&contents, &secret, &cases[i].names, NULL));
        assert_non_null(contents.leaf);
        assert_int_equal(contents.leaf_names, cases[i].covered);
    }
}

/* Damage and want of memory must not be mistaken for each other: the one leads to new
 * certificates, the other to trying again. */
static void allocations_fail(void **state)
{
    (void)state;
    CERT_AUTO_SECRET struct cert_secret secret;
    fill(&secret);
    unsigned long k = 1;
    for (bool done = false; !done; k++) {
        assert_true(k < 1000);
        struct cert_contents contents;
        struct err err = {0};
        mem_fail_nth(k);
        bool good = cert_contents_read(&contents, &secret, &names, &err);
        done = mem_fail_nth(0) < k;
        if (good)
            assert_true(contents.ca_count == 2 && contents.leaf != NULL &&
                        contents.leaf_issuer == 1);
        else
            assert_int_equal(err.code, ERR_NOMEM);
        assert_true(!done || good);
        cert_contents_done(&contents);
    }
    assert_true(k > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),        cmocka_unit_test(nothing),
        cmocka_unit_test(damage),       cmocka_unit_test(bundle_is_clean),
        cmocka_unit_test(wanted_names), cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests_name("certs_contents", tests, set_up, tear_down);
}
