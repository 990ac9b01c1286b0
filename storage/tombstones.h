/*
 * tombstones.h - deletes that are not in the files yet: what readers must leave out.
 *
 * A tombstone is a record of the log: tenant, kind, time range, matchers (or, for logs, a
 * list of series with times and content hashes) and its own LSN.  It hides the entries of
 * matching series in the range whose chunk has a lower LSN.  A chunk lies wholly on one side:
 * applying a tombstone freezes the open chunks of the series that it touches (head_hide.c).
 * So matchers are enough, series that come later have only higher LSNs, and nothing must be
 * resolved that could grow stale.
 *
 * Those of one tenant and kind form a set, immutable and counted: a view holds the one
 * of its moment.  Sets are exchanged under the registry's lock (and, by the WAL writer, the
 * head's, so that a view sees batches and tombstones of one moment).
 * A tombstone dies when every day it reaches was rewritten without what it hides.
 * States and crashes: docs/format-wal.md.
 */
#ifndef STORAGE_TOMBSTONES_H
#define STORAGE_TOMBSTONES_H

#include "base/array.h"
#include "base/hash.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct buffer;
struct tombstones; /* opaque: tombstones.c */

enum {
    TOMBSTONES_MAX = 4096, /* of one tenant and kind */
    TOMBSTONE_SIZE_MAX = 4 * 1024 * 1024,
    TOMBSTONES_BYTES_MAX = 64 * 1024 * 1024, /* of all */
    TOMBSTONE_SELECTORS_MAX = 1024,
    TOMBSTONE_MATCHERS_MAX = 256
};

/* Fixed once made, but for `persisted`, which is the sealer's. */
struct tombstone {
    uint32_t refs; /* atomic */
    bool persisted;
    uint64_t lsn;
    uint64_t key; /* hash of a label that every series it touches has; 0: none is known */
    int64_t start_ns, end_ns; /* both included */
    struct arena *arena;
    struct slice tenant;
    enum store_kind kind;
    struct view_selector *selectors; /* a series is touched when it satisfies any */
    size_t selector_count;
    const struct delete_series *series; /* or is among these, sorted by labels */
    size_t series_count;
    struct slice payload; /* the record's bytes */
};

struct tombstone_set {
    uint32_t refs; /* atomic */
    size_t count;
    struct tombstone_key {
        uint64_t key;
        struct tombstone *tombstone;
    } * keys;                  /* of all, by key: with thousands of deletes few are looked at */
    size_t unkeyed;            /* so many stand first, with key 0 */
    struct tombstone *items[]; /* by LSN */
};

/* One range to leave out of a series' entries. */
struct hide {
    int64_t start_ns, end_ns;
    uint64_t lsn;                        /* of entries with a lower one */
    const struct delete_series *entries; /* NULL: all in the range; otherwise only these */
};
struct hides ARRAY_BODY(struct hide);

/* ---- bytes ------------------------------------------------------------- */

/* ERR_INVALID over the limits above, or when there is nothing to delete. */
bool tombstone_write(struct buffer *out, const struct store_delete *request, struct error *err)
    MUST_CHECK;
/* NULL and ERR_CORRUPT when malformed.  The caller owns one reference. */
struct tombstone *tombstone_read(struct slice payload, uint64_t lsn, struct error *err) MUST_CHECK;
void tombstone_unref(struct tombstone *tombstone); /* NULL is fine */

/* 1 yes, 0 no, -1 a regex could not decide: does it touch a series with these labels? */
int tombstone_touches(const struct tombstone *tombstone, struct labels labels, struct error *err);

/* ---- the registry ------------------------------------------------------ */

struct tombstones *tombstones_new(void);
void tombstones_free(struct tombstones *tombstones); /* NULL is fine */

/* Takes over the reference; one whose LSN is known already is dropped. */
void tombstones_add(struct tombstones *tombstones, struct tombstone *tombstone);

/* Is there room for `size` more bytes of this tenant and kind?  ERR_RATE when not. */
bool tombstones_room(struct tombstones *tombstones, struct slice tenant, enum store_kind kind,
                     size_t size, struct error *err) MUST_CHECK;

/* The set of now, referenced; NULL: none. */
struct tombstone_set *tombstones_get(struct tombstones *tombstones, struct slice tenant,
                                     enum store_kind kind);
void tombstone_set_unref(struct tombstone_set *set); /* NULL is fine */

/* Those with these LSNs (ascending) leave their sets. */
void tombstones_remove(struct tombstones *tombstones, const uint64_t *lsns, size_t count);

struct tombstone_list ARRAY_BODY(struct tombstone *);
/* Append all, referenced. */
void tombstones_all(struct tombstones *tombstones, struct tombstone_list *list);
void tombstone_list_done(struct tombstone_list *list);

/* Their number and bytes, and the highest LSN. */
struct tombstones_stats {
    uint64_t count, bytes, lsn_max;
};
void tombstones_stats_read(struct tombstones *tombstones, struct tombstones_stats *stats);

/* ---- hiding ------------------------------------------------------------ */

/* Append what the set (NULL: nothing) hides of a series between the two times. */
bool tombstone_set_hides(const struct tombstone_set *set, struct labels labels, int64_t start_ns,
                         int64_t end_ns, struct hides *hides, struct error *err) MUST_CHECK;

/* Is everything hidden that lies between the two times in a chunk of this LSN? */
bool hides_cover(const struct hide *hides, size_t count, int64_t first_ns, int64_t last_ns,
                 uint64_t lsn);

/* Could anything of such a chunk be hidden? */
bool hides_touch(const struct hide *hides, size_t count, int64_t first_ns, int64_t last_ns,
                 uint64_t lsn);

/* Is a sample of a chunk of this LSN hidden? */
static inline bool hides_sample(const struct hide *hides, size_t count, int64_t time_ns,
                                uint64_t lsn)
{
    for (size_t i = 0; i < count; i++)
        if (lsn < hides[i].lsn && time_ns >= hides[i].start_ns && time_ns <= hides[i].end_ns &&
            hides[i].entries == NULL)
            return true;
    return false;
}

/* The same of a log entry. */
bool hides_entry(const struct hide *hides, size_t count, int64_t time_ns, uint64_t lsn,
                 struct slice line, struct labels metadata);

/* Do any of these need an entry's content to decide? */
static inline bool hides_need_content(const struct hide *hides, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (hides[i].entries)
            return true;
    return false;
}

#endif
