/* `certs issue`: a CA and a serving certificate, as files or as a Secret for kubectl. The
 * CA's private key is forgotten unless it is asked for: who has it can be this webhook.
 * Main thread. */
#include "cli/certs.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/inspect.h"
#include "certs/issue.h"
#include "certs/pem.h"
#include "certs/time.h"
#include "cli/cli.h"
#include "kube/base64.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/num.h"

enum {
    OPT_DNS_NAME = 1,
    OPT_IP,
    OPT_SERVICE,
    OPT_NAMESPACE,
    OPT_OUT_DIR,
    OPT_OUTPUT,
    OPT_NAME,
    OPT_CA_CERT,
    OPT_CA_KEY,
    OPT_KEEP_CA_KEY,
    OPT_RSA,
    OPT_CA_DAYS,
    OPT_DAYS,
    OPT_FORCE,
};
enum { OUTPUT_FILES, OUTPUT_SECRET };

static const struct cli_option options[] = {
    {OPT_DNS_NAME, '\0', "dns-name", "NAME",
     "a name the server is called by; may be repeated"},
    {OPT_IP, '\0', "ip", "ADDRESS", "an address it is called by; may be repeated"},
    {OPT_SERVICE, '\0', "service", "NAME",
     "a Service: adds NAME.NS.svc, NAME.NS and NAME.NS.svc.cluster.local"},
    {OPT_NAMESPACE, 'n', "namespace", "NS", "the namespace of --service"},
    {OPT_OUT_DIR, '\0', "out-dir", "DIR",
     "where ca.crt, tls.crt and tls.key go (default: here);\n"
     "made if missing, with the folders above it"},
    {OPT_OUTPUT, 'o', "output", "FORMAT",
     "files (default), or secret: a Secret manifest on standard output"},
    {OPT_NAME, '\0', "name", "NS/NAME", "namespace and name of that Secret"},
    {OPT_CA_CERT, '\0', "ca-cert", "FILE", "sign with this CA instead of a new one"},
    {OPT_CA_KEY, '\0', "ca-key", "FILE", "its private key"},
    {OPT_KEEP_CA_KEY, '\0', "keep-ca-key", NULL,
     "write ca.key as well, to issue more certificates later"},
    {OPT_RSA, '\0', "rsa", "BITS",
     "RSA keys of 2048, 3072 or 4096 bits, not ECDSA P-256"},
    {OPT_CA_DAYS, '\0', "ca-days", "N", "how long a new CA lives (default: 365)"},
    {OPT_DAYS, '\0', "days", "N",
     "how long the serving certificate lives (default: 30), but no\n"
     "longer than the CA"},
    {OPT_FORCE, '\0', "force", NULL,
     "overwrite files that are there; without --keep-ca-key the key of a\n"
     "CA that is replaced is removed"},
};

static const struct cli_command command = {
    .name = "certs issue",
    .arguments = "",
    .summary = "Issues a CA and a serving certificate signed by it.",
    .options = options,
    .option_count = NRW_COUNT(options),
    .details =
        "ca.crt is what the caBundle of the webhook configurations must hold, tls.crt "
        "and\n"
        "tls.key are for serve --tls-cert and --tls-key. Files are written whole or not "
        "at\n"
        "all, tls.key readable for its owner only.\n"
        "\n"
        "Exit codes: 0 written, 2 not, or written and the list could not be printed.\n"
        "\n"
        "Examples:\n"
        "  " CLI_PROGRAM
        " certs issue --dns-name localhost --ip 127.0.0.1 --out-dir tls\n"
        "  " CLI_PROGRAM
        " certs issue --service nvcf-registry-webhook -n nvcf-webhook \\\n"
        "      -o secret --name nvcf-webhook/webhook-tls | kubectl apply -f -\n"
        "  " CLI_PROGRAM " certs issue --dns-name a.example --ca-cert ca.crt --ca-key "
        "ca.key \\\n"
        "      --days 7 --out-dir next\n",
};

