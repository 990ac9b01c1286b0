/*
 * remote_write.h - Prometheus remote-write 1.0: reading and writing WriteRequest.
 *
 * The decoder walks the protobuf bytes and calls a sink; it allocates nothing for
 * a series that the sink knows and nothing per sample at all.  It checks the wire
 * format completely, but not what the labels mean: that is the sink's.
 */
#ifndef WIRE_REMOTE_WRITE_H
#define WIRE_REMOTE_WRITE_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct error;
struct metric_sink;

/*
 * Decode `body` (not compressed).  Malformed bytes fail with ERR_INVALID and
 * their offset; what went to the sink before must then be thrown away.  When the
 * sink stops the request, false with `err` untouched.
 *
 * The key of a series is its label fields as they stood in the body.  Exemplars
 * are reported to `dropped`, unknown fields are skipped.
 */
bool remote_write_decode(struct slice body, const struct metric_sink *sink, struct error *err)
    MUST_CHECK;

struct remote_sample {
    int64_t time_ms;
    double value;
};

/* Append one TimeSeries (or one MetricMetadata) of a WriteRequest to `out`. */
void remote_write_append_series(struct buffer *out, struct labels labels,
                                const struct remote_sample *samples, size_t count);
/* `type` is Prometheus' word ("counter"); an unknown one is written as "unknown". */
void remote_write_append_metadata(struct buffer *out, struct slice family, struct slice type,
                                  struct slice help, struct slice unit);

#endif
