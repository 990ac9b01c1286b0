/*
 * test_result_cache.c - answers through the cache are those without it, whatever is
 * written, written late and deleted in between.
 *
 *     test-query-result_cache [ROUNDS]     800 without the argument
 */
#include "../../result_same.h"
#include "../../temporary_store.h"

#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "query/result_cache.h"
#include "storage/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TENANT SLICE("test")
#define BEGIN  (1700000000 * NS_PER_SECOND)

enum { HOSTS = 6, STEP_S = 15 };

static const char *const queries[] = {
    "sum by (host)(rate(requests_total[1m]))",
    "requests_total",
    "level offset 1m",
    "level offset -1m",
    "avg_over_time(level[2m]) > 3",
    "max_over_time(sum(rate(requests_total[1m]))[3m:20s])",
    "topk(2, level)",
    "level and on (host) requests_total",
    "absent(level{host=\"9\"})",
    "rate(level[1m])", /* has an info */
    "level @ end()",   /* is not kept */
    "sum(level) / count(level)",
    "vector(time())",
    "count_values(\"v\", level)",
};

static struct store *store;
static struct result_cache *cache;
static uint64_t random_state = 88172645463325252u;
static long rounds = 800;
static int64_t now_s; /* seconds after BEGIN up to which there are samples */

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % bound;
}

static int open_store(void **state)
{
    (void)state;
    struct error err = {0};
    store = temporary_store_open(&err);
    cache = result_cache_new(8 << 20);
    return store ? 0 : -1;
}

static int close_store(void **state)
{
    (void)state;
    result_cache_free(cache);
    return temporary_store_close(store);
}

static void write_sample(const char *name, int host, int64_t at_s, double value)
{
    char text[8];
    struct error err = {0};
    snprintf(text, sizeof(text), "%d", host);
    struct label labels[] = {{LABEL_NAME_METRIC, slice_from_text(name)},
                             {SLICE("host"), slice_from_text(text)}};
    struct batch *batch = batch_new(store, TENANT, STORE_METRIC, &err);
    assert_non_null(batch);
    int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 2, &err);
    assert_true(series >= 0);
    assert_true(batch_sample(batch, (uint32_t)series, BEGIN + at_s * NS_PER_SECOND, value, &err));
    struct batch_result result = {0};
    assert_true(batch_commit_wait(batch, &result, &err));
}

static void scrape(void)
{
    now_s += STEP_S;
    for (int host = 0; host < HOSTS; host++) {
        if (random_below(8) == 0)
            continue;
        write_sample("requests_total", host, now_s, (double)(now_s * (host + 1)));
        write_sample("level", host, now_s, (double)random_below(10));
    }
}

static void write_late(void)
{
    int64_t at_s = now_s - (int64_t)random_below(600);
    write_sample(random_below(2) ? "level" : "requests_total", (int)random_below(HOSTS),
                 at_s > 0 ? at_s : 0, (double)random_below(1000));
}

static void delete_some(void)
{
    struct error err = {0};
    struct matcher matcher;
    char host[8];
    snprintf(host, sizeof(host), "%d", (int)random_below(HOSTS));
    assert_true(matcher_init(&matcher, MATCH_EQUAL, SLICE("host"), slice_from_text(host), &err));
    struct view_selector selector = {&matcher, 1};
    int64_t from_s = now_s - (int64_t)random_below(900);
    struct store_delete request = {.tenant = TENANT,
                                   .kind = STORE_METRIC,
                                   .start_ns = BEGIN + from_s * NS_PER_SECOND,
                                   .end_ns = BEGIN + (from_s + 60) * NS_PER_SECOND,
                                   .selectors = &selector,
                                   .selector_count = 1};
    assert_true(store_delete(store, &request, NULL, &err));
    matcher_done(&matcher);
}

static void ask(const char *text, int64_t start_s, int64_t end_s, int64_t step_s)
{
    struct error err = {0}, other = {0};
    struct query_request r = {.language = QUERY_PROMQL,
                              .text = slice_from_text(text),
                              .tenant = TENANT,
                              .start_ns = BEGIN + start_s * NS_PER_SECOND,
                              .end_ns = BEGIN + end_s * NS_PER_SECOND,
                              .step_ns = step_s * NS_PER_SECOND};
    struct query_result *cached = query_run_cached(cache, store, &r, &err);
    struct query_result *plain = query_run(store, &r, &other);
    if (cached == NULL || plain == NULL)
        fail_msg("%s: %s%s", text, err.message, other.message);
    if (!answer_same(cached, plain))
        fail_msg("%s from %lld to %lld step %lld differs", text, (long long)start_s,
                 (long long)end_s, (long long)step_s);
    query_result_free(cached);
    query_result_free(plain);
}

