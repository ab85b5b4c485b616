/* What a name says about registries; see spring.h. Its elements are spring_name.c's, the
 * search for the values of an entry is binding.c's. Pure. */
#include "core/spring.h"

#include "util/attr.h"

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

struct str spring_variable(struct arena *arena, struct str prefix, struct str key,
                           enum spring_property property)
{
    const struct str parts[] = {prefix, STR("_REGISTRIES_RECOGNIZED_CONTAINER_"), key,
                                property == SPRING_NAME ? STR("_NAME")
                                                        : STR("_HOSTNAME")};
    return arena_join(arena, parts, NRW_COUNT(parts));
}

/* The cheap question that nearly every variable of a Deployment answers with no: do the
 * letters and digits of the name begin with those of "<prefix>registries"? */
bool spring_concerns(struct str prefix, struct str name)
{
    static const struct str root = STR("registries");
    size_t at = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = spring_letter(str_skip(name, i));
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

/* From the start of element `from` to the end of element `to`, as spelled. */
static struct str span(const struct spring_name *all, size_t from, size_t to)
{
    const char *start = all->e[from].spelled.p;
    const struct str end = all->e[to].spelled;
    return str_from(start, (size_t)(end.p + end.n - start));
}

/* The elements from `at` on are the tuning property, or (left shorter) its object. */
static bool find_tuning(const struct spring_name *all, size_t at, struct spring_var *var)
{
    size_t left = all->n - at;
    for (size_t i = 0; i < NRW_COUNT(tunings); i++) {
        bool two = tunings[i].second.n > 0;
        if (!spring_element_is(&all->e[at], tunings[i].first))
            continue;
        if (two && left == 1) {
            var->property = SPRING_OBJECT;
            var->property_text =
                str_first(tunings[i].text, str_index(tunings[i].text, 0, '.'));
            return true;
        }
        if (left != (two ? 2u : 1u))
            continue;
        if (!two || spring_element_is(&all->e[at + 1], tunings[i].second)) {
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

/* The same for what has properties itself. */
static bool find_legacy_object(struct str rest, bool is_upper, struct spring_var *var)
{
    static const struct {
        struct str upper, lower, text;
    } objects[] = {
        {STR("OAUTH2"), STR("oauth2"), STR("oauth2")},
        {STR("CREDENTIAL_VALIDATION"), STR("credential_validation"),
         STR("credential-validation")},
        {STR("ARTIFACT_VALIDATION"), STR("artifact_validation"),
         STR("artifact-validation")},
    };
    for (size_t i = 0; i < NRW_COUNT(objects); i++) {
        if (!str_eq(rest, is_upper ? objects[i].upper : objects[i].lower))
            continue;
        var->property = SPRING_OBJECT;
        var->property_text = objects[i].text;
        return true;
    }
    return false;
}

/* What stands behind the key. */
static void read_property(const struct spring_name *all, size_t at, bool legacy,
                          struct spring_var *var)
{
    var->property_text = STR("");
    if (at == all->n) {
        var->property = SPRING_SCALAR;
        return;
    }
    bool is_name = spring_element_is(&all->e[all->n - 1], STR("name"));
    bool is_host = spring_element_is(&all->e[all->n - 1], STR("hostname"));
    struct str rest = span(all, at, all->n - 1);
    if (all->n - at == 1 && (is_name || is_host)) {
        var->property = is_name ? SPRING_NAME : SPRING_HOSTNAME;
        var->property_text = is_name ? STR("name") : STR("hostname");
    } else if (!find_tuning(all, at, var) && !(legacy && find_legacy_tuning(rest, var))) {
        var->property = SPRING_UNKNOWN;
        var->property_text = rest;
        var->nested_registry = all->environment && (is_name || is_host);
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

/* `…_ECR_PUBLIC_<PROPERTY>`: the legacy spelling of the one built-in key with a dash,
 * with all dashes of the property as underscores too. The other direction reads it as
 * `public.<property>` of `ecr`, which exists and ignores it. */
static bool read_legacy_builtin(const struct spring_name *all, struct spring_var *var)
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
    } else if (!find_legacy_object(property, is_upper, &found) &&
               (!find_legacy_tuning(property, &found) ||
                (found.form == SPRING_FORM_UPPER_LEGACY) != is_upper)) {
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

static bool find_artifact(const struct spring_element *element,
                          enum artifact *ret_artifact)
{
    for (size_t i = 0; i < NRW_COUNT(artifacts); i++) {
        if (spring_element_is(element, str_of(artifacts[i].lower))) {
            *ret_artifact = (enum artifact)i;
            return true;
        }
    }
    return false;
}

bool spring_path(struct arena *arena, struct str prefix, struct str name,
                 bool environment, struct spring_name *ret_name,
                 enum artifact *ret_artifact)
{
    struct spring_name all;
    if (!spring_concerns(prefix, name) ||
        !spring_name_read(arena, name, environment, &all) || all.n < 5)
        return false;
    if (!spring_element_is(&all.e[0], spring_uniform(arena, prefix)) ||
        !spring_element_is(&all.e[1], STR("registries")) ||
        !spring_element_is(&all.e[2], STR("recognized")) ||
        !find_artifact(&all.e[3], ret_artifact))
        return false;
    spring_name_copy(&all, ret_name);
    return true;
}

static bool keep_elements(struct arena *arena, const struct spring_name *name,
                          struct spring_var *var)
{
    struct spring_element *elements = ARENA_ARRAY(arena, struct spring_element, name->n);
    if (elements == NULL)
        return false;
    memcpy(elements, name->e, name->n * sizeof(elements[0]));
    var->elements = elements;
    var->element_count = name->n;
    var->environment = name->environment;
    return true;
}

void spring_var_name(const struct spring_var *var, struct spring_name *ret_name)
{
    memcpy(ret_name->e, var->elements, var->element_count * sizeof(ret_name->e[0]));
    ret_name->n = var->element_count;
    ret_name->environment = var->environment;
}

bool spring_parse(struct arena *arena, struct str prefix, struct str name,
                  bool environment, struct spring_var *ret_var)
{
    struct spring_name all;
    struct spring_var var = {
        .key = STR(""), .map_key = STR(""), .uniform = STR(""), .property_text = STR("")};
    if (!spring_path(arena, prefix, name, environment, &all, &var.artifact) ||
        !keep_elements(arena, &all, &var))
        return false;
    /* The rest of the name must be in the same case for the legacy spelling to count. */
    enum spring_form form = form_of(name, all.environment);
    bool legacy =
        all.environment && (form == SPRING_FORM_UPPER || form == SPRING_FORM_LOWER);
    if (legacy && read_legacy_builtin(&all, &var)) {
        *ret_var = var;
        return true;
    }
    var.form = form;
    var.key = all.e[4].spelled;
    var.map_key = spring_element_key(arena, &all.e[4]);
    var.uniform = spring_element_uniform(arena, &all.e[4]);
    var.builtin = builtin_by_uniform(var.uniform);
    read_property(&all, 5, legacy, &var);
    if (var.nested_registry)
        var.key = span(&all, 4, all.n - 2);
    *ret_var = var;
    return true;
}
