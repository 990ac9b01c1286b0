/*
 * bench_disk.c - what data costs on disk, and coding it in CPU time.
 *
 *     bench-disk [day|hour|split|midnight|logs|codec] ...     all of them without an argument
 *     bench-disk scrapes FOLDER...                   files of exposition text, named by their ms
 *     bench-disk lines FILE...                       files of log lines, each a stream
 *
 * Prints a table per case.  Disk is st_blocks; `sealed` is after sealing without the log, `closed`
 * after the days were closed, `all` is the whole data directory after a clean stop.
 * The sealer takes what is full, as in a server.
 */
#include "tests/bench/disk_data.h"
#include "tests/bench/log_lines.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "storage/chunk.h"
#include "storage/store.h"
#include "wire/exposition.h"

#include <dirent.h>
#include <ftw.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* After a midnight: with jitter, too, the first sample belongs to that day. */
#define START (INT64_C(1700006407) * NS_PER_SECOND)

static uint64_t folder_bytes;

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static int measure_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)path, (void)kind, (void)walk;
    folder_bytes += (uint64_t)info->st_blocks * 512;
    return 0;
}

static _Noreturn void die(const struct error *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/* ---- a store of one case ----------------------------------------------------------- */

struct bench {
    char directory[32];
    int64_t now_ns;
    struct clock clock;
    struct store *store;
    uint64_t sealed, closed, all;
    double fill_s, close_s;
    double close_mib; /* by which anonymous memory grew */
    bool watched;
};

static int64_t bench_now(void *context)
{
    return *(const int64_t *)context;
}

static void bench_open(struct bench *b)
{
    struct error err = {0};
    *b = (struct bench){.directory = "/tmp/etinde-disk-XXXXXX", .now_ns = START};
    b->clock = (struct clock){bench_now, &b->now_ns};
    if (mkdtemp(b->directory) == NULL)
        exit(1);
    struct store_options options = {.directory = b->directory,
                                    .ack = STORE_ACK_PROCESS,
                                    .clock = &b->clock,
                                    .seal_interval_ns = 200 * NS_PER_MS,
                                    .retention_ns = -1,
                                    .past_ns = {-1, -1},
                                    .future_ns = -1,
                                    .head_memory_max = (size_t)4 << 30};
    b->store = store_open(&options, &err);
    if (b->store == NULL)
        die(&err);
    b->fill_s = (double)clock_cpu_ns();
}

static uint64_t partition_bytes(struct bench *b)
{
    struct store_stats stats;
    store_stats_read(b->store, &stats);
    return stats.partition_bytes;
}

static void bench_seal(struct bench *b)
{
    struct error err = {0};
    if (!store_seal(b->store, &err))
        die(&err);
}

/* Anonymous memory of this process now. */
static double anonymous_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtod(line + 8, NULL);
    if (status != NULL)
        fclose(status);
    return kib / 1024;
}

static void *watch_memory(void *context)
{
    struct bench *b = context;
    double start = anonymous_mib();
    while (!__atomic_load_n(&b->watched, __ATOMIC_ACQUIRE)) {
        double grown = anonymous_mib() - start;
        if (grown > b->close_mib)
            b->close_mib = grown;
        usleep(2000);
    }
    return NULL;
}

