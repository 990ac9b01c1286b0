/*
 * tsdb_index.c - see tsdb_index.h.
 *
 *     file:    magic 0xBAAAD700, version, sections, then a table of contents of 52 bytes:
 *              offsets of symbols, series, label indexes, their table, postings, their
 *              table (eight bytes each, big-endian), CRC-32C
 *     symbols: size (4), number (4), each as uvarint size and bytes; CRC-32C
 *     series:  each at a multiple of 16: uvarint size, content, CRC-32C.  Content: number of
 *              labels, pairs of symbols; number of chunks, times and places as differences
 *
 * A symbol is named by its number (version 2) or by its offset in the file (1).
 */
#include "wire/tsdb_index.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "wire/crc32c.h"
#include "wire/ingest.h"

enum { CONTENTS_SIZE = 52, HEADER_SIZE = 5, SERIES_ALIGN = 16, TOMBSTONES_FRAME = 9 };

struct tsdb_index {
    struct slice file;
    int version;
    size_t symbols_at, symbols_end; /* of the strings */
    ARRAY(size_t) symbols;          /* offsets, version 2 */
    size_t at, end;                 /* of the series not read yet */
    ARRAY(struct label) labels;
    ARRAY(struct tsdb_chunk_place) chunks;
};

static bool corrupt(size_t offset, const char *what, struct error *err)
{
    return error_set(err, ERR_CORRUPT, "offset %zu: %s", offset, what);
}

/* Four bytes of size, the content, its checksum. */
static bool section_read(struct slice file, uint64_t at, struct slice *content, struct error *err)
{
    if (at > file.size || file.size - at < 8)
        return error_set(err, ERR_CORRUPT, "a section at offset %llu of %zu bytes",
                         (unsigned long long)at, file.size);
    const char *from = file.data + at;
    uint64_t size = bytes_get32_big(from);
    if (size > file.size - at - 8)
        return corrupt((size_t)at, "a section longer than its file", err);
    *content = slice_of(from + 4, (size_t)size);
    return crc32c(*content) == bytes_get32_big(from + 4 + size) ||
           corrupt((size_t)at, "a section fails its checksum", err);
}

static bool symbols_read(struct tsdb_index *x, uint64_t at, struct error *err)
{
    struct slice content;
    if (!section_read(x->file, at, &content, err))
        return false;
    if (content.size < 4)
        return corrupt((size_t)at, "no number of symbols", err);
    uint32_t count = bytes_get32_big(content.data);
    struct reader in = reader_of(slice_skip(content, 4));
    const uint8_t *file = (const uint8_t *)x->file.data;
    x->symbols_at = (size_t)at + 8;
    x->symbols_end = (size_t)at + 4 + content.size;
    for (uint32_t i = 0; i < count && !in.failed; i++) {
        array_push(&x->symbols, (size_t)(in.at - file));
        (void)read_sized(&in);
    }
    return !in.failed || corrupt((size_t)(in.at - file), "symbols end early", err);
}

static bool symbol_get(const struct tsdb_index *x, uint64_t ref, struct slice *text)
{
    size_t at;
    if (x->version == 1) {
        if (ref < x->symbols_at || ref >= x->symbols_end)
            return false;
        at = (size_t)ref;
    } else {
        if (ref >= x->symbols.count)
            return false;
        at = x->symbols.items[ref];
    }
    struct reader in = reader_of(slice_sub(x->file, at, x->symbols_end - at));
    *text = read_sized(&in);
    return !in.failed;
}

/* Series lie from their offset to the next section. */
static bool contents_read(struct tsdb_index *x, struct error *err)
{
    enum { SYMBOLS, SERIES, SECTIONS = 6 };
    size_t at = x->file.size - CONTENTS_SIZE;
    const char *from = x->file.data + at;
    uint64_t offsets[SECTIONS], end = at;
    if (crc32c(slice_of(from, CONTENTS_SIZE - 4)) != bytes_get32_big(from + CONTENTS_SIZE - 4))
        return corrupt(at, "the table of contents fails its checksum", err);
    for (int i = 0; i < SECTIONS; i++)
        offsets[i] = bytes_get64_big(from + 8 * i);
    for (int i = 0; i < SECTIONS; i++)
        if (offsets[i] > offsets[SERIES] && offsets[i] < end)
            end = offsets[i];
    if (offsets[SERIES] > at)
        return corrupt(at, "the series lie behind the file's end", err);
    x->at = (size_t)offsets[SERIES];
    x->end = offsets[SERIES] == 0 ? 0 : (size_t)end;
    return offsets[SYMBOLS] == 0 || symbols_read(x, offsets[SYMBOLS], err);
}

struct tsdb_index *tsdb_index_open(struct slice file, struct error *err)
{
    if (file.size < HEADER_SIZE + CONTENTS_SIZE || bytes_get32_big(file.data) != 0xbaaad700)
        return error_null(err, ERR_CORRUPT, "offset 0: not an index");
    int version = (uint8_t)file.data[4];
    if (version != 1 && version != 2)
        return error_null(err, ERR_UNSUPPORTED, "offset 4: index version %d is not known", version);
    struct tsdb_index *x = xcalloc(1, sizeof(*x));
    x->file = file;
    x->version = version;
    if (contents_read(x, err))
        return x;
    tsdb_index_free(x);
    return NULL;
}

void tsdb_index_free(struct tsdb_index *x)
{
    if (x == NULL)
        return;
    array_done(&x->symbols);
    array_done(&x->labels);
    array_done(&x->chunks);
    free(x);
}

