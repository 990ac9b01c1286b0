/* test_slice.c - comparing, finding and cutting slices. */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct slice nothing;

static void equality_ignores_where_the_bytes_lie(void **state)
{
    (void)state;
    char copy[] = "abc";
    assert_true(slice_equal(SLICE("abc"), slice_of(copy, 3)));
    assert_false(slice_equal(SLICE("abc"), SLICE("abd")));
    assert_false(slice_equal(SLICE("abc"), SLICE("ab")));
    assert_true(slice_equal(nothing, SLICE("")));
    assert_true(slice_equal(slice_from_text(NULL), nothing));
}

static void order_is_bytewise_and_a_prefix_is_first(void **state)
{
    (void)state;
    assert_true(slice_compare(SLICE("a"), SLICE("b")) < 0);
    assert_true(slice_compare(SLICE("ab"), SLICE("a")) > 0);
    assert_true(slice_compare(SLICE("\x7f"), SLICE("\x80")) < 0);
    assert_int_equal(slice_compare(SLICE("x"), SLICE("x")), 0);
    assert_int_equal(slice_compare(nothing, SLICE("")), 0);
    assert_true(slice_compare(nothing, SLICE("a")) < 0);
}

static void case_is_ignored_for_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(slice_equal_ignore_case(SLICE("AbZ9"), SLICE("aBz9")));
    assert_false(slice_equal_ignore_case(SLICE("@"), SLICE("`")));
    assert_false(slice_equal_ignore_case(SLICE("\xc3\x84"), SLICE("\xc3\xa4")));
    assert_false(slice_equal_ignore_case(SLICE("a"), SLICE("ab")));
}

static void starts_and_ends(void **state)
{
    (void)state;
    assert_true(slice_starts_with(SLICE("abc"), SLICE("ab")));
    assert_true(slice_starts_with(SLICE("abc"), nothing));
    assert_false(slice_starts_with(SLICE("a"), SLICE("ab")));
    assert_true(slice_ends_with(SLICE("abc"), SLICE("bc")));
    assert_true(slice_ends_with(SLICE("abc"), SLICE("abc")));
    assert_true(slice_ends_with(SLICE("abc"), nothing));
    assert_false(slice_ends_with(SLICE("c"), SLICE("bc")));
}

static void cutting_never_leaves_the_slice(void **state)
{
    (void)state;
    struct slice s = SLICE("abcdef");
    assert_true(slice_equal(slice_skip(s, 2), SLICE("cdef")));
    assert_int_equal(slice_skip(s, 6).size, 0);
    assert_int_equal(slice_skip(s, (size_t)-1).size, 0);
    assert_true(slice_equal(slice_sub(s, 1, 2), SLICE("bc")));
    assert_true(slice_equal(slice_sub(s, 4, (size_t)-1), SLICE("ef")));
    assert_int_equal(slice_sub(s, 7, 1).size, 0);
    assert_true(slice_equal(slice_trim(SLICE(" \t\r\na b\n ")), SLICE("a b")));
    assert_int_equal(slice_trim(SLICE("  ")).size, 0);
    assert_int_equal(slice_trim(nothing).size, 0);
}

static void finds_bytes_and_texts_from_an_offset(void **state)
{
    (void)state;
    struct slice s = SLICE("abcabc");
    assert_int_equal(slice_find_byte(s, 'b', 0), 1);
    assert_int_equal(slice_find_byte(s, 'b', 2), 4);
    assert_int_equal(slice_find_byte(s, 'b', 5), SLICE_NOT_FOUND);
    assert_int_equal(slice_find_byte(s, 'a', 100), SLICE_NOT_FOUND);
    assert_int_equal(slice_find(s, SLICE("ca"), 0), 2);
    assert_int_equal(slice_find(s, SLICE("abc"), 1), 3);
    assert_int_equal(slice_find(s, SLICE("abcd"), 0), SLICE_NOT_FOUND);
    assert_int_equal(slice_find(s, nothing, 6), 6);
    assert_int_equal(slice_find(s, nothing, 7), SLICE_NOT_FOUND);
    assert_int_equal(slice_find(nothing, SLICE("a"), 0), SLICE_NOT_FOUND);
}

static void splitting_gives_every_part(void **state)
{
    (void)state;
    static const char *const expected[] = {"a", "", "b", ""};
    struct slice rest = SLICE("a,,b,");
    struct slice part;
    size_t count = 0;
    while (slice_split(&rest, ',', &part)) {
        assert_true(count < 4);
        assert_true(slice_equal(part, slice_from_text(expected[count++])));
    }
    assert_int_equal(count, 4);
    rest = SLICE("");
    assert_true(slice_split(&rest, ',', &part));
    assert_int_equal(part.size, 0);
    assert_false(slice_split(&rest, ',', &part));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_ignores_where_the_bytes_lie),
        cmocka_unit_test(order_is_bytewise_and_a_prefix_is_first),
        cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(starts_and_ends),
        cmocka_unit_test(cutting_never_leaves_the_slice),
        cmocka_unit_test(finds_bytes_and_texts_from_an_offset),
        cmocka_unit_test(splitting_gives_every_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