/* What was asked for. Texts are argv's. */
struct wish {
    const char *dns[CERT_NAMES_MAXIMUM + 4];
    size_t dns_count;
    const char *ip[CERT_NAMES_MAXIMUM + 1];
    size_t ip_count;
    const char *service, *name_space;
    char service_names[3][300];
    const char *out_dir, *name, *ca_cert, *ca_key;
    unsigned output;
    unsigned rsa_bits;
    unsigned ca_days, days; /* 0 = not given */
    bool keep_ca_key, force;
};

/* --- the options ----------------------------------------------------------------------
 */

static bool parse_number(const char *option, const char *value, unsigned maximum,
                         unsigned *ret_number)
{
    uint64_t number = 0;
    if (!num_parse(str_of(value), maximum, &number) || number == 0) {
        cli_trouble(&command, "%s %s is not a number from 1 to %u", option, value,
                    maximum);
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static bool add_name(const char **list, size_t *count, const char *name)
{
    if (*count >= CERT_NAMES_MAXIMUM) {
        cli_trouble(&command, "more than %u names in one certificate",
                    CERT_NAMES_MAXIMUM);
        return false;
    }
    list[(*count)++] = name;
    return true;
}

static bool take_option(struct wish *wish, int got, const char *value)
{
    static const char *const formats[] = {"files", "secret"};
    switch (got) {
    case OPT_DNS_NAME:
        return add_name(wish->dns, &wish->dns_count, value);
    case OPT_IP:
        return add_name(wish->ip, &wish->ip_count, value);
    case OPT_OUTPUT:
        return cli_choice(&command, "-o", value, formats, NRW_COUNT(formats),
                          &wish->output);
    case OPT_RSA:
        return parse_number("--rsa", value, 16384, &wish->rsa_bits);
    case OPT_CA_DAYS:
        return parse_number("--ca-days", value, CERT_DAYS_MAXIMUM, &wish->ca_days);
    case OPT_DAYS:
        return parse_number("--days", value, CERT_DAYS_MAXIMUM, &wish->days);
    case OPT_SERVICE:
        wish->service = value;
        return true;
    case OPT_NAMESPACE:
        wish->name_space = value;
        return true;
    case OPT_OUT_DIR:
        wish->out_dir = value;
        return true;
    case OPT_NAME:
        wish->name = value;
        return true;
    case OPT_CA_CERT:
        wish->ca_cert = value;
        return true;
    case OPT_CA_KEY:
        wish->ca_key = value;
        return true;
    case OPT_KEEP_CA_KEY:
        wish->keep_ca_key = true;
        return true;
    default:
        wish->force = true;
        return true;
    }
}

/* A name of a Kubernetes object: lower-case labels. `dots` allows more than one. */
static bool object_name_valid(struct str name, bool dots)
{
    bool edge = true; /* the next character begins a label */
    if (name.n == 0 || name.n > (dots ? 253u : 63u))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '.' && (!dots || edge || name.p[i - 1] == '-'))
            return false;
        if (c != '.' && !ascii_is_lower(c) && !ascii_is_digit(c) && (c != '-' || edge))
            return false;
        edge = c == '.';
    }
    return ascii_is_lower(name.p[name.n - 1]) || ascii_is_digit(name.p[name.n - 1]);
}

static bool add_service(struct wish *wish)
{
    static const char *const forms[] = {"%s.%s.svc", "%s.%s", "%s.%s.svc.cluster.local"};
    if ((wish->service == NULL) != (wish->name_space == NULL)) {
        cli_trouble(&command, wish->service == NULL
                                  ? "--namespace goes with --service NAME"
                                  : "--service needs its --namespace NS");
        return false;
    }
    if (wish->service == NULL)
        return true;
    if (!object_name_valid(str_of(wish->service), false) ||
        !object_name_valid(str_of(wish->name_space), false)) {
        cli_trouble(&command,
                    "--service %s --namespace %s: names of a Service and a namespace are "
                    "lower-case letters, digits and hyphens",
                    wish->service, wish->name_space);
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        const char *form = forms[i];
        struct str tail = str_skip(str_of(form), strlen("%s.%s"));
        snprintf(wish->service_names[i], sizeof(wish->service_names[i]), "%s.%s%.*s",
                 wish->service, wish->name_space, STR_ARG(tail));
        if (!add_name(wish->dns, &wish->dns_count, wish->service_names[i]))
            return false;
    }
    return true;
}

