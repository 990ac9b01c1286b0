/* Chunks of histograms and start times: bit for bit back, and damage is refused. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "storage/chunk_rich.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { COUNT_MAX = 600, MEMORY = 64 << 20 };
#define FIRST INT64_C(1700000000000000000)

static uint64_t random_state = 88172645463325252u;

static uint64_t below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static struct rich_sample samples[COUNT_MAX];

static struct histogram_side random_side(struct arena *arena, size_t spans)
{
    struct histogram_span *items = arena_calloc(arena, spans + 1, sizeof(*items));
    size_t buckets = 0;
    for (size_t i = 0; i < spans; i++) {
        items[i] =
            (struct histogram_span){(int32_t)below(9) - (i == 0 ? 4 : 0), (uint32_t)below(5)};
        buckets += items[i].length;
    }
    return (struct histogram_side){items, spans, NULL, buckets};
}

static void fill_counts(struct arena *arena, struct histogram_side *side, uint64_t at, bool nasty)
{
    double *counts = arena_calloc(arena, side->bucket_count + 1, sizeof(*counts));
    for (size_t i = 0; i < side->bucket_count; i++)
        counts[i] = nasty ? double_from_bits(below(UINT64_MAX)) : (double)(at * (i + 1) + below(3));
    side->buckets = counts;
}

/* Runs of one layout, floats between them, some start times, some nasty numbers. */
static void make_samples(struct arena *arena, size_t count)
{
    struct histogram layout = {.schema = 3};
    uint64_t left = 0, kind = 0;
    for (size_t i = 0; i < count; i++) {
        if (left == 0) {
            left = 1 + below(60);
            kind = below(4);
            layout = (struct histogram){.schema = (int32_t)below(13) - 4,
                                        .hint = (enum counter_reset_hint)below(4),
                                        .integer = below(2),
                                        .zero_threshold = 1e-9,
                                        .positive = random_side(arena, below(4)),
                                        .negative = random_side(arena, below(3))};
        }
        left--;
        samples[i] =
            (struct rich_sample){.time_ns = FIRST + (int64_t)(i * 15000 + below(9)) * 1000000,
                                 .start_ns = below(2) ? FIRST - 5000000 : 0,
                                 .value = double_from_bits(below(UINT64_MAX))};
        if (kind == 0)
            continue;
        struct histogram *h = arena_alloc(arena, sizeof(*h));
        *h = layout;
        h->count = (double)(i * 7);
        h->zero_count = (double)below(5);
        h->sum = samples[i].value;
        fill_counts(arena, &h->positive, i, kind == 3);
        fill_counts(arena, &h->negative, i, kind == 3);
        samples[i].histogram = h;
    }
}

static void expect_equal(const struct rich_sample *a, const struct rich_sample *b)
{
    assert_int_equal(a->time_ns, b->time_ns);
    assert_int_equal(a->start_ns, b->start_ns);
    assert_int_equal(double_bits(a->value), double_bits(b->value));
    assert_int_equal(a->histogram != NULL, b->histogram != NULL);
    if (a->histogram == NULL)
        return;
    assert_true(histogram_same(a->histogram, b->histogram));
    assert_int_equal(a->histogram->hint, b->histogram->hint);
    assert_int_equal(a->histogram->integer, b->histogram->integer);
}

static void check_round_trip(size_t count)
{
    struct error err = {0};
    struct arena *arena = arena_new(MEMORY);
    struct buffer out;
    const struct rich_sample *got;
    size_t got_count = 0;
    buffer_init(&out, MEMORY);
    if (!chunk_encode_rich(samples, count, 77, CHUNK_OVERLAPS, &out, &err) ||
        !chunk_decode_rich(buffer_slice(&out), INT64_MIN, INT64_MAX, arena, &got, &got_count, &err))
        fail_msg("%s", err.message);
    assert_int_equal(got_count, count);
    for (size_t i = 0; i < count; i++)
        expect_equal(&got[i], &samples[i]);
    size_t from = below(count), to = from + below(count - from);
    assert_true(chunk_decode_rich(buffer_slice(&out), samples[from].time_ns, samples[to].time_ns,
                                  arena, &got, &got_count, &err));
    assert_int_equal(got_count, to - from + 1);
    expect_equal(&got[0], &samples[from]);

    struct chunk_parts parts;
    struct buffer joined;
    buffer_init(&joined, MEMORY);
    assert_true(chunk_split(buffer_slice(&out), &parts, &err));
    assert_int_equal(parts.header.kind, CHUNK_RICH);
    assert_int_equal(parts.header.lsn_max, 77);
    assert_true(chunk_join(&parts, &joined, &err));
    assert_true(slice_equal(buffer_slice(&joined), buffer_slice(&out)));
    buffer_done(&joined);
    buffer_done(&out);
    arena_free(arena);
}

static void any_mix_of_samples_comes_back(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct arena *arena = arena_new(MEMORY);
        size_t count = 1 + below(round % 10 == 0 ? COUNT_MAX : 40);
        make_samples(arena, count);
        check_round_trip(count);
        arena_free(arena);
    }
}

static void samples_come_back_from_the_bytes_of_the_log(void **state)
{
    (void)state;
    struct arena *arena = arena_new(MEMORY);
    struct error err = {0};
    struct buffer bytes;
    buffer_init(&bytes, MEMORY);
    make_samples(arena, COUNT_MAX);
    for (size_t i = 0; i < COUNT_MAX; i++) {
        struct rich_sample got = {.time_ns = samples[i].time_ns};
        buffer_clear(&bytes);
        rich_sample_write(&bytes, &samples[i]);
        if (!rich_sample_read(buffer_slice(&bytes), arena, &got, &err))
            fail_msg("%s", err.message);
        expect_equal(&got, &samples[i]);
        for (size_t size = 0; size < bytes.size; size++)
            assert_false(rich_sample_read(slice_of(bytes.data, size), arena, &got, &err));
    }
    buffer_done(&bytes);
    arena_free(arena);
}

