/*
 * body.c - snappy, gzip, deflate and zstd around libsnappy, zlib and libzstd.
 *
 * Snappy declares its whole size, so that one check before the only allocation
 * is enough.  The streaming encodings write into the output buffer in pieces that grow
 * with what was there before, and stop at the limit: a body of a few bytes never costs
 * more memory than a small multiple of what it really holds.
 */
#include "wire/body.h"

#include "base/buffer.h"
#include "base/error.h"
#include "wire/snappy_decode.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    PIECE_MIN = 16 * 1024,
    SNAPPY_RATIO_MAX = 32, /* three bytes of a copy give at most 64 */
    ZLIB_WINDOW = 15,
    ZLIB_GZIP = 16, /* added to the window: gzip's header instead of zlib's */
    GZIP_LEVEL = 6,
    ZSTD_LEVEL = 3
};

const char *body_encoding_name(enum body_encoding encoding)
{
    switch (encoding) {
    case BODY_IDENTITY:
        return "identity";
    case BODY_SNAPPY:
        return "snappy";
    case BODY_GZIP:
        return "gzip";
    case BODY_DEFLATE:
        return "deflate";
    case BODY_ZSTD:
        return "zstd";
    }
    return "unknown";
}

static bool too_large(enum body_encoding encoding, uint64_t size, size_t limit, struct error *err)
{
    return error_set(err, ERR_TOO_LARGE, "%s body declares %llu bytes, the limit is %zu",
                     body_encoding_name(encoding), (unsigned long long)size, limit);
}

static bool over_limit(enum body_encoding encoding, size_t limit, struct error *err)
{
    return error_set(err, ERR_TOO_LARGE, "%s body unpacks to more than %zu bytes, the limit",
                     body_encoding_name(encoding), limit);
}

static bool no_memory(enum body_encoding encoding, size_t size, struct error *err)
{
    return error_set(err, ERR_UNAVAILABLE, "no memory for %zu bytes of a %s body", size,
                     body_encoding_name(encoding));
}

/*
 * The declared length is a varint of at most 32 bits at the front.  It can lie,
 * but not by much: what the format cannot expand to is refused as well.
 */
static bool decode_snappy(struct slice body, struct buffer *out, struct error *err)
{
    size_t size;
    if (!snappy_declared_size(body, &size))
        return error_set(err, ERR_INVALID, "snappy body has no valid length");
    if (size / SNAPPY_RATIO_MAX > body.size)
        return error_set(err, ERR_INVALID, "snappy body of %zu bytes declares %zu bytes", body.size,
                         size);
    if (size > out->size_max)
        return too_large(BODY_SNAPPY, size, out->size_max, err);
    char *room = buffer_reserve(out, size);
    if (room == NULL)
        return no_memory(BODY_SNAPPY, size, err);
    if (!snappy_decode(body, room, size))
        return error_set(err, ERR_INVALID, "snappy body is corrupt");
    buffer_advance(out, size);
    return true;
}

/* Where a streaming decoder writes next. */
struct piece {
    char *data;
    size_t size;
    char spare; /* one byte to see whether anything comes after the limit */
};

static bool piece_take(struct piece *piece, enum body_encoding encoding, struct buffer *out,
                       struct error *err)
{
    size_t left = out->size_max - out->size;
    size_t size = out->size > PIECE_MIN ? out->size : PIECE_MIN;
    if (size > left)
        size = left;
    if (size == 0) {
        *piece = (struct piece){.data = &piece->spare, .size = 1};
        return true;
    }
    piece->data = buffer_reserve(out, size);
    piece->size = size;
    return piece->data != NULL || no_memory(encoding, size, err);
}

static bool piece_give(struct piece *piece, enum body_encoding encoding, struct slice body,
                       struct buffer *out, size_t written, struct error *err)
{
    if (piece->data == &piece->spare)
        return written == 0 || over_limit(encoding, out->size_max, err);
    buffer_advance(out, written);
    if (out->size > BODY_RATIO_FREE && out->size / BODY_RATIO_MAX > body.size)
        return error_set(err, ERR_TOO_LARGE,
                         "%s body of %zu bytes unpacks to more than %d times its size, the limit",
                         body_encoding_name(encoding), body.size, (int)BODY_RATIO_MAX);
    return true;
}

static void inflate_drop(z_stream *stream)
{
    inflateEnd(stream);
}

