/*
 * partition_read.c - labels, chunk lists and chunk bytes of a day (see partition.h).
 *
 * Every call reads in short transactions and copies what it gives out, so no
 * page is pinned while a query thinks.  Groups are found from their summaries,
 * which stay in memory: a list of chunks touches only the directories of groups
 * that overlap both the series and the time.
 */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/partition_internal.h"

/* ---- readings ---------------------------------------------------------------- */

bool reading_begin(struct reading *r, struct partition *p, int database, const bool *cancel,
                   struct error *err)
{
    *r = (struct reading){.p = p, .database = database, .cancel = cancel};
    if (!lmdb_read_begin(p->env, &r->txn, err))
        return false;
    r->started_ns = clock_monotonic_ns();
    int rc = mdb_cursor_open(r->txn, p->env->databases[database], &r->cursor);
    if (rc == 0)
        return true;
    lmdb_read_end(p->env, r->txn);
    return lmdb_failed(p->env, rc, "reading", err);
}

void reading_end(struct reading *r)
{
    if (r->txn == NULL)
        return;
    mdb_cursor_close(r->cursor);
    lmdb_read_end(r->p->env, r->txn);
}

bool reading_pause(struct reading *r, bool *renewed, struct error *err)
{
    *renewed = false;
    if (r->cancel != NULL && __atomic_load_n(r->cancel, __ATOMIC_RELAXED))
        return error_set(err, ERR_CANCELED, "canceled");
    if (clock_monotonic_ns() - r->started_ns < READ_TIME_MAX_NS)
        return true;
    struct partition *p = r->p;
    MDB_cursor *cursor;
    MDB_txn *txn;
    reading_end(r);
    /* Without a fresh transaction there is nothing to end any more: `txn` says so. */
    if (!lmdb_read_begin(p->env, &txn, err)) {
        r->txn = NULL;
        r->cursor = NULL;
        return false;
    }
    int rc = mdb_cursor_open(txn, p->env->databases[r->database], &cursor);
    if (rc != 0) {
        lmdb_read_end(p->env, txn);
        r->txn = NULL;
        r->cursor = NULL;
        return lmdb_failed(p->env, rc, "reading", err);
    }
    r->txn = txn;
    r->cursor = cursor;
    r->started_ns = clock_monotonic_ns();
    *renewed = true;
    return true;
}

bool reading_corrupt(const struct reading *r, const char *what, struct error *err)
{
    return error_set(err, ERR_CORRUPT, "%s: %s", r->p->env->path, what);
}

bool reading_get(struct reading *r, int database, struct slice key, struct slice *value,
                 struct error *err)
{
    MDB_val k = lmdb_val(key), v = {0, NULL};
    int rc = mdb_get(r->txn, r->p->env->databases[database], &k, &v);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_failed(r->p->env, rc, "reading", err);
    *value = rc == 0 ? lmdb_slice(v) : (struct slice){0};
    return true;
}

/* ---- labels ------------------------------------------------------------------- */

/* Symbols already copied into the caller's arena, by number. */
struct symbol_memo {
    struct slice *texts;
    uint32_t count;
};

static bool memo_get(struct reading *r, struct symbol_memo *memo, uint32_t number,
                     struct arena *arena, struct slice *text, struct error *err)
{
    if (number >= memo->count)
        return reading_corrupt(r, "a series names a symbol that does not exist", err);
    if (memo->texts[number].data == NULL) {
        char key[4];
        struct slice found;
        if (!reading_get(r, DB_SYMBOLS, key_u32(key, number), &found, err))
            return false;
        if (found.data == NULL)
            return reading_corrupt(r, "a symbol is missing", err);
        memo->texts[number] = arena_copy(arena, found);
        if (memo->texts[number].data == NULL)
            return arena_check(arena, "labels", err);
    }
    *text = memo->texts[number];
    return true;
}

