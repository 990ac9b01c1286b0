/*
 * pool.h - worker threads behind a bounded queue.
 *
 * A task is a function and its argument.  Submitting never blocks: when the
 * queue is full the caller is refused and decides itself (run it here, answer
 * "try again").  Tasks may be put into a group that somebody waits for; who
 * waits runs queued tasks of that group itself meanwhile, so a task may split
 * its work into further tasks of the same pool without a deadlock.
 *
 * All functions may be called from any thread, but pool_free only from outside
 * and once nobody else uses the pool.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct error;
struct pool; /* opaque: fields in pool.c */

/* Tasks that are waited for together.  Lives until pool_wait returned. */
struct pool_group {
    size_t pending; /* queued or running; guarded by the pool's lock */
};

enum { POOL_THREADS_MAX = 256 };

/*
 * Start `thread_count` threads (1 to POOL_THREADS_MAX) called `name` (the first
 * 15 bytes) and room for `queue_max` waiting tasks.
 */
struct pool *pool_new(const char *name, size_t thread_count, size_t queue_max, struct error *err)
    MUST_CHECK;

/* Finish what is queued, then end the threads.  NULL is fine. */
void pool_free(struct pool *pool);
void pool_drop(struct pool **pool);

/*
 * Queue run(argument); `group` may be NULL.  False when the queue is full: then
 * nothing happened.  `argument` must live until the task is done.
 */
bool pool_submit(struct pool *pool, struct pool_group *group, void (*run)(void *argument),
                 void *argument) MUST_CHECK;

/* Submit, or run it here and now when the queue is full. */
void pool_run(struct pool *pool, struct pool_group *group, void (*run)(void *argument),
              void *argument);

/* Return when every task of `group` is done. */
void pool_wait(struct pool *pool, struct pool_group *group);

/* Tasks that wait in the queue now. */
size_t pool_queued(struct pool *pool);

#endif
