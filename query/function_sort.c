/*
 * function_sort.c - ordering an instant vector: by value, by labels.
 *
 * A range query's result is ordered by labels whatever happens here, so there
 * these functions only warn.
 */
#include "base/error.h"
#include "query/annotations.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"

#include <math.h>
#include <stdlib.h>

struct sort_order {
    bool descending;
    const struct node *call; /* by labels: the names; NULL: by value */
};

static int by_value(const struct column *a, const struct column *b, const struct sort_order *order)
{
    double x = a->values[0], y = b->values[0];
    if (isnan(x) || isnan(y)) /* NaN comes last either way */
        return isnan(x) - isnan(y);
    int up = (x > y) - (x < y);
    return order->descending ? -up : up;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Runs of digits compare as numbers, the rest bytewise. */
int compare_natural(struct slice a, struct slice b)
{
    size_t i = 0, j = 0;
    while (i < a.size && j < b.size) {
        if (!is_digit(a.data[i]) || !is_digit(b.data[j])) {
            if (a.data[i] != b.data[j])
                return (unsigned char)a.data[i] < (unsigned char)b.data[j] ? -1 : 1;
            i++, j++;
            continue;
        }
        size_t from_a = i, from_b = j;
        while (i < a.size && is_digit(a.data[i]))
            i++;
        while (j < b.size && is_digit(b.data[j]))
            j++;
        while (from_a < i && a.data[from_a] == '0')
            from_a++;
        while (from_b < j && b.data[from_b] == '0')
            from_b++;
        if (i - from_a != j - from_b)
            return i - from_a < j - from_b ? -1 : 1;
        int order =
            slice_compare(slice_sub(a, from_a, i - from_a), slice_sub(b, from_b, j - from_b));
        if (order != 0)
            return order;
    }
    return (i < a.size) - (j < b.size);
}

static int by_labels(const struct column *a, const struct column *b, const struct sort_order *order)
{
    const struct call *call = &order->call->call;
    int result = 0;
    for (size_t i = 1; result == 0 && i < call->count; i++) {
        struct slice x = labels_get(a->labels, node_text(call->arguments[i]));
        struct slice y = labels_get(b->labels, node_text(call->arguments[i]));
        if (!slice_equal(x, y))
            result = compare_natural(x, y) < 0 ? -1 : 1;
    }
    if (result == 0)
        result = labels_compare(a->labels, b->labels);
    return order->descending ? -result : result;
}

static int compare_columns(const void *a, const void *b, void *context)
{
    const struct sort_order *order = context;
    return order->call ? by_labels(a, b, order) : by_value(a, b, order);
}

/* sort() has no place for histograms; sort_by_label() has. */
static size_t drop_histograms(struct columns *columns)
{
    size_t kept = 0;
    for (size_t i = 0; i < columns->count; i++) {
        if (columns->items[i].cells[0] == CELL_FLOAT)
            columns->items[kept++] = columns->items[i];
    }
    return kept;
}

static bool sort_columns(struct evaluation *ev, const struct node *call, const struct grid *grid,
                         struct sink *sink, struct sort_order order, struct error *err)
{
    if (ev->request->start_ns != ev->request->end_ns) {
        annotate(
            ev->annotations, ANNOTATION_WARNING, call->start,
            "sort is ineffective for range queries since results are always ordered by labels");
        return eval_stream(ev, call->call.arguments[0], grid, sink, err);
    }
    struct arena *arena = eval_arena(ev);
    struct columns all;
    bool ok = eval_collect(ev, call->call.arguments[0], grid, arena, &all, err);
    if (ok && grid->steps == 1) {
        if (order.call == NULL)
            all.count = drop_histograms(&all);
        /* Equal values keep the order of labels: the sort must be stable. */
        columns_sort(&all, compare_columns, &order);
    }
    ok = ok && columns_emit(ev, &all, sink, err);
    columns_release(ev, &all);
    arena_free(arena);
    return ok;
}

SPECIAL(special_sort)
{
    (void)scalar;
    return sort_columns(ev, call, grid, sink, (struct sort_order){false, NULL}, err);
}

SPECIAL(special_sort_desc)
{
    (void)scalar;
    return sort_columns(ev, call, grid, sink, (struct sort_order){true, NULL}, err);
}

SPECIAL(special_sort_by_label)
{
    (void)scalar;
    return sort_columns(ev, call, grid, sink, (struct sort_order){false, call}, err);
}

SPECIAL(special_sort_by_label_desc)
{
    (void)scalar;
    return sort_columns(ev, call, grid, sink, (struct sort_order){true, call}, err);
}
