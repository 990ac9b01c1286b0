/* test_log_texts.c - sizes, patterns and addresses as texts of LogQL. */
#include "base/arena.h"
#include "base/byte_size.h"
#include "base/error.h"
#include "query/ip_match.h"
#include "query/line_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena *arena;

static void assert_size(const char *text, uint64_t expected)
{
    uint64_t bytes;
    assert_true(byte_size_parse(slice_from_text(text), &bytes));
    assert_int_equal(bytes, expected);
}

static void sizes_are_read_as_go_humanize_reads_them(void **state)
{
    (void)state;
    assert_size("100", 100);
    assert_size("0B", 0);
    assert_size("5 MB", 5000000);
    assert_size("1.5KiB", 1536);
    assert_size("1kb", 1000);
    assert_size("2g", 2000000000);
    assert_size("1,024", 1024);
    assert_size("1PiB", UINT64_C(1) << 50);
}

static void what_is_no_size_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "KB", "qq", "5XB", "5KBs", "1.2.3", "-5", "99999999EB"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        uint64_t bytes;
        assert_false(byte_size_parse(slice_from_text(texts[i]), &bytes));
    }
}

static bool pattern_matches(const char *pattern, const char *line)
{
    struct error err = {0};
    const struct line_pattern *p = line_pattern_new(arena, slice_from_text(pattern), false, &err);
    assert_non_null(p);
    return line_pattern_test(p, slice_from_text(line));
}

static void patterns_are_anchored_where_no_capture_stands(void **state)
{
    (void)state;
    assert_true(pattern_matches("GET <_> 200", "GET /x 200"));
    assert_false(pattern_matches("GET <_> 200", "GET /x 2000"));
    assert_true(pattern_matches("<_>x<_>", "axb"));
    assert_false(pattern_matches("<_>x<_>", "ax"));
    assert_true(pattern_matches("", ""));
    assert_false(pattern_matches("", "a"));
    assert_false(pattern_matches("GET", "GET /"));
    assert_true(pattern_matches("<_>", "a"));
    assert_false(pattern_matches("<_>", ""));
}

static void bad_patterns_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    assert_null(line_pattern_new(arena, SLICE("<_><_>"), false, &err));
    assert_null(line_pattern_new(arena, SLICE("<a>"), false, &err));
    assert_null(line_pattern_new(arena, SLICE("<a> <a>"), true, &err));
    assert_null(line_pattern_new(arena, SLICE("plain"), true, &err));
    assert_null(line_pattern_new(arena, SLICE("<_> x"), true, &err));
    assert_non_null(line_pattern_new(arena, SLICE("<a> <_> <1> <"), true, &err));
}

static bool line_has(const char *set, const char *line)
{
    struct error err = {0};
    const struct ip_matcher *m = ip_matcher_new(arena, slice_from_text(set), &err);
    assert_non_null(m);
    return ip_matcher_scan(m, slice_from_text(line));
}

static void addresses_are_found_in_lines(void **state)
{
    (void)state;
    assert_true(line_has("10.0.0.0/8", "from 10.255.0.1:80 ok"));
    assert_false(line_has("10.0.0.0/8", "from 11.0.0.1"));
    assert_true(line_has("192.168.0.1", "x192.168.0.1y"));
    assert_false(line_has("192.168.0.1", "192.168.0.1.5"));
    assert_true(line_has("10.0.0.1-10.0.0.9", "10.0.0.9"));
    assert_true(line_has("2001:db8::/33", "[2001:db8::2]:443"));
    assert_false(line_has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(line_has("0.0.0.0/0", "v1.2.3.4-beta"));
    assert_false(line_has("0.0.0.0/0", "999.1.1.1"));
}

static void bad_address_sets_are_refused(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "", "x", "10.0.0.0/33", "::/129", "10.0.0.2-10.0.0.1", "10.0.0.1-::1", "/8", "1.2.3"};
    for (size_t i = 0; i < COUNT_OF(sets); i++) {
        struct error err = {0};
        assert_null(ip_matcher_new(arena, slice_from_text(sets[i]), &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static int make_arena(void **state)
{
    (void)state;
    arena = arena_new(1 << 20);
    return 0;
}

static int free_arena(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_as_go_humanize_reads_them),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(patterns_are_anchored_where_no_capture_stands),
        cmocka_unit_test(bad_patterns_are_refused),
        cmocka_unit_test(addresses_are_found_in_lines),
        cmocka_unit_test(bad_address_sets_are_refused),
    };
    return cmocka_run_group_tests(tests, make_arena, free_arena);
}
