/* test_duration.c - durations, dates and saturating time. */
#include "base/buffer.h"
#include "base/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef bool parser(struct slice s, int64_t *ns);

static void reads(parser *parse, const char *text, int64_t expected)
{
    int64_t ns = -77;
    if (!parse(slice_from_text(text), &ns) || ns != expected)
        fail_msg("%s gives %lld, expected %lld", text, (long long)ns, (long long)expected);
}

static void refuses(parser *parse, const char *text)
{
    int64_t ns = -77;
    if (parse(slice_from_text(text), &ns) || ns != -77)
        fail_msg("%s gives %lld", text, (long long)ns);
}

static void writes(void (*append)(struct buffer *, int64_t), int64_t ns, const char *expected)
{
    struct buffer b;
    buffer_init(&b, 1000);
    append(&b, ns);
    buffer_append_byte(&b, '\0');
    assert_string_equal(b.data, expected);
    buffer_done(&b);
}

static void reads_prometheus_durations(void **state)
{
    (void)state;
    parser *p = duration_parse_prometheus;
    reads(p, "0", 0);
    reads(p, "0s", 0);
    reads(p, "5m", 5 * NS_PER_MINUTE);
    reads(p, "1y2w3d4h5m6s7ms",
          365 * NS_PER_DAY + 17 * NS_PER_DAY + 4 * NS_PER_HOUR + 5 * NS_PER_MINUTE +
              6 * NS_PER_SECOND + 7 * NS_PER_MS);
    reads(p, "1m7ms", NS_PER_MINUTE + 7 * NS_PER_MS);
    reads(p, "293y", INT64_MAX);
    reads(p, "99999999999999999999999y1s", INT64_MAX);
    static const char *const bad[] = {"",    "5",   "m",     "1s1m", "1m1m", "1.5h", "-1s", "1S",
                                      "1 s", "1s ", "1ms1s", "00",   "1us",  "1h5",  "+1s"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuses(p, bad[i]);
}

static void reads_go_durations(void **state)
{
    (void)state;
    parser *p = duration_parse_go;
    reads(p, "0", 0);
    reads(p, "-0", 0);
    reads(p, "1h2m3.5s", NS_PER_HOUR + 2 * NS_PER_MINUTE + 3500 * NS_PER_MS);
    reads(p, "-1.5h", -90 * NS_PER_MINUTE);
    reads(p, "+5s", 5 * NS_PER_SECOND);
    reads(p, ".5ms", 500 * NS_PER_US);
    reads(p, "1.us", NS_PER_US);
    reads(p, "3\xc2\xb5s4\xce\xbcs5us6ns", 12 * NS_PER_US + 6);
    reads(p, "1s1h", NS_PER_HOUR + NS_PER_SECOND);
    reads(p, "9223372036854775807ns", INT64_MAX);
    reads(p, "-9223372036854775808ns", INT64_MIN);
    reads(p, "0.3333333333333333333h", 20 * NS_PER_MINUTE);
    reads(p, "0.100000000000000000000h", 6 * NS_PER_MINUTE);
    static const char *const bad[] = {"",
                                      "3",
                                      "-",
                                      "s",
                                      ".",
                                      "-.",
                                      ".s",
                                      "+.s",
                                      "1d",
                                      "1y",
                                      "1h 1s",
                                      "1e3s",
                                      "3000000h",
                                      "9223372036854775808ns",
                                      "9223372036854775807ns1ns",
                                      "99999999999999999999999ns",
                                      "18446744073709551615.9ns"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuses(p, bad[i]);
}

static void writes_go_durations(void **state)
{
    (void)state;
    writes(buffer_append_duration_go, 0, "0s");
    writes(buffer_append_duration_go, 1, "1ns");
    writes(buffer_append_duration_go, 1100, "1.1\xc2\xb5s");
    writes(buffer_append_duration_go, 2200000, "2.2ms");
    writes(buffer_append_duration_go, 3300000000, "3.3s");
    writes(buffer_append_duration_go, 5 * NS_PER_MINUTE + 5 * NS_PER_SECOND, "5m5s");
    writes(buffer_append_duration_go, 5 * NS_PER_HOUR + 6 * NS_PER_MS, "5h0m0.006s");
    writes(buffer_append_duration_go, -NS_PER_SECOND, "-1s");
    writes(buffer_append_duration_go, INT64_MAX, "2562047h47m16.854775807s");
    writes(buffer_append_duration_go, INT64_MIN, "-2562047h47m16.854775808s");
}

static void writes_prometheus_durations(void **state)
{
    (void)state;
    writes(buffer_append_duration_prometheus, 0, "0s");
    writes(buffer_append_duration_prometheus, 324 * NS_PER_MS, "324ms");
    writes(buffer_append_duration_prometheus, 90 * NS_PER_SECOND, "1m30s");
    writes(buffer_append_duration_prometheus, 26 * NS_PER_HOUR, "1d2h");
    writes(buffer_append_duration_prometheus, 7 * NS_PER_DAY, "1w");
    writes(buffer_append_duration_prometheus, 90 * NS_PER_DAY, "90d");
    writes(buffer_append_duration_prometheus, 365 * NS_PER_DAY, "1y");
    writes(buffer_append_duration_prometheus, -5 * NS_PER_MINUTE, "-5m");
}

static void reads_and_writes_rfc3339(void **state)
{
    (void)state;
    parser *p = time_parse_rfc3339;
    int64_t base = INT64_C(1700000000) * NS_PER_SECOND;
    reads(p, "2023-11-14T22:13:20Z", base);
    reads(p, "2023-11-14T22:13:20.123Z", base + 123 * NS_PER_MS);
    reads(p, "2023-11-14T22:13:20.123456789987Z", base + 123456789);
    reads(p, "2023-11-14T23:43:20+01:30", base);
    reads(p, "2023-11-14T20:13:20.5-02:00", base + NS_PER_SECOND / 2);
    reads(p, "1969-12-31T23:59:59.999999999Z", -1);
    reads(p, "2024-02-29T00:00:00Z", INT64_C(1709164800) * NS_PER_SECOND);
    reads(p, "9999-12-31T23:59:59Z", INT64_MAX);
    reads(p, "0000-01-01T00:00:00Z", INT64_MIN);
    static const char *const bad[] = {"",
                                      "2023-11-14",
                                      "2023-11-14T22:13:20",
                                      "2023-11-14 22:13:20Z",
                                      "2023-11-14T22:13:20.Z",
                                      "2023-11-14T22:13:20z",
                                      "2023-11-14T22:13:20+0100",
                                      "2023-13-14T22:13:20Z",
                                      "2023-02-29T22:13:20Z",
                                      "2023-11-14T24:13:20Z",
                                      "2023-11-14T22:60:20Z",
                                      "2023-11-14T22:13:60Z",
                                      "2023-11-14T22:13:20Zx",
                                      "23-11-14T22:13:20.000Z"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuses(p, bad[i]);

    writes(buffer_append_rfc3339, base, "2023-11-14T22:13:20Z");
    writes(buffer_append_rfc3339, base + 120 * NS_PER_MS, "2023-11-14T22:13:20.12Z");
    writes(buffer_append_rfc3339, -1, "1969-12-31T23:59:59.999999999Z");
    writes(buffer_append_rfc3339, INT64_MAX, "2262-04-11T23:47:16.854775807Z");
    writes(buffer_append_rfc3339, INT64_MIN, "1677-09-21T00:12:43.145224192Z");
}

static void every_day_of_five_centuries_converts_both_ways(void **state)
{
    (void)state;
    int64_t first = days_from_civil(1700, 1, 1);
    int64_t last = days_from_civil(2262, 1, 1);
    struct civil_time before = civil_from_ns((first - 1) * NS_PER_DAY);
    for (int64_t day = first; day < last; day++) {
        struct civil_time t = civil_from_ns(day * NS_PER_DAY + 3661 * NS_PER_SECOND + 7);
        assert_true(days_from_civil(t.year, t.month, t.day) == day);
        assert_int_equal(t.weekday, (before.weekday + 1) % 7);
        assert_true(t.year_day == before.year_day + 1 || (t.year_day == 1 && t.day == 1));
        assert_true(t.hour == 1 && t.minute == 1 && t.second == 1 && t.nanosecond == 7);
        before = t;
    }
    struct civil_time epoch = civil_from_ns(0);
    assert_true(epoch.year == 1970 && epoch.month == 1 && epoch.day == 1 && epoch.weekday == 4);
}

static void arithmetic_stops_at_the_ends(void **state)
{
    (void)state;
    assert_true(ns_add(1, 2) == 3 && ns_sub(1, 2) == -1);
    assert_true(ns_add(INT64_MAX, 1) == INT64_MAX && ns_add(INT64_MIN, -1) == INT64_MIN);
    assert_true(ns_sub(INT64_MIN, 1) == INT64_MIN && ns_sub(0, INT64_MIN) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_prometheus_durations),
        cmocka_unit_test(reads_go_durations),
        cmocka_unit_test(writes_go_durations),
        cmocka_unit_test(writes_prometheus_durations),
        cmocka_unit_test(reads_and_writes_rfc3339),
        cmocka_unit_test(every_day_of_five_centuries_converts_both_ways),
        cmocka_unit_test(arithmetic_stops_at_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
