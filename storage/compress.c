/*
 * compress.c - zstd with one context per thread and direction (see compress.h).
 *
 * A block with hexadecimal numbers cut out begins with the mark, which is never the
 * first byte of a zstd frame.
 */
#include "storage/compress.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/memory.h"
#include "storage/hex_pack.h"

#include <pthread.h>
#include <zstd.h>

enum {
    SCRATCH_MAX = 64 * 1024 * 1024,
    SCRATCH_KEPT = 1024 * 1024, /* by a thread, between calls */
    ZSTD_FIRST_BYTE = 0x28
};

/*
 * Measured on lines with ids in blocks of 256 KiB: matches shorter than 6 or 7 are mostly
 * accidents in ids.  Level 9 as it comes is slower and gives blocks that are 6% larger.
 */
static const struct {
    int level, strategy, min_match, search_log;
} efforts[] = {[COMPRESS_LOG] = {-7, ZSTD_fast, 7, 1},
               [COMPRESS_HOT] = {1, ZSTD_fast, 7, 1},
               [COMPRESS_CLOSED] = {6, ZSTD_lazy2, 6, 5}};

/* What one thread keeps; freed by the key's destructor. */
struct contexts {
    ZSTD_CCtx *compress;
    enum compress_effort effort; /* that the context is set to */
    ZSTD_DCtx *decompress;
    struct buffer rest, digits;
};

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static void contexts_free(void *p)
{
    struct contexts *c = p;
    ZSTD_freeCCtx(c->compress);
    ZSTD_freeDCtx(c->decompress);
    buffer_done(&c->rest);
    buffer_done(&c->digits);
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
        buffer_init(&c->rest, SCRATCH_MAX);
        buffer_init(&c->digits, SCRATCH_MAX);
        if (pthread_setspecific(key, c) != 0)
            abort();
    }
    return c;
}

static void scratch_drop(struct contexts *c)
{
    if (c->rest.capacity + c->digits.capacity <= SCRATCH_KEPT)
        return;
    buffer_done(&c->rest);
    buffer_done(&c->digits);
    buffer_init(&c->rest, SCRATCH_MAX);
    buffer_init(&c->digits, SCRATCH_MAX);
}

/* ---- compressing --------------------------------------------------------------------- */

static bool context_make(struct contexts *c, enum compress_effort effort, struct error *err)
{
    if (c->compress != NULL && c->effort == effort)
        return true;
    if (c->compress == NULL && (c->compress = ZSTD_createCCtx()) == NULL)
        return error_set(err, ERR_UNAVAILABLE, "no memory for a zstd context");
    ZSTD_CCtx *z = c->compress;
    size_t failed = ZSTD_CCtx_reset(z, ZSTD_reset_parameters);
    if (!ZSTD_isError(failed))
        failed = ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, efforts[effort].level);
    if (!ZSTD_isError(failed))
        failed = ZSTD_CCtx_setParameter(z, ZSTD_c_strategy, efforts[effort].strategy);
    if (!ZSTD_isError(failed))
        failed = ZSTD_CCtx_setParameter(z, ZSTD_c_minMatch, efforts[effort].min_match);
    if (!ZSTD_isError(failed))
        failed = ZSTD_CCtx_setParameter(z, ZSTD_c_searchLog, efforts[effort].search_log);
    if (ZSTD_isError(failed))
        return error_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(failed));
    c->effort = effort;
    return true;
}

static bool frame_append(struct contexts *c, struct slice in, struct buffer *out, struct error *err)
{
    size_t room = ZSTD_compressBound(in.size);
    char *to = buffer_reserve(out, room);
    if (to == NULL)
        return error_set(err, ERR_LIMIT, "compressing %zu bytes needs more than the limit of %zu",
                         in.size, out->size_max);
    size_t size = ZSTD_compress2(c->compress, to, room, in.data, in.size);
    if (ZSTD_isError(size))
        return error_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(size));
    buffer_advance(out, size);
    return true;
}

bool compress_block(struct slice in, enum compress_effort effort, struct buffer *out,
                    struct error *err)
{
    struct contexts *c = contexts_get();
    uint8_t mark;
    if (!context_make(c, effort, err))
        return false;
    buffer_clear(&c->rest);
    buffer_clear(&c->digits);
    if (effort != COMPRESS_LOG && hex_pack(in, &mark, &c->rest, &c->digits)) {
        buffer_put8(out, mark);
        buffer_put_varint(out, c->rest.size);
        buffer_put_sized(out, buffer_slice(&c->digits));
        in = buffer_slice(&c->rest);
    }
    bool ok = frame_append(c, in, out, err);
    scratch_drop(c);
    return ok;
}

/* ---- decompressing ------------------------------------------------------------------- */

static bool frame_read(struct contexts *c, struct slice in, void *out, size_t size,
                       struct error *err)
{
    if (c->decompress == NULL && (c->decompress = ZSTD_createDCtx()) == NULL)
        return error_set(err, ERR_UNAVAILABLE, "no memory for a zstd context");
    size_t got = ZSTD_decompressDCtx(c->decompress, out, size, in.data, in.size);
    if (ZSTD_isError(got))
        return error_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(got));
    if (got != size)
        return error_set(err, ERR_CORRUPT, "zstd gave %zu bytes instead of %zu", got, size);
    return true;
}

static bool packed_read(struct contexts *c, struct slice in, void *out, size_t size,
                        struct error *err)
{
    struct reader r = reader_of(in);
    uint8_t mark = read8(&r);
    uint64_t rest_size = read_varint(&r);
    struct slice digits = read_sized(&r);
    if (r.failed || rest_size > size)
        return error_set(err, ERR_CORRUPT, "a compressed block is malformed");
    buffer_clear(&c->rest);
    char *rest = buffer_reserve(&c->rest, (size_t)rest_size + 1);
    if (rest == NULL)
        return error_set(err, ERR_LIMIT, "a compressed block of %zu bytes", size);
    if (!frame_read(c, slice_of(r.at, reader_left(&r)), rest, (size_t)rest_size, err))
        return false;
    return hex_unpack(slice_of(rest, (size_t)rest_size), digits, mark, out, size) ||
           error_set(err, ERR_CORRUPT, "a compressed block is malformed");
}

bool decompress_block(struct slice in, void *out, size_t size, struct error *err)
{
    struct contexts *c = contexts_get();
    if (in.size == 0 || (uint8_t)in.data[0] == ZSTD_FIRST_BYTE)
        return frame_read(c, in, out, size, err);
    bool ok = packed_read(c, in, out, size, err);
    scratch_drop(c);
    return ok;
}
