/*
 * subquery.c - [range:step]: an expression evaluated on a finer grid, whose
 * columns then serve a range function as series.
 *
 * The inner grid lies at absolute multiples of the step, from the first after
 * the start of the first window to the last window's end, and is shared by all
 * outer steps.
 */
#include "base/error.h"
#include "base/histogram.h"
#include "query/eval_internal.h"
#include "query/function.h"
#include "query/window_memo.h"

static int64_t floor_divide(int64_t a, int64_t b)
{
    int64_t quotient = a / b;
    return quotient * b > a ? quotient - 1 : quotient;
}

bool subquery_grid(const struct evaluation *ev, const struct node *subquery,
                   const struct grid *grid, struct grid *inner)
{
    const struct subquery *s = &subquery->subquery;
    int64_t step = s->step_ns > 0 ? s->step_ns : ev->request->default_step_ns;
    struct grid outer = grid_shift(ev, grid, &s->shift);
    int64_t first, last = grid_time(&outer, grid->steps - 1);
    if (__builtin_sub_overflow(outer.start_ns, s->range_ns, &first))
        first = INT64_MIN;
    int64_t index = floor_divide(first, step) + 1;
    if (__builtin_mul_overflow(index, step, &first) || first > last)
        return false;
    uint64_t span = (uint64_t)last - (uint64_t)first;
    *inner = (struct grid){first, step, (size_t)(span / (uint64_t)step) + 1};
    return true;
}

struct subquery_sink {
    struct sink sink;
    struct sink *next;
    struct evaluation *ev;
    const struct function *function;
    struct window_call window;
    struct window_memo memo;
    struct grid inner;
    uint64_t *step_samples; /* the outer expression's */
    int64_t *times;         /* of the present cells of one column */
    double *values;
    const struct histogram **histograms;
};

/* Neighbours need not be neighbours any more: what was said about resets does not hold. */
static const struct histogram *without_hint(const struct histogram *h, struct arena *arena)
{
    if (h->hint != HISTOGRAM_RESET && h->hint != HISTOGRAM_NOT_RESET)
        return h;
    struct histogram *copy = arena_alloc(arena, sizeof(*copy));
    if (copy == NULL)
        return h;
    *copy = *h;
    copy->hint = HISTOGRAM_RESET_UNKNOWN;
    return copy;
}

/* The present cells of a column as a run of samples. */
static struct window_run run_of(struct subquery_sink *s, const struct column *column,
                                struct arena *arena)
{
    size_t count = 0;
    for (size_t i = 0; i < s->inner.steps; i++) {
        if (column->cells[i] == CELL_NONE)
            continue;
        if (column->histograms)
            s->histograms[count] = column->cells[i] == CELL_HISTOGRAM
                                       ? without_hint(column->histograms[i], arena)
                                       : NULL;
        s->times[count] = s->inner.start_ns + (int64_t)i * s->inner.step_ns;
        s->values[count++] = column->values[i];
    }
    return (struct window_run){.times_ns = s->times,
                               .values = s->values,
                               .histograms = column->histograms ? s->histograms : NULL,
                               .count = count};
}

void eval_count_windows(const struct window_call *call, const struct window_run *run)
{
    uint64_t *counts = call->ev->step_samples;
    size_t from = 0, to = 0;
    for (size_t i = 0; counts && i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        counts[i] += to - from;
    }
}

static bool subquery_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct subquery_sink *s = (struct subquery_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        struct column *in = &batch->items[i], out;
        struct window_run run = run_of(s, in, batch->arena);
        if (!column_init(&out, in->labels, s->window.grid.steps, batch->arena))
            return arena_check(batch->arena, "the query", err);
        out.drop_name = in->drop_name;
        s->window.labels = in->labels;
        s->window.arena = batch->arena;
        s->ev->step_samples = s->step_samples; /* the inner samples do not count */
        eval_count_windows(&s->window, &run);
        s->ev->step_samples = NULL;
        if (!eval_hold(s->ev, (int64_t)run.count, err) ||
            !window_apply(s->function, &s->window, &run, &out, err) ||
            !eval_hold(s->ev, -(int64_t)run.count, err) || !eval_tick(s->ev, run.count, err))
            return false;
        if (!s->function->keeps_name && !column_drop_name(s->ev, &out, batch->arena))
            return arena_check(batch->arena, "the query", err);
        *in = out;
    }
    return s->next->take(s->next, batch, err);
}

bool subquery_stream(struct evaluation *ev, const struct node *subquery, const struct node *call,
                     const double *const *parameters, const struct grid *grid, struct sink *sink,
                     struct error *err)
{
    struct subquery_sink s = {
        .sink = {subquery_take},
        .next = sink,
        .ev = ev,
        .function = call->call.function,
        .window = {.ev = ev,
                   .node = call,
                   .argument = subquery,
                   .caller = grid,
                   .grid = grid_shift(ev, grid, &subquery->subquery.shift),
                   .range_ns = subquery->subquery.range_ns,
                   .parameters = parameters},
    };
    if (!subquery_grid(ev, subquery, grid, &s.inner))
        return true;
    s.window.memo = &s.memo;
    struct arena *arena = eval_arena(ev);
    s.times = arena_calloc(arena, s.inner.steps, sizeof(*s.times));
    s.values = arena_calloc(arena, s.inner.steps, sizeof(*s.values));
    s.histograms = arena_calloc(arena, s.inner.steps, sizeof(struct histogram *));
    bool hints = ev->reset_hints;
    ev->reset_hints = false;
    s.step_samples = ev->step_samples;
    ev->step_samples = NULL;
    bool ok = arena_check(arena, "a subquery", err) &&
              eval_stream(ev, subquery->subquery.inner, &s.inner, &s.sink, err);
    ev->reset_hints = hints;
    ev->step_samples = s.step_samples;
    window_memo_done(&s.memo);
    arena_free(arena);
    return ok;
}
