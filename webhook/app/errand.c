/* A thread that does what others want; see errand.h. */
#include "app/errand.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>

#include "util/mem.h"

struct errand {
    pthread_t thread;
    atomic_bool stop;
    sem_t wanted, done;
    pthread_mutex_t lock; /* of what follows, from before `wanted` until after `done` */
    void (*what)(void *context);
    void *context;
};

static void await(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0) { /* a signal */
    }
}

static void *run(void *opaque)
{
    struct errand *errand = opaque;
    for (;;) {
        await(&errand->wanted);
        if (atomic_load(&errand->stop))
            return NULL;
        errand->what(errand->context);
        (void)sem_post(&errand->done);
    }
}

struct errand *errand_new(const char *name, struct err *err)
{
    struct errand *errand = mem_calloc(1, sizeof(*errand));
    if (errand == NULL) {
        err_nomem(err);
        return NULL;
    }
    (void)sem_init(&errand->wanted, 0, 0);
    (void)sem_init(&errand->done, 0, 0);
    pthread_mutex_init(&errand->lock, NULL);
    int failure = pthread_create(&errand->thread, NULL, run, errand);
    if (failure != 0) {
        err_errno(err, failure, "cannot start the thread that %s", name);
        mem_free(errand);
        return NULL;
    }
    (void)pthread_setname_np(errand->thread, name);
    return errand;
}

void errand_free(struct errand *errand)
{
    if (errand == NULL)
        return;
    atomic_store(&errand->stop, true);
    (void)sem_post(&errand->wanted);
    pthread_join(errand->thread, NULL);
    pthread_mutex_destroy(&errand->lock);
    (void)sem_destroy(&errand->done);
    (void)sem_destroy(&errand->wanted);
    mem_free(errand);
}

void errand_run(struct errand *errand, void (*what)(void *context), void *context)
{
    pthread_mutex_lock(&errand->lock);
    errand->what = what;
    errand->context = context;
    (void)sem_post(&errand->wanted);
    await(&errand->done);
    pthread_mutex_unlock(&errand->lock);
}
