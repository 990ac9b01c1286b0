/*
 * store_internal.h - what the files of storage/ know of an open store.
 *
 * Lock order, outermost first: batches_lock, heads_lock, a head's lock, a lookup
 * stripe.  The committer's queue lock and the log's lock are innermost and never
 * held while another is taken.  See storage/README.md for the threads.
 */
#ifndef STORAGE_STORE_INTERNAL_H
#define STORAGE_STORE_INTERNAL_H

#include "base/array.h"
#include "base/error.h"
#include "base/table.h"
#include "storage/catalog.h"
#include "storage/exemplars.h"
#include "storage/head.h"
#include "storage/metadata.h"
#include "storage/partition.h"
#include "storage/producers.h"
#include "storage/store.h"
#include "storage/wal.h"

#include <pthread.h>

struct committer;
struct sealer;
struct tombstones;

struct store_counters { /* atomics */
    uint64_t samples_appended, entries_appended, line_bytes_appended;
    uint64_t refused[STORE_KINDS][REFUSED_REASONS];
    uint64_t batches_repeated, exemplars_appended, exemplars_refused;
    uint64_t seals, seal_failures, chunks_sealed, seal_ns_total, partitions_deleted;
};

struct store {
    struct store_options options; /* defaults filled in */
    char *directory;
    int lock_fd;
    struct catalog *catalog;
    struct partitions *partitions;
    struct tombstones *tombstones;

    pthread_rwlock_t heads_lock; /* guards the array and table; heads live as long as the store */
    ARRAY(struct head *) heads;
    struct table heads_table;

    struct wal *wal;
    struct producers *producers; /* of the WAL writer's thread */
    struct metadata *metadata;
    struct exemplars *exemplars;
    struct committer *committer;
    struct sealer *sealer;

    pthread_mutex_t batches_lock; /* guards the lists of batches */
    struct batch *live;           /* all that may hold series */
    struct batch *spare;          /* for reuse */
    size_t spare_count;

    uint64_t start_lsn;        /* the last one of before this run; fixed after replay */
    pthread_mutex_t seal_lock; /* one seal pass at a time; outermost */
    size_t dropped_bytes;      /* of sealed chunks since the heap was trimmed; behind seal_lock */
    bool retention_held;       /* atomic: the clock has jumped, nothing goes by age */
    struct error seal_error;   /* of the last pass; behind the sealer's lock */
    uint64_t applied_lsn;      /* atomic: every batch up to it is in the head */
    uint64_t head_memory;      /* atomic: bytes of all chunks, as of the last group or seal */
    uint64_t log_memory;       /* atomic: those of logs */
    struct store_counters counters;
    struct store_replay replay; /* its numbers are atomic */
    bool ready;                 /* atomic: replayed, and the threads run */
    bool cancel_open;           /* atomic: replay shall end */
};

static inline void store_count(uint64_t *counter, uint64_t more)
{
    __atomic_add_fetch(counter, more, __ATOMIC_RELAXED);
}

/* log_memory; what is added while it is measured again may make it negative for a while. */
static inline size_t store_log_memory(const struct store *store)
{
    int64_t bytes = (int64_t)__atomic_load_n(&store->log_memory, __ATOMIC_RELAXED);
    return bytes < 0 ? 0 : (size_t)bytes;
}

static inline uint64_t store_counter(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

uint32_t store_now_s(void); /* monotonic seconds, at least 1 */
int64_t store_now_ns(const struct store *store);

/* Does a request name several tenants, "a|b"?  Such a text is no tenant's name. */
bool names_many_tenants(struct slice tenant);

/* store_names() of one tenant. */
bool names_of_one(struct store *store, const struct names_request *request, struct arena *arena,
                  struct slice **names, size_t *count, bool *truncated, struct error *err)
    MUST_CHECK;

/* The head of a tenant and kind, NULL when there is none. */
struct head *store_head(struct store *store, struct slice tenant, enum store_kind kind);

/* The same, made when it is new; `new_tenants` are limited by tenants_max. */
struct head *store_head_make(struct store *store, struct slice tenant, enum store_kind kind,
                             struct error *err);

/* Head number `index`, NULL behind the last. */
struct head *store_head_at(struct store *store, size_t index);

/* Add up the heads' chunk bytes again. */
void store_measure_heads(struct store *store);

/* The `used_s` below which no live batch can hold a series. */
uint32_t store_oldest_batch_s(struct store *store);

/* Free what is kept for reuse; no batch lives any more. */
void store_free_batches(struct store *store);

/* Replay all segments; fills store->wal and store->replay.  Only batches are filled meanwhile. */
bool store_replay_wal(struct store *store, struct error *err) MUST_CHECK;

#endif
