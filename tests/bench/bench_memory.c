/*
 * bench_memory.c - what an active series costs in memory, by component.
 *
 *   bench-memory [SERIES [SAMPLES]]                 default: 50000 120
 *
 * Series of 10 labels, as many to a target as a node exporter has, all with SAMPLES samples 15 s
 * apart, all of them in open chunks: then a tenth as many with histograms of 20 buckets.  Prints
 * `name value unit` lines: the ledger's components divided by the number of series, and what
 * malloc holds for all of them ("all in"), which is to be at most 600 bytes a series for floats
 * and 4 KiB for histograms.
 */
#include "base/duration.h"
#include "base/error.h"
#include "base/histogram.h"
#include "base/ledger.h"
#include "base/number.h"
#include "storage/store.h"

#include <ftw.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define START (INT64_C(1700006400) * NS_PER_SECOND) /* on a boundary of chunks */

enum { PART = 2000, OF_TARGET = 500, BUCKETS = 20 };

static uint64_t series_count = 50000, sample_count = 120;

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static int64_t find_series(struct batch *batch, uint64_t s, struct error *err)
{
    char key[96], host[32], mode[16], name[48], cpu[16], pod[48];
    int size =
        snprintf(key, sizeof(key), "series-%llu-with-raw-label-bytes", (unsigned long long)s);
    struct slice raw = slice_of(key, (size_t)size);
    int64_t number = batch_find(batch, 1, raw);
    if (number >= 0)
        return number;
    uint64_t target = s / OF_TARGET, of = s % OF_TARGET;
    snprintf(host, sizeof(host), "10.0.%llu.%llu:9100", (unsigned long long)target / 250,
             (unsigned long long)target % 250);
    snprintf(name, sizeof(name), "node_some_metric_%llu_total", (unsigned long long)of / 16);
    snprintf(mode, sizeof(mode), "mode%llu", (unsigned long long)of % 4);
    snprintf(cpu, sizeof(cpu), "%llu", (unsigned long long)of / 4 % 4);
    snprintf(pod, sizeof(pod), "node-exporter-%llu-x7k2p", (unsigned long long)target);
    struct label labels[] = {
        {LABEL_NAME_METRIC, slice_from_text(name)},   {SLICE("cluster"), SLICE("production-eu-1")},
        {SLICE("container"), SLICE("node-exporter")}, {SLICE("cpu"), slice_from_text(cpu)},
        {SLICE("endpoint"), SLICE("metrics")},        {SLICE("instance"), slice_from_text(host)},
        {SLICE("job"), SLICE("node-exporter")},       {SLICE("mode"), slice_from_text(mode)},
        {SLICE("namespace"), SLICE("monitoring")},    {SLICE("pod"), slice_from_text(pod)}};
    return batch_define(batch, 1, raw, labels, COUNT_OF(labels), err);
}

/* As exporters have them: half never change, a quarter counts, the rest has decimals. */
static double value_of(uint64_t s, uint64_t i)
{
    switch (s % 8) {
    case 4:
    case 5:
        return (double)(1000 * s + i * (s % 97) + i * i % 7);
    case 6:
        return (double)((i * 37 + s) % 5000) / 100;
    case 7:
        return (double)(i * i % 1013) / 997;
    default:
        return (double)(s % 1000);
    }
}

static bool add_one(struct batch *batch, uint64_t s, uint64_t i, bool histograms, struct error *err)
{
    int64_t number = find_series(batch, s, err);
    int64_t time_ns = START + (int64_t)i * 15 * NS_PER_SECOND;
    if (number < 0)
        return false;
    if (!histograms)
        return batch_sample(batch, (uint32_t)number, time_ns, value_of(s, i), err);
    double counts[BUCKETS], sum = 0;
    for (uint64_t b = 0; b < BUCKETS; b++)
        sum += counts[b] = (double)(i * (b % 5 + s % 3));
    struct histogram_span span = {-4, BUCKETS};
    struct histogram h = {.integer = true,
                          .schema = 2,
                          .count = sum,
                          .sum = sum * 1.25,
                          .positive = {&span, 1, counts, BUCKETS}};
    return batch_histogram(batch, (uint32_t)number, time_ns, 0, &h, err);
}

static bool fill(struct store *store, bool histograms, struct error *err)
{
    for (uint64_t i = 0; i < sample_count; i++) {
        for (uint64_t first = 0; first < series_count; first += PART) {
            struct batch *batch = batch_new(store, SLICE("t"), STORE_METRIC, err);
            if (batch == NULL)
                return false;
            for (uint64_t s = first; s < first + PART && s < series_count; s++) {
                if (!add_one(batch, s, i, histograms, err)) {
                    batch_free(batch);
                    return false;
                }
            }
            if (!batch_commit_wait(batch, NULL, err))
                return false;
        }
    }
    return true;
}

static void print_figures(const char *what, size_t heap)
{
    for (int part = 0; part < LEDGER_PARTS; part++) {
        if (ledger_used((enum ledger_part)part) > 0)
            printf("%s_%s %.1f B/series\n", what, ledger_part_name((enum ledger_part)part),
                   (double)ledger_used((enum ledger_part)part) / (double)series_count);
    }
    printf("%s_counted %.1f B/series\n", what, (double)ledger_total() / (double)series_count);
    printf("%s_all_in %.1f B/series\n", what, (double)heap / (double)series_count);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static bool measure(const char *what, bool histograms, struct error *err)
{
    char directory[] = "/tmp/etinde-bench-XXXXXX";
    size_t before = heap_bytes();
    if (mkdtemp(directory) == NULL)
        return error_set(err, ERR_IO, "no temporary folder");
    struct store_options options = {.directory = directory,
                                    .ack = STORE_ACK_PROCESS,
                                    .seal_interval_ns = NS_PER_SECOND,
                                    .future_ns = -1,
                                    .retention_ns = -1,
                                    .head_memory_max = (size_t)4 << 30};
    struct store *store = store_open(&options, err);
    bool ok = store && fill(store, histograms, err);
    sleep(3); /* frozen chunks go */
    if (ok)
        print_figures(what, heap_bytes() - before);
    store_abandon(store);
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return ok;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if ((argc > 1 && !slice_parse_u64(slice_from_text(argv[1]), &series_count)) ||
        (argc > 2 && !slice_parse_u64(slice_from_text(argv[2]), &sample_count)))
        return 2;
    mallopt(M_ARENA_MAX, 1); /* one heap: all that is in use can be told */
    if (measure("float", false, &err) && (series_count /= 10, measure("histogram", true, &err)))
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}
