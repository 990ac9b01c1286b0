/*
 * counters.h - what the server counts about itself, for /metrics.
 *
 * Only atomic additions; self_metrics.c prints them beside the store's and the
 * HTTP server's own numbers.
 */
#ifndef SERVER_COUNTERS_H
#define SERVER_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

struct http_request;

enum { ROUTES_MAX = 128, DURATION_BUCKETS = 10, STATUS_SLOTS = 20 };

/* Why a push or a part of it was refused. */
enum ingest_refusal {
    INGEST_BAD_BODY,      /* does not decode */
    INGEST_BAD_SERIES,    /* invalid labels, no metric name */
    INGEST_SERIES_LIMIT,  /* the tenant's limit of series */
    INGEST_BAD_ENTRY,     /* line too long, too much metadata, impossible time */
    INGEST_NOT_SUPPORTED, /* parts that are not stored */
    INGEST_BAD_EXEMPLAR,  /* invalid or too long labels; never fails a request */
    INGEST_REFUSALS
};

struct route_counters {
    uint64_t by_status[STATUS_SLOTS];
    uint64_t duration_buckets[DURATION_BUCKETS + 1];
    uint64_t duration_ns, answer_bytes, body_bytes;
};

struct counters {
    struct route_counters routes[ROUTES_MAX + 1]; /* the last: unknown routes */
    uint64_t push_requests[2], push_bytes[2];     /* by enum store_kind: as sent */
    uint64_t push_decoded_bytes[2];
    uint64_t refused[2][INGEST_REFUSALS];   /* series, samples or entries */
    uint64_t queries[2], queries_failed[2]; /* by enum query_language */
    uint64_t query_ns[2], query_samples, query_lines, query_line_bytes;
    uint64_t queries_running, queries_waiting, queries_rejected;
};

/* A request of route number `route` is over. */
void counters_request(struct counters *counters, size_t route, const struct http_request *request);

/* The status a slot counts (0: any other) and the upper bound of a bucket in seconds. */
int counters_status(size_t slot);
double counters_duration_bound(size_t bucket);

static inline void count_add(uint64_t *counter, uint64_t by)
{
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

static inline uint64_t count_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
