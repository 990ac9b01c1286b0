/*
 * clock.h - what time it is, replaceable in tests.
 *
 * Components that need the time of day take a `const struct clock *`; NULL
 * means the real one.  Timeouts and latencies use clock_monotonic_ns.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*now_ns)(void *context); /* time since the epoch */
    void *context;
};

int64_t clock_now_ns(const struct clock *clock); /* NULL: the real time */
int64_t clock_monotonic_ns(void);

/* CPU time of this process, user and system, in nanoseconds. */
int64_t clock_cpu_ns(void);

#endif
