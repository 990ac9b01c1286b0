/*
 * loki_push.h - Loki's push request as protobuf: reading and writing PushRequest.
 *
 * The decoder walks the protobuf bytes and calls a sink.  The key of a stream is
 * its label text as sent; it is parsed only when the sink does not know it.  It
 * allocates nothing per entry.
 */
#ifndef WIRE_LOKI_PUSH_H
#define WIRE_LOKI_PUSH_H

#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct error;
struct log_sink;

/* Structured metadata pairs of one entry; an entry with more is refused. */
enum { LOKI_METADATA_MAX = 1024 };

/*
 * Decode `body` (not compressed).  Malformed bytes fail with ERR_INVALID and their
 * offset; what went to the sink before must then be thrown away.  Label text that does not
 * parse refuses its stream only.  Times beyond the range of nanoseconds become
 * INT64_MIN or INT64_MAX.  When the sink stops, false with `err` untouched.
 */
bool loki_push_decode(struct slice body, const struct log_sink *sink, struct error *err) MUST_CHECK;

struct loki_entry {
    int64_t time_ns;
    struct slice line;
    struct labels metadata;
};

/* Append one Stream of a PushRequest to `out`; `labels` is text such as {app="x"}. */
void loki_push_append_stream(struct buffer *out, struct slice labels,
                             const struct loki_entry *entries, size_t count);

#endif