/* Equal content is known whatever stands beside it; other content is other bits. */
static void the_bits_are_of_the_content(void **state)
{
    (void)state;
    static const struct histogram_span spans[] = {{0, 2}};
    static const double counts[] = {1, 2}, others[] = {1, 3};
    struct histogram a = {.count = 3, .sum = 1, .integer = true, .positive = {spans, 1, counts, 2}};
    struct histogram b = a, c = a;
    b.hint = HISTOGRAM_GAUGE, b.integer = false;
    c.positive.buckets = others;
    struct rich_sample list[] = {{.histogram = &a},
                                 {.histogram = &b, .start_ns = 5000000},
                                 {.histogram = &c},
                                 {.value = 2.5, .start_ns = 5000000}};
    uint64_t bits[COUNT_OF(list)];
    for (size_t i = 0; i < COUNT_OF(list); i++) {
        struct buffer bytes;
        buffer_init(&bytes, MEMORY);
        rich_sample_write(&bytes, &list[i]);
        bits[i] = rich_sample_bits(buffer_slice(&bytes));
        buffer_done(&bytes);
    }
    assert_true(bits[0] == bits[1] && bits[0] != bits[2]);
    assert_int_equal(bits[3], double_bits(2.5));
}

static void damage_is_refused(void **state)
{
    (void)state;
    struct arena *arena = arena_new(MEMORY);
    struct error err = {0};
    struct buffer out;
    const struct rich_sample *got;
    size_t count;
    buffer_init(&out, MEMORY);
    make_samples(arena, 100);
    assert_true(chunk_encode_rich(samples, 100, 1, 0, &out, &err));
    for (size_t i = 0; i < out.size; i++) {
        struct arena *scratch = arena_new(MEMORY);
        out.data[i] ^= 4;
        assert_false(chunk_decode_rich(buffer_slice(&out), INT64_MIN, INT64_MAX, scratch, &got,
                                       &count, &err));
        /* With the checksum put right it must not do harm, whatever it says. */
        char *copy = xmemdup(out.data, out.size);
        if (out.size > 6)
            bytes_put32(copy + 2, (uint32_t)hash64(copy + 6, out.size - 6,
                                                   (uint64_t)(uint8_t)copy[0] |
                                                       (uint64_t)(uint8_t)copy[1] << 8));
        if (!chunk_decode_rich(slice_of(copy, out.size), INT64_MIN, INT64_MAX, scratch, &got,
                               &count, &err))
            assert_true(err.code == ERR_CORRUPT || err.code == ERR_LIMIT ||
                        err.code == ERR_UNSUPPORTED);
        free(copy);
        out.data[i] ^= 4;
        arena_free(scratch);
    }
    struct arena *small = arena_new(1000);
    assert_false(
        chunk_decode_rich(buffer_slice(&out), INT64_MIN, INT64_MAX, small, &got, &count, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    arena_free(small);
    buffer_done(&out);
    arena_free(arena);
}

/* A counter of 40 buckets, scraped 120 times: what a bucket costs. */
static void steady_histograms_are_small(void **state)
{
    (void)state;
    enum { BUCKETS = 40, SCRAPES = 120 };
    static const struct histogram_span spans[] = {{-20, BUCKETS}};
    struct arena *arena = arena_new(MEMORY);
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, MEMORY);
    double level[BUCKETS] = {0};
    for (size_t i = 0; i < SCRAPES; i++) {
        double *counts = arena_calloc(arena, BUCKETS, sizeof(*counts));
        struct histogram *h = arena_calloc(arena, 1, sizeof(*h));
        for (size_t k = 0; k < BUCKETS; k++) {
            level[k] += (double)below(10);
            counts[k] = level[k];
            h->count += level[k];
        }
        h->sum = h->count * 0.5;
        h->positive = (struct histogram_side){spans, 1, counts, BUCKETS};
        samples[i] = (struct rich_sample){
            .time_ns = FIRST + (int64_t)i * 15000000000, .value = h->sum, .histogram = h};
    }
    assert_int_equal(chunk_rich_fit(samples, SCRAPES), SCRAPES);
    assert_true(chunk_encode_rich(samples, SCRAPES, 1, 0, &out, &err));
    assert_true(out.size < (size_t)SCRAPES * BUCKETS); /* under a byte a bucket */
    print_message("%zu bytes a histogram of %d buckets\n", out.size / SCRAPES, BUCKETS);
    buffer_done(&out);
    arena_free(arena);
}

static void large_histograms_are_spread_over_chunks(void **state)
{
    (void)state;
    enum { LARGE = HISTOGRAM_BUCKETS_MAX };
    static const struct histogram_span spans[] = {{0, LARGE}};
    double *counts = xcalloc(LARGE, sizeof(*counts));
    struct histogram h = {.positive = {spans, 1, counts, LARGE},
                          .negative = {spans, 1, counts, LARGE}};
    for (size_t i = 0; i < 100; i++)
        samples[i] = (struct rich_sample){.time_ns = FIRST + (int64_t)i, .histogram = &h};
    size_t fit = chunk_rich_fit(samples, 100);
    assert_in_range(fit, 20, 40);
    check_round_trip(fit);
    free(counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_mix_of_samples_comes_back),
        cmocka_unit_test(samples_come_back_from_the_bytes_of_the_log),
        cmocka_unit_test(the_bits_are_of_the_content),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(steady_histograms_are_small),
        cmocka_unit_test(large_histograms_are_spread_over_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
