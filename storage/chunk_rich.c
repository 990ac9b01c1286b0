/*
 * chunk_rich.c - histograms as columns (see chunk_rich.h, docs/format-chunk.md).
 *
 *     varint size, times     a column of integers: times minus the first, in units
 *     byte, [column]         start times: 0 none known, 1 a column of integers in ms
 *     values                 of floats, and the sums of histograms
 *     varint, layouts        number of layouts (rich_sample.h), and these
 *     varint, runs           number of runs, per run varint layout (0: floats), varint length
 *     lanes                  per run of histograms: count, zero count, each bucket of the
 *                            positive, then the negative side: a column of values each
 */
#include "storage/chunk_rich.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "storage/chunk_internal.h"
#include "storage/chunk_values.h"
#include "storage/integers.h"

enum { LANES_BEFORE_BUCKETS = 2, STARTS_NONE = 0, STARTS_MS = 1, NO_LAYOUT = 0 };

static size_t lanes_of(const struct histogram *h)
{
    return LANES_BEFORE_BUCKETS + h->positive.bucket_count + h->negative.bucket_count;
}

/* ---- encoding -------------------------------------------------------------- */

struct rich_run {
    uint32_t layout; /* 0: floats */
    uint32_t length;
};

/* Layouts as bytes: few in a chunk, as a rule one. */
struct layouts {
    struct buffer bytes;
    ARRAY(size_t) starts;
    ARRAY(struct rich_run) runs;
};

static bool same_spans(const struct histogram_side *a, const struct histogram_side *b)
{
    return a->span_count == b->span_count &&
           (a->span_count == 0 ||
            memcmp(a->spans, b->spans, a->span_count * sizeof(*a->spans)) == 0);
}

static bool same_layout(const struct histogram *a, const struct histogram *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->schema == b->schema && a->hint == b->hint && a->integer == b->integer &&
           double_bits(a->zero_threshold) == double_bits(b->zero_threshold) &&
           same_spans(&a->positive, &b->positive) && same_spans(&a->negative, &b->negative) &&
           a->custom_count == b->custom_count &&
           (a->custom_count == 0 ||
            memcmp(a->custom, b->custom, a->custom_count * sizeof(*a->custom)) == 0);
}

size_t chunk_rich_fit(const struct rich_sample *samples, size_t count)
{
    size_t counts = 0, changes = 0;
    if (count > CHUNK_RICH_MAX)
        count = CHUNK_RICH_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct histogram *h = samples[i].histogram;
        if (h && (i == 0 || !same_layout(h, samples[i - 1].histogram)))
            changes++;
        counts += h ? lanes_of(h) : 0;
        if (i > 0 && (counts > CHUNK_RICH_COUNTS_MAX || changes > CHUNK_RICH_LAYOUTS_MAX))
            return i;
    }
    return count;
}

/* The number of a histogram's layout, from 1 on. */
static uint32_t layout_number(struct layouts *l, const struct histogram *h)
{
    size_t start = l->bytes.size;
    histogram_layout_write(&l->bytes, h);
    struct slice fresh = slice_of(l->bytes.data + start, l->bytes.size - start);
    for (size_t i = 0; i < l->starts.count; i++) {
        size_t at = l->starts.items[i];
        size_t end = i + 1 < l->starts.count ? l->starts.items[i + 1] : start;
        if (slice_equal(slice_of(l->bytes.data + at, end - at), fresh)) {
            buffer_truncate(&l->bytes, start);
            return (uint32_t)i + 1;
        }
    }
    array_push(&l->starts, start);
    return (uint32_t)l->starts.count;
}

static void find_runs(const struct rich_sample *samples, size_t count, struct layouts *l)
{
    for (size_t i = 0; i < count; i++) {
        const struct histogram *h = samples[i].histogram;
        if (i > 0 && same_layout(h, samples[i - 1].histogram)) {
            l->runs.items[l->runs.count - 1].length++;
            continue;
        }
        struct rich_run run = {h ? layout_number(l, h) : NO_LAYOUT, 1};
        array_push(&l->runs, run);
    }
}