static bool labels_read(struct reading *r, struct symbol_memo *memo, uint32_t series,
                        struct label_pair *pairs, struct arena *arena, struct labels *out,
                        struct error *err)
{
    char key[4];
    struct slice record;
    struct hash128 fingerprint;
    size_t count;
    if (!reading_get(r, DB_SERIES, key_u32(key, series), &record, err))
        return false;
    if (record.data == NULL || !series_get(record, &fingerprint, pairs, &count))
        return reading_corrupt(r, "malformed series record", err);
    struct label *items = arena_calloc(arena, count + 1, sizeof(*items));
    if (items == NULL)
        return arena_check(arena, "labels", err);
    for (size_t i = 0; i < count; i++)
        if (!memo_get(r, memo, pairs[i].name, arena, &items[i].name, err) ||
            !memo_get(r, memo, pairs[i].value, arena, &items[i].value, err))
            return false;
    struct labels labels = {items, count};
    if (!hash128_equal(labels_fingerprint(labels), fingerprint))
        return reading_corrupt(r, "a series' labels do not have its fingerprint", err);
    *out = labels;
    return true;
}

static struct partition_state state_of(struct partition *p)
{
    pthread_rwlock_rdlock(&p->state_lock);
    struct partition_state state = p->state;
    pthread_rwlock_unlock(&p->state_lock);
    return state;
}

bool partition_labels(struct partition *p, const uint32_t *series, size_t count,
                      struct arena *arena, struct labels *labels, struct error *err)
{
    if (count == 0)
        return true;
    AUTO(memory_drop) struct label_pair *pairs = xcalloc(SERIES_LABELS_MAX, sizeof(*pairs));
    struct symbol_memo memo = {.count = state_of(p).symbols};
    AUTO(memory_drop) struct slice *texts = xcalloc(memo.count + 1, sizeof(*texts));
    memo.texts = texts;
    struct reading r;
    if (!reading_begin(&r, p, DB_SERIES, NULL, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        bool renewed;
        if (i % 256 == 255 && !reading_pause(&r, &renewed, err)) {
            reading_end(&r);
            return false;
        }
        if (!labels_read(&r, &memo, series[i], pairs, arena, &labels[i], err)) {
            reading_end(&r);
            return false;
        }
    }
    reading_end(&r);
    return true;
}

uint32_t partition_series_count(struct partition *p)
{
    return state_of(p).series;
}

uint64_t partition_lsn_max(struct partition *p)
{
    uint64_t lsn = state_of(p).lsn_max;
    return lsn > p->closed.lsn ? lsn : p->closed.lsn;
}

uint64_t partition_chunks_lsn_max(struct partition *p)
{
    return state_of(p).lsn_max;
}

/* ---- chunk lists ---------------------------------------------------------------- */

/* The keys of groups that may hold chunks of the series in the range. */
static void groups_find(struct partition *p, uint32_t series_min, uint32_t series_max,
                        int64_t start_ns, int64_t end_ns, uint64_t **keys, size_t *count)
{
    ARRAY(uint64_t) found = {0};
    pthread_rwlock_rdlock(&p->state_lock);
    for (size_t i = 0; i < p->groups.count; i++) {
        const struct group_summary *g = &p->groups.items[i];
        if (g->first_ns <= end_ns && g->last_ns >= start_ns && g->series_min <= series_max &&
            g->series_max >= series_min)
            array_push(&found, g->key);
    }
    pthread_rwlock_unlock(&p->state_lock);
    *keys = found.items;
    *count = found.count;
}

static int ref_order(const void *a, const void *b)
{
    const struct chunk_ref *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->first_ns != y->first_ns)
        return x->first_ns < y->first_ns ? -1 : 1;
    uint32_t x_group = (uint32_t)x->group, y_group = (uint32_t)y->group;
    if (x_group != y_group)
        return x_group < y_group ? -1 : 1;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->frame_at < y->frame_at ? -1 : x->frame_at > y->frame_at;
}

struct wanted {
    const uint32_t *series;
    size_t count;
    int64_t start_ns, end_ns;
};

/* The first wanted series that is not below `series`, searching from `at` on. */
static size_t wanted_skip(const struct wanted *w, size_t at, uint32_t series)
{
    size_t step = 1, low = at;
    while (at + step < w->count && w->series[at + step] < series) {
        low = at + step;
        step *= 2;
    }
    size_t high = at + step < w->count ? at + step + 1 : w->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->series[middle] < series)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool group_list(struct reading *r, uint64_t key, const struct wanted *w,
                       struct chunk_refs *refs, struct error *err)
{
    char bytes[8];
    struct slice group;
    struct group_reader g;
    struct chunk_ref ref;
    if (!reading_get(r, DB_BLOCKS, key_u64(bytes, (uint32_t)(key >> 32), (uint32_t)key), &group,
                     err))
        return false;
    if (group.data == NULL || !group_open(group, key, &g))
        return error_set(err, ERR_CORRUPT, "%s: group %u of bucket %u is damaged", r->p->env->path,
                         (unsigned)key, (unsigned)(key >> 32));
    size_t at = 0;
    while (group_next(&g, &ref)) {
        if (w->series[at] < ref.series)
            at = wanted_skip(w, at, ref.series);
        if (at == w->count)
            return true;
        if (w->series[at] == ref.series && ref.first_ns <= w->end_ns && ref.last_ns >= w->start_ns)
            array_push(refs, ref);
    }
    if (!group_is_sound(&g))
        return error_set(err, ERR_CORRUPT, "%s: group %u of bucket %u is damaged", r->p->env->path,
                         (unsigned)key, (unsigned)(key >> 32));
    return true;
}

