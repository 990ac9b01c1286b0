/*
 * chunk_internal.h - what chunk.c and chunk_log.c share.
 */
#ifndef STORAGE_CHUNK_INTERNAL_H
#define STORAGE_CHUNK_INTERNAL_H

#include "storage/chunk.h"

struct reader;

enum { CHUNK_UNITS = 4 };

/* Nanoseconds in unit number `unit`, and the largest unit that divides all times. */
int64_t chunk_unit_ns(unsigned unit);
int64_t chunk_time_in_units(int64_t time_ns, unsigned unit);
unsigned chunk_unit_find(const int64_t *times_ns, size_t count);

void chunk_header_put(const struct chunk_header *h, unsigned unit, struct buffer *out);
bool chunk_header_get(struct reader *r, struct chunk_header *h, unsigned *unit, struct error *err)
    MUST_CHECK;

/* Compute the checksum of the chunk from `start` to the end of `out` and put it in its place. */
void chunk_seal_checksum(struct buffer *out, size_t start);

uint32_t chunk_checksum(uint8_t head0, uint8_t head1, struct slice covered);

/* Of an entries chunk: how many bytes the header's checksum covers (up to the columns). */
bool chunk_entries_table(struct slice chunk, size_t *covered, struct error *err) MUST_CHECK;

#endif
