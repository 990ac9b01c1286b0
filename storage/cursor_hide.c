/*
 * cursor_hide.c - what deletes leave of a cursor's series.
 *
 * Runs once per cursor, and only when the tenant has a tombstone or a rule of retention that
 * reaches into the range: each series gets the list of ranges to leave out (readers ask it per
 * sample of a chunk that it touches), and a series whose every chunk lies in deleted ranges
 * is dropped, so that it shows in no answer.
 */
#include "storage/cursor_internal.h"
#include "storage/retention.h"

static bool set_reaches(const struct cursor *cursor, const struct tombstone_set *set,
                        int64_t now_ns)
{
    const struct cursor_request *request = &cursor->request;
    if (retention_reaches(&cursor->store->options, request->tenant, request->kind,
                          request->start_ns, now_ns))
        return true;
    for (size_t i = 0; set && i < set->count; i++)
        if (set->items[i]->start_ns <= cursor->request.end_ns &&
            set->items[i]->end_ns >= cursor->request.start_ns)
            return true;
    return false;
}

/* Of the chunk only what lies in the cursor's range matters. */
static bool is_covered(const struct cursor *cursor, const struct cursor_series *series,
                       int64_t first_ns, int64_t last_ns, uint64_t lsn)
{
    const struct cursor_request *request = &cursor->request;
    if (series->hide_count == 0)
        return false;
    if (first_ns < request->start_ns)
        first_ns = request->start_ns;
    if (last_ns > request->end_ns)
        last_ns = request->end_ns;
    return hides_cover(cursor->hides.items + series->hide_first, series->hide_count, first_ns,
                       last_ns, lsn);
}

static bool has_rest(const struct cursor *cursor, const struct cursor_series *series)
{
    for (size_t i = 0; i < series->snapshot_count; i++) {
        const struct snapshot *s = &cursor->snapshots.items[series->snapshot_first + i];
        if (!is_covered(cursor, series, s->first_ns, s->last_ns, s->lsn))
            return true;
    }
    for (uint32_t r = series->range_first; r != UINT32_MAX; r = cursor->ranges.items[r].next) {
        const struct part_range *range = &cursor->ranges.items[r];
        for (size_t i = range->first; i < range->first + range->count; i++) {
            const struct chunk_ref *ref = &cursor->parts.items[range->part].refs.items[i];
            if (!is_covered(cursor, series, ref->first_ns, ref->last_ns, ref->lsn_max))
                return true;
        }
    }
    return false;
}

bool cursor_hide(struct cursor *cursor, const struct tombstone_set *set, struct error *err)
{
    const struct cursor_request *request = &cursor->request;
    size_t kept = 0;
    int64_t now_ns = store_now_ns(cursor->store);
    if (!set_reaches(cursor, set, now_ns))
        return true;
    for (size_t i = 0; i < cursor->series.count; i++) {
        struct cursor_series series = cursor->series.items[i];
        series.hide_first = cursor->hides.count;
        if (i % CANCEL_STEP == 0 && !cursor_goes_on(cursor, err))
            return false;
        if (!tombstone_set_hides(set, series.labels, request->start_ns, request->end_ns,
                                 &cursor->hides, err) ||
            !retention_hides(&cursor->store->options, request->tenant, request->kind, series.labels,
                             now_ns, &cursor->hides, err))
            return false;
        series.hide_count = (uint32_t)(cursor->hides.count - series.hide_first);
        if (series.hide_count == 0 || has_rest(cursor, &series))
            cursor->series.items[kept++] = series;
    }
    cursor->series.count = kept;
    return true;
}
