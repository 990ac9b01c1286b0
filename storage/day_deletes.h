/*
 * day_deletes.h - what deletes mean to a day's file, and when they are no longer needed.
 *
 * Of the sealer's thread (or whoever holds the seal lock).
 */
#ifndef STORAGE_DAY_DELETES_H
#define STORAGE_DAY_DELETES_H

#include "base/compiler.h"
#include "storage/store.h"
#include "storage/tombstones.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct catalog_day;
struct error;
struct partition_id;

/* What deletes and rules of retention take from a day. */
struct day_deletes {
    struct tombstone_set *set; /* NULL: there are none */
    const struct store_options *options;
    struct slice tenant;
    enum store_kind kind;
    int64_t now_ns;      /* for retention */
    bool any;            /* a tombstone or a rule */
    bool *dropped;       /* by series number: nothing of it is left; NULL: none */
    size_t series, left; /* all of the day's, and those of which something is left */
    size_t touched;      /* series of which something goes */
};
bool day_deletes_find(struct store *store, const struct partition_id *id, int64_t now_ns,
                      struct day_deletes *deletes, struct error *err) MUST_CHECK;
/* Append what they hide of a series. */
bool day_deletes_hides(const struct day_deletes *deletes, struct labels labels, struct hides *hides,
                       struct error *err) MUST_CHECK;
void day_deletes_done(struct day_deletes *deletes);

/* May a tombstone, or a rule that is due for all of it, hide something in the day's files? */
bool day_deletes_wait(struct store *store, const struct catalog_day *day, int64_t now_ns);

/* Into the catalog with those that only the log has: before segments are removed. */
bool tombstones_save(struct store *store, struct error *err) MUST_CHECK;

/* Forget those that no file and nothing in the head needs. */
bool tombstones_drop(struct store *store, struct error *err) MUST_CHECK;

#endif
