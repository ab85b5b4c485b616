/* The names of the ways in that are no registry's own property: those that bring in
 * configuration from elsewhere, choose which of it applies, or hold options of the JVM
 * (nvcf-facts.md, end of part 3; docs/SPRING.md, "More ways in"). Pure. */
#ifndef NRW_CORE_SOURCES_WAYS_H
#define NRW_CORE_SOURCES_WAYS_H

#include <stdbool.h>

#include "util/str.h"

enum way {
    WAY_NONE,
    WAY_CONFIGURATION, /* configuration that cannot be read here */
    WAY_PROFILES, /* the active profiles: harmless with the one that the charts set */
};

/* What the name of a variable, argument or system property is, in any spelling that
 * Spring may equate; rather too many than too few. */
enum way way_of(struct str name);

/* REMOTE_CONFIG_NAME and _ENABLED: as an argument or a system property they outrank the
 * variables of the same name, which are what is looked at for the remote configuration.
 */
bool way_moves_remote(struct str name);

/* The letters of what else has an effect in a remote configuration too, whose other
 * settings come too late for that. */
#define WAY_ELSEWHERE_COUNT 5u
extern const struct str way_elsewhere[WAY_ELSEWHERE_COUNT];

/* Is a property of the remote configuration such a way? */
bool way_in_remote(struct str name, struct str value);

/* A system property that is asked for under exactly this name, and not by Spring: a file
 * that says how logs are written, as logging.config is; where classes and files are found
 * before those of the image. */
bool way_is_of_java(struct str name);

/* The one that the charts make active. */
#define WAY_CHART_PROFILE "ncp"

/* The one that Spring Cloud Kubernetes adds by itself in every pod. */
#define WAY_CLOUD_PROFILE "kubernetes"

/* Takes the next profile off a list with commas, as SPRING_PROFILES_ACTIVE has it; false:
 * there is none. */
bool way_next_profile(struct str *rest, struct str *ret_profile);

/* Does a variable, argument or system property of this name list profiles that are made
 * active? Beside SPRING_PROFILES_ACTIVE: in any spelling, by index, or included. */
bool way_lists_profiles(struct str name);

/* Is the profile of the charts among these? */
bool way_has_profile(struct str profiles);

/* Does the variable just say what holds without it: Secrets are not read, ConfigMaps are
 * those of the namespace, files have their own names, nobody sets properties from
 * outside? Or does it name a file of the image? */
bool way_is_harmless(struct str name, struct str value, struct str name_space);

/* Does it have an effect without a value, too? */
bool way_counts_empty(struct str name);

/* What to do about one. */
const char *way_advice(enum way way, struct str name);

/* JAVA_TOOL_OPTIONS and its kin, which the JVM reads under exactly these names. */
bool way_is_java_options(struct str name);

/* "registries", in whatever case. */
bool way_mentions_registries(struct str text);

#endif
