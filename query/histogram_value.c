/*
 * histogram_value.c - what can be read off one native histogram: quantiles,
 * fractions, variance; and what is left of it when it is trimmed.
 *
 * Within an exponential bucket observations are taken to be spread evenly over the
 * logarithm, within the zero bucket and custom buckets over the value itself.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/number.h"
#include "query/eval_internal.h"
#include "query/histogram_work.h"

#include <math.h>

struct range_bucket {
    double lower, upper, count;
};

static double bound_of(const struct histogram_work *work, int64_t index)
{
    if (work->schema != HISTOGRAM_SCHEMA_CUSTOM)
        return histogram_bound(index, work->schema);
    if (index < 0)
        return -(double)INFINITY;
    return index < (int64_t)work->custom_count ? work->custom[index] : (double)INFINITY;
}

static struct range_bucket range_of(const struct histogram_work *work, const struct work_bucket *b,
                                    bool negative)
{
    double near = bound_of(work, b->index - 1), far = bound_of(work, b->index);
    if (negative)
        return (struct range_bucket){-far, -near, b->count.value};
    return (struct range_bucket){near, far, b->count.value};
}

/* All buckets from the lowest to the highest; NULL over the arena's limit. */
static struct range_bucket *all_buckets(const struct histogram *h, struct arena *arena,
                                        size_t *count)
{
    struct histogram_work work;
    work_init(&work, h, arena);
    size_t used = 0, most = work.positive.count + work.negative.count + 1;
    struct range_bucket *out = arena_calloc(arena, most, sizeof(*out));
    *count = 0;
    if (out == NULL)
        return NULL;
    double zero = h->zero_threshold;
    for (size_t i = work.negative.count; i-- > 0;) {
        struct range_bucket b = range_of(&work, &work.negative.items[i], true);
        if (b.upper < 0 && b.upper > -zero)
            b.upper = -zero;
        out[used++] = b;
    }
    if (h->zero_count > 0)
        out[used++] = (struct range_bucket){-zero, zero, h->zero_count};
    for (size_t i = 0; i < work.positive.count; i++) {
        struct range_bucket b = range_of(&work, &work.positive.items[i], false);
        if (b.lower > 0 && b.lower < zero)
            b.lower = zero;
        out[used++] = b;
    }
    *count = used;
    return out;
}

/* A zero bucket between positive buckets only holds nothing negative, and the reverse. */
static void narrow_zero(const struct histogram *h, struct range_bucket *b)
{
    if (h->negative.bucket_count == 0 && h->positive.bucket_count > 0)
        b->lower = 0;
    else if (h->positive.bucket_count == 0 && h->negative.bucket_count > 0)
        b->upper = 0;
}

/* ---- quantiles ----------------------------------------------------------------------- */

