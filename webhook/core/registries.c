/* The registries that the API would recognise; see registries.h. Pure. */
#include "core/registries.h"

#include "util/attr.h"
#include "util/strmap.h"

const struct policy_registry *registries_listed(const struct policy *policy,
                                                struct str uniform)
{
    /* The policy is sorted by key, and a key in lower case is its uniform form. */
    size_t low = 0;
    size_t high = policy->registry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct str key = policy->registries[middle].key;
        int order = 0;
        size_t i = 0;
        while (order == 0 && i < key.n && i < uniform.n) {
            order = ascii_lower(key.p[i]) - uniform.p[i];
            i++;
        }
        if (order == 0)
            order = (key.n > uniform.n) - (key.n < uniform.n);
        if (order == 0)
            return &policy->registries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool registries_by_default(enum artifact artifact, const struct builtin *builtin)
{
    if (artifact == ARTIFACT_CONTAINER || artifact == ARTIFACT_HELM)
        return builtin_has_host(builtin);
    return str_eq(builtin->key, STR("ngc"));
}

/* The API has a client of its own for the key. */
static bool has_client(enum artifact artifact, const struct builtin *builtin)
{
    return artifact == ARTIFACT_CONTAINER || artifact == ARTIFACT_HELM ||
           registries_by_default(artifact, builtin);
}

/* Whether the entry has an oauth2 section in the API's YAML, profile ncp. */
static bool has_oauth2(enum artifact artifact, const struct builtin *builtin)
{
    return str_eq(builtin->key, STR("docker")) ||
           (str_eq(builtin->key, STR("ngc")) && artifact != ARTIFACT_CONTAINER);
}

const struct registry *registries_find(const struct registries *registries,
                                       enum artifact artifact, struct str map_key)
{
    for (size_t i = 0; i < registries->list.count; i++) {
        const struct registry *registry = registries_at(registries, i);
        if (registry->artifact == artifact && str_eq(registry->map_key, map_key))
            return registry;
    }
    return NULL;
}

#define ENTRY_ELEMENTS 5u

/* The name under which an entry is bound: the first that Spring meets of those that make
 * its key. */
struct maker {
    struct spring_element e[ENTRY_ELEMENTS];
    unsigned rank; /* lower is met earlier; the order within one is a hash map's */
    bool proper;   /* not only keys with an underscore spell it so, as early */
};

/* What is met last of all: the API's own YAML. */
#define RANK_DEFAULTS 100u

struct grouper {
    struct arena *arena;
    const struct policy *policy;
    struct str prefix;
    struct binding binding;
    struct strmap keys[ARTIFACT_COUNT]; /* by type: key → index of the registry */
    struct arena_list makers;           /* of struct maker, as the registries */
    struct registries *out;
};

static const struct builtin *builtin_of_key(struct str map_key)
{
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        if (str_eq(builtin_at(i)->key, map_key))
            return builtin_at(i);
    }
    return NULL;
}

static void describe(struct grouper *grouper, struct registry *registry,
                     const struct spring_element *key)
{
    registry->map_key = spring_element_key(grouper->arena, key);
    registry->uniform = spring_element_uniform(grouper->arena, key);
    registry->label = key->spelled;
    registry->builtin = builtin_of_key(registry->map_key);
    registry->known =
        registry->builtin != NULL && has_client(registry->artifact, registry->builtin);
    if (registry->builtin == NULL)
        registry->builtin = builtin_by_uniform(registry->uniform);
    if (registry->builtin != NULL)
        registry->label = registry->builtin->env;
    if (registry->artifact == ARTIFACT_CONTAINER)
        registry->listed = registries_listed(grouper->policy, registry->uniform);
    if (registry->listed != NULL)
        registry->label = registry->listed->key;
}

static void bind_entry(struct grouper *grouper, const struct spring_name *name,
                       struct registry *registry, struct binding_entry *ret_entry)
{
    const struct builtin *builtin = registry->builtin;
    registry->defaults = builtin != NULL &&
                         spring_element_is(&name->e[4], builtin->uniform) &&
                         registries_by_default(registry->artifact, builtin);
    binding_bind(&grouper->binding, name, registry->defaults,
                 registry->defaults && has_oauth2(registry->artifact, builtin),
                 ret_entry);
}

