/* Splitting, comparing and spelling names; see spring_name.h. The walk through a name is
 * that of ConfigurationPropertyName's parser, unbalanced brackets included. Pure. */
#include "core/spring_name.h"

#define PATH_SEPARATOR '\x1f'

static const struct str wide_i = STR("\u0130");
static const struct str wide_k = STR("\u212a");

char spring_letter(struct str text)
{
    if ((unsigned char)text.p[0] < 0x80)
        return text.p[0];
    return str_starts(text, wide_i) ? 'I' : str_starts(text, wide_k) ? 'K' : text.p[0];
}

struct str spring_fold(struct arena *arena, struct str name)
{
    if (str_find(name, wide_i) == name.n && str_find(name, wide_k) == name.n)
        return name;
    char *out = arena_alloc(arena, name.n + 1, 1);
    if (out == NULL)
        return name;
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = spring_letter(str_skip(name, i));
        if (c != name.p[i])
            i += c == 'I' ? wide_i.n - 1 : wide_k.n - 1;
        out[n++] = c;
    }
    return str_from(out, n);
}

bool spring_same(struct str uniform, struct str text)
{
    size_t at = 0;
    for (size_t i = 0; i < text.n; i++) {
        char letter = ascii_fold[(unsigned char)text.p[i]];
        if (letter == 0)
            continue;
        if (at == uniform.n || uniform.p[at] != letter)
            return false;
        at++;
    }
    return at == uniform.n;
}

static size_t append_letters(char *out, size_t n, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char letter = ascii_fold[(unsigned char)text.p[i]];
        out[n] = letter;
        n += letter != 0 ? 1 : 0;
    }
    return n;
}

struct str spring_uniform(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.n + 1, 1);
    return out != NULL ? str_from(out, append_letters(out, 0, text)) : STR("");
}

static bool is_number(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (!ascii_is_digit(text.p[i]))
            return false;
    }
    return text.n > 0;
}

/* The parser's state for the element that it is in. */
struct walk {
    struct spring_name *out;
    size_t start;
    bool indexed; /* inside brackets: separators are ordinary characters */
    bool kept;    /* something valid was seen, or the element is bracketed */
};

static void end_element(struct walk *walk, struct str text, size_t end)
{
    if (end > walk->start && walk->kept) {
        struct str piece = str_from(text.p + walk->start, end - walk->start);
        if (walk->out->n < SPRING_MAX_ELEMENTS)
            walk->out->e[walk->out->n++] =
                (struct spring_element){piece, piece, walk->indexed};
    }
    walk->start = end + 1;
    walk->indexed = false;
    walk->kept = false;
}

/* The first SPRING_MAX_ELEMENTS of its elements. */
static void split(struct str text, char separator, struct spring_name *out)
{
    struct walk walk = {.out = out};
    long brackets = 0; /* may go below zero, as in Spring: then nothing opens one */
    out->n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (ascii_is_alnum(c)) {
            walk.kept = true;
        } else if (c == '[') {
            if (brackets == 0) {
                end_element(&walk, text, i);
                walk.indexed = true;
                walk.kept = true;
            }
            brackets++;
        } else if (c == ']') {
            brackets--;
            if (brackets == 0)
                end_element(&walk, text, i);
        } else if (!walk.indexed && c == separator) {
            end_element(&walk, text, i);
        } else if (c == '-' && i > walk.start) {
            walk.kept = true; /* Spring keeps a dash anywhere but at the start */
        }
    }
    if (brackets != 0) {
        walk.indexed = false;
        walk.kept = true;
    }
    end_element(&walk, text, text.n);
}

/* A variable's element, in lower case: a number, or what is left of it between dots.
 * False: nothing or several pieces are left. `plain`: the name has neither dots nor
 * brackets, and the element is one piece as it is. */
static bool resolve(struct spring_element *element, bool plain)
{
    if (is_number(element->text)) {
        element->exact = true;
        return true;
    }
    if (plain)
        return true;
    struct spring_name pieces;
    split(element->text, '.', &pieces);
    if (pieces.n != 1)
        return false;
    element->text = pieces.e[0].text;
    element->exact = pieces.e[0].exact;
    return true;
}

static bool read_environment(struct arena *arena, struct str name,
                             struct spring_name *out)
{
    char *lower = arena_alloc(arena, name.n + 1, 1);
    if (lower == NULL)
        return false;
    bool plain = true;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        lower[i] = ascii_fold[(unsigned char)c];
        if (lower[i] != 0)
            continue;
        lower[i] = c;
        plain = plain && c != '.' && c != '[' && c != ']';
    }
    split(str_from(lower, name.n), '_', out);
    for (size_t i = 0; i < out->n; i++) {
        struct spring_element *element = &out->e[i];
        if (!resolve(element, plain))
            return false;
        element->spelled = str_from(name.p + (element->text.p - lower), element->text.n);
    }
    return out->n > 0;
}