static bool inflate_failed(enum body_encoding encoding, const z_stream *stream, int code,
                           struct error *err)
{
    const char *why = stream->msg ? stream->msg : "it is cut off";
    if (code == Z_MEM_ERROR)
        return no_memory(encoding, 0, err);
    return error_set(err, ERR_INVALID, "%s body is corrupt: %s", body_encoding_name(encoding), why);
}

static bool decode_zlib(enum body_encoding encoding, int window, struct slice body,
                        struct buffer *out, struct error *err)
{
    AUTO(inflate_drop) z_stream stream = {0};
    struct piece piece;

    if (body.size > UINT32_MAX)
        return error_set(err, ERR_TOO_LARGE, "%s body has %zu bytes, the limit is 4 GiB",
                         body_encoding_name(encoding), body.size);
    if (inflateInit2(&stream, window) != Z_OK)
        return no_memory(encoding, sizeof(stream), err);
    stream.next_in = (Bytef *)(uintptr_t)body.data;
    stream.avail_in = (uInt)body.size;
    for (;;) {
        if (!piece_take(&piece, encoding, out, err))
            return false;
        stream.next_out = (Bytef *)piece.data;
        stream.avail_out = piece.size > UINT32_MAX ? UINT32_MAX : (uInt)piece.size;
        uInt room = stream.avail_out;
        int code = inflate(&stream, Z_NO_FLUSH);
        if (!piece_give(&piece, encoding, body, out, room - stream.avail_out, err))
            return false;
        if (code == Z_STREAM_END) {
            if (stream.avail_in == 0)
                return true;
            if (encoding != BODY_GZIP)
                return error_set(err, ERR_INVALID, "%s body goes on after its end",
                                 body_encoding_name(encoding));
            inflateReset(&stream); /* gzip: another member may follow */
            continue;
        }
        bool starved = stream.avail_in == 0 && stream.avail_out > 0;
        if (code != Z_OK || starved)
            return inflate_failed(encoding, &stream, code, err);
    }
}

/* Senders disagree on whether "deflate" has zlib's two header bytes. */
static bool decode_deflate(struct slice body, struct buffer *out, struct error *err)
{
    bool wrapped = false;
    if (body.size >= 2) {
        unsigned first = (unsigned char)body.data[0], second = (unsigned char)body.data[1];
        wrapped = (first & 0x0f) == Z_DEFLATED && ((first << 8) | second) % 31 == 0;
    }
    return decode_zlib(BODY_DEFLATE, wrapped ? ZLIB_WINDOW : -ZLIB_WINDOW, body, out, err);
}

static void dctx_drop(ZSTD_DCtx **context)
{
    ZSTD_freeDCtx(*context);
}

static bool zstd_failed(size_t code, struct error *err)
{
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
        return error_set(err, ERR_TOO_LARGE, "zstd body asks for a window over %d bytes, the limit",
                         (int)BODY_ZSTD_WINDOW_MAX);
    return error_set(err, ERR_INVALID, "zstd body is corrupt: %s", ZSTD_getErrorName(code));
}

/* The size that the frame at the front declares, if it does, against what is left. */
static bool check_zstd_frame(struct slice rest, struct buffer *out, struct error *err)
{
    unsigned long long size = ZSTD_getFrameContentSize(rest.data, rest.size);
    if (size == ZSTD_CONTENTSIZE_ERROR)
        return error_set(err, ERR_INVALID, "zstd body has no valid frame");
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size > out->size_max - out->size)
        return too_large(BODY_ZSTD, size, out->size_max, err);
    return true;
}

static bool decode_zstd(struct slice body, struct buffer *out, struct error *err)
{
    ZSTD_inBuffer in = {body.data, body.size, 0};
    struct piece piece;
    bool frame_begins = true;

    AUTO(dctx_drop) ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL)
        return no_memory(BODY_ZSTD, 0, err);
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, __builtin_ctz(BODY_ZSTD_WINDOW_MAX));
    for (;;) {
        if (frame_begins && !check_zstd_frame(slice_skip(body, in.pos), out, err))
            return false;
        if (!piece_take(&piece, BODY_ZSTD, out, err))
            return false;
        ZSTD_outBuffer to = {piece.data, piece.size, 0};
        size_t code = ZSTD_decompressStream(context, &to, &in);
        if (ZSTD_isError(code))
            return zstd_failed(code, err);
        if (!piece_give(&piece, BODY_ZSTD, body, out, to.pos, err))
            return false;
        frame_begins = code == 0;
        if (in.pos == in.size && code == 0)
            return true;
        if (in.pos == in.size && to.pos < to.size)
            return error_set(err, ERR_INVALID, "zstd body is cut off");
    }
}

