/* Which hostnames the NVCF API can match; see hostname.h. The grammar is the one that
 * java.net.URI parses (RFC 2396, 3.2.2: labels of letters, digits and inner dashes, the
 * last one not beginning with a digit; or a dotted IPv4 address; or an IPv6 address in
 * brackets). The normalisation is the API's own (nvcf-facts.md, part 2). Pure. */
#include "core/hostname.h"

#include "core/builtin.h"
#include "core/spring.h"
#include "util/attr.h"

static const struct str volces_regions[] = {
    STR("cn-beijing"),  STR("cn-shanghai"),    STR("cn-guangzhou"),   STR("cn-hangzhou"),
    STR("cn-hongkong"), STR("ap-southeast-1"), STR("ap-southeast-3"),
};

/* us-east-1, us-gov-west-1, ap-southeast-2 …: words and dashes, a number at the end; and
 * the SDK's pseudo regions, aws-global and its kin. */
static bool is_aws_region(struct str s)
{
    if (str_starts(s, STR("aws-")) && str_ends(s, STR("-global")))
        return true;
    if (str_eq(s, STR("aws-global")))
        return true;
    size_t dashes = 0;
    size_t i = 0;
    while (i < s.n && (ascii_is_lower(s.p[i]) || s.p[i] == '-')) {
        if (s.p[i] == '-') {
            if (i == 0 || s.p[i - 1] == '-')
                return false;
            dashes++;
        }
        i++;
    }
    if (dashes < 2 || i == s.n || s.p[i - 1] != '-')
        return false;
    for (; i < s.n; i++) {
        if (!ascii_is_digit(s.p[i]))
            return false;
    }
    return true;
}

static bool is_private_ecr(struct str host)
{
    static const struct str middle = STR(".dkr.ecr.");
    static const struct str end = STR(".amazonaws.com");
    if (host.n < 12 + middle.n + end.n || !str_ends(host, end))
        return false;
    for (size_t i = 0; i < 12; i++) {
        if (!ascii_is_digit(host.p[i]))
            return false;
    }
    struct str rest = str_skip(host, 12);
    if (!str_starts(rest, middle))
        return false;
    rest = str_skip(rest, middle.n);
    return rest.n > end.n && is_aws_region(str_first(rest, rest.n - end.n));
}

static bool is_volces(struct str host)
{
    static const struct str end = STR(".cr.volces.com");
    if (!str_ends(host, end))
        return false;
    struct str label = str_first(host, host.n - end.n);
    if (str_index(label, 0, '.') < label.n)
        return false;
    for (size_t i = 0; i < NRW_COUNT(volces_regions); i++) {
        struct str region = volces_regions[i];
        if (label.n > region.n + 1 && str_ends(label, region) &&
            label.p[label.n - region.n - 1] == '-')
            return true;
    }
    return false;
}

struct str hostname_normalise(struct str host)
{
    if (str_eq(host, STR("canary.nvcr.io")))
        return STR("nvcr.io");
    if (str_eq(host, STR("helm.canary.ngc.nvidia.com")))
        return STR("helm.ngc.nvidia.com");
    if (str_eq(host, STR("api.canary.ngc.nvidia.com")))
        return STR("api.ngc.nvidia.com");
    if (is_private_ecr(host))
        return STR("dkr.ecr.amazonaws.com");
    if (str_find(host, STR("azurecr.io")) < host.n)
        return STR("azurecr.io");
    if (is_volces(host))
        return STR("cr.volces.com");
    return host;
}

static bool is_ipv4(struct str s)
{
    unsigned parts = 0;
    size_t i = 0;
    while (parts < 4) {
        unsigned value = 0;
        size_t digits = 0;
        while (i < s.n && ascii_is_digit(s.p[i]) && digits < 4) {
            value = value * 10 + (unsigned)(s.p[i] - '0');
            digits++;
            i++;
        }
        if (digits == 0 || value > 255)
            return false;
        parts++;
        if (parts < 4) {
            if (i == s.n || s.p[i] != '.')
                return false;
            i++;
        }
    }
    return i == s.n;
}

/* Up to four hex digits from `at` on, lower case. Returns where they end. */
static size_t hex_end(struct str s, size_t at)
{
    size_t i = at;
    while (i < s.n && i < at + 5 &&
           (ascii_is_digit(s.p[i]) || (s.p[i] >= 'a' && s.p[i] <= 'f')))
        i++;
    return i;
}