static double lane_value(const struct histogram *h, size_t lane)
{
    if (lane < LANES_BEFORE_BUCKETS)
        return lane == 0 ? h->count : h->zero_count;
    lane -= LANES_BEFORE_BUCKETS;
    return lane < h->positive.bucket_count ? h->positive.buckets[lane]
                                           : h->negative.buckets[lane - h->positive.bucket_count];
}

static void encode_lanes(const struct rich_sample *samples, size_t count, double *scratch,
                         struct buffer *out)
{
    size_t lanes = lanes_of(samples[0].histogram);
    for (size_t lane = 0; lane < lanes; lane++) {
        for (size_t i = 0; i < count; i++)
            scratch[i] = lane_value(samples[i].histogram, lane);
        values_encode(scratch, count, out);
    }
}

static void encode_starts(const struct rich_sample *samples, size_t count, int64_t *scratch,
                          struct buffer *out)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        scratch[i] = samples[i].start_ns / NS_PER_MS;
        any = any || scratch[i] != 0;
    }
    buffer_put8(out, any ? STARTS_MS : STARTS_NONE);
    if (any)
        integers_encode(scratch, count, true, out);
}

static void encode_times(const struct rich_sample *samples, size_t count, unsigned unit,
                         int64_t *scratch, struct buffer *out)
{
    AUTO(buffer_done) struct buffer column;
    buffer_init(&column, (size_t)32 * CHUNK_RICH_MAX + 1024);
    uint64_t first = (uint64_t)chunk_time_in_units(samples[0].time_ns, unit);
    for (size_t i = 0; i < count; i++)
        scratch[i] = (int64_t)((uint64_t)chunk_time_in_units(samples[i].time_ns, unit) - first);
    integers_encode(scratch, count, true, &column);
    buffer_put_sized(out, buffer_slice(&column));
}

static void encode_columns(const struct rich_sample *samples, size_t count, struct layouts *l,
                           double *values, struct buffer *out)
{
    for (size_t i = 0; i < count; i++)
        values[i] = samples[i].histogram ? samples[i].histogram->sum : samples[i].value;
    values_encode(values, count, out);
    find_runs(samples, count, l);
    buffer_put_varint(out, l->starts.count);
    buffer_append_slice(out, buffer_slice(&l->bytes));
    buffer_put_varint(out, l->runs.count);
    for (size_t i = 0; i < l->runs.count; i++) {
        buffer_put_varint(out, l->runs.items[i].layout);
        buffer_put_varint(out, l->runs.items[i].length);
    }
    for (size_t i = 0, at = 0; i < l->runs.count; at += l->runs.items[i++].length) {
        if (l->runs.items[i].layout != NO_LAYOUT)
            encode_lanes(samples + at, l->runs.items[i].length, values, out);
    }
}

bool chunk_encode_rich(const struct rich_sample *samples, size_t count, uint64_t lsn_max,
                       unsigned flags, struct buffer *out, struct error *err)
{
    if (count == 0 || count > CHUNK_RICH_MAX)
        return error_set(err, ERR_LIMIT, "a chunk of %zu samples, the limit is %d", count,
                         CHUNK_RICH_MAX);
    struct chunk_header h = {.kind = CHUNK_RICH,
                             .flags = flags,
                             .count = (uint32_t)count,
                             .first_ns = samples[0].time_ns,
                             .last_ns = samples[count - 1].time_ns,
                             .lsn_max = lsn_max};
    size_t start = out->size;
    int64_t *numbers = xmalloc(count * sizeof(*numbers));
    double *values = xmalloc(count * sizeof(*values));
    struct layouts l = {0};
    buffer_init(&l.bytes, out->size_max);
    for (size_t i = 0; i < count; i++)
        numbers[i] = samples[i].time_ns;
    unsigned unit = chunk_unit_find(numbers, count);
    chunk_header_put(&h, unit, out);
    encode_times(samples, count, unit, numbers, out);
    encode_starts(samples, count, numbers, out);
    encode_columns(samples, count, &l, values, out);
    chunk_seal_checksum(out, start);
    bool ok = buffer_check(&l.bytes, "histogram layouts", err);
    buffer_done(&l.bytes);
    array_done(&l.starts);
    array_done(&l.runs);
    free(numbers);
    free(values);
    return ok && buffer_check(out, "chunks", err);
}

