/*
 * compress.h - zstd for blocks whose size is known: the only user of zstd.h in storage/.
 *
 * Each thread keeps one context per direction; it is freed when the thread
 * ends.
 */
#ifndef STORAGE_COMPRESS_H
#define STORAGE_COMPRESS_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct error;

enum {
    COMPRESS_HOT = 1,
    COMPRESS_CLOSED = 9
}; /* levels: while data comes in, and for a day's rest */

/* Append `in` compressed at `level` to `out`; ERR_LIMIT when `out` is at its limit. */
bool compress_block(struct slice in, int level, struct buffer *out, struct error *err) MUST_CHECK;

/* Exactly `size` bytes must come out of `in`; ERR_CORRUPT otherwise. */
bool decompress_block(struct slice in, void *out, size_t size, struct error *err) MUST_CHECK;

#endif
