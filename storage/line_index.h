/*
 * line_index.h - a small filter over the lines of a block: which texts cannot stand in them.
 *
 * Two kinds of pieces of text are noted, each by minimizers: of every window of W neighbouring
 * K-grams the one with the lowest hash.  A needle that contains a whole window shares that choice
 * with every text that contains the needle, so an absent minimizer proves an absent needle.
 *
 *   words  4-grams of anything but digits, windows of 4: any 7 bytes without a digit
 *   ids    8-grams of hex digits and '-', windows of 25: any 32 of them, as trace ids have
 *
 * Bytes are folded first (ASCII to lower case, a Kelvin sign to k, a long s to s), so that needles
 * in any case use the same filter.  What a needle has beside such windows is not looked at.  The
 * elements lie in two Bloom filters of 64-byte buckets, each with a checksum of its own: a damaged
 * bucket is a bucket that may hold everything.  Layout: docs/format-chunk.md.
 */
#ifndef STORAGE_LINE_INDEX_H
#define STORAGE_LINE_INDEX_H

#include "base/array.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct predicate;

enum { LINE_INDEX_WORD_MIN = 7, LINE_INDEX_ID_MIN = 32 };

/*
 * Append the filter over these lines, nothing when it would not pay: fewer than 4 KiB of text, or
 * so many different pieces that it would be larger than 3% of it.
 */
void line_index_build(const struct slice *lines, size_t count, struct buffer *out);

/* What a predicate asks of filters.  Immutable once it is made; zeros: nothing. */
struct line_index_query {
    ARRAY(uint64_t) elements;
    ARRAY(uint32_t) alternatives; /* where each one's elements end */
    ARRAY(uint32_t) conditions;   /* where each one's alternatives end */
};

void line_index_query_make(const struct predicate *predicate, struct line_index_query *query);
void line_index_query_done(struct line_index_query *query);

/* May lines under this filter satisfy the predicate?  True for what is no filter. */
bool line_index_may_hold(struct slice filter, const struct line_index_query *query);

#endif
