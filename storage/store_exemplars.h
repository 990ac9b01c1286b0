/*
 * store_exemplars.h - exemplars: for a sample of a series, labels that lead to what it
 * came from, such as a trace id.  A part of store.h, which includes it.
 *
 * The store keeps the newest of each tenant, as many as store_options.exemplars_max.
 */
#ifndef STORAGE_STORE_EXEMPLARS_H
#define STORAGE_STORE_EXEMPLARS_H

#include "base/compiler.h"
#include "storage/store_read.h"

struct arena;
struct batch;
struct error;
struct store;

struct exemplar {
    struct labels labels;
    int64_t time_ns; /* whole milliseconds */
    double value;
};

/*
 * Add one to the batch, for its series number `series`.  `labels` are sorted in place, empty
 * values dropped.  ERR_INVALID when a name comes twice or is empty, when something is not UTF-8,
 * or when names and values have over 128 characters together; the batch stays usable.  An
 * exemplar older than the newest of its series, or equal to it, is dropped when it is applied.
 */
enum { EXEMPLAR_CHARACTERS_MAX = 128 };
bool batch_exemplar(struct batch *batch, uint32_t series, struct label *labels, size_t count,
                    int64_t time_ns, double value, struct error *err);

struct exemplar_series {
    struct labels labels;
    struct exemplar *items; /* by time */
    size_t count;
};

/*
 * The exemplars in a time range (both included) of every series that satisfies all matchers
 * of one of the selectors; sorted by labels, in `arena`.
 */
bool store_exemplars(struct store *store, struct slice tenant,
                     const struct view_selector *selectors, size_t count, int64_t start_ns,
                     int64_t end_ns, struct arena *arena, struct exemplar_series **series,
                     size_t *series_count, struct error *err) MUST_CHECK;

#endif
