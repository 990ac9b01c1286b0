/* wal.c - appending to, rolling and removing segments (see wal.h). */
#include "storage/wal.h"

#include "base/array.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/number.h"
#include "storage/crash_point.h"
#include "storage/wal_record.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

enum { NAME_DIGITS = 8, PATH_SIZE = 4096 };

void (*crash_hook)(const char *name);

struct wal {
    struct wal_options options;
    char *directory;
    int fd; /* the open segment, -1 before the first roll */
    uint64_t number, next_number, next_lsn;
    uint64_t size; /* of the open segment: where the next group goes */
    bool failed;   /* atomic */

    pthread_mutex_t lock;           /* guards the rest */
    ARRAY(struct wal_known) closed; /* ascending */
    uint64_t removed_lsn;           /* of the last segment that was removed */
    unsigned holds;                 /* while there are any, segments stay */
    struct wal_stats stats;
};

void wal_path(const char *directory, uint64_t number, char *path, size_t size)
{
    snprintf(path, size, "%s/wal/%0*llu.wal", directory, NAME_DIGITS, (unsigned long long)number);
}

static bool folder_sync(const char *directory, struct error *err)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/wal", directory);
    return directory_sync(path, err);
}

bool wal_segments(const char *directory, uint64_t **numbers, size_t *count, struct error *err)
{
    char path[PATH_SIZE];
    char **names;
    size_t name_count;
    snprintf(path, sizeof(path), "%s/wal", directory);
    /* The folder's own entry, too, must last before anything in it is relied on. */
    if (!directory_make(path, err) || !directory_sync(directory, err) ||
        !directory_list(path, &names, &name_count, err))
        return false;
    uint64_t *found = xcalloc(name_count, sizeof(*found));
    size_t kept = 0;
    for (size_t i = 0; i < name_count; i++) {
        struct slice name = slice_from_text(names[i]);
        uint64_t number;
        if (!slice_ends_with(name, SLICE(".wal")) ||
            !slice_parse_u64(slice_sub(name, 0, name.size - 4), &number) || number == 0)
            continue;
        size_t at = kept++;
        for (; at > 0 && found[at - 1] > number; at--)
            found[at] = found[at - 1];
        found[at] = number;
    }
    names_free(names, name_count);
    *numbers = found;
    *count = kept;
    return true;
}

struct wal *wal_new(const struct wal_options *options, const struct wal_known *known, size_t count,
                    uint64_t next_number, uint64_t next_lsn)
{
    struct wal *wal = xcalloc(1, sizeof(*wal));
    wal->options = *options;
    wal->directory = xstrdup(options->directory);
    wal->fd = -1;
    wal->next_number = next_number;
    wal->next_lsn = next_lsn;
    pthread_mutex_init(&wal->lock, NULL);
    for (size_t i = 0; i < count; i++) {
        array_push(&wal->closed, known[i]);
        wal->stats.bytes += known[i].size;
    }
    return wal;
}

void wal_free(struct wal *wal)
{
    if (wal == NULL)
        return;
    if (wal->fd >= 0)
        close(wal->fd);
    array_done(&wal->closed);
    pthread_mutex_destroy(&wal->lock);
    free(wal->directory);
    free(wal);
}

uint64_t wal_next_lsn(const struct wal *wal)
{
    return wal->next_lsn;
}

uint64_t wal_segment_number(const struct wal *wal)
{
    return wal->number;
}

bool wal_is_full(const struct wal *wal, size_t size)
{
    return wal->fd < 0 ||
           (wal->size > WAL_HEADER_SIZE && wal->size + size > wal->options.segment_size);
}

bool wal_failed(const struct wal *wal)
{
    return __atomic_load_n(&wal->failed, __ATOMIC_ACQUIRE);
}

static bool sync_timed(struct wal *wal, int fd, struct error *err)
{
    int64_t start = clock_monotonic_ns();
    if (!file_sync_data(fd, err)) {
        /* The kernel may have dropped the pages: a second try would lie. */
        __atomic_store_n(&wal->failed, true, __ATOMIC_RELEASE);
        return false;
    }
    uint64_t took = (uint64_t)(clock_monotonic_ns() - start);
    pthread_mutex_lock(&wal->lock);
    wal->stats.syncs++;
    wal->stats.sync_ns_total += took;
    if (took > wal->stats.sync_ns_max)
        wal->stats.sync_ns_max = took;
    pthread_mutex_unlock(&wal->lock);
    return true;
}

