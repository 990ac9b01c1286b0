/*
 * test_threads.c - a query gives the same bits at any number of threads, keeps its limits
 * there, and ends soon when it is canceled.
 *
 *     test-query-threads [QUERIES]     random queries, 300 without the argument
 */
#include "../../result_same.h"
#include "../../temporary_store.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/pool.h"
#include "storage/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TENANT SLICE("test")

enum { SERIES = 300, SAMPLES = 120, THREADS = 8 };

static struct store *store;
static struct pool *helpers;
static uint64_t random_state = 88172645463325252u;
static long random_queries = 300;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % bound;
}

/* Counters with resets, gauges of all sizes, holes, stale markers and infinities. */
static double value_of(bool counter, double *level)
{
    if (random_below(200) == 0)
        return double_from_bits(UINT64_C(0x7ff0000000000002));
    if (counter) {
        *level = random_below(60) == 0 ? 0 : *level + (double)random_below(1000) / 7;
        return *level;
    }
    if (random_below(300) == 0)
        return (double)__builtin_inf();
    double value = ((double)random_below(2000000) - 1e6) / 3;
    return random_below(20) == 0 ? value * 1e300 : value;
}

static void add_series(struct batch *batch, const char *name, int number, bool counter,
                       struct error *err)
{
    char host[16], mode[16];
    snprintf(host, sizeof(host), "%03d", number / 4);
    snprintf(mode, sizeof(mode), "m%d", number % 4);
    struct label labels[] = {{LABEL_NAME_METRIC, slice_from_text(name)},
                             {SLICE("host"), slice_from_text(host)},
                             {SLICE("mode"), slice_from_text(mode)}};
    int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 3, err);
    assert_true(series >= 0);
    double level = (double)random_below(100000);
    for (int i = 0; i < SAMPLES; i++) {
        if (random_below(30) == 0)
            continue;
        double value = value_of(counter, &level);
        assert_true(batch_sample(batch, (uint32_t)series, i * 10 * NS_PER_SECOND, value, err));
    }
}

static int open_store(void **state)
{
    (void)state;
    struct error err = {0};
    store = temporary_store_open(&err);
    helpers = pool_new("help", THREADS - 1, 64, &err);
    if (store == NULL || helpers == NULL)
        return -1;
    struct batch *batch = batch_new(store, TENANT, STORE_METRIC, &err);
    for (int i = 0; i < SERIES; i++) {
        add_series(batch, "requests_total", i, true, &err);
        add_series(batch, "level", i, false, &err);
    }
    struct batch_result result = {0};
    return batch_commit_wait(batch, &result, &err) ? 0 : -1;
}

static int close_store(void **state)
{
    (void)state;
    pool_free(helpers);
    return temporary_store_close(store);
}

static struct query_request request_of(const char *text, bool instant, size_t threads)
{
    return (struct query_request){.language = QUERY_PROMQL,
                                  .text = slice_from_text(text),
                                  .tenant = TENANT,
                                  .instant = instant,
                                  .start_ns = 100 * NS_PER_SECOND,
                                  .end_ns = 1100 * NS_PER_SECOND,
                                  .step_ns = 10 * NS_PER_SECOND,
                                  .features = QUERY_FEATURES_ALL & ~QUERY_DELAYED_NAME_REMOVAL,
                                  .helpers = threads > 1 ? helpers : NULL,
                                  .threads = threads,
                                  .helpers_from = 1,
                                  .count_steps = true};
}

static void same_at_any_number(const char *text, bool instant)
{
    static const size_t counts[] = {2, 3, THREADS};
    struct query_request r = request_of(text, instant, 1);
    struct error err = {0}, other = {0};
    struct query_result *alone = query_run(store, &r, &err);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        r = request_of(text, instant, counts[i]);
        struct query_result *result = query_run(store, &r, &other);
        if ((alone == NULL) != (result == NULL))
            fail_msg("%s at %zu threads: %s%s", text, counts[i], err.message, other.message);
        if (alone == NULL) {
            assert_int_equal(err.code, other.code);
            assert_string_equal(err.message, other.message);
        } else if (!result_same(alone, result)) {
            fail_msg("%s differs at %zu threads", text, counts[i]);
        }
        query_result_free(result);
    }
    query_result_free(alone);
}

/* ---- random queries ----------------------------------------------------------------------- */

static void append_vector(struct buffer *out, unsigned depth);

static void append_selector(struct buffer *out)
{
    static const char *const selectors[] = {"requests_total", "level", "level{mode=\"m1\"}",
                                            "requests_total{host=~\"0[0-3].\"}",
                                            "{__name__=~\"level|requests_total\",mode!=\"m2\"}"};
    buffer_append_text(out, selectors[random_below(COUNT_OF(selectors))]);
}

