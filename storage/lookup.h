/*
 * lookup.h - from raw label bytes to a series, without parsing them.
 *
 * A cache, never identity: it maps XXH3-128 (random seed per process) over the
 * wire format and the raw label bytes to a series of one head.  It is filled
 * only after labels were parsed, validated and compared, keeps no raw bytes and
 * forgets everything when it is full.
 *
 * Threads: each stripe has a lock.  lookup_find marks the slot as used inside
 * the lock, and lookup_sweep holds all stripes, hands the marks on to the series
 * and then takes unused ones out: so a series that somebody found just now is
 * never removed.  The mark is in the slot because the series itself would cost
 * another cache miss; lookup_prefetch hides the slot's own.
 */
#ifndef STORAGE_LOOKUP_H
#define STORAGE_LOOKUP_H

#include "base/hash.h"
#include "base/slice.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct series;

enum { LOOKUP_STRIPES = 16, LOOKUP_STRIPE_SLOTS_MAX = 1 << 20 };

struct lookup_slot {
    struct hash128 key;
    struct series *series; /* NULL: free */
    uint32_t used_s;       /* when it was last found; the series may say a later time */
    uint32_t id;           /* of the series, so that encoding a batch does not touch it; 32 bytes:
                            * a slot never straddles two cache lines */
};

/* Each stripe owns an equal part of the slots, and looks no further. */
struct lookup_stripe {
    pthread_mutex_t lock;
    uint32_t count;
    char apart[64]; /* locks move between cores all the time: not in one cache line */
};

/*
 * One array for all stripes, so that huge pages can hold it: with small ones the
 * address translation of a random slot costs as much as the slot itself.
 */
struct lookup {
    uint64_t seed;
    struct lookup_slot *slots; /* changes with all stripes locked; stored atomically */
    uint32_t stripe_slots;     /* of each stripe: a power of two, at most 3/4 full; likewise */
    size_t counted;            /* in the ledger of memory; changes with all stripes locked */
    struct lookup_stripe stripes[LOOKUP_STRIPES];
};

void lookup_init(struct lookup *lookup);
void lookup_done(struct lookup *lookup);

struct hash128 lookup_key(const struct lookup *lookup, uint32_t format, struct slice raw);

/* Bring the slot of `key` into the CPU cache: some keys before lookup_find needs it. */
void lookup_prefetch(const struct lookup *lookup, struct hash128 key);

/* The series and its id, marked as used at `now_s`; NULL: not known. */
struct series *lookup_find(struct lookup *lookup, struct hash128 key, uint32_t now_s, uint32_t *id);
void lookup_put(struct lookup *lookup, struct hash128 key, struct series *series);

/*
 * With all stripes locked: `judge` is called, then every series for which
 * series->dead holds is forgotten.
 */
void lookup_sweep(struct lookup *lookup, void (*judge)(void *context), void *context);

size_t lookup_memory(const struct lookup *lookup);

#endif
