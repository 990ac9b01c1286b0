/*
 * names.c - label names and values, of head and partitions together.
 *
 * Partitions answer for whole days from their own index.  Of the head those
 * series count that hold entries in the range, so that a series of a batch that
 * was never written does not show.  When a delete reaches into the range, the series are
 * selected as for a query instead, which leaves out those of which nothing is left.
 */
#include "storage/store_internal.h"

#include "base/arena.h"
#include "base/error.h"
#include "storage/postings.h"
#include "storage/retention.h"
#include "storage/tombstones.h"

enum { NAMES_UNSORTED_MAX = 65536 };

struct gathering {
    const struct names_request *request;
    struct arena *arena;
    ARRAY(struct slice) names;
    struct head *head; /* whose texts may stand in `names`; NULL: none */
    uint32_t entered;
};

static bool chunk_overlaps(const struct gathering *g, const struct head_chunk *chunk)
{
    return chunk && chunk->last_ns >= g->request->start_ns && chunk->first_ns <= g->request->end_ns;
}

static bool series_overlaps(const struct gathering *g, const struct series *series)
{
    if (chunk_overlaps(g, series->open) || chunk_overlaps(g, series->side))
        return true;
    for (const struct head_chunk *chunk = series->frozen; chunk; chunk = chunk->next) {
        if (chunk_overlaps(g, chunk))
            return true;
    }
    return false;
}

/* Note the wanted symbols of one series; `seen` has a flag per symbol. */
static void note_series(struct gathering *g, const struct head *head, const struct series *series,
                        uint32_t label, bool *seen)
{
    const struct postings *postings = &head->postings;
    for (size_t i = 0; i < series->pair_count; i++) {
        const struct label_pair *pair = &postings->pairs.items[series->pairs[i]];
        if (g->request->label.size > 0 && pair->name != label)
            continue;
        uint32_t symbol = g->request->label.size > 0 ? pair->value : pair->name;
        if (seen[symbol])
            continue;
        seen[symbol] = true;
        array_push(&g->names, symbols_text(&postings->symbols, symbol));
    }
}

static bool gather_head(struct gathering *g, struct head *head, struct error *err)
{
    const struct names_request *request = g->request;
    struct id_list ids = {0};
    pthread_mutex_lock(&head->lock);
    g->head = head;
    g->entered = postings_enter(&head->postings);
    struct postings_plan *plan = postings_plan_new(
        &head->postings, request->matchers, request->matcher_count, (uint32_t)head->series.count);
    pthread_mutex_unlock(&head->lock);
    bool ok = postings_decide(plan, err);
    if (ok) {
        pthread_mutex_lock(&head->lock);
        AUTO(memory_drop)
        bool *seen = xcalloc(symbols_bound(&head->postings.symbols), sizeof(*seen));
        uint32_t label = symbols_find(&head->postings.symbols, request->label);
        postings_select(&head->postings, plan, &ids);
        for (size_t i = 0; i < ids.count; i++) {
            const struct series *series = head_series(head, ids.items[i]);
            if (series && series_overlaps(g, series))
                note_series(g, head, series, label, seen);
        }
        pthread_mutex_unlock(&head->lock);
    }
    postings_plan_free(plan);
    array_done(&ids);
    return ok;
}