/* Dashboards over the last minutes, refreshed after each change. */
static void answers_are_those_without_the_cache(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++)
        scrape();
    for (long i = 0; i < rounds; i++) {
        uint64_t kind = random_below(20);
        if (kind == 0)
            delete_some();
        else if (kind < 3)
            write_late();
        else if (kind < 10)
            scrape();
        if (random_below(200) == 0) {
            struct error err = {0};
            assert_true(store_seal(store, &err));
        }
        for (int k = 0; k < 3; k++) {
            int64_t step = random_below(2) ? 15 : 60, end = now_s + (int64_t)random_below(30);
            int64_t start = (end - 900) / step * step + (random_below(10) == 0 ? 7 : 0);
            ask(queries[random_below(COUNT_OF(queries))], start, end, step);
        }
    }
    struct result_cache_stats stats;
    result_cache_stats_read(cache, &stats);
    assert_true(stats.partial > (uint64_t)rounds / 4);
    assert_true(stats.hits > 0);
    assert_true(stats.skipped > 0);
}

static void only_new_steps_are_read(void **state)
{
    (void)state;
    struct error err = {0};
    struct query_request r = {.language = QUERY_PROMQL,
                              .text = SLICE("sum(rate(requests_total[1m]))"),
                              .tenant = TENANT,
                              .start_ns = BEGIN,
                              .end_ns = BEGIN + now_s * NS_PER_SECOND,
                              .step_ns = 15 * NS_PER_SECOND};
    struct query_result *first = query_run_cached(cache, store, &r, &err);
    struct query_result *again = query_run_cached(cache, store, &r, &err);
    assert_non_null(first);
    assert_non_null(again);
    assert_true(first->stats.samples > 0);
    assert_int_equal(again->stats.samples, 0);
    assert_true(answer_same(first, again));
    query_result_free(first);
    query_result_free(again);
    scrape();
    r.end_ns += 15 * NS_PER_SECOND;
    again = query_run_cached(cache, store, &r, &err);
    assert_non_null(again);
    assert_true(again->stats.samples > 0 && again->stats.samples < 20 * HOSTS);
    query_result_free(again);
}

static void memory_stays_below_the_limit(void **state)
{
    (void)state;
    struct result_cache *small = result_cache_new(64 << 10);
    for (int i = 0; i < 50; i++) {
        char text[64];
        struct error err = {0};
        snprintf(text, sizeof(text), "level + %d", i);
        struct query_request r = {.language = QUERY_PROMQL,
                                  .text = slice_from_text(text),
                                  .tenant = TENANT,
                                  .start_ns = BEGIN,
                                  .end_ns = BEGIN + 1200 * NS_PER_SECOND,
                                  .step_ns = 15 * NS_PER_SECOND};
        query_result_free(query_run_cached(small, store, &r, &err));
        struct result_cache_stats stats;
        result_cache_stats_read(small, &stats);
        assert_true(stats.bytes <= 64 << 10);
        assert_true(stats.entries > 0);
    }
    result_cache_free(small);
}

static void *ask_often(void *argument)
{
    (void)argument;
    for (int i = 0; i < 60; i++) {
        for (size_t k = 0; k < COUNT_OF(queries); k++) {
            struct error err = {0};
            struct query_request r = {.language = QUERY_PROMQL,
                                      .text = slice_from_text(queries[k]),
                                      .tenant = TENANT,
                                      .start_ns = BEGIN,
                                      .end_ns = BEGIN + 900 * NS_PER_SECOND,
                                      .step_ns = 15 * NS_PER_SECOND};
            struct query_result *result = query_run_cached(cache, store, &r, &err);
            assert_non_null(result);
            query_result_free(result);
        }
    }
    return NULL;
}

/* Nothing is compared while it changes; afterwards all answers are right. */
static void many_ask_while_one_writes(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
    for (int i = 0; i < 40; i++)
        write_late();
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t k = 0; k < COUNT_OF(queries); k++)
        ask(queries[k], 0, 900, 15);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        rounds = strtol(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_without_the_cache),
        cmocka_unit_test(only_new_steps_are_read),
        cmocka_unit_test(memory_stays_below_the_limit),
        cmocka_unit_test(many_ask_while_one_writes),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
