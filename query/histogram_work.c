/*
 * histogram_work.c - adding up native histograms (see histogram_work.h).
 *
 * Two histograms are added in the coarser of their schemas, with the wider of their
 * zero buckets (widened further when it would end inside a populated bucket), or,
 * with custom bounds, in the buckets between the bounds that both have.
 */
#include "query/histogram_work.h"

#include "base/arena.h"
#include "query/eval_internal.h"

#include <math.h>
#include <string.h>

static void increase(struct compensated *sum, double x, bool compensate)
{
    if (compensate)
        kahan_add(x, &sum->value, &sum->error);
    else
        sum->value += x;
}

/* ---- walking over spans ---------------------------------------------------------- */

struct span_walk {
    const struct histogram_side *side;
    size_t span, bucket;
    uint32_t in_span;
    int64_t next; /* index of the next bucket within the span */
    int64_t index;
    double count;
};

static struct span_walk span_walk(const struct histogram_side *side)
{
    return (struct span_walk){.side = side,
                              .next = side->span_count > 0 ? side->spans[0].offset : 0};
}

static bool span_next(struct span_walk *w)
{
    while (w->span < w->side->span_count && w->in_span >= w->side->spans[w->span].length) {
        w->in_span = 0;
        if (++w->span < w->side->span_count)
            w->next += w->side->spans[w->span].offset;
    }
    if (w->span >= w->side->span_count || w->bucket >= w->side->bucket_count)
        return false;
    w->index = w->next++;
    w->count = w->side->buckets[w->bucket++];
    w->in_span++;
    return true;
}

static int64_t coarser(int64_t index, int shift)
{
    return shift > 0 ? ((index - 1) >> shift) + 1 : index;
}

/* ---- making ----------------------------------------------------------------------- */

static struct work_side side_of(const struct histogram_side *side, struct arena *arena)
{
    struct work_side out = {0};
    struct span_walk w = span_walk(side);
    out.items = arena_calloc(arena, side->bucket_count, sizeof(*out.items));
    out.capacity = out.items ? side->bucket_count : 0;
    while (out.count < out.capacity && span_next(&w))
        out.items[out.count++] = (struct work_bucket){w.index, {w.count, 0}};
    return out;
}

void work_init(struct histogram_work *work, const struct histogram *h, struct arena *arena)
{
    *work = (struct histogram_work){
        .arena = arena,
        .schema = h->schema,
        .hint = h->hint,
        .zero_threshold = h->zero_threshold,
        .zero = {h->zero_count, 0},
        .count = {h->count, 0},
        .sum = {h->sum, 0},
        .positive = side_of(&h->positive, arena),
        .negative = side_of(&h->negative, arena),
        .custom_count = h->custom_count,
    };
    if (h->custom_count == 0)
        return;
    double *custom = arena_calloc(arena, h->custom_count, sizeof(*custom));
    if (custom)
        memcpy(custom, h->custom, h->custom_count * sizeof(*custom));
    else
        work->custom_count = work->positive.count = 0;
    work->custom = custom;
}

static void copy_side(struct work_side *side, struct arena *arena)
{
    struct work_bucket *items = arena_calloc(arena, side->count, sizeof(*items));
    if (items && side->count > 0)
        memcpy(items, side->items, side->count * sizeof(*items));
    else
        side->count = 0;
    side->items = items;
    side->capacity = side->count;
}

void work_copy(struct histogram_work *out, const struct histogram_work *work)
{
    *out = *work;
    copy_side(&out->positive, out->arena);
    copy_side(&out->negative, out->arena);
}

/* ---- one side ----------------------------------------------------------------------- */

static void compact_side(struct work_side *side)
{
    size_t kept = 0;
    for (size_t i = 0; i < side->count; i++) {
        if (side->items[i].count.value != 0 || side->items[i].count.error != 0)
            side->items[kept++] = side->items[i];
    }
    side->count = kept;
}

/* Give neighbours that now have the same index one bucket. */
static void merge_equal(struct work_side *side)
{
    size_t kept = 0;
    for (size_t i = 0; i < side->count; i++) {
        struct work_bucket *b = &side->items[i];
        if (kept == 0 || side->items[kept - 1].index != b->index) {
            side->items[kept++] = *b;
            continue;
        }
        struct compensated *into = &side->items[kept - 1].count;
        bool compensate = into->error != 0 || b->count.error != 0;
        increase(into, b->count.value, compensate);
        increase(into, b->count.error, compensate);
    }
    side->count = kept;
}

static void reduce_side(struct work_side *side, int shift)
{
    for (size_t i = 0; i < side->count; i++)
        side->items[i].index = coarser(side->items[i].index, shift);
    merge_equal(side);
}

