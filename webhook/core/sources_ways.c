/* Names of the ways in that are no registry's own property; see sources_ways.h. This is
 * asked of every variable of every container: nearly all answers are no, and come from
 * the first letters. Pure. */
#include "core/sources_ways.h"

#include "core/spring_name.h"
#include "util/attr.h"

/* After "spring". With the index of a list or nothing behind it. */
static const struct str config_names[] = {
    STR("applicationjson"), STR("configimport"),
    STR("configlocation"),  STR("configadditionallocation"),
    STR("configname"),      STR("profilesinclude"),
    STR("mainsources"),
};

/* After "spring". With anything below it: where the remote configuration and that of
 * Secrets comes from (from which namespace, by which file says so, of which API server),
 * and what else a profile brings along. */
static const struct str config_roots[] = {
    STR("cloudkubernetesclient"),  STR("cloudkubernetesconfig"),
    STR("cloudkubernetessecrets"), STR("cloudbootstrap"),
    STR("profilesgroup"),
};

static const struct str profiles_name = STR("profilesactive");

/* Of another cluster's API server, where they are not those that the kubelet sets. The
 * client asks for just these names. */
static const struct str cluster_names[] = {
    STR("KUBERNETES_SERVICE_HOST"),
    STR("KUBERNETES_SERVICE_PORT"),
    STR("KUBECONFIG"),
};

/* A file whose properties go before all others, and one that says how logs are written
 * and may set system properties; these two with the index of a list or nothing behind
 * them. Then, with anything below: what becomes parameters of the servlet context, which
 * Spring asks before system properties and environment, what lets everybody who reaches
 * the management port set properties, and what keeps the old sources at a refresh, so
 * that the remote configuration can name another in its place. */
#define ELSEWHERE_NAMES 2u
const struct str way_elsewhere[WAY_ELSEWHERE_COUNT] = {
    STR("nvbootreloadablepropertiesfile"),
    STR("loggingconfig"),
    STR("serverservletcontextparameters"),
    STR("managementendpointenvpost"),
    STR("springcloudrefreshadditionalpropertysources"),
};

/* The class path is that of the image. */
static const struct str class_path = STR("classpath:");

/* Do the letters and digits of the name begin with these? What is left of them then. */
static bool begins(struct str uniform, struct str name, struct str *ret_rest)
{
    size_t at = 0;
    size_t i = 0;
    for (; i < name.n && at < uniform.n; i++) {
        if (!ascii_is_alnum(name.p[i]))
            continue;
        if (ascii_lower(name.p[i]) != uniform.p[at])
            return false;
        at++;
    }
    *ret_rest = str_skip(name, i);
    return at == uniform.n;
}

/* Nothing, or the index of a list: SPRING_CONFIG_IMPORT_0, spring.config.import[0]. */
static bool is_index(struct str rest)
{
    for (size_t i = 0; i < rest.n; i++) {
        if (ascii_is_alnum(rest.p[i]) && !ascii_is_digit(rest.p[i]))
            return false;
    }
    return true;
}

static bool is_empty(struct str rest)
{
    return spring_same(STR(""), rest);
}

static enum way spring_way(struct str name)
{
    struct str rest;
    if (begins(profiles_name, name, &rest) && is_index(rest))
        return is_empty(rest) ? WAY_PROFILES : WAY_CONFIGURATION;
    for (size_t i = 0; i < NRW_COUNT(config_names); i++) {
        if (begins(config_names[i], name, &rest) && is_index(rest))
            return WAY_CONFIGURATION;
    }
    for (size_t i = 0; i < NRW_COUNT(config_roots); i++) {
        if (begins(config_roots[i], name, &rest))
            return WAY_CONFIGURATION;
    }
    return WAY_NONE;
}

static bool names_cluster(struct str name)
{
    if (!str_starts(name, STR("KUBE")))
        return false;
    for (size_t i = 0; i < NRW_COUNT(cluster_names); i++) {
        if (str_eq(name, cluster_names[i]))
            return true;
    }
    return false;
}

static bool is_elsewhere(struct str name)
{
    struct str rest;
    for (size_t i = 0; i < WAY_ELSEWHERE_COUNT; i++) {
        if (begins(way_elsewhere[i], name, &rest) &&
            (i >= ELSEWHERE_NAMES || is_index(rest)))
            return true;
    }
    return false;
}

