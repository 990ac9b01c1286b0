/*
 * bench_promql.c - how long PromQL takes over 5,344 counters of an hour at 15 s, in memory.
 * `bench-promql THREADS [QUERY [instant]]`; one query is repeated, for a profiler.  Prints `name
 * value unit` lines: the median of 7 runs, and the CPU time of one.
 */
#include "../temporary_store.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/pool.h"
#include "query/query.h"
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>

#define START (1700000000 * NS_PER_SECOND)

enum { SERIES = 5344, SAMPLES = 240, RUNS = 7, REPEATS = 20 };

static bool fill(struct store *store, struct error *err)
{
    for (int s = 0; s < SERIES; s++) {
        char host[16], mode[16];
        snprintf(host, sizeof(host), "host-%04d", s / 8);
        snprintf(mode, sizeof(mode), "mode%d", s % 8);
        struct label labels[] = {{LABEL_NAME_METRIC, SLICE("cpu_seconds_total")},
                                 {SLICE("instance"), slice_from_text(host)},
                                 {SLICE("job"), SLICE("node")},
                                 {SLICE("mode"), slice_from_text(mode)}};
        struct batch *batch = batch_new(store, SLICE("t"), STORE_METRIC, err);
        if (batch == NULL)
            return false;
        int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 4, err);
        for (int i = 0; i < SAMPLES; i++) {
            double value = i * 0.15 * (1 + s % 8) + s % 100;
            if (series < 0 ||
                !batch_sample(batch, (uint32_t)series, START + i * 15 * NS_PER_SECOND, value, err))
                return false;
        }
        struct batch_result result = {0};
        if (!batch_commit_wait(batch, &result, err))
            return false;
    }
    return true;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static struct pool *helpers;
static size_t threads = 1;

static bool measure(struct store *store, const char *text, bool instant, struct error *err)
{
    int64_t times[RUNS];
    struct query_request r = {.language = QUERY_PROMQL,
                              .text = slice_from_text(text),
                              .tenant = SLICE("t"),
                              .instant = instant,
                              .start_ns = START,
                              .end_ns = START + 3600 * NS_PER_SECOND,
                              .step_ns = 15 * NS_PER_SECOND,
                              .helpers = helpers,
                              .threads = threads};
    int64_t cpu = clock_cpu_ns();
    for (int i = 0; i < RUNS; i++) {
        int64_t before = clock_monotonic_ns();
        struct query_result *result = query_run(store, &r, err);
        times[i] = clock_monotonic_ns() - before;
        if (result == NULL)
            return false;
        query_result_free(result);
    }
    qsort(times, RUNS, sizeof(times[0]), compare_times);
    cpu = (clock_cpu_ns() - cpu) / RUNS;
    printf("%s%s %.2f ms\n", text, instant ? "@end" : "", (double)times[RUNS / 2] / 1e6);
    printf("%s%s.cpu %.2f ms\n", text, instant ? "@end" : "", (double)cpu / 1e6);
    return true;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct store *store = temporary_store_open(&err);
    threads = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    if (threads > 1)
        helpers = pool_new("help", threads - 1, 64, &err);
    bool ok = store && fill(store, &err);
    for (int i = 0; ok && argc > 2 && i < REPEATS; i++)
        ok = measure(store, argv[2], argc > 3, &err);
    ok =
        ok &&
        (argc > 2 ||
         (measure(store, "sum(rate(cpu_seconds_total[5m]))", true, &err) &&
          measure(store, "sum by (mode)(rate(cpu_seconds_total[5m]))", false, &err) &&
          measure(store, "rate(cpu_seconds_total[5m])", false, &err) &&
          measure(store, "count({__name__=~\"cpu_.*\",instance=~\"host-0.*\"} > 0)", true, &err) &&
          measure(store, "sum(cpu_seconds_total)", true, &err) &&
          measure(store, "topk(10, avg_over_time(cpu_seconds_total[1h]))", true, &err) &&
          measure(store, "quantile_over_time(0.99, cpu_seconds_total[1h])", true, &err) &&
          measure(store, "cpu_seconds_total / on (instance, mode) cpu_seconds_total", false,
                  &err) &&
          measure(store, "cpu_seconds_total{instance=\"host-0007\",mode=\"mode1\"}", false, &err)));
    if (!ok)
        fprintf(stderr, "bench-promql: %s\n", err.message);
    pool_free(helpers);
    temporary_store_close(store);
    return !ok;
}
