/*
 * counters.c - see counters.h: counting a finished request.
 */
#include "server/counters.h"

#include "base/clock.h"
#include "server/http_server.h"

#include <stddef.h>

static const int statuses[STATUS_SLOTS] = {200, 204, 400, 404, 405, 413, 415,
                                           422, 429, 499, 500, 503, 504};
static const double bounds[DURATION_BUCKETS] = {0.001, 0.01, 0.1, 0.2, 0.4, 1, 3, 8, 20, 60};

int counters_status(size_t slot)
{
    return slot < STATUS_SLOTS ? statuses[slot] : 0;
}

double counters_duration_bound(size_t bucket)
{
    return bounds[bucket];
}

void counters_request(struct counters *counters, size_t route, const struct http_request *request)
{
    struct route_counters *r = &counters->routes[route < ROUTES_MAX ? route : ROUTES_MAX];
    int64_t took_ns = clock_monotonic_ns() - request->started_ns;
    size_t slot = 0, bucket = 0;
    while (slot < STATUS_SLOTS - 1 && statuses[slot] != request->response.status)
        slot++;
    while (bucket < DURATION_BUCKETS && (double)took_ns > bounds[bucket] * 1e9)
        bucket++;
    count_add(&r->by_status[slot], 1);
    count_add(&r->duration_buckets[bucket], 1);
    count_add(&r->duration_ns, (uint64_t)took_ns);
    count_add(&r->body_bytes, request->body.size);
    count_add(&r->answer_bytes, request->response.sent_size);
}