/* The name of a built-in's entry as the API's own YAML writes it. */
static struct spring_name canonical(struct grouper *grouper, enum artifact artifact,
                                    const struct builtin *builtin)
{
    struct spring_name name = {.n = ENTRY_ELEMENTS};
    const struct str elements[] = {spring_uniform(grouper->arena, grouper->prefix),
                                   STR("registries"), STR("recognized"),
                                   str_of(artifact_name(artifact)), builtin->key};
    for (size_t i = 0; i < name.n; i++)
        name.e[i] = (struct spring_element){elements[i], elements[i], false};
    return name;
}

/* Harbor and Artifactory: the API asks for the hostname by the canonical name. Only a
 * dash before the key makes that another search than the entry's. */
static bool is_inactive(struct grouper *grouper, const struct spring_name *name,
                        const struct registry *registry)
{
    bool dashed = false;
    for (size_t i = 0; i + 1 < ENTRY_ELEMENTS; i++)
        dashed = dashed || str_index(name->e[i].text, 0, '-') < name->e[i].text.n;
    if (!dashed || !registry->known ||
        registries_by_default(registry->artifact, registry->builtin))
        return false;
    struct spring_name asked = canonical(grouper, registry->artifact, registry->builtin);
    struct binding_entry entry;
    binding_bind(&grouper->binding, &asked, false, false, &entry);
    return entry.hostname.winner == NULL;
}

/* What is as strong as a winner, so that chance decides; or NULL. */
static const struct declaration *chance_of(const struct binding_entry *entry)
{
    return entry->name.rival != NULL       ? entry->name.rival
           : entry->hostname.rival != NULL ? entry->hostname.rival
                                           : entry->chance;
}

static void bind(struct grouper *grouper, const struct spring_name *name, unsigned rank,
                 struct registry *registry)
{
    struct binding_entry entry;
    grouper->binding.rank = rank;
    bind_entry(grouper, name, registry, &entry);
    grouper->binding.rank = BINDING_PROBE;
    registry->name = entry.name.winner;
    registry->hostname = entry.hostname.winner;
    registry->ambiguous = chance_of(&entry);
    registry->found_name = entry.found_name;
    registry->found_hostname = entry.found_hostname;
    registry->scalar = entry.scalar;
    registry->object = entry.object;
    registry->invalid = entry.invalid;
    registry->exists = entry.exists;
    registry->inactive = is_inactive(grouper, name, registry);
}

/* What is to be known of a declaration besides what it sets. */
static void note(struct registry *registry, const struct declaration *declaration)
{
    if (declaration == NULL)
        return;
    if (registry->first == NULL)
        registry->first = declaration;
    if (declaration->injected)
        return;
    if (layer_is_remote(declaration->layer))
        registry->remote = declaration;
    if (declaration->env_index == NOT_IN_ENV || declaration->layer != LAYER_ENV)
        registry->not_in_env = declaration;
}

static bool same_element(struct arena *arena, const struct spring_element *a,
                         const struct spring_element *b)
{
    return a->exact == b->exact &&
           (str_eq(a->text, b->text) ||
            str_eq(spring_element_key(arena, a), spring_element_key(arena, b)));
}

/* Do both names lead to the same search? */
static bool same_spelling(struct arena *arena, const struct maker *maker,
                          const struct spring_name *name)
{
    for (size_t i = 0; i < ENTRY_ELEMENTS; i++) {
        if (!same_element(arena, &maker->e[i], &name->e[i]))
            return false;
    }
    return true;
}

static bool is_nested(const struct declaration *declaration)
{
    return declaration != NULL && !declaration->injected &&
           declaration->var.property == SPRING_UNKNOWN &&
           declaration->var.nested_registry;
}

static void set_maker(struct maker *maker, const struct spring_name *name, unsigned rank,
                      const struct declaration *declaration)
{
    memcpy(maker->e, name->e, sizeof(maker->e));
    maker->rank = rank;
    maker->proper = !is_nested(declaration);
}

/* Nothing comes of it: Spring goes on to the next name of the key. */
static bool is_nothing(const struct binding_entry *entry)
{
    return !entry->exists && entry->scalar == NULL && entry->object == NULL &&
           entry->invalid.count == 0;
}

