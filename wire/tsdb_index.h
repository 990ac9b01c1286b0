/*
 * tsdb_index.h - reading the index and the tombstones of a Prometheus block.
 *
 * The index (version 1 or 2) is walked series by series; postings and label
 * indexes, which serve queries only, are not read.  Everything is bytes from
 * outside: sizes and checksums are checked before they are used, and an error
 * names the offset.
 */
#ifndef WIRE_TSDB_INDEX_H
#define WIRE_TSDB_INDEX_H

#include "base/array.h"
#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct error;

struct tsdb_index; /* opaque: fields in tsdb_index.c */

/* `file` must outlive the index.  ERR_CORRUPT, or ERR_UNSUPPORTED for another version. */
struct tsdb_index *tsdb_index_open(struct slice file, struct error *err) MUST_CHECK;
void tsdb_index_free(struct tsdb_index *index); /* NULL is fine */

/* Where a chunk lies: file number from 0, and the offset in it; both times included. */
struct tsdb_chunk_place {
    int64_t first_ms, last_ms;
    uint32_t file, offset;
};

struct tsdb_series {
    uint64_t ref;         /* by which tombstones name it */
    struct label *labels; /* in the file's order; may be reordered in place */
    size_t label_count;
    const struct tsdb_chunk_place *chunks;
    size_t chunk_count;
};

/* The next series, valid until the next call; `*found` false behind the last. */
bool tsdb_index_next(struct tsdb_index *index, struct tsdb_series *series, bool *found,
                     struct error *err) MUST_CHECK;

/* Deleted ranges, both ends included, sorted by series. */
struct tsdb_tombstone {
    uint64_t ref;
    int64_t first_ms, last_ms;
};
struct tsdb_tombstones ARRAY_BODY(struct tsdb_tombstone);

/* Append what a tombstones file holds. */
bool tsdb_tombstones_read(struct slice file, struct tsdb_tombstones *out, struct error *err)
    MUST_CHECK;

/* Is the sample of that series deleted? */
bool tsdb_tombstones_cover(const struct tsdb_tombstones *tombstones, uint64_t ref, int64_t time_ms);

#endif
