/* An Event as JSON; see events.h. Pure; any thread. Limits from Kubernetes'
 * ValidateEventCreate: reason, action and reportingInstance 1 to 128 bytes, note 1024,
 * the name a DNS subdomain. */
#include "kube/events.h"

#include "util/clock.h"
#include "util/utf8.h"

#define CONTROLLER "nvcf-registry-webhook"
#define NAME_PART  200u

static struct str limited(struct str text, size_t maximum, const char *instead)
{
    text = utf8_cut(text, maximum);
    return text.n > 0 ? text : str_of(instead);
}

static void field(struct buf *out, const char *key, struct str value)
{
    buf_printf(out, "\"%s\":", key);
    buf_json_string(out, value);
}

static bool alnum_at(struct str text, size_t i)
{
    return i < text.n && ascii_is_alnum(text.p[i]);
}

/* Names of workloads are DNS subdomains, those of RBAC objects and others need not be: a
 * dot stands only between letters and digits, a dash not first, anything else is an x. */
static void add_name(struct buf *out, const struct kube_event *event, int64_t micros,
                     unsigned serial)
{
    buf_text(out, "\"name\":\"");
    struct str name = str_first(event->name, NAME_PART);
    for (size_t i = 0; i < name.n; i++) {
        char c = ascii_lower(name.p[i]);
        bool good = alnum_at(name, i) || (c == '-' && i > 0) ||
                    (c == '.' && i > 0 && alnum_at(name, i - 1) && alnum_at(name, i + 1));
        buf_char(out, good ? c : 'x');
    }
    if (name.n == 0 || !alnum_at(name, name.n - 1))
        buf_char(out, 'x');
    buf_printf(out, ".%llx%04x\"", (unsigned long long)micros, serial & 0xffff);
}

bool kube_event_body(const struct kube_event *event, const char *instance, int64_t micros,
                     unsigned serial, struct buf *out)
{
    char now[32];
    clock_format(micros, now, sizeof(now));
    /* What is in no namespace is reported in "default", as the API demands. */
    struct str name_space = event->name_space.n > 0 ? event->name_space : STR("default");
    buf_text(out,
             "{\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\",\"metadata\":{");
    add_name(out, event, micros, serial);
    buf_char(out, ',');
    field(out, "namespace", name_space);
    buf_printf(out, "},\"eventTime\":\"%s\",\"reportingController\":\"" CONTROLLER "\",",
               now);
    field(out, "reportingInstance", limited(str_of(instance), 128, CONTROLLER));
    buf_char(out, ',');
    field(out, "action", limited(event->action, 128, "Reporting"));
    buf_char(out, ',');
    field(out, "reason", limited(event->reason, 128, "Reported"));
    buf_printf(out, ",\"type\":\"%s\",", event->warning ? "Warning" : "Normal");
    field(out, "note", utf8_cut(event->note, 1024));
    buf_text(out, ",\"regarding\":{");
    field(out, "apiVersion", event->api_version);
    buf_char(out, ',');
    field(out, "kind", event->kind);
    if (event->name_space.n > 0) {
        buf_char(out, ',');
        field(out, "namespace", event->name_space);
    }
    buf_char(out, ',');
    field(out, "name", event->name);
    if (event->uid.n > 0) {
        buf_char(out, ',');
        field(out, "uid", event->uid);
    }
    buf_text(out, "}}");
    return !out->failed;
}
