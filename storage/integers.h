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

#include "base/bytes.h"

struct buffer;

enum { INTEGERS_VECTOR = 128, INTEGERS_DIRECTORY_MAX = 64 /* vectors */ };

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

/*
 * The same in two steps, for a part of a column: integers_open() reads what stands before the
 * vectors.  integers_read() then writes the numbers from `*first`, which is at or a little before
 * `from`, up to `to`, to the front of `numbers`, which has room for to - *first + INTEGERS_VECTOR.
 * Long columns have a directory, so that vectors in front are stepped over.  A column is read once.
 */
struct integers_column {
    size_t count;
    unsigned order, shift;
    uint64_t first, step;
    bool has_directory;
    int64_t states[INTEGERS_DIRECTORY_MAX]; /* the number before each vector but the first */
    int64_t slopes[INTEGERS_DIRECTORY_MAX]; /* the difference before it */
    struct reader vectors;
};
bool integers_open(struct reader *r, size_t count, struct integers_column *column);
bool integers_read(struct integers_column *column, size_t from, size_t to, int64_t *numbers,
                   size_t *first);

/*
 * Of a column that ascends: the numbers before this index are below `bound`, those from
 * the other one on are not.  As near as the directory knows.
 */
size_t integers_from(const struct integers_column *column, int64_t bound);
size_t integers_to(const struct integers_column *column, int64_t bound);

/* Bare vectors of `count` unsigned numbers, for columns with a transform of their own. */
void vectors_encode(const uint64_t *numbers, size_t count, struct buffer *out);
bool vectors_decode(struct reader *r, size_t count, size_t wanted, uint64_t *numbers);

#endif
