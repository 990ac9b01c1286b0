/* power_recorder.c - the hooks and the disk behind power_recorder.h. */
#include "tests/faults/power_recorder.h"

#include "base/array.h"
#include "base/error.h"
#include "base/files.h"
#include "base/slice.h"
#include "tests/faults/store_model.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, DESCRIPTORS_MAX = 1024, NAME_MAX_SIZE = 32 };

enum change_kind {
    CHANGE_CREATE,
    CHANGE_WRITE,
    CHANGE_SYNC,
    CHANGE_SIZE,
    CHANGE_UNLINK,
    SYNC_FOLDER
};

struct change {
    enum change_kind kind;
    char name[NAME_MAX_SIZE]; /* in the folder; SYNC_FOLDER: empty */
    uint64_t offset;          /* CHANGE_SIZE: the size */
    uint8_t *data;
    size_t size;
};

static struct {
    pthread_mutex_t lock;
    ARRAY(struct change) changes;
    char names[DESCRIPTORS_MAX][NAME_MAX_SIZE]; /* "": of no interest; ".": the folder */
} record = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- recording ------------------------------------------------------------ */

/* The file's name when `path` lies in the log's folder, "." for the folder. */
static const char *name_of(const char *path)
{
    const char *at = strstr(path, "/wal");
    if (at == NULL || (at[4] != '\0' && at[4] != '/'))
        return "";
    return at[4] == '\0' || at[5] == '\0' ? "." : at + 5;
}

static void note(enum change_kind kind, const char *name, uint64_t offset, const void *data,
                 size_t size)
{
    struct change change = {.kind = kind, .offset = offset, .size = size};
    if (name[0] == '\0')
        return;
    snprintf(change.name, sizeof(change.name), "%s", name);
    if (size > 0) {
        change.data = malloc(size);
        if (change.data == NULL)
            abort();
        memcpy(change.data, data, size);
    }
    pthread_mutex_lock(&record.lock);
    array_push(&record.changes, change);
    pthread_mutex_unlock(&record.lock);
}

static const char *fd_name(int fd)
{
    return fd >= 0 && fd < DESCRIPTORS_MAX ? record.names[fd] : "";
}

static int recorded_open(const char *path, int flags, mode_t mode)
{
    const char *name = name_of(path);
    bool there = access(path, F_OK) == 0;
    int fd = open(path, flags, mode);
    if (fd < 0)
        return fd;
    if (fd >= DESCRIPTORS_MAX)
        abort();
    snprintf(record.names[fd], sizeof(record.names[fd]), "%s", name);
    if ((flags & O_CREAT) && !there)
        note(CHANGE_CREATE, name, 0, NULL, 0);
    else if (flags & O_TRUNC)
        note(CHANGE_SIZE, name, 0, NULL, 0);
    return fd;
}

/* Noted before it is done: a power loss in the middle of it is one after it that lost some. */
static ssize_t recorded_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    note(CHANGE_WRITE, fd_name(fd), (uint64_t)offset, data, size);
    return pwrite(fd, data, size, offset);
}

/* Noted after it was done: only then may anybody rely on it. */
static int recorded_fdatasync(int fd)
{
    int outcome = fdatasync(fd);
    if (outcome == 0)
        note(fd_name(fd)[0] == '.' ? SYNC_FOLDER : CHANGE_SYNC, fd_name(fd), 0, NULL, 0);
    return outcome;
}

static int recorded_fsync(int fd)
{
    int outcome = fsync(fd);
    if (outcome == 0)
        note(fd_name(fd)[0] == '.' ? SYNC_FOLDER : CHANGE_SYNC, fd_name(fd), 0, NULL, 0);
    return outcome;
}

static int recorded_ftruncate(int fd, off_t size)
{
    note(CHANGE_SIZE, fd_name(fd), (uint64_t)size, NULL, 0);
    return ftruncate(fd, size);
}

static int recorded_unlink(const char *path)
{
    note(CHANGE_UNLINK, name_of(path), 0, NULL, 0);
    return unlink(path);
}

static const struct file_hooks recorder = {.open = recorded_open,
                                           .pwrite = recorded_pwrite,
                                           .fdatasync = recorded_fdatasync,
                                           .fsync = recorded_fsync,
                                           .ftruncate = recorded_ftruncate,
                                           .rename = rename,
                                           .unlink = recorded_unlink,
                                           .mkdir = mkdir};

void power_record_start(void)
{
    file_hooks = &recorder;
}

void power_record_stop(void)
{
    file_hooks = NULL;
}

void power_record_free(void)
{
    for (size_t i = 0; i < record.changes.count; i++)
        free(record.changes.items[i].data);
    array_done(&record.changes);
}

