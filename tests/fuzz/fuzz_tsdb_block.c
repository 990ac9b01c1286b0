// links: wire
/*
 * fuzz_tsdb_block.c - an index, a file of chunks or tombstones made of any bytes.
 *
 * The first byte says which file the rest is.  Of an index all series are walked;
 * a chunk is decoded with its encoding in the second byte, without its checksum,
 * so that the fuzzer reaches the decoders.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/histogram.h"
#include "wire/tsdb_chunk.h"
#include "wire/tsdb_index.h"

#include <stdlib.h>

static bool take_sample(void *context, int64_t time_ms, double value)
{
    (void)time_ms, (void)value;
    return ++*(size_t *)context < 65536;
}

static bool take_histogram(void *context, int64_t time_ms, const struct histogram *histogram)
{
    struct error err;
    (void)time_ms;
    (void)!histogram_check(histogram, &err);
    return ++*(size_t *)context < 256;
}

static void read_chunk(struct slice bytes, struct error *err)
{
    size_t samples = 0;
    AUTO(arena_drop) struct arena *arena = arena_new(16 << 20);
    struct tsdb_chunk_sink sink = {&samples, take_sample, take_histogram};
    struct tsdb_chunk chunk = {(uint8_t)bytes.data[0], slice_skip(bytes, 1)};
    (void)!tsdb_chunk_decode(&chunk, arena, &sink, err);
}

static void read_index(struct slice bytes, struct error *err)
{
    bool found = true;
    struct tsdb_series series;
    struct tsdb_index *index = tsdb_index_open(bytes, err);
    while (index && found && tsdb_index_next(index, &series, &found, err))
        if (found && series.label_count > 0 && series.labels[0].name.size > bytes.size)
            abort();
    tsdb_index_free(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    if (size < 2)
        return 0;
    struct slice bytes = slice_of((const char *)data + 1, size - 1);
    struct tsdb_chunk chunk;
    struct tsdb_tombstones tombstones = {0};
    switch (data[0] % 4) {
    case 0:
        read_index(bytes, &err);
        break;
    case 1:
        read_chunk(bytes, &err);
        break;
    case 2:
        if (tsdb_chunks_check(bytes, &err))
            (void)!tsdb_chunk_find(bytes, 8, &chunk, &err);
        break;
    default:
        (void)!tsdb_tombstones_read(bytes, &tombstones, &err);
        array_done(&tombstones);
    }
    return 0;
}
