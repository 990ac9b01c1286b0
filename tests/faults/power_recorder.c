/* power_recorder.c - the record and the disk behind power_recorder.h. */
#include "tests/faults/power_recorder.h"

#include "base/array.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/slice.h"
#include "tests/faults/store_model.h"
#include "tests/faults/system_calls.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512 };

/* Changes of a file's content carry its number, changes of names the path below the directory. */
enum change_kind {
    CHANGE_WRITE,
    CHANGE_SYNC,
    CHANGE_SIZE,
    NAME_ADD,    /* of a file */
    NAME_MOVE,   /* `to` */
    NAME_REMOVE, /* of a file or a folder */
    FOLDER_ADD,
    FOLDER_SYNC
};

struct change {
    enum change_kind kind;
    unsigned file;
    bool durable;    /* a write that is on the disk when it returns */
    uint64_t offset; /* CHANGE_SIZE: the size */
    uint8_t *data;
    size_t size;
    char *path, *to;
};

struct name {
    char *path;
    unsigned file; /* FOLDER: a folder */
};
enum { FOLDER = 0 };
struct names ARRAY_BODY(struct name);

static struct {
    char directory[128];
    pthread_mutex_t lock; /* guards what follows */
    ARRAY(struct change) changes;
    struct names names; /* as they are now */
    unsigned files;
} record = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- names ------------------------------------------------------------------- */

/* What follows the directory in a path; NULL: it lies elsewhere, or does not matter. */
static const char *below(const char *path)
{
    size_t size = strlen(record.directory);
    struct slice all = slice_from_text(path);
    if (strncmp(path, record.directory, size) != 0 || (path[size] != '/' && path[size] != '\0') ||
        slice_ends_with(all, SLICE("-lock")) || slice_ends_with(all, SLICE("/lock")))
        return NULL;
    return path + size;
}

static struct name *names_find(struct names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i].path, path) == 0)
            return &names->items[i];
    return NULL;
}

static void names_remove(struct names *names, const char *path)
{
    struct name *name = names_find(names, path);
    if (name == NULL)
        return;
    free(name->path);
    *name = names->items[--names->count];
}

static void names_set(struct names *names, const char *path, unsigned file)
{
    names_remove(names, path);
    array_push(names, ((struct name){xstrdup(path), file}));
}

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].path);
    array_done(names);
}

/* ---- recording ------------------------------------------------------------------ */

static void push(struct change change, const char *path, const char *to, const void *data)
{
    change.path = path ? xstrdup(path) : NULL;
    change.to = to ? xstrdup(to) : NULL;
    change.data = change.size > 0 ? (uint8_t *)xmemdup(data, change.size) : NULL;
    array_push(&record.changes, change);
}

/* Caller holds the lock; paths are below the directory. */
static void note_name(const struct system_call *call, const char *path, const char *to)
{
    struct name *name = names_find(&record.names, path);
    switch (call->kind) {
    case CALL_OPEN:
        names_set(&record.names, path, ++record.files);
        push((struct change){.kind = NAME_ADD, .file = record.files}, path, NULL, NULL);
        break;
    case CALL_LINK:
        names_set(&record.names, to, name ? name->file : ++record.files);
        push((struct change){.kind = NAME_ADD, .file = names_find(&record.names, to)->file}, to,
             NULL, NULL);
        break;
    case CALL_RENAME:
        if (name == NULL)
            abort(); /* folders are never renamed */
        names_set(&record.names, to, name->file);
        names_remove(&record.names, path);
        push((struct change){.kind = NAME_MOVE, .file = names_find(&record.names, to)->file}, path,
             to, NULL);
        break;
    case CALL_MKDIR:
        names_set(&record.names, path, FOLDER);
        push((struct change){.kind = FOLDER_ADD}, path, NULL, NULL);
        break;
    default: /* unlink, rmdir */
        names_remove(&record.names, path);
        push((struct change){.kind = NAME_REMOVE}, path, NULL, NULL);
        break;
    }
}

static void note_content(const struct system_call *call, const char *path)
{
    const struct name *name = names_find(&record.names, path);
    bool folder = path[0] == '\0' || (name != NULL && name->file == FOLDER);
    if (call->kind == CALL_SYNC && folder)
        push((struct change){.kind = FOLDER_SYNC}, path, NULL, NULL);
    else if (name == NULL)
        return; /* removed already: nobody will see it */
    else if (call->kind == CALL_SYNC)
        push((struct change){.kind = CHANGE_SYNC, .file = name->file}, NULL, NULL, NULL);
    else
        push((struct change){.kind = call->kind == CALL_SIZE ? CHANGE_SIZE : CHANGE_WRITE,
                             .file = name->file,
                             .durable = call->durable,
                             .offset = call->offset,
                             .size = call->kind == CALL_SIZE ? 0 : call->size},
             NULL, NULL, call->data);
}

/* Writes are noted before they are done: a power loss in one is one after it that lost some. */
static int note_before(const struct system_call *call, size_t *size)
{
    (void)size;
    const char *path = below(call->path);
    if (path == NULL || (call->kind != CALL_WRITE && call->kind != CALL_SIZE))
        return 0;
    pthread_mutex_lock(&record.lock);
    note_content(call, path);
    pthread_mutex_unlock(&record.lock);
    return 0;
}

