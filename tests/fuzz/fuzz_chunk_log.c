// links: storage
/*
 * fuzz_chunk_log.c - the decoder of log chunks on any bytes.
 *
 * The columns' checksums and that of the table are put right where the table can
 * be walked, so that mutations reach the columns themselves.
 */
#include "base/arena.h"
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
    struct chunk_entries entries;
    struct arena *arena = arena_new(8 << 20);
    if (chunk_decode_entries(chunk, 31, arena, &entries, &err))
        for (size_t i = 0; i < entries.count; i++)
            if (entries.lengths[i] != entries.lines[i].size)
                abort();
    arena_free(arena);
}

/* Walk the header and the table; write right checksums into `bytes`. */
static void mend(char *bytes, size_t size)
{
    struct reader r = reader_of(slice_of(bytes, size));
    char *sums[5] = {0};
    uint64_t sizes[5];
    read_bytes(&r, 6);
    read_varint(&r);
    read_varint(&r);
    read_varint(&r);
    read_varint(&r);
    size_t count = read8(&r);
    for (size_t i = 0; i < count && i < 5 && !r.failed; i++) {
        read_bytes(&r, 2);
        read_varint(&r);
        sizes[i] = read_varint(&r);
        sums[i] = (char *)(uintptr_t)r.at;
        read32(&r);
    }
    if (r.failed || count > 5)
        return;
    size_t table_end = size - reader_left(&r);
    for (size_t i = 0; i < count; i++) {
        struct slice column = read_bytes(&r, sizes[i]);
        if (r.failed)
            return;
        bytes_put32(sums[i], checksum32(column.data, column.size));
    }
    uint64_t seed = (uint64_t)(uint8_t)bytes[0] | (uint64_t)(uint8_t)bytes[1] << 8;
    bytes_put32(bytes + 2, (uint32_t)hash64(bytes + 6, table_end - 6, seed));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(slice_of(data, size));
    if (size > 12) {
        char *copy = xmemdup(data, size);
        mend(copy, size);
        decode(slice_of(copy, size));
        free(copy);
    }
    return 0;
}
