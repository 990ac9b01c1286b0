/*
 * result_cache.c - see result_cache.h.
 *
 * An entry is immutable and counted; a refresh makes a new one out of the old one's
 * columns and the new steps, and puts it in the old one's place.  Two refreshes at once do
 * the work twice, and the last one stays.  The moment of an entry is taken before its
 * evaluation, and old steps are taken over only when nothing below their time has changed
 * up to then.
 */
#include "query/result_cache.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/ledger.h"
#include "base/memory.h"
#include "query/dialect.h"
#include "query/eval_internal.h"
#include "query/function.h"
#include "query/parse.h"
#include "storage/store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 1024, KEY_MAX = 64 << 10, ENTRY_SHARE = 4 };

struct cached_series {
    struct labels labels;
    uint8_t *present; /* per step */
    double *values;
};

struct entry {
    uint32_t refs; /* the cache's lock */
    uint64_t used; /* the cache's lock: when it was asked for, as a count */
    uint64_t hash;
    struct slice key;
    struct store_moment moment;
    struct grid grid;
    struct cached_series *series; /* sorted by labels */
    size_t count;
    struct arena *arena; /* of all above */
};

struct result_cache {
    size_t memory_max;
    pthread_mutex_t lock; /* of all below */
    struct entry *entries[ENTRIES_MAX];
    size_t count, bytes;
    uint64_t clock;
    struct result_cache_stats stats;
};

struct result_cache *result_cache_new(size_t memory_max)
{
    struct result_cache *cache = xcalloc(1, sizeof(*cache));
    cache->memory_max = memory_max;
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

/* With the lock. */
static void entry_release(struct entry *entry)
{
    if (entry && --entry->refs == 0)
        arena_free(entry->arena); /* the entry lies in it, too */
}

void result_cache_free(struct result_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < cache->count; i++)
        entry_release(cache->entries[i]);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

void result_cache_stats_read(struct result_cache *cache, struct result_cache_stats *stats)
{
    pthread_mutex_lock(&cache->lock);
    *stats = cache->stats;
    stats->entries = cache->count;
    stats->bytes = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
}

/* ---- what may be kept ------------------------------------------------------------------- */

static bool is_range_function(const struct node *call)
{
    static const char *const names[] = {"end", "info", "range", "start"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_equal(call->call.function->name, slice_from_text(names[i])))
            return true;
    }
    return false;
}

static bool shift_is_plain(const struct time_shift *shift)
{
    return shift->at == AT_NONE && shift->offset_expression == NULL;
}

/*
 * May results of the tree be kept?  `*reach` falls to the least offset of its selectors: what is
 * written at time s shows at steps from s + reach on.
 */
static bool may_keep(const struct node *node, int64_t offset, int64_t lookback, int64_t *reach)
{
    switch (node->kind) {
    case NODE_NUMBER:
    case NODE_STRING:
        return true;
    case NODE_PAREN:
        return may_keep(node->inner, offset, lookback, reach);
    case NODE_UNARY:
        return may_keep(node->unary.operand, offset, lookback, reach);
    case NODE_BINARY:
        return may_keep(node->binary.left, offset, lookback, reach) &&
               may_keep(node->binary.right, offset, lookback, reach);
    case NODE_AGGREGATION:
        return may_keep(node->aggregation.argument, offset, lookback, reach) &&
               (node->aggregation.parameter == NULL ||
                may_keep(node->aggregation.parameter, offset, lookback, reach));
    case NODE_SUBQUERY:
        return shift_is_plain(&node->subquery.shift) && node->subquery.range_expression == NULL &&
               node->subquery.step_expression == NULL &&
               may_keep(node->subquery.inner, ns_add(offset, node->subquery.shift.offset_ns),
                        lookback, reach);
    case NODE_SELECTOR: {
        const struct selector *s = &node->selector;
        int64_t own = ns_add(offset, s->shift.offset_ns);
        if (s->leaf != LEAF_METRIC || s->range_expression || !shift_is_plain(&s->shift))
            return false;
        if (s->smoothed) /* looks ahead */
            own = ns_sub(own, lookback);
        *reach = own < *reach ? own : *reach;
        return true;
    }
    case NODE_CALL:
        for (size_t i = 0; i < node->call.count; i++) {
            if (!may_keep(node->call.arguments[i], offset, lookback, reach))
                return false;
        }
        return !is_range_function(node);
    }
    return false;
}