static void append_range(struct buffer *out, unsigned depth)
{
    static const char *const functions[] = {
        "rate",          "increase",         "delta",           "irate",          "sum_over_time",
        "avg_over_time", "max_over_time",    "min_over_time",   "changes",        "resets",
        "deriv",         "stddev_over_time", "count_over_time", "last_over_time", "mad_over_time"};
    buffer_printf(out, "%s(", functions[random_below(COUNT_OF(functions))]);
    if (depth > 1 && random_below(4) == 0) {
        append_vector(out, depth - 1);
        buffer_append_text(out, "[3m:20s])");
        return;
    }
    append_selector(out);
    buffer_printf(out, "[%ds]", 20 + (int)random_below(300));
    if (random_below(5) == 0)
        buffer_append_text(out, random_below(2) ? " offset 1m" : " @ 500");
    buffer_append_byte(out, ')');
}

static void append_aggregation(struct buffer *out, unsigned depth)
{
    static const char *const plain[] = {"sum", "avg", "min", "max", "count", "stddev", "group"};
    static const char *const chosen[] = {"topk(5, ", "bottomk(3, ", "quantile(0.3, ", "limitk(4, ",
                                         "limit_ratio(0.5, "};
    static const char *const groupings[] = {"", " by (mode)", " without (host)", " by (host)"};
    const char *grouping = groupings[random_below(COUNT_OF(groupings))];
    if (random_below(3) == 0)
        buffer_append_text(out, chosen[random_below(COUNT_OF(chosen))]);
    else
        buffer_printf(out, "%s%s(", plain[random_below(COUNT_OF(plain))], grouping);
    append_vector(out, depth - 1);
    buffer_append_byte(out, ')');
}

static void append_vector(struct buffer *out, unsigned depth)
{
    uint64_t kind = depth > 1 ? random_below(7) : random_below(2);
    static const char *const operators[] = {" + ", " / ", " > ", " and ", " or ", " unless "};
    static const char *const maps[] = {"abs", "ceil", "sqrt", "-", "absent", "timestamp", "sort"};
    if (kind == 0) {
        append_selector(out);
    } else if (kind <= 2) {
        append_range(out, depth);
    } else if (kind <= 4) {
        append_aggregation(out, depth);
    } else if (kind == 5) {
        buffer_printf(out, "%s(", maps[random_below(COUNT_OF(maps))]);
        append_vector(out, depth - 1);
        buffer_append_byte(out, ')');
    } else {
        append_vector(out, depth - 1);
        buffer_append_text(out, operators[random_below(COUNT_OF(operators))]);
        buffer_append_text(out, random_below(3) ? "on (host, mode) " : "");
        append_vector(out, depth - 1);
    }
}

static void random_queries_give_the_same_bits(void **state)
{
    (void)state;
    for (long i = 0; i < random_queries; i++) {
        struct buffer text;
        buffer_init(&text, 4096);
        append_vector(&text, 3);
        buffer_append_byte(&text, '\0');
        if (!text.failed)
            same_at_any_number(text.data, random_below(3) == 0);
        buffer_done(&text);
    }
}

static void annotations_keep_their_order(void **state)
{
    (void)state;
    same_at_any_number("rate({__name__=~\"level|requests_total\"}[1m])", false);
    same_at_any_number("quantile_over_time(2, level[1m]) or rate(level[5m])", false);
}

/* ---- limits -----------------------------------------------------------------------------------
 */

static void limits_hold_with_helpers(void **state)
{
    (void)state;
    struct error err = {0};
    struct query_request r = request_of("{__name__=~\".+\"}", false, THREADS);
    r.limits.samples_max = 5000;
    assert_null(query_run(store, &r, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    r.limits.samples_max = 0;
    r.limits.memory_max = 256 << 10;
    assert_null(query_run(store, &r, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    r.limits.memory_max = 0;
    r.limits.timeout_ns = 1;
    assert_null(query_run(store, &r, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
}

static void *cancel_later(void *flag)
{
    usleep(30000);
    __atomic_store_n((bool *)flag, true, __ATOMIC_RELAXED);
    return NULL;
}

static void a_canceled_query_ends_soon(void **state)
{
    (void)state;
    bool cancel = false;
    pthread_t thread;
    struct error err = {0};
    struct query_request r =
        request_of("sum_over_time({__name__=~\".+\"}[10m:10ms])", false, THREADS);
    r.cancel = &cancel;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &cancel), 0);
    int64_t began = clock_monotonic_ns();
    struct query_result *result = query_run(store, &r, &err);
    int64_t took = clock_monotonic_ns() - began;
    pthread_join(thread, NULL);
    assert_null(result);
    assert_int_equal(err.code, ERR_CANCELED);
    assert_true(took < 2 * NS_PER_SECOND); /* 0.23 s, but for a loaded machine */
}

/* Many queries share few helpers, and a pool without room is no obstacle. */
static void *query_often(void *argument)
{
    (void)argument;
    for (int i = 0; i < 10; i++)
        same_at_any_number("sum by (mode)(rate(requests_total[2m]))", false);
    return NULL;
}

static void queries_share_helpers(void **state)
{
    (void)state;
    pthread_t threads[6];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, query_often, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        random_queries = strtol(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_queries_give_the_same_bits),
        cmocka_unit_test(annotations_keep_their_order),
        cmocka_unit_test(limits_hold_with_helpers),
        cmocka_unit_test(a_canceled_query_ends_soon),
        cmocka_unit_test(queries_share_helpers),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