/* Seal, close, stop, and remove everything; the sizes stay in `b`. */
static void bench_finish(struct bench *b)
{
    struct error err = {0};
    bench_seal(b);
    b->fill_s = ((double)clock_cpu_ns() - b->fill_s) / 1e9;
    b->sealed = partition_bytes(b);
    pthread_t watch;
    malloc_trim(0);
    if (pthread_create(&watch, NULL, watch_memory, b) != 0)
        exit(1);
    double start = (double)clock_cpu_ns();
    if (!store_close_days(b->store, b->now_ns + 2 * NS_PER_DAY, &err))
        die(&err);
    b->close_s = ((double)clock_cpu_ns() - start) / 1e9;
    b->closed = partition_bytes(b);
    __atomic_store_n(&b->watched, true, __ATOMIC_RELEASE);
    pthread_join(watch, NULL);
    if (!store_close(b->store, &err))
        die(&err);
    folder_bytes = 0;
    nftw(b->directory, measure_entry, 8, FTW_PHYS);
    b->all = folder_bytes;
    nftw(b->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct batch *batch_of(struct bench *b, enum store_kind kind)
{
    struct error err = {0};
    struct batch *batch = batch_new(b->store, SLICE("bench"), kind, &err);
    if (batch == NULL)
        die(&err);
    return batch;
}

static void batch_put(struct batch *batch)
{
    struct error err = {0};
    struct batch_result result = {0};
    if (!batch_commit_wait(batch, &result, &err))
        die(&err);
    for (int i = 0; i < REFUSED_REASONS; i++)
        if (result.refused[i] > 0) {
            fprintf(stderr, "%ju entries were refused\n", (uintmax_t)result.refused[i]);
            exit(1);
        }
}

/* ---- metrics ------------------------------------------------------------------------- */

struct metric_case {
    const char *name;
    long series, scrapes;
    int64_t jitter_ms;
    int parts;        /* requests into which a target's scrape is cut */
    int late_percent; /* of the series begin at a time of their own */
};

static uint64_t metrics_fill(struct bench *b, const struct metric_case *c)
{
    enum { PER_BATCH = 2000, STEP_S = 15 };
    struct disk_series *series = xcalloc((size_t)c->series, sizeof(*series));
    uint64_t random = 88172645463325252u, samples = 0;
    for (long i = 0; i < c->series; i++) {
        disk_series_init(&series[i], i);
        if (c->late_percent > 0 && i * 37 % 100 < c->late_percent)
            series[i].first_scrape = (long)(disk_random(&random) % (uint64_t)c->scrapes);
    }
    for (long scrape = 0; scrape < c->scrapes; scrape++) {
        int64_t time = START + scrape * STEP_S * NS_PER_SECOND;
        b->now_ns = time;
        /* With parts each request carries a part of every target in turn. */
        for (long first = 0; first < c->series; first += PER_BATCH) {
            struct batch *batch = batch_of(b, STORE_METRIC);
            for (long k = first; k < first + PER_BATCH && k < c->series; k++) {
                long i = c->parts > 1 ? disk_spread(k, c->series, c->parts) : k;
                if (scrape < series[i].first_scrape)
                    continue;
                int64_t at =
                    time + disk_jitter_ms(i / DISK_HOST_SERIES, scrape, c->jitter_ms) * NS_PER_MS;
                disk_series_put(&series[i], i, batch, at, &random);
                samples++;
            }
            batch_put(batch);
        }
    }
    free(series);
    return samples;
}

static void metrics_run(const struct metric_case *c)
{
    struct bench b;
    bench_open(&b);
    uint64_t samples = metrics_fill(&b, c);
    bench_finish(&b);
    double n = (double)samples;
    printf("%-34s %9ju samples: sealed %.3f  closed %.3f  all %.3f B/sample; CPU us/k: in %.0f, "
           "close %.0f (%.0f MiB)\n",
           c->name, (uintmax_t)samples, (double)b.sealed / n, (double)b.closed / n,
           (double)b.all / n, b.fill_s / n * 1e9, b.close_s / n * 1e9, b.close_mib);
    fflush(stdout);
}

static void bench_day(void)
{
    metrics_run(&(struct metric_case){"24 h, 5k series", 5000, 5760, 0, 1, 0});
    metrics_run(&(struct metric_case){"24 h, 5k series, 5 ms jitter", 5000, 5760, 5, 1, 0});
}

static void bench_hour(void)
{
    metrics_run(&(struct metric_case){"1 scrape, 50k series (the index)", 50000, 1, 0, 1, 0});
    metrics_run(&(struct metric_case){"1 h, 50k series", 50000, 240, 0, 1, 0});
    metrics_run(&(struct metric_case){"1 h, 50k series, 5 ms jitter", 50000, 240, 5, 1, 0});
}

static void bench_split(void)
{
    metrics_run(&(struct metric_case){"6 h, 5k, jitter", 5000, 1440, 5, 1, 0});
    metrics_run(&(struct metric_case){"6 h, 5k, jitter, 8 requests", 5000, 1440, 5, 8, 0});
    metrics_run(&(struct metric_case){"6 h, 5k, jitter, 8, 10% late", 5000, 1440, 5, 8, 10});
    metrics_run(&(struct metric_case){"6 h, 5k, no jitter, 8, 10% late", 5000, 1440, 0, 8, 10});
}

/* ---- midnight --------------------------------------------------------------------------- */

enum { MIDNIGHT_SERIES = 50000, MIDNIGHT_BATCH = 2000, PHASES = 5 };

/* By the data's time; the last phase is while the day before is closed. */
static const struct {
    const char *name;
    int64_t from_s;
} phases[PHASES] = {{"22:15 to midnight", -105 * 60},
                    {"midnight to 0:30", 0},
                    {"0:30 to 0:35, the first seals", 30 * 60},
                    {"0:35 to 1:15", 35 * 60},
                    {"the day before is being closed", 75 * 60}};

struct latencies {
    ARRAY(double) ms;
};

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void *close_day_before(void *context)
{
    struct bench *b = context;
    struct error err = {0};
    if (!store_close_days(b->store, START + NS_PER_DAY + 75 * NS_PER_MINUTE, &err))
        die(&err);
    __atomic_store_n(&b->watched, true, __ATOMIC_RELEASE);
    return NULL;
}

static void push_scrape(struct bench *b, struct disk_series *series, int64_t time_ns,
                        uint64_t *random, struct latencies *latencies)
{
    b->now_ns = time_ns;
    for (long first = 0; first < MIDNIGHT_SERIES; first += MIDNIGHT_BATCH) {
        struct batch *batch = batch_of(b, STORE_METRIC);
        for (long i = first; i < first + MIDNIGHT_BATCH; i++)
            disk_series_put(&series[i], i, batch, time_ns, random);
        int64_t start = clock_monotonic_ns();
        batch_put(batch);
        array_push(&latencies->ms, (double)(clock_monotonic_ns() - start) / 1e6);
    }
}

/* How long 50k series' batches wait for their commit while days change. */
static void bench_midnight(void)
{
    struct bench b;
    struct disk_series *series = xcalloc(MIDNIGHT_SERIES, sizeof(*series));
    struct latencies latencies[PHASES] = {0};
    uint64_t random = 88172645463325252u;
    pthread_t closer;
    int phase = 0;
    bench_open(&b);
    for (long i = 0; i < MIDNIGHT_SERIES; i++)
        disk_series_init(&series[i], i);
    int64_t midnight = START + NS_PER_DAY - 7 * NS_PER_SECOND;
    for (int64_t s = phases[0].from_s + 7; !__atomic_load_n(&b.watched, __ATOMIC_ACQUIRE);
         s += 15) {
        if (phase + 1 < PHASES && s >= phases[phase + 1].from_s && ++phase == PHASES - 1 &&
            pthread_create(&closer, NULL, close_day_before, &b) != 0)
            exit(1);
        push_scrape(&b, series, midnight + s * NS_PER_SECOND, &random, &latencies[phase]);
    }
    pthread_join(closer, NULL);
    for (phase = 0; phase < PHASES; phase++) {
        struct latencies *l = &latencies[phase];
        qsort(l->ms.items, l->ms.count, sizeof(*l->ms.items), by_number);
        printf("%-34s %6zu batches of 2k: p50 %.2f  p99 %.2f  most %.2f ms\n", phases[phase].name,
               l->ms.count, l->ms.items[l->ms.count / 2], l->ms.items[l->ms.count * 99 / 100],
               l->ms.items[l->ms.count - 1]);
        array_done(&l->ms);
    }
    free(series);
    b.watched = false;
    bench_finish(&b);
}

/* ---- real scrapes ---------------------------------------------------------------------- */

struct scrape_sink {
    struct batch *batch;
    int64_t time_ns;
    uint64_t samples;
};

static bool scrape_sample(void *context, struct label *labels, size_t count, double value,
                          const int64_t *time_ms)
{
    (void)time_ms;
    struct scrape_sink *sink = context;
    struct error err = {0};
    int64_t series = batch_define(sink->batch, 0, slice_of(NULL, 0), labels, count, &err);
    if (series < 0 || !batch_sample(sink->batch, (uint32_t)series, sink->time_ns, value, &err))
        die(&err);
    sink->samples++;
    return true;
}

static void scrapes_run(const char *folder)
{
    struct error err = {0};
    struct bench b;
    struct dirent **files;
    int count = scandir(folder, &files, NULL, alphasort);
    struct scrape_sink sink = {0};
    int64_t shift = 0;
    bench_open(&b);
    for (int i = 0; i < count; i++) {
        char path[512];
        struct buffer text;
        int64_t time = strtoll(files[i]->d_name, NULL, 10) * NS_PER_MS;
        if (time <= 0)
            continue;
        shift = shift == 0 ? START - time : shift;
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]->d_name);
        buffer_init(&text, 64 << 20);
        if (!file_load(path, &text, &err))
            die(&err);
        b.now_ns = sink.time_ns = time + shift;
        sink.batch = batch_of(&b, STORE_METRIC);
        struct exposition_handler handler = {.context = &sink, .sample = scrape_sample};
        if (!exposition_parse(buffer_slice(&text), &handler, &err))
            die(&err);
        batch_put(sink.batch);
        buffer_done(&text);
        free(files[i]);
    }
    free(files);
    bench_finish(&b);
    double n = (double)sink.samples;
    printf("%-34s %9ju samples: sealed %.3f  closed %.3f  all %.3f B/sample\n", folder,
           (uintmax_t)sink.samples, (double)b.sealed / n, (double)b.closed / n, (double)b.all / n);
}

