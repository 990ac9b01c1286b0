/*
 * integers.c - frame of reference, bit packing and patches (see integers.h).
 *
 * A vector is: a byte with the width (0-64; 0x80 when patches follow), the base
 * as zigzag varint, the patches (their number as a byte, a position byte each,
 * then the bits above the width as a varint each), and the packed bits, lowest
 * first.  The width is the one with the smallest total, found from a histogram
 * of bit lengths.  A single number far below the rest (a counter's reset among
 * differences) would spoil the base, so the second smallest may serve as base:
 * the difference wraps to a huge number, which becomes a patch.
 */
#include "storage/integers.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "storage/simd.h"

enum {
    ORDER_PLAIN = 0,
    ORDER_DELTA = 1,
    ORDER_DELTA2 = 2,
    ORDER_MASK = 3,
    HAS_SHIFT = 4,
    HAS_STEP = 8,
    HAS_DIRECTORY = 16,
    DIRECTORY_VECTORS_MIN = 4,
    PATCHED = 0x80,
    PACK_SLACK = 8, /* packing touches up to 8 bytes behind the end */
    VECTOR_SIZE_MAX = 1 + VARINT_SIZE_MAX + 1 + INTEGERS_VECTOR * (1 + VARINT_SIZE_MAX) +
                      INTEGERS_VECTOR * 8 + PACK_SLACK
};

static inline unsigned bit_length(uint64_t v)
{
    return v == 0 ? 0 : 64 - (unsigned)__builtin_clzll(v);
}

static inline uint64_t low_mask(unsigned width)
{
    return width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
}

static size_t packed_size(size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

/* `out` has PACK_SLACK bytes more than packed_size(); the numbers fit the width. */
static void pack(const uint64_t *numbers, size_t count, unsigned width, uint8_t *out)
{
    if (width == 0)
        return;
    uint64_t bits = 0;
    unsigned fill = 0;
    for (size_t i = 0; i < count; i++) {
        bits |= numbers[i] << fill;
        fill += width;
        if (fill >= 64) {
            bytes_put64(out, bits);
            out += 8;
            fill -= 64;
            bits = fill == 0 ? 0 : numbers[i] >> (width - fill);
        }
    }
    bytes_put64(out, bits);
}

/* Bits for one vector at a given width, and the best width. */
static unsigned best_width(const uint64_t *numbers, size_t count, size_t *cost)
{
    uint8_t lengths[65] = {0};
    unsigned longest = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned n = bit_length(numbers[i]);
        lengths[n]++; /* at most 128 */
        if (n > longest)
            longest = n;
    }
    unsigned best = longest;
    size_t best_cost = count * longest;
    size_t patches = 0;
    for (unsigned width = longest; width-- > 0;) {
        patches += lengths[width + 1];
        size_t bits = count * width + 8 + patches * 8;
        if (bits >= best_cost && patches * 8 >= count)
            break; /* narrower only gets worse */
        for (unsigned n = width + 1; n <= longest; n++)
            bits += (size_t)lengths[n] * 8 * ((n - width + 6) / 7);
        if (bits < best_cost) {
            best = width;
            best_cost = bits;
        }
    }
    *cost = best_cost;
    return best;
}

/* Subtract the best base and choose the width; `residuals` is filled. */
static unsigned frame(const int64_t *numbers, size_t count, int64_t *base, uint64_t *residuals)
{
    int64_t least = INT64_MAX, second = INT64_MAX, most = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        int64_t v = numbers[i];
        if (v < least) {
            second = least;
            least = v;
        } else if (v < second) {
            second = v;
        }
        if (v > most)
            most = v;
    }
    size_t cost;
    for (size_t i = 0; i < count; i++)
        residuals[i] = (uint64_t)numbers[i] - (uint64_t)least;
    unsigned width = best_width(residuals, count, &cost);
    *base = least;
    bool lonely =
        count > 2 && (uint64_t)second - (uint64_t)least > (uint64_t)most - (uint64_t)second;
    if (!lonely)
        return width;
    uint64_t other[INTEGERS_VECTOR];
    size_t other_cost;
    for (size_t i = 0; i < count; i++)
        other[i] = (uint64_t)numbers[i] - (uint64_t)second;
    unsigned other_width = best_width(other, count, &other_cost);
    if (other_cost >= cost)
        return width;
    memcpy(residuals, other, count * sizeof(other[0]));
    *base = second;
    return other_width;
}

