/*
 * retention.h - how long the entries of a series are kept, and what a tenant has of its own.
 *
 * A tenant's retention is its own or the store's; rules by selector, a tenant's own or
 * everybody's, override it for series that satisfy them: of those the one with the highest
 * priority, then the shortest period.  Whole days go when nothing could be left of them.  What a
 * rule ends earlier is hidden from every reader as soon as it is due, and leaves the files when
 * the whole day is due: then the day is rewritten without it.
 */
#ifndef STORAGE_RETENTION_H
#define STORAGE_RETENTION_H

#include "base/compiler.h"
#include "base/labels.h"
#include "storage/store.h"
#include "storage/tombstones.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct store;

/* The out-of-order window of a tenant and kind; -1: no limit. */
int64_t retention_window(const struct store_options *options, struct slice tenant,
                         enum store_kind kind);

/* How long anything of a tenant and kind may be kept; -1: for ever. */
int64_t retention_longest(const struct store_options *options, struct slice tenant,
                          enum store_kind kind);

/* Could a rule hide something at `start_ns` or later, were it `now_ns`? */
bool retention_reaches(const struct store_options *options, struct slice tenant,
                       enum store_kind kind, int64_t start_ns, int64_t now_ns);

/* Append what retention hides of a series; nothing for tenants without rules. */
bool retention_hides(const struct store_options *options, struct slice tenant, enum store_kind kind,
                     struct labels labels, int64_t now_ns, struct hides *hides, struct error *err)
    MUST_CHECK;

/*
 * Names the set of rules that are due for all of a day, 0: none.  A day whose row bears another
 * name is to be rewritten.
 */
uint64_t retention_state(const struct store_options *options, struct slice tenant,
                         enum store_kind kind, int32_t day, int64_t now_ns);

#endif