/* ---- logs --------------------------------------------------------------------------------- */

struct log_case {
    const char *name;
    long streams, lines;
    int64_t step_ns;
    bool metadata;
};

static void log_report(const char *name, struct bench *b, uint64_t lines, uint64_t raw)
{
    double n = (double)raw;
    printf("%-34s %9ju lines %6.1f MB: sealed %.4f  closed %.4f  all %.4f of raw (1/%.1f, 1/%.1f); "
           "B/line %.1f, %.1f; CPU s/GB: in %.2f, close %.2f (%.0f MiB)\n",
           name, (uintmax_t)lines, n / 1e6, (double)b->sealed / n, (double)b->closed / n,
           (double)b->all / n, n / (double)b->sealed, n / (double)b->closed,
           (double)b->sealed / (double)lines, (double)b->closed / (double)lines,
           b->fill_s / n * 1e9, b->close_s / n * 1e9, b->close_mib);
    fflush(stdout);
}

enum { LINES_PER_BATCH = 5000 };

struct log_batch {
    struct buffer text;
    size_t sizes[LINES_PER_BATCH];
};

/* One line with its labels; lines of a batch go round the streams. */
static void log_put(struct bench *b, const struct log_case *c, struct batch *batch, long number,
                    struct slice line, uint64_t *random)
{
    char pod[32], trace[33];
    struct error err = {0};
    long stream = number % c->streams;
    struct slice key = slice_of((const char *)&stream, sizeof(stream));
    int64_t series = batch_find(batch, 0, key);
    snprintf(pod, sizeof(pod), "api-%05ld", stream);
    struct label labels[] = {{SLICE("namespace"), SLICE("shop")},
                             {SLICE("pod"), slice_from_text(pod)}};
    if (series < 0)
        series = batch_define(batch, 0, key, labels, 2, &err);
    snprintf(trace, sizeof(trace), "%016jx", (uintmax_t)disk_random(random));
    struct label pairs[] = {
        {SLICE("level"), disk_random(random) % 9 ? SLICE("info") : SLICE("warn")},
        {SLICE("trace_id"), slice_from_text(trace)}};
    b->now_ns = START + number * c->step_ns;
    if (series < 0 ||
        !batch_entry(batch, (uint32_t)series, b->now_ns, line, pairs, c->metadata ? 2 : 0, &err))
        die(&err);
}

