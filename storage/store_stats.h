/*
 * store_stats.h - what a store counts (see store.h, which includes this).
 */
#ifndef STORAGE_STORE_STATS_H
#define STORAGE_STORE_STATS_H

#include "storage/store_options.h"

#include <stdint.h>

/* Why an entry was refused when the batch was applied to the head. */
enum refusal_reason {
    REFUSED_DUPLICATE,    /* same time, another value (metrics) */
    REFUSED_OUT_OF_ORDER, /* older than the out-of-order window allows */
    REFUSED_TOO_OLD,      /* older than past_ns or retention */
    REFUSED_TOO_NEW,      /* later than now + future_ns */
    REFUSED_REASONS
};

/* What replay did: store_replay_report(). */
struct store_replay {
    uint64_t segments, records, samples, entries, skipped, torn_bytes;
    uint64_t bytes, bytes_all; /* of the log: replayed, and in all */
    int64_t duration_ns;
};

/* Counters since the start and gauges of now; names as in /metrics: store_stats_read(). */
struct store_stats {
    uint64_t samples_appended, entries_appended, line_bytes_appended;
    uint64_t refused[STORE_KINDS][REFUSED_REASONS];
    uint64_t series[STORE_KINDS], series_created[STORE_KINDS], series_removed[STORE_KINDS];
    uint64_t tenants;
    uint64_t head_chunks, head_memory_bytes, index_memory_bytes;
    uint64_t wal_records, wal_bytes_written, wal_syncs, wal_segments, wal_bytes;
    uint64_t wal_sync_ns_total, wal_sync_ns_max;
    uint64_t seals, seal_failures, chunks_sealed, seal_ns_total;
    uint64_t partitions, partition_bytes, partitions_deleted;
    uint64_t batches_repeated, exemplars, exemplars_appended, exemplars_refused;
    uint64_t tombstones, tombstone_bytes; /* deletes that are not in the files yet */
    int64_t oldest_ns, newest_ns;         /* of the head, metric samples; 0 when empty */
};

#endif
