/*
 * aggregate.c - aggregations that need no more than a few numbers per group and
 * step: sum, avg, min, max, count, group, stddev, stdvar.
 *
 * An aggregation is a sink: it adds each column to its group's accumulators in the
 * order in which columns come, and never keeps its input.  What needs all values
 * of a group lies in aggregate_select.c.
 */
#include "base/error.h"
#include "query/annotations.h"
#include "query/eval_internal.h"

#include <math.h>
#include <string.h>

struct group {
    struct labels labels;
    bool drop_name;
    double *value; /* per step: sum, extreme, or sum of squared differences */
    double *extra; /* compensation of the sum, or the mean */
    double *mean;  /* avg: the incremental mean */
    uint32_t *count;
    uint8_t *incremental;                /* avg: the sum would have overflowed */
    struct histogram_group **histograms; /* per step; NULL: none came */
};

struct aggregate_sink {
    struct sink sink;
    struct evaluation *ev;
    const struct aggregation *aggregation;
    size_t steps;
    struct arena *arena;
    struct arena *scratch;
    struct label_index *index;
    struct group *groups;
    size_t count, capacity;
};

struct labels grouping_labels(const struct grouping *grouping, struct labels labels,
                              struct arena *arena)
{
    if (!grouping->without)
        return labels_select(arena, labels, grouping->labels, grouping->count, true);
    struct labels kept = labels_select(arena, labels, grouping->labels, grouping->count, false);
    return labels_with(arena, kept, LABEL_NAME_METRIC, SLICE(""));
}

static bool group_init(struct aggregate_sink *a, struct group *group, struct labels labels)
{
    enum aggregator op = a->aggregation->op;
    *group = (struct group){.labels = labels};
    group->value = arena_calloc(a->arena, a->steps, sizeof(double));
    group->count = arena_calloc(a->arena, a->steps, sizeof(uint32_t));
    if (op == AGG_SUM || op == AGG_AVG || op == AGG_STDDEV || op == AGG_STDVAR)
        group->extra = arena_calloc(a->arena, a->steps, sizeof(double));
    if (op == AGG_AVG) {
        group->mean = arena_calloc(a->arena, a->steps, sizeof(double));
        group->incremental = arena_calloc(a->arena, a->steps, 1);
    }
    return !arena_exhausted(a->arena);
}

static struct group *find_group(struct aggregate_sink *a, struct labels labels)
{
    bool added;
    struct labels key = grouping_labels(&a->aggregation->grouping, labels, a->scratch);
    uint32_t at = label_index_put(a->index, key, &added);
    arena_reset(a->scratch);
    if (at == UINT32_MAX)
        return NULL;
    if (!added)
        return &a->groups[at];
    struct group *groups =
        arena_grow(a->arena, a->groups, a->count, &a->capacity, a->count + 1, sizeof(*groups));
    if (groups == NULL || !group_init(a, &groups[a->count], label_index_get(a->index, at)))
        return NULL;
    a->groups = groups;
    return &groups[a->count++];
}

/* ---- adding a column ---------------------------------------------------------------- */

static void add_sum_cells(struct group *group, const struct column *column, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (column->cells[i] != CELL_FLOAT)
            continue;
        if (group->count[i]++ == 0)
            group->value[i] = column->values[i];
        else
            kahan_add(column->values[i], &group->value[i], &group->extra[i]);
    }
}

typedef double lanes __attribute__((vector_size(32)));

/* Four steps that have a value in the group and in the column; false: one sum is not finite. */
static inline bool add_sum_lanes(struct group *group, const double *values, size_t at)
{
    lanes x, sum, c;
    memcpy(&x, values + at, sizeof(x));
    memcpy(&sum, &group->value[at], sizeof(sum));
    memcpy(&c, &group->extra[at], sizeof(c));
    lanes t = sum + x, z = t - sum;
    c += (sum - (t - z)) + (x - z);
    lanes none = (t - t) + (c - c); /* not 0 where it is infinite or NaN */
    if (none[0] + none[1] + none[2] + none[3] != 0)
        return false;
    memcpy(&group->value[at], &t, sizeof(t));
    memcpy(&group->extra[at], &c, sizeof(c));
    for (size_t k = at; k < at + 4; k++)
        group->count[k]++;
    return true;
}

