/*
 * snapshot.c - see snapshot.h for the order and why it is right.
 *
 * A copy grows under "<destination>.part" and gets its name when all of it is
 * on the disk: a directory with the right name is a whole one.
 */
#include "storage/snapshot.h"

#include "base/arena.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "storage/guard.h"
#include "storage/partition_copy.h"
#include "storage/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BUFFER = 1 << 20, NAMES_MEMORY_MAX = 256 * 1024 * 1024, TREE_FDS = 16 };

/* ---- files -------------------------------------------------------------------- */

static bool path_set(char path[PATH_MAX], struct error *err, const char *directory,
                     const char *name)
{
    int n = snprintf(path, PATH_MAX, "%s%s", directory, name);
    return (n >= 0 && n < PATH_MAX) ||
           error_set(err, ERR_INVALID, "the path %.100s... is too long", directory);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

void tree_remove(const char *path)
{
    nftw(path, remove_one, TREE_FDS, FTW_DEPTH | FTW_PHYS);
}

/* The first `size` bytes of a file. */
static bool file_copy(const char *from, const char *to, uint64_t size, struct error *err)
{
    AUTO(fd_drop) int in = file_open(from, O_RDONLY | O_CLOEXEC, 0, err);
    if (in < 0)
        return false;
    AUTO(fd_drop) int out = file_open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640, err);
    if (out < 0)
        return false;
    AUTO(memory_drop) char *bytes = xmalloc(COPY_BUFFER);
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < COPY_BUFFER ? (size_t)(size - at) : COPY_BUFFER;
        if (!file_read_at(in, bytes, n, at, err) || !file_write_at(out, bytes, n, at, err))
            return error_prefix(err, "copying %s to %s", from, to);
        at += n;
    }
    return file_sync(out, err);
}

/* ---- partitions and catalog ----------------------------------------------------- */

/*
 * A day that retention has deleted meanwhile leaves the copy's catalog, too.  "Closed" is what
 * the store says after the copy: late data marks the row before it comes into the file.
 */
static bool copy_day(struct catalog *catalog, struct partitions *partitions, struct catalog *copy,
                     const char *directory, struct catalog_day *day, struct error *err)
{
    struct partition_id id = {day->tenant, day->kind, day->day};
    struct catalog_day before = *day, now;
    struct partition *partition = partition_acquire(partitions, &id, err);
    if (partition == NULL) {
        if (err->code != ERR_NOT_FOUND)
            return false;
        error_clear(err);
        day->generation = 0;
        day->gone_lsn = catalog_gone_lsn(catalog, day->tenant, day->kind, day->day);
        return catalog_set_day(copy, day, err);
    }
    bool ok = partition_copy(partition, directory, day, err);
    partition_release(partition);
    day->closed = catalog_find_day(catalog, day->tenant, day->kind, day->day, &now) &&
                  now.generation == day->generation && now.closed;
    bool same = day->generation == before.generation && day->closed == before.closed;
    return ok && (same || catalog_set_day(copy, day, err));
}

