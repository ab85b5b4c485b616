/* `status`: the live cluster. Reads only; everything it shows comes from the API server,
 * and, where a token is given, from the running NVCF API. Main thread. */
#include "cli/status.h"

#include <unistd.h>

#include "util/mem.h"

#define STATUS_MAXIMUM (256u * 1024u * 1024u)

enum {
    OPT_KUBECONFIG = 1,
    OPT_CONTEXT,
    OPT_POLICY_CONFIGMAP,
    OPT_POLICY_FILE,
    OPT_TLS_SECRET,
    OPT_WEBHOOK_CONFIG,
    OPT_NVCF_URL,
    OPT_TOKEN_FILE,
    OPT_NVCF_CA,
    OPT_OUTPUT,
};

static const struct cli_option options[] = {
    {OPT_KUBECONFIG, '\0', "kubeconfig", "FILE",
     "default: as kubectl finds it (KUBECONFIG, ~/.kube/config,\nin-cluster)"},
    {OPT_CONTEXT, '\0', "context", "NAME", "of the kubeconfig"},
    {OPT_POLICY_CONFIGMAP, '\0', "policy-configmap", "NAMESPACE/NAME",
     "default: nvcf-registry-webhook/" POLICY_CONFIGMAP},
    {OPT_POLICY_FILE, '\0', "policy-file", "FILE",
     "compare the cluster with this policy instead"},
    {OPT_TLS_SECRET, '\0', "tls-secret", "NAMESPACE/NAME",
     "the Secret with the serving certificate (default: the\n"
     "webhook's Service's name with -tls after it)"},
    {OPT_WEBHOOK_CONFIG, '\0', "webhook-config", "NAME",
     "of both webhook configurations\n(default: nvcf-registry-webhook)"},
    {OPT_NVCF_URL, '\0', "nvcf-url", "URL",
     "ask the running NVCF API what it recognises"},
    {OPT_TOKEN_FILE, '\0', "token-file", "FILE",
     "a bearer token for it, with scope\nmanage_registry_credentials"},
    {OPT_NVCF_CA, '\0', "nvcf-ca", "FILE", "the CA of its certificate"},
    {OPT_OUTPUT, 'o', "output", "FORMAT", "table (default) or json"},
};

static const struct cli_command command = {
    .name = "status",
    .arguments = "",
    .summary =
        "Says which registries the NVCF APIs have, where they come from, and whether "
        "the webhook is well.",
    .options = options,
    .option_count = NRW_COUNT(options),
    .details =
        "Columns: FROM is who sets the registry (the policy, Helm values, the remote\n"
        "config); DEPLOYMENT whether the Deployment carries it as wanted; PODS how many "
        "of\n"
        "the running pods do (a ? where their ConfigMap was changed after they had\n"
        "started); API whether the running API lists it.\n"
        "\n"
        "Exit codes: 0 all is as the policy says, 1 drift, or the webhook is not well,\n"
        "2 the cluster could not be looked at.\n"
        "\n"
        "Examples:\n"
        "  " CLI_PROGRAM " status\n"
        "  " CLI_PROGRAM " status -o json | jq '.targets[].registries[] | select(.api == "
        "false)'\n"
        "  " CLI_PROGRAM " status --nvcf-url http://localhost:8080 --token-file token\n",
};

/* The text is changed: the slash becomes its end. */
static bool take_name(const char *option, char *text, struct status_name *name)
{
    char *slash = strchr(text, '/');
    if (slash == NULL || slash == text || slash[1] == '\0' ||
        strchr(slash + 1, '/') != NULL) {
        cli_trouble(&command, "%s %s: write NAMESPACE/NAME", option, text);
        return false;
    }
    *slash = '\0';
    *name = (struct status_name){text, slash + 1};
    return true;
}

struct flags {
    struct status_wish wish;
    unsigned format;
    char *policy, *secret; /* copies that take_name() cuts */
};

static void flags_done(struct flags *flags)
{
    mem_free(flags->policy);
    mem_free(flags->secret);
}

