/*
 * chunk.c - the header of all chunks, and metric chunks (see chunk.h).
 *
 *     byte 0   version (high half), kind (low half)
 *     byte 1   unit of times (high half), flags (low half)
 *     2-5      checksum: XXH3 over what follows, seeded with bytes 0 and 1
 *     varints  count, first time (zigzag, in units), last - first, highest LSN
 *     samples: varint size of the time column, time column, value column
 *     entries: see chunk_log.c; the checksum covers up to its column table's end
 *     rich:    see chunk_rich.c
 *
 * The header has one form only, so a partition can keep its fields elsewhere
 * and put the same bytes together again.
 */
#include "storage/chunk.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "storage/chunk_internal.h"
#include "storage/chunk_rich.h"
#include "storage/chunk_values.h"
#include "storage/integers.h"
#include "storage/simd.h"

enum {
    FIXED_SIZE = 6,
    TIMES_REGULAR = 0, /* first, last and count say it all */
    TIMES_INTEGERS = 1 /* a column of integers, relative to the first */
};

static const int64_t unit_ns[CHUNK_UNITS] = {1, 1000, 1000000, 1000000000};

int64_t chunk_unit_ns(unsigned unit)
{
    return unit_ns[unit];
}

/* Constant divisors: the compiler makes them multiplications. */
static inline bool is_whole(int64_t time_ns, unsigned unit)
{
    switch (unit) {
    case 3:
        return time_ns % 1000000000 == 0;
    case 2:
        return time_ns % 1000000 == 0;
    case 1:
        return time_ns % 1000 == 0;
    default:
        return true;
    }
}

int64_t chunk_time_in_units(int64_t time_ns, unsigned unit)
{
    switch (unit) {
    case 3:
        return time_ns / 1000000000;
    case 2:
        return time_ns / 1000000;
    case 1:
        return time_ns / 1000;
    default:
        return time_ns;
    }
}

unsigned chunk_unit_find(const int64_t *times_ns, size_t count)
{
    unsigned unit = CHUNK_UNITS - 1;
    for (size_t i = 0; i < count; i++)
        while (!is_whole(times_ns[i], unit))
            unit--;
    return unit;
}

uint32_t chunk_checksum(uint8_t head0, uint8_t head1, struct slice covered)
{
    return (uint32_t)hash64(covered.data, covered.size, (uint64_t)head0 | (uint64_t)head1 << 8);
}

void chunk_header_put(const struct chunk_header *h, unsigned unit, struct buffer *out)
{
    buffer_put8(out, (uint8_t)(CHUNK_VERSION << 4 | h->kind));
    buffer_put8(out, (uint8_t)(unit << 4 | h->flags));
    buffer_put32(out, h->checksum);
    buffer_put_varint(out, h->count);
    buffer_put_zigzag(out, h->first_ns / unit_ns[unit]);
    buffer_put_varint(out,
                      ((uint64_t)h->last_ns - (uint64_t)h->first_ns) / (uint64_t)unit_ns[unit]);
    buffer_put_varint(out, h->lsn_max);
}

bool chunk_header_get(struct reader *r, struct chunk_header *h, unsigned *unit, struct error *err)
{
    uint8_t head0 = read8(r), head1 = read8(r);
    struct chunk_header got = {.kind = (enum chunk_kind)(head0 & 15), .flags = head1 & 15};
    *unit = head1 >> 4;
    got.checksum = read32(r);
    uint64_t count = read_varint(r);
    int64_t first = read_zigzag(r);
    uint64_t span = read_varint(r);
    got.lsn_max = read_varint(r);
    if (!r->failed && head0 >> 4 > CHUNK_VERSION)
        return error_set(err, ERR_UNSUPPORTED, "chunk has version %d, this program reads up to %d",
                         head0 >> 4, CHUNK_VERSION);
    if (r->failed || head0 >> 4 == 0 || got.kind < CHUNK_SAMPLES || got.kind > CHUNK_RICH ||
        *unit >= CHUNK_UNITS || (got.flags & ~(unsigned)(CHUNK_OUT_OF_ORDER | CHUNK_OVERLAPS)) != 0)
        return error_set(err, ERR_CORRUPT, "chunk has a malformed header");
    uint64_t count_max = got.kind == CHUNK_SAMPLES   ? CHUNK_SAMPLES_MAX
                         : got.kind == CHUNK_ENTRIES ? CHUNK_ENTRIES_MAX
                                                     : CHUNK_RICH_MAX;
    if (count == 0 || count > count_max)
        return error_set(err, ERR_CORRUPT, "chunk claims %ju entries, the limit is %ju",
                         (uintmax_t)count, (uintmax_t)count_max);
    uint64_t scaled_span;
    if (__builtin_mul_overflow(first, unit_ns[*unit], &got.first_ns) ||
        __builtin_mul_overflow(span, (uint64_t)unit_ns[*unit], &scaled_span) ||
        scaled_span > (uint64_t)INT64_MAX - (uint64_t)got.first_ns)
        return error_set(err, ERR_CORRUPT, "chunk claims an impossible time range");
    got.last_ns = (int64_t)((uint64_t)got.first_ns + scaled_span);
    got.count = (uint32_t)count;
    *h = got;
    return true;
}

