/* Looking and writing; see rotate_look.h. Not here: when and what (plan.c), and what is
 * remembered between two looks (rotate.c). */
#include "certs/rotate_look.h"

#include <stdio.h>
#include <string.h>

#include "certs/pem.h"

static const struct kube_resource *const resources[2] = {&kube_mutating_configurations,
                                                         &kube_validating_configurations};
static const char *const steps[2] = {"mutating", "validating"};

static void note(struct rotate_look *look, const char *text)
{
    if (look->problem[0] == '\0')
        snprintf(look->problem, sizeof(look->problem), "%s", text);
}

static void look_at_bundles(const struct rotate_settings *settings,
                            struct rotate_look *look)
{
    const char *name = settings->options.webhook_config;
    look->bundles_known = true;
    if (name == NULL)
        return;
    struct err err = {0};
    char text[512];
    for (size_t i = 0; i < 2; i++) {
        if (!cert_bundle_read(settings->options.client, resources[i], name,
                              &look->bundle[i], &err)) {
            look->bundles_known = false;
            note(look, err.message);
        }
    }
    if (!look->bundles_known)
        return;
    if (!look->bundle[0].exists && !look->bundle[1].exists)
        snprintf(text, sizeof(text),
                 "neither a MutatingWebhookConfiguration nor a "
                 "ValidatingWebhookConfiguration %.253s exists; create them, or check "
                 "--webhook-config",
                 name);
    else if (!look->bundle[0].exists || !look->bundle[1].exists)
        snprintf(text, sizeof(text), "there is no %sWebhookConfiguration %.253s",
                 look->bundle[0].exists ? "Validating" : "Mutating", name);
    else if (cert_bundle_webhooks(&look->bundle[0]) == 0 &&
             cert_bundle_webhooks(&look->bundle[1]) == 0)
        snprintf(text, sizeof(text),
                 "neither webhook configuration %.253s has a webhook in it, so that "
                 "nobody calls: install the chart or its manifests anew",
                 name);
    else
        return;
    note(look, text);
}

bool rotate_look(const struct rotate_settings *settings, struct rotate_look *look,
                 struct err *err)
{
    *look = (struct rotate_look){.contents = {.leaf_issuer = PLAN_NONE}};
    cert_secret_init(&look->secret);
    arena_init(&look->contents.arena, 1);
    look_at_bundles(settings, look);
    return cert_secret_read(&settings->place, &look->secret, err) &&
           cert_contents_read(&look->contents, &look->secret, &settings->names, err);
}

void rotate_look_done(struct rotate_look *look)
{
    cert_bundle_done(&look->bundle[0]);
    cert_bundle_done(&look->bundle[1]);
    cert_secret_done(&look->secret);
    cert_contents_done(&look->contents);
}

bool rotate_published(const struct rotate_settings *settings,
                      const struct rotate_look *look, struct str fingerprint)
{
    if (settings->options.webhook_config == NULL)
        return true;
    return look->bundles_known && (look->bundle[0].exists || look->bundle[1].exists) &&
           cert_bundle_holds(&look->bundle[0], fingerprint) &&
           cert_bundle_holds(&look->bundle[1], fingerprint);
}

static void step(const struct rotate_settings *settings, const char *what, bool after)
{
    if (settings->options.on_step != NULL)
        settings->options.on_step(settings->options.context, what, after);
}

static bool publish(const struct rotate_settings *settings,
                    const struct rotate_look *look, struct err *err)
{
    struct str pem = look->contents.bundle;
    for (size_t i = 0; i < 2; i++) {
        if (cert_bundle_is(&look->bundle[i], pem))
            continue;
        step(settings, steps[i], false);
        if (!cert_bundle_write(settings->options.client, resources[i],
                               settings->options.webhook_config, &look->bundle[i], pem,
                               err))
            return false;
        step(settings, steps[i], true);
    }
    return true;
}

/* A leaf that is good but for its names keeps those it has: while a rollout changes the
 * names, old and new replicas want different ones, and must not take turns. */
static void add_present_names(const struct rotate_look *look, const char **dns,
                              size_t *dns_count, const char **ips, size_t *ip_count)
{
    const struct cert_info *leaf = look->contents.leaf;
    if (leaf == NULL || look->contents.leaf_names)
        return;
    for (size_t i = 0;
         i < leaf->name_count && *dns_count + *ip_count < CERT_NAMES_MAXIMUM; i++) {
        const char *name = leaf->names[i].p; /* arena texts end with a NUL */
        if (cert_ip_valid(name))
            ips[(*ip_count)++] = name;
        else if (cert_dns_name_valid(name))
            dns[(*dns_count)++] = name;
    }
}