/* Do two declarations set the same? NULL: what the API's own YAML has, `otherwise`. */
static bool same_value(const struct declaration *a, const struct declaration *b,
                       struct str otherwise)
{
    if (a == b)
        return true;
    if ((a != NULL && !a->readable) || (b != NULL && !b->readable))
        return false;
    return str_eq(a != NULL ? a->value : otherwise, b != NULL ? b->value : otherwise);
}

static bool is_blank(const struct declaration *declaration, bool defaults)
{
    return declaration == NULL
               ? !defaults
               : declaration->readable && spring_blank(declaration->value);
}

/* Binding fails: then it does not matter why. */
static bool is_broken(const struct registry *registry, const struct binding_entry *entry)
{
    return !entry->exists || entry->object != NULL || entry->invalid.count > 0 ||
           is_blank(entry->name.winner, registry->defaults) ||
           is_blank(entry->hostname.winner, registry->defaults);
}

/* Binding fails either way, but not by the same. */
static bool fail_otherwise(const struct registry *registry, const struct binding_entry *a,
                           const struct binding_entry *b)
{
    return is_broken(registry, a) && is_broken(registry, b) && !is_nothing(b) &&
           (a->exists != b->exists || (a->object != NULL) != (b->object != NULL) ||
            (a->invalid.count > 0) != (b->invalid.count > 0));
}

/* A custom key of the other two types is validated, and of no use. */
static bool is_used(const struct registry *registry)
{
    return registry->artifact == ARTIFACT_CONTAINER ||
           registry->artifact == ARTIFACT_HELM || registry->known;
}

/* Would Spring make something else of the key if it met the other name first? */
static bool differ(const struct registry *registry, const struct binding_entry *a,
                   const struct binding_entry *b)
{
    bool broken = is_broken(registry, a);
    if (broken != is_broken(registry, b))
        return true;
    const struct builtin *builtin = registry->defaults ? registry->builtin : NULL;
    return !broken && is_used(registry) &&
           (!same_value(a->name.winner, b->name.winner,
                        builtin != NULL ? builtin->name : STR("")) ||
            !same_value(a->hostname.winner, b->hostname.winner,
                        builtin != NULL ? builtin->hostname : STR("")));
}

/* A name that looks like a key with an underscore is said to do nothing: then it must not
 * decide the tuning of the key either. */
static bool tunes(struct grouper *grouper, const struct registry *registry,
                  const struct maker *maker, const struct declaration *declaration,
                  const struct binding_entry *other)
{
    if (registry->nested == NULL && !is_nested(declaration))
        return false;
    struct registry copy = *registry;
    struct spring_name name = {.n = ENTRY_ELEMENTS};
    struct binding_entry bound;
    memcpy(name.e, maker->e, sizeof(maker->e));
    bind_entry(grouper, &name, &copy, &bound);
    for (size_t i = 0; i < BINDING_TUNINGS; i++) {
        const struct declaration *mine = bound.tuning[i], *theirs = other->tuning[i];
        /* One that is empty is not one that is not there: it need not convert. */
        if ((mine == NULL) != (theirs == NULL) || !same_value(mine, theirs, STR("")))
            return true;
    }
    return false;
}

/* All that makes it an entry is its tuning. */
static bool is_tuning_only(const struct registry *registry)
{
    return !registry->defaults && registry->name == NULL && registry->hostname == NULL;
}

/* Another name of a known key, met later than the one it is bound under, or as likely
 * first. */