/* False, and said: a combination that makes no sense. */
static bool check_wish(const struct wish *wish)
{
    const char *wrong = NULL;
    if (wish->dns_count + wish->ip_count == 0)
        wrong = "say what the server is called: --dns-name NAME, --ip ADDRESS, or "
                "--service NAME --namespace NS";
    else if (wish->output == OUTPUT_SECRET && wish->name == NULL)
        wrong = "-o secret needs the Secret's --name NAMESPACE/NAME";
    else if (wish->output == OUTPUT_SECRET && wish->out_dir != NULL)
        wrong = "-o secret prints the manifest; leave out --out-dir";
    else if (wish->output == OUTPUT_FILES && wish->name != NULL)
        wrong = "--name names a Secret: it goes with -o secret";
    else if ((wish->ca_cert == NULL) != (wish->ca_key == NULL))
        wrong = "--ca-cert and --ca-key go together";
    else if (wish->ca_cert != NULL && wish->ca_days != 0)
        wrong = "--ca-days is for a new CA; leave it out with --ca-cert";
    else if (wish->ca_cert != NULL && wish->keep_ca_key)
        wrong = "--keep-ca-key is for a new CA; leave it out with --ca-cert";
    if (wrong != NULL)
        cli_trouble(&command, "%s", wrong);
    return wrong == NULL;
}

/* --- output ---------------------------------------------------------------------------
 */

struct made {
    struct cert_pair ca; /* without its key when the CA was given */
    struct cert_pair leaf;
};

static void made_done(struct made *made)
{
    cert_pair_done(&made->ca);
    cert_pair_done(&made->leaf);
}

static void put_entry(struct buf *out, const char *name, const struct buf *value)
{
    buf_printf(out, "  %s: ", name);
    base64_encode(buf_view(value), out);
    buf_char(out, '\n');
}

static int write_secret(const struct wish *wish, const struct made *made)
{
    struct str whole = str_of(wish->name);
    size_t slash = str_index(whole, 0, '/');
    struct str name_space = str_first(whole, slash);
    struct str name = str_skip(whole, slash + 1);
    if (!object_name_valid(name_space, false) || !object_name_valid(name, true))
        return cli_trouble(&command, "--name %s is not NAMESPACE/NAME", wish->name);
    NRW_CLEANUP(cert_wipe) struct buf out;
    buf_init(&out, CERTS_FILE_MAXIMUM);
    buf_reserve(&out, 65536);
    buf_printf(&out,
               "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"%.*s\"\n"
               "  namespace: \"%.*s\"\ntype: kubernetes.io/tls\ndata:\n",
               STR_ARG(name), STR_ARG(name_space));
    put_entry(&out, "ca.crt", &made->ca.cert);
    if (wish->keep_ca_key)
        put_entry(&out, "ca.key", &made->ca.key);
    put_entry(&out, "tls.crt", &made->leaf.cert);
    put_entry(&out, "tls.key", &made->leaf.key);
    return cli_write(&command, &out) ? CLI_GOOD : CLI_TROUBLE;
}

struct file {
    const char *name;
    const struct buf *content;
    mode_t mode;
    char path[4096];
};

/* With all that is above it, as mkdir -p does. */
static bool make_folder(const char *dir)
{
    char path[4096];
    size_t n = strlen(dir);
    int wrong = n >= sizeof(path) ? ENAMETOOLONG : 0;
    for (size_t i = 1; wrong == 0 && i <= n; i++) {
        if (i < n && dir[i] != '/')
            continue;
        snprintf(path, sizeof(path), "%.*s", (int)i, dir);
        if (mkdir(path, 0755) == 0 || errno == EEXIST)
            continue;
        struct stat there; /* a folder above may be there and not ours to write to */
        wrong = errno;
        if (stat(path, &there) == 0 && S_ISDIR(there.st_mode))
            wrong = 0;
    }
    if (wrong != 0)
        cli_trouble(&command, "cannot make the folder %s: %s", dir, strerror(wrong));
    return wrong == 0;
}