static bool copy_days(struct catalog *catalog, struct partitions *partitions, const char *directory,
                      struct error *err)
{
    AUTO(arena_drop) struct arena *arena = arena_new(NAMES_MEMORY_MAX);
    struct catalog_day *days;
    size_t count;
    struct catalog *copy = catalog_open(directory, err);
    if (copy == NULL)
        return false;
    bool ok = catalog_all_days(copy, arena, &days, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = copy_day(catalog, partitions, copy, directory, &days[i], err);
    catalog_close(copy);
    return ok;
}

static bool copy_tables(struct catalog *catalog, struct partitions *partitions,
                        const char *directory, struct error *err)
{
    char path[PATH_MAX];
    return path_set(path, err, directory, "/meta.mdb") && catalog_copy(catalog, path, err) &&
           copy_days(catalog, partitions, directory, err);
}

/* ---- the log ------------------------------------------------------------------------ */

static bool copy_segments(const char *from, const char *to, const struct wal_known *segments,
                          size_t count, struct error *err)
{
    char source[PATH_MAX], target[PATH_MAX], folder[PATH_MAX];
    if (!path_set(folder, err, to, "/wal") || !directory_make(folder, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        wal_path(from, segments[i].number, source, sizeof(source));
        wal_path(to, segments[i].number, target, sizeof(target));
        if (!file_copy(source, target, segments[i].size, err))
            return false;
    }
    return directory_sync(folder, err);
}

/* All segments of a store that nobody has open, to their ends. */
static bool copy_log_at_rest(const char *from, const char *to, struct error *err)
{
    uint64_t *numbers;
    size_t count;
    if (!wal_segments(from, &numbers, &count, err))
        return false;
    struct wal_known *segments = xcalloc(count + 1, sizeof(*segments));
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        char path[PATH_MAX];
        struct stat info;
        wal_path(from, numbers[i], path, sizeof(path));
        ok = stat(path, &info) == 0 || error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
        segments[i] = (struct wal_known){.number = numbers[i], .size = (uint64_t)info.st_size};
    }
    ok = ok && copy_segments(from, to, segments, count, err);
    free(segments);
    free(numbers);
    return ok;
}

/* ---- the whole copy ------------------------------------------------------------------- */

/* Sync what lies in `part` and give it its name. */
static bool finish(const char *part, const char *destination, struct error *err)
{
    char parent[PATH_MAX];
    if (!path_set(parent, err, destination, "/.."))
        return false;
    return directory_sync(part, err) && file_rename(part, destination, err) &&
           directory_sync(parent, err);
}

static bool copy_open_store(struct store *store, const char *part, struct error *err)
{
    struct wal_known *segments = NULL;
    size_t count = 0;
    pthread_mutex_lock(&store->seal_lock); /* no removal is on its way */
    wal_hold(store->wal);
    pthread_mutex_unlock(&store->seal_lock);
    bool ok = copy_tables(store->catalog, store->partitions, part, err);
    if (ok) {
        wal_list(store->wal, &segments, &count);
        ok = copy_segments(store->directory, part, segments, count, err);
    }
    wal_let_go(store->wal);
    free(segments);
    return ok;
}

static void make_name(const struct store *store, char *name)
{
    uint64_t random = 0;
    struct civil_time t = civil_from_ns(store_now_ns(store));
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint64_t)getpid();
    snprintf(name, SNAPSHOT_NAME_SIZE, "%04d%02d%02dT%02d%02d%02dZ-%016llx", (int)t.year % 10000,
             t.month, t.day, t.hour, t.minute, t.second, (unsigned long long)random);
}

bool store_snapshot(struct store *store, char *name, struct error *err)
{
    char folder[PATH_MAX], path[PATH_MAX], part[PATH_MAX];
    make_name(store, name);
    int n = snprintf(path, sizeof(path), "%s/snapshots/%s", store->directory, name);
    if (n < 0 || n >= PATH_MAX || !path_set(folder, err, store->directory, "/snapshots") ||
        !path_set(part, err, path, ".part") || !directory_make(part, err))
        return error_prefix(err, "snapshot");
    if (copy_open_store(store, part, err) && directory_sync(store->directory, err) &&
        finish(part, path, err))
        return true;
    tree_remove(part);
    return error_prefix(err, "snapshot");
}

static bool copy_at_rest(const char *directory, const char *part, struct error *err)
{
    struct partitions *partitions = NULL;
    struct catalog *catalog = catalog_open(directory, err);
    if (catalog == NULL)
        return false;
    struct partitions_options options = {.directory = directory, .catalog = catalog};
    partitions = partitions_open(&options, err);
    bool ok = partitions != NULL && copy_tables(catalog, partitions, part, err) &&
              copy_log_at_rest(directory, part, err);
    partitions_close(partitions);
    catalog_close(catalog);
    return ok;
}

static bool is_free(const char *destination, struct error *err)
{
    char **names;
    size_t count;
    struct stat info;
    if (stat(destination, &info) != 0)
        return errno == ENOENT || error_set(err, ERR_IO, "%s: %s", destination, strerror(errno));
    if (!directory_list(destination, &names, &count, err))
        return false;
    names_free(names, count);
    return count == 0 || error_set(err, ERR_INVALID, "%s is not empty", destination);
}

bool snapshot_is_store(const char *directory, struct error *err)
{
    char path[PATH_MAX];
    struct stat info;
    if (!path_set(path, err, directory, "/meta.mdb"))
        return false;
    return stat(path, &info) == 0 ||
           error_set(err, ERR_NOT_FOUND, "%s holds no store: there is no meta.mdb", directory);
}

int store_lock(const char *directory, struct error *err)
{
    return guard_lock(directory, err);
}

bool store_backup(const char *directory, const char *destination, struct error *err)
{
    char path[PATH_MAX], part[PATH_MAX];
    size_t size = strlen(destination);
    while (size > 1 && destination[size - 1] == '/')
        size--;
    if (size >= PATH_MAX)
        return error_set(err, ERR_INVALID, "the destination's path is too long");
    memcpy(path, destination, size);
    path[size] = '\0';
    if (!snapshot_is_store(directory, err))
        return false;
    if (!path_set(part, err, path, ".part") || !is_free(path, err) || !is_free(part, err))
        return false;
    AUTO(fd_drop) int lock = guard_lock(directory, err);
    if (lock < 0 || !directory_make(part, err))
        return false;
    if (copy_at_rest(directory, part, err) && finish(part, path, err))
        return true;
    tree_remove(part);
    return false;
}