/* All that decides the result, but for data and range. */
static bool make_key(const struct query_request *r, struct buffer *key, int64_t *reach)
{
    struct error ignored = {0};
    uint32_t depth = r->limits.depth_max > 0 ? r->limits.depth_max : 100;
    AUTO(ast_drop)
    struct ast *ast = parse_query(&dialect_promql, r->text, r->features, depth, &ignored);
    int64_t lookback = r->lookback_ns > 0 ? r->lookback_ns : 5 * NS_PER_MINUTE;
    *reach = INT64_MAX;
    if (ast == NULL || ast_root(ast)->type != TYPE_VECTOR ||
        !may_keep(ast_root(ast), 0, lookback, reach))
        return false;
    int64_t phase = r->start_ns % r->step_ns;
    buffer_printf(key, "%.*s %lld %lld %lld %lld %u %zu ", SLICE_ARG(r->tenant),
                  (long long)r->step_ns, (long long)(phase < 0 ? phase + r->step_ns : phase),
                  (long long)lookback, (long long)r->default_step_ns, r->features,
                  r->limits.result_series_max);
    node_print(ast_root(ast), key);
    return !key->failed;
}

/* ---- finding and keeping ------------------------------------------------------------------ */

/* With the lock: where the entry with the key stands, or `count`. */
static size_t find(const struct result_cache *cache, struct slice key, uint64_t hash)
{
    size_t at = 0;
    while (at < cache->count &&
           (cache->entries[at]->hash != hash || !slice_equal(cache->entries[at]->key, key)))
        at++;
    return at;
}

static struct entry *lookup(struct result_cache *cache, struct slice key, uint64_t hash)
{
    struct entry *entry = NULL;
    pthread_mutex_lock(&cache->lock);
    size_t at = find(cache, key, hash);
    if (at < cache->count) {
        entry = cache->entries[at];
        entry->refs++;
        entry->used = ++cache->clock;
    }
    pthread_mutex_unlock(&cache->lock);
    return entry;
}

/* With the lock. */
static void remove_at(struct result_cache *cache, size_t at)
{
    struct entry *entry = cache->entries[at];
    cache->bytes -= arena_used(entry->arena);
    cache->entries[at] = cache->entries[--cache->count];
    entry_release(entry);
}

static void keep(struct result_cache *cache, struct entry *entry)
{
    size_t bytes = arena_used(entry->arena);
    pthread_mutex_lock(&cache->lock);
    size_t at = find(cache, entry->key, entry->hash);
    if (at < cache->count)
        remove_at(cache, at);
    bool high = ledger_pressure() != LEDGER_CALM; /* the process needs its memory elsewhere */
    while (cache->count > 0 &&
           (high || cache->count == ENTRIES_MAX || cache->bytes + bytes > cache->memory_max)) {
        size_t oldest = 0;
        for (size_t i = 1; i < cache->count; i++)
            oldest = cache->entries[i]->used < cache->entries[oldest]->used ? i : oldest;
        remove_at(cache, oldest);
    }
    entry->used = ++cache->clock;
    cache->entries[cache->count++] = entry;
    cache->bytes += bytes;
    pthread_mutex_unlock(&cache->lock);
}

/* The columns of a result that may be kept; NULL: it is too large. */
static struct entry *entry_new(const struct result_cache *cache, struct slice key, uint64_t hash,
                               const struct store_moment *moment, const struct grid *grid,
                               const struct query_result *result)
{
    struct arena *arena = arena_new_cache(cache->memory_max / ENTRY_SHARE);
    struct entry *entry = arena_calloc(arena, 1, sizeof(*entry));
    struct cached_series *series = arena_calloc(arena, result->series_count, sizeof(*series));
    for (size_t i = 0; series && i < result->series_count; i++) {
        const struct query_series *from = &result->series[i];
        series[i].labels = labels_copy(arena, from->labels);
        series[i].present = arena_calloc(arena, grid->steps, 1);
        series[i].values = arena_calloc(arena, grid->steps, sizeof(double));
        for (size_t k = 0; !arena_exhausted(arena) && k < from->count; k++) {
            size_t step = (size_t)((from->points[k].time_ns - grid->start_ns) / grid->step_ns);
            series[i].present[step] = 1;
            series[i].values[step] = from->points[k].value;
        }
    }
    struct slice own_key = arena_copy(arena, key);
    if (arena_exhausted(arena)) {
        arena_free(arena);
        return NULL;
    }
    *entry = (struct entry){.refs = 1,
                            .hash = hash,
                            .key = own_key,
                            .moment = *moment,
                            .grid = *grid,
                            .series = series,
                            .count = result->series_count,
                            .arena = arena};
    return entry;
}