/* Paths for all of them; `count` are to be written. */
static bool name_files(const struct wish *wish, struct file *files, size_t all,
                       size_t count)
{
    const char *dir = wish->out_dir != NULL ? wish->out_dir : ".";
    if (wish->out_dir != NULL && !make_folder(dir))
        return false;
    for (size_t i = 0; i < all; i++) {
        int n = wish->out_dir != NULL
                    ? snprintf(files[i].path, sizeof(files[i].path), "%s/%s", dir,
                               files[i].name)
                    : snprintf(files[i].path, sizeof(files[i].path), "%s", files[i].name);
        if (n < 0 || (size_t)n >= sizeof(files[i].path)) {
            cli_trouble(&command, "--out-dir is too long");
            return false;
        }
        struct stat there;
        if (i < count && !wish->force && lstat(files[i].path, &there) == 0) {
            cli_trouble(&command,
                        "%s exists; give --force to overwrite it, or another --out-dir",
                        files[i].path);
            return false;
        }
    }
    return true;
}

static void describe(struct buf *out, const char *path, const struct buf *cert)
{
    NRW_CLEANUP(arena_done) struct arena arena;
    arena_init(&arena, CERTS_FILE_MAXIMUM);
    struct cert_info *info = NULL;
    size_t count = 0;
    char time_text[CERT_TIME_TEXT];
    buf_printf(out, "wrote %s", path);
    if (cert_inspect(&arena, buf_view(cert), path, &info, &count, NULL)) {
        buf_printf(out, ": %s%.*s, expires %s", info->is_ca ? "CA, " : "",
                   STR_ARG(info->key_type), cert_time_text(info->not_after, time_text));
        for (size_t i = 0; i < info->name_count; i++) {
            buf_text(out, i == 0 ? ", for " : ", ");
            cli_plain(out, info->names[i]);
        }
    }
    buf_char(out, '\n');
}

/* Whether ca.key is the key of the CA that is about to be replaced, and not of the new
 * one: beside the new certificate it would be taken for its key. */
static bool is_stale(const struct made *made, const char *cert_path, const char *key_path)
{
    NRW_AUTO_BUF struct buf cert;
    NRW_CLEANUP(cert_wipe) struct buf key;
    buf_init(&cert, CERTS_FILE_MAXIMUM);
    buf_init(&key, CERTS_FILE_MAXIMUM);
    buf_reserve(&key, 65536);
    return file_read(cert_path, &cert, NULL) && file_read(key_path, &key, NULL) &&
           cert_key_matches(buf_view(&cert), buf_view(&key), NULL) &&
           !cert_key_matches(buf_view(&made->ca.cert), buf_view(&key), NULL);
}

/* What stood beside the files that were replaced; false, and said, when it stays. */
static bool remove_stale(struct buf *out, const char *key_path)
{
    if (unlink(key_path) != 0) {
        cli_trouble(&command, "the files are written, but %s cannot be removed: %s",
                    key_path, strerror(errno));
        return false;
    }
    buf_printf(out, "removed %s: the key of the CA that was replaced\n", key_path);
    return true;
}

