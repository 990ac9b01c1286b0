/* Metric chunks: whatever goes in comes out bit for bit, whatever is damaged is refused. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/chunk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t random_state = 88172645463325252u;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t below(uint64_t n)
{
    return random64() % n;
}

enum { COUNT_MAX = 3000 };
static int64_t times[COUNT_MAX];
static double values[COUNT_MAX];
static int64_t times_out[COUNT_MAX + CHUNK_VECTOR];
static double values_out[COUNT_MAX + CHUNK_VECTOR];

static const uint64_t nasty[] = {
    0x7ff0000000000002u, /* Prometheus' stale marker */
    0x7ff8000000000001u, 0xfff8dead0000beefu, 0x7ff0000000000000u,
    0xfff0000000000000u, 0x8000000000000000u, /* -0 */
    0x0000000000000001u,                      /* the smallest denormal */
    0x800fffffffffffffu, 0x0010000000000000u, 0x7fefffffffffffffu,
    0xffefffffffffffffu, 0x4340000000000001u, /* 2^53 + 2 */
    0x43d0000000000000u,                      /* 2^62 */
    0x43e0000000000000u,                      /* 2^63 */
    0xc3e0000000000000u, 0x3fd5555555555555u, /* 1/3 */
    0x3ff0000000000001u,
};

/* Encode, decode all, compare bits; then some ranges. */
static size_t check_round_trip(size_t count)
{
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, 16 << 20);
    assert_true(chunk_encode_samples(times, values, count, 77, CHUNK_OUT_OF_ORDER, &out, &err));
    struct slice chunk = buffer_slice(&out);

    struct chunk_header h;
    assert_true(chunk_peek(chunk, &h, &err));
    assert_int_equal(h.kind, CHUNK_SAMPLES);
    assert_int_equal(h.count, count);
    assert_int_equal(h.first_ns, times[0]);
    assert_int_equal(h.last_ns, times[count - 1]);
    assert_int_equal(h.lsn_max, 77);
    assert_int_equal(h.flags, CHUNK_OUT_OF_ORDER);
    assert_true(chunk_verify(chunk, &err));

    size_t n;
    assert_true(chunk_decode_samples(chunk, INT64_MIN, INT64_MAX, times_out, values_out, &n, &err));
    assert_int_equal(n, count);
    assert_memory_equal(times_out, times, count * sizeof(times[0]));
    assert_memory_equal(values_out, values, count * sizeof(values[0]));

    for (int round = 0; round < 6; round++) {
        size_t from = below(count), to = from + below(round % 2 ? 20 : count);
        to = to < count ? to : count - 1;
        assert_true(
            chunk_decode_samples(chunk, times[from], times[to], times_out, values_out, &n, &err));
        assert_int_equal(n, to - from + 1);
        assert_memory_equal(times_out, times + from, n * sizeof(times[0]));
        assert_memory_equal(values_out, values + from, n * sizeof(values[0]));
    }

    /* Bounds that lie between samples, or beyond all of them. */
    bool is_wide = times[0] < INT64_MIN / 4 || times[count - 1] > INT64_MAX / 4;
    for (int round = 0; round < 4 && !is_wide; round++) {
        int64_t span = times[count - 1] - times[0] + 20;
        int64_t start = times[0] - 10 + (int64_t)below((uint64_t)span);
        int64_t end = start + (int64_t)below((uint64_t)span / (uint64_t)(round + 1));
        size_t from = 0, to = count;
        while (from < count && times[from] < start)
            from++;
        while (to > from && times[to - 1] > end)
            to--;
        assert_true(chunk_decode_samples(chunk, start, end, times_out, values_out, &n, &err));
        assert_int_equal(n, to - from);
        assert_memory_equal(times_out, times + from, n * sizeof(times[0]));
        assert_memory_equal(values_out, values + from, n * sizeof(values[0]));
    }

    /* Taken apart and put together it is the same. */
    struct chunk_parts parts;
    struct buffer joined;
    buffer_init(&joined, 16 << 20);
    assert_true(chunk_split(chunk, &parts, &err));
    assert_true(chunk_join(&parts, &joined, &err));
    assert_int_equal(joined.size, out.size);
    assert_memory_equal(joined.data, out.data, out.size);
    size_t size = out.size;
    buffer_done(&joined);
    buffer_done(&out);
    return size;
}