static double inside_bucket(const struct histogram *h, const struct range_bucket *b,
                            double fraction)
{
    if (histogram_is_custom(h) || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * fraction;
    double low = log2(fabs(b->lower)), high = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(low + (high - low) * fraction);
    return -exp2(high + (low - high) * (1 - fraction));
}

static double quantile_in(const struct histogram *h, double q, const struct range_bucket *buckets,
                          size_t bucket_count, enum histogram_note *note)
{
    bool nan_sum = isnan(h->sum), upward = nan_sum || q < 0.5;
    double rank = (upward ? q : 1 - q) * h->count, count = 0;
    struct range_bucket b = {0};
    size_t i = 0;
    while (i < bucket_count) {
        b = buckets[upward ? i : bucket_count - 1 - i];
        i++;
        if (b.count == 0)
            continue;
        count += b.count;
        if (count >= rank)
            break;
    }
    if (!histogram_is_custom(h) && b.lower < 0 && b.upper > 0) {
        narrow_zero(h, &b);
    } else if (histogram_is_custom(h)) {
        if (isinf(b.lower) && b.lower < 0) {
            if (b.upper <= 0)
                return b.upper;
            b.lower = 0;
        } else if (isinf(b.upper) && b.upper > 0) {
            return b.lower;
        }
    }
    if (count > h->count)
        count = h->count;
    if (count < rank) {
        *note = nan_sum ? NOTE_NAN_RESULT : NOTE_NONE;
        return nan_sum ? (double)NAN : b.upper;
    }
    rank = upward ? rank - (count - b.count) : count - rank;
    if (nan_sum) {
        for (; i < bucket_count; i++)
            count += buckets[i].count;
        if (count < h->count)
            *note = NOTE_NAN_SKEW;
    }
    return inside_bucket(h, &b, rank / b.count);
}

double histogram_quantile(const struct histogram *h, double q, struct arena *scratch,
                          enum histogram_note *note)
{
    *note = NOTE_NONE;
    if (q < 0 || q > 1)
        return q < 0 ? -(double)INFINITY : (double)INFINITY;
    if (h->count == 0 || isnan(q))
        return (double)NAN;
    size_t count;
    struct arena_mark mark = arena_mark(scratch);
    const struct range_bucket *buckets = all_buckets(h, scratch, &count);
    double result = quantile_in(h, q, buckets, count, note);
    arena_rewind(scratch, mark);
    return result;
}

/* ---- fractions ------------------------------------------------------------------------- */

/* Which share of a bucket lies below v. */
static double share_below(const struct range_bucket *b, double v, bool linear)
{
    if (linear)
        return (v - b->lower) / (b->upper - b->lower);
    double low = log2(fabs(b->lower)), high = log2(fabs(b->upper)), at = log2(fabs(v));
    return v > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
}

/* The number of observations below v, when it lies at or before the end of the buckets. */
static bool rank_below(const struct histogram *h, double v, const struct range_bucket *buckets,
                       size_t count, double *rank)
{
    *rank = 0;
    for (size_t i = 0; i < count; i++) {
        struct range_bucket b = buckets[i];
        bool linear = histogram_is_custom(h);
        if (b.lower <= 0 && b.upper >= 0) {
            linear = true;
            narrow_zero(h, &b);
        }
        if (b.lower >= v)
            return true;
        if (b.upper > v) {
            if (linear && isinf(b.lower))
                *rank = b.count;
            else
                *rank += b.count * share_below(&b, v, linear);
            return true;
        }
        *rank += b.count;
    }
    return false;
}

double histogram_fraction(const struct histogram *h, double lower, double upper,
                          struct arena *scratch, enum histogram_note *note)
{
    *note = NOTE_NONE;
    if (h->count == 0 || isnan(lower) || isnan(upper))
        return (double)NAN;
    if (lower >= upper)
        return 0;
    size_t bucket_count;
    struct arena_mark mark = arena_mark(scratch);
    const struct range_bucket *buckets = all_buckets(h, scratch, &bucket_count);
    double count = h->count, low, high;
    if (isnan(h->sum)) {
        count = 0;
        for (size_t i = 0; i < bucket_count; i++)
            count += buckets[i].count;
        if (count < h->count)
            *note = NOTE_NAN_FRACTION;
    }
    if (!rank_below(h, lower, buckets, bucket_count, &low) || low > count)
        low = count;
    if (!rank_below(h, upper, buckets, bucket_count, &high) || high > count)
        high = count;
    arena_rewind(scratch, mark);
    return (high - low) / h->count;
}

double histogram_variance(const struct histogram *h, struct arena *scratch)
{
    size_t count;
    struct arena_mark mark = arena_mark(scratch);
    const struct range_bucket *buckets = all_buckets(h, scratch, &count);
    double mean = h->sum / h->count, sum = 0, error = 0;
    for (size_t i = 0; i < count; i++) {
        const struct range_bucket *b = &buckets[i];
        if (b->count == 0)
            continue;
        double at = 0;
        if (histogram_is_custom(h))
            at = (b->upper + b->lower) / 2;
        else if (b->lower > 0 || b->upper < 0)
            at = b->upper < 0 ? -sqrt(b->upper * b->lower) : sqrt(b->upper * b->lower);
        double delta = at - mean;
        kahan_add(b->count * delta * delta, &sum, &error);
    }
    arena_rewind(scratch, mark);
    return (sum + error) / h->count;
}

/* ---- trimming ---------------------------------------------------------------------------- */

/* What stays of a bucket, and where in it, on average. */
struct remainder {
    double count, middle;
};

static double finite_or_zero(double x)
{
    return isinf(x) ? 0 : x;
}

static double middle_of(double lower, double upper, bool positive, bool linear)
{
    if (isinf(lower)) {
        if (isinf(upper))
            return 0;
        return upper > 0 ? upper / 2 : upper;
    }
    if (isinf(upper))
        return lower;
    if (linear)
        return (lower + upper) / 2;
    double middle = sqrt(fabs(lower * upper));
    return positive ? middle : -middle;
}

/* A custom bucket without an end on one side. */
static struct remainder trim_endless(const struct range_bucket *b, double bound, bool upper)
{
    if (!isinf(b->lower)) {
        if (!upper && bound >= b->lower)
            return (struct remainder){b->count, bound};
        return (struct remainder){0, finite_or_zero(b->lower)};
    }
    bool ends = !isinf(b->upper);
    if (upper) {
        if (bound >= b->upper)
            return (struct remainder){b->count, 0};
        if (bound > 0 && b->upper > 0 && ends)
            return (struct remainder){b->count * bound / b->upper, bound / 2};
        if (b->upper <= 0)
            return (struct remainder){b->count, bound};
        return (struct remainder){0, finite_or_zero(b->upper)};
    }
    if (bound <= b->lower)
        return (struct remainder){b->count, 0};
    if (bound >= 0 && b->upper > bound && ends)
        return (struct remainder){b->count * (1 - bound / b->upper), (bound + b->upper) / 2};
    return (struct remainder){0, finite_or_zero(b->upper)};
}

static struct remainder trim_bucket(const struct range_bucket *b, double bound, bool upper,
                                    bool positive, bool linear)
{
    if (upper ? b->upper <= bound : b->lower >= bound)
        return (struct remainder){b->count, middle_of(b->lower, b->upper, positive, linear)};
    if (!(upper ? b->lower < bound : b->upper > bound))
        return (struct remainder){0, 0};
    if (isinf(b->lower) || isinf(b->upper))
        return trim_endless(b, bound, upper);
    double below = bound <= b->lower   ? 0
                   : bound >= b->upper ? b->count
                                       : b->count * share_below(b, bound, linear);
    if (upper)
        return (struct remainder){below, middle_of(b->lower, bound, positive, linear)};
    return (struct remainder){b->count - below, middle_of(bound, b->upper, positive, linear)};
}

static struct remainder trim_zero(const struct histogram_work *work, double bound, bool upper,
                                  bool has_positive, bool has_negative)
{
    double low = -work->zero_threshold, high = work->zero_threshold, count = work->zero.value;
    if (has_negative && !has_positive)
        high = 0;
    if (has_positive && !has_negative)
        low = 0;
    if (bound <= low)
        return upper ? (struct remainder){0, 0} : (struct remainder){count, (low + high) / 2};
    if (bound >= high)
        return upper ? (struct remainder){count, (low + high) / 2} : (struct remainder){0, 0};
    double share = (upper ? bound - low : high - bound) / (high - low);
    return (struct remainder){count * share, ((upper ? low : high) + bound) / 2};
}

struct trimmed {
    double count, sum;
    bool changed;
};

/* Whether the side had anything in it. */
static bool trim_side(struct histogram_work *work, struct work_side *side, bool positive,
                      double bound, bool upper, struct trimmed *t)
{
    bool any = false;
    for (size_t i = 0; i < side->count; i++) {
        struct range_bucket b = range_of(work, &side->items[i], !positive);
        if (b.count == 0)
            continue;
        any = true;
        struct remainder r =
            trim_bucket(&b, bound, upper, positive, work->schema == HISTOGRAM_SCHEMA_CUSTOM);
        t->changed = t->changed || r.count != b.count;
        side->items[i].count.value = r.count;
        t->count += r.count;
        t->sum += r.middle * r.count;
    }
    return any;
}

const struct histogram *histogram_trim(const struct histogram *h, double bound, bool upper,
                                       struct arena *arena)
{
    struct histogram_work work;
    struct trimmed t = {0};
    work_init(&work, h, arena);
    bool positive = trim_side(&work, &work.positive, true, bound, upper, &t);
    bool negative = trim_side(&work, &work.negative, false, bound, upper, &t);
    if (work.zero.value > 0) {
        struct remainder r = trim_zero(&work, bound, upper, positive, negative);
        t.changed = t.changed || r.count != work.zero.value;
        work.zero.value = r.count;
        t.count += r.count;
        t.sum += r.middle * r.count;
    }
    if (t.changed) {
        work.count.value = t.count;
        work.sum.value = t.sum;
    }
    return work_finish(&work, t.changed, arena);
}

const struct histogram *histogram_scale(const struct histogram *h, double factor, bool divide,
                                        bool compact, struct arena *arena)
{
    struct histogram_work work;
    work_init(&work, h, arena);
    if (divide)
        work_divide(&work, factor);
    else
        work_multiply(&work, factor);
    return work_finish(&work, compact, arena);
}

/* ---- text ------------------------------------------------------------------------------- */

static void append_bucket(struct buffer *out, const struct range_bucket *b, bool zero)
{
    if (b->count == 0)
        return;
    buffer_append_text(out, zero || b->lower < 0 ? ", [" : ", (");
    buffer_append_double(out, b->lower, 'g');
    buffer_append_byte(out, ',');
    buffer_append_double(out, b->upper, 'g');
    buffer_append_text(out, zero || b->upper > 0 ? "]:" : "):");
    buffer_append_double(out, b->count, 'g');
}

void histogram_append_text(struct buffer *out, const struct histogram *h, struct arena *scratch)
{
    struct histogram_work work;
    struct arena_mark mark = arena_mark(scratch);
    work_init(&work, h, scratch);
    buffer_append_text(out, "{count:");
    buffer_append_double(out, h->count, 'g');
    buffer_append_text(out, ", sum:");
    buffer_append_double(out, h->sum, 'g');
    for (size_t i = work.negative.count; i-- > 0;) {
        struct range_bucket b = range_of(&work, &work.negative.items[i], true);
        append_bucket(out, &b, false);
    }
    struct range_bucket zero = {-h->zero_threshold, h->zero_threshold, h->zero_count};
    append_bucket(out, &zero, true);
    for (size_t i = 0; i < work.positive.count; i++) {
        struct range_bucket b = range_of(&work, &work.positive.items[i], false);
        append_bucket(out, &b, false);
    }
    buffer_append_byte(out, '}');
    arena_rewind(scratch, mark);
}
