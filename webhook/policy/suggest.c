/* "Did you mean …"; see suggest.h. */
#include "policy/suggest.h"

#define LONGEST 32u

/* Levenshtein's distance, capitals ignored; LONGEST where either text is longer. */
static size_t distance(struct str a, struct str b)
{
    size_t row[LONGEST + 1];
    if (a.n > LONGEST || b.n > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            bool same = ascii_lower(a.p[i - 1]) == ascii_lower(b.p[j - 1]);
            size_t best = diagonal + (same ? 0 : 1);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b.n];
}

static bool begins(struct str word, struct str text)
{
    return text.n >= 3 && text.n < word.n && str_eq_nocase(str_first(word, text.n), text);
}

const char *suggest(struct str text, const char *const *words, size_t count)
{
    const char *best = NULL;
    size_t nearest = text.n <= 4   ? 2
                     : text.n <= 7 ? 3
                                   : 4; /* the first that is too far */
    for (size_t i = 0; i < count; i++) {
        struct str word = str_of(words[i]);
        size_t d = begins(word, text) ? 1 : distance(text, word);
        if (d < nearest && d < word.n) {
            nearest = d;
            best = words[i];
        }
    }
    return best;
}
