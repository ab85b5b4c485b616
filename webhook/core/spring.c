/* What Spring makes of a name; see spring.h. A name is split into elements as
 * ConfigurationPropertyName.adapt does, at `_` for environment variables and at `.` (and
 * brackets) for properties, and the elements are compared without case, dashes and other
 * signs. Pure. */
#include "core/spring.h"

#include "util/attr.h"

#define MAX_ELEMENTS 16u

struct element {
    struct str text; /* as spelled */
    bool exact; /* compared as it is: a number, or in brackets in a property's name */
};

struct elements {
    struct element e[MAX_ELEMENTS];
    size_t n;
    bool more;    /* there were more than fit: too deep to be anything the API knows */
    bool is_void; /* the reading gives no name at all */
};

static const struct {
    const char *lower, *upper;
} artifacts[] = {
    [ARTIFACT_CONTAINER] = {"container", "CONTAINER"},
    [ARTIFACT_HELM] = {"helm", "HELM"},
    [ARTIFACT_MODEL] = {"model", "MODEL"},
    [ARTIFACT_RESOURCE] = {"resource", "RESOURCE"},
};

/* The properties of an entry besides name and hostname (nvcf-facts.md, part 2). */
static const struct {
    struct str first, second; /* elements in uniform form */
    struct str text;
    struct str legacy; /* upper case with underscores for dashes */
} tunings[] = {
    {STR("calltimeout"), STR(""), STR("call-timeout"), STR("CALL_TIMEOUT")},
    {STR("readtimeout"), STR(""), STR("read-timeout"), STR("READ_TIMEOUT")},
    {STR("writetimeout"), STR(""), STR("write-timeout"), STR("WRITE_TIMEOUT")},
    {STR("connectiontimeout"), STR(""), STR("connection-timeout"),
     STR("CONNECTION_TIMEOUT")},
    {STR("oauth2"), STR("baseurl"), STR("oauth2.base-url"), STR("OAUTH2_BASE_URL")},
    {STR("oauth2"), STR("groupscope"), STR("oauth2.group-scope"),
     STR("OAUTH2_GROUP_SCOPE")},
    {STR("credentialvalidation"), STR("enabled"), STR("credential-validation.enabled"),
     STR("CREDENTIAL_VALIDATION_ENABLED")},
    {STR("artifactvalidation"), STR("enabled"), STR("artifact-validation.enabled"),
     STR("ARTIFACT_VALIDATION_ENABLED")},
};

const char *artifact_name(enum artifact artifact)
{
    return artifacts[artifact].lower;
}

const char *artifact_env(enum artifact artifact)
{
    return artifacts[artifact].upper;
}

bool spring_same(struct str uniform, struct str text)
{
    size_t at = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (!ascii_is_alnum(text.p[i]))
            continue;
        if (at == uniform.n || uniform.p[at] != ascii_lower(text.p[i]))
            return false;
        at++;
    }
    return at == uniform.n;
}

struct str spring_uniform(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.n + 1, 1);
    if (out == NULL)
        return STR("");
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (ascii_is_alnum(text.p[i]))
            out[n++] = ascii_lower(text.p[i]);
    }
    return str_from(out, n);
}

struct str spring_variable(struct arena *arena, struct str prefix, struct str key,
                           enum spring_property property)
{
    return arena_printf(arena, "%.*s_REGISTRIES_RECOGNIZED_CONTAINER_%.*s_%s",
                        STR_ARG(prefix), STR_ARG(key),
                        property == SPRING_NAME ? "NAME" : "HOSTNAME");
}

/* The cheap question that nearly every variable of a Deployment answers with no: do the
 * letters and digits of the name begin with those of "<prefix>registries"? */
bool spring_concerns(struct str prefix, struct str name)
{
    static const struct str root = STR("registries");
    size_t at = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!ascii_is_alnum(c))
            continue;
        char want = at < prefix.n ? prefix.p[at] : root.p[at - prefix.n];
        if (ascii_lower(c) != ascii_lower(want))
            return false;
        at++;
        if (at == prefix.n + root.n)
            return true;
    }
    return false;
}

static bool is_number(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (!ascii_is_digit(text.p[i]))
            return false;
    }
    return text.n > 0;
}

/* Something that Spring keeps of an element: a letter, a digit, a dash that is not first.
 */
static bool has_substance(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (ascii_is_alnum(text.p[i]) || (text.p[i] == '-' && i > 0))
            return true;
    }
    return false;
}

/* The one piece that remains of an environment element cut at dots, or null. */
static struct str only_piece(struct str text)
{
    struct str found = str_null();
    size_t start = 0;
    while (start <= text.n) {
        size_t end = str_index(text, start, '.');
        struct str piece = str_from(text.p + start, end - start);
        if (has_substance(piece)) {
            if (!str_is_null(found))
                return str_null();
            found = piece;
        }
        start = end + 1;
    }
    return found;
}

