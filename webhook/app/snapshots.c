/* What requests work with; see snapshots.h. */
#include "app/snapshots.h"

#include <pthread.h>
#include <stdatomic.h>

#include "util/mem.h"

enum { HELD_POLICY, HELD_CONFIG_MAPS, HELD_COUNT };

/* One reference belongs to `snapshots` while it is current, one to each reader. */
struct shared {
    atomic_ulong references;
    struct policy_doc *doc;
    struct config_maps *maps;
    void (*free_maps)(struct config_maps *maps);
};

struct snapshots {
    pthread_mutex_t lock;
    struct shared *current[HELD_COUNT];
    struct certificate_facts certificate;
};

static void drop(struct shared *shared)
{
    if (shared == NULL ||
        atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
        return;
    policy_doc_free(shared->doc);
    if (shared->maps != NULL && shared->free_maps != NULL)
        shared->free_maps(shared->maps);
    mem_free(shared);
}

struct snapshots *snapshots_new(struct err *err)
{
    struct snapshots *snapshots = mem_calloc(1, sizeof(*snapshots));
    if (snapshots == NULL) {
        err_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&snapshots->lock, NULL); /* cannot fail with default attributes */
    return snapshots;
}

void snapshots_free(struct snapshots *snapshots)
{
    if (snapshots == NULL)
        return;
    for (size_t i = 0; i < HELD_COUNT; i++)
        drop(snapshots->current[i]);
    pthread_mutex_destroy(&snapshots->lock);
    mem_free(snapshots);
}

void snapshots_take(struct snapshots *snapshots, struct snapshot *ret_snapshot)
{
    struct snapshot taken = {.policy = NULL};
    pthread_mutex_lock(&snapshots->lock);
    for (size_t i = 0; i < HELD_COUNT; i++) {
        taken.held[i] = snapshots->current[i];
        if (taken.held[i] != NULL)
            atomic_fetch_add_explicit(&taken.held[i]->references, 1,
                                      memory_order_relaxed);
    }
    pthread_mutex_unlock(&snapshots->lock);
    if (taken.held[HELD_POLICY] != NULL)
        taken.policy = taken.held[HELD_POLICY]->doc->policy;
    if (taken.held[HELD_CONFIG_MAPS] != NULL)
        taken.config_maps = taken.held[HELD_CONFIG_MAPS]->maps;
    *ret_snapshot = taken;
}

void snapshot_release(struct snapshot *snapshot)
{
    for (size_t i = 0; i < HELD_COUNT; i++)
        drop(snapshot->held[i]);
    *snapshot = (struct snapshot){.policy = NULL};
}

static void swap(struct snapshots *snapshots, size_t which, struct shared *next)
{
    pthread_mutex_lock(&snapshots->lock);
    struct shared *old = snapshots->current[which];
    snapshots->current[which] = next;
    pthread_mutex_unlock(&snapshots->lock);
    drop(old); /* freeing may take a while: not under the lock */
}

bool snapshots_set_policy_take(struct snapshots *snapshots, struct policy_doc *doc,
                               struct err *err)
{
    struct shared *next = mem_calloc(1, sizeof(*next));
    if (next == NULL) {
        policy_doc_free(doc);
        return err_nomem(err);
    }
    atomic_init(&next->references, 1);
    next->doc = doc;
    swap(snapshots, HELD_POLICY, next);
    return true;
}

bool snapshots_set_config_maps_take(struct snapshots *snapshots, struct config_maps *maps,
                                    void (*free_maps)(struct config_maps *maps),
                                    struct err *err)
{
    struct shared *next = mem_calloc(1, sizeof(*next));
    if (next == NULL) {
        if (free_maps != NULL)
            free_maps(maps);
        return err_nomem(err);
    }
    atomic_init(&next->references, 1);
    next->maps = maps;
    next->free_maps = free_maps;
    swap(snapshots, HELD_CONFIG_MAPS, next);
    return true;
}

void snapshots_set_certificate(struct snapshots *snapshots,
                               const struct certificate_facts *facts)
{
    pthread_mutex_lock(&snapshots->lock);
    snapshots->certificate = *facts;
    pthread_mutex_unlock(&snapshots->lock);
}

void snapshots_certificate(struct snapshots *snapshots,
                           struct certificate_facts *ret_facts)
{
    pthread_mutex_lock(&snapshots->lock);
    *ret_facts = snapshots->certificate;
    pthread_mutex_unlock(&snapshots->lock);
}