static bool may_keep_result(const struct query_result *result)
{
    return result->type == RESULT_MATRIX && !result->varies && result->warning_count == 0 &&
           result->info_count == 0;
}

/* ---- putting together ----------------------------------------------------------------------- */

/* Points of the entry's steps [from, to), then the new ones. */
static bool join_series(struct query_result *out, const struct entry *entry,
                        const struct cached_series *old, size_t from, size_t to,
                        const struct query_series *fresh)
{
    size_t count = fresh ? fresh->count : 0;
    for (size_t i = from; old && i < to; i++)
        count += old->present[i];
    if (count == 0)
        return true;
    struct query_series *series = &out->series[out->series_count];
    series->labels = labels_copy(out->arena, old ? old->labels : fresh->labels);
    series->points = arena_calloc(out->arena, count, sizeof(*series->points));
    if (arena_exhausted(out->arena))
        return false;
    for (size_t i = from; old && i < to; i++) {
        if (old->present[i])
            series->points[series->count++] = (struct query_point){
                .time_ns = grid_time(&entry->grid, i), .value = old->values[i]};
    }
    if (fresh && fresh->count > 0)
        memcpy(series->points + series->count, fresh->points,
               fresh->count * sizeof(*fresh->points));
    series->count = count;
    out->series_count++;
    return true;
}

/* Both are sorted by labels, and so is the result. */
static bool join(struct query_result *out, const struct entry *entry, size_t from, size_t to,
                 const struct query_result *fresh)
{
    size_t fresh_count = fresh ? fresh->series_count : 0, i = 0, k = 0;
    out->series = arena_calloc(out->arena, entry->count + fresh_count, sizeof(*out->series));
    if (out->series == NULL)
        return false;
    while (i < entry->count || k < fresh_count) {
        int order = i == entry->count ? 1
                    : k == fresh_count
                        ? -1
                        : labels_compare(entry->series[i].labels, fresh->series[k].labels);
        const struct cached_series *old = order <= 0 ? &entry->series[i] : NULL;
        const struct query_series *new = order >= 0 ? &fresh->series[k] : NULL;
        if (!join_series(out, entry, old, from, to, new))
            return false;
        i += order <= 0;
        k += order >= 0;
    }
    return true;
}

/* Take over what is not points: annotations and statistics. */
static bool take_notes(struct query_result *out, const struct query_result *fresh)
{
    out->stats = fresh->stats;
    out->varies = fresh->varies;
    const struct slice *from[] = {fresh->warnings, fresh->infos};
    struct slice **to[] = {&out->warnings, &out->infos};
    size_t counts[] = {fresh->warning_count, fresh->info_count};
    for (size_t level = 0; level < COUNT_OF(counts); level++) {
        *to[level] = arena_calloc(out->arena, counts[level], sizeof(struct slice));
        for (size_t i = 0; *to[level] && i < counts[level]; i++)
            (*to[level])[i] = arena_copy(out->arena, from[level][i]);
    }
    out->warning_count = counts[0];
    out->info_count = counts[1];
    return !arena_exhausted(out->arena);
}

/* How many of the entry's steps hold for the request: [*from, result). */
static size_t usable_steps(const struct entry *entry, const struct query_request *r,
                           int64_t changed_ns, int64_t reach, size_t *from)
{
    const struct grid *grid = &entry->grid;
    int64_t bound =
        reach == INT64_MAX || changed_ns == INT64_MAX ? INT64_MAX : ns_add(changed_ns, reach);
    size_t to = 0;
    if (r->start_ns < grid->start_ns || r->start_ns > grid_time(grid, grid->steps - 1) ||
        changed_ns == INT64_MIN)
        return 0;
    *from = (size_t)((r->start_ns - grid->start_ns) / grid->step_ns);
    for (to = *from; to < grid->steps; to++) {
        int64_t time = grid_time(grid, to);
        if (time >= bound || time > r->end_ns)
            break;
    }
    return to > *from ? to : 0;
}

