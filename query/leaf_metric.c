/*
 * leaf_metric.c - selectors over metric samples.
 *
 * A cursor selects the series once, for the time that all steps need.  Each
 * series is decoded once and walked once: an instant selector takes the last
 * sample within the lookback of each step unless it is a stale marker, a range
 * function gets the samples without the markers.  Series are batched so that a
 * batch has at most BATCH_SERIES series and about BATCH_CELLS cells.
 */
#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "query/dialect.h"
#include "query/eval_internal.h"
#include "query/function.h"
#include "storage/store.h"

#define STALE_MARKER UINT64_C(0x7ff0000000000002)

struct leaf {
    struct evaluation *ev;
    const struct node *selector;
    const struct node *call;
    struct sink *sink;
    struct arena *arena; /* of one batch */
    struct cursor *cursor;
    struct cursor_reader *reader;
    struct grid grid; /* shifted */
    int64_t reach_ns; /* range or lookback */
    bool timestamps;  /* the samples' own times instead of values */
    struct window_call window;
    struct column_batch batch;
    size_t batch_max;
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

/* The last sample at or before each step, younger than the lookback. */
static void fill_instant(const struct leaf *leaf, const struct sample_column *samples,
                         struct column *out)
{
    size_t next = 0; /* the first sample behind the step */
    for (size_t i = 0; i < leaf->grid.steps; i++) {
        int64_t t = grid_time(&leaf->grid, i);
        while (next < samples->count && samples->times_ns[next] <= t)
            next++;
        if (next == 0 || samples->times_ns[next - 1] <= before(t, leaf->reach_ns))
            continue;
        double value = samples->values[next - 1];
        if (is_stale(value))
            continue;
        out->cells[i] = CELL_FLOAT;
        out->values[i] = leaf->timestamps ? seconds_of(samples->times_ns[next - 1]) : value;
    }
}

/* The samples as a run without stale markers; copies only when there is one. */
static bool make_run(struct leaf *leaf, const struct sample_column *samples, struct window_run *run)
{
    *run = (struct window_run){
        .times_ns = samples->times_ns, .values = samples->values, .count = samples->count};
    size_t stale = 0;
    for (size_t i = 0; i < samples->count; i++)
        stale += is_stale(samples->values[i]);
    if (stale == 0)
        return true;
    int64_t *times = arena_calloc(leaf->arena, samples->count, sizeof(*times));
    double *values = arena_calloc(leaf->arena, samples->count, sizeof(*values));
    if (times == NULL || values == NULL)
        return false;
    size_t used = 0;
    for (size_t i = 0; i < samples->count; i++) {
        if (is_stale(samples->values[i]))
            continue;
        times[used] = samples->times_ns[i];
        values[used++] = samples->values[i];
    }
    *run = (struct window_run){.times_ns = times, .values = values, .count = used};
    return true;
}

static bool fill_window(struct leaf *leaf, const struct sample_column *samples, struct column *out,
                        struct error *err)
{
    const struct function *function = leaf->call->call.function;
    struct window_run run;
    if (!make_run(leaf, samples, &run))
        return arena_check(leaf->arena, "the query", err);
    leaf->window.labels = out->labels;
    leaf->window.arena = leaf->arena;
    return function->window(&leaf->window, &run, out, err);
}

/* Interpolated between the neighbours of each step. */
static bool fill_smoothed(struct leaf *leaf, const struct sample_column *samples,
                          struct column *out, struct error *err)
{
    struct window_run run;
    if (!make_run(leaf, samples, &run))
        return arena_check(leaf->arena, "the query", err);
    window_smoothed_instant(&leaf->window, &run, out);
    return true;
}

static bool flush(struct leaf *leaf, struct error *err)
{
    if (leaf->batch.count > 0 && !leaf->sink->take(leaf->sink, &leaf->batch, err))
        return false;
    arena_reset(leaf->arena);
    leaf->batch = (struct column_batch){.arena = leaf->arena};
    leaf->batch.items = arena_calloc(leaf->arena, leaf->batch_max, sizeof(struct column));
    return arena_check(leaf->arena, "the query", err);
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
    struct column *out = &leaf->batch.items[leaf->batch.count];
    if (!column_init(out, cursor_labels(leaf->cursor, series), leaf->grid.steps, leaf->arena))
        return arena_check(leaf->arena, "the query", err);
    bool ranged = leaf->selector->selector.ranged;
    if (ranged) {
        if (!fill_window(leaf, &samples, out, err))
            return false;
    } else if (leaf->selector->selector.smoothed && !leaf->timestamps) {
        if (!fill_smoothed(leaf, &samples, out, err))
            return false;
    } else {
        fill_instant(leaf, &samples, out);
    }
    bool drops = leaf->call && !leaf->call->call.function->keeps_name;
    if (drops && !column_drop_name(ev, out, leaf->arena))
        return arena_check(leaf->arena, "the query", err);
    leaf->batch.count += !column_is_empty(out, leaf->grid.steps);
    return eval_hold(ev, -(int64_t)samples.count, err) &&
           eval_tick(ev, samples.count + leaf->grid.steps, err);
}

static bool take_all(struct leaf *leaf, struct error *err)
{
    size_t count = cursor_series_count(leaf->cursor);
    leaf->ev->stats->series += count;
    if (!flush(leaf, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!take_series(leaf, i, err))
            return false;
        if (leaf->batch.count == leaf->batch_max && !flush(leaf, err))
            return false;
    }
    return flush(leaf, err);
}

/* An instant selector at one time looks at one sample. */
static bool needs_last_only(const struct leaf *leaf)
{
    const struct selector *s = &leaf->selector->selector;
    return leaf->grid.steps == 1 && !s->ranged && !s->smoothed && !s->anchored;
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
        .view = leaf->ev->view,
    };
    leaf->cursor = cursor_open(leaf->ev->store, &want, err);
    if (leaf->cursor == NULL)
        return false;
    leaf->reader = cursor_reader_new(leaf->cursor);
    return true;
}

/* How far the samples before a step matter: the range or the lookback, or both. */
static int64_t reach_of(const struct evaluation *ev, const struct selector *s)
{
    int64_t lookback = ev->request->lookback_ns;
    if (!s->ranged)
        return lookback;
    return s->anchored || s->smoothed ? ns_add(s->range_ns, lookback) : s->range_ns;
}

static bool metric_stream(struct evaluation *ev, const struct node *selector,
                          const struct node *call, const double *const *parameters,
                          const struct grid *grid, struct sink *sink, struct error *err)
{
    const struct selector *s = &selector->selector;
    if (s->ranged && call && !window_extended_check(s, call->call.function->name, err))
        return false;
    size_t by_cells = BATCH_CELLS / grid->steps;
    struct leaf leaf = {
        .ev = ev,
        .selector = selector,
        .call = call,
        .sink = sink,
        .grid = grid_shift(ev, grid, &s->shift),
        .reach_ns = reach_of(ev, s),
        .timestamps = call && !s->ranged,
        .batch_max = by_cells < 1              ? 1
                     : by_cells < BATCH_SERIES ? by_cells
                                               : BATCH_SERIES,
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
    leaf.arena = eval_arena(ev);
    bool ok = open_cursor(&leaf, err) && take_all(&leaf, err);
    cursor_reader_free(leaf.reader);
    cursor_close(leaf.cursor);
    arena_free(leaf.arena);
    return ok;
}

const struct leaf_ops leaf_metric = {metric_stream};