bool partition_chunks(struct partition *p, const uint32_t *series, size_t count, int64_t start_ns,
                      int64_t end_ns, struct store_damage *damage, struct chunk_refs *refs,
                      struct error *err)
{
    if (count == 0 || start_ns > end_ns)
        return true;
    AUTO(memory_drop) uint64_t *keys = NULL;
    size_t key_count, before = refs->count;
    groups_find(p, series[0], series[count - 1], start_ns, end_ns, &keys, &key_count);
    if (key_count == 0)
        return true;
    struct wanted wanted = {series, count, start_ns, end_ns};
    struct reading r;
    if (!reading_begin(&r, p, DB_BLOCKS, NULL, err))
        return false;
    for (size_t i = 0; i < key_count; i++) {
        bool renewed;
        if (i % 64 == 63 && !reading_pause(&r, &renewed, err)) {
            reading_end(&r);
            return false;
        }
        size_t kept = refs->count;
        if (!group_list(&r, keys[i], &wanted, refs, err)) {
            refs->count = kept;
            if (store_damage_skip(damage, err))
                continue;
            reading_end(&r);
            return false;
        }
    }
    reading_end(&r);
    if (refs->count > before)
        qsort(refs->items + before, refs->count - before, sizeof(*refs->items), ref_order);
    return true;
}

/* ---- chunk bytes ------------------------------------------------------------------ */

static bool chunk_read(struct reading *r, const struct chunk_ref *ref, struct buffer *out,
                       struct error *err)
{
    char bytes[8], column_key[4];
    struct slice group, column = {0};
    if (!reading_get(r, DB_BLOCKS,
                     key_u64(bytes, (uint32_t)(ref->group >> 32), (uint32_t)ref->group), &group,
                     err))
        return false;
    struct slice body;
    if (!group_body(group, r->p->serial, ref, &body, err))
        return false;
    struct chunk_parts parts = {
        .header = {(enum chunk_kind)ref->kind, ref->flags, ref->count, ref->first_ns, ref->last_ns,
                   ref->lsn_max, ref->checksum},
        .unit = ref->unit,
        .times = slice_sub(body, 0, ref->times_size),
        .rest = slice_skip(body, ref->times_size),
    };
    if (ref->column != 0) {
        if (!reading_get(r, DB_COLUMNS, key_u32(column_key, ref->column), &column, err))
            return false;
        if (column.data == NULL)
            return error_set(err, ERR_CORRUPT, "time column %u is missing", ref->column);
        parts.times = column;
    }
    size_t start = out->size;
    return chunk_join(&parts, out, err) &&
           chunk_verify(slice_of(out->data + start, out->size - start), err);
}

/* The chunk's header and its bytes in the map. */
static bool entries_find(struct partition *p, MDB_txn *txn, const struct chunk_ref *ref,
                         struct chunk_parts *parts, struct error *err)
{
    char bytes[8];
    MDB_val value = {0, NULL};
    MDB_val key = lmdb_val(key_u64(bytes, (uint32_t)(ref->group >> 32), (uint32_t)ref->group));
    int rc = mdb_get(txn, p->env->databases[DB_BLOCKS], &key, &value);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return lmdb_failed(p->env, rc, "reading", err);
    struct slice body;
    if (!group_body(rc == 0 ? lmdb_slice(value) : (struct slice){0}, p->serial, ref, &body, err))
        return false;
    *parts = (struct chunk_parts){
        .header = {(enum chunk_kind)ref->kind, ref->flags, ref->count, ref->first_ns, ref->last_ns,
                   ref->lsn_max, ref->checksum},
        .unit = ref->unit,
        .rest = body,
    };
    return true;
}

