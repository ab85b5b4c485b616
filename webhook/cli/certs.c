/* `certs`: show what certificates say, verify them as the API server would, and (in
 * certs_issue.c) issue them. Main thread. */
#include "cli/certs.h"

#include <inttypes.h>

#include "certs/inspect.h"
#include "certs/issue.h"
#include "certs/pem.h"
#include "certs/time.h"
#include "cli/cli.h"
#include "util/clock.h"

enum { OPT_OUTPUT = 1, OPT_AT, OPT_CA, OPT_DNS_NAME, OPT_KEY };

static bool parse_at(const struct cli_command *command, const char *value,
                     int64_t *ret_at)
{
    if (cert_time_parse(str_of(value), ret_at))
        return true;
    cli_trouble(command,
                "--at %s is not a time; write 2026-11-24T12:00:00Z, 2026-11-24, or "
                "seconds since 1970",
                value);
    return false;
}

/* --- show -----------------------------------------------------------------------------
 */

enum { SHOW_TABLE, SHOW_WIDE, SHOW_JSON };

static const struct cli_option show_options[] = {
    {OPT_OUTPUT, 'o', "output", "FORMAT",
     "table (default), wide, or json: one object per certificate, one per line"},
    {OPT_AT, '\0', "at", "TIME", "judge as if it were this time (default: now)"},
};

static const struct cli_command show_command = {
    .name = "certs show",
    .arguments = "FILE...|-",
    .summary = "Shows the certificates in PEM files.",
    .options = show_options,
    .option_count = NRW_COUNT(show_options),
    .details =
        "Exit codes: 0 all are valid at that time, 1 one is expired or not valid yet, "
        "2 a\nfile could not be read.\n"
        "\n"
        "Examples:\n"
        "  " CLI_PROGRAM " certs show tls/ca.crt tls/tls.crt\n"
        "  kubectl get secret webhook-tls -o 'jsonpath={.data.tls\\.crt}' | "
        "base64 -d |\n"
        "      " CLI_PROGRAM " certs show -o json -\n",
};

#define COLUMNS 9

/* A table in the making: rows of texts in one arena. */
struct table {
    struct arena arena;
    struct arena_list rows; /* of struct row */
    bool wide;
};
struct row {
    struct str cell[COLUMNS];
};

static const struct {
    const char *title;
    bool wide;
} columns[COLUMNS] = {
    {"FILE", false},  {"SUBJECT", false}, {"KIND", false},
    {"KEY", false},   {"EXPIRES", false}, {"LEFT", false},
    {"NAMES", false}, {"ISSUER", true},   {"SHA256", true},
};

static struct str time_left(struct arena *arena, const struct cert_info *info, int64_t at)
{
    if (at > info->not_after)
        return STR("expired");
    if (at < info->not_before)
        return STR("not yet");
    int64_t left = info->not_after - at;
    if (left >= 2 * CERT_DAY_SECONDS)
        return arena_printf(arena, "%" PRId64 "d", left / CERT_DAY_SECONDS);
    if (left >= 7200)
        return arena_printf(arena, "%" PRId64 "h", left / 3600);
    return arena_printf(arena, "%" PRId64 "m", left / 60);
}

static struct str join_names(struct arena *arena, const struct cert_info *info)
{
    struct str all = STR("");
    for (size_t i = 0; i < info->name_count; i++)
        all = arena_printf(arena, "%.*s%s%.*s", STR_ARG(all), i > 0 ? "," : "",
                           STR_ARG(info->names[i]));
    if (info->other_names > 0)
        all = arena_printf(arena, "%.*s%s(%zu other)", STR_ARG(all), all.n > 0 ? "," : "",
                           info->other_names);
    return all.n > 0 ? all : STR("-");
}

static void add_row(struct table *table, const char *file, const struct cert_info *info,
                    int64_t at)
{
    struct arena *arena = &table->arena;
    struct row *row = arena_list_add(arena, &table->rows, sizeof(*row));
    char time_text[CERT_TIME_TEXT];
    if (row == NULL)
        return;
    *row = (struct row){{
        str_of(file),
        info->subject.n > 0 ? info->subject : STR("-"),
        info->is_ca         ? STR("CA")
        : info->server_auth ? STR("server")
                            : STR("other"),
        info->key_type,
        arena_str(arena, str_of(cert_time_text(info->not_after, time_text))),
        time_left(arena, info, at),
        join_names(arena, info),
        info->issuer,
        info->fingerprint,
    }};
}

