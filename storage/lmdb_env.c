/* lmdb_env.c - opening, transactions and growth of LMDB files (see lmdb_env.h). */
#include "storage/lmdb_env.h"

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "storage/crash_point.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROWTH_MAX = 24, UNBORN_PAGES = 16 };

static const size_t map_size_step = 64 * 1024;
static const size_t map_size_max = (size_t)1 << 42; /* 4 TiB: more is an accident */

int (*lmdb_fault)(const char *call);

static int fault(const char *call)
{
    return lmdb_fault != NULL ? lmdb_fault(call) : 0;
}

bool lmdb_failed(const struct lmdb_env *e, int rc, const char *what, struct error *err)
{
    enum error_code code = ERR_IO;
    switch (rc) {
    case ENOSPC:
    case EDQUOT:
    case MDB_MAP_FULL:
    case MDB_READERS_FULL:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        code = ERR_UNAVAILABLE;
        break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_NOTFOUND:
        code = ERR_CORRUPT;
        break;
    default:
        break;
    }
    return error_set(err, code, "%s: %s: %s", e->path, what, mdb_strerror(rc));
}

/* Room for the file to grow by half before the map must. */
static size_t map_size_for(const char *path, size_t map_size_min)
{
    struct stat info;
    size_t size = 0;
    if (stat(path, &info) == 0)
        size = (size_t)info.st_size + (size_t)info.st_size / 2;
    if (size < map_size_min)
        size = map_size_min;
    return (size + map_size_step - 1) / map_size_step * map_size_step;
}