static void meet_again(struct grouper *grouper, struct registry *registry,
                       struct maker *maker, const struct spring_name *name, unsigned rank,
                       const struct declaration *declaration)
{
    bool later = rank != maker->rank;
    if (same_spelling(grouper->arena, maker, name)) {
        maker->proper = maker->proper || (!later && !is_nested(declaration));
        return;
    }
    const struct binding_entry bound = {.name = {.winner = registry->name},
                                        .hostname = {.winner = registry->hostname},
                                        .scalar = registry->scalar,
                                        .object = registry->object,
                                        .invalid = registry->invalid,
                                        .exists = registry->exists};
    if (is_nothing(&bound)) {
        set_maker(maker, name, rank, declaration);
        describe(grouper, registry, &name->e[4]);
        bind(grouper, name, rank, registry);
        /* Had it come first, Spring might not look into an object of this one, either. */
        registry->decided =
            registry->decided || (registry->nested != NULL && is_tuning_only(registry)) ||
            (is_nested(declaration) && (registry->exists || registry->object != NULL ||
                                        registry->invalid.count > 0));
        return;
    }
    if (later ? maker->proper : declaration == NULL)
        return;
    struct registry other = *registry;
    struct binding_entry entry;
    bind_entry(grouper, name, &other, &entry);
    if (registry->nested != NULL || is_nested(declaration)) {
        registry->decided = registry->decided || fail_otherwise(registry, &bound, &entry);
        registry->by_chance = registry->by_chance || registry->ambiguous != NULL ||
                              chance_of(&entry) != NULL;
    }
    bool tuned = tunes(grouper, registry, maker, declaration, &entry);
    if (is_nothing(&entry))
        later = tuned; /* then it makes nothing, but Spring remembers what it asked */
    else if (!(tuned && is_used(registry)) && !differ(registry, &bound, &entry))
        return;
    registry->decided = registry->decided || later;
    if (later || is_nothing(&entry))
        return;
    registry->ambiguous = declaration->injected ? registry->first : declaration;
    registry->by_order = true;
}

/* `declaration`: what makes the key, or NULL: the API's own YAML. */
static struct registry *find_or_make(struct grouper *grouper, enum artifact artifact,
                                     const struct spring_name *name, unsigned rank,
                                     const struct declaration *declaration)
{
    struct arena *arena = grouper->arena;
    const struct spring_element *key = &name->e[4];
    bool fresh;
    size_t *index =
        strmap_put(arena, &grouper->keys[artifact], spring_element_key(arena, key),
                   grouper->out->list.count, &fresh);
    if (index == NULL)
        return NULL;
    if (!fresh) {
        struct registry *known = registries_at(grouper->out, *index);
        meet_again(grouper, known, (struct maker *)grouper->makers.items + *index, name,
                   rank, declaration);
        return known;
    }
    struct registry *registry =
        arena_list_add(arena, &grouper->out->list, sizeof(*registry));
    struct maker *maker = arena_list_add(arena, &grouper->makers, sizeof(*maker));
    if (registry == NULL || maker == NULL)
        return NULL;
    registry->artifact = artifact;
    set_maker(maker, name, rank, declaration);
    describe(grouper, registry, key);
    bind(grouper, name, rank, registry);
    return registry;
}

/* A built-in that no name makes a key for, but that a legacy spelling may reach. */
static void add_reached(struct grouper *grouper, enum artifact artifact,
                        const struct builtin *builtin)
{
    struct spring_name name = canonical(grouper, artifact, builtin);
    struct binding_entry entry;
    binding_bind(&grouper->binding, &name, true, has_oauth2(artifact, builtin), &entry);
    if (entry.name.winner == NULL && entry.hostname.winner == NULL &&
        entry.object == NULL && entry.invalid.count == 0)
        return;
    struct registry *registry =
        find_or_make(grouper, artifact, &name, RANK_DEFAULTS, NULL);
    if (registry == NULL)
        return;
    note(registry, registry->name);
    note(registry, registry->hostname);
    if (registry->first == NULL && registry->invalid.count > 0)
        note(registry, *(const struct declaration **)registry->invalid.items);
    if (registry->first == NULL)
        note(registry, registry->object);
}

/* Besides the dashed one, those for which only another spelling of the key was seen. */
static void add_all_reached(struct grouper *grouper)
{
    bool reached[ARTIFACT_COUNT][BUILTIN_COUNT] = {{false}};
    for (size_t i = 0; i < grouper->out->list.count; i++) {
        const struct registry *registry = registries_at(grouper->out, i);
        for (size_t k = 0; k < BUILTIN_COUNT; k++) {
            if (registry->builtin == builtin_at(k) &&
                !str_eq(registry->map_key, builtin_at(k)->key))
                reached[registry->artifact][k] = true;
        }
    }
    for (size_t i = 0; i < ARTIFACT_COUNT; i++) {
        for (size_t k = 0; k < BUILTIN_COUNT; k++) {
            const struct builtin *builtin = builtin_at(k);
            bool dashed = str_index(builtin->key, 0, '-') < builtin->key.n;
            if ((dashed || reached[i][k]) &&
                registries_by_default((enum artifact)i, builtin))
                add_reached(grouper, (enum artifact)i, builtin);
        }
    }
}

