// links: wire
/*
 * fuzz_remote_write.c - any bytes as a remote-write request.
 *
 * Whatever the decoder hands on must lie inside the input, and what it refuses
 * must say where.  Then once more with the sink's fast way, for keys that it was given.
 */
#include "base/error.h"
#include "base/histogram.h"
#include "wire/ingest.h"
#include "wire/remote_write.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned char touched;

static void touch(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        touched ^= (unsigned char)s.data[i];
}

static int64_t find(void *context, struct slice key)
{
    int64_t *series = context;
    touch(key);
    return key.size % 3 == 0 ? (*series)++ : INGEST_UNKNOWN;
}

static int64_t define(void *context, struct slice key, struct label *labels, size_t count)
{
    int64_t *series = context;
    assert(count <= INGEST_LABELS_MAX);
    touch(key);
    for (size_t i = 0; i < count; i++) {
        touch(labels[i].name);
        touch(labels[i].value);
    }
    return count % 5 == 4 ? INGEST_SKIP : (*series)++;
}

static bool sample(void *context, uint32_t series, int64_t time_ms, double value)
{
    const int64_t *known = context;
    (void)value;
    assert((int64_t)series < *known);
    return time_ms != 666;
}

static bool metadata(void *context, struct slice family, struct slice type, struct slice help,
                     struct slice unit)
{
    (void)context;
    touch(family);
    touch(help);
    touch(unit);
    assert(type.size > 0);
    return true;
}

static bool histogram(void *context, uint32_t series, int64_t time_ms, int64_t start_ms,
                      const struct histogram *h)
{
    double sum = 0;
    struct error err = {0};
    (void)context, (void)series, (void)time_ms, (void)start_ms;
    for (size_t i = 0; i < h->positive.bucket_count; i++)
        sum += h->positive.buckets[i];
    for (size_t i = 0; i < h->custom_count; i++)
        sum += h->custom[i];
    return histogram_check(h, &err) || err.code == ERR_INVALID || sum > 0;
}

static bool exemplar(void *context, uint32_t series, struct label *labels, size_t count,
                     int64_t time_ms, double value)
{
    const int64_t *known = context;
    (void)value;
    assert((int64_t)series < *known && count <= INGEST_LABELS_MAX);
    for (size_t i = 0; i < count; i++) {
        touch(labels[i].name);
        touch(labels[i].value);
    }
    return time_ms != 666;
}

/* ---- the fast way: a sink that remembers the first keys of the input --------------- */

static struct slice input, remembered[16];
static size_t remembered_count;

static void find_many(void *context, const struct slice *keys, size_t count, int64_t *series)
{
    (void)context;
    assert(count > 0 && count <= INGEST_WINDOW);
    for (size_t i = 0; i < count; i++) {
        touch(keys[i]);
        series[i] = INGEST_UNKNOWN;
        for (size_t k = 0; k < remembered_count; k++)
            if (slice_equal(remembered[k], keys[i]))
                series[i] = 0;
    }
}

static int64_t define_and_remember(void *context, struct slice key, struct label *labels,
                                   size_t count)
{
    int64_t series = define(context, key, labels, count);
    bool inside = key.data >= input.data && key.data < input.data + input.size;
    if (series >= 0 && inside && remembered_count < COUNT_OF(remembered))
        remembered[remembered_count++] = key;
    return series;
}

static bool samples(void *context, const uint32_t *series, const int64_t *times_ms,
                    const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!sample(context, series[i], times_ms[i], values[i]))
            return false;
    return true;
}

static void refused(void *context, size_t samples, const struct error *reason)
{
    (void)context;
    (void)samples;
    assert(reason->code != ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t series = 0;
    struct error err = {0};
    struct metric_sink sink = {.context = &series,
                               .find = find,
                               .define = define,
                               .sample = sample,
                               .histogram = histogram,
                               .metadata = metadata,
                               .exemplar = exemplar,
                               .refused = refused};
    if (!remote_write_decode(slice_of(data, size), &sink, &err) && err.code != ERR_NONE)
        assert(err.position > 0 && (size_t)err.position <= size + 1);
    error_clear(&err);
    sink.define = define_and_remember;
    sink.find_many = find_many;
    sink.samples = samples;
    input = slice_of(data, size);
    remembered_count = 0;
    series++;
    if (!remote_write_decode(input, &sink, &err) && err.code != ERR_NONE)
        assert(err.position > 0 && (size_t)err.position <= size + 1);
    return 0;
}
