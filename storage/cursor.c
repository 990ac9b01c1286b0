/*
 * cursor.c - selecting series in head and partitions (see cursor_internal.h for
 * why the two together are consistent).
 *
 * Order: the view of the head, its series' labels, then list each day's partition.  Series of the
 * same labels become one; all are sorted by labels.
 */
#include "storage/cursor_internal.h"

#include "base/table.h"
#include "storage/postings.h"

enum { LABELS_STEP = 512 };

/* ---- the head ---------------------------------------------------------- */

static bool check_limits(const struct cursor *cursor, struct error *err)
{
    size_t limit = cursor->request.series_max;
    if (limit > 0 && cursor->series.count > limit)
        return error_set(err, ERR_LIMIT, "the selector matches more than %zu series, the limit",
                         limit);
    size_t used = arena_used(cursor->arena) + cursor->snapshot_bytes;
    if (arena_exhausted(cursor->arena) || used > cursor->memory_max)
        return error_set(err, ERR_LIMIT, "the selected series need more than %zu bytes, the limit",
                         cursor->memory_max);
    return cursor_goes_on(cursor, err);
}

/* What the series has in the range; false: nothing. */
static bool add_snapshots(struct cursor *cursor, const struct selection *selection,
                          const struct selected_series *series)
{
    const struct cursor_request *request = &cursor->request;
    struct cursor_series found = {.snapshot_first = cursor->snapshots.count,
                                  .range_first = UINT32_MAX};
    for (size_t i = series->first; i < series->first + series->count; i++) {
        const struct snapshot *snapshot = &selection->snapshots.items[i];
        if (snapshot->last_ns < request->start_ns || snapshot->first_ns > request->end_ns)
            continue;
        if (snapshot->open)
            cursor->snapshot_bytes += snapshot->size;
        array_push(&cursor->snapshots, *snapshot);
    }
    found.snapshot_count = cursor->snapshots.count - found.snapshot_first;
    if (found.snapshot_count == 0)
        return false;
    array_push(&cursor->series, found);
    return true;
}

/* Labels of the series from `first` on.  Texts stay where they are; numbers move: locked. */
static void add_labels(struct cursor *cursor, const struct selection *selection,
                       const struct size_list *chosen, size_t first)
{
    struct head *head = cursor->view->head;
    pthread_mutex_lock(&head->lock);
    for (size_t i = first; i < chosen->count; i++) {
        const struct selected_series *series = &selection->series.items[chosen->items[i]];
        const uint32_t *pairs = selection->pairs.items + series->pair_first;
        struct label *items = arena_calloc(cursor->arena, series->pair_count, sizeof(*items));
        for (size_t k = 0; items && k < series->pair_count; k++)
            items[k] = postings_label(&head->postings, pairs[k]);
        cursor->series.items[i].labels = (struct labels){items, items ? series->pair_count : 0};
    }
    pthread_mutex_unlock(&head->lock);
}

static bool select_head(struct cursor *cursor, struct error *err)
{
    const struct cursor_request *request = &cursor->request;
    const struct selection *selection =
        view_find(cursor->view, request->matchers, request->matcher_count);
    struct size_list chosen = {0};
    size_t labelled = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < selection->series.count; i++) {
        if (add_snapshots(cursor, selection, &selection->series.items[i]))
            array_push(&chosen, i);
        if (chosen.count - labelled == LABELS_STEP || i + 1 == selection->series.count) {
            add_labels(cursor, selection, &chosen, labelled);
            labelled = chosen.count;
            ok = check_limits(cursor, err);
        }
    }
    if (ok)
        cursor_sort_head(cursor, selection, &chosen);
    array_done(&chosen);
    return ok;
}

static bool open_view(struct cursor *cursor, struct error *err)
{
    const struct cursor_request *request = &cursor->request;
    cursor->view = request->view;
    if (cursor->view && view_find(cursor->view, request->matchers, request->matcher_count))
        return true;
    struct view_selector selector = {request->matchers, request->matcher_count};
    struct view_request own = {.tenant = request->tenant,
                               .kind = request->kind,
                               .selectors = &selector,
                               .count = 1,
                               .start_ns = request->start_ns,
                               .end_ns = request->end_ns,
                               .memory_max = cursor->memory_max,
                               .cancel = request->cancel};
    cursor->view = cursor->own_view = view_take(cursor->store, &own, err);
    return cursor->view != NULL;
}

/* ---- partitions -------------------------------------------------------- */

struct merging {
    struct cursor *cursor;
    struct table table; /* labels to index in cursor->series */
    bool filled;
};

static bool labels_same(const void *items, uint32_t index, const void *key)
{
    const struct cursor *cursor = items;
    return labels_equal(cursor->series.items[index].labels, *(const struct labels *)key);
}

/* The cursor's series with these labels, new if need be. */
static uint32_t merge_labels(struct merging *merging, struct labels labels)
{
    struct cursor *cursor = merging->cursor;
    if (!merging->filled) {
        for (size_t i = 0; i < cursor->series.count; i++)
            table_insert(&merging->table, labels_hash(cursor->series.items[i].labels), (uint32_t)i);
        merging->filled = true;
    }
    uint64_t hash = labels_hash(labels);
    uint32_t at = table_find(&merging->table, hash, labels_same, cursor, &labels);
    if (at != TABLE_NONE)
        return at;
    at = (uint32_t)cursor->series.count;
    struct cursor_series fresh = {.labels = labels, .range_first = UINT32_MAX};
    array_push(&cursor->series, fresh);
    table_insert(&merging->table, hash, at);
    return at;
}