static void fill_times(size_t count, int shape)
{
    int64_t t = INT64_C(1700000000000000000) + (int64_t)below(1000) * 1000000;
    int64_t unit = shape & 1 ? 1000000 : 1;
    t -= t % unit;
    int64_t grid = t;
    for (size_t i = 0; i < count; i++) {
        switch (shape / 2) {
        case 0:
            t += 15000 * unit;
            break;
        case 1: /* jitter around a grid */
            grid += 15000 * unit;
            t = grid + (int64_t)below(10) * unit;
            break;
        case 2: /* now and then a gap */
            t += (below(50) == 0 ? 150000 : 15000) * unit;
            break;
        default:
            t += (1 + (int64_t)below(UINT64_C(1) << (1 + below(unit == 1 ? 40 : 24)))) * unit;
        }
        times[i] = t;
    }
}

static void fill_values(size_t count, int shape)
{
    double level = 1000;
    for (size_t i = 0; i < count; i++) {
        switch (shape) {
        case 0: /* constant */
            values[i] = 42.5;
            break;
        case 1: /* counter */
            level += (double)below(100);
            values[i] = level;
            break;
        case 2: /* decimal gauge */
            level += (double)below(21) - 10;
            values[i] = level / 100;
            break;
        case 3: /* counter with resets and stale markers */
            level = below(60) == 0 ? 0 : level + (double)below(1000);
            values[i] = below(60) == 0 ? double_from_bits(nasty[0]) : level;
            break;
        case 4: /* full precision */
            values[i] = (double)random64() / 3.0 * 1e-19;
            break;
        case 5: /* only nasty ones */
            values[i] = double_from_bits(nasty[below(COUNT_OF(nasty))]);
            break;
        case 6: /* a few nasty ones among decimals */
            values[i] = below(20) == 0 ? double_from_bits(nasty[below(COUNT_OF(nasty))])
                                       : (double)below(1000) / 10;
            break;
        case 7: /* any bits */
            values[i] = double_from_bits(random64());
            break;
        case 8: /* beyond 2^53 */
            values[i] = 9007199254740992.0 + (double)below(1000) * 2;
            break;
        case 9: /* alternating */
            values[i] = i % 2 ? 0.1 : 123456.7;
            break;
        case 10: /* zero and minus zero */
            values[i] = below(2) ? 0.0 : -0.0;
            break;
        case 11: /* multiples of a page */
            level += (double)below(9) - 4;
            values[i] = level * 4096;
            break;
        case 12: /* full precision that rarely changes */
            if (i == 0 || below(10) == 0)
                level = (double)random64() / 7.0;
            values[i] = level;
            break;
        case 13: /* decimals whose scale grows too large for some */
            values[i] = i % 7 == 0 ? 1e15 + 1 : i % 50 == 1 ? 0.000001 : (double)below(100);
            break;
        default: /* very large and very small whole numbers */
            values[i] = (double)(int64_t)random64() * (below(2) ? 1 : 1e-9);
        }
    }
}

static void every_shape_of_values_and_times_comes_back_bit_for_bit(void **state)
{
    (void)state;
    static const size_t counts[] = {1,   2,   3,   5,   64,   127,  128, 129,
                                    130, 240, 257, 480, 1023, 1025, 2999};
    for (size_t c = 0; c < COUNT_OF(counts); c++)
        for (int shape = 0; shape < 15; shape++)
            for (int t = 0; t < 8; t++) {
                fill_times(counts[c], t);
                fill_values(counts[c], shape);
                check_round_trip(counts[c]);
            }
}

