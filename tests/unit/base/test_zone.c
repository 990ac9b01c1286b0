/* test_zone.c - zones by name; the values are those of Python's zoneinfo. */
#include "base/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int64_t utc_of(const char *zone, int64_t local)
{
    int64_t utc = -1;
    assert_true(zone_to_utc(slice_from_text(zone), local, &utc));
    return utc;
}

static void utc_needs_no_file(void **state)
{
    (void)state;
    assert_int_equal(utc_of("", 1673776800), 1673776800);
    assert_int_equal(utc_of("UTC", 1673776800), 1673776800);
}

static void winter_and_summer_differ(void **state)
{
    (void)state;
    assert_int_equal(utc_of("America/New_York", 1673776800), 1673776800 + 5 * 3600);
    assert_int_equal(utc_of("America/New_York", 1689415200), 1689415200 + 4 * 3600);
    assert_int_equal(utc_of("Asia/Kolkata", 1689415200), 1689415200 - 19800);
    assert_int_equal(utc_of("Etc/GMT+3", 0), 3 * 3600);
    /* before the first transition: local mean time */
    assert_int_equal(utc_of("Europe/Berlin", -5000000000), -5000000000 - 3208);
}

/* 2023-03-26 02:30 does not exist in Berlin, 2023-10-29 02:30 does twice: either is right. */
static void a_skipped_or_repeated_time_is_one_of_two(void **state)
{
    (void)state;
    int64_t skipped = utc_of("Europe/Berlin", 1679797800);
    assert_true(skipped == 1679797800 - 3600 || skipped == 1679797800 - 7200);
    int64_t repeated = utc_of("Europe/Berlin", 1698546600);
    assert_true(repeated == 1698546600 - 3600 || repeated == 1698546600 - 7200);
}

static void what_is_no_zone_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "No/Zone",        "../../etc/passwd",
        "/etc/localtime", "America",
        "zone.tab",       "tzdata.zi",
        "Europe/Ber\nn",  "a-name-longer-than-that-of-any-zone-of-the-world/even/Argentina"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int64_t utc;
        assert_false(zone_to_utc(slice_from_text(names[i]), 0, &utc));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utc_needs_no_file),
        cmocka_unit_test(winter_and_summer_differ),
        cmocka_unit_test(a_skipped_or_repeated_time_is_one_of_two),
        cmocka_unit_test(what_is_no_zone_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
