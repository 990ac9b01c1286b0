/*
 * wal_record.h - records of the log as bytes (docs/format-wal.md).
 *
 * Writing appends to a buffer: wal_record_begin, the payload, wal_record_end.
 * Reading never trusts a byte: what comes out is checked for shape, the payload's
 * inside is checked by whoever decodes it.
 */
#ifndef STORAGE_WAL_RECORD_H
#define STORAGE_WAL_RECORD_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/labels.h"
#include "storage/producers.h"
#include "storage/store.h"

enum {
    WAL_HEADER_SIZE = 64,
    WAL_RECORD_HEAD = 24,
    WAL_VERSION = 4, /* 3: without packed entries; 2: exemplars; 1: tombstones */
    WAL_DURABLE = 1, /* segment flag */
    WAL_PAYLOAD_MAX = 256 * 1024 * 1024,
    WAL_LABELS_MAX = 65535
};

enum wal_type {
    WAL_SERIES = 1,
    WAL_SAMPLES = 2,
    WAL_ENTRIES = 3,
    WAL_METADATA = 4,
    WAL_PRODUCERS = 5,
    WAL_TOMBSTONE = 6,
    WAL_EXEMPLARS = 7,
    WAL_PACKED_ENTRIES = 8
};

struct wal_segment_header {
    uint32_t version, flags;
    uint64_t number, first_lsn;
    int64_t created_ns;
    int64_t window_ns[STORE_KINDS];
};
void wal_header_write(const struct wal_segment_header *header, uint8_t out[WAL_HEADER_SIZE]);
/* False when magic or checksum are wrong. */
bool wal_header_read(const uint8_t bytes[WAL_HEADER_SIZE], struct wal_segment_header *header);

struct wal_record {
    uint64_t lsn;
    uint32_t size; /* of the payload */
    uint32_t in_group;
    uint8_t type;
    struct slice payload;
};

/* Where the record starts in `out`; the payload is appended next. */
size_t wal_record_begin(struct buffer *out, uint64_t lsn, enum wal_type type, uint32_t in_group);
void wal_record_end(struct buffer *out, size_t start);

/* The head alone; false when its size or type is impossible. */
bool wal_record_peek(const uint8_t head[WAL_RECORD_HEAD], struct wal_record *record);
/* `bytes` is head and payload. */
bool wal_record_verify(struct slice bytes);

/* ---- payloads ---------------------------------------------------------- */

struct wal_series {
    uint32_t id;
    bool has_last;
    int64_t last_ns;
    uint64_t last_bits;
};
void wal_series_write(struct buffer *out, const struct wal_series *series, struct labels labels);
/* `items` has room for WAL_LABELS_MAX; false when malformed. */
bool wal_series_read(struct reader *in, struct wal_series *series, struct label *items,
                     size_t *count) MUST_CHECK;

/* The head of a samples or entries record. */
struct wal_batch {
    struct slice tenant;
    enum store_kind kind;
    bool has_producer;
    struct batch_id id;    /* when has_producer */
    struct slice metadata; /* a metadata list, or empty */
    bool has_window;       /* the tenant has an out-of-order window of its own: */
    int64_t window_ns;
    uint64_t series_count;
};
void wal_batch_write(struct buffer *out, const struct wal_batch *batch); /* ids follow */
bool wal_batch_read(struct reader *in, struct wal_batch *batch) MUST_CHECK;

/* Behind the ids of a record of packed entries: the entries, in `scratch`.  False: malformed. */
bool wal_entries_unpack(struct reader *in, struct buffer *scratch, struct slice *body) MUST_CHECK;

#endif
