/* The flags of `serve`; see serve_flags.h. One table says everything of a flag: its name,
 * its help, its name in the environment and what its value may be. Flags beat the
 * environment: of a flag that is given the variable is not even looked at. An empty
 * variable is none. Variables of the prefix
 * that are no flags are passed over: Kubernetes puts the addresses of a Service named
 * nvcf-registry-webhook (…_SERVICE_HOST, …_PORT) into every pod of its namespace. */
#include "cli/serve_flags.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certs/issue.h"
#include "util/mem.h"
#include "util/num.h"

#define ENVIRONMENT "NVCF_REGISTRY_WEBHOOK_"

#define THREADS_DEFAULT_MAXIMUM 4u
#define THREADS_MAXIMUM         64u
#define DRAIN_MAXIMUM           3600u
#define LIFETIME_MINIMUM        10
#define LIFETIME_MAXIMUM        (INT64_C(3650) * 86400)

enum flag {
    FLAG_LISTEN = 1,
    FLAG_METRICS_LISTEN,
    FLAG_POLICY_FILE,
    FLAG_POLICY_CONFIGMAP,
    FLAG_TLS_CERT,
    FLAG_TLS_KEY,
    FLAG_TLS_SECRET,
    FLAG_WEBHOOK_CONFIG,
    FLAG_DNS_NAME,
    FLAG_CA_LIFETIME,
    FLAG_CERT_LIFETIME,
    FLAG_CLIENT_CA,
    FLAG_CLIENT_NAME,
    FLAG_KUBECONFIG,
    FLAG_RECONCILE,
    FLAG_THREADS,
    FLAG_LOG_LEVEL,
    FLAG_LOG_FORMAT,
    FLAG_DRAIN_SECONDS,
    FLAG_SECCOMP,
    FLAG_DEMO, /* the last one */
};

static const struct cli_option options[] = {
    {FLAG_LISTEN, '\0', "listen", "ADDRESS:PORT",
     "HTTPS, for the API server: /mutate, /validate (default [::]:8443)"},
    {FLAG_METRICS_LISTEN, '\0', "metrics-listen", "ADDRESS:PORT",
     "plain HTTP: /metrics, /healthz, /readyz, /version\n"
     "(default [::]:8080); none turns it off"},
    {FLAG_POLICY_FILE, '\0', "policy-file", "FILE",
     "the policy, read again when it changes"},
    {FLAG_POLICY_CONFIGMAP, '\0', "policy-configmap", "NAMESPACE/NAME",
     "the policy, from key policy.yaml of this ConfigMap, watched"},
    {FLAG_TLS_CERT, '\0', "tls-cert", "FILE",
     "PEM certificate, leaf first, read again when it changes"},
    {FLAG_TLS_KEY, '\0', "tls-key", "FILE", "its private key"},
    {FLAG_TLS_SECRET, '\0', "tls-secret", "NAMESPACE/NAME",
     "certificates issued and rotated here and kept in this Secret"},
    {FLAG_WEBHOOK_CONFIG, '\0', "webhook-config", "NAME",
     "the Mutating- and ValidatingWebhookConfiguration that get\n"
     "the caBundle of --tls-secret"},
    {FLAG_DNS_NAME, '\0', "dns-name", "NAME",
     "a name in the certificate of --tls-secret (repeatable)"},
    {FLAG_CA_LIFETIME, '\0', "ca-lifetime", "DURATION",
     "how long a CA of --tls-secret lives: 365d (default), 12h ..."},
    {FLAG_CERT_LIFETIME, '\0', "cert-lifetime", "DURATION",
     "how long a serving certificate lives (default 30d); each is\n"
     "replaced after two thirds of its life"},
    {FLAG_CLIENT_CA, '\0', "client-ca", "FILE",
     "demand a client certificate signed by one of these"},
    {FLAG_CLIENT_NAME, '\0', "client-name", "NAME",
     "... that bears this name (repeatable: any of them)"},
    {FLAG_KUBECONFIG, '\0', "kubeconfig", "FILE",
     "how to reach the API server (default: in-cluster)"},
    {FLAG_RECONCILE, '\0', "reconcile", NULL,
     "re-submit target Deployments when the policy changes"},
    {FLAG_THREADS, '\0', "threads", "N",
     "worker threads (default: as many as cores, at most 4)"},
    {FLAG_LOG_LEVEL, '\0', "log-level", "LEVEL", "debug, info (default), warn or error"},
    {FLAG_LOG_FORMAT, '\0', "log-format", "FORMAT", "json (default) or text"},
    {FLAG_DRAIN_SECONDS, '\0', "drain-seconds", "N",
     "after SIGTERM: serve on this long, not ready (default 10)"},
    {FLAG_SECCOMP, '\0', "seccomp", "on|off",
     "once serving, refuse every system call that is not needed\n"
     "(default on; off in builds with a sanitizer)"},
    {FLAG_DEMO, '\0', "demo", NULL,
     "make what is not given: the example policy, and a throw-away\n"
     "certificate for localhost"},
};

