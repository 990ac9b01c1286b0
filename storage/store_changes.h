/*
 * store_changes.h - from which time on answers have changed; a part of store.h, which includes it.
 */
#ifndef STORAGE_STORE_CHANGES_H
#define STORAGE_STORE_CHANGES_H

#include "base/slice.h"

#include <stdint.h>

struct store;

/*
 * For whoever keeps answers about metrics: a moment, taken before reading, and the lowest
 * time at which anything was written or deleted since.  What an answer says about earlier
 * times still holds.  INT64_MAX: nothing was; INT64_MIN: anything may have changed.
 */
struct store_moment {
    uint64_t changes, removals;
};
void store_moment_read(struct store *store, struct slice tenant, struct store_moment *moment);
int64_t store_changed_since(struct store *store, struct slice tenant,
                            const struct store_moment *moment);

#endif
