/*
 * histogram_work.h - native histograms while something is computed from them.
 *
 * A struct histogram is immutable; arithmetic happens in a struct histogram_work,
 * which holds buckets by index and, beside each number, the rounding error of
 * a compensated sum.  work_finish() makes a struct histogram of it again.  Over the
 * limit of the arena buckets are left out: the owner of the arena checks it in the end.
 */
#ifndef QUERY_HISTOGRAM_WORK_H
#define QUERY_HISTOGRAM_WORK_H

#include "base/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buffer;

struct compensated {
    double value, error;
};

struct work_bucket {
    int64_t index;
    struct compensated count;
};

struct work_side {
    struct work_bucket *items; /* ascending by index */
    size_t count, capacity;
};

struct histogram_work {
    struct arena *arena;
    int32_t schema;
    enum counter_reset_hint hint;
    double zero_threshold;
    struct compensated zero, count, sum;
    struct work_side positive, negative;
    const double *custom;
    size_t custom_count;
};

/* What work_add() has to say: bits. */
enum {
    WORK_INCOMPATIBLE = 1, /* exponential and custom buckets: nothing was added */
    WORK_COLLISION = 2,    /* one was reset, the other says it was not */
    WORK_RECONCILED = 4    /* custom bounds differed: those in common were kept */
};

void work_init(struct histogram_work *work, const struct histogram *h, struct arena *arena);
void work_copy(struct histogram_work *out, const struct histogram_work *work);

/* Add `sign` (1 or -1) times `other`; `compensate` keeps track of rounding errors. */
unsigned work_add(struct histogram_work *work, const struct histogram *other, double sign,
                  bool compensate);
/* Add to a sum of `count` - 1 others, which becomes a mean before it overflows. */
unsigned work_add_mean(struct histogram_work *sum, const struct histogram *h, double count,
                       bool *incremental);
void work_multiply(struct histogram_work *work, double factor);
void work_divide(struct histogram_work *work, double divisor);
/* To a coarser schema, or the same. */
void work_reduce(struct histogram_work *work, int32_t schema);
bool work_overflows(const struct histogram_work *work);

/* In `arena`, errors added in; `compact`: without empty buckets. NULL over the limit. */
const struct histogram *work_finish(const struct histogram_work *work, bool compact,
                                    struct arena *arena);

static inline bool histogram_is_custom(const struct histogram *h)
{
    return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}

/* ---- histogram_value.c ------------------------------------------------------------ */

/* Something to annotate about a quantile or fraction. */
enum histogram_note { NOTE_NONE, NOTE_NAN_RESULT, NOTE_NAN_SKEW, NOTE_NAN_FRACTION };

double histogram_quantile(const struct histogram *h, double q, struct arena *scratch,
                          enum histogram_note *note);
double histogram_fraction(const struct histogram *h, double lower, double upper,
                          struct arena *scratch, enum histogram_note *note);
/* "{count:4, sum:3, [-0.001,0.001]:1, (0.5,1]:3}" */
void histogram_append_text(struct buffer *out, const struct histogram *h, struct arena *scratch);
double histogram_variance(const struct histogram *h, struct arena *scratch);
/* Without what is above (`upper`) or below `bound`; count and sum are estimated anew. */
const struct histogram *histogram_trim(const struct histogram *h, double bound, bool upper,
                                       struct arena *arena);
const struct histogram *histogram_scale(const struct histogram *h, double factor, bool divide,
                                        bool compact, struct arena *arena);

#endif
