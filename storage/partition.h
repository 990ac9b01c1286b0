/*
 * partition.h - sealed data on disk: one LMDB environment per UTC day of one
 * tenant and kind, file DATA/<tenant>/<metric|log>/YYYY-MM-DD/<generation>.mdb.
 *
 * A partition is self-contained: symbols, series (with day-local numbers that
 * count from 0), postings, chunks in groups, shared time columns and, with
 * each chunk, the highest LSN that it covers.  A seal transaction writes chunks,
 * index and LSNs together, so after a crash replay asks the partition what is
 * sealed and nothing else decides.  Within a generation data is only added:
 * series numbers and chunk_refs stay valid while the partition is referenced.
 *
 * Threads: everything may be called from any thread, except that one thread at
 * a time (the sealer) uses the seal_* functions and retention.  Each reading
 * call uses short read transactions of its own and copies what it returns.
 * lmdb.h is included by partition*.c and lmdb_env.c only.  Layout:
 * docs/format-partition.md.
 */
#ifndef STORAGE_PARTITION_H
#define STORAGE_PARTITION_H

#include "base/array.h"
#include "base/compiler.h"
#include "base/labels.h"
#include "base/slice.h"
#include "storage/chunk.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buffer;
struct catalog;
struct error;
struct matcher;
struct partition;  /* a counted reference to an open day; opaque: partition.c */
struct partitions; /* all days of a data directory; opaque: partition.c */
struct seal;       /* opaque: partition_seal.c */

/* ---- all partitions ---------------------------------------------------- */

struct partitions_options {
    const char *directory;
    struct catalog *catalog; /* must outlive the partitions */
    size_t open_max;         /* environments kept open; 0: 256 or what RLIMIT_NOFILE allows */
    size_t map_size_min;     /* 0: 16 MiB */
};

/*
 * Removes partition files that the catalog does not name, and folders that
 * became empty.  Opens no environment yet.
 */
struct partitions *partitions_open(const struct partitions_options *options, struct error *err)
    MUST_CHECK;
/* Nothing may be referenced any more.  NULL is fine. */
void partitions_close(struct partitions *partitions);

/* Close the environments that nobody references. */
void partitions_close_idle(struct partitions *partitions);

/* Number of days, bytes on disk (st_blocks), environments open now. */
struct partitions_stats {
    uint64_t count, bytes, open;
};
void partitions_stats_read(struct partitions *partitions, struct partitions_stats *stats);

/*
 * Delete a day; readers of it may finish.  Replay will not store again what the log still has
 * of it up to `gone_lsn`.
 */
struct catalog_day;
bool partitions_delete_day(struct partitions *partitions, const struct catalog_day *day,
                           uint64_t gone_lsn, struct error *err) MUST_CHECK;

/* All days of which `is_expired` says so. */
bool partitions_delete_expired(struct partitions *partitions,
                               bool (*is_expired)(void *context, const struct catalog_day *day),
                               void *context, uint64_t gone_lsn, uint64_t *deleted,
                               struct error *err) MUST_CHECK;

/*
 * Delete the oldest days of all tenants until all together take at most `bytes_max` on disk.
 * The newest day of all, and `day` and later, stay.
 */
bool partitions_delete_oldest(struct partitions *partitions, uint64_t bytes_max, int32_t day,
                              uint64_t gone_lsn, uint64_t *deleted, struct error *err) MUST_CHECK;

/*
 * Give up all days whose pages are damaged: their files get the ending .damaged, their rows go.
 * `*count` of them.  For a repair at the start.
 */
bool partitions_set_aside(struct partitions *partitions, struct catalog *catalog, uint64_t *count,
                          struct error *err) MUST_CHECK;

/* ---- one partition ----------------------------------------------------- */

struct partition_id {
    struct slice tenant;
    enum store_kind kind;
    int32_t day; /* days since the epoch, UTC */
};

/* The UTC day of a time. */
static inline int32_t partition_day(int64_t time_ns)
{
    const int64_t day_ns = INT64_C(86400000000000);
    int64_t day = time_ns / day_ns;
    return (int32_t)(time_ns % day_ns < 0 ? day - 1 : day);
}

/* ERR_NOT_FOUND when the catalog names no such day.  Give it back with partition_release(). */
struct partition *partition_acquire(struct partitions *partitions, const struct partition_id *id,
                                    struct error *err) MUST_CHECK;
void partition_release(struct partition *partition); /* NULL is fine */

/* ---- reading ----------------------------------------------------------- */

struct series_numbers ARRAY_BODY(uint32_t);

