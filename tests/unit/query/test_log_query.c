/* test_log_query.c - log queries and counting over a real store. */
#include "../../temporary_store.h"

#include "base/error.h"
#include "query/query.h"
#include "storage/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define START  (1700000000 * SECOND)

static struct store *store;

static void add(struct batch *batch, const char *name, int first, int step, int count)
{
    struct error err = {0};
    struct label labels[] = {{SLICE("app"), SLICE("t")}, {SLICE("i"), slice_from_text(name)}};
    int64_t series = batch_define(batch, 0, (struct slice){NULL, 0}, labels, 2, &err);
    assert_true(series >= 0);
    for (int i = 0; i < count; i++) {
        char line[64];
        int second = first + i * step;
        int size = snprintf(line, sizeof(line), "level=%s n=%d", i % 2 ? "info" : "error", second);
        struct label metadata[] = {{SLICE("trace"), SLICE("x")}};
        assert_true(batch_entry(batch, (uint32_t)series, START + second * SECOND,
                                slice_of(line, (size_t)size), metadata, i == 0 ? 1 : 0, &err));
    }
}

static int open_all(void **state)
{
    (void)state;
    struct error err = {0};
    store = temporary_store_open(&err);
    if (store == NULL)
        return -1;
    struct batch *batch = batch_new(store, SLICE("default"), STORE_LOG, &err);
    if (batch == NULL)
        return -1;
    add(batch, "1", 0, 2, 10);
    add(batch, "2", 1, 3, 10);
    struct batch_result result;
    return batch_commit_wait(batch, &result, &err) ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    return temporary_store_close(store);
}

static struct query_request request_of(const char *text)
{
    return (struct query_request){.language = QUERY_LOGQL,
                                  .text = slice_from_text(text),
                                  .tenant = SLICE("default"),
                                  .start_ns = START,
                                  .end_ns = START + 100 * SECOND,
                                  .step_ns = 10 * SECOND,
                                  .forward = true};
}

static struct query_result *run(const struct query_request *request)
{
    struct error err = {0};
    struct query_result *result = query_run(store, request, &err);
    if (result == NULL)
        fail_msg("%s", err.message);
    return result;
}

static size_t entry_count(const struct query_result *result)
{
    size_t count = 0;
    for (size_t i = 0; i < result->stream_count; i++)
        count += result->streams[i].count;
    return count;
}

static void the_limit_counts_over_all_streams_in_time_order(void **state)
{
    (void)state;
    struct query_request request = request_of("{app=\"t\"}");
    request.limit = 5;
    struct query_result *result = run(&request);
    assert_int_equal(entry_count(result), 5);
    for (size_t i = 0; i < result->stream_count; i++) {
        const struct query_stream *stream = &result->streams[i];
        for (size_t k = 0; k < stream->count; k++)
            assert_true(stream->entries[k].time_ns <= START + 4 * SECOND);
    }
    assert_int_equal(result->stats.entries_returned, 5);
    query_result_free(result);

    request.forward = false;
    result = run(&request);
    assert_int_equal(entry_count(result), 5);
    for (size_t i = 0; i < result->stream_count; i++) {
        const struct query_stream *stream = &result->streams[i];
        for (size_t k = 1; k < stream->count; k++)
            assert_true(stream->entries[k - 1].time_ns > stream->entries[k].time_ns);
        assert_true(stream->entries[0].time_ns >= START + 16 * SECOND);
    }
    query_result_free(result);
}

static void the_start_is_included_and_the_end_is_not(void **state)
{
    (void)state;
    struct query_request request = request_of("{app=\"t\", i=\"1\"}");
    request.start_ns = START + 2 * SECOND;
    request.end_ns = START + 4 * SECOND;
    struct query_result *result = run(&request);
    assert_int_equal(entry_count(result), 1);
    assert_int_equal(result->streams[0].entries[0].time_ns, START + 2 * SECOND);
    query_result_free(result);
}

static void entries_are_grouped_by_their_final_labels_with_categories(void **state)
{
    (void)state;
    struct query_request request = request_of("{app=\"t\", i=\"1\"} | logfmt | drop n");
    struct query_result *result = run(&request);
    assert_int_equal(result->stream_count, 3); /* error with trace, info, error */
    const struct query_stream *first = &result->streams[0];
    assert_int_equal(first->count, 1);
    assert_int_equal(first->labels.count, 4);
    assert_int_equal(first->stream.count, 2);
    assert_true(slice_equal(labels_get(first->entries[0].metadata, SLICE("trace")), SLICE("x")));
    assert_true(slice_equal(labels_get(first->entries[0].parsed, SLICE("level")), SLICE("error")));
    query_result_free(result);
}

static void an_interval_thins_the_entries(void **state)
{
    (void)state;
    struct query_request request = request_of("{app=\"t\", i=\"1\"}");
    request.interval_ns = 5 * SECOND;
    struct query_result *result = run(&request);
    assert_int_equal(entry_count(result), 4); /* 0, 6, 12, 18 */
    query_result_free(result);
}

