/*
 * import_sink.h - what a reader of history from elsewhere calls.
 *
 * Like ingest.h, but without keys: an import has no request that repeats its
 * label bytes.  A series is announced first, then its samples or entries follow.
 */
#ifndef WIRE_IMPORT_SINK_H
#define WIRE_IMPORT_SINK_H

#include "base/labels.h"
#include "base/slice.h"
#include "wire/ingest.h"

#include <stdbool.h>
#include <stdint.h>

struct histogram;

struct import_sink {
    void *context;
    /* Series number >= 0, INGEST_SKIP or INGEST_STOP; `labels` may be reordered in place. */
    int64_t (*series)(void *context, struct label *labels, size_t count);
    /* False ends the import, the sink keeps the error.  `start_ms` is 0 when not known. */
    bool (*sample)(void *context, uint32_t series, int64_t time_ms, int64_t start_ms, double value);
    /* Valid during the call, not checked: histogram_check() is the sink's. */
    bool (*histogram)(void *context, uint32_t series, int64_t time_ms, int64_t start_ms,
                      const struct histogram *histogram);
    bool (*entry)(void *context, uint32_t series, int64_t time_ns, struct slice line,
                  struct label *metadata, size_t metadata_count);
    bool (*metadata)(void *context, struct slice family, struct slice type, struct slice help,
                     struct slice unit);
};

#endif
