/*
 * import_adopt.c - finished imports into the days of an open store (see import.h).
 *
 * A day that the store does not have becomes its file by a second name and a row
 * of the catalog.  A day that it has is written anew: its chunks as they are,
 * with their LSNs (so replay and the sealer see no difference), and the import's
 * beside them; readers merge both, and the next close of the day does for good.
 * After a crash the import's folder is still there and is taken in once more, which
 * adds nothing.
 */
#include "storage/import.h"

#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/files.h"
#include "storage/crash_point.h"
#include "storage/partition_copy.h"
#include "storage/retention.h"
#include "storage/snapshot.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SERIES_AT_ONCE = 256,
    LISTS_MEMORY_MAX = 256 * 1024 * 1024,
    COPY_MEMORY_MAX = 64 * 1024 * 1024,
    RESULT_MAX = 4096,
    POLL_NS = 200 * 1000 * 1000
};

/* ---- a day that exists ---------------------------------------------------------------- */

struct placed {
    size_t position; /* in the new file */
    uint32_t number; /* in the old one, or in the import's */
};

struct merging {
    struct rewrite *rewrite;
    struct partition *old, *new;
    ARRAY(struct placed) placed; /* the import's series, by position */
    struct chunk_refs old_refs, new_refs;
    struct buffer bytes;
};

static int by_position(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* All series of the import into the new file. */
static bool place_series(struct merging *m, struct error *err)
{
    uint32_t count = partition_series_count(m->new);
    for (uint32_t at = 0; at < count;) {
        uint32_t numbers[SERIES_AT_ONCE], some = 0;
        struct labels labels[SERIES_AT_ONCE];
        AUTO(arena_drop) struct arena *arena = arena_new(LISTS_MEMORY_MAX);
        for (; some < SERIES_AT_ONCE && at < count; some++)
            numbers[some] = at++;
        if (!partition_labels(m->new, numbers, some, arena, labels, err))
            return false;
        for (uint32_t i = 0; i < some; i++) {
            struct placed placed = {.number = numbers[i]};
            if (!rewrite_series(m->rewrite, labels[i], &placed.position, err))
                return false;
            array_push(&m->placed, placed);
        }
    }
    if (count > 1)
        qsort(m->placed.items, count, sizeof(*m->placed.items), by_position);
    return true;
}

static int by_number(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* The chunks of these series, by their numbers in `p`. */
static bool list_chunks(struct partition *p, struct placed *placed, size_t count,
                        struct chunk_refs *refs, struct error *err)
{
    uint32_t numbers[SERIES_AT_ONCE];
    refs->count = 0;
    if (count == 0)
        return true;
    qsort(placed, count, sizeof(*placed), by_number);
    for (size_t i = 0; i < count; i++)
        numbers[i] = placed[i].number;
    if (!partition_chunks(p, numbers, count, INT64_MIN, INT64_MAX, NULL, refs, err))
        return false;
    qsort(placed, count, sizeof(*placed), by_position);
    return true;
}

static bool copy_chunks(struct merging *m, struct partition *p, const struct chunk_ref *ref,
                        size_t position, struct error *err)
{
    struct slice chunk;
    buffer_clear(&m->bytes);
    return partition_fetch(p, ref, 1, &m->bytes, &chunk, err) &&
           rewrite_chunk(m->rewrite, position, chunk, err);
}

/* Those of `refs`, sorted by series, that belong to `number`. */
static bool copy_series(struct merging *m, struct partition *p, const struct chunk_refs *refs,
                        uint32_t number, size_t position, struct error *err)
{
    size_t low = 0, high = refs->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (refs->items[middle].series < number)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < refs->count && refs->items[low].series == number; low++)
        if (!copy_chunks(m, p, &refs->items[low], position, err))
            return false;
    return true;
}

/* The series at [from, from + count) of the new file: the store's chunks, then the import's. */
static bool merge_some(struct merging *m, size_t from, size_t count, size_t *next_placed,
                       struct error *err)
{
    size_t old_count, some = 0;
    struct placed old[SERIES_AT_ONCE], *placed = m->placed.items + *next_placed;
    const uint32_t *order = rewrite_order(m->rewrite, &old_count);
    for (size_t i = from; i < from + count && i < old_count; i++)
        old[some++] = (struct placed){i, order[i]};
    size_t others = 0;
    while (*next_placed + others < m->placed.count && placed[others].position < from + count)
        others++;
    *next_placed += others;
    if (!list_chunks(m->old, old, some, &m->old_refs, err) ||
        !list_chunks(m->new, placed, others, &m->new_refs, err))
        return false;
    for (size_t i = 0, k = 0; i < count; i++) {
        if (i < some && !copy_series(m, m->old, &m->old_refs, old[i].number, from + i, err))
            return false;
        if (k < others && placed[k].position == from + i &&
            !copy_series(m, m->new, &m->new_refs, placed[k++].number, from + i, err))
            return false;
    }
    return true;
}

static bool merge_all(struct merging *m, struct error *err)
{
    size_t old_count, next_placed = 0;
    (void)rewrite_order(m->rewrite, &old_count);
    if (!place_series(m, err))
        return false;
    size_t count = old_count;
    if (m->placed.count > 0 && m->placed.items[m->placed.count - 1].position >= count)
        count = m->placed.items[m->placed.count - 1].position + 1;
    for (size_t from = 0; from < count; from += SERIES_AT_ONCE) {
        size_t some = count - from < SERIES_AT_ONCE ? count - from : SERIES_AT_ONCE;
        if (!merge_some(m, from, some, &next_placed, err))
            return false;
    }
    return rewrite_commit_open(m->rewrite, err);
}

static bool merge_day(struct store *store, const struct partition_id *id, struct partition *new,
                      struct error *err)
{
    struct merging m = {.new = new};
    m.rewrite = rewrite_begin(store->partitions, id, NULL, err);
    if (m.rewrite == NULL)
        return false;
    m.old = rewrite_source(m.rewrite);
    buffer_init(&m.bytes, COPY_MEMORY_MAX);
    bool ok = merge_all(&m, err);
    buffer_done(&m.bytes);
    array_done(&m.placed);
    array_done(&m.old_refs);
    array_done(&m.new_refs);
    rewrite_end(m.rewrite);
    return ok;
}

/* ---- deletes ---------------------------------------------------------------------------- */

/*
 * Would a delete that is not worked off yet hide anything of these series?  Imported chunks have
 * the lowest LSN, so it would; then the import must wait for that delete's days.
 */
static bool check_series(struct partition *p, const struct tombstone_set *set, uint32_t number,
                         struct labels labels, struct error *err)
{
    struct hides hides = {0};
    struct chunk_refs refs = {0};
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, 200);
    bool ok = tombstone_set_hides(set, labels, INT64_MIN, INT64_MAX, &hides, err) &&
              (hides.count == 0 ||
               partition_chunks(p, &number, 1, INT64_MIN, INT64_MAX, NULL, &refs, err));
    for (size_t i = 0; ok && i < refs.count; i++) {
        const struct chunk_ref *ref = &refs.items[i];
        if (!hides_touch(hides.items, hides.count, ref->first_ns, ref->last_ns, ref->lsn_max))
            continue;
        labels_append_text(&text, labels);
        ok = error_set(err, ERR_EXECUTION,
                       "a delete of %.*s is not worked off: import again when the day of the "
                       "delete is over and tombstones are cleaned",
                       SLICE_ARG(buffer_slice(&text)));
    }
    array_done(&hides);
    array_done(&refs);
    return ok;
}

