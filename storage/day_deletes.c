/*
 * day_deletes.c - see day_deletes.h.
 *
 * A day's row in the catalog says up to which LSN its files need no tombstone (`clean_lsn`):
 * for a new day all that the head held then is above it, a rewrite leaves out what was hidden
 * and raises it.  A tombstone is dropped when every day that it reaches is clean of it
 * and the head has nothing from before it.  Then the log may still have it: replay adds
 * it again, it hides nothing, and is dropped again.
 */
#include "storage/day_deletes.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "storage/chunk_filter.h"
#include "storage/crash_point.h"
#include "storage/retention.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"

enum {
    SERIES_AT_ONCE = 256,
    NAMES_MEMORY_MAX = 64 * 1024 * 1024,
    CHUNK_MEMORY_MAX = 64 * 1024 * 1024,
    DAYS_LIST_MAX = 64 * 1024 * 1024
};

/* ---- one day --------------------------------------------------------------- */

struct scan {
    struct partition *partition;
    struct day_deletes *deletes;
    struct hides hides; /* of the series at hand */
    struct chunk_refs refs;
    struct buffer bytes, out;
};

/* Is anything left of the series' chunks?  `*touched`: is anything gone? */
static bool judge(struct scan *s, uint32_t number, bool *left, bool *touched, struct error *err)
{
    *left = *touched = false;
    s->refs.count = 0;
    if (!partition_chunks(s->partition, &number, 1, INT64_MIN, INT64_MAX, NULL, &s->refs, err))
        return false;
    bool doubtful = false;
    for (size_t i = 0; i < s->refs.count; i++) {
        const struct chunk_ref *ref = &s->refs.items[i];
        bool touches =
            hides_touch(s->hides.items, s->hides.count, ref->first_ns, ref->last_ns, ref->lsn_max);
        bool covered =
            hides_cover(s->hides.items, s->hides.count, ref->first_ns, ref->last_ns, ref->lsn_max);
        *touched = *touched || touches;
        *left = *left || !touches;
        doubtful = doubtful || (touches && !covered);
    }
    for (size_t i = 0; doubtful && !*left && i < s->refs.count; i++) {
        struct slice chunk;
        bool empty;
        buffer_clear(&s->bytes);
        buffer_clear(&s->out);
        if (!partition_fetch(s->partition, &s->refs.items[i], 1, &s->bytes, &chunk, err) ||
            !chunk_filter(&chunk, s->hides.items, s->hides.count, &s->out, &empty, err))
            return false;
        *left = !empty;
    }
    return true;
}

static bool scan_some(struct scan *s, uint32_t from, uint32_t count, struct error *err)
{
    uint32_t numbers[SERIES_AT_ONCE];
    struct labels labels[SERIES_AT_ONCE];
    AUTO(arena_drop) struct arena *arena = arena_new(NAMES_MEMORY_MAX);
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = from + i;
    if (!partition_labels(s->partition, numbers, count, arena, labels, err))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        bool left = true, touched = false;
        s->hides.count = 0;
        if (!day_deletes_hides(s->deletes, labels[i], &s->hides, err))
            return false;
        if (s->hides.count > 0 && !judge(s, numbers[i], &left, &touched, err))
            return false;
        s->deletes->dropped[numbers[i]] = !left;
        s->deletes->left += left;
        s->deletes->touched += touched;
    }
    return true;
}

static bool scan_all(struct scan *s, struct error *err)
{
    uint32_t count = partition_series_count(s->partition);
    s->deletes->series = count;
    s->deletes->dropped = xcalloc(count + 1, sizeof(bool));
    for (uint32_t at = 0; at < count; at += SERIES_AT_ONCE) {
        uint32_t some = count - at < SERIES_AT_ONCE ? count - at : SERIES_AT_ONCE;
        if (!scan_some(s, at, some, err))
            return false;
    }
    return true;
}

bool day_deletes_hides(const struct day_deletes *deletes, struct labels labels, struct hides *hides,
                       struct error *err)
{
    return tombstone_set_hides(deletes->set, labels, INT64_MIN, INT64_MAX, hides, err) &&
           retention_hides(deletes->options, deletes->tenant, deletes->kind, labels,
                           deletes->now_ns, hides, err);
}

