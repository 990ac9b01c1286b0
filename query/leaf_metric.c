/*
 * leaf_metric.c - selectors over metric samples.
 *
 * A cursor selects the series once, for the time that all steps need.  Each
 * series is decoded once and walked once: an instant selector takes the last
 * sample within the lookback of each step unless it is a stale marker, a range
 * function gets the samples without the markers.  Series are batched so that a
 * batch has at most BATCH_SERIES series and about BATCH_CELLS cells; batches are filled
 * on several threads (batches.h), each with a copy of struct leaf and a reader of its own.
 */
#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/memory.h"
#include "query/batches.h"
#include "query/dialect.h"
#include "query/eval_internal.h"
#include "query/explain.h"
#include "query/function.h"
#include "query/window_histogram.h"
#include "query/window_memo.h"
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#define STALE_MARKER UINT64_C(0x7ff0000000000002)

/* What an instant selector is read for: timestamp() and start_timestamp() ask for times. */
enum leaf_gives { LEAF_GIVES_VALUES, LEAF_GIVES_TIMES, LEAF_GIVES_STARTS };

struct leaf {
    struct evaluation *ev; /* of the query; of one batch while that is filled */
    const struct node *selector;
    const struct node *call;
    struct arena *arena; /* of one batch */
    struct cursor *cursor;
    struct cursor_reader *reader; /* a thread's own */
    struct grid grid;             /* shifted */
    int64_t reach_ns;             /* range or lookback */
    enum leaf_gives gives;
    bool floats_only, refused; /* info(): its samples must be floats; one was not */
    struct window_call window;
    struct window_memo memo; /* a thread's own */
    struct column_batch *batch;
};

static bool is_stale(double value)
{
    return double_bits(value) == STALE_MARKER;
}

static int64_t before(int64_t time_ns, int64_t distance_ns)
{
    int64_t result;
    return __builtin_sub_overflow(time_ns, distance_ns, &result) ? INT64_MIN : result;
}

/* What an instant selector gives of one sample. */
static void put_sample(struct leaf *leaf, const struct sample_column *samples, size_t at,
                       size_t step, const struct histogram **copy, size_t *copied,
                       struct column *out)
{
    const struct histogram *h = samples->histograms ? samples->histograms[at] : NULL;
    if (leaf->gives == LEAF_GIVES_VALUES && h) {
        if (*copied != at)
            *copy = histogram_copy(leaf->arena, h);
        *copied = at;
        window_put_histogram(out, step, *copy, leaf->grid.steps, leaf->arena);
        return;
    }
    leaf->refused = leaf->refused || (h && leaf->floats_only);
    out->cells[step] = CELL_FLOAT;
    if (leaf->gives == LEAF_GIVES_VALUES)
        out->values[step] = samples->values[at];
    else if (leaf->gives == LEAF_GIVES_TIMES)
        out->values[step] = seconds_of(samples->times_ns[at]);
    else
        out->values[step] = samples->starts_ns ? seconds_of(samples->starts_ns[at]) : 0;
}

/* The last sample at or before each step, younger than the lookback. */
static void fill_instant(struct leaf *leaf, const struct sample_column *samples, struct column *out)
{
    size_t next = 0; /* the first sample behind the step */
    size_t copied = SIZE_MAX;
    const struct histogram *copy = NULL;
    for (size_t i = 0; i < leaf->grid.steps; i++) {
        int64_t t = grid_time(&leaf->grid, i);
        while (next < samples->count && samples->times_ns[next] <= t)
            next++;
        if (next == 0 || samples->times_ns[next - 1] <= before(t, leaf->reach_ns))
            continue;
        if (!is_stale(samples->values[next - 1]))
            put_sample(leaf, samples, next - 1, i, &copy, &copied, out);
    }
}

/* The samples as a run without stale markers; copies only when there is one. */
static bool make_run(struct leaf *leaf, const struct sample_column *samples, struct window_run *run)
{
    size_t n = samples->count, stale = 0, used = 0;
    *run = (struct window_run){samples->times_ns, samples->values, samples->histograms,
                               samples->starts_ns, n};
    for (size_t i = 0; i < n; i++)
        stale += is_stale(samples->values[i]);
    if (stale == 0)
        return true;
    int64_t *times = arena_calloc(leaf->arena, n, sizeof(*times));
    double *values = arena_calloc(leaf->arena, n, sizeof(*values));
    const struct histogram **histograms =
        samples->histograms ? arena_calloc(leaf->arena, n, sizeof(struct histogram *)) : NULL;
    int64_t *starts = samples->starts_ns ? arena_calloc(leaf->arena, n, sizeof(*starts)) : NULL;
    if (arena_exhausted(leaf->arena))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_stale(samples->values[i]))
            continue;
        times[used] = samples->times_ns[i];
        if (histograms)
            histograms[used] = samples->histograms[i];
        if (starts)
            starts[used] = samples->starts_ns[i];
        values[used++] = samples->values[i];
    }
    *run = (struct window_run){times, values, histograms, starts, used};
    return true;
}

