/* rich_sample.c - the bytes of histograms and of samples with start times (see rich_sample.h). */
#include "storage/rich_sample.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/hash.h"

enum {
    IS_HISTOGRAM = 1,
    IS_INTEGER = 2,
    HINT_SHIFT = 2,
    LAYOUT_FLAGS = 15,
    HAS_START = 16,
    IS_WHOLE = 32,
    ALL_FLAGS = 63
};

static bool malformed(struct error *err)
{
    return error_set(err, ERR_CORRUPT, "malformed histogram sample");
}

/* ---- layouts --------------------------------------------------------------- */

static uint8_t flags_of(const struct histogram *h)
{
    return (uint8_t)(IS_HISTOGRAM | (h->integer ? IS_INTEGER : 0) |
                     (unsigned)h->hint << HINT_SHIFT);
}

static void put_double(struct buffer *out, double value)
{
    buffer_put64(out, double_bits(value));
}

static double get_double(struct reader *in)
{
    return double_from_bits(read64(in));
}

static void put_spans(struct buffer *out, const struct histogram_side *side)
{
    buffer_put_varint(out, side->span_count);
    for (size_t i = 0; i < side->span_count; i++) {
        buffer_put_zigzag(out, side->spans[i].offset);
        buffer_put_varint(out, side->spans[i].length);
    }
}

/* All of a layout behind its flags. */
static void put_layout(struct buffer *out, const struct histogram *h)
{
    buffer_put_zigzag(out, h->schema);
    put_double(out, h->zero_threshold);
    put_spans(out, &h->positive);
    put_spans(out, &h->negative);
    buffer_put_varint(out, h->custom_count);
    for (size_t i = 0; i < h->custom_count; i++)
        put_double(out, h->custom[i]);
}

void histogram_layout_write(struct buffer *out, const struct histogram *h)
{
    buffer_put8(out, flags_of(h));
    put_layout(out, h);
}

static bool no_memory(struct arena *arena, struct error *err)
{
    bool fits = arena_check(arena, "histograms", err);
    return fits ? malformed(err) : false;
}

static bool get_spans(struct reader *in, struct arena *arena, struct histogram_side *side,
                      struct error *err)
{
    uint64_t count = read_varint(in), buckets = 0;
    if (in->failed || count > HISTOGRAM_BUCKETS_MAX || count > reader_left(in))
        return malformed(err);
    struct histogram_span *spans =
        count > 0 ? arena_calloc(arena, (size_t)count, sizeof(*spans)) : NULL;
    if (count > 0 && spans == NULL)
        return no_memory(arena, err);
    for (size_t i = 0; i < count; i++) {
        int64_t offset = read_zigzag(in);
        uint64_t length = read_varint(in);
        if (in->failed || offset < INT32_MIN || offset > INT32_MAX ||
            length > HISTOGRAM_BUCKETS_MAX)
            return malformed(err);
        buckets += length;
        spans[i] = (struct histogram_span){(int32_t)offset, (uint32_t)length};
    }
    if (buckets > HISTOGRAM_BUCKETS_MAX)
        return malformed(err);
    *side = (struct histogram_side){spans, (size_t)count, NULL, (size_t)buckets};
    return true;
}

static bool get_layout(struct reader *in, struct arena *arena, struct histogram *h,
                       struct error *err)
{
    int64_t schema = read_zigzag(in);
    h->zero_threshold = get_double(in);
    if (in->failed || schema < INT32_MIN || schema > INT32_MAX)
        return malformed(err);
    h->schema = (int32_t)schema;
    if (!get_spans(in, arena, &h->positive, err) || !get_spans(in, arena, &h->negative, err))
        return false;
    uint64_t count = read_varint(in);
    if (in->failed || count > HISTOGRAM_BUCKETS_MAX || count > reader_left(in) / 8)
        return malformed(err);
    double *custom = count > 0 ? arena_calloc(arena, (size_t)count, sizeof(*custom)) : NULL;
    if (count > 0 && custom == NULL)
        return no_memory(arena, err);
    for (size_t i = 0; i < count; i++)
        custom[i] = get_double(in);
    h->custom = custom;
    h->custom_count = (size_t)count;
    return true;
}

static struct histogram from_flags(uint8_t flags)
{
    return (struct histogram){.integer = (flags & IS_INTEGER) != 0,
                              .hint = (enum counter_reset_hint)(flags >> HINT_SHIFT & 3)};
}

bool histogram_layout_read(struct reader *in, struct arena *arena, struct histogram *h,
                           struct error *err)
{
    uint8_t flags = read8(in);
    if (in->failed || (flags & IS_HISTOGRAM) == 0 || flags > LAYOUT_FLAGS)
        return malformed(err);
    *h = from_flags(flags);
    return get_layout(in, arena, h, err);
}

/* ---- counts ---------------------------------------------------------------- */

