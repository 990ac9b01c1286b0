/*
 * window_histogram.c - range functions over runs that hold histograms or start timestamps
 * (see window_histogram.h).
 *
 * These walk every window anew: O(samples in the windows), each about as dear as a
 * histogram has buckets.  Runs of plain floats never come here.
 */
#include "query/window_histogram.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/number.h"

#include <math.h>

const char window_mixed_types[] = "encountered a mix of histograms and floats for metric name ";
const char window_mixed_buckets[] =
    "vector contains a mix of histograms with exponential and custom buckets schemas for metric "
    "name ";
const char window_not_counter[] = "this native histogram metric is not a counter: ";
const char window_not_gauge[] = "this native histogram metric is not a gauge: ";

struct window_mix window_mix(const struct window_run *run, size_t from, size_t to)
{
    struct window_mix mix = {to - from, 0};
    for (size_t i = from; run->histograms && i < to; i++)
        mix.histograms += run->histograms[i] != NULL;
    mix.floats -= mix.histograms;
    return mix;
}

void window_put_histogram(struct column *out, size_t step, const struct histogram *h, size_t steps,
                          struct arena *arena)
{
    if (h == NULL || !column_add_histograms(out, steps, arena))
        return;
    out->cells[step] = CELL_HISTOGRAM;
    out->histograms[step] = h;
}

static void put(struct column *out, size_t step, double value)
{
    out->cells[step] = CELL_FLOAT;
    out->values[step] = value;
}

void window_note(const struct window_call *call, enum annotation_level level, const char *text)
{
    annotate(call->ev->annotations, level, call->argument->start, "%s", text);
}

void window_annotate(const struct window_call *call, enum annotation_level level, const char *text)
{
    struct buffer quoted;
    buffer_init(&quoted, 1000);
    buffer_append_quoted(&quoted, labels_get(call->labels, LABEL_NAME_METRIC));
    annotate(call->ev->annotations, level, call->argument->start, "%s%.*s", text,
             SLICE_ARG(buffer_slice(&quoted)));
    buffer_done(&quoted);
}

bool window_said(const struct window_call *call, unsigned said, const char *operation)
{
    if (said & WORK_INCOMPATIBLE) {
        window_annotate(call, ANNOTATION_WARNING, window_mixed_buckets);
        return false;
    }
    if (said & WORK_RECONCILED)
        annotate(call->ev->annotations, ANNOTATION_INFO, call->argument->start,
                 "mismatched custom buckets were reconciled during %s", operation);
    return true;
}

/* ---- which function ---------------------------------------------------------------- */

/* The floats of a mixed run; an info where a window holds both. */
static bool floats_only(const struct function *function, struct window_call *call,
                        const struct window_run *run, struct column *out, struct error *err)
{
    int64_t *times = arena_calloc(call->arena, run->count, sizeof(*times));
    double *values = arena_calloc(call->arena, run->count, sizeof(*values));
    struct window_run floats = {.times_ns = times, .values = values};
    if (times == NULL || values == NULL)
        return arena_check(call->arena, "the query", err);
    for (size_t i = 0; i < run->count; i++) {
        if (run->histograms[i])
            continue;
        times[floats.count] = run->times_ns[i];
        values[floats.count++] = run->values[i];
    }
    size_t from = 0, to = 0;
    for (size_t i = 0; floats.count > 0 && i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        struct window_mix mix = window_mix(run, from, to);
        if (mix.floats > 0 && mix.histograms > 0) {
            window_annotate(call, ANNOTATION_INFO,
                            "ignored histograms in a range containing both floats and "
                            "histograms for metric name ");
            break;
        }
    }
    return function->window(call, &floats, out, err);
}

bool window_apply(const struct function *function, struct window_call *call,
                  const struct window_run *run, struct column *out, struct error *err)
{
    bool starts = run->starts_ns && (call->ev->request->features & QUERY_START_TIMESTAMPS);
    if (run->histograms == NULL && !starts)
        return function->window(call, run, out, err);
    if (function->rich)
        return function->rich(call, run, out, err);
    if (run->histograms == NULL || function->any_sample)
        return function->window(call, run, out, err);
    return floats_only(function, call, run, out, err);
}

/* ---- start timestamps -------------------------------------------------------------------- */

