/* The remote-config ConfigMap as properties, as Spring Cloud Kubernetes makes them: its
 * SourceDataEntriesProcessor and ProfileActivationAwareYamlPropertiesFactoryBean,
 * SnakeYAML and java.util.Properties are imitated (compared with 5.0.2 and 2.5 by
 * tests/spring; Spring Boot's own reader of YAML, which differs, is not asked). Text in,
 * values out. Any thread.
 *
 * - A data key that ends in .yaml or .yml is YAML with one or more documents. Maps are
 *   joined with ".", lists with "[0]"; a key that begins with "[" is appended as it is; a
 *   key that is a number or boolean becomes "[12]"; a path of blanks alone is none. An
 *   empty list is a property "". Anchors, aliases and merge keys count; of a duplicate
 *   key the last one does, without a word (remote_tree.h).
 * - One that ends in .properties is a Java properties file.
 * - Any other data key is a property itself, its text the value.
 *
 * Of two settings of one name in one file the later wins, unless either stands in a
 * document bound to a profile (spring.config.activate.on-profile or spring.profiles is
 * among its properties, however it came there): we do not know the profiles of the
 * running API, so both are kept. So they are when different data keys set one name: which
 * one wins depends on the application's name. For the same reason files are read that the
 * API would skip because of their name, and what a ConfigMap of several data keys says of
 * its place among the sources is unclear. A list replaces another as a whole, which is
 * not imitated: its items neither replace nor are replaced.
 *
 * Dropped: every property whose letters and digits do not begin with "<prefix>registries"
 * (spring_concerns), and so everything that is no registry's, but for what makes profiles
 * active (remote_prop.activates) or brings in configuration from elsewhere (.brings). A
 * number that is no plain decimal integer, a time or a date is kept as unreadable: Java
 * prints it in a way of its own. A NUL in a name is kept as U+FFFD, since texts that are
 * shown end at one; neither is a letter to Spring. */
#ifndef NRW_POLICY_REMOTE_H
#define NRW_POLICY_REMOTE_H

#include "core/workload.h"
#include "util/arena.h"

/* What was spent on a remote configuration so far, in all its ConfigMaps. Starts as
 * zeros. */
struct remote_budget {
    size_t bytes, parsed; /* of files; their nodes */
    size_t nodes, work;   /* visited, and the bytes of texts that were looked at */
    size_t properties, kept;
    bool spent; /* nothing more is read */
};

/* Fills rank, props, prop_count, problem and limit of `ret_config`; name and known are
 * the caller's. A data key that cannot be read gives a problem, "nvcf-api.yaml, line 3:
 * …", and the others are read all the same; so is what else there is in it, if it is
 * YAML. What Spring may read and we do not (too many values, names too long, a map as a
 * key among registries) is a `limit`. `prefix`: "NVCF", in any case; "" keeps every
 * property. Texts live in the arena. False when the arena refused: nothing may be
 * concluded then.
 */
bool remote_config_read(struct arena *arena, struct str prefix, const struct kv *data,
                        size_t count, struct remote_budget *budget,
                        struct remote_config *ret_config) NRW_MUST_CHECK;

/* A Java properties file. Calls `add` for every entry in order, with texts in the arena.
 * False: `ret_line` and `ret_problem` (a literal) say why, or arena->failed. */
typedef void properties_add(void *context, struct str name, struct str value);
bool properties_parse(struct arena *arena, struct str text, properties_add *add,
                      void *context, unsigned *ret_line, const char **ret_problem);

/* Is this data key a file to Spring, and not a property? */
bool remote_config_is_file(struct str key);

/* Adds "NAME BETWEEN WHAT" to what is told already, as long as that is short; nothing
 * where `what` is "". */
void remote_config_tell(struct arena *arena, struct str *all, struct str name,
                        const char *between, struct str what);

#endif
