/* compress.c - zstd with one context per thread and direction (see compress.h). */
#include "storage/compress.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>
#include <zstd.h>

/* What one thread keeps; freed by the key's destructor. */
struct contexts {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
};

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void contexts_free(void *p)
{
    struct contexts *c = p;
    ZSTD_freeCCtx(c->compress);
    ZSTD_freeDCtx(c->decompress);
    free(c);
}

static void key_make(void)
{
    if (pthread_key_create(&key, contexts_free) != 0)
        abort();
}

static struct contexts *contexts_get(void)
{
    pthread_once(&key_once, key_make);
    struct contexts *c = pthread_getspecific(key);
    if (c == NULL) {
        c = xcalloc(1, sizeof(*c));
        if (pthread_setspecific(key, c) != 0)
            abort();
    }
    return c;
}

bool compress_block(struct slice in, int level, struct buffer *out, struct error *err)
{
    struct contexts *c = contexts_get();
    if (c->compress == NULL && (c->compress = ZSTD_createCCtx()) == NULL)
        return error_set(err, ERR_UNAVAILABLE, "no memory for a zstd context");
    size_t room = ZSTD_compressBound(in.size);
    char *to = buffer_reserve(out, room);
    if (to == NULL)
        return error_set(err, ERR_LIMIT, "compressing %zu bytes needs more than the limit of %zu",
                         in.size, out->size_max);
    size_t size = ZSTD_compressCCtx(c->compress, to, room, in.data, in.size, level);
    if (ZSTD_isError(size))
        return error_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(size));
    buffer_advance(out, size);
    return true;
}

bool decompress_block(struct slice in, void *out, size_t size, struct error *err)
{
    struct contexts *c = contexts_get();
    if (c->decompress == NULL && (c->decompress = ZSTD_createDCtx()) == NULL)
        return error_set(err, ERR_UNAVAILABLE, "no memory for a zstd context");
    size_t got = ZSTD_decompressDCtx(c->decompress, out, size, in.data, in.size);
    if (ZSTD_isError(got))
        return error_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(got));
    if (got != size)
        return error_set(err, ERR_CORRUPT, "zstd gave %zu bytes instead of %zu", got, size);
    return true;
}
