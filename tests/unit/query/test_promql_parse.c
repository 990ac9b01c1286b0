/* test_promql_parse.c - what the PromQL parser accepts, refuses and prints. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/matcher.h"
#include "query/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void expect_print_with(const char *text, const char *expected, unsigned features)
{
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    if (!query_print(QUERY_PROMQL, slice_from_text(text), features, &out, &err))
        fail_msg("%s: %s", text, err.message);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buffer_done(&out);
}

static void expect_print(const char *text, const char *expected)
{
    expect_print_with(text, expected, 0);
}

static void refuse_with(const char *text, const char *message, unsigned features)
{
    struct error err = {0};
    if (query_check(QUERY_PROMQL, slice_from_text(text), features, NULL, &err))
        fail_msg("%s was accepted", text);
    assert_string_equal(err.message, message);
}

static void refuse(const char *text, const char *message)
{
    refuse_with(text, message, 0);
}

static void binds_operators_by_precedence(void **state)
{
    (void)state;
    expect_print("1+2*3^4^5", "1 + 2 * 3 ^ 4 ^ 5");
    expect_print("-1^2", "-1 ^ 2");
    expect_print("- a ^ 2", "-a ^ 2");
    expect_print("(-1)^2", "(-1) ^ 2");
    expect_print("a or b and c unless d", "a or b and c unless d");
    expect_print("A OR b", "A or b");
    expect_print("2^-1*3", "2 ^ -1 * 3");
    expect_print("a atan2 b % c", "a atan2 b % c");
}

static void prints_one_form_for_all_spellings(void **state)
{
    (void)state;
    expect_print("foo{}", "foo");
    expect_print("{__name__=\"foo\"}", "{__name__=\"foo\"}");
    expect_print("{'foo.bar', b='1', a=~`x`}", "{__name__=\"foo.bar\",a=~\"x\",b=\"1\"}");
    expect_print("foo{\"label.dot\"='x'}", "foo{\"label.dot\"=\"x\"}");
    expect_print("sum(foo)by(a,b,)", "sum by (a, b) (foo)");
    expect_print("sum without() (foo)", "sum without () (foo)");
    expect_print("rate(foo[300])", "rate(foo[5m])");
    expect_print("foo offset -5m @ 1.5", "foo @ 1.500 offset -5m");
    expect_print("foo[5m:]", "foo[5m:]");
    expect_print("foo[1d:90s] @ end()", "foo[1d:1m30s] @ end()");
    expect_print("0x1f + 1e3", "31 + 1000");
    expect_print("inf - NaN", "+Inf - NaN");
    expect_print("+Inf ^ 2", "+Inf ^ 2");
    refuse("1e999", "1:1: parse error: error parsing number: \"1e999\"");
    expect_print("5m", "5m");
    expect_print("a * on(x) group_left b", "a * on (x) group_left () b");
    expect_print("a > bool ignoring(x) b", "a > bool ignoring (x) b");
    expect_print("\"a\\nb\"", "\"a\\nb\"");
    expect_print("# only a comment\nup # and one more", "up");
}

static void keywords_and_functions_may_be_names(void **state)
{
    (void)state;
    expect_print("sum", "sum");
    expect_print("sum{by=\"x\"}", "sum{by=\"x\"}");
    expect_print("by + offset", "by + offset");
    expect_print("rate", "rate");
    expect_print("sum by (on, bool, sum) (x)", "sum by (on, bool, sum) (x)");
    expect_print("fill + fill", "fill + fill");
}

static void errors_tell_place_found_and_expected(void **state)
{
    (void)state;
    refuse("", "1:1: parse error: no expression found in input");
    refuse("foo +", "1:6: parse error: unexpected end of input, expected an expression");
    refuse("sum(", "1:5: parse error: unexpected end of input, expected an expression");
    refuse("foo{a}",
           "1:6: parse error: unexpected \"}\" in label matching, expected label matching "
           "operator");
    refuse("foo{a=1}",
           "1:7: parse error: unexpected number \"1\" in label matching, expected string");
    refuse("(foo",
           "1:5: parse error: unexpected end of input in parenthesized expression, expected "
           "\")\"");
    refuse("foo\n  bar", "2:3: parse error: unexpected identifier \"bar\"");
    refuse("foo(bar)", "1:1: parse error: unknown function with name \"foo\"");
    refuse("{a=~\".*\"}",
           "1:1: parse error: vector selector must contain at least one non-empty matcher");
    refuse("foo{__name__=\"bar\"}",
           "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\"");
    refuse("foo[5m] offset 1m offset 2m",
           "1:19: parse error: offset may not be set multiple times");
    refuse("foo @ 1 @ 2", "1:9: parse error: @ <timestamp> may not be set multiple times");
    refuse("foo[0]", "1:5: parse error: duration must be greater than 0");
    refuse("rate(foo[5m]", "1:13: parse error: unexpected end of input, expected \",\" or \")\"");
    refuse("count(a,)", "1:8: parse error: trailing commas not allowed in function call args");
}

static void checks_types(void **state)
{
    (void)state;
    refuse("rate(foo)",
           "1:6: parse error: expected type range vector in call to function \"rate\", "
           "got instant vector");
    refuse("sum(foo[5m])", "1:5: parse error: expected type instant vector in aggregation "
                           "expression, got range vector");
    refuse("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    refuse("1 and foo",
           "1:1: parse error: set operator \"and\" not allowed in binary scalar expression");
    refuse("foo and on(a) group_left() bar",
           "1:1: parse error: no grouping allowed for \"and\" operation");
    refuse("foo + bool bar",
           "1:5: parse error: bool modifier can only be used on comparison operators");
    refuse("1 + on(a) foo",
           "1:1: parse error: vector matching only allowed between instant vectors");
    refuse("a + on(x) group_left(x) b",
           "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once");
    refuse("topk(foo)", "1:1: parse error: wrong number of arguments for aggregate expression "
                        "provided, expected 2, got 1");
    refuse("abs()", "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0");
    refuse("round(a, 1, 2)",
           "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3");
    refuse("-\"a\"",
           "1:1: parse error: unary expression only allowed on expressions of type scalar "
           "or instant vector, got \"string\"");
    refuse("sum(a) offset 5m",
           "1:1: parse error: offset modifier must be preceded by an instant vector selector or "
           "range vector selector or a subquery");
}

static void experimental_parts_need_their_switch(void **state)
{
    (void)state;
    refuse("mad_over_time(a[5m])", "1:1: parse error: function \"mad_over_time\" is not enabled");
    expect_print_with("mad_over_time(a[5m])", "mad_over_time(a[5m])", QUERY_EXPERIMENTAL_FUNCTIONS);
    refuse("rate(a[step()])", "1:8: parse error: experimental duration expression is not enabled");
    expect_print_with("rate(a[step() * (2 + 1)])", "rate(a[step() * (2 + 1)])",
                      QUERY_DURATION_EXPRESSIONS);
    refuse("rate(a[5m] anchored)",
           "1:6: parse error: anchored modifier is experimental and not enabled");
    refuse("a + fill(0) b",
           "1:5: parse error: binop fill modifiers are experimental and not enabled");
    refuse("limitk(1, a)", "1:1: parse error: limitk() is experimental and must be enabled with "
                           "--enable-feature=promql-experimental-functions");
}

static void refuses_what_nests_too_deep(void **state)
{
    (void)state;
    struct error err = {0};
    struct buffer text;
    buffer_init(&text, 1 << 20);
    for (int i = 0; i < 200; i++)
        buffer_append_text(&text, "(");
    assert_false(query_check(QUERY_PROMQL, buffer_slice(&text), 0, NULL, &err));
    assert_non_null(strstr(err.message, "nest deeper than 100"));
    buffer_clear(&text);
    buffer_append_text(&text, "a");
    for (int i = 0; i < 5000; i++)
        buffer_append_text(&text, "+a");
    assert_false(query_check(QUERY_PROMQL, buffer_slice(&text), 0, NULL, &err));
    assert_non_null(strstr(err.message, "nests more than"));
    buffer_clear(&text);
    for (int i = 0; i < 200000; i++)
        buffer_append_text(&text, "-");
    assert_false(query_check(QUERY_PROMQL, buffer_slice(&text), 0, NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buffer_done(&text);
}

static void gives_a_selectors_matchers(void **state)
{
    (void)state;
    struct error err = {0};
    struct arena *arena = arena_new(1 << 20);
    struct matcher *matchers;
    size_t count;
    assert_true(query_parse_selector(QUERY_PROMQL, SLICE("up{job=~\"a.+\"}"), &matchers, &count,
                                     arena, &err));
    assert_int_equal(count, 2);
    assert_int_equal(matchers[0].type, MATCH_REGEX);
    assert_true(slice_equal(matchers[1].value, SLICE("up")));
    query_selector_free(matchers, count);
    assert_false(
        query_parse_selector(QUERY_PROMQL, SLICE("up[5m]"), &matchers, &count, arena, &err));
    assert_false(query_parse_selector(QUERY_PROMQL, SLICE("1"), &matchers, &count, arena, &err));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binds_operators_by_precedence),
        cmocka_unit_test(prints_one_form_for_all_spellings),
        cmocka_unit_test(keywords_and_functions_may_be_names),
        cmocka_unit_test(errors_tell_place_found_and_expected),
        cmocka_unit_test(checks_types),
        cmocka_unit_test(experimental_parts_need_their_switch),
        cmocka_unit_test(refuses_what_nests_too_deep),
        cmocka_unit_test(gives_a_selectors_matchers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
