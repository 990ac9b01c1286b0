/*
 * body.h - request and response bodies in their content encodings.
 *
 * A body from the network is never trusted with memory: where an encoding
 * declares its size (snappy, zstd) the declaration is checked against the limit
 * before anything is allocated, and every output is cut off at the limit and at
 * BODY_RATIO_MAX times the input.  The limit is that of the output buffer.
 *
 * Any thread; a buffer belongs to one call at a time.
 */
#ifndef WIRE_BODY_H
#define WIRE_BODY_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct error;

enum body_encoding {
    BODY_IDENTITY,
    BODY_SNAPPY,  /* the block format, not the framed one */
    BODY_GZIP,    /* one member or several */
    BODY_DEFLATE, /* zlib's format, and raw deflate, which some senders mean by it */
    BODY_ZSTD     /* one frame or several */
};

/* Encodings in the order in which they are taken off; loki push wraps snappy in gzip. */
struct body_coding {
    enum body_encoding outer, inner;
};

enum {
    BODY_RATIO_MAX = 200,                  /* output bytes per input byte, above BODY_RATIO_FREE */
    BODY_RATIO_FREE = 1024 * 1024,         /* output below this size may have any ratio */
    BODY_ZSTD_WINDOW_MAX = 8 * 1024 * 1024 /* bytes of window that a frame may ask for */
};

/* "snappy", "gzip", ... as in Content-Encoding. */
const char *body_encoding_name(enum body_encoding encoding);

/*
 * Take `encoding` off `body`.  `*out` lies in `scratch`, which is cleared first
 * and whose size_max is the limit, or in `body` itself for BODY_IDENTITY.  Fails with
 * ERR_TOO_LARGE over the limit or the ratio, ERR_INVALID for broken bytes.
 */
bool body_decode(enum body_encoding encoding, struct slice body, struct buffer *scratch,
                 struct slice *out, struct error *err) MUST_CHECK;

/* The same for two encodings, one around the other; each scratch buffer has the limit. */
bool body_decode_both(struct body_coding coding, struct slice body, struct buffer *between,
                      struct buffer *scratch, struct slice *out, struct error *err) MUST_CHECK;

/* Append `body` in `encoding` to `out`.  Fails with ERR_LIMIT when `out` is full. */
bool body_encode(enum body_encoding encoding, struct slice body, struct buffer *out,
                 struct error *err) MUST_CHECK;

#endif
