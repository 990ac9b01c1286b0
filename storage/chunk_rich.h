/*
 * chunk_rich.h - chunks of histograms and of samples with start times.
 *
 * Neighbours with the same layout (schema, spans, bounds) make a run.  In a run
 * each bucket is a column of its own over time, coded like the values of plain
 * samples, so that a bucket that stands still costs next to nothing and one
 * that grows costs its differences.  Layout: docs/format-chunk.md.
 */
#ifndef STORAGE_CHUNK_RICH_H
#define STORAGE_CHUNK_RICH_H

#include "storage/chunk.h"
#include "storage/rich_sample.h"

enum {
    CHUNK_RICH_MAX = 4096,               /* samples in a chunk */
    CHUNK_RICH_COUNTS_MAX = 1024 * 1024, /* counts of all its histograms */
    CHUNK_RICH_LAYOUTS_MAX = 1024
};

/* How many of the `count` samples fit into one chunk: at least one. */
size_t chunk_rich_fit(const struct rich_sample *samples, size_t count);

/* Append the chunk of samples that fit; times strictly ascend.  ERR_LIMIT of `out`. */
bool chunk_encode_rich(const struct rich_sample *samples, size_t count, uint64_t lsn_max,
                       unsigned flags, struct buffer *out, struct error *err) MUST_CHECK;

/* The samples with start_ns <= time <= end_ns, in `arena`. */
bool chunk_decode_rich(struct slice chunk, int64_t start_ns, int64_t end_ns, struct arena *arena,
                       const struct rich_sample **samples, size_t *count, struct error *err)
    MUST_CHECK;

#endif
