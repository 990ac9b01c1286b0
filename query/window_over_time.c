/*
 * window_over_time.c - the *_over_time functions.
 *
 * Windows only move forward: first, last, count and presence cost O(1) a step,
 * minimum and maximum keep a monotonic queue, so they cost O(samples + steps) in
 * all; quantiles keep the window's values sorted and move them.  Sums, means and
 * variances are compensated and depend on the order of addition; they are added up
 * anew per window, so that the bits are Prometheus' and do not depend on where a query
 * started.
 */
#include "base/error.h"
#include "query/annotations.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put(struct column *out, size_t step, double value)
{
    out->cells[step] = CELL_FLOAT;
    out->values[step] = value;
}

/* Functions of the samples [from, to) alone, to > from. */
typedef double window_value(const struct window_run *run, size_t from, size_t to);

static bool each_window(struct window_call *call, const struct window_run *run, struct column *out,
                        window_value *value, struct error *err)
{
    size_t from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to <= from)
            continue;
        /* Windows of a subquery may be long and overlap: the clock is looked at here. */
        if (!eval_tick(call->ev, to - from, err))
            return false;
        put(out, i, value(run, from, to));
    }
    return true;
}

double window_value_sum(const struct window_run *run, size_t from, size_t to)
{
    double sum = 0, c = 0;
    for (size_t i = from; i < to; i++)
        kahan_add_finite(run->values[i], &sum, &c);
    if (isfinite(sum) && isfinite(c)) /* then they always were */
        return sum + c;
    sum = c = 0;
    for (size_t i = from; i < to; i++)
        kahan_add(run->values[i], &sum, &c);
    return isinf(sum) ? sum : sum + c;
}

WINDOW(window_sum)
{
    return each_window(call, run, out, window_value_sum, err);
}

/* The mean from sums; from where the sum would overflow on, an incremental mean. */
double window_value_avg(const struct window_run *run, size_t from, size_t to)
{
    double sum = run->values[from], c = 0, mean = 0, count = 1;
    bool incremental = false;
    for (size_t i = from + 1; i < to; i++)
        kahan_add_finite(run->values[i], &sum, &c);
    if (isfinite(sum) && isfinite(c)) {
        count = (double)(to - from);
        return sum / count + c / count;
    }
    sum = run->values[from];
    c = 0;
    for (size_t i = from + 1; i < to; i++) {
        double x = run->values[i];
        count = (double)(i - from + 1);
        if (!incremental) {
            double next = sum, next_c = c;
            kahan_add(x, &next, &next_c);
            if (!isinf(next)) {
                sum = next;
                c = next_c;
                continue;
            }
            incremental = true;
            mean = sum / (count - 1);
            c /= count - 1;
        }
        double q = (count - 1) / count;
        mean *= q;
        c *= q;
        kahan_add(x / count, &mean, &c);
    }
    return incremental ? mean + c : sum / count + c / count;
}

WINDOW(window_avg)
{
    return each_window(call, run, out, window_value_avg, err);
}

static double value_count(const struct window_run *run, size_t from, size_t to)
{
    (void)run;
    return (double)(to - from);
}

WINDOW(window_count)
{
    return each_window(call, run, out, value_count, err);
}

static double value_first(const struct window_run *run, size_t from, size_t to)
{
    (void)to;
    return run->values[from];
}

WINDOW(window_first)
{
    return each_window(call, run, out, value_first, err);
}

static double value_last(const struct window_run *run, size_t from, size_t to)
{
    (void)from;
    return run->values[to - 1];
}

WINDOW(window_last)
{
    return each_window(call, run, out, value_last, err);
}

static double value_present(const struct window_run *run, size_t from, size_t to)
{
    (void)run, (void)from, (void)to;
    return 1;
}

WINDOW(window_present)
{
    return each_window(call, run, out, value_present, err);
}

static double value_time_first(const struct window_run *run, size_t from, size_t to)
{
    (void)to;
    return seconds_of(run->times_ns[from]);
}

WINDOW(window_time_of_first)
{
    return each_window(call, run, out, value_time_first, err);
}

static double value_time_last(const struct window_run *run, size_t from, size_t to)
{
    (void)from;
    return seconds_of(run->times_ns[to - 1]);
}

WINDOW(window_time_of_last)
{
    return each_window(call, run, out, value_time_last, err);
}

static double value_variance(const struct window_run *run, size_t from, size_t to)
{
    double count = 0, mean = 0, mean_c = 0, sum = 0, sum_c = 0;
    for (size_t i = from; i < to; i++) {
        double x = run->values[i];
        count++;
        double delta = x - (mean + mean_c);
        kahan_add(delta / count, &mean, &mean_c);
        kahan_add(delta * (x - (mean + mean_c)), &sum, &sum_c);
    }
    return (sum + sum_c) / count;
}

static double value_deviation(const struct window_run *run, size_t from, size_t to)
{
    return sqrt(value_variance(run, from, to));
}

WINDOW(window_stdvar)
{
    return each_window(call, run, out, value_variance, err);
}

WINDOW(window_stddev)
{
    return each_window(call, run, out, value_deviation, err);
}

/* ---- minimum and maximum ----------------------------------------------------------- */