static void lock_init(pthread_rwlock_t *lock)
{
    /* A waiting writer goes first: otherwise steady readers would keep the map from growing. */
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

static int databases_open(struct lmdb_env *e, const char *const *names, size_t count, bool create)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(e->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = mdb_dbi_open(txn, names[i], create ? MDB_CREATE : 0, &e->databases[i]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = create ? fault("commit") : 0;
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int env_start(struct lmdb_env *e, bool create)
{
    int rc = fault("open");
    if (rc == 0)
        rc = mdb_env_create(&e->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(e->env, LMDB_DATABASES_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(e->env, map_size_for(e->path, e->map_size_min));
    if (rc == 0 && !create) {
        struct stat info;
        rc = stat(e->path, &info) == 0 ? 0 : errno; /* LMDB would create it */
    }
    if (rc == 0)
        rc = mdb_env_open(e->env, e->path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
    if (rc == 0)
        rc = databases_open(e, e->names, e->name_count, create);
    return rc;
}

static void env_stop(struct lmdb_env *e)
{
    if (e->env != NULL)
        mdb_env_close(e->env);
    e->env = NULL;
    page_ledger_done(&e->ledger);
    e->ledger_loaded = false;
}

/* Note the sums of what was committed last.  Caller holds write_lock, or has the only reference. */
static bool commit_finish(struct lmdb_env *e, struct error *err)
{
    mdb_filehandle_t fd;
    crash_point("lmdb.committed");
    int rc = fault("sums");
    if (rc == 0)
        rc = mdb_env_get_fd(e->env, &fd);
    return rc == 0 ? page_sums_commit(e->path, fd, &e->ledger, err)
                   : lmdb_failed(e, rc, "checksums of pages", err);
}

static struct lmdb_env *env_new(const char *path, const char *const *names, size_t name_count,
                                size_t map_size_min)
{
    struct lmdb_env *e = xcalloc(1, sizeof(*e));
    e->path = xstrdup(path);
    e->names = names;
    e->name_count = name_count;
    e->map_size_min = map_size_min;
    lock_init(&e->lock);
    pthread_mutex_init(&e->write_lock, NULL);
    return e;
}

/* What a crash left of a file before its first commit: LMDB would refuse it. */
static void remove_unborn(const char *path)
{
    struct stat info;
    char sums[PATH_MAX];
    if (stat(path, &info) != 0 || info.st_size > UNBORN_PAGES * PAGE_SIZE_MIN ||
        !page_sums_path(path, sums, sizeof(sums)) || stat(sums, &info) == 0)
        return;
    struct page_meta meta;
    AUTO(fd_drop) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct page_file file = {.path = path, .fd = fd, .size = 2 * PAGE_SIZE_MIN};
    for (unsigned slot = 0; slot < 2; slot++)
        if (fd < 0 || (page_meta_read(&file, PAGE_SIZE_MIN, slot, &meta) && meta.txnid > 0))
            return;
    unlink(path);
}

struct lmdb_env *lmdb_env_open(const char *path, const char *const *names, size_t name_count,
                               size_t map_size_min, bool create, struct error *err)
{
    struct lmdb_env *e = env_new(path, names, name_count, map_size_min);
    if (create)
        remove_unborn(path);
    if (page_sums_check(path, &e->ledger, err)) {
        int rc = env_start(e, create);
        if (rc != 0)
            lmdb_failed(e, rc, "opening", err);
        else if (!create || commit_finish(e, err)) {
            page_ledger_done(&e->ledger); /* most are only read: loaded again before a change */
            return e;
        }
    }
    lmdb_env_close(e);
    return NULL;
}

struct lmdb_env *lmdb_env_open_unchecked(const char *path, const char *const *names,
                                         size_t name_count, struct error *err)
{
    struct lmdb_env *e = env_new(path, names, name_count, 0);
    int rc = env_start(e, false);
    if (rc == 0)
        return e;
    lmdb_failed(e, rc, "opening", err);
    lmdb_env_close(e);
    return NULL;
}

void lmdb_env_close(struct lmdb_env *e)
{
    if (e == NULL)
        return;
    env_stop(e);
    pthread_rwlock_destroy(&e->lock);
    pthread_mutex_destroy(&e->write_lock);
    free(e->path);
    free(e);
}

bool lmdb_read_begin(struct lmdb_env *e, MDB_txn **txn, struct error *err)
{
    pthread_rwlock_rdlock(&e->lock);
    int rc = e->env == NULL ? EIO : mdb_txn_begin(e->env, NULL, MDB_RDONLY, txn);
    if (rc == 0)
        return true;
    pthread_rwlock_unlock(&e->lock);
    return lmdb_failed(e, rc, "beginning to read", err);
}

void lmdb_read_end(struct lmdb_env *e, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    pthread_rwlock_unlock(&e->lock);
}

/* Double the map.  Waits until the open transactions are over. */
static int grow(struct lmdb_env *e)
{
    pthread_rwlock_wrlock(&e->lock);
    MDB_envinfo info;
    int rc = mdb_env_info(e->env, &info);
    if (rc == 0)
        rc = info.me_mapsize >= map_size_max ? ENOSPC : fault("grow");
    if (rc == 0)
        rc = mdb_env_set_mapsize(e->env, info.me_mapsize * 2);
    pthread_rwlock_unlock(&e->lock);
    return rc;
}

/* Change and commit, in one transaction.  A commit that failed may need the file opened anew. */
static int update_once(struct lmdb_env *e, lmdb_change *change, void *context, struct error *err)
{
    MDB_txn *txn;
    pthread_rwlock_rdlock(&e->lock);
    int rc = fault("begin");
    if (rc == 0)
        rc = mdb_txn_begin(e->env, NULL, 0, &txn);
    if (rc == MDB_PANIC)
        e->failed = true;
    if (rc == 0) {
        rc = change(txn, e, context, err);
        if (rc == 0)
            rc = fault("commit");
        if (rc == 0) {
            rc = mdb_txn_commit(txn);
            e->failed = rc != 0 && rc != MDB_MAP_FULL;
        } else {
            mdb_txn_abort(txn);
        }
    }
    pthread_rwlock_unlock(&e->lock);
    return rc;
}

static bool update(struct lmdb_env *e, lmdb_change *change, void *context, struct error *err)
{
    for (int attempt = 0; attempt < GROWTH_MAX; attempt++) {
        int rc = update_once(e, change, context, err);
        if (rc == 0)
            return true;
        if (rc == LMDB_STOP)
            return false;
        if (rc != MDB_MAP_FULL)
            return lmdb_failed(e, rc, "writing", err);
        rc = grow(e);
        if (rc != 0)
            return lmdb_failed(e, rc, "growing the map", err);
    }
    return lmdb_failed(e, MDB_MAP_FULL, "writing", err);
}

/* After a failure LMDB may be ahead of the sums, or refuse to go on.  Waits for transactions. */
static bool reopen(struct lmdb_env *e, struct error *err)
{
    pthread_rwlock_wrlock(&e->lock);
    env_stop(e);
    bool ok = e->undo == 0 || page_sums_forget(e->path, e->undo, err);
    if (ok)
        e->undo = 0;
    ok = ok && page_sums_check(e->path, &e->ledger, err);
    if (ok) {
        int rc = env_start(e, false);
        ok = rc == 0 || lmdb_failed(e, rc, "opening again", err);
    }
    if (!ok)
        env_stop(e);
    e->ledger_loaded = ok;
    e->failed = !ok;
    pthread_rwlock_unlock(&e->lock);
    return ok;
}

/* The ledger as it was at the last finished commit. */
static bool ledger_get(struct lmdb_env *e, struct error *err)
{
    if (!e->ledger_loaded)
        e->ledger_loaded = page_sums_load(e->path, &e->ledger, err);
    return e->ledger_loaded;
}

bool lmdb_update(struct lmdb_env *e, lmdb_change *change, void *context, struct error *err)
{
    pthread_mutex_lock(&e->write_lock);
    bool ok =
        (!e->failed || reopen(e, err)) && ledger_get(e, err) && update(e, change, context, err);
    if (ok && !commit_finish(e, err)) {
        struct error again = {0};
        ok = false;
        e->undo = e->ledger.txnid + 1;
        if (!reopen(e, &again))
            error_prefix(err, "%s (and %s)", e->path, again.message);
    }
    pthread_mutex_unlock(&e->write_lock);
    return ok;
}

bool lmdb_settle(struct lmdb_env *e, struct error *err)
{
    pthread_mutex_lock(&e->write_lock);
    bool ok = !e->failed || reopen(e, err);
    pthread_mutex_unlock(&e->write_lock);
    return ok;
}

bool lmdb_env_copy(struct lmdb_env *e, const char *path, struct error *err)
{
    AUTO(fd_drop) int fd = file_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, err);
    if (fd < 0)
        return false;
    pthread_rwlock_rdlock(&e->lock);
    int rc = e->env == NULL ? EIO : mdb_env_copyfd2(e->env, fd, MDB_CP_COMPACT);
    pthread_rwlock_unlock(&e->lock);
    if (rc != 0)
        return lmdb_failed(e, rc, "copying", err);
    struct page_ledger ledger = {0};
    bool ok = file_sync(fd, err) || error_prefix(err, "%s", path);
    ok = ok && page_sums_commit(path, fd, &ledger, err);
    page_ledger_done(&ledger);
    return ok;
}

int lmdb_put(MDB_txn *txn, MDB_dbi dbi, struct slice key, struct slice value, unsigned flags)
{
    int rc = fault("put");
    if (rc != 0)
        return rc;
    MDB_val k = lmdb_val(key), v = lmdb_val(value);
    return mdb_put(txn, dbi, &k, &v, flags);
}
