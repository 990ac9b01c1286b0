/*
 * partition_close.c - a day as a new generation (see partition.h and docs/format-partition.md).
 *
 * The new file is a partition like any other, but hidden: it stands in no list
 * and has no row in the catalog, so after a crash the next start removes it.
 * All series go into it first, sorted, so that series numbers, postings and
 * chunks ascend and LMDB fills its pages by appending.  The catalog's row is the
 * only commit point; readers of the old generation keep it until they let go.
 *
 * For sorting, label texts become their ranks among the day's symbols: 8 bytes a
 * label pair, whatever the texts' lengths.
 */
#include "base/array.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "storage/crash_point.h"
#include "storage/partition_internal.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { FREE_SPACE_EXTRA = 16 * 1024 * 1024 };

struct rewrite {
    struct partition *old;
    struct seal *seal; /* into the hidden generation */
    uint32_t next;     /* its number */
    uint32_t groups;   /* of the old one, at the start */
    ARRAY(uint32_t) order;
    bool committed;
};

/* ---- the order ----------------------------------------------------------------- */

struct sorted_series {
    const struct label_pair *pairs; /* ranks instead of symbols */
    uint32_t count, number;
    uint32_t metric; /* rank of the metric's name + 1, 0: none */
    size_t at;       /* of its pairs in the pool */
};

struct sorting {
    ARRAY(struct label_pair) pool;
    ARRAY(struct sorted_series) series;
    const bool *dropped;
    uint32_t seen;       /* of the old numbers */
    struct slice *texts; /* by rank */
    uint32_t *ranks;     /* by symbol */
    size_t symbols;
};

static int rank_order(uint32_t a, uint32_t b)
{
    return a < b ? -1 : a > b;
}

static int series_order(const void *a, const void *b)
{
    const struct sorted_series *x = a, *y = b;
    if (x->metric != y->metric)
        return rank_order(x->metric, y->metric);
    for (uint32_t i = 0; i < x->count && i < y->count; i++) {
        if (x->pairs[i].name != y->pairs[i].name)
            return rank_order(x->pairs[i].name, y->pairs[i].name);
        if (x->pairs[i].value != y->pairs[i].value)
            return rank_order(x->pairs[i].value, y->pairs[i].value);
    }
    return rank_order(x->count, y->count);
}

struct numbered_text {
    struct slice text;
    uint32_t number;
};

static int text_order(const void *a, const void *b)
{
    return slice_compare(((const struct numbered_text *)a)->text,
                         ((const struct numbered_text *)b)->text);
}

static void symbols_rank(struct sorting *s, const struct day_index *index)
{
    size_t count = s->symbols = index->symbols.count;
    AUTO(memory_drop) struct numbered_text *texts = xcalloc(count + 1, sizeof(*texts));
    for (size_t i = 0; i < count; i++)
        texts[i] = (struct numbered_text){index->symbols.items[i], (uint32_t)i};
    if (count > 1)
        qsort(texts, count, sizeof(*texts), text_order);
    s->texts = xcalloc(count + 1, sizeof(*s->texts));
    s->ranks = xcalloc(count + 1, sizeof(*s->ranks));
    for (size_t i = 0; i < count; i++) {
        s->texts[i] = texts[i].text;
        s->ranks[texts[i].number] = (uint32_t)i;
    }
}

static bool series_add(struct sorting *s, const struct reading *r, struct slice record,
                       struct label_pair *pairs, struct error *err)
{
    struct hash128 fingerprint;
    size_t count;
    if (!series_get(record, &fingerprint, pairs, &count))
        return reading_corrupt(r, "malformed series record", err);
    struct sorted_series series = {
        .count = (uint32_t)count, .number = s->seen++, .at = s->pool.count};
    if (s->dropped != NULL && s->dropped[series.number])
        return true;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].name >= s->symbols || pairs[i].value >= s->symbols)
            return reading_corrupt(r, "a series names a symbol that does not exist", err);
        struct label_pair ranks = {s->ranks[pairs[i].name], s->ranks[pairs[i].value]};
        if (slice_equal(s->texts[ranks.name], LABEL_NAME_METRIC))
            series.metric = ranks.value + 1;
        array_push(&s->pool, ranks);
    }
    array_push(&s->series, series);
    return true;
}