static void add_element(struct elements *out, struct str text, bool bracketed,
                        bool environment)
{
    if (text.n == 0 || (!bracketed && !has_substance(text)))
        return;
    bool exact = bracketed;
    if (environment) {
        exact = is_number(text);
        if (!exact)
            text = only_piece(text);
        if (str_is_null(text)) {
            out->is_void = true;
            return;
        }
    }
    if (out->n == MAX_ELEMENTS) {
        out->more = true;
        return;
    }
    out->e[out->n++] = (struct element){text, exact};
}

static void split(struct str name, bool environment, struct elements *out)
{
    char separator = environment ? '_' : '.';
    *out = (struct elements){.n = 0};
    size_t start = 0;
    unsigned brackets = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool ends = brackets == 0 && (c == separator || c == '[');
        if (c == '[')
            brackets++;
        bool closes = c == ']' && brackets > 0 && --brackets == 0;
        if (ends || closes) {
            add_element(out, str_from(name.p + start, i - start), closes, environment);
            start = i + 1;
        }
    }
    add_element(out, str_skip(name, start), brackets > 0, environment);
}

static bool element_is(const struct element *element, const char *uniform)
{
    return !element->exact && spring_same(str_of(uniform), element->text);
}

/* From the start of element `from` to the end of element `to`, as spelled. */
static struct str span(const struct elements *all, size_t from, size_t to)
{
    const char *start = all->e[from].text.p;
    return str_from(start, (size_t)(all->e[to].text.p + all->e[to].text.n - start));
}

/* The elements from `at` on are the tuning property, or (left shorter) its object. */
static bool find_tuning(const struct elements *all, size_t at, struct spring_var *var)
{
    size_t left = all->n - at;
    for (size_t i = 0; i < NRW_COUNT(tunings); i++) {
        bool two = tunings[i].second.n > 0;
        if (all->e[at].exact || !spring_same(tunings[i].first, all->e[at].text))
            continue;
        if (two && left == 1) {
            var->property = SPRING_OBJECT;
            var->property_text =
                str_first(tunings[i].text, str_index(tunings[i].text, 0, '.'));
            return true;
        }
        if (left != (two ? 2u : 1u))
            continue;
        if (!two || element_is(&all->e[at + 1], tunings[i].second.p)) {
            var->property = SPRING_TUNING;
            var->property_text = tunings[i].text;
            return true;
        }
    }
    return false;
}

/* The spelling with underscores for dashes counts in pure capitals and pure lower case.
 */
static bool find_legacy_tuning(struct str rest, struct spring_var *var)
{
    for (size_t i = 0; i < NRW_COUNT(tunings); i++) {
        bool upper = str_eq(tunings[i].legacy, rest);
        bool lower = !upper && str_eq_nocase(tunings[i].legacy, rest);
        for (size_t k = 0; k < rest.n && lower; k++)
            lower = !ascii_is_upper(rest.p[k]);
        if (!upper && !lower)
            continue;
        var->property = SPRING_TUNING;
        var->property_text = tunings[i].text;
        var->form = upper ? SPRING_FORM_UPPER_LEGACY : SPRING_FORM_LOWER_LEGACY;
        return true;
    }
    return false;
}

/* What stands behind the key. */
static void read_property(const struct elements *all, size_t at, bool environment,
                          struct spring_var *var)
{
    var->property_text = STR("");
    if (at == all->n) {
        var->property = SPRING_SCALAR;
        return;
    }
    bool is_name = element_is(&all->e[all->n - 1], "name");
    bool is_host = element_is(&all->e[all->n - 1], "hostname");
    struct str rest = span(all, at, all->n - 1);
    if (all->n - at == 1 && (is_name || is_host)) {
        var->property = is_name ? SPRING_NAME : SPRING_HOSTNAME;
        var->property_text = is_name ? STR("name") : STR("hostname");
    } else if (!find_tuning(all, at, var) &&
               !(environment && find_legacy_tuning(rest, var))) {
        var->property = SPRING_UNKNOWN;
        var->property_text = rest;
        var->nested_registry = environment && (is_name || is_host);
    }
}

static enum spring_form form_of(struct str name, bool environment)
{
    bool upper = false;
    bool lower = false;
    bool odd = false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        upper = upper || ascii_is_upper(c);
        lower = lower || ascii_is_lower(c);
        if (environment)
            odd = odd || !(ascii_is_alnum(c) || c == '_') ||
                  (c == '_' && (i == 0 || i + 1 == name.n || name.p[i - 1] == '_'));
        else
            odd = odd || c == '_';
    }
    if (odd || (upper && (lower || !environment)))
        return SPRING_FORM_MAPPED;
    if (!environment)
        return SPRING_FORM_DOTTED;
    return upper ? SPRING_FORM_UPPER : SPRING_FORM_LOWER;
}

