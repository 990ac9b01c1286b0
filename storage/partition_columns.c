/*
 * partition_columns.c - finding and storing shared time columns (see partition_columns.h).
 *
 * Memory holds the bytes of what waits for its commit only.  Of older columns two
 * hashes and the size remain, 48 bytes: one that was stored is compared with the file when it is
 * met again, and one that went into its only chunk is stored from its second use on.  So a
 * day's close shares over the whole day, however many columns the day has.
 */
#include "storage/partition_columns.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "storage/partition_internal.h"

enum {
    SIZE_MIN = 12, /* a shorter column costs less inside its chunk */
    PENDING_BYTES_MAX = 16 * 1024 * 1024,
    COLUMNS_MAX = 100000, /* then all are forgotten: 6 MiB */
    SECOND_SEED = 1
};

void time_columns_init(struct time_columns *columns, struct partition *p)
{
    *columns = (struct time_columns){.p = p, .arena = arena_new(PENDING_BYTES_MAX)};
}

void time_columns_done(struct time_columns *columns)
{
    array_done(&columns->items);
    table_done(&columns->table);
    arena_free(columns->arena);
}

static bool column_equal(const void *items, uint32_t index, const void *key)
{
    const struct time_column *a = (const struct time_column *)items + index, *b = key;
    return a->hash[0] == b->hash[0] && a->hash[1] == b->hash[1] && a->size == b->size &&
           (a->bytes.data == NULL || slice_equal(a->bytes, b->bytes));
}

/* Is the stored column really this one?  What cannot be read is not. */
static bool is_in_file(struct time_columns *columns, uint32_t number, struct slice times)
{
    char key[4];
    struct reading r;
    struct slice stored = {0};
    struct error ignored = {0};
    if (!reading_begin(&r, columns->p, DB_COLUMNS, NULL, &ignored))
        return false;
    bool same = reading_get(&r, DB_COLUMNS, key_u32(key, number), &stored, &ignored) &&
                stored.data != NULL && slice_equal(stored, times);
    reading_end(&r);
    return same;
}

/* Use one that was met before; false: it cannot be shared. */
static bool use_again(struct time_columns *columns, struct time_column *c, struct slice times)
{
    if (c->bytes.data == NULL) {
        if (c->number != 0 && !is_in_file(columns, c->number, times))
            return false;
        c->bytes = arena_copy(columns->arena, times);
        if (c->bytes.data == NULL)
            return false;
    }
    c->uses++;
    return true;
}

uint32_t time_column_use(struct time_columns *columns, struct slice times)
{
    if (times.size < SIZE_MIN)
        return TABLE_NONE;
    struct time_column wanted = {
        .bytes = times,
        .hash = {hash64(times.data, times.size, 0), hash64(times.data, times.size, SECOND_SEED)},
        .size = (uint32_t)times.size,
        .uses = 1};
    uint32_t found =
        table_find(&columns->table, wanted.hash[0], column_equal, columns->items.items, &wanted);
    if (found != TABLE_NONE)
        return use_again(columns, &columns->items.items[found], times) ? found : TABLE_NONE;
    wanted.bytes = arena_copy(columns->arena, times);
    if (wanted.bytes.data == NULL)
        return TABLE_NONE;
    array_push(&columns->items, wanted);
    found = (uint32_t)columns->items.count - 1;
    table_insert(&columns->table, wanted.hash[0], found);
    return found;
}

void time_columns_settle(struct time_columns *columns, uint32_t *last)
{
    for (size_t i = 0; i < columns->items.count; i++) {
        struct time_column *c = &columns->items.items[i];
        if (c->number == 0 && (c->uses > 1 || (c->seen && c->uses > 0)))
            c->number = ++*last;
    }
}

int time_columns_write(struct time_columns *columns, MDB_txn *txn, struct lmdb_env *e,
                       uint32_t last)
{
    int rc = 0;
    for (size_t i = 0; i < columns->items.count && rc == 0; i++) {
        const struct time_column *c = &columns->items.items[i];
        char key[4];
        if (c->number > last)
            rc = lmdb_put(txn, e->databases[DB_COLUMNS], key_u32(key, c->number), c->bytes,
                          MDB_APPEND);
    }
    return rc;
}

void time_columns_adopt(struct time_columns *columns)
{
    for (size_t i = 0; i < columns->items.count; i++) {
        struct time_column *c = &columns->items.items[i];
        c->seen |= c->uses > 0;
        c->uses = 0;
        c->bytes = (struct slice){0};
    }
    arena_reset(columns->arena);
    if (columns->items.count > COLUMNS_MAX) {
        columns->items.count = 0;
        table_done(&columns->table);
        table_init(&columns->table);
    }
}

void time_columns_give_up(struct time_columns *columns, uint32_t last)
{
    for (size_t i = 0; i < columns->items.count; i++)
        if (columns->items.items[i].number > last)
            columns->items.items[i].number = 0;
}
