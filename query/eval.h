/*
 * eval.h - the evaluator's data: grids, columns, batches, and the leaf interface.
 *
 * A query runs on a GRID of evaluation times.  An expression gives COLUMNS: one
 * per series, with a value and a presence mark for each time of the grid.
 * Columns flow in batches of at most ~1,024 series, from the leaves to sinks:
 * eval_stream() pushes them into a struct sink in a fixed order (leaves: the order
 * of labels_compare()), so the same data gives the same bits.  An aggregation is
 * a sink that keeps its groups only.  A batch and all it points to dies when
 * the sink's take() returns, unless it was copied.
 *
 * A LEAF turns a selector, or a range function over one, into columns.  There
 * are two: leaf_metric (leaf_metric.c) and leaf_log (the log side).  All else -
 * operators, matching, aggregations, sorting, label functions - is written once.
 *
 * Everything whose size depends on data lies in arenas that are charged to the
 * query.  One thread runs one struct evaluation; leaves fill batches on several, each with
 * an evaluation of its own (batches.h).
 */
#ifndef QUERY_EVAL_H
#define QUERY_EVAL_H

#include "base/arena.h"
#include "base/compiler.h"
#include "base/labels.h"
#include "query/ast.h"
#include "query/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct annotations;
struct budget;
struct error;
struct explain;
struct function;
struct shared;
struct store;
struct store_view;
struct window_memo;

enum { BATCH_SERIES = 1024, BATCH_CELLS = 1 << 15, CHECK_SAMPLES = 1024 };

/* Evaluation times: start_ns + i * step_ns for i < steps. */
struct grid {
    int64_t start_ns, step_ns;
    size_t steps; /* at least 1 */
};

static inline int64_t grid_time(const struct grid *grid, size_t step) /* saturates */
{
    int64_t distance, time;
    if (__builtin_mul_overflow((int64_t)step, grid->step_ns, &distance) ||
        __builtin_add_overflow(grid->start_ns, distance, &time))
        return INT64_MAX;
    return time;
}

enum cell { CELL_NONE, CELL_FLOAT, CELL_HISTOGRAM };

/* One series over the grid.  values[i] means something only where cells[i] is CELL_FLOAT. */
struct column {
    struct labels labels;
    bool drop_name; /* metadata labels go at the end (delayed name removal) */
    uint8_t *cells; /* enum cell, one per step */
    double *values;
    const struct histogram **histograms; /* NULL while no cell is CELL_HISTOGRAM */
};

struct columns {
    struct column *items;
    size_t count, capacity;
    int64_t held; /* samples in them, for columns_release() */
};

/* Some columns on their way.  What is made for them may lie in `arena`, which dies with the batch.
 */
struct column_batch {
    struct column *items;
    size_t count;
    struct arena *arena;
    void *partial; /* what a leaf makes of its series for a sink of its own; NULL: nothing */
};

/*
 * What takes batches.  Embed it and get your own struct back by a cast of `self`.  It may
 * change the columns in place before it hands them on.
 */
struct sink {
    bool (*take)(struct sink *self, struct column_batch *batch, struct error *err);
};

struct evaluation {
    struct store *store;
    struct store_view
        *view; /* for all selectors; NULL: there is one, which sees one moment anyway */
    const struct query_request *request; /* limits are filled in with their defaults */
    const struct dialect *dialect;
    struct slice text;
    struct grid grid;    /* of the whole query */
    struct arena *arena; /* lives as long as the result */
    struct annotations *annotations;
    struct store_damage *damage; /* what cursors had to leave out */
    struct query_stats *stats;
    int64_t deadline_ns;   /* clock_monotonic_ns() */
    uint64_t samples_held; /* against limits.samples_max */
    uint32_t until_check;  /* samples until the next look at cancel and deadline */
    const bool *stop;      /* atomic: a helper is to end; NULL: the query's own thread */
    bool varies;      /* what was read depends on the query's range: histograms (leaf_metric.c) */
    bool reset_hints; /* selectors tell histograms that were reset from unknown ones */
    struct shared *shared;   /* equal subexpressions; NULL: there are none */
    struct explain *explain; /* NULL: nothing is measured per node */
    uint64_t
        *step_samples;     /* per step of the grid, samples that a step looks at; NULL: not asked */
    struct budget *memory; /* of all arenas of the query together */
};

/* ---- evaluating ---------------------------------------------------------- */

/* The columns of a TYPE_VECTOR expression, batch by batch, into `sink`. */
bool eval_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                 struct sink *sink, struct error *err) MUST_CHECK;

/* The same, all copied into `arena`. */
bool eval_collect(struct evaluation *ev, const struct node *node, const struct grid *grid,
                  struct arena *arena, struct columns *out, struct error *err) MUST_CHECK;

/* A TYPE_SCALAR expression: one number per step into `out`. */
bool eval_scalar(struct evaluation *ev, const struct node *node, const struct grid *grid,
                 double *out, struct error *err) MUST_CHECK;

/*
 * Call this with the number of samples (or lines, or cells) that were just worked
 * on: about every 1,024 it looks at the cancel flag and the clock.
 */
