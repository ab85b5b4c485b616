/* Bounds and names of a remote configuration; see remote_reading.h. Pure. */
#include "policy/remote_reading.h"

#include "core/sources_ways.h"
#include "core/spring.h"
#include "policy/remote_rank.h"

/* Far beyond what anybody writes, and little enough for a process with 128 MiB. Visits
 * and texts count for all ConfigMaps of one configuration together, and again each time
 * that an alias leads to them: a file of a few bytes can name itself a million times. */
#define NODE_LIMIT 100000u
#define WORK_LIMIT (8u << 20)

/* The first one stays. */
static void tell(const char **told, unsigned *line, const struct yaml_node *node,
                 const char *what)
{
    *line = *told == NULL ? node->line : *line;
    *told = *told == NULL ? what : *told;
}

void remote_fail(struct remote_reading *reading, const struct yaml_node *node,
                 const char *problem)
{
    tell(&reading->problem, &reading->line, node, problem);
}

void remote_exceed(struct remote_reading *reading, const struct yaml_node *node,
                   const char *limit)
{
    tell(&reading->limit, &reading->limit_line, node, limit);
}

void remote_stop(struct remote_reading *reading, const struct yaml_node *node,
                 const char *limit)
{
    remote_exceed(reading, node, limit);
    reading->stopped = true;
}

bool remote_spend(struct remote_reading *reading, const struct yaml_node *node,
                  size_t bytes)
{
    reading->budget->nodes++;
    reading->budget->work += bytes;
    if (reading->budget->nodes <= NODE_LIMIT && reading->budget->work <= WORK_LIMIT)
        return true;
    remote_stop(reading, node, "too large once aliases and merge keys are written out");
    reading->budget->spent = true;
    return false;
}

/* --- names that are looked at ---------------------------------------------------------
 */

bool remote_follows(struct str root, struct str path, struct str key)
{
    const struct str parts[] = {path, str_first(key, REMOTE_NAME_LIMIT)};
    size_t at = 0;
    for (size_t k = 0; k < NRW_COUNT(parts); k++) {
        for (size_t i = 0; i < parts[k].n && at < root.n; i++) {
            char c = spring_letter(str_skip(parts[k], i));
            if (!ascii_is_alnum(c))
                continue;
            if (ascii_lower(c) != root.p[at++])
                return false;
        }
    }
    return true;
}

bool remote_spells(struct str root, struct str name)
{
    size_t letters = 0;
    for (size_t i = 0; i < name.n; i++)
        letters += ascii_is_alnum(spring_letter(str_skip(name, i))) ? 1 : 0;
    return letters == root.n && remote_follows(root, name, STR(""));
}

const struct str remote_bound[2] = {STR("springconfigactivateonprofile"),
                                    STR("springprofiles")};

bool remote_binds(struct str name)
{
    return remote_spells(remote_bound[0], name) || remote_spells(remote_bound[1], name);
}

bool remote_activates(struct arena *arena, struct str name)
{
    struct spring_name elements;
    /* Nearly all names are told by their first letters. */
    return remote_follows(remote_bound[1], name, STR("")) &&
           spring_name_read(arena, spring_fold(arena, name), false, &elements) &&
           elements.n == 3 && spring_element_is(&elements.e[0], STR("spring")) &&
           spring_element_is(&elements.e[1], STR("profiles")) &&
           (spring_element_is(&elements.e[2], STR("include")) ||
            spring_element_is(&elements.e[2], STR("active")));
}

/* None that is looked at begins so; told by the place of its text. */
static const struct str nowhere = STR("0");

struct str remote_nowhere(void)
{
    return nowhere;
}

bool remote_is_nowhere(struct str path)
{
    return path.p == nowhere.p;
}

static bool leads_elsewhere(struct str path, struct str key)
{
    for (size_t i = 0; i < WAY_ELSEWHERE_COUNT; i++) {
        if (remote_follows(way_elsewhere[i], path, key))
            return true;
    }
    return false;
}

bool remote_leads(const struct remote_reading *reading, struct str path, struct str key)
{
    if (remote_is_nowhere(path))
        return false;
    return reading->prefix.n == 0 || remote_follows(reading->registries, path, key) ||
           remote_follows(STR(REMOTE_RANK_LETTERS), path, key) ||
           remote_follows(remote_bound[0], path, key) ||
           remote_follows(remote_bound[1], path, key) || leads_elsewhere(path, key);
}

bool remote_is_inside(const struct remote_reading *reading, struct str path)
{
    return path.n > 0 &&
           (reading->prefix.n == 0 || remote_follows(reading->registries, path, STR("")));
}