bool body_decode(enum body_encoding encoding, struct slice body, struct buffer *scratch,
                 struct slice *out, struct error *err)
{
    if (encoding == BODY_IDENTITY) {
        if (body.size > scratch->size_max)
            return error_set(err, ERR_TOO_LARGE, "body has %zu bytes, the limit is %zu", body.size,
                             scratch->size_max);
        *out = body;
        return true;
    }
    if (body.size == 0)
        return error_set(err, ERR_INVALID, "%s body is empty", body_encoding_name(encoding));

    bool ok = false;
    buffer_clear(scratch);
    switch (encoding) {
    case BODY_SNAPPY:
        ok = decode_snappy(body, scratch, err);
        break;
    case BODY_GZIP:
        ok = decode_zlib(BODY_GZIP, ZLIB_WINDOW + ZLIB_GZIP, body, scratch, err);
        break;
    case BODY_DEFLATE:
        ok = decode_deflate(body, scratch, err);
        break;
    case BODY_ZSTD:
        ok = decode_zstd(body, scratch, err);
        break;
    case BODY_IDENTITY:
        break;
    }
    if (ok)
        *out = buffer_slice(scratch);
    return ok;
}

bool body_decode_both(struct body_coding coding, struct slice body, struct buffer *between,
                      struct buffer *scratch, struct slice *out, struct error *err)
{
    struct slice inside;
    return body_decode(coding.outer, body, between, &inside, err) &&
           body_decode(coding.inner, inside, scratch, out, err);
}

static bool is_full(const struct buffer *out, struct error *err)
{
    return error_set(err, ERR_LIMIT, "compressed body needs more than %zu bytes, the limit",
                     out->size_max);
}

static bool encode_snappy(struct slice body, struct buffer *out, struct error *err)
{
    size_t size = snappy_max_compressed_length(body.size);
    char *room = buffer_reserve(out, size);
    if (room == NULL)
        return is_full(out, err);
    if (snappy_compress(body.data ? body.data : "", body.size, room, &size) != SNAPPY_OK)
        return error_set(err, ERR_INTERNAL, "snappy could not compress %zu bytes", body.size);
    buffer_advance(out, size);
    return true;
}

static bool encode_zlib(int window, struct slice body, struct buffer *out, struct error *err)
{
    z_stream stream = {0};
    if (body.size > UINT32_MAX / 2)
        return error_set(err, ERR_TOO_LARGE, "body of %zu bytes is too large for gzip", body.size);
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return no_memory(BODY_GZIP, 0, err);
    uLong bound = deflateBound(&stream, (uLong)body.size);
    char *room = buffer_reserve(out, bound);
    if (room == NULL) {
        deflateEnd(&stream);
        return is_full(out, err);
    }
    stream.next_in = (Bytef *)(uintptr_t)body.data;
    stream.avail_in = (uInt)body.size;
    stream.next_out = (Bytef *)room;
    stream.avail_out = (uInt)bound;
    int code = deflate(&stream, Z_FINISH);
    buffer_advance(out, bound - stream.avail_out);
    deflateEnd(&stream);
    return code == Z_STREAM_END ||
           error_set(err, ERR_INTERNAL, "gzip could not compress %zu bytes", body.size);
}

static bool encode_zstd(struct slice body, struct buffer *out, struct error *err)
{
    size_t bound = ZSTD_compressBound(body.size);
    char *room = buffer_reserve(out, bound);
    if (room == NULL)
        return is_full(out, err);
    size_t size = ZSTD_compress(room, bound, body.data, body.size, ZSTD_LEVEL);
    if (ZSTD_isError(size))
        return error_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(size));
    buffer_advance(out, size);
    return true;
}

bool body_encode(enum body_encoding encoding, struct slice body, struct buffer *out,
                 struct error *err)
{
    switch (encoding) {
    case BODY_SNAPPY:
        return encode_snappy(body, out, err);
    case BODY_GZIP:
        return encode_zlib(ZLIB_WINDOW + ZLIB_GZIP, body, out, err);
    case BODY_DEFLATE:
        return encode_zlib(ZLIB_WINDOW, body, out, err);
    case BODY_ZSTD:
        return encode_zstd(body, out, err);
    case BODY_IDENTITY:
        break;
    }
    buffer_append_slice(out, body);
    return !out->failed || is_full(out, err);
}