static int64_t start_of(const struct window_run *run, size_t at)
{
    return run->starts_ns ? run->starts_ns[at] : 0;
}

bool window_start_reset(const struct window_run *run, size_t before, size_t now)
{
    int64_t start = start_of(run, now), start_before = start_of(run, before);
    int64_t time_before = run->times_ns[before];
    if (start == 0 || start >= run->times_ns[now] || start < time_before)
        return false;
    if (start > time_before)
        return true;
    return start_before < time_before && start_before != 0;
}

static bool start_overlaps(const struct window_run *run, size_t before, size_t now)
{
    int64_t start = start_of(run, now);
    return start != 0 && start < run->times_ns[before] && start != start_of(run, before);
}

static void check_overlap(const struct window_call *call, const struct window_run *run,
                          size_t before, size_t now, bool *found)
{
    if (*found || !start_overlaps(run, before, now))
        return;
    *found = true;
    struct buffer quoted;
    buffer_init(&quoted, 1000);
    buffer_append_quoted(&quoted, labels_get(call->labels, LABEL_NAME_METRIC));
    annotate_counted(call->ev->annotations, ANNOTATION_WARNING, call->argument->start,
                     "sample has start time that overlaps with previous sample timestamp for "
                     "metric %.*s",
                     SLICE_ARG(buffer_slice(&quoted)));
    buffer_done(&quoted);
}

/* ---- rate, increase, delta ------------------------------------------------------------------ */

static double float_change(const struct window_call *call, const struct window_run *run,
                           size_t from, size_t to, bool counter)
{
    double result = run->values[to - 1] - run->values[from];
    bool overlap = false;
    for (size_t i = from + 1; counter && i < to; i++) {
        check_overlap(call, run, i - 1, i, &overlap);
        if (run->values[i] < run->values[i - 1] || window_start_reset(run, i - 1, i))
            result += run->values[i - 1];
    }
    return result;
}

/* The window's histograms fit each other; a note about those that are no counters. */
static bool check_middle(const struct window_call *call, const struct window_run *run, size_t from,
                         size_t to, bool custom, int32_t *schema)
{
    for (size_t i = from + 1; i + 1 < to; i++) {
        const struct histogram *h = run->histograms[i];
        if (h->hint == HISTOGRAM_GAUGE)
            window_annotate(call, ANNOTATION_WARNING, window_not_counter);
        if (h->schema < *schema)
            *schema = h->schema;
        if (histogram_is_custom(h) != custom) {
            window_annotate(call, ANNOTATION_WARNING, window_mixed_buckets);
            return false;
        }
    }
    return true;
}

static bool add_resets(const struct window_call *call, const struct window_run *run, size_t from,
                       size_t to, const struct histogram *before, struct histogram_work *work)
{
    bool overlap = false;
    for (size_t i = from + 1; i < to; i++) {
        const struct histogram *h = run->histograms[i];
        check_overlap(call, run, i - 1, i, &overlap);
        if ((window_start_reset(run, i - 1, i) || histogram_was_reset(before, h)) &&
            !window_said(call, work_add(work, before, 1, false), "addition"))
            return false;
        before = h;
    }
    return true;
}

/* The difference of last and first with what resets hid; false: no result. */
static bool histogram_change(const struct window_call *call, const struct window_run *run,
                             size_t from, size_t to, bool counter, struct histogram_work *work,
                             struct arena *scratch)
{
    const struct histogram *before = run->histograms[from], *last = run->histograms[to - 1];
    bool custom = histogram_is_custom(before);
    bool any_gauge = before->hint == HISTOGRAM_GAUGE || last->hint == HISTOGRAM_GAUGE;
    bool all_gauges = before->hint == HISTOGRAM_GAUGE && last->hint == HISTOGRAM_GAUGE;
    struct histogram empty = {0};
    if (counter && any_gauge)
        window_annotate(call, ANNOTATION_WARNING, window_not_counter);
    const struct histogram *second = run->histograms[from + 1];
    if (counter &&
        (window_start_reset(run, from, from + 1) || histogram_was_reset(before, second))) {
        empty.schema = second->schema;
        empty.custom = second->custom;
        empty.custom_count = second->custom_count;
        before = &empty;
        custom = histogram_is_custom(second);
    }
    if (histogram_is_custom(last) != custom) {
        window_annotate(call, ANNOTATION_WARNING, window_mixed_buckets);
        return false;
    }
    int32_t schema = last->schema < before->schema ? last->schema : before->schema;
    if (counter && !check_middle(call, run, from, to, custom, &schema))
        return false;
    work_init(work, last, scratch);
    work_reduce(work, schema);
    if (!window_said(call, work_add(work, before, -1, false), "subtraction"))
        return false;
    if (counter && !add_resets(call, run, from, to, before, work))
        return false;
    if (!counter && !all_gauges)
        window_annotate(call, ANNOTATION_WARNING, window_not_gauge);
    work->hint = HISTOGRAM_GAUGE;
    return true;
}