bool chunk_peek(struct slice chunk, struct chunk_header *header, struct error *err)
{
    struct reader r = reader_of(chunk);
    unsigned unit;
    return chunk_header_get(&r, header, &unit, err);
}

bool chunk_split(struct slice chunk, struct chunk_parts *parts, struct error *err)
{
    struct reader r = reader_of(chunk);
    struct chunk_parts got = {0};
    unsigned unit;
    if (!chunk_header_get(&r, &got.header, &unit, err))
        return false;
    got.unit = (uint8_t)unit;
    if (got.header.kind == CHUNK_SAMPLES) {
        got.times = read_sized(&r);
        if (r.failed)
            return error_set(err, ERR_CORRUPT, "chunk ends inside its times");
    }
    got.rest = slice_of(r.at, reader_left(&r));
    *parts = got;
    return true;
}

bool chunk_join(const struct chunk_parts *parts, struct buffer *out, struct error *err)
{
    chunk_header_put(&parts->header, parts->unit, out);
    if (parts->header.kind == CHUNK_SAMPLES)
        buffer_put_sized(out, parts->times);
    buffer_append_slice(out, parts->rest);
    return buffer_check(out, "a chunk", err);
}

bool chunk_verify(struct slice chunk, struct error *err)
{
    struct reader r = reader_of(chunk);
    struct chunk_header h;
    unsigned unit;
    if (!chunk_header_get(&r, &h, &unit, err))
        return false;
    size_t covered = chunk.size;
    if (h.kind == CHUNK_ENTRIES && !chunk_entries_table(chunk, &covered, err))
        return false;
    uint32_t sum = chunk_checksum((uint8_t)chunk.data[0], (uint8_t)chunk.data[1],
                                  slice_of(chunk.data + FIXED_SIZE, covered - FIXED_SIZE));
    if (sum != h.checksum)
        return error_set(err, ERR_CORRUPT, "chunk has checksum %08x instead of %08x", sum,
                         h.checksum);
    return true;
}

void chunk_seal_checksum(struct buffer *out, size_t start)
{
    if (out->failed)
        return;
    char *chunk = out->data + start;
    uint32_t sum = chunk_checksum((uint8_t)chunk[0], (uint8_t)chunk[1],
                                  slice_of(chunk + FIXED_SIZE, out->size - start - FIXED_SIZE));
    bytes_put32(chunk + 2, sum);
}

/* ---- samples ------------------------------------------------------------ */

/* Do the times lie at equal distances? */
static bool times_are_regular(const int64_t *times_ns, size_t count)
{
    if (count < 2)
        return true;
    uint64_t step = (uint64_t)times_ns[1] - (uint64_t)times_ns[0];
    for (size_t i = 2; i < count; i++)
        if ((uint64_t)times_ns[i] - (uint64_t)times_ns[i - 1] != step)
            return false;
    return true;
}

/* The column of times that are not regular. */
static void times_encode(const int64_t *times_ns, size_t count, unsigned unit, struct buffer *out)
{
    int64_t stack[1024];
    int64_t *units = count > COUNT_OF(stack) ? xmalloc(count * sizeof(*units)) : stack;
    uint64_t first = (uint64_t)chunk_time_in_units(times_ns[0], unit);
    for (size_t i = 0; i < count; i++)
        units[i] = (int64_t)((uint64_t)chunk_time_in_units(times_ns[i], unit) - first);
    buffer_put8(out, TIMES_INTEGERS);
    integers_encode(units, count, true, out);
    if (units != stack)
        free(units);
}

bool chunk_encode_samples(const int64_t *times_ns, const double *values, size_t count,
                          uint64_t lsn_max, unsigned flags, struct buffer *out, struct error *err)
{
    if (count == 0 || count > CHUNK_SAMPLES_MAX)
        return error_set(err, ERR_LIMIT, "a chunk of %zu samples, the limit is %d", count,
                         CHUNK_SAMPLES_MAX);
    struct chunk_header h = {
        CHUNK_SAMPLES, flags, (uint32_t)count, times_ns[0], times_ns[count - 1], lsn_max, 0};
    size_t start = out->size;
    if (times_are_regular(times_ns, count)) {
        /* Two neighbours on whole units put all of them there. */
        chunk_header_put(&h, chunk_unit_find(times_ns, count < 2 ? count : 2), out);
        buffer_put_varint(out, 1);
        buffer_put8(out, TIMES_REGULAR);
    } else {
        AUTO(buffer_done) struct buffer times;
        buffer_init(&times, 4 * CHUNK_SAMPLES_MAX * sizeof(int64_t));
        unsigned unit = chunk_unit_find(times_ns, count);
        times_encode(times_ns, count, unit, &times);
        chunk_header_put(&h, unit, out);
        buffer_put_sized(out, buffer_slice(&times));
    }
    values_encode(values, count, out);
    chunk_seal_checksum(out, start);
    return buffer_check(out, "chunks", err);
}

