/* lookup.c - striped open addressing (see lookup.h). */
#include "storage/lookup.h"

#include "base/compiler.h"
#include "base/ledger.h"
#include "base/memory.h"
#include "storage/head.h"

#include <sys/mman.h>

enum { STRIPE_SLOTS_FIRST = 16, CACHE_LINE = 64, HUGE_PAGE = 2 * 1024 * 1024 };

_Static_assert(sizeof(struct lookup_slot) == 32, "two slots in a cache line");

void lookup_init(struct lookup *lookup)
{
    static uint64_t made; /* every cache has a seed of its own */
    *lookup = (struct lookup){0};
    lookup->seed = hash_seed() ^
                   (__atomic_add_fetch(&made, 1, __ATOMIC_RELAXED) * UINT64_C(0x9e3779b97f4a7c15));
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        pthread_mutex_init(&lookup->stripes[i].lock, NULL);
}

void lookup_done(struct lookup *lookup)
{
    free(lookup->slots);
    ledger_update(LEDGER_LOOKUP, &lookup->counted, 0);
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        pthread_mutex_destroy(&lookup->stripes[i].lock);
}

struct hash128 lookup_key(const struct lookup *lookup, uint32_t format, struct slice raw)
{
    uint64_t seed = lookup->seed + format * UINT64_C(0xd6e8feb86659fd93);
    return hash128(raw.size ? raw.data : "", raw.size, seed);
}

static uint32_t stripe_of(struct hash128 key)
{
    return (uint32_t)(key.high % LOOKUP_STRIPES);
}

void lookup_prefetch(const struct lookup *lookup, struct hash128 key)
{
    /* No lock: a stale address is only a wasted prefetch. */
    uint32_t count = __atomic_load_n(&lookup->stripe_slots, __ATOMIC_RELAXED);
    const struct lookup_slot *slots = __atomic_load_n(&lookup->slots, __ATOMIC_RELAXED);
    if (count == 0)
        return;
    size_t at = (size_t)stripe_of(key) * count + ((uint32_t)key.low & (count - 1));
    __builtin_prefetch((const char *)slots + at * sizeof(*slots), 1);
}

/* The slot with `key`, or the free one where it belongs.  Needs the stripe's lock. */
static struct lookup_slot *slot_find(const struct lookup *lookup, struct hash128 key)
{
    uint32_t mask = lookup->stripe_slots - 1;
    struct lookup_slot *slots = lookup->slots + (size_t)stripe_of(key) * lookup->stripe_slots;
    uint32_t at = (uint32_t)key.low & mask;
    while (slots[at].series && !hash128_equal(slots[at].key, key))
        at = (at + 1) & mask;
    return &slots[at];
}

struct series *lookup_find(struct lookup *lookup, struct hash128 key, uint32_t now_s, uint32_t *id)
{
    struct lookup_stripe *stripe = &lookup->stripes[stripe_of(key)];
    struct series *found = NULL;
    pthread_mutex_lock(&stripe->lock);
    if (lookup->stripe_slots > 0) {
        struct lookup_slot *slot = slot_find(lookup, key);
        found = slot->series;
        if (found) {
            *id = slot->id;
            if (slot->used_s < now_s)
                slot->used_s = now_s;
        }
    }
    pthread_mutex_unlock(&stripe->lock);
    return found;
}

/* ---- growing and forgetting, with all stripes locked --------------------- */

static void lock_all(struct lookup *lookup)
{
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        pthread_mutex_lock(&lookup->stripes[i].lock);
}

static void unlock_all(struct lookup *lookup)
{
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        pthread_mutex_unlock(&lookup->stripes[i].lock);
}

static struct lookup_slot *slots_new(uint32_t stripe_slots)
{
    size_t size = (size_t)LOOKUP_STRIPES * stripe_slots * sizeof(struct lookup_slot);
    bool huge = size >= HUGE_PAGE;
    struct lookup_slot *slots = aligned_alloc(huge ? HUGE_PAGE : CACHE_LINE, size);
    if (slots == NULL)
        abort();
    if (huge)
        madvise(slots, size, MADV_HUGEPAGE); /* a favour: it works without, too */
    memset(slots, 0, size);
    return slots;
}

