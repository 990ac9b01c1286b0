/*
 * partition_index.c - a day's index in memory (see partition_internal.h).
 *
 * Reading needs only the databases; sealing must know the number of every
 * label set, and replay what is sealed of it.  Both come from one pass over the
 * day's symbols, series and group directories, made when they are first needed.
 */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/ledger.h"
#include "base/memory.h"
#include "storage/partition_internal.h"

void index_free(struct day_index *index)
{
    if (index == NULL)
        return;
    arena_free(index->arena);
    ledger_update(LEDGER_PARTITIONS, &index->counted, 0);
    array_done(&index->symbols);
    array_done(&index->series);
    array_done(&index->sealed);
    table_done(&index->symbol_table);
    table_done(&index->series_table);
    free(index);
}

void index_count(struct day_index *index)
{
    ledger_update(LEDGER_PARTITIONS, &index->counted,
                  sizeof(*index) + index->symbols.capacity * sizeof(*index->symbols.items) +
                      index->series.capacity * sizeof(*index->series.items) +
                      index->sealed.capacity * sizeof(*index->sealed.items) +
                      table_memory(&index->symbol_table) + table_memory(&index->series_table));
}

static bool symbol_equal(const void *items, uint32_t number, const void *key)
{
    return slice_equal(((const struct slice *)items)[number], *(const struct slice *)key);
}

static bool entry_equal(const void *items, uint32_t number, const void *key)
{
    const struct series_entry *a = (const struct series_entry *)items + number, *b = key;
    return hash128_equal(a->fingerprint, b->fingerprint) && a->check == b->check;
}

static uint64_t symbol_hash(struct slice text)
{
    return hash64(text.data, text.size, hash_seed());
}

uint32_t index_symbol(const struct day_index *index, struct slice text)
{
    return table_find(&index->symbol_table, symbol_hash(text), symbol_equal, index->symbols.items,
                      &text);
}

uint32_t index_series(const struct day_index *index, const struct series_entry *entry)
{
    return table_find(&index->series_table, entry->check, entry_equal, index->series.items, entry);
}

uint32_t index_add_symbol(struct day_index *index, struct slice text)
{
    uint32_t number = (uint32_t)index->symbols.count;
    struct slice copy = arena_copy(index->arena, text);
    array_push(&index->symbols, copy);
    table_insert(&index->symbol_table, symbol_hash(text), number);
    return number;
}

uint32_t index_add_series(struct day_index *index, const struct series_entry *entry)
{
    uint32_t number = (uint32_t)index->series.count;
    array_push(&index->series, *entry);
    table_insert(&index->series_table, entry->check, number);
    return number;
}

struct series_entry series_entry_of(struct labels labels)
{
    return (struct series_entry){labels_fingerprint(labels), labels_hash(labels)};
}

/* Step through a database in key order; `number` must count up from 0. */
static bool read_symbols(struct reading *r, struct day_index *index, struct error *err)
{
    MDB_val key, value;
    int rc = mdb_cursor_get(r->cursor, &key, &value, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(r->cursor, &key, &value, MDB_NEXT)) {
        if (key.mv_size != 4 || bytes_get32_big(key.mv_data) != index->symbols.count)
            return reading_corrupt(r, "symbols have a gap", err);
        index_add_symbol(index, lmdb_slice(value));
    }
    return rc == MDB_NOTFOUND || lmdb_failed(r->p->env, rc, "reading symbols", err);
}

/* The labels of a series record, from the symbols in memory. */
static bool labels_resolve(const struct day_index *index, const struct label_pair *pairs,
                           size_t count, struct label *labels)
{
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].name >= index->symbols.count || pairs[i].value >= index->symbols.count)
            return false;
        labels[i] = (struct label){index->symbols.items[pairs[i].name],
                                   index->symbols.items[pairs[i].value]};
    }
    return true;
}