/*
 * Append the ascending numbers of the series that satisfy all `matchers` (none: all series).
 * Every regex runs once per distinct value of its label.  `cancel` as in cursor_request.
 */
bool partition_select(struct partition *partition, const struct matcher *matchers, size_t count,
                      const bool *cancel, struct series_numbers *numbers, struct error *err)
    MUST_CHECK;

/* Labels of the given series (any order), names and values copied into `arena`. */
bool partition_labels(struct partition *partition, const uint32_t *series, size_t count,
                      struct arena *arena, struct labels *labels, struct error *err) MUST_CHECK;

/* Where a chunk lies and what it covers. */
struct chunk_ref {
    uint32_t series;
    uint32_t count;
    int64_t first_ns, last_ns;
    uint64_t lsn_max;
    uint64_t group;        /* time bucket and number of its group */
    uint32_t offset, size; /* where in the group: of the chunk or of its frame; of the chunk */
    uint32_t frame_stored, frame_plain, frame_at; /* of its compressed frame; zeros: none */
    uint32_t checksum;
    uint32_t column;     /* shared time column, 0: none */
    uint32_t times_size; /* of a time column inside the chunk */
    uint8_t kind, flags, unit;
};
struct chunk_refs ARRAY_BODY(struct chunk_ref);

/*
 * Append the chunks of `series` (ascending numbers) that overlap [start_ns,
 * end_ns], sorted by series, then first time, then the order of sealing.  With
 * `damage` a damaged group is left out.
 */
bool partition_chunks(struct partition *partition, const uint32_t *series, size_t count,
                      int64_t start_ns, int64_t end_ns, struct store_damage *damage,
                      struct chunk_refs *refs, struct error *err) MUST_CHECK;

/*
 * Append the bytes of `count` chunks to `out` and point chunks[i] at them (valid
 * until `out` changes).  Checked: ERR_CORRUPT names file and group.
 */
bool partition_fetch(struct partition *partition, const struct chunk_ref *refs, size_t count,
                     struct buffer *out, struct slice *chunks, struct error *err) MUST_CHECK;

/*
 * Let `read` look at a chunk of log entries where it lies, in a short transaction; it copies what
 * it wants to keep.  Header and column table are checked.
 */
bool partition_view_entries(struct partition *partition, const struct chunk_ref *ref,
                            bool (*read)(void *context, const struct entries_view *view,
                                         struct error *err),
                            void *context, struct error *err) MUST_CHECK;

/* Put the file and the chunk's place before an error's message; returns false. */
bool partition_blame(const struct partition *partition, const struct chunk_ref *ref,
                     struct error *err);

/*
 * Sorted distinct label names (`label` empty) or values of `label` among the
 * series that satisfy `matchers` (none: all), in `arena`.
 */
bool partition_names(struct partition *partition, const struct matcher *matchers, size_t count,
                     struct slice label, const bool *cancel, struct arena *arena,
                     struct slice **names, size_t *name_count, struct error *err) MUST_CHECK;

uint32_t partition_series_count(struct partition *partition);
uint64_t partition_disk_size(struct partition *partition); /* st_blocks of its file */

/* ---- for replay -------------------------------------------------------- */

struct sealed_state {
    bool known;       /* the partition has this series */
    uint32_t series;  /* its number */
    uint64_t lsn[2];  /* highest sealed LSN: [0] in order, [1] out of order; 0: none */
    int64_t last_ns;  /* of the in-order chunk with lsn[0]; INT64_MIN: none */
    uint64_t day_lsn; /* of a closed day: everything up to it is sealed, of every series */
};

/*
 * What is sealed of the series with `labels` (canonical).  The first call reads
 * the day's index into memory, where it stays while the environment is open.
 */
bool partition_sealed(struct partition *partition, struct labels labels, struct sealed_state *state,
                      struct error *err) MUST_CHECK;

/* The value of the in-order sample at state.last_ns, for telling a repeat from a conflict. */
bool partition_last_value(struct partition *partition, const struct sealed_state *state,
                          double *value, struct error *err) MUST_CHECK;

/* The highest LSN that the partition speaks of. */
uint64_t partition_lsn_max(struct partition *partition);
/* The highest LSN of a chunk.  (A close speaks for entries up to an LSN that may be higher.) */
uint64_t partition_chunks_lsn_max(struct partition *partition);

/* ---- rewriting a day (partition_close.c; the sealer) ----------------------- */

struct rewrite; /* opaque: partition_close.c */

