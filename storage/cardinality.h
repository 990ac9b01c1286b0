/*
 * cardinality.h - which names, labels and pairs of a head have the most series.
 *
 * Read from the lengths of the postings; no series is touched.  The head is
 * locked for some thousand pairs at a time, so that ingest hardly waits; what
 * changes meanwhile may be counted or not.
 */
#ifndef STORAGE_CARDINALITY_H
#define STORAGE_CARDINALITY_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/store_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct store;

struct ranked_name {
    struct slice name;
    uint64_t value;
};

/* The highest first, equal ones by name. */
struct ranking {
    struct ranked_name *items;
    size_t count;
};

struct cardinality {
    uint64_t series, label_pairs, chunks;
    int64_t oldest_ns, newest_ns; /* INT64_MAX, INT64_MIN: the head is empty */
    struct ranking metrics;       /* series per metric name */
    struct ranking label_values;  /* values per label name */
    struct ranking label_bytes;   /* bytes of name and value of every series */
    struct ranking pairs;         /* series per name=value */
};

/* At most `limit` of each, in `arena`.  All is empty for an unknown tenant. */
bool store_cardinality(struct store *store, struct slice tenant, enum store_kind kind, size_t limit,
                       struct arena *arena, struct cardinality *out, struct error *err) MUST_CHECK;

#endif
