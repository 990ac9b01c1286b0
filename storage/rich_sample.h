/*
 * rich_sample.h - a metric sample that is more than a float: it has a start time, is
 * a histogram, or both.
 *
 * Plain floats never come here: they have records, chunks and columns of their
 * own.  A series may mix both; where it does its floats are written like this, too.
 * The bytes of one sample without its time (docs/format-wal.md) are what the log
 * and the head's chunks hold:
 *
 *     byte    1 histogram, 2 integer, 4 and 8 counter-reset hint, 16 start time, 32 whole
 *     [start] zigzag, ms
 *     float:  8 bytes
 *     histogram: layout, count, zero count, 8 bytes of sum, buckets of both signs
 *
 * "Whole" counts are varints, and buckets zigzag differences from the bucket
 * before; otherwise all of them are doubles.  What a histogram contains decides
 * its form alone, so that equal histograms are equal bytes.
 */
#ifndef STORAGE_RICH_SAMPLE_H
#define STORAGE_RICH_SAMPLE_H

#include "base/compiler.h"
#include "base/histogram.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct buffer;
struct error;
struct reader;

struct rich_sample {
    int64_t time_ns;
    int64_t start_ns;                  /* whole milliseconds; 0: not known */
    double value;                      /* of a float; a histogram's sum */
    const struct histogram *histogram; /* NULL: a float */
};

/* Append the sample without its time. */
void rich_sample_write(struct buffer *out, const struct rich_sample *sample);

/* Read what rich_sample_write wrote, into `arena`.  ERR_CORRUPT, or ERR_LIMIT of the arena. */
bool rich_sample_read(struct slice bytes, struct arena *arena, struct rich_sample *sample,
                      struct error *err) MUST_CHECK;

/*
 * What stands for the sample's content when it is compared: the bits of a float, a hash of a
 * histogram.  Start times, hints and `integer` do not count.
 */
uint64_t rich_sample_bits(struct slice bytes);

/* A histogram without counts: flags, schema, zero threshold, spans, bounds. */
void histogram_layout_write(struct buffer *out, const struct histogram *h);
bool histogram_layout_read(struct reader *in, struct arena *arena, struct histogram *h,
                           struct error *err) MUST_CHECK;

#endif
