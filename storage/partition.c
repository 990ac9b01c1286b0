/*
 * partition.c - all days of a data directory: which are open, which are named,
 * which must go (see partition.h).
 *
 * Open environments form one list, the newest use first, under `lock`.  Over
 * the limit the longest unused one that nobody references is closed.  A deleted
 * day is unlinked at once and closed when its last reader lets go: the system
 * keeps the file's bytes until then.
 */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "storage/catalog.h"
#include "storage/crash_point.h"
#include "storage/partition_internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct partitions {
    char *directory;
    struct catalog *catalog;
    size_t open_max, map_size_min;
    pthread_mutex_t lock; /* guards what follows and the list fields of each partition */
    struct partition *first;
    size_t open_count;
    int32_t newest_day;
    uint64_t rewrites; /* atomic */
};

enum {
    OPEN_DEFAULT = 256,
    FDS_PER_ENVIRONMENT = 3, /* data, meta pages, lock file */
    DAYS_MEMORY_MAX = 64 * 1024 * 1024,
    CATALOG_DAY_MAX = 3000000 /* a date of at most four digits' year lies well inside */
};

const char *const partition_databases[PARTITION_DATABASES] = {
    "meta", "symbols", "hashes", "series", "postings", "groups", "blocks", "columns"};

static const char *const kind_names[STORE_KINDS] = {"metric", "log"};

/* ---- paths ------------------------------------------------------------------- */

static bool path_format(struct error *err, char *path, size_t size, int length)
{
    if (length >= 0 && (size_t)length < size)
        return true;
    path[0] = '\0';
    return error_set(err, ERR_INVALID, "the data directory's path is too long");
}

bool partition_path(const struct partitions *set, struct slice tenant, enum store_kind kind,
                    int32_t day, uint32_t generation, char *path, size_t size, struct error *err)
{
    struct civil_time date = civil_from_ns(day * NS_PER_DAY);
    int n = snprintf(path, size, "%s/%.*s/%s/%04d-%02d-%02d", set->directory, SLICE_ARG(tenant),
                     kind_names[kind], (int)date.year, date.month, date.day);
    if (!path_format(err, path, size, n) || generation == 0)
        return path[0] != '\0';
    size_t at = (size_t)n;
    return path_format(err, path, size, snprintf(path + at, size - at, "/%u.mdb", generation) + n);
}

static bool file_and_lock_unlink(const char *path, struct error *err)
{
    char lock[PATH_MAX], sums[PATH_MAX];
    return path_format(err, lock, sizeof(lock), snprintf(lock, sizeof(lock), "%s-lock", path)) &&
           path_format(err, sums, sizeof(sums), snprintf(sums, sizeof(sums), "%s-sums", path)) &&
           file_unlink(path, err) && file_unlink(sums, err) && file_unlink(lock, err);
}

/* ---- start: remove what the catalog does not name ------------------------------ */

static bool day_parse(const char *name, int32_t *day)
{
    int date[3] = {0, 0, 0};
    if (strlen(name) != 10)
        return false;
    for (int i = 0, part = 0; i < 10; i++) {
        if (i == 4 || i == 7) {
            if (name[i] != '-')
                return false;
            part++;
        } else if (name[i] < '0' || name[i] > '9') {
            return false;
        } else {
            date[part] = date[part] * 10 + (name[i] - '0');
        }
    }
    if (date[1] < 1 || date[1] > 12 || date[2] < 1 || date[2] > 31)
        return false;
    *day = (int32_t)days_from_civil(date[0], date[1], date[2]);
    return true;
}

/* "<generation>.mdb", its lock file or its sums; 0 for anything else, which is left alone. */
static uint32_t generation_parse(const char *name)
{
    uint64_t generation = 0;
    const char *at = name;
    for (; *at >= '0' && *at <= '9' && generation < UINT32_MAX; at++)
        generation = generation * 10 + (uint64_t)(*at - '0');
    if (at == name || generation > UINT32_MAX)
        return 0;
    bool ours =
        strcmp(at, ".mdb") == 0 || strcmp(at, ".mdb-lock") == 0 || strcmp(at, ".mdb-sums") == 0;
    return ours ? (uint32_t)generation : 0;
}