static void write_row(struct buf *out, const struct row *row, const size_t *width,
                      bool wide)
{
    size_t pending = 0; /* blanks before the next cell, so that none end a line */
    for (size_t c = 0; c < COLUMNS; c++) {
        if (columns[c].wide && !wide)
            continue;
        for (; pending > 0; pending--)
            buf_char(out, ' ');
        cli_plain(out, row->cell[c]);
        pending = width[c] - row->cell[c].n + 3;
    }
    buf_char(out, '\n');
}

static void write_table(struct buf *out, const struct table *table)
{
    const struct row *rows = table->rows.items;
    struct row titles;
    size_t width[COLUMNS];
    for (size_t c = 0; c < COLUMNS; c++) {
        titles.cell[c] = str_of(columns[c].title);
        width[c] = titles.cell[c].n;
        for (size_t r = 0; r < table->rows.count; r++)
            width[c] = rows[r].cell[c].n > width[c] ? rows[r].cell[c].n : width[c];
    }
    write_row(out, &titles, width, table->wide);
    for (size_t r = 0; r < table->rows.count; r++)
        write_row(out, &rows[r], width, table->wide);
}

static void member(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_json_string(out, value);
}

static void write_json(struct buf *out, const char *file, size_t index,
                       const struct cert_info *info, int64_t at)
{
    char time_text[CERT_TIME_TEXT];
    buf_text(out, "{\"file\":");
    buf_json_string(out, str_of(file));
    buf_printf(out, ",\"index\":%zu", index);
    member(out, "subject", info->subject);
    member(out, "issuer", info->issuer);
    buf_text(out, ",\"names\":[");
    for (size_t i = 0; i < info->name_count; i++) {
        if (i > 0)
            buf_char(out, ',');
        buf_json_string(out, info->names[i]);
    }
    buf_printf(out, "],\"otherNames\":%zu", info->other_names);
    member(out, "notBefore", str_of(cert_time_text(info->not_before, time_text)));
    member(out, "notAfter", str_of(cert_time_text(info->not_after, time_text)));
    member(out, "serial", info->serial);
    member(out, "sha256", info->fingerprint);
    member(out, "publicKeySha256", info->public_key);
    member(out, "key", info->key_type);
    buf_printf(out,
               ",\"ca\":%s,\"serverAuth\":%s,\"valid\":%s,\"secondsLeft\":%" PRId64 "}\n",
               info->is_ca ? "true" : "false", info->server_auth ? "true" : "false",
               at >= info->not_before && at <= info->not_after ? "true" : "false",
               info->not_after - at);
}

/* One file into the table or, as JSON, into `out`. */
static int show_file(struct table *table, struct buf *out, const char *path,
                     unsigned format, int64_t at)
{
    NRW_CLEANUP(cert_wipe) struct buf text; /* the file may hold a key as well */
    buf_init(&text, CERTS_FILE_MAXIMUM);
    buf_reserve(&text, 65536);
    const char *name = strcmp(path, "-") == 0 ? "<stdin>" : path;
    struct cert_info *info = NULL;
    size_t count = 0;
    struct err err = {0};
    if (!cli_read(&show_command, path, &text))
        return CLI_TROUBLE;
    if (!cert_inspect(&table->arena, buf_view(&text), name, &info, &count, &err))
        return cli_trouble(&show_command, "%s", err.message);
    int code = CLI_GOOD;
    for (size_t i = 0; i < count; i++) {
        if (at < info[i].not_before || at > info[i].not_after)
            code = CLI_NOT_GOOD;
        if (format == SHOW_JSON)
            write_json(out, name, i, &info[i], at);
        else
            add_row(table, name, &info[i], at);
    }
    return code;
}

static void table_done(struct table *table)
{
    arena_done(&table->arena);
}