bool day_deletes_find(struct store *store, const struct partition_id *id, int64_t now_ns,
                      struct day_deletes *deletes, struct error *err)
{
    *deletes =
        (struct day_deletes){.set = tombstones_get(store->tombstones, id->tenant, id->kind),
                             .options = &store->options,
                             .tenant = id->tenant,
                             .kind = id->kind,
                             /* A clock that may be wrong hides, but takes nothing for good. */
                             .now_ns = store_retention_held(store) ? INT64_MIN : now_ns};
    deletes->any = deletes->set != NULL || retention_state(&store->options, id->tenant, id->kind,
                                                           id->day, deletes->now_ns) != 0;
    if (!deletes->any)
        return true;
    struct scan s = {.deletes = deletes,
                     .partition = partition_acquire(store->partitions, id, err)};
    buffer_init(&s.bytes, CHUNK_MEMORY_MAX);
    buffer_init(&s.out, CHUNK_MEMORY_MAX);
    bool ok = s.partition != NULL && scan_all(&s, err);
    partition_release(s.partition);
    array_done(&s.hides);
    array_done(&s.refs);
    buffer_done(&s.bytes);
    buffer_done(&s.out);
    if (!ok)
        day_deletes_done(deletes);
    return ok;
}

void day_deletes_done(struct day_deletes *deletes)
{
    tombstone_set_unref(deletes->set);
    free(deletes->dropped);
    *deletes = (struct day_deletes){.set = NULL};
}

/* ---- which are needed -------------------------------------------------------- */

static bool reaches_day(const struct tombstone *t, const struct catalog_day *day)
{
    return t->lsn > day->clean_lsn && partition_day(t->start_ns) <= day->day &&
           partition_day(t->end_ns) >= day->day;
}

bool day_deletes_wait(struct store *store, const struct catalog_day *day, int64_t now_ns)
{
    uint64_t state = store_retention_held(store) ? 0
                                                 : retention_state(&store->options, day->tenant,
                                                                   day->kind, day->day, now_ns);
    if (state != 0 && state != day->retained)
        return true;
    struct tombstone_set *set = tombstones_get(store->tombstones, day->tenant, day->kind);
    bool waits = false;
    for (size_t i = 0; set && !waits && i < set->count; i++)
        waits = reaches_day(set->items[i], day);
    tombstone_set_unref(set);
    return waits;
}

bool tombstones_save(struct store *store, struct error *err)
{
    struct tombstone_list all = {0};
    ARRAY(struct tombstone *) unsaved = {0};
    tombstones_all(store->tombstones, &all);
    for (size_t i = 0; i < all.count; i++)
        if (!all.items[i]->persisted)
            array_push(&unsaved, all.items[i]);
    bool ok = unsaved.count == 0 ||
              catalog_put_tombstones(store->catalog, unsaved.items, unsaved.count, err);
    for (size_t i = 0; ok && i < unsaved.count; i++)
        unsaved.items[i]->persisted = true;
    if (ok && unsaved.count > 0)
        crash_point("delete.saved");
    array_done(&unsaved);
    tombstone_list_done(&all);
    return ok;
}

static bool is_needed(struct store *store, const struct tombstone *t,
                      const struct catalog_day *days, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (days[i].kind == t->kind && slice_equal(days[i].tenant, t->tenant) &&
            reaches_day(t, &days[i]))
            return true;
    struct head *head = store_head(store, t->tenant, t->kind);
    return head != NULL && head_oldest_lsn(head) < t->lsn;
}

bool tombstones_drop(struct store *store, struct error *err)
{
    struct tombstone_list all = {0};
    ARRAY(uint64_t) lsns = {0};
    struct catalog_day *days = NULL;
    size_t count = 0;
    tombstones_all(store->tombstones, &all);
    if (all.count == 0)
        return true;
    AUTO(arena_drop) struct arena *arena = arena_new(DAYS_LIST_MAX);
    bool ok = catalog_all_days(store->catalog, arena, &days, &count, err);
    for (size_t i = 0; ok && i < all.count; i++)
        if (!is_needed(store, all.items[i], days, count))
            array_push(&lsns, all.items[i]->lsn);
    if (ok && lsns.count > 0) {
        ok = catalog_remove_tombstones(store->catalog, lsns.items, lsns.count, err);
        crash_point("delete.dropped");
    }
    if (ok)
        tombstones_remove(store->tombstones, lsns.items, lsns.count);
    array_done(&lsns);
    tombstone_list_done(&all);
    return ok;
}