static bool check_deletes(struct store *store, const struct partition_id *id, struct partition *p,
                          struct error *err)
{
    struct tombstone_set *set = tombstones_get(store->tombstones, id->tenant, id->kind);
    uint32_t count = set == NULL ? 0 : partition_series_count(p);
    bool ok = true;
    for (uint32_t at = 0; ok && at < count;) {
        uint32_t numbers[SERIES_AT_ONCE], some = 0;
        struct labels labels[SERIES_AT_ONCE];
        AUTO(arena_drop) struct arena *arena = arena_new(LISTS_MEMORY_MAX);
        for (; some < SERIES_AT_ONCE && at < count; some++)
            numbers[some] = at++;
        ok = partition_labels(p, numbers, some, arena, labels, err);
        for (uint32_t i = 0; ok && i < some; i++)
            ok = check_series(p, set, numbers[i], labels[i], err);
    }
    tombstone_set_unref(set);
    return ok;
}

/* ---- one import ------------------------------------------------------------------------- */

struct adopting {
    struct store *store;
    const char *path;        /* of the import */
    struct catalog *catalog; /* its own */
    struct partitions *partitions;
    uint64_t added, merged, too_old; /* days */
};

/* A new day is closed when nothing can come into it any more. */
static bool day_is_over(const struct store *store, const struct partition_id *id)
{
    int64_t window = retention_window(&store->options, id->tenant, id->kind);
    int64_t end = (id->day + INT64_C(1)) * NS_PER_DAY;
    return ns_sub(store_now_ns(store), end) >= (window >= 0 ? window : NS_PER_HOUR);
}

