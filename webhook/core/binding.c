/* Spring's search for the properties of an entry; see binding.h. Source by source, the
 * strongest first; within the environment the spellings of R4 in their order, then
 * whatever else is equal. Pure. */
#include "core/binding.h"

#include <stdint.h>

#include "util/attr.h"

#define ENTRY_ELEMENTS 5u

/* The properties of an entry, as the API's classes have them. */
static const struct leaf {
    struct str object, property, text;
} leaves[] = {
    {STR(""), STR("name"), STR("name")},
    {STR(""), STR("hostname"), STR("hostname")},
    {STR(""), STR("call-timeout"), STR("call-timeout")},
    {STR(""), STR("read-timeout"), STR("read-timeout")},
    {STR(""), STR("write-timeout"), STR("write-timeout")},
    {STR(""), STR("connection-timeout"), STR("connection-timeout")},
    {STR("oauth2"), STR("base-url"), STR("oauth2.base-url")},
    {STR("oauth2"), STR("group-scope"), STR("oauth2.group-scope")},
    {STR("credential-validation"), STR("enabled"), STR("credential-validation.enabled")},
    {STR("artifact-validation"), STR("enabled"), STR("artifact-validation.enabled")},
};

#define LEAF_NAME     0u
#define LEAF_HOSTNAME 1u

/* The text with the layer before it, so that one map serves all layers. */
static struct str in_layer(struct arena *arena, enum layer layer, struct str text)
{
    char *out = arena_alloc(arena, text.n + 1, 1);
    if (out == NULL)
        return STR("");
    out[0] = (char)('0' + (int)layer);
    memcpy(out + 1, text.p, text.n);
    return str_from(out, text.n + 1);
}

/* Letters and digits in lower case, appended; whatever the spelling, they are the same.
 */
static size_t add_letters(char *out, size_t n, size_t size, struct str text)
{
    for (size_t i = 0; i < text.n && n < size; i++) {
        if (ascii_is_alnum(text.p[i]))
            out[n++] = ascii_lower(text.p[i]);
    }
    return n;
}
#define LETTERS_MAXIMUM 256u

/* False: no declared name can be a spelling of this one. */
static bool may_be_declared(const struct binding *binding, const struct spring_name *name)
{
    char letters[LETTERS_MAXIMUM];
    size_t n = 0;
    for (size_t i = 0; i < name->n; i++)
        n = add_letters(letters, n, sizeof(letters), name->e[i].text);
    return strmap_get(&binding->letters, str_from(letters, n)) != NULL;
}

/* Puts the declaration before those that the map's entry leads to already. */
static void chain(struct arena *arena, struct strmap *map, struct str key, size_t *next,
                  size_t index)
{
    bool fresh;
    size_t *first = strmap_put(arena, map, key, index, &fresh);
    if (first == NULL)
        return;
    next[index] = fresh ? BINDING_END : *first;
    *first = index;
}

static const struct declaration *at(const struct binding *binding, size_t index)
{
    return sources_at(binding->sources, index);
}

void binding_index(struct arena *arena, const struct sources *sources,
                   struct binding *ret_binding)
{
    size_t count = sources->declared.count;
    *ret_binding = (struct binding){.arena = arena, .sources = sources};
    ret_binding->next_same = ARENA_ARRAY(arena, size_t, count + 1);
    ret_binding->next_equal = ARENA_ARRAY(arena, size_t, count + 1);
    for (size_t i = 0; i < 2; i++) {
        ret_binding->known[i] = ARENA_ARRAY(arena, struct binding_hit, count + 1);
        ret_binding->is_known[i] = ARENA_ARRAY(arena, bool, count + 1);
    }
    if (arena->failed)
        return;
    for (size_t i = 0; i < count && !arena->failed; i++) {
        const struct declaration *declaration = sources_at(sources, i);
        enum layer layer = declaration->layer;
        chain(arena, &ret_binding->exact, in_layer(arena, layer, declaration->variable),
              ret_binding->next_same, i);
        char letters[LETTERS_MAXIMUM];
        size_t n = add_letters(letters, 0, sizeof(letters), declaration->variable);
        (void)strmap_put(arena, &ret_binding->letters,
                         arena_str(arena, str_from(letters, n)), i, NULL);
        struct spring_name name;
        ret_binding->next_equal[i] = BINDING_END;
        if (!spring_name_read(arena, declaration->variable, layer == LAYER_ENV, &name))
            continue;
        struct str path = spring_name_path(arena, &name, 0, name.n);
        chain(arena, &ret_binding->equal, in_layer(arena, layer, path),
              ret_binding->next_equal, i);
        for (size_t k = ENTRY_ELEMENTS + 1; k < name.n; k++)
            (void)strmap_put(arena, &ret_binding->above,
                             spring_name_path(arena, &name, 0, k), i, NULL);
    }
}

