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

_Static_assert(NRW_COUNT(leaves) == 2 + BINDING_TUNINGS,
               "binding.h says how many there are");

#define LEAF_NAME     0u
#define LEAF_HOSTNAME 1u
#define LEAF_TUNING   2u /* and all after it */

/* What all spellings of a name have in common: a hash of its letters and digits in lower
 * case, one after another, so that a name can be continued (FNV-1a). */
#define LETTERS_NONE UINT64_C(14695981039346656037)
static uint64_t add_letters(uint64_t letters, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char letter = ascii_fold[(unsigned char)text.p[i]];
        if (letter != 0)
            letters = (letters ^ (unsigned char)letter) * UINT64_C(1099511628211);
    }
    return letters;
}

/* Two bits of a filter for each name; eight times as many bits as names. */
static size_t letters_bit(const struct binding *binding, uint64_t letters, unsigned which)
{
    return (size_t)(letters >> (which == 0 ? 8 : 36)) & binding->letters_mask;
}

static bool make_filters(struct arena *arena, size_t names, struct binding *binding)
{
    size_t bits = 512;
    while (bits < 8 * names)
        bits *= 2;
    binding->letters_mask = bits - 1;
    binding->letters[false] = ARENA_ARRAY(arena, uint64_t, bits / 64);
    binding->letters[true] = ARENA_ARRAY(arena, uint64_t, bits / 64);
    return binding->letters[false] != NULL && binding->letters[true] != NULL;
}

static void note_letters(struct binding *binding, const struct declaration *declaration)
{
    uint64_t letters = add_letters(LETTERS_NONE, declaration->variable);
    for (unsigned i = 0; i < 2; i++) {
        size_t bit = letters_bit(binding, letters, i);
        binding->letters[true][bit / 64] |= UINT64_C(1) << (bit % 64);
        if (!declaration->injected)
            binding->letters[false][bit / 64] |= UINT64_C(1) << (bit % 64);
    }
}

