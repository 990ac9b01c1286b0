/*
 * result_same.h - are two results of a query the same, bit by bit?
 *
 * Statistics of time are left out, those of samples are compared.
 */
#ifndef TESTS_RESULT_SAME_H
#define TESTS_RESULT_SAME_H

#include "base/bytes.h"
#include "base/histogram.h"
#include "query/query.h"

static inline bool point_same(const struct query_point *a, const struct query_point *b)
{
    if (a->time_ns != b->time_ns || (a->histogram == NULL) != (b->histogram == NULL))
        return false;
    return a->histogram ? histogram_same(a->histogram, b->histogram)
                        : double_bits(a->value) == double_bits(b->value);
}

static inline bool series_same(const struct query_series *a, const struct query_series *b)
{
    if (a->count != b->count || !labels_equal(a->labels, b->labels))
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!point_same(&a->points[i], &b->points[i]))
            return false;
    }
    return true;
}

static inline bool texts_same(const struct slice *a, size_t a_count, const struct slice *b,
                              size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        if (!slice_equal(a[i], b[i]))
            return false;
    }
    return true;
}

/* What a client sees. */
static inline bool answer_same(const struct query_result *a, const struct query_result *b)
{
    if (a->type != b->type || a->series_count != b->series_count ||
        !texts_same(a->warnings, a->warning_count, b->warnings, b->warning_count) ||
        !texts_same(a->infos, a->info_count, b->infos, b->info_count))
        return false;
    if (a->type == RESULT_SCALAR && !point_same(&a->scalar, &b->scalar))
        return false;
    if (a->type == RESULT_STRING && !slice_equal(a->string, b->string))
        return false;
    for (size_t i = 0; i < a->series_count; i++) {
        if (!series_same(&a->series[i], &b->series[i]))
            return false;
    }
    return true;
}

static inline bool result_same(const struct query_result *a, const struct query_result *b)
{
    return answer_same(a, b) && a->stats.series == b->stats.series &&
           a->stats.samples == b->stats.samples && a->stats.queryable == b->stats.queryable &&
           a->stats.peak_samples == b->stats.peak_samples;
}

#endif
