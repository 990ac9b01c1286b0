/* wal_record.c - framing, checksums and the heads of payloads (see wal_record.h). */
#include "storage/wal_record.h"

#include "base/error.h"
#include "base/hash.h"
#include "storage/compress.h"

static const char magic[8] = {'E', 't', 'i', 'n', 'd', 'W', 'A', 'L'};

void wal_header_write(const struct wal_segment_header *header, uint8_t out[WAL_HEADER_SIZE])
{
    memset(out, 0, WAL_HEADER_SIZE);
    memcpy(out, magic, sizeof(magic));
    bytes_put32(out + 8, header->version);
    bytes_put32(out + 12, header->flags);
    bytes_put64(out + 16, header->number);
    bytes_put64(out + 24, header->first_lsn);
    bytes_put64(out + 32, (uint64_t)header->created_ns);
    bytes_put64(out + 40, (uint64_t)header->window_ns[STORE_METRIC]);
    bytes_put64(out + 48, (uint64_t)header->window_ns[STORE_LOG]);
    bytes_put64(out + 56, hash64(out, 56, 0));
}

bool wal_header_read(const uint8_t bytes[WAL_HEADER_SIZE], struct wal_segment_header *header)
{
    if (memcmp(bytes, magic, sizeof(magic)) != 0 || bytes_get64(bytes + 56) != hash64(bytes, 56, 0))
        return false;
    header->version = bytes_get32(bytes + 8);
    header->flags = bytes_get32(bytes + 12);
    header->number = bytes_get64(bytes + 16);
    header->first_lsn = bytes_get64(bytes + 24);
    header->created_ns = (int64_t)bytes_get64(bytes + 32);
    header->window_ns[STORE_METRIC] = (int64_t)bytes_get64(bytes + 40);
    header->window_ns[STORE_LOG] = (int64_t)bytes_get64(bytes + 48);
    return true;
}

size_t wal_record_begin(struct buffer *out, uint64_t lsn, enum wal_type type, uint32_t in_group)
{
    size_t start = out->size;
    uint8_t head[WAL_RECORD_HEAD] = {0};
    bytes_put64(head + 8, lsn);
    head[20] = (uint8_t)type;
    head[21] = (uint8_t)in_group;
    head[22] = (uint8_t)(in_group >> 8);
    head[23] = (uint8_t)(in_group >> 16);
    buffer_append(out, head, sizeof(head));
    return start;
}

void wal_record_end(struct buffer *out, size_t start)
{
    if (out->failed)
        return;
    uint8_t *head = (uint8_t *)out->data + start;
    bytes_put32(head + 16, (uint32_t)(out->size - start - WAL_RECORD_HEAD));
    bytes_put64(head, hash64(head + 8, out->size - start - 8, 0));
}

bool wal_record_peek(const uint8_t head[WAL_RECORD_HEAD], struct wal_record *record)
{
    record->lsn = bytes_get64(head + 8);
    record->size = bytes_get32(head + 16);
    record->type = head[20];
    record->in_group = head[21] | (uint32_t)head[22] << 8 | (uint32_t)head[23] << 16;
    return record->size <= WAL_PAYLOAD_MAX && record->type >= WAL_SERIES &&
           record->type <= WAL_PACKED_ENTRIES;
}

bool wal_record_verify(struct slice bytes)
{
    return bytes.size >= WAL_RECORD_HEAD &&
           bytes_get64(bytes.data) == hash64(bytes.data + 8, bytes.size - 8, 0);
}

/* ---- payloads ---------------------------------------------------------- */

enum { SERIES_HAS_LAST = 1, BATCH_HAS_PRODUCER = 1, BATCH_HAS_METADATA = 2, BATCH_HAS_WINDOW = 4 };

