/*
 * histogram.c - copying, comparing and checking native histograms (see histogram.h).
 *
 * A walk visits the buckets of one side from the zero bucket outward, merged
 * to a coarser schema when asked for, so that histograms of different
 * resolution are compared bucket by bucket.  All functions are pure.
 */
#include "base/histogram.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const uint64_t stale_bits = UINT64_C(0x7ff0000000000002);

/* ---- copies and comparison ----------------------------------------------- */

/* `count` items of `size` bytes; NULL with `*failed` over the limit, NULL for nothing. */
static const void *copy_items(struct arena *arena, const void *items, size_t count, size_t size,
                              bool *failed)
{
    if (count == 0)
        return NULL;
    void *copy = arena_calloc(arena, count, size);
    if (copy == NULL)
        *failed = true;
    else
        memcpy(copy, items, count * size);
    return copy;
}

static void copy_side(struct arena *arena, struct histogram_side *side, bool *failed)
{
    side->spans = copy_items(arena, side->spans, side->span_count, sizeof(*side->spans), failed);
    side->buckets =
        copy_items(arena, side->buckets, side->bucket_count, sizeof(*side->buckets), failed);
}

struct histogram *histogram_copy(struct arena *arena, const struct histogram *h)
{
    bool failed = false;
    struct histogram *copy = arena_alloc(arena, sizeof(*copy));
    if (copy == NULL)
        return NULL;
    *copy = *h;
    copy_side(arena, &copy->positive, &failed);
    copy_side(arena, &copy->negative, &failed);
    copy->custom = copy_items(arena, h->custom, h->custom_count, sizeof(*h->custom), &failed);
    return failed ? NULL : copy;
}

bool histogram_is_stale(const struct histogram *h)
{
    return double_bits(h->sum) == stale_bits;
}

static bool same_doubles(const double *a, size_t a_count, const double *b, size_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof(*a)) == 0);
}

static bool same_side(const struct histogram_side *a, const struct histogram_side *b)
{
    return a->span_count == b->span_count &&
           (a->span_count == 0 ||
            memcmp(a->spans, b->spans, a->span_count * sizeof(*a->spans)) == 0) &&
           same_doubles(a->buckets, a->bucket_count, b->buckets, b->bucket_count);
}

bool histogram_same(const struct histogram *a, const struct histogram *b)
{
    return a->schema == b->schema && double_bits(a->count) == double_bits(b->count) &&
           double_bits(a->sum) == double_bits(b->sum) &&
           double_bits(a->zero_threshold) == double_bits(b->zero_threshold) &&
           double_bits(a->zero_count) == double_bits(b->zero_count) &&
           same_side(&a->positive, &b->positive) && same_side(&a->negative, &b->negative) &&
           same_doubles(a->custom, a->custom_count, b->custom, b->custom_count);
}

double histogram_bound(int64_t index, int32_t schema)
{
    if (schema <= 0) {
        int64_t exponent = index * (INT64_C(1) << -schema);
        if (exponent == DBL_MAX_EXP)
            return DBL_MAX;
        return ldexp(1, (int)(exponent > 4096 ? 4096 : exponent < -4096 ? -4096 : exponent));
    }
    int64_t whole = index >> schema;
    int64_t part = index - whole * (INT64_C(1) << schema);
    if (part == 0 && whole == DBL_MAX_EXP)
        return DBL_MAX;
    return ldexp(exp2((double)part / (double)(INT64_C(1) << schema)),
                 (int)(whole > 4096    ? 4096
                       : whole < -4096 ? -4096
                                       : whole));
}

/* ---- what may be stored ---------------------------------------------------- */

static bool check_side_shape(const struct histogram_side *side, const char *name, struct error *err)
{
    uint64_t buckets = 0;
    if (side->span_count > HISTOGRAM_BUCKETS_MAX || side->bucket_count > HISTOGRAM_BUCKETS_MAX)
        return error_set(err, ERR_INVALID,
                         "%s side: histogram has %zu buckets in %zu spans, the limit is %d", name,
                         side->bucket_count, side->span_count, HISTOGRAM_BUCKETS_MAX);
    for (size_t i = 0; i < side->span_count; i++)
        buckets += side->spans[i].length;
    if (buckets != side->bucket_count)
        return error_set(err, ERR_INVALID, "%s side: spans need %ju buckets, have %zu buckets",
                         name, (uintmax_t)buckets, side->bucket_count);
    return true;
}

bool histogram_check_shape(const struct histogram *h, struct error *err)
{
    if (h->custom_count > HISTOGRAM_BUCKETS_MAX)
        return error_set(err, ERR_INVALID, "histogram has %zu custom bounds, the limit is %d",
                         h->custom_count, HISTOGRAM_BUCKETS_MAX);
    return check_side_shape(&h->positive, "positive", err) &&
           check_side_shape(&h->negative, "negative", err);
}

