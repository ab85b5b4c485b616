/* The pure part of leader election; see lease.h. */
#include "kube/lease.h"

#include <stdio.h>

#include "kube/watch_line.h"
#include "util/clock.h"

#define DURATION_MS 15000

static const char *spec_text(const json_t *lease, const char *field)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(lease, "spec"), field));
    return text != NULL ? text : "";
}

void lease_observe(struct lease_seen *seen, const json_t *lease, int64_t now)
{
    const char *version = kube_meta(lease, "resourceVersion");
    if (!seen->known || strcmp(seen->version, version) != 0)
        seen->changed_at = now;
    seen->known = true;
    snprintf(seen->version, sizeof(seen->version), "%s", version);
    snprintf(seen->holder, sizeof(seen->holder), "%s",
             spec_text(lease, "holderIdentity"));
    json_int_t seconds = json_integer_value(
        json_object_get(json_object_get(lease, "spec"), "leaseDurationSeconds"));
    /* Somebody's absurd value must not lock us out for ever. */
    seen->duration_ms = seconds >= 1 && seconds <= 3600 ? seconds * 1000 : DURATION_MS;
}

enum lease_step lease_next(const struct lease_seen *seen, const char *identity,
                           int64_t now)
{
    if (strcmp(seen->holder, identity) == 0)
        return LEASE_RENEW;
    if (seen->holder[0] == '\0' || now - seen->changed_at >= seen->duration_ms)
        return LEASE_TAKE;
    return LEASE_WAIT;
}

static bool set_text(json_t *object, const char *key, const char *value)
{
    return json_object_set_new(object, key, json_string(value)) == 0;
}

static bool fill(json_t *body, const json_t *lease,
                 const struct kube_lease_options *options, const char *holder,
                 int64_t wall_micros)
{
    json_t *spec = json_object_get(body, "spec");
    if (spec == NULL) {
        spec = json_object();
        if (json_object_set_new(body, "spec", spec) != 0)
            return false;
    }
    char now[32];
    clock_format(wall_micros, now, sizeof(now));
    bool mine = lease != NULL && strcmp(spec_text(lease, "holderIdentity"), holder) == 0;
    json_int_t transitions =
        json_integer_value(json_object_get(spec, "leaseTransitions"));
    if (lease != NULL && !mine && holder[0] != '\0')
        transitions++;
    /* Given back: the next one need not wait, whatever it thinks of the holder. */
    json_int_t seconds = holder[0] != '\0' ? (json_int_t)options->duration_seconds : 1;
    return set_text(spec, "holderIdentity", holder) && set_text(spec, "renewTime", now) &&
           (mine || set_text(spec, "acquireTime", now)) &&
           json_object_set_new(spec, "leaseDurationSeconds", json_integer(seconds)) ==
               0 &&
           json_object_set_new(spec, "leaseTransitions", json_integer(transitions)) == 0;
}

json_t *lease_body(const json_t *lease, const struct kube_lease_options *options,
                   const char *holder, int64_t wall_micros)
{
    json_t *body = lease != NULL ? json_deep_copy(lease)
                                 : json_pack("{s:s,s:s,s:{s:s,s:s}}", "apiVersion",
                                             "coordination.k8s.io/v1", "kind", "Lease",
                                             "metadata", "name", options->name,
                                             "namespace", options->name_space);
    if (body != NULL && fill(body, lease, options, holder, wall_micros))
        return body;
    json_decref(body);
    return NULL;
}