/* The result of one window, before and after extrapolation. */
struct change {
    bool has_histogram;
    double value;
    struct histogram_work work;
};

/* The count of the first sample and of the change, for the way to zero. */
static double to_zero(const struct window_run *run, size_t from, const struct change *change,
                      double sampled, double to_start)
{
    const struct histogram *h = run_histogram(run, from);
    double first = h ? h->count : run->values[from];
    double grown = change->has_histogram ? change->work.count.value : change->value;
    return grown > 0 && first >= 0 ? sampled * (first / grown) : to_start;
}

static double change_factor(const struct window_call *call, const struct window_run *run,
                            size_t from, size_t to, int64_t end, const struct change *change,
                            bool counter, bool from_start)
{
    int64_t start = ns_sub(end, call->range_ns), first = run->times_ns[from];
    double to_start = seconds_of(ns_sub(first, start));
    double to_end = seconds_of(ns_sub(end, run->times_ns[to - 1]));
    double sampled = seconds_of(ns_sub(run->times_ns[to - 1], first));
    double average = to - from > 1 ? sampled / (double)(to - from - 1) : 0;
    double threshold = average * 1.1;
    if (from_start) {
        to_start = 0;
        sampled = seconds_of(ns_sub(run->times_ns[to - 1], run->starts_ns[from]));
    } else {
        if (to_start >= threshold)
            to_start = average / 2;
        double zero = counter ? to_zero(run, from, change, sampled, to_start) : to_start;
        if (zero < to_start)
            to_start = zero;
    }
    if (to_end >= threshold)
        to_end = average / 2;
    return sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
}

static bool change_at(const struct window_call *call, const struct window_run *run, size_t from,
                      size_t to, int64_t end, bool counter, bool per_second, struct change *change,
                      struct arena *scratch)
{
    const struct histogram *first = run_histogram(run, from);
    int64_t start = start_of(run, from);
    bool from_start =
        counter && start != 0 && start > ns_sub(end, call->range_ns) && start < run->times_ns[from];
    *change = (struct change){.has_histogram = first != NULL};
    if (to - from < 2 && !from_start)
        return false;
    if (first && to - from < 2) {
        work_init(&change->work, first, scratch);
    } else if (first) {
        if (!histogram_change(call, run, from, to, counter, &change->work, scratch))
            return false;
        if (from_start && !window_said(call, work_add(&change->work, first, 1, false), "addition"))
            return false;
    } else {
        change->value = float_change(call, run, from, to, counter);
        if (from_start)
            change->value += run->values[from];
    }
    double factor = change_factor(call, run, from, to, end, change, counter, from_start);
    if (per_second)
        factor /= (double)call->range_ns / 1e9;
    change->value *= factor;
    if (change->has_histogram)
        work_multiply(&change->work, factor);
    return true;
}

/* No function sees beyond its own window; scratch memory is per window. */
static bool changes_of(struct window_call *call, const struct window_run *run, struct column *out,
                       bool counter, bool per_second, struct error *err)
{
    if (window_is_extended(call))
        return window_extended_histogram(call, run, out, counter, per_second, err);
    struct arena *scratch = eval_arena(call->ev);
    size_t from = 0, to = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < call->grid.steps; i++) {
        struct change change;
        window_bounds(call, run, i, &from, &to);
        struct window_mix mix = window_mix(run, from, to);
        int64_t end = grid_time(&call->grid, i);
        if (mix.floats > 0 && mix.histograms > 0)
            window_annotate(call, ANNOTATION_WARNING, window_mixed_types);
        else if (to > from &&
                 change_at(call, run, from, to, end, counter, per_second, &change, scratch)) {
            if (change.has_histogram)
                window_put_histogram(out, i, work_finish(&change.work, true, call->arena),
                                     call->grid.steps, call->arena);
            else
                put(out, i, change.value);
        }
        ok = arena_check(scratch, "the query", err) && eval_tick(call->ev, to - from, err);
        arena_reset(scratch);
    }
    arena_free(scratch);
    return ok && arena_check(call->arena, "the query", err);
}

