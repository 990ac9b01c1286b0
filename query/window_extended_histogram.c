/*
 * window_extended_histogram.c - anchored and smoothed selectors over histograms.
 *
 * The rules are those of window_extended.c; between two histograms the counts are
 * interpolated bucket by bucket.
 */
#include "base/duration.h"
#include "base/error.h"
#include "query/window_histogram.h"

/* Between two neighbours; false when their buckets do not go together. */
static bool interpolate(const struct window_call *call, const struct window_run *run, size_t before,
                        int64_t at, bool counter, struct histogram_work *out, struct arena *arena)
{
    const struct histogram *a = run->histograms[before], *b = run->histograms[before + 1];
    int64_t t1 = run->times_ns[before], t2 = run->times_ns[before + 1];
    if (at == t1 || at == t2) {
        work_init(out, at == t1 ? a : b, arena);
        return true;
    }
    double share = (double)(ns_sub(at, t1) / NS_IN_MS) / (double)(ns_sub(t2, t1) / NS_IN_MS);
    work_init(out, b, arena);
    if (counter && histogram_was_reset(a, b)) {
        work_multiply(out, share);
        return true;
    }
    if (!window_said(call, work_add(out, a, -1, false), "subtraction"))
        return false;
    work_multiply(out, share);
    return window_said(call, work_add(out, a, 1, false), "addition");
}

struct extended {
    struct window_reach reach;
    size_t first, last;
    const struct histogram *left, *right;
};

static bool check_range(const struct window_call *call, const struct window_run *run,
                        const struct extended *e, bool counter)
{
    bool custom = histogram_is_custom(run->histograms[e->first]);
    for (size_t i = e->first; i <= e->last; i++) {
        if (histogram_is_custom(run->histograms[i]) != custom) {
            window_annotate(call, ANNOTATION_WARNING, window_mixed_buckets);
            return false;
        }
        if (counter && run->histograms[i]->hint == HISTOGRAM_GAUGE)
            window_annotate(call, ANNOTATION_WARNING, window_not_counter);
    }
    return true;
}

/* The values at both borders. */
static bool find_borders(const struct window_call *call, const struct window_run *run,
                         struct extended *e, bool counter, bool smoothed, struct arena *arena)
{
    struct histogram_work work;
    e->left = run->histograms[e->first];
    e->right = run->histograms[e->last];
    if (smoothed && run->times_ns[e->first] < e->reach.start) {
        if (!interpolate(call, run, e->first, e->reach.start, counter, &work, arena))
            return false;
        e->left = work_finish(&work, false, arena);
    }
    if (smoothed && e->last > e->reach.from && run->times_ns[e->last] > e->reach.end) {
        if (!interpolate(call, run, e->last - 1, e->reach.end, counter, &work, arena))
            return false;
        e->right = work_finish(&work, false, arena);
    }
    return e->left && e->right;
}

/* Adds up what was there before each reset; `*any` when there was one. */
static bool correction(const struct window_call *call, const struct window_run *run,
                       const struct extended *e, bool smoothed, struct histogram_work *sum,
                       bool *any, struct arena *arena)
{
    const struct histogram *before = e->left;
    size_t first = e->first + 1;
    *any = false;
    if (smoothed && run->times_ns[e->first] < e->reach.start &&
        histogram_was_reset(run->histograms[e->first], run->histograms[e->first + 1]))
        before = run->histograms[first++];
    if (first > e->last)
        return true;
    for (size_t i = first; i <= e->last; i++) {
        const struct histogram *h = i == e->last ? e->right : run->histograms[i];
        if (histogram_was_reset(before, h)) {
            if (!*any)
                work_init(sum, before, arena);
            else if (!window_said(call, work_add(sum, before, 1, false), "addition"))
                return false;
            *any = true;
        }
        before = h;
    }
    return true;
}

static bool change_at(const struct window_call *call, const struct window_run *run,
                      struct extended *e, bool counter, struct histogram_work *result,
                      struct arena *arena)
{
    bool smoothed = call->argument->selector.smoothed, any = false;
    struct histogram_work resets;
    window_reach_ends(run, &e->reach, smoothed, &e->first, &e->last);
    if (run->times_ns[e->last] <= e->reach.start ||
        (smoothed && run->times_ns[e->first] > e->reach.end))
        return false;
    if (!check_range(call, run, e, counter) ||
        !find_borders(call, run, e, counter, smoothed, arena))
        return false;
    if (!counter && (e->left->hint != HISTOGRAM_GAUGE || e->right->hint != HISTOGRAM_GAUGE))
        window_annotate(call, ANNOTATION_WARNING, window_not_gauge);
    work_init(result, e->right, arena);
    if (!window_said(call, work_add(result, e->left, -1, false), "subtraction"))
        return false;
    if (counter && !correction(call, run, e, smoothed, &resets, &any, arena))
        return false;
    if (!any)
        return true;
    const struct histogram *sum = work_finish(&resets, false, arena);
    return sum && window_said(call, work_add(result, sum, 1, false), "addition");
}