/* [groups of hex digits, "::" at most once, perhaps an IPv4 address at the end]. */
static bool is_ipv6_literal(struct str s)
{
    if (s.n < 4 || s.p[0] != '[' || s.p[s.n - 1] != ']')
        return false;
    s = str_from(s.p + 1, s.n - 2);
    size_t bytes = 0;
    bool compressed = false;
    size_t i = 0;
    if (str_starts(s, STR("::"))) {
        compressed = true;
        i = 2;
    }
    while (i < s.n) {
        size_t end = hex_end(s, i);
        if (end < s.n && s.p[end] == '.')
            return bytes + i > 0 && is_ipv4(str_skip(s, i)) &&
                   (compressed ? bytes + 4 < 16 : bytes + 4 == 16);
        if (end == i || end > i + 4)
            return false;
        bytes += 2;
        i = end;
        if (i == s.n)
            break;
        if (s.p[i] != ':')
            return false;
        i++;
        if (i < s.n && s.p[i] == ':') {
            if (compressed)
                return false;
            compressed = true;
            i++;
        } else if (i == s.n) {
            return false;
        }
    }
    return compressed ? bytes < 16 : bytes == 16;
}

static bool labels_are_good(struct str host)
{
    size_t start = 0;
    for (;;) {
        size_t end = str_index(host, start, '.');
        if (end == start || host.p[start] == '-' || host.p[end - 1] == '-')
            return false;
        if (end == host.n)
            return start == 0 || !ascii_is_digit(host.p[start]);
        start = end + 1;
        if (start == host.n)
            return false;
    }
}

/* Where the host ends and a port may begin. */
static size_t host_end(struct str s)
{
    if (s.n == 0 || s.p[0] != '[')
        return str_index(s, 0, ':');
    size_t bracket = str_index(s, 0, ']');
    return bracket < s.n ? bracket + 1 : s.n;
}

static enum hostname_problem find_problem(struct str host)
{
    bool capitals = false;
    bool underscore = false;
    bool odd = false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        capitals = capitals || ascii_is_upper(c);
        underscore = underscore || c == '_';
        odd = odd || !(ascii_is_alnum(c) || c == '.' || c == '-' || c == '_');
    }
    if (spring_blank(host))
        return HOSTNAME_BLANK;
    if (str_find(host, STR("://")) < host.n)
        return HOSTNAME_SCHEME;
    if (str_index(host, 0, '/') < host.n)
        return HOSTNAME_PATH;
    if (is_ipv6_literal(host))
        return HOSTNAME_GOOD;
    size_t end = host_end(host);
    if (end < host.n && host.p[end] == ':' &&
        (host.p[0] != '[' || is_ipv6_literal(str_first(host, end)))) {
        bool digits = true;
        for (size_t i = end + 1; i < host.n; i++)
            digits = digits && ascii_is_digit(host.p[i]);
        return digits ? HOSTNAME_PORT : HOSTNAME_CHARACTER;
    }
    if (odd)
        return HOSTNAME_CHARACTER;
    if (capitals)
        return HOSTNAME_CAPITALS;
    if (underscore)
        return HOSTNAME_UNDERSCORE;
    if (host.p[host.n - 1] == '.')
        return HOSTNAME_TRAILING_DOT;
    if (!is_ipv4(host) && !labels_are_good(host))
        return HOSTNAME_LABEL;
    if (str_starts(host, STR("http")))
        return HOSTNAME_HTTP;
    return HOSTNAME_GOOD;
}

struct hostname_check hostname_check(struct str hostname)
{
    struct hostname_check check = {.problem = find_problem(hostname), .becomes = STR("")};
    if (check.problem != HOSTNAME_GOOD)
        return check;
    struct str becomes = hostname_normalise(hostname);
    if (!str_eq(becomes, hostname)) {
        check.problem = HOSTNAME_NORMALISED;
        check.becomes = becomes;
    }
    return check;
}

