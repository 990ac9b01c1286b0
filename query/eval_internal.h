/*
 * eval_internal.h - what the evaluator's files call in one another.
 */
#ifndef QUERY_EVAL_INTERNAL_H
#define QUERY_EVAL_INTERNAL_H

#include "base/compiler.h"
#include "query/eval.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct error;
struct function;

#define NS_IN_MS INT64_C(1000000)

/* A metric time as PromQL sees it: whole milliseconds as seconds. */
static inline double seconds_of(int64_t ns)
{
    return (double)(ns / NS_IN_MS) / 1000.0;
}

/* Compensated addition (Kahan-Babuska-Neumaier) as Prometheus does it. */
static inline void kahan_add(double x, double *sum, double *c)
{
    double t = *sum + x;
    if (__builtin_isinf(t))
        *c = 0;
    else if (__builtin_fabs(*sum) >= __builtin_fabs(x))
        *c += (*sum - t) + x;
    else
        *c += (x - t) + *sum;
    *sum = t;
}

/*
 * The same with the error of the addition worked out without a branch: it is the very same
 * number, because it can be represented and there is one.  Not for sums that become infinite.
 */
static inline void kahan_add_finite(double x, double *sum, double *c)
{
    double t = *sum + x;
    double z = t - *sum;
    *c += (*sum - (t - z)) + (x - z);
    *sum = t;
}

/* eval.c: evaluate `call`'s range argument through the leaf or subquery, with `function->window`.
 */
bool eval_range_call(struct evaluation *ev, const struct node *call, const struct grid *grid,
                     struct sink *sink, struct error *err) MUST_CHECK;

/* Values of the scalar arguments of a call (NULL for the others), per step, in `arena`. */
bool eval_parameters(struct evaluation *ev, const struct node *call, const struct grid *grid,
                     struct arena *arena, const double *const **out, struct error *err) MUST_CHECK;

/* Can the columns of this expression have different metric names? */
bool node_mixes_names(const struct node *node);

/*
 * Stream `node` through the sink `map`, whose `*next` is the final sink: when names that are
 * dropped on the way may fall together at once, the columns are collected behind `map`
 * and united.  The leaf version is for a selector with a call of its own.
 */
bool eval_map_united(struct evaluation *ev, const struct node *node, const struct grid *grid,
                     struct sink *map, struct sink **next, struct error *err) MUST_CHECK;
bool eval_leaf_united(struct evaluation *ev, const struct node *selector, const struct node *call,
                      const struct grid *grid, struct sink *map, struct sink **next,
                      struct error *err) MUST_CHECK;

/* Stable. */
void columns_sort(struct columns *columns,
                  int (*compare)(const void *a, const void *b, void *context), void *context);

/* The value of a string argument. */
static inline struct slice node_text(const struct node *node)
{
    return node_unwrap(node)->string;
}

/* An empty result with an arena (query.c); 0: the default limit. */
struct query_result *query_result_new(enum query_result_type type, size_t memory_max);

/* The result of a range selector or subquery alone, in an instant query (range_vector.c). */
bool range_vector(struct evaluation *ev, const struct node *node, struct query_result *result,
                  struct error *err) MUST_CHECK;

/* Does the expression itself order an instant vector: sort(), topk() and their kin? */
bool query_is_ordered(const struct node *root);

/* subquery.c: the samples that each window looks at, for statistics. */
void eval_count_windows(const struct window_call *call, const struct window_run *run);
bool subquery_stream(struct evaluation *ev, const struct node *subquery, const struct node *call,
                     const double *const *parameters, const struct grid *grid, struct sink *sink,
                     struct error *err) MUST_CHECK;
/* The grid on which a subquery's inner expression is evaluated; false when it is empty. */
bool subquery_grid(const struct evaluation *ev, const struct node *subquery,
                   const struct grid *grid, struct grid *inner);

/* binary.c, binary_match.c, binary_set.c */
bool binary_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                   struct sink *sink, struct error *err) MUST_CHECK;
double scalar_operation(enum binary_operator op, double left, double right);
/* One pair of floats: the result, and whether a filtering comparison keeps it. */
double float_operation(enum binary_operator op, double left, double right, bool *keep);
/* A sample that an operator works on. */
struct operand {
    double value;
    const struct histogram *histogram; /* NULL: a float */
};
/* binary_histogram.c: any pair; false: no result (which was annotated). */
bool histogram_operation(struct evaluation *ev, const struct node *node, struct operand left,
                         struct operand right, struct arena *arena, struct operand *out,
                         bool *keep);
bool operator_changes_meaning(enum binary_operator op);
bool match_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                  struct sink *sink, struct error *err) MUST_CHECK;
bool set_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                struct sink *sink, struct error *err) MUST_CHECK;