/* The first index whose time is >= `bound`. */
static size_t lower_bound(const int64_t *times_ns, size_t count, int64_t bound)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (times_ns[middle] < bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The samples of a chunk that lie in a range of times: [from, to). */
struct window {
    int64_t start_ns, end_ns;
    size_t from, to;
};

static void regular_times(const struct chunk_header *h, struct window *w, int64_t *times_ns)
{
    uint64_t first = (uint64_t)h->first_ns;
    uint64_t step = h->count > 1 ? ((uint64_t)h->last_ns - first) / (h->count - 1) : 0;
    w->from = 0;
    w->to = h->count;
    if (step > 0 && w->start_ns > h->first_ns) {
        uint64_t ahead = (uint64_t)w->start_ns - first;
        uint64_t skip = ahead / step + (ahead % step != 0);
        w->from = skip < h->count ? (size_t)skip : h->count;
    }
    if (step > 0 && w->end_ns < h->last_ns)
        w->to = w->end_ns < h->first_ns ? 0 : (size_t)(((uint64_t)w->end_ns - first) / step + 1);
    if (w->from < w->to)
        simd_best()->line((uint64_t *)times_ns, w->to - w->from, first + w->from * step, step);
}

/* A bound as the column's numbers count: from the first time on, in units. */
static int64_t bound_in_units(const struct chunk_header *h, int64_t bound_ns, unsigned unit)
{
    if (bound_ns <= h->first_ns)
        return 0;
    uint64_t ahead = (uint64_t)bound_ns - (uint64_t)h->first_ns, scale = (uint64_t)unit_ns[unit];
    uint64_t units = ahead / scale + (ahead % scale != 0);
    return units > INT64_MAX ? INT64_MAX : (int64_t)units;
}

static bool integer_times(struct reader *r, const struct chunk_header *h, unsigned unit,
                          struct window *w, int64_t *times_ns)
{
    struct integers_column column;
    size_t first, from = 0, to = h->count;
    if (!integers_open(r, h->count, &column))
        return false;
    if (w->start_ns > h->first_ns)
        from = integers_from(&column, bound_in_units(h, w->start_ns, unit));
    if (w->end_ns < h->last_ns)
        to = integers_to(&column, bound_in_units(h, w->end_ns + 1, unit));
    if (from > to) /* a directory that lies */
        return false;
    if (!integers_read(&column, from, to, times_ns, &first))
        return false;
    uint64_t start = (uint64_t)h->first_ns, scale = (uint64_t)unit_ns[unit];
    size_t count = to - first;
    for (size_t i = 0; i < count; i++)
        times_ns[i] = (int64_t)(start + (uint64_t)times_ns[i] * scale);
    size_t skip = h->first_ns >= w->start_ns ? 0 : lower_bound(times_ns, count, w->start_ns);
    size_t end = h->last_ns <= w->end_ns ? count : lower_bound(times_ns, count, w->end_ns + 1);
    w->from = first + skip;
    w->to = first + end;
    if (skip > 0 && skip < end)
        memmove(times_ns, times_ns + skip, (end - skip) * sizeof(*times_ns));
    return true;
}

static bool times_decode(struct slice column, const struct chunk_header *h, unsigned unit,
                         struct window *w, int64_t *times_ns)
{
    struct reader r = reader_of(column);
    uint8_t mode = read8(&r);
    if (r.failed || mode > TIMES_INTEGERS)
        return false;
    if (mode == TIMES_INTEGERS)
        return integer_times(&r, h, unit, w, times_ns);
    regular_times(h, w, times_ns);
    return true;
}

bool chunk_decode_samples(struct slice chunk, int64_t start_ns, int64_t end_ns, int64_t *times_ns,
                          double *values, size_t *count, struct error *err)
{
    struct chunk_parts parts;
    if (!chunk_split(chunk, &parts, err) || !chunk_verify(chunk, err))
        return false;
    const struct chunk_header *h = &parts.header;
    struct window w = {start_ns, end_ns, 0, 0};
    if (h->kind != CHUNK_SAMPLES)
        return error_set(err, ERR_CORRUPT, "chunk holds something else than plain samples");
    if (start_ns > h->last_ns || end_ns < h->first_ns || start_ns > end_ns) {
        *count = 0;
        return true;
    }
    if (!times_decode(parts.times, h, parts.unit, &w, times_ns))
        return error_set(err, ERR_CORRUPT, "chunk has a malformed time column");
    if (w.from >= w.to) {
        *count = 0;
        return true;
    }
    if (values != NULL) {
        struct reader r = reader_of(parts.rest);
        if (!values_decode(&r, h->count, w.from, w.to, values))
            return error_set(err, ERR_CORRUPT, "chunk has a malformed value column");
    }
    *count = w.to - w.from;
    return true;
}
