/*
 * window_rate.c - rate and its kin, changes, resets and trends.
 *
 * Counter resets are found once per series; a window then adds up the few that
 * lie inside of it, so rate and increase cost O(samples + steps) where resets are
 * rare.  What depends on times alone is worked out once for series with equal times.  Extrapolation
 * follows Prometheus: to the window's borders when the first and last samples are near enough to
 * them, else by half an interval, and never below zero for a counter.
 */
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"
#include "query/annotations.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"
#include "query/window_memo.h"

#include <math.h>
#include <string.h>

static void put(struct column *out, size_t step, double value)
{
    out->cells[step] = CELL_FLOAT;
    out->values[step] = value;
}

static double ms_as_seconds(int64_t ns)
{
    return (double)(ns / NS_IN_MS) / 1000.0;
}

/* Positions i where the counter fell from i - 1 to i. */
static bool find_resets(struct window_call *call, const struct window_run *run, size_t **resets,
                        size_t *count, struct error *err)
{
    size_t found = 0;
    for (size_t i = 1; i < run->count; i++)
        found += run->values[i] < run->values[i - 1];
    *count = found;
    *resets = arena_calloc(call->arena, found, sizeof(**resets));
    if (*resets == NULL)
        return arena_check(call->arena, "the query", err);
    found = 0;
    for (size_t i = 1; i < run->count; i++) {
        if (run->values[i] < run->values[i - 1])
            (*resets)[found++] = i;
    }
    return true;
}

/* What times decide about one window; it has two samples at least. */
static struct window_spans spans_of(const struct window_call *call, const struct window_run *run,
                                    size_t step, size_t from, size_t to, double divisor)
{
    int64_t end = grid_time(&call->grid, step), start = ns_sub(end, call->range_ns);
    double to_start = ms_as_seconds(ns_sub(run->times_ns[from], start));
    double to_end = ms_as_seconds(ns_sub(end, run->times_ns[to - 1]));
    double sampled = ms_as_seconds(ns_sub(run->times_ns[to - 1], run->times_ns[from]));
    double average = sampled / (double)(to - from - 1);
    double threshold = average * 1.1;
    if (to_start >= threshold)
        to_start = average / 2;
    if (to_end >= threshold)
        to_end = average / 2;
    double factor = sampled != 0 ? (sampled + to_start + to_end) / sampled : 1.0;
    return (struct window_spans){sampled, to_start, to_end, factor / divisor};
}

/* The memo with spans; NULL over the memory. */
static struct window_memo *memo_with_spans(struct window_call *call, const struct window_run *run,
                                           double divisor)
{
    struct window_memo *memo = window_memo_for(call, run);
    if (memo == NULL || memo->spans)
        return memo;
    size_t steps = call->grid.steps;
    struct window_spans *spans = arena_calloc(memo->arena, steps, sizeof(*spans));
    memo->pairs = arena_calloc(memo->arena, steps, 1);
    if (spans == NULL || memo->pairs == NULL)
        return NULL;
    for (size_t i = 0; i < steps; i++) {
        size_t from = memo->from[i], to = memo->to[i];
        if (to - from < 2)
            continue;
        memo->pairs[i] = CELL_FLOAT;
        spans[i] = spans_of(call, run, i, from, to, divisor);
    }
    memo->spans = spans;
    return memo;
}

/*
 * By which factor the difference of first and last sample grows towards the window's borders.
 * A counter was zero before its first sample, and the border is no further away.  Where that is
 * far beyond the start, which is the rule, the division is saved: the margin is more than all
 * roundings (of numbers that are not denormal).
 */
static inline double extrapolation(const struct window_spans *s, double first, double result,
                                   bool counter, double divisor)
{
    double reach = first * s->sampled;
    if (!counter || (reach > 1e-290 && reach > s->to_start * result * 1.000001))
        return s->factor;
    double to_start = s->to_start;
    if (result > 0 && first >= 0) {
        double to_zero = s->sampled * (first / result);
        if (to_zero < to_start)
            to_start = to_zero;
    }
    double factor = s->sampled != 0 ? (s->sampled + to_start + s->to_end) / s->sampled : 1.0;
    return factor / divisor;
}