/* ---- decoding -------------------------------------------------------------- */

struct rich_decoder {
    struct arena *arena;
    struct error *err;
    struct reader in;
    const struct chunk_header *header;
    unsigned unit;
    struct rich_sample *samples; /* all of the chunk */
    struct histogram *layouts;
    size_t layout_count;
    struct rich_run *runs;
    size_t run_count;
    int64_t *numbers; /* scratch with room for all samples, in the arena */
    double *values;   /* the same memory's size */
};

static bool corrupt(struct rich_decoder *d, const char *what)
{
    return error_set(d->err, ERR_CORRUPT, "chunk has malformed %s", what);
}

/* Memory that is never NULL for a size of 0; over the limit ERR_LIMIT. */
static void *take(struct rich_decoder *d, size_t count, size_t size)
{
    void *memory = arena_calloc(d->arena, count > 0 ? count : 1, size);
    if (memory == NULL && arena_check(d->arena, "histograms", d->err))
        error_set(d->err, ERR_LIMIT, "no memory for histograms");
    return memory;
}

static bool decode_times(struct rich_decoder *d)
{
    struct slice column = read_sized(&d->in);
    struct reader in = reader_of(column);
    uint32_t count = d->header->count;
    if (d->in.failed || !integers_decode(&in, count, count, d->numbers))
        return corrupt(d, "times");
    uint64_t first = (uint64_t)d->header->first_ns, scale = (uint64_t)chunk_unit_ns(d->unit);
    for (uint32_t i = 0; i < count; i++)
        d->samples[i].time_ns = (int64_t)(first + (uint64_t)d->numbers[i] * scale);
    for (uint32_t i = 1; i < count; i++)
        if (d->samples[i].time_ns <= d->samples[i - 1].time_ns)
            return corrupt(d, "times");
    return d->samples[0].time_ns == d->header->first_ns &&
                   d->samples[count - 1].time_ns == d->header->last_ns
               ? true
               : corrupt(d, "times");
}

static bool decode_starts(struct rich_decoder *d)
{
    uint32_t count = d->header->count;
    uint8_t mode = read8(&d->in);
    if (d->in.failed || mode > STARTS_MS)
        return corrupt(d, "start times");
    if (mode == STARTS_NONE)
        return true;
    if (!integers_decode(&d->in, count, count, d->numbers))
        return corrupt(d, "start times");
    for (uint32_t i = 0; i < count; i++)
        if (__builtin_mul_overflow(d->numbers[i], NS_PER_MS, &d->samples[i].start_ns))
            return corrupt(d, "start times");
    return true;
}

static bool decode_values(struct rich_decoder *d)
{
    uint32_t count = d->header->count;
    if (!values_decode(&d->in, count, 0, count, d->values))
        return corrupt(d, "values");
    for (uint32_t i = 0; i < count; i++)
        d->samples[i].value = d->values[i];
    return true;
}

static bool decode_layouts(struct rich_decoder *d)
{
    uint64_t count = read_varint(&d->in);
    if (d->in.failed || count > CHUNK_RICH_LAYOUTS_MAX || count > reader_left(&d->in))
        return corrupt(d, "layouts");
    d->layouts = take(d, (size_t)count, sizeof(*d->layouts));
    if (d->layouts == NULL)
        return false;
    d->layout_count = (size_t)count;
    for (size_t i = 0; i < count; i++)
        if (!histogram_layout_read(&d->in, d->arena, &d->layouts[i], d->err))
            return error_prefix(d->err, "layout %zu", i);
    return true;
}