/* The built-ins that a remote configuration behind the API's own YAML names: Spring meets
 * them there first. */
static void add_before_last(struct grouper *grouper, const struct sources *sources)
{
    for (size_t i = 0; i < sources->declared.count; i++) {
        const struct declaration *declaration = sources_at(sources, i);
        const struct builtin *builtin = declaration->var.builtin;
        enum artifact artifact = declaration->var.artifact;
        if (declaration->layer != LAYER_REMOTE_LAST || builtin == NULL ||
            !registries_by_default(artifact, builtin))
            continue;
        struct spring_name name = canonical(grouper, artifact, builtin);
        struct registry *registry =
            find_or_make(grouper, artifact, &name, RANK_DEFAULTS, NULL);
        if (registry != NULL)
            note(registry, declaration);
    }
}

/* What an entry of a built-in's has: what is declared, or the API's own. */
static bool same_as_builtin(const struct declaration *mine,
                            const struct declaration *theirs, struct str own)
{
    bool readable =
        (mine == NULL || mine->readable) && (theirs == NULL || theirs->readable);
    return !readable || same_value(mine, theirs, own);
}

/* A key that is a built-in's but for its spelling: does it get into the built-in's way,
 * so that the API does not start? Only a dash or a legacy spelling makes the two read
 * different properties. */
static bool collides(struct grouper *grouper, const struct registry *registry)
{
    const struct builtin *builtin = registry->builtin;
    bool by_default = registries_by_default(registry->artifact, builtin);
    struct spring_name asked = canonical(grouper, registry->artifact, builtin);
    struct binding_entry entry;
    binding_bind(&grouper->binding, &asked, by_default, false, &entry);
    if (!by_default && entry.hostname.winner == NULL)
        return false; /* the API does not make a client of its own */
    bool elsewhere = registry->artifact == ARTIFACT_HELM &&
                     (str_eq(builtin->key, STR("volcengine")) ||
                      str_eq(builtin->key, STR("acr")) || !builtin_has_host(builtin));
    const struct registry *known = registries_find(
        grouper->out, elsewhere ? ARTIFACT_CONTAINER : registry->artifact, builtin->key);
    if ((known == NULL || !known->exists) && !by_default)
        return true; /* it asks for an entry that is not there */
    const struct declaration *host = known != NULL ? known->hostname : NULL;
    return same_as_builtin(registry->name, NULL, builtin->name) ||
           same_as_builtin(registry->hostname, host, builtin->hostname);
}

/* Those that do not are custom registries like any other. */
static void detach(struct grouper *grouper)
{
    for (size_t i = 0; i < grouper->out->list.count; i++) {
        struct registry *registry = registries_at(grouper->out, i);
        bool served = registry->artifact == ARTIFACT_CONTAINER ||
                      registry->artifact == ARTIFACT_HELM;
        if (registry->builtin == NULL || registry->known || !served)
            continue;
        bool incomplete =
            is_blank(registry->name, false) || is_blank(registry->hostname, false);
        if ((incomplete && !registry->defaults) || collides(grouper, registry))
            continue;
        registry->builtin = NULL;
        registry->label = ((struct maker *)grouper->makers.items)[i].e[4].spelled;
    }
}

/* A name that looks like a key with an underscore may fill in a key with a dash. */
static void forgive(struct arena *arena, const struct registries *registries)
{
    struct strmap filling = {.slots = NULL};
    bool chance[ARTIFACT_COUNT] = {false}; /* then it may fill in what is met first */
    for (size_t i = 0; i < registries->list.count; i++) {
        struct registry *registry = registries_at(registries, i);
        chance[registry->artifact] = chance[registry->artifact] || registry->by_order;
        const struct declaration *set[] = {registry->name, registry->hostname};
        for (size_t k = 0; k < 2; k++) {
            note(registry, set[k]);
            if (is_nested(set[k]) &&
                strmap_put(arena, &filling, set[k]->variable, i, NULL) == NULL)
                return;
        }
    }
    for (size_t i = 0; i < registries->list.count; i++) {
        struct registry *registry = registries_at(registries, i);
        if (registry->nested == NULL)
            continue;
        /* Or it is what makes a key that others fill in, or may be. */
        bool something = registry->exists || registry->scalar != NULL ||
                         registry->object != NULL || registry->invalid.count > 0;
        bool makes = (something && !registry->proper) || chance[registry->artifact] ||
                     registry->decided ||
                     (registry->by_chance && registry->ambiguous != NULL);
        if (makes || (filling.count > 0 &&
                      strmap_get(&filling, registry->nested->variable) != NULL))
            registry->nested = NULL;
    }
}

