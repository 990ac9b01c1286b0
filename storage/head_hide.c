/*
 * head_hide.c - a delete in the head: store_delete() up to the log, and applying it.
 *
 * The WAL writer applies a tombstone between batches, replay at the same place of the
 * log.  Open chunks of the series that it touches are frozen, so that every chunk lies wholly
 * before or behind it; what is hidden is then a matter of comparing LSNs.
 *
 * Where the newest entry of a series is hidden, what may come next must not be measured by
 * it: the state goes back to the range's start.  Nothing that is left lies behind
 * that, so entries from the range's start on are in order again.
 */
#include "base/arena.h"
#include "base/duration.h"
#include "base/error.h"
#include "storage/batch_internal.h"
#include "storage/postings.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"

/* ---- applying ---------------------------------------------------------- */

static bool chunk_in_range(const struct head_chunk *chunk, const struct tombstone *t)
{
    return chunk && chunk->first_ns <= t->end_ns && chunk->last_ns >= t->start_ns;
}

static void hide_series(struct head *head, struct series *series, const struct tombstone *t,
                        bool whole)
{
    if (chunk_in_range(series->open, t))
        head_freeze_chunk(head, series, &series->open);
    if (chunk_in_range(series->side, t))
        head_freeze_chunk(head, series, &series->side);
    if (!whole || series->last_ns < t->start_ns || series->last_ns > t->end_ns)
        return;
    /* A log entry at the last time is in order, a sample must be later. */
    bool before = head->kind == STORE_METRIC && t->start_ns != INT64_MIN;
    series->last_ns = before ? t->start_ns - 1 : t->start_ns;
    series->last_bits = 0;
}

/* The ids that the selector touches; a regex that cannot decide touches all. */
static void hide_selector(struct head *head, const struct tombstone *t,
                          const struct view_selector *selector)
{
    struct id_list ids = {0};
    struct error ignored = {0};
    pthread_mutex_lock(&head->lock);
    size_t bound = head->series.count;
    struct postings_plan *plan =
        postings_plan_new(&head->postings, selector->matchers, selector->count, (uint32_t)bound);
    pthread_mutex_unlock(&head->lock);
    bool decided = postings_decide(plan, &ignored);
    pthread_mutex_lock(&head->lock);
    if (decided)
        postings_select(&head->postings, plan, &ids);
    for (size_t i = 0; i < (decided ? ids.count : bound); i++) {
        struct series *series = head_series(head, decided ? ids.items[i] : i);
        if (series)
            hide_series(head, series, t, decided);
    }
    pthread_mutex_unlock(&head->lock);
    postings_plan_free(plan);
    array_done(&ids);
}

static void hide_listed(struct head *head, const struct tombstone *t)
{
    for (size_t i = 0; i < t->series_count; i++) {
        pthread_mutex_lock(&head->lock);
        struct series *series = head_find(head, t->series[i].labels);
        if (series)
            hide_series(head, series, t, false);
        pthread_mutex_unlock(&head->lock);
    }
}

/*
 * Between the steps nobody else applies anything: series made meanwhile are empty, and a view
 * taken meanwhile sees frozen chunks without the tombstone, which is the moment before it.
 */
void head_hide(struct head *head, struct tombstones *registry, struct tombstone *t)
{
    uint64_t lsn = t->lsn;
    int64_t from_ns = t->start_ns;
    for (size_t i = 0; i < t->selector_count; i++)
        hide_selector(head, t, &t->selectors[i]);
    hide_listed(head, t);
    pthread_mutex_lock(&head->lock);
    tombstones_add(registry, t);
    head->applied_lsn = lsn;
    changes_note(&head->changes, from_ns);
    pthread_mutex_unlock(&head->lock);
}

/* ---- asking for it ------------------------------------------------------- */

/* Samples are whole milliseconds: so is the range, or the state could fall on a sample's time. */
static void round_range(struct store_delete *request)
{
    int64_t over = request->start_ns % NS_PER_MS;
    if (request->kind != STORE_METRIC || over == 0 || request->start_ns == INT64_MIN)
        return;
    int64_t up = over > 0 ? NS_PER_MS - over : -over;
    if (request->start_ns <= INT64_MAX - up)
        request->start_ns += up;
}

static bool is_unknown(struct store *store, const struct store_delete *request)
{
    return store_head(store, request->tenant, request->kind) == NULL &&
           !catalog_has_tenant(store->catalog, request->tenant);
}

bool store_delete(struct store *store, const struct store_delete *request, uint64_t *lsn,
                  struct error *err)
{
    struct store_delete rounded = *request;
    struct batch_result result = {0};
    round_range(&rounded);
    if (lsn)
        *lsn = 0;
    if (is_unknown(store, request) || rounded.start_ns > rounded.end_ns)
        return request->start_ns <= request->end_ns ||
               error_set(err, ERR_INVALID, "a delete ends before it starts");
    struct batch *batch = batch_new(store, request->tenant, request->kind, err);
    if (batch == NULL)
        return false;
    if (tombstone_write(&batch->body, &rounded, err))
        batch->tombstone = tombstone_read(buffer_slice(&batch->body), 0, err);
    if (batch->tombstone == NULL || !tombstones_room(store->tombstones, request->tenant,
                                                     request->kind, batch->body.size, err)) {
        batch_free(batch);
        return false;
    }
    if (!batch_commit_wait(batch, &result, err))
        return false;
    if (lsn)
        *lsn = result.lsn;
    return true;
}

/* ---- for who deletes by content -------------------------------------------- */

static void widen(const struct head_chunk *chunk, int64_t *first_ns, int64_t *last_ns)
{
    if (chunk == NULL)
        return;
    *first_ns = chunk->first_ns < *first_ns ? chunk->first_ns : *first_ns;
    *last_ns = chunk->last_ns > *last_ns ? chunk->last_ns : *last_ns;
}

static void head_bounds(struct head *head, int64_t *first_ns, int64_t *last_ns)
{
    pthread_mutex_lock(&head->lock);
    for (size_t i = 0; i < head->series.count; i++) {
        const struct series *series = head_series(head, i);
        if (series == NULL)
            continue;
        widen(series->open, first_ns, last_ns);
        widen(series->side, first_ns, last_ns);
        for (const struct head_chunk *chunk = series->frozen; chunk; chunk = chunk->next)
            widen(chunk, first_ns, last_ns);
    }
    pthread_mutex_unlock(&head->lock);
}

bool store_bounds(struct store *store, struct slice tenant, enum store_kind kind, int64_t *first_ns,
                  int64_t *last_ns, struct error *err)
{
    struct catalog_day *days;
    size_t count;
    int64_t first = INT64_MAX, last = INT64_MIN;
    struct head *head = store_head(store, tenant, kind);
    AUTO(arena_drop) struct arena *arena = arena_new((size_t)64 << 20);
    if (head)
        head_bounds(head, &first, &last);
    if (!catalog_days(store->catalog, tenant, kind, INT32_MIN, INT32_MAX, arena, &days, &count,
                      err))
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t start = days[i].day * NS_PER_DAY;
        first = start < first ? start : first;
        last = start + NS_PER_DAY - 1 > last ? start + NS_PER_DAY - 1 : last;
    }
    *first_ns = first;
    *last_ns = last;
    return true;
}

bool store_put_note(struct store *store, struct slice key, struct slice value, struct error *err)
{
    return catalog_put_note(store->catalog, key, value, err);
}

bool store_notes(struct store *store, struct slice prefix, store_note_visit *visit, void *context,
                 struct error *err)
{
    return catalog_notes(store->catalog, prefix, visit, context, err);
}
