/*
 * test_promql_eval.c - PromQL on a real store: limits, errors and the shape of results.
 * What functions and operators compute is the conformance cases' business.
 */
#include "../../temporary_store.h"

#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "query/query.h"
#include "storage/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TENANT SLICE("test")

enum { SERIES = 50, SAMPLES = 100 };

static struct store *store;

static void add_series(struct batch *batch, const char *name, int number, struct error *err)
{
    char text[16];
    snprintf(text, sizeof(text), "%02d", number);
    struct label labels[] = {{LABEL_NAME_METRIC, slice_from_text(name)},
                             {SLICE("host"), slice_from_text(text)}};
    int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 2, err);
    assert_true(series >= 0);
    for (int i = 0; i < SAMPLES; i++)
        assert_true(batch_sample(batch, (uint32_t)series, i * 10 * NS_PER_SECOND,
                                 (double)(number + i), err));
}

static int open_store(void **state)
{
    (void)state;
    struct error err = {0};
    store = temporary_store_open(&err);
    if (store == NULL)
        return -1;
    struct batch *batch = batch_new(store, TENANT, STORE_METRIC, &err);
    for (int i = SERIES - 1; i >= 0; i--) {
        add_series(batch, "a", i, &err);
        add_series(batch, "b", i, &err);
    }
    struct batch_result result = {0};
    return batch_commit_wait(batch, &result, &err) ? 0 : -1;
}

static int close_store(void **state)
{
    (void)state;
    return temporary_store_close(store);
}

static struct query_request range_of(const char *text)
{
    return (struct query_request){.language = QUERY_PROMQL,
                                  .text = slice_from_text(text),
                                  .tenant = TENANT,
                                  .start_ns = 100 * NS_PER_SECOND,
                                  .end_ns = 900 * NS_PER_SECOND,
                                  .step_ns = 10 * NS_PER_SECOND};
}

static struct query_request instant_of(const char *text)
{
    struct query_request r = range_of(text);
    r.instant = true;
    return r;
}

static struct query_result *run(const struct query_request *request)
{
    struct error err = {0};
    struct query_result *result = query_run(store, request, &err);
    if (result == NULL)
        fail_msg("%.*s: %s", SLICE_ARG(request->text), err.message);
    return result;
}

static void fails(const struct query_request *request, enum error_code code, const char *message)
{
    struct error err = {0};
    struct query_result *result = query_run(store, request, &err);
    if (result != NULL)
        fail_msg("%.*s succeeded", SLICE_ARG(request->text));
    assert_int_equal(err.code, code);
    if (strstr(err.message, message) == NULL)
        fail_msg("%s", err.message);
}

static void range_results_are_sorted_by_labels(void **state)
{
    (void)state;
    struct query_request r = range_of("{__name__=~\"a|b\"}");
    struct query_result *result = run(&r);
    assert_int_equal(result->type, RESULT_MATRIX);
    assert_int_equal(result->series_count, 2 * SERIES);
    for (size_t i = 1; i < result->series_count; i++)
        assert_true(labels_compare(result->series[i - 1].labels, result->series[i].labels) < 0);
    assert_int_equal(result->series[0].count, 81);
    assert_int_equal(result->stats.series, 2 * SERIES);
    query_result_free(result);
}

static void each_kind_of_value_has_its_result_type(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum query_result_type type;
    } cases[] = {{"1 + 1", RESULT_SCALAR},      {"\"x\"", RESULT_STRING},
                 {"a", RESULT_VECTOR},          {"a[1m]", RESULT_MATRIX},
                 {"a[1m:10s]", RESULT_MATRIX},  {"time()", RESULT_SCALAR},
                 {"(((\"x\")))", RESULT_STRING}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct query_request r = instant_of(cases[i].text);
        struct query_result *result = run(&r);
        assert_int_equal(result->type, cases[i].type);
        query_result_free(result);
    }
    struct query_request r = range_of("1");
    struct query_result *result = run(&r);
    assert_int_equal(result->type, RESULT_MATRIX);
    assert_int_equal(result->series_count, 1);
    query_result_free(result);
    r = range_of("a[1m]");
    fails(&r, ERR_INVALID, "invalid expression type \"range vector\" for range query");
    r = range_of("\"x\"");
    fails(&r, ERR_INVALID, "invalid expression type \"string\" for range query");
}

static void another_tenant_sees_nothing(void **state)
{
    (void)state;
    struct query_request r = instant_of("a");
    r.tenant = SLICE("other");
    struct query_result *result = run(&r);
    assert_int_equal(result->series_count, 0);
    query_result_free(result);
    r = instant_of("a[5m]"); /* a list of no series is sorted, too */
    r.tenant = SLICE("other");
    result = run(&r);
    assert_int_equal(result->series_count, 0);
    query_result_free(result);
}