/* ---- series --------------------------------------------------------------------- */

static bool labels_read(struct tsdb_index *x, struct reader *in, size_t at, struct error *err)
{
    uint64_t count = read_varint(in);
    x->labels.count = 0;
    if (in->failed || count > INGEST_LABELS_MAX)
        return error_set(err, ERR_CORRUPT, "offset %zu: a series with over %d labels", at,
                         INGEST_LABELS_MAX);
    for (uint64_t i = 0; i < count; i++) {
        struct label label;
        uint64_t name = read_varint(in), value = read_varint(in);
        if (in->failed || !symbol_get(x, name, &label.name) || !symbol_get(x, value, &label.value))
            return corrupt(at, "a series with a malformed label", err);
        array_push(&x->labels, label);
    }
    return true;
}

static bool chunks_read(struct tsdb_index *x, struct reader *in, size_t at, struct error *err)
{
    uint64_t count = read_varint(in), ref = 0;
    int64_t time = 0;
    x->chunks.count = 0;
    if (in->failed || count > reader_left(in))
        return corrupt(at, "a series with more chunks than bytes", err);
    for (uint64_t i = 0; i < count; i++) {
        struct tsdb_chunk_place place;
        uint64_t step = i == 0 ? (uint64_t)read_zigzag(in) : read_varint(in);
        uint64_t length = read_varint(in);
        bool fits = i == 0 || step <= INT64_MAX;
        if (i == 0)
            place.first_ms = (int64_t)step;
        else
            fits = fits && !__builtin_add_overflow(time, (int64_t)step, &place.first_ms);
        fits = fits && length <= INT64_MAX &&
               !__builtin_add_overflow(place.first_ms, (int64_t)length, &place.last_ms);
        ref += i == 0 ? read_varint(in) : (uint64_t)read_zigzag(in);
        if (in->failed || !fits)
            return corrupt(at, "a series with a malformed chunk", err);
        place.file = (uint32_t)(ref >> 32);
        place.offset = (uint32_t)ref;
        time = place.last_ms;
        array_push(&x->chunks, place);
    }
    return true;
}

static size_t series_start(const struct tsdb_index *x)
{
    return (x->at + SERIES_ALIGN - 1) / SERIES_ALIGN * SERIES_ALIGN;
}

bool tsdb_index_next(struct tsdb_index *x, struct tsdb_series *series, bool *found,
                     struct error *err)
{
    size_t at = series_start(x);
    *found = false;
    while (at < x->end && x->file.data[at] == 0) /* padding; no series is empty */
        at += SERIES_ALIGN;
    if (at >= x->end)
        return true;
    struct reader in = reader_of(slice_sub(x->file, at, x->end - at));
    struct slice content = read_sized(&in), sum = read_bytes(&in, 4);
    if (in.failed)
        return corrupt(at, "a series that ends behind its section", err);
    if (crc32c(content) != bytes_get32_big(sum.data))
        return corrupt(at, "a series fails its checksum", err);
    x->at = (size_t)((const char *)in.at - x->file.data);
    struct reader fields = reader_of(content);
    if (!labels_read(x, &fields, at, err) || !chunks_read(x, &fields, at, err))
        return false;
    *series = (struct tsdb_series){.ref = x->version == 1 ? at : at / SERIES_ALIGN,
                                   .labels = x->labels.items,
                                   .label_count = x->labels.count,
                                   .chunks = x->chunks.items,
                                   .chunk_count = x->chunks.count};
    *found = true;
    return true;
}

/* ---- tombstones ------------------------------------------------------------------- */

static int by_series(const void *a, const void *b)
{
    const struct tsdb_tombstone *x = a, *y = b;
    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return x->first_ms < y->first_ms ? -1 : x->first_ms > y->first_ms;
}

bool tsdb_tombstones_read(struct slice file, struct tsdb_tombstones *out, struct error *err)
{
    if (file.size < TOMBSTONES_FRAME || bytes_get32_big(file.data) != 0x0130ba30)
        return corrupt(0, "not a file of tombstones", err);
    if (file.data[4] != 1)
        return error_set(err, ERR_UNSUPPORTED, "offset 4: version %d of tombstones is not known",
                         (uint8_t)file.data[4]);
    struct slice stones = slice_sub(file, 5, file.size - TOMBSTONES_FRAME);
    if (crc32c(stones) != bytes_get32_big(file.data + file.size - 4))
        return corrupt(file.size - 4, "the tombstones fail their checksum", err);
    struct reader in = reader_of(stones);
    while (reader_left(&in) > 0) {
        size_t at = file.size - 4 - reader_left(&in);
        struct tsdb_tombstone stone = {.ref = read_varint(&in)};
        stone.first_ms = read_zigzag(&in);
        stone.last_ms = read_zigzag(&in);
        if (in.failed)
            return corrupt(at, "a malformed tombstone", err);
        array_push(out, stone);
    }
    if (out->count > 1)
        qsort(out->items, out->count, sizeof(*out->items), by_series);
    return true;
}

bool tsdb_tombstones_cover(const struct tsdb_tombstones *tombstones, uint64_t ref, int64_t time_ms)
{
    size_t low = 0, high = tombstones->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tombstones->items[middle].ref < ref)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < tombstones->count && tombstones->items[low].ref == ref; low++) {
        const struct tsdb_tombstone *stone = &tombstones->items[low];
        if (stone->first_ms <= time_ms && time_ms <= stone->last_ms)
            return true;
    }
    return false;
}
