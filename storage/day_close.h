/*
 * day_close.h - rewriting days that are over: long chunks, sorted, everything in order.
 *
 * Called by whoever holds store->seal_lock.
 */
#ifndef STORAGE_DAY_CLOSE_H
#define STORAGE_DAY_CLOSE_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct error;
struct partition_id;
struct partitions;
struct store;

struct day_close_rule {
    int64_t now_ns;
    bool at_once;      /* days that still change and those with little late data, too */
    int64_t quiet_s;   /* else: how long nothing was sealed into the day */
    bool deletes_only; /* only days that hold something deleted */
    uint32_t days_max; /* in this call; 0: all that are due */
    bool no_skip_index;
    uint32_t share; /* percent of a core that a rewrite may take; 0: all of it */
    /* Called now and then while a day is written; false gives it up.  NULL: never. */
    bool (*go_on)(void *context);
    void *context;
};

/*
 * Close the days that are due and of which the head holds nothing any more.  One that fails
 * stays as it is and does not keep the others from their turn; `err` is the first failure.
 * `*closed` counts.
 */
bool day_close_due(struct store *store, const struct day_close_rule *rule, uint32_t *closed,
                   struct error *err) MUST_CHECK;

/*
 * Close a day of an import, which nobody reads yet and no log knows: every entry of it bears LSN 0.
 */
bool day_close_import(struct partitions *partitions, const struct partition_id *id,
                      struct error *err) MUST_CHECK;

#endif
