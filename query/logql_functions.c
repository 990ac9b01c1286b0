/*
 * logql_functions.c - LogQL's tables of functions: the range aggregations over log
 * leaves, and the plain functions of the dialect.
 */
#include "query/function_tables.h"
#include "query/leaf_log.h"
#include "query/logql.h"

#define RANGE(text, operation, grouped)                                                            \
    {                                                                                              \
        .name = {text, sizeof(text) - 1}, .kind = FUNCTION_LOG, .result = TYPE_VECTOR,             \
        .parameters = {TYPE_MATRIX}, .parameter_count = 1, .grouping = (grouped),                  \
        .log_operation = (operation)                                                               \
    }

/* Sorted by name. */
const struct function log_range_functions[] = {
    RANGE("absent_over_time", LOG_ABSENT_OVER_TIME, false),
    RANGE("avg_over_time", LOG_AVG_OVER_TIME, true),
    RANGE("bytes_over_time", LOG_BYTES_OVER_TIME, false),
    RANGE("bytes_rate", LOG_BYTES_RATE, false),
    RANGE("count_over_time", LOG_COUNT_OVER_TIME, false),
    RANGE("first_over_time", LOG_FIRST_OVER_TIME, true),
    RANGE("last_over_time", LOG_LAST_OVER_TIME, true),
    RANGE("max_over_time", LOG_MAX_OVER_TIME, true),
    RANGE("min_over_time", LOG_MIN_OVER_TIME, true),
    {.name = {"quantile_over_time", 18},
     .kind = FUNCTION_LOG,
     .result = TYPE_VECTOR,
     .parameters = {TYPE_SCALAR, TYPE_MATRIX},
     .parameter_count = 2,
     .grouping = true,
     .log_operation = LOG_QUANTILE_OVER_TIME},
    RANGE("rate", LOG_RATE, false),
    RANGE("rate_counter", LOG_RATE_COUNTER, false),
    RANGE("stddev_over_time", LOG_STDDEV_OVER_TIME, true),
    RANGE("stdvar_over_time", LOG_STDVAR_OVER_TIME, true),
    RANGE("sum_over_time", LOG_SUM_OVER_TIME, false),
};
const size_t log_range_function_count = COUNT_OF(log_range_functions);

const struct function logql_functions[] = {
    {.name = {"label_replace", 13},
     .kind = FUNCTION_SPECIAL,
     .result = TYPE_VECTOR,
     .parameters = {TYPE_VECTOR, TYPE_STRING, TYPE_STRING, TYPE_STRING, TYPE_STRING},
     .parameter_count = 5,
     .special = special_label_replace},
    {.name = {"vector", 6},
     .kind = FUNCTION_SPECIAL,
     .result = TYPE_VECTOR,
     .parameters = {TYPE_SCALAR},
     .parameter_count = 1,
     .special = special_vector},
};
