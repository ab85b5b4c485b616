/* What the rotation was told, checked, completed and copied; see rotate_look.h. */
#include "certs/rotate_look.h"

#include "certs/issue.h"
#include "util/mem.h"

#define CHECK_MS       60000u
#define SETTLE_SECONDS 30

static const char *keep_text(struct rotate_settings *settings, const char *text,
                             bool *failed)
{
    if (text == NULL)
        return NULL;
    char *copy = mem_strdup(text);
    if (copy == NULL)
        *failed = true;
    else
        settings->texts[settings->text_count++] = copy;
    return copy;
}

/* The names that are addresses, or those that are not, side by side. */
static const char *const *keep_names(struct rotate_settings *settings,
                                     const struct rotate_options *options, bool addresses,
                                     size_t *ret_count, bool *failed)
{
    char **slot = &settings->texts[settings->text_count];
    for (size_t i = 0; i < options->dns_count && !*failed; i++) {
        if (cert_ip_valid(options->dns_names[i]) == addresses)
            (void)keep_text(settings, options->dns_names[i], failed);
    }
    *ret_count = (size_t)(&settings->texts[settings->text_count] - slot);
    return (const char *const *)slot;
}

bool rotate_settings_copy(struct rotate_settings *settings,
                          const struct rotate_options *options, struct err *err)
{
    bool failed = false;
    struct rotate_options *mine = &settings->options;
    *mine = *options;
    settings->texts = mem_calloc(options->dns_count + 3, sizeof(char *));
    if (settings->texts == NULL)
        return err_nomem(err);
    struct cert_names *names = &settings->names;
    names->dns = keep_names(settings, options, false, &names->dns_count, &failed);
    names->ips = keep_names(settings, options, true, &names->ip_count, &failed);
    mine->dns_names = NULL;
    mine->dns_count = 0;
    mine->secret_namespace = keep_text(settings, options->secret_namespace, &failed);
    mine->secret_name = keep_text(settings, options->secret_name, &failed);
    mine->webhook_config = keep_text(settings, options->webhook_config, &failed);
    if (failed)
        return err_nomem(err);
    struct plan_times *times = &mine->times;
    if (times->ca_lifetime == 0)
        times->ca_lifetime = 365 * CERT_DAY_SECONDS;
    if (times->leaf_lifetime == 0)
        times->leaf_lifetime = 30 * CERT_DAY_SECONDS;
    if (times->leaf_lifetime > times->ca_lifetime)
        times->leaf_lifetime = times->ca_lifetime;
    if (times->settle_seconds == 0)
        times->settle_seconds = times->leaf_lifetime / 8 + 1;
    if (times->settle_seconds > SETTLE_SECONDS)
        times->settle_seconds = SETTLE_SECONDS;
    times->backdate = CERT_BACKDATE_SECONDS;
    if (mine->check_ms == 0)
        mine->check_ms = CHECK_MS;
    settings->place =
        (struct cert_place){mine->client, mine->secret_namespace, mine->secret_name};
    return true;
}

bool rotate_check_options(const struct rotate_options *options, struct err *err)
{
    if (options->dns_count == 0 || options->dns_count > CERT_NAMES_MAXIMUM)
        return err_set(err, ERR_USAGE,
                       "a self-managed certificate needs from 1 to %u names: --dns-name",
                       CERT_NAMES_MAXIMUM);
    for (size_t i = 0; i < options->dns_count; i++) {
        const char *name = options->dns_names[i];
        if (!cert_dns_name_valid(name) && !cert_ip_valid(name))
            return err_set(err, ERR_USAGE,
                           "--dns-name %.253s is not a DNS name, such as "
                           "nvcf-registry-webhook.nvcf-registry-webhook.svc, nor an "
                           "address",
                           name);
    }
    return true;
}

void rotate_settings_done(struct rotate_settings *settings)
{
    for (size_t i = 0; i < settings->text_count; i++)
        mem_free(settings->texts[i]);
    mem_free(settings->texts);
}
