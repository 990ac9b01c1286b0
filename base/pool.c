/*
 * pool.c - a ring of tasks, a lock and two conditions (see pool.h).
 *
 * One lock guards everything; tasks run without it.  Tasks are meant to take
 * tens of microseconds or more, so the lock is not what limits them.
 */
#include "base/pool.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>

struct task {
    void (*run)(void *argument);
    void *argument;
    struct pool_group *group;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a task was queued, or stop was set */
    pthread_cond_t done; /* a group became empty */
    struct task *ring;   /* lock: queue_max slots, `count` of them used from `first` on */
    size_t queue_max;    /* immutable */
    size_t first;        /* lock */
    size_t count;        /* lock */
    bool stop;           /* lock: no more tasks will come */
    size_t thread_count; /* immutable */
    pthread_t threads[];
};

static struct task *slot(struct pool *pool, size_t i)
{
    return &pool->ring[(pool->first + i) % pool->queue_max];
}

static struct task take_first(struct pool *pool)
{
    struct task task = *slot(pool, 0);
    pool->first = (pool->first + 1) % pool->queue_max;
    pool->count--;
    return task;
}

/* Take the oldest task of `group` out of the queue; false when there is none. */
static bool take_of_group(struct pool *pool, const struct pool_group *group, struct task *task)
{
    size_t at = 0;
    while (at < pool->count && slot(pool, at)->group != group)
        at++;
    if (at == pool->count)
        return false;
    *task = *slot(pool, at);
    for (; at + 1 < pool->count; at++)
        *slot(pool, at) = *slot(pool, at + 1);
    pool->count--;
    return true;
}

/* Called with the lock held, gives it up while the task runs. */
static void run_task(struct pool *pool, struct task task)
{
    pthread_mutex_unlock(&pool->lock);
    task.run(task.argument);
    pthread_mutex_lock(&pool->lock);
    if (task.group && --task.group->pending == 0)
        pthread_cond_broadcast(&pool->done);
}

static void *work(void *argument)
{
    struct pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->count == 0 && !pool->stop)
            pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->count == 0)
            break;
        run_task(pool, take_first(pool));
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Threads inherit a full signal mask, so that signals reach the main thread only. */
static bool start_threads(struct pool *pool, const char *name, size_t thread_count,
                          struct error *err)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = 0;
    while (pool->thread_count < thread_count) {
        pthread_t *thread = &pool->threads[pool->thread_count];
        problem = pthread_create(thread, NULL, work, pool);
        if (problem != 0)
            break;
        char short_name[16];
        snprintf(short_name, sizeof(short_name), "%.15s", name);
        pthread_setname_np(*thread, short_name);
        pool->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (problem != 0)
        return error_set(err, ERR_IO, "starting %zu threads for %s: %s", thread_count, name,
                         strerror(problem));
    return true;
}

struct pool *pool_new(const char *name, size_t thread_count, size_t queue_max, struct error *err)
{
    assert(thread_count > 0 && thread_count <= POOL_THREADS_MAX && queue_max > 0);
    struct pool *pool = xcalloc(1, sizeof(*pool) + thread_count * sizeof(pool->threads[0]));
    pool->ring = xcalloc(queue_max, sizeof(*pool->ring));
    pool->queue_max = queue_max;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    if (!start_threads(pool, name, thread_count, err)) {
        pool_free(pool);
        return NULL;
    }
    return pool;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->ring);
    free(pool);
}

void pool_drop(struct pool **pool)
{
    pool_free(*pool);
}

bool pool_submit(struct pool *pool, struct pool_group *group, void (*run)(void *argument),
                 void *argument)
{
    pthread_mutex_lock(&pool->lock);
    bool room = pool->count < pool->queue_max;
    if (room) {
        *slot(pool, pool->count++) = (struct task){run, argument, group};
        if (group)
            group->pending++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

void pool_run(struct pool *pool, struct pool_group *group, void (*run)(void *argument),
              void *argument)
{
    if (!pool_submit(pool, group, run, argument))
        run(argument);
}

void pool_wait(struct pool *pool, struct pool_group *group)
{
    struct task task;
    pthread_mutex_lock(&pool->lock);
    while (group->pending > 0) {
        if (take_of_group(pool, group, &task))
            run_task(pool, task);
        else
            pthread_cond_wait(&pool->done, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

size_t pool_queued(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t count = pool->count;
    pthread_mutex_unlock(&pool->lock);
    return count;
}