static bool series_sort(struct sorting *s, struct partition *p, struct error *err)
{
    AUTO(memory_drop) struct label_pair *pairs = xcalloc(SERIES_LABELS_MAX, sizeof(*pairs));
    struct reading r;
    if (!reading_begin(&r, p, DB_SERIES, NULL, err))
        return false;
    MDB_val key, value;
    bool ok = true;
    int rc = mdb_cursor_get(r.cursor, &key, &value, MDB_FIRST);
    for (; ok && rc == 0; rc = mdb_cursor_get(r.cursor, &key, &value, MDB_NEXT))
        ok = series_add(s, &r, lmdb_slice(value), pairs, err);
    reading_end(&r);
    if (ok && rc != 0 && rc != MDB_NOTFOUND)
        ok = lmdb_failed(p->env, rc, "reading series", err);
    for (size_t i = 0; i < s->series.count; i++)
        s->series.items[i].pairs = s->pool.items + s->series.items[i].at;
    if (ok && s->series.count > 1)
        qsort(s->series.items, s->series.count, sizeof(*s->series.items), series_order);
    return ok;
}

/* All series of the day into the new file; their numbers there count up from 0. */
static bool series_write(struct rewrite *w, const struct sorting *s, struct error *err)
{
    AUTO(memory_drop) struct label *labels = xcalloc(SERIES_LABELS_MAX, sizeof(*labels));
    for (size_t i = 0; i < s->series.count; i++) {
        const struct sorted_series *series = &s->series.items[i];
        uint32_t number;
        for (uint32_t k = 0; k < series->count; k++)
            labels[k] =
                (struct label){s->texts[series->pairs[k].name], s->texts[series->pairs[k].value]};
        if (seal_is_full(w->seal) && !seal_commit(w->seal, err))
            return false;
        if (!seal_series(w->seal, (struct labels){labels, series->count}, &number, err))
            return false;
        if (number != i)
            return error_set(err, ERR_CORRUPT, "%s: two series have the same labels",
                             w->old->env->path);
        array_push(&w->order, series->number);
    }
    return seal_commit(w->seal, err);
}

static bool series_copy(struct rewrite *w, const bool *dropped, struct error *err)
{
    struct sorting sorting = {.dropped = dropped};
    pthread_mutex_lock(&w->old->index_lock);
    bool ok = index_load(w->old, err);
    if (ok) {
        symbols_rank(&sorting, w->old->index);
        ok = series_sort(&sorting, w->old, err) && series_write(w, &sorting, err);
        index_free(w->old->index); /* not needed before the day is sealed into again */
        w->old->index = NULL;
    }
    pthread_mutex_unlock(&w->old->index_lock);
    array_done(&sorting.pool);
    array_done(&sorting.series);
    free(sorting.texts);
    free(sorting.ranks);
    return ok;
}

/* ---- the rewrite ----------------------------------------------------------------- */

static bool space_check(const struct partition *p, struct error *err)
{
    struct stat info;
    struct statvfs disk;
    if (stat(p->env->path, &info) != 0 || statvfs(p->env->path, &disk) != 0)
        return error_set(err, ERR_IO, "%s: %s", p->env->path, strerror(errno));
    uint64_t space = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t needed = (uint64_t)info.st_blocks * 512 + FREE_SPACE_EXTRA;
    if (space < needed)
        return error_set(err, ERR_UNAVAILABLE,
                         "rewriting %s needs %ju bytes on the disk, %ju are free", p->env->path,
                         (uintmax_t)needed, (uintmax_t)space);
    return true;
}

