/* test_histogram.c - copies, checks and resets of native histograms. */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/histogram.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct histogram_span two_spans[] = {{-1, 2}, {3, 1}};
static const struct histogram_span one_span[] = {{0, 3}};
static const double counts[] = {1, 2, 3};
static const double bounds[] = {-1, 0.5, 4};

static struct histogram exponential(void)
{
    return (struct histogram){.schema = 3,
                              .integer = true,
                              .zero_threshold = 0.001,
                              .zero_count = 4,
                              .count = 16,
                              .sum = 17.5,
                              .positive = {two_spans, 2, counts, 3},
                              .negative = {one_span, 1, counts, 3}};
}

static struct histogram with_bounds(void)
{
    return (struct histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM,
                              .count = 6,
                              .sum = 7,
                              .positive = {one_span, 1, counts, 3},
                              .custom = bounds,
                              .custom_count = 3};
}

static void a_copy_shares_nothing_and_is_the_same(void **state)
{
    (void)state;
    struct arena *arena = arena_new(4096), *small = arena_new(sizeof(struct histogram) + 16);
    struct histogram h = exponential(), custom = with_bounds();
    struct histogram *copy = histogram_copy(arena, &h);
    assert_non_null(copy);
    assert_true(histogram_same(copy, &h));
    assert_ptr_not_equal(copy->positive.buckets, h.positive.buckets);
    assert_ptr_not_equal(copy->negative.spans, h.negative.spans);
    copy->hint = HISTOGRAM_GAUGE;
    copy->integer = false;
    assert_true(histogram_same(copy, &h));
    copy = histogram_copy(arena, &custom);
    assert_true(histogram_same(copy, &custom));
    assert_ptr_not_equal(copy->custom, custom.custom);
    assert_null(histogram_copy(small, &h));
    arena_free(arena);
    arena_free(small);
}

static void every_bit_makes_a_difference(void **state)
{
    (void)state;
    struct histogram a = exponential(), b;
    double other[] = {1, 2, 4};
    struct histogram_span moved[] = {{-1, 2}, {4, 1}};
    b = a, b.zero_count = -0.0, a.zero_count = 0;
    assert_false(histogram_same(&a, &b));
    b = a, b.sum = 17;
    assert_false(histogram_same(&a, &b));
    b = a, b.positive.buckets = other;
    assert_false(histogram_same(&a, &b));
    b = a, b.positive.spans = moved;
    assert_false(histogram_same(&a, &b));
    b = a, b.custom = bounds, b.custom_count = 3;
    assert_false(histogram_same(&a, &b));
}

static void a_stale_marker_is_one_nan_only(void **state)
{
    (void)state;
    struct histogram h = {.sum = NAN};
    assert_false(histogram_is_stale(&h));
    h.sum = double_from_bits(UINT64_C(0x7ff0000000000002));
    assert_true(histogram_is_stale(&h));
}

