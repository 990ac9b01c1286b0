/* Times and durations of both worlds. */
#include "base/arena.h"
#include "base/duration.h"
#include "base/error.h"
#include "server/form.h"
#include "server/parameters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int64_t prometheus(const char *text)
{
    int64_t ns = -7;
    assert_true(time_from_prometheus(slice_from_text(text), &ns));
    return ns;
}

static int64_t loki(const char *text)
{
    int64_t ns = -7;
    assert_true(time_from_loki(slice_from_text(text), &ns));
    return ns;
}

static void prometheus_times_are_seconds_to_the_millisecond(void **state)
{
    (void)state;
    assert_int_equal(prometheus("4"), 4 * NS_PER_SECOND);
    assert_int_equal(prometheus("1435781430.781"), INT64_C(1435781430781000000));
    assert_int_equal(prometheus("1435781430.7814"), INT64_C(1435781430781000000));
    assert_int_equal(prometheus("-1.5"), -1500 * NS_PER_MS);
    assert_int_equal(prometheus("1e3"), 1000 * NS_PER_SECOND);
    assert_int_equal(prometheus("2015-07-01T20:10:30.781Z"), INT64_C(1435781430781000000));
}

static void prometheus_times_saturate(void **state)
{
    (void)state;
    assert_int_equal(prometheus("1795456965000"), INT64_MAX); /* ms given for seconds */
    assert_int_equal(prometheus("-1e300"), INT64_MIN);
    assert_int_equal(prometheus("Inf"), INT64_MAX);
    assert_int_equal(prometheus("-292273086-05-16T16:47:06Z"), INT64_MIN);
    assert_int_equal(prometheus("+292277025-08-18T07:12:54.999999999Z"), INT64_MAX);
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"foo", "NaN", "5m", "2015-07-01", " 4"};
    int64_t ns;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_false(time_from_prometheus(slice_from_text(wrong[i]), &ns));
        assert_false(time_from_loki(slice_from_text(wrong[i]), &ns));
    }
}

static void loki_times_go_by_their_length(void **state)
{
    (void)state;
    assert_int_equal(loki("4000000000"), INT64_C(4000000000) * NS_PER_SECOND);
    assert_int_equal(loki("9999999999"), INT64_MAX);
    assert_int_equal(loki("14357814301"), INT64_C(14357814301));
    assert_int_equal(loki("1435781430781000001"), INT64_C(1435781430781000001));
    assert_int_equal(loki("1435781430.781"), INT64_C(1435781430781000000));
    assert_int_equal(loki("2026-11-23T18:00:00.5+01:00"), loki("2026-11-23T17:00:00.5Z"));
}

static void durations_are_seconds_or_words(void **state)
{
    (void)state;
    int64_t ns;
    bool overflow;
    assert_true(duration_from_parameter(SLICE("15"), &ns, &overflow));
    assert_int_equal(ns, 15 * NS_PER_SECOND);
    assert_true(duration_from_parameter(SLICE("0.5"), &ns, &overflow));
    assert_int_equal(ns, 500 * NS_PER_MS);
    assert_true(duration_from_parameter(SLICE("15000ms"), &ns, &overflow));
    assert_int_equal(ns, 15 * NS_PER_SECOND);
    assert_true(duration_from_parameter(SLICE("1h30m"), &ns, &overflow));
    assert_int_equal(ns, 90 * NS_PER_MINUTE);
    assert_false(duration_from_parameter(SLICE("1e10"), &ns, &overflow));
    assert_true(overflow);
    assert_false(duration_from_parameter(SLICE("NaN"), &ns, &overflow));
    assert_false(duration_from_parameter(SLICE("soon"), &ns, &overflow));
    assert_false(overflow);
}

static void errors_name_the_parameter(void **state)
{
    (void)state;
    struct arena *arena = arena_new(4096);
    struct form form;
    struct error err = {0};
    int64_t ns;
    uint64_t count;
    form_init(&form, arena);
    assert_true(form_parse(&form, SLICE("start=foo&step=bar&limit=-1&n=x"), &err));
    assert_false(form_time_prometheus(&form, "start", 0, &ns, &err));
    assert_string_equal(err.message,
                        "invalid parameter \"start\": cannot parse \"foo\" to a valid timestamp");
    assert_false(form_duration(&form, "step", 0, &ns, &err));
    assert_string_equal(err.message,
                        "invalid parameter \"step\": cannot parse \"bar\" to a valid duration");
    assert_false(form_count(&form, "limit", 0, &count, &err));
    assert_non_null(strstr(err.message, "limit must be non-negative"));
    assert_false(form_count(&form, "n", 0, &count, &err));
    assert_true(form_time_prometheus(&form, "absent", 42, &ns, &err));
    assert_int_equal(ns, 42);
    arena_free(arena);
}

static void loki_ranges_are_the_last_hour_by_default(void **state)
{
    (void)state;
    struct arena *arena = arena_new(4096);
    struct form form;
    struct error err = {0};
    int64_t range_ns[2], now_ns = 10 * NS_PER_HOUR;
    form_init(&form, arena);
    assert_true(form_range_loki(&form, now_ns, range_ns, &err));
    assert_int_equal(range_ns[0], 9 * NS_PER_HOUR);
    assert_int_equal(range_ns[1], now_ns);
    assert_true(form_parse(&form, SLICE("end=7200.0&since=30m"), &err));
    assert_true(form_range_loki(&form, now_ns, range_ns, &err));
    assert_int_equal(range_ns[0], 90 * NS_PER_MINUTE);
    assert_int_equal(range_ns[1], 2 * NS_PER_HOUR);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prometheus_times_are_seconds_to_the_millisecond),
        cmocka_unit_test(prometheus_times_saturate),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(loki_times_go_by_their_length),
        cmocka_unit_test(durations_are_seconds_or_words),
        cmocka_unit_test(errors_name_the_parameter),
        cmocka_unit_test(loki_ranges_are_the_last_hour_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