WINDOW(rich_rate)
{
    if (!changes_of(call, run, out, true, true, err))
        return false;
    window_check_name(call, out);
    return true;
}

WINDOW(rich_increase)
{
    if (!changes_of(call, run, out, true, false, err))
        return false;
    window_check_name(call, out);
    return true;
}

WINDOW(rich_delta)
{
    return changes_of(call, run, out, false, false, err);
}

/* ---- irate and idelta ---------------------------------------------------------------------- */

static bool last_change(struct window_call *call, const struct window_run *run, size_t now,
                        bool rate, struct histogram_work *work, struct arena *scratch)
{
    const struct histogram *h = run->histograms[now], *before = run->histograms[now - 1];
    bool any_gauge = h->hint == HISTOGRAM_GAUGE || before->hint == HISTOGRAM_GAUGE;
    bool all_gauges = h->hint == HISTOGRAM_GAUGE && before->hint == HISTOGRAM_GAUGE;
    if (rate ? any_gauge : !all_gauges)
        window_annotate(call, ANNOTATION_WARNING, rate ? window_not_counter : window_not_gauge);
    work_init(work, h, scratch);
    bool reset = rate && (window_start_reset(run, now - 1, now) || histogram_was_reset(before, h));
    if (!reset && !window_said(call, work_add(work, before, -1, false), "subtraction"))
        return false;
    work->hint = HISTOGRAM_GAUGE;
    return true;
}

static bool instant_changes(struct window_call *call, const struct window_run *run,
                            struct column *out, bool rate, struct error *err)
{
    struct arena *scratch = eval_arena(call->ev);
    size_t from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to - from < 2 || run->times_ns[to - 1] == run->times_ns[to - 2])
            continue;
        double interval = seconds_of(ns_sub(run->times_ns[to - 1], run->times_ns[to - 2]));
        struct window_mix mix = window_mix(run, to - 2, to);
        struct histogram_work work;
        if (mix.histograms == 1) {
            window_annotate(call, ANNOTATION_WARNING, window_mixed_types);
        } else if (mix.histograms == 2 && last_change(call, run, to - 1, rate, &work, scratch)) {
            if (rate)
                work_divide(&work, interval);
            window_put_histogram(out, i, work_finish(&work, true, call->arena), call->grid.steps,
                                 call->arena);
        } else if (mix.histograms == 0) {
            double last = run->values[to - 1], before = run->values[to - 2];
            bool reset = rate && (last < before || window_start_reset(run, to - 2, to - 1));
            double change = reset ? last : last - before;
            put(out, i, rate ? change / interval : change);
        }
        arena_reset(scratch);
    }
    arena_free(scratch);
    return arena_check(call->arena, "the query", err);
}

WINDOW(rich_irate)
{
    return instant_changes(call, run, out, true, err);
}

WINDOW(rich_idelta)
{
    return instant_changes(call, run, out, false, err);
}

/* ---- sum, avg, first, last --------------------------------------------------------------------
 */

/* Adds up histograms; `*mean` takes over where the sum would overflow. */
static bool sum_histograms(const struct window_call *call, const struct window_run *run,
                           size_t from, size_t to, bool average, struct histogram_work *sum,
                           struct arena *scratch)
{
    unsigned seen = 1u << run->histograms[from]->hint, said = 0;
    bool incremental = false;
    double count = 1;
    work_init(sum, run->histograms[from], scratch);
    for (size_t i = from + 1; i < to && !(said & WORK_INCOMPATIBLE); i++) {
        const struct histogram *h = run->histograms[i];
        seen |= 1u << h->hint;
        count++;
        if (!average) {
            said |= work_add(sum, h, 1, true);
            continue;
        }
        said |= work_add_mean(sum, h, count, &incremental);
    }
    const unsigned both = 1u << HISTOGRAM_RESET | 1u << HISTOGRAM_NOT_RESET;
    if ((said & WORK_INCOMPATIBLE) == 0 && (seen & both) == both)
        window_note(call, ANNOTATION_WARNING,
                    "conflicting counter resets during histogram aggregation");
    if (!window_said(call, said, "aggregation"))
        return false;
    if (average && !incremental)
        work_divide(sum, count);
    return true;
}

