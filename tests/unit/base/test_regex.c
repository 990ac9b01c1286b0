/* Regular expressions: grammar, errors, matching, groups, shortcuts, limits. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static struct regex *compile(const char *pattern, unsigned flags)
{
    struct error err = {0};
    struct regex *regex = regex_new(slice_from_text(pattern), flags, &err);
    if (regex == NULL)
        fail_msg("%s: %s", pattern, err.message);
    return regex;
}

static int matches(const char *pattern, unsigned flags, struct slice text)
{
    struct error err = {0};
    struct regex *regex = compile(pattern, flags);
    int hit = regex_match(regex, text, &err);
    regex_free(regex);
    return hit;
}

static void anchored_patterns_match_the_whole_text(void **state)
{
    (void)state;
    const unsigned flags = REGEX_ANCHORED | REGEX_DOT_NEWLINE;
    assert_int_equal(matches("foo", flags, SLICE("foo")), 1);
    assert_int_equal(matches("foo", flags, SLICE("foobar")), 0);
    assert_int_equal(matches("foo|bar", flags, SLICE("bar")), 1);
    assert_int_equal(matches("foo|bar", flags, SLICE("foob")), 0);
    assert_int_equal(matches("foo.*", flags, SLICE("foo\nbar")), 1);
    assert_int_equal(matches(".*bar", flags, SLICE("foo\nbar")), 1);
    assert_int_equal(matches(".+", flags, SLICE("")), 0);
    assert_int_equal(matches(".+.+", flags, SLICE("ab")), 1);
    assert_int_equal(matches("a$", flags, SLICE("a\n")), 0);
    assert_int_equal(matches("(?i)FOO", flags, SLICE("fOo")), 1);
    assert_int_equal(matches("[0-9]+x?", flags, SLICE("123x")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchored_patterns_match_the_whole_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
