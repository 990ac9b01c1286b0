/*
 * partition_seal.c - writing chunks, index and LSNs of a day (see partition.h).
 *
 * What is added waits in memory until seal_commit(): then chunks are sorted by
 * (hour, series), packed into groups that fill pages, and everything goes into
 * one transaction.  Nothing in memory changes before that transaction has
 * committed, so it may run again after the map has grown or the disk has room.
 * New series get their numbers in the index at once; when they are given up
 * uncommitted, the index is thrown away and made again from the file.
 */
#include "base/arena.h"
#include "base/array.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/ledger.h"
#include "base/memory.h"
#include "storage/compress.h"
#include "storage/partition_columns.h"
#include "storage/partition_internal.h"

enum {
    NEW_SERIES_MAX = 20000,            /* in one transaction: about 4 MiB of dirty pages */
    CLOSE_SIZE_MAX = 2 * 1024 * 1024,  /* chunk bytes in one transaction of a close: less memory */
    INDEX_KEPT_MAX = 48 * 1024 * 1024, /* about 600,000 series */
    HOT_CHUNKS_MAX = 12000,            /* so that what waits for a commit takes a few MiB only */
    PENDING_MAX = 64 * 1024 * 1024,
    BUCKET_NS_PER = 3600 /* seconds of a time bucket */
};

struct pending_chunk {
    struct chunk_ref ref;
    size_t times_at, times_size; /* in `bytes`; the rest follows */
    size_t rest_size;
    uint32_t column; /* its place in `columns`, or TABLE_NONE */
};

struct pending_pair {
    struct label_pair pair;
    uint32_t series;
};

struct seal {
    struct partition *p;
    uint32_t symbols_done, series_done; /* committed numbers end here */
    struct buffer bytes;                /* of the pending chunks */
    ARRAY(struct pending_chunk) chunks;
    struct buffer series_bytes; /* records of new series, one behind the other */
    ARRAY(size_t) series_ends;
    ARRAY(struct pending_pair) pairs; /* of new series */
    struct time_columns columns;
    /* Made by seal_commit. */
    struct frame_packer packer;
    struct buffer frame_plain, frame_bytes;
    struct buffer group_bytes;
    ARRAY(struct group_summary) groups;
    ARRAY(size_t) group_ends;
    struct partition_state state;
    struct partition_closed closed; /* lsn 0: this is not the end of a close */
};

struct seal *seal_begin(struct partitions *partitions, const struct partition_id *id,
                        struct error *err)
{
    struct partition *p = partition_acquire_for_seal(partitions, id, err);
    return p == NULL ? NULL : seal_begin_into(p, err);
}

struct seal *seal_begin_into(struct partition *p, struct error *err)
{
    pthread_mutex_lock(&p->index_lock);
    bool ok = index_load(p, err);
    pthread_mutex_unlock(&p->index_lock);
    if (!ok) {
        partition_release(p);
        return NULL;
    }
    struct seal *s = xcalloc(1, sizeof(*s));
    s->p = p;
    s->symbols_done = p->state.symbols;
    s->series_done = p->state.series;
    time_columns_init(&s->columns, p);
    buffer_init(&s->bytes, PENDING_MAX);
    buffer_init(&s->series_bytes, PENDING_MAX);
    buffer_init(&s->group_bytes, (size_t)2 * PENDING_MAX);
    buffer_init(&s->frame_plain, FRAME_SIZE_MAX);
    buffer_init(&s->frame_bytes, (size_t)2 * PENDING_MAX);
    s->packer.plain = &s->frame_plain;
    s->packer.effort = p->kind == STORE_LOG && p->hidden ? COMPRESS_CLOSED : COMPRESS_HOT;
    s->packer.packed = &s->frame_bytes;
    /* Of metrics only what nobody changes any more: fresh chunks are read most. */
    s->packer.frame_max = p->kind == STORE_LOG ? FRAME_SIZE_LOG : p->hidden ? FRAME_SIZE_METRIC : 0;
    return s;
}

