/*
 * bench_late.c - what late data of a closed day and deletes cost.
 *
 *     bench-late [SERIES [LATE_PERCENT]]        default: 5,000 series, 1 percent of late samples
 *
 * A day of samples (one a minute) is written and closed.  Then the same late samples, spread over
 * 10% of the series, are sealed twice: into the closed file, which is what the store does, and into
 * an empty day, which is the file that an overlay would be.  Printed are disk bytes, CPU of sealing
 * and of reading the day; then what a delete, reading past it and the rewrite cost.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/matcher.h"
#include "base/number.h"
#include "storage/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define START_NS (INT64_C(1700006400) * NS_PER_SECOND) /* a midnight */

enum { SAMPLES = 1440, BATCH_STEPS = 10, LATE_SHARE = 10 };

static int64_t now_ns = START_NS;

static int64_t read_clock(void *context)
{
    (void)context;
    return now_ns;
}

static double cpu_ms(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void must(bool ok, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* `count` samples of each of the first `series`, `step_ns` apart. */
static void write_samples(struct store *store, size_t series, size_t count, int64_t start_ns,
                          int64_t step_ns)
{
    struct error err = {0};
    for (size_t at = 0; at < count; at += BATCH_STEPS) {
        struct batch_result result;
        struct batch *batch = batch_new(store, SLICE("t"), STORE_METRIC, &err);
        must(batch != NULL, &err);
        for (size_t i = 0; i < series; i++) {
            char name[32];
            snprintf(name, sizeof(name), "s%zu", i);
            struct label labels[2] = {{LABEL_NAME_METRIC, SLICE("m")},
                                      {SLICE("i"), slice_from_text(name)}};
            int64_t number = batch_define(batch, 1, slice_from_text(name), labels, 2, &err);
            must(number >= 0, &err);
            for (size_t k = at; k < at + BATCH_STEPS && k < count; k++)
                must(batch_sample(batch, (uint32_t)number, start_ns + (int64_t)k * step_ns,
                                  (double)((i * 7919 + k * k) % 1000) / 10, &err),
                     &err);
        }
        must(batch_commit_wait(batch, &result, &err), &err);
    }
    must(store_seal(store, &err), &err);
}

static uint64_t disk_bytes(struct store *store)
{
    struct store_stats stats;
    store_stats_read(store, &stats);
    return stats.partition_bytes;
}

/* CPU of reading the first day; the least of three. */
static double read_day(struct store *store, uint64_t *samples)
{
    double best = 1e9;
    for (int round = 0; round < 3; round++) {
        struct error err = {0};
        double before = cpu_ms();
        struct cursor_request request = {.tenant = SLICE("t"),
                                         .start_ns = START_NS,
                                         .end_ns = START_NS + NS_PER_DAY - 1,
                                         .memory_max = (size_t)1 << 31,
                                         .projection = CURSOR_TIMES | CURSOR_VALUES};
        struct cursor *cursor = cursor_open(store, &request, &err);
        must(cursor != NULL, &err);
        struct cursor_reader *reader = cursor_reader_new(cursor);
        *samples = 0;
        for (size_t i = 0; i < cursor_series_count(cursor); i++) {
            struct sample_column column;
            must(cursor_read_samples(reader, i, &column, &err), &err);
            *samples += column.count;
        }
        cursor_reader_free(reader);
        cursor_close(cursor);
        double used = cpu_ms() - before;
        best = used < best ? used : best;
    }
    return best;
}

static void late_data(struct store *store, size_t series, size_t late)
{
    struct error err = {0};
    uint64_t samples, bytes = disk_bytes(store);
    double read = read_day(store, &samples);
    printf("closed day: %" PRIu64 " samples, %" PRIu64 " KiB, reading all %.1f ms CPU\n", samples,
           bytes >> 10, read);
    size_t part = series / LATE_SHARE, each = late / part;
    double before = cpu_ms();
    write_samples(store, part, each, START_NS + 30 * NS_PER_SECOND, NS_PER_MINUTE);
    printf("late into the closed file: %zu samples, +%" PRIu64 " KiB, %.1f ms CPU", part * each,
           (disk_bytes(store) - bytes) >> 10, cpu_ms() - before);
    printf("; reading all %.1f ms\n", read_day(store, &samples));
    bytes = disk_bytes(store);
    before = cpu_ms();
    write_samples(store, part, each, START_NS - 10 * NS_PER_DAY + 30 * NS_PER_SECOND,
                  NS_PER_MINUTE);
    printf("the same as a file of its own: +%" PRIu64 " KiB, %.1f ms CPU\n",
           (disk_bytes(store) - bytes) >> 10, cpu_ms() - before);
    bytes = disk_bytes(store);
    before = cpu_ms();
    must(store_close_days(store, now_ns, &err), &err);
    printf("rewrite: %.1f ms CPU, %" PRId64 " KiB; reading all %.1f ms\n", cpu_ms() - before,
           ((int64_t)disk_bytes(store) - (int64_t)bytes) / 1024, read_day(store, &samples));
}

static void deletes(struct store *store)
{
    struct error err = {0};
    struct matcher matcher;
    uint64_t samples, bytes = disk_bytes(store);
    must(matcher_init(&matcher, MATCH_REGEX, SLICE("i"), SLICE("s[0-4].*"), &err), &err);
    struct view_selector selector = {&matcher, 1};
    struct store_delete request = {.tenant = SLICE("t"),
                                   .start_ns = START_NS + 6 * NS_PER_HOUR,
                                   .end_ns = START_NS + 12 * NS_PER_HOUR,
                                   .selectors = &selector,
                                   .selector_count = 1};
    double before = cpu_ms();
    must(store_delete(store, &request, NULL, &err), &err);
    printf("a delete of 6 h of 4/9 of the series: %.1f ms CPU", cpu_ms() - before);
    double read = read_day(store, &samples);
    printf("; reading all %.1f ms, %" PRIu64 " samples left\n", read, samples);
    before = cpu_ms();
    must(store_clean_tombstones(store, &err), &err);
    printf("clean_tombstones: %.1f ms CPU, %" PRId64 " KiB", cpu_ms() - before,
           ((int64_t)disk_bytes(store) - (int64_t)bytes) / 1024);
    read = read_day(store, &samples);
    printf("; reading all %.1f ms, %" PRIu64 " samples\n", read, samples);
    matcher_done(&matcher);
}

int main(int argc, char **argv)
{
    char directory[] = "/tmp/etinde-bench-late-XXXXXX", command[64];
    uint64_t series = 5000, percent = 1;
    struct error err = {0};
    if ((argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &series)) ||
        (argc > 2 && !slice_parse_u64(slice_from_text(argv[2]), &percent)) || series < LATE_SHARE ||
        mkdtemp(directory) == NULL)
        return 2;
    struct clock clock = {read_clock, NULL};
    struct store_options options = {.directory = directory,
                                    .ack = STORE_ACK_PROCESS,
                                    .clock = &clock,
                                    .seal_interval_ns = -1,
                                    .retention_ns = -1,
                                    .future_ns = -1,
                                    .out_of_order_ns = {-1, -1}};
    struct store *store = store_open(&options, &err);
    must(store != NULL, &err);
    write_samples(store, series, SAMPLES, START_NS, NS_PER_MINUTE);
    now_ns = START_NS + 2 * NS_PER_DAY;
    must(store_close_days(store, now_ns, &err), &err);
    late_data(store, series, series * SAMPLES * percent / 100);
    deletes(store);
    must(store_close(store, &err), &err);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command) == 0 ? 0 : 1;
}
