/*
 * tsdb_chunk.c - bits of Prometheus' chunks as samples (see tsdb_chunk.h).
 *
 *     file:   magic 0x85BD40DD, version 1, three zeros, then chunks
 *     chunk:  uvarint size, byte encoding, data, CRC-32C over encoding and data
 *
 * Data begins with the number of samples (two bytes, big-endian) and is a stream
 * of bits, the highest bit of a byte first.  Times are differences of
 * differences, floats the XOR with the value before in a window of bits that
 * is named or kept.  A histogram chunk has a byte of flags, one layout of buckets
 * for all its samples, then each number as a column of differences.
 */
#include "wire/tsdb_chunk.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/histogram.h"
#include "wire/crc32c.h"

#include <math.h>

enum {
    CHUNKS_MAGIC_SIZE = 8,
    ENCODING_XOR = 1,
    ENCODING_HISTOGRAM = 2,
    ENCODING_FLOAT_HISTOGRAM = 3,
    FLAGS_RESET = 0x80, /* the two highest bits of a histogram chunk's flags */
    FLAGS_NOT_RESET = 0x40,
    FLAGS_GAUGE = 0xc0,
    NO_WINDOW = 255
};

static const uint64_t stale_bits = UINT64_C(0x7ff0000000000002);

bool tsdb_chunks_check(struct slice file, struct error *err)
{
    if (file.size < CHUNKS_MAGIC_SIZE || bytes_get32_big(file.data) != 0x85bd40dd)
        return error_set(err, ERR_CORRUPT, "offset 0: not a file of chunks");
    if (file.data[4] != 1)
        return error_set(err, ERR_UNSUPPORTED, "offset 4: version %d of chunk files is not known",
                         (uint8_t)file.data[4]);
    return true;
}

bool tsdb_chunk_find(struct slice file, uint64_t offset, struct tsdb_chunk *chunk,
                     struct error *err)
{
    if (offset < CHUNKS_MAGIC_SIZE || offset >= file.size)
        return error_set(err, ERR_CORRUPT, "no chunk begins at offset %llu of %zu bytes",
                         (unsigned long long)offset, file.size);
    struct reader in = reader_of(slice_skip(file, (size_t)offset));
    uint64_t size = read_varint(&in);
    size_t left = reader_left(&in);
    if (in.failed || left < 5 || size > left - 5)
        return error_set(err, ERR_CORRUPT, "offset %llu: a chunk longer than its file",
                         (unsigned long long)offset);
    struct slice covered = read_bytes(&in, size + 1), sum = read_bytes(&in, 4);
    if (crc32c(covered) != bytes_get32_big(sum.data))
        return error_set(err, ERR_CORRUPT, "offset %llu: a chunk fails its checksum",
                         (unsigned long long)offset);
    chunk->encoding = (uint8_t)covered.data[0];
    chunk->data = slice_skip(covered, 1);
    return true;
}

/* ---- bits ------------------------------------------------------------------- */

struct bits {
    const uint8_t *data;
    size_t size;   /* bytes */
    size_t at;     /* the next bit */
    size_t at_max; /* bits in all */
    bool failed;
};

static struct bits bits_of(struct slice data)
{
    return (struct bits){(const uint8_t *)data.data, data.size, 0, data.size * 8, false};
}

/* The next `count` (1 to 57) bits. */
static uint64_t bits_short(struct bits *b, unsigned count)
{
    uint64_t word = 0;
    size_t byte = b->at / 8;
    if (count > b->at_max - b->at) {
        b->failed = true;
        b->at = b->at_max;
        return 0;
    }
    if (LIKELY(byte + 8 <= b->size)) {
        word = bytes_get64_big(b->data + byte);
    } else {
        for (size_t i = 0; i < 8; i++)
            word = word << 8 | (byte + i < b->size ? b->data[byte + i] : 0);
    }
    word = word << (b->at & 7) >> (64 - count);
    b->at += count;
    return word;
}

static uint64_t bits_read(struct bits *b, unsigned count)
{
    if (count <= 32)
        return bits_short(b, count);
    uint64_t high = bits_short(b, count - 32);
    return high << 32 | bits_short(b, 32);
}

