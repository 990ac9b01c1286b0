/*
 * chunk_values.c - doubles as decimals where they are decimals (see chunk_values.h).
 *
 * Most metric values were printed or counted by somebody: they are an integer
 * divided by a power of ten.  One power is found per chunk; each value becomes
 * its integer, which integers.h packs.  A value that does not come back bit
 * for bit (a stale marker, -0, a stray 1/3) is an exception: the integer before
 * it is repeated and its bits are kept aside.  A chunk with too many of those
 * is stored as the XOR of neighbours, with repeats left out.
 *
 * This file depends on exact IEEE arithmetic: never compile it with
 * -ffast-math or -fno-trapping-math.  With the latter gcc turns
 * (double)(int64_t)x into trunc(x), and -0 passes for an integer.
 */
#include "storage/chunk_values.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/memory.h"
#include "storage/integers.h"
#include "storage/simd.h"

enum {
    MODE_CONSTANT = 0,         /* 8 bytes */
    MODE_CONSTANT_DECIMAL = 1, /* scale, integer */
    MODE_DECIMAL = 2,          /* scale, integers */
    MODE_DECIMAL_ODD = 3,      /* scale, exceptions, integers */
    MODE_XOR = 4,              /* shift, first, vectors */
    MODE_XOR_REPEATS = 5,      /* shift, first, bitmap of repeats, vectors of the others */
    SCALE_MAX = 15,
    STACK_COUNT = 1024
};

static const double powers[SCALE_MAX + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                             1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static const double whole_max = 4611686018427387904.0; /* 2^62: differences stay in range */
static const double scaled_max = 9007199254740992.0;   /* 2^53: the quotient is exact */

/* The integer m with m / 10^scale == v, bit for bit. */
static inline bool decimal_of(double v, unsigned scale, int64_t *m)
{
    double t = v * powers[scale];
    double max = scale == 0 ? whole_max : scaled_max;
    if (!(t < max && t > -max))
        return false;
    int64_t i = (int64_t)(scale == 0 ? t : t + (t < 0 ? -0.5 : 0.5));
    double back = scale == 0 ? (double)i : (double)i / powers[scale];
    if (double_bits(back) != double_bits(v))
        return false;
    *m = i;
    return true;
}

static inline double decimal_value(int64_t m, unsigned scale)
{
    return scale == 0 ? (double)m : (double)m / powers[scale];
}

/*
 * The smallest scale that fits all values but a few, which are counted in
 * `*odd`.  False when too many do not fit any.
 */
static bool scale_find(const double *values, size_t count, unsigned *scale, size_t *odd)
{
    size_t odd_max = 2 + count / 16;
    unsigned best = 0;
    *odd = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t m;
        if (LIKELY(decimal_of(values[i], best, &m)))
            continue;
        unsigned s = best + 1;
        if (values[i] - values[i] == 0) /* neither infinite nor NaN */
            while (s <= SCALE_MAX && !decimal_of(values[i], s, &m))
                s++;
        else
            s = SCALE_MAX + 1;
        if (s <= SCALE_MAX)
            best = s;
        else if (++*odd > odd_max)
            return false;
    }
    *scale = best;
    return true;
}

/* Integers for all values at `scale`; positions of those without one go to `odd`. */
static size_t decimals_make(const double *values, size_t count, unsigned scale, int64_t *integers,
                            uint32_t *odd, size_t odd_max)
{
    size_t found = 0;
    int64_t before = 0;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        int64_t m;
        if (LIKELY(decimal_of(values[i], scale, &m))) {
            if (UNLIKELY(!any))
                for (size_t k = 0; k < i; k++)
                    integers[k] = m; /* odd values at the front take the first integer */
            any = true;
            before = m;
        } else {
            if (found == odd_max)
                return odd_max + 1;
            odd[found++] = (uint32_t)i;
        }
        integers[i] = before;
    }
    return found;
}