bool eval_tick(struct evaluation *ev, size_t samples, struct error *err) MUST_CHECK;

/* Samples now held in memory: ERR_LIMIT over limits.samples_max.  Release with a negative count. */
bool eval_hold(struct evaluation *ev, int64_t samples, struct error *err) MUST_CHECK;

/* An arena that counts against the query's memory, of which all have one; arena_free() it. */
struct arena *eval_arena(struct evaluation *ev);

/* ---- columns --------------------------------------------------------------- */

/* A column of `steps` absent cells with these labels; false over the arena's limit. */
bool column_init(struct column *column, struct labels labels, size_t steps, struct arena *arena);

/* Make room for histogram cells. */
bool column_add_histograms(struct column *column, size_t steps, struct arena *arena);

/* Cells with histograms become absent: for what works on floats alone. */
void column_drop_histograms(struct column *column, size_t steps);

/* A copy, labels included, in `arena`. */
bool column_copy(struct column *out, const struct column *column, size_t steps,
                 struct arena *arena);
bool columns_push(struct columns *columns, struct column column, struct arena *arena);
bool column_is_empty(const struct column *column, size_t steps);

/* The samples of collected columns are no longer in memory (the arena is about to be freed). */
void columns_release(struct evaluation *ev, struct columns *columns);

/* Push columns that are all there into a sink, at most BATCH_SERIES at a time. */
bool columns_emit(struct evaluation *ev, struct columns *columns, struct sink *sink,
                  struct error *err) MUST_CHECK;

/* A result loses its name now, or at the query's end (delayed name removal). */
bool column_drop_name(const struct evaluation *ev, struct column *column, struct arena *arena);

/*
 * Unite columns with equal labels, where no step has two of them; otherwise
 * "vector cannot contain metrics with the same labelset".  Keeps the order of first
 * occurrence.
 */
bool columns_unite(struct evaluation *ev, struct columns *columns, size_t steps,
                   struct arena *arena, struct error *err) MUST_CHECK;

/* Without the metadata labels (__name__, __type__, __unit__), sharing the texts. */
struct labels labels_drop_metadata(struct arena *arena, struct labels labels);

/* ---- leaves ---------------------------------------------------------------- */

struct leaf_ops {
    /*
     * `selector` is a NODE_SELECTOR.  `call` is NULL for an instant selector; the
     * range function's NODE_CALL when the selector is its range argument; or the
     * call of timestamp() over an instant selector.  `parameters[i]` are the values of
     * the call's scalar arguments per step (NULL for the others).  Gives columns in
     * the order of labels_compare() of what was stored, at most BATCH_SERIES and
     * BATCH_CELLS at a time; empty columns may be left out.  `grid` is the caller's:
     * the leaf applies offset and @ itself.
     */
    bool (*stream)(struct evaluation *ev, const struct node *selector, const struct node *call,
                   const double *const *parameters, const struct grid *grid, struct sink *sink,
                   struct error *err);
};
extern const struct leaf_ops leaf_metric; /* leaf_metric.c */
extern const struct leaf_ops leaf_log;    /* the log side */

/*
 * The times at which a leaf or subquery is read: `grid` moved by `shift`, @ resolved
 * with the query's own start and end.  With @ the grid has step 0.
 */
struct grid grid_shift(const struct evaluation *ev, const struct grid *grid,
                       const struct time_shift *shift);

/* ---- range functions over a series' samples ---------------------------------- */

/* One series' samples in time order, stale markers left out. */
struct window_run {
    const int64_t *times_ns;
    const double *values;
    const struct histogram *const *histograms; /* NULL: floats only; NULL entries: floats */
    const int64_t *starts_ns;                  /* when counters began; NULL: not known */
    size_t count;
};

/*
 * What a range function (function->window) is asked: for each step i of `grid` the
 * window is (t - range, t] with t the time of step i.  It sets out->cells[i] and
 * out->values[i]; windows move forward only, so it may slide.
 */
struct window_call {
    struct evaluation *ev;
    const struct node *node;     /* the NODE_CALL */
    const struct node *argument; /* its range argument: where annotations point to */
    const struct grid *caller;   /* the evaluation times */
    struct grid grid;            /* the windows' ends: shifted by offset and @ */
    int64_t range_ns;
    const double *const *parameters;
    struct labels labels;     /* of the series, for annotations */
    struct arena *arena;      /* scratch: dies with the batch */
    struct window_memo *memo; /* what is the same for series with the same times */
};

/* function->window or what else fits the run (window_histogram.c). */
bool window_apply(const struct function *function, struct window_call *call,
                  const struct window_run *run, struct column *out, struct error *err) MUST_CHECK;

/* The samples of window `step`: [*from, *to) in the run; both only move forward. */
static inline void window_bounds(const struct window_call *call, const struct window_run *run,
                                 size_t step, size_t *from, size_t *to)
{
    int64_t end = grid_time(&call->grid, step), start;
    if (__builtin_sub_overflow(end, call->range_ns, &start))
        start = INT64_MIN;
    while (*to < run->count && run->times_ns[*to] <= end)
        (*to)++;
    while (*from < *to && run->times_ns[*from] <= start)
        (*from)++;
}

#endif