/* How many ones stand in front of a zero, which is taken; at most `max` ones, then no zero. */
static unsigned bits_ones(struct bits *b, unsigned max)
{
    unsigned count = 0;
    while (count < max && bits_short(b, 1) == 1)
        count++;
    return count;
}

/* Numbers of n bits stand for -(2^(n-1) - 1) to 2^(n-1). */
static int64_t bits_signed(struct bits *b, unsigned count)
{
    uint64_t v = bits_read(b, count);
    if (count < 64 && v > UINT64_C(1) << (count - 1))
        v -= UINT64_C(1) << count;
    return (int64_t)v;
}

static const uint8_t varbit_sizes[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};

static int64_t varbit_int(struct bits *b)
{
    unsigned size = varbit_sizes[bits_ones(b, 8)];
    return size == 0 ? 0 : bits_signed(b, size);
}

static uint64_t varbit_uint(struct bits *b)
{
    unsigned size = varbit_sizes[bits_ones(b, 8)];
    return size == 0 ? 0 : bits_read(b, size);
}

/* A varint of whole bytes, wherever they begin. */
static uint64_t bits_varint(struct bits *b)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = bits_short(b, 8);
        v |= (byte & 127) << shift;
        if (byte < 128)
            return v;
    }
    b->failed = true;
    return 0;
}

/* A float as the XOR with the one before, in a window between leading and trailing zeros. */
struct xor_value {
    uint64_t bits;
    uint8_t leading, trailing; /* leading NO_WINDOW: none was named yet */
};

static void xor_first(struct bits *b, struct xor_value *v)
{
    *v = (struct xor_value){bits_read(b, 64), NO_WINDOW, 0};
}

static void xor_next(struct bits *b, struct xor_value *v)
{
    if (bits_short(b, 1) == 0)
        return;
    if (bits_short(b, 1) == 1) {
        unsigned leading = (unsigned)bits_short(b, 5);
        unsigned size = (unsigned)bits_short(b, 6);
        if (size == 0)
            size = 64;
        if (leading + size > 64) {
            b->failed = true;
            return;
        }
        v->leading = (uint8_t)leading;
        v->trailing = (uint8_t)(64 - leading - size);
    } else if (v->leading == NO_WINDOW) {
        b->failed = true;
        return;
    }
    v->bits ^= bits_read(b, 64U - v->leading - v->trailing) << v->trailing;
}

static bool check(const struct bits *b, unsigned sample, struct error *err)
{
    return !b->failed || error_set(err, ERR_CORRUPT, "sample %u of a chunk is malformed", sample);
}

/* ---- floats ------------------------------------------------------------------ */

static int64_t float_step(struct bits *b)
{
    static const uint8_t sizes[] = {0, 14, 17, 20, 64};
    unsigned size = sizes[bits_ones(b, 4)];
    return size == 0 ? 0 : bits_signed(b, size);
}

static bool decode_floats(struct slice data, const struct tsdb_chunk_sink *sink, struct error *err)
{
    struct bits b = bits_of(data);
    struct xor_value value = {0};
    uint64_t time = 0, delta = 0;
    unsigned count = (unsigned)bits_short(&b, 16);
    for (unsigned i = 0; i < count && check(&b, i, err); i++) {
        if (i == 0) {
            time = (uint64_t)zigzag_decode(bits_varint(&b));
            xor_first(&b, &value);
        } else {
            delta = i == 1 ? bits_varint(&b) : delta + (uint64_t)float_step(&b);
            time += delta;
            xor_next(&b, &value);
        }
        if (!b.failed && !sink->sample(sink->context, (int64_t)time, double_from_bits(value.bits)))
            return false;
    }
    return check(&b, count, err);
}

/* ---- histograms ---------------------------------------------------------------- */

/* A bucket's column: of an integer histogram a number, its change and the change's change. */
struct bucket {
    int64_t value, delta;
    struct xor_value real;
};

struct side {
    struct histogram_span *spans;
    size_t span_count, count;
    struct bucket *buckets;
    double *out;
};

struct decoding {
    struct bits bits;
    struct arena *arena;
    bool integer;
    enum counter_reset_hint first_hint, next_hint;
    struct histogram shape; /* what all samples share */
    double *custom;
    struct side positive, negative;
    uint64_t time, time_delta;
    struct bucket count, zero;
    struct xor_value sum;
};

