/*
 * range_vector.c - a range selector or subquery as the whole query: the raw samples.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "base/histogram.h"
#include "query/dialect.h"
#include "query/eval_internal.h"
#include "storage/store.h"

#include <string.h>

#define STALE_MARKER UINT64_C(0x7ff0000000000002)

struct series_list {
    struct query_series *items;
    size_t count, capacity;
};

static bool push_series(struct series_list *list, struct query_series series,
                        struct query_result *result, struct error *err)
{
    struct query_series *items = arena_grow(result->arena, list->items, list->count,
                                            &list->capacity, list->count + 1, sizeof(*items));
    if (items == NULL)
        return arena_check(result->arena, "the result", err);
    list->items = items;
    items[list->count++] = series;
    return true;
}

static bool take_samples(struct evaluation *ev, struct labels labels,
                         const struct sample_column *samples, struct series_list *list,
                         struct query_result *result, struct error *err)
{
    struct query_series series = {.labels = labels_copy(result->arena, labels)};
    series.points = arena_calloc(result->arena, samples->count, sizeof(*series.points));
    if (series.points == NULL)
        return arena_check(result->arena, "the result", err);
    for (size_t i = 0; i < samples->count; i++) {
        if (double_bits(samples->values[i]) == STALE_MARKER)
            continue;
        const struct histogram *h = samples->histograms ? samples->histograms[i] : NULL;
        series.points[series.count++] = (struct query_point){
            .time_ns = samples->times_ns[i],
            .value = samples->values[i],
            .histogram = h ? histogram_copy(result->arena, h) : NULL,
        };
    }
    return arena_check(result->arena, "the result", err) &&
           eval_hold(ev, (int64_t)series.count, err) && eval_tick(ev, samples->count, err) &&
           (series.count == 0 || push_series(list, series, result, err));
}

static bool read_all(struct evaluation *ev, struct cursor *cursor, struct series_list *list,
                     struct query_result *result, struct error *err)
{
    struct cursor_reader *reader = cursor_reader_new(cursor);
    size_t count = cursor_series_count(cursor);
    bool ok = true;
    ev->stats->series += count;
    for (size_t i = 0; ok && i < count; i++) {
        struct sample_column samples;
        ok = cursor_read_samples(reader, i, &samples, err) &&
             take_samples(ev, cursor_labels(cursor, i), &samples, list, result, err);
        if (ok)
            ev->stats->samples += samples.count;
    }
    cursor_reader_free(reader);
    return ok;
}

static bool selector_samples(struct evaluation *ev, const struct node *node,
                             struct series_list *list, struct query_result *result,
                             struct error *err)
{
    const struct selector *s = &node->selector;
    if (s->anchored || s->smoothed)
        return error_set(err, ERR_UNSUPPORTED,
                         "an anchored or smoothed range without a function is not supported yet");
    struct grid grid = grid_shift(ev, &ev->grid, &s->shift);
    int64_t first;
    if (__builtin_sub_overflow(grid.start_ns, s->range_ns, &first))
        first = INT64_MIN;
    struct cursor_request want = {
        .tenant = ev->request->tenant,
        .kind = STORE_METRIC,
        .matchers = s->matchers,
        .matcher_count = s->matcher_count,
        .start_ns = first == INT64_MIN ? first : first + 1,
        .end_ns = grid.start_ns,
        .projection = CURSOR_TIMES | CURSOR_VALUES,
        .series_max = ev->request->limits.series_max,
        .memory_max = ev->request->limits.memory_max,
        .cancel = ev->request->cancel,
        .damage = ev->damage,
        .view = ev->view,
    };
    struct cursor *cursor = cursor_open(ev->store, &want, err);
    if (cursor == NULL)
        return false;
    bool ok = read_all(ev, cursor, list, result, err);
    cursor_close(cursor);
    return ok;
}

static bool column_points(const struct column *column, const struct grid *grid,
                          struct series_list *list, struct query_result *result, struct error *err)
{
    struct query_series series = {.labels = column->labels};
    series.points = arena_calloc(result->arena, grid->steps, sizeof(*series.points));
    if (series.points == NULL)
        return arena_check(result->arena, "the result", err);
    for (size_t i = 0; i < grid->steps; i++) {
        if (column->cells[i] == CELL_NONE)
            continue;
        series.points[series.count++] = (struct query_point){
            .time_ns = grid_time(grid, i),
            .value = column->values[i],
            .histogram = column->cells[i] == CELL_HISTOGRAM ? column->histograms[i] : NULL,
        };
    }
    return push_series(list, series, result, err);
}

static bool subquery_samples(struct evaluation *ev, const struct node *node,
                             struct series_list *list, struct query_result *result,
                             struct error *err)
{
    struct grid inner;
    struct columns columns;
    struct arena *arena = result->arena;
    if (!subquery_grid(ev, node, &ev->grid, &inner))
        return true;
    if (!eval_collect(ev, node->subquery.inner, &inner, arena, &columns, err))
        return false;
    for (size_t i = 0; i < columns.count; i++) {
        if (columns.items[i].drop_name)
            columns.items[i].labels = labels_drop_metadata(arena, columns.items[i].labels);
    }
    if (!columns_unite(ev, &columns, inner.steps, arena, err))
        return false;
    for (size_t i = 0; i < columns.count; i++) {
        if (!column_points(&columns.items[i], &inner, list, result, err))
            return false;
    }
    return true;
}

bool range_vector(struct evaluation *ev, const struct node *node, struct query_result *result,
                  struct error *err)
{
    struct series_list list = {0};
    bool ok = true;
    if (node->kind == NODE_SUBQUERY)
        ok = subquery_samples(ev, node, &list, result, err);
    else if (node->selector.leaf == LEAF_METRIC)
        ok = selector_samples(ev, node, &list, result, err);
    else
        ok = error_set(err, ERR_INVALID, "a log range needs a range function around it");
    result->series = list.items;
    result->series_count = list.count;
    return ok;
}

/* Arithmetic with a scalar keeps the order of the vector. */
bool query_is_ordered(const struct node *root)
{
    root = node_unwrap(root);
    while (root->kind == NODE_BINARY && root->type == TYPE_VECTOR) {
        const struct node *left = root->binary.left, *right = root->binary.right;
        if ((left->type == TYPE_SCALAR) == (right->type == TYPE_SCALAR))
            return false;
        root = node_unwrap(left->type == TYPE_SCALAR ? right : left);
    }
    if (root->kind != NODE_AGGREGATION)
        return false;
    enum aggregator op = root->aggregation.op;
    return op == AGG_SORT || op == AGG_SORT_DESC || op == AGG_TOPK || op == AGG_BOTTOMK ||
           op == AGG_APPROX_TOPK;
}
