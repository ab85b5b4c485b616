/* Names as Spring Boot splits, compares and spells them: ConfigurationPropertyName and
 * the two mappers that lead from the name of a variable to a property and back. The rules
 * are R1 to R4 of docs/SPRING.md. Pure. */
#ifndef NRW_CORE_SPRING_NAME_H
#define NRW_CORE_SPRING_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "util/arena.h"
#include "util/str.h"

#define SPRING_MAX_ELEMENTS 16u

struct spring_element {
    struct str text;    /* what Spring works with; of a variable, in lower case */
    struct str spelled; /* the same piece of the name as it was given */
    bool exact; /* compared as it is: a number, or in brackets in a property's name */
};

struct spring_name {
    struct spring_element e[SPRING_MAX_ELEMENTS];
    size_t n;
    bool environment; /* read as a variable's name (false: as a property's) */
};

/* How the name of a variable leads to a property; a smaller one wins over a larger one
 * within one source (R4). */
enum spring_form {
    SPRING_FORM_UPPER, /* PREFIX_…_ECRPUBLIC_HOSTNAME: capitals, dashes removed */
    SPRING_FORM_UPPER_LEGACY, /* PREFIX_…_ECR_PUBLIC_HOSTNAME: dashes to underscores */
    SPRING_FORM_LOWER,        /* the two in lower case */
    SPRING_FORM_LOWER_LEGACY,
    SPRING_FORM_DOTTED, /* prefix.….ecr-public.hostname, as Spring spells it */
    SPRING_FORM_MAPPED, /* any other spelling that maps to the property */
};

/* The first byte of the text; or I or K, where it begins with one of the two characters
 * beyond ASCII that Java's toLowerCase makes an ASCII letter of: U+0130 and U+212A. */
char spring_letter(struct str text);

/* The name with these two written in ASCII, as Spring compares it. */
struct str spring_fold(struct arena *arena, struct str name);

/* Reads the name: `environment` as a variable's, and as a property's where that reading
 * is void; else as a property's only. False: it means nothing to Spring. Elements beyond
 * the maximum are left out: no property is as deep, but such a variable may be a
 * spelling, as a whole, of a key with many dashes. Texts are slices of `name` or in the
 * arena. */
bool spring_name_read(struct arena *arena, struct str name, bool environment,
                      struct spring_name *ret_name);

/* A copy of the elements that there are, not of the room for them. */
void spring_name_copy(const struct spring_name *from, struct spring_name *ret_name);

/* Is the element equal to this one of lower case letters and digits? */
bool spring_element_is(const struct spring_element *element, struct str uniform);

/* What is compared: the exact text, or the letters and digits in lower case. */
struct str spring_element_uniform(struct arena *arena,
                                  const struct spring_element *element);

/* The key of a map that the element becomes (R3). */
struct str spring_element_key(struct arena *arena, const struct spring_element *element);

/* Elements `from` to `to` (not included) as one text; equal texts are equal names. */
struct str spring_name_path(struct arena *arena, const struct spring_name *name,
                            size_t from, size_t to);

/* How a variable must be spelled to be found for this property in this way (not
 * SPRING_FORM_MAPPED). */
struct str spring_name_spell(struct arena *arena, const struct spring_name *name,
                             enum spring_form form);

/* Lower case letters and digits of `text`, in the arena. */
struct str spring_uniform(struct arena *arena, struct str text);

/* `text` in any case, with or without dashes and underscores, is the same as `uniform`.
 */
bool spring_same(struct str uniform, struct str text);

#endif
