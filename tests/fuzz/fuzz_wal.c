// links: storage
/*
 * fuzz_wal.c - replays a log made of the input.
 *
 * The first byte chooses: 0 the rest is the file as it stands behind a valid
 * header; else the rest is a list of {type, 2 bytes size, payload}, which get right
 * frames and checksums, so that payload decoders see wild bytes.
 */
#include "base/buffer.h"
#include "base/error.h"
#include "base/files.h"
#include "storage/store.h"
#include "storage/wal_record.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame_records(struct buffer *out, const uint8_t *data, size_t size)
{
    uint64_t lsn = 1;
    while (size >= 3) {
        size_t length = bytes_get16(data + 1);
        if (length > size - 3)
            length = size - 3;
        size_t start = wal_record_begin(out, lsn++, (enum wal_type)(data[0] % 9), 0);
        buffer_append(out, data + 3, length);
        wal_record_end(out, start);
        data += 3 + length;
        size -= 3 + length;
    }
}

static char directory[64];

static void replay(void)
{
    struct error err = {0};
    struct store_options options = {
        .directory = directory, .seal_interval_ns = -1, .retention_ns = -1};
    struct store *store = store_open(&options, &err);
    if (store == NULL)
        return;
    struct cursor_request request = {
        .tenant = SLICE("t"), .kind = STORE_METRIC, .start_ns = INT64_MIN, .end_ns = INT64_MAX};
    struct cursor *cursor = cursor_open(store, &request, &err);
    if (cursor) {
        struct cursor_reader *reader = cursor_reader_new(cursor);
        struct sample_column column;
        for (size_t i = 0; i < cursor_series_count(cursor); i++) {
            if (!cursor_read_samples(reader, i, &column, &err))
                break;
        }
        cursor_reader_free(reader);
    }
    cursor_close(cursor);
    store_abandon(store);
}

static void clean_up(void)
{
    char command[96];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[128];
    struct error err = {0};
    struct buffer file;
    uint8_t head[WAL_HEADER_SIZE];
    struct wal_segment_header header = {.version = WAL_VERSION, .number = 1, .first_lsn = 1};
    if (size == 0 || size > 1 << 20)
        return 0;
    if (directory[0] == '\0') {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(directory, sizeof(directory), "%s/etinde-fuzz-wal-XXXXXX", base);
        if (mkdtemp(directory) == NULL)
            abort();
        atexit(clean_up);
    }
    buffer_init(&file, 8 << 20);
    wal_header_write(&header, head);
    buffer_append(&file, head, sizeof(head));
    if (data[0] == 0)
        buffer_append(&file, data + 1, size - 1);
    else
        frame_records(&file, data + 1, size - 1);
    snprintf(path, sizeof(path), "%s/wal", directory);
    mkdir(path, 0750);
    snprintf(path, sizeof(path), "%s/wal/00000002.wal", directory);
    unlink(path);
    snprintf(path, sizeof(path), "%s/wal/00000001.wal", directory);
    if (!file_replace(path, buffer_slice(&file), &err))
        abort();
    replay();
    buffer_done(&file);
    return 0;
}
