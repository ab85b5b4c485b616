/* The registries that the API knows without us (nvcf-facts.md, part 2), profile `ncp`.
 * Pure: a const table. */
#ifndef NRW_CORE_BUILTIN_H
#define NRW_CORE_BUILTIN_H

#include <stdbool.h>
#include <stddef.h>

#include "util/str.h"

struct builtin {
    struct str key;      /* as in the API's YAML: "ecr-public" */
    struct str env;      /* as the guide writes it: "ECR_PUBLIC" */
    struct str uniform;  /* as Spring compares it: "ecrpublic" */
    struct str name;     /* "AWS ECR Public Registry" */
    struct str hostname; /* "" for harbor and artifactory: absent until someone sets it */
};

#define BUILTIN_COUNT 8u

const struct builtin *builtin_at(size_t i); /* 0 to BUILTIN_COUNT - 1 */
/* By the form Spring compares (lower case, letters and digits only), or NULL. */
const struct builtin *builtin_by_uniform(struct str uniform);
/* Any spelling of a key that Spring equates with a built-in's: ECR_PUBLIC, ecr-public,
 * EcrPublic. NULL when it is none. */
const struct builtin *builtin_by_key(struct str key);
const struct builtin *
builtin_by_hostname(struct str hostname);               /* exact; never the empty one */
const struct builtin *builtin_by_name(struct str name); /* exact */

static inline bool builtin_has_host(const struct builtin *builtin)
{
    return builtin->hostname.n > 0;
}

#endif