/* Write one vector whose base is already subtracted. */
static void vector_put(uint64_t *residuals, size_t count, int64_t base, unsigned width,
                       struct buffer *out)
{
    uint8_t *start = (uint8_t *)buffer_reserve(out, VECTOR_SIZE_MAX);
    if (start == NULL)
        return;
    uint8_t positions[INTEGERS_VECTOR];
    size_t patches = 0;
    uint64_t mask = low_mask(width);
    for (size_t i = 0; i < count; i++)
        if (residuals[i] > mask)
            positions[patches++] = (uint8_t)i;
    uint8_t *at = start;
    *at++ = (uint8_t)(width | (patches > 0 ? PATCHED : 0));
    at += varint_put(at, zigzag_encode(base));
    if (patches > 0) {
        *at++ = (uint8_t)patches;
        memcpy(at, positions, patches);
        at += patches;
        for (size_t i = 0; i < patches; i++) {
            at += varint_put(at, residuals[positions[i]] >> width);
            residuals[positions[i]] &= mask;
        }
    }
    pack(residuals, count, width, at);
    at += packed_size(count, width);
    buffer_advance(out, (size_t)(at - start));
}

/* Read one vector of `count` numbers; `out` has room for a whole vector, NULL: step over it. */
static bool vector_get(struct reader *r, size_t count, const struct simd *simd, uint64_t *out)
{
    uint8_t head = read8(r);
    unsigned width = head & ~PATCHED & 0xff;
    uint64_t base = (uint64_t)read_zigzag(r);
    if (r->failed || width > 64)
        return false;
    size_t patches = 0;
    struct slice positions = {0};
    uint64_t highs[INTEGERS_VECTOR];
    if (head & PATCHED) {
        patches = read8(r);
        if (patches > count || width == 64)
            return false;
        positions = read_bytes(r, patches);
        for (size_t i = 0; i < patches; i++)
            highs[i] = read_varint(r);
    }
    size_t size = packed_size(count, width);
    if (r->failed || reader_left(r) < size)
        return false;
    const uint8_t *packed = r->at;
    r->at += size;
    if (out == NULL)
        return true;
    if (reader_left(r) >= SIMD_SLACK) {
        simd->unpack(packed, count, width, base, out);
    } else {
        uint8_t copy[INTEGERS_VECTOR * 8 + SIMD_SLACK] = {0};
        memcpy(copy, packed, size);
        simd->unpack(copy, count, width, base, out);
    }
    for (size_t i = 0; i < patches; i++) {
        uint8_t position = (uint8_t)positions.data[i];
        if (position >= count)
            return false;
        out[position] += highs[i] << width;
    }
    return true;
}

void vectors_encode(const uint64_t *numbers, size_t count, struct buffer *out)
{
    uint64_t residuals[INTEGERS_VECTOR];
    for (size_t i = 0; i < count; i += INTEGERS_VECTOR) {
        size_t n = count - i < INTEGERS_VECTOR ? count - i : INTEGERS_VECTOR;
        size_t cost;
        memcpy(residuals, numbers + i, n * sizeof(residuals[0]));
        vector_put(residuals, n, 0, best_width(residuals, n, &cost), out);
    }
}

bool vectors_decode(struct reader *r, size_t count, size_t wanted, uint64_t *numbers)
{
    const struct simd *simd = simd_best();
    for (size_t i = 0; i < wanted; i += INTEGERS_VECTOR) {
        size_t n = count - i < INTEGERS_VECTOR ? count - i : INTEGERS_VECTOR;
        if (!vector_get(r, n, simd, numbers + i))
            return false;
    }
    return true;
}

/* How the numbers of a column are turned into small ones. */
struct plan {
    unsigned order;
    unsigned shift;
    int64_t step;
};