static bool float_step(struct window_call *call, const struct window_run *run, struct column *out,
                       size_t step, const struct window_reach *reach, bool counter, double seconds)
{
    double change;
    if (!window_extended_float(call, run, reach, counter, &change))
        return false;
    out->cells[step] = CELL_FLOAT;
    out->values[step] = change / seconds;
    return true;
}

bool window_extended_histogram(struct window_call *call, const struct window_run *run,
                               struct column *out, bool counter, bool per_second, struct error *err)
{
    struct extended e = {0};
    double seconds = per_second ? (double)call->range_ns / 1e9 : 1;
    struct arena *scratch = eval_arena(call->ev);
    bool ok = true;
    for (size_t i = 0; ok && i < call->grid.steps; i++) {
        struct histogram_work work;
        window_reach_move(call, run, i, &e.reach);
        struct window_mix mix = window_mix(run, e.reach.from, e.reach.to);
        if (mix.floats > 0 && mix.histograms > 0) {
            window_annotate(call, ANNOTATION_WARNING, window_mixed_types);
        } else if (mix.floats > 0) {
            float_step(call, run, out, i, &e.reach, counter, seconds);
        } else if (mix.histograms > 0 && change_at(call, run, &e, counter, &work, scratch)) {
            if (per_second)
                work_divide(&work, seconds);
            work.hint = HISTOGRAM_GAUGE;
            window_put_histogram(out, i, work_finish(&work, true, call->arena), call->grid.steps,
                                 call->arena);
        }
        ok = arena_check(scratch, "the query", err) &&
             eval_tick(call->ev, e.reach.to - e.reach.from, err);
        arena_reset(scratch);
    }
    arena_free(scratch);
    return ok && arena_check(call->arena, "the query", err);
}

bool window_anchored_pairs(struct window_call *call, const struct window_run *run,
                           struct column *out,
                           bool (*counts)(const struct window_run *run, size_t before, size_t now),
                           struct error *err)
{
    struct window_reach r = {0};
    for (size_t i = 0; i < call->grid.steps; i++) {
        size_t first, last;
        window_reach_move(call, run, i, &r);
        if (r.from == r.to || run->times_ns[r.to - 1] <= r.start)
            continue;
        window_reach_ends(run, &r, false, &first, &last);
        double found = 0;
        for (size_t k = first + 1; k < r.to; k++)
            found += counts(run, k - 1, k);
        out->cells[i] = CELL_FLOAT;
        out->values[i] = found;
        if (!eval_tick(call->ev, r.to - r.from, err))
            return false;
    }
    return true;
}

/* ---- smoothed instant selectors ------------------------------------------------------- */

static const struct histogram *smooth_at(const struct window_call *call,
                                         const struct window_run *run, size_t next, int64_t t,
                                         bool has_last, bool has_next)
{
    struct histogram_work work;
    if (has_next && run->times_ns[next] == t)
        return histogram_copy(call->arena, run->histograms[next]);
    if (!has_last)
        return NULL;
    const struct histogram *before = run->histograms[next - 1];
    if (!has_next) {
        work_init(&work, before, call->arena);
        work.hint = HISTOGRAM_RESET_UNKNOWN;
        return work_finish(&work, false, call->arena);
    }
    const struct histogram *behind = run->histograms[next];
    bool counter = before->hint != HISTOGRAM_GAUGE || behind->hint != HISTOGRAM_GAUGE;
    if (histogram_is_custom(before) != histogram_is_custom(behind)) {
        window_annotate(call, ANNOTATION_WARNING, window_mixed_buckets);
        return NULL;
    }
    return interpolate(call, run, next - 1, t, counter, &work, call->arena)
               ? work_finish(&work, false, call->arena)
               : NULL;
}

void window_smoothed_histograms(const struct window_call *call, const struct window_run *run,
                                struct column *out)
{
    int64_t lookback = call->ev->request->lookback_ns;
    size_t next = 0, from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        int64_t t = grid_time(&call->grid, i);
        while (next < run->count && run->times_ns[next] < t)
            next++;
        while (to < run->count && run->times_ns[to] <= ns_add(t, lookback))
            to++;
        while (from < to && run->times_ns[from] <= ns_sub(t, lookback))
            from++;
        struct window_mix mix = window_mix(run, from, to);
        if (mix.floats > 0 && mix.histograms > 0)
            window_annotate(call, ANNOTATION_WARNING, window_mixed_types);
        else if (mix.histograms > 0)
            window_put_histogram(out, i, smooth_at(call, run, next, t, next > from, next < to),
                                 call->grid.steps, call->arena);
        else if (mix.floats > 0)
            window_smoothed_float(run, next, t, next > from, next < to, out, i);
    }
}
