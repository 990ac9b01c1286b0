/*
 * result_cache.h - results of range queries, kept for dashboards that refresh.
 *
 * A dashboard asks the same expression again and again over a range that moves on.
 * The cache keeps the columns of such a result, and the next time only the steps
 * are evaluated that it does not have, or that may have changed: storage tells from
 * which time on anything was written (late or not) or deleted since (storage/changes.h).
 * Nothing is guessed from the clock.  An answer through the cache has the same bytes as
 * one without it.
 *
 * Not kept are results that depend on the query's own range (@ start(), duration
 * expressions, @ at all, info()), on logs, on histograms (whose hints depend on what
 * was read before), and those with warnings or infos.
 *
 * All functions may be called from any thread.
 */
#ifndef QUERY_RESULT_CACHE_H
#define QUERY_RESULT_CACHE_H

#include "query/query.h"

struct result_cache; /* opaque: fields in result_cache.c */

/* Results together hold at most `memory_max` bytes; those asked for longest ago go first. */
struct result_cache *result_cache_new(size_t memory_max);
void result_cache_free(struct result_cache *cache); /* NULL is fine */

/* As query_run(); without a cache, or where it does not help, the very same. */
struct query_result *query_run_cached(struct result_cache *cache, struct store *store,
                                      const struct query_request *request, struct error *err)
    MUST_CHECK;

struct result_cache_stats {
    uint64_t hits, partial, misses, skipped; /* queries: all steps there, some, none; not kept */
    size_t entries, bytes;
};
void result_cache_stats_read(struct result_cache *cache, struct result_cache_stats *stats);

#endif
