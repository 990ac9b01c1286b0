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
 * Decode the first `wanted` of `count` values; `values` has room for `wanted`
 * + INTEGERS_VECTOR.  False when malformed.
 */
bool values_decode(struct reader *r, size_t count, size_t wanted, double *values);

#endif