static void expect_refusal(const struct histogram *h, const char *words)
{
    struct error err = {0};
    assert_false(histogram_check(h, &err));
    assert_int_equal(err.code, ERR_INVALID);
    if (strstr(err.message, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", err.message, words);
}

static void valid_histograms_pass(void **state)
{
    (void)state;
    struct histogram h = exponential(), custom = with_bounds(), empty = {.schema = -4};
    assert_true(histogram_check(&h, NULL));
    assert_true(histogram_check(&custom, NULL));
    assert_true(histogram_check(&empty, NULL));
    h.count = 20, h.sum = NAN; /* observations of NaN are in no bucket */
    assert_true(histogram_check(&h, NULL));
    h.count = 3, h.sum = 1, h.integer = false; /* float histograms may drift */
    assert_true(histogram_check(&h, NULL));
}

static void broken_histograms_are_refused_by_name(void **state)
{
    (void)state;
    static const struct histogram_span backward[] = {{0, 2}, {-1, 1}};
    static const double negative[] = {1, -2, 3};
    struct histogram h = exponential();
    h.count = 15;
    expect_refusal(&h, "16 observations found in buckets, but the Count field is 15");
    h.sum = NAN;
    expect_refusal(&h, "should be at least the number of observations");
    h = exponential(), h.schema = 9;
    expect_refusal(&h, "must be between -4 and 8");
    h = exponential(), h.positive.bucket_count = 2;
    expect_refusal(&h, "positive side: spans need 3 buckets, have 2 buckets");
    h = exponential(), h.negative.spans = backward, h.negative.span_count = 2;
    expect_refusal(&h, "negative side: span number 2 with offset -1");
    h = exponential(), h.positive.buckets = negative;
    expect_refusal(&h, "bucket number 2 has observation count of -2");
    h = exponential(), h.zero_count = -1, h.integer = false;
    expect_refusal(&h, "zero bucket has observation count of -1");
    h = exponential(), h.count = -1, h.integer = false;
    expect_refusal(&h, "observation count is negative");
    h = exponential(), h.custom = bounds, h.custom_count = 3;
    expect_refusal(&h, "must not have custom bounds");
    h = exponential(), h.positive.bucket_count = HISTOGRAM_BUCKETS_MAX + 1;
    expect_refusal(&h, "the limit is 16384");
    struct histogram_span far[] = {{INT32_MAX, 3}};
    h = exponential(), h.positive.spans = far, h.positive.span_count = 1;
    expect_refusal(&h, "bucket with index");
}

static void broken_bounds_are_refused_by_name(void **state)
{
    (void)state;
    static const double falling[] = {1, 1, 2}, nan_bound[] = {1, NAN, 2}, open[] = {1, 2, INFINITY};
    struct histogram h = with_bounds();
    h.custom = falling;
    expect_refusal(&h, "strictly increasing order");
    h.custom = nan_bound;
    expect_refusal(&h, "must not be NaN");
    h.custom = open;
    expect_refusal(&h, "must be finite");
    h = with_bounds(), h.custom_count = 1;
    expect_refusal(&h, "only 1 custom bounds defined which is insufficient");
    h = with_bounds(), h.zero_count = 1;
    expect_refusal(&h, "zero count of 0");
    h = with_bounds(), h.zero_threshold = 1;
    expect_refusal(&h, "zero threshold of 0");
    h = with_bounds(), h.negative = h.positive;
    expect_refusal(&h, "must not have negative spans");
}

static void anything_that_falls_is_a_reset(void **state)
{
    (void)state;
    static const double more[] = {1, 2, 9}, less[] = {1, 1, 9};
    static const struct histogram_span without_last[] = {{-1, 2}};
    struct histogram before = exponential(), next = exponential();
    assert_false(histogram_was_reset(&before, &next));
    next.count = 22, next.positive.buckets = more;
    assert_false(histogram_was_reset(&before, &next));
    next.positive.buckets = less;
    assert_true(histogram_was_reset(&before, &next));
    next = exponential(), next.count = 15.5;
    assert_true(histogram_was_reset(&before, &next));
    next = exponential(), next.zero_count = 3;
    assert_true(histogram_was_reset(&before, &next));
    next = exponential(), next.zero_threshold = 0.0001;
    assert_true(histogram_was_reset(&before, &next));
    next = exponential(), next.schema = 4;
    assert_true(histogram_was_reset(&before, &next));
    next = exponential(), next.positive.spans = without_last, next.positive.span_count = 1;
    next.positive.bucket_count = 2;
    assert_true(histogram_was_reset(&before, &next));
    next = exponential(), next.hint = HISTOGRAM_RESET;
    assert_true(histogram_was_reset(&before, &next));
    next.count = 0, next.hint = HISTOGRAM_NOT_RESET;
    assert_false(histogram_was_reset(&before, &next));
}

static void an_empty_bucket_may_vanish(void **state)
{
    (void)state;
    static const double first[] = {5, 0, 0}, second[] = {5};
    static const struct histogram_span one[] = {{0, 1}};
    struct histogram before = {.count = 5, .positive = {one_span, 1, first, 3}};
    struct histogram next = {.count = 5, .positive = {one, 1, second, 1}};
    assert_false(histogram_was_reset(&before, &next));
    assert_false(histogram_was_reset(&next, &before));
}

static void a_coarser_schema_is_compared_after_merging(void **state)
{
    (void)state;
    /* Buckets 1 to 4 of schema 1 are 1 and 2 of schema 0. */
    static const struct histogram_span four[] = {{1, 4}}, two[] = {{1, 2}};
    static const double fine[] = {1, 2, 3, 4}, enough[] = {3, 7}, short_by_one[] = {3, 6};
    struct histogram before = {.schema = 1, .count = 10, .positive = {four, 1, fine, 4}};
    struct histogram next = {.schema = 0, .count = 10, .positive = {two, 1, enough, 2}};
    assert_false(histogram_was_reset(&before, &next));
    next.positive.buckets = short_by_one;
    assert_true(histogram_was_reset(&before, &next));
}

static void a_wider_zero_bucket_takes_buckets_in(void **state)
{
    (void)state;
    /* Schema 0: bucket 0 is (0.5, 1], bucket 1 is (1, 2]. */
    static const struct histogram_span both[] = {{0, 2}}, second[] = {{1, 1}};
    static const double old_counts[] = {2, 3}, new_counts[] = {3};
    struct histogram before = {
        .zero_threshold = 0.25, .zero_count = 1, .count = 6, .positive = {both, 1, old_counts, 2}};
    struct histogram next = {
        .zero_threshold = 1, .zero_count = 3, .count = 6, .positive = {second, 1, new_counts, 1}};
    assert_false(histogram_was_reset(&before, &next));
    next.zero_count = 2;
    assert_true(histogram_was_reset(&before, &next));
    next.zero_count = 3, next.zero_threshold = 0.75; /* inside a populated bucket */
    assert_true(histogram_was_reset(&before, &next));
}

static void other_bounds_are_compared_where_they_meet(void **state)
{
    (void)state;
    static const double fine_bounds[] = {1, 2, 3}, coarse_bounds[] = {1, 3};
    static const double coarse[] = {1, 5, 4}, less[] = {1, 4, 4}, fine[] = {1, 2, 3};
    static const struct histogram_span three[] = {{0, 3}};
    struct histogram before = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                               .count = 6,
                               .positive = {three, 1, fine, 3},
                               .custom = fine_bounds,
                               .custom_count = 3};
    struct histogram next = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                             .count = 10,
                             .positive = {three, 1, coarse, 3},
                             .custom = coarse_bounds,
                             .custom_count = 2};
    assert_false(histogram_was_reset(&before, &next));
    next.positive.buckets = less;
    assert_true(histogram_was_reset(&before, &next));
    struct histogram plain = {.count = 1};
    next.count = 99;
    assert_true(histogram_was_reset(&plain, &next));
    plain.count = 100;
    assert_true(histogram_was_reset(&next, &plain));
}