struct str hostname_explain(struct arena *arena, struct str hostname,
                            struct hostname_check check)
{
    switch (check.problem) {
    case HOSTNAME_GOOD:
        return STR("");
    case HOSTNAME_BLANK:
        return STR("the hostname is blank: binding fails and the API does not start");
    case HOSTNAME_SCHEME:
        return arena_printf(
            arena,
            "\"%.*s\" has a scheme, but the API compares with the bare host "
            "of an image: it would never match",
            STR_ARG(hostname));
    case HOSTNAME_PATH:
        return arena_printf(
            arena,
            "\"%.*s\" has a path, but the API compares with the bare host of "
            "an image: it would never match",
            STR_ARG(hostname));
    case HOSTNAME_PORT:
        return arena_printf(arena,
                            "\"%.*s\" has a port, but the API drops the port of an image "
                            "before it looks the host up: it would never match",
                            STR_ARG(hostname));
    case HOSTNAME_CAPITALS:
        return arena_printf(
            arena,
            "\"%.*s\" has capital letters, but the look-up is case-sensitive "
            "and image references are lower case: it would never match",
            STR_ARG(hostname));
    case HOSTNAME_TRAILING_DOT:
        return arena_printf(
            arena,
            "\"%.*s\" ends with a dot, which no image reference has: it would "
            "never match",
            STR_ARG(hostname));
    case HOSTNAME_UNDERSCORE:
        return arena_printf(
            arena,
            "\"%.*s\" has an underscore: java.net.URI finds no host in such an "
            "image, so it would never match",
            STR_ARG(hostname));
    case HOSTNAME_CHARACTER:
        return arena_printf(
            arena,
            "\"%.*s\" has a character that cannot stand in a host name: it "
            "would never match",
            STR_ARG(hostname));
    case HOSTNAME_HTTP:
        return arena_printf(
            arena,
            "\"%.*s\" begins with \"http\", and the API takes an image that "
            "does for a URL: it would never match",
            STR_ARG(hostname));
    case HOSTNAME_LABEL:
        return arena_printf(
            arena,
            "\"%.*s\" is not a host name to java.net.URI (an empty part, a "
            "dash at an end, or a last part that begins with a digit): it "
            "would never match",
            STR_ARG(hostname));
    case HOSTNAME_NORMALISED:
        break;
    }
    return arena_printf(
        arena,
        "the API turns the host \"%.*s\" into \"%.*s\" before it looks it up, "
        "so this entry would never match and the built-in registry serves it",
        STR_ARG(hostname), STR_ARG(check.becomes));
}

/* The host inside what was written: scheme, user, path, port and final dot off, lower
 * case; an IPv6 address in its brackets. */
static struct str bare_host(struct arena *arena, struct str s)
{
    char *lower = arena_alloc(arena, s.n + 1, 1);
    if (lower == NULL)
        return STR("");
    for (size_t i = 0; i < s.n; i++)
        lower[i] = ascii_lower(s.p[i]);
    s = str_from(lower, s.n);
    size_t scheme = str_find(s, STR("://"));
    if (scheme < s.n)
        s = str_skip(s, scheme + 3);
    s = str_first(s, str_index(s, 0, '/'));
    size_t at = str_index(s, 0, '@');
    if (at < s.n)
        s = str_skip(s, at + 1);
    struct str literal = arena_printf(arena, "[%.*s]", STR_ARG(s));
    if (is_ipv6_literal(literal))
        return literal;
    s = str_first(s, host_end(s));
    while (s.n > 0 && s.p[s.n - 1] == '.')
        s.n--;
    while (s.n > 0 && (unsigned char)s.p[0] <= ' ')
        s = str_skip(s, 1);
    while (s.n > 0 && (unsigned char)s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

struct str hostname_advise(struct arena *arena, struct str hostname,
                           struct hostname_check check)
{
    switch (check.problem) {
    case HOSTNAME_GOOD:
        return STR("");
    case HOSTNAME_BLANK:
        return STR("write the host of the registry, such as registry.corp.example");
    case HOSTNAME_NORMALISED: {
        const struct builtin *builtin = builtin_by_hostname(check.becomes);
        return arena_printf(
            arena,
            "remove this registry: images of this host are recognised as the "
            "built-in %.*s already",
            STR_ARG(builtin != NULL ? builtin->env : STR("registry")));
    }
    case HOSTNAME_UNDERSCORE:
        return STR("give the registry a DNS name without an underscore");
    case HOSTNAME_HTTP:
        return STR("give the registry a DNS name that begins with something else");
    case HOSTNAME_LABEL:
        return STR("write a DNS name such as registry.corp.example, or an IPv4 address");
    case HOSTNAME_SCHEME:
    case HOSTNAME_PATH:
    case HOSTNAME_PORT:
    case HOSTNAME_CAPITALS:
    case HOSTNAME_TRAILING_DOT:
    case HOSTNAME_CHARACTER:
        break;
    }
    struct str bare = bare_host(arena, hostname);
    if (bare.n == 0 || hostname_check(bare).problem != HOSTNAME_GOOD ||
        builtin_by_hostname(bare) != NULL)
        return STR("write the bare host of the registry, such as registry.corp.example");
    if (check.problem == HOSTNAME_PORT)
        return arena_printf(arena, "write \"%.*s\": it matches images on any port",
                            STR_ARG(bare));
    return arena_printf(arena, "write \"%.*s\"", STR_ARG(bare));
}