enum way way_of(struct str name)
{
    struct str rest;
    enum way way = WAY_NONE;
    if (begins(STR("spring"), name, &rest))
        way = spring_way(rest);
    bool found = way == WAY_NONE && (is_elsewhere(name) || names_cluster(name));
    return found ? WAY_CONFIGURATION : way;
}

bool way_moves_remote(struct str name)
{
    return spring_same(STR("remoteconfigname"), name) ||
           spring_same(STR("remoteconfigenabled"), name);
}

bool way_in_remote(struct str name, struct str value)
{
    return is_elsewhere(name) && !way_is_harmless(name, value, str_null());
}

bool way_is_of_java(struct str name)
{
    return str_eq(name, STR("logback.configurationFile")) ||
           str_eq(name, STR("java.class.path")) ||
           str_eq(name, STR("java.system.class.loader"));
}

bool way_lists_profiles(struct str name)
{
    struct str rest, index;
    return begins(STR("spring"), name, &rest) &&
           (begins(profiles_name, rest, &index) ||
            begins(STR("profilesinclude"), rest, &index)) &&
           is_index(index);
}

bool way_next_profile(struct str *rest, struct str *ret_profile)
{
    while (rest->n > 0) {
        size_t comma = str_index(*rest, 0, ',');
        *ret_profile = str_trim(str_first(*rest, comma));
        *rest = str_skip(*rest, comma + 1);
        if (ret_profile->n > 0)
            return true;
    }
    return false;
}

bool way_has_profile(struct str profiles)
{
    struct str profile;
    while (way_next_profile(&profiles, &profile)) {
        if (str_eq(profile, STR(WAY_CHART_PROFILE)))
            return true;
    }
    return false;
}

/* Spring's conditions on a property are not met by "false" in any case, and by everything
 * else: nothing at all, too. */
static const struct str switches[] = {
    STR("springcloudkubernetessecretsenabled"),
    STR("managementendpointenvpostenabled"),
};

/* Without a value they are as if they were not there. */
static const struct str empties[] = {
    STR("loggingconfig"),
    STR("springcloudrefreshadditionalpropertysourcestoretain"),
};

bool way_is_harmless(struct str name, struct str value, struct str name_space)
{
    const struct {
        struct str uniform, value;
    } harmless[] = {
        {STR("springcloudkubernetesclientnamespace"), name_space},
        {STR("springconfigname"), STR("application")},
    };
    for (size_t i = 0; i < NRW_COUNT(harmless); i++) {
        if (str_eq(value, harmless[i].value) && spring_same(harmless[i].uniform, name))
            return true;
    }
    for (size_t i = 0; i < NRW_COUNT(switches); i++) {
        if (str_eq_nocase(value, STR("false")) && spring_same(switches[i], name))
            return true;
    }
    for (size_t i = 0; i < NRW_COUNT(empties); i++) {
        if (value.n == 0 && spring_same(empties[i], name))
            return true;
    }
    return str_starts(value, class_path) && spring_same(STR("loggingconfig"), name);
}

bool way_counts_empty(struct str name)
{
    struct str rest;
    return spring_same(STR("managementendpointenvpostenabled"), name) ||
           begins(STR("serverservletcontextparameters"), name, &rest);
}

const char *way_advice(enum way way, struct str name)
{
    struct str rest;
    if (way == WAY_PROFILES)
        return "add `ncp` to the profiles";
    if (spring_same(STR("loggingconfig"), name) ||
        spring_same(STR("logbackconfigurationfile"), name))
        return "set logging.config to a file of the image (classpath:logback.xml), or "
               "levels alone (LOGGING_LEVEL_...)";
    if (begins(STR("managementendpointenvpost"), name, &rest))
        return "unset it, or set it to false";
    if (begins(STR("springcloudrefresh"), name, &rest))
        return "unset it";
    return "pass what the API needs as environment variables of its own";
}

bool way_mentions_registries(struct str text)
{
    static const struct str word = STR("registries");
    for (size_t i = 0; i + word.n <= text.n; i++) {
        if (str_eq_nocase(str_from(text.p + i, word.n), word))
            return true;
    }
    return false;
}

bool way_is_java_options(struct str name)
{
    return str_eq(name, STR("JAVA_TOOL_OPTIONS")) ||
           str_eq(name, STR("JDK_JAVA_OPTIONS")) || str_eq(name, STR("_JAVA_OPTIONS"));
}
