/*
 * tsdb_chunk.h - reading the chunk files of a Prometheus block (chunks/000001 ...).
 *
 * A chunk holds samples of one series in one of three encodings: floats (XOR),
 * integer and float histograms.  Everything is bytes from outside: sizes and
 * checksums are checked before they are used, and an error names the offset in
 * the file or in the chunk.
 */
#ifndef WIRE_TSDB_CHUNK_H
#define WIRE_TSDB_CHUNK_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;
struct histogram;

/* False stops: the decoder returns false and leaves the error alone. */
struct tsdb_chunk_sink {
    void *context;
    bool (*sample)(void *context, int64_t time_ms, double value);
    /* Valid during the call; not checked: histogram_check() is the sink's. */
    bool (*histogram)(void *context, int64_t time_ms, const struct histogram *histogram);
};

struct tsdb_chunk {
    uint8_t encoding;
    struct slice data;
};

/* Is this a chunk file of a version that we read? */
bool tsdb_chunks_check(struct slice file, struct error *err) MUST_CHECK;

/* The chunk at `offset` of the file, its checksum checked. */
bool tsdb_chunk_find(struct slice file, uint64_t offset, struct tsdb_chunk *chunk,
                     struct error *err) MUST_CHECK;

/*
 * Give all samples to the sink.  Histograms lie in `arena`, which is reset.  ERR_CORRUPT when
 * the bytes end early, ERR_UNSUPPORTED for another encoding.
 */
bool tsdb_chunk_decode(const struct tsdb_chunk *chunk, struct arena *arena,
                       const struct tsdb_chunk_sink *sink, struct error *err) MUST_CHECK;

#endif