/* After a crash: is the day's file the import's own by now? */
static bool is_taken(const struct adopting *a, const struct catalog_day *day)
{
    char theirs[PATH_MAX], ours[PATH_MAX];
    struct stat x, y;
    struct error ignored;
    struct catalog_day own;
    return catalog_find_day(a->store->catalog, day->tenant, day->kind, day->day, &own) &&
           partition_file(a->store->directory, &own, ours, sizeof(ours), &ignored) &&
           partition_file(a->path, day, theirs, sizeof(theirs), &ignored) && stat(ours, &x) == 0 &&
           stat(theirs, &y) == 0 && x.st_ino == y.st_ino;
}

/* For caches of answers. */
static bool note_change(struct store *store, const struct partition_id *id, struct error *err)
{
    struct head *head = store_head_make(store, id->tenant, id->kind, err);
    if (head == NULL)
        return false;
    pthread_mutex_lock(&head->lock);
    changes_note(&head->changes, id->day * NS_PER_DAY);
    pthread_mutex_unlock(&head->lock);
    return true;
}

static bool adopt_day(struct adopting *a, const struct catalog_day *day, struct error *err)
{
    char path[PATH_MAX];
    struct store *store = a->store;
    struct partition_id id = {day->tenant, day->kind, day->day};
    int64_t retention = retention_longest(&store->options, id.tenant, id.kind);
    if (retention >= 0 && day->day < partition_day(ns_sub(store_now_ns(store), retention))) {
        a->too_old++;
        return true;
    }
    if (is_taken(a, day))
        return true;
    struct partition *p = partition_acquire(a->partitions, &id, err);
    if (p == NULL)
        return false;
    bool exists = catalog_generation(store->catalog, day->tenant, day->kind, day->day) != 0;
    bool ok =
        check_deletes(store, &id, p, err) &&
        (exists ? merge_day(store, &id, p, err) : partition_path_of(p, path, sizeof(path), err));
    partition_release(p);
    if (!exists) {
        /* Its environment must be closed before the store opens the same file. */
        partitions_close_idle(a->partitions);
        ok = ok && partition_adopt(store->partitions, &id, path, day_is_over(store, &id), err);
    }
    a->added += !exists;
    a->merged += exists;
    return ok && note_change(store, &id, err);
}

static bool adopt_metadata(struct adopting *a, struct slice tenant, struct error *err)
{
    struct metric_metadata *items;
    size_t count;
    struct batch_result result;
    AUTO(arena_drop) struct arena *arena = arena_new(LISTS_MEMORY_MAX);
    if (!catalog_metadata(a->catalog, tenant, SLICE(""), arena, &items, &count, err))
        return false;
    if (count == 0)
        return true;
    struct batch *batch = batch_new(a->store, tenant, STORE_METRIC, err);
    if (batch == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        batch_metadata(batch, items[i].family, items[i].type, items[i].help, items[i].unit);
    return batch_commit_wait(batch, &result, err);
}

static bool adopt_parts(struct adopting *a, struct error *err)
{
    struct slice *tenants;
    struct catalog_day *days;
    size_t tenant_count, day_count;
    AUTO(arena_drop) struct arena *arena = arena_new(LISTS_MEMORY_MAX);
    if (!catalog_tenants(a->catalog, arena, &tenants, &tenant_count, err) ||
        !catalog_all_days(a->catalog, arena, &days, &day_count, err))
        return false;
    for (size_t i = 0; i < tenant_count; i++)
        if (!catalog_add_tenant(a->store->catalog, tenants[i], a->store->options.tenants_max,
                                err) ||
            !adopt_metadata(a, tenants[i], err))
            return false;
    for (size_t i = 0; i < day_count; i++)
        if (!adopt_day(a, &days[i], err))
            return false;
    return true;
}

static bool adopt_folder(struct store *store, const char *path, struct adopting *a,
                         struct error *err)
{
    *a = (struct adopting){.store = store, .path = path};
    a->catalog = catalog_open(path, err);
    if (a->catalog == NULL)
        return false;
    struct partitions_options options = {.directory = path, .catalog = a->catalog};
    a->partitions = partitions_open(&options, err);
    bool ok = a->partitions != NULL && adopt_parts(a, err);
    partitions_close(a->partitions);
    catalog_close(a->catalog);
    return ok;
}

/* ---- all of them -------------------------------------------------------------------------- */

static bool write_result(const char *path, bool ok, const struct adopting *a,
                         const struct error *failure, struct error *err)
{
    char result[PATH_MAX + 16], text[RESULT_MAX];
    snprintf(result, sizeof(result), "%s.result", path);
    int n = ok ? snprintf(text, sizeof(text), "taken in: %llu new days, %llu days merged%s",
                          (unsigned long long)a->added, (unsigned long long)a->merged,
                          a->too_old > 0 ? "" : "\n")
               : snprintf(text, sizeof(text), "error: %s\n", failure->message);
    if (ok && a->too_old > 0)
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "; left out %llu days that are older than the server's retention\n",
                      (unsigned long long)a->too_old);
    return file_replace(result, slice_of(text, (size_t)n), err);
}

