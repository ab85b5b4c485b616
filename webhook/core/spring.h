/* What Spring Boot makes of the name of an environment variable or property, as far as it
 * concerns `<prefix>.registries.recognized.<type>.<key>.<property>`. Imitates Spring
 * Boot 4.0 (ConfigurationPropertyName.adapt, SystemEnvironmentPropertyMapper,
 * DefaultPropertyMapper); tests/spring compares it with the real thing, docs/SPRING.md
 * has the rules. Pure. */
#ifndef NRW_CORE_SPRING_H
#define NRW_CORE_SPRING_H

#include <stdbool.h>
#include <stddef.h>

#include "core/builtin.h"
#include "core/spring_name.h"
#include "util/arena.h"
#include "util/str.h"

enum artifact {
    ARTIFACT_CONTAINER,
    ARTIFACT_HELM,
    ARTIFACT_MODEL,
    ARTIFACT_RESOURCE,
};
#define ARTIFACT_COUNT 4u

enum spring_property {
    SPRING_NAME,
    SPRING_HOSTNAME,
    SPRING_TUNING,  /* a property that the API knows: call-timeout, oauth2.base-url … */
    SPRING_OBJECT,  /* a property of the API that has properties itself, given a value */
    SPRING_UNKNOWN, /* a path below the key that the API does not know and ignores */
    SPRING_SCALAR,  /* no property at all: the key itself is given a value */
};

struct spring_var {
    enum artifact artifact;
    struct str key; /* as the variable spells it: "GHCR", "MY_REG" (the intended key) */
    struct str map_key; /* the key of the map in the API: "ghcr"; what binds, "my" */
    struct str uniform; /* map_key as Spring compares it: lower case letters and digits */
    enum spring_property property;
    struct str
        property_text; /* "hostname", "call-timeout", or the unknown path as it is */
    enum spring_form form;
    const struct builtin *builtin; /* NULL: a custom key */
    bool nested_registry; /* SPRING_UNKNOWN that ends in name or hostname: a key with an
                           * underscore was meant */
    const struct spring_element *elements; /* the name's, for spring_var_name() */
    size_t element_count;
    bool environment;    /* they are those of a variable's name */
    bool legacy_builtin; /* the spelling of a built-in key with underscores for its
                          * dashes:  fills that key in, and makes no key of its own */
};

/* Parses the name. False: it does not concern registries of this prefix, and nothing is
 * set. `environment`: the name is an environment variable's (both directions and
 * underscores apply); otherwise a property's (remote configuration, -D, --args: dots
 * only). Texts are slices of `name` or in the arena; check arena->failed. */
bool spring_parse(struct arena *arena, struct str prefix, struct str name,
                  bool environment, struct spring_var *ret_var);

/* The elements of the name again, as spring_path() would read them. */
void spring_var_name(const struct spring_var *var, struct spring_name *ret_name);

/* The elements of the name, if it has at least five and the first four are those of a
 * type of registries of this prefix: the fifth is the key. */
bool spring_path(struct arena *arena, struct str prefix, struct str name,
                 bool environment, struct spring_name *ret_name,
                 enum artifact *ret_artifact);

/* The cheap question before: do the letters of the name begin with "<prefix>registries"?
 */
bool spring_concerns(struct str prefix, struct str name);

/* Blank to Spring's validator: nothing but characters of Java's Character.isWhitespace.
 */
bool spring_blank(struct str text);

/* Does Spring Cloud take it for encrypted? What it cannot decrypt keeps the API from
 * starting, whatever the property means. */
bool spring_is_encrypted(struct str value);

/* What Spring makes of the text where it wants a boolean; false: it refuses it. */
bool spring_boolean(struct str value, bool *ret_value);

/* Would Spring convert this value of a SPRING_TUNING property? (docs/SPRING.md, R5.1) */
bool spring_converts(struct str property_text, struct str value);

/* "PREFIX_REGISTRIES_RECOGNIZED_CONTAINER_KEY_" + "NAME" or "HOSTNAME", in the arena. */
struct str spring_variable(struct arena *arena, struct str prefix, struct str key,
                           enum spring_property property);

/* "container", "helm", … and the same in capitals. */
const char *artifact_name(enum artifact artifact);
const char *artifact_env(enum artifact artifact);

#endif