void work_reduce(struct histogram_work *work, int32_t schema)
{
    if (schema >= work->schema)
        return;
    reduce_side(&work->positive, work->schema - schema);
    reduce_side(&work->negative, work->schema - schema);
    work->schema = schema;
}

/* What is added to a side: each bucket's index goes through `shift` or `places`. */
struct addend {
    const struct histogram_side *side;
    int shift;
    const int64_t *places; /* new index by old one; NULL: none */
    int32_t schema;        /* after shifting */
    double threshold;      /* leading buckets below it are part of the zero bucket; < 0: none */
};

static int64_t place_of(const struct addend *a, int64_t index)
{
    return a->places ? a->places[index] : coarser(index, a->shift);
}

static bool next_addend(const struct addend *a, struct span_walk *w, bool *leading, int64_t *index)
{
    while (span_next(w)) {
        *index = place_of(a, w->index);
        if (*leading && a->threshold >= 0 && histogram_bound(*index, a->schema) <= a->threshold)
            continue;
        *leading = false;
        return true;
    }
    return false;
}

static size_t count_missing(const struct work_side *side, const struct addend *a)
{
    struct span_walk w = span_walk(a->side);
    bool leading = true;
    size_t at = 0, missing = 0;
    int64_t index, last = INT64_MIN;
    while (next_addend(a, &w, &leading, &index)) {
        while (at < side->count && side->items[at].index < index)
            at++;
        if (index != last && (at == side->count || side->items[at].index != index))
            missing++;
        last = index;
    }
    return missing;
}

/* Empty buckets wherever the addend has one and the side has none. */
static bool make_room(struct work_side *side, const struct addend *a, struct arena *arena)
{
    size_t missing = count_missing(side, a);
    if (missing == 0)
        return true;
    size_t needed = side->count + missing, capacity = needed + needed / 2;
    struct work_bucket *items = arena_calloc(arena, capacity, sizeof(*items));
    if (items == NULL)
        return false;
    struct span_walk w = span_walk(a->side);
    bool leading = true;
    size_t at = 0, used = 0;
    int64_t index;
    while (next_addend(a, &w, &leading, &index)) {
        while (at < side->count && side->items[at].index <= index)
            items[used++] = side->items[at++];
        if (used == 0 || items[used - 1].index != index)
            items[used++] = (struct work_bucket){.index = index};
    }
    while (at < side->count)
        items[used++] = side->items[at++];
    *side = (struct work_side){items, used, capacity};
    return true;
}

static void add_side(struct work_side *side, const struct addend *a, double sign, bool compensate,
                     struct arena *arena)
{
    if (!make_room(side, a, arena))
        return;
    struct span_walk w = span_walk(a->side);
    bool leading = true;
    size_t at = 0;
    int64_t index;
    while (next_addend(a, &w, &leading, &index)) {
        while (side->items[at].index < index)
            at++;
        increase(&side->items[at].count, sign * w.count, compensate);
    }
}

/* ---- the zero bucket ------------------------------------------------------------------ */

/*
 * Add to `*zero` what a zero bucket up to `*threshold` takes from a side; a bucket
 * that it cuts and that is populated raises the threshold to its end: true.
 */
static bool take_in(const struct work_side *side, int32_t schema, double *threshold,
                    struct compensated *zero, bool compensate)
{
    for (size_t i = 0; i < side->count; i++) {
        const struct work_bucket *b = &side->items[i];
        if (histogram_bound(b->index - 1, schema) >= *threshold)
            return false;
        increase(zero, b->count.value, compensate);
        if (compensate)
            increase(zero, b->count.error, true);
        double upper = histogram_bound(b->index, schema);
        if (upper <= *threshold)
            continue;
        if (b->count.value == 0)
            return false;
        *threshold = upper;
        return true;
    }
    return false;
}

/* The count of a zero bucket that reaches to `*threshold` or as little further as possible. */
static struct compensated wider_zero(const struct histogram_work *work, double *threshold,
                                     bool compensate)
{
    for (;;) {
        struct compensated zero = work->zero;
        take_in(&work->positive, work->schema, threshold, &zero, compensate);
        if (!take_in(&work->negative, work->schema, threshold, &zero, compensate))
            return zero;
    }
}

static void drop_below(struct work_side *side, int32_t schema, double threshold)
{
    for (size_t i = 0; i < side->count; i++) {
        if (histogram_bound(side->items[i].index - 1, schema) >= threshold)
            break;
        side->items[i].count = (struct compensated){0, 0};
    }
    compact_side(side);
}

