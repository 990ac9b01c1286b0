/* The fast loops give the same bits as the plain ones, whatever goes in. */
#include "storage/simd.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { COUNT_MAX = 300 };

static uint64_t random_state = 88172645463325252u;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Small, large, negative, at the edges of what a double holds. */
static uint64_t number(void)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     UINT64_MAX,
                                     INT64_MAX,
                                     (uint64_t)INT64_MIN,
                                     UINT64_C(1) << 52,
                                     (UINT64_C(1) << 53) + 1,
                                     (UINT64_C(1) << 54) + 3,
                                     (UINT64_C(1) << 62) + 1,
                                     UINT32_MAX,
                                     UINT64_C(1) << 32,
                                     UINT64_C(0x8000000080000000)};
    uint64_t r = random64();
    if (r % 4 == 0)
        return edges[r / 4 % COUNT_OF(edges)];
    return (uint64_t)((int64_t)random64() >> r / 4 % 64);
}

static void numbers_unpack_the_same_at_every_width(void **state)
{
    (void)state;
    const struct simd *best = simd_best();
    for (unsigned width = 0; width <= 64; width++) {
        for (size_t count = 0; count <= 140; count++) {
            size_t size = (count * width + 7) / 8 + SIMD_SLACK;
            uint8_t *in = xmalloc(size); /* of its own: reading past it is noticed */
            uint64_t a[COUNT_MAX], b[COUNT_MAX], base = number();
            for (size_t i = 0; i < size; i++)
                in[i] = (uint8_t)random64();
            memset(a, 0x5a, sizeof(a));
            memset(b, 0x5a, sizeof(b));
            simd_plain.unpack(in, count, width, base, a);
            best->unpack(in, count, width, base, b);
            assert_memory_equal(a, b, sizeof(a)); /* what lies behind is not touched either */
            free(in);
        }
    }
}

static void sums_lines_and_doubles_are_the_same(void **state)
{
    (void)state;
    const struct simd *best = simd_best();
    for (size_t round = 0; round < 3000; round++) {
        uint64_t a[COUNT_MAX], b[COUNT_MAX];
        size_t count = random64() % COUNT_MAX;
        for (size_t i = 0; i < COUNT_MAX; i++)
            a[i] = b[i] = number();
        uint64_t first = number(), step = number(), sum_a = first, sum_b = first;
        unsigned shift = (unsigned)(random64() % 64);
        simd_plain.sum(a, count, shift, step, &sum_a);
        best->sum(b, count, shift, step, &sum_b);
        assert_true(sum_a == sum_b);
        assert_memory_equal(a, b, sizeof(a));

        double divisor = random64() % 2 ? 1 : random64() % 2 ? 100 : 1e15;
        for (size_t i = 0; i < count; i++)
            a[i] = b[i] = number();
        simd_plain.to_doubles(a, count, divisor);
        best->to_doubles(b, count, divisor);
        assert_memory_equal(a, b, sizeof(a));

        simd_plain.line(a, count, first, step);
        best->line(b, count, first, step);
        assert_memory_equal(a, b, sizeof(a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_unpack_the_same_at_every_width),
        cmocka_unit_test(sums_lines_and_doubles_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
