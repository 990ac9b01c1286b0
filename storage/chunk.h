/*
 * chunk.h - a run of one series' entries as bytes, and back.
 *
 * A chunk is self-contained: a versioned header, a checksum over all of it,
 * and columns.  Metric chunks have a column of times and one of values; log
 * chunks have times, line lengths, text, structured metadata and (optionally)
 * ingest sequences, each of which can be decoded alone.  Values come back bit
 * for bit: NaN payloads, -0, infinities and denormals.  Times are stored in
 * the largest of 1 s, 1 ms, 1 us and 1 ns that divides them all, so that
 * millisecond data costs millisecond bits.
 *
 * Bytes are never trusted: every decoder checks the checksum and every size
 * before it uses it, and fails with ERR_CORRUPT.  The byte layout is in
 * docs/format-chunk.md.  Any thread; nothing here keeps state between calls.
 */
#ifndef STORAGE_CHUNK_H
#define STORAGE_CHUNK_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buffer;
struct error;

enum chunk_kind { CHUNK_SAMPLES = 1, CHUNK_ENTRIES = 2, CHUNK_RICH = 3 /* chunk_rich.h */ };

enum chunk_flags {
    CHUNK_OUT_OF_ORDER = 1, /* its LSN counts as the series' out-of-order one */
    CHUNK_OVERLAPS = 2      /* its range overlaps another chunk of the series */
};

enum {
    CHUNK_VERSION = 1,
    CHUNK_SAMPLES_MAX = 65536,         /* samples in a chunk */
    CHUNK_ENTRIES_MAX = 65536,         /* log entries in a chunk */
    CHUNK_TEXT_AIM = 256 * 1024,       /* cut a log chunk when its lines reach this */
    CHUNK_TEXT_SMALL = 16 * 1024,      /* below it a chunk's text is not compressed alone */
    CHUNK_TEXT_MAX = 16 * 1024 * 1024, /* lines of one chunk; one long line must fit */
    CHUNK_METADATA_MAX = 16 * 1024 * 1024,
    CHUNK_VECTOR = 128
};

/* What a chunk says about itself. */
struct chunk_header {
    enum chunk_kind kind;
    unsigned flags;
    uint32_t count;
    int64_t first_ns, last_ns;
    uint64_t lsn_max; /* of the batches that brought its entries */
    uint32_t checksum;
};

/* Read the header without checking the checksum: cheap.  ERR_CORRUPT when it is malformed. */
bool chunk_peek(struct slice chunk, struct chunk_header *header, struct error *err) MUST_CHECK;

/* ---- metric samples ---------------------------------------------------- */

/*
 * Append the chunk of `count` samples (1..CHUNK_SAMPLES_MAX) to `out`.  Times
 * strictly ascend.  Fails with ERR_LIMIT when `out` is at its limit.
 */
bool chunk_encode_samples(const int64_t *times_ns, const double *values, size_t count,
                          uint64_t lsn_max, unsigned flags, struct buffer *out, struct error *err)
    MUST_CHECK;

/* How many items the arrays given to chunk_decode_samples must have room for. */
static inline size_t chunk_room(size_t count)
{
    return count + CHUNK_VECTOR;
}

/*
 * Decode the samples with start_ns <= time <= end_ns to the front of the
 * arrays, each with room for chunk_room(header count) items (what lies behind
 * `*count` is scratch).  `values` may be NULL.
 */
bool chunk_decode_samples(struct slice chunk, int64_t start_ns, int64_t end_ns, int64_t *times_ns,
                          double *values, size_t *count, struct error *err) MUST_CHECK;

/* ---- log entries ------------------------------------------------------- */

enum chunk_column {
    CHUNK_TIMES = 1,
    CHUNK_LENGTHS = 2,
    CHUNK_LINES = 4, /* gives lengths, too */
    CHUNK_METADATA = 8,
    CHUNK_SEQUENCES = 16,
    CHUNK_FILTER = 32 /* checks it, gives nothing */
};

/* How hard text is compressed.  Small chunks stay plain and are compressed with their neighbours.
 */
enum chunk_level { CHUNK_LEVEL_HOT = 0, CHUNK_LEVEL_CLOSED, CHUNK_LEVEL_PLAIN };

/*
 * Entries in the order (time, ingest sequence), as columns.  For encoding
 * `lengths` is not needed (it comes from the lines).
 */
struct chunk_entries {
    const int64_t *times_ns;
    const uint32_t *lengths;
    const struct slice *lines;
    const struct labels *metadata; /* NULL: no entry has any */
    const uint64_t *sequences;     /* NULL: not kept; any number that grows with ingest order */
    size_t count;
    enum chunk_level level; /* for encoding: of text and metadata */
    bool skip_index;        /* when encoding: add a filter over the lines (line_index.h) */
};

/*
 * Append the chunk of `entries` (1..CHUNK_ENTRIES_MAX; times ascend, equal
 * times are fine) to `out`.  ERR_LIMIT over CHUNK_TEXT_MAX, CHUNK_METADATA_MAX
 * or the limit of `out`.
 */
bool chunk_encode_entries(const struct chunk_entries *entries, uint64_t lsn_max, unsigned flags,
                          struct buffer *out, struct error *err) MUST_CHECK;

/*
 * Decode the wanted `columns` (chunk_column bits) of all entries into `arena`;
 * the others are NULL.  Wanted metadata or sequences that the chunk does not
 * have are NULL, too.  Checks the header's and the wanted columns' checksums.
 */
bool chunk_decode_entries(struct slice chunk, unsigned columns, struct arena *arena,
                          struct chunk_entries *entries, struct error *err) MUST_CHECK;

/* The same column by column, from bytes that stay where they are. */
enum { CHUNK_COLUMNS_MAX = 8 };

struct entries_column {
    uint8_t id, encoding;
    uint64_t plain_size, stored_size;
    uint32_t checksum;
    struct slice stored;
};

struct entries_view {
    struct chunk_header header;
    unsigned unit;
    struct entries_column columns[CHUNK_COLUMNS_MAX];
    size_t count;
};

struct chunk_parts;
/* Checks header and column table, no column. */
bool chunk_entries_open(const struct chunk_parts *parts, struct entries_view *view,
                        struct error *err) MUST_CHECK;
/* As chunk_decode_entries. */
bool chunk_entries_load(const struct entries_view *view, unsigned columns, struct arena *arena,
                        struct chunk_entries *entries, struct error *err) MUST_CHECK;
/* All lines, one behind the other. */
bool chunk_entries_text(const struct entries_view *view, struct arena *arena, struct slice *text,
                        struct error *err) MUST_CHECK;
/* The filter over the lines as it is stored, unchecked; empty: none. */
struct slice chunk_entries_filter(const struct entries_view *view);

/* ---- for partitions ---------------------------------------------------- */

/*
 * A chunk taken apart: a partition keeps the header in its directory, shares
 * equal time columns and puts the same bytes together again on reading.
 */
struct chunk_parts {
    struct chunk_header header;
    uint8_t unit;       /* of the times: 0 ns, 1 us, 2 ms, 3 s */
    struct slice times; /* the encoded time column of samples; empty for entries */
    struct slice rest;
};
bool chunk_split(struct slice chunk, struct chunk_parts *parts, struct error *err) MUST_CHECK;
bool chunk_join(const struct chunk_parts *parts, struct buffer *out, struct error *err) MUST_CHECK;

/* ERR_CORRUPT unless the checksum of the whole chunk (entries: its header) is right. */
bool chunk_verify(struct slice chunk, struct error *err) MUST_CHECK;

#endif