static bool extrapolated(struct window_call *call, const struct window_run *run, struct column *out,
                         bool counter, bool per_second, struct error *err)
{
    size_t *resets = NULL, reset_count = 0, reset = 0;
    if (window_is_extended(call))
        return window_extended_change(call, run, out, counter, per_second, err);
    if (counter && !find_resets(call, run, &resets, &reset_count, err))
        return false;
    double divisor = per_second ? (double)call->range_ns / 1e9 : 1.0;
    const struct window_memo *memo = memo_with_spans(call, run, divisor);
    if (memo == NULL)
        return arena_check(call->memo->arena, "the query", err);
    const double *values = run->values;
    memcpy(out->cells, memo->pairs, call->grid.steps);
    for (size_t i = 0; i < call->grid.steps; i++) {
        if (memo->pairs[i] == CELL_NONE)
            continue;
        size_t from = memo->from[i], to = memo->to[i];
        double result = values[to - 1] - values[from];
        while (reset < reset_count && resets[reset] <= from)
            reset++;
        for (size_t r = reset; r < reset_count && resets[r] < to; r++)
            result += values[resets[r] - 1];
        out->values[i] =
            result * extrapolation(&memo->spans[i], values[from], result, counter, divisor);
    }
    return true;
}

static bool ends_like_a_counter(struct slice name)
{
    return slice_ends_with(name, SLICE("_total")) || slice_ends_with(name, SLICE("_sum")) ||
           slice_ends_with(name, SLICE("_count")) || slice_ends_with(name, SLICE("_bucket"));
}

/* A hint when the name does not look like a counter's and there is a result at all. */
void window_check_name(const struct window_call *call, const struct column *out)
{
    struct slice name = labels_get(call->labels, LABEL_NAME_METRIC);
    if (name.size == 0 || ends_like_a_counter(name) || column_is_empty(out, call->grid.steps))
        return;
    struct buffer quoted;
    buffer_init(&quoted, 1000);
    buffer_append_quoted(&quoted, name);
    annotate(call->ev->annotations, ANNOTATION_INFO, call->argument->start,
             "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: %.*s",
             SLICE_ARG(buffer_slice(&quoted)));
    buffer_done(&quoted);
}

WINDOW(window_rate)
{
    if (!extrapolated(call, run, out, true, true, err))
        return false;
    window_check_name(call, out);
    return true;
}

WINDOW(window_increase)
{
    if (!extrapolated(call, run, out, true, false, err))
        return false;
    window_check_name(call, out);
    return true;
}

WINDOW(window_delta)
{
    return extrapolated(call, run, out, false, false, err);
}

/* ---- the last two samples ------------------------------------------------------------ */

static bool instant_change(struct window_call *call, const struct window_run *run,
                           struct column *out, bool rate)
{
    size_t from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to - from < 2)
            continue;
        double last = run->values[to - 1], before = run->values[to - 2];
        double interval = ms_as_seconds(ns_sub(run->times_ns[to - 1], run->times_ns[to - 2]));
        if (interval == 0)
            continue;
        double change = rate && last < before ? last : last - before;
        put(out, i, rate ? change / interval : change);
    }
    return true;
}

WINDOW(window_irate)
{
    (void)err;
    return instant_change(call, run, out, true);
}

WINDOW(window_idelta)
{
    (void)err;
    return instant_change(call, run, out, false);
}

/* ---- counting --------------------------------------------------------------------------- */

static bool counts_changes(double before, double now)
{
    return before != now && !(isnan(before) && isnan(now));
}

static bool counts_resets(double before, double now)
{
    return now < before;
}

