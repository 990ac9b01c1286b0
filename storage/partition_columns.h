/*
 * partition_columns.h - time columns that several chunks of a seal have in common.
 *
 * One seal (of a bucket, or of a whole day when that is closed) has one set.  A column
 * is found by its hash and compared byte by byte; from its second use on it is stored
 * once.  Owned by a seal, used by its thread.
 */
#ifndef STORAGE_PARTITION_COLUMNS_H
#define STORAGE_PARTITION_COLUMNS_H

#include "base/array.h"
#include "base/slice.h"
#include "base/table.h"
#include "storage/lmdb_env.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct partition;

struct time_column {
    struct slice bytes; /* in the set's arena; NULL: nothing uncommitted has shown it yet */
    uint64_t hash[2];
    uint32_t size;
    uint32_t uses;   /* by chunks not committed yet */
    uint32_t number; /* stored already; 0: not */
    bool seen;       /* a committed chunk has it inside */
};

struct time_columns {
    struct partition *p;
    struct arena *arena; /* of what was used since the last commit */
    ARRAY(struct time_column) items;
    struct table table;
};

void time_columns_init(struct time_columns *columns, struct partition *p);
void time_columns_done(struct time_columns *columns);

/*
 * The place of the column with these bytes, counted as used once more; TABLE_NONE when it
 * must stay in its chunk, because it is short or cannot be compared.
 */
uint32_t time_column_use(struct time_columns *columns, struct slice times);

/* Give numbers above `*last` to columns that are used more than once. */
void time_columns_settle(struct time_columns *columns, uint32_t *last);

/* Put those with numbers above `last`.  0 or an LMDB error. */
int time_columns_write(struct time_columns *columns, MDB_txn *txn, struct lmdb_env *e,
                       uint32_t last);

/* The transaction stands; or it failed, and numbers above `last` are void. */
void time_columns_adopt(struct time_columns *columns);
void time_columns_give_up(struct time_columns *columns, uint32_t last);

#endif
