/* stop.c - a flag and a bell (see stop.h). */
#include "agents/stop.h"

#include "base/clock.h"
#include "base/duration.h"

#include <time.h>

void stop_init(struct stop *stop)
{
    pthread_condattr_t attributes;
    *stop = (struct stop){0};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&stop->mutex, NULL);
    pthread_cond_init(&stop->bell, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_init(&stop->cancel, false);
}

void stop_done(struct stop *stop)
{
    pthread_cond_destroy(&stop->bell);
    pthread_mutex_destroy(&stop->mutex);
}

void stop_set(struct stop *stop)
{
    pthread_mutex_lock(&stop->mutex);
    stop->set = true;
    pthread_cond_broadcast(&stop->bell);
    pthread_mutex_unlock(&stop->mutex);
}

bool stop_is_set(struct stop *stop)
{
    pthread_mutex_lock(&stop->mutex);
    bool set = stop->set;
    pthread_mutex_unlock(&stop->mutex);
    return set;
}

void stop_ring(struct stop *stop)
{
    pthread_mutex_lock(&stop->mutex);
    stop->rings++;
    pthread_cond_broadcast(&stop->bell);
    pthread_mutex_unlock(&stop->mutex);
}

bool stop_wait(struct stop *stop, int64_t ms, uint64_t *rings_seen)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms % 1000 * NS_PER_MS;
    until.tv_sec += (time_t)(ms / 1000 + ns / NS_PER_SECOND);
    until.tv_nsec = (long)(ns % NS_PER_SECOND);

    pthread_mutex_lock(&stop->mutex);
    int timed_out = 0;
    while (!stop->set && timed_out == 0 && (rings_seen == NULL || *rings_seen == stop->rings))
        timed_out = pthread_cond_timedwait(&stop->bell, &stop->mutex, &until);
    if (rings_seen)
        *rings_seen = stop->rings;
    bool set = stop->set;
    pthread_mutex_unlock(&stop->mutex);
    return set;
}
