/*
 * bench_remote_write.c - CPU time of decoding remote-write requests.
 *
 *     bench-remote-write [samples per series] [rounds]
 *
 * One request holds 2,000 samples with 10 labels a series.  Four sinks: one
 * that knows every series, one that hashes the key first, one that is asked for many
 * at once (as the lookup cache is), one that knows none, so that labels are parsed.
 * Snappy is timed apart.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "wire/body.h"
#include "wire/ingest.h"
#include "wire/remote_write.h"

#include <inttypes.h>

enum { SAMPLES = 2000, LABELS = 10, PER_SERIES_MAX = 64 };

struct counts {
    uint64_t samples, series, hash;
    double sum;
};

static int64_t find_known(void *context, struct slice key)
{
    struct counts *c = context;
    c->hash ^= key.size;
    return (int64_t)(c->series++ & 0xffff);
}

static int64_t find_hashed(void *context, struct slice key)
{
    struct counts *c = context;
    c->hash ^= hash128(key.data, key.size, 1).low;
    return (int64_t)(c->series++ & 0xffff);
}

static void find_many_hashed(void *context, const struct slice *keys, size_t count, int64_t *series)
{
    for (size_t i = 0; i < count; i++)
        series[i] = find_hashed(context, keys[i]);
}

static int64_t find_unknown(void *context, struct slice key)
{
    (void)context;
    (void)key;
    return INGEST_UNKNOWN;
}

static int64_t define(void *context, struct slice key, struct label *labels, size_t count)
{
    struct counts *c = context;
    (void)key;
    for (size_t i = 0; i < count; i++)
        c->hash ^= labels[i].name.size + labels[i].value.size;
    return (int64_t)(c->series++ & 0xffff);
}

static bool sample(void *context, uint32_t series, int64_t time_ms, double value)
{
    struct counts *c = context;
    c->samples++;
    c->sum += value + (double)(time_ms & 1) + series;
    return true;
}

static void make_request(struct buffer *out, size_t per_series)
{
    static const char *const names[LABELS] = {"__name__", "cluster", "container", "endpoint",
                                              "instance", "job",     "mode",      "namespace",
                                              "node",     "pod"};
    for (size_t i = 0; i < SAMPLES / per_series; i++) {
        char values[LABELS][48];
        struct label labels[LABELS];
        struct remote_sample samples[PER_SERIES_MAX];
        for (size_t k = 0; k < LABELS; k++) {
            snprintf(values[k], sizeof(values[k]), "value-%zu-of-label-%zu", i % (k * 7 + 1), k);
            labels[k] = (struct label){slice_from_text(names[k]), slice_from_text(values[k])};
        }
        for (size_t k = 0; k < per_series; k++)
            samples[k] =
                (struct remote_sample){1700000000000 + (int64_t)k * 15000, (double)(i * k) / 8};
        remote_write_append_series(out, (struct labels){labels, LABELS}, samples, per_series);
    }
}

static void time_decoding(const char *what, struct slice body, size_t rounds,
                          int64_t (*find)(void *, struct slice), bool many)
{
    struct counts counts = {0};
    struct error err = {0};
    struct metric_sink sink = {
        .context = &counts, .find = find, .define = define, .sample = sample};
    sink.find_many = many ? find_many_hashed : NULL;
    int64_t best = INT64_MAX;
    for (size_t i = 0; i < rounds; i++) {
        int64_t begin = clock_cpu_ns();
        if (!remote_write_decode(body, &sink, &err))
            puts(err.message);
        int64_t spent = clock_cpu_ns() - begin;
        best = spent < best ? spent : best;
    }
    printf("%-28s %7.1f ns/sample (checks %" PRIu64 " %g)\n", what, (double)best / SAMPLES,
           counts.samples ^ counts.hash, counts.sum);
}

static void time_snappy(struct slice body, size_t rounds)
{
    AUTO(buffer_done) struct buffer packed, scratch;
    struct error err = {0};
    struct slice out;
    int64_t best = INT64_MAX;
    buffer_init(&packed, (size_t)64 * 1024 * 1024);
    buffer_init(&scratch, (size_t)64 * 1024 * 1024);
    if (!body_encode(BODY_SNAPPY, body, &packed, &err))
        puts(err.message);
    for (size_t i = 0; i < rounds; i++) {
        int64_t begin = clock_cpu_ns();
        if (!body_decode(BODY_SNAPPY, buffer_slice(&packed), &scratch, &out, &err))
            puts(err.message);
        int64_t spent = clock_cpu_ns() - begin;
        best = spent < best ? spent : best;
    }
    printf("%-28s %7.1f ns/sample (%.1f B/sample packed, %.1f raw)\n", "snappy",
           (double)best / SAMPLES, (double)packed.size / SAMPLES, (double)body.size / SAMPLES);
}

int main(int argc, char **argv)
{
    size_t per_series = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    if (per_series == 0 || per_series > PER_SERIES_MAX || rounds == 0) {
        fprintf(stderr, "samples per series: 1 to %d; rounds: at least 1\n", (int)PER_SERIES_MAX);
        return 2;
    }
    AUTO(buffer_done) struct buffer body;
    buffer_init(&body, (size_t)64 * 1024 * 1024);
    make_request(&body, per_series);
    time_snappy(buffer_slice(&body), rounds);
    time_decoding("decode, series known", buffer_slice(&body), rounds, find_known, false);
    time_decoding("decode, key hashed", buffer_slice(&body), rounds, find_hashed, false);
    if (per_series == 1) /* it says that it knows whatever stands before the last sample */
        time_decoding("decode, many hashed at once", buffer_slice(&body), rounds, find_hashed,
                      true);
    time_decoding("decode, labels parsed", buffer_slice(&body), rounds, find_unknown, false);
    return 0;
}
