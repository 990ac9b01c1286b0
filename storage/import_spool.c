/* import_spool.c - see import_spool.h. */
#include "storage/import_spool.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"

#include <fcntl.h>
#include <limits.h>

enum { BLOCK_SIZE = 16 * 1024, BLOCK_SIZE_MAX = 64 * 1024 * 1024, RECORD_HEAD = 8 };

struct block {
    uint64_t at;
    uint32_t size;
};

struct day {
    int32_t day;
    struct buffer open; /* not in the file yet */
    ARRAY(struct block) blocks;
};

struct import_spool {
    int fd; /* -1: nothing is written */
    bool counts_only;
    uint64_t size; /* of the file */
    ARRAY(struct day) days;
    size_t last; /* the day that was used last */
    struct buffer bytes;
};

struct import_spool *spool_open(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    struct import_spool *s = xcalloc(1, sizeof(*s));
    s->fd = -1;
    s->counts_only = directory == NULL;
    buffer_init(&s->bytes, BLOCK_SIZE_MAX);
    if (s->counts_only)
        return s;
    int n = snprintf(path, sizeof(path), "%s/spool", directory);
    if (n > 0 && n < PATH_MAX)
        s->fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600, err);
    else
        error_set(err, ERR_INVALID, "the data directory's path is too long");
    if (s->fd >= 0 && file_unlink(path, err))
        return s;
    spool_close(s);
    return NULL;
}

void spool_close(struct import_spool *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->days.count; i++) {
        buffer_done(&s->days.items[i].open);
        array_done(&s->days.items[i].blocks);
    }
    array_done(&s->days);
    buffer_done(&s->bytes);
    fd_drop(&s->fd);
    free(s);
}

static struct day *day_find(struct import_spool *s, int32_t day)
{
    if (s->last < s->days.count && s->days.items[s->last].day == day)
        return &s->days.items[s->last];
    for (size_t i = s->days.count; i-- > 0;) {
        if (s->days.items[i].day == day) {
            s->last = i;
            return &s->days.items[i];
        }
    }
    struct day fresh = {.day = day};
    buffer_init(&fresh.open, BLOCK_SIZE_MAX);
    array_push(&s->days, fresh);
    s->last = s->days.count - 1;
    return &s->days.items[s->last];
}

static bool block_write(struct import_spool *s, struct day *day, struct error *err)
{
    struct block block = {s->size, (uint32_t)day->open.size};
    if (day->open.size == 0)
        return true;
    if (!file_write_at(s->fd, day->open.data, day->open.size, s->size, err))
        return error_prefix(err, "writing the import's spool file");
    s->size += day->open.size;
    array_push(&day->blocks, block);
    buffer_clear(&day->open);
    return true;
}

bool spool_add(struct import_spool *s, int32_t day_number, uint32_t series, struct slice chunk,
               struct error *err)
{
    struct day *day = day_find(s, day_number);
    if (s->counts_only)
        return true;
    if (day->open.size > 0 && day->open.size + RECORD_HEAD + chunk.size > BLOCK_SIZE &&
        !block_write(s, day, err))
        return false;
    buffer_put32(&day->open, series);
    buffer_put32(&day->open, (uint32_t)chunk.size);
    buffer_append_slice(&day->open, chunk);
    return buffer_check(&day->open, "a chunk of an import", err);
}

static int by_day(const void *a, const void *b)
{
    int32_t x = ((const struct day *)a)->day, y = ((const struct day *)b)->day;
    return x < y ? -1 : x > y;
}

size_t spool_days(struct import_spool *s)
{
    if (s->days.count > 1)
        qsort(s->days.items, s->days.count, sizeof(*s->days.items), by_day);
    return s->days.count;
}

int32_t spool_day(const struct import_spool *s, size_t index)
{
    return s->days.items[index].day;
}

static bool records_take(struct slice bytes, spool_take *take, void *context, struct error *err)
{
    struct reader in = reader_of(bytes);
    while (reader_left(&in) > 0) {
        uint32_t series = read32(&in), size = read32(&in);
        struct slice chunk = read_bytes(&in, size);
        if (in.failed)
            return error_set(err, ERR_INTERNAL, "the import's spool file is not what was written");
        if (!take(context, series, chunk, err))
            return false;
    }
    return true;
}

bool spool_read(struct import_spool *s, size_t index, spool_take *take, void *context,
                struct error *err)
{
    const struct day *day = &s->days.items[index];
    for (size_t i = 0; i < day->blocks.count; i++) {
        const struct block *block = &day->blocks.items[i];
        buffer_clear(&s->bytes);
        char *room = buffer_reserve(&s->bytes, block->size);
        if (room == NULL)
            return buffer_check(&s->bytes, "a block of an import", err);
        if (!file_read_at(s->fd, room, block->size, block->at, err) ||
            !records_take(slice_of(room, block->size), take, context, err))
            return false;
    }
    return records_take(buffer_slice(&day->open), take, context, err);
}
