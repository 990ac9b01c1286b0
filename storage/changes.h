/*
 * changes.h - from which time on a head's answers have changed since a moment.
 *
 * Whoever keeps answers asks for the moment before reading, and later for the lowest
 * time that anything wrote or deleted since: what the answer says about times below
 * that still holds.  New samples, late ones and deletes are noted alike, once they are
 * visible to readers; so what is noted after the moment may or may not be in the
 * answer, and what was noted before is in it.
 *
 * The notes are a staircase: a later note hides earlier ones of the same time or a
 * higher one.  Times are rounded down to 5 s, so an hour of steady writing has 720
 * notes; beyond a thousand the oldest two become one, with the lower time and the later
 * moment.  Guarded by the head's lock.
 */
#ifndef STORAGE_CHANGES_H
#define STORAGE_CHANGES_H

#include "base/array.h"

#include <stdint.h>

struct change {
    uint64_t moment;
    int64_t from_ns;
};

struct changes {
    uint64_t moment;            /* of the newest note */
    ARRAY(struct change) notes; /* moments and times ascend */
};

void changes_note(struct changes *changes, int64_t from_ns);

/* The lowest time noted after `moment`; INT64_MAX: nothing was. */
int64_t changes_since(const struct changes *changes, uint64_t moment);

#endif