static bool segment_write(struct wal *wal, int fd, struct slice carried, struct error *err)
{
    uint8_t bytes[WAL_HEADER_SIZE];
    struct wal_segment_header header = {
        .version = WAL_VERSION,
        .flags = wal->options.durable ? WAL_DURABLE : 0,
        .number = wal->next_number,
        .first_lsn = wal->next_lsn,
        .created_ns = wal->options.now_ns,
        .window_ns = {wal->options.window_ns[0], wal->options.window_ns[1]},
    };
    wal_header_write(&header, bytes);
    /*
     * In one piece, so that a power loss leaves all of it or zeros, whatever of the
     * rest is there: replay must tell that from damage.  Tests cut it in half.
     */
    if (UNLIKELY(crash_hook != NULL)) {
        if (!file_write_at(fd, bytes, WAL_HEADER_SIZE / 2, 0, err))
            return false;
        crash_point("wal.roll_created");
    }
    if (!file_write_at(fd, bytes, WAL_HEADER_SIZE, 0, err) ||
        !file_write_at(fd, carried.data, carried.size, WAL_HEADER_SIZE, err))
        return false;
    crash_point("wal.roll_carried");
    if (!sync_timed(wal, fd, err))
        return false;
    if (!folder_sync(wal->directory, err)) {
        __atomic_store_n(&wal->failed, true, __ATOMIC_RELEASE);
        return false;
    }
    crash_point("wal.rolled");
    return true;
}

/* The new segment is the one that is written from now on. */
static void segment_take(struct wal *wal, int fd, struct slice carried, uint64_t records)
{
    pthread_mutex_lock(&wal->lock);
    if (wal->fd >= 0) {
        struct wal_known closed = {wal->number, wal->next_lsn - 1, wal->size};
        array_push(&wal->closed, closed);
        close(wal->fd);
    }
    wal->fd = fd;
    wal->number = wal->next_number++;
    wal->next_lsn += records;
    wal->size = WAL_HEADER_SIZE + carried.size;
    wal->stats.records += records;
    wal->stats.bytes += wal->size;
    wal->stats.bytes_written += wal->size;
    pthread_mutex_unlock(&wal->lock);
}

bool wal_roll(struct wal *wal, struct slice carried, uint64_t records, struct error *err)
{
    char path[PATH_SIZE];
    if (wal_failed(wal))
        return error_set(err, ERR_UNAVAILABLE, "the log failed before");
    if (wal->fd >= 0 && !sync_timed(wal, wal->fd, err))
        return false;
    crash_point("wal.roll_synced");
    wal_path(wal->directory, wal->next_number, path, sizeof(path));
    int fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640, err);
    if (fd < 0)
        return false;
    if (!segment_write(wal, fd, carried, err)) {
        struct error ignored = {0};
        close(fd);
        if (!file_unlink(path, &ignored)) /* else replay finds a cut roll and removes it */
            __atomic_store_n(&wal->failed, true, __ATOMIC_RELEASE);
        return error_prefix(err, "starting log segment %s", path);
    }
    segment_take(wal, fd, carried, records);
    return true;
}

/* After a failed write: the file must end where the last good group ended. */
static bool cut_back(struct wal *wal, const struct error *cause, struct error *err)
{
    struct error ignored = {0};
    if (!file_truncate(wal->fd, wal->size, &ignored)) {
        __atomic_store_n(&wal->failed, true, __ATOMIC_RELEASE);
        *err = *cause;
        return error_prefix(err, "log segment %llu cannot be cut back",
                            (unsigned long long)wal->number);
    }
    crash_point("wal.cut_back");
    *err = *cause;
    if (cause->code != ERR_UNAVAILABLE)
        __atomic_store_n(&wal->failed, true, __ATOMIC_RELEASE);
    return error_prefix(err, "writing log segment %llu", (unsigned long long)wal->number);
}

static bool write_group(struct wal *wal, struct slice group, struct error *err)
{
    if (UNLIKELY(crash_hook != NULL)) { /* a test wants to end in the middle of the bytes */
        size_t half = group.size / 2;
        if (!file_write_at(wal->fd, group.data, half, wal->size, err))
            return false;
        crash_point("wal.write_torn");
    }
    return file_write_at(wal->fd, group.data, group.size, wal->size, err);
}

