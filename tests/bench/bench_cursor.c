/*
 * bench_cursor.c - how long opening a cursor takes over 50,000 series of the head,
 * and how long writers wait meanwhile.  Prints `name value unit` lines: the median
 * of 7 openings, then the longest commit of a small batch while cursors open.
 */
#include "../temporary_store.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "storage/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define START (1700000000 * NS_PER_SECOND)

enum { SERIES = 50000, SELECTED = 5344, ROUNDS = 15, SAMPLES = 4, RUNS = 7, PART = 5000 };

struct writer {
    struct store *store;
    bool stop;
    int64_t longest_ns;
};

static bool add_series(struct batch *batch, int s, int round, struct error *err)
{
    char host[16], mode[16], name[32];
    snprintf(host, sizeof(host), "host-%04d", s / 8 % 668);
    snprintf(mode, sizeof(mode), "mode%d", s % 8);
    snprintf(name, sizeof(name), "node_metric_%d_total", s / SELECTED);
    struct label labels[] = {
        {LABEL_NAME_METRIC, slice_from_text(name)}, {SLICE("cluster"), SLICE("one")},
        {SLICE("instance"), slice_from_text(host)}, {SLICE("job"), SLICE("node")},
        {SLICE("mode"), slice_from_text(mode)},     {SLICE("region"), SLICE("eu-central-1")}};
    int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 6, err);
    for (int i = round * SAMPLES; i < (round + 1) * SAMPLES; i++) {
        double value = i * 0.15 * (1 + s % 8) + s % 100;
        if (series < 0 ||
            !batch_sample(batch, (uint32_t)series, START + i * 15 * NS_PER_SECOND, value, err))
            return false;
    }
    return true;
}

static bool fill(struct store *store, struct error *err)
{
    for (int part = 0; part < ROUNDS * SERIES / PART; part++) { /* so that memory is scattered */
        int first = part % (SERIES / PART) * PART;
        struct batch *batch = batch_new(store, SLICE("t"), STORE_METRIC, err);
        if (batch == NULL)
            return false;
        for (int s = first; s < first + PART; s++) {
            if (!add_series(batch, s, part / (SERIES / PART), err)) {
                batch_free(batch);
                return false;
            }
        }
        struct batch_result result = {0};
        if (!batch_commit_wait(batch, &result, err))
            return false;
    }
    return true;
}

static void *write_always(void *context)
{
    struct writer *writer = context;
    struct label labels[] = {{LABEL_NAME_METRIC, SLICE("clock")}};
    for (int i = 0; !__atomic_load_n(&writer->stop, __ATOMIC_ACQUIRE); i++) {
        struct batch_result result = {0};
        struct batch *batch = batch_new(writer->store, SLICE("t"), STORE_METRIC, NULL);
        int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 1, NULL);
        if (!batch_sample(batch, (uint32_t)series, START + i * NS_PER_MS, i, NULL))
            abort();
        int64_t before = clock_monotonic_ns();
        if (!batch_commit_wait(batch, &result, NULL))
            abort();
        int64_t took = clock_monotonic_ns() - before;
        if (took > writer->longest_ns)
            writer->longest_ns = took;
        usleep(200);
    }
    return NULL;
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool measure(struct store *store, const char *what, enum matcher_type type,
                    const char *value, struct error *err)
{
    int64_t times[RUNS];
    struct matcher matcher;
    if (!matcher_init(&matcher, type, LABEL_NAME_METRIC, slice_from_text(value), err))
        return false;
    struct cursor_request request = {.tenant = SLICE("t"),
                                     .kind = STORE_METRIC,
                                     .matchers = &matcher,
                                     .matcher_count = 1,
                                     .start_ns = START,
                                     .end_ns = START + NS_PER_HOUR,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES};
    struct writer writer = {.store = store};
    pthread_t thread;
    pthread_create(&thread, NULL, write_always, &writer);
    usleep(20000);
    writer.longest_ns = 0;
    size_t count = 0;
    bool ok = true;
    for (int i = 0; ok && i < RUNS; i++) {
        int64_t before = clock_monotonic_ns();
        struct cursor *cursor = cursor_open(store, &request, err);
        times[i] = clock_monotonic_ns() - before;
        ok = cursor != NULL;
        if (ok)
            count = cursor_series_count(cursor);
        cursor_close(cursor);
        usleep(1000);
    }
    __atomic_store_n(&writer.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    matcher_done(&matcher);
    if (!ok)
        return false;
    qsort(times, RUNS, sizeof(times[0]), compare_times);
    printf("cursor_open.%s.%zu %.2f ms\n", what, count, (double)times[RUNS / 2] / 1e6);
    printf("commit_longest.%s %.2f ms\n", what, (double)writer.longest_ns / 1e6);
    return true;
}

int main(void)
{
    struct error err = {0};
    struct store *store = temporary_store_open(&err);
    bool ok = store && fill(store, &err) && measure(store, "none", MATCH_EQUAL, "nothing", &err) &&
              measure(store, "one_name", MATCH_EQUAL, "node_metric_1_total", &err) &&
              measure(store, "all", MATCH_REGEX, "node_.*", &err);
    if (!ok)
        fprintf(stderr, "bench-cursor: %s\n", err.message);
    temporary_store_close(store);
    return !ok;
}