static bool adopt_one(struct store *store, const char *folder, const char *name, struct error *err)
{
    char path[PATH_MAX], failed[PATH_MAX + 16];
    struct adopting a;
    struct error ignored = {0};
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (n < 0 || n >= PATH_MAX)
        return error_set(err, ERR_INVALID, "the data directory's path is too long");
    bool ok = adopt_folder(store, path, &a, err);
    if (ok) {
        crash_point("import.adopted");
        tree_remove(path);
    } else {
        error_prefix(err, "taking in import %s", name);
        if (err->code == ERR_UNAVAILABLE)
            return false; /* a full disk: again at the next turn */
        snprintf(failed, sizeof(failed), "%s.failed", path);
        if (!file_rename(path, failed, &ignored))
            tree_remove(path); /* or it would fail at each turn */
    }
    return write_result(path, ok, &a, err, ok ? err : &ignored) && ok;
}

bool import_adopt_all(struct store *store, struct error *err)
{
    char folder[PATH_MAX], **names;
    size_t count;
    struct stat info;
    int n = snprintf(folder, sizeof(folder), "%s/import", store->directory);
    if (n < 0 || n >= PATH_MAX || stat(folder, &info) != 0)
        return true;
    if (!directory_list(folder, &names, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; i < count; i++) {
        struct error failure = {0};
        if (strchr(names[i], '.') != NULL || adopt_one(store, folder, names[i], &failure))
            continue;
        if (ok)
            *err = failure;
        ok = false;
    }
    names_free(names, count);
    return ok;
}

/* ---- for who made it ---------------------------------------------------------------------- */

static bool result_take(const char *path, char *result, size_t size)
{
    struct error err;
    AUTO(buffer_done) struct buffer text;
    buffer_init(&text, RESULT_MAX);
    if (!file_load(path, &text, &err))
        return false;
    size_t length = text.size < size - 1 ? text.size : size - 1;
    memcpy(result, text.data, length);
    while (length > 0 && result[length - 1] == '\n')
        length--;
    result[length] = '\0';
    return file_unlink(path, &err);
}

/* Nobody has the store open: do it here.  ERR_BUSY: somebody has. */
static bool adopt_here(const char *directory, struct error *err)
{
    struct store_options options = {
        .directory = directory, .retention_ns = -1, .seal_interval_ns = -1};
    struct error failure = {0};
    struct store *store = store_open(&options, err);
    if (store == NULL)
        return false;
    pthread_mutex_lock(&store->seal_lock);
    bool ok = import_adopt_all(store, &failure) || failure.code != ERR_UNAVAILABLE;
    pthread_mutex_unlock(&store->seal_lock);
    ok = (!ok || store_close_days(store, store_now_ns(store), &failure)) && ok;
    if (!store_close(store, err))
        return false;
    if (!ok)
        *err = failure;
    return ok; /* any other failure stands in the result */
}

bool import_deliver(const char *directory, const char *name, char *result, size_t size,
                    struct error *err)
{
    char path[PATH_MAX];
    struct timespec pause = {0, POLL_NS};
    int n = snprintf(path, sizeof(path), "%s/import/%s.result", directory, name);
    if (n < 0 || n >= PATH_MAX)
        return error_set(err, ERR_INVALID, "the data directory's path is too long");
    while (!result_take(path, result, size)) {
        struct error failure = {0};
        if (adopt_here(directory, &failure))
            continue;
        if (failure.code != ERR_BUSY) {
            *err = failure;
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return strncmp(result, "error: ", 7) != 0 || error_set(err, ERR_IO, "%s", result + 7);
}