const struct cli_command serve_command = {
    .name = "serve",
    .arguments = "",
    .summary = "Runs the webhook: answers the API server's AdmissionReviews.",
    .options = options,
    .option_count = NRW_COUNT(options),
    .details =
        "Each flag is also an environment variable: --policy-file is\n" ENVIRONMENT
        "POLICY_FILE. Flags beat the environment; lists are separated by\n"
        "commas there, and flags without a value say true or false.\n"
        "\n"
        "Signals: SIGTERM and SIGINT drain and end, a second one ends at once; SIGHUP\n"
        "reads all files again.\n"
        "\n"
        "Exit codes: 0 ended by a signal, 1 the policy or the certificate is not good,\n"
        "2 it could not start, 128 and its number when a second signal ended it.\n"
        "\n"
        "Examples:\n"
        "  " CLI_PROGRAM " serve --demo --listen 127.0.0.1:8443\n"
        "  " CLI_PROGRAM " serve --policy-file policy.yaml --tls-cert tls.crt "
        "--tls-key tls.key\n",
};

/* --- values ---------------------------------------------------------------------------
 * `shown` is how the user wrote the flag: "--threads", or the variable's name.
 */

static bool wrong(const char *shown, const char *value, const char *right)
{
    cli_trouble(&serve_command, "%s %s: %s", shown, value, right);
    return false;
}

static bool set_number(const char *shown, const char *value, unsigned least,
                       unsigned most, unsigned *ret_number)
{
    uint64_t number;
    if (!num_parse(str_of(value), most, &number) || number < least) {
        cli_trouble(&serve_command, "%s %s: give a whole number from %u to %u", shown,
                    value, least, most);
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

/* The form only; whether the address is there is the server's business. */
static bool set_address(const char *shown, const char *value, const char **ret_address)
{
    const char *colon = strrchr(value, ':');
    uint64_t port;
    if (colon == NULL || !num_parse(str_of(colon + 1), 65535, &port))
        return wrong(shown, value,
                     "give ADDRESS:PORT, for example [::]:8443 or 127.0.0.1:8443");
    *ret_address = value;
    return true;
}

static bool set_file(const char *shown, const char *value, const char **ret_path)
{
    if (strcmp(value, "-") == 0)
        return wrong(shown, value, "give a file: standard input cannot be read again");
    *ret_path = value;
    return true;
}

/* Names of namespaces, ConfigMaps, Secrets: lower-case letters, digits and inner hyphens;
 * parts with dots between them where `dots` (RFC 1123 as Kubernetes applies it). */
static bool object_name(struct str name, bool dots)
{
    if (name.n == 0 || name.n > (dots ? 253u : 63u))
        return false;
    bool after_letter = false; /* what came last is a letter or digit */
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = ascii_is_lower(c) || ascii_is_digit(c);
        bool starts = i == 0 || name.p[i - 1] == '.';
        if (!letter && !(c == '-' && !starts) && !(c == '.' && dots && after_letter))
            return false;
        after_letter = letter;
    }
    return after_letter;
}

static bool set_place(const char *shown, const char *value, const char **ret_place)
{
    struct str whole = str_of(value);
    size_t slash = str_index(whole, 0, '/');
    if (!object_name(str_first(whole, slash), false) ||
        !object_name(str_skip(whole, slash + 1), true))
        return wrong(shown, value,
                     "give NAMESPACE/NAME, for example "
                     "nvcf-registry-webhook/nvcf-registry-policy");
    *ret_place = value;
    return true;
}

static bool add_name(const char *shown, const char *value,
                     const char *names[SERVE_NAMES_MAXIMUM], size_t *count)
{
    if (*value == '\0')
        return wrong(shown, value, "a name is empty");
    if (*count == SERVE_NAMES_MAXIMUM) {
        cli_trouble(&serve_command, "%s: at most %u names", shown, SERVE_NAMES_MAXIMUM);
        return false;
    }
    names[(*count)++] = value;
    return true;
}

static bool add_dns_name(struct serve_flags *flags, const char *shown, const char *value)
{
    if (*value != '\0' && !cert_dns_name_valid(value) && !cert_ip_valid(value))
        return wrong(shown, value, "not a DNS name or IP address");
    return add_name(shown, value, flags->dns_names, &flags->app.cluster.dns_name_count);
}

/* Seconds of "365d", "12h", "90m", "30s". */
static bool set_duration(const char *shown, const char *value, int64_t *ret_seconds)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    struct str digits = str_of(value);
    uint64_t number = 0;
    for (size_t i = 0; digits.n > 1 && i < NRW_COUNT(units); i++) {
        if (value[digits.n - 1] != units[i].letter ||
            !num_parse(str_first(digits, digits.n - 1), UINT32_MAX, &number))
            continue;
        int64_t seconds = (int64_t)number * units[i].seconds;
        if (seconds < LIFETIME_MINIMUM || seconds > LIFETIME_MAXIMUM)
            break;
        *ret_seconds = seconds;
        return true;
    }
    return wrong(shown, value, "give a duration from 10s to 3650d, such as 365d or 12h");
}