static bool issue_leaf(const struct rotate_settings *settings,
                       const struct rotate_look *look, int64_t now,
                       struct cert_secret *next, struct err *err)
{
    const char *dns[CERT_NAMES_MAXIMUM];
    const char *ips[CERT_NAMES_MAXIMUM];
    size_t dns_count = settings->names.dns_count;
    size_t ip_count = settings->names.ip_count;
    for (size_t i = 0; i < dns_count; i++)
        dns[i] = settings->names.dns[i];
    for (size_t i = 0; i < ip_count; i++)
        ips[i] = settings->names.ips[i];
    add_present_names(look, dns, &dns_count, ips, &ip_count);
    struct cert_request request = {
        .dns_names = dns,
        .dns_count = dns_count,
        .ip_addresses = ips,
        .ip_count = ip_count,
        .now = now,
        .lifetime_seconds = settings->options.times.leaf_lifetime,
        .rsa_bits = settings->options.rsa_bits,
    };
    CERT_AUTO_PAIR struct cert_pair leaf = CERT_PAIR_INIT;
    if (!cert_issue_leaf(&request, buf_view(&next->ca_cert), buf_view(&next->ca_key),
                         &leaf, err))
        return false;
    buf_clear(&next->tls_cert);
    cert_wipe(&next->tls_key);
    buf_reserve(&next->tls_key, leaf.key.size);
    return (buf_str(&next->tls_cert, buf_view(&leaf.cert)) &&
            buf_str(&next->tls_key, buf_view(&leaf.key))) ||
           err_nomem(err);
}

/* `bundle` holds what stays; the new CA goes before it. */
static bool issue_ca(const struct rotate_settings *settings, int64_t now,
                     struct str bundle, struct cert_secret *next, struct err *err)
{
    struct cert_request request = {
        .now = now,
        .lifetime_seconds = settings->options.times.ca_lifetime,
        .rsa_bits = settings->options.rsa_bits,
    };
    CERT_AUTO_PAIR struct cert_pair ca = CERT_PAIR_INIT;
    if (!cert_issue_ca(&request, &ca, err))
        return false;
    buf_clear(&next->ca_cert);
    cert_wipe(&next->ca_key);
    buf_reserve(&next->ca_key, ca.key.size);
    return (buf_str(&next->ca_cert, buf_view(&ca.cert)) &&
            buf_str(&next->ca_cert, bundle) &&
            buf_str(&next->ca_key, buf_view(&ca.key))) ||
           err_nomem(err);
}

static bool copy(struct buf *to, const struct buf *from)
{
    return buf_reserve(to, from->size) && buf_str(to, buf_view(from));
}

/* What the Secret is to hold next, from what it holds now. */
static bool compose(const struct rotate_settings *settings,
                    const struct rotate_look *look, const struct plan *plan, int64_t now,
                    struct str also, struct cert_secret *next, struct err *err)
{
    const struct cert_secret *now_there = &look->secret;
    NRW_AUTO_BUF struct buf kept;
    buf_init(&kept, CERT_PEM_MAXIMUM);
    next->exists = now_there->exists;
    memcpy(next->resource_version, now_there->resource_version,
           sizeof(next->resource_version));
    if (!copy(&next->ca_cert, &now_there->ca_cert) ||
        !copy(&next->ca_key, &now_there->ca_key) ||
        !copy(&next->tls_cert, &now_there->tls_cert) ||
        !copy(&next->tls_key, &now_there->tls_key))
        return err_nomem(err);
    cert_contents_bundle(&look->contents, plan->keep, &kept);
    buf_str(&kept, also);
    if (kept.failed)
        return err_nomem(err);
    if (plan->action == PLAN_DROP_CA) {
        buf_clear(&next->ca_cert);
        return buf_str(&next->ca_cert, buf_view(&kept)) || err_nomem(err);
    }
    if (plan->action != PLAN_ISSUE_LEAF &&
        !issue_ca(settings, now, buf_view(&kept), next, err))
        return false;
    return plan->action == PLAN_ISSUE_CA || issue_leaf(settings, look, now, next, err);
}

static bool stays(const struct rotate_look *look, const struct plan *plan,
                  const struct cert_info *ca)
{
    for (size_t i = 0; i < look->contents.ca_count; i++) {
        if ((plan->keep & 1u << i) != 0 &&
            str_eq(look->contents.cas[i]->fingerprint, ca->fingerprint))
            return true;
    }
    return false;
}

void rotate_lost_cas(const struct rotate_look *look, const struct plan *plan,
                     struct str known_pem, int64_t now, struct buf *out)
{
    if (plan->action != PLAN_ISSUE_ALL && plan->action != PLAN_ISSUE_CA)
        return;
    CERT_AUTO_SECRET struct cert_secret known;
    CERT_AUTO_CONTENTS struct cert_contents contents;
    static const struct cert_names no_names = {0};
    cert_secret_init(&known);
    buf_str(&known.ca_cert, known_pem);
    if (!cert_contents_read(&contents, &known, &no_names, NULL))
        return;
    int room = PLAN_CAS_MAXIMUM - 1 - __builtin_popcount(plan->keep);
    for (size_t i = 0; i < contents.ca_count && room > 0; i++) {
        const struct cert_info *ca = contents.cas[i];
        if (now >= ca->not_after || stays(look, plan, ca))
            continue;
        buf_str(out, contents.ca_pem[i]);
        room--;
    }
}

bool rotate_write(const struct rotate_settings *settings, const struct rotate_look *look,
                  const struct plan *plan, int64_t now, struct str also, struct err *err)
{
    if (plan->action == PLAN_PUBLISH)
        return publish(settings, look, err);
    CERT_AUTO_SECRET struct cert_secret next;
    cert_secret_init(&next);
    if (!compose(settings, look, plan, now, also, &next, err))
        return false;
    step(settings, "secret", false);
    if (!cert_secret_write(&settings->place, &next, err))
        return false;
    step(settings, "secret", true);
    return true;
}
