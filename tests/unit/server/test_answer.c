/* Query results as JSON: golden texts. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/histogram.h"
#include "query/query.h"
#include "server/answer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct buffer out;

static int set_up(void **state)
{
    (void)state;
    buffer_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_done(&out);
    return 0;
}

static void assert_text(const char *text)
{
    buffer_append_byte(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data, text);
    buffer_clear(&out);
}

static void assert_point(int64_t ms, double value, enum answer_style style, const char *text)
{
    answer_point(&out, ms * 1000000, value, style);
    assert_text(text);
}

static void points_have_prometheus_numbers(void **state)
{
    (void)state;
    assert_point(1435781430781, 1, ANSWER_PROMETHEUS, "[1435781430.781,\"1\"]");
    assert_point(1435781430000, 0.1, ANSWER_PROMETHEUS, "[1435781430,\"0.1\"]");
    assert_point(1435781430080, 1e21, ANSWER_PROMETHEUS, "[1435781430.080,\"1e+21\"]");
    assert_point(-500, 1e-7, ANSWER_PROMETHEUS, "[-0.500,\"1e-07\"]");
    assert_point(0, NAN, ANSWER_PROMETHEUS, "[0,\"NaN\"]");
    assert_point(0, -INFINITY, ANSWER_PROMETHEUS, "[0,\"-Inf\"]");
    assert_point(0, -0.0, ANSWER_PROMETHEUS, "[0,\"-0\"]");
    assert_point(0, double_from_bits(0x7ff0000000000002), ANSWER_PROMETHEUS, "[0,\"NaN\"]");
}

static void points_have_loki_numbers(void **state)
{
    (void)state;
    assert_point(1435781430080, 1e21, ANSWER_LOKI, "[1435781430.08,\"1000000000000000000000\"]");
    assert_point(1435781430500, 2, ANSWER_LOKI, "[1435781430.5,\"2\"]");
    assert_point(1435781430000, INFINITY, ANSWER_LOKI, "[1435781430,\"+Inf\"]");
}

static void labels_are_escaped(void **state)
{
    (void)state;
    struct label items[] = {{SLICE("a\"b"), SLICE("c\\d\n")}, {SLICE("z"), SLICE("\xff")}};
    answer_labels(&out, (struct labels){items, 2});
    assert_text("{\"a\\\"b\":\"c\\\\d\\n\",\"z\":\"\\ufffd\"}");
    answer_labels(&out, (struct labels){NULL, 0});
    assert_text("{}");
}

static struct label job[] = {{SLICE("__name__"), SLICE("up")}, {SLICE("job"), SLICE("x")}};

static void vectors_and_matrices_differ_in_one_key(void **state)
{
    (void)state;
    struct query_point points[] = {{1000000000, 1, NULL}, {2500000000, 2, NULL}};
    struct query_series series = {{job, 2}, points, 1};
    struct query_result result = {.type = RESULT_VECTOR, .series = &series, .series_count = 1};
    answer_result(&out, &result, SIZE_MAX, ANSWER_PROMETHEUS);
    assert_text("[{\"metric\":{\"__name__\":\"up\",\"job\":\"x\"},\"value\":[1,\"1\"]}]");
    result.type = RESULT_MATRIX;
    series.count = 2;
    answer_result(&out, &result, SIZE_MAX, ANSWER_PROMETHEUS);
    assert_text("[{\"metric\":{\"__name__\":\"up\",\"job\":\"x\"},"
                "\"values\":[[1,\"1\"],[2.500,\"2\"]]}]");
    answer_result(&out, &result, 0, ANSWER_PROMETHEUS);
    assert_text("[]");
}

static void histograms_have_buckets_from_low_to_high(void **state)
{
    (void)state;
    static const struct histogram_span near[] = {{0, 2}, {1, 1}}, one[] = {{0, 3}};
    static const double counts[] = {1, 0, 2.5}, bounds[] = {0.5, 1};
    struct histogram h = {.count = 9,
                          .sum = -1.5,
                          .zero_count = 2,
                          .zero_threshold = 0.125,
                          .positive = {near, 2, counts, 3},
                          .negative = {near, 2, counts, 3}};
    answer_histogram(&out, 1500 * INT64_C(1000000), &h, ANSWER_PROMETHEUS);
    assert_text("[1.500,{\"count\":\"9\",\"sum\":\"-1.5\",\"buckets\":[[1,\"-8\",\"-4\",\"2.5\"],"
                "[1,\"-1\",\"-0.5\",\"1\"],[3,\"-0.125\",\"0.125\",\"2\"],[0,\"0.5\",\"1\",\"1\"],"
                "[0,\"4\",\"8\",\"2.5\"]]}]");
    struct histogram custom = {.schema = HISTOGRAM_SCHEMA_CUSTOM,
                               .count = 3.5,
                               .positive = {one, 1, counts, 3},
                               .custom = bounds,
                               .custom_count = 2};
    answer_histogram(&out, 0, &custom, ANSWER_PROMETHEUS);
    assert_text("[0,{\"count\":\"3.5\",\"sum\":\"0\",\"buckets\":[[3,\"-Inf\",\"0.5\",\"1\"],"
                "[0,\"1\",\"+Inf\",\"2.5\"]]}]");
    struct histogram empty = {.schema = 1};
    answer_histogram(&out, 0, &empty, ANSWER_PROMETHEUS);
    assert_text("[0,{\"count\":\"0\",\"sum\":\"0\"}]");
}

static void series_may_have_floats_and_histograms(void **state)
{
    (void)state;
    struct histogram h = {.count = 0};
    struct query_point points[] = {{0, 0, &h}, {1000000000, 2, NULL}, {2000000000, 0, &h}};
    struct query_series series = {.points = points, .count = 3};
    struct query_result result = {.type = RESULT_MATRIX, .series = &series, .series_count = 1};
    answer_result(&out, &result, SIZE_MAX, ANSWER_PROMETHEUS);
    assert_text("[{\"metric\":{},\"values\":[[1,\"2\"]],\"histograms\":[[0,{\"count\":\"0\","
                "\"sum\":\"0\"}],"
                "[2,{\"count\":\"0\",\"sum\":\"0\"}]]}]");
    result.type = RESULT_VECTOR;
    series.count = 1;
    answer_result(&out, &result, SIZE_MAX, ANSWER_PROMETHEUS);
    assert_text("[{\"metric\":{},\"histogram\":[0,{\"count\":\"0\",\"sum\":\"0\"}]}]");
}

static void scalars_and_strings_are_pairs(void **state)
{
    (void)state;
    struct query_result result = {.type = RESULT_SCALAR, .scalar = {4000000000, 2, NULL}};
    answer_result(&out, &result, SIZE_MAX, ANSWER_PROMETHEUS);
    assert_text("[4,\"2\"]");
    result.type = RESULT_STRING;
    result.string = SLICE("a\"");
    answer_result(&out, &result, SIZE_MAX, ANSWER_PROMETHEUS);
    assert_text("[4,\"a\\\"\"]");
}

/* One stream in the store whose lines the pipeline told apart into two. */
static struct label app[] = {{SLICE("app"), SLICE("x")}};
static struct label app_a[] = {{SLICE("app"), SLICE("x")}, {SLICE("k"), SLICE("a")}};
static struct label app_b[] = {{SLICE("app"), SLICE("x")}, {SLICE("k"), SLICE("b")}};
static struct label parsed_a[] = {{SLICE("k"), SLICE("a")}};
static struct label trace[] = {{SLICE("trace"), SLICE("1")}};
static struct query_entry entries_a[] = {{30, {"third", 5}, {trace, 1}, {parsed_a, 1}},
                                         {10, {"first", 5}, {NULL, 0}, {parsed_a, 1}}};