bool wal_append(struct wal *wal, struct slice group, uint64_t records, struct error *err)
{
    struct error cause = {0};
    assert(wal->fd >= 0);
    if (wal_failed(wal))
        return error_set(err, ERR_UNAVAILABLE, "the log failed before");
    if (!write_group(wal, group, &cause))
        return cut_back(wal, &cause, err);
    crash_point("wal.written");
    if (wal->options.durable && !sync_timed(wal, wal->fd, err))
        return error_prefix(err, "log segment %llu", (unsigned long long)wal->number);
    crash_point("wal.synced");
    pthread_mutex_lock(&wal->lock);
    wal->size += group.size;
    wal->next_lsn += records;
    wal->stats.records += records;
    wal->stats.bytes += group.size;
    wal->stats.bytes_written += group.size;
    pthread_mutex_unlock(&wal->lock);
    return true;
}

bool wal_has_room(const struct wal *wal, size_t size, struct error *err)
{
    static const char zeros[64 * 1024];
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/room.tmp", wal->directory);
    AUTO(fd_drop) int fd = file_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600, err);
    bool ok = fd >= 0 && file_unlink(path, err);
    for (size_t at = 0; ok && at < size; at += sizeof(zeros))
        ok = file_write_at(fd, zeros, sizeof(zeros), at, err);
    return ok && file_sync_data(fd, err);
}

bool wal_remove_below(struct wal *wal, uint64_t lsn, struct error *err)
{
    for (;;) {
        struct wal_known oldest = {0};
        pthread_mutex_lock(&wal->lock);
        if (wal->closed.count > 0 && wal->holds == 0)
            oldest = wal->closed.items[0];
        pthread_mutex_unlock(&wal->lock);
        if (oldest.number == 0 || oldest.last_lsn >= lsn)
            return true;
        char path[PATH_SIZE];
        wal_path(wal->directory, oldest.number, path, sizeof(path));
        crash_point("wal.remove_before");
        /* One after the other also after a power loss: a gap would look like a lost segment. */
        if (!file_unlink(path, err) || !folder_sync(wal->directory, err))
            return false;
        crash_point("wal.removed_one");
        pthread_mutex_lock(&wal->lock);
        wal->closed.count--;
        wal->removed_lsn = oldest.last_lsn;
        memmove(wal->closed.items, wal->closed.items + 1,
                wal->closed.count * sizeof(*wal->closed.items));
        wal->stats.bytes -= oldest.size;
        pthread_mutex_unlock(&wal->lock);
    }
}

uint64_t wal_removed_lsn(struct wal *wal)
{
    pthread_mutex_lock(&wal->lock);
    uint64_t lsn = wal->removed_lsn;
    pthread_mutex_unlock(&wal->lock);
    return lsn;
}

void wal_hold(struct wal *wal)
{
    pthread_mutex_lock(&wal->lock);
    wal->holds++;
    pthread_mutex_unlock(&wal->lock);
}

void wal_let_go(struct wal *wal)
{
    pthread_mutex_lock(&wal->lock);
    assert(wal->holds > 0);
    wal->holds--;
    pthread_mutex_unlock(&wal->lock);
}

void wal_list(struct wal *wal, struct wal_known **segments, size_t *count)
{
    pthread_mutex_lock(&wal->lock);
    struct wal_known *list = xcalloc(wal->closed.count + 1, sizeof(*list));
    for (size_t i = 0; i < wal->closed.count; i++)
        list[i] = wal->closed.items[i];
    *count = wal->closed.count;
    if (wal->fd >= 0)
        list[(*count)++] = (struct wal_known){wal->number, wal->next_lsn - 1, wal->size};
    pthread_mutex_unlock(&wal->lock);
    *segments = list;
}

uint64_t wal_oldest_last_lsn(struct wal *wal)
{
    pthread_mutex_lock(&wal->lock);
    uint64_t lsn = wal->closed.count > 0 ? wal->closed.items[0].last_lsn : 0;
    pthread_mutex_unlock(&wal->lock);
    return lsn;
}

void wal_stats_read(struct wal *wal, struct wal_stats *stats)
{
    pthread_mutex_lock(&wal->lock);
    *stats = wal->stats;
    stats->segments = wal->closed.count + (wal->fd >= 0 ? 1 : 0);
    pthread_mutex_unlock(&wal->lock);
}
