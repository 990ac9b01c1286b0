/* test_matcher.c - the four kinds of conditions on a label. */
#include "base/error.h"
#include "base/matcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int test_value(enum matcher_type type, const char *pattern, const char *value)
{
    struct matcher m;
    assert_true(matcher_init(&m, type, SLICE("name"), slice_from_text(pattern), NULL));
    int hit = matcher_test(&m, slice_from_text(value), NULL);
    matcher_done(&m);
    return hit;
}

static void equality_compares_the_whole_value(void **state)
{
    (void)state;
    assert_int_equal(test_value(MATCH_EQUAL, "abc", "abc"), 1);
    assert_int_equal(test_value(MATCH_EQUAL, "abc", "abcd"), 0);
    assert_int_equal(test_value(MATCH_NOT_EQUAL, "abc", "abc"), 0);
    assert_int_equal(test_value(MATCH_NOT_EQUAL, "abc", ""), 1);
}

static void regexes_are_anchored_and_their_dot_matches_newlines(void **state)
{
    (void)state;
    assert_int_equal(test_value(MATCH_REGEX, "a|b", "a"), 1);
    assert_int_equal(test_value(MATCH_REGEX, "a|b", "ab"), 0);
    assert_int_equal(test_value(MATCH_REGEX, "a.*", "a\nb"), 1);
    assert_int_equal(test_value(MATCH_NOT_REGEX, "a.*", "ab"), 0);
    assert_int_equal(test_value(MATCH_NOT_REGEX, "a.*", "xa"), 1);
}

static void a_pattern_that_is_wrong_is_an_error(void **state)
{
    (void)state;
    struct matcher m;
    struct error err = {0};
    assert_false(matcher_init(&m, MATCH_REGEX, SLICE("name"), SLICE("a("), &err));
    assert_int_equal(err.code, ERR_INVALID);
}

static bool takes_empty(enum matcher_type type, const char *pattern)
{
    struct matcher m;
    assert_true(matcher_init(&m, type, SLICE("name"), slice_from_text(pattern), NULL));
    bool empty = matcher_matches_empty(&m);
    assert_int_equal(matcher_test(&m, SLICE(""), NULL), empty);
    matcher_done(&m);
    return empty;
}

static void knows_whether_the_empty_value_matches(void **state)
{
    (void)state;
    assert_true(takes_empty(MATCH_EQUAL, ""));
    assert_false(takes_empty(MATCH_EQUAL, "a"));
    assert_false(takes_empty(MATCH_NOT_EQUAL, ""));
    assert_true(takes_empty(MATCH_NOT_EQUAL, "a"));
    assert_true(takes_empty(MATCH_REGEX, ".*"));
    assert_false(takes_empty(MATCH_REGEX, ".+"));
    assert_false(takes_empty(MATCH_NOT_REGEX, "|a"));
    assert_true(takes_empty(MATCH_NOT_REGEX, "a"));
}

static void all_matchers_must_hold_and_a_missing_label_is_empty(void **state)
{
    (void)state;
    struct label items[] = {{SLICE("app"), SLICE("web")}, {SLICE("env"), SLICE("prod")}};
    struct labels labels = {items, 2};
    struct matcher matchers[3];
    assert_true(matcher_init(&matchers[0], MATCH_EQUAL, SLICE("app"), SLICE("web"), NULL));
    assert_true(matcher_init(&matchers[1], MATCH_REGEX, SLICE("env"), SLICE("prod|dev"), NULL));
    assert_true(matcher_init(&matchers[2], MATCH_EQUAL, SLICE("zone"), SLICE(""), NULL));
    assert_int_equal(matchers_test(matchers, 3, labels, NULL), 1);
    assert_int_equal(matchers_test(matchers, 0, labels, NULL), 1);
    matchers[2].type = MATCH_NOT_EQUAL;
    assert_int_equal(matchers_test(matchers, 3, labels, NULL), 0);
    for (int i = 0; i < 3; i++)
        matcher_done(&matchers[i]);
    assert_string_equal(matcher_operator(MATCH_EQUAL), "=");
    assert_string_equal(matcher_operator(MATCH_NOT_REGEX), "!~");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_compares_the_whole_value),
        cmocka_unit_test(regexes_are_anchored_and_their_dot_matches_newlines),
        cmocka_unit_test(a_pattern_that_is_wrong_is_an_error),
        cmocka_unit_test(knows_whether_the_empty_value_matches),
        cmocka_unit_test(all_matchers_must_hold_and_a_missing_label_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