static bool out_of_memory(const struct decoding *d, struct error *err)
{
    return arena_check(d->arena, "a histogram", err);
}

static bool read_spans(struct decoding *d, struct side *side, struct error *err)
{
    uint64_t count = varbit_uint(&d->bits), buckets = 0;
    if (d->bits.failed || count > HISTOGRAM_BUCKETS_MAX)
        return error_set(err, ERR_CORRUPT, "a histogram with over %d spans", HISTOGRAM_BUCKETS_MAX);
    side->span_count = (size_t)count;
    side->spans = arena_calloc(d->arena, side->span_count + 1, sizeof(*side->spans));
    if (side->spans == NULL)
        return out_of_memory(d, err);
    for (size_t i = 0; i < side->span_count; i++) {
        uint64_t length = varbit_uint(&d->bits);
        int64_t offset = varbit_int(&d->bits);
        buckets += length;
        if (d->bits.failed || length > HISTOGRAM_BUCKETS_MAX || buckets > HISTOGRAM_BUCKETS_MAX ||
            offset > INT32_MAX || offset < INT32_MIN)
            return error_set(err, ERR_CORRUPT, "a histogram with a malformed span");
        side->spans[i] = (struct histogram_span){(int32_t)offset, (uint32_t)length};
    }
    side->count = (size_t)buckets;
    side->buckets = arena_calloc(d->arena, side->count + 1, sizeof(*side->buckets));
    side->out = arena_calloc(d->arena, side->count + 1, sizeof(*side->out));
    return side->buckets && side->out ? true : out_of_memory(d, err);
}

static double read_zero_threshold(struct bits *b)
{
    unsigned byte = (unsigned)bits_short(b, 8);
    if (byte == 0)
        return 0;
    return byte == 255 ? double_from_bits(bits_read(b, 64)) : ldexp(0.5, (int)byte - 243);
}

static bool read_bounds(struct decoding *d, struct error *err)
{
    uint64_t count = varbit_uint(&d->bits);
    if (d->bits.failed || count > HISTOGRAM_BUCKETS_MAX)
        return error_set(err, ERR_CORRUPT, "a histogram with over %d bounds",
                         HISTOGRAM_BUCKETS_MAX);
    d->shape.custom_count = (size_t)count;
    d->custom = arena_calloc(d->arena, d->shape.custom_count + 1, sizeof(*d->custom));
    if (d->custom == NULL)
        return out_of_memory(d, err);
    for (size_t i = 0; i < d->shape.custom_count; i++) {
        uint64_t thousandths = varbit_uint(&d->bits); /* and 1; 0: the float follows */
        d->custom[i] = thousandths == 0 ? double_from_bits(bits_read(&d->bits, 64))
                                        : (double)(thousandths - 1) / 1000;
    }
    d->shape.custom = d->custom;
    return check(&d->bits, 0, err);
}

static bool read_layout(struct decoding *d, struct error *err)
{
    d->shape.zero_threshold = read_zero_threshold(&d->bits);
    int64_t schema = varbit_int(&d->bits);
    bool custom = schema == HISTOGRAM_SCHEMA_CUSTOM;
    if (d->bits.failed ||
        (!custom && (schema < HISTOGRAM_SCHEMA_MIN || schema > HISTOGRAM_SCHEMA_MAX)))
        return error_set(err, ERR_CORRUPT, "a histogram of unknown schema %lld", (long long)schema);
    d->shape.schema = (int32_t)schema;
    d->shape.integer = d->integer;
    return read_spans(d, &d->positive, err) && read_spans(d, &d->negative, err) &&
           (!custom || read_bounds(d, err));
}

/* A count: its first value, or its next. */
static void read_number(struct decoding *d, struct bucket *n, bool first, bool is_signed)
{
    if (!d->integer) {
        if (first)
            xor_first(&d->bits, &n->real);
        else
            xor_next(&d->bits, &n->real);
    } else if (first) {
        n->value = is_signed ? varbit_int(&d->bits) : (int64_t)varbit_uint(&d->bits);
    } else {
        n->delta = (int64_t)((uint64_t)n->delta + (uint64_t)varbit_int(&d->bits));
        n->value = (int64_t)((uint64_t)n->value + (uint64_t)n->delta);
    }
}

