/* spool.c - one file per batch (see spool.h). */
#include "agents/spool.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory.h"
#include "base/number.h"

#include <inttypes.h>
#include <sys/stat.h>

enum { PATH_SIZE_MAX = 4096, DIGITS = 20 };

static bool path_of(const struct spool *spool, const char *name, char *path, struct error *err)
{
    int size = snprintf(path, PATH_SIZE_MAX, "%s/%s", spool->directory, name);
    if (size < 0 || size >= PATH_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "path %s/%s is too long", spool->directory, name);
    return true;
}

/* Fixed width, so that the order of names is the order of batches. */
static bool path_of_key(const struct spool *spool, struct spool_key key, char *path,
                        struct error *err)
{
    char name[64];
    snprintf(name, sizeof(name), "%020" PRIu64 "-%020" PRIu64 ".batch", key.epoch, key.sequence);
    return path_of(spool, name, path, err);
}

static bool key_of_name(const char *name, struct spool_key *key)
{
    struct slice text = slice_from_text(name);
    return text.size == 2 * DIGITS + 7 && text.data[DIGITS] == '-' &&
           slice_ends_with(text, SLICE(".batch")) &&
           slice_parse_u64(slice_sub(text, 0, DIGITS), &key->epoch) &&
           slice_parse_u64(slice_sub(text, DIGITS + 1, DIGITS), &key->sequence);
}

static uint64_t size_of_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

/* The name of the oldest batch, or false; `*total` gets the bytes of all. */
static bool list(struct spool *spool, char oldest[64], uint64_t *total, struct error *err)
{
    char **names;
    size_t count;
    bool found = false;

    *total = 0;
    if (!directory_list(spool->directory, &names, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct spool_key key;
        char path[PATH_SIZE_MAX];
        if (!key_of_name(names[i], &key) || !path_of(spool, names[i], path, err))
            continue;
        *total += size_of_file(path);
        if (!found)
            snprintf(oldest, 64, "%s", names[i]);
        found = true;
    }
    names_free(names, count);
    return found || error_set(err, ERR_NOT_FOUND, "no batch in %s", spool->directory);
}

bool spool_open(struct spool *spool, const char *directory, uint64_t size_max, struct error *err)
{
    char oldest[64];
    *spool = (struct spool){.size_max = size_max};
    if (!directory_make(directory, err))
        return false;
    spool->directory = xstrdup(directory);
    pthread_mutex_init(&spool->mutex, NULL);
    if (!list(spool, oldest, &spool->size, err)) {
        if (err->code != ERR_NOT_FOUND) {
            spool_close(spool);
            return false;
        }
        error_clear(err);
    }
    return true;
}

void spool_close(struct spool *spool)
{
    if (spool->directory == NULL)
        return;
    free(spool->directory);
    spool->directory = NULL;
    pthread_mutex_destroy(&spool->mutex);
}

static bool drop_oldest(struct spool *spool, struct error *err)
{
    char oldest[64], path[PATH_SIZE_MAX];
    uint64_t total;
    if (!list(spool, oldest, &total, err) || !path_of(spool, oldest, path, err))
        return false;
    uint64_t size = size_of_file(path);
    if (!file_unlink(path, err))
        return false;
    spool->size = total - size;
    spool->dropped++;
    return true;
}

bool spool_put(struct spool *spool, struct spool_key key, struct slice batch, struct error *err)
{
    char path[PATH_SIZE_MAX];
    if (batch.size > spool->size_max)
        return error_set(err, ERR_LIMIT, "a batch has %zu bytes, the spool's limit is %" PRIu64,
                         batch.size, spool->size_max);
    if (!path_of_key(spool, key, path, err))
        return false;
    pthread_mutex_lock(&spool->mutex);
    bool ok = true;
    while (ok && spool->size + batch.size > spool->size_max)
        ok = drop_oldest(spool, err);
    ok = ok && file_replace(path, batch, err);
    if (ok)
        spool->size += batch.size;
    pthread_mutex_unlock(&spool->mutex);
    return ok;
}

bool spool_oldest(struct spool *spool, struct spool_key *key, struct buffer *out, struct error *err)
{
    char oldest[64], path[PATH_SIZE_MAX];
    uint64_t total;
    pthread_mutex_lock(&spool->mutex);
    buffer_clear(out);
    bool ok = spool->size > 0 || error_set(err, ERR_NOT_FOUND, "no batch");
    ok = ok && list(spool, oldest, &total, err) && path_of(spool, oldest, path, err) &&
         file_load(path, out, err) && key_of_name(oldest, key);
    pthread_mutex_unlock(&spool->mutex);
    return ok;
}

bool spool_remove(struct spool *spool, struct spool_key key, struct error *err)
{
    char path[PATH_SIZE_MAX];
    if (!path_of_key(spool, key, path, err))
        return false;
    pthread_mutex_lock(&spool->mutex);
    uint64_t size = size_of_file(path);
    bool ok = file_unlink(path, err);
    if (ok)
        spool->size -= size < spool->size ? size : spool->size;
    pthread_mutex_unlock(&spool->mutex);
    return ok;
}

uint64_t spool_size(struct spool *spool)
{
    pthread_mutex_lock(&spool->mutex);
    uint64_t size = spool->size;
    pthread_mutex_unlock(&spool->mutex);
    return size;
}

uint64_t spool_dropped(struct spool *spool)
{
    pthread_mutex_lock(&spool->mutex);
    uint64_t dropped = spool->dropped;
    pthread_mutex_unlock(&spool->mutex);
    return dropped;
}
