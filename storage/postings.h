/*
 * postings.h - which series of a head carry which label.
 *
 * A label pair (name, value) is a number and owns the ascending ids of its
 * series; ids only grow, so adding is appending.  Distinct values of a name are
 * the list of its pairs: a regex runs once per value, never per series.
 *
 * A pair whose last series goes leaves the index at once.  Its number and texts are
 * used again only when every reader that was there has left: between postings_enter
 * and postings_leave a reader may keep pair numbers and texts without the lock.
 * Readers enter into one of two groups; postings_reclaim lets a new group begin when
 * the older one is empty, and frees what was removed before that.
 *
 * Guarded by the head's lock; postings_plan and postings_select say what they need.
 */
#ifndef STORAGE_POSTINGS_H
#define STORAGE_POSTINGS_H

#include "base/array.h"
#include "base/labels.h"
#include "base/table.h"
#include "storage/symbols.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct matcher;

struct id_list ARRAY_BODY(uint32_t);

struct label_pair {
    uint32_t name, value;     /* symbols */
    uint32_t one;             /* the only id while capacity is 0 */
    uint32_t count, capacity; /* capacity PAIR_REMOVED: in no table any more */
    uint32_t *ids;            /* ascending; used when capacity > 0 */
};
enum { PAIR_REMOVED = UINT32_MAX };

struct label_name {
    uint32_t symbol;      /* TABLE_NONE: a free place */
    struct id_list pairs; /* its values, in order of appearance */
};

struct postings {
    struct symbols symbols;
    struct table pair_table, name_table;
    ARRAY(struct label_pair) pairs;
    ARRAY(struct label_name) names;
    struct label_pair all; /* every series */
    struct id_list spare_pairs, spare_names;
    struct id_list removed, waiting; /* pairs since the newer group began, and before */
    uint32_t readers[2];             /* atomic */
    uint32_t group;                  /* readers enter into its last bit */
    size_t list_bytes;
};

void postings_init(struct postings *postings);
void postings_done(struct postings *postings);

/* The pair's number, new if need be; or TABLE_NONE when it is not known. */
uint32_t postings_intern(struct postings *postings, struct slice name, struct slice value);
uint32_t postings_find(const struct postings *postings, struct slice name, struct slice value);

/* Series `id`, larger than all before, exists; and it carries `pair`. */
void postings_add_series(struct postings *postings, uint32_t id);
void postings_add(struct postings *postings, uint32_t pair, uint32_t id);

/* Forget the ids for which `gone` says so; `pairs` are all pairs that they carry, or more. */
void postings_remove(struct postings *postings, const uint32_t *pairs, size_t count,
                     bool (*gone)(const void *context, uint32_t id), const void *context);

/* Readers; leaving needs no lock. */
uint32_t postings_enter(struct postings *postings);
void postings_leave(struct postings *postings, uint32_t entered);

/* Free what no reader can know any more. */
void postings_reclaim(struct postings *postings);

struct label postings_label(const struct postings *postings, uint32_t pair);
size_t postings_memory(const struct postings *postings);

/*
 * Selecting takes two steps, so that regexes run without the lock:
 *   plan (locked): copies the values that matchers must look at
 *   decide (not locked): runs the matchers over them
 *   select (locked): ascending ids below the plan's bound
 */
struct postings_plan;
struct postings_plan *postings_plan_new(const struct postings *postings,
                                        const struct matcher *matchers, size_t count,
                                        uint32_t id_bound);
void postings_plan_free(struct postings_plan *plan); /* NULL is fine */
bool postings_decide(struct postings_plan *plan, struct error *err) MUST_CHECK;
void postings_select(const struct postings *postings, const struct postings_plan *plan,
                     struct id_list *out);

#endif
