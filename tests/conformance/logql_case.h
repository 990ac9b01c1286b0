/*
 * logql_case.h - one LogQL conformance case: loading its input into a store of its own
 * tenant and comparing what a query gave with what was recorded.
 */
#ifndef TESTS_LOGQL_CASE_H
#define TESTS_LOGQL_CASE_H

#include "base/buffer.h"
#include "query/query.h"

#include <jansson.h>
#include <stdbool.h>

struct error;
struct store;

/* Text of a JSON string; the empty slice for anything else. */
struct slice text_of(const json_t *value);

/* A label set in `arena`, sorted by name. */
struct labels labels_of(const json_t *object, struct arena *arena);

/* Write the case's streams for `tenant`. */
bool case_load(struct store *store, struct slice tenant, const json_t *input, struct error *err);

/* The times of the first and last entry of the input; false when there is none. */
bool case_bounds(const json_t *input, int64_t *first_ns, int64_t *last_ns);

/*
 * Comparisons: true when they agree, else `difference` says what was expected and
 * what came.
 */
bool compare_pipeline(const json_t *test, const struct query_result *result,
                      struct buffer *difference);
bool compare_streams(const json_t *expect, const struct query_result *result,
                     struct buffer *difference);
bool compare_series(const json_t *expect, const struct query_result *result,
                    struct buffer *difference);

#endif
