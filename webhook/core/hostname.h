/* Which hostnames the NVCF API can ever match. It takes the host of an image with
 * java.net.URI("https://" + image).getHost(), normalises it, and looks it up exactly and
 * case-sensitively (nvcf-facts.md, part 2). Pure. */
#ifndef NRW_CORE_HOSTNAME_H
#define NRW_CORE_HOSTNAME_H

#include "util/arena.h"
#include "util/str.h"

enum hostname_problem {
    HOSTNAME_GOOD,
    HOSTNAME_BLANK,
    HOSTNAME_SCHEME, /* https://… */
    HOSTNAME_PATH,   /* a slash */
    HOSTNAME_PORT,   /* :5000 */
    HOSTNAME_CAPITALS,
    HOSTNAME_TRAILING_DOT,
    HOSTNAME_UNDERSCORE, /* URI.getHost() gives null */
    HOSTNAME_CHARACTER,  /* anything else that cannot stand in a host */
    HOSTNAME_HTTP,       /* begins with "http": the API takes such an image for a URL */
    HOSTNAME_LABEL,      /* empty label, or a dash at an end, or a last label with a digit
                            first */
    HOSTNAME_NORMALISED, /* becomes a built-in's host before the lookup */
};

struct hostname_check {
    enum hostname_problem problem;
    struct str
        becomes; /* HOSTNAME_NORMALISED: the built-in host it becomes (a literal) */
};

struct hostname_check hostname_check(struct str hostname);

/* What the API looks up for this host of an image: itself, or a built-in's host. */
struct str hostname_normalise(struct str host);

/* One sentence each, in the arena: what the API does with it; what to write instead (""
 * when nothing can be suggested). */
struct str hostname_explain(struct arena *arena, struct str hostname,
                            struct hostname_check check);
struct str hostname_advise(struct arena *arena, struct str hostname,
                           struct hostname_check check);

#endif