static double number_of(const struct decoding *d, const struct bucket *n)
{
    return d->integer ? (double)(uint64_t)n->value : double_from_bits(n->real.bits);
}

/* Integer buckets are differences from the bucket before. */
static void read_side(struct decoding *d, struct side *side, bool first)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < side->count && !d->bits.failed; i++) {
        struct bucket *n = &side->buckets[i];
        read_number(d, n, first, true);
        sum += (uint64_t)n->value;
        side->out[i] = d->integer ? (double)(int64_t)sum : double_from_bits(n->real.bits);
    }
}

static struct histogram_side side_out(const struct side *side)
{
    return (struct histogram_side){side->spans, side->span_count, side->out, side->count};
}

/* Of a stale sample only the sum counts. */
static struct histogram histogram_out(const struct decoding *d, bool first)
{
    if (d->sum.bits == stale_bits)
        return (struct histogram){.integer = d->integer, .sum = double_from_bits(d->sum.bits)};
    struct histogram h = d->shape;
    h.hint = first ? d->first_hint : d->next_hint;
    h.count = number_of(d, &d->count);
    h.zero_count = number_of(d, &d->zero);
    h.sum = double_from_bits(d->sum.bits);
    h.positive = side_out(&d->positive);
    h.negative = side_out(&d->negative);
    return h;
}

static void read_histogram(struct decoding *d, bool first)
{
    if (first) {
        d->time = (uint64_t)varbit_int(&d->bits);
    } else {
        d->time_delta += (uint64_t)varbit_int(&d->bits);
        d->time += d->time_delta;
    }
    read_number(d, &d->count, first, false);
    read_number(d, &d->zero, first, false);
    if (first)
        xor_first(&d->bits, &d->sum);
    else
        xor_next(&d->bits, &d->sum);
    if (!first && d->sum.bits == stale_bits)
        return;
    read_side(d, &d->positive, first);
    read_side(d, &d->negative, first);
}

static bool decode_histograms(struct slice data, bool integer, struct arena *arena,
                              const struct tsdb_chunk_sink *sink, struct error *err)
{
    struct decoding d = {.bits = bits_of(data), .arena = arena, .integer = integer};
    unsigned count = (unsigned)bits_short(&d.bits, 16);
    unsigned flags = (unsigned)bits_short(&d.bits, 8) & FLAGS_GAUGE;
    d.first_hint = flags == FLAGS_GAUGE       ? HISTOGRAM_GAUGE
                   : flags == FLAGS_RESET     ? HISTOGRAM_RESET
                   : flags == FLAGS_NOT_RESET ? HISTOGRAM_NOT_RESET
                                              : HISTOGRAM_RESET_UNKNOWN;
    d.next_hint = flags == FLAGS_GAUGE ? HISTOGRAM_GAUGE : HISTOGRAM_NOT_RESET;
    arena_reset(arena);
    if (count > 0 && !read_layout(&d, err))
        return false;
    for (unsigned i = 0; i < count; i++) {
        read_histogram(&d, i == 0);
        if (!check(&d.bits, i, err))
            return false;
        struct histogram h = histogram_out(&d, i == 0);
        if (!sink->histogram(sink->context, (int64_t)d.time, &h))
            return false;
    }
    return check(&d.bits, count, err);
}

bool tsdb_chunk_decode(const struct tsdb_chunk *chunk, struct arena *arena,
                       const struct tsdb_chunk_sink *sink, struct error *err)
{
    switch (chunk->encoding) {
    case ENCODING_XOR:
        return decode_floats(chunk->data, sink, err);
    case ENCODING_HISTOGRAM:
    case ENCODING_FLOAT_HISTOGRAM:
        return decode_histograms(chunk->data, chunk->encoding == ENCODING_HISTOGRAM, arena, sink,
                                 err);
    default:
        return error_set(err, ERR_UNSUPPORTED,
                         "chunk encoding %d; known are 1 (XOR), 2 (histogram), 3 (float histogram)",
                         chunk->encoding);
    }
}
