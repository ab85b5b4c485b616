/* What Spring makes of a name; see spring.h. A name is split into elements as
 * ConfigurationPropertyName.adapt does, at `_` for environment variables and at `.` (and
 * brackets) for properties, and the elements are compared without case, dashes and other
 * signs. Pure. */
#include "core/spring.h"

#include "util/attr.h"

#define MAX_ELEMENTS 16u

struct element {
    struct str text; /* as spelled */
    bool indexed;    /* was in brackets, or is a number in an environment variable */
};

struct elements {
    struct element e[MAX_ELEMENTS];
    size_t n;
    bool more; /* there were more than fit: too deep to be anything the API knows */
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

static struct str lower(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.n + 1, 1);
    if (out == NULL)
        return STR("");
    for (size_t i = 0; i < text.n; i++)
        out[i] = ascii_lower(text.p[i]);
    return str_from(out, text.n);
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
static bool begins_with_root(struct str prefix, struct str name)
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

static void add_element(struct elements *out, struct str text, bool indexed)
{
    if (text.n == 0)
        return; /* as Spring: empty elements vanish */
    if (out->n == MAX_ELEMENTS) {
        out->more = true;
        return;
    }
    out->e[out->n++] = (struct element){text, indexed};
}

static void split(struct str name, char separator, struct elements *out)
{
    *out = (struct elements){.n = 0};
    size_t start = 0;
    unsigned brackets = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '[') {
            if (brackets == 0) {
                add_element(out, str_from(name.p + start, i - start), false);
                start = i + 1;
            }
            brackets++;
        } else if (c == ']' && brackets > 0) {
            brackets--;
            if (brackets == 0) {
                add_element(out, str_from(name.p + start, i - start), true);
                start = i + 1;
            }
        } else if (brackets == 0 && c == separator) {
            add_element(out, str_from(name.p + start, i - start), false);
            start = i + 1;
        }
    }
    add_element(out, str_from(name.p + start, name.n - start), brackets > 0);
}

static bool element_is(const struct element *element, const char *uniform)
{
    return !element->indexed && spring_same(str_of(uniform), element->text);
}

/* From the start of element `from` to the end of element `to`, as spelled. */
static struct str span(const struct elements *all, size_t from, size_t to)
{
    const char *start = all->e[from].text.p;
    return str_from(start, (size_t)(all->e[to].text.p + all->e[to].text.n - start));
}

static bool find_tuning(const struct elements *all, size_t at, struct str *ret_text)
{
    size_t left = all->n - at;
    for (size_t i = 0; i < NRW_COUNT(tunings); i++) {
        bool two = tunings[i].second.n > 0;
        if (left != (two ? 2u : 1u) || !spring_same(tunings[i].first, all->e[at].text))
            continue;
        if (!two || spring_same(tunings[i].second, all->e[at + 1].text)) {
            *ret_text = tunings[i].text;
            return true;
        }
    }
    return false;
}

static bool find_legacy_tuning(struct str rest, struct str *ret_text)
{
    for (size_t i = 0; i < NRW_COUNT(tunings); i++) {
        if (str_eq(tunings[i].legacy, rest)) {
            *ret_text = tunings[i].text;
            return true;
        }
    }
    return false;
}

/* What stands behind the key. */
static void read_property(const struct elements *all, size_t at, bool environment,
                          struct spring_var *var)
{
    if (at == all->n) {
        var->property = SPRING_SCALAR;
        var->property_text = STR("");
        return;
    }
    size_t left = all->n - at;
    struct str rest = span(all, at, all->n - 1);
    bool is_name = element_is(&all->e[all->n - 1], "name");
    bool is_host = element_is(&all->e[all->n - 1], "hostname");
    struct str text;
    if (left == 1 && (is_name || is_host)) {
        var->property = is_name ? SPRING_NAME : SPRING_HOSTNAME;
        var->property_text = is_name ? STR("name") : STR("hostname");
    } else if (find_tuning(all, at, &text) ||
               (environment && find_legacy_tuning(rest, &text))) {
        var->property = SPRING_TUNING;
        var->property_text = text;
    } else {
        var->property = SPRING_UNKNOWN;
        var->property_text = rest;
        var->nested_registry = is_name || is_host;
    }
}

