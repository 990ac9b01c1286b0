/*
 * simd.c - unpacking, running sums, doubles (see simd.h).
 *
 * Unpacking with AVX2: four numbers of up to 30 bits lie in 16 bytes.  A byte shuffle
 * brings each one's bytes into its lane, a shift per lane and a mask do the rest.  The
 * second four begin in the middle of a byte when the width is odd, so two patterns
 * take turns.  Wider numbers are rare and go the plain way.
 *
 * AVX2 has no conversion from 64-bit integers.  The two halves of the number become
 * doubles by writing them into the mantissas of 2^52 and (with the sign) of 2^84, exactly: so
 * the final addition is the only one that rounds, to nearest, as the plain conversion does.
 * This file depends on exact IEEE arithmetic: never compile it with -ffast-math.
 */
#include "storage/simd.h"

#include "base/bytes.h"
#include "base/compiler.h"

static inline uint64_t low_mask(unsigned width)
{
    return width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
}

/* ---- plain C ------------------------------------------------------------------------ */

/* From number `from` on. */
static void unpack_rest(const uint8_t *in, size_t from, size_t count, unsigned width, uint64_t base,
                        uint64_t *out)
{
    uint64_t mask = low_mask(width);
    if (width <= 56) {
        for (size_t i = from, bit = from * width; i < count; i++, bit += width)
            out[i] = base + ((bytes_get64(in + (bit >> 3)) >> (bit & 7)) & mask);
        return;
    }
    for (size_t i = from, bit = from * width; i < count; i++, bit += width) {
        unsigned shift = bit & 7;
        uint64_t v = bytes_get64(in + (bit >> 3)) >> shift;
        if (shift > 0)
            v |= (uint64_t)in[(bit >> 3) + 8] << (64 - shift);
        out[i] = base + (v & mask);
    }
}

static void unpack_plain(const uint8_t *in, size_t count, unsigned width, uint64_t base,
                         uint64_t *out)
{
    unpack_rest(in, 0, count, width, base, out);
}

static void sum_plain(uint64_t *numbers, size_t count, unsigned shift, uint64_t first,
                      uint64_t *sum)
{
    uint64_t x = *sum;
    for (size_t i = 0; i < count; i++) {
        x += numbers[i];
        numbers[i] = first + (x << shift);
    }
    *sum = x;
}

/* Integers and doubles have one size: each is replaced where it stands. */
static void doubles_rest(char *numbers, size_t from, size_t count, double divisor)
{
    for (size_t i = from; i < count; i++) {
        double value = (double)(int64_t)bytes_get64(numbers + 8 * i);
        if (divisor != 1)
            value /= divisor;
        memcpy(numbers + 8 * i, &value, sizeof(value));
    }
}

static void doubles_plain(void *numbers, size_t count, double divisor)
{
    doubles_rest(numbers, 0, count, divisor);
}

static void line_rest(uint64_t *numbers, size_t from, size_t count, uint64_t first, uint64_t step)
{
    for (size_t i = from; i < count; i++)
        numbers[i] = first + i * step;
}

static void line_plain(uint64_t *numbers, size_t count, uint64_t first, uint64_t step)
{
    line_rest(numbers, 0, count, first, step);
}

const struct simd simd_plain = {"plain", unpack_plain, sum_plain, doubles_plain, line_plain};

/* ---- AVX2 ----------------------------------------------------------------------------- */

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

enum { AVX2_WIDTH_MAX = 30, LANES = 4 };

/* How four numbers come out of 16 bytes, the first one `bit` bits from their start. */
struct lanes {
    __m256i bytes, shifts;
};

/* A shuffle takes the low half of an index byte, and a zero where its highest bit is set: from 16
 * on. */
AVX2 static struct lanes lanes_make(unsigned width, unsigned bit)
{
    __m256i bits = _mm256_setr_epi64x(bit, bit + width, bit + 2 * width, bit + 3 * width);
    __m256i each = _mm256_setr_epi64x(0, 0x0808080808080808, 0, 0x0808080808080808);
    __m256i starts = _mm256_shuffle_epi8(_mm256_srli_epi64(bits, 3), each);
    __m256i next = _mm256_set1_epi64x(0x7776757473727170);
    return (struct lanes){_mm256_add_epi8(starts, next),
                          _mm256_and_si256(bits, _mm256_set1_epi64x(7))};
}