void seal_is_above(struct seal *s, uint64_t lsn)
{
    s->p->clean_lsn = lsn;
}

/*
 * Forget the numbers of series that were never committed.  When memory is short, or the index
 * is that of a day with very many series, all of it goes: the next seal reads the file again.
 */
static void index_roll_back(struct seal *s)
{
    struct partition *p = s->p;
    pthread_mutex_lock(&p->index_lock);
    if (p->index != NULL)
        index_count(p->index);
    if (p->index != NULL &&
        (p->index->series.count != s->series_done || p->index->symbols.count != s->symbols_done ||
         ledger_pressure() != LEDGER_CALM || p->index->counted > INDEX_KEPT_MAX)) {
        index_free(p->index);
        p->index = NULL;
    }
    pthread_mutex_unlock(&p->index_lock);
}

void seal_end(struct seal *s)
{
    if (s == NULL)
        return;
    index_roll_back(s);
    partition_release(s->p);
    buffer_done(&s->bytes);
    buffer_done(&s->series_bytes);
    buffer_done(&s->group_bytes);
    buffer_done(&s->frame_plain);
    buffer_done(&s->frame_bytes);
    array_done(&s->packer.frames);
    array_done(&s->chunks);
    array_done(&s->series_ends);
    array_done(&s->pairs);
    time_columns_done(&s->columns);
    array_done(&s->groups);
    array_done(&s->group_ends);
    free(s);
}

/* ---- adding ------------------------------------------------------------------------ */

static uint32_t symbol_number(struct seal *s, struct slice text)
{
    uint32_t number = index_symbol(s->p->index, text);
    return number != TABLE_NONE ? number : index_add_symbol(s->p->index, text);
}

static bool series_make(struct seal *s, struct labels labels, const struct series_entry *entry,
                        uint32_t *number, struct error *err)
{
    struct label_pair pairs[256];
    if (labels.count > COUNT_OF(pairs))
        return error_set(err, ERR_LIMIT, "series has %zu labels, the limit of storage is %zu",
                         labels.count, COUNT_OF(pairs));
    *number = index_add_series(s->p->index, entry);
    for (size_t i = 0; i < labels.count; i++) {
        pairs[i].name = symbol_number(s, labels.items[i].name);
        pairs[i].value = symbol_number(s, labels.items[i].value);
        array_push(&s->pairs, ((struct pending_pair){pairs[i], *number}));
    }
    series_put(entry->fingerprint, pairs, labels.count, &s->series_bytes);
    array_push(&s->series_ends, s->series_bytes.size);
    if (s->p->index->sealed_loaded)
        array_push(&s->p->index->sealed, ((struct series_sealed){{0, 0}, INT64_MIN}));
    return buffer_check(&s->series_bytes, "new series of a seal", err);
}

bool seal_series(struct seal *s, struct labels labels, uint32_t *series, struct error *err)
{
    struct series_entry entry = series_entry_of(labels);
    pthread_mutex_lock(&s->p->index_lock);
    bool ok = true;
    uint32_t number = index_series(s->p->index, &entry);
    if (number == TABLE_NONE)
        ok = series_make(s, labels, &entry, &number, err) &&
             arena_check(s->p->index->arena, "the index of a day", err); /* texts may be missing */
    pthread_mutex_unlock(&s->p->index_lock);
    if (ok)
        *series = number;
    return ok;
}

