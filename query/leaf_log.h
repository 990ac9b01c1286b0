/*
 * leaf_log.h - LogQL's range aggregations over log leaves, and what the plan tells
 * the leaf about them.
 */
#ifndef QUERY_LEAF_LOG_H
#define QUERY_LEAF_LOG_H

#include <stdbool.h>

/* struct function's log_operation. */
enum log_operation {
    /* over lines */
    LOG_COUNT_OVER_TIME,
    LOG_RATE,
    LOG_BYTES_OVER_TIME,
    LOG_BYTES_RATE,
    LOG_ABSENT_OVER_TIME,
    /* over unwrapped values */
    LOG_RATE_VALUES, /* rate() of a selector with unwrap: the sum of the values per second */
    LOG_RATE_COUNTER,
    LOG_SUM_OVER_TIME,
    LOG_AVG_OVER_TIME,
    LOG_MAX_OVER_TIME,
    LOG_MIN_OVER_TIME,
    LOG_FIRST_OVER_TIME,
    LOG_LAST_OVER_TIME,
    LOG_STDVAR_OVER_TIME,
    LOG_STDDEV_OVER_TIME,
    LOG_QUANTILE_OVER_TIME
};

static inline bool log_operation_needs_unwrap(int operation)
{
    return operation >= LOG_RATE_VALUES;
}

/* May the selector have an unwrap?  Only rate() and absent_over_time() go either way. */
static inline bool log_operation_takes_unwrap(int operation)
{
    return operation >= LOG_RATE_VALUES || operation == LOG_RATE ||
           operation == LOG_ABSENT_OVER_TIME;
}

#endif