/* Widen the zero bucket of `work` to that of `other` or beyond; gives what `other` has in it. */
static double agree_on_zero(struct histogram_work *work, const struct histogram *other,
                            bool compensate)
{
    double count = other->zero_count, threshold = other->zero_threshold;
    if (threshold == work->zero_threshold)
        return count;
    struct histogram_work wide;
    work_init(&wide, other, work->arena);
    while (threshold != work->zero_threshold) {
        if (work->zero_threshold > threshold) {
            threshold = work->zero_threshold;
            count = wider_zero(&wide, &threshold, false).value;
        }
        if (threshold > work->zero_threshold) {
            double reach = threshold;
            work->zero = wider_zero(work, &reach, compensate);
            work->zero_threshold = reach;
            drop_below(&work->positive, work->schema, reach);
            drop_below(&work->negative, work->schema, reach);
        }
    }
    return count;
}

/* ---- custom bounds ---------------------------------------------------------------------- */

static bool same_bounds(const struct histogram_work *work, const struct histogram *other)
{
    if (work->custom_count != other->custom_count)
        return false;
    for (size_t i = 0; i < work->custom_count; i++) {
        if (work->custom[i] != other->custom[i])
            return false;
    }
    return true;
}

/* The bucket of `to` that holds each bucket of `from`. */
static int64_t *places_in(const double *from, size_t from_count, const double *to, size_t to_count,
                          struct arena *arena)
{
    int64_t *places = arena_calloc(arena, from_count + 1, sizeof(*places));
    size_t at = 0;
    for (size_t i = 0; places && i <= from_count; i++) {
        while (at < to_count && (i == from_count || to[at] < from[i]))
            at++;
        places[i] = (int64_t)at;
    }
    return places;
}

static void add_with_other_bounds(struct histogram_work *work, const struct histogram *other,
                                  double sign, bool compensate)
{
    double *both = arena_calloc(work->arena, work->custom_count + 1, sizeof(*both));
    size_t count = 0;
    for (size_t i = 0, k = 0; both && i < work->custom_count && k < other->custom_count;) {
        double a = work->custom[i], b = other->custom[k];
        if (a == b)
            both[count++] = a;
        i += a <= b;
        k += b <= a;
    }
    if (both == NULL)
        return;
    int64_t *own = places_in(work->custom, work->custom_count, both, count, work->arena);
    int64_t *others = places_in(other->custom, other->custom_count, both, count, work->arena);
    if (own == NULL || others == NULL)
        return;
    for (size_t i = 0; i < work->positive.count; i++)
        work->positive.items[i].index = own[work->positive.items[i].index];
    merge_equal(&work->positive);
    work->custom = both;
    work->custom_count = count;
    struct addend a = {&other->positive, 0, others, HISTOGRAM_SCHEMA_CUSTOM, -1};
    add_side(&work->positive, &a, sign, compensate, work->arena);
}

/* ---- adding --------------------------------------------------------------------------------- */

static bool adjust_hint(struct histogram_work *work, enum counter_reset_hint other)
{
    if (other == work->hint || work->hint == HISTOGRAM_GAUGE)
        return false;
    if (other == HISTOGRAM_GAUGE) {
        work->hint = HISTOGRAM_GAUGE;
        return false;
    }
    bool collision = work->hint != HISTOGRAM_RESET_UNKNOWN && other != HISTOGRAM_RESET_UNKNOWN;
    work->hint = HISTOGRAM_RESET_UNKNOWN;
    return collision;
}

unsigned work_add(struct histogram_work *work, const struct histogram *other, double sign,
                  bool compensate)
{
    bool custom = work->schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (custom != histogram_is_custom(other))
        return WORK_INCOMPATIBLE;
    unsigned said = adjust_hint(work, other->hint) ? WORK_COLLISION : 0;
    if (!custom)
        increase(&work->zero, sign * agree_on_zero(work, other, compensate), compensate);
    increase(&work->count, sign * other->count, compensate);
    increase(&work->sum, sign * other->sum, compensate);
    if (custom && !same_bounds(work, other)) {
        add_with_other_bounds(work, other, sign, compensate);
        return said | WORK_RECONCILED;
    }
    if (!custom)
        work_reduce(work, other->schema);
    struct addend a = {.side = &other->positive,
                       .shift = custom ? 0 : other->schema - work->schema,
                       .schema = work->schema,
                       .threshold = custom ? -1 : work->zero_threshold};
    add_side(&work->positive, &a, sign, compensate, work->arena);
    a.side = &other->negative;
    add_side(&work->negative, &a, sign, compensate, work->arena);
    return said;
}

static void multiply(struct compensated *c, double factor)
{
    c->value *= factor;
    c->error *= factor;
}

void work_multiply(struct histogram_work *work, double factor)
{
    multiply(&work->zero, factor);
    multiply(&work->count, factor);
    multiply(&work->sum, factor);
    for (size_t i = 0; i < work->positive.count; i++)
        multiply(&work->positive.items[i].count, factor);
    for (size_t i = 0; i < work->negative.count; i++)
        multiply(&work->negative.items[i].count, factor);
    if (factor < 0)
        work->hint = HISTOGRAM_GAUGE;
}

