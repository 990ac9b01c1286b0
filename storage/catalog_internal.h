/*
 * catalog_internal.h - what the files catalog*.c share: rows of its databases.
 */
#ifndef STORAGE_CATALOG_INTERNAL_H
#define STORAGE_CATALOG_INTERNAL_H

#include "base/array.h"
#include "storage/catalog.h"
#include "storage/lmdb_env.h"

enum { DB_META, DB_DAYS, DB_METADATA, DB_PRODUCERS, DB_TOMBSTONES, DB_NOTES, DB_COUNT };

enum {
    KEY_SIZE_MAX = 511, /* LMDB's */
    MAP_SIZE_MIN = 1024 * 1024,
    ROW_SIZE_MAX = 64 * 1024
};

struct catalog {
    struct lmdb_env *env;
    pthread_mutex_t lock;           /* guards the arrays below */
    ARRAY(struct slice) tenants;    /* sorted */
    ARRAY(struct catalog_day) days; /* sorted by tenant, kind, day */
};

/* One put (or, with `remove`, a deletion) to do in a transaction. */
struct row {
    int database;
    bool remove;
    struct slice key, value;
};

/* Do all in one durable transaction. */
bool rows_commit(struct catalog *c, const struct row *items, size_t count, struct error *err)
    MUST_CHECK;

/* Visit all rows of a database (from `prefix` on, as long as it is one). */
typedef bool row_visit(void *context, struct slice key, struct slice value, struct error *err);
bool rows_visit(struct catalog *c, int database, struct slice prefix, row_visit *visit,
                void *context, struct error *err) MUST_CHECK;

#endif
