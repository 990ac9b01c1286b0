/*
 * lmdb_env.h - an LMDB environment as this engine uses it: for partition*.c and catalog.c only.
 *
 * One file without a folder of its own, default sync (a commit is durable), a
 * map that grows by doubling whenever a transaction finds it full.  Growing
 * needs that no transaction is open, so every transaction holds `lock` shared
 * and growing holds it alone; transactions therefore never nest in a thread,
 * and reading ones are short.
 *
 * LMDB has no checksums of its own pages: page_sums.h keeps them beside the
 * file.  They are compared when the file is opened, and a commit counts only
 * when its sums are durable.  When they cannot be written the file is opened
 * anew, which takes the commit back, as after a crash.
 */
#ifndef STORAGE_LMDB_ENV_H
#define STORAGE_LMDB_ENV_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/page_sums.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum { LMDB_DATABASES_MAX = 8 };

struct lmdb_env {
    MDB_env *env; /* NULL after a failure, until a writer could open it again */
    char *path;
    pthread_rwlock_t lock; /* shared: a transaction is open; exclusive: the map grows, reopening */
    MDB_dbi databases[LMDB_DATABASES_MAX];
    const char *const *names;
    size_t name_count, map_size_min;
    pthread_mutex_t write_lock; /* one lmdb_update at a time; outside of `lock` */
    struct page_ledger ledger;  /* under write_lock */
    bool ledger_loaded, failed; /* `failed`: must be opened again before the next update */
    uint64_t undo; /* this transaction's sums are in doubt: to be forgotten first; 0: none */
};

/* A test's hook: called before each named LMDB call that may fail; nonzero is its result. */
extern int (*lmdb_fault)(const char *call);

/*
 * Open or (with `create`) make the file with its named databases, whose
 * handles are in `databases` in the same order; `names` must stay.  ERR_CORRUPT when a
 * page is damaged: LMDB does not see the file then.
 */
struct lmdb_env *lmdb_env_open(const char *path, const char *const *names, size_t name_count,
                               size_t map_size_min, bool create, struct error *err) MUST_CHECK;
/* Without looking at the pages first, for reading only: in a process that may crash. */
struct lmdb_env *lmdb_env_open_unchecked(const char *path, const char *const *names,
                                         size_t name_count, struct error *err) MUST_CHECK;
void lmdb_env_close(struct lmdb_env *e); /* NULL is fine */

/* A short read transaction. */
bool lmdb_read_begin(struct lmdb_env *e, MDB_txn **txn, struct error *err) MUST_CHECK;
void lmdb_read_end(struct lmdb_env *e, MDB_txn *txn);

/*
 * Run `change` in a write transaction and commit it.  `change` returns 0, an
 * LMDB error, or LMDB_STOP after filling `err`; anything but 0 aborts.  When the
 * map is full it grows and `change` runs again from the start, so it must not
 * alter anything but the transaction.
 */
enum { LMDB_STOP = -1 };
typedef int lmdb_change(MDB_txn *txn, struct lmdb_env *e, void *context, struct error *err);
bool lmdb_update(struct lmdb_env *e, lmdb_change *change, void *context, struct error *err)
    MUST_CHECK;

/*
 * After a failed update: is the file as it was before, and usable?  Tries to make it so.  While
 * this is false nobody can tell whether the update will be found done at the next start.
 */
bool lmdb_settle(struct lmdb_env *e, struct error *err) MUST_CHECK;

/*
 * Write a compact copy of the last commit to `path`, which must not exist, and
 * sync it.  The map does not grow meanwhile.
 */
bool lmdb_env_copy(struct lmdb_env *e, const char *path, struct error *err) MUST_CHECK;

/* mdb_put behind the fault hook. */
int lmdb_put(MDB_txn *txn, MDB_dbi dbi, struct slice key, struct slice value, unsigned flags);

/* Fill `err` for an LMDB result; always false. */
bool lmdb_failed(const struct lmdb_env *e, int rc, const char *what, struct error *err);

static inline MDB_val lmdb_val(struct slice s)
{
    MDB_val v = {s.size, (void *)(uintptr_t)s.data};
    return v;
}

static inline struct slice lmdb_slice(MDB_val v)
{
    return slice_of(v.mv_data, v.mv_size);
}

#endif
