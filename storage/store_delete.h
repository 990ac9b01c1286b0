/*
 * store_delete.h - deleting; a part of store.h, which includes it.
 */
#ifndef STORAGE_STORE_DELETE_H
#define STORAGE_STORE_DELETE_H

#include "base/compiler.h"
#include "base/hash.h"
#include "base/labels.h"
#include "storage/store_options.h"

#include <stdint.h>

struct error;
struct store;
struct view_selector;

/* ---- deleting --------------------------------------------------------- */

/* One log entry of a series, by its content: store_entry_hash() of line and metadata. */
struct delete_entry {
    int64_t time_ns;
    struct hash128 hash;
};
struct delete_series {
    struct labels labels;
    const struct delete_entry *entries; /* sorted by time */
    size_t count;
};

/*
 * What to delete of a tenant and kind: the entries between the two times (both included) of
 * every series that satisfies one of the selectors, or (logs) the given entries of given
 * series.  Selectors must not be empty.
 */
struct store_delete {
    struct slice tenant;
    enum store_kind kind;
    int64_t start_ns, end_ns;
    const struct view_selector *selectors;
    size_t selector_count;
    const struct delete_series *series; /* sorted by labels_compare() */
    size_t series_count;
};

/*
 * Deletes and waits: on return it is durable (as a batch's `done` is) and no cursor opened
 * from now on shows what was stored before; what is stored afterwards is kept, be it the same.
 * The bytes go when the days are rewritten: closed days soon, others at their close.  `*lsn`
 * (NULL is fine) is the delete's own, 0 when the tenant has nothing.  ERR_INVALID over the
 * limits of storage/tombstones.h, ERR_RATE when too many deletes wait for their days,
 * ERR_UNAVAILABLE as batches.
 */
bool store_delete(struct store *store, const struct store_delete *request, uint64_t *lsn,
                  struct error *err) MUST_CHECK;

/* Stable: it is stored.  Metadata sorted by name. */
struct hash128 store_entry_hash(struct slice line, struct labels metadata);

/* The times between which the tenant's entries lie, by whole days; first > last: none. */
bool store_bounds(struct store *store, struct slice tenant, enum store_kind kind, int64_t *first_ns,
                  int64_t *last_ns, struct error *err) MUST_CHECK;

/*
 * Small durable facts of others by key (at most 256 bytes and 64 KiB), such as requests to
 * delete that are not done yet.  An empty value removes one.
 */
bool store_put_note(struct store *store, struct slice key, struct slice value, struct error *err)
    MUST_CHECK;
typedef bool store_note_visit(void *context, struct slice key, struct slice value,
                              struct error *err);
/* All whose key starts with `prefix`, by key; the slices last until `visit` returns. */
bool store_notes(struct store *store, struct slice prefix, store_note_visit *visit, void *context,
                 struct error *err) MUST_CHECK;

/* Rewrite every day that is over and holds something deleted, now, and wait for it. */
bool store_clean_tombstones(struct store *store, struct error *err) MUST_CHECK;

#endif