bool seal_chunk(struct seal *s, uint32_t series, struct slice chunk, struct error *err)
{
    struct chunk_parts parts;
    if (!chunk_split(chunk, &parts, err))
        return false;
    const struct chunk_header *h = &parts.header;
    if (partition_day(h->first_ns) != s->p->day || partition_day(h->last_ns) != s->p->day)
        return error_set(err, ERR_INTERNAL, "a chunk does not lie in the day it is sealed into");
    struct pending_chunk c = {.times_at = s->bytes.size, .column = TABLE_NONE};
    c.ref = (struct chunk_ref){.series = series,
                               .count = h->count,
                               .first_ns = h->first_ns,
                               .last_ns = h->last_ns,
                               .lsn_max = h->lsn_max,
                               .checksum = h->checksum,
                               .kind = (uint8_t)h->kind,
                               .flags = (uint8_t)h->flags,
                               .unit = parts.unit};
    buffer_append_slice(&s->bytes, parts.times);
    buffer_append_slice(&s->bytes, parts.rest);
    if (s->bytes.failed) {
        s->bytes.failed = false; /* what was added before stays good */
        s->bytes.size = c.times_at;
        return error_set(err, ERR_LIMIT, "a seal holds over %d bytes: commit first", PENDING_MAX);
    }
    c.times_size = parts.times.size;
    c.rest_size = parts.rest.size;
    c.column = time_column_use(&s->columns, parts.times);
    array_push(&s->chunks, c);
    return true;
}

bool seal_is_full(const struct seal *s)
{
    size_t size_max = s->p->hidden ? CLOSE_SIZE_MAX : SEAL_SIZE_MAX;
    bool many = !s->p->hidden && s->p->kind == STORE_METRIC && s->chunks.count >= HOT_CHUNKS_MAX;
    return many || s->bytes.size >= size_max || s->series_ends.count >= NEW_SERIES_MAX;
}

/* ---- packing -------------------------------------------------------------------------- */

static uint32_t bucket_of(const struct seal *s, int64_t time_ns)
{
    if (s->p->hidden)
        return 0; /* keys count up: every page is filled to its end */
    int64_t in_day = time_ns - s->p->day * NS_PER_DAY;
    return (uint32_t)(in_day / NS_PER_SECOND / BUCKET_NS_PER);
}

static int pending_order(const void *a, const void *b)
{
    const struct chunk_ref *x = &((const struct pending_chunk *)a)->ref;
    const struct chunk_ref *y = &((const struct pending_chunk *)b)->ref;
    if (x->group != y->group) /* the bucket, for now */
        return x->group < y->group ? -1 : 1;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->first_ns != y->first_ns)
        return x->first_ns < y->first_ns ? -1 : 1;
    size_t x_at = ((const struct pending_chunk *)a)->times_at;
    size_t y_at = ((const struct pending_chunk *)b)->times_at;
    return x_at < y_at ? -1 : x_at > y_at;
}

/* Decide each chunk's form: with its time column or without. */
static void columns_settle(struct seal *s)
{
    time_columns_settle(&s->columns, &s->state.columns);
    for (size_t i = 0; i < s->chunks.count; i++) {
        struct pending_chunk *c = &s->chunks.items[i];
        uint32_t number = c->column == TABLE_NONE ? 0 : s->columns.items.items[c->column].number;
        c->ref.column = number;
        c->ref.times_size = number == 0 ? (uint32_t)c->times_size : 0;
        c->ref.size = (uint32_t)(c->rest_size + c->ref.times_size);
    }
}

/* What is sorted and cut into frames, to be packed. */
struct packing {
    struct chunk_ref *refs;
    struct slice *bodies;
    const struct group_frame *frames; /* of this bucket */
};

/* A group of `count` chunks in `frame_count` frames, from the given ones on. */
static void group_close(struct seal *s, const struct packing *packing, size_t first, size_t count,
                        size_t first_frame, size_t frame_count)
{
    const struct chunk_ref *refs = packing->refs + first;
    uint32_t bucket = (uint32_t)refs->group;
    struct group_summary g = {.key = (uint64_t)bucket << 32 | s->state.groups++,
                              .series_min = UINT32_MAX,
                              .first_ns = INT64_MAX,
                              .last_ns = INT64_MIN,
                              .chunks = (uint32_t)count};
    size_t start = s->group_bytes.size;
    for (size_t i = 0; i < count; i++) {
        const struct chunk_ref *r = &refs[i];
        g.series_min = r->series < g.series_min ? r->series : g.series_min;
        g.series_max = r->series > g.series_max ? r->series : g.series_max;
        g.first_ns = r->first_ns < g.first_ns ? r->first_ns : g.first_ns;
        g.last_ns = r->last_ns > g.last_ns ? r->last_ns : g.last_ns;
        g.lsn_max = r->lsn_max > g.lsn_max ? r->lsn_max : g.lsn_max;
    }
    group_put(refs, count, packing->bodies + first, packing->frames + first_frame, frame_count,
              &s->frame_bytes, &s->group_bytes);
    g.size = (uint32_t)(s->group_bytes.size - start);
    s->state.chunks += count;
    if (g.lsn_max > s->state.lsn_max)
        s->state.lsn_max = g.lsn_max;
    array_push(&s->groups, g);
    array_push(&s->group_ends, s->group_bytes.size);
}