static bool sums(struct window_call *call, const struct window_run *run, struct column *out,
                 const struct function *floats, bool average, struct error *err)
{
    if (run->histograms == NULL)
        return floats->window(call, run, out, err);
    struct arena *scratch = eval_arena(call->ev);
    size_t from = 0, to = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        struct window_mix mix = window_mix(run, from, to);
        struct histogram_work work;
        if (mix.floats > 0 && mix.histograms > 0)
            window_annotate(call, ANNOTATION_WARNING, window_mixed_types);
        else if (mix.histograms > 0 && sum_histograms(call, run, from, to, average, &work, scratch))
            window_put_histogram(out, i, work_finish(&work, false, call->arena), call->grid.steps,
                                 call->arena);
        else if (mix.floats > 0)
            put(out, i,
                average ? window_value_avg(run, from, to) : window_value_sum(run, from, to));
        ok = arena_check(scratch, "the query", err) && eval_tick(call->ev, to - from, err);
        arena_reset(scratch);
    }
    arena_free(scratch);
    return ok && arena_check(call->arena, "the query", err);
}

WINDOW(rich_sum)
{
    return sums(call, run, out, call->node->call.function, false, err);
}

WINDOW(rich_avg)
{
    return sums(call, run, out, call->node->call.function, true, err);
}

static bool one_sample(struct window_call *call, const struct window_run *run, struct column *out,
                       bool last, struct error *err)
{
    size_t from = 0, to = 0, copied_at = SIZE_MAX;
    const struct histogram *copy = NULL;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        if (to == from)
            continue;
        size_t at = last ? to - 1 : from;
        const struct histogram *h = run_histogram(run, at);
        if (h == NULL) {
            put(out, i, run->values[at]);
            continue;
        }
        if (copied_at != at)
            copy = histogram_copy(call->arena, h);
        copied_at = at;
        window_put_histogram(out, i, copy, call->grid.steps, call->arena);
    }
    return arena_check(call->arena, "the query", err);
}

WINDOW(rich_first)
{
    return one_sample(call, run, out, false, err);
}

WINDOW(rich_last)
{
    return one_sample(call, run, out, true, err);
}

/* ---- changes and resets -------------------------------------------------------------------------
 */

static bool is_change(const struct window_run *run, size_t before, size_t now)
{
    const struct histogram *a = run_histogram(run, before), *b = run_histogram(run, now);
    if (a && b)
        return !histogram_same(a, b);
    double x = run->values[before], y = run->values[now];
    return a != b || (x != y && !(isnan(x) && isnan(y)));
}

static bool is_reset(const struct window_run *run, size_t before, size_t now)
{
    const struct histogram *a = run_histogram(run, before), *b = run_histogram(run, now);
    if ((a == NULL) != (b == NULL) || window_start_reset(run, before, now))
        return true;
    return a ? histogram_was_reset(a, b) : run->values[now] < run->values[before];
}

static bool count_pairs(struct window_call *call, const struct window_run *run, struct column *out,
                        bool (*counts)(const struct window_run *run, size_t before, size_t now),
                        struct error *err)
{
    if (window_is_extended(call))
        return window_anchored_pairs(call, run, out, counts, err);
    size_t from = 0, to = 0;
    for (size_t i = 0; i < call->grid.steps; i++) {
        window_bounds(call, run, i, &from, &to);
        double found = 0;
        for (size_t k = from + 1; k < to; k++)
            found += counts(run, k - 1, k);
        if (to > from)
            put(out, i, found);
        if (!eval_tick(call->ev, to - from, err))
            return false;
    }
    return true;
}

WINDOW(rich_changes)
{
    return count_pairs(call, run, out, is_change, err);
}

WINDOW(rich_resets)
{
    return count_pairs(call, run, out, is_reset, err);
}
