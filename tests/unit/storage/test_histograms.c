/* Histograms and start times: stored, read back from memory and from disk, their resets found. */
#include "base/bytes.h"
#include "store_helpers.h"

static const struct histogram_span spans[] = {{0, 2}, {1, 1}};

static bool put(struct batch *batch, uint32_t series, int64_t second, double count, int64_t start_s,
                enum counter_reset_hint hint)
{
    double counts[] = {count / 2, count / 4, count / 4};
    struct histogram h = {.schema = 1,
                          .hint = hint,
                          .count = count,
                          .sum = count * 2,
                          .positive = {spans, 2, counts, 3}};
    return batch_histogram(batch, series, T0 + second * NS_PER_SECOND,
                           start_s ? T0 + start_s * NS_PER_SECOND : 0, &h, NULL);
}

static struct batch_result put_one(struct fixture *f, int64_t second, double count)
{
    struct batch *batch = new_batch(f, STORE_METRIC);
    assert_true(put(batch, define(batch, "m", "a"), second, count, 0, HISTOGRAM_RESET_UNKNOWN));
    return commit(batch);
}

/* `expected` in the head, after a crash, sealed, and after a restart. */
static void expect_everywhere(struct fixture *f, const char *expected)
{
    expect_dump(f, STORE_METRIC, expected);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected);
    seal(f);
    expect_dump(f, STORE_METRIC, expected);
    fixture_crash(f);
    expect_dump(f, STORE_METRIC, expected);
    fixture_restart(f);
    expect_dump(f, STORE_METRIC, expected);
}

static void histograms_survive_seal_crash_and_restart(void **state)
{
    struct fixture *f = *state;
    struct batch *batch = new_batch(f, STORE_METRIC);
    uint32_t series = define(batch, "m", "a");
    static const double bounds[] = {0.5, 1}, three[] = {1, 2.5, 0};
    static const struct histogram_span one[] = {{0, 3}};
    struct histogram custom = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                               .count = 3.5,
                               .sum = 1,
                               .positive = {one, 1, three, 3},
                               .custom = bounds,
                               .custom_count = 2};
    assert_true(put(batch, series, 0, 4, 0, HISTOGRAM_RESET_UNKNOWN));
    assert_true(put(batch, series, 1, 8, -60, HISTOGRAM_RESET_UNKNOWN));
    assert_true(batch_histogram(batch, series, T0 + 2 * NS_PER_SECOND, 0, &custom, NULL));
    struct histogram gauge = custom;
    gauge.hint = HISTOGRAM_GAUGE;
    gauge.negative = (struct histogram_side){one, 1, three, 3};
    gauge.zero_count = 3;
    gauge.zero_threshold = 0.25;
    assert_true(
        batch_histogram(batch, define(batch, "m", "b"), T0, T0 - NS_PER_SECOND, &gauge, NULL));
    assert_int_equal(commit(batch).stored, 4);
    expect_everywhere(f, "{__name__=\"m\", app=\"a\"}: 0={?1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -}"
                         " 1000={N1 c8 s16 z0/0 +[0:2][1:1],4,2,2 -}@-60000"
                         " 2000={R-53 c3.5 s1 z0/0 +[0:3],1,2.5,0 - le0.5 le1}\n"
                         "{__name__=\"m\", app=\"b\"}: 0={G-53 c3.5 s1 z3/0.25 +[0:3],1,2.5,0"
                         " -[0:3],1,2.5,0 le0.5 le1}@-1000\n");
}

static void floats_keep_their_start_times(void **state)
{
    struct fixture *f = *state;
    struct batch *batch = new_batch(f, STORE_METRIC);
    uint32_t series = define(batch, "m", "a");
    for (int64_t i = 0; i < 6; i++) {
        int64_t start_ns = i % 3 ? T0 - 5 * NS_PER_SECOND : 0;
        assert_true(batch_sample_start(batch, series, T0 + i * NS_PER_SECOND, start_ns,
                                       (double)i / 2, NULL));
    }
    assert_int_equal(commit(batch).stored, 6);
    expect_everywhere(f, "{__name__=\"m\", app=\"a\"}: 0=0 1000=0.5@-5000 2000=1@-5000 3000=1.5"
                         " 4000=2@-5000 5000=2.5@-5000\n");
}

static void floats_and_histograms_share_a_series(void **state)
{
    struct fixture *f = *state;
    put_sample(f, "a", T0, 1);
    put_one(f, 1, 4);
    put_sample(f, "a", T0 + 2 * NS_PER_SECOND, 2);
    put_one(f, 3, 8);
    put_one(f, 4, 8);
    expect_everywhere(f, "{__name__=\"m\", app=\"a\"}: 0=1"
                         " 1000={?1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -} 2000=2"
                         " 3000={?1 c8 s16 z0/0 +[0:2][1:1],4,2,2 -}"
                         " 4000={N1 c8 s16 z0/0 +[0:2][1:1],4,2,2 -}\n");
}