static int show(int argc, char **argv)
{
    static const char *const formats[] = {"table", "wide", "json"};
    unsigned format = SHOW_TABLE;
    int64_t at = clock_wall_seconds();
    struct cli cli;
    const char *value;
    cli_init(&cli, &show_command, argc, argv);
    for (int got; (got = cli_next(&cli, &value)) != CLI_END;) {
        if (got == CLI_HELP)
            return CLI_GOOD;
        if (got == CLI_BAD ||
            (got == OPT_OUTPUT && !cli_choice(&show_command, "-o", value, formats,
                                              NRW_COUNT(formats), &format)) ||
            (got == OPT_AT && !parse_at(&show_command, value, &at)))
            return CLI_TROUBLE;
    }
    size_t count;
    char **files = cli_arguments(&cli, &count);
    if (count == 0)
        return cli_trouble(&show_command, "give a file with certificates, or -");
    if (!cli_one_stdin(&show_command, NULL, files, count))
        return CLI_TROUBLE;
    NRW_CLEANUP(table_done) struct table table = {.wide = format == SHOW_WIDE};
    NRW_AUTO_BUF struct buf out;
    arena_init(&table.arena, 64u << 20);
    buf_init(&out, 64u << 20);
    int worst = CLI_GOOD;
    for (size_t i = 0; i < count; i++) {
        int code = show_file(&table, &out, files[i], format, at);
        worst = code > worst ? code : worst;
    }
    if (table.arena.failed)
        return cli_trouble(&show_command, "out of memory");
    if (format != SHOW_JSON && table.rows.count > 0)
        write_table(&out, &table);
    if (!cli_write(&show_command, &out))
        return CLI_TROUBLE;
    return worst;
}

/* --- verify ---------------------------------------------------------------------------
 */

static const struct cli_option verify_options[] = {
    {OPT_CA, '\0', "ca", "FILE", "the CA, or the bundle, that the client trusts"},
    {OPT_DNS_NAME, '\0', "dns-name", "NAME",
     "the name (or address) the client asks for; for a Service: NAME.NAMESPACE.svc;\n"
     "may be repeated: each is checked"},
    {OPT_KEY, '\0', "key", "FILE", "check that this is the certificate's private key"},
    {OPT_AT, '\0', "at", "TIME", "judge as if it were this time (default: now)"},
};

static const struct cli_command verify_command = {
    .name = "certs verify",
    .arguments = "CERT",
    .summary = "Says whether an API server whose caBundle is --ca would accept CERT.",
    .options = verify_options,
    .option_count = NRW_COUNT(verify_options),
    .details =
        "CERT holds the serving certificate first, then intermediates.\n"
        "TIME is 2026-11-24T12:00:00Z, 2026-11-24, or seconds since 1970.\n"
        "\n"
        "Exit codes: 0 it verifies, 1 it does not (the reason is on standard output),\n"
        "2 it could not be looked at.\n"
        "\n"
        "Example:\n"
        "  " CLI_PROGRAM " certs verify --ca tls/ca.crt --key tls/tls.key \\\n"
        "      --dns-name nvcf-registry-webhook.nvcf-registry-webhook.svc "
        "tls/tls.crt\n",
};

struct verify_wish {
    const char *ca, *key;
    const char *names[CERT_NAMES_MAXIMUM];
    size_t name_count;
    int64_t at;
};

static bool take_name(struct verify_wish *wish, const char *name)
{
    if (!cert_ip_valid(name) && !cert_dns_name_valid(name)) {
        cli_trouble(&verify_command, "--dns-name %s is neither a DNS name nor an address",
                    name);
        return false;
    }
    if (wish->name_count == NRW_COUNT(wish->names)) {
        cli_trouble(&verify_command, "more than %u names; check the rest by themselves",
                    CERT_NAMES_MAXIMUM);
        return false;
    }
    wish->names[wish->name_count++] = name;
    return true;
}

static void say_verdict(struct buf *out, const char *path, bool good, const char *text)
{
    cli_plain(out, str_of(path));
    buf_text(out, good ? ": verifies for " : ": does not verify: ");
    cli_plain(out, str_of(text));
    buf_char(out, '\n');
}

/* A line for each name; what is wrong whatever the name is, is said once. */
static int verify_names(const struct verify_wish *wish, struct cert_check *check,
                        const char *path)
{
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, CERTS_FILE_MAXIMUM);
    int code = CLI_GOOD;
    struct err said = {0};
    for (size_t i = 0; i < wish->name_count; i++) {
        struct err err = {0};
        check->name = wish->names[i];
        bool good = cert_verify(check, &err);
        if (!good && err.code != ERR_INVALID)
            return cli_trouble(&verify_command, "%s", err.message);
        if (!good && code == CLI_NOT_GOOD && strcmp(err.message, said.message) == 0)
            continue;
        say_verdict(&out, path, good, good ? check->name : err.message);
        if (!good) {
            code = CLI_NOT_GOOD;
            said = err;
        }
    }
    return cli_write(&verify_command, &out) ? code : CLI_TROUBLE;
}

