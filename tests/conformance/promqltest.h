/*
 * promqltest.h - the `.test` files of PromQL conformance, as commands and cases.
 *
 * promqltest_parse.c reads them, promqltest_run.c runs one case against a store,
 * promqltest_compare.c compares results, conformance_promql.c is the program.
 */
#ifndef PROMQLTEST_H
#define PROMQLTEST_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/histogram.h"
#include "base/labels.h"
#include "query/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct store;

/* One position of a series line. */
struct value_item {
    bool missing;
    double value;
    const struct histogram *histogram; /* NULL: a float */
    bool has_hint;                     /* the text spells the histogram's hint */
};

struct series_line {
    struct labels labels;
    struct value_item *items;
    size_t count;
    int64_t *starts_ms; /* offsets from an @st line; NULL: none */
    bool *has_start;
};

enum expect_kind {
    EXPECT_FAIL,
    EXPECT_WARN,
    EXPECT_INFO,
    EXPECT_NO_WARN,
    EXPECT_NO_INFO,
    EXPECT_ORDERED,
    EXPECT_STRING,
    EXPECT_RANGE_VECTOR
};

struct expectation {
    enum expect_kind kind;
    bool exact, is_regex; /* neither: any text */
    struct slice text;
    int64_t from_ms, to_ms, step_ms; /* EXPECT_RANGE_VECTOR */
};

struct eval_case {
    const char *file;
    int line;
    bool instant;
    int64_t start_ms, end_ms, step_ms; /* instant: all the same, at start_ms */
    struct slice text;
    struct expectation *expects;
    size_t expect_count;
    struct series_line *lines;
    size_t line_count;
    bool scalar;
    double scalar_value;
};

enum command_kind { COMMAND_CLEAR, COMMAND_LOAD, COMMAND_EVAL };

struct command {
    enum command_kind kind;
    int line;
    int64_t load_step_ms;
    bool custom_buckets; /* load_with_nhcb */
    struct series_line *lines;
    size_t line_count;
    struct eval_case eval;
};

struct test_file {
    const char *path;
    struct command *commands;
    size_t count;
    struct arena *arena;
};

/* Fails with file and line in the message. */
bool test_file_parse(const char *path, struct test_file *out, struct error *err);
void test_file_free(struct test_file *file);

/* Does the case expect this kind of thing; how often? */
size_t case_expects(const struct eval_case *c, enum expect_kind kind);

/* ---- histograms (promqltest_histogram.c) --------------------------------------------- */

/* "{{key:value ...}}" at the start of `*rest`, which is cut off. */
bool histogram_parse(struct slice *rest, struct arena *arena, struct value_item *item);
/* a + sign * b, as the evaluator adds. */
const struct histogram *histogram_plus(const struct histogram *a, const struct histogram *b,
                                       double sign, struct arena *arena);
bool histogram_matches(const struct value_item *expected, const struct histogram *got);
void histogram_show(struct buffer *out, const struct histogram *h);
bool same_value(double a, double b);

/* The classic histograms of a load_with_nhcb block as series with custom buckets. */
bool custom_series(const struct command *command, struct arena *arena, struct series_line **lines,
                   size_t *count);

/* ---- comparing --------------------------------------------------------------------- */

/* How a result is looked at. */
struct compare_mode {
    bool values_only;   /* annotations are not compared */
    bool range;         /* the result of a range query */
    int64_t only_at_ms; /* with `pick`: of a matrix only the points at this time */
    bool pick;
};

/* True when it is as expected; else `why` says what was expected and what came. */
bool compare_result(const struct eval_case *c, const struct compare_mode *mode,
                    const struct query_result *result, struct buffer *why);
bool compare_error(const struct eval_case *c, const struct error *err, struct buffer *why);

/* ---- running ------------------------------------------------------------------------ */

struct run_context {
    struct store *store;
    struct slice tenant;
    struct pool *helpers; /* every query runs again with them */
};

/* Store a load block. */
bool load_block(struct run_context *context, const struct command *command, struct error *err);

/* The evaluation as written and its re-runs. */
bool run_case(struct run_context *context, const struct eval_case *c, struct buffer *why);

/* Run a list of compliance queries (promql_queries.c). */
bool run_queries(struct run_context *context, const char *path, size_t *passed, size_t *failed,
                 struct error *err);

#endif