static bool gather_day(struct gathering *g, struct store *store, int32_t day, struct error *err)
{
    const struct names_request *request = g->request;
    struct partition_id id = {request->tenant, request->kind, day};
    struct error missing = {0};
    struct partition *partition = partition_acquire(store->partitions, &id, &missing);
    if (partition == NULL) {
        if (missing.code == ERR_NOT_FOUND || store_damage_skip(request->damage, &missing))
            return true;
        *err = missing;
        return false;
    }
    struct slice *names;
    size_t count;
    bool ok = partition_names(partition, request->matchers, request->matcher_count, request->label,
                              NULL, g->arena, &names, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        array_push(&g->names, names[i]);
    partition_release(partition);
    return ok || store_damage_skip(request->damage, err);
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Sorted, each once. */
static void unique_names(struct gathering *g)
{
    size_t kept = 0;
    if (g->names.count > 1)
        qsort(g->names.items, g->names.count, sizeof(*g->names.items), compare_names);
    for (size_t i = 0; i < g->names.count; i++) {
        if (kept == 0 || !slice_equal(g->names.items[kept - 1], g->names.items[i]))
            g->names.items[kept++] = g->names.items[i];
    }
    g->names.count = kept;
}

/* Does the tenant have something hidden in the range? */
static bool is_hidden(struct store *store, const struct names_request *request)
{
    bool found = retention_reaches(&store->options, request->tenant, request->kind,
                                   request->start_ns, store_now_ns(store));
    struct tombstone_set *set = tombstones_get(store->tombstones, request->tenant, request->kind);
    for (size_t i = 0; set && !found && i < set->count; i++)
        found = set->items[i]->start_ns <= request->end_ns &&
                set->items[i]->end_ns >= request->start_ns;
    tombstone_set_unref(set);
    return found;
}

/* The names point into the cursor's labels. */
static struct cursor *gather_visible(struct gathering *g, struct store *store, struct error *err)
{
    const struct names_request *request = g->request;
    struct cursor_request select = {.tenant = request->tenant,
                                    .kind = request->kind,
                                    .matchers = request->matchers,
                                    .matcher_count = request->matcher_count,
                                    .start_ns = request->start_ns,
                                    .end_ns = request->end_ns};
    struct cursor *cursor = cursor_open(store, &select, err);
    for (size_t i = 0; cursor && i < cursor_series_count(cursor); i++) {
        struct labels labels = cursor_labels(cursor, i);
        for (size_t k = 0; k < labels.count; k++) {
            if (request->label.size == 0)
                array_push(&g->names, labels.items[k].name);
            else if (slice_equal(labels.items[k].name, request->label))
                array_push(&g->names, labels.items[k].value);
        }
        if (g->names.count > NAMES_UNSORTED_MAX)
            unique_names(g);
    }
    return cursor;
}

/* Sorted, each once, at most `limit`, copied into the arena. */
static bool give_names(struct gathering *g, struct slice **names, size_t *count, bool *truncated,
                       struct error *err)
{
    unique_names(g);
    size_t kept = g->names.count;
    size_t limit = g->request->limit;
    bool cut = limit > 0 && kept > limit;
    if (cut)
        kept = limit;
    struct slice *list = arena_calloc(g->arena, kept, sizeof(*list));
    for (size_t i = 0; list && i < kept; i++)
        list[i] = arena_copy(g->arena, g->names.items[i]);
    if (!arena_check(g->arena, "names", err))
        return false;
    *names = list;
    *count = kept;
    *truncated = cut;
    return true;
}

bool names_of_one(struct store *store, const struct names_request *request, struct arena *arena,
                  struct slice **names, size_t *count, bool *truncated, struct error *err)
{
    struct gathering g = {.request = request, .arena = arena};
    AUTO(arena_drop) struct arena *scratch = arena_new_in_budget((size_t)64 << 20);
    struct catalog_day *days;
    size_t day_count = 0;
    struct head *head = store_head(store, request->tenant, request->kind);
    if (is_hidden(store, request)) {
        struct cursor *cursor = gather_visible(&g, store, err);
        bool found = cursor && give_names(&g, names, count, truncated, err);
        cursor_close(cursor);
        array_done(&g.names);
        return found;
    }
    bool ok = (head == NULL || gather_head(&g, head, err)) &&
              catalog_days(store->catalog, request->tenant, request->kind,
                           partition_day(request->start_ns), partition_day(request->end_ns),
                           scratch, &days, &day_count, err);
    for (size_t i = 0; ok && i < day_count; i++)
        ok = gather_day(&g, store, days[i].day, err);
    ok = ok && give_names(&g, names, count, truncated, err);
    if (g.head)
        postings_leave(&g.head->postings, g.entered);
    array_done(&g.names);
    return ok;
}