struct rewrite *rewrite_begin(struct partitions *set, const struct partition_id *id,
                              const bool *dropped, struct error *err)
{
    struct rewrite *w = xcalloc(1, sizeof(*w));
    w->old = partition_acquire(set, id, err);
    if (w->old != NULL && space_check(w->old, err)) {
        w->groups = w->old->state.groups; /* of this thread, the sealer */
        struct partition *p = partition_make_next(w->old, err);
        w->next = p != NULL ? p->generation : 0;
        w->seal = p != NULL ? seal_begin_into(p, err) : NULL;
    }
    if (w->seal != NULL && series_copy(w, dropped, err))
        return w;
    rewrite_end(w);
    return NULL;
}

void rewrite_end(struct rewrite *w)
{
    if (w == NULL)
        return;
    struct error ignored = {0};
    seal_end(w->seal);
    bool unnamed = w->next != 0 && !w->committed;
    if (unnamed && !partition_discard(w->old, w->next, &ignored))
        crash_point("day.discard_failed"); /* the next attempt or start removes it */
    partition_release(w->old);
    array_done(&w->order);
    free(w);
}

struct partition *rewrite_source(struct rewrite *w)
{
    return w->old;
}

const uint32_t *rewrite_order(const struct rewrite *w, size_t *count)
{
    *count = w->order.count;
    return w->order.items;
}

bool rewrite_chunk(struct rewrite *w, size_t position, struct slice chunk, struct error *err)
{
    return (!seal_is_full(w->seal) || seal_commit(w->seal, err)) &&
           seal_chunk(w->seal, (uint32_t)position, chunk, err);
}

bool rewrite_commit(struct rewrite *w, uint64_t lsn, uint64_t retained, struct error *err)
{
    if (w->old->state.groups != w->groups)
        return error_set(err, ERR_UNAVAILABLE, "%s was written to meanwhile", w->old->env->path);
    if (!seal_close(w->seal, lsn, err))
        return false;
    seal_end(TAKE(w->seal)); /* the file is closed before anybody else may open it */
    crash_point("day.written");
    w->committed = true; /* from here on the row decides; on failure the next start does */
    return partition_replace(w->old, w->next, true, lsn, retained, err);
}

bool rewrite_series(struct rewrite *w, struct labels labels, size_t *position, struct error *err)
{
    uint32_t number;
    if ((seal_is_full(w->seal) && !seal_commit(w->seal, err)) ||
        !seal_series(w->seal, labels, &number, err))
        return false;
    *position = number;
    return true;
}

bool rewrite_commit_open(struct rewrite *w, struct error *err)
{
    if (!seal_close(w->seal, w->old->closed.lsn, err))
        return false;
    seal_end(TAKE(w->seal));
    crash_point("import.written");
    w->committed = true;
    return partition_replace(w->old, w->next, false, 0, 0, err);
}

bool partition_is_of_close(const struct partition *p, const struct chunk_ref *ref)
{
    return (uint32_t)ref->group < p->closed.groups;
}

/* ---- late data ------------------------------------------------------------------- */

bool partition_lateness_read(struct partitions *set, const struct partition_id *id,
                             struct partition_lateness *lateness, struct error *err)
{
    struct stat info;
    struct partition *p = partition_acquire(set, id, err);
    if (p == NULL)
        return false;
    *lateness = (struct partition_lateness){0};
    pthread_rwlock_rdlock(&p->state_lock);
    for (size_t i = 0; i < p->groups.count; i++) {
        const struct group_summary *g = &p->groups.items[i];
        lateness->all += g->size;
        if ((uint32_t)g->key >= p->closed.groups)
            lateness->late += g->size;
    }
    pthread_rwlock_unlock(&p->state_lock);
    if (stat(p->env->path, &info) == 0)
        lateness->changed_s = info.st_mtime;
    partition_release(p);
    return true;
}