static int write_files(const struct wish *wish, const struct made *made)
{
    struct file files[4] = {
        {.name = "ca.crt", .content = &made->ca.cert, .mode = 0644},
        {.name = "tls.crt", .content = &made->leaf.cert, .mode = 0644},
        {.name = "tls.key", .content = &made->leaf.key, .mode = 0600},
        {.name = "ca.key", .content = &made->ca.key, .mode = 0600},
    };
    size_t count = wish->keep_ca_key ? 4 : 3;
    if (!name_files(wish, files, NRW_COUNT(files), count))
        return CLI_TROUBLE;
    bool stale =
        wish->force && !wish->keep_ca_key && is_stale(made, files[0].path, files[3].path);
    struct err err = {0};
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, CERTS_FILE_MAXIMUM);
    struct file_write writes[NRW_COUNT(files)];
    for (size_t i = 0; i < count; i++)
        writes[i] = (struct file_write){.path = files[i].path,
                                        .data = files[i].content->data,
                                        .n = files[i].content->size,
                                        .mode = files[i].mode};
    if (!file_write_set(writes, count, &err))
        return cli_trouble(&command, "%s", err.message);
    for (size_t i = 0; i < count; i++) {
        if (i < 2)
            describe(&out, files[i].path, files[i].content);
        else
            buf_printf(&out, "wrote %s: private key, for its owner only\n",
                       files[i].path);
    }
    if (stale && !remove_stale(&out, files[3].path))
        return CLI_TROUBLE;
    buf_printf(&out, "caBundle: base64 -w0 %s\n", files[0].path);
    return cli_write(&command, &out) ? CLI_GOOD : CLI_TROUBLE;
}

/* --- issuing --------------------------------------------------------------------------
 */

static bool read_key(const char *path, struct buf *ret_key)
{
    /* Room at once: a buffer that grows leaves pieces of the key in freed memory. */
    buf_init(ret_key, CERTS_FILE_MAXIMUM);
    buf_reserve(ret_key, 65536);
    return cli_read(&command, path, ret_key);
}

static int issue(const struct wish *wish)
{
    struct err err = {0};
    struct cert_request request = {
        .dns_names = wish->dns,
        .dns_count = wish->dns_count,
        .ip_addresses = wish->ip,
        .ip_count = wish->ip_count,
        .now = clock_wall_seconds(),
        .lifetime_seconds = (wish->ca_days != 0 ? wish->ca_days : 365) * CERT_DAY_SECONDS,
        .rsa_bits = wish->rsa_bits,
    };
    NRW_CLEANUP(made_done)
    struct made made = {CERT_PAIR_INIT, CERT_PAIR_INIT};
    NRW_CLEANUP(cert_wipe) struct buf given_key = {0};
    if (wish->ca_cert != NULL) {
        made.ca.cert.maximum = CERTS_FILE_MAXIMUM;
        if (!cli_read(&command, wish->ca_cert, &made.ca.cert) ||
            !read_key(wish->ca_key, &given_key))
            return CLI_TROUBLE;
    } else if (!cert_issue_ca(&request, &made.ca, &err)) {
        return cli_trouble(&command, "%s", err.message);
    }
    request.lifetime_seconds = (wish->days != 0 ? wish->days : 30) * CERT_DAY_SECONDS;
    if (!cert_issue_leaf(&request, buf_view(&made.ca.cert),
                         buf_view(wish->ca_cert != NULL ? &given_key : &made.ca.key),
                         &made.leaf, &err))
        return cli_trouble(&command, "%s", err.message);
    return wish->output == OUTPUT_SECRET ? write_secret(wish, &made)
                                         : write_files(wish, &made);
}

int cli_certs_issue(int argc, char **argv)
{
    struct wish wish = {.output = OUTPUT_FILES};
    struct cli cli;
    const char *value;
    size_t left;
    cli_init(&cli, &command, argc, argv);
    for (int got; (got = cli_next(&cli, &value)) != CLI_END;) {
        if (got == CLI_HELP)
            return CLI_GOOD;
        if (got == CLI_BAD || !take_option(&wish, got, value))
            return CLI_TROUBLE;
    }
    char **rest = cli_arguments(&cli, &left);
    if (left > 0)
        return cli_trouble(&command, "%s is not expected here; names go with --dns-name",
                           rest[0]);
    const char *const inputs[] = {wish.ca_cert, wish.ca_key};
    if (!add_service(&wish) || !check_wish(&wish) ||
        !cli_one_of_stdin(&command, "--ca-cert and --ca-key", inputs, NRW_COUNT(inputs)))
        return CLI_TROUBLE;
    return issue(&wish);
}
