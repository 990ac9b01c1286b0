/* test_logql_parse.c - LogQL's grammar: what is accepted, what is refused and how it is told. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/matcher.h"
#include "query/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_prints(const char *text, const char *expected)
{
    struct error err = {0};
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 1 << 16);
    if (!query_print(QUERY_LOGQL, slice_from_text(text), 0, &out, &err))
        fail_msg("%s: %s", text, err.message);
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
}

static void assert_refused(const char *text, const char *message)
{
    struct error err = {0};
    bool is_log;
    assert_false(query_check(QUERY_LOGQL, slice_from_text(text), 0, &is_log, &err));
    assert_int_equal(err.code, ERR_INVALID);
    if (strstr(err.message, message) == NULL)
        fail_msg("%s: %s", text, err.message);
}

static void stages_are_printed_in_loki_s_form(void **state)
{
    (void)state;
    assert_prints("{app=`a`}|=\"x\" or `y`|json a,b=\"c\"|logfmt --keep-empty --strict",
                  "{app=\"a\"} |= \"x\" or \"y\" | json a=\"a\",b=\"c\" | logfmt --strict "
                  "--keep-empty");
    assert_prints("{a=\"b\"} | a=1 b>5ms, c<5KiB or d=~\"x\"",
                  "{a=\"b\"} | ( a==1 , ( b>5ms , ( c<5120B or d=~\"x\" ) ) )");
    assert_prints("{a=\"b\"} | a=1 or b=2 and c=3", "{a=\"b\"} | ( a==1 or ( b==2 , c==3 ) )");
    assert_prints("{a=\"b\"} != \"x\" or \"y\"", "{a=\"b\"} != \"x\" != \"y\"");
    assert_prints("{a=\"b\"} | drop a,b=\"c\" | keep d # comment",
                  "{a=\"b\"} | drop a,b=\"c\" | keep d");
}

static void the_range_may_stand_before_or_behind_the_pipeline(void **state)
{
    (void)state;
    const char *expected = "rate({a=\"b\"} | json | x=\"y\"[5m])";
    assert_prints("rate({a=\"b\"}[5m] | json | x=\"y\")", expected);
    assert_prints("rate({a=\"b\"} | json | x=\"y\" [5m])", expected);
    assert_refused("rate({a=\"b\"} | json [5m] | x=\"y\")", "unexpected");
}

static void names_of_functions_are_labels_but_reserved_words_are_not(void **state)
{
    (void)state;
    assert_prints("{rate=\"x\"} | sum=\"1\" | ip=\"2\"", "{rate=\"x\"} | sum=\"1\" | ip=\"2\"");
    assert_refused("{by=\"x\"}", "by");
    assert_refused("{a=\"b\"} | json bool=\"x\"", "bool");
}

static void literals_are_folded_as_they_are_parsed(void **state)
{
    (void)state;
    assert_prints("1 + 2 * 3", "7");
    assert_prints("-2 ^ 2", "4");
    assert_prints("1 == 2", "0");
    assert_prints("1 / 0", "(0 / 0)");
    assert_refused("--1", "unexpected");
    assert_refused("0x10", "0x10");
}

static void a_selector_needs_a_matcher_that_refuses_the_empty_text(void **state)
{
    (void)state;
    assert_refused("{}", "queries require at least one regexp or equality matcher");
    assert_refused("{app=~\".*\"}", "queries require at least one");
    assert_refused("{app!=\"a\"}", "queries require at least one");
    assert_prints("{app=~\".+\"}", "{app=~\".+\"}");
}

static void errors_tell_line_and_column(void **state)
{
    (void)state;
    assert_refused("sum(rate({app=\"a\"}[5m])", "parse error at line 1, col 24: syntax error: ");
    assert_refused("{app=\"a\"}\n| json |", "parse error at line 2, col 9: syntax error: ");
    assert_refused("{app='a'}", "line 1, col 6");
}

static void aggregations_and_unwrap_must_fit(void **state)
{
    (void)state;
    assert_refused("sum_over_time({a=\"b\"}[5m])",
                   "invalid aggregation sum_over_time without unwrap");
    assert_refused("count_over_time({a=\"b\"} | unwrap x [5m])",
                   "invalid aggregation count_over_time with unwrap");
    assert_refused("sum_over_time({a=\"b\"} | unwrap x [5m]) by (y)",
                   "grouping not allowed for sum_over_time aggregation");
    assert_refused("topk(0, rate({a=\"b\"}[5m]))", "must be greater than 0");
    assert_refused("topk(1.5, rate({a=\"b\"}[5m]))", "must be greater than 0");
    assert_refused("sort(rate({a=\"b\"}[5m])) by (x)", "sort");
    assert_refused("vector(-1)", "NUMBER");
    assert_refused("{a=\"b\"} | unwrap x", "unwrap");
}

static void stages_that_cannot_be_built_are_named(void **state)
{
    (void)state;
    assert_refused("{a=\"b\"} |~ \"(\"", "stage '|~ \"(\"'");
    assert_refused("{a=\"b\"} | regexp \"(.)\"", "at least one named capture must be supplied");
    assert_refused("{a=\"b\"} | a=ip(\"x\")", "ip: invalid pattern: \"x\"");
    assert_refused("{a=\"b\"} | json a=\"b..c\"", "cannot parse expression [b..c]");
    assert_refused("{a=\"b\"} | label_format a=b,a=c", "multiple label name 'a' not allowed");
    assert_refused("{a=\"b\"} |> \"<a>\"", "named captures are not allowed");
    assert_refused("{a=\"b\"} | line_format \"{{.a | nofunc}}\"",
                   "function \"nofunc\" not defined");
}

static void nesting_and_lists_are_limited(void **state)
{
    (void)state;
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 1 << 20);
    struct error err = {0};
    bool is_log;
    buffer_append_text(&text, "{a=\"b\"} | ");
    for (int i = 0; i < 5000; i++)
        buffer_append_byte(&text, '(');
    assert_false(query_check(QUERY_LOGQL, buffer_slice(&text), 0, &is_log, &err));
    buffer_clear(&text);
    buffer_append_text(&text, "{a=\"b\"}");
    for (int i = 0; i < 501; i++)
        buffer_append_text(&text, " | json");
    assert_false(query_check(QUERY_LOGQL, buffer_slice(&text), 0, &is_log, &err));
    assert_non_null(strstr(err.message, "500 stages"));
}

static void a_long_query_is_laid_out_over_lines(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO(buffer_done) struct buffer out;
    buffer_init(&out, 1 << 16);
    assert_true(query_format(
        QUERY_LOGQL,
        SLICE("sum by (a)(rate({app=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"} |= \"x\" | json | "
              "status>=500 | unwrap bytes(size)[5m] offset 1h)) / 2"),
        0, &out, &err));
    buffer_append_byte(&out, '\0');
    assert_string_equal(
        out.data, "  sum by (a)(\n"
                  "    rate(\n"
                  "      {app=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"} |= \"x\" | json | status>=500\n"
                  "        | unwrap bytes(size) [5m] offset 1h\n"
                  "    )\n"
                  "  )\n"
                  "/\n"
                  "  2");
}

static void a_bare_selector_gives_its_matchers(void **state)
{
    (void)state;
    struct error err = {0};
    struct matcher *matchers;
    size_t count;
    AUTO(arena_drop) struct arena *arena = arena_new(1 << 16);
    assert_true(query_parse_selector(QUERY_LOGQL, SLICE("{a=\"b\", c=~\"d.*\"}"), &matchers, &count,
                                     arena, &err));
    assert_int_equal(count, 2);
    assert_int_equal(matchers[1].type, MATCH_REGEX);
    query_selector_free(matchers, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_are_printed_in_loki_s_form),
        cmocka_unit_test(the_range_may_stand_before_or_behind_the_pipeline),
        cmocka_unit_test(names_of_functions_are_labels_but_reserved_words_are_not),
        cmocka_unit_test(literals_are_folded_as_they_are_parsed),
        cmocka_unit_test(a_selector_needs_a_matcher_that_refuses_the_empty_text),
        cmocka_unit_test(errors_tell_line_and_column),
        cmocka_unit_test(aggregations_and_unwrap_must_fit),
        cmocka_unit_test(stages_that_cannot_be_built_are_named),
        cmocka_unit_test(nesting_and_lists_are_limited),
        cmocka_unit_test(a_long_query_is_laid_out_over_lines),
        cmocka_unit_test(a_bare_selector_gives_its_matchers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
