/*
 * hex_pack.h - text without its long hexadecimal numbers: trace ids, request ids, digests.
 *
 * A compressor cannot know that such digits are half empty.  Runs of 16 to 64 of `0-9a-f` are cut
 * out, two digits a byte, and a short mark stays in their place; one that comes again is a
 * reference. Layout: docs/format-chunk.md.  Any thread; nothing is kept between calls.
 */
#ifndef STORAGE_HEX_PACK_H
#define STORAGE_HEX_PACK_H

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

/*
 * Append what is left of `text` to `rest` and the digits to `digits`.  False, with both
 * as they were, when it does not pay, or when every byte that could be the mark stands in the text.
 */
bool hex_pack(struct slice text, uint8_t *mark, struct buffer *rest, struct buffer *digits);

/* Put `size` bytes together again.  False when the input is malformed or gives another size. */
bool hex_unpack(struct slice rest, struct slice digits, uint8_t mark, char *out, size_t size);

#endif
