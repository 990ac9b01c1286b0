/*
 * window_extended.c - anchored and smoothed range selectors.
 *
 * They look beyond the window: by the lookback before it, smoothed ones behind it
 * as well.  Anchored: the value at the window's start is the last sample before it.
 * Smoothed: the values at both borders are interpolated.  Nothing is extrapolated.
 */
#include "base/duration.h"
#include "base/error.h"
#include "query/eval_internal.h"
#include "query/function_tables.h"

void window_reach_move(const struct window_call *call, const struct window_run *run, size_t step,
                       struct window_reach *r)
{
    int64_t lookback = call->ev->request->lookback_ns;
    r->end = grid_time(&call->grid, step);
    r->start = ns_sub(r->end, call->range_ns);
    int64_t last = call->argument->selector.smoothed ? ns_add(r->end, lookback) : r->end;
    int64_t first = ns_sub(r->start, lookback);
    while (r->to < run->count && run->times_ns[r->to] <= last)
        r->to++;
    while (r->from < r->to && run->times_ns[r->from] <= first)
        r->from++;
}

static double interpolate(const struct window_run *run, size_t before, int64_t at, bool counter)
{
    double y1 = run->values[before], y2 = run->values[before + 1];
    int64_t t1 = run->times_ns[before], t2 = run->times_ns[before + 1];
    if (counter && y2 < y1)
        y1 = 0;
    return y1 +
           (y2 - y1) * (double)(ns_sub(at, t1) / NS_IN_MS) / (double)(ns_sub(t2, t1) / NS_IN_MS);
}

/* The last sample at or before the window's start, else the first of all; never the last of all. */
static size_t first_sample(const struct window_run *run, const struct window_reach *r)
{
    size_t at = r->from;
    while (at + 1 < r->to && run->times_ns[at + 1] <= r->start)
        at++;
    return at + 1 == r->to && at > r->from ? at - 1 : at;
}

/* Smoothed: the first sample at or behind the window's end, else the last of all. */
static size_t last_sample(const struct window_run *run, const struct window_reach *r, bool smoothed)
{
    size_t at = r->to - 1;
    while (smoothed && at > r->from && run->times_ns[at - 1] >= r->end)
        at--;
    return at;
}

void window_reach_ends(const struct window_run *run, const struct window_reach *r, bool smoothed,
                       size_t *first, size_t *last)
{
    *first = first_sample(run, r);
    *last = last_sample(run, r, smoothed);
}

/* What falls between left and right were resets of a counter. */
static double reset_sum(const struct window_run *run, size_t first, size_t last, double left,
                        double right)
{
    double sum = 0, before = left;
    for (size_t i = first; i <= last; i++) {
        if (run->values[i] < before)
            sum += before;
        before = run->values[i];
    }
    return right < before ? sum + before : sum;
}

bool window_extended_float(const struct window_call *call, const struct window_run *run,
                           const struct window_reach *r, bool counter, double *result)
{
    bool smoothed = call->argument->selector.smoothed;
    if (r->from == r->to)
        return false;
    size_t first = first_sample(run, r), last = last_sample(run, r, smoothed);
    if (run->times_ns[last] <= r->start || (smoothed && run->times_ns[first] > r->end))
        return false;
    double left = run->values[first], right = run->values[last];
    if (smoothed && run->times_ns[first] < r->start)
        left = interpolate(run, first, r->start, counter);
    if (smoothed && last > r->from && run->times_ns[last] > r->end)
        right = interpolate(run, last - 1, r->end, counter);
    *result = right - left;
    if (!counter)
        return true;
    size_t inner_first = run->times_ns[first] <= r->start ? first + 1 : first;
    size_t inner_end = run->times_ns[last] >= r->end ? last : last + 1;
    if (inner_first < inner_end)
        *result += reset_sum(run, inner_first, inner_end - 1, left, right);
    else
        *result += right < left ? left : 0;
    return true;
}

bool window_extended_change(struct window_call *call, const struct window_run *run,
                            struct column *out, bool counter, bool per_second, struct error *err)
{
    struct window_reach r = {0};
    double seconds = per_second ? (double)call->range_ns / 1e9 : 1;
    for (size_t i = 0; i < call->grid.steps; i++) {
        double change;
        window_reach_move(call, run, i, &r);
        if (!window_extended_float(call, run, &r, counter, &change))
            continue;
        out->cells[i] = CELL_FLOAT;
        out->values[i] = change / seconds;
        if (!eval_tick(call->ev, r.to - r.from, err))
            return false;
    }
    return true;
}

bool window_anchored_count(struct window_call *call, const struct window_run *run,
                           struct column *out, bool (*counts)(double before, double now),
                           struct error *err)
{
    struct window_reach r = {0};
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_reach_move(call, run, i, &r);
        if (r.from == r.to || run->times_ns[r.to - 1] <= r.start)
            continue;
        double found = 0;
        for (size_t j = first_sample(run, &r) + 1; j < r.to; j++)
            found += counts(run->values[j - 1], run->values[j]);
        out->cells[i] = CELL_FLOAT;
        out->values[i] = found;
        if (!eval_tick(call->ev, r.to - r.from, err))
            return false;
    }
    return true;
}

void window_smoothed_float(const struct window_run *run, size_t next, int64_t t, bool has_last,
                           bool has_next, struct column *out, size_t step)
{
    bool exact = has_next && run->times_ns[next] == t;
    if (!exact && !has_last)
        return;
    out->cells[step] = CELL_FLOAT;
    if (exact)
        out->values[step] = run->values[next];
    else
        out->values[step] = has_next ? interpolate(run, next - 1, t, false) : run->values[next - 1];
}

void window_smoothed_instant(const struct window_call *call, const struct window_run *run,
                             struct column *out)
{
    int64_t lookback = call->ev->request->lookback_ns;
    size_t next = 0; /* the first sample at or behind the step */
    for (size_t i = 0; i < call->grid.steps; i++) {
        int64_t t = grid_time(&call->grid, i);
        while (next < run->count && run->times_ns[next] < t)
            next++;
        bool has_next = next < run->count && run->times_ns[next] <= ns_add(t, lookback);
        bool has_last = next > 0 && run->times_ns[next - 1] > ns_sub(t, lookback);
        window_smoothed_float(run, next, t, has_last, has_next, out, i);
    }
}

static bool extends(const struct selector *s, struct slice function)
{
    static const struct slice both[] = {{"delta", 5}, {"increase", 8}, {"rate", 4}};
    static const struct slice anchored_only[] = {{"changes", 7}, {"resets", 6}};
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        if (slice_equal(function, both[i]))
            return true;
    }
    for (size_t i = 0; s->anchored && i < COUNT_OF(anchored_only); i++) {
        if (slice_equal(function, anchored_only[i]))
            return true;
    }
    return false;
}

bool window_extended_check(const struct selector *s, struct slice function, struct error *err)
{
    if ((!s->anchored && !s->smoothed) || extends(s, function))
        return true;
    return error_set(err, ERR_EXECUTION, "%s modifier can only be used with: %s - not with %.*s",
                     s->anchored ? "anchored" : "smoothed",
                     s->anchored ? "changes, delta, increase, rate, resets"
                                 : "delta, increase, rate",
                     SLICE_ARG(function));
}
