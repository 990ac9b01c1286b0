/*
 * stop.h - how the agent's threads are told to end, and to wake up before.
 *
 * `mutex` guards `set` and `rings`.  `cancel` aborts an exchange that is under
 * way; it is set only after the threads have had time to finish it.
 */
#ifndef AGENTS_STOP_H
#define AGENTS_STOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stop {
    pthread_mutex_t mutex;
    pthread_cond_t bell;
    bool set;
    uint64_t rings;
    atomic_bool cancel;
};

void stop_init(struct stop *stop);
void stop_done(struct stop *stop);

void stop_set(struct stop *stop);
bool stop_is_set(struct stop *stop);

/* Wake everybody who waits. */
void stop_ring(struct stop *stop);

/*
 * Wait until it is set (true), or until it rings or `ms` have passed.  A ring
 * that came after `*rings_seen` was read ends the wait at once; NULL: rings do not count.
 */
bool stop_wait(struct stop *stop, int64_t ms, uint64_t *rings_seen);

#endif
