// links: storage
/*
 * fuzz_chunk_rich.c - decoding chunks of histograms, and one rich sample, from any bytes.
 *
 * A chunk is tried as it is and once more with its checksum put right; what
 * decodes must encode and decode again.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "storage/chunk_rich.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY = 32 * 1024 * 1024 };

static void again(const struct rich_sample *samples, size_t count, struct arena *arena)
{
    struct error err = {0};
    struct buffer out;
    const struct rich_sample *got;
    size_t got_count;
    buffer_init(&out, MEMORY);
    count = chunk_rich_fit(samples, count);
    if (chunk_encode_rich(samples, count, 1, 0, &out, &err) &&
        (!chunk_decode_rich(buffer_slice(&out), INT64_MIN, INT64_MAX, arena, &got, &got_count, &err)
             ? err.code != ERR_LIMIT
             : got_count != count))
        abort();
    buffer_done(&out);
}

static void decode(struct slice chunk)
{
    struct error err = {0};
    struct arena *arena = arena_new(MEMORY);
    const struct rich_sample *samples;
    size_t count;
    if (chunk_decode_rich(chunk, INT64_MIN, INT64_MAX, arena, &samples, &count, &err))
        again(samples, count, arena);
    arena_free(arena);
}

static void decode_sample(struct slice bytes)
{
    struct error err = {0};
    struct arena *arena = arena_new(MEMORY);
    struct rich_sample sample = {0};
    if (rich_sample_read(bytes, arena, &sample, &err) && sample.histogram &&
        !histogram_check_shape(sample.histogram, &err))
        abort();
    (void)rich_sample_bits(bytes);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(slice_of(data, size));
    decode_sample(slice_of(data, size));
    if (size > 6) {
        char *copy = xmemdup(data, size);
        bytes_put32(copy + 2, (uint32_t)hash64(copy + 6, size - 6,
                                               (uint64_t)data[0] | (uint64_t)data[1] << 8));
        decode(slice_of(copy, size));
        free(copy);
    }
    return 0;
}
