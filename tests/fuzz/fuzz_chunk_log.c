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
#include "base/predicate.h"
#include "storage/chunk.h"
#include "storage/line_index.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A filter of any bytes must be told from one, or answer something. */
static void ask_filter(struct slice chunk)
{
    static const struct line_text texts[2] = {{SLICE("request handled"), NULL},
                                              {SLICE("0123456789abcdef0123456789abcdef"), NULL}};
    static const struct line_condition conditions[2] = {{false, texts, 1}, {false, texts + 1, 1}};
    struct predicate predicate = {conditions, 2};
    struct line_index_query query;
    struct chunk_parts parts;
    struct entries_view view;
    struct error err = {0};
    line_index_query_make(&predicate, &query);
    if (chunk_split(chunk, &parts, &err) && chunk_entries_open(&parts, &view, &err))
        (void)line_index_may_hold(chunk_entries_filter(&view), &query);
    (void)line_index_may_hold(chunk, &query);
    line_index_query_done(&query);
}

static void decode(struct slice chunk)
{
    struct error err = {0};
    struct chunk_entries entries;
    struct arena *arena = arena_new(8 << 20);
    ask_filter(chunk);
    if (chunk_decode_entries(chunk, 63, arena, &entries, &err))
        for (size_t i = 0; i < entries.count; i++)
            if (entries.lengths[i] != entries.lines[i].size)
                abort();
    arena_free(arena);
}

/* Walk the header and the table; write right checksums into `bytes`. */
static void mend(char *bytes, size_t size)
{
    struct reader r = reader_of(slice_of(bytes, size));
    char *sums[CHUNK_COLUMNS_MAX] = {0};
    uint64_t sizes[CHUNK_COLUMNS_MAX];
    read_bytes(&r, 6);
    read_varint(&r);
    read_varint(&r);
    read_varint(&r);
    read_varint(&r);
    size_t count = read8(&r);
    for (size_t i = 0; i < count && i < CHUNK_COLUMNS_MAX && !r.failed; i++) {
        read_bytes(&r, 2);
        read_varint(&r);
        sizes[i] = read_varint(&r);
        sums[i] = (char *)(uintptr_t)r.at;
        read32(&r);
    }
    if (r.failed || count > CHUNK_COLUMNS_MAX)
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
