/* What sources.c, sources_env.c and sources_options.c share while they read a workload;
 * nobody else's. Pure. */
#ifndef NRW_CORE_SOURCES_READER_H
#define NRW_CORE_SOURCES_READER_H

#include "core/sources.h"
#include "core/sources_ways.h"
#include "util/strmap.h"

struct reader {
    struct arena *arena;
    struct str prefix;
    const struct workload *workload; /* NULL: a ConfigMap alone */
    struct str name_space;           /* of the workload, or of the ConfigMap */
    struct sources *out;
    struct strmap names; /* variables that are set already, by a stronger source */
    struct strmap maps;  /* ConfigMaps of envFrom, by name and prefix: 1 when read */
    size_t entries;      /* of those: how many were looked at */
    size_t compared;     /* names, in search of a ConfigMap or an entry of one */
    bool beyond;         /* one of the two was more than is looked at */
    struct profiles *profiles; /* NULL, or where lists of profiles are noted */
    struct strmap active;      /* profiles of which the siblings are looked at, once asked
                                  for */
};

/* Lists of active profiles, wherever they are. */
struct profiles {
    struct str list;
    bool differ;     /* they are not all the same */
    bool unreadable; /* … or cannot all be told */
    bool cut;        /* … or are too long */
};

/* Where a value was found. */
struct place {
    enum layer layer;
    struct str source;
    struct str path;
    size_t env_index;
    struct str condition; /* of a document of the remote configuration; may be null */
    bool odd;             /* the value is what Java prints otherwise, and so unreadable */
};

/* Notes an error. */
void sources_report(struct reader *reader, enum finding_id id, const struct place *place,
                    struct str key, struct str message, const char *advice);

/* Notes an OpaqueSource as a warning: how grave it is, the policy says later. */
void sources_opaque(struct reader *reader, const struct place *place, struct str key,
                    struct str message, const char *advice);
/* The same of a property of the remote configuration: what it `does`, and its whole
 * value, so that an update that changes it says something else. */
void sources_quoted(struct reader *reader, const struct place *place,
                    const struct remote_prop *prop, const char *does, const char *advice);

/* A property by name: from a variable, an argument, -D or the remote configuration.
 * `reference`: where an unreadable value comes from. False: it is no registry's. */
bool sources_property(struct reader *reader, const struct place *place, struct str name,
                      struct str value, bool readable, bool environment,
                      bool by_kubernetes, struct str reference);

/* What a variable, argument or system property is that says where configuration comes
 * from, or which of it applies: way_of(), but WAY_NONE for profiles with the charts' own
 * among them. */
enum way sources_way(struct reader *reader, struct str name, struct str value,
                     bool readable, bool by_kubernetes);

/* A property of the remote configuration that makes profiles active: reported, unless
 * they are so anyhow. */
void sources_activation(struct reader *reader, const struct place *place,
                        const struct remote_config *remote,
                        const struct remote_prop *prop);

/* A variable with its value, whatever brought it. `reference`: where an unreadable value
 * comes from. */
void sources_variable(struct reader *reader, const struct place *place, struct str name,
                      struct str value, bool readable, bool by_kubernetes,
                      struct str reference);

/* The container's env; `skip` as in sources_read(). */
void sources_read_env(struct reader *reader, const bool *skip);

/* Its envFrom, after its env. */
void sources_read_env_from(struct reader *reader);

/* One ConfigMap, as an envFrom with this prefix brings it. */
void sources_read_map(struct reader *reader, struct str prefix,
                      const struct config_map *map);

/* For a ConfigMap that is not known. */
const char *sources_unknown_advice(const struct reader *reader, struct str name);

/* "could not be read: …" where the API server did not tell of it, otherwise "is not known
 * here". */
struct str sources_unknown(const struct reader *reader, struct str name);

/* Kubernetes turns `$$` of a literal into `$`, and expands `$(NAME)`; Spring then
 * resolves `${…}`. False: what the API will see cannot be told from here. */
bool sources_expand(struct arena *arena, struct str value, bool by_kubernetes,
                    struct str *ret_value);

/* The container's command and args, as one list of words. */
void sources_read_words(struct reader *reader);

/* The mounts that are kept: those that the API reads. */
void sources_read_mounts(struct reader *reader);

/* What JAVA_TOOL_OPTIONS or one of its kin says. `by_kubernetes`: it is a literal, in
 * which Kubernetes expands references. */
void sources_read_java_options(struct reader *reader, const struct place *place,
                               struct str value, bool by_kubernetes);

#endif
