/* test_promql_forms.c - queries laid out over lines, and as trees in JSON. */
#include "base/buffer.h"
#include "base/error.h"
#include "query/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WIDE "x=\"0123456789012345678901234567890123456789012345678901234567890123456789\""

static void formats(const char *text, const char *expected)
{
    struct error err = {0};
    struct buffer out, again;
    buffer_init(&out, 1 << 16);
    buffer_init(&again, 1 << 16);
    assert_true(query_format(QUERY_PROMQL, slice_from_text(text), QUERY_FEATURES_ALL, &out, &err));
    assert_true(query_format(QUERY_PROMQL, buffer_slice(&out), QUERY_FEATURES_ALL, &again, &err));
    buffer_append_byte(&out, '\0');
    buffer_append_byte(&again, '\0');
    assert_string_equal(out.data, expected);
    assert_string_equal(again.data, expected);
    buffer_done(&out);
    buffer_done(&again);
}

static void short_queries_stay_on_a_line(void **state)
{
    (void)state;
    formats("sum(rate(a[5m]))by(b)", "sum by (b) (rate(a[5m]))");
    formats("a   +on(b)  c", "a + on (b) c");
}

static void long_ones_are_split(void **state)
{
    (void)state;
    formats("sum by (a) (rate(b_total{" WIDE "}[5m])) / on (a) group_left c",
            "  sum by (a) (\n    rate(b_total{" WIDE "}[5m])\n  )\n/ on (a) group_left ()\n  c");
    formats("-(quantile(0.5, b_total{" WIDE "} + b_total))",
            "-(\n  quantile(\n    0.5,\n    b_total{" WIDE "} + b_total\n  )\n)");
    formats("max_over_time(sum(b_total{" WIDE "} + b_total)[5m:1m] offset 1m)",
            "max_over_time(\n  sum(b_total{" WIDE "} + b_total)[5m:1m] offset 1m\n)");
}

static void tree_is(const char *text, const char *expected)
{
    struct error err = {0};
    struct buffer out;
    buffer_init(&out, 1 << 16);
    assert_true(query_tree(slice_from_text(text), QUERY_FEATURES_ALL, &out, &err));
    buffer_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buffer_done(&out);
}

static void trees_have_the_shape_of_parse_query(void **state)
{
    (void)state;
    tree_is("-1.5e9", "{\"type\":\"numberLiteral\",\"val\":\"-1500000000\"}");
    tree_is(
        "foo{x!~\"y\"} @ end()",
        "{\"matchers\":[{\"name\":\"x\",\"type\":\"!~\",\"value\":\"y\"},{\"name\":\"__name__\","
        "\"type\":\"=\",\"value\":\"foo\"}],\"name\":\"foo\",\"offset\":0,\"startOrEnd\":\"end\","
        "\"timestamp\":null,\"type\":\"vectorSelector\"}");
    tree_is("(a > bool 1)",
            "{\"expr\":{\"bool\":true,\"lhs\":{\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\","
            "\"value\":\"a\"}],\"name\":\"a\",\"offset\":0,\"startOrEnd\":null,\"timestamp\":null,"
            "\"type\":\"vectorSelector\"},\"matching\":null,\"op\":\">\",\"rhs\":{\"type\":"
            "\"numberLiteral\",\"val\":\"1\"},\"type\":\"binaryExpr\"},\"type\":\"parenExpr\"}");
    tree_is(
        "topk(2, rate(a[5m:30s] @ 5)) by (b)",
        "{\"expr\":{\"args\":[{\"expr\":{\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\","
        "\"value\":\"a\"}],\"name\":\"a\",\"offset\":0,\"startOrEnd\":null,\"timestamp\":null,"
        "\"type\":\"vectorSelector\"},\"offset\":0,\"range\":300000,\"startOrEnd\":null,\"step\":"
        "30000,\"timestamp\":5000,\"type\":\"subquery\"}],\"func\":{\"argTypes\":[\"matrix\"],"
        "\"name\":\"rate\",\"returnType\":\"vector\",\"variadic\":0},\"type\":\"call\"},"
        "\"grouping\":[\"b\"],\"op\":\"topk\",\"param\":{\"type\":\"numberLiteral\",\"val\":\"2\"},"
        "\"type\":\"aggregation\",\"without\":false}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_queries_stay_on_a_line),
        cmocka_unit_test(long_ones_are_split),
        cmocka_unit_test(trees_have_the_shape_of_parse_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
