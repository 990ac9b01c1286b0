/*
 * head.h - the series of one tenant and kind, with what is not in a partition yet.
 *
 * The head is a function of the log: only head_apply changes what a series
 * contains or the state on which decisions depend, it does so in log order, and
 * replay calls it with the same records.  When chunks are frozen or dropped
 * does not influence decisions.
 *
 * Locks: `lock` guards everything below it in the struct.  The WAL writer is
 * the only one that applies, the sealer the only one that freezes by age, drops
 * chunks and removes series; request threads create series and cursors copy.
 * A series that a live batch may hold is never removed (`used_s` against the
 * oldest live batch).
 */
#ifndef STORAGE_HEAD_H
#define STORAGE_HEAD_H

#include "base/array.h"
#include "base/hash.h"
#include "base/labels.h"
#include "storage/changes.h"
#include "storage/head_chunk.h"
#include "storage/lookup.h"
#include "storage/postings.h"
#include "storage/store.h"

#include <pthread.h>

struct error;

struct series {
    int64_t last_ns; /* of the newest in-order entry; INT64_MIN: none */
    uint64_t last_bits;
    struct head_chunk *open;   /* in order, or NULL */
    struct head_chunk *side;   /* out of order, or NULL */
    struct head_chunk *frozen; /* oldest first */
    uint32_t id;
    uint32_t defined_in; /* the segment that last defined it; the WAL writer's alone */
    uint32_t used_s;     /* atomic: when a batch last asked for it */
    uint16_t pair_count;
    bool queued; /* has frozen chunks and stands in head->queue */
    bool dead;
    bool overridden; /* a late sample has another value than the open chunk at its time */
    struct hash128 fingerprint;
    uint32_t pairs[]; /* numbers of its labels in head->postings, by name */
};

/* Raise `used_s`: it must not fall, or an older batch would hide a younger one. */
static inline void series_touch(struct series *series, uint32_t now_s)
{
    uint32_t old = __atomic_load_n(&series->used_s, __ATOMIC_RELAXED);
    while (old < now_s && !__atomic_compare_exchange_n(&series->used_s, &old, now_s, true,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

struct series_list ARRAY_BODY(struct series *);

/*
 * Series by id.  Ids only grow and are not used again, so a page whose series have all
 * left is freed.
 */
enum { SERIES_PAGE = 1024 };
struct series_page {
    uint32_t live;
    struct series *items[SERIES_PAGE]; /* NULL: removed */
};
struct series_pages {
    ARRAY(struct series_page *) pages; /* NULL: freed */
    size_t count;                      /* ids given out */
    size_t bytes;
};

struct head {
    char tenant[TENANT_NAME_MAX + 1];
    enum store_kind kind;
    int64_t window_ns;    /* out of order; -1: no limit; fixed */
    struct lookup lookup; /* has locks of its own */

    pthread_mutex_t lock;
    struct postings postings;
    struct table table; /* fingerprint to id */
    struct series_pages series;
    struct changes changes; /* metrics: what was written or deleted when */
    struct id_list queue;   /* ids of series with frozen chunks */
    uint64_t applied_lsn;
    size_t chunk_bytes, frozen_bytes, series_bytes;
    uint64_t series_count, series_created, series_removed, chunk_count;
    int64_t oldest_ns, newest_ns;         /* of entries here; oldest as of the sealer's last look */
    size_t counted_chunks, counted_index; /* in the ledger of memory */
};

/* Series number `id`, NULL when it was removed.  Needs the lock. */
static inline struct series *head_series(const struct head *head, size_t id)
{
    const struct series_page *page = head->series.pages.items[id / SERIES_PAGE];
    return page ? page->items[id % SERIES_PAGE] : NULL;
}

/* Bytes of the index: all of a head but chunks and the lookup cache.  Needs the lock. */
size_t head_index_memory(const struct head *head);

/* Tell the ledger of memory what the head holds by now.  Needs the lock. */
void head_count_memory(struct head *head);

struct head *head_new(struct slice tenant, enum store_kind kind);
void head_free(struct head *head); /* NULL is fine */

/*
 * The series with canonical `labels`, made when new; marked as used.  NULL and
 * ERR_RATE when that would exceed `series_max` (0: no limit).  Locks the head.
 */
struct series *head_define(struct head *head, struct labels labels, uint32_t series_max,
                           uint32_t now_s, struct error *err);

/* The series with these labels, or NULL.  Needs the lock. */
struct series *head_find(const struct head *head, struct labels labels);

/* The labels of a series; `items` has room for its pair_count.  Needs the lock. */
struct labels head_labels(const struct head *head, const struct series *series,
                          struct label *items);

/* What replay must know about entries that a partition holds already; live: NULL. */
struct apply_sealed {
    bool (*covers)(void *context, const struct series *series, bool side, int64_t time_ns,
                   uint64_t lsn);
    void *context;
};

struct apply_result {
    uint64_t stored, line_bytes, skipped;
    int64_t memory;      /* bytes of chunks more than before */
    size_t frozen_bytes; /* of the head, afterwards */
    uint64_t refused[REFUSED_REASONS];
    size_t shown;
    struct {
        enum refusal_reason reason;
        uint32_t series;
        int64_t time_ns, bound_ns;
    } first[BATCH_REFUSALS_SHOWN];
};

/*
 * Apply the groups of a samples record or the entries of an entries record
 * (`body`, see docs/format-wal.md) for the series in `table`.  False when the
 * body is malformed: only a record read from disk can be.  Locks the head; readers
 * see all of it or nothing.
 */
struct apply_batch {
    struct slice body;
    struct series *const *table;
    size_t table_count;
    uint64_t lsn;
    uint32_t now_s;
    int64_t window_ns; /* out of order; -1: no limit */
    const struct apply_sealed *sealed;
};
bool head_apply(struct head *head, const struct apply_batch *batch, struct apply_result *result)
    MUST_CHECK;

/* Move the chunk in `slot` to the series' frozen ones.  Needs the lock. */
void head_freeze_chunk(struct head *head, struct series *series, struct head_chunk **slot);

/*
 * Apply a delete in log order (head_hide.c): freeze what it cuts, move the states of series on
 * which it matters, and publish it.  Takes over the reference.  Locks the head.
 */
struct tombstone;
struct tombstones;
void head_hide(struct head *head, struct tombstones *registry, struct tombstone *tombstone);

/* ---- for the sealer ---------------------------------------------------- */

struct freeze_rule {
    bool all;               /* everything */
    uint32_t idle_before_s; /* in-order chunks not touched since */
    uint32_t made_before_s; /* in-order chunks begun before */
    uint32_t side_before_s; /* side chunks begun before */
    uint64_t lsn_until;     /* chunks that begin at or below this LSN */
    size_t log_bytes_over;  /* log chunks larger than this */
    uint32_t log_before_s;  /* log chunks begun before */
};
/* Freeze the open chunks for which the rule holds; locks the head piece by piece. */
void head_freeze(struct head *head, const struct freeze_rule *rule);

/* The lowest LSN of an entry that the head holds, UINT64_MAX when it holds none. */
uint64_t head_oldest_lsn(struct head *head);

/* The bytes and ages of open log chunks, behind what is in `ages`. */
struct log_age {
    uint32_t created_s;
    uint32_t bytes;
};
struct log_ages ARRAY_BODY(struct log_age);
void head_log_ages(struct head *head, struct log_ages *ages);

/*
 * Take out series that hold nothing and were not asked for since `used_before_s`, and
 * what of the index only they had.
 */
size_t head_remove_idle(struct head *head, uint32_t used_before_s);

#endif