static enum spring_form form_of(struct str name, bool underscores)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (underscores ? !(ascii_is_upper(c) || ascii_is_digit(c) || c == '_')
                        : ascii_is_upper(c) || c == '[' || c == '_')
            return SPRING_FORM_MAPPED;
        if (underscores && c == '_' &&
            (i == 0 || i + 1 == name.n || name.p[i - 1] == '_'))
            return SPRING_FORM_MAPPED;
    }
    return underscores ? SPRING_FORM_UPPER : SPRING_FORM_DOTTED;
}

/* `…_ECR_PUBLIC_<PROPERTY>`: the legacy spelling of the one built-in key with a dash. The
 * other direction reads it as `public.<property>` of `ecr`, which exists and ignores it.
 */
static bool is_legacy_builtin(const struct elements *all, size_t key, bool environment)
{
    return environment && key + 2 < all->n && element_is(&all->e[key], "ecr") &&
           element_is(&all->e[key + 1], "public");
}

static bool understand(struct arena *arena, struct str prefix, struct str name,
                       bool underscores, struct spring_var *var)
{
    struct elements all;
    split(name, underscores ? '_' : '.', &all);
    if (underscores) {
        for (size_t i = 0; i < all.n; i++) {
            /* Spring gives up on an element that falls into several. */
            if (all.e[i].indexed || str_index(all.e[i].text, 0, '.') < all.e[i].text.n)
                return false;
            all.e[i].indexed = is_number(all.e[i].text);
        }
    }
    if (all.n < 3 || all.more || all.e[0].indexed ||
        !spring_same(lower(arena, prefix), all.e[0].text) ||
        !element_is(&all.e[1], "registries") || !element_is(&all.e[2], "recognized"))
        return false;
    *var = (struct spring_var){
        .key = STR(""), .map_key = STR(""), .uniform = STR(""), .property_text = STR("")};
    if (all.n == 3) {
        var->property = SPRING_TYPE;
        return true;
    }
    bool known = false;
    for (size_t i = 0; i < NRW_COUNT(artifacts) && !known; i++) {
        known = element_is(&all.e[3], artifacts[i].lower);
        var->artifact = (enum artifact)i;
    }
    if (!known)
        return false;
    if (all.n == 4) {
        var->property = SPRING_TYPE;
        return true;
    }
    if (is_legacy_builtin(&all, 4, underscores)) {
        var->builtin = builtin_by_uniform(STR("ecrpublic"));
        var->key = span(&all, 4, 5);
        var->map_key = var->builtin->key;
        var->uniform = var->builtin->uniform;
        read_property(&all, 6, true, var);
        var->form = SPRING_FORM_LEGACY;
        return true;
    }
    var->indexed = all.e[4].indexed;
    var->map_key = underscores ? lower(arena, all.e[4].text) : all.e[4].text;
    var->uniform = var->indexed ? all.e[4].text : spring_uniform(arena, all.e[4].text);
    var->builtin = var->indexed ? NULL : builtin_by_uniform(var->uniform);
    var->key = all.e[4].text;
    read_property(&all, 5, underscores, var);
    if (var->nested_registry)
        var->key = span(&all, 4, all.n - 2);
    var->form = form_of(name, underscores);
    return true;
}

bool spring_parse(struct arena *arena, struct str prefix, struct str name,
                  bool environment, struct spring_var *ret_var)
{
    if (!begins_with_root(prefix, name))
        return false;
    struct spring_var var;
    if ((environment && understand(arena, prefix, name, true, &var)) ||
        understand(arena, prefix, name, false, &var)) {
        *ret_var = var;
        return true;
    }
    return false;
}