/* Signatures of columns for matching: a group number per column (match_keys.c). */
struct match_keys {
    uint32_t *left, *right; /* group of each column */
    uint32_t groups;
};
bool match_keys_make(const struct matching *matching, const struct columns *left,
                     const struct columns *right, struct arena *arena, struct match_keys *out,
                     struct error *err) MUST_CHECK;

/* aggregate.c, aggregate_select.c */
bool aggregate_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                      struct sink *sink, struct error *err) MUST_CHECK;
/* aggregate_histogram.c: per group and step, `*groups` is made at the first histogram. */
struct histogram_group; /* opaque: aggregate_histogram.c */
bool aggregate_histograms(struct evaluation *ev, const struct aggregation *a,
                          struct histogram_group ***groups, const struct column *column,
                          size_t steps, struct arena *arena);
/* NULL: no result. */
const struct histogram *aggregate_histogram(struct evaluation *ev, const struct aggregation *a,
                                            struct histogram_group *g, bool has_float,
                                            struct arena *arena);
/* "ignored histogram in max aggregation" */
void annotate_ignored(struct evaluation *ev, enum aggregator op, uint32_t at);
bool aggregate_select_stream(struct evaluation *ev, const struct node *node,
                             const struct grid *grid, struct sink *sink, struct error *err)
    MUST_CHECK;
bool count_values_stream(struct evaluation *ev, const struct node *node, const struct grid *grid,
                         struct sink *sink, struct error *err) MUST_CHECK;
/* The group's labels of a series. */
struct labels grouping_labels(const struct grouping *grouping, struct labels labels,
                              struct arena *arena);

/* Label sets -> numbers 0, 1, ... in order of first sight. */
struct label_index; /* opaque: label_index.c */
struct label_index *label_index_new(struct arena *arena);
void label_index_free(struct label_index *index);
/* The set's number; `*added` when it is new (then it was copied into the arena). UINT32_MAX: over
 * the limit. */
uint32_t label_index_put(struct label_index *index, struct labels labels, bool *added);
struct labels label_index_get(const struct label_index *index, uint32_t number);
uint32_t label_index_count(const struct label_index *index);

/* quantile.c: the warning about a quantile outside of 0 to 1. */
void annotate_quantile(struct evaluation *ev, double q, uint32_t at);

/* quantile.c: interpolated quantile of unsorted values, which are reordered. */
double quantile_of(double q, double *values, size_t count);
/* The same of values that are in the order of compare_values(). */
double quantile_of_sorted(double q, const double *values, size_t count);
/* NaN first, then ascending. */
int compare_values(const void *a, const void *b);

/* window_over_time.c: of the floats [from, to), to > from. */
double window_value_sum(const struct window_run *run, size_t from, size_t to);
double window_value_avg(const struct window_run *run, size_t from, size_t to);

/* window_rate.c: a hint when the name does not look like a counter's and there is a result. */
void window_check_name(const struct window_call *call, const struct column *out);

/* window_extended.c: anchored and smoothed selectors. */
/* The samples (start - lookback, end + what smoothed looks ahead] are [from, to). */
struct window_reach {
    size_t from, to;
    int64_t start, end; /* the window itself */
};
void window_reach_move(const struct window_call *call, const struct window_run *run, size_t step,
                       struct window_reach *r);
/* The samples that stand for the window's start and end; the reach is not empty. */
void window_reach_ends(const struct window_run *run, const struct window_reach *r, bool smoothed,
                       size_t *first, size_t *last);
bool window_extended_float(const struct window_call *call, const struct window_run *run,
                           const struct window_reach *r, bool counter, double *result);
/* A smoothed value at `t`; `next` is the first sample at or behind it. */
void window_smoothed_float(const struct window_run *run, size_t next, int64_t t, bool has_last,
                           bool has_next, struct column *out, size_t step);
bool window_extended_check(const struct selector *s, struct slice function, struct error *err)
    MUST_CHECK;
bool window_extended_change(struct window_call *call, const struct window_run *run,
                            struct column *out, bool counter, bool per_second, struct error *err)
    MUST_CHECK;
bool window_anchored_count(struct window_call *call, const struct window_run *run,
                           struct column *out, bool (*counts)(double before, double now),
                           struct error *err) MUST_CHECK;
void window_smoothed_instant(const struct window_call *call, const struct window_run *run,
                             struct column *out);
static inline bool window_is_extended(const struct window_call *call)
{
    return call->argument->kind == NODE_SELECTOR &&
           (call->argument->selector.anchored || call->argument->selector.smoothed);
}

/* plan.c: resolve duration expressions, mark what does not vary. */
bool query_prepare(struct ast *ast, struct evaluation *ev, struct error *err) MUST_CHECK;

/* function_sort.c */
int compare_natural(struct slice a, struct slice b);

/* Text of labels in an error message, cut to a sensible size, in `arena`. */
const char *labels_text(struct arena *arena, struct labels labels);

#endif