static void log_run(const struct log_case *c)
{
    struct bench b;
    struct log_batch *lines = xcalloc(1, sizeof(*lines));
    uint64_t random = 88172645463325252u, raw = 0;
    int64_t making_ns = 0;
    bench_open(&b);
    buffer_init(&lines->text, (size_t)LINES_PER_BATCH * LOG_LINE_MAX);
    for (long first = 0; first < c->lines; first += LINES_PER_BATCH) {
        int64_t start = clock_cpu_ns();
        buffer_clear(&lines->text);
        for (long i = 0; i < LINES_PER_BATCH; i++) {
            char *line = buffer_reserve(&lines->text, LOG_LINE_MAX);
            lines->sizes[i] =
                log_line_make(line, (uint64_t)((first + i) % c->streams), (uint64_t)(first + i),
                              START + (first + i) * c->step_ns, 0);
            buffer_advance(&lines->text, lines->sizes[i]);
        }
        making_ns += clock_cpu_ns() - start;
        struct batch *batch = batch_of(&b, STORE_LOG);
        const char *at = lines->text.data;
        for (long i = 0; i < LINES_PER_BATCH; at += lines->sizes[i++])
            log_put(&b, c, batch, first + i, slice_of(at, lines->sizes[i]), &random);
        batch_put(batch);
        raw += lines->text.size;
    }
    b.fill_s += (double)making_ns; /* a moment so far */
    bench_finish(&b);
    buffer_done(&lines->text);
    free(lines);
    log_report(c->name, &b, (uint64_t)c->lines, raw);
}