static int verify_file(const struct verify_wish *wish, const char *path)
{
    NRW_AUTO_BUF struct buf ca;
    NRW_CLEANUP(cert_wipe) struct buf chain;
    NRW_CLEANUP(cert_wipe) struct buf key;
    buf_init(&ca, CERTS_FILE_MAXIMUM);
    buf_init(&chain, CERTS_FILE_MAXIMUM);
    buf_init(&key, CERTS_FILE_MAXIMUM);
    buf_reserve(&key, 65536);
    const char *const inputs[] = {wish->ca, wish->key, path};
    if (!cli_one_of_stdin(&verify_command, "--ca, --key and CERT", inputs,
                          NRW_COUNT(inputs)))
        return CLI_TROUBLE;
    if (!cli_read(&verify_command, wish->ca, &ca) ||
        !cli_read(&verify_command, path, &chain) ||
        (wish->key != NULL && !cli_read(&verify_command, wish->key, &key)))
        return CLI_TROUBLE;
    if (wish->key != NULL && key.size == 0)
        return cli_trouble(&verify_command, "%s is empty", wish->key);
    struct cert_check check = {.chain_pem = buf_view(&chain),
                               .ca_pem = buf_view(&ca),
                               .key_pem = buf_view(&key),
                               .at = wish->at};
    return verify_names(wish, &check, strcmp(path, "-") == 0 ? "<stdin>" : path);
}

static int verify(int argc, char **argv)
{
    struct verify_wish wish = {.at = clock_wall_seconds()};
    struct cli cli;
    const char *value;
    cli_init(&cli, &verify_command, argc, argv);
    for (int got; (got = cli_next(&cli, &value)) != CLI_END;) {
        if (got == CLI_HELP)
            return CLI_GOOD;
        if (got == CLI_BAD ||
            (got == OPT_AT && !parse_at(&verify_command, value, &wish.at)) ||
            (got == OPT_DNS_NAME && !take_name(&wish, value)))
            return CLI_TROUBLE;
        if (got == OPT_CA)
            wish.ca = value;
        else if (got == OPT_KEY)
            wish.key = value;
    }
    size_t count;
    char **files = cli_arguments(&cli, &count);
    if (wish.ca == NULL)
        return cli_trouble(&verify_command, "say which CA the client trusts: --ca FILE");
    if (wish.name_count == 0)
        return cli_trouble(&verify_command,
                           "say which name the client asks for: --dns-name NAME");
    if (count != 1)
        return cli_trouble(&verify_command, "give one file with the certificate");
    return verify_file(&wish, files[0]);
}

/* --- certs ----------------------------------------------------------------------------
 */

static const struct cli_command command = {
    .name = "certs",
    .arguments = "issue|show|verify",
    .summary =
        "Issues, shows and verifies certificates; certs issue --help and so on say "
        "more.",
    .details =
        "  issue    a CA and a serving certificate, as files or as a Secret manifest\n"
        "  show     what certificates say, and how long they are still valid\n"
        "  verify   whether an API server would accept a certificate\n",
};

int cli_certs(int argc, char **argv)
{
    static const char *const words[] = {"issue", "show", "verify"};
    static int (*const parts[])(int, char **) = {cli_certs_issue, show, verify};
    unsigned part = 0;
    struct cli cli;
    const char *value;
    if (argc >= 2 && argv[1][0] == '-') {
        cli_init(&cli, &command, argc, argv);
        int got = cli_next(&cli, &value);
        if (got != CLI_END)
            return got == CLI_HELP ? CLI_GOOD : CLI_TROUBLE;
    }
    if (argc < 2 || argv[1][0] == '-')
        return cli_trouble(&command, "say what to do: issue, show or verify");
    if (!cli_choice(&command, "the word", argv[1], words, NRW_COUNT(words), &part))
        return CLI_TROUBLE;
    return parts[part](argc - 1, argv + 1);
}
