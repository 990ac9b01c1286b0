/* Unit tests of query/histogram_work.h: arithmetic on native histograms. */
#include "base/arena.h"
#include "base/histogram.h"
#include "query/histogram_work.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct histogram_span at_0_to_2[] = {{0, 3}};
static const struct histogram_span at_1_to_4[] = {{1, 4}};
static const double one_two_one[] = {1, 2, 1};
static const double four_ones[] = {1, 1, 1, 1};

static struct histogram small(void)
{
    return (struct histogram){.count = 4, .sum = 5, .positive = {at_0_to_2, 1, one_two_one, 3}};
}

static int setup(void **state)
{
    *state = arena_new(1 << 20);
    return 0;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static void assert_near(double expected, double got)
{
    if (!(fabs(expected - got) <= 1e-9 * fabs(expected)))
        fail_msg("expected %.17g, got %.17g", expected, got);
}

static void adding_doubles_and_subtracting_empties(void **state)
{
    struct histogram h = small();
    struct histogram_work work;
    work_init(&work, &h, *state);
    assert_int_equal(work_add(&work, &h, 1, false), 0);
    const struct histogram *twice = work_finish(&work, true, *state);
    assert_near(8, twice->count);
    assert_near(4, twice->positive.buckets[1]);
    assert_int_equal(work_add(&work, twice, -1, false), 0);
    assert_int_equal(work_finish(&work, true, *state)->positive.span_count, 0);
    assert_int_equal(work_finish(&work, false, *state)->positive.bucket_count, 3);
}

static void the_coarser_schema_wins(void **state)
{
    struct histogram fine = {
        .schema = 1, .count = 4, .sum = 6, .positive = {at_1_to_4, 1, four_ones, 4}};
    struct histogram coarse = small();
    struct histogram_work work;
    work_init(&work, &fine, *state);
    assert_int_equal(work_add(&work, &coarse, 1, false), 0);
    const struct histogram *sum = work_finish(&work, true, *state);
    assert_int_equal(sum->schema, 0);
    assert_int_equal(sum->positive.bucket_count, 3);
    assert_near(1, sum->positive.buckets[0]);
    assert_near(4, sum->positive.buckets[1]);
    assert_near(3, sum->positive.buckets[2]);
}

static void a_wider_zero_bucket_swallows_buckets(void **state)
{
    struct histogram wide = small(), narrow = small();
    wide.zero_threshold = 1.5; /* inside of bucket 1, (1, 2] */
    wide.zero_count = 3;
    wide.positive = (struct histogram_side){0};
    struct histogram_work work;
    work_init(&work, &wide, *state);
    assert_int_equal(work_add(&work, &narrow, 1, false), 0);
    const struct histogram *sum = work_finish(&work, true, *state);
    assert_near(2, sum->zero_threshold);
    assert_near(6, sum->zero_count);
    assert_int_equal(sum->positive.bucket_count, 1);
    assert_near(1, sum->positive.buckets[0]);
}

static void custom_bounds_in_common_stay(void **state)
{
    static const double low[] = {1, 2, 3}, high[] = {2, 3, 4};
    static const struct histogram_span four[] = {{0, 4}};
    struct histogram a = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                          .count = 4,
                          .positive = {four, 1, four_ones, 4},
                          .custom = low,
                          .custom_count = 3};
    struct histogram b = a;
    b.custom = high;
    struct histogram_work work;
    work_init(&work, &a, *state);
    assert_int_equal(work_add(&work, &b, 1, false), WORK_RECONCILED);
    const struct histogram *sum = work_finish(&work, true, *state);
    assert_int_equal(sum->custom_count, 2);
    assert_near(3, sum->positive.buckets[0]);
    assert_near(2, sum->positive.buckets[1]);
    assert_near(3, sum->positive.buckets[2]);
}

static void exponential_and_custom_do_not_mix(void **state)
{
    struct histogram a = small(), b = small();
    b.schema = HISTOGRAM_SCHEMA_CUSTOM;
    struct histogram_work work;
    work_init(&work, &a, *state);
    assert_int_equal(work_add(&work, &b, 1, false), WORK_INCOMPATIBLE);
}

static void hints_that_contradict_are_reported(void **state)
{
    struct histogram a = small(), b = small();
    struct histogram_work work;
    a.hint = HISTOGRAM_RESET;
    b.hint = HISTOGRAM_NOT_RESET;
    work_init(&work, &a, *state);
    assert_int_equal(work_add(&work, &b, 1, false), WORK_COLLISION);
    assert_int_equal(work.hint, HISTOGRAM_RESET_UNKNOWN);
    b.hint = HISTOGRAM_GAUGE;
    assert_int_equal(work_add(&work, &b, 1, false), 0);
    assert_int_equal(work.hint, HISTOGRAM_GAUGE);
}

static void a_mean_does_not_overflow(void **state)
{
    struct histogram h = small();
    struct histogram_work work;
    bool incremental = false;
    h.sum = 1.5e308;
    work_init(&work, &h, *state);
    assert_int_equal(work_add_mean(&work, &h, 2, &incremental), 0);
    assert_true(incremental);
    assert_near(1.5e308, work_finish(&work, true, *state)->sum);
}

static void quantiles_and_fractions_are_inverse(void **state)
{
    struct histogram h = small();
    enum histogram_note note;
    for (double q = 0.05; q < 1; q += 0.05) {
        double value = histogram_quantile(&h, q, *state, &note);
        assert_near(q, histogram_fraction(&h, -(double)INFINITY, value, *state, &note));
        assert_int_equal(note, NOTE_NONE);
    }
}

static void trimming_keeps_what_is_below(void **state)
{
    struct histogram h = small();
    const struct histogram *below = histogram_trim(&h, 2, true, *state);
    const struct histogram *above = histogram_trim(&h, 2, false, *state);
    assert_near(3, below->count);
    assert_near(1, above->count);
    assert_near(4, histogram_trim(&h, 100, true, *state)->count);
    assert_near(5, histogram_trim(&h, 100, true, *state)->sum);
}

static void little_memory_is_no_crash(void **state)
{
    (void)state;
    struct histogram h = small();
    for (size_t limit = 0; limit < 2000; limit += 40) {
        struct arena *arena = arena_new(limit);
        struct histogram_work work;
        work_init(&work, &h, arena);
        work_add(&work, &h, 1, true);
        work_finish(&work, true, arena);
        histogram_trim(&h, 1.5, true, arena);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(adding_doubles_and_subtracting_empties, setup, teardown),
        cmocka_unit_test_setup_teardown(the_coarser_schema_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wider_zero_bucket_swallows_buckets, setup, teardown),
        cmocka_unit_test_setup_teardown(custom_bounds_in_common_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(exponential_and_custom_do_not_mix, setup, teardown),
        cmocka_unit_test_setup_teardown(hints_that_contradict_are_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mean_does_not_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(quantiles_and_fractions_are_inverse, setup, teardown),
        cmocka_unit_test_setup_teardown(trimming_keeps_what_is_below, setup, teardown),
        cmocka_unit_test_setup_teardown(little_memory_is_no_crash, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
