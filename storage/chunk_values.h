/*
 * chunk_values.h - the value column of metric chunks: doubles, bit for bit.
 */
#ifndef STORAGE_CHUNK_VALUES_H
#define STORAGE_CHUNK_VALUES_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct reader;

/* Append `count` >= 1 values to `out`. */
void values_encode(const double *values, size_t count, struct buffer *out);

/*
 * Decode the values [from, to) of `count` to the front of `values`, which has room for
 * to + INTEGERS_VECTOR.  False when malformed.  Afterwards the reader stands behind the column
 * if `to` is `count`.
 */
bool values_decode(struct reader *r, size_t count, size_t from, size_t to, double *values);

#endif
