/*
 * integers.h - a column of 64-bit integers as few bytes: the core of all chunk codecs.
 *
 * The numbers are taken relative to the first, common trailing zero bits are
 * shifted out, and of "as they are", "differences" and "differences of
 * differences" the smallest form is chosen.  Vectors of 128 then subtract
 * their own base and are bit-packed; the few numbers that need more bits are
 * patched.  Arithmetic wraps, so every int64_t (and, cast, every uint64_t) is
 * fine.  Layout: docs/format-chunk.md.
 */
#ifndef STORAGE_INTEGERS_H
#define STORAGE_INTEGERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct reader;

enum { INTEGERS_VECTOR = 128 };

/*
 * Append `count` >= 1 numbers to `out`.  With `slope` the numbers may be coded
 * as their distance from a straight line, which suits times with jitter.
 */
void integers_encode(const int64_t *numbers, size_t count, bool slope, struct buffer *out);

/*
 * Read `count` >= 1 numbers, of which the first `wanted` are written to
 * `numbers`, which has room for `wanted` + INTEGERS_VECTOR.  When wanted <
 * count the reader stops somewhere before the column's end.  False when malformed.
 */
bool integers_decode(struct reader *r, size_t count, size_t wanted, int64_t *numbers);

/* Bare vectors of `count` unsigned numbers, for columns with a transform of their own. */
void vectors_encode(const uint64_t *numbers, size_t count, struct buffer *out);
bool vectors_decode(struct reader *r, size_t count, size_t wanted, uint64_t *numbers);

#endif