static bool take_flag(struct flags *flags, int id, const char *value)
{
    static const char *const formats[] = {"table", "json"};
    struct status_wish *wish = &flags->wish;
    switch (id) {
    case OPT_KUBECONFIG:
        wish->kubeconfig = value;
        return true;
    case OPT_CONTEXT:
        wish->context = value;
        return true;
    case OPT_POLICY_FILE:
        wish->policy_file = value;
        return true;
    case OPT_WEBHOOK_CONFIG:
        wish->webhook_config = value;
        return true;
    case OPT_NVCF_URL:
        wish->nvcf_url = value;
        return true;
    case OPT_TOKEN_FILE:
        wish->token_file = value;
        return true;
    case OPT_NVCF_CA:
        wish->nvcf_ca = value;
        return true;
    case OPT_POLICY_CONFIGMAP:
        mem_free(flags->policy);
        flags->policy = mem_strdup(value);
        return flags->policy != NULL &&
               take_name("--policy-configmap", flags->policy, &wish->policy);
    case OPT_TLS_SECRET:
        mem_free(flags->secret);
        flags->secret = mem_strdup(value);
        return flags->secret != NULL &&
               take_name("--tls-secret", flags->secret, &wish->secret);
    default:
        return cli_choice(&command, "-o", value, formats, NRW_COUNT(formats),
                          &flags->format);
    }
}

void status_add(struct status *status, const char *name, enum status_verdict verdict,
                const char *fmt, ...)
{
    struct status_check *check =
        arena_list_add(&status->arena, &status->checks, sizeof(*check));
    if (check == NULL)
        return;
    va_list args;
    va_start(args, fmt);
    *check =
        (struct status_check){name, verdict, arena_vprintf(&status->arena, fmt, args)};
    va_end(args);
    if (verdict == VERDICT_BAD)
        status->good = false;
}

json_t *status_keep(struct status *status, json_t *json)
{
    if (json != NULL && json_array_append_new(status->keep, json) != 0)
        return NULL;
    return json;
}

static void status_done(struct status *status)
{
    policy_doc_free(status->doc);
    kube_client_free(status->client);
    json_decref(status->keep);
    arena_done(&status->arena);
}

static bool look(struct status *status, struct err *err)
{
    if (!kube_global_init(err))
        return false;
    struct kube_config *config =
        kube_config_find(status->wish->kubeconfig, status->wish->context, err);
    if (config == NULL)
        return false;
    status->client = kube_client_new_take(config, err);
    if (status->client == NULL || !status_look_policy(status, err) ||
        !status_look_api(status, err) || !status_look_deployments(status, err))
        return false;
    status_look_health(status);
    return !status->arena.failed || err_nomem(err);
}

static int show(const struct flags *flags)
{
    NRW_CLEANUP(status_done)
    struct status status = {
        .command = &command,
        .wish = &flags->wish,
        .keep = json_array(),
        .good = true,
        .policy_problem = STR(""),
        .service_namespace = str_null(),
        .service_name = str_null(),
        .ca_bundle = str_null(),
    };
    arena_init(&status.arena, STATUS_MAXIMUM);
    struct err err = {.code = ERR_NONE};
    if (status.keep == NULL || !look(&status, &err))
        return cli_trouble(&command, "%s",
                           err.code != ERR_NONE ? err.message : "out of memory");
    for (size_t i = 0; i < status.deployments.count; i++)
        status.good = status.good && !status_deployment_at(&status, i)->drift;
    NRW_AUTO_BUF struct buf out;
    buf_init(&out, STATUS_MAXIMUM);
    if (flags->format == 1)
        status_write_json(&status, &out);
    else
        status_write_table(&status, cli_colour(STDOUT_FILENO), &out);
    if (!cli_write(&command, &out))
        return CLI_TROUBLE;
    return status.good ? CLI_GOOD : CLI_NOT_GOOD;
}

int cli_status(int argc, char **argv)
{
    NRW_CLEANUP(flags_done)
    struct flags flags = {
        .wish = {.policy = {"nvcf-registry-webhook", POLICY_CONFIGMAP},
                 .webhook_config = "nvcf-registry-webhook"},
    };
    struct cli cli;
    const char *value;
    cli_init(&cli, &command, argc, argv);
    for (int got; (got = cli_next(&cli, &value)) != CLI_END;) {
        if (got == CLI_HELP)
            return CLI_GOOD;
        if (got == CLI_BAD || !take_flag(&flags, got, value))
            return CLI_TROUBLE;
    }
    size_t count;
    char **rest = cli_arguments(&cli, &count);
    if (count > 0)
        return cli_trouble(&command, "%s: no argument is expected", rest[0]);
    const char *alone = flags.wish.nvcf_url != NULL     ? NULL
                        : flags.wish.token_file != NULL ? "--token-file"
                        : flags.wish.nvcf_ca != NULL    ? "--nvcf-ca"
                                                        : NULL;
    if (alone != NULL)
        return cli_trouble(&command, "%s needs --nvcf-url URL as well", alone);
    return show(&flags);
}