static void bench_logs(void)
{
    log_run(&(struct log_case){"logs, 100 streams", 100, 1500000, 14400000, false});
    log_run(&(struct log_case){"logs, 100 streams, metadata", 100, 500000, 6480000, true});
    log_run(&(struct log_case){"logs, 10k streams of few lines", 10000, 600000, 100000, false});
}

/* A file's lines as the stream of host number `host`, with times of its own. */
static void lines_put(struct bench *b, struct slice file, int host, struct slice rest,
                      uint64_t *lines, uint64_t *raw)
{
    struct error err = {0};
    char name[16];
    struct batch *batch = batch_of(b, STORE_LOG);
    snprintf(name, sizeof(name), "host-%d", host);
    struct label labels[] = {{SLICE("file"), file}, {SLICE("host"), slice_from_text(name)}};
    int64_t series = batch_define(batch, 0, slice_of(NULL, 0), labels, 2, &err), at = START;
    uint64_t random = (uint64_t)host + 1;
    while (rest.size > 0) {
        const char *end = memchr(rest.data, '\n', rest.size);
        struct slice line = slice_of(rest.data, end ? (size_t)(end - rest.data) : rest.size);
        rest = slice_skip(rest, line.size + (end != NULL));
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        at += (int64_t)(disk_random(&random) % 1000) * NS_PER_MS;
        if (series < 0 || !batch_entry(batch, (uint32_t)series, at, line, NULL, 0, &err))
            die(&err);
        *raw += line.size;
        (*lines)++;
    }
    b->now_ns = at;
    batch_put(batch);
}

