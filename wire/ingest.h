/*
 * ingest.h - what a decoder of pushed data calls.
 *
 * Decoders (remote-write, Loki push, later OTLP and scraping) stream over the
 * decompressed body and hand what they find to a sink; they never store.  A
 * series is announced first, then its samples or entries follow.
 *
 * The hot path: `find` gets the raw label bytes exactly as they stood in the
 * body.  When the sink knows them it returns the series' number in this
 * request and no label is parsed.  Otherwise the decoder parses and validates
 * the labels and calls `define` with the same key.  A sink returns
 * INGEST_SKIP for a series that it refuses but that must not cost the others
 * (it has counted it), and INGEST_STOP to end the request (it keeps the error).
 *
 * What only the decoder can see to be wrong with ONE series (label text that does
 * not parse, too many labels) goes to `refused`, and the others go on.
 */
#ifndef WIRE_INGEST_H
#define WIRE_INGEST_H

#include "base/labels.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct histogram;

/* More labels than this on one series are refused without looking at them. */
enum { INGEST_LABELS_MAX = 1024 };

/* Series that a decoder looks up together. */
enum { INGEST_WINDOW = 32 };

enum {
    INGEST_UNKNOWN = -1, /* from find: call define */
    INGEST_SKIP = -2,    /* leave out this series' samples or entries */
    INGEST_STOP = -3     /* stop decoding, the sink keeps the error */
};

struct metric_sink {
    void *context;
    /* Series number >= 0, INGEST_UNKNOWN, INGEST_SKIP or INGEST_STOP. */
    int64_t (*find)(void *context, struct slice key);
    /* `labels` may be unsorted and invalid; the sink may reorder them in place. */
    int64_t (*define)(void *context, struct slice key, struct label *labels, size_t count);
    /* False ends the request. */
    bool (*sample)(void *context, uint32_t series, int64_t time_ms, double value);
    /*
     * A native histogram, valid during the call and not checked: histogram_check() is the
     * sink's.  `start_ms` is 0 when not known.  False ends the request.  NULL: they are `dropped`.
     */
    bool (*histogram)(void *context, uint32_t series, int64_t time_ms, int64_t start_ms,
                      const struct histogram *histogram);
    /* Metric metadata; type is Prometheus' word ("counter", "gauge", ... "unknown"). */
    bool (*metadata)(void *context, struct slice family, struct slice type, struct slice help,
                     struct slice unit);
    /*
     * An exemplar of the series; `labels` may be unsorted and invalid, the sink may reorder them
     * in place.  False ends the request.  NULL: they are `dropped`.
     */
    bool (*exemplar)(void *context, uint32_t series, struct label *labels, size_t count,
                     int64_t time_ms, double value);
    /* Parts that the sink does not take (a callback is NULL), counted by it. */
    void (*dropped)(void *context, uint32_t series, const char *what);
    /* A series left out with its `samples` for this reason.  NULL: the request fails with it. */
    void (*refused)(void *context, size_t samples, const struct error *reason);
    /*
     * Optional, the fast way: the numbers of `count` series (at most INGEST_WINDOW), or
     * INGEST_UNKNOWN.  It may be asked for bytes that are no label fields, so it must know
     * nothing but the keys that `define` was given.
     */
    void (*find_many)(void *context, const struct slice *keys, size_t count, int64_t *series);
    /* Optional: the same as `sample` for each, in order.  False ends the request. */
    bool (*samples)(void *context, const uint32_t *series, const int64_t *times_ms,
                    const double *values, size_t count);
};

struct log_sink {
    void *context;
    int64_t (*find)(void *context, struct slice key);
    int64_t (*define)(void *context, struct slice key, struct label *labels, size_t count);
    /* `metadata` need not be sorted; it may be reordered in place.  False ends the request. */
    bool (*entry)(void *context, uint32_t series, int64_t time_ns, struct slice line,
                  struct label *metadata, size_t metadata_count);
    /* A stream left out with its `entries` for this reason.  NULL: the request fails with it. */
    void (*refused)(void *context, size_t entries, const struct error *reason);
};

#endif