static uint8_t *put_sized(uint8_t *at, struct slice text)
{
    at += varint_put(at, text.size);
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

/* With one reservation for all: it takes a good part of the cost of a new series. */
void wal_series_write(struct buffer *out, const struct wal_series *series, struct labels labels)
{
    size_t most = 3 * VARINT_SIZE_MAX + 1 + 8;
    for (size_t i = 0; i < labels.count; i++)
        most += 2 * VARINT_SIZE_MAX + labels.items[i].name.size + labels.items[i].value.size;
    uint8_t *start = (uint8_t *)buffer_reserve(out, most);
    if (start == NULL)
        return; /* the buffer says so at its end */
    uint8_t *at = start + varint_put(start, series->id);
    *at++ = series->has_last ? SERIES_HAS_LAST : 0;
    if (series->has_last) {
        at += varint_put(at, zigzag_encode(series->last_ns));
        bytes_put64(at, series->last_bits);
        at += 8;
    }
    at += varint_put(at, labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        at = put_sized(at, labels.items[i].name);
        at = put_sized(at, labels.items[i].value);
    }
    buffer_advance(out, (size_t)(at - start));
}

bool wal_series_read(struct reader *in, struct wal_series *series, struct label *items,
                     size_t *count)
{
    uint64_t id = read_varint(in);
    uint8_t flags = read8(in);
    *series = (struct wal_series){.id = (uint32_t)id, .last_ns = INT64_MIN};
    if (flags & SERIES_HAS_LAST) {
        series->has_last = true;
        series->last_ns = read_zigzag(in);
        series->last_bits = read64(in);
    }
    uint64_t labels = read_varint(in);
    if (in->failed || id >= UINT32_MAX || flags > SERIES_HAS_LAST || labels > WAL_LABELS_MAX)
        return false;
    for (uint64_t i = 0; i < labels && !in->failed; i++) {
        items[i].name = read_sized(in);
        items[i].value = read_sized(in);
        if (i > 0 && slice_compare(items[i - 1].name, items[i].name) >= 0)
            return false; /* not canonical */
    }
    *count = (size_t)labels;
    return !in->failed;
}

void wal_batch_write(struct buffer *out, const struct wal_batch *batch)
{
    buffer_put_sized(out, batch->tenant);
    buffer_put8(out, (uint8_t)batch->kind);
    unsigned flags = (batch->has_producer ? BATCH_HAS_PRODUCER : 0u) |
                     (batch->metadata.size > 0 ? BATCH_HAS_METADATA : 0u) |
                     (batch->has_window ? BATCH_HAS_WINDOW : 0u);
    buffer_put8(out, (uint8_t)flags);
    if (batch->has_producer) {
        buffer_put_sized(out, batch->id.producer);
        buffer_put_varint(out, batch->id.epoch);
        buffer_put_varint(out, batch->id.sequence);
    }
    if (batch->metadata.size > 0)
        buffer_put_sized(out, batch->metadata);
    if (batch->has_window)
        buffer_put_zigzag(out, batch->window_ns);
    buffer_put_varint(out, batch->series_count);
}

bool wal_batch_read(struct reader *in, struct wal_batch *batch)
{
    *batch = (struct wal_batch){0};
    batch->tenant = read_sized(in);
    uint8_t kind = read8(in);
    uint8_t flags = read8(in);
    batch->kind = kind == STORE_LOG ? STORE_LOG : STORE_METRIC;
    if (flags & BATCH_HAS_PRODUCER) {
        batch->has_producer = true;
        batch->id.tenant = batch->tenant;
        batch->id.kind = batch->kind;
        batch->id.producer = read_sized(in);
        batch->id.epoch = read_varint(in);
        batch->id.sequence = read_varint(in);
    }
    if (flags & BATCH_HAS_METADATA)
        batch->metadata = read_sized(in);
    batch->has_window = (flags & BATCH_HAS_WINDOW) != 0;
    if (batch->has_window)
        batch->window_ns = read_zigzag(in);
    batch->series_count = read_varint(in);
    return !in->failed && kind < STORE_KINDS && batch->tenant.size > 0 &&
           batch->tenant.size <= TENANT_NAME_MAX && batch->id.producer.size <= PRODUCER_NAME_MAX &&
           batch->series_count <= reader_left(in);
}

bool wal_entries_unpack(struct reader *in, struct buffer *scratch, struct slice *body)
{
    struct error ignored = {0};
    uint64_t size = read_varint(in);
    buffer_clear(scratch);
    if (in->failed || size > WAL_PAYLOAD_MAX)
        return false;
    char *room = buffer_reserve(scratch, (size_t)size);
    if (room == NULL ||
        !decompress_block(slice_of(in->at, reader_left(in)), room, (size_t)size, &ignored))
        return false;
    buffer_advance(scratch, (size_t)size);
    *body = buffer_slice(scratch);
    return true;
}