/*
 * Start to write the day anew: a file that nobody sees yet, with all series of the old one in
 * it, sorted by metric name and labels, but those that `dropped` (by number; NULL: none) says.
 * ERR_UNAVAILABLE when the disk has no room for the copy.
 */
struct rewrite *rewrite_begin(struct partitions *partitions, const struct partition_id *id,
                              const bool *dropped, struct error *err) MUST_CHECK;
/* Without a commit the new file is removed.  NULL is fine. */
void rewrite_end(struct rewrite *rewrite);

/* The day as it is, and its series' numbers in the new order. */
struct partition *rewrite_source(struct rewrite *rewrite);
const uint32_t *rewrite_order(const struct rewrite *rewrite, size_t *count);

/* Add a chunk of the series at `position` of that order; positions never go back. */
bool rewrite_chunk(struct rewrite *rewrite, size_t position, struct slice chunk, struct error *err)
    MUST_CHECK;

/*
 * Make the new file the day's.  `lsn`: every entry of the day up to it is in a partition, and
 * no tombstone up to it is needed here any more.  `retained`: for the day's row.
 * ERR_UNAVAILABLE when something was sealed into the old one meanwhile.
 */
bool rewrite_commit(struct rewrite *rewrite, uint64_t lsn, uint64_t retained, struct error *err)
    MUST_CHECK;

/*
 * For taking in an import: the position of a series in the new file, behind all others when it is
 * new; and a commit that says of the day what was said before, but that it is not closed.
 */
bool rewrite_series(struct rewrite *rewrite, struct labels labels, size_t *position,
                    struct error *err) MUST_CHECK;
bool rewrite_commit_open(struct rewrite *rewrite, struct error *err) MUST_CHECK;

/*
 * Make the file at `path`, which nobody has open, a day that does not exist yet.  The file stays
 * where it is, too.
 */
bool partition_adopt(struct partitions *partitions, const struct partition_id *id, const char *path,
                     bool closed, struct error *err) MUST_CHECK;
/* The path of a day's file. */
bool partition_path_of(struct partition *partition, char *path, size_t size, struct error *err)
    MUST_CHECK;

/* Was the chunk written by the close of its day? */
bool partition_is_of_close(const struct partition *partition, const struct chunk_ref *ref);

/* Of a closed day: chunk bytes that came after the close, of all; and when the file changed last.
 */
struct partition_lateness {
    uint64_t late, all;
    int64_t changed_s; /* seconds since the epoch */
};
bool partition_lateness_read(struct partitions *partitions, const struct partition_id *id,
                             struct partition_lateness *lateness, struct error *err) MUST_CHECK;

/* Counts days that were rewritten: who collects sources while it changes must start again. */
uint64_t partitions_rewrites(const struct partitions *partitions);

/* ---- sealing ----------------------------------------------------------- */

enum { SEAL_SIZE_MAX = 6 * 1024 * 1024 }; /* chunk bytes in one transaction: <= 8 MiB dirty */

/*
 * Start sealing into a day.  A day that does not exist yet gets its file now
 * and its row in the catalog with the first commit.
 *
 *     seal_begin
 *     for each series with open chunks:
 *         seal_series, then seal_chunk for each of its chunks
 *         if seal_is_full: seal_commit, then forget the chunks committed so far
 *     seal_commit; seal_end
 */
struct seal *seal_begin(struct partitions *partitions, const struct partition_id *id,
                        struct error *err) MUST_CHECK;
/* Drops what was not committed.  NULL is fine. */
void seal_end(struct seal *seal);

/* The day-local number of the series with these (canonical) labels, made when it is new. */
bool seal_series(struct seal *seal, struct labels labels, uint32_t *series, struct error *err)
    MUST_CHECK;

/* What will be sealed has LSNs above `lsn`: should the day be new, no older delete matters to it.
 */
void seal_is_above(struct seal *seal, uint64_t lsn);

/*
 * Add a chunk from chunk_encode_* (it is copied; its flags and LSN are in its
 * header).  Its times must lie in the day.
 */
bool seal_chunk(struct seal *seal, uint32_t series, struct slice chunk, struct error *err)
    MUST_CHECK;

/* Time to commit: another chunk may exceed what one transaction should write. */
bool seal_is_full(const struct seal *seal);

/*
 * Write everything added since the last commit in one durable transaction.
 * On failure nothing of it is written, what was added stays, and the call may
 * be repeated (a full disk is ERR_UNAVAILABLE).  After success the seal is
 * empty and may go on.
 */
bool seal_commit(struct seal *seal, struct error *err) MUST_CHECK;

#endif