/* The runs, which make up all samples and whose histograms stay within the limit of counts. */
static bool decode_runs(struct rich_decoder *d)
{
    uint64_t count = read_varint(&d->in), samples = 0, counts = 0;
    if (d->in.failed || count > d->header->count)
        return corrupt(d, "runs");
    d->runs = take(d, (size_t)count, sizeof(*d->runs));
    if (d->runs == NULL)
        return false;
    d->run_count = (size_t)count;
    for (size_t i = 0; i < count; i++) {
        uint64_t layout = read_varint(&d->in), length = read_varint(&d->in);
        if (d->in.failed || layout > d->layout_count || length == 0 || length > d->header->count)
            return corrupt(d, "runs");
        samples += length;
        if (layout != NO_LAYOUT)
            counts += length * lanes_of(&d->layouts[layout - 1]);
        d->runs[i] = (struct rich_run){(uint32_t)layout, (uint32_t)length};
    }
    /* One histogram alone may be larger than the limit. */
    if (samples != d->header->count || (counts > CHUNK_RICH_COUNTS_MAX && samples > 1))
        return corrupt(d, "runs");
    return true;
}

/* One run: its histograms, and a column of values for each of their counts. */
static bool decode_run(struct rich_decoder *d, const struct rich_run *run,
                       struct rich_sample *samples)
{
    const struct histogram *layout = &d->layouts[run->layout - 1];
    size_t positive = layout->positive.bucket_count;
    size_t buckets = positive + layout->negative.bucket_count;
    struct histogram *histograms = take(d, run->length, sizeof(*histograms));
    double *counts = take(d, run->length * buckets, sizeof(*counts));
    if (histograms == NULL || counts == NULL)
        return false;
    for (size_t lane = 0; lane < LANES_BEFORE_BUCKETS + buckets; lane++) {
        if (!values_decode(&d->in, run->length, 0, run->length, d->values))
            return corrupt(d, "counts");
        for (size_t i = 0; i < run->length; i++) {
            if (lane == 0)
                histograms[i].count = d->values[i];
            else if (lane == 1)
                histograms[i].zero_count = d->values[i];
            else
                counts[i * buckets + lane - LANES_BEFORE_BUCKETS] = d->values[i];
        }
    }
    for (size_t i = 0; i < run->length; i++) {
        struct histogram whole = *layout;
        whole.count = histograms[i].count;
        whole.zero_count = histograms[i].zero_count;
        whole.sum = samples[i].value;
        whole.positive.buckets = counts + i * buckets;
        whole.negative.buckets = counts + i * buckets + positive;
        histograms[i] = whole;
        samples[i].histogram = &histograms[i];
    }
    return true;
}

static bool decode_all(struct rich_decoder *d)
{
    size_t room = chunk_room(d->header->count);
    d->samples = take(d, d->header->count, sizeof(*d->samples));
    d->numbers = take(d, room, sizeof(*d->numbers));
    d->values = take(d, room, sizeof(*d->values));
    if (!d->samples || !d->numbers || !d->values || !decode_times(d) || !decode_starts(d) ||
        !decode_values(d) || !decode_layouts(d) || !decode_runs(d))
        return false;
    for (size_t i = 0, at = 0; i < d->run_count; at += d->runs[i++].length) {
        if (d->runs[i].layout != NO_LAYOUT && !decode_run(d, &d->runs[i], d->samples + at))
            return false;
    }
    return reader_left(&d->in) == 0 || corrupt(d, "bytes behind its counts");
}

bool chunk_decode_rich(struct slice chunk, int64_t start_ns, int64_t end_ns, struct arena *arena,
                       const struct rich_sample **samples, size_t *count, struct error *err)
{
    struct chunk_parts parts;
    if (!chunk_split(chunk, &parts, err) || !chunk_verify(chunk, err))
        return false;
    if (parts.header.kind != CHUNK_RICH)
        return error_set(err, ERR_CORRUPT, "chunk holds something else than histograms");
    struct rich_decoder d = {.arena = arena,
                             .err = err,
                             .in = reader_of(parts.rest),
                             .header = &parts.header,
                             .unit = parts.unit};
    if (!decode_all(&d))
        return false;
    size_t from = 0, to = parts.header.count;
    while (from < to && d.samples[from].time_ns < start_ns)
        from++;
    while (to > from && d.samples[to - 1].time_ns > end_ns)
        to--;
    *samples = d.samples + from;
    *count = to - from;
    return true;
}