struct arena_list registries_own(const struct registries *registries,
                                 const struct registry *registry)
{
    size_t index = (size_t)(registry - registries_at(registries, 0));
    return index < registries->own.count
               ? ((const struct arena_list *)registries->own.items)[index]
               : (struct arena_list){.items = NULL};
}

/* All of them have to go together. */
static void own(struct grouper *grouper, const struct registry *registry,
                const struct declaration *declaration)
{
    struct registries *out = grouper->out;
    if (grouper->policy->unlisted != UNLISTED_REMOVE || registry->listed != NULL)
        return;
    size_t index = (size_t)(registry - registries_at(out, 0));
    while (out->own.count <= index) {
        if (arena_list_add(grouper->arena, &out->own, sizeof(struct arena_list)) == NULL)
            return;
    }
    const struct declaration **slot = arena_list_add(
        grouper->arena, (struct arena_list *)out->own.items + index, sizeof(*slot));
    if (slot != NULL)
        *slot = declaration;
}

static bool group_one(struct grouper *grouper, const struct declaration *declaration,
                      unsigned rank)
{
    struct spring_name name;
    spring_var_name(&declaration->var, &name);
    struct registry *registry =
        find_or_make(grouper, declaration->var.artifact, &name, rank, declaration);
    if (registry == NULL)
        return false;
    note(registry, declaration);
    own(grouper, registry, declaration);
    if (is_nested(declaration))
        registry->nested = declaration;
    else
        registry->proper = true;
    return true;
}

/* Spring goes through its sources from the strongest on; what first makes a key of the
 * map decides how its properties are looked for. Of a process's environment it meets the
 * names that read as variables first, those that read only as properties after them.
 * False: out of memory. */
static bool group_layer(struct grouper *grouper, const struct sources *sources,
                        enum layer layer, unsigned rank)
{
    size_t later = 0;
    for (size_t pass = 0; pass < 2 && (pass == 0 || later > 0); pass++) {
        for (size_t i = 0; i < sources->declared.count; i++) {
            const struct declaration *declaration = sources_at(sources, i);
            if (declaration->layer != layer || declaration->bystander)
                continue;
            if ((pass == 0) != (declaration->var.environment || layer != LAYER_ENV)) {
                later++;
                continue;
            }
            if (!group_one(grouper, declaration, rank + (unsigned)pass))
                return false;
        }
    }
    return !grouper->arena->failed;
}

void registries_group(struct arena *arena, const struct policy *policy, struct str prefix,
                      const struct sources *sources, struct registries *ret_registries)
{
    struct grouper grouper = {
        .arena = arena, .policy = policy, .prefix = prefix, .out = ret_registries};
    *ret_registries = (struct registries){.list = {.items = NULL}};
    binding_index(arena, sources, &grouper.binding);
    /* The first rank is 1: none is BINDING_PROBE. */
    static const enum layer strongest_first[] = {LAYER_REMOTE, LAYER_ARGS, LAYER_SYSTEM,
                                                 LAYER_ENV, LAYER_REMOTE_BELOW};
    for (size_t i = 0; i < NRW_COUNT(strongest_first); i++) {
        if (!group_layer(&grouper, sources, strongest_first[i], (unsigned)(2 * i + 1)))
            return;
    }
    if (sources->declared.count == 0 || arena->failed)
        return;
    add_before_last(&grouper, sources);
    if (!group_layer(&grouper, sources, LAYER_REMOTE_LAST, RANK_DEFAULTS + 1))
        return;
    add_all_reached(&grouper);
    detach(&grouper);
    forgive(arena, ret_registries);
}
