/* What `serve --demo` makes up; see demo.h. */
#include "app/demo.h"

#include "certs/issue.h"
#include "util/clock.h"

#define LIFETIME_DAYS 7

bool demo_policy(struct publish *publish, struct err *err)
{
    return publish_policy(publish, str_of(policy_example), "the example policy",
                          PUBLISH_ALOUD, err);
}

bool demo_certificate(struct publish *publish, struct err *err)
{
    static const char *const names[] = {"localhost"};
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    const struct cert_request request = {
        .dns_names = names,
        .dns_count = NRW_COUNT(names),
        .ip_addresses = addresses,
        .ip_count = NRW_COUNT(addresses),
        .now = clock_wall_seconds(),
        .lifetime_seconds = LIFETIME_DAYS * CERT_DAY_SECONDS,
    };
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    if (!cert_issue_ca(&request, &ca, err) ||
        !cert_issue_leaf(&request, buf_view(&ca.cert), buf_view(&ca.key), &leaf, err))
        return false;
    const struct publish_pair pair = {
        .cert_pem = buf_view(&leaf.cert),
        .key_pem = buf_view(&leaf.key),
        .origin = "a throw-away certificate",
    };
    return publish_certificate(publish, &pair, PUBLISH_ALOUD, err);
}