static inline int64_t wrap_sub(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t relative(const int64_t *numbers, size_t i, unsigned shift)
{
    return wrap_sub(numbers[i], numbers[0]) >> shift;
}

/*
 * Estimate the bits of each order from sums of bit lengths around the middle
 * of the range: cheap, and right about which is smallest.
 */
static struct plan plan_make(const int64_t *numbers, size_t count, bool slope)
{
    struct plan plan = {0};
    uint64_t any = 0;
    for (size_t i = 1; i < count; i++)
        any |= (uint64_t)wrap_sub(numbers[i], numbers[0]);
    if (any == 0)
        return plan;
    plan.shift = (unsigned)__builtin_ctzll(any);
    int64_t last = relative(numbers, count - 1, plan.shift);
    int64_t line = slope ? last / (int64_t)(count - 1) : 0;
    int64_t middle = slope ? 0 : last / 2;
    int64_t first_delta = relative(numbers, 1, plan.shift);
    int64_t mean_delta = last / (int64_t)(count - 1);
    int64_t x0 = 0, d0 = first_delta, on_line = 0;
    size_t bits[3] = {0};
    for (size_t i = 1; i < count; i++) {
        int64_t x = relative(numbers, i, plan.shift);
        int64_t d = wrap_sub(x, x0);
        on_line = wrap_add(on_line, line);
        bits[0] += bit_length(zigzag_encode(wrap_sub(wrap_sub(x, on_line), middle)));
        bits[1] += bit_length(zigzag_encode(wrap_sub(d, mean_delta)));
        bits[2] += bit_length(zigzag_encode(wrap_sub(d, d0)));
        x0 = x;
        d0 = d;
    }
    plan.order = ORDER_PLAIN;
    if (bits[1] < bits[plan.order])
        plan.order = ORDER_DELTA;
    if (bits[2] < bits[plan.order])
        plan.order = ORDER_DELTA2;
    plan.step = plan.order == ORDER_PLAIN ? line : plan.order == ORDER_DELTA2 ? first_delta : 0;
    return plan;
}

/* ---- columns ------------------------------------------------------------------------- */

static size_t vectors_of(size_t count)
{
    return (count - 1 + INTEGERS_VECTOR - 1) / INTEGERS_VECTOR;
}

/*
 * What a reader must know to begin at a vector: the number before it, and of differences of
 * differences the last difference, too.
 */
static void directory_put(const int64_t *numbers, size_t count, const struct plan *plan,
                          struct buffer *out)
{
    int64_t states[INTEGERS_DIRECTORY_MAX];
    size_t vectors = vectors_of(count);
    for (size_t v = 1; v < vectors; v++)
        states[v - 1] = relative(numbers, v * INTEGERS_VECTOR, plan->shift);
    integers_encode(states, vectors - 1, true, out);
    if (plan->order != ORDER_DELTA2)
        return;
    for (size_t v = 1; v < vectors; v++) {
        int64_t before = relative(numbers, v * INTEGERS_VECTOR - 1, plan->shift);
        states[v - 1] = wrap_sub(relative(numbers, v * INTEGERS_VECTOR, plan->shift), before);
    }
    integers_encode(states, vectors - 1, false, out);
}

/* The n numbers behind number i - 1 as what their vector holds. */
static void differences(const int64_t *numbers, size_t i, size_t n, const struct plan *plan,
                        int64_t *small)
{
    int64_t before = relative(numbers, i - 1, plan->shift);
    int64_t delta_before =
        i > 1 ? wrap_sub(before, relative(numbers, i - 2, plan->shift)) : plan->step;
    int64_t on_line = (int64_t)((uint64_t)plan->step * (i - 1));
    for (size_t k = 0; k < n; k++) {
        int64_t x = relative(numbers, i + k, plan->shift);
        int64_t d = wrap_sub(x, before);
        if (plan->order == ORDER_PLAIN) {
            on_line = wrap_add(on_line, plan->step);
            small[k] = wrap_sub(x, on_line);
        } else {
            small[k] = plan->order == ORDER_DELTA ? d : wrap_sub(d, delta_before);
        }
        before = x;
        delta_before = d;
    }
}

void integers_encode(const int64_t *numbers, size_t count, bool slope, struct buffer *out)
{
    struct plan plan = plan_make(numbers, count, slope);
    size_t vectors = count > 1 ? vectors_of(count) : 0;
    /* Without a line, plain numbers need none: a reader begins anywhere. */
    bool directory = vectors >= DIRECTORY_VECTORS_MIN && vectors <= INTEGERS_DIRECTORY_MAX &&
                     (plan.order != ORDER_PLAIN || slope);
    buffer_put8(out, (uint8_t)(plan.order | (plan.shift ? HAS_SHIFT : 0) |
                               (plan.step ? HAS_STEP : 0) | (directory ? HAS_DIRECTORY : 0)));
    buffer_put_zigzag(out, numbers[0]);
    if (plan.shift)
        buffer_put8(out, (uint8_t)plan.shift);
    if (plan.step)
        buffer_put_zigzag(out, plan.step);
    if (directory)
        directory_put(numbers, count, &plan, out);
    for (size_t i = 1; i < count; i += INTEGERS_VECTOR) {
        size_t n = count - i < INTEGERS_VECTOR ? count - i : INTEGERS_VECTOR;
        int64_t small[INTEGERS_VECTOR];
        int64_t base;
        uint64_t residuals[INTEGERS_VECTOR];
        differences(numbers, i, n, &plan, small);
        unsigned width = frame(small, n, &base, residuals);
        vector_put(residuals, n, base, width, out);
    }
}

static bool states_get(struct reader *r, size_t count, int64_t *states)
{
    struct integers_column inner;
    size_t first;
    int64_t numbers[INTEGERS_DIRECTORY_MAX + 2 * INTEGERS_VECTOR];
    if (!integers_open(r, count, &inner) || inner.has_directory ||
        !integers_read(&inner, 0, count, numbers, &first))
        return false;
    memcpy(states, numbers, count * sizeof(*states));
    *r = inner.vectors;
    return true;
}

bool integers_open(struct reader *r, size_t count, struct integers_column *c)
{
    uint8_t head = read8(r);
    c->count = count;
    c->order = head & ORDER_MASK;
    c->first = (uint64_t)read_zigzag(r);
    c->shift = head & HAS_SHIFT ? read8(r) : 0;
    c->step = head & HAS_STEP ? (uint64_t)read_zigzag(r) : 0;
    c->has_directory = (head & HAS_DIRECTORY) != 0;
    if (r->failed || c->order > ORDER_DELTA2 || c->shift > 63 ||
        (head & ~(ORDER_MASK | HAS_SHIFT | HAS_STEP | HAS_DIRECTORY)) != 0)
        return false;
    size_t vectors = count > 1 ? vectors_of(count) : 0;
    if (c->has_directory && (vectors < 2 || vectors > INTEGERS_DIRECTORY_MAX ||
                             !states_get(r, vectors - 1, c->states) ||
                             (c->order == ORDER_DELTA2 && !states_get(r, vectors - 1, c->slopes))))
        return false;
    c->vectors = *r;
    return true;
}

static bool can_skip(const struct integers_column *c)
{
    return c->has_directory || (c->order == ORDER_PLAIN && c->count > INTEGERS_VECTOR);
}

/* Numbers of one vector, from what it holds. */
static void integrate(const struct integers_column *c, const struct simd *simd, uint64_t *to,
                      size_t n, uint64_t *x, uint64_t *d)
{
    if (c->order == ORDER_PLAIN) {
        for (size_t k = 0; k < n; k++) {
            *x += c->step;
            to[k] = c->first + ((to[k] + *x) << c->shift);
        }
        return;
    }
    if (c->order == ORDER_DELTA2)
        simd->sum(to, n, 0, 0, d);
    simd->sum(to, n, c->shift, c->first, x);
}

bool integers_read(struct integers_column *c, size_t from, size_t to, int64_t *numbers,
                   size_t *first)
{
    const struct simd *simd = simd_best();
    uint64_t x = 0, d = c->step;
    size_t skip = can_skip(c) && from > 0 ? (from - 1) / INTEGERS_VECTOR : 0;
    uint64_t *out = (uint64_t *)numbers;
    for (size_t v = 0; v < skip; v++)
        if (!vector_get(&c->vectors, INTEGERS_VECTOR, simd, NULL))
            return false;
    if (skip > 0 && c->order == ORDER_PLAIN) {
        x = c->step * (skip * INTEGERS_VECTOR);
    } else if (skip > 0) {
        x = (uint64_t)c->states[skip - 1];
        d = c->order == ORDER_DELTA2 ? (uint64_t)c->slopes[skip - 1] : 0;
    }
    size_t i = skip * INTEGERS_VECTOR + 1;
    *first = skip > 0 ? i : 0;
    if (skip == 0)
        *out++ = c->first;
    for (; i < to; i += INTEGERS_VECTOR) {
        size_t n = c->count - i < INTEGERS_VECTOR ? c->count - i : INTEGERS_VECTOR;
        if (!vector_get(&c->vectors, n, simd, out))
            return false;
        integrate(c, simd, out, n, &x, &d);
        out += n;
    }
    return true;
}

bool integers_decode(struct reader *r, size_t count, size_t wanted, int64_t *numbers)
{
    struct integers_column c;
    size_t first;
    if (!integers_open(r, count, &c) || !integers_read(&c, 0, wanted, numbers, &first))
        return false;
    *r = c.vectors;
    return true;
}

/* How many vectors end with a number below `bound`, as far as the directory knows. */
static size_t vectors_below(const struct integers_column *c, int64_t bound)
{
    size_t low = 0, high = c->has_directory ? vectors_of(c->count) - 1 : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int64_t last = (int64_t)(c->first + ((uint64_t)c->states[middle] << c->shift));
        if (last < bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t integers_from(const struct integers_column *c, int64_t bound)
{
    size_t vectors = vectors_below(c, bound);
    return vectors > 0 ? vectors * INTEGERS_VECTOR + 1 : 0;
}

size_t integers_to(const struct integers_column *c, int64_t bound)
{
    size_t end = (vectors_below(c, bound) + 1) * INTEGERS_VECTOR + 1;
    return c->has_directory && end < c->count ? end : c->count;
}