/* All else after it was done: only then may anybody rely on it. */
static void note_after(const struct system_call *call)
{
    const char *path = below(call->path);
    if (path == NULL || call->kind == CALL_WRITE || call->kind == CALL_MAP ||
        (call->kind == CALL_SIZE && call->offset != 0))
        return;
    pthread_mutex_lock(&record.lock);
    if (call->kind == CALL_SYNC || call->kind == CALL_SIZE)
        note_content(call, path);
    else
        note_name(call, path, call->to ? below(call->to) : NULL);
    pthread_mutex_unlock(&record.lock);
}

static const struct system_watch recorder = {note_before, note_after};

void power_record_start(const char *directory)
{
    snprintf(record.directory, sizeof(record.directory), "%s", directory);
    system_watch = &recorder;
}

void power_record_stop(void)
{
    system_watch = NULL;
}

void power_record_free(void)
{
    for (size_t i = 0; i < record.changes.count; i++) {
        free(record.changes.items[i].data);
        free(record.changes.items[i].path);
        free(record.changes.items[i].to);
    }
    array_done(&record.changes);
    names_done(&record.names);
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
        if (change->durable || pending < sector_reach(seed, sector, count))
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

/* The content of a file when `point` changes had been made. */
static void rebuild(struct disk_file *file, unsigned number, size_t point, uint64_t seed)
{
    size_t synced = 0; /* changes before this one are on the disk */
    for (size_t i = 0; i < point; i++)
        if (record.changes.items[i].kind == CHANGE_SYNC && record.changes.items[i].file == number)
            synced = i + 1;
    for (size_t i = 0; i < point; i++) {
        struct change change = record.changes.items[i];
        if (change.file != number || (change.kind != CHANGE_WRITE && change.kind != CHANGE_SIZE))
            continue;
        change.durable = change.durable && i + 1 < point; /* the last may not have returned */
        if (i < synced)
            apply(file, &change);
        else
            apply_loosely(file, &change, seed, i - synced, point - synced);
    }
}

/* Was the folder that holds the name synced after change `i`? */
static bool name_is_sure(size_t i, const char *path, size_t point)
{
    size_t size = (size_t)(strrchr(path, '/') - path);
    for (size_t k = i + 1; k < point; k++) {
        const struct change *change = &record.changes.items[k];
        if (change->kind == FOLDER_SYNC && strlen(change->path) == size &&
            memcmp(change->path, path, size) == 0)
            return true;
    }
    return false;
}

static void rebuild_names(struct names *names, size_t point, uint64_t *random)
{
    for (size_t i = 0; i < point; i++) {
        const struct change *change = &record.changes.items[i];
        if (change->path == NULL || change->kind == FOLDER_SYNC || change->path[0] == '\0')
            continue;
        if (!name_is_sure(i, change->path, point) && model_random(random) % 2)
            continue;
        if (change->kind == NAME_ADD || change->kind == FOLDER_ADD)
            names_set(names, change->path, change->file);
        if (change->kind == NAME_MOVE || change->kind == NAME_REMOVE)
            names_remove(names, change->path);
        if (change->kind == NAME_MOVE)
            names_set(names, change->to, change->file);
    }
}

/* Are all folders above it there? */
static bool is_reachable(struct names *names, const char *path)
{
    char above[256];
    snprintf(above, sizeof(above), "%s", path);
    for (char *slash = strrchr(above, '/'); slash != above; slash = strrchr(above, '/')) {
        *slash = '\0';
        const struct name *folder = names_find(names, above);
        if (folder == NULL || folder->file != FOLDER)
            return false;
    }
    return true;
}

static bool write_file(const char *directory, const char *name, const struct disk_file *file,
                       struct error *err)
{
    char path[512];
    snprintf(path, sizeof(path), "%s%s", directory, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    bool ok = directory_make(path, err);
    *slash = '/';
    int fd = ok ? file_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640, err) : -1;
    ok = fd >= 0 && file_write_at(fd, file->data.items, file->data.count, 0, err);
    fd_drop(&fd);
    return ok;
}

static bool make_folder(const char *directory, const char *name, struct error *err)
{
    char path[512];
    snprintf(path, sizeof(path), "%s%s", directory, name);
    return directory_make(path, err);
}

/* For looking at a failure: POWER_SHOW=1. */
static void show(size_t point)
{
    static const char *const kinds[] = {"write", "sync",   "size",       "add",
                                        "move",  "remove", "add folder", "sync folder"};
    for (size_t i = 0; i < point; i++) {
        const struct change *c = &record.changes.items[i];
        fprintf(stderr, "%zu: %s %u %s %s at %llu, %zu bytes%s\n", i, kinds[c->kind], c->file,
                c->path ? c->path : "", c->to ? c->to : "", (unsigned long long)c->offset, c->size,
                c->durable ? ", durable" : "");
    }
}

bool power_cut(const char *directory, size_t point, uint64_t seed, struct error *err)
{
    uint64_t random = seed;
    bool ok = true;
    struct names names = {0};
    rebuild_names(&names, point, &random);
    for (size_t i = 0; ok && i < names.count; i++) {
        const struct name *name = &names.items[i];
        if (!is_reachable(&names, name->path))
            continue;
        if (name->file == FOLDER) {
            ok = make_folder(directory, name->path, err);
            continue;
        }
        struct disk_file file = {0};
        rebuild(&file, name->file, point, model_random(&random));
        ok = write_file(directory, name->path, &file, err);
        array_done(&file.data);
    }
    names_done(&names);
    if (getenv("POWER_SHOW"))
        show(point);
    return ok;
}