static void bounds_are_powers(void **state)
{
    (void)state;
    assert_true(histogram_bound(0, 0) == 1 && histogram_bound(3, 0) == 8);
    assert_true(histogram_bound(-1, -4) == 0x1p-16 && histogram_bound(2, -2) == 256);
    assert_true(histogram_bound(8, 3) == 2 && histogram_bound(-256, 8) == 0.5);
    assert_true(fabs(histogram_bound(1, 1) - sqrt(2)) < 1e-15);
    assert_true(histogram_bound(1024, 0) == DBL_MAX && isinf(histogram_bound(1025, 0)));
    assert_true(histogram_bound(64, -4) == DBL_MAX && isinf(histogram_bound(INT32_MAX, 8)));
    assert_true(histogram_bound(INT32_MIN, -4) == 0);
}

static void coarser_buckets_hold_the_same(void **state)
{
    (void)state;
    /* Of schema 2 buckets -3 to 0 are bucket 0 of schema 0, 1 to 4 are 1, 5 to 8 are 2. */
    static const struct histogram_span near[] = {{-2, 3}, {3, 2}};
    static const double five[] = {1, 2, 3, 4, 5};
    struct arena *arena = arena_new(4096);
    struct histogram h = {.schema = 2, .count = 15, .positive = {near, 2, five, 5}};
    assert_true(histogram_coarsen(arena, &h, 0));
    assert_int_equal(h.schema, 0);
    assert_int_equal(h.positive.span_count, 1);
    assert_int_equal(h.positive.spans[0].offset, 0);
    assert_int_equal(h.positive.bucket_count, 3);
    assert_true(h.positive.buckets[0] == 6 && h.positive.buckets[1] == 4 &&
                h.positive.buckets[2] == 5);
    assert_true(histogram_check(&h, NULL));
    assert_true(histogram_coarsen(arena, &h, 5));
    assert_int_equal(h.schema, 0);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_shares_nothing_and_is_the_same),
        cmocka_unit_test(every_bit_makes_a_difference),
        cmocka_unit_test(a_stale_marker_is_one_nan_only),
        cmocka_unit_test(valid_histograms_pass),
        cmocka_unit_test(broken_histograms_are_refused_by_name),
        cmocka_unit_test(broken_bounds_are_refused_by_name),
        cmocka_unit_test(anything_that_falls_is_a_reset),
        cmocka_unit_test(an_empty_bucket_may_vanish),
        cmocka_unit_test(a_coarser_schema_is_compared_after_merging),
        cmocka_unit_test(a_wider_zero_bucket_takes_buckets_in),
        cmocka_unit_test(other_bounds_are_compared_where_they_meet),
        cmocka_unit_test(bounds_are_powers),
        cmocka_unit_test(coarser_buckets_hold_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