/* The place of a name in a Java HashSet of its default size: what comes first there. */
static unsigned hash_place(struct str name)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < name.n; i++)
        hash = hash * 31u + (unsigned char)name.p[i];
    return (hash ^ (hash >> 16)) & 15u;
}

/* The last one of a name counts; what is injected is declared last of all. */
static const struct declaration *by_name(const struct binding *binding, enum layer layer,
                                         struct str name, bool injected)
{
    const size_t *first =
        strmap_get(&binding->exact, in_layer(binding->arena, layer, name));
    for (size_t i = first != NULL ? *first : BINDING_END; i != BINDING_END;
         i = binding->next_same[i]) {
        const struct declaration *declaration = at(binding, i);
        if (injected || !declaration->injected)
            return declaration;
    }
    return NULL;
}

static bool same_value(const struct declaration *a, const struct declaration *b)
{
    return a->readable && b->readable && str_eq(a->value, b->value);
}

static struct binding_hit search_path(const struct binding *binding, size_t first,
                                      bool injected)
{
    struct binding_hit hit = {NULL, NULL};
    for (size_t i = first; i != BINDING_END; i = binding->next_equal[i]) {
        const struct declaration *declaration = at(binding, i);
        const struct declaration *winner = hit.winner;
        if (!injected && declaration->injected)
            continue;
        if (winner == NULL) {
            hit.winner = declaration;
            continue;
        }
        if (str_eq(winner->variable, declaration->variable))
            continue; /* stands twice: the later one was first here */
        bool first_there =
            hash_place(declaration->variable) < hash_place(winner->variable);
        const struct declaration *loser = first_there ? winner : declaration;
        if (first_there)
            hit.winner = declaration;
        if (!same_value(winner, declaration))
            hit.rival = loser;
    }
    return hit;
}

/* Remembers what it found, since many keys may share a path. */
static struct binding_hit by_path(struct binding *binding, enum layer layer,
                                  struct str path, bool injected)
{
    struct str key = in_layer(binding->arena, layer, path);
    const size_t *first = strmap_get(&binding->equal, key);
    const struct binding_hit none = {NULL, NULL};
    if (first == NULL)
        return none;
    struct binding_hit *known = binding->known[injected];
    bool *is_known = binding->is_known[injected];
    if (!is_known[*first]) {
        known[*first] = search_path(binding, *first, injected);
        is_known[*first] = true;
    }
    return known[*first];
}

static struct binding_hit find(struct binding *binding, const struct spring_name *name,
                               bool injected)
{
    static const enum layer above_env[] = {LAYER_REMOTE, LAYER_ARGS, LAYER_SYSTEM};
    struct arena *arena = binding->arena;
    struct binding_hit hit = {NULL, NULL};
    if (!may_be_declared(binding, name))
        return hit;
    struct str path = spring_name_path(arena, name, 0, name->n);
    struct str dotted = spring_name_spell(arena, name, SPRING_FORM_DOTTED);
    for (size_t i = 0; i < NRW_COUNT(above_env); i++) {
        hit.winner = by_name(binding, above_env[i], dotted, injected);
        if (hit.winner == NULL)
            hit = by_path(binding, above_env[i], path, injected);
        if (hit.winner != NULL)
            return hit;
    }
    for (int form = SPRING_FORM_UPPER; form < SPRING_FORM_MAPPED; form++) {
        struct str spelled = form == SPRING_FORM_DOTTED
                                 ? dotted
                                 : spring_name_spell(arena, name, (enum spring_form)form);
        hit.winner = by_name(binding, LAYER_ENV, spelled, injected);
        if (hit.winner != NULL)
            return hit;
    }
    return by_path(binding, LAYER_ENV, path, injected);
}

