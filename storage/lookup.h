/*
 * lookup.h - from raw label bytes to a series, without parsing them.
 *
 * A cache, never identity: it maps XXH3-128 (random seed per process) over the
 * wire format and the raw label bytes to a series of one head.  It is filled
 * only after labels were parsed, validated and compared, keeps no raw bytes and
 * forgets everything when it is full.
 *
 * Threads: finding needs the lock shared, all else alone.  It is taken once for
 * many keys: two atomic operations a key would cost as much as the rest.  lookup_find
 * marks slots as used inside the lock, and lookup_sweep holds it alone, hands the marks
 * on to the series and then takes unused ones out: so a series that somebody found just
 * now is never removed.  The mark is in the slot because the series itself would cost
 * another cache miss; the slots' own are hidden by fetching all of a call's at once.
 */
#ifndef STORAGE_LOOKUP_H
#define STORAGE_LOOKUP_H

#include "base/hash.h"
#include "base/slice.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct series;

enum { LOOKUP_SLOTS_MAX = 1 << 24, LOOKUP_KEYS_MAX = 32 };

struct lookup_slot {
    struct hash128 key;
    struct series *series; /* NULL: free */
    uint32_t used_s;       /* atomic: when it was last found; the series may say a later time */
    uint32_t id;           /* of the series, so that encoding a batch does not touch it; 32 bytes:
                            * a slot never straddles two cache lines */
};

/*
 * One array of slots, so that huge pages can hold it: with small ones the
 * address translation of a random slot costs as much as the slot itself.
 */
struct lookup {
    uint64_t seed;
    pthread_rwlock_t lock;     /* guards the rest, and the slots but for their marks */
    struct lookup_slot *slots; /* NULL: none yet */
    uint32_t slot_count;       /* a power of two, at most 4/5 full */
    uint32_t count;
    size_t counted; /* in the ledger of memory */
};

void lookup_init(struct lookup *lookup);
void lookup_done(struct lookup *lookup);

struct hash128 lookup_key(const struct lookup *lookup, uint32_t format, struct slice raw);

/*
 * Which series have `keys`, at most LOOKUP_KEYS_MAX?  Their ids, too, and what is found
 * is marked as used at `now_s`.  NULL: not known.
 */
void lookup_find(struct lookup *lookup, const struct hash128 *keys, size_t count, uint32_t now_s,
                 struct series **series, uint32_t *ids);
void lookup_put(struct lookup *lookup, struct hash128 key, struct series *series);

/*
 * With the lock: `judge` is called, then every series for which
 * series->dead holds is forgotten.
 */
void lookup_sweep(struct lookup *lookup, void (*judge)(void *context), void *context);

size_t lookup_memory(struct lookup *lookup);

#endif
