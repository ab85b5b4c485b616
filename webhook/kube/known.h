/* What a watch has told so far: name → uid/resourceVersion. With it a new list tells only
 * what changed, and also what is gone. Pure but for the callback; not shared between
 * threads.
 *
 * Only so many are remembered. One that is new beyond that is told each time it is seen,
 * as new, and that it went away between two lists is not noticed. */
#ifndef NRW_KUBE_KNOWN_H
#define NRW_KUBE_KNOWN_H

#include <jansson.h>
#include <stdbool.h>

/* Who may create objects decides how many there are and how long their names. Of names as
 * long as they can be so many take 9 MiB while a list is under way, and no namespace has
 * a hundredth of them that are honest. */
#define KNOWN_MAXIMUM 10000u

enum known_change { KNOWN_NEW, KNOWN_CHANGED, KNOWN_GONE };
/* False: it could not be taken. */
typedef bool known_tell(void *context, enum known_change change, const json_t *object);

struct known {
    json_t *told; /* "namespace/name" → "uid/resourceVersion"; null: to be told again */
    json_t *seen; /* those of these that the list under way has had, or NULL */
    known_tell *tell;
    void *context;
};

bool known_init(struct known *known, known_tell *tell, void *context);
void known_done(struct known *known);

/* False from all of these: no memory, a name longer than Kubernetes allows, or `tell`
 * said so. Then known_doubt and begin a new list; nothing is lost by that. */
bool known_take(struct known *known, const json_t *object); /* it exists like this */
bool known_delete(struct known *known, const json_t *object);
/* A list: begin, take every object, end (tells what is gone), or give up. */
bool known_list_begin(struct known *known);
bool known_list_end(struct known *known);
void known_list_give_up(struct known *known);

/* Everything that is known is told again when it is seen next. Needs no memory. */
void known_doubt(struct known *known);

#endif
