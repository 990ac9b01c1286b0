/*
 * function.h - what a function is called, takes and gives.
 *
 * Three tables of constants, each sorted by name: the plain functions of a
 * dialect (dialect->functions), the range functions over a metric leaf or a
 * subquery (PromQL's meaning), and those over a log leaf (LogQL's meaning).
 * The parser reads the arguments first, then chooses the table by the leaf of
 * the range argument, so rate() means Loki's rate over lines and
 * Prometheus' over samples, whichever the endpoint is.
 */
#ifndef QUERY_FUNCTION_H
#define QUERY_FUNCTION_H

#include "base/compiler.h"
#include "base/slice.h"
#include "query/ast.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct column;
struct error;
struct evaluation;
struct grid;
struct sink;
struct window_call;
struct window_run;

enum { FUNCTION_PARAMETERS_MAX = 5 };

enum function_kind {
    FUNCTION_RANGE,   /* `window` over each series' window */
    FUNCTION_MAP,     /* `map` changes each column of the vector argument */
    FUNCTION_SPECIAL, /* `special` does everything itself */
    FUNCTION_LOG      /* range aggregation over a log leaf: `log_operation` */
};

struct function {
    struct slice name;
    enum function_kind kind;
    enum value_type result;
    enum value_type parameters[FUNCTION_PARAMETERS_MAX];
    uint8_t parameter_count; /* listed above */
    int8_t variadic; /* 0: exactly these; else the last one may be left out, and may be given
                        `variadic` times (-1: any number of times) */
    bool experimental;
    bool missing;        /* known to the language, not built yet: refused when it is used */
    bool keeps_name;     /* does not drop __name__ */
    bool varies;         /* depends on the step even without a selector: time(), hour() */
    bool grouping;       /* FUNCTION_LOG: by and without may follow */
    bool label_selector; /* the second argument is a selector of labels only: info() */
    int log_operation;   /* FUNCTION_LOG: the log side's own numbering */

    /*
     * One series' run of samples -> one column.  The scalar parameters come per
     * step in call->parameters.
     */
    bool (*window)(struct window_call *call, const struct window_run *run, struct column *out,
                   struct error *err);

    /*
     * The same for runs with histograms or start timestamps.  NULL: `window` gets the floats
     * alone, or, with `any_sample`, the run as it is, because it never looks at values.
     */
    bool (*rich)(struct window_call *call, const struct window_run *run, struct column *out,
                 struct error *err);
    bool any_sample;

    /* Change a column of the vector argument in place; `parameters` are the scalar arguments. */
    void (*map)(struct evaluation *ev, const struct node *call, const double *const *parameters,
                const struct grid *grid, struct column *column);

    /* Evaluate the whole call into `sink` (result vector) or `scalar` (result scalar). */
    bool (*special)(struct evaluation *ev, const struct node *call, const struct grid *grid,
                    struct sink *sink, double *scalar, struct error *err);
};

/* The function `name` in a sorted table, or NULL. */
const struct function *function_find(const struct function *table, size_t count, struct slice name);

/* Range functions over metric samples (function_range.c) and over log lines (the log side). */
extern const struct function metric_range_functions[];
extern const size_t metric_range_function_count;
extern const struct function log_range_functions[];
extern const size_t log_range_function_count;

#endif
