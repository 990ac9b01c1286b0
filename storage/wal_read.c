/*
 * wal_read.c - a window over a segment file (see wal_read.h).
 *
 * The window holds at least one whole record; it slides over the file, so that
 * replay needs as much memory as the largest record and 1 MiB more.
 */
#include "storage/wal_read.h"

#include "base/array.h"
#include "base/error.h"
#include "base/files.h"

#include <fcntl.h>

enum { WINDOW_SIZE = 1 << 20 };

struct wal_reader {
    int fd;
    uint64_t size;   /* of the file */
    uint64_t offset; /* of the next record */
    uint64_t next_lsn;
    struct wal_segment_header header;
    ARRAY(uint8_t) window;
    uint64_t window_at; /* file offset of window.items[0] */
};

static void reader_drop(struct wal_reader **reader)
{
    wal_reader_close(*reader);
}

/* Make [offset, offset + size), which lies in the file, readable at the result; NULL: I/O error. */
static const uint8_t *look(struct wal_reader *reader, uint64_t offset, size_t size,
                           struct error *err)
{
    if (offset < reader->window_at || offset + size > reader->window_at + reader->window.count) {
        uint64_t wanted = reader->size - offset;
        if (wanted > WINDOW_SIZE && wanted > size)
            wanted = size > WINDOW_SIZE ? size : WINDOW_SIZE;
        array_reserve(&reader->window, (size_t)wanted);
        reader->window.count = 0;
        if (!file_read_at(reader->fd, reader->window.items, (size_t)wanted, offset, err))
            return NULL;
        reader->window.count = (size_t)wanted;
        reader->window_at = offset;
    }
    return reader->window.items + (offset - reader->window_at);
}

struct wal_reader *wal_reader_open(const char *path, bool *valid, struct error *err)
{
    AUTO(reader_drop) struct wal_reader *reader = xcalloc(1, sizeof(*reader));
    *valid = false;
    reader->fd = file_open(path, O_RDONLY | O_CLOEXEC, 0, err);
    if (reader->fd < 0 || !file_size(reader->fd, &reader->size, err))
        return NULL;
    reader->offset = WAL_HEADER_SIZE;
    if (reader->size < WAL_HEADER_SIZE)
        return TAKE(reader);
    const uint8_t *bytes = look(reader, 0, WAL_HEADER_SIZE, err);
    if (bytes == NULL)
        return NULL;
    if (!wal_header_read(bytes, &reader->header))
        return TAKE(reader);
    if (reader->header.version > WAL_VERSION)
        return error_null(err, ERR_UNSUPPORTED, "%s has log format %u, this version knows up to %d",
                          path, reader->header.version, WAL_VERSION);
    reader->next_lsn = reader->header.first_lsn;
    *valid = true;
    return TAKE(reader);
}

void wal_reader_close(struct wal_reader *reader)
{
    if (reader == NULL)
        return;
    fd_drop(&reader->fd);
    array_done(&reader->window);
    free(reader);
}

const struct wal_segment_header *wal_reader_header(const struct wal_reader *reader)
{
    return &reader->header;
}

bool wal_reader_is_blank(struct wal_reader *reader)
{
    static const uint8_t zeros[WAL_HEADER_SIZE];
    struct error ignored = {0};
    if (reader->size < WAL_HEADER_SIZE)
        return false;
    const uint8_t *bytes = look(reader, 0, WAL_HEADER_SIZE, &ignored);
    return bytes && memcmp(bytes, zeros, sizeof(zeros)) == 0;
}

uint64_t wal_reader_size(const struct wal_reader *reader)
{
    return reader->size;
}

uint64_t wal_reader_offset(const struct wal_reader *reader)
{
    return reader->offset;
}

uint64_t wal_reader_next_lsn(const struct wal_reader *reader)
{
    return reader->next_lsn;
}

/* A whole record with a right checksum at `offset`? */
static enum wal_read record_at(struct wal_reader *reader, uint64_t offset,
                               struct wal_record *record, struct error *err)
{
    if (reader->size - offset < WAL_RECORD_HEAD)
        return WAL_READ_BAD;
    const uint8_t *head = look(reader, offset, WAL_RECORD_HEAD, err);
    if (head == NULL)
        return WAL_READ_ERROR;
    if (!wal_record_peek(head, record) || record->size > reader->size - offset - WAL_RECORD_HEAD)
        return WAL_READ_BAD;
    size_t size = WAL_RECORD_HEAD + (size_t)record->size;
    const uint8_t *bytes = look(reader, offset, size, err);
    if (bytes == NULL)
        return WAL_READ_ERROR;
    if (!wal_record_verify(slice_of(bytes, size)))
        return WAL_READ_BAD;
    record->payload = slice_of(bytes + WAL_RECORD_HEAD, record->size);
    return WAL_READ_RECORD;
}

enum wal_read wal_reader_next(struct wal_reader *reader, struct wal_record *record,
                              struct error *err)
{
    if (reader->offset == reader->size)
        return WAL_READ_END;
    enum wal_read outcome = record_at(reader, reader->offset, record, err);
    if (outcome != WAL_READ_RECORD)
        return outcome;
    if (record->lsn != reader->next_lsn)
        return WAL_READ_BAD;
    reader->next_lsn++;
    reader->offset += WAL_RECORD_HEAD + record->size;
    return WAL_READ_RECORD;
}

bool wal_reader_damaged(struct wal_reader *reader, bool *damaged, struct error *err)
{
    /* Of the bad record's own group only those records count whose group began behind it. */
    uint64_t bad_lsn = reader->next_lsn;
    *damaged = false;
    for (uint64_t at = reader->offset + 1; at + WAL_RECORD_HEAD <= reader->size; at++) {
        const uint8_t *head = look(reader, at, WAL_RECORD_HEAD, err);
        if (head == NULL)
            return false;
        struct wal_record record;
        if (!wal_record_peek(head, &record) || record.lsn <= bad_lsn ||
            record.lsn - bad_lsn > reader->size / WAL_RECORD_HEAD ||
            record.lsn - record.in_group <= bad_lsn)
            continue;
        enum wal_read outcome = record_at(reader, at, &record, err);
        if (outcome == WAL_READ_ERROR)
            return false;
        if (outcome == WAL_READ_RECORD) {
            *damaged = true;
            return true;
        }
    }
    return true;
}