size_t power_point(void)
{
    pthread_mutex_lock(&record.lock);
    size_t point = record.changes.count;
    pthread_mutex_unlock(&record.lock);
    return point;
}

/* ---- the disk after a power loss -------------------------------------------- */

struct disk_file {
    ARRAY(uint8_t) data;
    bool there;
};

static void set_size(struct disk_file *file, size_t size)
{
    array_reserve(&file->data, size + 1);
    if (size > file->data.count)
        memset(file->data.items + file->data.count, 0, size - file->data.count);
    file->data.count = size;
}

static void write_bytes(struct disk_file *file, const struct change *change, size_t from,
                        size_t end)
{
    size_t at = (size_t)change->offset + from;
    if (at + (end - from) > file->data.count)
        set_size(file, at + (end - from));
    memcpy(file->data.items + at, change->data + from, end - from);
}

/*
 * How many changes a sector has seen that no sync has made sure of: of the `count` pending
 * ones all, none or the first few.  A sector is written whole, so no later one without
 * those before it.
 */
static size_t sector_reach(uint64_t seed, uint64_t sector, size_t count)
{
    uint64_t random = seed + sector * UINT64_C(0x100000001b3);
    uint64_t shape = model_random(&random) % 3;
    return shape == 0 ? count : shape == 1 ? 0 : (size_t)(model_random(&random) % (count + 1));
}

/* Change number `pending` of `count` ones after the last sync. */
static void apply_loosely(struct disk_file *file, const struct change *change, uint64_t seed,
                          size_t pending, size_t count)
{
    uint64_t random = seed ^ pending;
    bool length_known = model_random(&random) % 2;
    if (change->kind == CHANGE_SIZE && length_known)
        set_size(file, (size_t)change->offset);
    if (change->kind != CHANGE_WRITE)
        return;
    for (size_t from = 0; from < change->size;) {
        uint64_t sector = (change->offset + from) / SECTOR;
        size_t end = (size_t)((sector + 1) * SECTOR - change->offset);
        if (end > change->size)
            end = change->size;
        if (pending < sector_reach(seed, sector, count))
            write_bytes(file, change, from, end);
        from = end;
    }
    /* The length may be known though the bytes are not. */
    if (length_known && change->offset + change->size > file->data.count)
        set_size(file, (size_t)change->offset + change->size);
}

static void apply(struct disk_file *file, const struct change *change)
{
    if (change->kind == CHANGE_SIZE)
        set_size(file, (size_t)change->offset);
    if (change->kind == CHANGE_WRITE)
        write_bytes(file, change, 0, change->size);
}

static bool is_of(const struct change *change, const char *name)
{
    return strcmp(change->name, name) == 0;
}

/* The state of file `name` when `point` changes had been made. */
static void rebuild(struct disk_file *file, const char *name, size_t point, uint64_t *random)
{
    size_t synced = 0; /* changes before this one are on the disk */
    size_t folder_synced = 0;
    uint64_t seed = model_random(random);
    for (size_t i = 0; i < point; i++) {
        const struct change *change = &record.changes.items[i];
        if (change->kind == CHANGE_SYNC && is_of(change, name))
            synced = i + 1;
        if (change->kind == SYNC_FOLDER)
            folder_synced = i + 1;
    }
    for (size_t i = 0; i < point; i++) {
        const struct change *change = &record.changes.items[i];
        if (!is_of(change, name))
            continue;
        bool sure = i < folder_synced || model_random(random) % 2;
        if (change->kind == CHANGE_CREATE) {
            file->data.count = 0;
            file->there = sure;
        } else if (change->kind == CHANGE_UNLINK) {
            file->there = file->there && !sure;
        } else if (i < synced) {
            apply(file, change);
        } else {
            apply_loosely(file, change, seed, i - synced, point - synced);
        }
    }
}

static bool write_file(const char *folder, const char *name, const struct disk_file *file,
                       struct error *err)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640, err);
    bool ok = fd >= 0 && file_write_at(fd, file->data.items, file->data.count, 0, err);
    fd_drop(&fd);
    return ok;
}

bool power_cut(const char *folder, size_t point, uint64_t seed, struct error *err)
{
    uint64_t random = seed;
    bool ok = true;
    for (size_t i = 0; ok && i < point; i++) {
        const struct change *change = &record.changes.items[i];
        bool first = change->kind == CHANGE_CREATE;
        for (size_t k = 0; first && k < i; k++)
            first = record.changes.items[k].kind != CHANGE_CREATE ||
                    !is_of(&record.changes.items[k], change->name);
        if (!first)
            continue;
        struct disk_file file = {0};
        rebuild(&file, change->name, point, &random);
        ok = !file.there || write_file(folder, change->name, &file, err);
        array_done(&file.data);
    }
    return ok;
}