static bool decimal_encode(const double *values, size_t count, struct buffer *out)
{
    unsigned scale;
    size_t expected;
    if (!scale_find(values, count, &scale, &expected))
        return false;
    /* A larger scale may have pushed large values over 2^53: those are odd, too. */
    size_t odd_max = 2 + count / 8;
    int64_t stack_integers[STACK_COUNT];
    uint32_t stack_odd[STACK_COUNT];
    bool large = count > STACK_COUNT;
    int64_t *integers = large ? xmalloc(count * sizeof(*integers)) : stack_integers;
    uint32_t *odd = large ? xmalloc((odd_max + 1) * sizeof(*odd)) : stack_odd;

    size_t found = decimals_make(values, count, scale, integers, odd, odd_max);
    if (found <= odd_max) {
        buffer_put8(out, found > 0 ? MODE_DECIMAL_ODD : MODE_DECIMAL);
        buffer_put8(out, (uint8_t)scale);
        if (found > 0)
            buffer_put_varint(out, found);
        for (size_t i = 0; i < found; i++) {
            buffer_put_varint(out, odd[i] - (i > 0 ? odd[i - 1] : 0));
            buffer_put64(out, double_bits(values[odd[i]]));
        }
        integers_encode(integers, count, false, out);
    }
    if (large) {
        free(integers);
        free(odd);
    }
    return found <= odd_max;
}

static void xor_encode(const double *values, size_t count, struct buffer *out)
{
    uint64_t stack[STACK_COUNT];
    uint64_t *changes = count > STACK_COUNT ? xmalloc(count * sizeof(*changes)) : stack;
    uint64_t any = 0;
    size_t repeats = 0;
    for (size_t i = 1; i < count; i++) {
        uint64_t change = double_bits(values[i]) ^ double_bits(values[i - 1]);
        any |= change;
        repeats += change == 0;
    }
    unsigned shift = any == 0 ? 0 : (unsigned)__builtin_ctzll(any);
    bool bitmap = repeats * 16 > count;
    buffer_put8(out, bitmap ? MODE_XOR_REPEATS : MODE_XOR);
    buffer_put8(out, (uint8_t)shift);
    buffer_put64(out, double_bits(values[0]));
    if (bitmap) {
        size_t size = (count - 1 + 7) / 8;
        uint8_t *map = (uint8_t *)buffer_reserve(out, size);
        if (map != NULL) {
            memset(map, 0, size);
            for (size_t i = 1; i < count; i++)
                if (double_bits(values[i]) == double_bits(values[i - 1]))
                    map[(i - 1) / 8] |= (uint8_t)(1u << ((i - 1) % 8));
            buffer_advance(out, size);
        }
    }
    size_t kept = 0;
    for (size_t i = 1; i < count; i++) {
        uint64_t change = double_bits(values[i]) ^ double_bits(values[i - 1]);
        if (change != 0 || !bitmap)
            changes[kept++] = change >> shift;
    }
    vectors_encode(changes, kept, out);
    if (changes != stack)
        free(changes);
}

void values_encode(const double *values, size_t count, struct buffer *out)
{
    size_t same = 1;
    while (same < count && double_bits(values[same]) == double_bits(values[0]))
        same++;
    if (same == count) {
        for (unsigned scale = 0; scale <= SCALE_MAX; scale++) {
            int64_t m;
            if (!decimal_of(values[0], scale, &m) || varint_size(zigzag_encode(m)) > 7)
                continue;
            buffer_put8(out, MODE_CONSTANT_DECIMAL);
            buffer_put8(out, (uint8_t)scale);
            buffer_put_zigzag(out, m);
            return;
        }
        buffer_put8(out, MODE_CONSTANT);
        buffer_put64(out, double_bits(values[0]));
        return;
    }
    size_t start = out->size;
    bool decimal = decimal_encode(values, count, out);
    size_t size = out->size - start;
    if (decimal && size < count * 5)
        return;
    /* Large integers without a pattern: the XOR of neighbours may be smaller. */
    xor_encode(values, count, out);
    if (!decimal || out->failed)
        return;
    size_t other = out->size - start - size;
    if (other < size)
        memmove(out->data + start, out->data + start + size, other);
    buffer_truncate(out, start + (other < size ? other : size));
}

