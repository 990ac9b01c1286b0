/*
 * view.c - taking selections out of a head at one moment (see view.h).
 *
 * Order: plan on the head's index (locked), run matchers (not locked), take ids and
 * chunks (locked, once for all selectors).
 */
#include "storage/view.h"

#include "base/error.h"
#include "base/matcher.h"
#include "storage/postings.h"

enum { PREFETCH_FAR = 16, PREFETCH_NEAR = 8, CANCEL_STEP = 1024, LABELS_ON_STACK = 64 };

/* ---- taking, under the head's lock -------------------------------------- */

struct taking {
    const struct view_request *request;
    struct selection *to;
};

static bool overlaps(const struct taking *taking, int64_t first_ns, int64_t last_ns)
{
    return last_ns >= taking->request->start_ns && first_ns <= taking->request->end_ns;
}

static void take_pieces(const struct taking *taking, const struct head_chunk *chunk, bool open)
{
    for (struct log_piece *piece = chunk->pieces; piece; piece = piece->next) {
        if (!overlaps(taking, piece->first_ns, piece->last_ns))
            continue;
        struct snapshot snapshot = {.piece = log_piece_ref(piece),
                                    .first_ns = piece->first_ns,
                                    .last_ns = piece->last_ns,
                                    .lsn = chunk->last_lsn,
                                    .count = piece->count,
                                    .size = piece->size,
                                    .side = chunk->side,
                                    .open = open && piece->next == NULL};
        if (snapshot.open)
            taking->to->bytes += piece->size;
        array_push(&taking->to->snapshots, snapshot);
    }
}

static void take_chunk(const struct taking *taking, struct head_chunk *chunk, bool open)
{
    if (chunk == NULL || !overlaps(taking, chunk->first_ns, chunk->last_ns))
        return;
    if (chunk->log) {
        take_pieces(taking, chunk, open);
        return;
    }
    struct snapshot snapshot = {.held = head_chunk_ref(chunk),
                                .first_ns = chunk->first_ns,
                                .last_ns = chunk->last_ns,
                                .lsn = chunk->last_lsn,
                                .count = chunk->count,
                                .size = chunk->size,
                                .side = chunk->side,
                                .rich = chunk->rich,
                                .open = open};
    if (!chunk->side && !chunk->rich)
        snapshot.last_bits = chunk->last_bits;
    if (open)
        taking->to->bytes += chunk->size + sizeof(*chunk);
    array_push(&taking->to->snapshots, snapshot);
}

static void take_series(const struct taking *taking, const struct series *series)
{
    struct selection *to = taking->to;
    struct selected_series found = {.first = to->snapshots.count,
                                    .pair_first = to->pairs.count,
                                    .pair_count = series->pair_count};
    for (struct head_chunk *chunk = series->frozen; chunk; chunk = chunk->next)
        take_chunk(taking, chunk, false);
    take_chunk(taking, series->open, true);
    take_chunk(taking, series->side, true);
    found.count = to->snapshots.count - found.first;
    if (found.count == 0)
        return;
    array_reserve(&to->pairs, to->pairs.count + series->pair_count);
    memcpy(to->pairs.items + to->pairs.count, series->pairs,
           series->pair_count * sizeof(*series->pairs));
    to->pairs.count += series->pair_count;
    array_push(&to->series, found);
}

static bool within_limits(const struct taking *taking, struct error *err)
{
    const struct selection *to = taking->to;
    const bool *cancel = taking->request->cancel;
    size_t bytes = to->bytes + to->snapshots.count * sizeof(*to->snapshots.items) +
                   to->series.count * sizeof(*to->series.items) +
                   to->pairs.count * sizeof(*to->pairs.items);
    if (bytes > taking->request->memory_max)
        return error_set(err, ERR_LIMIT, "the selected series need more than %zu bytes, the limit",
                         taking->request->memory_max);
    if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED))
        return error_set(err, ERR_CANCELED, "the query was canceled");
    return true;
}

/* Hide the latency of what take_series() will read of the series and its open chunk. */
__attribute__((always_inline)) static inline void prefetch(const struct head *head,
                                                           const struct id_list *ids, size_t i)
{
    if (i + PREFETCH_FAR >= ids->count)
        return;
    const struct series *series = head_series(head, ids->items[i + PREFETCH_FAR]);
    if (series) {
        __builtin_prefetch(&series->open);
        __builtin_prefetch(series->pairs);
    }
    series = head_series(head, ids->items[i + PREFETCH_NEAR]);
    if (series && series->open)
        __builtin_prefetch(series->open, 1);
}

/*
 * Series that were made while the matchers ran.  The batch that brought them may be
 * applied by now and would be seen in part without them.
 */
static bool add_new_ids(const struct head *head, const struct selection *selection,
                        uint32_t id_bound, struct id_list *ids, struct error *err)
{
    struct label items[LABELS_ON_STACK];
    for (size_t id = id_bound; id < head->series.count; id++) {
        const struct series *series = head_series(head, id);
        if (series == NULL ||
            (series->open == NULL && series->side == NULL && series->frozen == NULL))
            continue;
        struct label *more = series->pair_count > LABELS_ON_STACK
                                 ? xcalloc(series->pair_count, sizeof(*more))
                                 : NULL;
        struct labels labels = head_labels(head, series, more ? more : items);
        int hit = matchers_test(selection->matchers, selection->matcher_count, labels, err);
        free(more);
        if (hit < 0)
            return false;
        if (hit)
            array_push(ids, (uint32_t)id);
    }
    return true;
}

