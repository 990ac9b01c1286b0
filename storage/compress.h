/*
 * compress.h - compressed blocks of known size: the only user of zstd.h in storage/.
 *
 * A block is a zstd frame, or, of text with many hexadecimal numbers, a frame beside
 * those (hex_pack.h).  Each thread keeps one context per direction; it is freed when
 * the thread ends.  Layout: docs/format-chunk.md.
 */
#ifndef STORAGE_COMPRESS_H
#define STORAGE_COMPRESS_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct error;

/* On the way into the write-ahead log, while data comes in, and for a day's rest. */
enum compress_effort { COMPRESS_LOG, COMPRESS_HOT, COMPRESS_CLOSED };

/* Append `in` compressed to `out`; ERR_LIMIT when `out` is at its limit. */
bool compress_block(struct slice in, enum compress_effort effort, struct buffer *out,
                    struct error *err) MUST_CHECK;

/* Exactly `size` bytes must come out of `in`; ERR_CORRUPT otherwise. */
bool decompress_block(struct slice in, void *out, size_t size, struct error *err) MUST_CHECK;

#endif
