/*
 * exemplars.h - the newest exemplars of each tenant.
 *
 * Like metadata they live in memory, change by records of the log only, and are carried
 * into every new segment, so the newest segment alone brings all of them back.  Each
 * tenant has a ring of a fixed number: the oldest goes when a new one comes.
 *
 * Rules, as Prometheus': of a series, what equals its newest exemplar is dropped
 * silently, and what is older (time, then value, then labels) is dropped, too.  They are
 * judged when a record is applied.  Any thread; one lock.
 */
#ifndef STORAGE_EXEMPLARS_H
#define STORAGE_EXEMPLARS_H

#include "base/compiler.h"
#include "base/slice.h"
#include "storage/store.h"

#include <stdbool.h>

struct arena;
struct buffer;
struct error;
struct exemplars; /* opaque: fields in exemplars.c */

enum {
    EXEMPLAR_LABELS_MAX = 64,
    EXEMPLARS_BYTES_MAX = 64 * 1024 * 1024 /* of all tenants: above it rings get shorter */
};

/* Up to `per_tenant` in a ring; 0: none are kept. */
struct exemplars *exemplars_new(size_t per_tenant);
void exemplars_free(struct exemplars *exemplars); /* NULL is fine */

/* An item of a list: labels of the series, its own, time in ms, value bits. */
void exemplar_write(struct buffer *out, struct labels series, const struct exemplar *exemplar);

/* A list: varint count, items; `*dropped` (NULL is fine) counts those out of order. */
bool exemplars_apply(struct exemplars *exemplars, struct slice tenant, struct slice list,
                     uint64_t *dropped) MUST_CHECK;

/* Is the payload of an exemplars record well-formed? */
bool exemplars_check(struct slice payload) MUST_CHECK;

/* Append the payload of an exemplars record for tenant number `index`; false: there is none. */
bool exemplars_write(struct exemplars *exemplars, size_t index, struct buffer *out);

/* Those of series that satisfy any selector, in a time range (both included); by labels. */
struct exemplars_request {
    struct slice tenant;
    const struct view_selector *selectors;
    size_t count;
    int64_t start_ns, end_ns;
};
bool exemplars_select(struct exemplars *exemplars, const struct exemplars_request *request,
                      struct arena *arena, struct exemplar_series **series, size_t *count,
                      struct error *err) MUST_CHECK;

size_t exemplars_count(struct exemplars *exemplars);

#endif
