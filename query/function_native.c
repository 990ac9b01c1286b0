/*
 * function_native.c - numbers read off native histograms: count, sum, average, deviation.
 *
 * Samples that are no histograms are left out.
 */
#include "base/error.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"
#include "query/histogram_work.h"

#include <math.h>

typedef double histogram_number(const struct histogram *h, struct arena *scratch);

struct number_sink {
    struct sink sink;
    struct sink *next;
    struct evaluation *ev;
    histogram_number *number;
    size_t steps;
};

static bool number_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct number_sink *n = (struct number_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        struct column *column = &batch->items[i];
        for (size_t j = 0; j < n->steps; j++) {
            bool is_histogram = column->cells[j] == CELL_HISTOGRAM;
            column->cells[j] = is_histogram ? CELL_FLOAT : CELL_NONE;
            if (is_histogram)
                column->values[j] = n->number(column->histograms[j], batch->arena);
        }
        column->histograms = NULL;
        if (!column_drop_name(n->ev, column, batch->arena))
            return arena_check(batch->arena, "the query", err);
        if (!eval_tick(n->ev, n->steps, err))
            return false;
    }
    return n->next->take(n->next, batch, err);
}

static double count_of(const struct histogram *h, struct arena *scratch)
{
    (void)scratch;
    return h->count;
}

static double sum_of(const struct histogram *h, struct arena *scratch)
{
    (void)scratch;
    return h->sum;
}

static double average_of(const struct histogram *h, struct arena *scratch)
{
    (void)scratch;
    return h->sum / h->count;
}

static double deviation_of(const struct histogram *h, struct arena *scratch)
{
    return sqrt(histogram_variance(h, scratch));
}

/*
 * Count, sum and average need no buckets: Prometheus then marks resets as such when
 * it reads samples, which shows where hints meet.
 */
static bool stream_numbers(struct evaluation *ev, const struct node *call, const struct grid *grid,
                           struct sink *sink, histogram_number *number, struct error *err)
{
    struct number_sink n = {{number_take}, sink, ev, number, grid->steps};
    bool before = ev->reset_hints;
    ev->reset_hints = before || number == count_of || number == sum_of || number == average_of;
    bool ok = eval_map_united(ev, call->call.arguments[0], grid, &n.sink, &n.next, err);
    ev->reset_hints = before;
    return ok;
}

SPECIAL(special_histogram_count)
{
    (void)scalar;
    return stream_numbers(ev, call, grid, sink, count_of, err);
}

SPECIAL(special_histogram_sum)
{
    (void)scalar;
    return stream_numbers(ev, call, grid, sink, sum_of, err);
}

SPECIAL(special_histogram_avg)
{
    (void)scalar;
    return stream_numbers(ev, call, grid, sink, average_of, err);
}

SPECIAL(special_histogram_stddev)
{
    (void)scalar;
    return stream_numbers(ev, call, grid, sink, deviation_of, err);
}

SPECIAL(special_histogram_stdvar)
{
    (void)scalar;
    return stream_numbers(ev, call, grid, sink, histogram_variance, err);
}