static size_t group_aim(const struct partition *p)
{
    if (p->kind == STORE_LOG)
        return p->hidden ? GROUP_SIZE_LOG_CLOSED : GROUP_SIZE_LOG;
    return GROUP_SIZE_METRIC;
}

/* Pack one bucket's chunks, [first, end), greedily into groups: whole frames. */
static bool bucket_pack(struct seal *s, struct packing *packing, size_t first, size_t end,
                        struct error *err)
{
    enum { ROW_ESTIMATE = 18 };
    size_t aim = group_aim(s->p);
    size_t size = GROUP_HEAD_SIZE, chunk = first, first_frame = 0;
    s->packer.frames.count = 0;
    if (!frames_make(&s->packer, packing->bodies + first, end - first, err))
        return false;
    packing->frames = s->packer.frames.items;
    for (size_t i = 0; i < s->packer.frames.count; i++) {
        const struct group_frame *frame = &packing->frames[i];
        size_t added = frame_size(frame) + (size_t)frame->chunks * ROW_ESTIMATE;
        if (i > first_frame && size + added > aim) {
            group_close(s, packing, first, chunk - first, first_frame, i - first_frame);
            first = chunk;
            first_frame = i;
            size = GROUP_HEAD_SIZE;
        }
        chunk += frame->chunks;
        size += added;
    }
    group_close(s, packing, first, chunk - first, first_frame,
                s->packer.frames.count - first_frame);
    return true;
}

/* Sort the chunks and pack them into groups of one bucket each. */
static bool groups_pack(struct seal *s, struct error *err)
{
    for (size_t i = 0; i < s->chunks.count; i++)
        s->chunks.items[i].ref.group = bucket_of(s, s->chunks.items[i].ref.first_ns);
    if (s->chunks.count > 1)
        qsort(s->chunks.items, s->chunks.count, sizeof(*s->chunks.items), pending_order);
    AUTO(memory_drop) struct chunk_ref *refs = xcalloc(s->chunks.count + 1, sizeof(*refs));
    AUTO(memory_drop) struct slice *bodies = xcalloc(s->chunks.count + 1, sizeof(*bodies));
    for (size_t i = 0; i < s->chunks.count; i++) {
        const struct pending_chunk *c = &s->chunks.items[i];
        size_t skipped = c->times_size - c->ref.times_size;
        refs[i] = c->ref;
        bodies[i] = slice_of(s->bytes.data + c->times_at + skipped, c->ref.size);
    }
    struct packing packing = {refs, bodies, NULL};
    buffer_clear(&s->frame_bytes);
    for (size_t first = 0, end; first < s->chunks.count; first = end) {
        for (end = first; end < s->chunks.count && refs[end].group == refs[first].group;)
            end++;
        if (!bucket_pack(s, &packing, first, end, err))
            return false;
    }
    return buffer_check(&s->group_bytes, "groups of a seal", err);
}

/* ---- the transaction -------------------------------------------------------------------- */