static bool is_whole(double v)
{
    return v >= 0 && v <= 0x1p53 && v == (double)(uint64_t)v && double_bits(v) >> 63 == 0;
}

static bool side_is_whole(const struct histogram_side *side)
{
    for (size_t i = 0; i < side->bucket_count; i++)
        if (!is_whole(side->buckets[i]))
            return false;
    return true;
}

static bool counts_are_whole(const struct histogram *h)
{
    return is_whole(h->count) && is_whole(h->zero_count) && side_is_whole(&h->positive) &&
           side_is_whole(&h->negative);
}

static void put_count(struct buffer *out, double count, bool whole)
{
    if (whole)
        buffer_put_varint(out, (uint64_t)count);
    else
        put_double(out, count);
}

static double get_count(struct reader *in, bool whole)
{
    return whole ? (double)read_varint(in) : get_double(in);
}

static void put_buckets(struct buffer *out, const struct histogram_side *side, bool whole)
{
    int64_t before = 0;
    for (size_t i = 0; i < side->bucket_count; i++) {
        if (!whole) {
            put_double(out, side->buckets[i]);
            continue;
        }
        int64_t count = (int64_t)side->buckets[i];
        buffer_put_zigzag(out, count - before);
        before = count;
    }
}

static bool get_buckets(struct reader *in, struct arena *arena, struct histogram_side *side,
                        bool whole, struct error *err)
{
    uint64_t before = 0;
    size_t count = side->bucket_count;
    if (count > reader_left(in) / (whole ? 1 : sizeof(double)))
        return malformed(err);
    if (count == 0)
        return true;
    double *buckets = arena_calloc(arena, count, sizeof(*buckets));
    if (buckets == NULL)
        return no_memory(arena, err);
    for (size_t i = 0; i < count; i++) {
        if (whole) {
            before += (uint64_t)read_zigzag(in);
            buckets[i] = (double)(int64_t)before;
        } else {
            buckets[i] = get_double(in);
        }
    }
    side->buckets = buckets;
    return true;
}

/* ---- samples --------------------------------------------------------------- */

void rich_sample_write(struct buffer *out, const struct rich_sample *sample)
{
    const struct histogram *h = sample->histogram;
    bool whole = h && counts_are_whole(h);
    buffer_put8(out, (uint8_t)((h ? flags_of(h) : 0) | (sample->start_ns != 0 ? HAS_START : 0) |
                               (whole ? IS_WHOLE : 0)));
    if (sample->start_ns != 0)
        buffer_put_zigzag(out, sample->start_ns / NS_PER_MS);
    if (h == NULL) {
        put_double(out, sample->value);
        return;
    }
    put_layout(out, h);
    put_count(out, h->count, whole);
    put_count(out, h->zero_count, whole);
    put_double(out, h->sum);
    put_buckets(out, &h->positive, whole);
    put_buckets(out, &h->negative, whole);
}

static bool get_start(struct reader *in, uint8_t flags, int64_t *start_ns)
{
    *start_ns = 0;
    return !(flags & HAS_START) || !__builtin_mul_overflow(read_zigzag(in), NS_PER_MS, start_ns);
}

bool rich_sample_read(struct slice bytes, struct arena *arena, struct rich_sample *sample,
                      struct error *err)
{
    struct reader in = reader_of(bytes);
    uint8_t flags = read8(&in);
    struct rich_sample got = {.time_ns = sample->time_ns};
    if (in.failed || flags > ALL_FLAGS || !get_start(&in, flags, &got.start_ns))
        return malformed(err);
    if (!(flags & IS_HISTOGRAM)) {
        got.value = get_double(&in);
        if (in.failed || reader_left(&in) > 0)
            return malformed(err);
        *sample = got;
        return true;
    }
    struct histogram *h = arena_alloc(arena, sizeof(*h));
    if (h == NULL)
        return no_memory(arena, err);
    bool whole = (flags & IS_WHOLE) != 0;
    *h = from_flags(flags);
    if (!get_layout(&in, arena, h, err))
        return false;
    h->count = get_count(&in, whole);
    h->zero_count = get_count(&in, whole);
    h->sum = got.value = get_double(&in);
    if (!get_buckets(&in, arena, &h->positive, whole, err) ||
        !get_buckets(&in, arena, &h->negative, whole, err))
        return false;
    if (in.failed || reader_left(&in) > 0)
        return malformed(err);
    got.histogram = h;
    *sample = got;
    return true;
}

uint64_t rich_sample_bits(struct slice bytes)
{
    struct reader in = reader_of(bytes);
    uint8_t flags = read8(&in);
    int64_t start;
    if (!get_start(&in, flags, &start))
        return 0;
    if (!(flags & IS_HISTOGRAM))
        return read64(&in);
    return hash64(in.at, reader_left(&in), flags & (IS_HISTOGRAM | IS_WHOLE));
}