/* From eight hosts, so that a file's fixed costs weigh what they do in use. */
static void lines_run(const char *path, struct bench *b, uint64_t *lines, uint64_t *raw)
{
    struct error err = {0};
    struct buffer text;
    buffer_init(&text, 1 << 30);
    if (!file_load(path, &text, &err))
        die(&err);
    for (int host = 0; host < 8; host++)
        lines_put(b, slice_from_text(strrchr(path, '/') + 1), host, buffer_slice(&text), lines,
                  raw);
    buffer_done(&text);
}

static void bench_lines(int count, char **paths)
{
    struct bench b;
    uint64_t lines = 0, raw = 0;
    bench_open(&b);
    for (int i = 0; i < count; i++)
        lines_run(paths[i], &b, &lines, &raw);
    bench_finish(&b);
    log_report("real lines", &b, lines, raw);
}

/* ---- coding ---------------------------------------------------------------------------------- */

static void codec_run(const char *name, enum disk_shape shape, int64_t jitter_ms, size_t count)
{
    enum { CHUNKS = 200, ROUNDS = 20 };
    int64_t *times = xcalloc(chunk_room(count), sizeof(*times));
    double *values = xcalloc(chunk_room(count), sizeof(*values));
    struct buffer out[CHUNKS];
    struct error err = {0};
    uint64_t random = 88172645463325252u, bytes = 0;
    int64_t encode_ns = 0, decode_ns = INT64_MAX;
    for (size_t i = 0; i < CHUNKS; i++) {
        struct disk_series series = {.shape = shape, .level = 100000};
        for (size_t k = 0; k < count; k++) {
            times[k] = START + (int64_t)k * 15 * NS_PER_SECOND +
                       disk_jitter_ms((long)i, (long)k, jitter_ms) * NS_PER_MS;
            values[k] = disk_value(&series, &random);
        }
        buffer_init(&out[i], 16 << 20);
        int64_t start = clock_cpu_ns();
        if (!chunk_encode_samples(times, values, count, 1, 0, &out[i], &err))
            die(&err);
        encode_ns += clock_cpu_ns() - start;
        bytes += out[i].size;
    }
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start = clock_cpu_ns();
        for (size_t i = 0, got; i < CHUNKS; i++)
            if (!chunk_decode_samples(buffer_slice(&out[i]), INT64_MIN, INT64_MAX, times, values,
                                      &got, &err))
                die(&err);
        int64_t took = clock_cpu_ns() - start;
        decode_ns = took < decode_ns ? took : decode_ns;
    }
    double n = (double)count * CHUNKS;
    printf("%-34s %5zu a chunk: %.3f B/sample, encode %.2f, decode %.2f ns/sample\n", name, count,
           (double)bytes / n, (double)encode_ns / n, (double)decode_ns / n);
    for (size_t i = 0; i < CHUNKS; i++)
        buffer_done(&out[i]);
    free(times);
    free(values);
}

static void bench_codec(void)
{
    static const char *const names[] = {"counter", "gauge, 2 decimals", "constant", "float"};
    for (int shape = 0; shape < 4; shape++) {
        codec_run(names[shape], (enum disk_shape)shape, 0, 120);
        codec_run(names[shape], (enum disk_shape)shape, 0, 1440);
    }
    codec_run("counter, 5 ms jitter", DISK_COUNTER, 5, 1440);
}

int main(int argc, char **argv)
{
    static const char *const cases[] = {"codec", "day", "hour", "split", "midnight", "logs"};
    static void (*const runs[])(void) = {bench_codec, bench_day,      bench_hour,
                                         bench_split, bench_midnight, bench_logs};
    if (argc > 2 && strcmp(argv[1], "lines") == 0) {
        bench_lines(argc - 2, argv + 2);
        return 0;
    }
    if (argc > 2 && strcmp(argv[1], "scrapes") == 0) {
        for (int i = 2; i < argc; i++)
            scrapes_run(argv[i]);
        return 0;
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool wanted = argc == 1;
        for (int k = 1; k < argc; k++)
            wanted |= strcmp(argv[k], cases[i]) == 0;
        if (wanted)
            runs[i]();
    }
    return 0;
}
