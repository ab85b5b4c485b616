/* A borrowed piece of text: pointer and length, not terminated, may hold any byte. What
 * the core works on, so that neither a JSON library's strings nor a raw buffer need
 * copying. Pure; any thread. Whoever makes one says how long the bytes live. */
#ifndef NRW_UTIL_STR_H
#define NRW_UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    const char *p; /* never NULL where a function takes or returns one; see str_null */
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* For printf's %.*s. Texts above INT_MAX do not occur: every input is bounded at 8 MiB.
 */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static inline struct str str_from(const char *p, size_t n)
{
    return (struct str){p, n};
}

/* The absent text, to be told from the empty one. */
static inline struct str str_null(void)
{
    return (struct str){NULL, 0};
}

static inline bool str_is_null(struct str s)
{
    return s.p == NULL;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* Without what Java's String.trim() takes off: blanks and control characters. */
static inline struct str str_trim(struct str s)
{
    while (s.n > 0 && (unsigned char)s.p[0] <= ' ')
        s = (struct str){s.p + 1, s.n - 1};
    while (s.n > 0 && (unsigned char)s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

/* From `from` on (beyond the end: empty). */
static inline struct str str_skip(struct str s, size_t from)
{
    if (from > s.n)
        from = s.n;
    return (struct str){s.p + from, s.n - from};
}

static inline struct str str_first(struct str s, size_t n)
{
    return (struct str){s.p, n < s.n ? n : s.n};
}

/* Byte order, shorter first where one is a prefix: the order of memcmp. */
int str_cmp(struct str a, struct str b);
/* Index of the first `c` at or after `from`, or s.n. */
size_t str_index(struct str s, size_t from, char c);
/* Index of the first occurrence of `what`, or s.n. */
size_t str_find(struct str s, struct str what);
/* ASCII only: nothing here depends on a locale. */
bool str_eq_nocase(struct str a, struct str b);

/* Letters in lower case and digits; 0 for everything else. */
extern const char ascii_fold[256];

static inline bool ascii_is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}
static inline bool ascii_is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
/* The value of a hexadecimal digit, or -1. */
static inline int ascii_hex(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
static inline bool ascii_is_alpha(char c)
{
    return ascii_is_upper(c) || ascii_is_lower(c);
}
static inline bool ascii_is_alnum(char c)
{
    return ascii_fold[(unsigned char)c] != 0;
}
static inline char ascii_lower(char c)
{
    return ascii_is_upper(c) ? (char)(c + ('a' - 'A')) : c;
}
static inline char ascii_upper(char c)
{
    return ascii_is_lower(c) ? (char)(c - ('a' - 'A')) : c;
}

#endif