static void place(struct lookup *lookup, struct lookup_slot fresh)
{
    struct lookup_slot *slot = slot_find(lookup, fresh.key);
    if (slot->series == NULL)
        lookup->stripes[stripe_of(fresh.key)].count++;
    else
        series_touch(slot->series, slot->used_s);
    *slot = fresh;
}

/* Copy what is alive into fresh slots. */
static void rebuild(struct lookup *lookup, uint32_t stripe_slots)
{
    struct lookup_slot *old = lookup->slots;
    size_t old_count = (size_t)LOOKUP_STRIPES * lookup->stripe_slots;
    __atomic_store_n(&lookup->slots, slots_new(stripe_slots), __ATOMIC_RELAXED);
    __atomic_store_n(&lookup->stripe_slots, stripe_slots, __ATOMIC_RELAXED);
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        lookup->stripes[i].count = 0;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].series && !old[i].series->dead)
            place(lookup, old[i]);
    }
    free(old);
    ledger_update(LEDGER_LOOKUP, &lookup->counted, lookup_memory(lookup));
}

/* The series learn when their slots were last used. */
static void hand_marks_on(const struct lookup *lookup)
{
    size_t count = (size_t)LOOKUP_STRIPES * lookup->stripe_slots;
    for (size_t i = 0; i < count; i++) {
        if (lookup->slots[i].series)
            series_touch(lookup->slots[i].series, lookup->slots[i].used_s);
    }
}

static bool is_full(const struct lookup *lookup, uint32_t stripe)
{
    return lookup->stripes[stripe].count >= lookup->stripe_slots / 4 * 3;
}

/* Twice the slots; at the limit everything is forgotten. */
static void grow(struct lookup *lookup, uint32_t stripe)
{
    lock_all(lookup);
    if (is_full(lookup, stripe)) { /* nobody else was faster */
        if (lookup->stripe_slots == LOOKUP_STRIPE_SLOTS_MAX) {
            hand_marks_on(lookup);
            size_t size = (size_t)LOOKUP_STRIPES * lookup->stripe_slots * sizeof(*lookup->slots);
            memset(lookup->slots, 0, size);
            for (int i = 0; i < LOOKUP_STRIPES; i++)
                lookup->stripes[i].count = 0;
        } else {
            rebuild(lookup, lookup->stripe_slots ? lookup->stripe_slots * 2 : STRIPE_SLOTS_FIRST);
        }
    }
    unlock_all(lookup);
}

void lookup_put(struct lookup *lookup, struct hash128 key, struct series *series)
{
    uint32_t stripe = stripe_of(key);
    pthread_mutex_lock(&lookup->stripes[stripe].lock);
    while (is_full(lookup, stripe)) {
        pthread_mutex_unlock(&lookup->stripes[stripe].lock);
        grow(lookup, stripe);
        pthread_mutex_lock(&lookup->stripes[stripe].lock);
    }
    place(lookup, (struct lookup_slot){.key = key, .series = series, .id = series->id});
    pthread_mutex_unlock(&lookup->stripes[stripe].lock);
}

/* As many slots of a stripe as what is alive needs: fewer only when a quarter would do. */
static uint32_t fitting_slots(const struct lookup *lookup)
{
    uint32_t most = 0;
    size_t count = (size_t)LOOKUP_STRIPES * lookup->stripe_slots;
    uint32_t alive[LOOKUP_STRIPES] = {0};
    for (size_t i = 0; i < count; i++) {
        if (lookup->slots[i].series && !lookup->slots[i].series->dead)
            alive[i / lookup->stripe_slots]++;
    }
    for (int i = 0; i < LOOKUP_STRIPES; i++)
        most = alive[i] > most ? alive[i] : most;
    uint32_t slots = lookup->stripe_slots;
    while (slots > STRIPE_SLOTS_FIRST && most < slots / 8)
        slots /= 2;
    return slots;
}

void lookup_sweep(struct lookup *lookup, void (*judge)(void *context), void *context)
{
    lock_all(lookup);
    hand_marks_on(lookup);
    judge(context);
    if (lookup->stripe_slots > 0)
        rebuild(lookup, fitting_slots(lookup));
    unlock_all(lookup);
}

size_t lookup_memory(const struct lookup *lookup)
{
    uint32_t count = __atomic_load_n(&lookup->stripe_slots, __ATOMIC_RELAXED);
    return (size_t)LOOKUP_STRIPES * count * sizeof(struct lookup_slot);
}