static bool read_series(struct reading *r, struct day_index *index, struct error *err)
{
    AUTO(memory_drop) struct label_pair *pairs = xcalloc(SERIES_LABELS_MAX, sizeof(*pairs));
    AUTO(memory_drop) struct label *labels = xcalloc(SERIES_LABELS_MAX, sizeof(*labels));
    MDB_val key, value;
    int rc = mdb_cursor_get(r->cursor, &key, &value, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(r->cursor, &key, &value, MDB_NEXT)) {
        struct hash128 fingerprint;
        size_t count;
        if (key.mv_size != 4 || bytes_get32_big(key.mv_data) != index->series.count ||
            !series_get(lmdb_slice(value), &fingerprint, pairs, &count) ||
            !labels_resolve(index, pairs, count, labels))
            return reading_corrupt(r, "malformed series record", err);
        struct series_entry entry = series_entry_of((struct labels){labels, count});
        if (!hash128_equal(entry.fingerprint, fingerprint))
            return reading_corrupt(r, "a series' labels do not have its fingerprint", err);
        index_add_series(index, &entry);
    }
    return rc == MDB_NOTFOUND || lmdb_failed(r->p->env, rc, "reading series", err);
}

bool index_load(struct partition *p, struct error *err)
{
    if (p->index != NULL)
        return true;
    struct day_index *index = xcalloc(1, sizeof(*index));
    index->arena = arena_new(SIZE_MAX / 2);
    struct reading r;
    bool ok = reading_begin(&r, p, DB_SYMBOLS, NULL, err);
    if (ok) {
        ok = read_symbols(&r, index, err);
        reading_end(&r);
    }
    if (ok && (ok = reading_begin(&r, p, DB_SERIES, NULL, err))) {
        ok = read_series(&r, index, err);
        reading_end(&r);
    }
    ok = ok && arena_check(index->arena, "the index of a day", err);
    if (ok)
        p->index = index;
    else
        index_free(index);
    return ok;
}

void sealed_note(struct day_index *index, const struct chunk_ref *ref)
{
    if (ref->series >= index->sealed.count)
        return;
    struct series_sealed *s = &index->sealed.items[ref->series];
    bool out_of_order = ref->flags & CHUNK_OUT_OF_ORDER;
    /* A batch may be cut between two chunks: how far its LSN is sealed, the time says. */
    if (!out_of_order &&
        (ref->lsn_max > s->lsn[0] || (ref->lsn_max == s->lsn[0] && ref->last_ns > s->last_ns)))
        s->last_ns = ref->last_ns;
    if (ref->lsn_max > s->lsn[out_of_order])
        s->lsn[out_of_order] = ref->lsn_max;
}

static bool read_directories(struct reading *r, struct day_index *index, struct error *err)
{
    MDB_val key, value;
    int rc = mdb_cursor_get(r->cursor, &key, &value, MDB_FIRST);
    while (rc == 0) {
        struct group_reader g;
        struct chunk_ref ref;
        if (key.mv_size != 8 || !group_open(lmdb_slice(value), bytes_get64_big(key.mv_data), &g))
            return reading_corrupt(r, "malformed group", err);
        while (group_next(&g, &ref))
            sealed_note(index, &ref);
        if (!group_is_sound(&g))
            return reading_corrupt(r, "malformed group", err);
        rc = mdb_cursor_get(r->cursor, &key, &value, MDB_NEXT);
    }
    return rc == MDB_NOTFOUND || lmdb_failed(r->p->env, rc, "reading groups", err);
}

bool index_load_sealed(struct partition *p, struct error *err)
{
    if (!index_load(p, err))
        return false;
    struct day_index *index = p->index;
    if (index->sealed_loaded)
        return true;
    index->sealed.count = 0;
    for (size_t i = 0; i < index->series.count; i++)
        array_push(&index->sealed, ((struct series_sealed){{0, 0}, INT64_MIN}));
    struct reading r;
    if (!reading_begin(&r, p, DB_BLOCKS, NULL, err))
        return false;
    index->sealed_loaded = read_directories(&r, index, err);
    reading_end(&r);
    return index->sealed_loaded;
}