static int symbols_write(MDB_txn *txn, struct lmdb_env *e, struct seal *s)
{
    const struct day_index *index = s->p->index;
    for (uint32_t n = s->symbols_done; n < index->symbols.count; n++) {
        char key[8];
        struct slice text = index->symbols.items[n];
        int rc = lmdb_put(txn, e->databases[DB_SYMBOLS], key_u32(key, n), text, MDB_APPEND);
        if (rc == 0)
            rc = lmdb_put(txn, e->databases[DB_HASHES],
                          key_u64(key, partition_symbol_hash(text), n), SLICE(""), 0);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int series_write(MDB_txn *txn, struct lmdb_env *e, struct seal *s)
{
    size_t from = 0;
    for (size_t i = 0; i < s->series_ends.count; i++) {
        char key[4];
        size_t to = s->series_ends.items[i];
        int rc = lmdb_put(txn, e->databases[DB_SERIES], key_u32(key, s->series_done + (uint32_t)i),
                          slice_of(s->series_bytes.data + from, to - from), MDB_APPEND);
        if (rc != 0)
            return rc;
        from = to;
    }
    return 0;
}

static int pair_order(const void *a, const void *b)
{
    const struct pending_pair *x = a, *y = b;
    if (x->pair.name != y->pair.name)
        return x->pair.name < y->pair.name ? -1 : 1;
    if (x->pair.value != y->pair.value)
        return x->pair.value < y->pair.value ? -1 : 1;
    return x->series < y->series ? -1 : x->series > y->series;
}

/* Where postings go: keys behind the last one fill their pages to the end. */
struct postings_writer {
    MDB_txn *txn;
    MDB_dbi dbi;
    char last_key[12];
    bool any;
    struct buffer piece;
};

static int postings_writer_init(struct postings_writer *w, MDB_txn *txn, struct lmdb_env *e)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    *w = (struct postings_writer){.txn = txn, .dbi = e->databases[DB_POSTINGS]};
    buffer_init(&w->piece, 4 * POSTINGS_PIECE_MAX);
    int rc = mdb_cursor_open(txn, w->dbi, &cursor);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
    w->any = rc == 0 && key.mv_size == sizeof(w->last_key);
    if (w->any)
        memcpy(w->last_key, key.mv_data, sizeof(w->last_key));
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* One run of equal pairs: their series in as many pieces as it takes. */
static int postings_write(struct postings_writer *w, struct label_pair pair,
                          const uint32_t *numbers, size_t count)
{
    for (size_t at = 0; at < count;) {
        char key[12];
        buffer_clear(&w->piece);
        size_t taken = postings_put(numbers + at, count - at, &w->piece);
        struct slice k = key_postings(key, pair.name, pair.value, numbers[at]);
        bool append = !w->any || memcmp(key, w->last_key, sizeof(key)) > 0;
        int rc = lmdb_put(w->txn, w->dbi, k, buffer_slice(&w->piece), append ? MDB_APPEND : 0);
        if (rc != 0)
            return rc;
        if (append)
            memcpy(w->last_key, key, sizeof(key));
        w->any = true;
        at += taken;
    }
    return 0;
}

static int all_postings_write(MDB_txn *txn, struct lmdb_env *e, struct seal *s)
{
    AUTO(memory_drop) uint32_t *numbers = xcalloc(s->pairs.count + 1, sizeof(*numbers));
    struct postings_writer w;
    int rc = postings_writer_init(&w, txn, e);
    for (size_t from = 0, to; rc == 0 && from < s->pairs.count; from = to) {
        struct label_pair pair = s->pairs.items[from].pair;
        for (to = from; to < s->pairs.count && s->pairs.items[to].pair.name == pair.name &&
                        s->pairs.items[to].pair.value == pair.value;
             to++)
            numbers[to - from] = s->pairs.items[to].series;
        rc = postings_write(&w, pair, numbers, to - from);
    }
    buffer_done(&w.piece);
    return rc;
}

static int groups_write(MDB_txn *txn, struct lmdb_env *e, struct seal *s)
{
    size_t from = 0;
    for (size_t i = 0; i < s->groups.count; i++) {
        const struct group_summary *g = &s->groups.items[i];
        char key[8], value[SUMMARY_SIZE];
        size_t to = s->group_ends.items[i];
        struct slice k = key_u64(key, (uint32_t)(g->key >> 32), (uint32_t)g->key);
        summary_put(value, g);
        unsigned flags = s->p->hidden ? MDB_APPEND : 0;
        int rc = lmdb_put(txn, e->databases[DB_BLOCKS], k,
                          slice_of(s->group_bytes.data + from, to - from), flags);
        if (rc == 0)
            rc = lmdb_put(txn, e->databases[DB_GROUPS], k, slice_of(value, sizeof(value)), flags);
        if (rc != 0)
            return rc;
        from = to;
    }
    return 0;
}

static int seal_write(MDB_txn *txn, struct lmdb_env *e, void *context, struct error *err)
{
    (void)err;
    struct seal *s = context;
    char state[STATE_SIZE];
    int rc = symbols_write(txn, e, s);
    if (rc == 0)
        rc = series_write(txn, e, s);
    if (rc == 0)
        rc = all_postings_write(txn, e, s);
    if (rc == 0)
        rc = time_columns_write(&s->columns, txn, e, s->p->state.columns);
    if (rc == 0)
        rc = groups_write(txn, e, s);
    state_put(state, &s->state);
    if (rc == 0)
        rc =
            lmdb_put(txn, e->databases[DB_META], SLICE("state"), slice_of(state, sizeof(state)), 0);
    if (rc == 0 && s->closed.lsn > 0) {
        char closed[CLOSED_SIZE];
        struct partition_closed row = {s->closed.lsn, s->state.groups};
        closed_put(closed, &row);
        rc = lmdb_put(txn, e->databases[DB_META], SLICE("closed"), slice_of(closed, sizeof(closed)),
                      0);
    }
    return rc;
}

/* The transaction stands: make memory agree with it. */
static void seal_adopt(struct seal *s)
{
    struct partition *p = s->p;
    pthread_rwlock_wrlock(&p->state_lock);
    p->state = s->state;
    for (size_t i = 0; i < s->groups.count; i++)
        array_push(&p->groups, s->groups.items[i]);
    pthread_rwlock_unlock(&p->state_lock);
    pthread_mutex_lock(&p->index_lock);
    if (p->index->sealed_loaded)
        for (size_t i = 0; i < s->chunks.count; i++)
            sealed_note(p->index, &s->chunks.items[i].ref);
    pthread_mutex_unlock(&p->index_lock);
    s->series_done = s->state.series;
    s->symbols_done = s->state.symbols;
    time_columns_adopt(&s->columns);
    buffer_clear(&s->bytes);
    buffer_clear(&s->series_bytes);
    s->chunks.count = s->series_ends.count = s->pairs.count = 0;
}

bool seal_commit(struct seal *s, struct error *err)
{
    struct partition *p = s->p;
    if (s->chunks.count > 0 || s->series_ends.count > 0 || s->closed.lsn > 0) {
        if (!arena_check(p->index->arena, "the index of a day", err) ||
            !partition_mark_late(p, err))
            return error_prefix(err, "sealing");
        s->state = p->state; /* only this thread writes it */
        s->state.series = (uint32_t)p->index->series.count;
        s->state.symbols = (uint32_t)p->index->symbols.count;
        s->groups.count = s->group_ends.count = 0;
        buffer_clear(&s->group_bytes);
        if (s->pairs.count > 1)
            qsort(s->pairs.items, s->pairs.count, sizeof(*s->pairs.items), pair_order);
        columns_settle(s);
        if (!groups_pack(s, err) || !lmdb_update(p->env, seal_write, s, err)) {
            time_columns_give_up(&s->columns, p->state.columns);
            return error_prefix(err, "sealing");
        }
        seal_adopt(s);
    }
    bool empty = p->state.series == 0 && p->state.groups == 0;
    return empty || partition_name(p, err);
}

bool seal_close(struct seal *s, uint64_t lsn, struct error *err)
{
    s->closed.lsn = lsn;
    return seal_commit(s, err);
}