/* Four steps at a time with the branchless addition, or one by one. */
static void add_sum(struct group *group, const struct column *column, size_t steps)
{
    static const uint8_t floats[4] = {CELL_FLOAT, CELL_FLOAT, CELL_FLOAT, CELL_FLOAT};
    size_t i = 0;
    for (; i + 4 <= steps; i += 4) {
        const uint32_t *count = &group->count[i];
        bool full = memcmp(&column->cells[i], floats, sizeof(floats)) == 0 && count[0] > 0 &&
                    count[1] > 0 && count[2] > 0 && count[3] > 0;
        if (!full || !add_sum_lanes(group, column->values, i))
            add_sum_cells(group, column, i, i + 4);
    }
    add_sum_cells(group, column, i, steps);
}

static void add_avg_cell(struct group *group, size_t i, double x)
{
    double count = ++group->count[i];
    if (count == 1) {
        group->value[i] = x;
        return;
    }
    if (!group->incremental[i]) {
        double sum = group->value[i], c = group->extra[i];
        kahan_add(x, &sum, &c);
        if (!isinf(sum)) {
            group->value[i] = sum;
            group->extra[i] = c;
            return;
        }
        group->incremental[i] = 1;
        group->mean[i] = group->value[i] / (count - 1);
        group->extra[i] /= count - 1;
    }
    double q = (count - 1) / count;
    group->mean[i] *= q;
    group->extra[i] *= q;
    kahan_add(x / count, &group->mean[i], &group->extra[i]);
}

static void add_avg(struct group *group, const struct column *column, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        if (column->cells[i] == CELL_FLOAT)
            add_avg_cell(group, i, column->values[i]);
    }
}

static void add_extreme(struct group *group, const struct column *column, size_t steps,
                        bool maximum)
{
    for (size_t i = 0; i < steps; i++) {
        if (column->cells[i] != CELL_FLOAT)
            continue;
        double x = column->values[i], best = group->value[i];
        if (group->count[i]++ == 0 || isnan(best) || (maximum ? best < x : best > x))
            group->value[i] = x;
    }
}

static void add_count(struct group *group, const struct column *column, size_t steps)
{
    for (size_t i = 0; i < steps; i++)
        group->count[i] += column->cells[i] != CELL_NONE;
}

/* Welford's running mean and sum of squares. */
static void add_variance(struct group *group, const struct column *column, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        if (column->cells[i] != CELL_FLOAT)
            continue;
        double x = column->values[i];
        if (group->count[i]++ == 0) {
            group->value[i] = isfinite(x) ? 0 : (double)NAN;
            group->extra[i] = x;
            continue;
        }
        double delta = x - group->extra[i];
        group->extra[i] += delta / group->count[i];
        group->value[i] += delta * (x - group->extra[i]);
    }
}

void annotate_ignored(struct evaluation *ev, enum aggregator op, uint32_t at)
{
    annotate(ev->annotations, ANNOTATION_INFO, at, "ignored histogram in %s aggregation",
             aggregator_text(op));
}

/* Sum and avg add them up, count and group have counted them, the others leave them out. */
static bool take_histograms(struct aggregate_sink *a, struct group *group,
                            const struct column *column, struct error *err)
{
    enum aggregator op = a->aggregation->op;
    if (op == AGG_COUNT || op == AGG_GROUP)
        return true;
    if (op == AGG_SUM || op == AGG_AVG)
        return aggregate_histograms(a->ev, a->aggregation, &group->histograms, column, a->steps,
                                    a->arena) ||
               arena_check(a->arena, "the query", err);
    for (size_t i = 0; i < a->steps; i++) {
        if (column->cells[i] == CELL_HISTOGRAM) {
            annotate_ignored(a->ev, op, a->aggregation->argument->start);
            return true;
        }
    }
    return true;
}