static void divide(struct compensated *c, double divisor)
{
    c->value /= divisor;
    c->error = c->error == 0 ? 0 : c->error / divisor;
}

void work_divide(struct histogram_work *work, double divisor)
{
    divide(&work->zero, divisor);
    divide(&work->count, divisor);
    divide(&work->sum, divisor);
    if (divisor == 0)
        work->positive.count = work->negative.count = 0;
    for (size_t i = 0; i < work->positive.count; i++)
        divide(&work->positive.items[i].count, divisor);
    for (size_t i = 0; i < work->negative.count; i++)
        divide(&work->negative.items[i].count, divisor);
    if (divisor < 0)
        work->hint = HISTOGRAM_GAUGE;
}

static bool side_overflows(const struct work_side *side)
{
    for (size_t i = 0; i < side->count; i++) {
        if (isinf(side->items[i].count.value))
            return true;
    }
    return false;
}

bool work_overflows(const struct histogram_work *work)
{
    return isinf(work->zero.value) || isinf(work->count.value) || isinf(work->sum.value) ||
           side_overflows(&work->positive) || side_overflows(&work->negative);
}

/* Can adding something of this size overflow? */
static bool is_huge(const struct histogram_work *sum, const struct histogram *h)
{
    const double limit = 1e307;
    if (!(fabs(sum->sum.value) < limit) || !(fabs(sum->count.value) < limit) ||
        !(fabs(h->sum) < limit) || !(fabs(h->count) < limit) || !(fabs(h->zero_count) < limit) ||
        !(fabs(sum->zero.value) < limit))
        return true;
    for (size_t i = 0; i < sum->positive.count; i++) {
        if (!(fabs(sum->positive.items[i].count.value) < limit))
            return true;
    }
    for (size_t i = 0; i < sum->negative.count; i++) {
        if (!(fabs(sum->negative.items[i].count.value) < limit))
            return true;
    }
    return false;
}

unsigned work_add_mean(struct histogram_work *sum, const struct histogram *h, double count,
                       bool *incremental)
{
    if (!*incremental) {
        struct histogram_work before;
        bool huge = is_huge(sum, h);
        if (huge)
            work_copy(&before, sum);
        unsigned said = work_add(sum, h, 1, true);
        if (!huge || (said & WORK_INCOMPATIBLE) || !work_overflows(sum))
            return said;
        *sum = before;
        *incremental = true;
        work_divide(sum, count - 1);
    }
    const struct histogram *part = histogram_scale(h, count, true, false, sum->arena);
    if (part == NULL)
        return 0;
    work_multiply(sum, (count - 1) / count);
    return work_add(sum, part, 1, true);
}

/* ---- back to a histogram ------------------------------------------------------------------- */

static double total(struct compensated c)
{
    return c.error == 0 ? c.value : c.value + c.error;
}

static bool finish_side(const struct work_side *side, bool compact, struct histogram_side *out,
                        struct arena *arena)
{
    *out = (struct histogram_side){0};
    struct histogram_span *spans = arena_calloc(arena, side->count, sizeof(*spans));
    double *buckets = arena_calloc(arena, side->count, sizeof(*buckets));
    if (spans == NULL || buckets == NULL)
        return false;
    int64_t next = 0; /* the index behind the last bucket */
    for (size_t i = 0; i < side->count; i++) {
        double count = total(side->items[i].count);
        int64_t index = side->items[i].index;
        if (compact && count == 0)
            continue;
        if (out->span_count == 0 || index != next)
            spans[out->span_count++] = (struct histogram_span){(int32_t)(index - next), 0};
        spans[out->span_count - 1].length++;
        buckets[out->bucket_count++] = count;
        next = index + 1;
    }
    out->spans = spans;
    out->buckets = buckets;
    return true;
}

const struct histogram *work_finish(const struct histogram_work *work, bool compact,
                                    struct arena *arena)
{
    struct histogram *h = arena_alloc(arena, sizeof(*h));
    if (h == NULL)
        return NULL;
    *h = (struct histogram){
        .schema = work->schema,
        .hint = work->hint,
        .zero_threshold = work->zero_threshold,
        .zero_count = total(work->zero),
        .count = total(work->count),
        .sum = total(work->sum),
        .custom_count = work->custom_count,
    };
    if (!finish_side(&work->positive, compact, &h->positive, arena) ||
        !finish_side(&work->negative, compact, &h->negative, arena))
        return NULL;
    if (work->custom_count > 0) {
        double *custom = arena_calloc(arena, work->custom_count, sizeof(*custom));
        if (custom == NULL)
            return NULL;
        memcpy(custom, work->custom, work->custom_count * sizeof(*custom));
        h->custom = custom;
    }
    return h;
}