static void mixtures_of_shapes_come_back_bit_for_bit(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        size_t count = 1 + below(600);
        fill_times(count, (int)below(8));
        for (size_t from = 0; from < count;) {
            double saved[COUNT_MAX];
            size_t piece = 1 + below(200);
            memcpy(saved, values, sizeof(saved));
            fill_values(count, (int)below(15));
            memcpy(values, saved, from * sizeof(values[0]));
            from += piece;
        }
        check_round_trip(count);
    }
}

static void times_at_the_ends_of_the_range_come_back(void **state)
{
    (void)state;
    times[0] = INT64_MIN + 1;
    times[1] = -5;
    times[2] = 7;
    values[0] = values[1] = values[2] = 1;
    check_round_trip(3);
    times[0] = 0;
    times[1] = INT64_MAX - 1;
    times[2] = INT64_MAX;
    check_round_trip(3);
}

static void common_shapes_are_small(void **state)
{
    (void)state;
    struct {
        int shape;
        double size_max; /* bytes a sample */
    } aims[] = {{0, 0.06}, {1, 1.0}, {2, 0.75}, {4, 7.1}, {11, 0.65}, {12, 1.2}};
    for (size_t i = 0; i < COUNT_OF(aims); i++) {
        fill_times(480, 1);
        fill_values(480, aims[i].shape);
        double size = (double)check_round_trip(480) / 480;
        if (size > aims[i].size_max)
            fail_msg("shape %d takes %.3f bytes a sample, the aim is %.3f", aims[i].shape, size,
                     aims[i].size_max);
    }
}

static void damage_is_always_noticed(void **state)
{
    (void)state;
    struct error err = {0};
    for (int round = 0; round < 300; round++) {
        size_t count = 1 + below(400), n;
        fill_times(count, (int)below(8));
        fill_values(count, (int)below(15));
        struct buffer out;
        buffer_init(&out, 1 << 20);
        assert_true(chunk_encode_samples(times, values, count, 1, 0, &out, &err));
        for (int k = 0; k < 40; k++) {
            size_t size = out.size;
            char *bytes = xmemdup(out.data, out.size);
            if (below(3) == 0)
                size = below(out.size);
            else
                bytes[below(size)] ^= (char)(1u << below(8));
            assert_false(chunk_decode_samples(slice_of(bytes, size), INT64_MIN, INT64_MAX,
                                              times_out, values_out, &n, &err));
            assert_true(err.code == ERR_CORRUPT || err.code == ERR_UNSUPPORTED);
            free(bytes);
        }
        buffer_done(&out);
    }
}

static void a_newer_version_is_refused_as_unsupported(void **state)
{
    (void)state;
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    fill_times(10, 1);
    fill_values(10, 1);
    assert_true(chunk_encode_samples(times, values, 10, 1, 0, &out, &err));
    out.data[0] = (char)((CHUNK_VERSION + 1) << 4 | CHUNK_SAMPLES);
    struct chunk_header h;
    assert_false(chunk_peek(buffer_slice(&out), &h, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    buffer_done(&out);
}

static void no_samples_and_too_many_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    assert_false(chunk_encode_samples(times, values, 0, 1, 0, &out, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(chunk_encode_samples(times, values, CHUNK_SAMPLES_MAX + 1, 1, 0, &out, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_of_values_and_times_comes_back_bit_for_bit),
        cmocka_unit_test(mixtures_of_shapes_come_back_bit_for_bit),
        cmocka_unit_test(times_at_the_ends_of_the_range_come_back),
        cmocka_unit_test(common_shapes_are_small),
        cmocka_unit_test(damage_is_always_noticed),
        cmocka_unit_test(a_newer_version_is_refused_as_unsupported),
        cmocka_unit_test(no_samples_and_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