static bool aggregate_take(struct sink *self, struct column_batch *batch, struct error *err)
{
    struct aggregate_sink *a = (struct aggregate_sink *)self;
    for (size_t i = 0; i < batch->count; i++) {
        const struct column *column = &batch->items[i];
        struct group *group = find_group(a, column->labels);
        if (group == NULL)
            return arena_check(a->arena, "the query", err);
        group->drop_name = group->drop_name || column->drop_name;
        switch (a->aggregation->op) {
        case AGG_SUM:
            add_sum(group, column, a->steps);
            break;
        case AGG_AVG:
            add_avg(group, column, a->steps);
            break;
        case AGG_MIN:
        case AGG_MAX:
            add_extreme(group, column, a->steps, a->aggregation->op == AGG_MAX);
            break;
        case AGG_STDDEV:
        case AGG_STDVAR:
            add_variance(group, column, a->steps);
            break;
        default:
            add_count(group, column, a->steps);
        }
        if (column->histograms && !take_histograms(a, group, column, err))
            return false;
        if (!eval_tick(a->ev, a->steps, err))
            return false;
    }
    return true;
}

/* ---- results --------------------------------------------------------------------------- */

static double result_of(const struct group *group, size_t i, enum aggregator op)
{
    double count = group->count[i];
    switch (op) {
    case AGG_SUM:
        return group->value[i] + group->extra[i];
    case AGG_AVG:
        return group->incremental[i] ? group->mean[i] + group->extra[i]
                                     : group->value[i] / count + group->extra[i] / count;
    case AGG_COUNT:
        return count;
    case AGG_GROUP:
        return 1;
    case AGG_STDVAR:
        return group->value[i] / count;
    case AGG_STDDEV:
        return sqrt(group->value[i] / count);
    default:
        return group->value[i];
    }
}

/* A step with histograms; it has no other result. */
static bool histogram_result(struct aggregate_sink *a, const struct group *group, size_t step,
                             struct column *column)
{
    if (group->histograms == NULL || group->histograms[step] == NULL)
        return false;
    const struct histogram *h = aggregate_histogram(a->ev, a->aggregation, group->histograms[step],
                                                    group->count[step] > 0, a->arena);
    if (h && column_add_histograms(column, a->steps, a->arena)) {
        column->cells[step] = CELL_HISTOGRAM;
        column->histograms[step] = h;
    }
    return true;
}

static bool results(struct aggregate_sink *a, struct columns *out, struct error *err)
{
    for (size_t g = 0; g < a->count; g++) {
        const struct group *group = &a->groups[g];
        struct column column;
        if (!column_init(&column, group->labels, a->steps, a->arena))
            return arena_check(a->arena, "the query", err);
        column.drop_name = group->drop_name;
        for (size_t i = 0; i < a->steps; i++) {
            if (histogram_result(a, group, i, &column) || group->count[i] == 0)
                continue;
            column.cells[i] = CELL_FLOAT;
            column.values[i] = result_of(group, i, a->aggregation->op);
        }
        if (!column_is_empty(&column, a->steps) && !columns_push(out, column, a->arena))
            return arena_check(a->arena, "the query", err);
    }
    return true;
}

bool aggregate_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                      struct sink *sink, struct error *err)
{
    const struct aggregation *aggregation = &node->aggregation;
    if (aggregation->op == AGG_COUNT_VALUES)
        return count_values_stream(ev, node, grid, sink, err);
    if (aggregation->op >= AGG_TOPK)
        return aggregate_select_stream(ev, node, grid, sink, err);
    struct aggregate_sink a = {
        .sink = {aggregate_take},
        .ev = ev,
        .aggregation = aggregation,
        .steps = grid->steps,
        .arena = eval_arena(ev),
        .scratch = eval_arena(ev),
    };
    a.index = label_index_new(a.arena);
    struct columns out = {0};
    bool ok = eval_stream(ev, aggregation->argument, grid, &a.sink, err) &&
              results(&a, &out, err) && columns_emit(ev, &out, sink, err);
    label_index_free(a.index);
    arena_free(a.scratch);
    arena_free(a.arena);
    return ok;
}