static bool take_ids(const struct head *head, const struct taking *taking,
                     const struct id_list *ids, struct error *err)
{
    struct selection *to = taking->to;
    array_reserve(&to->series, ids->count);
    array_reserve(&to->snapshots, ids->count);
    for (size_t i = 0; i < ids->count; i++) {
        prefetch(head, ids, i);
        const struct series *series = head_series(head, ids->items[i]);
        if (series)
            take_series(taking, series);
        if (i % CANCEL_STEP == CANCEL_STEP - 1 && !within_limits(taking, err))
            return false;
    }
    return within_limits(taking, err);
}

/* ---- the view ------------------------------------------------------------ */

static bool same_matchers(const struct selection *a, const struct selection *b)
{
    if (a->matcher_count != b->matcher_count)
        return false;
    for (size_t i = 0; i < a->matcher_count; i++) {
        const struct matcher *left = &a->matchers[i];
        const struct matcher *right = &b->matchers[i];
        if (left->type != right->type || !slice_equal(left->name, right->name) ||
            !slice_equal(left->value, right->value))
            return false;
    }
    return true;
}

static void set_selections(struct store_view *view, const struct view_request *request)
{
    view->selections = xcalloc(request->count, sizeof(*view->selections));
    view->count = request->count;
    for (size_t i = 0; i < view->count; i++) {
        struct selection *selection = &view->selections[i];
        selection->matchers = request->selectors[i].matchers;
        selection->matcher_count = request->selectors[i].count;
        selection->same_as = 0;
        while (!same_matchers(&view->selections[selection->same_as], selection))
            selection->same_as++; /* ends at itself */
    }
}

static bool decide(struct store_view *view, struct postings_plan **plans, uint32_t *id_bound,
                   struct error *err)
{
    struct head *head = view->head;
    pthread_mutex_lock(&head->lock);
    view->entered = postings_enter(&head->postings);
    view->has_entered = true;
    *id_bound = (uint32_t)head->series.count;
    for (size_t i = 0; i < view->count; i++) {
        if (view->selections[i].same_as == i)
            plans[i] = postings_plan_new(&head->postings, view->selections[i].matchers,
                                         view->selections[i].matcher_count, *id_bound);
    }
    pthread_mutex_unlock(&head->lock);
    for (size_t i = 0; i < view->count; i++) {
        if (plans[i] && !postings_decide(plans[i], err))
            return false;
    }
    return true;
}

static bool take(struct store_view *view, const struct view_request *request, struct error *err)
{
    struct head *head = view->head;
    struct id_list ids = {0};
    uint32_t id_bound = 0;
    bool ok = true;
    AUTO(memory_drop)
    struct postings_plan **plans = xcalloc(view->count, sizeof(struct postings_plan *));
    if (decide(view, plans, &id_bound, err)) {
        pthread_mutex_lock(&head->lock);
        if (head->applied_lsn > view->lsn)
            view->lsn = head->applied_lsn;
        view->hidden = tombstones_get(view->tombstones, request->tenant, request->kind);
        for (size_t i = 0; ok && i < view->count; i++) {
            if (plans[i] == NULL)
                continue;
            struct taking taking = {request, &view->selections[i]};
            postings_select(&head->postings, plans[i], &ids);
            ok = add_new_ids(head, taking.to, id_bound, &ids, err) &&
                 take_ids(head, &taking, &ids, err);
        }
        pthread_mutex_unlock(&head->lock);
    } else {
        ok = false;
    }
    for (size_t i = 0; i < view->count; i++)
        postings_plan_free(plans[i]);
    array_done(&ids);
    return ok;
}

struct store_view *view_take(struct store *store, const struct view_request *request,
                             struct error *err)
{
    struct store_view *view = xcalloc(1, sizeof(*view));
    view->head = store_head(store, request->tenant, request->kind);
    view->lsn = store->start_lsn;
    view->tombstones = store->tombstones;
    set_selections(view, request);
    if (view->head == NULL)
        view->hidden = tombstones_get(store->tombstones, request->tenant, request->kind);
    if (view->head == NULL || take(view, request, err))
        return view;
    store_view_close(view);
    return NULL;
}

void store_view_close(struct store_view *view)
{
    if (view == NULL)
        return;
    for (size_t i = 0; i < view->tenant_count; i++)
        store_view_close(view->of_tenants[i]);
    free(view->of_tenants);
    if (view->has_entered)
        postings_leave(&view->head->postings, view->entered);
    for (size_t i = 0; i < view->count; i++) {
        struct selection *selection = &view->selections[i];
        for (size_t k = 0; k < selection->snapshots.count; k++) {
            head_chunk_unref(selection->snapshots.items[k].held);
            log_piece_unref(selection->snapshots.items[k].piece);
        }
        array_done(&selection->snapshots);
        array_done(&selection->series);
        array_done(&selection->pairs);
    }
    tombstone_set_unref(view->hidden);
    free(view->selections);
    free(view);
}

const struct selection *view_find(const struct store_view *view, const struct matcher *matchers,
                                  size_t count)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct selection *selection = &view->selections[i];
        if (selection->matchers == matchers && selection->matcher_count == count)
            return &view->selections[selection->same_as];
    }
    return NULL;
}