void spring_name_copy(const struct spring_name *from, struct spring_name *ret_name)
{
    memcpy(ret_name->e, from->e, from->n * sizeof(from->e[0]));
    ret_name->n = from->n;
    ret_name->environment = from->environment;
}

bool spring_name_read(struct arena *arena, struct str name, bool environment,
                      struct spring_name *ret_name)
{
    struct spring_name found;
    if (environment && read_environment(arena, name, &found)) {
        found.environment = true;
    } else {
        split(name, '.', &found);
        found.environment = false;
    }
    if (found.n == 0)
        return false;
    spring_name_copy(&found, ret_name);
    return true;
}

bool spring_element_is(const struct spring_element *element, struct str uniform)
{
    return element->exact ? str_eq(element->text, uniform)
                          : spring_same(uniform, element->text);
}

struct str spring_element_uniform(struct arena *arena,
                                  const struct spring_element *element)
{
    return element->exact ? element->text : spring_uniform(arena, element->text);
}

enum keep { KEEP_ORIGINAL, KEEP_DASHED, KEEP_UNIFORM, KEEP_LEGACY };

/* One element in one of Spring's forms, appended. */
static size_t append(char *out, size_t n, const struct spring_element *element,
                     enum keep keep)
{
    if (keep == KEEP_UNIFORM && !element->exact)
        return append_letters(out, n, element->text);
    for (size_t i = 0; i < element->text.n; i++) {
        char c = element->text.p[i];
        if (!element->exact) {
            bool word = ascii_is_alnum(c);
            bool dash = c == '-' && i > 0;
            bool score = c == '_' && (keep == KEEP_ORIGINAL || keep == KEEP_LEGACY);
            if (!word && !dash && !score)
                continue;
            if (keep == KEEP_DASHED)
                c = ascii_lower(c);
        }
        if (keep == KEEP_LEGACY && c == '-')
            c = '_';
        out[n++] = c;
    }
    return n;
}

struct str spring_element_key(struct arena *arena, const struct spring_element *element)
{
    char *out = arena_alloc(arena, element->text.n + 1, 1);
    if (out == NULL)
        return STR("");
    return str_from(out, append(out, 0, element, KEEP_ORIGINAL));
}

static size_t room(const struct spring_name *name, size_t from, size_t to)
{
    size_t n = 1;
    for (size_t i = from; i < to; i++)
        n += name->e[i].text.n + 3;
    return n;
}

struct str spring_name_path(struct arena *arena, const struct spring_name *name,
                            size_t from, size_t to)
{
    char *out = arena_alloc(arena, room(name, from, to), 1);
    if (out == NULL)
        return STR("");
    size_t n = 0;
    for (size_t i = from; i < to; i++) {
        n = append(out, n, &name->e[i], KEEP_UNIFORM);
        out[n++] = PATH_SEPARATOR;
    }
    return str_from(out, n);
}

static struct str spell_dotted(struct arena *arena, const struct spring_name *name)
{
    char *out = arena_alloc(arena, room(name, 0, name->n), 1);
    if (out == NULL)
        return STR("");
    size_t n = 0;
    for (size_t i = 0; i < name->n; i++) {
        bool exact = name->e[i].exact;
        if (exact)
            out[n++] = '[';
        else if (i > 0)
            out[n++] = '.';
        n = append(out, n, &name->e[i], KEEP_DASHED);
        if (exact)
            out[n++] = ']';
    }
    return str_from(out, n);
}

struct str spring_name_spell(struct arena *arena, const struct spring_name *name,
                             enum spring_form form)
{
    if (form == SPRING_FORM_DOTTED)
        return spell_dotted(arena, name);
    char *out = arena_alloc(arena, room(name, 0, name->n), 1);
    if (out == NULL)
        return STR("");
    bool legacy = form == SPRING_FORM_UPPER_LEGACY || form == SPRING_FORM_LOWER_LEGACY;
    bool upper = form == SPRING_FORM_UPPER || form == SPRING_FORM_UPPER_LEGACY;
    size_t n = 0;
    for (size_t i = 0; i < name->n; i++) {
        if (i > 0)
            out[n++] = '_';
        n = append(out, n, &name->e[i], legacy ? KEEP_LEGACY : KEEP_UNIFORM);
    }
    for (size_t i = 0; upper && i < n; i++)
        out[i] = ascii_upper(out[i]);
    return str_from(out, n);
}