static bool set_log_level(struct serve_flags *flags, const char *shown, const char *value)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    unsigned at;
    return cli_choice(&serve_command, shown, value, levels, NRW_COUNT(levels), &at) &&
           log_level_parse(levels[at], &flags->log_level);
}

static bool set_log_format(struct serve_flags *flags, const char *shown,
                           const char *value)
{
    static const char *const formats[] = {"json", "text"};
    unsigned at;
    if (!cli_choice(&serve_command, shown, value, formats, NRW_COUNT(formats), &at))
        return false;
    flags->log_format = at == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    return true;
}

/* `value` is "true" for a flag without one. */
static bool set_switch(const char *shown, const char *value, bool *ret_on)
{
    static const char *const words[] = {"true", "false", "1", "0"};
    unsigned at;
    if (!cli_choice(&serve_command, shown, value, words, NRW_COUNT(words), &at))
        return false;
    *ret_on = at % 2 == 0;
    return true;
}

static bool set_seccomp(const char *shown, const char *value, bool *ret_on)
{
    static const char *const words[] = {"on", "off"};
    unsigned at;
    if (!cli_choice(&serve_command, shown, value, words, NRW_COUNT(words), &at))
        return false;
    *ret_on = at == 0;
    return true;
}

static bool set(struct serve_flags *flags, int flag, const char *shown, const char *value)
{
    struct app_options *app = &flags->app;
    switch ((enum flag)flag) {
    case FLAG_LISTEN:
        return set_address(shown, value, &app->listen);
    case FLAG_METRICS_LISTEN:
        if (strcmp(value, "none") == 0) {
            app->metrics_listen = NULL;
            return true;
        }
        return set_address(shown, value, &app->metrics_listen);
    case FLAG_POLICY_FILE:
        return set_file(shown, value, &app->policy_file);
    case FLAG_POLICY_CONFIGMAP:
        return set_place(shown, value, &app->cluster.policy_configmap);
    case FLAG_TLS_CERT:
        return set_file(shown, value, &app->tls_cert);
    case FLAG_TLS_KEY:
        return set_file(shown, value, &app->tls_key);
    case FLAG_TLS_SECRET:
        return set_place(shown, value, &app->cluster.tls_secret);
    case FLAG_WEBHOOK_CONFIG:
        if (!object_name(str_of(value), true))
            return wrong(shown, value, "not a name that Kubernetes takes");
        app->cluster.webhook_config = value;
        return true;
    case FLAG_DNS_NAME:
        return add_dns_name(flags, shown, value);
    case FLAG_CA_LIFETIME:
        return set_duration(shown, value, &app->cluster.ca_lifetime);
    case FLAG_CERT_LIFETIME:
        return set_duration(shown, value, &app->cluster.cert_lifetime);
    case FLAG_CLIENT_CA:
        return set_file(shown, value, &app->client_ca);
    case FLAG_CLIENT_NAME:
        return add_name(shown, value, flags->client_names, &app->client_name_count);
    case FLAG_KUBECONFIG:
        return set_file(shown, value, &app->cluster.kubeconfig);
    case FLAG_RECONCILE:
        return set_switch(shown, value, &app->cluster.reconcile);
    case FLAG_THREADS:
        return set_number(shown, value, 1, THREADS_MAXIMUM, &app->threads);
    case FLAG_LOG_LEVEL:
        return set_log_level(flags, shown, value);
    case FLAG_LOG_FORMAT:
        return set_log_format(flags, shown, value);
    case FLAG_DRAIN_SECONDS:
        return set_number(shown, value, 0, DRAIN_MAXIMUM, &app->drain_seconds);
    case FLAG_SECCOMP:
        return set_seccomp(shown, value, &app->confine);
    case FLAG_DEMO:
        return set_switch(shown, value, &app->demo);
    }
    return false;
}