static void extend(struct spring_name *name, struct str element)
{
    if (element.n > 0)
        name->e[name->n++] = (struct spring_element){element, element, false};
}

/* Spring does not look into an object below which no name lies, unless the object itself
 * is given a value. In the environment it also asks with every dash as a separator. */
static bool looks_into(const struct binding *binding, const struct spring_name *object)
{
    struct arena *arena = binding->arena;
    if (binding->above.count == 0)
        return false;
    if (strmap_get(&binding->above, spring_name_path(arena, object, 0, object->n)) !=
        NULL)
        return true;
    struct str dotted = spring_name_spell(arena, object, SPRING_FORM_DOTTED);
    char *text = arena_alloc(arena, dotted.n + 1, 1);
    if (text == NULL || str_index(dotted, 0, '-') == dotted.n)
        return false;
    for (size_t i = 0; i < dotted.n; i++)
        text[i] = dotted.p[i] == '-' ? '.' : dotted.p[i];
    struct spring_name legacy;
    return spring_name_read(arena, str_from(text, dotted.n), false, &legacy) &&
           strmap_get(&binding->above, spring_name_path(arena, &legacy, 0, legacy.n)) !=
               NULL;
}

static void note_invalid(const struct binding *binding, const struct leaf *leaf,
                         const struct declaration *winner, struct binding_entry *entry)
{
    if (!winner->readable || spring_converts(leaf->text, winner->value))
        return;
    const struct declaration **slot =
        arena_list_add(binding->arena, &entry->invalid, sizeof(*slot));
    if (slot != NULL)
        *slot = winner;
}

/* An empty duration converts to nothing: as if it were not set. */
static bool is_set(const struct leaf *leaf, const struct declaration *winner)
{
    return !(winner->readable && winner->value.n == 0 &&
             str_ends(leaf->text, STR("-timeout")));
}

static void bind_leaf(struct binding *binding, const struct spring_name *object,
                      size_t index, struct binding_entry *ret, bool *ret_set)
{
    const struct leaf *leaf = &leaves[index];
    struct spring_name name = *object;
    extend(&name, leaf->property);
    struct binding_hit hit = find(binding, &name, true);
    if (hit.winner == NULL)
        return;
    note_invalid(binding, leaf, hit.winner, ret);
    *ret_set = *ret_set || is_set(leaf, hit.winner);
    if (index == LEAF_NAME) {
        ret->name = hit;
        ret->found_name =
            hit.winner->injected ? find(binding, &name, false).winner : hit.winner;
    } else if (index == LEAF_HOSTNAME) {
        ret->hostname = hit;
        ret->found_hostname =
            hit.winner->injected ? find(binding, &name, false).winner : hit.winner;
    }
}

/* The leaves from `first` on that share an object. Returns the index after them. */
static size_t bind_object(struct binding *binding, const struct spring_name *base,
                          size_t first, bool set, struct binding_entry *entry)
{
    struct str object = leaves[first].object;
    struct spring_name name = *base;
    extend(&name, object);
    const struct declaration *scalar =
        object.n > 0 ? find(binding, &name, true).winner : NULL;
    bool open = object.n == 0 || scalar != NULL || looks_into(binding, &name);
    size_t i = first;
    for (; i < NRW_COUNT(leaves) && str_eq(leaves[i].object, object); i++) {
        if (open)
            bind_leaf(binding, &name, i, entry, &set);
    }
    entry->exists = entry->exists || set;
    if (scalar != NULL && !set)
        entry->object = scalar;
    return i;
}

void binding_bind(struct binding *binding, const struct spring_name *entry, bool defaults,
                  bool oauth2, struct binding_entry *ret_entry)
{
    *ret_entry = (struct binding_entry){.exists = defaults};
    struct spring_name base = *entry;
    base.n = ENTRY_ELEMENTS;
    for (size_t i = 0; i < NRW_COUNT(leaves);) {
        bool by_default = defaults && oauth2 && str_eq(leaves[i].object, STR("oauth2"));
        i = bind_object(binding, &base, i, by_default, ret_entry);
    }
    ret_entry->scalar = find(binding, &base, true).winner;
}