/* The result of the entry's steps and a run for those behind them. */
static struct query_result *refresh(struct store *store, const struct query_request *request,
                                    const struct entry *entry, size_t from, size_t to, bool *whole,
                                    struct error *err)
{
    struct query_result *fresh = NULL;
    struct query_request rest = *request;
    rest.start_ns = grid_time(&entry->grid, to);
    *whole = rest.start_ns > request->end_ns;
    if (!*whole && (fresh = query_run(store, &rest, err)) == NULL)
        return NULL;
    struct query_result *out = query_result_new(RESULT_MATRIX, request->limits.memory_max);
    size_t limit = request->limits.result_series_max;
    bool ok = join(out, entry, from, to, fresh) && (fresh == NULL || take_notes(out, fresh));
    if (!ok)
        ok = arena_check(out->arena, "the result", err) &&
             error_set(err, ERR_LIMIT, "the result is too large");
    else if (limit > 0 && out->series_count > limit)
        ok = error_set(err, ERR_LIMIT, "the query gives %zu series, the limit is %zu",
                       out->series_count, limit);
    query_result_free(fresh);
    if (ok)
        return out;
    query_result_free(out);
    return NULL;
}

static void count_use(struct result_cache *cache, uint64_t *counter)
{
    pthread_mutex_lock(&cache->lock);
    (*counter)++;
    pthread_mutex_unlock(&cache->lock);
}

/* A run through the cache; the request's times are whole milliseconds and its key is known. */
static struct query_result *run_keyed(struct result_cache *cache, struct store *store,
                                      const struct query_request *request, struct slice key,
                                      int64_t reach, struct error *err)
{
    struct store_moment moment;
    uint64_t hash = hash64(key.data, key.size, 0);
    store_moment_read(store, request->tenant, &moment);
    struct entry *entry = lookup(cache, key, hash);
    size_t from = 0, to = 0;
    bool whole = false;
    if (entry)
        to =
            usable_steps(entry, request,
                         store_changed_since(store, request->tenant, &entry->moment), reach, &from);
    struct query_result *result = to > 0 ? refresh(store, request, entry, from, to, &whole, err)
                                         : query_run(store, request, err);
    count_use(cache, whole    ? &cache->stats.hits
                     : to > 0 ? &cache->stats.partial
                              : &cache->stats.misses);
    if (entry) {
        pthread_mutex_lock(&cache->lock);
        entry_release(entry);
        pthread_mutex_unlock(&cache->lock);
    }
    if (result && !whole && may_keep_result(result)) {
        uint64_t steps =
            (uint64_t)(request->end_ns - request->start_ns) / (uint64_t)request->step_ns + 1;
        struct grid grid = {request->start_ns, request->step_ns, (size_t)steps};
        struct entry *kept = entry_new(cache, key, hash, &moment, &grid, result);
        if (kept)
            keep(cache, kept);
    }
    return result;
}

struct query_result *query_run_cached(struct result_cache *cache, struct store *store,
                                      const struct query_request *request, struct error *err)
{
    bool several = slice_find_byte(request->tenant, '|', 0) != SLICE_NOT_FOUND; /* tenants */
    if (cache == NULL || several || request->instant || request->language != QUERY_PROMQL ||
        request->step_ns < NS_PER_MS || request->step_ns % NS_PER_MS != 0 ||
        request->start_ns % NS_PER_MS != 0 || request->end_ns < request->start_ns ||
        request->start_ns < 0 || request->end_ns > INT64_MAX / 2)
        return query_run(store, request, err);
    int64_t reach;
    AUTO(buffer_done) struct buffer key;
    buffer_init(&key, KEY_MAX);
    if (!make_key(request, &key, &reach)) {
        count_use(cache, &cache->stats.skipped);
        return query_run(store, request, err);
    }
    return run_keyed(cache, store, request, buffer_slice(&key), reach, err);
}
