/* The call to ourselves, against the real server: verified, not verified, not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <signal.h>

#include "app/self_check.h"
#include "certs/identity.h"
#include "certs/issue.h"
#include "kube/client.h"
#include "net/server.h"
#include "util/clock.h"

static struct cert_pair ca = CERT_PAIR_INIT;
static struct cert_pair other_ca = CERT_PAIR_INIT;
static struct cert_pair leaf = CERT_PAIR_INIT;
static struct net_server *server;

static enum net_route route(void *context, struct str path, bool plain)
{
    (void)context, (void)plain;
    return str_eq(path, STR("/healthz")) ? NET_ROUTE_GET : NET_ROUTE_NONE;
}

static enum net_handled handle(void *context, const struct net_request *request,
                               struct net_response *response)
{
    (void)context, (void)request;
    buf_text(&response->body, "ok\n");
    return NET_ANSWERED;
}

static struct net_tls *tls_with(struct str client_ca)
{
    CERT_AUTO_IDENTITY struct cert_identity identity = CERT_IDENTITY_NONE;
    assert_true(cert_identity_read(buf_view(&leaf.cert), buf_view(&leaf.key), "leaf",
                                   &identity, NULL));
    const struct net_tls_options options = {
        .chain = identity.chain, .key = identity.key, .client_ca_pem = client_ca};
    struct net_tls *tls = net_tls_new(&options, NULL);
    assert_non_null(tls);
    return tls;
}

static int set_up(void **state)
{
    (void)state;
    static const char *const dns[] = {"hook.ns.svc"};
    static const char *const ips[] = {"2001:db8::1"};
    const struct cert_request request = {.dns_names = dns,
                                         .dns_count = 1,
                                         .ip_addresses = ips,
                                         .ip_count = 1,
                                         .now = clock_wall_seconds(),
                                         .lifetime_seconds = 3600};
    signal(SIGPIPE, SIG_IGN);
    if (!kube_global_init(NULL) || !cert_issue_ca(&request, &ca, NULL) ||
        !cert_issue_ca(&request, &other_ca, NULL) ||
        !cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, NULL))
        return 1;
    const struct net_options options = {.listen = "127.0.0.1:0",
                                        .threads = 1,
                                        .handlers = {.route = route, .handle = handle}};
    struct net_tls *tls = tls_with(str_null());
    server = net_server_start(&options, tls, NULL);
    net_tls_free(tls);
    return server != NULL ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    net_server_stop(server, 1000);
    cert_pair_done(&ca);
    cert_pair_done(&other_ca);
    cert_pair_done(&leaf);
    return 0;
}

static struct self_check check_of(void)
{
    return (struct self_check){.listen = "0.0.0.0:0",
                               .port = net_server_port(server),
                               .name = "hook.ns.svc",
                               .ca_pem = buf_view(&ca.cert)};
}

static void verified(void **state)
{
    (void)state;
    static const char *const listens[] = {"[::]:8443", "0.0.0.0:8443", ":8443",
                                          "127.0.0.1:0"};
    for (size_t i = 0; i < NRW_COUNT(listens); i++) {
        struct self_check check = check_of();
        struct err err = {0};
        check.listen = listens[i];
        if (!self_check(&check, &err))
            fail_msg("%s: %s", listens[i], err.message);
    }
    struct self_check address = check_of();
    address.name = "2001:db8::1";
    assert_true(self_check(&address, NULL));
}

static void not_verified(void **state)
{
    (void)state;
    struct err err = {0};
    struct self_check check = check_of();
    check.ca_pem = buf_view(&other_ca.cert);
    assert_false(self_check(&check, &err));
    assert_int_equal(err.code, ERR_INVALID);
    check = check_of();
    check.name = "other.ns.svc";
    assert_false(self_check(&check, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "as other.ns.svc"));
}

/* By the clock that is given, whatever this machine's says. */
static void by_whose_clock(void **state)
{
    (void)state;
    struct err err = {0};
    struct self_check check = check_of();
    check.now = clock_wall_seconds() + 1800;
    assert_true(self_check(&check, NULL));
    check.now = clock_wall_seconds() + 7200;
    assert_false(self_check(&check, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "expired"));
    check.now = clock_wall_seconds() - 86400;
    assert_false(self_check(&check, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static void no_verdict(void **state)
{
    (void)state;
    struct err err = {0};
    struct self_check check = check_of();
    check.port = 1;
    assert_false(self_check(&check, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
}

/* With a client certificate demanded the call cannot get through, but it sees enough. */
static void client_certificate_demanded(void **state)
{
    (void)state;
    struct net_tls *tls = tls_with(buf_view(&other_ca.cert));
    net_server_set_tls(server, tls);
    net_tls_free(tls);
    struct err err = {0};
    struct self_check check = check_of();
    assert_false(self_check(&check, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    check.client_certificate = true;
    assert_true(self_check(&check, &err));
    check.ca_pem = buf_view(&other_ca.cert);
    assert_false(self_check(&check, &err));
    assert_int_equal(err.code, ERR_INVALID);
    tls = tls_with(str_null());
    net_server_set_tls(server, tls);
    net_tls_free(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verified),
        cmocka_unit_test(not_verified),
        cmocka_unit_test(by_whose_clock),
        cmocka_unit_test(no_verdict),
        cmocka_unit_test(client_certificate_demanded),
    };
    return cmocka_run_group_tests_name("self_check", tests, set_up, tear_down);
}