static bool fill_window(struct leaf *leaf, const struct sample_column *samples, struct column *out,
                        struct error *err)
{
    struct window_run run;
    if (!make_run(leaf, samples, &run))
        return arena_check(leaf->arena, "the query", err);
    leaf->window.labels = out->labels;
    leaf->window.arena = leaf->arena;
    eval_count_windows(&leaf->window, &run);
    return window_apply(leaf->call->call.function, &leaf->window, &run, out, err);
}

/* Interpolated between the neighbours of each step. */
static bool fill_smoothed(struct leaf *leaf, const struct sample_column *samples,
                          struct column *out, struct error *err)
{
    struct window_run run;
    if (!make_run(leaf, samples, &run))
        return arena_check(leaf->arena, "the query", err);
    leaf->window.labels = out->labels;
    leaf->window.arena = leaf->arena;
    if (run.histograms)
        window_smoothed_histograms(&leaf->window, &run, out);
    else
        window_smoothed_instant(&leaf->window, &run, out);
    return arena_check(leaf->arena, "the query", err);
}

/*
 * A reset that storage found shows as an unknown hint, as in Prometheus; one that was
 * stored as such and that the counts do not show stays.
 */
static bool settle_hints(struct leaf *leaf, struct sample_column *samples, struct error *err)
{
    const struct histogram **settled = NULL;
    for (size_t i = 0; i < samples->count; i++) {
        const struct histogram *h = samples->histograms[i];
        if (h == NULL || h->hint != HISTOGRAM_RESET)
            continue;
        struct histogram *copy = arena_alloc(leaf->arena, sizeof(*copy));
        if (settled == NULL && copy) {
            settled = arena_calloc(leaf->arena, samples->count, sizeof(struct histogram *));
            if (settled)
                memcpy(settled, samples->histograms, samples->count * sizeof(*settled));
        }
        if (settled == NULL || copy == NULL)
            return arena_check(leaf->arena, "the query", err);
        *copy = *h;
        copy->hint = HISTOGRAM_RESET_UNKNOWN;
        const struct histogram *last = i > 0 ? samples->histograms[i - 1] : NULL;
        if (last == NULL || histogram_was_reset(last, copy))
            settled[i] = copy;
    }
    if (settled)
        samples->histograms = settled;
    return true;
}

static void count_cells(struct evaluation *ev, const struct column *column, size_t steps)
{
    for (size_t i = 0; ev->step_samples && i < steps; i++)
        ev->step_samples[i] += column->cells[i] != CELL_NONE;
}

static bool take_series(struct leaf *leaf, size_t series, struct error *err)
{
    struct sample_column samples;
    struct evaluation *ev = leaf->ev;
    if (!cursor_read_samples(leaf->reader, series, &samples, err))
        return false;
    ev->stats->samples += samples.count;
    if (samples.count == 0)
        return true;
    if (!eval_hold(ev, (int64_t)samples.count, err))
        return false;
    ev->varies = ev->varies || samples.histograms || samples.starts_ns;
    if (samples.histograms && !ev->reset_hints && !settle_hints(leaf, &samples, err))
        return false;
    struct column *out = &leaf->batch->items[leaf->batch->count];
    if (!column_init(out, cursor_labels(leaf->cursor, series), leaf->grid.steps, leaf->arena))
        return arena_check(leaf->arena, "the query", err);
    bool ranged = leaf->selector->selector.ranged;
    if (ranged) {
        if (!fill_window(leaf, &samples, out, err))
            return false;
    } else if (leaf->selector->selector.smoothed && leaf->gives == LEAF_GIVES_VALUES) {
        if (!fill_smoothed(leaf, &samples, out, err))
            return false;
    } else {
        fill_instant(leaf, &samples, out);
        count_cells(ev, out, leaf->grid.steps);
        if (leaf->refused)
            return error_set(err, ERR_EXECUTION, "info sample should be float");
    }
    bool drops = leaf->call && !leaf->call->call.function->keeps_name;
    if (drops && !column_drop_name(ev, out, leaf->arena))
        return arena_check(leaf->arena, "the query", err);
    leaf->batch->count += !column_is_empty(out, leaf->grid.steps);
    return eval_hold(ev, -(int64_t)samples.count, err) &&
           eval_tick(ev, samples.count + leaf->grid.steps, err);
}

/* ---- batches ------------------------------------------------------------------------------ */

static void *worker_open(const void *shared)
{
    struct leaf *leaf = (struct leaf *)xmemdup(shared, sizeof(*leaf));
    leaf->reader = cursor_reader_new(leaf->cursor);
    return leaf;
}

static void worker_close(void *worker)
{
    struct leaf *leaf = worker;
    cursor_reader_free(leaf->reader);
    window_memo_done(&leaf->memo);
    free(leaf);
}

static bool worker_fill(void *worker, struct evaluation *ev, size_t first, size_t end,
                        struct column_batch *batch, struct error *err)
{
    struct leaf *leaf = worker;
    leaf->ev = leaf->window.ev = ev;
    leaf->window.memo = &leaf->memo;
    leaf->arena = batch->arena;
    leaf->batch = batch;
    batch->items = arena_calloc(batch->arena, end - first, sizeof(*batch->items));
    if (batch->items == NULL)
        return arena_check(batch->arena, "the query", err);
    for (size_t i = first; i < end; i++) {
        if (!take_series(leaf, i, err))
            return false;
    }
    return true;
}