/* How many neighbours in the window differ in the way that `counts` asks for. */
static bool count_pairs(struct window_call *call, const struct window_run *run, struct column *out,
                        bool (*counts)(double before, double now), struct error *err)
{
    if (window_is_extended(call))
        return window_anchored_count(call, run, out, counts, err);
    size_t from = 0, to = 0, counted_from = 0, counted_to = 0, found = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        for (; counted_to < to; counted_to++) {
            if (counted_to > counted_from)
                found += counts(run->values[counted_to - 1], run->values[counted_to]);
        }
        for (; counted_from < from; counted_from++) {
            if (counted_from + 1 < counted_to)
                found -= counts(run->values[counted_from], run->values[counted_from + 1]);
        }
        if (to > from)
            put(out, i, (double)found);
    }
    return true;
}

WINDOW(window_changes)
{
    return count_pairs(call, run, out, counts_changes, err);
}

WINDOW(window_resets)
{
    return count_pairs(call, run, out, counts_resets, err);
}

/* ---- trends --------------------------------------------------------------------------------- */

struct line {
    double slope, intercept;
};

/* Least squares through the samples; x = 0 is at `origin`. */
static struct line regression(const struct window_run *run, size_t from, size_t to, int64_t origin)
{
    double n = 0, sum_x = 0, cx = 0, sum_y = 0, cy = 0, sum_xy = 0, cxy = 0, sum_xx = 0, cxx = 0;
    double first = run->values[from];
    bool constant = true;
    for (size_t i = from; i < to; i++) {
        double x = ms_as_seconds(ns_sub(run->times_ns[i], origin)), y = run->values[i];
        constant = constant && (i == from || y == first);
        n++;
        kahan_add(x, &sum_x, &cx);
        kahan_add(y, &sum_y, &cy);
        kahan_add(x * y, &sum_xy, &cxy);
        kahan_add(x * x, &sum_xx, &cxx);
    }
    if (constant)
        return isinf(first) ? (struct line){(double)NAN, (double)NAN} : (struct line){0, first};
    sum_x += cx;
    sum_y += cy;
    sum_xy += cxy;
    sum_xx += cxx;
    double covariance = sum_xy - sum_x * sum_y / n;
    double variance = sum_xx - sum_x * sum_x / n;
    double slope = covariance / variance;
    return (struct line){slope, sum_y / n - slope * sum_x / n};
}

WINDOW(window_deriv)
{
    size_t from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to - from < 2)
            continue;
        put(out, i, regression(run, from, to, run->times_ns[from]).slope);
        if (!eval_tick(call->ev, to - from, err))
            return false;
    }
    return true;
}

WINDOW(window_predict_linear)
{
    size_t from = 0, to = 0;
    const double *ahead = call->parameters[1];
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to - from < 2)
            continue;
        struct line line = regression(run, from, to, grid_time(call->caller, i));
        put(out, i, line.slope * ahead[i] + line.intercept);
        if (!eval_tick(call->ev, to - from, err))
            return false;
    }
    return true;
}

static bool check_factor(double factor, const char *what, const char *letters, struct error *err)
{
    if (factor > 0 && factor < 1)
        return true;
    return error_set(err, ERR_EXECUTION, "invalid %s factor. Expected: 0 < %s < 1, got: %f", what,
                     letters, factor);
}

/* Holt's linear trend: level and slope smoothed over the window. */
static double smooth(const struct window_run *run, size_t from, size_t to, double smoothing,
                     double trend)
{
    double before = 0, level = run->values[from], slope = run->values[from + 1] - level;
    for (size_t i = from + 1; i < to; i++) {
        double x = smoothing * run->values[i];
        if (i > from + 1)
            slope = trend * (level - before) + (1 - trend) * slope;
        double y = (1 - smoothing) * (level + slope);
        before = level;
        level = x + y;
    }
    return level;
}

WINDOW(window_smoothing)
{
    size_t from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to == from)
            continue;
        double smoothing = call->parameters[1][i], trend = call->parameters[2][i];
        if (!check_factor(smoothing, "smoothing", "sf", err) ||
            !check_factor(trend, "trend", "tf", err))
            return false;
        if (to - from >= 2)
            put(out, i, smooth(run, from, to, smoothing, trend));
        if (!eval_tick(call->ev, to - from, err))
            return false;
    }
    return true;
}
