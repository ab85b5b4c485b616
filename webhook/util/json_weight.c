/* Counts brackets, texts and commas; see json_weight.h. The weights are sizeof() of
 * jansson's values with the tables that they begin with, rounded up as glibc does, and
 * twice what a table has in use, since they double; tests/unit/test_json_weight.c
 * compares them with what is really taken. */
#include "util/json_weight.h"

#include <string.h>

/* Where the text that begins at `at` ends: behind its closing quote. */
static size_t text_end(struct str text, size_t at)
{
    while (++at < text.n && text.p[at] != '"') {
        if (text.p[at] == '\\')
            at++;
    }
    return at;
}

size_t json_weight(struct str text, size_t enough)
{
    size_t weight = 2 * text.n + JSON_WEIGHT_PLACE;
    for (size_t i = 0; i < text.n && weight <= enough; i++) {
        switch (text.p[i]) {
        case '"':
            weight += JSON_WEIGHT_TEXT;
            i = text_end(text, i);
            break;
        case '{':
            weight += JSON_WEIGHT_OBJECT;
            break;
        case '[':
            weight += JSON_WEIGHT_ARRAY;
            break;
        case ',':
        case ':':
            weight += JSON_WEIGHT_PLACE;
            break;
        default:
            break;
        }
    }
    return weight;
}
