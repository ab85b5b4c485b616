/* Which declaration fills which property of an entry: the search that Spring's Binder
 * makes through its sources (docs/SPRING.md, R4 to R6). Pure. */
#ifndef NRW_CORE_BINDING_H
#define NRW_CORE_BINDING_H

#include <stdint.h>

#include "core/sources.h"
#include "core/spring_name.h"
#include "util/strmap.h"

#define BINDING_END ((size_t)-1)

/* What was found for one property. */
struct binding_hit {
    const struct declaration *winner; /* NULL: nothing sets it */
    const struct declaration *rival;  /* as strong, with another value: left to chance */
};

/* Sources made searchable. */
struct binding {
    struct arena *arena;
    const struct sources *sources;
    size_t *next_same;  /* per declaration: the one before it of the same name, or
                           BINDING_END */
    size_t *next_equal; /* … whose name is equal to Spring */
    struct strmap exact[LAYER_COUNT]; /* name → last declaration */
    struct strmap equal[LAYER_COUNT]; /* path → last declaration */
    bool dotted;                      /* there are others than the environment */
    struct strmap above; /* paths above a declared one, for what Spring asks first */
    /* Bloom filters over the letters and digits of declared names, without and with what
     * is injected: most of what is asked for is declared in no spelling. */
    uint64_t *letters[2];
    size_t letters_mask;          /* their bits, a power of two, minus one */
    struct binding_hit *known[2]; /* found before, without and with what is injected */
    bool *is_known[2];
    struct strmap asked; /* objects asked for by the names of the map, see looks_into() */
    unsigned rank;       /* of the name that is bound: lower is met earlier by Spring */
};

/* As `rank`: what is bound is nothing that Spring binds, or not in this order. */
#define BINDING_PROBE 0u

/* All properties but name and hostname. */
#define BINDING_TUNINGS 8u

/* An entry bound: what Spring would put into the map. */
struct binding_entry {
    struct binding_hit name, hostname;
    const struct declaration *found_name, *found_hostname; /* without what is injected */
    const struct declaration *scalar; /* a value where the entry itself is expected */
    const struct declaration *object; /* a value where an object is: binding fails */
    const struct declaration *tuning[BINDING_TUNINGS]; /* what wins */
    const struct declaration *chance; /* as strong as one of those, and only one of the
                                       * two converts; or NULL */
    struct arena_list
        invalid; /* of const struct declaration *: values that do not convert */
    bool exists; /* at least one property is set */
};

/* Indexes. Check arena->failed. */
void binding_index(struct arena *arena, const struct sources *sources,
                   struct binding *ret_binding);

/* Binds the entry that the first five elements of `entry` name. `defaults`: the API's own
 * YAML has an entry that is equal to Spring; `oauth2`: with an oauth2 section. */
void binding_bind(struct binding *binding, const struct spring_name *entry, bool defaults,
                  bool oauth2, struct binding_entry *ret_entry);

#endif