struct extreme {
    size_t *queue; /* positions whose values may still become the extreme, best first */
    size_t head, tail;
    bool maximum;
    bool last; /* among equals the last one counts (ts_of_*) */
};

static bool beats(const struct extreme *e, double x, double y)
{
    if (isnan(y))
        return true;
    if (e->last)
        return e->maximum ? x >= y : x <= y;
    return e->maximum ? x > y : x < y;
}

static void extreme_push(struct extreme *e, const struct window_run *run, size_t at)
{
    while (e->tail > e->head && beats(e, run->values[at], run->values[e->queue[e->tail - 1]]))
        e->tail--;
    e->queue[e->tail++] = at;
}

/*
 * A NaN is the extreme only of a window of NaNs; pushing one never drops a number, and a
 * number drops all NaNs before it.  Those behind the best number do no harm.
 */
static bool extremes(struct window_call *call, const struct window_run *run, struct column *out,
                     bool maximum, bool times, struct error *err)
{
    struct extreme e = {.maximum = maximum, .last = times};
    e.queue = arena_calloc(call->arena, run->count, sizeof(*e.queue));
    if (e.queue == NULL)
        return arena_check(call->arena, "the query", err);
    size_t from = 0, to = 0, pushed = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        for (; pushed < to; pushed++)
            extreme_push(&e, run, pushed);
        while (e.head < e.tail && e.queue[e.head] < from)
            e.head++;
        if (to == from)
            continue;
        size_t best = e.queue[e.head];
        put(out, i, times ? seconds_of(run->times_ns[best]) : run->values[best]);
    }
    return true;
}

WINDOW(window_min)
{
    return extremes(call, run, out, false, false, err);
}

WINDOW(window_max)
{
    return extremes(call, run, out, true, false, err);
}

WINDOW(window_time_of_min)
{
    return extremes(call, run, out, false, true, err);
}

WINDOW(window_time_of_max)
{
    return extremes(call, run, out, true, true, err);
}

/* ---- quantiles ------------------------------------------------------------------------ */

static const double *scalar_parameter(const struct window_call *call, size_t which)
{
    for (size_t i = 0; i < call->node->call.count; i++) {
        if (call->parameters[i] && which-- == 0)
            return call->parameters[i];
    }
    return NULL;
}

/*
 * A window's values in order, kept so while it slides: what leaves and what comes is found by
 * bisection.  Among equals the older stands first, as after a stable sort, so that the bits do not
 * depend on where a query started.
 */
struct sorted_window {
    double *values;
    size_t count;
    size_t from, to; /* of the run */
};

static bool sorts_before(double x, double y)
{
    return x < y || (isnan(x) && !isnan(y));
}

static void sorted_remove(struct sorted_window *w, double x)
{
    size_t low = 0, high = w->count; /* the first that does not sort before x */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorts_before(w->values[middle], x))
            low = middle + 1;
        else
            high = middle;
    }
    w->count--;
    memmove(w->values + low, w->values + low + 1, (w->count - low) * sizeof(*w->values));
}

static void sorted_insert(struct sorted_window *w, double x)
{
    size_t low = 0, high = w->count; /* the first that x sorts before */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorts_before(x, w->values[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    memmove(w->values + low + 1, w->values + low, (w->count - low) * sizeof(*w->values));
    w->values[low] = x;
    w->count++;
}

/* To the window [from, to); what moves little slides, else it is sorted anew. */
static void sorted_move(struct sorted_window *w, const struct window_run *run, size_t from,
                        size_t to)
{
    if (from >= w->to || (from - w->from) + (to - w->to) > (to - from) / 4 + 1) {
        w->count = to - from;
        memcpy(w->values, run->values + from, w->count * sizeof(*w->values));
        qsort(w->values, w->count, sizeof(*w->values), compare_values);
    } else {
        for (size_t i = w->from; i < from; i++)
            sorted_remove(w, run->values[i]);
        for (size_t i = w->to; i < to; i++)
            sorted_insert(w, run->values[i]);
    }
    w->from = from;
    w->to = to;
}

WINDOW(window_quantile)
{
    const double *q = scalar_parameter(call, 0);
    struct sorted_window window = {
        .values = arena_calloc(call->arena, run->count, sizeof(*window.values))};
    if (window.values == NULL)
        return arena_check(call->arena, "the query", err);
    size_t from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to == from)
            continue;
        sorted_move(&window, run, from, to);
        put(out, i, quantile_of_sorted(q[i], window.values, window.count));
        if (!(q[i] >= 0 && q[i] <= 1))
            annotate_quantile(call->ev, q[i], call->node->call.arguments[0]->start);
        if (!eval_tick(call->ev, to - from, err))
            return false;
    }
    return true;
}

static double deviation_of(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            return values[i];
    }
    double median = quantile_of(0.5, values, count);
    for (size_t i = 0; i < count; i++)
        values[i] = fabs(values[i] - median);
    return quantile_of(0.5, values, count);
}

WINDOW(window_mad)
{
    double *values = arena_calloc(call->arena, run->count, sizeof(*values));
    if (values == NULL)
        return arena_check(call->arena, "the query", err);
    size_t from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to == from)
            continue;
        memcpy(values, run->values + from, (to - from) * sizeof(*values));
        put(out, i, deviation_of(values, to - from));
        if (!eval_tick(call->ev, to - from, err))
            return false;
    }
    return true;
}
