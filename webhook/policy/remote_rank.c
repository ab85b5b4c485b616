/* The place of a remote configuration among the sources; see remote_rank.h. Pure. */
#include "policy/remote_rank.h"

#include "core/spring.h"

static enum remote_wish read_wish(struct str value)
{
    bool yes;
    return !spring_boolean(value, &yes) ? WISH_UNCLEAR : yes ? WISH_YES : WISH_NO;
}

static enum remote_wish *wish_of(struct remote_wishes *wishes,
                                 const struct spring_name *name)
{
    const struct spring_element *last = &name->e[3];
    if (name->n != 4 || !spring_element_is(&name->e[0], STR("spring")) ||
        !spring_element_is(&name->e[1], STR("cloud")) ||
        !spring_element_is(&name->e[2], STR("config")))
        return NULL;
    return spring_element_is(last, STR("allowoverride"))              ? &wishes->allow
           : spring_element_is(last, STR("overridenone"))             ? &wishes->none
           : spring_element_is(last, STR("overridesystemproperties")) ? &wishes->system
                                                                      : NULL;
}

void remote_rank_note(struct arena *arena, struct remote_wishes *wishes, struct str name,
                      struct str value, bool clear)
{
    struct spring_name elements;
    if (!spring_name_read(arena, spring_fold(arena, name), false, &elements))
        return;
    enum remote_wish *wish = wish_of(wishes, &elements);
    if (wish == NULL)
        return;
    enum remote_wish said = clear ? read_wish(value) : WISH_UNCLEAR;
    /* Given twice, it depends on spellings and files which one counts. */
    *wish = *wish == WISH_NONE || *wish == said ? said : WISH_UNCLEAR;
}

bool remote_rank_said(const struct remote_wishes *wishes)
{
    return wishes->allow != WISH_NONE || wishes->none != WISH_NONE ||
           wishes->system != WISH_NONE;
}

bool remote_rank_tell(const struct remote_wishes *wishes, enum remote_rank *ret_rank)
{
    *ret_rank = REMOTE_FIRST;
    if (wishes->allow == WISH_UNCLEAR || wishes->none == WISH_UNCLEAR ||
        wishes->system == WISH_UNCLEAR)
        return false;
    if (wishes->allow == WISH_NO)
        return true;
    if (wishes->none == WISH_YES)
        *ret_rank = REMOTE_LAST;
    else if (wishes->system == WISH_NO)
        *ret_rank = REMOTE_BELOW;
    return true;
}