/* The key of the map as a string (docs/SPRING.md, R3). */
static struct str key_of(struct arena *arena, const struct element *element,
                         bool environment)
{
    if (element->exact)
        return element->text;
    char *out = arena_alloc(arena, element->text.n + 1, 1);
    if (out == NULL)
        return STR("");
    size_t n = 0;
    for (size_t i = 0; i < element->text.n; i++) {
        char c = element->text.p[i];
        if (ascii_is_alnum(c) || (c == '_' && !environment) || (c == '-' && i > 0))
            out[n++] = environment ? ascii_lower(c) : c;
    }
    return str_from(out, n);
}

/* `…_ECR_PUBLIC_<PROPERTY>`: the legacy spelling of the one built-in key with a dash,
 * with all dashes of the property as underscores too. The other direction reads it as
 * `public.<property>` of `ecr`, which exists and ignores it. */
static bool read_legacy_builtin(const struct elements *all, struct spring_var *var)
{
    static const struct str upper = STR("ECR_PUBLIC_");
    static const struct str lower = STR("ecr_public_");
    if (all->n < 7)
        return false;
    struct str rest = span(all, 4, all->n - 1);
    bool is_upper = str_starts(rest, upper);
    if (!is_upper && !str_starts(rest, lower))
        return false;
    struct str property = str_skip(rest, upper.n);
    struct spring_var found = *var;
    found.form = is_upper ? SPRING_FORM_UPPER_LEGACY : SPRING_FORM_LOWER_LEGACY;
    if (str_eq(property, is_upper ? STR("NAME") : STR("name"))) {
        found.property = SPRING_NAME;
        found.property_text = STR("name");
    } else if (str_eq(property, is_upper ? STR("HOSTNAME") : STR("hostname"))) {
        found.property = SPRING_HOSTNAME;
        found.property_text = STR("hostname");
    } else if (!find_legacy_tuning(property, &found) ||
               (found.form == SPRING_FORM_UPPER_LEGACY) != is_upper) {
        return false;
    }
    found.builtin = builtin_by_uniform(STR("ecrpublic"));
    found.key = str_first(rest, upper.n - 1);
    found.map_key = found.builtin->key;
    found.uniform = found.builtin->uniform;
    found.legacy_builtin = true;
    *var = found;
    return true;
}

static bool find_artifact(const struct element *element, enum artifact *ret_artifact)
{
    for (size_t i = 0; i < NRW_COUNT(artifacts); i++) {
        if (element_is(element, artifacts[i].lower)) {
            *ret_artifact = (enum artifact)i;
            return true;
        }
    }
    return false;
}

static bool concerns_prefix(struct str prefix, const struct element *element)
{
    size_t at = 0;
    for (size_t i = 0; i < element->text.n; i++) {
        if (!ascii_is_alnum(element->text.p[i]))
            continue;
        if (at == prefix.n ||
            ascii_lower(prefix.p[at]) != ascii_lower(element->text.p[i]))
            return false;
        at++;
    }
    return at == prefix.n && !element->exact;
}

bool spring_parse(struct arena *arena, struct str prefix, struct str name,
                  bool environment, struct spring_var *ret_var)
{
    if (!spring_concerns(prefix, name))
        return false;
    struct elements all;
    split(name, environment, &all);
    if (environment && (all.is_void || all.n == 0)) {
        environment = false;
        split(name, false, &all);
    }
    struct spring_var var = {
        .key = STR(""), .map_key = STR(""), .uniform = STR(""), .property_text = STR("")};
    if (all.n < 5 || all.more || !concerns_prefix(prefix, &all.e[0]) ||
        !element_is(&all.e[1], "registries") || !element_is(&all.e[2], "recognized") ||
        !find_artifact(&all.e[3], &var.artifact))
        return false;
    /* The rest of the name must be in the same case for the legacy spelling to count. */
    enum spring_form form = form_of(name, environment);
    bool legacy = environment && (form == SPRING_FORM_UPPER || form == SPRING_FORM_LOWER);
    if (legacy && read_legacy_builtin(&all, &var)) {
        *ret_var = var;
        return true;
    }
    var.form = form;
    var.key = all.e[4].text;
    var.map_key = key_of(arena, &all.e[4], environment);
    var.uniform = all.e[4].exact ? all.e[4].text : spring_uniform(arena, all.e[4].text);
    var.builtin = all.e[4].exact ? NULL : builtin_by_uniform(var.uniform);
    read_property(&all, 5, legacy, &var);
    if (var.nested_registry)
        var.key = span(&all, 4, all.n - 2);
    *ret_var = var;
    return true;
}