AVX2 static inline __m256i unpack_four(const uint8_t *in, const struct lanes *lanes, __m256i mask,
                                       __m256i base)
{
    __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)in));
    v = _mm256_srlv_epi64(_mm256_shuffle_epi8(v, lanes->bytes), lanes->shifts);
    return _mm256_add_epi64(_mm256_and_si256(v, mask), base);
}

AVX2 static void unpack_avx2(const uint8_t *in, size_t count, unsigned width, uint64_t base,
                             uint64_t *out)
{
    size_t i = 0;
    if (width > 0 && width <= AVX2_WIDTH_MAX) {
        struct lanes even = lanes_make(width, 0), odd = lanes_make(width, LANES * width % 8);
        __m256i mask = _mm256_set1_epi64x((long long)low_mask(width));
        __m256i bases = _mm256_set1_epi64x((long long)base);
        const uint8_t *at = in;
        size_t half = LANES * width / 8;
        for (; i + 2 * LANES <= count; i += 2 * LANES, at += width) {
            __m256i *to = (__m256i *)(void *)(out + i);
            _mm256_storeu_si256(to, unpack_four(at, &even, mask, bases));
            _mm256_storeu_si256(to + 1, unpack_four(at + half, &odd, mask, bases));
        }
    }
    unpack_rest(in, i, count, width, base, out);
}

AVX2 static void sum_avx2(uint64_t *numbers, size_t count, unsigned shift, uint64_t first,
                          uint64_t *sum)
{
    __m256i x = _mm256_set1_epi64x((long long)*sum), firsts = _mm256_set1_epi64x((long long)first);
    __m128i shifts = _mm_cvtsi32_si128((int)shift);
    __m256i zero = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        __m256i *at = (__m256i *)(void *)(numbers + i);
        __m256i v = _mm256_loadu_si256(at);
        /* Within the halves, then the lower half's sum to the upper one. */
        v = _mm256_add_epi64(v, _mm256_slli_si256(v, 8));
        __m256i low = _mm256_permute4x64_epi64(v, 0x55);
        v = _mm256_add_epi64(v, _mm256_blend_epi32(zero, low, 0xf0));
        __m256i whole = _mm256_add_epi64(v, x);
        x = _mm256_add_epi64(x,
                             _mm256_permute4x64_epi64(v, 0xff)); /* all that the next waits for */
        _mm256_storeu_si256(at, _mm256_add_epi64(_mm256_sll_epi64(whole, shifts), firsts));
    }
    *sum = (uint64_t)_mm256_extract_epi64(x, 0);
    sum_plain(numbers + i, count - i, shift, first, sum);
}

AVX2 static void doubles_avx2(void *numbers, size_t count, double divisor)
{
    const __m256i low_magic = _mm256_set1_epi64x(0x4330000000000000);  /* 2^52 */
    const __m256i high_magic = _mm256_set1_epi64x(0x4530000080000000); /* 2^84 + 2^63 */
    const __m256d both_magics = _mm256_castsi256_pd(_mm256_set1_epi64x(0x4530000080100000));
    __m256d divisors = _mm256_set1_pd(divisor);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        double *at = (double *)numbers + i;
        __m256i v = _mm256_castpd_si256(_mm256_loadu_pd(at));
        __m256i low = _mm256_blend_epi32(low_magic, v, 0x55);
        __m256i high = _mm256_xor_si256(_mm256_srli_epi64(v, 32), high_magic);
        __m256d value = _mm256_sub_pd(_mm256_castsi256_pd(high), both_magics);
        value = _mm256_add_pd(value, _mm256_castsi256_pd(low));
        if (divisor != 1)
            value = _mm256_div_pd(value, divisors);
        _mm256_storeu_pd(at, value);
    }
    doubles_rest(numbers, i, count, divisor);
}

AVX2 static void line_avx2(uint64_t *numbers, size_t count, uint64_t first, uint64_t step)
{
    __m256i steps = _mm256_set1_epi64x((long long)(LANES * step));
    __m256i v = _mm256_setr_epi64x((long long)first, (long long)(first + step),
                                   (long long)(first + 2 * step), (long long)(first + 3 * step));
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        _mm256_storeu_si256((__m256i *)(void *)(numbers + i), v);
        v = _mm256_add_epi64(v, steps);
    }
    line_rest(numbers, i, count, first, step);
}

static const struct simd simd_avx2 = {"avx2", unpack_avx2, sum_avx2, doubles_avx2, line_avx2};

const struct simd *simd_best(void)
{
    return __builtin_cpu_supports("avx2") ? &simd_avx2 : &simd_plain;
}

#else

const struct simd *simd_best(void)
{
    return &simd_plain;
}

#endif