static void an_instant_log_query_is_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct query_request request = request_of("{app=\"t\"}");
    request.instant = true;
    assert_null(query_run(store, &request, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.message,
                        "log queries are not supported as an instant query type, please change "
                        "your query to a range query type");
}

static double instant_value(const char *text, int second)
{
    struct query_request request = request_of(text);
    request.instant = true;
    request.end_ns = START + second * SECOND;
    struct query_result *result = run(&request);
    assert_int_equal(result->series_count, 1);
    double value = result->series[0].points[0].value;
    query_result_free(result);
    return value;
}

static void windows_exclude_their_start_and_include_their_end(void **state)
{
    (void)state;
    /* Stream 1 has entries at 0, 2, 4, ... 18. */
    assert_true(instant_value("sum(count_over_time({app=\"t\", i=\"1\"}[4s]))", 4) == 2);
    assert_true(instant_value("sum(count_over_time({app=\"t\", i=\"1\"}[4s]))", 5) == 2);
    assert_true(instant_value("sum(count_over_time({app=\"t\", i=\"1\"}[1s]))", 18) == 1);
    assert_true(instant_value("sum(rate({app=\"t\"} |= \"error\" [10s]))", 10) == 0.4);
    assert_true(instant_value("sum(bytes_over_time({app=\"t\", i=\"1\"}[1s]))", 4) == 15);
    assert_true(instant_value("max(max_over_time({app=\"t\"} | logfmt | unwrap n [100s]))", 28) ==
                28);
    assert_true(instant_value("sum(count_over_time({app=\"t\", i=\"1\"}[4s] offset 2s))", 6) == 2);
}

static void a_range_query_slides_the_windows(void **state)
{
    (void)state;
    struct query_request request = request_of("sum(count_over_time({app=\"t\", i=\"1\"}[4s]))");
    request.end_ns = START + 30 * SECOND;
    request.step_ns = 5 * SECOND;
    struct query_result *result = run(&request);
    assert_int_equal(result->type, RESULT_MATRIX);
    assert_int_equal(result->series_count, 1);
    static const double expected[] = {1, 2, 2, 2, 1};
    assert_int_equal(result->series[0].count, 5); /* 0, 5, 10, 15, 20; no point without lines */
    for (size_t i = 0; i < 5; i++)
        assert_true(result->series[0].points[i].value == expected[i]);
    query_result_free(result);
}

static void an_error_label_fails_a_metric_query(void **state)
{
    (void)state;
    struct error err = {0};
    struct query_request request =
        request_of("sum by (x) (count_over_time({app=\"t\"} | json [10s]))");
    request.instant = true;
    request.end_ns = START + 10 * SECOND;
    assert_null(query_run(store, &request, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, "pipeline error: 'JSONParserErr' for series: '{"));
    assert_non_null(strstr(err.message, "Use a label filter to intentionally skip this error."));
    assert_true(instant_value("sum(count_over_time({app=\"t\"} | json [10s]))", 10) > 0);
}

static void absent_over_time_tells_what_is_not_there(void **state)
{
    (void)state;
    assert_true(instant_value("absent_over_time({app=\"none\"}[10s])", 10) == 1);
    struct query_request request = request_of("absent_over_time({app=\"t\"}[10s])");
    request.instant = true;
    request.end_ns = START + 10 * SECOND;
    struct query_result *result = run(&request);
    assert_int_equal(result->series_count, 0);
    query_result_free(result);
}

static void too_many_series_fail_the_query(void **state)
{
    (void)state;
    struct error err = {0};
    struct query_request request = request_of("count_over_time({app=\"t\"} | logfmt [100s])");
    request.limits.series_max = 5;
    assert_null(query_run(store, &request, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "maximum number of series (5) reached"));
}

static void a_canceled_query_ends(void **state)
{
    (void)state;
    struct error err = {0};
    bool cancel = true;
    struct query_request request = request_of("{app=\"t\"}");
    request.cancel = &cancel;
    assert_null(query_run(store, &request, &err));
    assert_int_equal(err.code, ERR_CANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_counts_over_all_streams_in_time_order),
        cmocka_unit_test(the_start_is_included_and_the_end_is_not),
        cmocka_unit_test(entries_are_grouped_by_their_final_labels_with_categories),
        cmocka_unit_test(an_interval_thins_the_entries),
        cmocka_unit_test(an_instant_log_query_is_refused),
        cmocka_unit_test(windows_exclude_their_start_and_include_their_end),
        cmocka_unit_test(a_range_query_slides_the_windows),
        cmocka_unit_test(an_error_label_fails_a_metric_query),
        cmocka_unit_test(absent_over_time_tells_what_is_not_there),
        cmocka_unit_test(too_many_series_fail_the_query),
        cmocka_unit_test(a_canceled_query_ends),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
