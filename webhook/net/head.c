/* Header checks; see head.h. Refused as malformed:
 *   - Content-Length twice (also with the same value), or not a plain number;
 *   - Transfer-Encoding together with Content-Length, twice, with any other value than
 *     "chunked", or in HTTP/1.0;
 *   - Host twice; a name that is not a token (a space before the colon hides a header
 * from one reader and not from the other); control characters in a value. */
#include "net/head.h"

#include <microhttpd.h>
#include <string.h>

#include "util/num.h"

struct reading {
    struct head *head;
    unsigned lengths, encodings, hosts, types;
};

static bool is_token(struct str name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.n; i++) {
        if (!ascii_is_alnum(name.p[i]) &&
            memchr(others, name.p[i], sizeof(others) - 1) == NULL)
            return false;
    }
    return name.n > 0;
}

static bool is_field_value(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static struct str trim(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_skip(s, 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

bool head_is_json(struct str content_type)
{
    struct str type = str_first(content_type, str_index(content_type, 0, ';'));
    return str_eq_nocase(trim(type), STR("application/json"));
}

/* Is `token` in a comma-separated list? */
static bool lists(struct str list, struct str token)
{
    for (size_t at = 0; at <= list.n;) {
        size_t comma = str_index(list, at, ',');
        if (str_eq_nocase(trim(str_from(list.p + at, comma - at)), token))
            return true;
        at = comma + 1;
    }
    return false;
}

static void read_length(struct head *head, struct str value)
{
    head->has_length = true;
    if (num_parse(value, UINT64_MAX, &head->length))
        return;
    for (size_t i = 0; i < value.n; i++) {
        if (!ascii_is_digit(value.p[i]))
            head->malformed = true;
    }
    head->malformed |= value.n == 0;
    head->too_long = !head->malformed;
}

static enum MHD_Result each_field(void *context, enum MHD_ValueKind kind,
                                  const char *name, size_t name_size, const char *value,
                                  size_t value_size)
{
    (void)kind;
    struct reading *reading = context;
    struct head *head = reading->head;
    struct str field = str_from(name, name_size);
    struct str text = str_from(value != NULL ? value : "", value_size);
    if (!is_token(field) || !is_field_value(text))
        head->malformed = true;
    if (str_eq_nocase(field, STR("content-length"))) {
        reading->lengths++;
        read_length(head, text);
    } else if (str_eq_nocase(field, STR("transfer-encoding"))) {
        reading->encodings++;
        head->chunked = true;
        if (!str_eq_nocase(text, STR("chunked")))
            head->malformed = true;
    } else if (str_eq_nocase(field, STR("host"))) {
        reading->hosts++;
    } else if (str_eq_nocase(field, STR("content-type"))) {
        head->json = reading->types++ == 0 && head_is_json(text);
    } else if (str_eq_nocase(field, STR("connection"))) {
        head->wants_close |= lists(text, STR("close"));
    } else if (str_eq_nocase(field, STR("expect"))) {
        head->expects = true;
    }
    return MHD_YES;
}

void head_read(struct MHD_Connection *connection, const char *version,
               struct head *ret_head)
{
    *ret_head = (struct head){.malformed = false};
    struct reading reading = {.head = ret_head};
    bool old = strcmp(version, "HTTP/1.0") == 0;
    ret_head->wants_close = old;
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, each_field, &reading);
    if (reading.lengths > 1 || reading.encodings > 1 || reading.hosts > 1 ||
        (reading.encodings > 0 && (reading.lengths > 0 || old)))
        ret_head->malformed = true;
}

struct str head_path(struct str target)
{
    static const struct str schemes[] = {{"http://", 7}, {"https://", 8}};
    target = str_first(target, str_index(target, 0, '?'));
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct str start = str_first(target, schemes[i].n);
        if (!str_eq_nocase(start, schemes[i]))
            continue;
        size_t slash = str_index(target, schemes[i].n, '/');
        target = slash < target.n ? str_skip(target, slash) : STR("/");
        break;
    }
    return target;
}
