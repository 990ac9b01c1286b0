/*
 * test_tsdb.c - the parts of Prometheus' blocks that no Prometheus of Debian writes: float
 * histograms, custom bounds and stale ones; and what damage does.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/histogram.h"
#include "wire/crc32c.h"
#include "wire/tsdb_chunk.h"
#include "wire/tsdb_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Three samples 15 s apart, schema 1, spans (0,2) (1,1) and (0,1), a gauge. */
static const uint8_t float_histograms[] = {
    0x00, 0x03, 0xc0, 0xea, 0x8c, 0xa4, 0x8c, 0x63, 0x17, 0x8f, 0xa1, 0x00, 0x90, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x58, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xe0, 0xea, 0x63, 0x60, 0x9a, 0xd8, 0x17, 0xb0,
    0x1b, 0x58, 0x5e, 0xc0, 0x6d, 0xc1, 0x7b, 0x41, 0xed, 0x0b, 0x00};

/* Bounds 0.005, 0.1, 1.5, 33.3; counts as integers; the fourth sample is stale. */
static const uint8_t custom_histograms[] = {
    0x00, 0x04, 0x80, 0x00, 0xee, 0x5c, 0xa4, 0x8c, 0x54, 0xb7, 0x19, 0x7c, 0xbb, 0xa4,
    0x04, 0x0a, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xbf, 0x1f, 0x45, 0x88, 0x02, 0xc0, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x11, 0x95, 0xfe, 0x0e, 0xa6, 0x26, 0xd8, 0x17, 0x10, 0x6d,
    0x0b, 0x0a, 0xb1, 0x7b, 0xff, 0x60, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10};

struct seen {
    int64_t times[8];
    double sums[8], counts[8], first[8], last[8];
    struct histogram last_one;
    size_t count;
};

static bool note_sample(void *context, int64_t time_ms, double value)
{
    (void)context, (void)time_ms, (void)value;
    fail_msg("no float expected");
    return false;
}

static bool note_histogram(void *context, int64_t time_ms, const struct histogram *h)
{
    struct seen *seen = context;
    struct error err = {0};
    size_t i = seen->count++;
    assert_true(i < 8);
    if (!histogram_is_stale(h)) {
        assert_true(histogram_check(h, &err));
        seen->first[i] = h->positive.buckets[0];
        seen->last[i] = h->positive.buckets[2];
    }
    seen->times[i] = time_ms;
    seen->sums[i] = h->sum;
    seen->counts[i] = h->count;
    seen->last_one = *h;
    return true;
}

static bool decode(uint8_t encoding, const uint8_t *bytes, size_t size, struct arena *arena,
                   struct seen *seen, struct error *err)
{
    struct tsdb_chunk chunk = {encoding, slice_of((const char *)bytes, size)};
    struct tsdb_chunk_sink sink = {seen, note_sample, note_histogram};
    *seen = (struct seen){0};
    return tsdb_chunk_decode(&chunk, arena, &sink, err);
}

static void float_histograms_come_back(void **state)
{
    (void)state;
    struct seen seen;
    struct error err = {0};
    AUTO(arena_drop) struct arena *arena = arena_new(1 << 20);
    assert_true(decode(3, float_histograms, sizeof(float_histograms), arena, &seen, &err));
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.times[0], 1000);
    assert_int_equal(seen.times[2], 31000);
    assert_true(seen.counts[1] == 12.5 && seen.sums[2] == 7.0);
    assert_true(seen.first[0] == 1.0 && seen.first[1] == 1.5 && seen.last[2] == 4.0);
    assert_int_equal(seen.last_one.schema, 1);
    assert_int_equal(seen.last_one.hint, HISTOGRAM_GAUGE);
    assert_false(seen.last_one.integer);
    assert_true(seen.last_one.zero_count == 2.5 && seen.last_one.negative.buckets[0] == 3.0);
    assert_true(seen.last_one.zero_threshold == 0x1p-10);
}

static void custom_bounds_and_stale_histograms_come_back(void **state)
{
    (void)state;
    struct seen seen;
    struct error err = {0};
    AUTO(arena_drop) struct arena *arena = arena_new(1 << 20);
    assert_true(decode(2, custom_histograms, sizeof(custom_histograms), arena, &seen, &err));
    assert_int_equal(seen.count, 4);
    assert_true(seen.counts[0] == 6.0 && seen.counts[2] == 12.0);
    assert_true(seen.first[2] == 3.0 && seen.last[2] == 4.0);
    assert_true(histogram_is_stale(&seen.last_one));
    assert_int_equal(seen.times[3], 46000);
}

static void chunks_that_end_early_are_refused_and_never_overrun(void **state)
{
    (void)state;
    AUTO(arena_drop) struct arena *arena = arena_new(1 << 20);
    for (size_t size = 0; size + 1 < sizeof(float_histograms); size++) {
        struct seen seen;
        struct error err = {0};
        assert_false(decode(3, float_histograms, size, arena, &seen, &err));
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void unknown_encodings_are_named(void **state)
{
    (void)state;
    struct seen seen;
    struct error err = {0};
    assert_false(decode(4, float_histograms, sizeof(float_histograms), NULL, &seen, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "encoding 4"));
}

static void the_checksum_is_castagnolis(void **state)
{
    (void)state;
    assert_int_equal(crc32c(SLICE("123456789")), 0xe3069283);
    assert_int_equal(crc32c(SLICE("")), 0);
}

static void tombstones_cover_both_ends_of_their_series_alone(void **state)
{
    (void)state;
    struct error err = {0};
    struct tsdb_tombstones stones = {0};
    /* Series 7 from -1 to 2 ms, series 3 from 5 to 6. */
    char file[15] = "\x01\x30\xba\x30\x01\x07\x01\x04\x03\x0a\x0c";
    uint32_t sum = crc32c(slice_of(file + 5, 6));
    for (int i = 0; i < 4; i++)
        file[11 + i] = (char)(sum >> (24 - 8 * i));
    assert_true(tsdb_tombstones_read(slice_of(file, sizeof(file)), &stones, &err));
    assert_int_equal(stones.count, 2);
    assert_true(tsdb_tombstones_cover(&stones, 7, -1));
    assert_true(tsdb_tombstones_cover(&stones, 7, 2));
    assert_false(tsdb_tombstones_cover(&stones, 7, 3));
    assert_false(tsdb_tombstones_cover(&stones, 3, 2));
    assert_true(tsdb_tombstones_cover(&stones, 3, 5));
    array_done(&stones);
    file[6] ^= 1;
    assert_false(tsdb_tombstones_read(slice_of(file, sizeof(file)), &stones, &err));
    assert_non_null(strstr(err.message, "checksum"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_histograms_come_back),
        cmocka_unit_test(custom_bounds_and_stale_histograms_come_back),
        cmocka_unit_test(chunks_that_end_early_are_refused_and_never_overrun),
        cmocka_unit_test(unknown_encodings_are_named),
        cmocka_unit_test(the_checksum_is_castagnolis),
        cmocka_unit_test(tombstones_cover_both_ends_of_their_series_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