/* --- where values come from -----------------------------------------------------------
 */

_Static_assert(FLAG_DEMO < 32, "a bit of as_option for each flag");
static bool is_option(const struct serve_flags *flags, int id)
{
    return (flags->as_option & UINT32_C(1) << id) != 0;
}

static const struct cli_option *option_of(int id)
{
    size_t i = 0;
    while (i < NRW_COUNT(options) - 1 && options[i].id != id)
        i++;
    return &options[i];
}

struct shown {
    char text[64];
};

static struct shown as_option(const struct cli_option *option)
{
    struct shown shown;
    snprintf(shown.text, sizeof(shown.text), "--%s", option->name);
    return shown;
}

static struct shown as_variable(const struct cli_option *option)
{
    struct shown shown;
    snprintf(shown.text, sizeof(shown.text), ENVIRONMENT "%s", option->name);
    for (char *p = shown.text + sizeof(ENVIRONMENT) - 1; *p != '\0'; p++)
        *p = *p == '-' ? '_' : ascii_upper(*p);
    return shown;
}

/* As the user gave it. */
static struct shown as_given(const struct serve_flags *flags, int id)
{
    return is_option(flags, id) ? as_option(option_of(id)) : as_variable(option_of(id));
}

/* Each piece of a list; the copy lives as long as the flags. */
static bool set_list(struct serve_flags *flags, const struct cli_option *option,
                     const char *shown, const char *value)
{
    char **copy = &flags->copies[option->id == FLAG_DNS_NAME ? 0 : 1];
    *copy = mem_strdup(value);
    if (*copy == NULL) {
        cli_trouble(&serve_command, "out of memory");
        return false;
    }
    for (char *piece = *copy; piece != NULL;) {
        char *comma = strchr(piece, ',');
        if (comma != NULL)
            *comma = '\0';
        if (!set(flags, option->id, shown, piece))
            return false;
        piece = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

static bool read_environment(struct serve_flags *flags)
{
    for (size_t i = 0; i < NRW_COUNT(options); i++) {
        const struct cli_option *option = &options[i];
        struct shown name = as_variable(option);
        const char *value = getenv(name.text);
        if (value == NULL || *value == '\0' || is_option(flags, option->id))
            continue;
        bool list = option->id == FLAG_DNS_NAME || option->id == FLAG_CLIENT_NAME;
        if (list ? !set_list(flags, option, name.text, value)
                 : !set(flags, option->id, name.text, value))
            return false;
    }
    return true;
}

/* Which flags there are, and whether they can be read at all; help is printed. */
static int look_at_flags(struct serve_flags *flags, int argc, char **argv)
{
    struct cli cli;
    const char *value;
    int got;
    cli_init(&cli, &serve_command, argc, argv);
    while ((got = cli_next(&cli, &value)) > 0)
        flags->as_option |= UINT32_C(1) << got;
    return got;
}

static int read_flags(struct serve_flags *flags, int argc, char **argv)
{
    struct cli cli;
    const char *value;
    cli_init(&cli, &serve_command, argc, argv);
    for (int got; (got = cli_next(&cli, &value)) != CLI_END;) {
        if (got == CLI_HELP || got == CLI_BAD)
            return got;
        struct shown shown = as_option(option_of(got));
        if (!set(flags, got, shown.text, value != NULL ? value : "true"))
            return CLI_BAD;
    }
    size_t count;
    char **arguments = cli_arguments(&cli, &count);
    if (count > 0) {
        cli_trouble(&serve_command, "unexpected argument %s: serve takes options only",
                    arguments[0]);
        return CLI_BAD;
    }
    return CLI_END;
}

/* --- all together ---------------------------------------------------------------------
 */

static bool both(const struct serve_flags *flags, const char *a, int flag_a,
                 const char *b, int flag_b)
{
    if (a == NULL || b == NULL)
        return false;
    struct shown shown_a = as_given(flags, flag_a), shown_b = as_given(flags, flag_b);
    cli_trouble(&serve_command, "%s and %s: give one of them", shown_a.text,
                shown_b.text);
    return true;
}

static bool needs(const struct serve_flags *flags, bool given, int flag, bool there,
                  int other)
{
    if (!given || there)
        return false;
    struct shown shown = as_given(flags, flag);
    cli_trouble(&serve_command, "%s needs --%s", shown.text, option_of(other)->name);
    return true;
}

/* Port 0 is another one each time. */
static bool same_address(const char *listen, const char *metrics)
{
    size_t n = strlen(listen);
    if (metrics == NULL || strcmp(listen, metrics) != 0 ||
        strcmp(listen + n - 2, ":0") == 0)
        return false;
    cli_trouble(&serve_command,
                "--listen and --metrics-listen are both %s: give two ports", listen);
    return true;
}

static bool consistent(const struct serve_flags *flags)
{
    const struct app_options *app = &flags->app;
    const struct app_cluster *cluster = &app->cluster;
    bool cert = app->tls_cert != NULL, key = app->tls_key != NULL;
    bool secret = cluster->tls_secret != NULL, names = cluster->dns_name_count > 0;
    if (same_address(app->listen, app->metrics_listen) ||
        both(flags, app->policy_file, FLAG_POLICY_FILE, cluster->policy_configmap,
             FLAG_POLICY_CONFIGMAP) ||
        both(flags, app->tls_cert, FLAG_TLS_CERT, cluster->tls_secret, FLAG_TLS_SECRET))
        return false;
    if (needs(flags, cert, FLAG_TLS_CERT, key, FLAG_TLS_KEY) ||
        needs(flags, key, FLAG_TLS_KEY, cert, FLAG_TLS_CERT) ||
        needs(flags, app->client_name_count > 0, FLAG_CLIENT_NAME, app->client_ca != NULL,
              FLAG_CLIENT_CA) ||
        needs(flags, names, FLAG_DNS_NAME, secret, FLAG_TLS_SECRET) ||
        needs(flags, secret, FLAG_TLS_SECRET, names, FLAG_DNS_NAME) ||
        needs(flags, cluster->webhook_config != NULL, FLAG_WEBHOOK_CONFIG, secret,
              FLAG_TLS_SECRET) ||
        needs(flags, cluster->ca_lifetime != 0, FLAG_CA_LIFETIME, secret,
              FLAG_TLS_SECRET) ||
        needs(flags, cluster->cert_lifetime != 0, FLAG_CERT_LIFETIME, secret,
              FLAG_TLS_SECRET))
        return false;
    if (cluster->cert_lifetime != 0 && cluster->ca_lifetime != 0 &&
        cluster->cert_lifetime > cluster->ca_lifetime) {
        cli_trouble(&serve_command,
                    "--cert-lifetime is longer than --ca-lifetime: a certificate cannot "
                    "outlive its CA");
        return false;
    }
    bool policy = app->policy_file != NULL || cluster->policy_configmap != NULL;
    bool certificate = app->tls_cert != NULL || cluster->tls_secret != NULL;
    if (app->demo || (policy && certificate))
        return true;
    cli_trouble(&serve_command, "%s%s%s; or try it with --demo",
                policy ? "" : "no policy: give --policy-file or --policy-configmap",
                policy || certificate ? "" : "; ",
                certificate ? ""
                            : "no certificate: give --tls-cert and --tls-key, or "
                              "--tls-secret");
    return false;
}

/* The cores it may run on, which can be fewer than the machine has. */
static unsigned default_threads(void)
{
    cpu_set_t set;
    int cores = 0;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cores = CPU_COUNT(&set);
    if (cores < 1)
        return 1;
    return (unsigned)cores < THREADS_DEFAULT_MAXIMUM ? (unsigned)cores
                                                     : THREADS_DEFAULT_MAXIMUM;
}

int serve_flags_read(struct serve_flags *flags, int argc, char **argv, bool *ret_go)
{
    *flags = (struct serve_flags){
        .app = {.listen = "[::]:8443",
                .metrics_listen = "[::]:8080",
                .threads = default_threads(),
                .drain_seconds = 10,
                .confine = true},
        .log_level = LOG_LEVEL_INFO,
        .log_format = LOG_FORMAT_JSON,
    };
    flags->app.client_names = flags->client_names;
    flags->app.cluster.dns_names = flags->dns_names;
    *ret_go = false;
    int ended = look_at_flags(flags, argc, argv);
    if (ended == CLI_HELP)
        return CLI_GOOD;
    if (ended == CLI_BAD || !read_environment(flags) ||
        read_flags(flags, argc, argv) != CLI_END || !consistent(flags))
        return CLI_TROUBLE;
    *ret_go = true;
    return CLI_GOOD;
}

void serve_flags_done(struct serve_flags *flags)
{
    for (size_t i = 0; i < NRW_COUNT(flags->copies); i++)
        mem_free(flags->copies[i]);
}