static void limits_stop_a_query(void **state)
{
    (void)state;
    struct query_request r = range_of("a");
    r.limits.series_max = 10;
    fails(&r, ERR_LIMIT, "10");
    r = range_of("a + b");
    r.limits.samples_max = 500;
    fails(&r, ERR_LIMIT, "too many samples");
    r = range_of("sort(a)");
    r.limits.memory_max = 20000;
    fails(&r, ERR_LIMIT, "20000 bytes");
    r = range_of("a");
    r.step_ns = NS_PER_MS;
    r.end_ns = r.start_ns + 11000 * NS_PER_MS;
    query_result_free(run(&r));
    r.end_ns += NS_PER_MS;
    fails(&r, ERR_INVALID, "exceeded maximum resolution of 11000 points");
    r = range_of("a");
    r.step_ns = 0;
    fails(&r, ERR_INVALID, "zero or negative query resolution");
    r = range_of("max_over_time(a[100y:1ms])");
    fails(&r, ERR_LIMIT, "bytes of memory");
    r = range_of("a");
    r.limits.result_series_max = 3;
    fails(&r, ERR_LIMIT, "the limit is 3");
}

static void cancel_and_timeout_end_a_query(void **state)
{
    (void)state;
    bool cancel = true;
    struct query_request r = range_of("sum(rate(a[5m]))");
    r.cancel = &cancel;
    fails(&r, ERR_CANCELED, "canceled");
    r = range_of("sum(rate(a[5m]))");
    r.limits.timeout_ns = 1;
    fails(&r, ERR_TIMEOUT, "timed out");
}

/* 1,000 windows of a million samples each take minutes: the time limit must end them. */
static void long_overlapping_windows_end_in_time(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "sum_over_time(vector(1)[1000000s:1s])",           "avg_over_time(vector(1)[1000000s:1s])",
        "stddev_over_time(vector(1)[1000000s:1s])",        "deriv(vector(1)[1000000s:1s])",
        "quantile_over_time(0.5, vector(1)[1000000s:1s])", "changes(vector(1)[1000000s:1s])"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct query_request r = range_of(texts[i]);
        r.step_ns = NS_PER_SECOND;
        r.end_ns = r.start_ns + 1000 * NS_PER_SECOND;
        r.limits.timeout_ns = NS_PER_SECOND / 5;
        struct error err = {0};
        struct query_result *result = query_run(store, &r, &err);
        if (result == NULL)
            assert_int_equal(err.code, ERR_TIMEOUT);
        query_result_free(result);
    }
}

static void names_go_at_once_or_at_the_end(void **state)
{
    (void)state;
    struct query_request r = instant_of("count by (__name__) (rate({__name__=~\"a|b\"}[5m]))");
    fails(&r, ERR_EXECUTION, "vector cannot contain metrics with the same labelset");
    r.features = QUERY_DELAYED_NAME_REMOVAL;
    fails(&r, ERR_EXECUTION, "vector cannot contain metrics with the same labelset");
    r = instant_of("count by (__name__) (rate(a[5m]))");
    struct query_result *result = run(&r);
    assert_int_equal(result->series_count, 1);
    assert_int_equal(result->series[0].labels.count, 0);
    query_result_free(result);
    r = instant_of("-{__name__=~\"a|b\"}");
    fails(&r, ERR_EXECUTION, "vector cannot contain metrics with the same labelset");
}

static void annotations_tell_their_place_once(void **state)
{
    (void)state;
    struct query_request r = range_of("sum(\n  rate(a[5m])) + sum(rate(b[5m]))");
    struct query_result *result = run(&r);
    assert_int_equal(result->info_count, 2);
    const char *first = "PromQL info: metric might not be a counter, name does not end in "
                        "_total/_sum/_count/_bucket: \"a\" (2:8)";
    assert_true(slice_equal(result->infos[0], slice_from_text(first)));
    query_result_free(result);
}

static void times_far_away_are_no_error(void **state)
{
    (void)state;
    struct query_request r = instant_of("a offset 290y");
    query_result_free(run(&r));
    r = instant_of("a @ 9e18 or a @ -9e18");
    query_result_free(run(&r));
    r = instant_of("rate(a[290y] offset -290y)");
    query_result_free(run(&r));
    r = instant_of("a");
    r.end_ns = INT64_MAX;
    query_result_free(run(&r));
    r.end_ns = INT64_MIN;
    query_result_free(run(&r));
}