static struct query_entry entries_b[] = {{20, {"second", 6}, {NULL, 0}, {NULL, 0}}};
static struct query_stream streams[] = {{{app_a, 2}, {app, 1}, entries_a, 2},
                                        {{app_b, 2}, {app, 1}, entries_b, 1}};
static struct query_result two_streams = {
    .type = RESULT_STREAMS, .streams = streams, .stream_count = 2};

static void streams_are_told_apart_by_all_labels(void **state)
{
    (void)state;
    answer_streams(&out, &two_streams, false, false);
    assert_text("[{\"stream\":{\"app\":\"x\",\"k\":\"a\"},\"values\":[[\"30\",\"third\"],"
                "[\"10\",\"first\"]]},"
                "{\"stream\":{\"app\":\"x\",\"k\":\"b\"},\"values\":[[\"20\",\"second\"]]}]");
}

static void categorized_streams_come_together_in_time_order(void **state)
{
    (void)state;
    answer_streams(&out, &two_streams, false, true);
    assert_text("[{\"stream\":{\"app\":\"x\"},\"values\":["
                "[\"30\",\"third\",{\"structuredMetadata\":{\"trace\":\"1\"},"
                "\"parsed\":{\"k\":\"a\"}}],"
                "[\"20\",\"second\",{}],"
                "[\"10\",\"first\",{\"parsed\":{\"k\":\"a\"}}]]}]");
}

static void many_categorized_streams_are_sorted(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct query_entry entries[COUNT];
    struct query_stream many[COUNT];
    for (int i = 0; i < COUNT; i++) {
        entries[i] = (struct query_entry){.time_ns = (i * 7) % COUNT, .line = SLICE("")};
        many[i] = (struct query_stream){{app, 1}, {app, 1}, &entries[i], 1};
    }
    struct query_result result = {.type = RESULT_STREAMS, .streams = many, .stream_count = COUNT};
    answer_streams(&out, &result, true, true);
    assert_non_null(strstr(out.data, "[[\"0\",\"\",{}],[\"1\",\"\",{}],[\"2\",\"\",{}],"));
    assert_non_null(strstr(out.data, "[\"18\",\"\",{}],[\"19\",\"\",{}]]}]"));
}

static void no_result_is_an_empty_list(void **state)
{
    (void)state;
    struct query_result result = {.type = RESULT_STREAMS};
    answer_streams(&out, &result, false, true);
    answer_streams(&out, &result, false, false);
    answer_texts(&out, NULL, 0);
    assert_text("[][][]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(points_have_prometheus_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(points_have_loki_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(labels_are_escaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(vectors_and_matrices_differ_in_one_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(histograms_have_buckets_from_low_to_high, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(series_may_have_floats_and_histograms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(scalars_and_strings_are_pairs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(streams_are_told_apart_by_all_labels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(categorized_streams_come_together_in_time_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_categorized_streams_are_sorted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_result_is_an_empty_list, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
