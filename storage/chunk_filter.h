/*
 * chunk_filter.h - a chunk without what was deleted of it, as bytes.
 *
 * For chunks that a rewrite takes as they are: the new one keeps the kind, the flags and
 * the LSN of the old one, so that what they decide stays as it was.
 */
#ifndef STORAGE_CHUNK_FILTER_H
#define STORAGE_CHUNK_FILTER_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/tombstones.h"

struct buffer;
struct error;

/*
 * Untouched when nothing of `*chunk` is hidden; else it points to the new one at the end of `out`,
 * or
 * `*empty` when nothing is left.  ERR_UNSUPPORTED for a kind that is not known.
 */
bool chunk_filter(struct slice *chunk, const struct hide *hides, size_t count, struct buffer *out,
                  bool *empty, struct error *err) MUST_CHECK;

#endif
