/* lmdb_env.c - opening, transactions and growth of LMDB files (see lmdb_env.h). */
#include "storage/lmdb_env.h"

#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { GROWTH_MAX = 24 };

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

struct lmdb_env *lmdb_env_open(const char *path, const char *const *names, size_t name_count,
                               size_t map_size_min, bool create, struct error *err)
{
    struct lmdb_env *e = xcalloc(1, sizeof(*e));
    e->path = xstrdup(path);
    lock_init(&e->lock);
    int rc = fault("open");
    if (rc == 0)
        rc = mdb_env_create(&e->env);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(e->env, LMDB_DATABASES_MAX);
    if (rc == 0)
        rc = mdb_env_set_mapsize(e->env, map_size_for(path, map_size_min));
    if (rc == 0 && !create) {
        struct stat info;
        rc = stat(path, &info) == 0 ? 0 : errno; /* LMDB would create it */
    }
    if (rc == 0)
        rc = mdb_env_open(e->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600);
    if (rc == 0)
        rc = databases_open(e, names, name_count, create);
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
    if (e->env != NULL)
        mdb_env_close(e->env);
    pthread_rwlock_destroy(&e->lock);
    free(e->path);
    free(e);
}

bool lmdb_read_begin(struct lmdb_env *e, MDB_txn **txn, struct error *err)
{
    pthread_rwlock_rdlock(&e->lock);
    int rc = mdb_txn_begin(e->env, NULL, MDB_RDONLY, txn);
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

bool lmdb_update(struct lmdb_env *e, lmdb_change *change, void *context, struct error *err)
{
    for (int attempt = 0; attempt < GROWTH_MAX; attempt++) {
        MDB_txn *txn;
        pthread_rwlock_rdlock(&e->lock);
        int rc = fault("begin");
        if (rc == 0)
            rc = mdb_txn_begin(e->env, NULL, 0, &txn);
        if (rc == 0) {
            rc = change(txn, e, context, err);
            if (rc == 0)
                rc = fault("commit");
            if (rc == 0)
                rc = mdb_txn_commit(txn);
            else
                mdb_txn_abort(txn);
        }
        pthread_rwlock_unlock(&e->lock);
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

bool lmdb_env_copy(struct lmdb_env *e, const char *path, struct error *err)
{
    AUTO(fd_drop) int fd = file_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600, err);
    if (fd < 0)
        return false;
    pthread_rwlock_rdlock(&e->lock);
    int rc = mdb_env_copyfd2(e->env, fd, MDB_CP_COMPACT);
    pthread_rwlock_unlock(&e->lock);
    if (rc == 0)
        return file_sync(fd, err) || error_prefix(err, "%s", path);
    return lmdb_failed(e, rc, "copying", err);
}

int lmdb_put(MDB_txn *txn, MDB_dbi dbi, struct slice key, struct slice value, unsigned flags)
{
    int rc = fault("put");
    if (rc != 0)
        return rc;
    MDB_val k = lmdb_val(key), v = lmdb_val(value);
    return mdb_put(txn, dbi, &k, &v, flags);
}