static bool check_spans(const struct histogram_side *side, bool custom, int64_t *end,
                        struct error *err)
{
    int64_t index = 0;
    uint64_t buckets = 0;
    if (side->bucket_count > HISTOGRAM_BUCKETS_MAX || side->span_count > HISTOGRAM_BUCKETS_MAX)
        return error_set(err, ERR_INVALID,
                         "histogram has %zu buckets in %zu spans, the limit is %d",
                         side->bucket_count, side->span_count, HISTOGRAM_BUCKETS_MAX);
    for (size_t i = 0; i < side->span_count; i++) {
        const struct histogram_span *span = &side->spans[i];
        if ((i > 0 || custom) && span->offset < 0)
            return error_set(err, ERR_INVALID,
                             "span number %zu with offset %d: histogram has a span whose offset is "
                             "negative",
                             i + 1, span->offset);
        index += (int64_t)span->offset + span->length;
        buckets += span->length;
    }
    if (buckets != side->bucket_count)
        return error_set(err, ERR_INVALID,
                         "spans need %ju buckets, have %zu buckets: histogram spans specify "
                         "different number of buckets than provided",
                         (uintmax_t)buckets, side->bucket_count);
    if (index > INT32_MAX)
        return error_set(err, ERR_INVALID, "histogram has a bucket with index %jd, the limit is %d",
                         (intmax_t)index, INT32_MAX);
    *end = index;
    return true;
}

/* No count is negative; `*sum` grows by all of them. */
static bool check_counts(const struct histogram_side *side, double *sum, struct error *err)
{
    for (size_t i = 0; i < side->bucket_count; i++) {
        if (side->buckets[i] < 0)
            return error_set(err, ERR_INVALID,
                             "bucket number %zu has observation count of %g: histogram has a "
                             "bucket whose observation count is negative",
                             i + 1, side->buckets[i]);
        *sum += side->buckets[i];
    }
    return true;
}

static bool check_bounds(const struct histogram *h, struct error *err)
{
    for (size_t i = 0; i < h->custom_count; i++) {
        if (isnan(h->custom[i]))
            return error_set(err, ERR_INVALID, "histogram custom bounds must not be NaN");
        if (i > 0 && h->custom[i] <= h->custom[i - 1])
            return error_set(err, ERR_INVALID,
                             "previous bound is %f and current is %f: histogram custom bounds must "
                             "be in strictly increasing order",
                             h->custom[i - 1], h->custom[i]);
    }
    if (h->custom_count > 0 && h->custom[h->custom_count - 1] == INFINITY)
        return error_set(err, ERR_INVALID,
                         "last +Inf bound must not be explicitly defined: histogram custom bounds "
                         "must be finite");
    return true;
}

