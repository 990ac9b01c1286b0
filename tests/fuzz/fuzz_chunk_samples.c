// links: storage
/*
 * fuzz_chunk_samples.c - the decoder of metric chunks on any bytes.
 *
 * A checksum would stop nearly every mutation at the door, so each input is
 * tried as it is and once more with its checksum put right.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "storage/chunk.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct slice chunk)
{
    struct error err = {0};
    struct chunk_header h;
    if (!chunk_peek(chunk, &h, &err) || h.count > 5000)
        return;
    size_t room = chunk_room(h.count), count;
    int64_t *times = xmalloc(room * sizeof(*times));
    double *values = xmalloc(room * sizeof(*values));
    int64_t middle = h.first_ns / 2 + h.last_ns / 2;
    if (chunk_decode_samples(chunk, INT64_MIN, INT64_MAX, times, values, &count, &err) &&
        count > h.count)
        abort();
    if (chunk_decode_samples(chunk, INT64_MIN, middle, times, values, &count, &err) &&
        count > h.count)
        abort();
    int64_t step = h.last_ns / 16 - h.first_ns / 16; /* some vectors in the middle */
    if (chunk_decode_samples(chunk, middle - step, middle + step, times, values, &count, &err) &&
        count > h.count)
        abort();
    free(times);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(slice_of(data, size));
    if (size > 6) {
        char *copy = xmemdup(data, size);
        bytes_put32(copy + 2, (uint32_t)hash64(copy + 6, size - 6,
                                               (uint64_t)data[0] | (uint64_t)data[1] << 8));
        decode(slice_of(copy, size));
        free(copy);
    }
    return 0;
}
