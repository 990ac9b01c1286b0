/*
 * view.h - what one moment of a head looks like through some selectors.
 *
 * All selections are taken under one hold of the head's lock, so they see the same
 * batches.  Nothing is copied there: open chunks are held like frozen ones, together
 * with how much of them was filled.  The WAL writer appends behind that, and moves
 * to other memory when a chunk that somebody holds must grow.  Labels are read
 * later, piece by piece.
 */
#ifndef STORAGE_VIEW_H
#define STORAGE_VIEW_H

#include "base/array.h"
#include "storage/head.h"
#include "storage/store_internal.h"
#include "storage/tombstones.h"

/*
 * A chunk of the head as it was.  Of what `held` and `piece` point to, only bytes
 * below `size` may be read: the rest, headers included, may be changing.
 */
struct snapshot {
    struct head_chunk *held; /* metrics */
    struct log_piece *piece; /* logs */
    int64_t first_ns, last_ns;
    uint64_t lsn;
    uint64_t last_bits; /* the newest value of a plain metric chunk in order */
    uint32_t count, size;
    bool side, rich;
    bool open; /* may outlive the head's own one: counts as memory of whoever holds it */
};

struct selected_series {
    size_t first, count; /* snapshots */
    size_t pair_first;   /* its labels, as numbers of the head's pairs */
    uint16_t pair_count;
};

struct selection {
    const struct matcher *matchers; /* the caller's: by their address it is found again */
    size_t matcher_count;
    size_t same_as; /* an earlier selection with equal matchers, or its own number */
    ARRAY(struct snapshot) snapshots;
    ARRAY(struct selected_series) series;
    ARRAY(uint32_t) pairs;
    size_t bytes;
};

struct store_view {
    struct head *head; /* NULL: the tenant has none */
    struct tombstones *tombstones;
    uint64_t lsn;                 /* the last batch in it */
    struct tombstone_set *hidden; /* of the same moment; NULL: none */
    struct selection *selections;
    size_t count;
    bool has_entered; /* texts and pair numbers stay: see postings.h */
    uint32_t entered;
    struct store_view **of_tenants; /* of several tenants one each, and nothing else is used */
    size_t tenant_count;
};

/* The range limits what is held; the view of several cursors has none. */
struct view_request {
    struct slice tenant;
    enum store_kind kind;
    const struct view_selector *selectors;
    size_t count;
    int64_t start_ns, end_ns;
    size_t memory_max;
    const bool *cancel;
};
struct store_view *view_take(struct store *store, const struct view_request *request,
                             struct error *err) MUST_CHECK;

/* The selection of these very matchers, NULL when the view has none. */
const struct selection *view_find(const struct store_view *view, const struct matcher *matchers,
                                  size_t count);

#endif
