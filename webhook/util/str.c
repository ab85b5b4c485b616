/* Borrowed text; see str.h. Pure; any thread. */
#include "util/str.h"

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    if (order != 0)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

size_t str_index(struct str s, size_t from, char c)
{
    if (from >= s.n)
        return s.n;
    const char *hit = memchr(s.p + from, c, s.n - from);
    return hit != NULL ? (size_t)(hit - s.p) : s.n;
}

size_t str_find(struct str s, struct str what)
{
    if (what.n == 0)
        return 0;
    const char *hit = s.n >= what.n ? memmem(s.p, s.n, what.p, what.n) : NULL;
    return hit != NULL ? (size_t)(hit - s.p) : s.n;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    }
    return true;
}