/* False: no declared name can be a spelling of this one. */
static bool may_be_declared(const struct binding *binding, uint64_t letters,
                            bool injected)
{
    const uint64_t *filter = binding->letters[injected];
    for (unsigned i = 0; i < 2; i++) {
        size_t bit = letters_bit(binding, letters, i);
        if ((filter[bit / 64] >> (bit % 64) & 1) == 0)
            return false;
    }
    return true;
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
    if (!make_filters(arena, count, ret_binding) || arena->failed)
        return;
    for (size_t i = 0; i < count && !arena->failed; i++) {
        const struct declaration *declaration = sources_at(sources, i);
        enum layer layer = declaration->layer;
        ret_binding->dotted = ret_binding->dotted || layer != LAYER_ENV;
        chain(arena, &ret_binding->exact[layer], declaration->variable,
              ret_binding->next_same, i);
        note_letters(ret_binding, declaration);
        struct spring_name name;
        ret_binding->next_equal[i] = BINDING_END;
        if (!declaration->bystander)
            spring_var_name(&declaration->var, &name);
        else if (!spring_name_read(arena, declaration->variable, true, &name))
            continue;
        struct str path = spring_name_path(arena, &name, 0, name.n);
        chain(arena, &ret_binding->equal[layer], path, ret_binding->next_equal, i);
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

/* Does Spring meet `a`, declared earlier, before `b`? In one place of the set the one
 * that came first stays first, and those that read as properties only come last. */
static bool comes_first(const struct declaration *a, const struct declaration *b)
{
    unsigned place_a = hash_place(a->variable);
    unsigned place_b = hash_place(b->variable);
    if (place_a != place_b)
        return place_a < place_b;
    return a->var.environment || !b->var.environment;
}

/* The last one of a name counts; what is injected is declared last of all. */
static const struct declaration *by_name(const struct binding *binding, enum layer layer,
                                         struct str name, bool injected)
{
    const size_t *first = strmap_get(&binding->exact[layer], name);
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

/* Of the remote configuration it is not known which files and which documents of a
 * profile the API reads (policy/remote.h keeps what may count, and only that): what one
 * name is given there more than once is left to chance. NULL: nothing else than the
 * winner. */
static const struct declaration *other_file(const struct binding *binding,
                                            const struct declaration *winner)
{
    if (winner == NULL || !layer_is_remote(winner->layer))
        return NULL;
    for (size_t i = binding->next_same[winner - at(binding, 0)]; i != BINDING_END;
         i = binding->next_same[i]) {
        if (!same_value(winner, at(binding, i)))
            return at(binding, i);
    }
    return NULL;
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
        bool first_there = comes_first(declaration, winner);
        const struct declaration *loser = first_there ? winner : declaration;
        if (first_there)
            hit.winner = declaration;
        if (!same_value(winner, declaration))
            hit.rival = loser;
    }
    if (hit.rival == NULL)
        hit.rival = other_file(binding, hit.winner);
    return hit;
}

/* Remembers what it found, since many keys may share a path. */
static struct binding_hit by_path(struct binding *binding, enum layer layer,
                                  struct str path, bool injected)
{
    const size_t *first = strmap_get(&binding->equal[layer], path);
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

/* A name that is asked for. */
struct question {
    struct spring_name name;
    uint64_t letters;
    bool defaults, oauth2; /* what the API's own YAML has of the entry */
};

/* Asks for a property of what was asked for before; "": the same again. Returns what
 * go_back() needs. */
static uint64_t go_into(struct question *question, struct str element)
{
    uint64_t letters = question->letters;
    if (element.n == 0)
        return letters;
    question->name.e[question->name.n++] =
        (struct spring_element){element, element, false};
    question->letters = add_letters(letters, element);
    return letters;
}

static void go_back(struct question *question, struct str element, uint64_t letters)
{
    question->name.n -= element.n > 0 ? 1 : 0;
    question->letters = letters;
}

/* In the sources of properties, from the layer down to the other one. */
static struct binding_hit find_dotted(struct binding *binding,
                                      const struct spring_name *name, enum layer from,
                                      enum layer to, bool injected)
{
    struct arena *arena = binding->arena;
    struct binding_hit hit = {NULL, NULL};
    for (int layer = (int)from; layer >= (int)to && hit.winner == NULL; layer--) {
        if (binding->exact[layer].count == 0)
            continue; /* the usual case: the environment is all there is */
        hit.winner =
            by_name(binding, (enum layer)layer,
                    spring_name_spell(arena, name, SPRING_FORM_DOTTED), injected);
        hit.rival = other_file(binding, hit.winner);
        if (hit.winner == NULL)
            hit = by_path(binding, (enum layer)layer,
                          spring_name_path(arena, name, 0, name->n), injected);
    }
    return hit;
}

static struct binding_hit find(struct binding *binding, const struct question *question,
                               bool injected)
{
    struct arena *arena = binding->arena;
    const struct spring_name *name = &question->name;
    struct binding_hit hit = {NULL, NULL};
    if (!may_be_declared(binding, question->letters, injected))
        return hit;
    if (binding->dotted)
        hit = find_dotted(binding, name, LAYER_REMOTE, LAYER_SYSTEM, injected);
    if (hit.winner != NULL)
        return hit;
    for (int form = SPRING_FORM_UPPER; form < SPRING_FORM_MAPPED; form++) {
        hit.winner =
            by_name(binding, LAYER_ENV,
                    spring_name_spell(arena, name, (enum spring_form)form), injected);
        if (hit.winner != NULL)
            return hit;
    }
    hit =
        by_path(binding, LAYER_ENV, spring_name_path(arena, name, 0, name->n), injected);
    if (hit.winner == NULL && binding->dotted)
        hit = find_dotted(binding, name, LAYER_REMOTE_BELOW, LAYER_REMOTE_LAST, injected);
    return hit;
}

static struct binding_hit find_in(struct binding *binding, struct question *object,
                                  struct str property, bool injected)
{
    uint64_t letters = go_into(object, property);
    struct binding_hit hit = find(binding, object, injected);
    go_back(object, property, letters);
    return hit;
}

/* Is there a name below the object? In the environment Spring also asks with every dash
 * as a separator. */
static bool is_above(const struct binding *binding, const struct spring_name *object,
                     struct str path)
{
    struct arena *arena = binding->arena;
    if (strmap_get(&binding->above, path) != NULL)
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

/* Spring does not look into an object below which no name lies, unless the object itself
 * is given a value. It remembers the answer, and takes it for that of an equal key, too:
 * what was certainly asked before decides. */
static bool looks_into(struct binding *binding, const struct spring_name *object)
{
    if (binding->above.count == 0)
        return false;
    struct str path = spring_name_path(binding->arena, object, 0, object->n);
    bool answer = is_above(binding, object, path);
    if (binding->rank == BINDING_PROBE)
        return answer;
    bool fresh;
    size_t now = 2 * (size_t)binding->rank + (answer ? 1 : 0);
    const size_t *first = strmap_put(binding->arena, &binding->asked, path, now, &fresh);
    return first != NULL && *first / 2 < binding->rank ? *first % 2 == 1 : answer;
}

static bool converts(const struct leaf *leaf, const struct declaration *declaration)
{
    return !declaration->readable || spring_converts(leaf->text, declaration->value);
}

static void note_invalid(const struct binding *binding, const struct leaf *leaf,
                         const struct declaration *winner, struct binding_entry *entry)
{
    if (converts(leaf, winner))
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

/* Of an entry in the API's own YAML: does it set the property there? */
static bool is_default(const struct question *object, const struct leaf *leaf,
                       bool oauth2)
{
    bool timeout = str_ends(leaf->text, STR("-timeout"));
    if (leaf->object.n > 0)
        return oauth2 && str_eq(leaf->object, STR("oauth2"));
    return !timeout || str_eq(leaf->text, STR("call-timeout")) ||
           spring_element_is(&object->name.e[ENTRY_ELEMENTS - 1], STR("ngc"));
}

static void bind_leaf(struct binding *binding, struct question *object, size_t index,
                      struct binding_entry *ret, bool *ret_set)
{
    const struct leaf *leaf = &leaves[index];
    struct binding_hit hit = find_in(binding, object, leaf->property, true);
    if (hit.winner == NULL ||
        (hit.winner->layer == LAYER_REMOTE_LAST && object->defaults &&
         is_default(object, leaf, object->oauth2)))
        return;
    note_invalid(binding, leaf, hit.winner, ret);
    *ret_set = *ret_set || is_set(leaf, hit.winner);
    if (index != LEAF_NAME && index != LEAF_HOSTNAME) {
        ret->tuning[index - LEAF_TUNING] = hit.winner;
        if (hit.rival != NULL && converts(leaf, hit.winner) != converts(leaf, hit.rival))
            ret->chance = hit.rival;
        return;
    }
    const struct declaration *found =
        hit.winner->injected ? find_in(binding, object, leaf->property, false).winner
                             : hit.winner;
    if (index == LEAF_NAME) {
        ret->name = hit;
        ret->found_name = found;
    } else {
        ret->hostname = hit;
        ret->found_hostname = found;
    }
}

/* The leaves from `first` on that share an object. Returns the index after them. */
static size_t bind_object(struct binding *binding, struct question *entry, size_t first,
                          bool set, struct binding_entry *ret)
{
    struct str object = leaves[first].object;
    uint64_t letters = go_into(entry, object);
    const struct declaration *scalar =
        object.n > 0 ? find(binding, entry, true).winner : NULL;
    bool open = object.n == 0 || scalar != NULL || looks_into(binding, &entry->name);
    size_t i = first;
    for (; i < NRW_COUNT(leaves) && str_eq(leaves[i].object, object); i++) {
        if (open)
            bind_leaf(binding, entry, i, ret, &set);
    }
    go_back(entry, object, letters);
    ret->exists = ret->exists || set;
    if (scalar != NULL && !set)
        ret->object = scalar;
    return i;
}

void binding_bind(struct binding *binding, const struct spring_name *entry, bool defaults,
                  bool oauth2, struct binding_entry *ret_entry)
{
    *ret_entry = (struct binding_entry){.exists = defaults};
    struct question question;
    spring_name_copy(entry, &question.name);
    question.name.n = ENTRY_ELEMENTS;
    question.letters = LETTERS_NONE;
    question.defaults = defaults;
    question.oauth2 = oauth2;
    for (size_t i = 0; i < ENTRY_ELEMENTS; i++)
        question.letters = add_letters(question.letters, entry->e[i].text);
    for (size_t i = 0; i < NRW_COUNT(leaves);) {
        bool by_default = defaults && oauth2 && str_eq(leaves[i].object, STR("oauth2"));
        i = bind_object(binding, &question, i, by_default, ret_entry);
    }
    ret_entry->scalar = find(binding, &question, true).winner;
}
