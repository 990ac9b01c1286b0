/*
 * aggregate_histogram.c - sum and avg over histograms.
 *
 * Beside the floats' accumulators a group has one compensated histogram for each
 * step.  A step that has seen both floats and histograms, or buckets that do not go
 * together, gives no result.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/number.h"
#include "query/annotations.h"
#include "query/eval_internal.h"
#include "query/histogram_work.h"

struct histogram_group {
    struct histogram_work sum;
    double count;
    bool incremental, incompatible;
    unsigned hints; /* bit per hint seen */
};

static void warn_mixed_buckets(struct evaluation *ev, const struct node *argument,
                               struct labels labels)
{
    struct buffer quoted;
    buffer_init(&quoted, 1000);
    buffer_append_quoted(&quoted, labels_get(labels, LABEL_NAME_METRIC));
    annotate(ev->annotations, ANNOTATION_WARNING, argument->start,
             "vector contains a mix of histograms with exponential and custom buckets schemas for "
             "metric name %.*s",
             SLICE_ARG(buffer_slice(&quoted)));
    buffer_done(&quoted);
}

static void add(struct evaluation *ev, const struct aggregation *a, struct histogram_group *g,
                const struct column *column, const struct histogram *h)
{
    if (g->incompatible)
        return;
    g->count++;
    g->hints |= 1u << h->hint;
    unsigned said = a->op == AGG_SUM ? work_add(&g->sum, h, 1, true)
                                     : work_add_mean(&g->sum, h, g->count, &g->incremental);
    if (said & WORK_INCOMPATIBLE) {
        g->incompatible = true;
        warn_mixed_buckets(ev, a->argument, column->labels);
    }
    if (said & WORK_RECONCILED)
        annotate(ev->annotations, ANNOTATION_INFO, a->argument->start,
                 "mismatched custom buckets were reconciled during aggregation");
}

bool aggregate_histograms(struct evaluation *ev, const struct aggregation *a,
                          struct histogram_group ***groups, const struct column *column,
                          size_t steps, struct arena *arena)
{
    if (*groups == NULL)
        *groups = arena_calloc(arena, steps, sizeof(struct histogram_group *));
    for (size_t i = 0; *groups && i < steps; i++) {
        if (column->cells[i] != CELL_HISTOGRAM)
            continue;
        struct histogram_group *g = (*groups)[i];
        const struct histogram *h = column->histograms[i];
        if (g) {
            add(ev, a, g, column, h);
            continue;
        }
        g = arena_calloc(arena, 1, sizeof(*g));
        if (g == NULL)
            return false;
        g->count = 1;
        g->hints = 1u << h->hint;
        work_init(&g->sum, h, arena);
        (*groups)[i] = g;
    }
    return !arena_exhausted(arena);
}

const struct histogram *aggregate_histogram(struct evaluation *ev, const struct aggregation *a,
                                            struct histogram_group *g, bool has_float,
                                            struct arena *arena)
{
    if (has_float) {
        annotate(ev->annotations, ANNOTATION_WARNING, a->argument->start,
                 "encountered a mix of histograms and floats for aggregation");
        return NULL;
    }
    if (g->incompatible)
        return NULL;
    const unsigned both = 1u << HISTOGRAM_RESET | 1u << HISTOGRAM_NOT_RESET;
    if ((g->hints & both) == both)
        annotate(ev->annotations, ANNOTATION_WARNING, a->argument->start,
                 "conflicting counter resets during histogram aggregation");
    if (a->op == AGG_AVG && !g->incremental)
        work_divide(&g->sum, g->count);
    return work_finish(&g->sum, true, arena);
}