static void equal_samples_are_taken_and_others_refused(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        struct batch_result result = put_one(f, 1, 4);
        assert_true(result.stored == 1 && result.refused[REFUSED_DUPLICATE] == 0);
        result = put_one(f, 1, 8);
        assert_true(result.stored == 0 && result.refused[REFUSED_DUPLICATE] == 1);
        result = put_sample(f, "a", T0 + NS_PER_SECOND, 8);
        assert_true(result.stored == 0 && result.refused[REFUSED_DUPLICATE] == 1);
        if (round == 0)
            fixture_crash(f);
        else
            seal(f);
    }
    put_sample(f, "a", T0 + 2 * NS_PER_SECOND, 8);
    struct batch_result result = put_one(f, 2, 4);
    assert_true(result.stored == 0 && result.refused[REFUSED_DUPLICATE] == 1);
    expect_everywhere(f, "{__name__=\"m\", app=\"a\"}: 1000={?1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -}"
                         " 2000=8\n");
}

static void resets_are_found_across_chunks_and_late_samples(void **state)
{
    struct fixture *f = *state;
    put_one(f, 10, 4);
    seal(f);
    put_one(f, 20, 8);
    seal(f);
    put_one(f, 30, 4); /* a reset */
    put_one(f, 40, 8);
    put_one(f, 15, 16); /* late: now the one at 20 is a reset */
    put_sample(f, "a", T0 + 35 * NS_PER_SECOND, 1);
    expect_everywhere(f, "{__name__=\"m\", app=\"a\"}:"
                         " 10000={?1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -}"
                         " 15000={N1 c16 s32 z0/0 +[0:2][1:1],8,4,4 -}"
                         " 20000={R1 c8 s16 z0/0 +[0:2][1:1],4,2,2 -}"
                         " 30000={R1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -} 35000=1"
                         " 40000={?1 c8 s16 z0/0 +[0:2][1:1],4,2,2 -}\n");
}

static void a_run_ends_at_a_stale_marker_or_a_gauge(void **state)
{
    struct fixture *f = *state;
    struct batch *batch = new_batch(f, STORE_METRIC);
    uint32_t series = define(batch, "m", "a");
    struct histogram stale = {.sum = double_from_bits(UINT64_C(0x7ff0000000000002))};
    put(batch, series, 1, 8, 0, HISTOGRAM_RESET);
    batch_histogram(batch, series, T0 + 2 * NS_PER_SECOND, 0, &stale, NULL);
    put(batch, series, 3, 4, 0, HISTOGRAM_NOT_RESET); /* not believed: nothing to compare with */
    put(batch, series, 4, 4, 0, HISTOGRAM_NOT_RESET);
    put(batch, series, 5, 4, 0, HISTOGRAM_GAUGE);
    put(batch, series, 6, 4, 0, HISTOGRAM_RESET_UNKNOWN);
    commit(batch);
    expect_everywhere(f, "{__name__=\"m\", app=\"a\"}: 1000={R1 c8 s16 z0/0 +[0:2][1:1],4,2,2 -}"
                         " 2000={?0 c0 snan z0/0 + -}"
                         " 3000={?1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -}"
                         " 4000={N1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -}"
                         " 5000={G1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -}"
                         " 6000={?1 c4 s8 z0/0 +[0:2][1:1],2,1,1 -}\n");
}

static void misshapen_histograms_are_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct batch *batch = new_batch(f, STORE_METRIC);
    uint32_t series = define(batch, "m", "a");
    static const double counts[] = {1, 2, 3};
    struct histogram h = {.positive = {spans, 2, counts, 2}};
    assert_false(batch_histogram(batch, series, T0, 0, &h, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "spans need 3 buckets, have 2"));
    h.positive.bucket_count = 3;
    assert_false(batch_histogram(batch, series, f->now_ns + NS_PER_DAY, 0, &h, &err));
    assert_int_equal(err.code, ERR_INVALID);
    struct batch_result result = commit(batch);
    assert_true(result.stored == 0 && result.refused[REFUSED_TOO_NEW] == 1);
}

static void a_range_cuts_histograms(void **state)
{
    struct fixture *f = *state;
    for (int64_t i = 0; i < 10; i++)
        put_one(f, i, (double)(4 * i));
    for (int round = 0; round < 2; round++) {
        char *text = dump_range(f, STORE_METRIC, NULL, 0, T0 + 3 * NS_PER_SECOND,
                                T0 + 4 * NS_PER_SECOND, false);
        assert_string_equal(text, "{__name__=\"m\", app=\"a\"}:"
                                  " 3000={N1 c12 s24 z0/0 +[0:2][1:1],6,3,3 -}"
                                  " 4000={N1 c16 s32 z0/0 +[0:2][1:1],8,4,4 -}\n");
        free(text);
        seal(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(histograms_survive_seal_crash_and_restart),
        TEST(floats_keep_their_start_times),
        TEST(floats_and_histograms_share_a_series),
        TEST(equal_samples_are_taken_and_others_refused),
        TEST(resets_are_found_across_chunks_and_late_samples),
        TEST(a_run_ends_at_a_stale_marker_or_a_gauge),
        TEST(misshapen_histograms_are_refused),
        TEST(a_range_cuts_histograms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
