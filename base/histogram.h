/*
 * histogram.h - native histograms as values.
 *
 * The model is Prometheus' float histogram: a schema, a zero bucket, and
 * positive and negative buckets whose places are given by spans.  Schemas -4 to 8
 * are exponential: bucket i covers (2^((i-1)*2^-schema), 2^(i*2^-schema)].
 * HISTOGRAM_SCHEMA_CUSTOM has explicit bounds: bucket i covers
 * (custom[i-1], custom[i]], the first from -Inf, the last to +Inf, and no negative or
 * zero buckets.  Counts are doubles; `integer` remembers that they came as
 * whole numbers.
 *
 * A struct histogram never owns its arrays; it is immutable once made, so copies
 * of the struct may share them.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;

enum {
    HISTOGRAM_SCHEMA_MIN = -4,
    HISTOGRAM_SCHEMA_MAX = 8,
    HISTOGRAM_SCHEMA_CUSTOM = -53,
    HISTOGRAM_BUCKETS_MAX = 16384 /* of one sign, empty ones inside spans included */
};

enum counter_reset_hint {
    HISTOGRAM_RESET_UNKNOWN,
    HISTOGRAM_RESET,
    HISTOGRAM_NOT_RESET,
    HISTOGRAM_GAUGE
};

/* `length` consecutive buckets that follow a gap of `offset` (the first: the index itself). */
struct histogram_span {
    int32_t offset;
    uint32_t length;
};

struct histogram_side {
    const struct histogram_span *spans;
    size_t span_count;
    const double *buckets; /* absolute counts, one for each bucket of the spans */
    size_t bucket_count;
};

struct histogram {
    int32_t schema;
    enum counter_reset_hint hint;
    bool integer;
    double zero_threshold, zero_count, count, sum;
    struct histogram_side positive, negative;
    const double *custom; /* finite upper bounds, ascending; schema custom only */
    size_t custom_count;
};

/* A deep copy; NULL over the arena's limit. */
struct histogram *histogram_copy(struct arena *arena, const struct histogram *h);

/* A stale marker has the stale NaN as its sum. */
bool histogram_is_stale(const struct histogram *h);

/* The same bit for bit, `hint` and `integer` apart. */
bool histogram_same(const struct histogram *a, const struct histogram *b);

/*
 * What may be stored: known schema, spans that agree with the buckets and with the
 * limits, ascending finite custom bounds, no negative count; of integer histograms
 * also a count that equals the buckets' sum (with a NaN sum: is not below it).
 * ERR_INVALID names the rule that is broken, in Prometheus' words.
 */
bool histogram_check(const struct histogram *h, struct error *err) MUST_CHECK;

/* Do spans, buckets and bounds agree, within their limits?  (Counts may be anything.) */
bool histogram_check_shape(const struct histogram *h, struct error *err) MUST_CHECK;

/*
 * Merge the buckets of an exponential histogram to the coarser `schema`; new arrays
 * come from `arena`.  Nothing happens when it is as coarse already.  False over the
 * arena's limit.
 */
bool histogram_coarsen(struct arena *arena, struct histogram *h, int32_t schema) MUST_CHECK;

/*
 * Is `next` a counter that was reset since `before`?  As Prometheus decides it:
 * an explicit HISTOGRAM_RESET or HISTOGRAM_NOT_RESET of `next` says it; otherwise when
 * the count, the zero count or any bucket fell, a populated bucket vanished, the
 * schema grew or the zero threshold shrank.  With different custom bounds the
 * sums between the bounds that both have are compared.
 */
bool histogram_was_reset(const struct histogram *before, const struct histogram *next);

/* The upper bound of exponential bucket `index` of the positive side; DBL_MAX for the last one. */
double histogram_bound(int64_t index, int32_t schema);

#endif
