/*
 * remote_histogram.h - the message Histogram of both remote-write versions, inside wire/ only.
 *
 *     Histogram  { uint64 count_int = 1 or double count_float = 2; double sum = 3;
 *                  sint32 schema = 4; double zero_threshold = 5;
 *                  uint64 zero_count_int = 6 or double zero_count_float = 7;
 *                  repeated BucketSpan negative_spans = 8; repeated sint64 negative_deltas = 9;
 *                  repeated double negative_counts = 10; the same of the positive = 11, 12, 13;
 *                  ResetHint reset_hint = 14; int64 timestamp = 15;
 *                  repeated double custom_values = 16; int64 start_timestamp = 17; }
 *     BucketSpan { sint32 offset = 1; uint32 length = 2; }
 *
 * An integer histogram (without count_float) has its buckets as differences.
 */
#ifndef WIRE_REMOTE_HISTOGRAM_H
#define WIRE_REMOTE_HISTOGRAM_H

#include "base/compiler.h"
#include "base/histogram.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;
struct proto_cursor;

enum { REMOTE_HISTOGRAM_MEMORY = 8 * 1024 * 1024 }; /* enough for what the limits allow */

struct remote_histogram {
    int64_t time_ms, start_ms; /* 0: no start time */
    struct histogram histogram;
};

/*
 * Read one message into `arena`, which is reset first.  False with the problem in
 * `outer` when the bytes are malformed; otherwise true, and `reason` says
 * (ERR_INVALID) when it has more spans, buckets or bounds than the limit and must be
 * left out.  A schema above 8 that Prometheus knows is brought down to 8; nothing
 * else is judged: histogram_check() is the sink's.
 */
bool remote_histogram_read(struct proto_cursor *outer, struct slice message, struct arena *arena,
                           struct remote_histogram *out, struct error *reason) MUST_CHECK;

#endif
