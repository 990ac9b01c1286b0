/*
 * wal.h - the segment files of the log.
 *
 * One thread (the WAL writer) appends and rolls; the sealer removes; the list of
 * segments between them is behind a lock.  What is written is decided by
 * committer.c, what is read back by wal_replay.c.  Format: docs/format-wal.md.
 */
#ifndef STORAGE_WAL_H
#define STORAGE_WAL_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct error;
struct wal; /* opaque: fields in wal.c */

struct wal_options {
    const char *directory; /* DATA */
    bool durable;
    size_t segment_size;
    int64_t window_ns[STORE_KINDS];
    int64_t now_ns;
};

/* The segments found in `directory`, ascending; the caller frees `numbers`. */
bool wal_segments(const char *directory, uint64_t **numbers, size_t *count, struct error *err)
    MUST_CHECK;
void wal_path(const char *directory, uint64_t number, char *path, size_t size);

/*
 * Take over the segments found (`last_lsn` of each) and get ready to write
 * segment `next_number` from LSN `next_lsn` on.  Makes no file yet: the first
 * wal_roll does.
 */
struct wal_known {
    uint64_t number, last_lsn, size;
};
struct wal *wal_new(const struct wal_options *options, const struct wal_known *known, size_t count,
                    uint64_t next_number, uint64_t next_lsn);
void wal_free(struct wal *wal); /* closes; NULL is fine */

uint64_t wal_next_lsn(const struct wal *wal);
uint64_t wal_segment_number(const struct wal *wal); /* of the open segment */

/* Would `size` more bytes take the segment over its size? */
bool wal_is_full(const struct wal *wal, size_t size);

/*
 * Start the next segment with the records in `carried` (`records` of them, from
 * wal_next_lsn on), synced with its directory.  On failure the old segment stays
 * the current one.
 */
bool wal_roll(struct wal *wal, struct slice carried, uint64_t records, struct error *err)
    MUST_CHECK;

/*
 * Write a group of records and, in durable mode, sync it.  ERR_UNAVAILABLE: the
 * disk is full, nothing of the group is left in the file.  Any other failure is
 * final: wal_failed().
 */
bool wal_append(struct wal *wal, struct slice group, uint64_t records, struct error *err)
    MUST_CHECK;
bool wal_failed(const struct wal *wal);

/* Does the file system take `size` bytes more?  Tries it with a file that has no name. */
bool wal_has_room(const struct wal *wal, size_t size, struct error *err) MUST_CHECK;

/* Remove segments, oldest first, whose last LSN is below `lsn`; never the open one. */
bool wal_remove_below(struct wal *wal, uint64_t lsn, struct error *err) MUST_CHECK;

/* The highest LSN of the segments that this run removed, 0: none. */
uint64_t wal_removed_lsn(struct wal *wal);

/*
 * Between wal_hold and wal_let_go wal_remove_below removes nothing.  Taking hold
 * needs that no removal is on its way (the store's seal lock).
 */
void wal_hold(struct wal *wal);
void wal_let_go(struct wal *wal);

/* All segments, the open one last, as far as whole groups go; the caller frees `segments`. */
void wal_list(struct wal *wal, struct wal_known **segments, size_t *count);

/* The last LSN of the oldest segment that is not the open one, 0 when there is none. */
uint64_t wal_oldest_last_lsn(struct wal *wal);

struct wal_stats {
    uint64_t records, bytes_written, syncs, segments, bytes, sync_ns_total, sync_ns_max;
};
void wal_stats_read(struct wal *wal, struct wal_stats *stats);

#endif