static bool check_custom(const struct histogram *h, struct error *err)
{
    int64_t end;
    if (h->custom_count > HISTOGRAM_BUCKETS_MAX)
        return error_set(err, ERR_INVALID, "histogram has %zu custom bounds, the limit is %d",
                         h->custom_count, HISTOGRAM_BUCKETS_MAX);
    if (!check_bounds(h, err) || !check_spans(&h->positive, true, &end, err))
        return error_prefix(err, "custom buckets");
    if ((int64_t)h->custom_count + 1 < end)
        return error_set(err, ERR_INVALID,
                         "custom buckets: only %zu custom bounds defined which is insufficient to "
                         "cover total span length of %jd: histogram custom bounds are too few",
                         h->custom_count, (intmax_t)end);
    if (h->zero_count != 0)
        return error_set(err, ERR_INVALID, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return error_set(err, ERR_INVALID, "custom buckets: must have zero threshold of 0");
    if (h->negative.span_count > 0)
        return error_set(err, ERR_INVALID, "custom buckets: must not have negative spans");
    if (h->negative.bucket_count > 0)
        return error_set(err, ERR_INVALID, "custom buckets: must not have negative buckets");
    return true;
}

static bool check_exponential(const struct histogram *h, double *sum, struct error *err)
{
    int64_t end;
    if (h->schema < HISTOGRAM_SCHEMA_MIN || h->schema > HISTOGRAM_SCHEMA_MAX)
        return error_set(err, ERR_INVALID,
                         "histogram has an invalid schema, which must be between %d and %d for "
                         "exponential buckets, or %d for custom buckets, got schema %d",
                         HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM,
                         h->schema);
    if (!check_spans(&h->positive, false, &end, err))
        return error_prefix(err, "positive side");
    if (!check_spans(&h->negative, false, &end, err) || !check_counts(&h->negative, sum, err))
        return error_prefix(err, "negative side");
    if (h->zero_count < 0)
        return error_set(err, ERR_INVALID,
                         "zero bucket has observation count of %g: histogram has a bucket whose "
                         "observation count is negative",
                         h->zero_count);
    if (h->custom_count > 0)
        return error_set(err, ERR_INVALID,
                         "histogram with exponential schema must not have custom bounds");
    return true;
}

bool histogram_check(const struct histogram *h, struct error *err)
{
    double sum = h->zero_count;
    bool ok = h->schema == HISTOGRAM_SCHEMA_CUSTOM ? check_custom(h, err)
                                                   : check_exponential(h, &sum, err);
    if (!ok)
        return false;
    if (h->count < 0)
        return error_set(err, ERR_INVALID,
                         "observation count is %g: histogram's observation count is negative",
                         h->count);
    if (!check_counts(&h->positive, &sum, err))
        return error_prefix(err, "positive side");
    if (!h->integer)
        return true;
    if (isnan(h->sum)) {
        if (sum > h->count)
            return error_set(err, ERR_INVALID,
                             "%.0f observations found in buckets, but the Count field is %.0f: "
                             "histogram's observation count should be at least the number of "
                             "observations found in the buckets",
                             sum, h->count);
        return true;
    }
    if (sum != h->count)
        return error_set(err, ERR_INVALID,
                         "%.0f observations found in buckets, but the Count field is %.0f: "
                         "histogram's observation count should equal the number of observations "
                         "found in the buckets (in absence of NaN)",
                         sum, h->count);
    return true;
}

/* ---- resets ------------------------------------------------------------------ */

/* Where a walk over one side stands; the first bucket comes with walk_next(). */
struct walk {
    const struct histogram_side *side;
    int shift;            /* of indexes, to the wanted schema; 0: as they are */
    size_t span, bucket;  /* the next bucket to read */
    uint32_t in_span;     /* how many of the span were read */
    int64_t source_index; /* of the next bucket, before shifting */
    int64_t index;        /* of the bucket at hand */
    double count;
};

static struct walk walk_of(const struct histogram_side *side, int shift)
{
    return (struct walk){.side = side,
                         .shift = shift,
                         .source_index = side->span_count > 0 ? side->spans[0].offset : 0};
}

/* Skip spans that were read to their end; false when there is no bucket any more. */
static bool walk_seek(struct walk *w)
{
    while (w->span < w->side->span_count && w->in_span >= w->side->spans[w->span].length) {
        w->in_span = 0;
        if (++w->span < w->side->span_count)
            w->source_index += w->side->spans[w->span].offset;
    }
    return w->span < w->side->span_count && w->bucket < w->side->bucket_count;
}

static int64_t coarser(int64_t index, int shift)
{
    return ((index - 1) >> shift) + 1;
}

static bool walk_next(struct walk *w)
{
    if (!walk_seek(w))
        return false;
    w->index = coarser(w->source_index, w->shift);
    w->count = 0;
    do {
        w->count += w->side->buckets[w->bucket++];
        w->in_span++;
        w->source_index++;
    } while (w->shift > 0 && walk_seek(w) && coarser(w->source_index, w->shift) == w->index);
    return true;
}

/* The first bucket that reaches above `threshold`, and all behind it. */
static bool walk_next_above(struct walk *w, double threshold, int32_t schema)
{
    bool first = w->bucket == 0;
    while (walk_next(w)) {
        if (!first || schema == HISTOGRAM_SCHEMA_CUSTOM ||
            histogram_bound(w->index, schema) > threshold)
            return true;
    }
    return false;
}

/* Did a populated bucket of `before` fall or vanish? */
static bool side_was_reset(const struct histogram_side *before, int shift,
                           const struct histogram_side *next, double threshold, int32_t schema)
{
    struct walk old = walk_of(before, shift), new = walk_of(next, 0);
    bool more = walk_next_above(&new, threshold, schema);
    while (walk_next_above(&old, threshold, schema)) {
        while (more && new.index < old.index)
            more = walk_next(&new);
        bool vanished = !more || new.index > old.index;
        if (vanished ? old.count != 0 : new.count < old.count)
            return true;
    }
    return false;
}

/*
 * Add to `*count` the buckets of a side that a zero bucket up to `*threshold`
 * takes in.  True when it ends inside a populated bucket: the threshold was raised to its end.
 */
static bool absorb_side(const struct histogram_side *side, int32_t schema, double *threshold,
                        double *count)
{
    struct walk w = walk_of(side, 0);
    while (walk_next(&w) && histogram_bound(w.index - 1, schema) < *threshold) {
        *count += w.count;
        double upper = histogram_bound(w.index, schema);
        if (upper <= *threshold)
            continue;
        if (w.count == 0)
            return false;
        *threshold = upper;
        return true;
    }
    return false;
}

/* Is the zero bucket of `next`, which is not narrower, the smaller one? */
static bool zero_was_reset(const struct histogram *before, const struct histogram *next)
{
    if (before->zero_threshold == next->zero_threshold)
        return next->zero_count < before->zero_count;
    double threshold = next->zero_threshold;
    double count = before->zero_count;
    if (absorb_side(&before->positive, before->schema, &threshold, &count) ||
        absorb_side(&before->negative, before->schema, &threshold, &count))
        return true; /* the new threshold lies within a populated bucket */
    return next->zero_count < count;
}

static double custom_bound(const struct histogram *h, int64_t index)
{
    return index < (int64_t)h->custom_count ? h->custom[index] : INFINITY;
}

/* The sum of the buckets up to `bound`; `*more` says whether `w` stands at a bucket not yet added.
 */
static double roll_up(struct walk *w, const struct histogram *h, double bound, bool *more)
{
    double sum = 0;
    while (*more && custom_bound(h, w->index) <= bound) {
        sum += w->count;
        *more = walk_next(w);
    }
    return sum;
}

/* Custom bounds differ: compare what lies between the bounds that both have. */
static bool bounds_were_reset(const struct histogram *before, const struct histogram *next)
{
    struct walk old = walk_of(&before->positive, 0), new = walk_of(&next->positive, 0);
    bool old_more = walk_next(&old), new_more = walk_next(&new);
    size_t i = 0, k = 0;
    while (i <= before->custom_count && k <= next->custom_count) {
        double old_bound = custom_bound(before, (int64_t)i);
        double new_bound = custom_bound(next, (int64_t)k);
        if (old_bound == new_bound) {
            double old_sum = roll_up(&old, before, old_bound, &old_more);
            if (roll_up(&new, next, new_bound, &new_more) < old_sum)
                return true;
        }
        i += old_bound <= new_bound;
        k += new_bound <= old_bound;
    }
    return false;
}

static bool same_bounds(const struct histogram *a, const struct histogram *b)
{
    if (a->custom_count != b->custom_count)
        return false;
    for (size_t i = 0; i < a->custom_count; i++)
        if (a->custom[i] != b->custom[i])
            return false;
    return true;
}

bool histogram_was_reset(const struct histogram *before, const struct histogram *next)
{
    if (next->hint == HISTOGRAM_RESET || next->hint == HISTOGRAM_NOT_RESET)
        return next->hint == HISTOGRAM_RESET;
    if (next->count < before->count)
        return true;
    bool custom = next->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (custom && before->schema != HISTOGRAM_SCHEMA_CUSTOM)
        return true;
    if (custom && !same_bounds(before, next))
        return bounds_were_reset(before, next);
    if (next->schema > before->schema || next->zero_threshold < before->zero_threshold)
        return true;
    if (zero_was_reset(before, next))
        return true;
    int shift = before->schema - next->schema;
    return side_was_reset(&before->positive, shift, &next->positive, next->zero_threshold,
                          next->schema) ||
           side_was_reset(&before->negative, shift, &next->negative, next->zero_threshold,
                          next->schema);
}

/* ---- coarser schemas ----------------------------------------------------------- */

/* The buckets of `side` merged: a span for each run of neighbours. */
static bool coarsen_side(struct arena *arena, struct histogram_side *side, int shift)
{
    if (side->bucket_count == 0) {
        *side = (struct histogram_side){0};
        return true;
    }
    struct histogram_span *spans = arena_calloc(arena, side->bucket_count, sizeof(*spans));
    double *buckets = arena_calloc(arena, side->bucket_count, sizeof(*buckets));
    if (spans == NULL || buckets == NULL)
        return false;
    struct walk w = walk_of(side, shift);
    int64_t next = 0; /* the index behind the last bucket */
    size_t span_count = 0, bucket_count = 0;
    while (walk_next(&w)) {
        if (span_count == 0 || w.index != next)
            spans[span_count++].offset = (int32_t)(w.index - next);
        spans[span_count - 1].length++;
        buckets[bucket_count++] = w.count;
        next = w.index + 1;
    }
    *side = (struct histogram_side){spans, span_count, buckets, bucket_count};
    return true;
}

bool histogram_coarsen(struct arena *arena, struct histogram *h, int32_t schema)
{
    int shift = h->schema - schema;
    if (shift > 62)
        shift = 62;
    if (shift <= 0 || h->schema == HISTOGRAM_SCHEMA_CUSTOM)
        return true;
    if (!coarsen_side(arena, &h->positive, shift) || !coarsen_side(arena, &h->negative, shift))
        return false;
    h->schema = schema;
    return true;
}