bool partition_view_entries(struct partition *p, const struct chunk_ref *ref,
                            bool (*read)(void *context, const struct entries_view *view,
                                         struct error *err),
                            void *context, struct error *err)
{
    MDB_txn *txn;
    struct chunk_parts parts;
    struct entries_view view;
    if (!lmdb_read_begin(p->env, &txn, err))
        return false;
    bool ok = entries_find(p, txn, ref, &parts, err) && chunk_entries_open(&parts, &view, err) &&
              read(context, &view, err);
    lmdb_read_end(p->env, txn);
    return ok || (err->code == ERR_CORRUPT ? partition_blame(p, ref, err) : false);
}

bool partition_blame(const struct partition *p, const struct chunk_ref *ref, struct error *err)
{
    return error_prefix(err, "%s: series %u, group %u of bucket %u, offset %u", p->env->path,
                        ref->series, (unsigned)ref->group, (unsigned)(ref->group >> 32),
                        ref->offset);
}

bool partition_fetch(struct partition *p, const struct chunk_ref *refs, size_t count,
                     struct buffer *out, struct slice *chunks, struct error *err)
{
    if (count == 0)
        return true;
    size_t first = out->size;
    struct reading r;
    if (!reading_begin(&r, p, DB_BLOCKS, NULL, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t start = out->size;
        bool renewed;
        if (i % 64 == 63 && !reading_pause(&r, &renewed, err)) {
            reading_end(&r);
            return false;
        }
        if (!chunk_read(&r, &refs[i], out, err)) {
            reading_end(&r);
            return partition_blame(p, &refs[i], err);
        }
        chunks[i].size = out->size - start;
    }
    reading_end(&r);
    for (size_t i = 0; i < count; i++) { /* only now `out` stays where it is */
        chunks[i].data = out->data + first;
        first += chunks[i].size;
    }
    return true;
}

/* ---- for replay ------------------------------------------------------------------- */

bool partition_sealed(struct partition *p, struct labels labels, struct sealed_state *state,
                      struct error *err)
{
    pthread_mutex_lock(&p->index_lock);
    bool ok = index_load_sealed(p, err);
    if (ok) {
        struct series_entry entry = series_entry_of(labels);
        uint32_t number = index_series(p->index, &entry);
        *state = (struct sealed_state){.last_ns = INT64_MIN};
        if (number != TABLE_NONE && number < p->index->sealed.count) {
            const struct series_sealed *s = &p->index->sealed.items[number];
            *state = (struct sealed_state){true, number, {s->lsn[0], s->lsn[1]}, s->last_ns, 0};
        }
        state->day_lsn = p->closed.lsn;
    }
    pthread_mutex_unlock(&p->index_lock);
    return ok;
}

static bool last_of(struct slice chunk, const struct chunk_ref *ref, double *value,
                    struct error *err)
{
    size_t count, room = chunk_room(ref->count);
    AUTO(memory_drop) int64_t *times = xmalloc(room * sizeof(*times));
    AUTO(memory_drop) double *values = xmalloc(room * sizeof(*values));
    if (!chunk_decode_samples(chunk, INT64_MIN, INT64_MAX, times, values, &count, err))
        return false;
    *value = values[count - 1];
    return true;
}

bool partition_last_value(struct partition *p, const struct sealed_state *state, double *value,
                          struct error *err)
{
    struct chunk_refs refs = {0};
    AUTO(buffer_done) struct buffer bytes;
    buffer_init(&bytes, (size_t)16 * CHUNK_SAMPLES_MAX);
    bool ok =
        partition_chunks(p, &state->series, 1, state->last_ns, state->last_ns, NULL, &refs, err);
    bool found = false;
    for (size_t i = 0; ok && !found && i < refs.count; i++) {
        const struct chunk_ref *ref = &refs.items[i];
        struct slice chunk;
        if (ref->kind != CHUNK_SAMPLES || (ref->flags & CHUNK_OUT_OF_ORDER) ||
            ref->last_ns != state->last_ns)
            continue;
        found = true;
        ok = partition_fetch(p, ref, 1, &bytes, &chunk, err) && last_of(chunk, ref, value, err);
    }
    array_done(&refs);
    if (ok && !found)
        return error_set(err, ERR_NOT_FOUND,
                         "%s: series %u has no chunk that ends at its last time", p->env->path,
                         state->series);
    return ok;
}