static void statistics_count_what_each_step_looks_at(void **state)
{
    (void)state;
    struct query_request r = range_of("sum_over_time(a[30s]) + on (host) b");
    r.count_steps = true;
    struct query_result *result = run(&r);
    assert_int_equal(result->stats.steps, 81);
    for (size_t i = 0; i < 81; i++) /* windows of three, and one sample each */
        assert_int_equal(result->stats.step_samples[i], SERIES * 4);
    assert_int_equal(result->stats.queryable, 81 * SERIES * 4);
    query_result_free(result);

    /* What does not depend on the step counts at each; a subquery counts its own points. */
    r = range_of("a @ 500");
    r.count_steps = true;
    result = run(&r);
    assert_int_equal(result->stats.queryable, 81 * SERIES);
    query_result_free(result);
    r = range_of("max_over_time(sum(a)[60s:20s])");
    r.count_steps = true;
    result = run(&r);
    assert_int_equal(result->stats.queryable, 81 * 3);
    query_result_free(result);
}

static void the_plan_says_what_was_read(void **state)
{
    (void)state;
    struct error err = {0};
    struct query_stats stats;
    struct buffer out;
    buffer_init(&out, 1 << 16);
    struct query_request r = range_of("count(rate(a[1m])) + count(b @ end())");
    assert_true(query_explain(store, &r, &out, &stats, &err));
    buffer_append_byte(&out, '\0');
    assert_non_null(strstr(out.data,
                           "{\"node\":\"binary\",\"text\":\"count(rate(a[1m])) + "
                           "count(b @ end())\",\"once\":false,\"series\":1,\"points\":81"));
    assert_non_null(strstr(out.data, "{\"node\":\"call\",\"text\":\"rate(a[1m])\",\"once\":false,"
                                     "\"series\":50,\"points\":4050"));
    assert_non_null(strstr(out.data, "\"once\":false,\"selectedSeries\":50,\"samples\":4300"));
    assert_non_null(strstr(out.data, "{\"node\":\"aggregation\",\"text\":\"count(b @ end())\","
                                     "\"once\":true"));
    buffer_clear(&out);
    r = range_of("count(");
    assert_false(query_explain(store, &r, &out, &stats, &err));
    assert_int_equal(err.code, ERR_INVALID);
    buffer_done(&out);
}

/* Twice the same is twice the value, to the bit. */
static void equal_subexpressions_are_evaluated_once(void **state)
{
    (void)state;
    static const char *const inner[] = {"sum by (host) (delta(a[1m]))", "a",
                                        "max_over_time(a[1m:10s])", "count(a offset 1m) by (host)",
                                        "sum(b) without (host)"};
    for (size_t i = 0; i < COUNT_OF(inner); i++) {
        char twice[256], once[256];
        snprintf(twice, sizeof(twice), "-(%s) + 4 * (%s) - (%s)", inner[i], inner[i], inner[i]);
        snprintf(once, sizeof(once), "2 * (%s)", inner[i]);
        struct query_request r = range_of(twice), plain = range_of(once);
        struct query_result *x = run(&r), *y = run(&plain);
        assert_int_equal(x->stats.samples, y->stats.samples);
        assert_int_equal(x->series_count, y->series_count);
        for (size_t s = 0; s < x->series_count; s++) {
            assert_true(labels_equal(x->series[s].labels, y->series[s].labels));
            assert_int_equal(x->series[s].count, y->series[s].count);
            for (size_t k = 0; k < x->series[s].count; k++)
                assert_true(x->series[s].points[k].value == y->series[s].points[k].value);
        }
        query_result_free(x);
        query_result_free(y);
    }
    /* Each place has its own info: it is evaluated at each. */
    struct query_request r = range_of("rate(a[1m]) + rate(a[1m])");
    struct query_result *result = run(&r);
    assert_int_equal(result->info_count, 2);
    query_result_free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_subexpressions_are_evaluated_once),
        cmocka_unit_test(statistics_count_what_each_step_looks_at),
        cmocka_unit_test(the_plan_says_what_was_read),
        cmocka_unit_test(range_results_are_sorted_by_labels),
        cmocka_unit_test(each_kind_of_value_has_its_result_type),
        cmocka_unit_test(another_tenant_sees_nothing),
        cmocka_unit_test(limits_stop_a_query),
        cmocka_unit_test(cancel_and_timeout_end_a_query),
        cmocka_unit_test(long_overlapping_windows_end_in_time),
        cmocka_unit_test(names_go_at_once_or_at_the_end),
        cmocka_unit_test(annotations_tell_their_place_once),
        cmocka_unit_test(times_far_away_are_no_error),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