static bool clean_day(struct partitions *set, struct slice tenant, enum store_kind kind,
                      const char *folder, const char *name, struct error *err)
{
    int32_t day;
    char path[PATH_MAX], file[PATH_MAX];
    char **files;
    size_t count;
    if (!day_parse(name, &day))
        return true;
    if (!path_format(err, path, sizeof(path), snprintf(path, sizeof(path), "%s/%s", folder, name)))
        return false;
    uint32_t named = catalog_generation(set->catalog, tenant, kind, day);
    if (!directory_list(path, &files, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        uint32_t generation = generation_parse(files[i]);
        if (generation != 0 && generation != named)
            ok = path_format(err, file, sizeof(file),
                             snprintf(file, sizeof(file), "%s/%s", path, files[i])) &&
                 file_unlink(file, err);
    }
    names_free(files, count);
    if (named == 0)
        rmdir(path); /* succeeds only when it is empty: anything else is not ours */
    return ok;
}

static bool clean_kind(struct partitions *set, struct slice tenant, enum store_kind kind,
                       struct error *err)
{
    char folder[PATH_MAX];
    char **names;
    size_t count;
    struct stat info;
    if (!path_format(err, folder, sizeof(folder),
                     snprintf(folder, sizeof(folder), "%s/%.*s/%s", set->directory,
                              SLICE_ARG(tenant), kind_names[kind])))
        return false;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return true;
    if (!directory_list(folder, &names, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++)
        ok = clean_day(set, tenant, kind, folder, names[i], err);
    names_free(names, count);
    return ok;
}

static bool clean_all(struct partitions *set, struct error *err)
{
    char **names;
    size_t count;
    if (!directory_list(set->directory, &names, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        struct slice tenant = slice_from_text(names[i]);
        for (int kind = 0; kind < STORE_KINDS && ok && tenant_name_is_valid(tenant); kind++)
            ok = clean_kind(set, tenant, (enum store_kind)kind, err);
    }
    names_free(names, count);
    return ok;
}

static size_t open_max_default(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return OPEN_DEFAULT;
    size_t half = (size_t)limit.rlim_cur / 2 / FDS_PER_ENVIRONMENT;
    return half < OPEN_DEFAULT ? half : OPEN_DEFAULT;
}

struct partitions *partitions_open(const struct partitions_options *options, struct error *err)
{
    struct partitions *set = xcalloc(1, sizeof(*set));
    pthread_mutex_init(&set->lock, NULL);
    set->directory = xstrdup(options->directory);
    set->catalog = options->catalog;
    set->open_max = options->open_max ? options->open_max : open_max_default();
    set->map_size_min = options->map_size_min ? options->map_size_min : 16 * 1024 * 1024;
    set->newest_day = INT32_MIN;
    if (clean_all(set, err))
        return set;
    error_prefix(err, "looking for partitions");
    partitions_close(set);
    return NULL;
}

/* ---- the list of open days ------------------------------------------------------- */

static void partition_free(struct partition *p)
{
    lmdb_env_close(p->env);
    index_free(p->index);
    array_done(&p->groups);
    pthread_mutex_destroy(&p->index_lock);
    pthread_rwlock_destroy(&p->state_lock);
    free(p);
}

static void list_remove(struct partitions *set, struct partition *p)
{
    struct partition **at = &set->first;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    set->open_count--;
}

static void list_add(struct partitions *set, struct partition *p)
{
    p->next = set->first;
    set->first = p;
    set->open_count++;
}

void partitions_close(struct partitions *set)
{
    if (set == NULL)
        return;
    while (set->first != NULL) {
        struct partition *p = set->first;
        list_remove(set, p);
        partition_free(p);
    }
    pthread_mutex_destroy(&set->lock);
    free(set->directory);
    free(set);
}

/* Close the longest unused days until the limit is kept.  Caller holds the lock. */
static void list_trim(struct partitions *set)
{
    while (set->open_count > set->open_max) {
        struct partition *last = NULL;
        for (struct partition *p = set->first; p != NULL; p = p->next)
            if (p->references == 0)
                last = p;
        if (last == NULL)
            return; /* all in use: over the limit for now */
        list_remove(set, last);
        partition_free(last);
    }
}

void partitions_close_idle(struct partitions *set)
{
    size_t open_max = set->open_max;
    pthread_mutex_lock(&set->lock);
    set->open_max = 0;
    list_trim(set);
    set->open_max = open_max;
    pthread_mutex_unlock(&set->lock);
}

static struct partition *list_find(struct partitions *set, const struct partition_id *id)
{
    for (struct partition *p = set->first; p != NULL; p = p->next)
        if (p->day == id->day && p->kind == id->kind && !p->dead &&
            slice_equal(slice_from_text(p->tenant), id->tenant))
            return p;
    return NULL;
}

static bool state_load(struct partition *p, struct error *err)
{
    struct reading r;
    struct slice value;
    if (!reading_begin(&r, p, DB_GROUPS, NULL, err))
        return false;
    bool ok = reading_get(&r, DB_META, SLICE("state"), &value, err);
    if (ok && value.data != NULL && state_is_newer(value))
        ok = error_set(err, ERR_UNSUPPORTED,
                       "%s has format %u, written by a newer version; this one reads up to %u",
                       p->env->path, bytes_get32(value.data), (unsigned)PARTITION_FORMAT);
    if (ok && value.data != NULL && !state_get(value, &p->state))
        ok = reading_corrupt(&r, "malformed state", err);
    ok = ok && reading_get(&r, DB_META, SLICE("closed"), &value, err);
    if (ok && value.data != NULL && !closed_get(value, &p->closed))
        ok = reading_corrupt(&r, "malformed row of the close", err);
    MDB_val key, summary;
    int rc = ok ? mdb_cursor_get(r.cursor, &key, &summary, MDB_FIRST) : MDB_NOTFOUND;
    for (; ok && rc == 0; rc = mdb_cursor_get(r.cursor, &key, &summary, MDB_NEXT)) {
        struct group_summary group;
        ok = summary_get(lmdb_slice(key), lmdb_slice(summary), &group) ||
             reading_corrupt(&r, "malformed summary of a group", err);
        if (ok)
            array_push(&p->groups, group);
    }
    reading_end(&r);
    return ok && (rc == 0 || rc == MDB_NOTFOUND || lmdb_failed(p->env, rc, "reading groups", err));
}

static uint64_t serials; /* counts openings of this process */

static struct partition *day_open(struct partitions *set, const struct partition_id *id,
                                  uint32_t generation, bool create, struct error *err)
{
    char path[PATH_MAX];
    if (!partition_path(set, id->tenant, id->kind, id->day, generation, path, sizeof(path), err))
        return NULL;
    struct partition *p = xcalloc(1, sizeof(*p));
    p->set = set;
    memcpy(p->tenant, id->tenant.data, id->tenant.size);
    p->kind = id->kind;
    p->day = id->day;
    p->generation = generation;
    p->named = !create;
    p->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
    pthread_mutex_init(&p->index_lock, NULL);
    pthread_rwlock_init(&p->state_lock, NULL);
    p->env = lmdb_env_open(path, partition_databases, PARTITION_DATABASES, set->map_size_min,
                           create, err);
    if (p->env != NULL && state_load(p, err))
        return p;
    partition_free(p);
    return NULL;
}

/* Find or open; `generation` is the file's.  Caller holds the lock. */
static struct partition *day_reference(struct partitions *set, const struct partition_id *id,
                                       uint32_t generation, bool create, struct error *err)
{
    struct partition *p = list_find(set, id);
    if (p == NULL) {
        p = day_open(set, id, generation, create, err);
        if (p == NULL)
            return NULL;
    } else {
        list_remove(set, p);
    }
    list_add(set, p);
    p->references++;
    list_trim(set);
    return p;
}

struct partition *partition_acquire(struct partitions *set, const struct partition_id *id,
                                    struct error *err)
{
    struct partition *p = NULL;
    pthread_mutex_lock(&set->lock); /* so that the file is not unlinked before it is open */
    uint32_t generation = tenant_name_is_valid(id->tenant)
                              ? catalog_generation(set->catalog, id->tenant, id->kind, id->day)
                              : 0;
    if (generation != 0)
        p = day_reference(set, id, generation, false, err);
    pthread_mutex_unlock(&set->lock);
    if (generation == 0)
        error_set(err, ERR_NOT_FOUND, "tenant %.*s has no %s data of day %d", SLICE_ARG(id->tenant),
                  kind_names[id->kind], id->day);
    return p;
}

void partition_release(struct partition *p)
{
    if (p == NULL)
        return;
    struct partitions *set = p->set;
    if (p->hidden) {
        partition_free(p);
        return;
    }
    pthread_mutex_lock(&set->lock);
    if (--p->references == 0) {
        if (p->day > set->newest_day)
            set->newest_day = p->day;
        if (p->dead) {
            list_remove(set, p);
            partition_free(p);
        } else {
            if (p->day < set->newest_day - 1) { /* nobody seals here for now */
                index_free(p->index);
                p->index = NULL;
            }
            list_trim(set);
        }
    }
    pthread_mutex_unlock(&set->lock);
}

/* ---- for the sealer --------------------------------------------------------------- */

/* A new day's folder and the remains of a file that never got its row. */
static bool day_prepare(struct partitions *set, const struct partition_id *id, struct error *err)
{
    char folder[PATH_MAX], path[PATH_MAX];
    return catalog_settle(set->catalog, err) &&
           partition_path(set, id->tenant, id->kind, id->day, 0, folder, sizeof(folder), err) &&
           partition_path(set, id->tenant, id->kind, id->day, 1, path, sizeof(path), err) &&
           directory_make(folder, err) && file_and_lock_unlink(path, err);
}

struct partition *partition_acquire_for_seal(struct partitions *set, const struct partition_id *id,
                                             struct error *err)
{
    if (!tenant_name_is_valid(id->tenant))
        return error_null(err, ERR_INVALID, "bad tenant name");
    uint32_t generation = catalog_generation(set->catalog, id->tenant, id->kind, id->day);
    pthread_mutex_lock(&set->lock);
    struct partition *p = list_find(set, id);
    if (generation == 0 && p != NULL && p->references == 0) {
        list_remove(set, p);
        partition_free(p);
    }
    p = NULL;
    if (generation != 0 || day_prepare(set, id, err))
        p = day_reference(set, id, generation ? generation : 1, generation == 0, err);
    pthread_mutex_unlock(&set->lock);
    return p;
}

/* The file's entry, and those of folders that may be new, must last before the row does. */
static bool folders_sync(const struct partition *p, struct error *err)
{
    char folder[PATH_MAX];
    if (!partition_path(p->set, slice_from_text(p->tenant), p->kind, p->day, 0, folder,
                        sizeof(folder), err))
        return false;
    for (int level = 0; level < 4; level++) {
        if (!directory_sync(folder, err))
            return false;
        char *slash = strrchr(folder, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
    }
    return true;
}

bool partition_name(struct partition *p, struct error *err)
{
    if (p->named || p->hidden)
        return true;
    struct slice tenant = slice_from_text(p->tenant);
    if (!folders_sync(p, err))
        return false;
    struct catalog_day day = {.tenant = tenant,
                              .kind = p->kind,
                              .day = p->day,
                              .generation = p->generation,
                              .clean_lsn = p->clean_lsn};
    if (!catalog_set_day(p->set->catalog, &day, err))
        return false;
    pthread_mutex_lock(&p->set->lock);
    p->named = true;
    pthread_mutex_unlock(&p->set->lock);
    return true;
}

/* ---- generations -------------------------------------------------------------------- */

static struct catalog_day row_of(const struct partition *p, uint32_t generation, bool closed)
{
    struct slice tenant = slice_from_text(p->tenant);
    struct catalog_day row = {.clean_lsn = 0};
    catalog_find_day(p->set->catalog, tenant, p->kind, p->day, &row); /* keeps its LSNs */
    row.tenant = tenant;
    row.kind = p->kind;
    row.day = p->day;
    row.generation = generation;
    row.closed = closed;
    return row;
}

bool partition_mark_late(struct partition *p, struct error *err)
{
    struct catalog_day row = row_of(p, p->generation, false), now;
    row.retained = 0; /* what comes may have been due before */
    if (p->hidden || p->late)
        return true;
    if (catalog_find_day(p->set->catalog, row.tenant, p->kind, p->day, &now) && now.closed &&
        !catalog_set_day(p->set->catalog, &row, err))
        return false;
    p->late = true;
    return true;
}

bool partition_discard(struct partition *old, uint32_t next, struct error *err)
{
    char path[PATH_MAX];
    return catalog_settle(old->set->catalog, err) && /* or the next start may find it named */
           partition_path(old->set, slice_from_text(old->tenant), old->kind, old->day, next, path,
                          sizeof(path), err) &&
           file_and_lock_unlink(path, err);
}

struct partition *partition_make_next(struct partition *old, struct error *err)
{
    struct partition_id id = {slice_from_text(old->tenant), old->kind, old->day};
    if (old->generation == UINT32_MAX)
        return error_null(err, ERR_LIMIT, "no generation is left for this day");
    if (!partition_discard(old, old->generation + 1, err))
        return NULL;
    struct partition *p = day_open(old->set, &id, old->generation + 1, true, err);
    if (p != NULL)
        p->hidden = true;
    return p;
}

bool partition_replace(struct partition *old, uint32_t next, bool closed, uint64_t clean_lsn,
                       uint64_t retained, struct error *err)
{
    struct partitions *set = old->set;
    struct catalog_day row = row_of(old, next, closed);
    if (closed)
        row.clean_lsn = clean_lsn;
    row.retained = retained;
    if (!folders_sync(old, err))
        return false;
    /* Before anybody can find the new one: whoever does has noticed or began later. */
    __atomic_add_fetch(&set->rewrites, 1, __ATOMIC_SEQ_CST);
    if (!catalog_set_day(set->catalog, &row, err))
        return false;
    crash_point("day.named");
    pthread_mutex_lock(&set->lock);
    old->dead = true;
    pthread_mutex_unlock(&set->lock);
    return partition_discard(old, old->generation, err);
}

/* ---- imports ------------------------------------------------------------------------ */

bool partition_path_of(struct partition *p, char *path, size_t size, struct error *err)
{
    return partition_path(p->set, slice_from_text(p->tenant), p->kind, p->day, p->generation, path,
                          size, err);
}

/* A second name for the file at `from`: until the row stands, a crash must leave the import whole.
 */
static bool file_link(const char *from, const char *to, const char *ending, struct error *err)
{
    char source[PATH_MAX], target[PATH_MAX];
    return path_format(err, source, sizeof(source),
                       snprintf(source, sizeof(source), "%s%s", from, ending)) &&
           path_format(err, target, sizeof(target),
                       snprintf(target, sizeof(target), "%s%s", to, ending)) &&
           (link(source, target) == 0 ||
            error_set(err, ERR_IO, "linking %s to %s: %s", source, target, strerror(errno)));
}

bool partition_adopt(struct partitions *set, const struct partition_id *id, const char *path,
                     bool closed, struct error *err)
{
    char own[PATH_MAX];
    if (!partition_path(set, id->tenant, id->kind, id->day, 1, own, sizeof(own), err))
        return false;
    pthread_mutex_lock(&set->lock);
    struct partition *p = list_find(set, id);
    bool free_to_name = p == NULL || p->references == 0;
    if (p != NULL && free_to_name) {
        list_remove(set, p);
        partition_free(p);
    }
    bool ok = (free_to_name || error_set(err, ERR_BUSY, "%s is in use", own)) &&
              day_prepare(set, id, err) && file_link(path, own, "-sums", err) &&
              file_link(path, own, "", err);
    p = ok ? day_reference(set, id, 1, false, err) : NULL;
    pthread_mutex_unlock(&set->lock);
    if (p == NULL)
        return false;
    crash_point("import.linked");
    struct catalog_day row = row_of(p, 1, closed);
    ok = folders_sync(p, err) && catalog_set_day(set->catalog, &row, err);
    partition_release(p);
    return ok;
}

uint64_t partitions_rewrites(const struct partitions *set)
{
    return __atomic_load_n(&set->rewrites, __ATOMIC_SEQ_CST);
}

/* ---- deleting ----------------------------------------------------------------------- */

bool partitions_delete_day(struct partitions *set, const struct catalog_day *day, uint64_t gone_lsn,
                           struct error *err)
{
    char path[PATH_MAX], folder[PATH_MAX];
    if (!partition_path(set, day->tenant, day->kind, day->day, day->generation, path, sizeof(path),
                        err) ||
        !partition_path(set, day->tenant, day->kind, day->day, 0, folder, sizeof(folder), err))
        return false;
    struct catalog_day none = *day;
    none.generation = 0;
    none.gone_lsn = gone_lsn;
    if (!catalog_set_day(set->catalog, &none, err))
        return false;
    crash_point("day.gone");
    struct partition_id id = {day->tenant, day->kind, day->day};
    pthread_mutex_lock(&set->lock);
    struct partition *p = list_find(set, &id);
    if (p != NULL && p->references == 0) {
        list_remove(set, p);
        partition_free(p);
    } else if (p != NULL) {
        p->dead = true;
    }
    bool ok = file_and_lock_unlink(path, err);
    pthread_mutex_unlock(&set->lock);
    rmdir(folder); /* only when empty */
    return ok;
}

bool partitions_delete_expired(struct partitions *set,
                               bool (*is_expired)(void *context, const struct catalog_day *day),
                               void *context, uint64_t gone_lsn, uint64_t *deleted,
                               struct error *err)
{
    struct arena *arena = arena_new(DAYS_MEMORY_MAX);
    struct catalog_day *days;
    size_t count;
    *deleted = 0;
    bool ok = catalog_all_days(set->catalog, arena, &days, &count, err);
    for (size_t i = 0; ok && i < count; i++) {
        if (!is_expired(context, &days[i]))
            continue;
        ok = partitions_delete_day(set, &days[i], gone_lsn, err);
        *deleted += ok;
    }
    arena_free(arena);
    return ok;
}

static uint64_t file_blocks(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
}

static int oldest_first(const void *a, const void *b)
{
    int32_t x = ((const struct catalog_day *)a)->day, y = ((const struct catalog_day *)b)->day;
    return x < y ? -1 : x > y;
}

static uint64_t day_bytes(const struct partitions *set, const struct catalog_day *day)
{
    char path[PATH_MAX];
    struct error err;
    return partition_path(set, day->tenant, day->kind, day->day, day->generation, path,
                          sizeof(path), &err)
               ? file_blocks(path)
               : 0;
}

bool partitions_delete_oldest(struct partitions *set, uint64_t bytes_max, int32_t day,
                              uint64_t gone_lsn, uint64_t *deleted, struct error *err)
{
    AUTO(arena_drop) struct arena *arena = arena_new(DAYS_MEMORY_MAX);
    struct catalog_day *days;
    size_t count;
    uint64_t bytes = 0;
    *deleted = 0;
    if (!catalog_all_days(set->catalog, arena, &days, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        bytes += day_bytes(set, &days[i]);
    if (bytes <= bytes_max)
        return true;
    qsort(days, count, sizeof(*days), oldest_first);
    int32_t end = days[count - 1].day < day ? days[count - 1].day : day;
    for (size_t i = 0; i < count && bytes > bytes_max && days[i].day < end; i++) {
        uint64_t freed = day_bytes(set, &days[i]);
        if (!partitions_delete_day(set, &days[i], gone_lsn, err))
            return false;
        bytes -= freed < bytes ? freed : bytes;
        (*deleted)++;
    }
    return true;
}

/* ---- figures ------------------------------------------------------------------------- */

uint64_t partition_disk_size(struct partition *p)
{
    return file_blocks(p->env->path);
}

void partitions_stats_read(struct partitions *set, struct partitions_stats *stats)
{
    struct arena *arena = arena_new(DAYS_MEMORY_MAX);
    struct catalog_day *days;
    size_t count;
    struct error err;
    *stats = (struct partitions_stats){0};
    if (catalog_all_days(set->catalog, arena, &days, &count, &err)) {
        stats->count = count;
        for (size_t i = 0; i < count; i++)
            stats->bytes += day_bytes(set, &days[i]);
    }
    arena_free(arena);
    pthread_mutex_lock(&set->lock);
    stats->open = set->open_count;
    pthread_mutex_unlock(&set->lock);
}
