/*
 * bench_day_close.c - what closing days costs and saves.
 *
 *     bench-day-close DIRECTORY
 *
 * DIRECTORY is that of a server which has ended.  Prints disk bytes (st_blocks) per sample
 * before and after all its days, the running one too, were closed, the CPU time of the close, and
 * how long reading all series takes: the last 5 minutes of each day, and all of it.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "storage/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static _Noreturn void die(const struct error *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* Samples of the default tenant in the range; the newest one's time. */
static uint64_t read_all(struct store *store, int64_t start_ns, int64_t end_ns, int64_t *newest_ns)
{
    struct error err = {0};
    uint64_t samples = 0;
    struct cursor_request request = {.tenant = SLICE("default"),
                                     .kind = STORE_METRIC,
                                     .start_ns = start_ns,
                                     .end_ns = end_ns,
                                     .memory_max = (size_t)1 << 32,
                                     .projection = CURSOR_TIMES | CURSOR_VALUES};
    struct cursor *cursor = cursor_open(store, &request, &err);
    if (cursor == NULL)
        die(&err);
    struct cursor_reader *reader = cursor_reader_new(cursor);
    for (size_t i = 0; i < cursor_series_count(cursor); i++) {
        struct sample_column column;
        if (!cursor_read_samples(reader, i, &column, &err))
            die(&err);
        samples += column.count;
        if (column.count > 0 && column.times_ns[column.count - 1] > *newest_ns)
            *newest_ns = column.times_ns[column.count - 1];
    }
    cursor_reader_free(reader);
    cursor_close(cursor);
    return samples;
}

static void report(struct store *store, const char *name)
{
    struct store_stats stats;
    int64_t newest_ns = INT64_MIN;
    uint64_t samples = read_all(store, INT64_MIN, INT64_MAX, &newest_ns);
    double start = cpu_s();
    samples = read_all(store, INT64_MIN, INT64_MAX, &newest_ns);
    double all = cpu_s() - start;
    start = cpu_s();
    read_all(store, newest_ns - 5 * NS_PER_MINUTE, newest_ns, &newest_ns);
    double five = cpu_s() - start;
    store_stats_read(store, &stats);
    printf("%s: %" PRIu64 " samples, %" PRIu64 " partitions, %.3f bytes a sample, read all %.3f s, "
           "last 5 minutes %.3f s\n",
           name, samples, stats.partitions, (double)stats.partition_bytes / (double)samples, all,
           five);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc != 2)
        return 2;
    struct store_options options = {
        .directory = argv[1], .seal_interval_ns = -1, .retention_ns = -1};
    struct store *store = store_open(&options, &err);
    if (store == NULL)
        die(&err);
    report(store, "before");
    double start = cpu_s();
    if (!store_close_days(store, clock_now_ns(NULL) + 2 * NS_PER_DAY, &err))
        die(&err);
    printf("close: %.3f s CPU\n", cpu_s() - start);
    report(store, "after");
    return store_close(store, &err) ? 0 : 1;
}