/* An instant selector at one time looks at one sample. */
static bool needs_last_only(const struct leaf *leaf)
{
    const struct selector *s = &leaf->selector->selector;
    return leaf->grid.steps == 1 && !s->ranged && !s->smoothed && !s->anchored;
}

/* About how many samples lie in the range, at one in 15 s. */
static uint64_t work_of(const struct leaf *leaf, size_t series)
{
    const struct grid *grid = &leaf->grid;
    uint64_t span = (uint64_t)grid_time(grid, grid->steps - 1) - (uint64_t)grid->start_ns;
    uint64_t seconds = (span + (uint64_t)leaf->reach_ns) / (uint64_t)NS_PER_SECOND;
    uint64_t each = needs_last_only(leaf) ? 4 : seconds / 15 + grid->steps, all;
    return __builtin_mul_overflow(each, (uint64_t)series, &all) ? UINT64_MAX : all;
}

static bool take_all(struct leaf *leaf, struct sink *sink, struct error *err)
{
    size_t count = cursor_series_count(leaf->cursor), by_cells = BATCH_CELLS / leaf->grid.steps;
    leaf->ev->stats->series += count;
    struct batch_source source = {
        .steps = leaf->grid.steps,
        .series = count,
        .batch_max = by_cells < 1              ? 1
                     : by_cells < BATCH_SERIES ? by_cells
                                               : BATCH_SERIES,
        .work = work_of(leaf, count),
        .leaf = leaf,
        .open = worker_open,
        .close = worker_close,
        .fill = worker_fill,
    };
    uint64_t before = leaf->ev->stats->samples;
    bool ok = batches_stream(leaf->ev, &source, sink, err);
    if (leaf->ev->explain) {
        struct explained *e = explain_node(leaf->ev->explain, leaf->selector);
        e->selected += count;
        e->samples += leaf->ev->stats->samples - before;
    }
    return ok;
}

static bool open_cursor(struct leaf *leaf, struct error *err)
{
    const struct query_request *request = leaf->ev->request;
    int64_t last = grid_time(&leaf->grid, leaf->grid.steps - 1);
    int64_t first = before(leaf->grid.start_ns, leaf->reach_ns);
    if (leaf->selector->selector.smoothed)
        last = ns_add(last, request->lookback_ns);
    struct cursor_request want = {
        .tenant = request->tenant,
        .kind = STORE_METRIC,
        .matchers = leaf->selector->selector.matchers,
        .matcher_count = leaf->selector->selector.matcher_count,
        .start_ns = first == INT64_MIN ? first : first + 1,
        .end_ns = last,
        .projection = CURSOR_TIMES | CURSOR_VALUES | (needs_last_only(leaf) ? CURSOR_LAST : 0),
        .series_max = request->limits.series_max,
        .memory_max = request->limits.memory_max,
        .cancel = request->cancel,
        .damage = leaf->ev->damage,
        .view = leaf->ev->view,
    };
    leaf->cursor = cursor_open(leaf->ev->store, &want, err);
    return leaf->cursor != NULL;
}

/* How far the samples before a step matter: the range or the lookback, or both. */
static int64_t reach_of(const struct evaluation *ev, const struct selector *s)
{
    int64_t lookback = ev->request->lookback_ns;
    if (!s->ranged)
        return lookback;
    return s->anchored || s->smoothed ? ns_add(s->range_ns, lookback) : s->range_ns;
}

static enum leaf_gives gives_of(const struct selector *s, const struct node *call)
{
    if (call == NULL || s->ranged)
        return LEAF_GIVES_VALUES;
    return call->call.function->special == special_start_timestamp ? LEAF_GIVES_STARTS
                                                                   : LEAF_GIVES_TIMES;
}

static bool metric_stream(struct evaluation *ev, const struct node *selector,
                          const struct node *call, const double *const *parameters,
                          const struct grid *grid, struct sink *sink, struct error *err)
{
    const struct selector *s = &selector->selector;
    if (s->ranged && call && !window_extended_check(s, call->call.function->name, err))
        return false;
    struct leaf leaf = {
        .ev = ev,
        .selector = selector,
        .call = call,
        .grid = grid_shift(ev, grid, &s->shift),
        .reach_ns = reach_of(ev, s),
        .gives = gives_of(s, call),
        .floats_only = call && !s->ranged && call->call.function->special == NULL,
    };
    leaf.window = (struct window_call){
        .ev = ev,
        .node = call,
        .argument = selector,
        .caller = grid,
        .grid = leaf.grid,
        .range_ns = s->range_ns,
        .parameters = parameters,
    };
    bool ok = open_cursor(&leaf, err) && take_all(&leaf, sink, err);
    cursor_close(leaf.cursor);
    return ok;
}

const struct leaf_ops leaf_metric = {metric_stream};