/* Leave out chunks from after the view; give the series that have any left. */
static void keep_visible(const struct cursor *cursor, struct chunk_refs *refs,
                         struct series_numbers *numbers)
{
    size_t kept = 0;
    numbers->count = 0;
    for (size_t i = 0; i < refs->count; i++) {
        if (refs->items[i].lsn_max > cursor->view->lsn)
            continue;
        refs->items[kept++] = refs->items[i];
        uint32_t series = refs->items[i].series;
        if (numbers->count == 0 || numbers->items[numbers->count - 1] != series)
            array_push(numbers, series);
    }
    refs->count = kept;
}

static bool add_ranges(struct merging *merging, uint32_t part_index,
                       const struct series_numbers *numbers, struct error *err)
{
    struct cursor *cursor = merging->cursor;
    const struct part *part = &cursor->parts.items[part_index];
    AUTO(memory_drop) struct labels *labels = xcalloc(numbers->count, sizeof(*labels));
    if (!partition_labels(part->partition, numbers->items, numbers->count, cursor->arena, labels,
                          err))
        return false;
    size_t at = 0;
    for (size_t i = 0; i < numbers->count; i++) {
        struct part_range range = {.part = part_index, .next = UINT32_MAX, .first = at};
        while (at < part->refs.count && part->refs.items[at].series == numbers->items[i])
            at++;
        range.count = at - range.first;
        uint32_t index = merge_labels(merging, labels[i]); /* may move the array */
        struct cursor_series *series = &cursor->series.items[index];
        range.next = series->range_first;
        series->range_first = (uint32_t)cursor->ranges.count;
        array_push(&cursor->ranges, range);
    }
    return check_limits(cursor, err);
}

static bool select_day(struct merging *merging, int32_t day, struct error *err)
{
    struct cursor *cursor = merging->cursor;
    const struct cursor_request *request = &cursor->request;
    struct partition_id id = {request->tenant, request->kind, day};
    struct error missing = {0};
    struct part part = {.partition = partition_acquire(cursor->store->partitions, &id, &missing)};
    if (part.partition == NULL) {
        if (missing.code == ERR_NOT_FOUND || /* retention took it just now */
            store_damage_skip(request->damage, &missing))
            return true;
        *err = missing;
        return false;
    }
    array_push(&cursor->parts, part); /* released with the cursor */
    struct part *own = &cursor->parts.items[cursor->parts.count - 1];
    struct series_numbers numbers = {0};
    bool ok = partition_select(own->partition, request->matchers, request->matcher_count,
                               request->cancel, &numbers, err) &&
              partition_chunks(own->partition, numbers.items, numbers.count, request->start_ns,
                               request->end_ns, request->damage, &own->refs, err);
    if (ok) {
        keep_visible(cursor, &own->refs, &numbers);
        ok = add_ranges(merging, (uint32_t)cursor->parts.count - 1, &numbers, err);
    }
    array_done(&numbers);
    return ok || store_damage_skip(request->damage, err); /* without this day, then */
}

static bool select_partitions(struct cursor *cursor, struct error *err)
{
    const struct cursor_request *request = &cursor->request;
    AUTO(arena_drop) struct arena *arena = arena_new_in_budget((size_t)64 << 20);
    struct merging merging = {.cursor = cursor};
    struct catalog_day *days;
    size_t count;
    bool ok = catalog_days(cursor->store->catalog, request->tenant, request->kind,
                           partition_day(request->start_ns), partition_day(request->end_ns), arena,
                           &days, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = select_day(&merging, days[i].day, err);
    table_done(&merging.table);
    return ok;
}

/* ---- the cursor -------------------------------------------------------- */

static bool select_all(struct cursor *cursor, struct error *err)
{
    const struct cursor_request *request = &cursor->request;
    return request->start_ns > request->end_ns ||
           (open_view(cursor, err) && select_head(cursor, err) && select_partitions(cursor, err) &&
            cursor_hide(cursor, cursor->view->hidden, err));
}

struct cursor *cursor_new(struct store *store, const struct cursor_request *request)
{
    struct cursor *cursor = xcalloc(1, sizeof(*cursor));
    cursor->store = store;
    cursor->request = *request;
    cursor->memory_max = request->memory_max ? request->memory_max : CURSOR_MEMORY_DEFAULT;
    cursor->arena = arena_new_in_budget(cursor->memory_max);
    cursor->scan = line_scan_new(request->predicate);
    if (!store->options.no_skip_index)
        line_index_query_make(request->predicate, &cursor->asked);
    return cursor;
}

struct cursor *cursor_open_one(struct store *store, const struct cursor_request *request,
                               struct error *err)
{
    struct cursor *cursor;
    for (;;) {
        uint64_t rewrites = partitions_rewrites(store->partitions);
        cursor = cursor_new(store, request);
        if (!select_all(cursor, err)) {
            cursor_close(cursor);
            return NULL;
        }
        if (partitions_rewrites(store->partitions) == rewrites || cursor->own_view == NULL)
            break;
        cursor_close(cursor); /* a day was rewritten: what we have may lie in two generations */
    }
    cursor_sort(cursor);
    return cursor;
}

void cursor_close(struct cursor *cursor)
{
    if (cursor == NULL)
        return;
    store_view_close(cursor->own_view);
    line_scan_free(cursor->scan);
    line_index_query_done(&cursor->asked);
    for (size_t i = 0; i < cursor->tenant_count; i++)
        cursor_close(cursor->of_tenants[i]);
    free(cursor->of_tenants);
    array_done(&cursor->tenant_series);
    for (size_t i = 0; i < cursor->parts.count; i++) {
        partition_release(cursor->parts.items[i].partition);
        array_done(&cursor->parts.items[i].refs);
    }
    array_done(&cursor->snapshots);
    array_done(&cursor->parts);
    array_done(&cursor->ranges);
    array_done(&cursor->series);
    array_done(&cursor->hides);
    arena_free(cursor->arena);
    free(cursor);
}