/* Read (`values` NULL: step over) the exceptions: their number, then position and bits of each. */
static bool exceptions_apply(struct reader *r, size_t count, size_t from, size_t to, double *values)
{
    uint64_t found = read_varint(r);
    uint64_t position = 0;
    if (found > count)
        return false;
    for (uint64_t i = 0; i < found; i++) {
        position += read_varint(r);
        uint64_t bits = read64(r);
        if (r->failed || position >= count)
            return false;
        if (values != NULL && position >= from && position < to)
            values[position - from] = double_from_bits(bits);
    }
    return !r->failed;
}

/* What was decoded from `first` on begins at `from`. */
static void values_shift(double *values, size_t first, size_t from, size_t to)
{
    if (first < from && from < to)
        memmove(values, values + (from - first), (to - from) * sizeof(*values));
}

static bool decimal_decode(struct reader *r, bool odd, size_t count, size_t from, size_t to,
                           double *values)
{
    unsigned scale = read8(r);
    struct reader exceptions = *r;
    struct integers_column column;
    size_t first;
    if (scale > SCALE_MAX || (odd && !exceptions_apply(r, count, 0, 0, NULL)))
        return false;
    /* The integers are as large as the doubles that replace them: both live in `values`. */
    if (!integers_open(r, count, &column) ||
        !integers_read(&column, from, to, (int64_t *)(void *)values, &first))
        return false;
    *r = column.vectors;
    values_shift(values, first, from, to);
    simd_best()->to_doubles(values, to - from, powers[scale]);
    return !odd || exceptions_apply(&exceptions, count, from, to, values);
}

static bool xor_decode(struct reader *r, bool repeats, size_t count, size_t from, size_t to,
                       double *values)
{
    unsigned shift = read8(r);
    uint64_t bits = read64(r);
    struct slice map = {0};
    if (repeats)
        map = read_bytes(r, (count - 1 + 7) / 8);
    if (r->failed || shift > 63)
        return false;
    values[0] = double_from_bits(bits);
    size_t kept = count - 1;
    if (repeats)
        for (size_t i = 0; i < count - 1; i++)
            kept -= (uint8_t)map.data[i / 8] >> (i % 8) & 1;
    uint64_t changes[INTEGERS_VECTOR];
    size_t at = 0, have = 0;
    for (size_t i = 1; i < to; i++) {
        uint64_t change = 0;
        if (!repeats || !((uint8_t)map.data[(i - 1) / 8] >> ((i - 1) % 8) & 1)) {
            if (at == have) {
                size_t n = kept < INTEGERS_VECTOR ? kept : INTEGERS_VECTOR;
                if (n == 0 || !vectors_decode(r, n, n, changes))
                    return false;
                kept -= n;
                have = n;
                at = 0;
            }
            change = changes[at++];
        }
        bits ^= change << shift;
        values[i] = double_from_bits(bits);
    }
    values_shift(values, 0, from, to);
    return true;
}

bool values_decode(struct reader *r, size_t count, size_t from, size_t to, double *values)
{
    uint8_t mode = read8(r);
    if (r->failed)
        return false;
    switch (mode) {
    case MODE_CONSTANT:
    case MODE_CONSTANT_DECIMAL: {
        unsigned scale = mode == MODE_CONSTANT ? 0 : read8(r);
        if (scale > SCALE_MAX)
            return false;
        double v = mode == MODE_CONSTANT ? double_from_bits(read64(r))
                                         : decimal_value(read_zigzag(r), scale);
        if (r->failed)
            return false;
        for (size_t i = 0; i < to - from; i++)
            values[i] = v;
        return true;
    }
    case MODE_DECIMAL:
    case MODE_DECIMAL_ODD:
        return decimal_decode(r, mode == MODE_DECIMAL_ODD, count, from, to, values);
    case MODE_XOR:
    case MODE_XOR_REPEATS:
        return xor_decode(r, mode == MODE_XOR_REPEATS, count, from, to, values);
    default:
        return false;
    }
}
